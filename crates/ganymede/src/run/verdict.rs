//! What became of a run, in plain words: the beginning of its report.

use std::collections::BTreeSet;

use super::log::LogEntry;
use super::report::{Progress, RunState};
use crate::judge::{Judgement, Score};

/// Paragraphs in the order of reading, each with a mood (`good`, `mild`, `bad`).
pub(crate) fn verdict(entries: &[LogEntry], progress: &Progress) -> Vec<(&'static str, String)> {
    let mut said = vec![course(entries, progress), health(entries)];
    if let Some((step, judgement)) = best(entries) {
        said.extend(quality(step, judgement));
        said.extend(memory(judgement));
        said.extend(advice(entries, judgement));
    }
    said
}

/// The judgement of the model folder's generator.
pub(crate) fn best(entries: &[LogEntry]) -> Option<(u64, &Judgement)> {
    let judged = entries.iter().filter_map(|entry| match entry {
        LogEntry::Judged { step, judgement } => Some((*step, &**judgement)),
        _ => None,
    });
    let figure = |judgement: &Judgement| {
        let score = judgement.score(&judgement.choice)?;
        Some(if score.metric()?.higher_is_better { -score.value } else { score.value })
    };
    judged.filter(|(_, j)| figure(j).is_some()).min_by(|a, b| figure(a.1).unwrap_or(f64::MAX).total_cmp(&figure(b.1).unwrap_or(f64::MAX)))
}

fn course(entries: &[LogEntry], progress: &Progress) -> (&'static str, String) {
    let Progress { step, steps, state } = progress;
    let why = entries.iter().rev().find_map(|entry| match entry {
        LogEntry::Stopped { why, .. } => Some(why.as_str()),
        _ => None,
    });
    let because = why.map_or_else(String::new, |why| format!(" It stopped because {why}."));
    match state {
        RunState::Running => ("mild", format!("Training: {step} of {steps} steps are done. This page is rewritten at each snapshot.")),
        RunState::Finished if why.is_none() => ("good", format!("Finished: all {steps} steps are done.")),
        RunState::Finished => ("good", format!("Finished after {step} steps.{because}")),
        RunState::Interrupted => ("mild", format!("Interrupted after {step} of {steps} steps. It can go on from there.")),
        RunState::Troubled => ("bad", format!("Stopped at step {step} of {steps}.{because}")),
        RunState::Diverged => (
            "bad",
            format!(
                "Diverged at step {step} of {steps}: a number was no longer finite. The model is the one of the last healthy checkpoint."
            ),
        ),
    }
}

fn health(entries: &[LogEntry]) -> (&'static str, String) {
    let serious = |entry: &&LogEntry| matches!(entry, LogEntry::Finding { severity, .. } if severity != "note");
    let names = |found: Vec<&str>| found.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ");
    let open: Vec<&str> = entries
        .iter()
        .filter(serious)
        .filter_map(|e| if let LogEntry::Finding { kind, .. } = e { Some(kind.as_str()) } else { None })
        .collect();
    let mended: Vec<&str> =
        entries.iter().filter_map(|e| if let LogEntry::Remedied { remedy, .. } = e { Some(remedy.kind.as_str()) } else { None }).collect();
    let judged = entries.iter().filter(|e| matches!(e, LogEntry::Judged { .. })).count();
    match (open.is_empty(), mended.is_empty()) {
        (true, true) if judged == 0 => ("mild", "No samples have been judged yet; no number was out of order.".into()),
        (true, true) => ("good", format!("Healthy: nothing was found wrong in {judged} judgements of its samples.")),
        (true, false) => {
            ("good", format!("Healthy again: {} was found, and training went back and on with other settings.", names(mended)))
        }
        (false, _) => ("bad", format!("Not healthy: {}. See below.", names(open))),
    }
}

fn quality(step: u64, judgement: &Judgement) -> Option<(&'static str, String)> {
    let score = judgement.score(&judgement.choice)?;
    let reached = score.reached()?;
    let text = format!(
        "The model is the generator of step {step}, the best by {}: {}. That is {:.0} % of the way from trivial to real. Seen by {}, {} samples on each side.",
        score.metric()?.title,
        shown(score),
        100.0 * reached,
        judgement.extractor,
        judgement.n
    );
    Some((if reached > 0.8 { "good" } else { "mild" }, text))
}

fn shown(score: &Score) -> String {
    format!("{:.4}, where real samples have {:.4} and trivial ones {:.4}", score.value, score.real, score.trivial)
}

fn memory(judgement: &Judgement) -> Option<(&'static str, String)> {
    let (score, z) = (judgement.score("memorised")?, judgement.vitals.memorised_z);
    let share = 100.0 * score.value;
    let is_known = judgement.vitals.signal.and_then(|signal| signal.overfitting()).is_none_or(|r| r > 0.4);
    let (mood, what) = match (score.value, z) {
        (v, z) if v > 0.8 && z > 3.0 && is_known => ("bad", "samples are copies, or nearly"),
        (v, z) if v > 0.6 && z > 3.0 => ("mild", "samples keep closer to the training data than they should"),
        _ => ("good", "no sign of copying"),
    };
    Some((
        mood,
        format!(
            "A sample is nearer to the training data than held-out data is in {share:.0} % of cases (50 % would be right, 100 % is copying): {what}."
        ),
    ))
}

/// What to try next, by what is furthest from real.
fn advice(entries: &[LogEntry], judgement: &Judgement) -> Option<(&'static str, String)> {
    let of = |metric: &str| judgement.score(metric).map(|s| s.value / s.real.max(1e-6));
    let settled =
        entries.iter().rev().find_map(|e| if let LogEntry::Stopped { reason, .. } = e { Some(reason == "settled") } else { None });
    let (recall, precision) = (of("recall").unwrap_or(1.0), of("precision").unwrap_or(1.0));
    let reached = judgement.score(&judgement.choice).and_then(Score::reached).unwrap_or(1.0);
    let text = if judgement.vitals.memorised_z > 3.0 && judgement.score("memorised").is_some_and(|s| s.value > 0.8) {
        "What to try next: more data; without it, smaller networks or fewer steps."
    } else if recall < 0.7 * precision {
        "What to try next: samples look right but vary too little. Larger networks, a longer latent, or stronger gradient penalties keep more variety."
    } else if precision < 0.7 * recall {
        "What to try next: samples vary enough but many look wrong. Train longer, or let the gradient penalties end weaker."
    } else if reached < 0.95 && settled == Some(true) {
        "What to try next: it no longer gains with these networks. A larger preset gains more than more steps do."
    } else if reached < 0.95 {
        "What to try next: train longer."
    } else {
        return None;
    };
    Some(("mild", text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Vitals;

    fn judged(step: u64, frechet: f64, change: impl Fn(&mut Judgement)) -> LogEntry {
        let score = |metric: &str, value: f64, real: f64, trivial: f64| Score { metric: metric.into(), value, error: None, real, trivial };
        let mut judgement = Judgement {
            extractor: "features".into(),
            n: 500,
            choice: "frechet".into(),
            scores: vec![
                score("frechet", frechet, 1.0, 100.0),
                score("precision", 0.9, 0.95, 0.1),
                score("recall", 0.9, 0.95, 0.0),
                score("memorised", 0.5, 0.5, 0.1),
            ],
            vitals: Vitals {
                spread: 1.0,
                kinds: vec![],
                real_kinds: vec![],
                tolerated: 0.2,
                missing_classes: vec![],
                memorised_z: 0.1,
                saturated: [0.0; 2],
                signal: None,
            },
            notes: vec![],
        };
        change(&mut judgement);
        LogEntry::Judged { step, judgement: Box::new(judgement) }
    }

    fn text(entries: &[LogEntry]) -> String {
        let said = verdict(entries, &Progress { step: 30, steps: 30, state: RunState::Finished });
        said.into_iter().map(|(mood, text)| format!("[{mood}] {text}\n")).collect()
    }

    #[test]
    fn a_good_run_is_told_with_its_best_generator() {
        let stopped = LogEntry::Stopped { step: 30, reason: "settled".into(), why: "nothing was gained".into() };
        let said = text(&[judged(10, 50.0, |_| {}), judged(20, 3.0, |_| {}), judged(30, 4.0, |_| {}), stopped]);
        for part in [
            "[good] Finished after 30 steps. It stopped because nothing was gained.",
            "[good] Healthy: nothing was found wrong in 3 judgements",
            "generator of step 20, the best by Fréchet distance: 3.0000, where real samples have 1.0000 and trivial ones 100.0000",
            "98 % of the way",
            "[good] A sample is nearer to the training data than held-out data is in 50 %",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("What to try next"), "{said}");
    }

    #[test]
    fn what_is_wrong_comes_with_what_to_try() {
        let set = |metric: &'static str, value: f64| {
            move |j: &mut Judgement| j.scores.iter_mut().filter(|s| s.metric == metric).for_each(|s| s.value = value)
        };
        assert!(text(&[judged(10, 20.0, set("recall", 0.2))]).contains("vary too little"));
        assert!(text(&[judged(10, 20.0, set("precision", 0.2))]).contains("many look wrong"));
        let copies = text(&[judged(10, 20.0, |j| {
            set("memorised", 0.97)(j);
            j.vitals.memorised_z = 9.0;
        })]);
        assert!(copies.contains("[bad] A sample is nearer") && copies.contains("more data"), "{copies}");
        let finding = |kind: &str| LogEntry::Finding {
            step: 5,
            kind: kind.into(),
            severity: "trouble".into(),
            evidence: String::new(),
            cause: String::new(),
            remedy: String::new(),
        };
        assert!(
            text(&[finding("collapse"), finding("overfitting"), finding("collapse")]).contains("[bad] Not healthy: collapse, overfitting.")
        );
        assert!(text(&[]).contains("No samples have been judged yet"));
    }
}
