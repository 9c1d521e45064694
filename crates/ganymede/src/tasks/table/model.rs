//! A generator of rows, opened from a model folder.

use std::collections::HashMap;
use std::panic;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::artifact::Artifact;
use crate::error::{Error, Result};
use crate::nn::Init;
use crate::privacy::Guarantee;
use crate::random;
use crate::rowgame::{Calibration, Drawer, Maker, Network, RowGenerator, Tally};
use crate::run::{ModelDescription, ModelFolder};
use crate::table::{
    BlockKind, Column, Encoder, Kind, Layout, MISSING, Rows, Rules, Schema, Table, TableWriter, Values, WriteOptions, layout_of, read,
};
use crate::train::stored::Stored;
use crate::train::{CompleteRequest, Model, SampleId, SampleRequest, Wish};

/// Rows that are drawn at once, while those before them are written.
const AT_ONCE: usize = 8192;
/// The same of rows that must satisfy conditions, or are swept.
const AT_ONCE_WHERE: usize = 4096;
/// How often missing cells of a row are drawn, as long as it breaks a constraint.
const ATTEMPTS: usize = 100;
/// How often missing cells of a row are drawn once more, given the others, where nothing else is said.
const SWEEPS: usize = 2;

/// The part of `model.json` that is the task's own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    pub network: Network,
    pub encoder: serde_json::Value,
    pub calibration: Calibration,
    /// Whether it learned to draw any one column given all the others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub completes: bool,
    /// What every row satisfies.
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    pub rules: Rules,
    /// What is promised about single rows, if anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Guarantee>,
}

/// A generator opened from a model folder.
pub(super) struct TableModel {
    description: ModelDescription,
    pub encoder: Encoder,
    pub rules: Rules,
    layout: Arc<Layout>,
    calibration: Calibration,
    completes: bool,
    /// If something was said.
    sweeps: Option<usize>,
    net: RowGenerator,
    device: Device,
    options: WriteOptions,
    privacy: Option<Guarantee>,
}

impl TableModel {
    pub(super) fn open(folder: &ModelFolder, device: &Device) -> Result<Self> {
        let stored = Stored::read(folder)?;
        let Described { network, encoder, calibration, completes, rules, privacy } = stored.described()?;
        network.validate().map_err(|e| stored.damaged(format!("model.json: {e}")))?;
        let encoder = Encoder::from_json(&encoder.to_string()).map_err(|e| stored.damaged(format!("model.json: {e}")))?;
        let known: Vec<&str> = encoder.columns().map(|column| column.name.as_str()).collect();
        rules.check(&known).map_err(|problem| stored.damaged(format!("model.json: {problem}")))?;
        let (layout, _) = layout_of(&encoder);
        if layout.width() == 0 || !calibration.fits(&layout) {
            return Err(stored.damaged("model.json: the columns and their adjustment do not fit together"));
        }
        stored.check_size(network.n_products(&layout).1 as u64)?;
        let layout = Arc::new(layout);
        let mut rng = random::stream(0, "init", 0);
        let fresh = RowGenerator::new(&network, &layout, &mut Init { rng: &mut rng, device });
        let net = stored.into_generator(&fresh)?;
        let options = WriteOptions::default();
        Ok(Self {
            description: folder.description().clone(),
            encoder,
            rules,
            layout,
            calibration,
            completes,
            sweeps: None,
            net,
            device: device.clone(),
            options,
            privacy,
        })
    }

    /// The rows of some identities.
    pub(super) fn table(&self, ids: &[SampleId]) -> Result<Table> {
        let request = SampleRequest { ids: ids.to_vec(), wish: Wish::Any, truncation: 1.0, sheet: true };
        Ok(self.maker().table(&request, 0..ids.len())?.0)
    }

    fn maker(&self) -> Maker<'_> {
        Maker { drawer: self.drawer(self.sweeps.unwrap_or(0)), encoder: &self.encoder, rules: &self.rules }
    }

    fn drawer(&self, sweeps: usize) -> Drawer<'_> {
        let Self { net, layout, calibration, device, .. } = self;
        Drawer { net, layout, calibration, device, attempt: 0, sweeps }
    }
}

impl Model for TableModel {
    fn description(&self) -> &ModelDescription {
        &self.description
    }

    fn sample(&self, request: &SampleRequest) -> Result<Vec<Artifact>> {
        self.maker().files(request)
    }

    fn write(&self, request: &SampleRequest, path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<bool> {
        let mut writer = TableWriter::create(path, &self.encoder.schema(), &self.options)?;
        let (n, mut tally) = (request.ids.len(), Tally::default());
        // Where rows must satisfy something, each may take many draws: progress is to be seen.
        let at_once = if request.wish == Wish::Any && self.sweeps.is_none() { AT_ONCE } else { AT_ONCE_WHERE };
        let (send, receive) = mpsc::sync_channel::<Table>(1);
        thread::scope(|scope| {
            let written = scope.spawn(move || {
                receive.into_iter().try_for_each(|table| writer.push(&table))?;
                Ok(writer)
            });
            for first in (0..n).step_by(at_once) {
                let end = (first + at_once).min(n);
                let (table, own) = self.maker().table(request, first..end)?;
                // Nobody receives any more once writing failed, which the writer tells.
                if send.send(table).is_err() {
                    break;
                }
                tally = tally.and(own);
                progress(end as u64, n as u64);
            }
            drop(send);
            written.join().unwrap_or_else(|panic| panic::resume_unwind(panic))?.finish()
        })?;
        tally.say();
        Ok(true)
    }

    fn complete(&self, request: &CompleteRequest<'_>) -> Result<(usize, usize)> {
        let found = read(request.from, None)?.schema;
        let schema = as_model(&self.encoder.schema(), &found);
        let table = read(request.from, Some(&schema))?.table;
        for column in self.encoder.columns().filter(|column| column.kind != Kind::Identifier && column.kind != Kind::Constant) {
            if table.column(&column.name).is_none() {
                let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
                let problem = format!("has no column \"{}\", which the model makes; it has {}", column.name, names.join(", "));
                return Err(Error::data(request.from, problem, "give every column of the model, with empty cells where nothing is known"));
            }
        }
        let known = Rows::of(&self.encoder.encode(&table, request.seed)?);
        let (_, modelled) = layout_of(&self.encoder);
        let names: Vec<String> = self.encoder.columns().map(|column| column.name.clone()).collect();
        // What is given, column by column: cells that are there and mean something to the model.
        let mut n_unknown = 0;
        let mut given = Vec::with_capacity(modelled.len());
        for column in &modelled {
            let Some(values) = table.column(&names[*column]).map(|c| &c.values) else { continue };
            let is_unknown = self.encoder.is_unknown(*column, values);
            let is_given = |row: usize| !values.is_missing(row) && !is_unknown[row];
            n_unknown += (0..known.n).filter(|row| !values.is_missing(*row) && is_unknown[*row]).count();
            given.push((0..known.n).map(is_given).collect::<Vec<bool>>());
        }
        if n_unknown > 0 {
            tracing::warn!(
                "{n_unknown} cells hold words that the model never saw: they stay, and the rest of their rows is drawn without them"
            );
        }
        let is_given: Vec<Vec<bool>> = (0..known.n).map(|row| given.iter().map(|column| column[row]).collect()).collect();
        let missing: Vec<Option<u32>> =
            self.encoder.blocks().iter().filter(|block| block.kind != BlockKind::Scalar).map(|block| block.missing).collect();
        let n = known.n;
        let partial = Partial { table: &table, known: &known, is_given: &is_given, missing: &missing };
        let made: Vec<Table> = (0..request.draws.max(1)).map(|draw| self.filled_in(&partial, request.seed, draw)).collect::<Result<_>>()?;
        let mut full = table.clone();
        for column in &mut full.columns {
            let draws: Vec<&Values> = made.iter().filter_map(|made| Some(&made.column(&column.name)?.values)).collect();
            if let Some(made) = typical(&draws) {
                column.values = filled(&column.values, &made);
            }
        }
        if !self.rules.is_empty() {
            full = self.kept(full, made)?;
            let n_broken = self.rules.satisfied(&full)?.iter().filter(|good| !**good).count();
            if n_broken > 0 {
                tracing::warn!(
                    "{n_broken} rows break a constraint whatever is drawn for their missing cells: look at what is given in them"
                );
            }
        }
        let filled_cells =
            |(own, full): (&Column, &Column)| (0..n).filter(|row| own.values.is_missing(*row) && !full.values.is_missing(*row)).count();
        let n_filled = table.columns.iter().zip(&full.columns).map(filled_cells).sum();
        crate::table::write(request.to, &full, &schema, &self.options)?;
        Ok((n_filled, n))
    }

    fn sweep(&mut self, sweeps: usize) -> Result<()> {
        if sweeps > 0 && !self.completes {
            let problem = "this model did not learn to draw a column given all the others";
            return Err(Error::config("--sweeps", problem, "leave it out, or train with --set game.completion=0.03"));
        }
        self.sweeps = Some(sweeps);
        Ok(())
    }

    fn escape_formulas(&mut self, escaped: bool) {
        self.options.escape_formulas = escaped;
    }

    fn latent_dim(&self) -> usize {
        self.net.noise()
    }

    fn offers(&self) -> Vec<(String, String)> {
        let guarantee = self.privacy.iter().flat_map(Guarantee::lines);
        guarantee.chain(self.encoder.columns().map(|column| (format!("--where {}", column.name), column.kind.name().to_owned()))).collect()
    }
}

/// Rows with missing cells.
struct Partial<'a> {
    table: &'a Table,
    /// The same, encoded.
    known: &'a Rows,
    /// Row by row, for each column that is modelled.
    is_given: &'a [Vec<bool>],
    /// By block of categories, the code of missing cells.
    missing: &'a [Option<u32>],
}

impl TableModel {
    /// The table with its missing cells drawn; rows that then break a constraint are drawn again, as long as that may help.
    fn filled_in(&self, partial: &Partial<'_>, seed: u64, draw: u64) -> Result<Table> {
        let n = partial.table.n_rows();
        let mut full = self.filled_once(partial, &(0..n).collect::<Vec<_>>(), (seed, draw, 0))?;
        let is_missing = |row: &usize| partial.table.columns.iter().any(|column| column.values.is_missing(*row));
        for attempt in 1..ATTEMPTS {
            let is_good = self.rules.satisfied(&full)?;
            let open: Vec<usize> = (0..n).filter(|row| !is_good[*row]).filter(is_missing).collect();
            if open.is_empty() {
                break;
            }
            let again = self.filled_once(partial, &open, (seed, draw, attempt))?;
            let mut at: Vec<usize> = (0..n).collect();
            open.iter().enumerate().for_each(|(i, row)| at[*row] = n + i);
            full = Table::joined(vec![full, again]).take(&at);
        }
        Ok(full)
    }

    /// Rows with their missing cells drawn once. What the constraints compute goes into missing cells alone.
    fn filled_once(&self, partial: &Partial<'_>, rows: &[usize], (seed, draw, attempt): (u64, u64, usize)) -> Result<Table> {
        let (known, own) = (partial.known.take(rows), partial.table.take(rows));
        let n = partial.known.n as u64;
        let ids: Vec<SampleId> = rows.iter().map(|row| SampleId { seed, index: draw * n + *row as u64 }).collect();
        let is_given: Vec<Vec<bool>> = rows.iter().map(|row| partial.is_given[*row].clone()).collect();
        let sweeps = self.sweeps.unwrap_or(if self.completes { SWEEPS } else { 0 });
        let full = Drawer { attempt, ..self.drawer(sweeps) }.complete(&ids, (&known, &is_given), partial.missing);
        let seed = seed.wrapping_add(draw);
        let seed = if attempt == 0 { seed } else { random::mix(seed ^ random::mix(attempt as u64)) };
        let made = self.encoder.decode(&full.encoded(&self.encoder, Vec::new()), seed)?;
        let with = |made: &Table| {
            let mut full = own.clone();
            for column in &mut full.columns {
                if let Some(made) = made.column(&column.name) {
                    column.values = filled(&column.values, &made.values);
                }
            }
            full
        };
        let mut imposed = with(&made);
        self.rules.impose(&mut imposed)?;
        Ok(with(&imposed))
    }

    /// What is typical of each cell need not go together: rows that break a constraint become those of the first draw that does not.
    fn kept(&self, full: Table, draws: Vec<Table>) -> Result<Table> {
        let n = full.n_rows();
        let own = self.rules.satisfied(&full)?;
        let is_good = draws.iter().map(|draw| self.rules.satisfied(draw)).collect::<Result<Vec<_>>>()?;
        let first = |row: usize| is_good.iter().position(|draw| draw[row]).map_or(row, |draw| (draw + 1) * n + row);
        let at: Vec<usize> = (0..n).map(|row| if own[row] { row } else { first(row) }).collect();
        let mut all = vec![full];
        all.extend(draws);
        Ok(Table::joined(all).take(&at))
    }
}

/// Of several draws of a column, cell by cell: the median number (of an even number of draws the lower one in the middle, so that it is a value that was drawn) or the most frequent word, of equally frequent ones the
/// first drawn.
fn typical(draws: &[&Values]) -> Option<Values> {
    let (first, rest) = draws.split_first()?;
    if rest.is_empty() {
        return Some((*first).clone());
    }
    let n = first.len();
    if let Values::Numbers(_) = first {
        let columns: Vec<&Vec<f64>> =
            draws.iter().filter_map(|draw| if let Values::Numbers(own) = draw { Some(own) } else { None }).collect();
        let median = |row: usize| {
            let mut own: Vec<f64> = columns.iter().map(|column| column[row]).filter(|v| !v.is_nan()).collect();
            own.sort_unstable_by(f64::total_cmp);
            own.get(own.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
        };
        return Some(Values::Numbers((0..n).map(median).collect()));
    }
    let mut place: HashMap<&str, u32> = HashMap::new();
    let mut words = Vec::new();
    let mut codes = Vec::with_capacity(n);
    for row in 0..n {
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for word in draws.iter().filter_map(|draw| draw.word(row)) {
            match counts.iter_mut().find(|(own, _)| *own == word) {
                Some((_, count)) => *count += 1,
                None => counts.push((word, 1)),
            }
        }
        let most = counts.iter().rev().max_by_key(|(_, count)| *count);
        codes.push(most.map_or(MISSING, |(word, _)| {
            *place.entry(word).or_insert_with(|| {
                words.push((*word).to_owned());
                words.len() as u32 - 1
            })
        }));
    }
    Some(Values::Categories { codes, words })
}

/// Values with the missing ones taken from others.
fn filled(own: &Values, made: &Values) -> Values {
    match (own, made) {
        (Values::Numbers(own), Values::Numbers(made)) => {
            Values::Numbers(own.iter().zip(made).map(|(own, made)| if own.is_nan() { *made } else { *own }).collect())
        }
        (Values::Categories { codes, words }, _) => {
            let mut words = words.clone();
            let mut place: HashMap<String, u32> = words.iter().cloned().zip(0..).collect();
            let code = |(row, code): (usize, &u32)| match made.word(row) {
                Some(word) if *code == MISSING => *place.entry(word.to_owned()).or_insert_with(|| {
                    words.push(word.to_owned());
                    words.len() as u32 - 1
                }),
                _ => *code,
            };
            let codes = codes.iter().enumerate().map(code).collect();
            Values::Categories { codes, words }
        }
        _ => own.clone(),
    }
}

/// A file's schema with the columns that a model knows as the model has them, and the others left as they were found.
fn as_model(model: &Schema, found: &Schema) -> Schema {
    let known = |column: &crate::table::ColumnSchema| model.column(&column.name).unwrap_or(column).clone();
    Schema { columns: found.columns.iter().map(known).collect(), constraints: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_of_several_draws_is_the_median_or_the_most_frequent_word() {
        let numbers = |values: &[f64]| Values::Numbers(values.to_vec());
        let draws = [numbers(&[1.0, f64::NAN, 7.0]), numbers(&[9.0, f64::NAN, f64::NAN]), numbers(&[2.0, f64::NAN, 3.0])];
        let all: Vec<&Values> = draws.iter().collect();
        assert_eq!(typical(&all), Some(numbers(&[2.0, f64::NAN, 3.0])));
        assert_eq!(typical(&all[..1]).as_ref(), Some(&draws[0]));
        let words = |cells: [&str; 3]| {
            let mut words: Vec<String> = Vec::new();
            let mut code = |cell: &str| {
                if cell.is_empty() {
                    return MISSING;
                }
                words.push(cell.to_owned());
                words.len() as u32 - 1
            };
            let codes = cells.map(&mut code).to_vec();
            Values::Categories { codes, words }
        };
        let draws = [words(["a", "x", ""]), words(["b", "y", ""]), words(["b", "", ""])];
        assert_eq!(typical(&draws.iter().collect::<Vec<_>>()), Some(words(["b", "x", ""])));
        assert_eq!(typical(&[]), None);
    }
}
