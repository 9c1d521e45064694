//! Series: rows that belong together and follow each other, of any length up to a limit.
//!
//! What is the same in all rows of a series is drawn once, the steps are drawn knowing it (as in DoppelGANger: Lin, Jain, Wang, Fanti and Sekar, "Using GANs for Sharing Networked Time Series Data", IMC 2020). Columns are
//! encoded as those of tables (see [`crate::table::Encoder`]).

mod chart;
mod codec;
mod collection;
mod columns;
mod config;
mod curve;
mod detect;
mod drawing;
mod evaluate;
mod figures;
mod lengths;
mod model;
mod nets;
mod order;
mod pieces;

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use toml::{Table as Toml, Value};

use codec::{Codec, Series};
use collection::Collection;
use columns::Gathered;
pub use config::{DataConfig, Network, SeriesConfig};
use drawing::Drawer;
use model::{Described, SeriesModel};
use nets::{SeriesDiscriminator, SeriesGenerator};

use crate::artifact::Artifact;
use crate::config::{resolve, table_of};
use crate::data::{Source, TableSource, with_commas};
use crate::error::{Error, Result};
use crate::judge::{Look, Panel, RowJudge, Signal, Split};
use crate::nn::{Init, save_params};
use crate::random::{self, DataOrder};
use crate::run::{DataDescription, ModelFolder, NamedTensors, TrainedGenerator};
use crate::train::estimate::estimate_secs;
use crate::train::stored::{DISCRIMINATOR, GENERATOR, Stored};
use crate::train::{
    Asked, Batch, Confidence, Preset, Proposal, SampleId, SampleRequest, Setup, StepReport, Task, TaskEntry, Tuning, TwoPlayer,
};

/// Fewer series cannot be learned from without learning them.
const FEWEST: usize = 20;
/// Series of each kind that the discriminator is asked about.
const HEARD: usize = 512;
/// Series that the weight of the penalties is found by.
const WEIGHED: usize = 2000;
/// That weight for each unit of the total variance. With a weight of 1 the discriminator of 390 heartbeats of variance 160 knew them by heart, until remedies had made it 27; with 16 it never did.
const WEIGHT: f64 = 0.1;
/// Weights of both networks at most: 2 GB with what Adam and the average keep.
const MOST_WEIGHTS: f64 = 1.2e8;
/// Lines about columns before training.
const SHOWN: usize = 40;

/// The row of the table of tasks.
pub const ENTRY: TaskEntry = TaskEntry {
    name: "series",
    summary: "rows that belong together and follow each other: time series, visits of patients",
    presets: &[
        Preset {
            name: "quick",
            summary: "fully connected networks on whole series: minutes on a CPU",
            toml: include_str!("presets/quick.toml"),
        },
        Preset { name: "thorough", summary: "wider networks and four times the steps", toml: include_str!("presets/thorough.toml") },
    ],
    recognizes,
    propose,
    resolve: |layers| {
        let (config, table) = resolve::<SeriesConfig>(layers)?;
        config.validate()?;
        Ok(table)
    },
    plan: |table| Ok(parse(table)?.plan),
    inherit,
    open,
    load_model: |folder, device| Ok(Box::new(SeriesModel::open(folder, device)?)),
    evaluate: evaluate::evaluate,
};

fn found(source: &Source) -> Option<detect::Found> {
    match source {
        Source::Table(table) if is_folder(table) => detect::in_files(table),
        Source::Table(table) => detect::in_table(table),
        Source::Points(points) if points.modes.is_none() => detect::in_points(points),
        _ => None,
    }
}

/// Whether each of many files has rows of its own.
fn is_folder(table: &TableSource) -> bool {
    table.path.as_ref().is_some_and(|path| path.is_dir())
}

fn recognizes(source: &Source) -> Option<Confidence> {
    let detect::Found { entity, n } = found(source)?;
    if matches!(source, Source::Table(table) if is_folder(table)) {
        return Some(Confidence { score: 0.95, reason: format!("{} files with the same columns: each a series", with_commas(n)) });
    }
    // Less than that of what any table can be learned as: nobody said that these rows belong together.
    Some(Confidence { score: 0.3, reason: format!("{} series, if rows with the same {entity} belong together", with_commas(n)) })
}

fn parse(table: &Toml) -> Result<SeriesConfig> {
    Ok(resolve::<SeriesConfig>(std::slice::from_ref(table))?.0)
}

/// The table as the settings describe it, and the settings with the column that holds entities.
fn described(source: &Source, mut config: SeriesConfig) -> Result<(Arc<TableSource>, SeriesConfig)> {
    let mut table = source.tabular()?;
    if config.data.entity.is_empty() {
        config.data.entity = match found(source) {
            Some(found) => found.entity,
            None if config.data.longest > 1 => pieces::name(&table)?.to_owned(),
            None => {
                let problem = "no column shows which rows belong together";
                let remedy = "name it by --entity COLUMN, have one long series cut into pieces by --set data.longest=50, or choose another task; see `ganymede tasks`";
                return Err(Error::data(source.name(), problem, remedy));
            }
        };
    }
    if !config.data.schema.is_empty() {
        table = Arc::new(table.with_schema(std::path::Path::new(&config.data.schema))?);
    }
    Ok((table, config))
}

/// Series that were read and parted.
struct Prepared {
    source: Arc<TableSource>,
    gathered: Gathered,
    split: Split,
    config: SeriesConfig,
}

fn prepared(source: &Source, config: SeriesConfig) -> Result<Prepared> {
    config.validate()?;
    let (source, config) = described(source, config)?;
    let gathered = Gathered::of(&source, &config.data)?;
    let n = gathered.collection.n();
    if n < FEWEST {
        let remedy = "add some, or cut long ones into pieces: --set data.longest=50";
        return Err(Error::data(source.name.clone(), format!("{n} series; at least {FEWEST} are needed"), remedy));
    }
    let split = split(&gathered.entity, config.plan.holdout);
    Ok(Prepared { source, gathered, split, config })
}

/// Holds out whole entities, so that no piece of one is learned from while another is judged by; pieces, where there are too few entities.
fn split(entity: &[usize], holdout: f64) -> Split {
    let n_entities = entity.last().map_or(0, |last| last + 1);
    if n_entities < FEWEST {
        return Split::new(entity.len(), holdout);
    }
    let of_entities = Split::new(n_entities, holdout);
    let of = |chosen: &[usize]| (0..entity.len()).filter(|piece| chosen.binary_search(&entity[*piece]).is_ok()).collect();
    Split { training: of(&of_entities.training), held_out: of(&of_entities.held_out) }
}

/// Preset and batches for these series on this device.
fn propose(source: &Source, device: &Device, asked: &Asked<'_>) -> Result<Proposal> {
    let preset = asked.preset.unwrap_or("quick");
    let mut layers = vec![ENTRY.preset(preset)?.table()?];
    layers.extend_from_slice(asked.settings);
    let Prepared { gathered, split, config, .. } = prepared(source, resolve::<SeriesConfig>(&layers)?.0)?;
    let mut reasons: Vec<String> = gathered.reasons.iter().take(SHOWN).cloned().collect();
    if gathered.reasons.len() > SHOWN {
        reasons.push(format!("and {} more columns; `ganymede inspect` names them", gathered.reasons.len() - SHOWN));
    }
    let (mut plan, mut data) = (Toml::new(), Toml::new());
    if !asked.sets("data.entity") {
        data.insert("entity".into(), Value::String(config.data.entity.clone()));
    }
    let n = split.training.len();
    if n < 512 && !asked.sets("plan.batch") {
        let batch = (n / 4).clamp(8, 128);
        plan.insert("batch".into(), Value::Integer(batch as i64));
        reasons.push(format!("batches of {batch} series, because there are so few"));
    }
    let n_steps = gathered.collection.lengths().into_iter().max().unwrap_or(0);
    let codec = Codec::fit(&gathered.columns, &gathered.collection.take(&split.training), n_steps)?;
    let mut game = Toml::new();
    if !["game.r1", "game.r2"].iter().any(|key| asked.sets(key)) {
        let some: Vec<usize> = split.training.iter().copied().take(WEIGHED).collect();
        let weight = penalty_weight(&codec, &gathered.collection.take(&some))?;
        ["r1", "r2"].into_iter().for_each(|key| drop(game.insert(key.into(), Value::Float(weight))));
        reasons.push(format!("R1 and R2 weighted by {weight}, because of how much the series vary"));
    }
    let sections = [("plan", plan), ("data", data), ("game", game)];
    let settings: Toml = sections.into_iter().filter(|(_, t)| !t.is_empty()).map(|(k, t)| (k.into(), Value::Table(t))).collect();
    layers.insert(1, settings.clone());
    let (config, _) = resolve::<SeriesConfig>(&layers)?;
    let [d, g] = config.network.n_products(&codec.frame).map(|products| products.iter().sum());
    let estimated_secs = Some(estimate_secs(&config.game, &config.plan, d, g, device));
    Ok(Proposal { preset: preset.to_owned(), settings, reasons, estimated_secs })
}

/// A weight of R1 and R2 in proportion to the total variance of what the discriminator sees, as for pictures (decision 0006), as a power of two.
fn penalty_weight(codec: &Codec, training: &Collection) -> Result<f64> {
    let frame = &codec.frame;
    let plain = frame.dense(&codec.encode(training)?);
    let seen = frame.with_differences(&plain, &frame.scales(&plain));
    let n = training.n().max(1) as f64;
    let (mut sums, mut squares) = (vec![0.0f64; frame.width()], 0.0);
    for row in seen.chunks_exact(frame.width()) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += f64::from(*value);
            squares += f64::from(*value).powi(2);
        }
    }
    let variance = squares / n - sums.iter().map(|sum| (sum / n).powi(2)).sum::<f64>();
    Ok((variance.max(1.0) * WEIGHT).log2().round().clamp(-4.0, 10.0).exp2())
}

/// The networks' shape.
fn inherit(model: &ModelFolder) -> Result<Toml> {
    let described: Described = Stored::read(model)?.described()?;
    Ok(Toml::from_iter([("network".to_owned(), table_of(&described.network)?)]))
}

fn open(setup: &Setup<'_>) -> Result<Box<dyn Task>> {
    let Prepared { source, gathered, split, config } = prepared(setup.source, parse(setup.config)?)?;
    let collection = gathered.collection;
    let n_steps = collection.lengths().into_iter().max().unwrap_or(0);
    let codec = Codec::fit(&gathered.columns, &collection.take(&split.training), n_steps)?;
    if codec.frame.steps.width() == 0 {
        let problem = "no column says anything about single steps";
        return Err(Error::data(source.name.clone(), problem, "give other columns, or learn it as an ordinary table"));
    }
    let [d, g] = config.network.n_products(&codec.frame).map(|products| products[0]);
    if d + g > MOST_WEIGHTS {
        let problem =
            format!("{n_steps} steps of {} values make networks of {:.0} million weights", codec.frame.steps.width(), (d + g) / 1e6);
        return Err(Error::data(
            source.name.clone(),
            problem,
            "cut series into pieces by --set data.longest=200, or leave columns out by a schema",
        ));
    }
    let series = codec.encode(&collection)?;
    let scales = codec.frame.scales(&codec.frame.dense(&series.take(&RowJudge::training_rows(&split))));
    let mut rng = random::stream(setup.seed, "init", 0);
    let mut init = Init { rng: &mut rng, device: &setup.device };
    let players = (
        SeriesGenerator::new(&config.network, &codec.frame, (&codec.spectrum, &scales), &mut init),
        SeriesDiscriminator::new(&config.network, &codec.frame, &mut init),
    );
    let game = TwoPlayer::new(players, config.game.clone(), config.plan.steps, setup.seed, setup.device.clone())?;
    Ok(Box::new(SeriesTask {
        game,
        order: DataOrder::new(setup.seed, "data-order", split.training.len()),
        judge: None,
        data: DataDescription {
            name: source.name.clone(),
            fingerprint: source.fingerprint.clone(),
            n_samples: series.n(),
            license: source.license.clone(),
        },
        split,
        codec,
        scales,
        series,
        collection,
        device: setup.device.clone(),
        config,
    }))
}

/// Series and the game about them.
struct SeriesTask {
    game: TwoPlayer<2, SeriesGenerator, SeriesDiscriminator>,
    codec: Codec,
    /// Units of differences.
    scales: Vec<f32>,
    series: Series,
    collection: Collection,
    split: Split,
    /// Order over the training series.
    order: DataOrder,
    judge: Option<RowJudge>,
    data: DataDescription,
    config: SeriesConfig,
    device: Device,
}

impl SeriesTask {
    /// Calls with a drawer on the averaged generator.
    fn with_drawer<T>(&self, draw: impl FnOnce(Drawer<'_>) -> T) -> T {
        let net = self.game.generator.best();
        draw(Drawer { net: &net, codec: &self.codec, device: &self.device })
    }

    /// Series of the averaged generator as vectors `[n, plain]`.
    fn generated(&self, seed: u64, n: usize) -> Vec<f32> {
        let ids: Vec<SampleId> = (0..n as u64).map(|index| SampleId { seed, index }).collect();
        self.with_drawer(|drawer| drawer.dense(&ids, 1.0))
    }

    /// What the discriminator says to vectors `[n, plain]`.
    fn mean_logit(&self, plain: &[f32]) -> Option<f64> {
        let seen = self.codec.frame.with_differences(plain, &self.scales);
        let (n, width) = (seen.len() / self.codec.frame.width(), self.codec.frame.width());
        (n > 0).then(|| self.game.mean_logit(Tensor::from_data(TensorData::new(seen, [n, width]), &self.device), None)).flatten()
    }

    /// What it says to training, held-out and the given generated series.
    fn signal(&self, generated: &[f32]) -> Option<Signal> {
        let real = |places: &[usize]| {
            let chosen: Vec<usize> = places.iter().copied().step_by(places.len().div_ceil(HEARD).max(1)).collect();
            self.mean_logit(&self.codec.frame.dense(&self.series.take(&chosen)))
        };
        let own = &generated[..generated.len().min(HEARD * self.codec.frame.plain())];
        Some(Signal { training: real(&self.split.training)?, held_out: real(&self.split.held_out)?, generated: self.mean_logit(own)? })
    }
}

impl Task for SeriesTask {
    fn step(&mut self, step: u64) -> Result<()> {
        let Self { game, series, split, order, config, codec, scales, device, .. } = self;
        game.step(step, &mut |_, update| {
            let places: Vec<usize> = order.batch(update, config.plan.batch).into_iter().map(|i| split.training[i]).collect();
            let seen = codec.frame.with_differences(&codec.frame.dense(&series.take(&places)), scales);
            let real = Tensor::from_data(TensorData::new(seen, [places.len(), codec.frame.width()]), &*device);
            Batch { real, condition: None, distortions: None }
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
        self.with_drawer(|drawer| drawer.files(request))
    }

    fn snapshot(&self, seed: u64, n: usize) -> Result<Artifact> {
        let ids: Vec<SampleId> = (0..n as u64).map(|index| SampleId { seed, index }).collect();
        let drawn = self.with_drawer(|drawer| drawer.collection(&ids, None, 1.0))?;
        chart::beside(&self.collection, Some(&drawn), n, "samples")
    }

    fn real_sheet(&self, n: usize) -> Result<Artifact> {
        chart::beside(&self.collection, None, n, "real")
    }

    fn save_state(&self) -> Result<Vec<(String, NamedTensors)>> {
        Ok(self.game.save_state())
    }

    fn load_state(&mut self, players: Vec<(String, NamedTensors)>) -> Result<()> {
        self.game.load_state(players)
    }

    fn model(&self) -> Result<TrainedGenerator> {
        let described = Described { network: self.config.network.clone(), codec: self.codec.stored()? };
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
            self.judge = Some(self.judged()?);
        }
        Ok(self.judge.as_ref().map(|judge| judge.panel.clone()))
    }

    fn look(&mut self, seed: u64) -> Result<Look> {
        let Some(judge) = &self.judge else {
            return Err(Error::config("plan.judge_every", "the data is too small to judge by", "set plan.judge_every to 0"));
        };
        let drawn = self.generated(seed, judge.panel.n().max(HEARD));
        let signal = self.signal(&drawn);
        judge.look(&drawn, signal)
    }

    fn tune(&mut self, tuning: Tuning) {
        self.game.tune(tuning);
    }

    fn plan_steps(&mut self, steps: u64) {
        self.game.plan_steps(steps);
    }
}

impl SeriesTask {
    /// What series are judged by while the game is on. The trivial generator draws every step from a series of its own.
    fn judged(&self) -> Result<RowJudge> {
        let mut seen = RowJudge::training_rows(&self.split);
        let n_training = seen.len();
        seen.extend(&self.split.held_out);
        let own = Split { training: (0..n_training).collect(), held_out: (n_training..seen.len()).collect() };
        let frame = &self.codec.frame;
        RowJudge::new(&frame.dense(&self.series.take(&seen)), &frame.together(), &own, ("the encoded series", "nearest", usize::MAX))
    }
}
