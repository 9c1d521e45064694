//! What the program says without training: help, lists, wrong use.

mod common;

use std::fs;

use common::{failure_of, ganymede, json_of, run, stderr, stdout_of};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn help_shows_examples_and_exit_statuses() {
    let here = folder();
    let help = stdout_of(here.path(), &["--help"]);
    for part in ["Examples:", "ganymede train photos/", "Exit status:", "130 interrupted"] {
        assert!(help.contains(part), "{part}");
    }
    for command in ["train", "sample", "evaluate", "probe", "detect", "inspect", "presets", "completions"] {
        assert!(stdout_of(here.path(), &[command, "--help"]).contains("Examples:"), "{command}");
    }
    assert_eq!(stdout_of(here.path(), &["--version"]), format!("ganymede {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_mistyped_command_or_option_is_wrong_use_with_a_suggestion() {
    let here = folder();
    assert!(failure_of(here.path(), &["trian"], 2).contains("'train'"));
    assert!(failure_of(here.path(), &["train", "--sed", "3"], 2).contains("--seed"));
    assert!(failure_of(here.path(), &[], 2).contains("Usage:"));
    assert!(failure_of(here.path(), &["train", "--resume", "x", "--preset", "y"], 2).contains("cannot be used with"));
}

#[test]
fn tasks_and_presets_are_listed_and_parse() {
    let here = folder();
    let text = stdout_of(here.path(), &["tasks"]);
    let tasks = json_of(here.path(), &["tasks"])["tasks"].clone();
    for name in ["points", "image"] {
        assert!(text.contains(name));
        assert!(tasks.as_array().unwrap().iter().any(|t| t["name"] == name));
    }
    let presets = json_of(here.path(), &["presets", "points"])["presets"].clone();
    assert!(presets.as_array().unwrap().iter().any(|p| p["task"] == "points" && p["settings"].is_object()));
    assert!(stdout_of(here.path(), &["presets"]).contains("image"));
}

#[test]
fn an_unknown_task_names_the_nearest() {
    let here = folder();
    assert!(failure_of(here.path(), &["presets", "imge"], 2).contains("help: did you mean image?"));
    assert!(failure_of(here.path(), &["train", "ring", "--task", "piont"], 2).contains("known tasks:"));
}

#[test]
fn doctor_says_what_this_machine_has() {
    let here = folder();
    let doctor = json_of(here.path(), &["doctor"]);
    assert!(doctor["threads"].as_u64().unwrap() >= 1);
    assert!(doctor["back_ends"].as_array().unwrap().iter().any(|b| b["name"] == "cpu" && b["compiled"] == true));
    assert!(doctor["auto"]["device"].is_string());
    assert!(stdout_of(here.path(), &["doctor"]).contains("processor"));
}

#[test]
fn completions_know_the_commands() {
    let here = folder();
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout_of(here.path(), &["completions", shell]).contains("inspect"), "{shell}");
    }
}

#[test]
fn a_dry_run_decides_and_writes_nothing() {
    let here = folder();
    let plan = json_of(here.path(), &["train", "ring", "--dry-run", "--steps", "7", "--seed", "3", "--device", "cpu"]);
    assert_eq!(
        (plan["task"].as_str(), plan["seed"].as_u64(), plan["config"]["plan"]["steps"].as_u64()),
        (Some("points"), Some(3), Some(7))
    );
    assert!(!plan["reasons"].as_array().unwrap().is_empty() && plan["device"]["name"] == "cpu");
    let text = stdout_of(here.path(), &["train", "ring", "--dry-run", "-v"]);
    assert!(text.contains("task      points") && text.contains("plan.steps = "), "{text}");
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0);
}

#[test]
fn settings_are_laid_over_each_other_in_order() {
    let here = folder();
    fs::write(here.path().join("mine.toml"), "[plan]\nsteps = 11\nbatch = 12\n").unwrap();
    let plan =
        json_of(here.path(), &["train", "ring", "--dry-run", "--config", "mine.toml", "--set", "batch=13"])["config"]["plan"].clone();
    assert_eq!((plan["steps"].as_u64(), plan["batch"].as_u64()), (Some(11), Some(13)));
}

#[test]
fn wrong_settings_are_wrong_use_that_names_the_key() {
    let here = folder();
    let dry = |more: &[&str]| failure_of(here.path(), &[&["train", "ring", "--dry-run"], more].concat(), 2);
    assert!(dry(&["--set", "btach=3"]).contains("did you mean plan.batch?"));
    assert!(dry(&["--set", "plan.batch=many"]).contains("plan.batch: invalid type"));
    assert!(dry(&["--set", "batch=0"]).contains("plan.batch"));
    assert!(dry(&["--set", "batch"]).contains("key=value"));
    assert!(dry(&["--preset", "nope"]).contains("known presets: "));
    assert!(dry(&["--device", "vulcan"]).contains("did you mean vulkan?"));
    fs::write(here.path().join("mine.toml"), "[plan]\nstpes = 3\n").unwrap();
    assert!(dry(&["--config", "mine.toml"]).contains("mine.toml:2: plan.stpes: unknown setting"));
    fs::write(here.path().join("broken.toml"), "[plan]\nsteps = = 3\n").unwrap();
    let said = dry(&["--config", "broken.toml"]);
    assert!(said.contains("steps = = 3") && said.contains('^'), "{said}");
}

#[test]
fn missing_data_runs_and_models_fail_with_a_way_out() {
    let here = folder();
    for args in [
        &["train", "no-such-folder"][..],
        &["inspect", "no-such-folder"],
        &["sample", "no-such-run"],
        &["train", "--resume", "last"],
        &["train", "--resume", "x"],
    ] {
        assert!(failure_of(here.path(), args, 1).contains("help: "), "{args:?}");
    }
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0);
}

#[test]
fn errors_are_objects_with_json() {
    let here = folder();
    for (args, code, kind) in [
        (&["train", "--bogus", "--json"][..], 2, "usage"),
        (&["presets", "imge", "--json"], 2, "config"),
        (&["train", "nothing-here", "--json"], 1, "data"),
    ] {
        let output = run(here.path(), args);
        let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), object["error"]["kind"].as_str()), (Some(code), Some(kind)), "{args:?}");
        assert!(object["error"]["message"].is_string() && output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn piped_words_hold_no_colour_codes() {
    let here = folder();
    for args in [&["--help"][..], &["tasks"], &["trian"], &["doctor"], &["train", "ring", "--dry-run"], &["presets", "imge"]] {
        let output = run(here.path(), args);
        assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "{args:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let here = folder();
    for args in [&["completions", "bash"][..], &["tasks"], &["doctor", "--json"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = ganymede(here.path(), args).stdout(writer).output().unwrap();
        assert!(output.status.success() && stderr(&output).lines().all(|l| !l.contains("error") && !l.contains("panic")), "{args:?}");
    }
}

#[test]
fn inspecting_data_says_what_train_would_do() {
    let here = folder();
    let found = json_of(here.path(), &["inspect", "ring"]);
    assert_eq!((found["kind"].as_str(), found["proposal"]["task"].as_str()), (Some("data"), Some("points")));
    assert!(found["proposal"]["steps"].as_u64().unwrap() > 0);
    assert!(stdout_of(here.path(), &["inspect", "ring"]).contains("points"));
}
