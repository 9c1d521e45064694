//! Running the built program as a user does, in a folder of its own.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use ganymede::data::{Channels, write_png};
use serde_json::Value;

/// The program, to be run in `folder`, untouched by the environment of whoever runs the tests.
pub fn ganymede(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ganymede"));
    command.args(args).current_dir(folder).stdin(Stdio::null());
    for name in ["NO_COLOR", "GANYMEDE_DEVICE", "GANYMEDE_RUNS", "GANYMEDE_LOG"] {
        command.env_remove(name);
    }
    command.env("GANYMEDE_CACHE", folder.join("cache"));
    command
}

/// Runs the program to its end.
pub fn run(folder: &Path, args: &[&str]) -> Output {
    ganymede(folder, args).output().unwrap()
}

/// Runs the program, which must succeed, and gives back its stdout.
pub fn stdout_of(folder: &Path, args: &[&str]) -> String {
    let output = run(folder, args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the program with `--json`, which must succeed, and reads the one object it prints.
pub fn json_of(folder: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&stdout_of(folder, &[args, &["--json"]].concat())).unwrap()
}

/// Runs the program, which must end with `code`, and gives back its stderr.
pub fn failure_of(folder: &Path, args: &[&str], code: i32) -> String {
    let output = run(folder, args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
    stderr(&output)
}

/// What was said.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Every line of a stream of JSON objects.
pub fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A few steps of training on colourful pictures of 8 x 8 in two classes.
pub fn trained(here: &Path) {
    for i in 0..40usize {
        let folder = here.join("data").join(if i.is_multiple_of(2) { "a" } else { "b" });
        std::fs::create_dir_all(&folder).unwrap();
        let pixels: Vec<u8> = (0..192).map(|p| (p * (3 + i % 7) + 31 * i) as u8).collect();
        std::fs::write(folder.join(format!("{i}.png")), write_png(8, 8, Channels::Rgb, &pixels, &[]).unwrap()).unwrap();
    }
    let small = ["batch=4", "latent_dim=6", "network.width=16", "group_width=8", "judge_every=0"];
    let mut args = vec!["train", "data", "--steps", "6", "--seed", "1"];
    small.iter().for_each(|set| args.extend(["--set", set]));
    assert!(run(here, &args).status.success());
}

/// The run that [`trained`] makes.
pub const RUN: &str = "runs/0001-image-data";
