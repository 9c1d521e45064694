//! The same game under differential privacy: real rows are seen by noisy histograms of single columns and by the clipped, noisy updates of the discriminator, and by nothing else.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;

use super::config::{PrivacyConfig, TableConfig};
use super::model::Described;
use super::{CALIBRATED, MOST_WEIGHTS, described};
use crate::artifact::Artifact;
use crate::config::table_of;
use crate::data::TableSource;
use crate::error::{Error, Result};
use crate::nn::{Init, save_params};
use crate::privacy::{Guarantee, Histogram, Key, surrogate};
use crate::random;
use crate::rowgame::{Calibration, Drawer, Maker, PackDiscriminator, PrivateGame, PrivateRules, RowGenerator, chart};
use crate::run::{DataDescription, HostTensor, NamedTensors, TrainedGenerator};
use crate::table::{ColumnSchema, Constraint, Encoder, Layout, Rows, Rules, Schema, layout_of};
use crate::train::stored::{DISCRIMINATOR, GENERATOR};
use crate::train::{Proposal, SampleId, SampleRequest, Setup, StepReport, Task};

/// Rows that stand in for the real ones.
const SURROGATES: [usize; 2] = [200, 50_000];
/// What a checkpoint calls the part that must stay secret.
const SECRET: &str = "privacy";
const MECHANISM: &str =
    "Poisson-sampled Gaussian mechanism on the discriminator's gradients, Gaussian noise on histograms of single columns; Renyi accounting";

/// Sets up private training.
pub(super) fn open(setup: &Setup<'_>, config: TableConfig) -> Result<Box<dyn Task>> {
    needs_schema(&config)?;
    let source = described(setup.source, &config)?;
    let known = Known { source, config, seed: setup.seed, device: setup.device.clone() };
    Ok(Box::new(PrivateTable::new(known, Key::fresh()?)?))
}

fn needs_schema(config: &TableConfig) -> Result<()> {
    if !config.data.schema.is_empty() {
        return Ok(());
    }
    let problem = "is needed: types, ranges and words found in the data would not be private";
    let remedy = "write one with `ganymede inspect FILE --write-schema`, look at it, since everything in it counts as public, and give it by --schema";
    Err(Error::config("data.schema", problem, remedy))
}

/// What private training costs, found without looking at the data.
pub(super) fn propose(preset: &str, config: &TableConfig) -> Result<Proposal> {
    needs_schema(config)?;
    let PrivacyConfig { epsilon, delta, encoder, .. } = config.privacy;
    let (percent, updates) = (100.0 * encoder, config.plan.steps * config.game.d_steps);
    let reasons = vec![
        format!("privacy: spends epsilon {epsilon} and delta {delta:e} on every row, {percent:.0} % of it on histograms of the columns"),
        format!("privacy: the rest pays for {updates} updates of the discriminator, and for no more; the schema counts as public"),
        "privacy: covers the model folder; checkpoints hold the key of the noise and must stay secret".to_owned(),
    ];
    Ok(Proposal { preset: preset.to_owned(), settings: toml::Table::new(), reasons, estimated_secs: None })
}

fn planned_otherwise(planned: &str) -> Error {
    let problem = format!("the privacy budget of this run was planned for {planned}: going on would spend more than it states");
    Error::config("privacy.epsilon", problem, "go on with what the run was started with, its --steps too, or train a new run")
}

/// What does not change when a run goes on.
#[derive(Clone)]
struct Known {
    source: Arc<TableSource>,
    config: TableConfig,
    seed: u64,
    device: Device,
}

impl Known {
    /// The schema as it was given: what reading the data added to it is not public.
    fn schema(&self) -> Result<Schema> {
        let path = Path::new(&self.config.data.schema);
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")) {
            let problem = "private training needs a schema in TOML, which says formats and ranges";
            return Err(Error::config("data.schema", problem, "write one with `ganymede inspect FILE --write-schema`, and look at it"));
        }
        let schema = Schema::load(path)?;
        let is_fixed = |constraint: &&Constraint| matches!(constraint, Constraint::FixedCombinations { .. });
        if let Some(fixed) = schema.constraints.iter().find(is_fixed) {
            let problem = format!("{fixed}: combinations that the rows hold are not private");
            return Err(Error::config("constraints", problem, "remove the constraint, or join the columns into one"));
        }
        Ok(schema)
    }

    /// The columns of the table as the schema describes them.
    fn columns(&self, schema: &Schema) -> Result<Vec<ColumnSchema>> {
        let of = |name: &String| {
            schema
                .column(name)
                .cloned()
                .ok_or_else(|| Error::config(format!("columns.{name}"), "is not in the schema", "describe it there"))
        };
        let columns: Vec<ColumnSchema> = self.source.table.columns.iter().map(|column| of(&column.name)).collect::<Result<_>>()?;
        columns.iter().try_for_each(Histogram::check)?;
        Ok(columns)
    }

    /// What tells this work from other work that the same noise must not be used for.
    fn seal(&self, key: &Key, schema: &Schema) -> Result<[u8; 32]> {
        let settings = table_of(&self.config)?;
        Ok(key.derive(&format!("{}\n{settings}\n{}", self.source.fingerprint, schema.to_toml(&[])), self.seed))
    }
}

/// A table and the private game about it.
struct PrivateTable {
    known: Known,
    key: Key,
    seal: [u8; 32],
    game: PrivateGame,
    guarantee: Guarantee,
    encoder: Encoder,
    rules: Rules,
    layout: Arc<Layout>,
    /// The real rows.
    rows: Rows,
    /// Rows that may be looked at in their place.
    surrogate: Rows,
    data: DataDescription,
}

impl PrivateTable {
    /// Everything follows from what is known and the key, so that a run that goes on does not look at the rows anew.
    fn new(known: Known, key: Key) -> Result<Self> {
        let Known { source, config, seed, device } = &known;
        let schema = known.schema()?;
        let columns = known.columns(&schema)?;
        let budget = config.privacy.budget();
        let is_counted = |column: &&ColumnSchema| Histogram::is_counted(column);
        let n_open = columns.iter().filter(|column| Histogram::is_open(column)).count();
        let shares = budget.shares(columns.iter().filter(is_counted).count(), n_open)?;

        let n = source.table.n_rows() as f64 + key.stream("rows", 0).laplace(1.0 / shares.count_epsilon);
        let n = n.round().max(1.0) as usize;
        let (rate, updates) = ((config.plan.batch as f64 / n as f64).min(1.0), config.plan.steps * config.game.d_steps);
        let noise = budget.noise(&shares, rate, updates)?;
        let guarantee = Guarantee {
            epsilon: config.privacy.epsilon,
            delta: config.privacy.delta,
            unit: "one row".to_owned(),
            neighbours: "add or remove one row".to_owned(),
            mechanism: MECHANISM.to_owned(),
            noise_multiplier: noise,
            clip: config.privacy.clip,
            sampling_rate: rate,
            updates,
            histogram_noise: shares.histogram_noise,
            count_epsilon: shares.count_epsilon,
        };

        let table = surrogate(&source.table, &columns, (&shares, &key), (n.clamp(SURROGATES[0], SURROGATES[1]), *seed))?;
        let encoder = Encoder::fit(&table, &schema, *seed)?;
        let rules = Rules::fit(&schema, &table, encoder.least_rows())?;
        let (layout, _) = layout_of(&encoder);
        if layout.width() == 0 {
            return Err(Error::data(
                source.name.clone(),
                "holds nothing that could be learned: all columns are constant or identify rows",
                "give other columns",
            ));
        }
        let (d, g) = config.network.n_products(&layout);
        if d + g > MOST_WEIGHTS {
            let problem = format!("{} columns make networks of {:.0} million weights", layout.n_columns(), (d + g) / 1e6);
            return Err(Error::data(
                source.name.clone(),
                problem,
                "leave columns out by a schema, or set network.width and network.d_width lower",
            ));
        }
        // How a row is encoded may depend on the row and on chance, not on its place: others would move when one is removed.
        let rows = Rows::of(&encoder.encode(&source.table, key.stream("encode", 0).bits())?);
        let surrogate = Rows::of(&encoder.encode(&table, *seed)?);

        let layout = Arc::new(layout);
        let mut rng = random::stream(*seed, "init", 0);
        let mut init = Init { rng: &mut rng, device };
        let players = (RowGenerator::new(&config.network, &layout, &mut init), PackDiscriminator::new(&config.network, &layout, &mut init));
        let play = PrivateRules { clip: config.privacy.clip, noise, rate, batch: config.plan.batch, steps: config.plan.steps };
        let game = PrivateGame::new(players, (config.game.clone(), play), layout.clone(), (key.clone(), *seed), device.clone());
        // Neither how many rows there are nor a fingerprint of them is private.
        let data = DataDescription { name: source.name.clone(), fingerprint: String::new(), n_samples: n, license: source.license.clone() };
        let seal = known.seal(&key, &schema)?;
        Ok(Self { key, seal, game, guarantee, encoder, rules, layout, rows, surrogate, data, known })
    }

    fn drawer<'a>(&'a self, net: &'a RowGenerator, calibration: &'a Calibration) -> Drawer<'a> {
        Drawer { net, layout: &self.layout, calibration, device: &self.known.device, attempt: 0, sweeps: 0 }
    }

    /// As without privacy, by the surrogate's frequencies.
    fn calibration(&self, net: &RowGenerator) -> Calibration {
        if !self.known.config.data.calibrate {
            return Calibration::default();
        }
        let shares: Vec<f64> = self.encoder.marginals().concat();
        let n = (20 * self.surrogate.n).clamp(1000, CALIBRATED);
        self.drawer(net, &Calibration::default()).calibrated(&shares, (0, n), None)
    }

    /// The key of a checkpoint, if it belongs to this work.
    fn unsealed(&self, tensors: NamedTensors) -> Result<Key> {
        let bytes = |name: &str| -> Option<[u8; 32]> {
            let (_, tensor) = tensors.iter().find(|(own, _)| own == name)?;
            let is_byte = |v: &f32| (0.0..256.0).contains(v) && v.fract() == 0.0;
            if tensor.shape != [32] || !tensor.values.iter().all(is_byte) {
                return None;
            }
            tensor.values.iter().map(|v| *v as u8).collect::<Vec<u8>>().try_into().ok()
        };
        let (Some(key), Some(seal), 2) = (bytes("key"), bytes("seal"), tensors.len()) else {
            return Err(Error::run("checkpoint", "the key that its noise is made of is missing or damaged", "train a new run"));
        };
        let key = Key::of(key);
        if self.known.seal(&key, &self.known.schema()?)? != seal {
            return Err(planned_otherwise("other settings or data"));
        }
        Ok(key)
    }
}

impl Task for PrivateTable {
    fn step(&mut self, step: u64) -> Result<()> {
        self.game.step(step, &self.rows)
    }

    fn report(&mut self) -> Result<StepReport> {
        Ok(self.game.report(&self.surrogate))
    }

    fn data(&self) -> &DataDescription {
        &self.data
    }

    fn batch(&self) -> usize {
        self.known.config.plan.batch
    }

    fn sample(&self, request: &SampleRequest) -> Result<Vec<Artifact>> {
        let net = self.game.generator.best();
        let calibration = self.calibration(&net);
        Maker { drawer: self.drawer(&net, &calibration), encoder: &self.encoder, rules: &self.rules }.files(request)
    }

    fn snapshot(&self, seed: u64, n: usize) -> Result<Artifact> {
        let ids: Vec<SampleId> = (0..n as u64).map(|index| SampleId { seed, index }).collect();
        let generated = self.drawer(&self.game.generator.best(), &Calibration::default()).draw(&ids, &[], 1.0);
        chart::columns(&[chart::Part { layout: &self.layout, real: &self.surrogate, generated: Some(&generated) }], "samples")
    }

    fn real_sheet(&self, _: usize) -> Result<Artifact> {
        chart::columns(&[chart::Part { layout: &self.layout, real: &self.surrogate, generated: None }], "real")
    }

    fn save_state(&self) -> Result<Vec<(String, NamedTensors)>> {
        let secret = |name: &str, bytes: &[u8; 32]| {
            (name.to_owned(), HostTensor { shape: vec![bytes.len()], values: bytes.iter().map(|byte| f32::from(*byte)).collect() })
        };
        let mut players = self.game.save_state();
        players.push((SECRET.to_owned(), vec![secret("key", self.key.bytes()), secret("seal", &self.seal)]));
        Ok(players)
    }

    fn load_state(&mut self, players: Vec<(String, NamedTensors)>) -> Result<()> {
        let (secret, players): (Vec<_>, Vec<_>) = players.into_iter().partition(|(name, _)| name == SECRET);
        let key = self.unsealed(secret.into_iter().flat_map(|(_, tensors)| tensors).collect())?;
        if key == self.key {
            return self.game.load_state(players);
        }
        // What the fresh key gave was never shown to anybody, and so costs nothing.
        let mut own = Self::new(self.known.clone(), key)?;
        own.game.load_state(players)?;
        *self = own;
        Ok(())
    }

    fn may_go_on_to(&self, _: u64) -> Result<()> {
        Err(planned_otherwise("fewer steps"))
    }

    fn model(&self) -> Result<TrainedGenerator> {
        let encoder =
            serde_json::to_value(&self.encoder).map_err(|e| Error::data(self.data.name.clone(), e.to_string(), "please report this"))?;
        let net = self.game.generator.best();
        let described = Described {
            network: self.known.config.network.clone(),
            encoder,
            calibration: self.calibration(&net),
            completes: false,
            rules: self.rules.clone(),
            privacy: Some(self.guarantee.clone()),
        };
        Ok(TrainedGenerator {
            weights: save_params(&net, GENERATOR),
            discriminator: save_params(&self.game.discriminator.best(), DISCRIMINATOR),
            generator: serde_json::to_value(described).expect("plain numbers and names are valid JSON"),
            classes: Vec::new(),
            metrics: serde_json::Map::new(),
        })
    }
}
