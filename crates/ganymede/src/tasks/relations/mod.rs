//! Several tables that refer to each other by keys.
//!
//! Each table has a game of its own on its rows. A row is learned knowing the rows that it refers to, and those that they belong to in turn; how many rows refer to it is a column of its own, so that the
//! numbers of children are learned with what a row is. Keys are never learned, but made anew. So parents are drawn first, and then as many children as each has.

mod codec;
mod config;
mod drawing;
mod evaluate;
mod family;
mod figures;
mod game;
mod model;
mod sketch;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use toml::Table as Toml;

use codec::{Codec, learned_schema, learned_table};
pub use config::{DataConfig, RelationsConfig};
use drawing::{Drawn, part_of};
use family::Family;
use game::{TableGame, batch_size};
use model::{Described, DescribedTable, Learned, RelationsModel, prefix};
use sketch::Sketch;

use crate::artifact::Artifact;
use crate::config::{resolve, table_of};
use crate::data::{Source, TablesSource, with_commas};
use crate::error::{Error, Result};
use crate::judge::{Look, Panel, RowJudge, Signal, Split};
use crate::nn::save_params;
use crate::random;
pub use crate::rowgame::Network;
use crate::rowgame::{Calibration, RowGenerator, chart};
use crate::run::{DataDescription, ModelFolder, NamedTensors, TrainedGenerator};
use crate::table::Rows;
use crate::train::estimate::estimate_secs;
use crate::train::stored::{DISCRIMINATOR, GENERATOR, Stored};
use crate::train::{Asked, Confidence, Plan, Preset, Proposal, SampleId, SampleRequest, Setup, StepReport, Task, TaskEntry, Tuning};

/// Weights of all networks at most: 2 GB with what Adam and the averages keep.
const MOST_WEIGHTS: f64 = 1.2e8;
/// Lines about tables and columns before training.
const SHOWN: usize = 40;
/// Rows that single columns are adjusted by where rows are only looked at.
const CALIBRATED_FOR_A_LOOK: usize = 4000;
/// Rows of the first table that are drawn to be looked at, at least.
const LOOKED_AT: usize = 1024;

/// The row of the table of tasks.
pub const ENTRY: TaskEntry = TaskEntry {
    name: "relations",
    summary: "several tables with foreign keys: parents first, children knowing their parent, keys that fit",
    presets: &[
        Preset {
            name: "quick",
            summary: "fully connected networks for each table: minutes on a CPU",
            toml: include_str!("presets/quick.toml"),
        },
        Preset { name: "thorough", summary: "wider networks and four times the steps", toml: include_str!("presets/thorough.toml") },
    ],
    recognizes,
    propose,
    resolve: |layers| {
        let (config, table) = resolve::<RelationsConfig>(layers)?;
        config.validate()?;
        Ok(table)
    },
    plan: |table| Ok(parse(table)?.plan),
    inherit,
    open,
    load_model: |folder, device| Ok(Box::new(RelationsModel::open(folder, device)?)),
    evaluate: evaluate::evaluate,
};

fn recognizes(source: &Source) -> Option<Confidence> {
    let Source::Tables(tables) = source else { return None };
    let rows: usize = tables.tables.iter().map(|table| table.table.n_rows()).sum();
    let (n, keys) = (tables.tables.len(), tables.schema.foreign_keys.len());
    let keys = if keys == 1 { "1 foreign key".to_owned() } else { format!("{keys} foreign keys") };
    Some(Confidence { score: 0.9, reason: format!("{} rows in {n} tables with {keys}", with_commas(rows)) })
}

fn parse(table: &Toml) -> Result<RelationsConfig> {
    Ok(resolve::<RelationsConfig>(std::slice::from_ref(table))?.0)
}

/// The tables as the settings describe them.
fn described(source: &Source, config: &RelationsConfig) -> Result<Arc<TablesSource>> {
    let mut tables = source.database()?;
    if !config.data.schema.is_empty() {
        tables = Arc::new(tables.with_schema(Path::new(&config.data.schema))?);
    }
    if tables.schema.foreign_keys.iter().all(|key| key.table == key.refers_to) {
        let problem = "no column of one of its tables was found to hold the keys of another";
        let remedy = "name foreign keys in a schema: `ganymede inspect FOLDER --write-schema` writes one to be changed; or learn a table by itself: name its file";
        return Err(Error::data(tables.name.clone(), problem, remedy));
    }
    Ok(tables)
}

/// Tables that were read, parted and encoded.
struct Prepared {
    learned: Learned,
    split: Vec<Split>,
    /// For each table and each of its foreign keys the row that each row refers to.
    parents: Vec<Vec<Vec<Option<u32>>>>,
    /// All rows beside what is known of them, and by themselves.
    whole: Vec<Arc<Rows>>,
    own: Vec<Arc<Rows>>,
}

impl Prepared {
    fn of(source: &TablesSource, holdout: f64) -> Result<Self> {
        let schema = source.schema.clone();
        let n_rows: Vec<usize> = source.tables.iter().map(|table| table.table.n_rows()).collect();
        let family = Family::of(&schema, &source.links, &n_rows);
        let split = family.split(&schema, &source.links, &n_rows, holdout);
        let (mut codecs, mut own) = (Vec::new(), Vec::new());
        for (at, table) in source.tables.iter().enumerate() {
            let columns = learned_schema(&schema, &family, at);
            let rows = learned_table(&schema, &family, &source.links, (at, &table.table));
            let codec = Codec::fit(&rows.take(&split[at].training), &columns, &schema.tables[at].name)?;
            own.push(Arc::new(codec.rows(&rows, table.table.n_rows())?));
            codecs.push(codec);
        }
        let learned = Learned::new(schema, family, codecs);
        let parents: Vec<Vec<Vec<Option<u32>>>> = (0..own.len())
            .map(|table| learned.schema.foreign_keys_of(table).into_iter().map(|key| source.links[key].rows.clone()).collect())
            .collect();
        let mut whole: Vec<Arc<Rows>> = vec![Arc::default(); own.len()];
        for table in learned.schema.order().unwrap_or_default() {
            let known = learned.contexts[table].rows(n_rows[table], (&whole, &own), &parents[table]);
            whole[table] = Arc::new(known.beside(&own[table]));
        }
        Ok(Self { learned, split, parents, whole, own })
    }
}

/// Preset and time for these tables on this device.
fn propose(source: &Source, device: &Device, asked: &Asked<'_>) -> Result<Proposal> {
    let preset = asked.preset.unwrap_or("quick");
    let mut layers = vec![ENTRY.preset(preset)?.table()?];
    layers.extend_from_slice(asked.settings);
    let (config, _) = resolve::<RelationsConfig>(&layers)?;
    let tables = described(source, &config)?;
    let columns = tables.tables.iter().flat_map(|table| table.found.reasons.iter().map(|reason| format!("{}.{reason}", table.name)));
    let mut reasons: Vec<String> = tables.reasons.iter().chain(&tables.notes).cloned().chain(columns).collect();
    if reasons.len() > SHOWN {
        let n_more = reasons.len() - SHOWN;
        reasons.truncate(SHOWN);
        reasons.push(format!("and {n_more} more lines; `ganymede inspect` gives them"));
    }
    let Prepared { learned, split, .. } = Prepared::of(&tables, config.plan.holdout)?;
    let of_table = |(table, shape): (usize, &game::Shape)| {
        let batch = batch_size(split[table].training.len(), config.plan.batch, config.network.pack);
        let (d, g) = config.network.n_products(&shape.layout);
        estimate_secs(&config.game, &Plan { batch, ..config.plan.clone() }, d, g, device)
    };
    let games = learned.shapes.iter().enumerate().filter(|(_, shape)| shape.is_learned());
    let estimated_secs = Some(games.map(of_table).sum());
    Ok(Proposal { preset: preset.to_owned(), settings: Toml::new(), reasons, estimated_secs })
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
    let prepared = Prepared::of(&source, config.plan.holdout)?;
    let learned = &prepared.learned;
    let weights: f64 = learned.shapes.iter().map(|shape| config.network.n_products(&shape.layout)).map(|(d, g)| d + g).sum();
    if weights > MOST_WEIGHTS {
        let problem = format!("all tables together make networks of {:.0} million weights", weights / 1e6);
        let remedy = "leave columns out by a schema, or set network.width and network.d_width lower";
        return Err(Error::data(source.name.clone(), problem, remedy));
    }
    let mut games = Vec::new();
    for (at, shape) in learned.shapes.iter().enumerate() {
        let rules = game::Rules {
            network: &config.network,
            game: &config.game,
            steps: config.plan.steps,
            batch: config.plan.batch,
            // Tables do not share their noise.
            seed: random::mix(setup.seed ^ random::mix(at as u64 + 1)),
            device: &setup.device,
        };
        let new = || TableGame::new(&rules, shape, prepared.whole[at].clone(), &prepared.split[at].training);
        games.push(if shape.is_learned() { Some(new()?) } else { None });
    }
    if games.iter().all(Option::is_none) {
        let problem = "holds nothing that could be learned: all columns are constant or identify rows, and all rows have as many children";
        return Err(Error::data(source.name.clone(), problem, "give other columns"));
    }
    Ok(Box::new(RelationsTask {
        data: DataDescription {
            name: source.name.clone(),
            fingerprint: source.fingerprint.clone(),
            n_samples: prepared.own[learned.family.first].n,
            license: source.license.clone(),
        },
        sketch: Sketch::new(&learned.schema, &learned.family, &learned.own),
        prepared,
        games,
        judge: None,
        config,
        device: setup.device.clone(),
    }))
}

/// Tables and the games about them.
struct RelationsTask {
    prepared: Prepared,
    /// Nothing where a table has nothing to learn.
    games: Vec<Option<TableGame>>,
    sketch: Sketch,
    judge: Option<RowJudge>,
    data: DataDescription,
    config: RelationsConfig,
    device: Device,
}

impl RelationsTask {
    fn playing(&self) -> impl Iterator<Item = (usize, &TableGame)> {
        self.games.iter().enumerate().filter_map(|(at, game)| Some((at, game.as_ref()?)))
    }

    fn playing_mut(&mut self) -> impl Iterator<Item = (usize, &mut TableGame)> {
        self.games.iter_mut().enumerate().filter_map(|(at, game)| Some((at, game.as_mut()?)))
    }

    /// The averaged generators.
    fn nets(&self) -> Vec<Option<RowGenerator>> {
        self.games.iter().map(|game| game.as_ref().map(|game| game.players.generator.best())).collect()
    }

    /// What brings single columns to their frequencies, found on so many rows of each table at most.
    fn calibrations(&self, nets: &[Option<RowGenerator>], n: usize) -> Vec<Calibration> {
        let of = |(at, net): (usize, &Option<RowGenerator>)| match (net, &self.games[at]) {
            (Some(net), Some(game)) if self.config.data.calibrate => {
                let n_known = self.prepared.learned.contexts[at].layout.n_codes();
                let own = self.prepared.learned.codecs[at].encoder.as_ref().map_or_else(Vec::new, |encoder| encoder.marginals().concat());
                game.calibration(net, &[vec![0.0; n_known], own].concat(), n)
            }
            _ => Calibration::default(),
        };
        nets.iter().enumerate().map(of).collect()
    }

    /// Rows of the first table, and all that belongs to them.
    fn drawn(&self, seed: u64, n: usize, n_calibrated: Option<usize>) -> Result<Drawn> {
        let nets = self.nets();
        let plain = || vec![Calibration::default(); nets.len()];
        let calibrations = n_calibrated.map_or_else(plain, |n| self.calibrations(&nets, n));
        let ids: Vec<SampleId> = (0..n as u64).map(|index| SampleId { seed, index }).collect();
        self.prepared.learned.pen(&nets, &calibrations, &self.device).draw(&ids, 1.0)
    }

    /// Rows of each table without what was known of them.
    fn own_of(&self, drawn: &Drawn) -> Vec<Arc<Rows>> {
        let of = |(whole, context): (&Arc<Rows>, &codec::Context)| {
            Arc::new(part_of(whole, [context.layout.categories.len(), context.layout.numbers.len()]))
        };
        drawn.whole.iter().zip(&self.prepared.learned.contexts).map(of).collect()
    }

    fn charts(&self, drawn: Option<&Drawn>, stem: &str) -> Result<Artifact> {
        let own = drawn.map(|drawn| self.own_of(drawn));
        let of_table = |at: usize| chart::Part {
            layout: &self.prepared.learned.own[at],
            real: &self.prepared.own[at],
            generated: own.as_ref().map(|own| &*own[at]),
        };
        chart::columns(&(0..self.prepared.own.len()).map(of_table).collect::<Vec<_>>(), stem)
    }

    /// What the discriminators say to training, held-out and generated rows, on average over the tables.
    fn signal(&self, drawn: &Drawn) -> Option<Signal> {
        let mut sums = [0.0; 3];
        let mut n = 0.0;
        for (at, game) in self.playing() {
            let split = &self.prepared.split[at];
            let heard = [game.mean_logit_of(&split.training)?, game.mean_logit_of(&split.held_out)?, game.mean_logit(&drawn.whole[at])?];
            sums.iter_mut().zip(heard).for_each(|(sum, own)| *sum += own);
            n += 1.0;
        }
        let [training, held_out, generated] = sums.map(|sum| sum / n);
        Some(Signal { training, held_out, generated })
    }
}

impl Task for RelationsTask {
    fn step(&mut self, step: u64) -> Result<()> {
        self.playing_mut().for_each(|(_, game)| game.step(step));
        Ok(())
    }

    fn report(&mut self) -> Result<StepReport> {
        let reports: Vec<StepReport> = self.playing().map(|(_, game)| game.players.report()).collect();
        Ok(mean_of(&reports))
    }

    fn data(&self) -> &DataDescription {
        &self.data
    }

    /// Rows of the table of which most are shown: those of all tables belong together.
    fn batch(&self) -> usize {
        self.playing().map(|(_, game)| game.batch()).max().unwrap_or(0)
    }

    fn sample(&self, request: &SampleRequest) -> Result<Vec<Artifact>> {
        let nets = self.nets();
        let calibrations = self.calibrations(&nets, usize::MAX);
        self.prepared.learned.pen(&nets, &calibrations, &self.device).files(request)
    }

    fn snapshot(&self, seed: u64, n: usize) -> Result<Artifact> {
        self.charts(Some(&self.drawn(seed, n, None)?), "samples")
    }

    fn real_sheet(&self, _: usize) -> Result<Artifact> {
        self.charts(None, "real")
    }

    fn save_state(&self) -> Result<Vec<(String, NamedTensors)>> {
        let of = |(at, game): (usize, &TableGame)| {
            let players = game.players.save_state().into_iter();
            players.map(move |(player, tensors)| (format!("t{at}-{player}"), tensors)).collect::<Vec<_>>()
        };
        Ok(self.playing().flat_map(of).collect())
    }

    fn load_state(&mut self, players: Vec<(String, NamedTensors)>) -> Result<()> {
        let mut of_tables: HashMap<usize, Vec<(String, NamedTensors)>> = HashMap::new();
        for (name, tensors) in players {
            let parts = name.strip_prefix('t').and_then(|rest| rest.split_once('-'));
            let known = parts.and_then(|(table, player)| Some((table.parse::<usize>().ok()?, player)));
            match known.filter(|(table, _)| self.games.get(*table).is_some_and(Option::is_some)) {
                Some((table, player)) => of_tables.entry(table).or_default().push((player.to_owned(), tensors)),
                None => {
                    let problem = "is no player of these games";
                    return Err(Error::run(
                        format!("checkpoint of {name}"),
                        problem,
                        "resume with the configuration the run was started with",
                    ));
                }
            }
        }
        // All or none, so that a checkpoint of which a part fits leaves no mixture behind.
        let mut loaded = Vec::new();
        for (at, game) in self.playing() {
            loaded.push((at, game.players.loaded(of_tables.remove(&at).unwrap_or_default())?));
        }
        for (at, players) in loaded {
            if let Some(game) = &mut self.games[at] {
                game.players.put(players);
            }
        }
        Ok(())
    }

    fn model(&self) -> Result<TrainedGenerator> {
        let learned = &self.prepared.learned;
        let nets = self.nets();
        let calibrations = self.calibrations(&nets, usize::MAX);
        let json = |encoder: &crate::table::Encoder| {
            serde_json::to_value(encoder).map_err(|e| Error::data(self.data.name.clone(), e.to_string(), "please report this"))
        };
        let mut tables = Vec::new();
        for (codec, calibration) in learned.codecs.iter().zip(calibrations) {
            let encoder = codec.encoder.as_ref().map(json).transpose()?;
            tables.push(DescribedTable { encoder, calibration, rules: codec.rules.clone() });
        }
        let described =
            Described { network: self.config.network.clone(), schema: learned.schema.clone(), family: learned.family.clone(), tables };
        let weights = |(at, net): (usize, &Option<RowGenerator>)| net.as_ref().map(|net| save_params(net, &prefix(GENERATOR, at)));
        let discriminator = |(at, game): (usize, &TableGame)| save_params(&game.players.discriminator.best(), &prefix(DISCRIMINATOR, at));
        Ok(TrainedGenerator {
            weights: nets.iter().enumerate().filter_map(weights).flatten().collect(),
            discriminator: self.playing().flat_map(discriminator).collect(),
            generator: serde_json::to_value(described).expect("plain numbers and names are valid JSON"),
            classes: Vec::new(),
            metrics: serde_json::Map::new(),
        })
    }

    fn take_over(&mut self, model: &ModelFolder) -> Result<Vec<String>> {
        let (generators, discriminators) = (model.tensors()?, model.discriminator()?.unwrap_or_default());
        let mut left = Vec::new();
        for (at, game) in self.playing_mut() {
            let (g, d) = (prefix(GENERATOR, at), prefix(DISCRIMINATOR, at));
            let of = |tensors: &NamedTensors, prefix: &str| -> NamedTensors {
                tensors.iter().filter(|(name, _)| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))).cloned().collect()
            };
            left.extend(game.players.take_over_tensors([(&g, of(&generators, &g)), (&d, of(&discriminators, &d))]));
        }
        Ok(left)
    }

    fn panel(&mut self, _: &mut dyn FnMut(u64, u64)) -> Result<Option<Arc<Panel>>> {
        let split = &self.prepared.split[self.prepared.learned.family.first];
        if self.judge.is_none() && Panel::is_enough(split.training.len()) {
            let mut seen = RowJudge::training_rows(split);
            let n_training = seen.len();
            seen.extend(&split.held_out);
            let own = Split { training: (0..n_training).collect(), held_out: (n_training..seen.len()).collect() };
            let dense = self.sketch.dense(&seen, &self.prepared.own, &self.prepared.parents);
            let words = "encoded rows, each with its first children";
            self.judge = Some(RowJudge::new(&dense, &self.sketch.layout.columns(), &own, (words, "nearest", usize::MAX))?);
        }
        Ok(self.judge.as_ref().map(|judge| judge.panel.clone()))
    }

    fn look(&mut self, seed: u64) -> Result<Look> {
        let Some(judge) = &self.judge else {
            return Err(Error::config("plan.judge_every", "the data is too small to judge by", "set plan.judge_every to 0"));
        };
        let n = judge.panel.n().max(LOOKED_AT);
        let drawn = self.drawn(seed, n, Some(CALIBRATED_FOR_A_LOOK))?;
        let dense = self.sketch.dense(&(0..n).collect::<Vec<_>>(), &self.own_of(&drawn), &drawn.parents);
        judge.look(&dense, self.signal(&drawn))
    }

    fn tune(&mut self, tuning: Tuning) {
        self.playing_mut().for_each(|(_, game)| game.players.tune(tuning));
    }

    fn plan_steps(&mut self, steps: u64) {
        self.playing_mut().for_each(|(_, game)| game.players.plan_steps(steps));
    }
}

/// Every number of some reports, on average.
fn mean_of(reports: &[StepReport]) -> StepReport {
    let mean = |of: &dyn Fn(&StepReport) -> f64| reports.iter().map(of).sum::<f64>() / reports.len().max(1) as f64;
    let names = reports.first().map_or(&[][..], |report| &report.extra);
    let extra =
        |(at, (name, _)): (usize, &(&'static str, f64))| (*name, mean(&|report| report.extra.get(at).map_or(f64::NAN, |own| own.1)));
    StepReport {
        d_loss: mean(&|report| report.d_loss),
        g_loss: mean(&|report| report.g_loss),
        d_accuracy: mean(&|report| report.d_accuracy),
        extra: names.iter().enumerate().map(extra).collect(),
    }
}
