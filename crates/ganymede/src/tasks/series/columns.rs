//! What each column of a table is in a series, and the way from rows to series and back.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::collection::{Collection, starts};
use super::config::DataConfig;
use super::order::{self, Order, Spacing};
use super::pieces;
use crate::data::TableSource;
use crate::error::{Error, Result};
use crate::table::{Column, ColumnSchema, Kind, Schema, Table, Values, infer};

/// Columns that are named in a sentence.
const NAMED: usize = 8;

/// The columns of a table of series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// All of them, as they are read and written.
    pub schema: Schema,
    /// What a series has once, as it is learned: its entity, where the order begins, and attributes, which are the same in all rows of a series.
    pub once: Schema,
    /// The column whose rows with the same value belong together.
    pub entity: String,
    /// The one that sorts the rows of a series.
    pub order: Option<Order>,
}

/// A table as series.
pub struct Gathered {
    /// What its columns are.
    pub columns: Columns,
    /// The series.
    pub collection: Collection,
    /// The entity that each series is of: several, where long ones were cut.
    pub entity: Vec<usize>,
    /// For people, why columns are what they are.
    pub reasons: Vec<String>,
}

impl Gathered {
    /// The series of a table, as the settings describe them.
    ///
    /// # Errors
    /// [`Error::Config`] for columns that there are not; [`Error::Data`] for rows without entity, an order that is none, and series of which none has two rows or one is too long.
    pub fn of(source: &TableSource, config: &DataConfig) -> Result<Self> {
        let whole = pieces::cut(source, &config.entity, Some(config.order.as_str()).filter(|name| !name.is_empty()), config.longest)?;
        let source = whole.as_ref();
        let (table, schema) = (&source.table, &source.schema);
        let entity = column(table, "data.entity", &config.entity)?;
        let by = match config.order.as_str() {
            "" => None,
            name => Some((name, order::numbers(name, &column(table, "data.order", name)?.values)?)),
        };
        let (rows, entity_of) = groups(source, &entity.values, by.map(|(_, numbers)| numbers), config)?;
        let spacing = by.map(|(name, numbers)| {
            let own: Vec<Vec<f64>> = rows.iter().map(|rows| rows.iter().map(|row| numbers[*row]).collect()).collect();
            Order { column: name.to_owned(), spacing: Spacing::of(own.iter().map(Vec::as_slice)) }
        });
        let is_once = |column: &&ColumnSchema| {
            let is_named = column.name == config.entity || column.name == config.order;
            is_named || table.column(&column.name).is_some_and(|c| is_constant(&c.values, &rows))
        };
        let of = |columns| Schema { columns, constraints: Vec::new() };
        let once = of(schema.kept().filter(is_once).cloned().collect());
        let mut columns = Columns { schema: of(schema.columns.clone()), once, entity: config.entity.clone(), order: spacing };
        // Of one row for each entity more can be said than of all rows.
        let collection = columns.collected(table, &rows);
        columns.describe_once(&collection.attributes, !config.schema.is_empty());
        if collection.steps.columns.is_empty() {
            let problem = format!("no column changes within the rows of one {}", config.entity);
            return Err(Error::data(source.name.clone(), problem, "name another column by --entity, or learn it as an ordinary table"));
        }
        let mut reasons = columns.reasons(source, &rows);
        let n_entities = entity_of.last().map_or(0, |last| last + 1);
        if n_entities < rows.len() {
            reasons.insert(
                1,
                format!("series of {n_entities} values of {} were cut into pieces of at most {} steps", config.entity, config.longest),
            );
        }
        Ok(Self { columns, collection, entity: entity_of, reasons })
    }
}

impl Columns {
    /// The series of a table that has these columns: what is an attribute here is taken from the first row of each series.
    ///
    /// # Errors
    /// As [`Gathered::of`].
    pub fn gather(&self, source: &TableSource, longest: usize) -> Result<(Collection, Vec<usize>)> {
        let whole = pieces::cut(source, &self.entity, self.order.as_ref().map(|order| order.column.as_str()), longest)?;
        let source = whole.as_ref();
        let entity = column(&source.table, "data.entity", &self.entity)?;
        let by = match &self.order {
            Some(Order { column: name, .. }) => Some(order::numbers(name, &column(&source.table, "data.order", name)?.values)?),
            None => None,
        };
        let config = DataConfig { entity: self.entity.clone(), longest, ..DataConfig::default() };
        let (rows, entity_of) = groups(source, &entity.values, by, &config)?;
        Ok((self.collected(&source.table, &rows), entity_of))
    }

    /// Names of the columns that are the same in all rows of a series.
    pub fn attributes(&self) -> Vec<&str> {
        let names = self.once.columns.iter().map(|column| column.name.as_str());
        names.filter(|name| *name != self.entity && !self.is_order(name)).collect()
    }

    /// The schema of what it has at every step.
    pub fn schema_of_steps(&self) -> Schema {
        let of = |c: &ColumnSchema| match &self.order {
            Some(order) if order.column == c.name => (order.spacing == Spacing::Free).then(|| order::schema_of_differences(c)),
            _ => self.once.column(&c.name).is_none().then(|| c.clone()),
        };
        Schema { columns: self.schema.kept().filter_map(of).collect(), constraints: Vec::new() }
    }

    fn is_order(&self, name: &str) -> bool {
        self.order.as_ref().is_some_and(|order| order.column == name)
    }

    /// Rows as series.
    fn collected(&self, table: &Table, rows: &[Vec<usize>]) -> Collection {
        let firsts: Vec<usize> = rows.iter().map(|rows| rows[0]).collect();
        let all: Vec<usize> = rows.concat();
        let (mut attributes, mut steps) = (Table::default(), Table::default());
        for own in self.schema.kept().filter_map(|c| table.column(&c.name)) {
            let is_order = self.is_order(&own.name);
            if self.once.column(&own.name).is_some() {
                attributes.columns.push(Column { name: own.name.clone(), values: own.values.take(&firsts) });
            } else {
                steps.columns.push(Column { name: own.name.clone(), values: own.values.take(&all) });
            }
            if let (true, Some(Order { spacing: Spacing::Free, .. }), Values::Numbers(numbers)) = (is_order, &self.order, &own.values) {
                let apart = |rows: &Vec<usize>| order::differences(&rows.iter().map(|row| numbers[*row]).collect::<Vec<_>>());
                steps.columns.push(Column { name: own.name.clone(), values: Values::Numbers(rows.iter().flat_map(apart).collect()) });
            }
        }
        Collection { attributes, steps, first: starts(rows.iter().map(Vec::len)) }
    }

    /// Series as rows, one series after the other.
    pub fn rows(&self, series: &Collection) -> Table {
        let lengths = series.lengths();
        let of_each: Vec<usize> = lengths.iter().enumerate().flat_map(|(i, length)| std::iter::repeat_n(i, *length)).collect();
        let ordered = |order: &Order| {
            let apart = series.steps.column(&order.column).map(|c| &c.values);
            let firsts = series.attributes.column(&order.column).map(|c| &c.values);
            let one = |i: usize| {
                let begin = series.first[i];
                let first = firsts.and_then(|firsts| firsts.number(i)).unwrap_or(0.0);
                order::summed(first, lengths[i], order.spacing, |step| apart.and_then(|apart| apart.number(begin + step)))
            };
            Values::Numbers((0..series.n()).flat_map(one).collect())
        };
        let column = |own: &ColumnSchema| {
            let values = match (&self.order, series.steps.column(&own.name), series.attributes.column(&own.name)) {
                (Some(order), _, _) if order.column == own.name => ordered(order),
                (_, Some(step), _) => step.values.clone(),
                (_, None, Some(attribute)) => attribute.values.take(&of_each),
                (_, None, None) => return None,
            };
            Some(Column { name: own.name.clone(), values })
        };
        Table { columns: self.schema.kept().filter_map(column).collect() }
    }

    /// Kinds of what a series has once, found in one row for each: what tells people apart is no category.
    fn describe_once(&mut self, attributes: &Table, is_given: bool) {
        let (found, _) = infer(attributes);
        for column in &mut self.once.columns {
            let Some(own) = found.column(&column.name) else { continue };
            if column.name == self.entity {
                let pattern = column.pattern.take().or_else(|| own.pattern.clone());
                *column = ColumnSchema { kind: Kind::Identifier, pattern, ..column.clone() };
            } else if self.order.as_ref().is_some_and(|order| order.column == column.name) {
                // What counts rows is learned here, if only where it begins.
                if matches!(column.kind, Kind::Identifier | Kind::Constant) {
                    column.kind = Kind::Integer;
                }
            } else if !is_given && (own.kind == Kind::Identifier || column.kind == Kind::Identifier) {
                (column.kind, column.pattern) = (own.kind, own.pattern.clone());
            }
        }
    }

    fn reasons(&self, source: &TableSource, rows: &[Vec<usize>]) -> Vec<String> {
        let (shortest, longest) = rows.iter().map(Vec::len).fold((usize::MAX, 0), |(low, high), n| (low.min(n), high.max(n)));
        let steps = if shortest == longest { format!("{longest}") } else { format!("{shortest} to {longest}") };
        let by = match &self.order {
            Some(order) => format!("in the order of {}", order.column),
            None => "in the order of the file".to_owned(),
        };
        let mut reasons = vec![format!("{} series of {steps} steps: rows with the same {} belong together, {by}", rows.len(), self.entity)];
        match &self.order {
            Some(Order { column, spacing: Spacing::Even(_) }) => {
                reasons.push(format!("{column} counts evenly within every {}: it is made anew", self.entity))
            }
            Some(Order { column, spacing: Spacing::Free }) => {
                reasons.push(format!("{column}: what lies between rows is learned, and where a series begins"));
            }
            None => reasons.extend(self.rising(source, rows)),
        }
        let attributes = self.attributes();
        let named = attributes[..attributes.len().min(NAMED)].join(", ");
        match attributes.len() {
            0 => {}
            1 => reasons.push(format!("{named} is the same in all rows of a {}: an attribute", self.entity)),
            n if n > NAMED => {
                reasons.push(format!("{named} and {} more are the same in all rows of a {}: attributes", n - NAMED, self.entity))
            }
            _ => reasons.push(format!("{named} are the same in all rows of a {}: attributes", self.entity)),
        }
        let steps = self.schema_of_steps();
        let is_step = |name: &str| steps.column(name).is_some() && !self.is_order(name);
        let described = source.schema.columns.iter().zip(&source.found.reasons).filter(|(c, _)| is_step(&c.name));
        reasons.extend(described.map(|(_, reason)| format!("step by step {reason}")));
        reasons
    }

    /// A hint, where a column rises in every series and nobody said that it sorts them.
    fn rising(&self, source: &TableSource, rows: &[Vec<usize>]) -> Option<String> {
        let rises = |column: &&Column| {
            let Values::Numbers(numbers) = &column.values else { return false };
            column.name != self.entity && rows.iter().all(|rows| rows.windows(2).all(|w| numbers[w[0]] < numbers[w[1]]))
        };
        let name = &source.table.columns.iter().find(rises)?.name;
        Some(format!("{name} rises in every series: --order {name} would make it anew instead of learning it"))
    }
}

/// The column of that name.
pub fn column<'a>(table: &'a Table, key: &str, name: &str) -> Result<&'a Column> {
    table.column(name).ok_or_else(|| {
        let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        let near = crate::config::nearest(name, names.iter().copied()).map(|near| format!("did you mean {near}? ")).unwrap_or_default();
        Error::config(key, format!("there is no column \"{name}\""), format!("{near}columns: {}", names.join(", ")))
    })
}

/// Whether a column is the same in all rows of every series.
fn is_constant(values: &Values, rows: &[Vec<usize>]) -> bool {
    let same = |a: usize, b: usize| match values {
        Values::Numbers(numbers) => numbers[a] == numbers[b] || numbers[a].is_nan() && numbers[b].is_nan(),
        Values::Categories { codes, .. } => codes[a] == codes[b],
    };
    rows.iter().all(|rows| rows.windows(2).all(|w| same(w[0], w[1])))
}

/// What tells the cells of a column apart.
pub fn keys(values: &Values) -> Box<dyn Iterator<Item = u64> + '_> {
    match values {
        // Adding zero makes -0 equal to 0.
        Values::Numbers(numbers) => Box::new(numbers.iter().map(|v| (v + 0.0).to_bits())),
        Values::Categories { codes, .. } => Box::new(codes.iter().map(|code| u64::from(*code))),
    }
}

/// The rows of each series, and the entity that it is of. Entities stand in the order in which they are met.
fn groups(source: &TableSource, entity: &Values, by: Option<&[f64]>, config: &DataConfig) -> Result<(Vec<Vec<usize>>, Vec<usize>)> {
    let n_missing = (0..entity.len()).filter(|row| entity.is_missing(*row)).count();
    if n_missing > 0 {
        let problem = format!("{n_missing} rows have no {}", config.entity);
        return Err(Error::data(source.name.clone(), problem, "fill it in, or remove these rows"));
    }
    let mut place: HashMap<u64, usize> = HashMap::new();
    let mut rows: Vec<Vec<usize>> = Vec::new();
    for (row, key) in keys(entity).enumerate() {
        let next = rows.len();
        let at = *place.entry(key).or_insert(next);
        if at == next {
            rows.push(Vec::new());
        }
        rows[at].push(row);
    }
    if let Some(by) = by {
        rows.iter_mut().for_each(|rows| rows.sort_by(|a, b| by[*a].total_cmp(&by[*b])));
    }
    let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
    if longest < 2 {
        let problem = format!("no {} has more than one row", config.entity);
        return Err(Error::data(source.name.clone(), problem, "name a column whose values repeat by --entity"));
    }
    if config.longest == 0 && longest > DataConfig::LONGEST {
        let problem = format!("a {} has {longest} rows, more than {} steps", config.entity, DataConfig::LONGEST);
        return Err(Error::data(source.name.clone(), problem, "cut long series into pieces: --set data.longest=200"));
    }
    let most = if config.longest == 0 { longest } else { config.longest };
    // A last piece of a single row says nothing of steps.
    let pieces = |(entity, rows): (usize, Vec<usize>)| {
        let is_cut = rows.len() > most;
        let pieces: Vec<Vec<usize>> = rows.chunks(most).filter(|piece| !is_cut || piece.len() > 1).map(<[usize]>::to_vec).collect();
        pieces.into_iter().map(move |piece| (piece, entity))
    };
    Ok(rows.into_iter().enumerate().flat_map(pieces).unzip())
}

#[cfg(test)]
mod tests;
