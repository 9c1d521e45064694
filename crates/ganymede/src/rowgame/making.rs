//! From identities to the rows of a table.

use super::drawing::{Drawer, Wanted};
use crate::artifact::Artifact;
use crate::error::{Error, Result};
use crate::random;
use crate::table::{Admissible, BlockKind, Condition, Encoder, Rules, Table, layout_of, to_csv};
use crate::train::{SampleId, SampleRequest, Wish};

/// A row that breaks a constraint is drawn again so many times.
const ATTEMPTS: usize = 1000;
/// Rows that show how common it is that conditions are satisfied.
const PILOT: usize = 4096;
/// From this share on rows are drawn without the conditions until they satisfy them. The model knows columns together better than one given the other: on the census data the other columns are then off by 0.01 to 0.08 in total
/// variation, and by 0.04 to 0.18 otherwise.
const COMMON: f64 = 0.005;
/// Draws for a row, in units of how many it takes on average: all fail for one row in 400.
const PATIENCE: f64 = 6.0;
/// Rows that are drawn together at least, the same one several times where few are left.
const TOGETHER: usize = 1024;

/// What makes rows.
pub struct Maker<'a> {
    pub drawer: Drawer<'a>,
    pub encoder: &'a Encoder,
    /// What every row satisfies.
    pub rules: &'a Rules,
}

/// How many rows were drawn, and how many of them were kept, because they satisfy the constraints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub drawn: usize,
    pub kept: usize,
}

impl Tally {
    /// Together with those of other rows.
    pub fn and(self, other: Self) -> Self {
        Self { drawn: self.drawn + other.drawn, kept: self.kept + other.kept }
    }

    /// Says what was thrown away.
    pub fn say(self) {
        if self.kept < self.drawn {
            let share = 100.0 * self.kept as f64 / self.drawn as f64;
            tracing::warn!("{share:.1} % of the rows that were drawn satisfied the constraints; the others were drawn again");
        }
    }
}

impl Maker<'_> {
    /// The requested rows in one CSV file, or one file each.
    pub fn files(&self, request: &SampleRequest) -> Result<Vec<Artifact>> {
        let (table, tally) = self.table(request, 0..request.ids.len())?;
        tally.say();
        let schema = self.encoder.schema();
        let csv =
            |table: &Table, stem: String| Ok(Artifact { media_type: "text/csv", extension: "csv", stem, bytes: to_csv(table, &schema)? });
        if request.sheet {
            return Ok(vec![csv(&table, "samples".to_owned())?]);
        }
        request.ids.iter().enumerate().map(|(i, id)| csv(&table.take(&[i]), id.to_string())).collect()
    }

    /// The rows at some places of a request.
    ///
    /// # Errors
    /// [`Error::Config`] for conditions that cannot be read or satisfied; [`Error::Data`] if the constraints leave no rows.
    pub fn table(&self, request: &SampleRequest, places: std::ops::Range<usize>) -> Result<(Table, Tally)> {
        let conditions = match &request.wish {
            Wish::Any => Vec::new(),
            Wish::Where(texts) => texts.iter().map(|text| Condition::parse(text, self.encoder)).collect::<Result<_>>()?,
            _ => return Err(Error::config("sample", "a table is asked for by conditions", "write --where 'age in 30..40'")),
        };
        let wanted = wanted(&conditions, self.encoder)?;
        let ids = &request.ids[places.clone()];
        let tries = if conditions.is_empty() { 0 } else { self.tries(&conditions)? };
        let make = |ids: &[SampleId], attempt| self.made(ids, (&conditions, &wanted), (request.truncation, attempt), tries);
        let (mut table, tally) = if self.rules.is_empty() {
            (make(ids, 0)?, Tally { drawn: ids.len(), kept: ids.len() })
        } else {
            let meets = |table: &Table| satisfied(&conditions, table);
            satisfying(self.rules, ids.len(), &meets, &|open, attempt| {
                make(&open.iter().map(|row| ids[*row]).collect::<Vec<_>>(), attempt)
            })?
        };
        // Rows of several seeds would each be the first of theirs, and rows that were drawn again are made with another seed.
        if let Some(first) = request.ids.first() {
            if request.ids.iter().any(|id| id.seed != first.seed) {
                self.encoder.identify(&mut table, &places.map(|place| place as u64).collect::<Vec<_>>(), first.seed);
            } else if !self.rules.is_empty() || tries > 0 {
                self.encoder.identify(&mut table, &ids.iter().map(|id| id.index).collect::<Vec<_>>(), first.seed);
            }
        }
        Ok((table, tally))
    }

    /// How often rows are drawn without conditions before they are drawn given them; not at all where hardly any would satisfy them.
    fn tries(&self, conditions: &[Condition]) -> Result<usize> {
        let ids: Vec<SampleId> = (0..PILOT as u64).map(|index| SampleId { seed: 0, index }).collect();
        let is_good = satisfied(conditions, &self.drawn(&ids, (&[], &[]), 1.0, 0)?);
        let share = is_good.iter().filter(|good| **good).count() as f64 / PILOT as f64;
        Ok(if share < COMMON { 0 } else { (PATIENCE / share).ceil() as usize })
    }

    /// One row for each identity that satisfies the conditions, whatever the constraints: the first of `tries` that does, or else one that is drawn given the conditions.
    fn made(&self, ids: &[SampleId], wish: (&[Condition], &[Wanted]), (truncation, attempt): (f64, usize), tries: usize) -> Result<Table> {
        if tries == 0 {
            return self.drawn(ids, wish, truncation, attempt);
        }
        let mut parts = Vec::new();
        let mut n_kept = 0;
        // Where each row lies among the parts one after the other.
        let mut at: Vec<Option<usize>> = vec![None; ids.len()];
        let mut open: Vec<usize> = (0..ids.len()).collect();
        let mut tried = 0;
        while tried < tries && !open.is_empty() {
            let times = (TOGETHER / open.len()).clamp(1, tries - tried);
            let again = |row: &usize, draw: usize| match (ids[*row], draw) {
                (id, 0) => id,
                (SampleId { seed, index }, draw) => SampleId { seed: random::mix(seed ^ random::mix(draw as u64)), index },
            };
            let candidates = (tried..tried + times).flat_map(|draw| open.iter().map(move |row| again(row, draw))).collect::<Vec<_>>();
            let table = self.drawn(&candidates, (&[], &[]), truncation, attempt)?;
            let is_good = satisfied(wish.0, &table);
            let mut kept = Vec::new();
            for (i, row) in open.iter().enumerate() {
                if let Some(place) = (0..times).map(|draw| draw * open.len() + i).find(|place| is_good[*place]) {
                    at[*row] = Some(n_kept + kept.len());
                    kept.push(place);
                }
            }
            n_kept += kept.len();
            parts.push(table.take(&kept));
            open.retain(|row| at[*row].is_none());
            tried += times;
        }
        if !open.is_empty() {
            let own: Vec<SampleId> = open.iter().map(|row| ids[*row]).collect();
            parts.push(self.drawn(&own, wish, truncation, attempt)?);
            open.iter().enumerate().for_each(|(i, row)| at[*row] = Some(n_kept + i));
        }
        Ok(Table::joined(parts).take(&at.into_iter().flatten().collect::<Vec<_>>()))
    }

    /// One row for each identity, drawn given the conditions.
    fn drawn(&self, ids: &[SampleId], (conditions, wanted): (&[Condition], &[Wanted]), truncation: f64, attempt: usize) -> Result<Table> {
        let rows = Drawer { attempt, ..self.drawer }.draw(ids, wanted, truncation);
        let mut parts = Vec::new();
        let mut first = 0;
        for run in ids.chunk_by(|a, b| a.seed == b.seed) {
            let own: Vec<usize> = (first..first + run.len()).collect();
            first += run.len();
            let encoded = rows.take(&own).encoded(self.encoder, run.iter().map(|id| id.index).collect());
            let seed = if attempt == 0 { run[0].seed } else { random::mix(run[0].seed ^ random::mix(attempt as u64)) };
            parts.push(self.encoder.decode_where(&encoded, conditions, seed)?);
        }
        Ok(Table::joined(parts))
    }
}

/// Rows that satisfy the constraints: what can be computed is computed, and what then breaks one is drawn again. `make` gives the rows at some places, differently in each attempt; `meets` says which rows of
/// a table are as they are wanted otherwise.
///
/// # Errors
/// [`Error::Data`] if the constraints leave no rows; what `make` gives.
pub fn satisfying(
    rules: &Rules,
    n: usize,
    meets: &dyn Fn(&Table) -> Vec<bool>,
    make: &dyn Fn(&[usize], usize) -> Result<Table>,
) -> Result<(Table, Tally)> {
    let mut parts = Vec::new();
    let mut n_kept = 0;
    // Where each row lies among the parts one after the other.
    let mut at = vec![0; n];
    let mut open: Vec<usize> = (0..n).collect();
    let mut drawn = 0;
    for attempt in 0..ATTEMPTS {
        let mut table = make(&open, attempt)?;
        drawn += open.len();
        rules.impose(&mut table)?;
        let mut is_good = rules.satisfied(&table)?;
        // A computed value may break what was asked for.
        is_good.iter_mut().zip(meets(&table)).for_each(|(good, meets)| *good &= meets);
        let good: Vec<usize> = (0..open.len()).filter(|i| is_good[*i]).collect();
        for i in &good {
            at[open[*i]] = n_kept;
            n_kept += 1;
        }
        parts.push(table.take(&good));
        open = (0..open.len()).filter(|i| !is_good[*i]).map(|i| open[i]).collect();
        if open.is_empty() {
            return Ok((Table::joined(parts).take(&at), Tally { drawn, kept: n }));
        }
    }
    let some: Vec<usize> = (0..n.min(1000)).collect();
    let shares = rules.shares(&make(&some, 0)?)?;
    let rarest = shares.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(rule, share)| format!("{rule} in {:.2} %", 100.0 * share));
    let problem = format!(
        "{} of {n} rows broke a constraint in each of {ATTEMPTS} attempts (before anything is computed, rows satisfy {})",
        open.len(),
        rarest.unwrap_or_default()
    );
    Err(Error::data("the rows", problem, "leave out conditions, or train longer, or without the constraint"))
}

/// For each row, whether it satisfies all conditions.
fn satisfied(conditions: &[Condition], table: &Table) -> Vec<bool> {
    let mut is_good = vec![true; table.n_rows()];
    for condition in conditions {
        is_good.iter_mut().zip(condition.satisfied_rows(table)).for_each(|(good, holds)| *good &= holds);
    }
    is_good
}

/// What conditions leave open of each column, the conditions of one column together.
fn wanted(conditions: &[Condition], encoder: &Encoder) -> Result<Vec<Wanted>> {
    let (layout, columns) = layout_of(encoder);
    let blocks = encoder.blocks();
    let category = |block: usize| blocks[..block].iter().filter(|b| b.kind != BlockKind::Scalar).count();
    let mut found: Vec<Wanted> = Vec::new();
    for condition in conditions {
        let Some(column) = columns.iter().position(|own| *own == condition.column()) else { continue };
        let at = found.iter().position(|wanted| wanted.column == column).unwrap_or_else(|| {
            found.push(Wanted { column, codes: None, intervals: Vec::new() });
            found.len() - 1
        });
        for admissible in condition.admissible(encoder) {
            match admissible {
                Admissible::Softmax { block, codes } => {
                    debug_assert_eq!(codes.len(), layout.categories[category(block)].1);
                    let own = found[at].codes.get_or_insert_with(|| vec![true; codes.len()]);
                    own.iter_mut().zip(codes).for_each(|(own, more)| *own &= more);
                }
                Admissible::Scalar { block, intervals } => {
                    let own = std::mem::take(&mut found[at].intervals);
                    found[at].intervals = if own.is_empty() { intervals } else { both(&own, &intervals) };
                    if found[at].intervals.is_empty() {
                        // No number will do, so that only codes without one are left.
                        let codes = found[at].codes.get_or_insert_default();
                        blocks[block].other.and_then(|other| codes.get_mut(other as usize)).into_iter().for_each(|code| *code = false);
                    }
                }
            }
        }
        // Each condition leaves some of the rare words, and all together perhaps none.
        if let (Some(barred), Some(codes)) = (encoder.barred_code(condition.column(), conditions), &mut found[at].codes)
            && let Some(code) = codes.get_mut(barred)
        {
            *code = false;
        }
        if found[at].codes.as_ref().is_some_and(|codes| codes.iter().all(|code| !code)) {
            return Err(Error::config("--where", "the conditions on one column exclude each other", "leave one of them out"));
        }
    }
    Ok(found)
}

/// What lies in an interval of both.
fn both(a: &[[f32; 2]], b: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| [a[0].max(b[0]), a[1].min(b[1])]));
    pairs.filter(|[low, high]| low <= high).collect()
}
