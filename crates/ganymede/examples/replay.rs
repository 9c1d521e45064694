//! What today's health monitor and stopping rule say of a run that was trained before, from its log: `cargo run --release --example replay -- RUN ...`.
//!
//! Detectors and rules can so be changed and held against many runs without training them again. Only what the run was told to do about trouble is not replayed. Of a run that went on for longer than
//! the rule would have let it (`ganymede train DATA --until never`), it also says what three times as many steps brought.

use std::fs;
use std::path::Path;

use ganymede::judge::{Judgement, Score};
use ganymede::run::{LogEntry, Manifest};
use ganymede::train::{Course, Health, StepReport};

fn main() -> ganymede::Result<()> {
    for path in std::env::args().skip(1) {
        let (found, stop) = replay(Path::new(&path))?;
        println!("{path}: {}", if found.is_empty() { "healthy".to_owned() } else { found.join(", ") });
        println!("{}", stop.unwrap_or_else(|| "    goes on".to_owned()));
    }
    Ok(())
}

fn replay(run: &Path) -> ganymede::Result<(Vec<String>, Option<String>)> {
    let planned = Manifest::read(run)?.steps().unwrap_or(1);
    let text = fs::read_to_string(run.join("log.jsonl")).map_err(|e| ganymede::Error::io(run, "read the log", e))?;
    let (mut health, mut course) = (Health::default(), Course::default());
    let (mut found, mut stop, mut judged) = (Vec::new(), None, Vec::new());
    for entry in text.lines().filter_map(LogEntry::parse) {
        found.extend(match entry {
            LogEntry::Scalars { step, scalars, .. } => health.observe(step, &report(&scalars)),
            LogEntry::Judged { step, judgement } => {
                let findings = health.judged(step, step as f64 / planned as f64, &judgement);
                course.observe(step, &judgement, health.d_accuracy());
                stop = stop.or_else(|| course.verdict(step, planned).map(|(reason, _)| (step, reason)));
                judged.push((step, *judgement));
                findings
            }
            _ => Vec::new(),
        });
    }
    let found = found.into_iter().map(|f| format!("{} at {}", f.kind, f.step)).collect();
    Ok((found, stop.and_then(|(step, reason)| gained(&judged, step, &reason.to_string()))))
}

/// What the run had when it would have stopped, and what it had after three times as many steps or at its end.
fn gained(judged: &[(u64, Judgement)], stop: u64, reason: &str) -> Option<String> {
    let best = |until: u64| {
        let scores = judged.iter().filter(|(step, _)| *step <= until).filter_map(|(step, j)| Some((*step, j.score(&j.choice)?)));
        let goodness = |score: &Score| if score.metric().is_some_and(|m| m.higher_is_better) { -score.value } else { score.value };
        scores.min_by(|a, b| goodness(a.1).total_cmp(&goodness(b.1)))
    };
    let last = judged.last()?.0;
    let ((at, now), (later, then)) = (best(stop)?, best(stop * 3)?);
    let way = |score: &Score| (score.value - score.trivial) / (score.real - score.trivial);
    Some(format!(
        "    {reason} at {stop}: {} {:.3} at step {at}; up to step {}: {:.3} at step {later}, {:.1} % less; of the way from trivial to real {:.3} and {:.3}",
        now.metric,
        now.value,
        last.min(stop * 3),
        then.value,
        100.0 * (now.value - then.value) / now.value.abs(),
        way(now),
        way(then),
    ))
}

fn report(scalars: &[(String, f64)]) -> StepReport {
    let named = |name: &str| scalars.iter().find(|(n, _)| n == name).map_or(0.0, |(_, v)| *v);
    let logits = ["d_real", "d_fake"].map(|name| (name, named(name)));
    StepReport { d_loss: named("d_loss"), g_loss: named("g_loss"), d_accuracy: named("d_accuracy"), extra: logits.to_vec() }
}
