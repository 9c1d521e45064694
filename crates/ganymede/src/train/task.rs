//! The contract between a task and everything around it: trainer, run directory, command line.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use serde::Serialize;

use crate::artifact::Artifact;
use crate::config;
use crate::data::Source;
use crate::error::{Error, Result};
use crate::judge::{Judgement, Look, Panel, Score};
use crate::run::{DataDescription, ModelFolder, NamedTensors, TrainedGenerator};
use crate::train::{Model, Plan, SampleRequest, Tuning};

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
