//! From words to a running task: which data, which task, which settings, which device. Every front end starts here.

mod detect;
mod probe;

use std::path::{Path, PathBuf};

use toml::Table;

use crate::config;
use crate::data::{BUILT_IN, Source, cache_folder};
use crate::device::{self, Chosen};
use crate::error::{Error, Result};
use crate::run::{DataDescription, Manifest, ModelFolder, RunDir, Unfinished, find_unfinished, utc_now};
use crate::tasks::TASKS;
use crate::train::{Asked, Confidence, EvaluateRequest, Evaluation, Judged, Model, Plan, Proposal, Setup, Task, TaskEntry};

pub use detect::{DetectorRequest, Suspected, detect, teach_detector};
pub use probe::{Probed, Probes, probe_discriminator};

/// Data that is learned when none is named.
pub const DEFAULT_DATA: &str = "avatars";

/// What a person asked for. Everything has a default.
#[derive(Debug, Clone)]
pub struct TrainRequest {
    /// Path or built-in name; [`DEFAULT_DATA`] if missing.
    pub data: Option<String>,
    /// Name of the task; the one that recognises the data best if missing.
    pub task: Option<String>,
    /// Name of the preset; the task's proposal if missing.
    pub preset: Option<String>,
    /// A run directory or model folder whose weights training begins with.
    pub from: Option<PathBuf>,
    /// A TOML file laid over preset and proposal.
    pub config_file: Option<PathBuf>,
    /// `key=value` assignments laid over everything else.
    pub set: Vec<String>,
    /// Seed of everything random.
    pub seed: u64,
    /// Name of the device, as [`device::open`] takes it.
    pub device: String,
    /// The command as it was typed, for `run.toml`.
    pub command_line: Vec<String>,
}

impl Default for TrainRequest {
    fn default() -> Self {
        Self {
            data: None,
            task: None,
            preset: None,
            from: None,
            config_file: None,
            set: Vec::new(),
            seed: 0,
            device: "auto".to_owned(),
            command_line: Vec::new(),
        }
    }
}

/// A training run that is fully decided but has not touched the disk.
#[derive(Clone)]
pub struct Prepared {
    /// The recognised data.
    pub source: Source,
    /// The task.
    pub entry: &'static TaskEntry,
    /// The model that training begins with.
    pub from: Option<ModelFolder>,
    /// In the task's words, what the data is; nothing if the task was named by the user and does not recognise it.
    pub recognized: Option<String>,
    /// Name of the preset.
    pub preset: &'static str,
    /// Why preset and settings are what they are, one line each.
    pub reasons: Vec<String>,
    /// Every setting of the task.
    pub config: Table,
    /// The part of `config` that the loop follows.
    pub plan: Plan,
    /// Where to compute.
    pub device: Chosen,
    /// Seed of everything random.
    pub seed: u64,
    /// Rough seconds of training; nothing if it cannot be said.
    pub estimated_secs: Option<f64>,
    command_line: Vec<String>,
    /// Folder in which what was learned about the data is kept for other runs.
    cache: Option<PathBuf>,
}

/// Decides everything about a run: opens and recognises the data, chooses task, preset and device, and resolves the settings in the order
/// defaults, preset, proposal, file, assignments.
///
/// # Errors
/// [`Error::Data`] for data that cannot be used, [`Error::Config`] for names, keys or values that mean nothing, [`Error::Device`].
pub fn prepare(request: &TrainRequest) -> Result<Prepared> {
    // Cheap mistakes first: a wrong name should not wait for a hundred thousand pictures to be indexed.
    if i64::try_from(request.seed).is_err() {
        return Err(Error::config("seed", format!("{} does not fit a configuration file", request.seed), "give a number below 2^63"));
    }
    let named = request.task.as_deref().map(find_task).transpose()?;
    let file = request.config_file.as_deref().map(config::read_file).transpose()?;
    let device = device::choose(&request.device)?;
    let source = Source::open(without_slash(request.data.as_deref().unwrap_or(DEFAULT_DATA)))?;
    let entry = match named.or_else(|| of_settings(request, file.as_ref(), &source)) {
        Some(entry) => entry,
        None => recognize(&source)?.0,
    };
    let recognized = (entry.recognizes)(&source).map(|c| c.reason);
    let from = request.from.as_deref().map(|path| open_earlier(path, entry)).transpose()?;
    let mut settings = Vec::new();
    settings.extend(from.as_ref().map(|model| (entry.inherit)(model)).transpose()?);
    if let (Some(path), Some(table)) = (&request.config_file, file) {
        (entry.resolve)(std::slice::from_ref(&table)).map_err(|e| config::blame_file(e, path))?;
        settings.push(table);
    }
    settings.push(config::parse_set(&request.set, &(entry.resolve)(&[])?)?);
    let asked = Asked { preset: request.preset.as_deref(), settings: &settings };
    let proposal = (entry.propose)(&source, &device.device, &asked)?;
    let preset = entry.preset(&proposal.preset)?;
    let mut layers = vec![preset.table()?, proposal.settings];
    layers.extend(settings);
    let config = (entry.resolve)(&layers)?;
    let plan = (entry.plan)(&config)?;
    Ok(Prepared {
        recognized,
        preset: preset.name,
        reasons: proposal.reasons,
        estimated_secs: proposal.estimated_secs,
        source,
        entry,
        from,
        config,
        plan,
        device,
        seed: request.seed,
        command_line: request.command_line.clone(),
        cache: cache_folder(),
    })
}

impl Prepared {
    /// The newest run under `root` that does the same work and was not finished. Whether the files still hold the same data shows on resuming.
    ///
    /// # Errors
    /// [`Error::Io`] if the data's path cannot be made absolute.
    pub fn unfinished(&self, root: &Path) -> Result<Option<Unfinished>> {
        let data = DataDescription { name: self.source.name().to_owned(), ..DataDescription::default() };
        Ok(find_unfinished(root, &self.manifest(data)?))
    }

    /// Loads the data, builds the networks and makes the run directory under `root`, in this order: what fails leaves no directory behind. `progress` as [`Setup::progress`].
    ///
    /// # Errors
    /// [`Error::Data`] or [`Error::Config`] from the task, [`Error::Io`] if the directory cannot be made.
    pub fn start(&self, root: &Path, progress: &dyn Fn(&str, u64, u64)) -> Result<(RunDir, Box<dyn Task>)> {
        let task = self.open(progress)?;
        let manifest = self.manifest(task.data().clone())?;
        let run = RunDir::create(root, &format!("{}-{}", self.entry.name, stem(self.source.name())), &manifest)?;
        Ok((run, task))
    }

    /// Loads the data and builds the networks; touches no file but the cache. `progress` as [`Setup::progress`].
    ///
    /// # Errors
    /// [`Error::Data`] or [`Error::Config`] from the task.
    pub fn open(&self, progress: &dyn Fn(&str, u64, u64)) -> Result<Box<dyn Task>> {
        let setup = Setup {
            source: &self.source,
            config: &self.config,
            seed: self.seed,
            device: self.device.device.clone(),
            cache: self.cache.as_deref(),
            progress,
        };
        let mut task = (self.entry.open)(&setup)?;
        if let Some(model) = &self.from {
            take_over(task.as_mut(), model)?;
        }
        Ok(task)
    }

    fn manifest(&self, data: DataDescription) -> Result<Manifest> {
        let name = self.source.name();
        let is_built_in = BUILT_IN.iter().any(|b| b.name == name);
        let absolute = || std::path::absolute(name).map_err(|e| Error::io(name, "find the absolute path", e));
        Ok(Manifest {
            format: Manifest::FORMAT,
            ganymede_version: env!("CARGO_PKG_VERSION").to_owned(),
            created: utc_now(),
            command_line: self.command_line.clone(),
            task: self.entry.name.to_owned(),
            preset: self.preset.to_owned(),
            seed: self.seed,
            device: self.device.name.to_string(),
            from: self
                .from
                .as_ref()
                .map(|model| std::path::absolute(model.path()))
                .transpose()
                .map_err(|e| Error::io(name, "find the absolute path", e))?,
            data_path: if is_built_in { None } else { Some(absolute()?) },
            data,
            config: self.config.clone(),
        })
    }
}

/// A run that is ready to go on: pass it to [`crate::train::run`], which restores the newest checkpoint.
pub struct Resumed {
    /// Its directory, locked.
    pub run: RunDir,
    /// The task as it was at step 0.
    pub task: Box<dyn Task>,
    /// The plan of `run.toml`.
    pub plan: Plan,
    /// Where it computes.
    pub device: Chosen,
}

/// What goes on differently than `run.toml` says. Everything has a default: as it was.
#[derive(Debug, Clone, Default)]
pub struct ResumeChanges {
    /// Name of another device.
    pub device: Option<String>,
    /// The place that the same data was moved to.
    pub data: Option<String>,
    /// Steps in all, more than there were so far. Schedules then run over all of them, also those that had come to their end.
    pub steps: Option<u64>,
}

/// Rebuilds a run from its `run.toml`. `progress` as [`Setup::progress`].
///
/// # Errors
/// [`Error::Run`] if the run is damaged, in use, or its data changed; [`Error::Config`] for fewer steps than it has already; otherwise as [`prepare`].
pub fn resume(path: &Path, changes: &ResumeChanges, progress: &dyn Fn(&str, u64, u64)) -> Result<Resumed> {
    let mut run = RunDir::open(path)?;
    let manifest = run.manifest();
    let in_manifest = |error| blame_manifest(error, path);
    let entry = find_task(&manifest.task).map_err(in_manifest)?;
    let device = match &changes.device {
        Some(device) => device::choose(device)?,
        None => device::choose(&manifest.device).map_err(in_manifest)?,
    };
    let stored = manifest.data_path.as_ref().map(|p| p.to_string_lossy().into_owned());
    let source = Source::open(changes.data.as_deref().or(stored.as_deref()).unwrap_or(&manifest.data.name))?;
    let mut config = (entry.resolve)(std::slice::from_ref(&manifest.config)).map_err(in_manifest)?;
    if let Some(steps) = changes.steps {
        let done = run.latest_step().unwrap_or(0);
        if steps <= done {
            let problem = format!("{steps} are not more than the {done} that this run has already");
            return Err(Error::config("plan.steps", problem, format!("give more than {done}")));
        }
        let more = config::parse_set(&[format!("plan.steps={steps}")], &config)?;
        config = (entry.resolve)(&[config, more])?;
    }
    let plan = (entry.plan)(&config).map_err(in_manifest)?;
    let cache = cache_folder();
    let setup =
        Setup { source: &source, config: &config, seed: manifest.seed, device: device.device.clone(), cache: cache.as_deref(), progress };
    let mut task = (entry.open)(&setup).map_err(in_manifest)?;
    if let (Some(from), None) = (&manifest.from, run.latest_step()) {
        take_over(task.as_mut(), &ModelFolder::open(from)?)?;
    }
    run.check_same_data(&task.data().fingerprint)?;
    if let Some(steps) = changes.steps {
        task.may_go_on_to(steps)?;
        run.change_config(config)?;
    }
    Ok(Resumed { run, task, plan, device })
}

/// An earlier model of the same task.
fn open_earlier(path: &Path, entry: &TaskEntry) -> Result<ModelFolder> {
    let model = ModelFolder::open(path)?;
    let task = &model.description().task;
    if task != entry.name {
        let problem = format!("is a model of the task {task}, not of {}", entry.name);
        return Err(Error::run(path, problem, "give a model that learned from data of the same kind"));
    }
    Ok(model)
}

fn take_over(task: &mut dyn Task, model: &ModelFolder) -> Result<()> {
    let left = task.take_over(model)?;
    const NAMED: usize = 5;
    if !left.is_empty() {
        let more = if left.len() > NAMED { format!(" and {} more", left.len() - NAMED) } else { String::new() };
        let named = left[..left.len().min(NAMED)].join(", ");
        tracing::warn!("{}: does not fit these parts, which begin anew: {named}{more}", model.path().display());
    }
    Ok(())
}

/// The run under `root` that was made last.
///
/// # Errors
/// [`Error::Run`] if there is none.
pub fn newest_run(root: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(root).map(|dir| dir.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let number = |path: &Path| path.file_name()?.to_str()?.split('-').next()?.parse::<u64>().ok();
    let runs = entries.into_iter().map(|e| e.path()).filter(|p| p.join("run.toml").is_file());
    let newest = runs.filter_map(|p| Some((number(&p)?, p))).max();
    newest
        .map(|(_, path)| path)
        .ok_or_else(|| Error::run(root, "there are no runs in it", "start one with `ganymede train`, or name its folder with --out"))
}

/// Opens the generator in a model folder or run directory.
///
/// # Errors
/// [`Error::Run`] if there is no model or it is damaged or of a task that this version does not know; [`Error::Device`].
pub fn open_model(path: &Path, device: &str) -> Result<Box<dyn Model>> {
    let folder = ModelFolder::open(path)?;
    let task = &folder.description().task;
    let entry = TASKS.iter().find(|t| t.name == task).ok_or_else(|| {
        Error::run(
            folder.path(),
            format!("is a model of the task \"{task}\", which this version does not know"),
            "open it with the version named in its model.json",
        )
    })?;
    (entry.load_model)(&folder, &device::open(device)?)
}

/// What is to be evaluated, and how. Everything but the path has a default.
#[derive(Debug, Clone)]
pub struct EvaluateOptions {
    /// Path or built-in name of the real data; that of the run where there is one.
    pub against: Option<String>,
    /// Path or built-in name of what samples were learned from, if that is not `against`; a run knows its own.
    pub learned_from: Option<String>,
    /// What features are taken by: `own`, `random`, or the path of a published network's weights. That of the run where there is one.
    pub features: Option<String>,
    /// Column of a table that is to be foretold.
    pub target: Option<String>,
    /// Seed of the samples that are drawn.
    pub seed: u64,
    /// Samples that known kinds are counted in, where the data has them; as many as in the literature if missing.
    pub samples: Option<usize>,
    /// Name of the device, as [`device::open`] takes it.
    pub device: String,
}

/// Samples held against real data.
#[derive(Debug)]
pub struct Evaluated {
    /// What was found out.
    pub evaluation: Evaluation,
    /// What was judged, for people.
    pub judged: String,
    /// What it was held against: path or built-in name.
    pub against: String,
}

/// Judges a run's model, a model folder, or anyone's samples at `path`. `progress` is called with (parts done, parts in all) while features are learned.
///
/// # Errors
/// [`Error::Config`] if nothing is said to hold it against; [`Error::Run`], [`Error::Data`] or [`Error::Device`] for what cannot be used.
pub fn evaluate(path: &str, options: &EvaluateOptions, progress: &mut dyn FnMut(u64, u64)) -> Result<Evaluated> {
    let as_path = Path::new(path);
    let device = device::open(&options.device)?;
    let is_model = ["run.toml", "model.json", "model/model.json"].iter().any(|name| as_path.join(name).exists());
    let folder = is_model.then(|| ModelFolder::open(as_path)).transpose()?;
    let own_data = data_of(as_path)?;
    let Some(against) = options.against.clone().or_else(|| own_data.clone()) else {
        let problem = "nothing is said about what to hold it against";
        return Err(Error::config("--against", problem, "name the real data: --against photos/, or built-in data"));
    };
    let real = Source::open(without_slash(&against))?;
    let samples;
    let (entry, judged) = match &folder {
        Some(folder) => (find_task(&folder.description().task)?, Judged::Model(folder)),
        None => {
            samples = Source::open(without_slash(path))?;
            (recognize(&real)?.0, Judged::Samples(&samples))
        }
    };
    // A model is judged by what its own run held out.
    let setting = |section: &str, key: &str| folder.as_ref()?.description().config.get(section)?.get(key).cloned();
    let holdout = setting("plan", "holdout").and_then(|v| v.as_f64()).unwrap_or(Plan::default().holdout);
    let features = options.features.clone().or_else(|| Some(setting("data", "features")?.as_str()?.to_owned()));
    let cache = cache_folder();
    // What a run learned from says what it may have memorised, if it is still there.
    let learned_from = match (&options.learned_from, own_data) {
        (Some(named), _) => Some(Source::open(without_slash(named))?),
        (None, Some(own)) if own == against => Some(real.clone()),
        (None, Some(own)) => Source::open(&own).ok(),
        (None, None) => None,
    };
    let request = EvaluateRequest {
        judged,
        against: &real,
        learned_from: learned_from.as_ref(),
        target: options.target.as_deref(),
        holdout: if holdout.is_finite() { holdout.clamp(0.0, 0.5) } else { 0.0 },
        features: features.as_deref().unwrap_or("own"),
        seed: options.seed,
        samples: options.samples,
        device,
        cache: cache.as_deref(),
    };
    let evaluation = (entry.evaluate)(&request, progress)?;
    let judged = match &folder {
        Some(folder) => format!("{path} (model of step {})", folder.description().step),
        None => path.to_owned(),
    };
    Ok(Evaluated { evaluation, judged, against })
}

/// Path or built-in name of the data that a run learns from; nothing if this is no run directory.
fn data_of(path: &Path) -> Result<Option<String>> {
    if !path.join("run.toml").exists() {
        return Ok(None);
    }
    let manifest = Manifest::read(path)?;
    Ok(Some(manifest.data_path.map_or(manifest.data.name, |path| path.to_string_lossy().into_owned())))
}

/// The task of that name.
///
/// # Errors
/// [`Error::Config`] with the known names.
pub fn find_task(name: &str) -> Result<&'static TaskEntry> {
    TASKS.iter().find(|t| t.name == name).copied().ok_or_else(|| {
        let known: Vec<_> = TASKS.iter().map(|t| t.name).collect();
        let remedy = match config::nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean {near}? known tasks: {}", known.join(", ")),
            None => format!("known tasks: {}", known.join(", ")),
        };
        Error::config("task", format!("unknown task \"{name}\""), remedy)
    })
}

/// The task that is meant by settings about the data: the first that knows them all, if the one that recognises the data does not. Other settings decide nothing: a misspelt one is a mistake.
fn of_settings(request: &TrainRequest, file: Option<&Table>, source: &Source) -> Option<&'static TaskEntry> {
    let of_file = file.map(config::flatten).unwrap_or_default().into_iter().map(|(key, _)| key);
    let of_flags = request.set.iter().filter_map(|set| Some(set.split_once('=')?.0.trim().to_owned()));
    let asked: Vec<String> = of_file.chain(of_flags).filter(|key| key.starts_with("data.")).collect();
    if asked.is_empty() {
        return None;
    }
    let knows = |entry: &TaskEntry| (entry.resolve)(&[]).is_ok_and(|known| asked.iter().all(|key| config::has(&known, key)));
    match recognize(source) {
        Ok((entry, _)) if knows(entry) => Some(entry),
        _ => TASKS.iter().copied().find(|entry| knows(entry)),
    }
}

/// The task that is surest of the data being its own.
///
/// # Errors
/// [`Error::Data`] if no task recognises it.
pub fn recognize(source: &Source) -> Result<(&'static TaskEntry, Confidence)> {
    let sure = TASKS.iter().filter_map(|entry| Some((*entry, (entry.recognizes)(source)?)));
    let best = sure.max_by(|a, b| a.1.score.total_cmp(&b.1.score));
    best.ok_or_else(|| {
        let known: Vec<_> = TASKS.iter().map(|t| t.name).collect();
        Error::data(source.name(), "no task knows what to do with this data", format!("name one with --task: {}", known.join(", ")))
    })
}

/// The settings that a task would train with if nothing was asked for: its proposal over the proposed preset.
///
/// # Errors
/// [`Error::Config`] if the proposal does not fit the task's settings.
pub fn proposed_config(entry: &TaskEntry, proposal: &Proposal) -> Result<Table> {
    (entry.resolve)(&[entry.preset(&proposal.preset)?.table()?, proposal.settings.clone()])
}

/// A setting that means nothing is the user's mistake on the command line, and a damaged file in a run directory.
fn blame_manifest(error: Error, run_dir: &Path) -> Error {
    match error {
        Error::Config { key, problem, remedy } => Error::run(
            run_dir.join("run.toml"),
            format!("{key}: {problem}"),
            format!("undo the change to this file, or start a new run with `ganymede train` ({remedy})"),
        ),
        other => other,
    }
}

/// `photos/` is `photos`, so that both find the same earlier run.
fn without_slash(name: &str) -> &str {
    let short = name.trim_end_matches('/');
    if short.is_empty() { name } else { short }
}

/// The last name of a path without its extension.
fn stem(name: &str) -> String {
    Path::new(name).file_stem().map_or_else(|| "data".to_owned(), |s| s.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_run_is_the_one_with_the_highest_number() {
        let root = tempfile::tempdir().unwrap();
        assert!(newest_run(root.path()).unwrap_err().to_string().contains("ganymede train"));
        assert!(newest_run(&root.path().join("absent")).is_err());
        for (name, is_run) in [("0009-image-b", true), ("0010-image-a", true), ("0011-image-a", false), ("notes", true)] {
            let folder = root.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            if is_run {
                std::fs::write(folder.join("run.toml"), "").unwrap();
            }
        }
        assert_eq!(newest_run(root.path()).unwrap(), root.path().join("0010-image-a"));
    }

    #[test]
    fn wrong_names_are_refused_before_any_data_is_read() {
        let absent = || TrainRequest { data: Some("/no/such/data".into()), ..TrainRequest::default() };
        let refused = |request: TrainRequest| prepare(&request).err().unwrap();
        assert_eq!(refused(TrainRequest { task: Some("nonsense".into()), ..absent() }).exit_code(), 2);
        assert_eq!(refused(TrainRequest { device: "nonsense".into(), ..absent() }).exit_code(), 2);
        assert_eq!(refused(TrainRequest { seed: u64::MAX, ..absent() }).exit_code(), 2);
        assert!(refused(TrainRequest { config_file: Some("/no/such/file".into()), ..absent() }).to_string().contains("/no/such/file"));
        assert!(refused(absent()).to_string().contains("/no/such/data"));
    }

    #[test]
    fn runs_are_named_after_the_last_part_of_the_data_path() {
        assert_eq!([stem("ring"), stem("/a/photos/"), stem("b/set.zip"), stem("/")], ["ring", "photos", "set", "data"]);
        assert_eq!([without_slash("photos//"), without_slash("/"), without_slash("a")], ["photos", "/", "a"]);
    }
}
