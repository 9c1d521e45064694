//! Tables of mixed columns: numbers, categories, dates.
//!
//! Each column becomes one block of categories, one number, or both (see [`crate::table::Encoder`]). The game is that of fully connected networks on rows; in a share of the rows some columns
//! are given, so that one model draws rows, fills in what is missing, and obeys conditions.

mod config;
mod evaluate;
mod judged;
mod model;
mod private;

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use toml::{Table as Toml, Value};

pub use config::{DataConfig, PrivacyConfig, TableConfig};
use judged::{Compared, TableJudge};
use model::{Described, TableModel};

use crate::artifact::Artifact;
use crate::config::{resolve, table_of};
use crate::data::{Source, TableSource};
use crate::error::{Error, Result};
use crate::judge::{Look, Panel, Signal, Split};
use crate::nn::{Init, save_params};
use crate::random::{self, DataOrder};
pub use crate::rowgame::Network;
use crate::rowgame::{Calibration, Drawer, Given, Givens, Maker, PackDiscriminator, RowGenerator, batch_of, chart};
use crate::run::{DataDescription, ModelFolder, NamedTensors, TrainedGenerator};
use crate::table::{Encoder, Layout, Rows, Rules, layout_of};
use crate::train::estimate::estimate_secs;
use crate::train::stored::{DISCRIMINATOR, GENERATOR, Stored};
use crate::train::{Asked, Confidence, Preset, Proposal, SampleId, SampleRequest, Setup, StepReport, Task, TaskEntry, Tuning, TwoPlayer};

/// Rows of each kind that the discriminator is asked about.
const HEARD: usize = 1024;
/// Rows that single columns are adjusted by.
const CALIBRATED: usize = 20_000;
/// The same for rows that are only looked at.
const CALIBRATED_FOR_A_LOOK: usize = 4000;

/// Fewer rows are not a table that one could learn from without learning its rows.
const FEWEST: usize = 20;
/// Weights of both networks at most: 2 GB with what Adam and the average keep.
const MOST_WEIGHTS: f64 = 1.2e8;
/// Columns that are described before training.
const SHOWN: usize = 40;

/// The row of the table of tasks.
pub const ENTRY: TaskEntry = TaskEntry {
    name: "table",
    summary: "tables of numbers, categories and dates: synthetic rows, conditions, missing cells",
    presets: &[
        Preset { name: "quick", summary: "fully connected networks on rows: minutes on a CPU", toml: include_str!("presets/quick.toml") },
        Preset { name: "thorough", summary: "wider networks and four times the steps", toml: include_str!("presets/thorough.toml") },
        Preset {
            name: "private",
            summary: "differential privacy for every row; needs a schema with ranges",
            toml: include_str!("presets/private.toml"),
        },
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

/// The table as the settings describe it.
fn described(source: &Source, config: &TableConfig) -> Result<Arc<TableSource>> {
    let mut table = source.tabular()?;
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
    let config = resolve::<TableConfig>(&layers)?.0;
    if config.privacy.is_on() {
        config.validate()?;
        return private::propose(preset, &config);
    }
    let table = described(source, &config)?;
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
    let split = Split::new(n, config.plan.holdout);
    let training = table.table.take(&split.training);
    let encoder = Encoder::fit(&training, &table.schema, 0)?;
    for (rule, share) in Rules::fit(&table.schema, &training, encoder.least_rows())?.shares(&training)? {
        reasons.push(format!("constraint {rule}: in {} of the rows", percent(share)));
    }
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
    if config.privacy.is_on() {
        return private::open(setup, config);
    }
    let source = described(setup.source, &config)?;
    let split = Split::new(source.table.n_rows(), config.plan.holdout);
    let training = source.table.take(&split.training);
    let encoder = Encoder::fit(&training, &source.schema, 0)?;
    let rules = Rules::fit(&source.schema, &training, encoder.least_rows())?;
    let (layout, _) = layout_of(&encoder);
    if layout.width() == 0 {
        return Err(Error::data(
            source.name.clone(),
            "holds nothing that could be learned: all columns are constant or identify rows",
            "give other columns",
        ));
    }
    let rows = Rows::of(&encoder.encode(&source.table, 0)?);
    let (d, g) = config.network.n_products(&layout);
    if d + g > MOST_WEIGHTS {
        let problem = format!(
            "{} columns with {} values in all make networks of {:.0} million weights",
            layout.n_columns(),
            layout.width(),
            (d + g) / 1e6
        );
        return Err(Error::data(
            source.name.clone(),
            problem,
            "leave columns out by a schema, or set network.width and network.d_width lower",
        ));
    }
    let layout = Arc::new(layout);
    let mut rng = random::stream(setup.seed, "init", 0);
    let mut init = Init { rng: &mut rng, device: &setup.device };
    let players = (RowGenerator::new(&config.network, &layout, &mut init), PackDiscriminator::new(&config.network, &layout, &mut init));
    let game = TwoPlayer::new(players, config.game.clone(), config.plan.steps, setup.seed, setup.device.clone())?;
    Ok(Box::new(TableTask {
        game,
        order: DataOrder::new(setup.seed, "data-order", split.training.len()),
        compared: Some(Compared::of(&source.table, &encoder, &split)),
        judge: None,
        data: DataDescription {
            name: source.name.clone(),
            fingerprint: source.fingerprint.clone(),
            n_samples: rows.n,
            license: source.license.clone(),
        },
        givens: Givens::of(&rows, &layout, &split.training),
        split,
        encoder,
        rules,
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
    rules: Rules,
    layout: Arc<Layout>,
    rows: Rows,
    givens: Givens,
    split: Split,
    /// Order over the training rows.
    order: DataOrder,
    /// What the judge will be made of.
    compared: Option<Compared>,
    judge: Option<TableJudge>,
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
        Drawer { net: &net, layout: &self.layout, calibration, device: &self.device, attempt: 0, sweeps: 0 }.draw(&ids, &[], 1.0)
    }

    /// What brings single columns to their frequencies, found on `n` rows.
    fn calibration(&self, n: usize) -> Calibration {
        if !self.config.data.calibrate {
            return Calibration::default();
        }
        let shares: Vec<f64> = self.encoder.marginals().concat();
        let net = self.game.generator.best();
        let plain = Calibration::default();
        let drawer = Drawer { net: &net, layout: &self.layout, calibration: &plain, device: &self.device, attempt: 0, sweeps: 0 };
        drawer.calibrated(&shares, (0, n), None)
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

impl Task for TableTask {
    fn step(&mut self, step: u64) -> Result<()> {
        let Self { game, rows, givens, split, order, config, layout, seed, device, .. } = self;
        game.step(step, &mut |_, update| {
            let mut rng = random::stream(*seed, "given", update);
            let places = order.batch(update, config.plan.batch).into_iter().map(|i| split.training[i]);
            let drawn: Vec<Given> = places.map(|row| givens.draw(row, config.data.conditions, &mut rng)).collect();
            batch_of(rows, &drawn, (layout, config.network.pack), device)
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
        let drawer = Drawer { net: &net, layout: &self.layout, calibration: &calibration, device: &self.device, attempt: 0, sweeps: 0 };
        Maker { drawer, encoder: &self.encoder, rules: &self.rules }.files(request)
    }

    fn snapshot(&self, seed: u64, n: usize) -> Result<Artifact> {
        let generated = self.generated(seed, n, &Calibration::default());
        chart::columns(&[chart::Part { layout: &self.layout, real: &self.rows, generated: Some(&generated) }], "samples")
    }

    fn real_sheet(&self, _: usize) -> Result<Artifact> {
        chart::columns(&[chart::Part { layout: &self.layout, real: &self.rows, generated: None }], "real")
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
        let calibration = self.calibration(self.n_calibrated());
        let described = Described {
            network: self.config.network.clone(),
            encoder,
            calibration,
            completes: self.config.game.completion > 0.0,
            rules: self.rules.clone(),
            privacy: None,
        };
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
        if Panel::is_enough(self.split.training.len())
            && let Some(compared) = self.compared.take()
        {
            self.judge = Some(TableJudge::new(compared, (&self.rows, &self.layout), &self.split)?);
        }
        Ok(self.judge.as_ref().map(|judge| judge.panel().clone()))
    }

    fn look(&mut self, seed: u64) -> Result<Look> {
        let Some(judge) = &self.judge else {
            return Err(Error::config("plan.judge_every", "the data is too small to judge by", "set plan.judge_every to 0"));
        };
        let rows = self.generated(seed, judge.n().max(HEARD), &self.calibration(self.n_calibrated().min(CALIBRATED_FOR_A_LOOK)));
        let signal = self.signal(&rows);
        judge.look(&rows, (&self.encoder, &self.layout, &self.rules), signal)
    }

    fn tune(&mut self, tuning: Tuning) {
        self.game.tune(tuning);
    }

    fn plan_steps(&mut self, steps: u64) {
        self.game.plan_steps(steps);
    }
}

fn percent(share: f64) -> String {
    if share > 0.999 && share < 1.0 { "more than 99.9 %".to_owned() } else { format!("{:.1} %", 100.0 * share) }
}
