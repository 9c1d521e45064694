//! The run directory: made, opened, locked, and everything the loop writes into it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::checkpoint::{self, Checkpoint, Restored};
use super::files;
use super::log::{self, Log, LogEntry};
use super::manifest::{self, Manifest};
use super::model_folder;
use super::report::{self, Progress, RunState};
use super::tensorboard::EventFile;
use super::types::{ModelDescription, TrainedGenerator};
use crate::artifact::Artifact;
use crate::error::{Error, Result};

const LOCK: &str = "lock";
const CHECKPOINTS: &str = "checkpoints";
pub(crate) const SAMPLES: &str = "samples";

/// A run directory that this process has to itself. The operating system drops the lock when the process ends, however it ends.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    manifest: Manifest,
    log: Log,
    events: Option<EventFile>,
    /// Last step of the checkpoint that the run was continued from.
    continued_from: Option<u64>,
    secs_before: f64,
    opened: Instant,
    _lock: File,
}

impl RunDir {
    /// Makes the next free directory under `root`, for example `runs/0007-image-avatars`, and writes `run.toml`. `name` may hold any text; what
    /// does not suit a file name becomes `-`.
    ///
    /// # Errors
    /// [`Error::Io`] if the place cannot be written to or is full, [`Error::Config`] if the manifest cannot be written as TOML.
    pub fn create(root: &Path, name: &str, manifest: &Manifest) -> Result<Self> {
        let text = manifest.to_toml()?;
        let path = claim_folder(root, &plain(name))?;
        let fill = || -> Result<File> {
            let lock = take_lock(&path)?;
            for folder in [CHECKPOINTS, SAMPLES] {
                fs::create_dir(path.join(folder)).map_err(|e| Error::io(&path, "make the run's folders", e))?;
            }
            probe_space(&path)?;
            files::write_atomic(&path.join(manifest::FILE), text.as_bytes())?;
            files::sync_parent(&path)?;
            Ok(lock)
        };
        match fill() {
            Ok(lock) => Ok(Self::new(path, manifest.clone(), lock)),
            Err(error) => {
                let _ = fs::remove_dir_all(&path);
                Err(error)
            }
        }
    }

    /// Opens a run directory to go on with it, and clears away what a crash left half-written.
    ///
    /// # Errors
    /// [`Error::Run`] if it is no run directory, is damaged, of a newer version, or in use by another process; [`Error::Io`] if it cannot be
    /// written to.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let manifest = Manifest::read(path)?;
        let lock = take_lock(path)?;
        checkpoint::remove_half_written(&path.join(CHECKPOINTS))?;
        model_folder::repair(path)?;
        for folder in [CHECKPOINTS, SAMPLES] {
            fs::create_dir_all(path.join(folder)).map_err(|e| Error::io(path, "make the run's folders", e))?;
        }
        Ok(Self::new(path.to_path_buf(), manifest, lock))
    }

    fn new(path: PathBuf, manifest: Manifest, lock: File) -> Self {
        let log = Log::new(&path);
        Self { path, manifest, log, events: None, continued_from: None, secs_before: 0.0, opened: Instant::now(), _lock: lock }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `run.toml` says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Replaces the configuration in `run.toml`, for a run that is to go on differently.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written; the earlier one is still there then.
    pub fn change_config(&mut self, config: toml::Table) -> Result<()> {
        let changed = Manifest { config, ..self.manifest.clone() };
        files::write_atomic(&self.path.join(manifest::FILE), changed.to_toml()?.as_bytes())?;
        self.manifest = changed;
        Ok(())
    }

    /// Seconds spent on the run, over all its processes.
    pub fn secs(&self) -> f64 {
        self.secs_before + self.opened.elapsed().as_secs_f64()
    }

    /// Refuses to go on with other data than the run began with.
    ///
    /// # Errors
    /// [`Error::Run`] if `fingerprint` is not the one in `run.toml`.
    pub fn check_same_data(&self, fingerprint: &str) -> Result<()> {
        let data = &self.manifest.data;
        if data.fingerprint == fingerprint {
            return Ok(());
        }
        let short = |text: &str| text.chars().take(12).collect::<String>();
        Err(Error::run(
            &self.path,
            format!(
                "the data \"{}\" changed since this run began ({} then, {} now)",
                data.name,
                short(&data.fingerprint),
                short(fingerprint)
            ),
            "put the old files back, or start a new run with `ganymede train`",
        ))
    }

    /// The newest checkpoint that is whole, with a warning for every damaged one that was passed over.
    ///
    /// # Errors
    /// [`Error::Run`] if there are checkpoints but none can be read, or one is of a newer version; [`Error::Io`] if reading is not permitted.
    pub fn latest_checkpoint(&self) -> Result<Restored> {
        checkpoint::latest(&self.path.join(CHECKPOINTS))
    }

    /// Step of the newest checkpoint, whole or not.
    pub fn latest_step(&self) -> Option<u64> {
        checkpoint::latest_step(&self.path.join(CHECKPOINTS))
    }

    /// Writes a checkpoint as a whole or not at all, then removes the oldest beyond `keep`. Returns its folder. The log is on the disk before it.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written; earlier checkpoints are untouched then.
    pub fn save_checkpoint(&mut self, checkpoint: &Checkpoint, keep: usize) -> Result<PathBuf> {
        self.log.sync()?;
        checkpoint::save(&self.path.join(CHECKPOINTS), checkpoint, keep)
    }

    /// Replaces the run's `model/` folder as a whole by the generator after `step` steps, which were shown `samples_seen` real samples.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written; the earlier model is still there then.
    pub fn write_model(&self, trained: TrainedGenerator, step: u64, samples_seen: u64) -> Result<()> {
        let TrainedGenerator { weights, discriminator, generator, classes, metrics } = trained;
        let Manifest { task, data, config, seed, .. } = &self.manifest;
        let description = ModelDescription {
            format: ModelDescription::FORMAT,
            ganymede_version: env!("CARGO_PKG_VERSION").to_owned(),
            task: task.clone(),
            step,
            samples_seen,
            classes,
            generator,
            data: data.clone(),
            config: serde_json::to_value(config).expect("a TOML table is valid JSON"),
            seed: *seed,
            metrics,
        };
        model_folder::write(&self.path, (&weights, &discriminator), &description)
    }

    /// Makes the log end with the checkpoint that the run goes on from, which knows of `n_remedies`; `None` makes it empty, for a run that starts from step 0.
    ///
    /// # Errors
    /// [`Error::Io`] if the log cannot be read or written.
    pub fn rewind(&mut self, last_step: Option<u64>, n_remedies: usize) -> Result<()> {
        self.log.cut(last_step, n_remedies)?;
        self.events = None;
        self.continued_from = last_step;
        Ok(())
    }

    /// Goes on counting seconds from what the log says was spent before this process.
    ///
    /// # Errors
    /// [`Error::Io`] if the log cannot be read.
    pub fn take_up_time(&mut self) -> Result<()> {
        let secs = log::read(&self.path)?.iter().rev().find_map(|entry| match entry {
            LogEntry::Scalars { secs, .. } if secs.is_finite() => Some(*secs),
            _ => None,
        });
        self.secs_before = secs.unwrap_or(0.0);
        self.opened = Instant::now();
        Ok(())
    }

    /// Whether there is a model folder.
    pub fn has_model(&self) -> bool {
        self.path.join(model_folder::FOLDER).exists()
    }

    /// The newest whole checkpoint of a step up to `step`, or else the oldest whole one there is.
    ///
    /// # Errors
    /// As [`RunDir::latest_checkpoint`]; nothing if there is none.
    pub fn checkpoint_up_to(&self, step: u64) -> Result<Option<Checkpoint>> {
        checkpoint::up_to(&self.path.join(CHECKPOINTS), step)
    }

    /// Writes the planned steps into `run.toml`, once they are known.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn fit_to_time(&mut self, steps: u64) -> Result<()> {
        let mut config = self.manifest.config.clone();
        if let Some(plan) = config.get_mut("plan").and_then(toml::Value::as_table_mut) {
            plan.insert("steps".into(), toml::Value::Integer(i64::try_from(steps).unwrap_or(i64::MAX)));
        }
        self.change_config(config)
    }

    /// Appends a line to the log; scalars go to TensorBoard's file as well.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn log(&mut self, entry: &LogEntry) -> Result<()> {
        self.log.append(entry)?;
        if let LogEntry::Scalars { step, scalars, samples_per_sec, .. } = entry {
            let rate = ("samples_per_sec".to_string(), *samples_per_sec);
            let all: Vec<_> = scalars.iter().chain([&rate]).map(|(name, value)| (name.as_str(), *value)).collect();
            self.events()?.scalars(*step, &all)?;
        }
        Ok(())
    }

    /// Writes the sheet of a step into `samples/`, and its line and figures into the log and TensorBoard's file. Returns the sheet's path.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn save_snapshot(&mut self, step: u64, sheet: &Artifact, metrics: &[(&str, f64)]) -> Result<PathBuf> {
        let file = format!("{SAMPLES}/step-{step:08}.{}", sheet.extension);
        files::write_atomic(&self.path.join(&file), &sheet.bytes)?;
        let path = self.path.join(&file);
        let owned = metrics.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        self.log(&LogEntry::Snapshot { step, file, metrics: owned })?;
        let events = self.events()?;
        if !metrics.is_empty() {
            events.scalars(step, metrics)?;
        }
        if sheet.media_type == "image/png" {
            events.image(step, "samples", &sheet.bytes)?;
        }
        Ok(path)
    }

    /// Writes a sheet of real data beside the samples, as `samples/real.<extension>`. Returns its path.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn save_real(&self, sheet: &Artifact) -> Result<PathBuf> {
        let path = self.path.join(SAMPLES).join(format!("real.{}", sheet.extension));
        files::write_atomic(&path, &sheet.bytes)?;
        Ok(path)
    }

    /// Rewrites `report.html` from what the directory holds. Returns its path.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn write_report(&self, progress: &Progress) -> Result<PathBuf> {
        let path = self.path.join(report::FILE);
        let page = report::render(&self.path, &self.manifest, progress)?;
        files::write_atomic(&path, page.as_bytes())?;
        Ok(path)
    }

    /// Writes the results of an evaluation (JSON) and the sheet of its closest pairs, and shows them in the report.
    ///
    /// # Errors
    /// [`Error::Io`] if something cannot be written.
    pub fn save_evaluation(&self, json: &str, closest: Option<&Artifact>) -> Result<()> {
        files::write_atomic(&self.path.join(report::EVALUATION), json.as_bytes())?;
        if let Some(sheet) = closest.filter(|sheet| sheet.extension == "png") {
            files::write_atomic(&self.path.join(report::CLOSEST), &sheet.bytes)?;
        }
        let entries = log::read(&self.path)?;
        let stopped = entries.iter().rev().find_map(|entry| match entry {
            LogEntry::Stopped { step, reason, .. } => Some((*step, reason.as_str())),
            _ => None,
        });
        let last = entries.last().map_or(0, LogEntry::step);
        let (step, state) = match stopped {
            Some((step, "interrupted")) => (step, RunState::Interrupted),
            Some((step, "trouble")) => (step, RunState::Troubled),
            Some((step, _)) => (step, RunState::Finished),
            None => (last, RunState::Interrupted),
        };
        self.write_report(&Progress { step, steps: self.manifest.steps().unwrap_or(step), state }).map(|_| ())
    }

    fn events(&mut self) -> Result<&mut EventFile> {
        match &mut self.events {
            Some(events) => Ok(events),
            empty => Ok(empty.insert(EventFile::create(&self.path, self.continued_from)?)),
        }
    }
}

/// A run that stopped before its last step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Its directory.
    pub path: PathBuf,
    /// Step of its newest checkpoint.
    pub step: u64,
    /// Steps it was to have.
    pub steps: u64,
}

/// The newest run under `root` that does the same work as `wanted` ([`Manifest::same_work`]), has a checkpoint before its last step, did not
/// diverge, and is not in use by a process. Directories that cannot be read are passed over.
pub fn find_unfinished(root: &Path, wanted: &Manifest) -> Option<Unfinished> {
    let steps = wanted.steps()?;
    let mut runs: Vec<(u64, PathBuf)> = numbered(root).unwrap_or_default();
    runs.sort();
    runs.into_iter().rev().find_map(|(_, path)| {
        let manifest = Manifest::read(&path).ok()?;
        let step = checkpoint::latest_step(&path.join(CHECKPOINTS))?;
        let is_over = |entry: &LogEntry| match entry {
            LogEntry::Finding { severity, .. } => severity == "fatal",
            LogEntry::Stopped { reason, .. } => reason != "interrupted",
            _ => false,
        };
        let over = log::read(&path).ok()?.iter().any(is_over);
        let fits = manifest.same_work(wanted) && step > 0 && step < steps && !over && !is_locked(&path);
        fits.then_some(Unfinished { path, step, steps })
    })
}

/// Makes the folder with the next number. The lock on `root` keeps two processes from taking one number with two names.
fn claim_folder(root: &Path, name: &str) -> Result<PathBuf> {
    fs::create_dir_all(root).map_err(|e| Error::io(root, "make the folder for runs", e))?;
    let lock_path = root.join(".lock");
    let lock = File::create(&lock_path).map_err(|e| Error::io(root, "write into the folder for runs", e))?;
    // Where the file system has no locks, two runs may share a number; their names or `create_dir` still keep them apart.
    let _ = lock.lock();
    let mut number = numbered(root)?.iter().map(|(number, _)| number.saturating_add(1)).max().unwrap_or(1);
    loop {
        let path = root.join(format!("{number:04}-{name}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && number < u64::MAX => number += 1,
            Err(e) => return Err(Error::io(&path, "make the run directory", e)),
        }
    }
}

/// The entries of `root` that are called like runs, `NNNN-name`.
fn numbered(root: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let read = |e| Error::io(root, "list the folder for runs", e);
    let mut found = Vec::new();
    for entry in fs::read_dir(root).map_err(read)? {
        let entry = entry.map_err(read)?;
        let number = entry.file_name().to_str().and_then(|name| name.split_once('-')?.0.parse().ok());
        found.extend(number.map(|number| (number, entry.path())));
    }
    Ok(found)
}

/// The same name made of letters, digits, `.`, `_` and `-`, at most 60 of them.
fn plain(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || "._".contains(c) { c } else { '-' }).collect();
    let short: String = plain.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-").chars().take(60).collect();
    if short.is_empty() { "run".to_string() } else { short }
}

/// Finds a full disk before hours of training do: a run that cannot place this much cannot place a checkpoint.
fn probe_space(folder: &Path) -> Result<()> {
    let path = folder.join("space.tmp");
    files::write_synced(&path, &vec![0xA5; 1 << 20])?;
    fs::remove_file(&path).map_err(|e| Error::io(&path, "remove a file", e))
}

fn take_lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open.map_err(|e| Error::io(&path, "open the lock", e))?;
    for wait in [20, 50, 100, 0] {
        match file.try_lock() {
            Ok(()) => {
                // The number only helps whoever meets the lock; the lock itself is the system's.
                let note = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                return note.map(|()| file).map_err(|e| Error::io(&path, "write the lock", e));
            }
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {
                tracing::warn!("{}: this file system has no locks; do not train twice in one directory", folder.display());
                return Ok(file);
            }
            Err(TryLockError::Error(e)) => return Err(Error::io(&path, "lock the run directory", e)),
            // `find_unfinished` of another process may hold it for a moment.
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(wait)),
        }
    }
    let mut pid = String::new();
    let _ = (&file).take(20).read_to_string(&mut pid);
    let process = if pid.trim().is_empty() { "another process".to_string() } else { format!("another process (pid {})", pid.trim()) };
    Err(Error::run(folder, format!("in use by {process}"), "wait until it ends, or stop it with Ctrl-C where it runs"))
}

fn is_locked(folder: &Path) -> bool {
    let probe = File::open(folder.join(LOCK)).map(|file| file.try_lock_shared());
    matches!(probe, Ok(Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::super::manifest::tests::example;
    use super::*;

    fn checkpoint(step: u64) -> Checkpoint {
        Checkpoint { step, players: vec![], trainer: serde_json::Value::Null }
    }

    #[test]
    fn runs_are_numbered_on() {
        let root = tempfile::tempdir().unwrap();
        let names = ["a", "image-My Photos/ü", "..", ""];
        let made =
            names.map(|name| RunDir::create(&root.path().join("runs"), name, &example()).unwrap().path().file_name().unwrap().to_owned());
        assert_eq!(made, ["0001-a", "0002-image-My-Photos", "0003-..", "0004-run"]);
    }

    #[test]
    fn numbers_of_runs_made_at_once_differ() {
        let root = tempfile::tempdir().unwrap();
        let names = thread::scope(|scope| {
            let make = |idx: usize| {
                let root = root.path();
                scope.spawn(move || RunDir::create(root, &format!("n{idx}"), &example()).unwrap().path().to_path_buf())
            };
            let threads: Vec<_> = (0..8).map(make).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
        });
        let mut numbers: Vec<_> = names.iter().map(|p| p.file_name().unwrap().to_str().unwrap()[..4].to_string()).collect();
        numbers.sort();
        numbers.dedup();
        assert_eq!(numbers.len(), 8);
    }

    #[test]
    fn a_directory_in_use_is_refused_until_it_is_let_go() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(root.path(), "a", &example()).unwrap();
        let message = RunDir::open(run.path()).unwrap_err().to_string();
        assert!(message.contains(&format!("in use by another process (pid {})", std::process::id())), "{message}");
        let path = run.path().to_path_buf();
        drop(run);
        RunDir::open(path).unwrap();
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_before_training() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(RunDir::create(&file.join("runs"), "a", &example()), Err(Error::Io { .. })));
        assert!(matches!(RunDir::create(&file, "a", &example()), Err(Error::Io { .. })));
    }

    #[test]
    fn changed_data_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(root.path(), "a", &example()).unwrap();
        run.check_same_data(&example().data.fingerprint).unwrap();
        let message = run.check_same_data("ffff").unwrap_err().to_string();
        assert!(message.contains("\"my photos\" changed since this run began (abababababab then, ffff now)"), "{message}");
    }

    #[test]
    fn the_newest_unfinished_run_of_the_same_work_is_found() {
        let root = tempfile::tempdir().unwrap();
        let make = |manifest: &Manifest, step: Option<u64>| {
            let mut run = RunDir::create(root.path(), "a", manifest).unwrap();
            step.map(|step| run.save_checkpoint(&checkpoint(step), 1).unwrap());
            run
        };
        assert_eq!(find_unfinished(&root.path().join("absent"), &example()), None);
        let first = make(&example(), Some(5)).path().to_path_buf();
        make(&example(), Some(20));
        make(&example(), None);
        make(&Manifest { seed: 8, ..example() }, Some(6));
        let running = make(&example(), Some(7));
        let mut diverged = make(&example(), Some(8));
        let text = || "x".to_string();
        diverged
            .log(&LogEntry::Finding { step: 9, kind: text(), severity: "fatal".into(), evidence: text(), cause: text(), remedy: text() })
            .unwrap();
        drop(diverged);
        assert_eq!(find_unfinished(root.path(), &example()), Some(Unfinished { path: first, step: 5, steps: 20 }));
        let running_path = running.path().to_path_buf();
        drop(running);
        assert_eq!(find_unfinished(root.path(), &example()).unwrap().path, running_path);
    }
}
