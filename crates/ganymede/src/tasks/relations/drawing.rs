//! Whole databases from generators: parents first, then as many children as each is drawn to have, knowing it.

use std::sync::Arc;

use burn::tensor::Device;
use rand_pcg::Pcg64;

use super::codec::{Codec, Context};
use super::family::{Family, Role};
use super::game::Shape;
use crate::artifact::Artifact;
use crate::error::{Error, Result};
use crate::random;
use crate::rowgame::{Calibration, Drawer, Known, RowGenerator, Tally, satisfying};
use crate::table::database::DatabaseSchema;
use crate::table::{Column, Rows, Schema, Table, Values, to_json_rows};
use crate::train::{SampleId, SampleRequest, Wish};

/// Rows of one table at most: more do not fit into memory.
const MOST_ROWS: usize = 1 << 27;

/// What draws the rows of one table.
pub struct Hand<'a> {
    pub codec: &'a Codec,
    pub shape: &'a Shape,
    /// Nothing where a table has nothing to learn.
    pub net: Option<&'a RowGenerator>,
    pub calibration: &'a Calibration,
}

/// What draws the rows of all tables.
pub struct Pen<'a> {
    pub schema: &'a DatabaseSchema,
    pub family: &'a Family,
    pub contexts: &'a [Context],
    pub hands: Vec<Hand<'a>>,
    pub device: &'a Device,
}

/// Rows of all tables, those of each in the order of the rows that they belong to.
pub struct Drawn {
    /// As they are written.
    pub tables: Vec<Table>,
    /// As they were drawn, beside what was known of them.
    pub whole: Vec<Arc<Rows>>,
    /// For each table and each of its foreign keys the row that each row refers to.
    pub parents: Vec<Vec<Vec<Option<u32>>>>,
}

/// What is drawn of one table before its own columns are.
struct Begun {
    ids: Vec<SampleId>,
    parents: Vec<Vec<Option<u32>>>,
}

/// What there is of the tables that were drawn already.
#[derive(Default)]
struct Done {
    tables: Vec<Table>,
    ids: Vec<Vec<SampleId>>,
    whole: Vec<Arc<Rows>>,
    own: Vec<Arc<Rows>>,
    parents: Vec<Vec<Vec<Option<u32>>>>,
    /// For each table, and each foreign key that counts for its rows, how many rows refer to each.
    counts: Vec<Vec<Vec<usize>>>,
}

impl Pen<'_> {
    /// The requested rows of the first table, with all that belongs to them, in one JSON document, or one each.
    ///
    /// # Errors
    /// [`Error::Config`] for a wish; otherwise as [`Pen::draw`].
    pub fn files(&self, request: &SampleRequest) -> Result<Vec<Artifact>> {
        refuse_wishes(request)?;
        let file = |ids: &[SampleId], stem: String| {
            let bytes = self.document(&self.draw(ids, request.truncation)?.tables)?;
            Ok(Artifact { media_type: "application/json", extension: "json", stem, bytes })
        };
        if request.sheet {
            return Ok(vec![file(&request.ids, "samples".to_owned())?]);
        }
        request.ids.iter().map(|id| file(&[*id], id.to_string())).collect()
    }

    /// All tables in one JSON object: for each name a list of rows.
    fn document(&self, tables: &[Table]) -> Result<Vec<u8>> {
        let mut out = b"{".to_vec();
        for (i, (table, own)) in tables.iter().zip(&self.schema.tables).enumerate() {
            out.extend_from_slice(if i > 0 { b",\n" } else { b"\n" });
            out.extend_from_slice(serde_json::Value::from(own.name.as_str()).to_string().as_bytes());
            out.extend_from_slice(b": ");
            out.extend(to_json_rows(table, &written_schema(self.schema, self.family, i))?);
        }
        out.extend_from_slice(b"\n}\n");
        Ok(out)
    }

    /// Rows of the first table of these identities, and all that belongs to them. What a row holds depends on its own identity and those of the rows that it refers to; keys count rows from the first on, and
    /// which rows of further tables are referred to depends on how many are drawn.
    ///
    /// # Errors
    /// [`Error::Data`] for more rows than fit into memory, or if constraints leave no rows.
    pub fn draw(&self, ids: &[SampleId], truncation: f64) -> Result<Drawn> {
        let n_tables = self.schema.tables.len();
        let mut done = Done {
            tables: vec![Table::default(); n_tables],
            ids: vec![Vec::new(); n_tables],
            whole: vec![Arc::default(); n_tables],
            own: vec![Arc::default(); n_tables],
            parents: vec![Vec::new(); n_tables],
            counts: vec![Vec::new(); n_tables],
        };
        let order =
            self.schema.order().map_err(|_| Error::data("the model", "its tables refer to each other in a circle", "use another one"))?;
        let mut tally = Tally::default();
        for table in order {
            let begun = self.begun(table, ids, &done)?;
            tally = tally.and(self.drawn(table, begun, truncation, &mut done)?);
        }
        tally.say();
        Ok(Drawn { tables: done.tables, whole: done.whole, parents: done.parents })
    }

    /// Which rows there are of a table, and what each refers to.
    fn begun(&self, table: usize, ids: &[SampleId], done: &Done) -> Result<Begun> {
        let member = &self.family.members[table];
        let owner = member.owner();
        let (own_ids, of_owner) = match owner {
            Some(owner) => self.children(table, owner, done)?,
            None if table == self.family.first => (ids.to_vec(), Vec::new()),
            None => {
                let n = (member.share * ids.len() as f64).round().max(if ids.is_empty() { 0.0 } else { 1.0 });
                self.refuse_too_many(table, n)?;
                let seed = ids.first().map_or(0, |id| id.seed);
                ((0..n as u64).map(|row| SampleId { seed, index: identity(table, seed, row) }).collect(), Vec::new())
            }
        };
        let mut parents: Vec<Vec<Option<u32>>> = Vec::new();
        let seed = ids.first().map_or(0, |id| id.seed);
        for (at, parent) in member.parents.iter().enumerate() {
            parents.push(match parent.role {
                Role::Owner => of_owner.clone(),
                Role::Shared => self.shared(table, at, (&own_ids, seed), done),
                Role::Inherited => self.inherited(table, &of_owner, parent.table, done),
                Role::Itself => own_ids
                    .iter()
                    .enumerate()
                    .map(|(row, id)| {
                        // To a row before it, so that nothing refers to itself in a circle.
                        let mut rng = of_row("itself", at, id);
                        let refers = f64::from(random::uniform(1, &mut rng)[0]) >= parent.missing;
                        (refers && row > 0).then(|| random::below(row as u64, &mut rng) as u32)
                    })
                    .collect(),
            });
        }
        Ok(Begun { ids: own_ids, parents })
    }

    /// The rows that belong to those of another table: each parent's in turn, and rows that belong to none, of which there are as many for each parent row as in the data.
    fn children(&self, table: usize, owner: usize, done: &Done) -> Result<(Vec<SampleId>, Vec<Option<u32>>)> {
        let parent = &self.family.members[table].parents[owner];
        let place = self.family.counted(parent.table).iter().position(|own| *own == (table, owner)).unwrap_or_default();
        let counts = &done.counts[parent.table][place];
        self.refuse_too_many(table, counts.iter().map(|n| *n as f64).sum())?;
        // So many have a parent for each row of it, and so many more have none.
        let each = self.family.members[table].share / self.family.members[parent.table].share.max(f64::MIN_POSITIVE) * parent.missing;
        let (mut ids, mut rows) = (Vec::new(), Vec::new());
        for (row, (id, n)) in done.ids[parent.table].iter().zip(counts).enumerate() {
            let own = |j: u64| SampleId { seed: id.seed, index: identity(table, id.index, j) };
            ids.extend((0..*n as u64).map(own));
            rows.extend(std::iter::repeat_n(Some(row as u32), *n));
            let chance = f64::from(random::uniform(1, &mut of_row("alone", table, id))[0]);
            let n_alone = (each.min(1e6).floor() + f64::from(u8::from(chance < each.fract()))) as u64;
            ids.extend((0..n_alone).map(|j| own(u64::MAX - j)));
            rows.extend(std::iter::repeat_n(None, n_alone as usize));
        }
        self.refuse_too_many(table, ids.len() as f64)?;
        Ok((ids, rows))
    }

    /// Which rows of a further table rows refer to: each as often as it was drawn to be, in a random order.
    fn shared(&self, table: usize, at: usize, (ids, seed): (&[SampleId], u64), done: &Done) -> Vec<Option<u32>> {
        let parent = &self.family.members[table].parents[at];
        let n_rows = done.ids[parent.table].len();
        if n_rows == 0 {
            return vec![None; ids.len()];
        }
        let place = self.family.counted(parent.table).iter().position(|own| *own == (table, at)).unwrap_or_default();
        let counts = done.counts[parent.table][place].iter().enumerate();
        // No more than there are rows to refer to them.
        let most = 2 * ids.len() + 1;
        let mut slots: Vec<u32> = counts.flat_map(|(row, n)| std::iter::repeat_n(row as u32, (*n).min(most))).collect();
        let mut rng = random::stream(seed, "slots", (table as u64) << 32 | at as u64);
        for i in (1..slots.len()).rev() {
            slots.swap(i, random::below(i as u64 + 1, &mut rng) as usize);
        }
        let mut next = 0;
        let refer = |id: &SampleId| {
            let mut own = of_row("shared", at, id);
            if f64::from(random::uniform(1, &mut own)[0]) < parent.missing {
                return None;
            }
            next += 1;
            Some(match slots.get(next - 1) {
                Some(row) => *row,
                // All have been given away: one of them again, or any where nothing was to be referred to.
                None if slots.is_empty() => random::below(n_rows as u64, &mut own) as u32,
                None => slots[random::below(slots.len() as u64, &mut own) as usize],
            })
        };
        ids.iter().map(refer).collect()
    }

    /// What the rows that others belong to belong to in turn, up to a table.
    fn inherited(&self, table: usize, of_owner: &[Option<u32>], ancestor: usize, done: &Done) -> Vec<Option<u32>> {
        let mut rows = of_owner.to_vec();
        let next = |table: usize| self.family.members[table].owner().map(|owner| (owner, self.family.members[table].parents[owner].table));
        let Some((_, mut at)) = next(table) else { return rows };
        while at != ancestor {
            let Some((owner, above)) = next(at) else { break };
            rows.iter_mut().for_each(|row| *row = row.and_then(|row| done.parents[at][owner][row as usize]));
            at = above;
        }
        rows
    }

    /// Draws the columns of rows of which it is known what they refer to.
    fn drawn(&self, table: usize, begun: Begun, truncation: f64, done: &mut Done) -> Result<Tally> {
        let Begun { ids, parents } = begun;
        let Hand { codec, shape, net, calibration } = &self.hands[table];
        let known = self.contexts[table].rows(ids.len(), (&done.whole, &done.own), &parents);
        let own_layout = codec.layout();
        let blank = Rows {
            codes: vec![0; ids.len() * own_layout.categories.len()],
            numbers: vec![0.0; ids.len() * own_layout.numbers.len()],
            n: ids.len(),
        };
        let begin = known.beside(&blank);
        let rows_of = |places: &[usize], attempt: usize| match net {
            Some(net) => {
                let drawer = Drawer { net, layout: &shape.layout, calibration, device: self.device, attempt, sweeps: 0 };
                let own: Vec<SampleId> = places.iter().map(|row| ids[*row]).collect();
                drawer.go_on(&own, Known { rows: &begin.take(places), n_columns: shape.n_known }, truncation)
            }
            None => begin.take(places),
        };
        let own_of = |whole: &Rows| part_of(whole, known_blocks(&self.contexts[table]));
        let make = |places: &[usize], attempt: usize| {
            let own: Vec<SampleId> = places.iter().map(|row| ids[*row]).collect();
            codec.table(&own_of(&rows_of(places, attempt)), &own, attempt)
        };
        let all: Vec<usize> = (0..ids.len()).collect();
        let (mut made, own, tally) = if codec.rules.is_empty() || ids.is_empty() {
            let own = own_of(&rows_of(&all, 0));
            (codec.table(&own, &ids, 0)?, own, Tally { drawn: ids.len(), kept: ids.len() })
        } else {
            let (made, tally) = satisfying(&codec.rules, ids.len(), &|table| vec![true; table.n_rows()], &make)?;
            // What was computed may differ from what was drawn.
            let own = codec.rows(&made, ids.len())?;
            (made, own, tally)
        };
        if let (Some(encoder), Some(first)) = (&codec.encoder, ids.first()) {
            encoder.identify(&mut made, &all.iter().map(|row| *row as u64).collect::<Vec<_>>(), first.seed);
        }
        done.counts[table] = Codec::counts(&mut made, self.family.counted(table).len());
        done.tables[table] = self.written(table, made, &parents, done);
        done.whole[table] = Arc::new(known.beside(&own));
        done.own[table] = Arc::new(own);
        (done.ids[table], done.parents[table]) = (ids, parents);
        Ok(tally)
    }

    /// Columns as they are written: its own, and the keys of what each row refers to.
    fn written(&self, table: usize, made: Table, parents: &[Vec<Option<u32>>], done: &Done) -> Table {
        let member = &self.family.members[table];
        let foreign = |name: &str| -> Option<Values> {
            let at = member.parents.iter().position(|parent| parent.column == name)?;
            let parent = &member.parents[at];
            let key = self.schema.tables[parent.table].key.as_ref()?;
            let of = if parent.role == Role::Itself { &made } else { &done.tables[parent.table] };
            // A position beyond the last row gives a missing cell.
            let rows: Vec<usize> = parents[at].iter().map(|row| row.map_or(usize::MAX, |row| row as usize)).collect();
            Some(of.column(key).map_or_else(|| Values::Numbers(vec![f64::NAN; rows.len()]), |column| column.values.take(&rows)))
        };
        let column = |name: &str| {
            let values = foreign(name).or_else(|| made.column(name).map(|column| column.values.clone()))?;
            Some(Column { name: name.to_owned(), values })
        };
        Table { columns: self.schema.tables[table].schema.kept().filter_map(|own| column(&own.name)).collect() }
    }

    fn refuse_too_many(&self, table: usize, n: f64) -> Result<()> {
        if n <= MOST_ROWS as f64 {
            return Ok(());
        }
        let problem = format!("would have {n:.0} rows, more than the {MOST_ROWS} that are drawn at once");
        Err(Error::data(self.schema.tables[table].name.clone(), problem, "ask for fewer rows: -n"))
    }
}

/// What can be asked of tables that refer to each other: rows of the first one, whatever they hold.
///
/// # Errors
/// [`Error::Config`].
pub fn refuse_wishes(request: &SampleRequest) -> Result<()> {
    match request.wish {
        Wish::Any => Ok(()),
        _ => Err(Error::config("sample", "rows of several tables are not drawn by condition", "leave conditions out")),
    }
}

/// The schema that rows of a table are written by: foreign keys as the keys that they hold.
pub fn written_schema(schema: &DatabaseSchema, family: &Family, table: usize) -> Schema {
    let mut own = schema.tables[table].schema.clone();
    own.constraints.clear();
    for parent in &family.members[table].parents {
        let of = &schema.tables[parent.table];
        let key = of.key.as_ref().and_then(|key| of.schema.column(key)).cloned();
        if let (Some(column), Some(key)) = (own.columns.iter_mut().find(|column| column.name == parent.column), key) {
            (column.kind, column.decimals, column.format, column.zone) = (key.kind, key.decimals, key.format, key.zone);
        }
    }
    own
}

/// Blocks of categories, and numbers, of what is known of a row.
fn known_blocks(context: &Context) -> [usize; 2] {
    [context.layout.categories.len(), context.layout.numbers.len()]
}

/// Rows without their first so many blocks of categories, and numbers.
pub fn part_of(rows: &Rows, [n_codes, n_numbers]: [usize; 2]) -> Rows {
    let mut part = Rows::default();
    (0..rows.n).for_each(|row| part.push(&rows.codes_of(row)[n_codes..], &rows.numbers_of(row)[n_numbers..]));
    part
}

/// A number that tells a row of a table from all others: that of row `j` of those that belong to another.
fn identity(table: usize, of: u64, j: u64) -> u64 {
    random::mix(random::mix(of ^ random::mix(table as u64 + 1)) ^ j)
}

/// Random numbers of one row for one purpose.
fn of_row(purpose: &str, place: usize, id: &SampleId) -> Pcg64 {
    random::stream(id.seed, purpose, random::mix(id.index ^ (place as u64 + 1)))
}
