//! Training, sampling and going on, through the built program.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{events, failure_of, ganymede, json_of, run, stderr, stdout_of};
use serde_json::Value;

/// Twenty steps on the built-in ring of points.
const TINY: &[&str] =
    &["train", "ring", "--steps", "20", "--set", "plan.checkpoint_every=10", "--set", "plan.sample_every=10", "--device", "cpu"];

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Trains and gives back the run directory, which the program names on stdout.
fn trained(here: &Path, more: &[&str]) -> PathBuf {
    let path = stdout_of(here, &[TINY, more].concat());
    here.join(path.trim_end())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What a crash right after step 10 leaves.
fn forget_second_half(run: &Path) {
    fs::remove_dir_all(run.join("checkpoints/step-00000020")).unwrap();
    fs::remove_dir_all(run.join("model")).unwrap();
    let log = fs::read_to_string(run.join("log.jsonl")).unwrap();
    let kept: String = log.lines().filter(|line| !line.contains("\"stopped\"")).map(|line| format!("{line}\n")).collect();
    fs::write(run.join("log.jsonl"), kept).unwrap();
}

#[test]
fn a_tiny_training_leaves_everything_a_run_directory_promises() {
    let here = folder();
    let output = run(here.path(), TINY);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "runs/0001-points-ring\n");
    let path = here.path().join("runs/0001-points-ring");
    for file in [
        "run.toml",
        "log.jsonl",
        "report.html",
        "model/model.json",
        "model/generator.safetensors",
        "model/README.md",
        "checkpoints/step-00000020",
    ] {
        assert!(path.join(file).exists(), "{file}");
    }
    let said = stderr(&output);
    for part in [
        "data      ring",
        "task      points",
        "preset    ",
        "device    cpu",
        "done: 20 of 20 steps",
        "report.html",
        "next      ganymede sample",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!output.stderr.contains(&0x1b));
}

#[test]
fn samples_are_the_same_for_the_same_seed_and_go_where_they_are_told() {
    let here = folder();
    let model = trained(here.path(), &[]);
    let sheet = |name: &str, more: &[&str]| {
        stdout_of(here.path(), &[&["sample", text(&model), "-o", name], more].concat());
        fs::read(here.path().join(name)).unwrap()
    };
    let first = sheet("a.csv", &["-n", "10", "--seed", "3"]);
    assert_eq!(first, sheet("b.csv", &["-n", "10", "--seed", "3"]));
    assert_ne!(first, sheet("c.csv", &["-n", "10", "--seed", "4"]));
    let piped = run(here.path(), &["sample", text(&model.join("model")), "-n", "10", "--seed", "3", "-o", "-"]);
    assert_eq!(piped.stdout, first);
    let named = stdout_of(here.path(), &["sample", text(&model), "-n", "4"]);
    assert_eq!(named, "samples-0001-points-ring.csv\n");
    assert_eq!(stdout_of(here.path(), &["sample", text(&model), "-n", "4"]), "samples-0001-points-ring-2.csv\n");
    assert_eq!(json_of(here.path(), &["sample", text(&model), "-n", "3", "-o", "d.csv"])["samples"], 3);
}

#[test]
fn single_files_are_named_by_identity_and_never_replaced_unasked() {
    let here = folder();
    let model = trained(here.path(), &[]);
    stdout_of(here.path(), &["sample", text(&model), "--seeds", "0-69,7:5", "-o", "singles/"]);
    assert_eq!(fs::read_dir(here.path().join("singles")).unwrap().count(), 71);
    assert!(here.path().join("singles/seed7-00005.csv").exists());
    let said = failure_of(here.path(), &["sample", text(&model), "--seeds", "7", "-o", "singles"], 1);
    assert!(said.contains("exists already") && said.contains("--force"), "{said}");
    stdout_of(here.path(), &["sample", text(&model), "--seeds", "7", "-o", "singles", "--force"]);
    stdout_of(here.path(), &["sample", text(&model), "--seeds", "100", "-o", "singles"]);
    assert_eq!(fs::read_dir(here.path().join("singles")).unwrap().count(), 72);
}

#[test]
fn wrong_requests_for_samples_are_refused_before_anything_is_written() {
    let here = folder();
    let model = trained(here.path(), &[]);
    let files = fs::read_dir(here.path()).unwrap().count();
    let refused = |more: &[&str]| failure_of(here.path(), &[&["sample", text(&model)], more].concat(), 2);
    assert!(refused(&["-n", "0"]).contains("-n"));
    assert!(refused(&["-n", "1000001"]).contains("1000000"));
    assert!(refused(&["--truncation", "1.5"]).contains("--truncation"));
    assert!(refused(&["--label", "cat"]).contains("cannot be asked"));
    assert!(refused(&["-o", "x.png"]).contains("a file that ends in .csv"));
    assert!(refused(&["--seeds", "5-3"]).contains("cannot read"));
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), files);
}

#[test]
fn the_json_stream_has_one_object_a_line() {
    let here = folder();
    let text = stdout_of(here.path(), &[TINY, &["--json"]].concat());
    let events = events(&text);
    let of = |name: &str| events.iter().filter(|e| e["event"] == name).cloned().collect::<Vec<Value>>();
    assert_eq!(events[0]["event"], "started");
    assert_eq!(
        (events[0]["task"].as_str(), events[0]["from_step"].as_u64(), events[0]["steps"].as_u64()),
        (Some("points"), Some(0), Some(20))
    );
    assert!(of("step").iter().all(|e| e["scalars"]["d_loss"].is_number() && e["scalars"]["d_accuracy"].is_number()));
    assert_eq!(of("step").last().unwrap()["step"], 20);
    assert_eq!(of("checkpoint").len(), 3, "before the first step, and every tenth");
    assert!(!of("snapshot").is_empty());
    let last = events.last().unwrap();
    assert_eq!((last["event"].as_str(), last["reason"].as_str(), last["step"].as_u64()), (Some("finished"), Some("done"), Some(20)));
}

#[test]
fn a_run_that_lost_its_second_half_ends_with_the_same_weights() {
    let here = folder();
    let path = trained(here.path(), &[]);
    let weights = fs::read(path.join("model/generator.safetensors")).unwrap();
    forget_second_half(&path);
    let said = stderr(&run(here.path(), &["train", "--resume", "last"]));
    assert!(said.contains("continue  runs/0001-points-ring"), "{said}");
    assert_eq!(fs::read(path.join("model/generator.safetensors")).unwrap(), weights);
    let said = stderr(&run(here.path(), &["train", "--resume", text(&path)]));
    assert!(said.contains("finished already"), "{said}");
}

#[test]
fn the_same_command_finds_the_unfinished_run() {
    let here = folder();
    let path = trained(here.path(), &[]);
    forget_second_half(&path);
    // Not on a terminal, so it does not ask: a new run, and how to go on with the old one.
    let output = run(here.path(), TINY);
    assert!(stderr(&output).contains("stopped at step 10 of 20") && stderr(&output).contains("--continue"), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "runs/0002-points-ring\n");
    assert_eq!(stdout_of(here.path(), &[TINY, &["--continue"]].concat()), "runs/0001-points-ring\n");
    let fresh = run(here.path(), &[TINY, &["--fresh"]].concat());
    assert_eq!(String::from_utf8_lossy(&fresh.stdout), "runs/0003-points-ring\n");
    assert!(!stderr(&fresh).contains("stopped at"));
    // Another seed is other work.
    forget_second_half(&path);
    assert!(!stderr(&run(here.path(), &[TINY, &["--seed", "5"]].concat())).contains("stopped at"));
}

#[test]
fn a_finished_run_can_be_trained_longer() {
    let here = folder();
    let path = trained(here.path(), &[]);
    let said = failure_of(here.path(), &["train", "--resume", "last", "--steps", "20"], 2);
    assert!(said.contains("20 are not more than the 20") && said.contains("give more than 20"), "{said}");
    let output = run(here.path(), &["train", "--resume", "last", "--steps", "30"]);
    assert!(output.status.success() && stderr(&output).contains("30 steps in all"), "{}", stderr(&output));
    assert!(path.join("checkpoints/step-00000030").is_dir());
    assert!(stdout_of(here.path(), &["inspect", text(&path)]).contains("step 30 of 30"));
    // From then on it is a run of 30 steps.
    assert!(stderr(&run(here.path(), &["train", "--resume", "last"])).contains("finished already"));
}

#[test]
fn inspecting_a_run_and_a_model_tells_how_far_they_are() {
    let here = folder();
    let path = trained(here.path(), &[]);
    let found = json_of(here.path(), &["inspect", text(&path)]);
    assert_eq!((found["kind"].as_str(), found["step"].as_u64(), found["steps"].as_u64()), (Some("run"), Some(20), Some(20)));
    let found = json_of(here.path(), &["inspect", text(&path.join("model"))]);
    assert_eq!((found["kind"].as_str(), found["description"]["task"].as_str()), (Some("model"), Some("points")));
    assert!(stdout_of(here.path(), &["inspect", text(&path)]).contains("step 20 of 20"));
    let weights = path.join("model/generator.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    for args in [["inspect", text(&path.join("model"))], ["sample", text(&path)]] {
        assert!(failure_of(here.path(), &args, 1).contains("help: "), "{args:?}");
    }
}

#[test]
fn a_place_that_cannot_be_written_is_an_error_and_leaves_nothing() {
    let here = folder();
    fs::write(here.path().join("file"), "").unwrap();
    let said = failure_of(here.path(), &[TINY, &["--out", "file/runs"]].concat(), 1);
    assert!(said.contains("file") && said.contains("help: "), "{said}");
    if cfg!(target_os = "linux") {
        assert!(failure_of(here.path(), &[TINY, &["--out", "/proc/runs"]].concat(), 1).contains("/proc/runs"));
    }
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 1);
}

#[test]
fn quiet_training_says_nothing() {
    let here = folder();
    let output = run(here.path(), &[TINY, &["-q"]].concat());
    assert!(output.status.success() && output.stderr.is_empty());
}

/// A training that would last for hours, and its stream of JSON lines, read up to its third logged step.
#[cfg(unix)]
fn endless(here: &Path) -> (Child, BufReader<std::process::ChildStdout>) {
    let args = ["train", "ring", "--steps", "100000000", "--set", "log_every=1", "--device", "cpu", "--json"];
    let mut child = ganymede(here, &args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut n_steps = 0;
    while n_steps < 3 {
        let mut line = String::new();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "it ended early");
        n_steps += usize::from(line.contains("\"event\":\"step\""));
    }
    (child, reader)
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn an_interrupt_finishes_the_step_saves_and_can_be_continued() {
    for name in ["-INT", "-TERM"] {
        let here = folder();
        let (mut child, mut reader) = endless(here.path());
        signal(&child, name);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{name}");
        let last = events(&rest).pop().unwrap();
        assert_eq!((last["event"].as_str(), last["reason"].as_str()), (Some("finished"), Some("interrupted")));
        let step = last["step"].as_u64().unwrap();
        let run = here.path().join(last["run"].as_str().unwrap());
        assert!(run.join(format!("checkpoints/step-{step:08}")).is_dir());
        let resumed = ganymede(here.path(), &["train", "--resume", "last", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut resumed = resumed.unwrap();
        let mut first = String::new();
        BufReader::new(resumed.stdout.take().unwrap()).read_line(&mut first).unwrap();
        // Nobody reads its JSON any more: it stops by itself, quietly.
        assert_eq!(events(&first)[0]["from_step"].as_u64(), Some(step), "{name}");
        assert_eq!(resumed.wait().unwrap().code(), Some(130), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_run_in_use_is_refused() {
    let here = folder();
    let (mut child, reader) = endless(here.path());
    let said = failure_of(here.path(), &["train", "--resume", "last"], 1);
    assert!(said.contains("in use"), "{said}");
    signal(&child, "-KILL");
    child.wait().unwrap();
    drop(reader);
}

#[test]
fn a_run_of_some_seconds_fits_its_schedules_to_them() {
    let here = folder();
    let output = run(here.path(), &["train", "ring", "--minutes", "0.05", "--device", "cpu", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let events = events(&String::from_utf8_lossy(&output.stdout));
    let planned = events.iter().find(|e| e["event"] == "planned").expect("the steps are planned once the speed is known");
    let last = events.last().unwrap();
    assert!(matches!(last["reason"].as_str(), Some("time" | "done")), "{last}");
    assert!(planned["steps"].as_u64().unwrap() > 1);
    let manifest = fs::read_to_string(here.path().join("runs/0001-points-ring/run.toml")).unwrap();
    assert!(manifest.contains(&format!("steps = {}", planned["steps"])), "{manifest}");
}
