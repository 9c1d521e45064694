//! What today's health monitor says of a run that was trained before, from its log: `cargo run --release --example replay_health -- RUN ...`.
//!
//! Detectors can so be changed and held against many runs without training them again. Only what the run was told to do about trouble is not replayed.

use std::fs;
use std::path::Path;

use ganymede::run::{LogEntry, Manifest};
use ganymede::train::{Health, StepReport};

fn main() -> ganymede::Result<()> {
    for path in std::env::args().skip(1) {
        let found = replay(Path::new(&path))?;
        println!("{path}: {}", if found.is_empty() { "healthy".to_owned() } else { found.join(", ") });
    }
    Ok(())
}

fn replay(run: &Path) -> ganymede::Result<Vec<String>> {
    let steps = Manifest::read(run)?.steps().unwrap_or(1) as f64;
    let text = fs::read_to_string(run.join("log.jsonl")).map_err(|e| ganymede::Error::io(run, "read the log", e))?;
    let mut health = Health::default();
    let mut found = Vec::new();
    for entry in text.lines().filter_map(LogEntry::parse) {
        found.extend(match entry {
            LogEntry::Scalars { step, scalars, .. } => health.observe(step, &report(&scalars)),
            LogEntry::Judged { step, judgement } => health.judged(step, step as f64 / steps, &judgement),
            _ => Vec::new(),
        });
    }
    Ok(found.into_iter().map(|f| format!("{} at {}", f.kind, f.step)).collect())
}

fn report(scalars: &[(String, f64)]) -> StepReport {
    let named = |name: &str| scalars.iter().find(|(n, _)| n == name).map_or(0.0, |(_, v)| *v);
    let logits = ["d_real", "d_fake"].map(|name| (name, named(name)));
    StepReport { d_loss: named("d_loss"), g_loss: named("g_loss"), d_accuracy: named("d_accuracy"), extra: logits.to_vec() }
}
