//! Rows of one table among others as a game learns them: its own columns without keys, and how many rows of other tables refer to each.

use std::sync::Arc;

use super::family::{Family, Role};
use crate::error::{Error, Result};
use crate::random;
use crate::table::database::{DatabaseSchema, Link};
use crate::table::{Column, ColumnSchema, Encoded, Encoder, Kind, Layout, Rows, Rules, Schema, Table, Values, layout_of};
use crate::train::SampleId;

/// Rows that an encoder is learned from at least.
const FEWEST: usize = 20;
/// Rows of one table that may refer to one row of another: more are a damaged model, and would not fit into memory.
const MOST_CHILDREN: f64 = 1e6;

/// How rows of a table are encoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Codec {
    /// Of the columns that a row has, keys of other tables apart, and of the counts; nothing where there are none of either.
    pub encoder: Option<Encoder>,
    /// What every row satisfies.
    pub rules: Rules,
}

/// The name of the column that counts the rows that refer to a row by a foreign key.
fn count_name(schema: &DatabaseSchema, child: usize, column: &str) -> String {
    format!("#{}.{column}", schema.tables[child].name)
}

/// Names of the columns of counts of a table.
fn count_names(schema: &DatabaseSchema, family: &Family, table: usize) -> Vec<String> {
    family.counted(table).into_iter().map(|(child, at)| count_name(schema, child, &family.members[child].parents[at].column)).collect()
}

/// The schema of what is learned of a table, and made of it: its own columns but for foreign keys, and the counts.
pub fn learned_schema(schema: &DatabaseSchema, family: &Family, table: usize) -> Schema {
    let own = &schema.tables[table].schema;
    let is_foreign = |name: &str| family.members[table].parents.iter().any(|parent| parent.column == name);
    let count = |name: String| ColumnSchema { min: Some(crate::table::Bound::Integer(0)), ..ColumnSchema::new(name, Kind::Integer) };
    let columns = own.kept().filter(|column| !is_foreign(&column.name)).cloned();
    let counts = count_names(schema, family, table).into_iter().map(count);
    let constraints = own.constraints.clone();
    Schema { columns: columns.chain(counts).collect(), constraints }
}

/// A table with the columns of [`learned_schema`].
pub fn learned_table(schema: &DatabaseSchema, family: &Family, links: &[Link], (table, rows): (usize, &Table)) -> Table {
    let is_foreign = |name: &str| family.members[table].parents.iter().any(|parent| parent.column == name);
    let own = rows.columns.iter().filter(|column| !is_foreign(&column.name)).cloned();
    let counts = family.counted(table).into_iter().map(|(child, at)| {
        let key = schema.foreign_keys_of(child)[at];
        let name = count_name(schema, child, &family.members[child].parents[at].column);
        Column { name, values: Values::Numbers(links[key].counts(rows.n_rows()).into_iter().map(|n| n as f64).collect()) }
    });
    Table { columns: own.chain(counts).collect() }
}

impl Codec {
    /// Of the training rows of a table, as [`learned_table`] has them.
    ///
    /// # Errors
    /// As [`Encoder::fit`]; [`Error::Data`] if too few rows are left of a table.
    pub fn fit(table: &Table, schema: &Schema, name: &str) -> Result<Self> {
        if schema.columns.is_empty() {
            return Ok(Self { encoder: None, rules: Rules::default() });
        }
        if table.n_rows() < FEWEST {
            let problem =
                format!("{} of its rows are left to learn from, because what belongs to held-out rows is held out", table.n_rows());
            return Err(Error::data(name, problem, "add rows, learn from all with --no-holdout, or leave the table out by a schema"));
        }
        let within = |error: Error| match error {
            Error::Config { key, problem, remedy } => Error::Config { key: format!("tables.{name}.{key}"), problem, remedy },
            other => other,
        };
        let encoder = Encoder::fit(table, schema, 0).map_err(within)?;
        let rules = Rules::fit(schema, table, encoder.least_rows()).map_err(within)?;
        Ok(Self { encoder: Some(encoder), rules })
    }

    /// How a row lies in a vector.
    pub fn layout(&self) -> Layout {
        self.encoder.as_ref().map_or_else(|| Layout { categories: Vec::new(), numbers: Vec::new() }, |encoder| layout_of(encoder).0)
    }

    /// Rows of a table as [`learned_table`] has them.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn rows(&self, table: &Table, n: usize) -> Result<Rows> {
        match &self.encoder {
            Some(encoder) => Ok(Rows::of(&encoder.encode(table, 0)?)),
            None => Ok(Rows { n, ..Rows::default() }),
        }
    }

    /// The table of some rows; which rare word a cell holds depends on its row's identity and the attempt alone.
    ///
    /// # Errors
    /// As [`Encoder::decode`].
    pub fn table(&self, rows: &Rows, ids: &[SampleId], attempt: usize) -> Result<Table> {
        let Some(encoder) = &self.encoder else { return Ok(Table::default()) };
        if ids.is_empty() {
            return encoder.decode(&Encoded { n_rows: 0, ..rows.encoded(encoder, Vec::new()) }, 0);
        }
        let mut parts = Vec::new();
        let mut first = 0;
        for run in ids.chunk_by(|a, b| a.seed == b.seed) {
            let own: Vec<usize> = (first..first + run.len()).collect();
            first += run.len();
            let encoded = rows.take(&own).encoded(encoder, run.iter().map(|id| id.index).collect());
            let seed = if attempt == 0 { run[0].seed } else { random::mix(run[0].seed ^ random::mix(attempt as u64)) };
            parts.push(encoder.decode(&encoded, seed)?);
        }
        Ok(Table::joined(parts))
    }

    /// Takes the counts out of a table that was made: for each foreign key that [`Family::counted`] gives, how many rows refer to each row.
    pub fn counts(table: &mut Table, n_counted: usize) -> Vec<Vec<usize>> {
        let counts = table.columns.split_off(table.columns.len().saturating_sub(n_counted));
        let of = |column: Column| match column.values {
            Values::Numbers(numbers) => numbers.into_iter().map(|n| n.clamp(0.0, MOST_CHILDREN).round() as usize).collect(),
            Values::Categories { codes, .. } => vec![0; codes.len()],
        };
        counts.into_iter().map(of).collect()
    }

    /// Whether it makes the columns of [`learned_schema`], the counts last: for one that comes from a file.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn check(&self, schema: &Schema, n_counted: usize, name: &str) -> Result<(), String> {
        let own: Vec<&ColumnSchema> = self.encoder.iter().flat_map(|encoder| encoder.columns()).collect();
        let fits = own.len() == schema.columns.len()
            && own.iter().all(|column| schema.column(&column.name).is_some_and(|other| other.kind == column.kind))
            && own.iter().rev().zip(schema.columns.iter().rev()).take(n_counted).all(|(own, count)| own.name == count.name);
        if !fits {
            return Err(format!("the columns of {name} are not those that the model makes"));
        }
        self.rules.check(&own.iter().map(|column| column.name.as_str()).collect::<Vec<_>>())
    }
}

/// What is known of rows before they are drawn: those that they refer to.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// How it lies, before a row's own columns.
    pub layout: Layout,
    /// The parts that it is put together from.
    parts: Vec<Part>,
}

/// What a foreign key says of a row.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    /// Its place among the table's foreign keys.
    at: usize,
    /// The table that it refers to.
    table: usize,
    /// Whether that table's own context is known, too.
    is_whole: bool,
    /// Whether there are rows that refer to none.
    may_be_none: bool,
    layout: Layout,
}

impl Context {
    /// Of every table: what rows that belong to others know of them, and those of what they belong to in turn.
    pub fn of_all(schema: &DatabaseSchema, family: &Family, own: &[Layout]) -> Vec<Self> {
        let empty = || Layout { categories: Vec::new(), numbers: Vec::new() };
        let mut all: Vec<Self> = own.iter().map(|_| Self { layout: empty(), parts: Vec::new() }).collect();
        for table in schema.order().unwrap_or_default() {
            let mut parts = Vec::new();
            let mut layout = empty();
            for (at, parent) in family.members[table].parents.iter().enumerate().filter(|(_, parent)| parent.role.is_learned()) {
                let is_whole = parent.role == Role::Owner;
                let of_parent = if is_whole { all[parent.table].layout.beside(&own[parent.table]) } else { own[parent.table].clone() };
                let may_be_none = parent.missing > 0.0;
                if may_be_none {
                    layout = layout.beside(&Layout { categories: vec![(0, 2)], numbers: Vec::new() });
                }
                layout = layout.beside(&of_parent);
                parts.push(Part { at, table: parent.table, is_whole, may_be_none, layout: of_parent });
            }
            all[table] = Self { layout, parts };
        }
        all
    }

    /// What is known of `n` rows: `whole` are the rows of every table beside their own context, `own` without it, and `parents` says for each foreign key which row each row refers to.
    pub fn rows(&self, n: usize, (whole, own): (&[Arc<Rows>], &[Arc<Rows>]), parents: &[Vec<Option<u32>>]) -> Rows {
        let mut known = Rows { n, ..Rows::default() };
        let rows_of = |part: &Part| if part.is_whole { &whole[part.table] } else { &own[part.table] };
        (0..n).for_each(|row| {
            for part in &self.parts {
                let parent = parents[part.at][row];
                if part.may_be_none {
                    known.codes.push(u32::from(parent.is_some()));
                }
                match parent {
                    Some(parent) => {
                        known.codes.extend_from_slice(rows_of(part).codes_of(parent as usize));
                        known.numbers.extend_from_slice(rows_of(part).numbers_of(parent as usize));
                    }
                    None => {
                        known.codes.extend(std::iter::repeat_n(0, part.layout.categories.len()));
                        known.numbers.extend(std::iter::repeat_n(0.0, part.layout.numbers.len()));
                    }
                }
            }
        });
        known
    }
}
