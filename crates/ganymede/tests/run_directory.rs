//! The run directory and the loop with a task of a few floats: killed, damaged, diverged, interrupted, and always either right or refused.

mod common;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use common::{lasting_files, manifest, new_run, trained};
use ganymede::artifact::Artifact;
use ganymede::run::{
    Checkpoint, DataDescription, HostTensor, LogEntry, ModelFolder, NamedTensors, RunDir, TrainedGenerator, find_unfinished,
};
use ganymede::train::{self, Control, Event, OnTrouble, Outcome, Plan, SampleRequest, StepReport, StopReason, Task};
use ganymede::{Error, Result};
use proptest::prelude::*;

/// A game of eight floats. Its state is a recurrence of state and step, so one step left out, doubled or swapped changes every later bit.
struct Toy {
    generator: [f32; 4],
    discriminator: [f32; 4],
    /// Calls of any method that still succeed: then the process "dies".
    calls_left: Cell<u64>,
    /// Step from which on the loss is NaN.
    nan_loss_at: u64,
    /// Step from which on a weight is NaN, the loss not.
    nan_weight_at: u64,
    steps_called: Vec<u64>,
    data: DataDescription,
}

impl Toy {
    fn new() -> Self {
        Self {
            generator: [0.1, 0.2, 0.3, 0.4],
            discriminator: [0.9, 0.8, 0.7, 0.6],
            calls_left: Cell::new(u64::MAX),
            nan_loss_at: u64::MAX,
            nan_weight_at: u64::MAX,
            steps_called: Vec::new(),
            data: DataDescription::default(),
        }
    }

    fn dying_after(n_calls: u64) -> Self {
        Self { calls_left: Cell::new(n_calls), ..Self::new() }
    }

    fn live(&self) -> Result<()> {
        let left = self.calls_left.get();
        self.calls_left.set(left.saturating_sub(1));
        if left == 0 { Err(Error::config("toy", "killed", "resume")) } else { Ok(()) }
    }
}

fn tensor(values: &[f32]) -> HostTensor {
    HostTensor { shape: vec![values.len()], values: values.to_vec() }
}

impl Task for Toy {
    fn step(&mut self, step: u64) -> Result<()> {
        self.live()?;
        self.steps_called.push(step);
        let noise = ((step * 2_654_435_761) % 1000) as f32 / 1000.0;
        for i in 0..4 {
            self.discriminator[i] = (self.discriminator[i] * 1.7 + self.generator[(i + 1) % 4] + noise).sin();
            self.generator[i] = (self.generator[i] * 1.3 - self.discriminator[(i + 3) % 4] * noise).cos();
        }
        if step >= self.nan_weight_at {
            self.generator[2] = f32::NAN;
        }
        Ok(())
    }

    fn report(&mut self) -> Result<StepReport> {
        self.live()?;
        let n_steps = self.steps_called.last().map_or(0, |step| step + 1);
        let d_loss = if n_steps > self.nan_loss_at { f64::NAN } else { f64::from(self.discriminator[0]) };
        Ok(StepReport { d_loss, g_loss: f64::from(self.generator[0]), d_accuracy: 0.99, extra: vec![("r1", f64::from(self.generator[1]))] })
    }

    fn data(&self) -> &DataDescription {
        &self.data
    }

    fn batch(&self) -> usize {
        4
    }

    fn sample(&self, request: &SampleRequest) -> Result<Vec<Artifact>> {
        self.live()?;
        let text = format!("{:?} {}\n", self.generator, request.ids.len());
        Ok(vec![Artifact { media_type: "text/csv", extension: "csv", stem: "sheet".into(), bytes: text.into_bytes() }])
    }

    fn snapshot(&self, _: u64, n: usize) -> Result<Artifact> {
        let mut files = self.sample(&SampleRequest::sheet(0, n))?;
        Ok(files.swap_remove(0))
    }

    fn real_sheet(&self, n: usize) -> Result<Artifact> {
        self.live()?;
        Ok(Artifact { media_type: "text/csv", extension: "csv", stem: "real".into(), bytes: format!("real {n}\n").into_bytes() })
    }

    fn save_state(&self) -> Result<Vec<(String, NamedTensors)>> {
        self.live()?;
        Ok(vec![
            ("generator".into(), vec![("w".into(), tensor(&self.generator))]),
            ("discriminator".into(), vec![("v".into(), tensor(&self.discriminator))]),
        ])
    }

    fn load_state(&mut self, players: Vec<(String, NamedTensors)>) -> Result<()> {
        self.live()?;
        self.generator = players[0].1[0].1.values[..].try_into().expect("four values");
        self.discriminator = players[1].1[0].1.values[..].try_into().expect("four values");
        Ok(())
    }

    fn model(&self) -> Result<TrainedGenerator> {
        self.live()?;
        let weights = vec![("w".into(), tensor(&self.generator))];
        Ok(trained(weights))
    }

    fn quick_metrics(&mut self) -> Result<Vec<(&'static str, f64)>> {
        self.live()?;
        Ok(vec![("modes", f64::from(self.generator[3]))])
    }
}

/// The checkpoint of the last step.
const LAST: &str = "checkpoints/step-00000107";

fn plan() -> Plan {
    Plan {
        steps: 107,
        batch: 4,
        log_every: 2,
        sample_every: 30,
        checkpoint_every: 15,
        keep: 2,
        sheet: 9,
        judge_every: 0,
        on_trouble: OnTrouble::Report,
        ..Plan::default()
    }
}

/// Opens the run, trains, closes it.
fn train(path: &Path, task: &mut Toy) -> Result<Outcome> {
    train::run(task, &plan(), &mut RunDir::open(path)?, &Control::default(), &mut |_| {})
}

/// What a run leaves that nothing happened to.
fn undisturbed() -> BTreeMap<String, Vec<u8>> {
    static FILES: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    let train_once = || {
        let (_root, path) = new_run();
        train(&path, &mut Toy::new()).unwrap();
        lasting_files(&path, LAST)
    };
    FILES.get_or_init(train_once).clone()
}

/// A run with checkpoints of steps 15 and 30 and a model.
fn run_of_30_steps() -> (tempfile::TempDir, PathBuf) {
    let (root, path) = new_run();
    let mut run = RunDir::open(&path).unwrap();
    train::run(&mut Toy::new(), &Plan { steps: 30, ..plan() }, &mut run, &Control::default(), &mut |_| {}).unwrap();
    (root, path)
}

#[test]
fn a_whole_run_leaves_everything_the_design_promises() {
    let (_root, path) = new_run();
    let mut events = Vec::new();
    let mut run = RunDir::open(&path).unwrap();
    let outcome = train::run(&mut Toy::new(), &plan(), &mut run, &Control::default(), &mut |event| events.push(event.clone())).unwrap();
    assert_eq!((outcome.step, outcome.reason), (107, StopReason::Done));
    for file in ["run.toml", "log.jsonl", "report.html", "samples/real.csv", "samples/step-00000000.csv", "samples/step-00000107.csv"] {
        assert!(path.join(file).is_file(), "{file}");
    }
    for file in ["model/generator.safetensors", "model/model.json", "model/README.md", "checkpoints/step-00000105/state.json"] {
        assert!(path.join(file).is_file(), "{file}");
    }
    assert_eq!(fs::read_dir(path.join("checkpoints")).unwrap().count(), 2, "the newest two are kept");
    let count = |wanted: fn(&Event) -> bool| events.iter().filter(|event| wanted(event)).count();
    assert_eq!(count(|e| matches!(e, Event::Step { .. })), 107);
    assert_eq!(count(|e| matches!(e, Event::Step { report: Some(_), .. })), 54);
    assert_eq!(count(|e| matches!(e, Event::Snapshot { .. })), 5);
    assert_eq!(count(|e| matches!(e, Event::Checkpoint { .. })), 9);
    assert_eq!(count(|e| matches!(e, Event::Found(_))), 0);
    let log = fs::read_to_string(path.join("log.jsonl")).unwrap();
    assert!(log.lines().all(|line| LogEntry::parse(line).is_some()));
    assert_eq!(log.lines().count(), 54 + 5 + 1, "numbers, sheets, and how it stopped");
    assert!(
        fs::read_to_string(path.join("report.html"))
            .unwrap()
            .contains("Finished after 107 steps. It stopped because all 107 steps are done.")
    );
}

#[test]
fn reading_changes_nothing_and_every_step_is_called_once() {
    let (_root, path) = new_run();
    let mut task = Toy::new();
    train(&path, &mut task).unwrap();
    let mut bare = Toy::new();
    (0..107).for_each(|step| bare.step(step).unwrap());
    assert_eq!(task.steps_called, bare.steps_called);
    assert_eq!(task.generator.map(f32::to_bits), bare.generator.map(f32::to_bits));
}

#[test]
fn an_interrupted_run_says_so_and_ends_like_one_that_was_not() {
    let (_root, path) = new_run();
    let control = Control::default();
    let stop = control.stop.clone();
    let mut stop_at_37 = |event: &Event| {
        if matches!(event, Event::Step { step: 37, .. }) {
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let outcome = train::run(&mut Toy::new(), &plan(), &mut RunDir::open(&path).unwrap(), &control, &mut stop_at_37).unwrap();
    assert_eq!((outcome.step, outcome.reason), (37, StopReason::Interrupted));
    let page = fs::read_to_string(path.join("report.html")).unwrap();
    assert!(page.contains("Interrupted after 37 of 107 steps") && page.contains("ganymede train --resume"));
    assert_eq!(find_unfinished(path.parent().unwrap(), &manifest()).unwrap().step, 37);
    let mut task = Toy::new();
    train(&path, &mut task).unwrap();
    assert_eq!(task.steps_called, (37..107).collect::<Vec<_>>());
    assert_eq!(lasting_files(&path, LAST), undisturbed());
    assert_eq!(find_unfinished(path.parent().unwrap(), &manifest()), None);
}

#[test]
fn a_finished_run_that_is_resumed_stays_as_it_is() {
    let (_root, path) = new_run();
    train(&path, &mut Toy::new()).unwrap();
    let before = lasting_files(&path, LAST);
    // Killed after the last checkpoint and before the model.
    fs::remove_dir_all(path.join("model")).unwrap();
    let mut task = Toy::new();
    assert_eq!(train(&path, &mut task).unwrap().reason, StopReason::Done);
    assert!(task.steps_called.is_empty());
    assert_eq!(lasting_files(&path, LAST), before);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_killed_at_any_calls_and_resumed_ends_with_the_same_bytes(kills in prop::collection::vec(0u64..120, 1..4)) {
        let (_root, path) = new_run();
        for n_calls in kills {
            if train(&path, &mut Toy::dying_after(n_calls)).is_ok() {
                break;
            }
        }
        train(&path, &mut Toy::new()).unwrap();
        prop_assert_eq!(lasting_files(&path, LAST), undisturbed());
    }
}

/// Not a test of its own: the process that `kill_9_...` kills.
#[test]
#[ignore = "started by the test that kills it"]
fn child_that_trains_until_killed() {
    let path = std::env::var_os("GANYMEDE_TEST_RUN").expect("the parent names the run");
    train(Path::new(&path), &mut Toy::new()).unwrap();
}

#[test]
fn kill_9_at_any_moment_and_resuming_ends_with_the_same_bytes() {
    let (_root, path) = new_run();
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child_that_trains_until_killed"])
            .env("GANYMEDE_TEST_RUN", &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let log_lines = || fs::read(path.join("log.jsonl")).map_or(0, |log| log.iter().filter(|b| **b == b'\n').count());
    for n_lines in [1, 7, 12, 17, 26, 30, 41, 55] {
        let mut child = start();
        while log_lines() < n_lines && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(300));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(start().wait().unwrap().success());
    assert_eq!(lasting_files(&path, LAST), undisturbed());
    let left: Vec<_> = fs::read_dir(path.join("checkpoints")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(!path.join("model.tmp").exists() && !path.join("model.old").exists());
}

#[test]
fn a_damaged_newest_checkpoint_is_passed_over_with_a_warning() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("cut", |p| fs::write(p.join("generator.safetensors"), &fs::read(p.join("generator.safetensors")).unwrap()[..50]).unwrap()),
        ("flipped", |p| {
            let mut bytes = fs::read(p.join("discriminator.safetensors")).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(p.join("discriminator.safetensors"), bytes).unwrap();
        }),
        ("missing", |p| fs::remove_file(p.join("state.json")).unwrap()),
        ("without checksums", |p| fs::write(p.join("SHA256SUMS"), "").unwrap()),
    ];
    for (name, damage) in damages {
        let (_root, path) = run_of_30_steps();
        damage(&path.join("checkpoints/step-00000030"));
        let mut warnings = Vec::new();
        let mut task = Toy::new();
        let mut observer = |event: &Event| {
            if let Event::Warning { message } = event {
                warnings.push(message.clone());
            }
        };
        train::run(&mut task, &plan(), &mut RunDir::open(&path).unwrap(), &Control::default(), &mut observer).unwrap();
        assert_eq!(task.steps_called[0], 15, "{name}");
        assert!(warnings.len() == 1 && warnings[0].contains("step-00000030"), "{name}: {warnings:?}");
        assert_eq!(lasting_files(&path, LAST).get("model/generator.safetensors"), undisturbed().get("model/generator.safetensors"));
    }
}

#[test]
fn a_diverged_run_keeps_its_last_healthy_checkpoint_and_model() {
    // A weight spoilt in step 44 has not reached the losses when the checkpoint of step 45 is due.
    for (nan_loss_at, nan_weight_at, evidence) in [(40, u64::MAX, "d_loss is NaN"), (u64::MAX, 44, "tensor \"w\" of the generator")] {
        let (_root, path) = new_run();
        let mut task = Toy { nan_loss_at, nan_weight_at, ..Toy::new() };
        let error = train(&path, &mut task).unwrap_err();
        assert!(matches!(error, Error::Diverged { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains(evidence) && message.contains("step 30 is healthy and kept"), "{message}");
        let run = RunDir::open(&path).unwrap();
        assert_eq!(run.latest_checkpoint().unwrap().checkpoint.unwrap().step, 30);
        assert!(ModelFolder::open(&path).unwrap().tensors().is_ok());
        assert!(fs::read_to_string(path.join("report.html")).unwrap().contains("Diverged at step"));
        assert!(fs::read_to_string(path.join("log.jsonl")).unwrap().lines().last().unwrap().contains("\"kind\":\"non-finite\""));
        drop(run);
        assert_eq!(find_unfinished(path.parent().unwrap(), &manifest()), None);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_the_run_with_the_way_on_and_leaves_checkpoints_alone() {
    let (_root, path) = new_run();
    // Writing to this device fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", path.join("samples/step-00000060.csv.tmp")).unwrap();
    let message = train(&path, &mut Toy::new()).unwrap_err().to_string();
    assert!(message.contains("free some disk space, then go on with `ganymede train --resume"), "{message}");
    let mut task = Toy::new();
    train(&path, &mut task).unwrap();
    assert_eq!(task.steps_called[0], 45);
    assert_eq!(lasting_files(&path, LAST), undisturbed());
}

/// Contents that replace a file's: cut off, flipped, emptied, overwritten. `None` removes it.
fn corruptions(bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut variants = vec![None, Some(vec![]), Some(vec![0xff; 64]), Some(b"{}".to_vec()), Some(vec![b'['; 100_000])];
    let n_bytes = bytes.len();
    variants.extend([1, 7, 8, n_bytes / 2, n_bytes - 1].map(|cut| Some(bytes[..cut.min(n_bytes)].to_vec())));
    variants.push(Some([&u64::MAX.to_le_bytes()[..], bytes].concat()));
    for idx in 0..8 {
        let mut flipped = bytes.to_vec();
        flipped[idx * (n_bytes - 1) / 7] ^= 1 << idx;
        variants.push(Some(flipped));
    }
    variants
}

fn put(path: &Path, contents: &Option<Vec<u8>>) {
    match contents {
        Some(bytes) => fs::write(path, bytes).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
}

#[test]
fn no_corrupted_checkpoint_is_taken_for_a_whole_one() {
    let (_root, path) = run_of_30_steps();
    let run = RunDir::open(&path).unwrap();
    let newest = run.latest_checkpoint().unwrap().checkpoint.unwrap();
    let folder = path.join("checkpoints/step-00000030");
    let mut n_variants = 0;
    for file in ["generator.safetensors", "discriminator.safetensors", "state.json", "SHA256SUMS"] {
        let whole = fs::read(folder.join(file)).unwrap();
        for contents in corruptions(&whole) {
            put(&folder.join(file), &contents);
            let restored = run.latest_checkpoint().unwrap();
            n_variants += 1;
            // Without its last line break a list of checksums says the same.
            if file == "SHA256SUMS" && restored.checkpoint.as_ref() == Some(&newest) {
                continue;
            }
            assert_eq!(restored.checkpoint.map(|c: Checkpoint| c.step), Some(15), "{file}");
            assert!(restored.warnings[0].contains("step-00000030"), "{}", restored.warnings[0]);
        }
        fs::write(folder.join(file), whole).unwrap();
    }
    assert_eq!(run.latest_checkpoint().unwrap().checkpoint.unwrap().step, 30);
    assert!(n_variants >= 50);
}

#[test]
fn corrupted_model_folders_give_errors_that_name_the_file() {
    let (_root, path) = run_of_30_steps();
    let expected = ModelFolder::open(&path).unwrap().tensors().unwrap();
    let mut n_refused = 0;
    for file in ["generator.safetensors", "model.json", "SHA256SUMS"] {
        let at = path.join("model").join(file);
        let whole = fs::read(&at).unwrap();
        for contents in corruptions(&whole) {
            put(&at, &contents);
            match ModelFolder::open(&path).and_then(|model| model.tensors()) {
                Err(error) => {
                    let message = error.to_string();
                    // A run without model.json has no model; a wrong list of checksums speaks of the file that it lists.
                    assert!(message.contains("model") && message.contains("; "), "{file}: {message}");
                    n_refused += 1;
                }
                // A flipped letter in the words of model.json, or a list of checksums that is gone: the weights are whole all the same.
                Ok(tensors) => assert!(file != "generator.safetensors" && tensors == expected, "{file}"),
            }
        }
        fs::write(&at, whole).unwrap();
    }
    assert!(n_refused >= 30, "{n_refused}");
}

#[test]
fn corrupted_manifests_give_errors_that_name_the_file() {
    let (_root, path) = run_of_30_steps();
    let at = path.join("run.toml");
    let whole = fs::read(&at).unwrap();
    let mut n_refused = 0;
    for contents in corruptions(&whole) {
        put(&at, &contents);
        if let Err(error) = RunDir::open(&path) {
            assert!(error.to_string().contains("run.toml"), "{error}");
            n_refused += 1;
        }
    }
    assert!(n_refused >= 8, "{n_refused}");
    fs::write(&at, whole).unwrap();
    RunDir::open(&path).unwrap();
}
