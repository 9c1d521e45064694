//! The contract between a task and everything around it: trainer, run directory, command line.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use serde::Serialize;

use crate::artifact::Artifact;
use crate::config;
use crate::data::{ImageSpec, Source};
use crate::error::{Error, Result};
use crate::judge::{Judgement, Look, Panel, Score};
use crate::latent::Direction;
use crate::run::{DataDescription, ModelDescription, ModelFolder, NamedTensors, TrainedGenerator};
use crate::train::latents::latent;
use crate::train::{Plan, Tuning};

/// What `ganymede train` trains: networks, data and the game between them. One implementor per folder of `tasks/`.
///
/// Everything random in it derives from `(seed, step)`, so that a task restored from [`Task::load_state`] goes on exactly as if it had never stopped.
pub trait Task {
    /// One round of the game on the batch that belongs to `step` (counted from 0). Does not wait for the device.
    fn step(&mut self, step: u64) -> Result<()>;

    /// Reads the numbers of the last step off the device; this waits for it.
    fn report(&mut self) -> Result<StepReport>;

    /// What it learns from.
    fn data(&self) -> &DataDescription;

    /// How many samples one step shows to the discriminator as real.
    fn batch(&self) -> usize;

    /// Samples from the averaged generator, as files.
    fn sample(&self, request: &SampleRequest) -> Result<Vec<Artifact>>;

    /// Samples number 0 to `n` of `seed` as one picture that shows how far the generator is.
    fn snapshot(&self, seed: u64, n: usize) -> Result<Artifact>;

    /// Real data in the form of [`Task::snapshot`], `n` of them: what to hold samples against.
    fn real_sheet(&self, n: usize) -> Result<Artifact>;

    /// Everything a checkpoint must hold, one entry per player: file stem and named tensors (weights, moving average, optimizer state).
    fn save_state(&self) -> Result<Vec<(String, NamedTensors)>>;

    /// Takes back what [`Task::save_state`] gave. Missing, unknown or misshapen tensors are errors and leave no half-loaded task in use.
    fn load_state(&mut self, players: Vec<(String, NamedTensors)>) -> Result<()>;

    /// Whether a run that was planned for fewer steps may go on to so many.
    ///
    /// # Errors
    /// [`Error::Config`] if what a step costs was shared out over those that were planned.
    fn may_go_on_to(&self, steps: u64) -> Result<()> {
        let _ = steps;
        Ok(())
    }

    /// The generator for use, for the run's `model/` folder.
    fn model(&self) -> Result<TrainedGenerator>;

    /// What samples are judged by, made when it is first asked for, which may take a while: `progress` is called with (parts done, parts in all). Nothing where the data is too small
    /// to judge by.
    fn panel(&mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<Option<Arc<Panel>>> {
        let _ = progress;
        Ok(None)
    }

    /// Samples of `seed` from the averaged generator, as its panel wants them.
    fn look(&mut self, seed: u64) -> Result<Look> {
        let _ = seed;
        Err(Error::config("plan.judge_every", "samples of this task cannot be judged", "set plan.judge_every to 0"))
    }

    /// Begins with the weights of an earlier model where they fit. Gives the names of the parameters that begin anew.
    ///
    /// # Errors
    /// [`Error::Run`] if the model is damaged, [`Error::Config`] if the task cannot go on from a model.
    fn take_over(&mut self, model: &ModelFolder) -> Result<Vec<String>> {
        let problem = "training of this task cannot begin with an earlier model";
        Err(Error::config("--from", format!("{}: {problem}", model.path().display()), "leave it out"))
    }

    /// A sheet of `n` real samples, each beside what the discriminator would be shown of it.
    ///
    /// # Errors
    /// [`Error::Config`] if the task augments nothing.
    fn augmented(&self, n: usize) -> Result<Artifact> {
        let _ = n;
        Err(Error::config("augment.policy", "samples of this task are not augmented", "augmentation is for pictures"))
    }

    /// Changes the rules of the game as a remedy asks, in place of any earlier change.
    fn tune(&mut self, tuning: Tuning) {
        let _ = tuning;
    }

    /// Whether [`Tuning::augment`] changes anything.
    fn augments(&self) -> bool {
        false
    }

    /// Changes the planned length, over which schedules run.
    fn plan_steps(&mut self, steps: u64) {
        let _ = steps;
    }

    /// Quick figures about samples, known answers where the data has them (modes found ...). Cheap enough to call at each snapshot.
    fn quick_metrics(&mut self) -> Result<Vec<(&'static str, f64)>> {
        Ok(Vec::new())
    }
}

/// The numbers of one step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// Discriminator loss without penalties.
    pub d_loss: f64,
    /// Generator loss.
    pub g_loss: f64,
    /// Share of (real, fake) PAIRS that the discriminator orders rightly, in [0, 1]: 0.5 means that it cannot tell.
    pub d_accuracy: f64,
    /// Further numbers by name: penalties, logits, gradient norms, scheduled values.
    pub extra: Vec<(&'static str, f64)>,
}

impl StepReport {
    /// All numbers by name, the three fixed ones first.
    pub fn scalars(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        [("d_loss", self.d_loss), ("g_loss", self.g_loss), ("d_accuracy", self.d_accuracy)].into_iter().chain(self.extra.iter().copied())
    }
}

/// Identity of one sample: the `index`-th latent drawn from `seed`. The same identity gives the same sample from the same model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SampleId {
    /// Seed of the latent stream.
    pub seed: u64,
    /// Position in it.
    pub index: u64,
}

impl fmt::Display for SampleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed{}-{:05}", self.seed, self.index)
    }
}

/// What samples are asked to be, of a model that learned with a condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Wish {
    /// Anything.
    #[default]
    Any,
    /// Of a class.
    Class(String),
    /// With what these conditions say: `glasses=dark`, or for tables also `age in 30..40`.
    Where(Vec<String>),
    /// What a text says.
    Prompt(String),
}

/// What to sample.
#[derive(Debug, Clone)]
pub struct SampleRequest {
    /// Which samples.
    pub ids: Vec<SampleId>,
    /// What they are asked to be. What is left open comes as often as the data has it; classes come in turn on a sheet.
    pub wish: Wish,
    /// Latents are multiplied by this, in (0, 1]: less variety, more typical samples. 1 leaves them alone.
    pub truncation: f64,
    /// One sheet (a grid, a table) instead of one file per sample.
    pub sheet: bool,
}

/// A table with missing cells that are to be filled in, row by row.
#[derive(Debug, Clone, Copy)]
pub struct CompleteRequest<'a> {
    /// The file; cells that are not missing stay as they are.
    pub from: &'a Path,
    /// The file to write.
    pub to: &'a Path,
    /// Seed of what is drawn.
    pub seed: u64,
    /// How often missing cells are drawn: once for a plausible value, more often for the likeliest, which is the most frequent word or the median number of all draws. At least 1.
    pub draws: u64,
}

impl SampleRequest {
    /// `n` samples of one seed on one sheet.
    pub fn sheet(seed: u64, n: usize) -> Self {
        Self { ids: (0..n as u64).map(|index| SampleId { seed, index }).collect(), wish: Wish::Any, truncation: 1.0, sheet: true }
    }
}

/// Samples at given points of the latent space.
#[derive(Debug, Clone)]
pub struct LatentRequest {
    /// Points, each [`Model::latent_dim`] numbers long.
    pub latents: Vec<Vec<f32>>,
    /// What all of them are asked to be; where that is open it is the first class, or always the same example of the data.
    pub wish: Wish,
    /// How they are given.
    pub layout: Layout,
}

/// How samples at points of the latent space are given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Layout {
    /// A file each.
    Files,
    /// One sheet of so many columns.
    Sheet(usize),
    /// One moving picture.
    Moving {
        /// Pictures a second, 1 to 100.
        fps: u16,
        /// As GIF, which every program shows but which has 256 colours, or else as APNG.
        gif: bool,
    },
}

/// A real picture found in the latent space.
#[derive(Debug, Clone)]
pub struct Projection {
    /// The file, or the picture's number.
    pub name: String,
    /// Where it lies.
    pub latent: Vec<f32>,
    /// What it was found as, of a conditional model.
    pub label: Option<String>,
    /// Peak signal-to-noise ratio of the picture that the generator draws there, in decibels.
    pub psnr: f64,
}

/// A generator opened from a model folder, without training data.
pub trait Model {
    /// What the folder says about it.
    fn description(&self) -> &ModelDescription;

    /// Draws samples, as files.
    fn sample(&self, request: &SampleRequest) -> Result<Vec<Artifact>>;

    /// Writes the samples of a request into one file, whose ending says as what, without holding them all in memory, if the task's samples are rows: whether they are. `progress` is called with (done,
    /// of).
    ///
    /// # Errors
    /// As [`Model::sample`], and [`Error::Io`].
    fn write(&self, request: &SampleRequest, path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<bool> {
        let _ = (request, path, progress);
        Ok(false)
    }

    /// Names of the files that [`Model::write_into`] writes, where a sample is rows of several tables; otherwise none.
    fn files(&self) -> Vec<String> {
        Vec::new()
    }

    /// Writes the samples of a request into a folder, made if it is not there, in the files that [`Model::files`] names: how many rows are in each. `progress` is called with (files done, files in all).
    ///
    /// # Errors
    /// As [`Model::sample`], and [`Error::Io`]; [`Error::Config`] if samples are no rows of several tables.
    fn write_into(&self, request: &SampleRequest, folder: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<(String, usize)>> {
        let _ = (request, folder, progress);
        Err(Error::config("-o", "samples of this task are no rows of several tables", "name a file"))
    }

    /// Fills in the missing cells of a table: how many cells, and how many rows the table has.
    ///
    /// # Errors
    /// [`Error::Data`] for a table with other columns, [`Error::Config`] if the task has no such thing.
    fn complete(&self, request: &CompleteRequest<'_>) -> Result<(usize, usize)> {
        let _ = request;
        Err(Error::config("--complete", "this is no model of tables", "leave it out"))
    }

    /// Samples of a seed as bytes `[n, height, width, channels]`, by their numbers, and their shape; of no numbers the shape alone.
    ///
    /// # Errors
    /// [`Error::Config`] if samples of the task are no pictures.
    fn pixels(&self, seed: u64, numbers: std::ops::Range<u64>) -> Result<(ImageSpec, Vec<u8>)> {
        let _ = (seed, numbers);
        Err(Error::config("RUN|MODEL", "samples of this task are no pictures", "give a model that draws pictures"))
    }

    /// Whether words that a spreadsheet would run as formulas are written with an apostrophe before them, where samples are rows: they are not unless told to.
    fn escape_formulas(&mut self, escaped: bool) {
        let _ = escaped;
    }

    /// Whether what it draws says that it was generated, and by which model: it does unless told not to, where the format has a place for it.
    fn mark(&mut self, marked: bool) {
        let _ = marked;
    }

    /// What it can be asked for beside classes, as (heading, text) lines for people.
    fn offers(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Length of a latent.
    fn latent_dim(&self) -> usize;

    /// The latent of a sample.
    fn latent(&self, id: SampleId) -> Vec<f32> {
        latent(id, self.latent_dim())
    }

    /// Draws what lies at points of the latent space.
    ///
    /// # Errors
    /// [`Error::Config`] for points of another length, for a wish that the model does not know, and if the task has no such layout.
    fn draw_at(&self, request: &LatentRequest) -> Result<Vec<Artifact>> {
        let _ = request;
        Err(Error::config("--latent", "samples of this task are not drawn by latent", "it is for pictures"))
    }

    /// Directions in which samples change, the strongest first.
    fn directions(&self) -> Vec<Direction> {
        Vec::new()
    }

    /// Directions in which attributes of labelled pictures change, and what comes of going along them. `progress` is called with what is being done, parts done, and parts in all.
    ///
    /// # Errors
    /// [`Error::Data`] if the pictures have no labels; [`Error::Config`] for an attribute that there is not or that the model is asked for instead, and if samples of the task are no pictures.
    fn attribute_vectors(
        &self,
        source: &Source,
        request: &AttributesRequest<'_>,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<AttributeVectors> {
        let _ = (source, request, progress);
        Err(Error::config("--labelled", "samples of this task have no attributes to be labelled", "it is for pictures"))
    }

    /// How real the discriminator finds real files, by name: its logits, as what is wished or as what fits best.
    ///
    /// # Errors
    /// [`Error::Run`] if the model holds no discriminator, [`Error::Data`] for files that cannot be read, [`Error::Config`] for a wish that the model does not know or if the task has none of this.
    fn score(&self, source: &Source, wish: &Wish) -> Result<Vec<(String, f64)>> {
        let _ = (source, wish);
        Err(Error::config("score", "samples of this task are not scored", "it is for pictures"))
    }

    /// What a stage of the discriminator makes of files, averaged over each picture; all stages if none is named. Stages are counted from 1.
    ///
    /// # Errors
    /// As [`Model::score`], and [`Error::Config`] for a stage that there is not.
    fn features(&self, source: &Source, stage: Option<usize>) -> Result<FeatureRows> {
        let _ = (source, stage);
        Err(Error::config("features", "the discriminator of this task has no stages", "it is for pictures"))
    }

    /// At most `most` files in a random order, as the discriminator sees them, as the same network with random weights does, and as they are, each by name: what a probe compares.
    ///
    /// # Errors
    /// As [`Model::score`].
    fn views(&self, source: &Source, most: usize) -> Result<Vec<(&'static str, FeatureRows)>> {
        let _ = (source, most);
        Err(Error::config("probe", "the discriminator of this task is not probed", "it is for pictures"))
    }

    /// Finds pictures in the latent space: the points where the generator draws what is most like them. Beside them, a sheet of each picture and what is drawn. `progress` is called with (steps done,
    /// steps in all).
    ///
    /// # Errors
    /// [`Error::Data`] if there are no pictures, [`Error::Config`] for a wish that the model does not know or if the task has no projection.
    fn project(
        &self,
        source: &Source,
        request: &ProjectRequest<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Vec<Projection>, Artifact)> {
        let _ = (source, request, progress);
        Err(Error::config("project", "samples of this task are not found by projection", "it is for pictures"))
    }
}

/// What a discriminator makes of samples.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureRows {
    /// Files, one a row.
    pub names: Vec<String>,
    /// Their classes, where the data has them.
    pub labels: Vec<Option<String>>,
    /// `[n, dim]`, row by row.
    pub values: Vec<f32>,
    /// Numbers in a row.
    pub dim: usize,
}

/// How directions of attributes are looked for.
#[derive(Debug, Clone, Copy)]
pub struct AttributesRequest<'a> {
    /// Attributes to look for; all if there are none.
    pub names: &'a [String],
    /// Seed of the samples that are looked at.
    pub seed: u64,
    /// As [`Setup::cache`].
    pub cache: Option<&'a Path>,
}

/// What was found of the attributes of labelled pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeVectors {
    /// Value by value.
    pub vectors: Vec<AttributeVector>,
    /// How often a classifier sees an attribute rightly in labelled pictures that it did not learn from, where some are known.
    pub seen_rightly: Vec<(String, Option<f64>)>,
    /// Values, as `attribute=value`, that too few samples have, or nearly all.
    pub left_out: Vec<String>,
}

/// A direction in which an attribute takes a value.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeVector {
    /// Which attribute.
    pub attribute: String,
    /// Which value.
    pub value: String,
    /// `[latent_dim]`, of length 1.
    pub vector: Vec<f32>,
    /// How far samples were moved for what follows, in standard deviations of a latent.
    pub amount: f64,
    /// Share of samples that have the value.
    pub share: f64,
    /// Share of samples without the value that have it after they were moved; nothing if there were too few.
    pub put_on: Option<f64>,
    /// Share of samples with the value that have another one after they were moved the other way; nothing if there were too few.
    pub taken_off: Option<f64>,
    /// Share of the other attributes of all those that stayed what they were.
    pub kept: f64,
}

/// How pictures are looked for in the latent space.
#[derive(Debug, Clone, Copy)]
pub struct ProjectRequest<'a> {
    /// What to look for them as; what fits best where it is open.
    pub wish: &'a Wish,
    /// Steps of the search.
    pub steps: u64,
    /// Pictures at most.
    pub most: usize,
    /// Seed of the points that the search begins from.
    pub seed: u64,
}

/// How sure a task is that some data is its own, in [0, 1], and in what words.
#[derive(Debug, Clone, PartialEq)]
pub struct Confidence {
    /// 0 never, 1 certain.
    pub score: f32,
    /// For the user: "60,000 grey pictures of 28 x 28 in 10 classes".
    pub reason: String,
}

/// What a user asked for: a proposal leaves it as it is, and fits the rest to it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// Name of one of the task's presets.
    pub preset: Option<&'a str>,
    /// Layers of settings over the proposal, the last wins.
    pub settings: &'a [toml::Table],
}

impl Asked<'_> {
    /// Whether the setting with that dotted key was asked for.
    pub fn sets(&self, key: &str) -> bool {
        self.settings.iter().any(|layer| config::has(layer, key))
    }
}

/// What a task would do with some data on some device, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Proposal {
    /// Preset it would take: the one asked for, if one was.
    pub preset: String,
    /// Settings on top of the preset, as dotted keys.
    pub settings: toml::Table,
    /// One line per choice, for the user.
    pub reasons: Vec<String>,
    /// Rough seconds of training on this device, where it can be said.
    pub estimated_secs: Option<f64>,
}

/// Everything needed to build a task for training.
pub struct Setup<'a> {
    /// The opened data.
    pub source: &'a Source,
    /// The resolved configuration of the task.
    pub config: &'a toml::Table,
    /// Seed of everything random.
    pub seed: u64,
    /// Where to compute, without autodiff.
    pub device: Device,
    /// Folder in which what was learned about the data is kept for other runs; nothing is kept without one.
    pub cache: Option<&'a Path>,
    /// Is told what must be learned before the game can begin, parts of it done, and parts in all.
    pub progress: &'a dyn Fn(&str, u64, u64),
}

/// A named preset of a task: a TOML table laid over the task's defaults.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// Its name, for `--preset`.
    pub name: &'static str,
    /// One line for `ganymede presets`.
    pub summary: &'static str,
    /// TOML text.
    pub toml: &'static str,
}

impl Preset {
    /// The text, read.
    ///
    /// # Errors
    /// [`Error::Config`] if it is no TOML.
    pub fn table(&self) -> Result<toml::Table> {
        toml::from_str(self.toml)
            .map_err(|e| Error::config("preset", format!("{}: {}", self.name, e.message()), "this is a bug; please report it"))
    }
}

/// One row of the table of tasks.
pub struct TaskEntry {
    /// Its name, for `--task`, `run.toml` and `model.json`.
    pub name: &'static str,
    /// One line for `ganymede tasks`.
    pub summary: &'static str,
    /// Its presets.
    pub presets: &'static [Preset],
    /// Whether the data is this task's.
    pub recognizes: fn(&Source) -> Option<Confidence>,
    /// What it would do with the data.
    pub propose: fn(&Source, &Device, &Asked<'_>) -> Result<Proposal>,
    /// Lays the layers (first to last: preset, file, flags) over the defaults, checks every key and value, and gives back the complete table.
    pub resolve: fn(&[toml::Table]) -> Result<toml::Table>,
    /// The training plan in a resolved table.
    pub plan: fn(&toml::Table) -> Result<Plan>,
    /// The settings that a run has to share with a model in order to go on from its weights.
    pub inherit: fn(&ModelFolder) -> Result<toml::Table>,
    /// Builds networks and loads data for training.
    pub open: fn(&Setup<'_>) -> Result<Box<dyn Task>>,
    /// Opens a generator from a model folder for sampling.
    pub load_model: fn(&ModelFolder, &Device) -> Result<Box<dyn Model>>,
    /// Holds samples against real data; `progress` is called with (parts done, parts in all) while features are learned.
    pub evaluate: Evaluate,
}

/// Holds samples against real data; is called with (parts done, parts in all) while features are learned.
pub type Evaluate = fn(&EvaluateRequest<'_>, &mut dyn FnMut(u64, u64)) -> Result<Evaluation>;

/// What is to be judged.
#[derive(Clone, Copy)]
pub enum Judged<'a> {
    /// Samples that a generator will draw.
    Model(&'a ModelFolder),
    /// Samples of anyone's.
    Samples(&'a Source),
}

/// How samples are to be judged.
pub struct EvaluateRequest<'a> {
    /// What.
    pub judged: Judged<'a>,
    /// The real data.
    pub against: &'a Source,
    /// Share of it that is held out: that of the run where a model is judged by its own data.
    pub holdout: f64,
    /// What a model or samples are known to have been learned from; its own held-out part apart, if it is the same as `against`.
    pub learned_from: Option<&'a Source>,
    /// Column of a table that is to be foretold.
    pub target: Option<&'a str>,
    /// What features are taken by, in the words of the task's settings.
    pub features: &'a str,
    /// Seed of the samples that are drawn.
    pub seed: u64,
    /// Samples that known kinds are counted in, where the data has them; as many as in the literature if missing.
    pub samples: Option<usize>,
    /// Where to draw them.
    pub device: Device,
    /// As [`Setup::cache`].
    pub cache: Option<&'a Path>,
}

/// What was found out about samples.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// All classes together.
    pub judgement: Judgement,
    /// Class by class, by name; those with enough real samples.
    pub classes: Vec<(String, Judgement)>,
    /// Parts of the data one by one, by name, where it has some: tables, and what relates them.
    pub parts: Vec<(String, Vec<Score>)>,
    /// How often each attribute that was asked for is seen, by name.
    pub attributes: Vec<(String, Score)>,
    /// The samples nearest to training data, each beside what it is nearest to.
    pub closest: Option<Artifact>,
}

impl TaskEntry {
    /// The preset of that name.
    ///
    /// # Errors
    /// [`Error::Config`] with the known names.
    pub fn preset(&self, name: &str) -> Result<&'static Preset> {
        self.presets.iter().find(|p| p.name == name).ok_or_else(|| {
            let known: Vec<_> = self.presets.iter().map(|p| p.name).collect();
            Error::config(
                "preset",
                format!("the {} task has no preset \"{name}\"", self.name),
                format!("known presets: {}", known.join(", ")),
            )
        })
    }
}
