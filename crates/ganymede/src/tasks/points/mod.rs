//! Points: rows of a few numbers, by fully connected networks. The vanilla GAN, and the classic test beds with known modes.

mod chart;
mod config;
mod evaluate;
mod modes;
mod nets;

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

pub use config::{Network, PointsConfig};
pub use modes::{ModeCount, count_modes};
use nets::{PointDiscriminator, PointGenerator};

use crate::artifact::Artifact;
use crate::config::{resolve, table_of};
use crate::data::{PointTable, Source};
use crate::error::{Error, Result};
use crate::judge::{Look, Panel, RowJudge, Signal, Split};
use crate::nn::{Generator, Init, save_params};
use crate::random::{self, DataOrder};
use crate::run::{DataDescription, ModelDescription, ModelFolder, NamedTensors, TrainedGenerator};
use crate::train::estimate::estimate_secs;
use crate::train::latents::sample_latents;
use crate::train::stored::{DISCRIMINATOR, GENERATOR, Stored};
use crate::train::{
    Asked, Batch, Confidence, Model, Preset, Proposal, SampleId, SampleRequest, Setup, StepReport, Task, TaskEntry, Tuning, TwoPlayer, Wish,
};

/// Samples are computed this many at a time, always exactly so many: a sample does not depend on which others are drawn with it.
const CHUNK: usize = 256;
/// Samples of the mode count, as in PacGAN's protocol.
const COUNTED: usize = 2500;

/// Rows of each kind that the discriminator is asked about.
const HEARD: usize = 1000;

/// The row of the table of tasks.
pub const ENTRY: TaskEntry = TaskEntry {
    name: "points",
    summary: "rows of a few numbers; ring and grid, the classic tests of mode collapse",
    presets: &[
        Preset {
            name: "relativistic",
            summary: "fully connected networks, relativistic loss with R1 and R2: finds every mode",
            toml: include_str!("presets/relativistic.toml"),
        },
        Preset {
            name: "vanilla",
            summary: "the original GAN without any remedy: shows mode collapse",
            toml: include_str!("presets/vanilla.toml"),
        },
        Preset { name: "wgan-gp", summary: "Wasserstein loss with gradient penalty", toml: include_str!("presets/wgan-gp.toml") },
    ],
    recognizes,
    propose,
    resolve: |layers| {
        let (config, table) = resolve::<PointsConfig>(layers)?;
        config.validate()?;
        Ok(table)
    },
    plan: |table| Ok(resolve::<PointsConfig>(std::slice::from_ref(table))?.0.plan),
    inherit,
    open,
    load_model: |folder, device| Ok(Box::new(PointModel::open(folder, device)?)),
    evaluate: evaluate::evaluate,
};

fn recognizes(source: &Source) -> Option<Confidence> {
    let Source::Points(table) = source else { return None };
    let modes = table.modes.as_ref().map(|m| format!(", a mixture of {} Gaussians", m.centers.len())).unwrap_or_default();
    Some(Confidence { score: 0.5, reason: format!("{} rows of {} numbers{modes}", table.n_rows(), table.dim()) })
}

fn propose(source: &Source, device: &Device, asked: &Asked<'_>) -> Result<Proposal> {
    let table = points(source)?;
    let mut reasons = Vec::new();
    let preset = asked.preset.unwrap_or_else(|| {
        reasons.push("preset relativistic, which finds every mode of the classic tests".to_owned());
        "relativistic"
    });
    let mut settings = Table::new();
    // Measured on ring and grid: more latent dimensions than the data has make networks lose modes.
    let latent_dim = table.dim().clamp(2, 128);
    settings.insert("network".into(), Value::Table(Table::from_iter([("latent_dim".to_owned(), Value::Integer(latent_dim as i64))])));
    if table.n_rows() < 256 {
        let plan = Table::from_iter([("batch".to_owned(), Value::Integer(table.n_rows() as i64))]);
        settings.insert("plan".into(), Value::Table(plan));
        reasons.push(format!("batches of all {} rows, because there are so few", table.n_rows()));
    }
    let mut layers = vec![ENTRY.preset(preset)?.table()?, settings.clone()];
    layers.extend_from_slice(asked.settings);
    let (config, _) = resolve::<PointsConfig>(&layers)?;
    let products = config.network.n_products(table.dim());
    let estimated_secs = Some(estimate_secs(&config.game, &config.plan, products, products, device));
    Ok(Proposal { preset: preset.to_owned(), settings, reasons, estimated_secs })
}

/// The networks' shape.
fn inherit(model: &ModelFolder) -> Result<Table> {
    let described: Described = Stored::read(model)?.described()?;
    Ok(Table::from_iter([("network".to_owned(), table_of(&described.network)?)]))
}

fn points(source: &Source) -> Result<&PointTable> {
    match source {
        Source::Points(table) => Ok(table),
        _ => Err(Error::data(source.name(), "is not made of rows of numbers", "choose another task; see `ganymede tasks`")),
    }
}

fn open(setup: &Setup<'_>) -> Result<Box<dyn Task>> {
    let table = points(setup.source)?.clone();
    let (config, _) = resolve::<PointsConfig>(std::slice::from_ref(setup.config))?;
    config.validate()?;
    if table.dim() > Network::MAX_DIM {
        let problem = format!("has {} columns", table.dim());
        return Err(Error::data(&table.name, problem, format!("keep at most {} columns", Network::MAX_DIM)));
    }
    let mut rng = random::stream(setup.seed, "init", 0);
    let mut init = Init { rng: &mut rng, device: &setup.device };
    let generator = PointGenerator::new(&config.network, table.dim(), &mut init);
    let discriminator = PointDiscriminator::new(&config.network, table.dim(), &mut init);
    let game = TwoPlayer::new((generator, discriminator), config.game.clone(), config.plan.steps, setup.seed, setup.device.clone())?;
    let codec = Codec::fit(&table);
    let split = Split::new(table.n_rows(), config.plan.holdout);
    Ok(Box::new(PointTask {
        game,
        order: DataOrder::new(setup.seed, "data-order", split.training.len()),
        split,
        judge: None,
        encoded: codec.encode(&table.values),
        codec,
        data: DataDescription {
            name: table.name.clone(),
            fingerprint: table.fingerprint(),
            n_samples: table.n_rows(),
            license: table.license.clone(),
        },
        table,
        network: config.network,
        batch: config.plan.batch,
        device: setup.device.clone(),
    }))
}

/// Columns standardised to mean 0 and variance 1; constant columns are kept as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Codec {
    columns: Vec<String>,
    mean: Vec<f64>,
    std: Vec<f64>,
}

impl Codec {
    fn fit(table: &PointTable) -> Self {
        let (n, dim) = (table.n_rows() as f64, table.dim());
        let column = |c: usize| table.values.iter().skip(c).step_by(dim).map(|v| f64::from(*v));
        let mean: Vec<f64> = (0..dim).map(|c| column(c).sum::<f64>() / n).collect();
        let std = (0..dim).map(|c| (column(c).map(|v| (v - mean[c]).powi(2)).sum::<f64>() / n).sqrt());
        let std = std.map(|s| if s > 0.0 { s } else { 1.0 }).collect();
        Self { columns: table.columns.clone(), mean, std }
    }

    fn encode(&self, values: &[f32]) -> Vec<f32> {
        let dim = self.columns.len();
        values.iter().enumerate().map(|(i, v)| ((f64::from(*v) - self.mean[i % dim]) / self.std[i % dim]) as f32).collect()
    }

    fn decode(&self, values: &[f32]) -> Vec<f32> {
        let dim = self.columns.len();
        values.iter().enumerate().map(|(i, v)| (f64::from(*v) * self.std[i % dim] + self.mean[i % dim]) as f32).collect()
    }
}

/// Rows `[n, dim]` in the data's units, row-major.
fn draw(generator: &PointGenerator, codec: &Codec, ids: &[SampleId], truncation: f64, device: &Device) -> Vec<f32> {
    let (latent_dim, dim) = (generator.latent_dim(), codec.columns.len());
    let mut rows = Vec::with_capacity(ids.len() * dim);
    for chunk in ids.chunks(CHUNK) {
        let latents = sample_latents(chunk, CHUNK, latent_dim, truncation, device);
        let values = generator.forward(latents, None).into_data().convert::<f32>().try_to_vec::<f32>().expect("converted to f32");
        rows.extend(codec.decode(&values[..chunk.len() * dim]));
    }
    rows
}

/// A CSV file with all requested rows, or one file each.
fn files(generator: &PointGenerator, codec: &Codec, request: &SampleRequest, device: &Device) -> Result<Vec<Artifact>> {
    if request.wish != Wish::Any {
        return Err(Error::config("sample", "a model of points cannot be asked for anything", "leave --label, --where and --prompt out"));
    }
    let rows = draw(generator, codec, &request.ids, request.truncation, device);
    let dim = codec.columns.len();
    let csv = |rows: &[f32], stem: String| -> Artifact {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let wrote = writer
            .write_record(&codec.columns)
            .and_then(|()| rows.chunks_exact(dim).try_for_each(|row| writer.write_record(row.iter().map(ToString::to_string))));
        wrote.expect("writing to memory does not fail");
        let bytes = writer.into_inner().expect("writing to memory does not fail");
        Artifact { media_type: "text/csv", extension: "csv", stem, bytes }
    };
    if request.sheet {
        return Ok(vec![csv(&rows, "samples".to_owned())]);
    }
    Ok(rows.chunks_exact(dim).zip(&request.ids).map(|(row, id)| csv(row, id.to_string())).collect())
}

/// Rows of numbers and the game about them.
struct PointTask {
    game: TwoPlayer<2, PointGenerator, PointDiscriminator>,
    table: PointTable,
    /// Standardised rows, `[n, dim]`.
    encoded: Vec<f32>,
    codec: Codec,
    /// What is learned from and what is not.
    split: Split,
    /// Order over the training rows.
    order: DataOrder,
    judge: Option<RowJudge>,
    data: DataDescription,
    network: Network,
    batch: usize,
    device: Device,
}

impl PointTask {
    fn generated(&self, seed: u64, n: usize) -> Vec<f32> {
        let ids: Vec<SampleId> = (0..n as u64).map(|index| SampleId { seed, index }).collect();
        draw(&self.game.generator.best(), &self.codec, &ids, 1.0, &self.device)
    }
}

impl PointTask {
    /// What the discriminator says to training, held-out and the given generated rows.
    fn signal(&self, generated: &[f32]) -> Option<Signal> {
        let dim = self.table.dim();
        let mean = |rows: Vec<f32>| {
            let n = rows.len() / dim;
            self.game.mean_logit(Tensor::from_data(TensorData::new(rows, [n, dim]), &self.device), None)
        };
        let real = |positions: &[usize]| {
            let chosen = positions.iter().step_by(positions.len().div_ceil(HEARD).max(1));
            mean(chosen.flat_map(|i| self.encoded[i * dim..(i + 1) * dim].iter().copied()).collect())
        };
        if self.split.held_out.is_empty() {
            return None;
        }
        let own = generated[..generated.len().min(HEARD * dim)].to_vec();
        Some(Signal { training: real(&self.split.training)?, held_out: real(&self.split.held_out)?, generated: mean(own)? })
    }
}

impl Task for PointTask {
    fn step(&mut self, step: u64) -> Result<()> {
        let Self { game, encoded, split, order, batch, device, table, .. } = self;
        let dim = table.dim();
        game.step(step, &mut |_, update| {
            let mut rows = Vec::with_capacity(*batch * dim);
            for i in order.batch(update, *batch) {
                let row = split.training[i];
                rows.extend_from_slice(&encoded[row * dim..(row + 1) * dim]);
            }
            Batch { real: Tensor::from_data(TensorData::new(rows, [*batch, dim]), &*device), condition: None, distortions: None }
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
        self.batch
    }

    fn sample(&self, request: &SampleRequest) -> Result<Vec<Artifact>> {
        files(&self.game.generator.best(), &self.codec, request, &self.device)
    }

    fn snapshot(&self, seed: u64, n: usize) -> Result<Artifact> {
        chart::scatter(&self.table, &self.generated(seed, n), "samples")
    }

    fn real_sheet(&self, n: usize) -> Result<Artifact> {
        let training = &self.split.training;
        let rows = DataOrder::new(0, "real-sheet", training.len()).batch(0, n.min(training.len()));
        let values: Vec<f32> = rows.into_iter().flat_map(|i| self.table.row(training[i]).iter().copied()).collect();
        chart::scatter(&self.table, &values, "real")
    }

    fn save_state(&self) -> Result<Vec<(String, NamedTensors)>> {
        Ok(self.game.save_state())
    }

    fn load_state(&mut self, players: Vec<(String, NamedTensors)>) -> Result<()> {
        self.game.load_state(players)
    }

    fn model(&self) -> Result<TrainedGenerator> {
        let described = Described { network: self.network.clone(), codec: self.codec.clone() };
        let mut metrics = serde_json::Map::new();
        if let Some(modes) = &self.table.modes {
            let count = count_modes(modes, &self.generated(0, COUNTED));
            metrics.insert("modes".into(), count.modes.into());
            metrics.insert("high_quality".into(), count.high_quality.into());
        }
        Ok(TrainedGenerator {
            weights: save_params(&self.game.generator.best(), GENERATOR),
            discriminator: save_params(&self.game.discriminator.best(), DISCRIMINATOR),
            generator: serde_json::to_value(described).expect("plain numbers and names are valid JSON"),
            classes: Vec::new(),
            metrics,
        })
    }

    fn take_over(&mut self, model: &ModelFolder) -> Result<Vec<String>> {
        self.game.take_over(model)
    }

    fn panel(&mut self, _: &mut dyn FnMut(u64, u64)) -> Result<Option<Arc<Panel>>> {
        if self.judge.is_none() && Panel::is_enough(self.split.training.len()) {
            self.judge = Some(judge(&self.encoded, self.table.dim(), &self.split, usize::MAX)?);
        }
        Ok(self.judge.as_ref().map(|judge| judge.panel.clone()))
    }

    fn look(&mut self, seed: u64) -> Result<Look> {
        let Some(judge) = &self.judge else {
            return Err(Error::config("plan.judge_every", "the data is too small to judge by", "set plan.judge_every to 0"));
        };
        let rows = self.codec.encode(&self.generated(seed, judge.panel.n()));
        let signal = self.signal(&rows);
        judge.look(&rows, signal)
    }

    fn tune(&mut self, tuning: Tuning) {
        self.game.tune(tuning);
    }

    fn plan_steps(&mut self, steps: u64) {
        self.game.plan_steps(steps);
    }

    fn quick_metrics(&mut self) -> Result<Vec<(&'static str, f64)>> {
        let Some(modes) = &self.table.modes else { return Ok(Vec::new()) };
        let count = count_modes(modes, &self.generated(0, COUNTED));
        Ok(vec![("modes", count.modes as f64), ("high_quality", count.high_quality)])
    }
}

/// What standardised rows are judged by; at most `most` of them will be.
fn judge(rows: &[f32], dim: usize, split: &Split, most: usize) -> Result<RowJudge> {
    RowJudge::new(rows, &(0..dim).collect::<Vec<_>>(), split, ("the standardised columns", "nearest", most))
}

/// The part of `model.json` that is the task's own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    network: Network,
    codec: Codec,
}

/// A generator opened from a model folder.
struct PointModel {
    description: ModelDescription,
    codec: Codec,
    net: PointGenerator,
    device: Device,
}

impl PointModel {
    fn open(folder: &ModelFolder, device: &Device) -> Result<Self> {
        let stored = Stored::read(folder)?;
        let Described { network, codec } = stored.described()?;
        network.validate().map_err(|e| stored.damaged(format!("model.json: {e}")))?;
        let dim = codec.columns.len();
        let finite = codec.mean.iter().chain(&codec.std).all(|v| v.is_finite());
        if dim == 0 || dim > Network::MAX_DIM || codec.mean.len() != dim || codec.std.len() != dim || !finite {
            return Err(stored.damaged("model.json: the columns and their means and deviations do not fit together"));
        }
        stored.check_size(network.n_hidden_weights() as u64)?;
        let mut rng = random::stream(0, "init", 0);
        let fresh = PointGenerator::new(&network, dim, &mut Init { rng: &mut rng, device });
        let net = stored.into_generator(&fresh)?;
        Ok(Self { description: folder.description().clone(), codec, net, device: device.clone() })
    }
}

impl Model for PointModel {
    fn description(&self) -> &ModelDescription {
        &self.description
    }

    fn sample(&self, request: &SampleRequest) -> Result<Vec<Artifact>> {
        files(&self.net, &self.codec, request, &self.device)
    }

    fn latent_dim(&self) -> usize {
        self.net.latent_dim()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standardised_rows_come_back_as_they_were() {
        let Source::Points(table) = Source::open("grid").unwrap() else { unreachable!("grid is points") };
        let codec = Codec::fit(&table);
        let encoded = codec.encode(&table.values[..200]);
        for (a, b) in codec.decode(&encoded).iter().zip(&table.values) {
            assert!((a - b).abs() < 1e-5);
        }
        let all = codec.encode(&table.values);
        let variance = all.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / all.len() as f64;
        assert!((variance - 1.0).abs() < 1e-3, "{variance}");
    }

    #[test]
    fn the_data_itself_has_all_modes_and_the_quality_of_three_deviations() {
        let Source::Points(table) = Source::open("ring").unwrap() else { unreachable!("ring is points") };
        let modes = table.modes.as_ref().unwrap();
        let count = count_modes(modes, &table.values[..2 * COUNTED]);
        assert_eq!(count.modes, 8);
        // A two-dimensional Gaussian has 1 - exp(-9 / 2) = 98.9 % of its mass within three standard deviations.
        assert!((count.high_quality - 0.989).abs() < 0.01, "{}", count.high_quality);
    }
}
