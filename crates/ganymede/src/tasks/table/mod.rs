//! Tables of mixed columns: numbers, categories, dates.
//!
//! Each column becomes one block of categories, one number, or both (see [`crate::table::Encoder`]). The game is that of fully connected networks on packs of rows; in a share of the rows some columns
//! are given, so that one model draws rows, fills in what is missing, and obeys conditions.

mod chart;
mod config;
mod drawing;
mod evaluate;
mod layout;
mod nets;
mod rows;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use toml::{Table as Toml, Value};

pub use config::{DataConfig, Network, TableConfig};
use drawing::{Calibration, Drawer, Wanted};
pub use layout::Layout;
use nets::{PackDiscriminator, RowGenerator};
use rows::{Rows, layout_of};

use crate::artifact::Artifact;
use crate::config::{resolve, table_of};
use crate::data::{Source, TableSource};
use crate::error::{Error, Result};
use crate::judge::{Look, Panel, RowJudge, Signal, Split};
use crate::nn::{Init, save_params};
use crate::random::{self, DataOrder};
use crate::run::{DataDescription, ModelDescription, ModelFolder, NamedTensors, TrainedGenerator};
use crate::table::{Admissible, Condition, Encoder, MISSING, Table, TableWriter, Values, WriteOptions, read, to_csv};
use crate::train::estimate::estimate_secs;
use crate::train::stored::{DISCRIMINATOR, GENERATOR, Stored};
use crate::train::{
    Asked, Batch, CompleteRequest, Confidence, Model, Preset, Proposal, SampleId, SampleRequest, Setup, StepReport, Task, TaskEntry,
    Tuning, TwoPlayer, Wish,
};

/// Rows of each kind that the discriminator is asked about.
const HEARD: usize = 1024;
/// Rows that single columns are adjusted by.
const CALIBRATED: usize = 20_000;
/// The same for rows that are only looked at.
const CALIBRATED_FOR_A_LOOK: usize = 4000;

/// Fewer rows are not a table that one could learn from without learning its rows.
const FEWEST: usize = 20;
/// Columns that are described before training.
const SHOWN: usize = 40;
/// Rows that are drawn and written at once.
const AT_ONCE: usize = 65_536;

/// The row of the table of tasks.
pub const ENTRY: TaskEntry = TaskEntry {
    name: "table",
    summary: "tables of numbers, categories and dates: synthetic rows, conditions, missing cells",
    presets: &[
        Preset {
            name: "quick",
            summary: "fully connected networks on packs of rows: minutes on a CPU",
            toml: include_str!("presets/quick.toml"),
        },
        Preset { name: "thorough", summary: "wider networks and four times the steps", toml: include_str!("presets/thorough.toml") },
    ],
    recognizes,
    propose,
    resolve: |layers| {
        let (config, table) = resolve::<TableConfig>(layers)?;
        config.validate()?;
        Ok(table)
    },
    plan: |table| Ok(parse(table)?.plan),
    inherit,
    open,
    load_model: |folder, device| Ok(Box::new(TableModel::open(folder, device)?)),
    evaluate: evaluate::evaluate,
};

fn recognizes(source: &Source) -> Option<Confidence> {
    let Source::Table(table) = source else { return None };
    let (rows, columns) = (crate::data::with_commas(table.table.n_rows()), table.table.columns.len());
    Some(Confidence { score: 0.8, reason: format!("{rows} rows of {columns} columns") })
}

fn parse(table: &Toml) -> Result<TableConfig> {
    Ok(resolve::<TableConfig>(std::slice::from_ref(table))?.0)
}

fn tabular(source: &Source) -> Result<&Arc<TableSource>> {
    match source {
        Source::Table(table) => Ok(table),
        _ => Err(Error::data(source.name(), "is no table", "choose another task; see `ganymede tasks`")),
    }
}

/// The table as the settings describe it.
fn described(source: &Source, config: &TableConfig) -> Result<Arc<TableSource>> {
    let mut table = tabular(source)?.clone();
    if !config.data.schema.is_empty() {
        table = Arc::new(table.with_schema(Path::new(&config.data.schema))?);
    }
    let n = table.table.n_rows();
    if n < FEWEST {
        return Err(Error::data(&table.name, format!("{n} rows; at least {FEWEST} are needed"), "add rows"));
    }
    Ok(table)
}

/// Preset and batches for this table on this device.
fn propose(source: &Source, device: &Device, asked: &Asked<'_>) -> Result<Proposal> {
    let preset = asked.preset.unwrap_or("quick");
    let mut layers = vec![ENTRY.preset(preset)?.table()?];
    layers.extend_from_slice(asked.settings);
    let table = described(source, &resolve::<TableConfig>(&layers)?.0)?;
    let mut reasons: Vec<String> = table.found.reasons.iter().take(SHOWN).cloned().collect();
    if table.found.reasons.len() > SHOWN {
        reasons.push(format!("and {} more columns; `ganymede inspect` names them", table.found.reasons.len() - SHOWN));
    }
    let mut plan = Toml::new();
    let n = table.table.n_rows();
    if n < 2048 && !asked.sets("plan.batch") {
        let batch = (n / 4 / 4 * 4).clamp(8, 512);
        plan.insert("batch".into(), Value::Integer(batch as i64));
        reasons.push(format!("batches of {batch} rows, because there are so few"));
    }
    let settings: Toml = [("plan", plan)].into_iter().filter(|(_, t)| !t.is_empty()).map(|(k, t)| (k.into(), Value::Table(t))).collect();
    layers.insert(1, settings.clone());
    let (config, _) = resolve::<TableConfig>(&layers)?;
    let encoder = Encoder::fit(&table.table, &table.schema, 0)?;
    let (layout, _) = layout_of(&encoder);
    let (d, g) = config.network.n_products(&layout);
    let estimated_secs = Some(estimate_secs(&config.game, &config.plan, d, g, device));
    Ok(Proposal { preset: preset.to_owned(), settings, reasons, estimated_secs })
}

/// The networks' shape.
fn inherit(model: &ModelFolder) -> Result<Toml> {
    let described: Described = Stored::read(model)?.described()?;
    Ok(Toml::from_iter([("network".to_owned(), table_of(&described.network)?)]))
}

fn open(setup: &Setup<'_>) -> Result<Box<dyn Task>> {
    let config = parse(setup.config)?;
    config.validate()?;
    let source = described(setup.source, &config)?;
    let encoder = Encoder::fit(&source.table, &source.schema, 0)?;
    let (layout, _) = layout_of(&encoder);
    if layout.width() == 0 {
        return Err(Error::data(
            source.name.clone(),
            "holds nothing that could be learned: all columns are constant or identify rows",
            "give other columns",
        ));
    }
    let rows = Rows::of(&encoder.encode(&source.table, 0)?);
    let layout = Arc::new(layout);
    let split = Split::new(rows.n, config.plan.holdout);
    let mut rng = random::stream(setup.seed, "init", 0);
    let mut init = Init { rng: &mut rng, device: &setup.device };
    let players = (RowGenerator::new(&config.network, &layout, &mut init), PackDiscriminator::new(&config.network, &layout, &mut init));
    let game = TwoPlayer::new(players, config.game.clone(), config.plan.steps, setup.seed, setup.device.clone())?;
    Ok(Box::new(TableTask {
        game,
        order: DataOrder::new(setup.seed, "data-order", split.training.len()),
        judge: None,
        data: DataDescription {
            name: source.name.clone(),
            fingerprint: source.fingerprint.clone(),
            n_samples: rows.n,
            license: source.license.clone(),
        },
        split,
        encoder,
        layout,
        rows,
        seed: setup.seed,
        device: setup.device.clone(),
        config,
    }))
}

/// A table and the game about it.
struct TableTask {
    game: TwoPlayer<3, RowGenerator, PackDiscriminator>,
    encoder: Encoder,
    layout: Arc<Layout>,
    rows: Rows,
    split: Split,
    /// Order over the training rows.
    order: DataOrder,
    judge: Option<RowJudge>,
    data: DataDescription,
    config: TableConfig,
    seed: u64,
    device: Device,
}

impl TableTask {
    /// Rows of the averaged generator.
    fn generated(&self, seed: u64, n: usize, calibration: &Calibration) -> Rows {
        let net = self.game.generator.best();
        let ids: Vec<SampleId> = (0..n as u64).map(|index| SampleId { seed, index }).collect();
        Drawer { net: &net, layout: &self.layout, calibration, device: &self.device }.draw(&ids, &[], 1.0)
    }

    /// What brings single columns to their frequencies, found on `n` rows.
    fn calibration(&self, n: usize) -> Calibration {
        if !self.config.data.calibrate {
            return Calibration::default();
        }
        let shares: Vec<f64> = self.encoder.marginals().concat();
        let net = self.game.generator.best();
        let drawer = Drawer { net: &net, layout: &self.layout, calibration: &Calibration::default(), device: &self.device };
        drawer.calibrated(&shares, (0, n))
    }

    /// Rows that the final adjustment is found on.
    fn n_calibrated(&self) -> usize {
        (20 * self.rows.n).clamp(1000, CALIBRATED)
    }

    /// What the discriminator says to rows of which nothing was given.
    fn mean_logit(&self, rows: &Rows) -> Option<f64> {
        let pack = self.config.network.pack;
        let packs = rows.n / pack;
        let mut dense = rows.dense(&self.layout);
        dense.truncate(packs * pack * self.layout.width());
        let x = Tensor::from_data(TensorData::new(dense, [packs, pack, self.layout.width()]), &self.device);
        (packs > 0).then(|| self.game.mean_logit(x, None)).flatten()
    }

    /// What the discriminator says to training, held-out and the given generated rows.
    fn signal(&self, generated: &Rows) -> Option<Signal> {
        let real = |places: &[usize]| {
            let chosen: Vec<usize> = places.iter().copied().step_by(places.len().div_ceil(HEARD).max(1)).collect();
            self.mean_logit(&self.rows.take(&chosen))
        };
        Some(Signal {
            training: real(&self.split.training)?,
            held_out: real(&self.split.held_out)?,
            generated: self.mean_logit(generated)?,
        })
    }
}

/// The real rows of an update, and what of as many rows is given to the generator.
fn batch_of(rows: &Rows, layout: &Layout, (conditions, pack): (f64, usize), rng: &mut rand_pcg::Pcg64, device: &Device) -> Batch<3> {
    let (width, columns, packs) = (layout.width(), layout.n_columns(), rows.n / pack);
    let dense = rows.dense(layout);
    let column_of = layout.columns();
    let mut given = Vec::with_capacity(rows.n * layout.condition());
    for row in dense.chunks_exact(width) {
        let draws = random::uniform(2 + columns, rng);
        let share = if f64::from(draws[0]) < conditions { draws[1] } else { 0.0 };
        let is_given: Vec<bool> = draws[2..].iter().map(|draw| *draw < share).collect();
        given.extend(row.iter().zip(&column_of).map(|(v, column)| if is_given[*column] { *v } else { 0.0 }));
        given.extend(is_given.iter().map(|is| f32::from(u8::from(*is))));
    }
    let given = TensorData::new(given, [packs, pack * layout.condition()]);
    Batch {
        real: Tensor::from_data(TensorData::new(dense, [packs, pack, width]), device),
        condition: Some(Tensor::from_data(given, device)),
        distortions: None,
    }
}

impl Task for TableTask {
    fn step(&mut self, step: u64) -> Result<()> {
        let Self { game, rows, split, order, config, layout, seed, device, .. } = self;
        let rule = (config.data.conditions, config.network.pack);
        game.step(step, &mut |_, update| {
            let places: Vec<usize> = order.batch(update, config.plan.batch).into_iter().map(|i| split.training[i]).collect();
            batch_of(&rows.take(&places), layout, rule, &mut random::stream(*seed, "given", update), device)
        });
        Ok(())
    }

    fn report(&mut self) -> Result<StepReport> {
        Ok(self.game.report())
    }

    fn data(&self) -> &DataDescription {
        &self.data
    }

    fn batch(&self) -> usize {
        self.config.plan.batch
    }

    fn sample(&self, request: &SampleRequest) -> Result<Vec<Artifact>> {
        let net = self.game.generator.best();
        let calibration = self.calibration(self.n_calibrated());
        let drawer = Drawer { net: &net, layout: &self.layout, calibration: &calibration, device: &self.device };
        files(&drawer, &self.encoder, request)
    }

    fn snapshot(&self, seed: u64, n: usize) -> Result<Artifact> {
        chart::columns(&self.encoder, &self.rows, Some(&self.generated(seed, n, &Calibration::default())), "samples")
    }

    fn real_sheet(&self, _: usize) -> Result<Artifact> {
        chart::columns(&self.encoder, &self.rows, None, "real")
    }

    fn save_state(&self) -> Result<Vec<(String, NamedTensors)>> {
        Ok(self.game.save_state())
    }

    fn load_state(&mut self, players: Vec<(String, NamedTensors)>) -> Result<()> {
        self.game.load_state(players)
    }

    fn model(&self) -> Result<TrainedGenerator> {
        let encoder =
            serde_json::to_value(&self.encoder).map_err(|e| Error::data(self.data.name.clone(), e.to_string(), "please report this"))?;
        let described = Described { network: self.config.network.clone(), encoder, calibration: self.calibration(self.n_calibrated()) };
        Ok(TrainedGenerator {
            weights: save_params(&self.game.generator.best(), GENERATOR),
            discriminator: save_params(&self.game.discriminator.best(), DISCRIMINATOR),
            generator: serde_json::to_value(described).expect("plain numbers and names are valid JSON"),
            classes: Vec::new(),
            metrics: serde_json::Map::new(),
        })
    }

    fn take_over(&mut self, model: &ModelFolder) -> Result<Vec<String>> {
        self.game.take_over(model)
    }

    fn panel(&mut self, _: &mut dyn FnMut(u64, u64)) -> Result<Option<Arc<Panel>>> {
        if self.judge.is_none() && Panel::is_enough(self.split.training.len()) {
            self.judge = Some(judge(&self.rows, &self.layout, &self.split, usize::MAX)?);
        }
        Ok(self.judge.as_ref().map(|judge| judge.panel.clone()))
    }

    fn look(&mut self, seed: u64) -> Result<Look> {
        let Some(judge) = &self.judge else {
            return Err(Error::config("plan.judge_every", "the data is too small to judge by", "set plan.judge_every to 0"));
        };
        let rows = self.generated(seed, judge.panel.n().max(HEARD), &self.calibration(self.n_calibrated().min(CALIBRATED_FOR_A_LOOK)));
        let signal = self.signal(&rows);
        judge.look(&rows.dense(&self.layout), signal)
    }

    fn tune(&mut self, tuning: Tuning) {
        self.game.tune(tuning);
    }

    fn plan_steps(&mut self, steps: u64) {
        self.game.plan_steps(steps);
    }
}

/// What rows are judged by while the game is on.
fn judge(rows: &Rows, layout: &Layout, split: &Split, most: usize) -> Result<RowJudge> {
    RowJudge::new(&rows.dense(layout), &layout.columns(), split, ("the encoded columns", "nearest", most))
}

/// The part of `model.json` that is the task's own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    network: Network,
    encoder: serde_json::Value,
    calibration: Calibration,
}

/// A generator opened from a model folder.
struct TableModel {
    description: ModelDescription,
    encoder: Encoder,
    layout: Arc<Layout>,
    calibration: Calibration,
    net: RowGenerator,
    device: Device,
}

impl TableModel {
    fn open(folder: &ModelFolder, device: &Device) -> Result<Self> {
        let stored = Stored::read(folder)?;
        let Described { network, encoder, calibration } = stored.described()?;
        network.validate().map_err(|e| stored.damaged(format!("model.json: {e}")))?;
        let encoder = Encoder::from_json(&encoder.to_string()).map_err(|e| stored.damaged(format!("model.json: {e}")))?;
        let (layout, _) = layout_of(&encoder);
        let rising = |knots: &Vec<[f32; 2]>| knots.iter().flatten().all(|v| v.is_finite()) && knots.windows(2).all(|w| w[0][0] < w[1][0]);
        let fits = calibration.codes.is_empty() && calibration.numbers.is_empty()
            || calibration.codes.len() == layout.n_codes() && calibration.numbers.len() == layout.numbers.len();
        if layout.width() == 0 || !fits || calibration.codes.iter().any(|v| !v.is_finite()) || !calibration.numbers.iter().all(rising) {
            return Err(stored.damaged("model.json: the columns and their adjustment do not fit together"));
        }
        let least = network.inputs(network.latent_dim + layout.condition());
        stored
            .check_size((least[..network.layers].iter().sum::<usize>() * network.width + least[network.layers] * layout.width()) as u64)?;
        let layout = Arc::new(layout);
        let mut rng = random::stream(0, "init", 0);
        let fresh = RowGenerator::new(&network, &layout, &mut Init { rng: &mut rng, device });
        let net = stored.into_generator(&fresh)?;
        Ok(Self { description: folder.description().clone(), encoder, layout, calibration, net, device: device.clone() })
    }

    /// The rows of some identities.
    fn table(&self, ids: &[SampleId]) -> Result<Table> {
        let request = SampleRequest { ids: ids.to_vec(), wish: Wish::Any, truncation: 1.0, sheet: true };
        rows_of(&self.drawer(), &self.encoder, &request)
    }

    fn drawer(&self) -> Drawer<'_> {
        Drawer { net: &self.net, layout: &self.layout, calibration: &self.calibration, device: &self.device }
    }
}

impl Model for TableModel {
    fn description(&self) -> &ModelDescription {
        &self.description
    }

    fn sample(&self, request: &SampleRequest) -> Result<Vec<Artifact>> {
        files(&self.drawer(), &self.encoder, request)
    }

    fn write(&self, request: &SampleRequest, path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<bool> {
        let mut writer = TableWriter::create(path, &self.encoder.schema(), &WriteOptions::default())?;
        let mut done = 0;
        for ids in request.ids.chunks(AT_ONCE) {
            let part = SampleRequest { ids: ids.to_vec(), ..request.clone() };
            writer.push(&rows_of(&self.drawer(), &self.encoder, &part)?)?;
            done += ids.len() as u64;
            progress(done, request.ids.len() as u64);
        }
        writer.finish()?;
        Ok(true)
    }

    fn complete(&self, request: &CompleteRequest<'_>) -> Result<(usize, usize)> {
        let schema = self.encoder.schema();
        let mut table = read(request.from, Some(&schema))?.table;
        let known = Rows::of(&self.encoder.encode(&table, request.seed)?);
        let (_, modelled) = layout_of(&self.encoder);
        let names: Vec<String> = self.encoder.columns().map(|column| column.name.clone()).collect();
        let places: Vec<Option<usize>> = modelled.iter().map(|column| table.position(&names[*column])).collect();
        let is_missing = |row: usize, place: &Option<usize>| place.is_none_or(|place| table.columns[place].values.is_missing(row));
        let is_given: Vec<Vec<bool>> = (0..known.n).map(|row| places.iter().map(|place| !is_missing(row, place)).collect()).collect();
        let n_cells = is_given.iter().flatten().filter(|given| !**given).count();
        let ids: Vec<SampleId> = (0..known.n as u64).map(|index| SampleId { seed: request.seed, index }).collect();
        let full = self.drawer().complete(&ids, &known, &is_given);
        let made = self.encoder.decode(&full.encoded(&self.encoder, 0), request.seed)?;
        for column in &mut table.columns {
            if let Some(made) = made.column(&column.name) {
                column.values = filled(&column.values, &made.values);
            }
        }
        crate::table::write(request.to, &table, &schema, &WriteOptions::default())?;
        Ok((n_cells, known.n))
    }

    fn latent_dim(&self) -> usize {
        self.net.noise()
    }

    fn offers(&self) -> Vec<(String, String)> {
        self.encoder.columns().map(|column| (format!("--where {}", column.name), column.kind.name().to_owned())).collect()
    }
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

/// What conditions leave open of each column, the conditions of one column together.
fn wanted(conditions: &[Condition], encoder: &Encoder) -> Result<Vec<Wanted>> {
    let (layout, columns) = layout_of(encoder);
    let blocks = encoder.blocks();
    let category = |block: usize| blocks[..block].iter().filter(|b| b.kind != crate::table::BlockKind::Scalar).count();
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

/// The requested rows, and what was asked of them.
fn rows_of(drawer: &Drawer<'_>, encoder: &Encoder, request: &SampleRequest) -> Result<Table> {
    let conditions = match &request.wish {
        Wish::Any => Vec::new(),
        Wish::Where(texts) => texts.iter().map(|text| Condition::parse(text, encoder)).collect::<Result<_>>()?,
        _ => return Err(Error::config("sample", "a table is asked for by conditions", "write --where 'age in 30..40'")),
    };
    let rows = drawer.draw(&request.ids, &wanted(&conditions, encoder)?, request.truncation);
    // What decoding draws goes by a row's place among those of its seed.
    let mut parts = Vec::new();
    let mut first = 0;
    for run in request.ids.chunk_by(|a, b| a.seed == b.seed && a.index + 1 == b.index) {
        let own: Vec<usize> = (first..first + run.len()).collect();
        first += run.len();
        parts.push(encoder.decode_where(&rows.take(&own).encoded(encoder, run[0].index), &conditions, run[0].seed)?);
    }
    Ok(Table::joined(parts))
}

/// The requested rows in one CSV file, or one file each.
fn files(drawer: &Drawer<'_>, encoder: &Encoder, request: &SampleRequest) -> Result<Vec<Artifact>> {
    let (table, schema) = (rows_of(drawer, encoder, request)?, encoder.schema());
    let csv = |table: &Table, stem: String| Ok(Artifact { media_type: "text/csv", extension: "csv", stem, bytes: to_csv(table, &schema)? });
    if request.sheet {
        return Ok(vec![csv(&table, "samples".to_owned())?]);
    }
    request.ids.iter().enumerate().map(|(i, id)| csv(&table.take(&[i]), id.to_string())).collect()
}
