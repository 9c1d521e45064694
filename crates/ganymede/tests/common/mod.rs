//! Runs of tasks that are made for a test.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ganymede::run::{DataDescription, Manifest, NamedTensors, RunDir, TrainedGenerator};

/// What `run.toml` says of a toy.
pub fn manifest() -> Manifest {
    Manifest {
        format: Manifest::FORMAT,
        ganymede_version: "0.1.0".into(),
        created: ganymede::run::utc_now(),
        command_line: vec!["ganymede".into(), "train".into()],
        task: "toy".into(),
        preset: "default".into(),
        seed: 7,
        device: "cpu".into(),
        from: None,
        data_path: None,
        data: DataDescription { name: "toy".into(), fingerprint: "00".into(), n_samples: 1, license: "CC0-1.0".into() },
        config: toml::from_str("[plan]\nsteps = 107\n").unwrap(),
    }
}

/// A toy's generator with these weights.
pub fn trained(weights: NamedTensors) -> TrainedGenerator {
    let (generator, metrics) = (serde_json::json!({}), serde_json::Map::new());
    TrainedGenerator { weights, discriminator: Vec::new(), generator, classes: Vec::new(), metrics }
}

/// A fresh folder with a run in it; the run is closed.
pub fn new_run() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let path = RunDir::create(root.path(), "toy", &manifest()).unwrap().path().to_path_buf();
    (root, path)
}

/// The run's files that must not depend on what happened on the way, by path. Fields of real time are taken out of the log.
pub fn lasting_files(path: &Path, checkpoint: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in [checkpoint, "model", "samples"] {
        for entry in fs::read_dir(path.join(folder)).unwrap() {
            let entry = entry.unwrap();
            files.insert(format!("{folder}/{}", entry.file_name().to_str().unwrap()), fs::read(entry.path()).unwrap());
        }
    }
    let log = fs::read_to_string(path.join("log.jsonl")).unwrap();
    let timeless = log.lines().map(|line| line.split(",\"samples_per_sec\"").next().unwrap().to_string() + "\n").collect::<String>();
    files.insert("log.jsonl".into(), timeless.into_bytes());
    files
}
