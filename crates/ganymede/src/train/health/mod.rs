//! The health monitor: reads the numbers of each logged step and of each judgement, and says when something is wrong. Arithmetic only.
//!
//! A finding is given once, and again only after it had cleared. The monitor's state is a few counters and the last judgements, which a checkpoint holds, so that a continued run
//! finds what an undisturbed one does.

mod detectors;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use detectors::{DETECTORS, Wrong, looks_bad};

use crate::judge::{Judgement, Score, rounded};
use crate::train::{Finding, Severity, StepReport};

/// Stable names of findings.
pub mod kind {
    /// A number is not finite.
    pub const NON_FINITE: &str = "non-finite";
    /// Losses or logits run away, or samples have become much worse than they were.
    pub const DIVERGENCE: &str = "divergence";
    /// The discriminator tells everything apart and the generator does not get better.
    pub const DISCRIMINATOR_WINS: &str = "discriminator-wins";
    /// Samples do not get better, and the discriminator does not tell why.
    pub const STALLED: &str = "stalled";
    /// The generator draws almost the same whatever the latent.
    pub const COLLAPSE: &str = "collapse";
    /// Part of the real variety is never generated.
    pub const LOW_VARIETY: &str = "low-variety";
    /// Nothing is generated of some classes.
    pub const CLASSES_MISSING: &str = "classes-missing";
    /// Classes cannot be told apart in the data.
    pub const CLASSES_ALIKE: &str = "classes-alike";
    /// Samples are not of the class that was asked for.
    pub const CONDITION_IGNORED: &str = "condition-ignored";
    /// The same kinds of samples come and go.
    pub const OSCILLATION: &str = "oscillation";
    /// The discriminator knows the training data by heart.
    pub const OVERFITTING: &str = "overfitting";
    /// Samples are copies of training data.
    pub const MEMORISATION: &str = "memorisation";
    /// Samples are stuck at the ends of their range.
    pub const SATURATED: &str = "saturated";
}

/// Discriminator losses are means of softplus, squares or differences of logits; none that trains comes near this.
const RUNAWAY: f64 = 100.0;
/// Logits may drift, as only their differences matter; and with them the generator's loss of a Wasserstein game.
const RUNAWAY_DRIFT: f64 = 1e4;
/// Reports in a row with such numbers before they count: single ones are noise.
const RUNAWAY_SUSTAINED: u32 = 5;
/// Judgements that are remembered.
const REMEMBERED: usize = 6;
/// Judgements in a row that must show the same before it counts.
const CONFIRMED: usize = 2;

/// Watches the numbers of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    n_runaway: u32,
    /// Sum and number of `d_accuracy` in reports since the last judgement.
    d_accuracy: (f64, u32),
    /// What is reported and has not cleared.
    open: BTreeSet<String>,
    /// Step of the last judgement that nothing was wrong with.
    well: u64,
    /// The best that was reached.
    best: f64,
    /// The last judgements, oldest first.
    glances: Vec<Glance>,
}

/// What is remembered of a judgement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Glance {
    step: u64,
    /// Share of the planned run.
    progress: f64,
    /// How far the metric that is chosen by came from trivial (0) to real (1).
    reached: f64,
    /// Coverage as a share of what real samples have.
    coverage: f64,
    /// Variance of the features as a share of the real one.
    spread: f64,
    /// Share of samples of each kind, generated.
    kinds: Vec<f64>,
    /// Kinds of which hardly anything is generated, and how many of those there may be.
    n_missing: usize,
    n_tolerated: usize,
    missing_classes: usize,
    /// How far agreement with the class asked for came from chance (0) to that of real samples (1), and that of real samples itself from chance (0) to perfect (1).
    agreement: Option<[f64; 2]>,
    d_accuracy: f64,
    overfitting: Option<f64>,
    /// Probability of being nearer to training data than held-out data, and its standard score.
    memorised: Option<[f64; 2]>,
    saturated: [f64; 2],
}

impl Glance {
    fn of(step: u64, progress: f64, judgement: &Judgement, d_accuracy: f64) -> Self {
        let share = |metric: &str| judgement.score(metric).map_or(1.0, |score| rounded(score.value / score.real.max(1e-6)));
        let vitals = &judgement.vitals;
        Self {
            step,
            progress: rounded(progress),
            reached: rounded(judgement.score(&judgement.choice).and_then(Score::reached).unwrap_or(1.0)),
            coverage: share("coverage"),
            spread: vitals.spread,
            kinds: vitals.kinds.clone(),
            n_missing: vitals.missing_kinds(judgement.n),
            n_tolerated: (vitals.tolerated * vitals.kinds.len() as f64) as usize,
            missing_classes: vitals.missing_classes.len(),
            agreement: judgement
                .score("agreement")
                .map(|score| [score.reached().unwrap_or(0.0), (score.real - score.trivial) / (1.0 - score.trivial).max(1e-6)].map(rounded)),
            d_accuracy,
            overfitting: vitals.signal.and_then(|signal| signal.overfitting()).map(rounded),
            memorised: judgement.score("memorised").map(|score| [score.value, vitals.memorised_z]),
            saturated: vitals.saturated,
        }
    }
}

impl Health {
    /// Takes in the report of a logged step and gives back what it newly shows. With a [`Severity::Fatal`] finding training cannot go on from here.
    pub fn observe(&mut self, step: u64, report: &StepReport) -> Vec<Finding> {
        if let Some((name, value)) = report.scalars().find(|(_, value)| !value.is_finite()) {
            return vec![non_finite(step, self.well, &format!("{name} is {value}"))];
        }
        self.d_accuracy = (rounded(self.d_accuracy.0 + report.d_accuracy), self.d_accuracy.1.saturating_add(1));
        let named = |name: &str| report.extra.iter().find(|(n, _)| *n == name).map_or(0.0, |(_, v)| v.abs());
        let drift = [report.g_loss.abs(), named("d_real"), named("d_fake")].into_iter().fold(0.0, f64::max);
        let is_bad = report.d_loss.abs() > RUNAWAY || drift > RUNAWAY_DRIFT;
        self.n_runaway = if is_bad { (self.n_runaway + 1).min(RUNAWAY_SUSTAINED) } else { 0 };
        let runs_away = Wrong {
            kind: kind::DIVERGENCE,
            severity: Severity::Trouble,
            evidence: format!(
                "losses or logits were out of all bounds in the last {RUNAWAY_SUSTAINED} reports (d_loss {:.3e}, largest logit or g_loss {drift:.3e})",
                report.d_loss
            ),
            cause: "learning rates are too high for these networks, or gradient penalties too weak",
            remedy: "lower the learning rates, or raise the gradient penalties",
        };
        let is_wrong = self.n_runaway == RUNAWAY_SUSTAINED;
        if is_wrong && self.open.insert("runaway".into()) {
            return vec![runs_away.found(step, self.well)];
        }
        if !is_wrong {
            self.open.remove("runaway");
        }
        Vec::new()
    }

    /// Takes in a judgement of samples after step `step`, a share `progress` of the planned run, and gives back what it newly shows.
    pub fn judged(&mut self, step: u64, progress: f64, judgement: &Judgement) -> Vec<Finding> {
        let (sum, n) = std::mem::take(&mut self.d_accuracy);
        let d_accuracy = if n == 0 { 0.5 } else { rounded(sum / f64::from(n)) };
        self.glances.push(Glance::of(step, progress, judgement, d_accuracy));
        let n_old = self.glances.len().saturating_sub(REMEMBERED);
        self.glances.drain(..n_old);
        let wrong: Vec<Wrong> = DETECTORS.iter().filter_map(|detector| detector(self)).collect();
        let before = self.well;
        // A first sign is enough not to go back to this step later.
        let last = &self.glances[self.glances.len() - 1];
        if wrong.is_empty() && !looks_bad(last, self.best) {
            self.well = step;
        }
        self.best = self.best.max(last.reached);
        self.open.retain(|open| open == "runaway" || wrong.iter().any(|w| w.kind == open));
        wrong.into_iter().filter(|w| self.open.insert(w.kind.to_owned())).map(|w| w.found(step, before)).collect()
    }

    /// Step of the last judgement that nothing was wrong with.
    pub fn well(&self) -> u64 {
        self.well
    }

    /// How well the discriminator told pairs apart before the last judgement.
    pub fn d_accuracy(&self) -> f64 {
        self.glances.last().map_or(0.5, |glance| glance.d_accuracy)
    }

    /// The last judgements, if there are enough to be sure and all of them are as asked.
    fn confirmed(&self, is_wrong: impl Fn(&Glance) -> bool) -> Option<&Glance> {
        let recent = &self.glances[self.glances.len().checked_sub(CONFIRMED)?..];
        recent.iter().all(is_wrong).then(|| &recent[CONFIRMED - 1])
    }
}

/// The finding of a number that is not finite: `evidence` says which.
pub(crate) fn non_finite(step: u64, since: u64, evidence: &str) -> Finding {
    Finding {
        step,
        since,
        kind: kind::NON_FINITE,
        severity: Severity::Fatal,
        evidence: evidence.to_string(),
        cause: "learning rates too high, gradient penalties too weak, or extreme values in the data".into(),
        remedy: "lower the learning rates or raise the gradient penalties, and see whether the data holds extreme values".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Signal, Vitals};

    fn report(d_loss: f64, d_accuracy: f64) -> StepReport {
        StepReport { d_loss, g_loss: 0.7, d_accuracy, extra: vec![("r1", 0.0)] }
    }

    /// Steps at which a finding came, over reports 0, 1, 2 ...
    fn found(reports: impl IntoIterator<Item = StepReport>) -> Vec<(u64, &'static str)> {
        let mut health = Health::default();
        reports.into_iter().zip(0..).flat_map(|(r, step)| health.observe(step, &r)).map(|f| (f.step, f.kind)).collect()
    }

    fn score(metric: &str, value: f64, real: f64, trivial: f64) -> Score {
        Score { metric: metric.into(), value, error: None, real, trivial }
    }

    /// A judgement of samples that are `reached` of the way.
    fn judgement(reached: f64) -> Judgement {
        Judgement {
            extractor: "test".into(),
            n: 500,
            choice: "frechet".into(),
            scores: vec![
                score("frechet", 10.0 - 9.0 * reached, 1.0, 10.0),
                score("coverage", 0.9, 0.95, 0.05),
                score("memorised", 0.5, 0.5, 0.2),
                score("agreement", 0.9, 0.98, 0.1),
            ],
            vitals: Vitals {
                spread: 0.9,
                kinds: vec![0.1; 10],
                real_kinds: vec![0.1; 10],
                tolerated: 0.3,
                missing_classes: vec![],
                memorised_z: 0.3,
                saturated: [0.2, 0.4],
                signal: Some(Signal { training: 1.0, held_out: 0.9, generated: -1.0 }),
            },
            notes: vec![],
        }
    }

    /// What is found in judgements at tenths of a run.
    fn kinds(judgements: impl IntoIterator<Item = Judgement>) -> Vec<&'static str> {
        let mut health = Health::default();
        let found = judgements.into_iter().zip(1..).flat_map(|(j, i)| health.judged(100 * i, 0.1 * i as f64, &j));
        found.map(|f| f.kind).collect()
    }

    /// Ten judgements that get better, each changed in one way.
    fn run(change: impl Fn(usize, &mut Judgement)) -> Vec<&'static str> {
        kinds((0..10).map(|i| {
            let mut judged = judgement(1.0 - 0.8f64.powi(i as i32 + 1));
            change(i, &mut judged);
            judged
        }))
    }

    fn set(judged: &mut Judgement, metric: &str, value: f64) {
        judged.scores.iter_mut().filter(|s| s.metric == metric).for_each(|s| s.value = value);
    }

    #[test]
    fn a_healthy_run_has_no_findings() {
        assert_eq!(found((0..1000).map(|i| report(0.69, if i % 10 == 0 { 1.0 } else { 0.8 }))), []);
        assert_eq!(run(|_, _| {}), [""; 0]);
        // Nothing is said of a single bad judgement.
        assert_eq!(
            run(|i, judged| if i == 5 {
                judged.vitals.spread = 0.0
            }),
            [""; 0]
        );
    }

    #[test]
    fn nan_loss_is_reported_at_once() {
        let mut broken = report(0.7, 0.5);
        assert_eq!(found([broken.clone(), report(f64::NAN, 0.5)]), [(1, kind::NON_FINITE)]);
        broken.extra[0].1 = f64::NEG_INFINITY;
        assert_eq!(Health::default().observe(3, &broken)[0].evidence, "r1 is -inf");
    }

    #[test]
    fn losses_and_logits_that_run_away_are_reported_once() {
        assert_eq!(found((0..20).map(|_| report(-200.0, 0.5))), [(4, kind::DIVERGENCE)]);
        assert_eq!(found((0..20).map(|i| report(if i % 3 == 0 { 2e4 } else { 1.0 }, 0.5))), []);
        let logits = StepReport { extra: vec![("d_fake", -1e6)], ..report(1.0, 0.5) };
        assert_eq!(found((0..20).map(|_| logits.clone())), [(4, kind::DIVERGENCE)]);
    }

    #[test]
    fn each_detector_finds_its_own_trouble_once() {
        assert_eq!(
            run(|i, j| if i > 4 {
                j.vitals.spread = 0.05
            }),
            [kind::COLLAPSE]
        );
        assert_eq!(
            run(|i, j| if i > 4 {
                set(j, "coverage", 0.02)
            }),
            [kind::COLLAPSE]
        );
        assert_eq!(
            run(|i, j| if i > 6 {
                set(j, "frechet", 9.0)
            }),
            [kind::DIVERGENCE]
        );
        assert_eq!(run(|_, j| set(j, "coverage", 0.1)), [kind::LOW_VARIETY]);
        assert_eq!(run(|_, j| j.vitals.kinds[..2].fill(0.0)), [""; 0]);
        assert_eq!(run(|_, j| j.vitals.kinds[..4].fill(0.0)), [kind::LOW_VARIETY]);
        assert_eq!(run(|_, j| j.vitals.missing_classes = vec![3]), [kind::CLASSES_MISSING]);
        assert_eq!(run(|_, j| set(j, "agreement", 0.12)), [kind::CONDITION_IGNORED]);
        let alike = |_: usize, j: &mut Judgement| j.scores.iter_mut().filter(|s| s.metric == "agreement").for_each(|s| s.real = 0.15);
        assert_eq!(run(alike), [kind::CLASSES_ALIKE]);
        assert_eq!(run(|_, j| j.vitals.saturated = [0.99, 0.4]), [kind::SATURATED]);
        assert_eq!(run(|_, j| j.vitals.signal = Some(Signal { training: 1.0, held_out: -0.5, generated: -1.0 })), [kind::OVERFITTING]);
        let stuck = |_: usize, j: &mut Judgement| set(j, "frechet", 9.5);
        assert_eq!(run(stuck), [kind::STALLED]);
        let copies = |_: usize, j: &mut Judgement| {
            set(j, "memorised", 0.95);
            j.vitals.memorised_z = 8.0;
        };
        assert_eq!(run(copies), [""; 0], "the discriminator knows no more of training than of held-out data");
        let known = |i: usize, j: &mut Judgement| {
            copies(i, j);
            j.vitals.signal = Some(Signal { training: 1.0, held_out: 0.0, generated: -1.0 });
        };
        assert_eq!(run(known), [kind::MEMORISATION]);
        let turning = |i: usize, j: &mut Judgement| {
            let (here, there) = if i.is_multiple_of(2) { (0.19, 0.01) } else { (0.01, 0.19) };
            j.vitals.kinds = (0..10).map(|kind| if kind < 5 { here } else { there }).collect();
            j.vitals.real_kinds = vec![0.02; 10];
        };
        assert_eq!(run(turning), [kind::OSCILLATION]);
    }

    #[test]
    fn a_winning_discriminator_is_trouble_only_where_nothing_is_gained() {
        let play = |gain: f64| {
            let mut health = Health::default();
            (1..8u64)
                .flat_map(|i| {
                    (0..20).for_each(|r| assert!(health.observe(100 * (i - 1) + r, &report(0.0, 1.0)).is_empty()));
                    health.judged(100 * i, 0.1 * i as f64, &judgement(0.1 + gain * i as f64))
                })
                .map(|f| f.kind)
                .collect::<Vec<_>>()
        };
        assert_eq!(play(0.0), [kind::DISCRIMINATOR_WINS]);
        assert_eq!(play(0.1), [""; 0]);
    }

    #[test]
    fn findings_say_up_to_where_all_was_well() {
        let mut health = Health::default();
        let mut since = Vec::new();
        for i in 1..=8u64 {
            let mut judged = judgement(0.5);
            if i > 5 {
                judged.vitals.spread = 0.01;
            }
            since.extend(health.judged(100 * i, 0.1 * i as f64, &judged).into_iter().map(|f| (f.step, f.since)));
        }
        assert_eq!(since, [(700, 500)]);
    }

    #[test]
    fn a_stored_and_restored_monitor_goes_on_where_it_was() {
        for cut in 0..10u64 {
            let mut health = Health::default();
            let mut all = Vec::new();
            for i in 1..=10u64 {
                if i == cut {
                    health = serde_json::from_value(serde_json::to_value(&health).unwrap()).unwrap();
                }
                all.extend(health.observe(100 * i - 1, &report(2e4, 1.0)));
                let mut judged = judgement(0.3);
                judged.vitals.spread = if i > 3 { 0.01 } else { 0.8 };
                all.extend(health.judged(100 * i, 0.1 * i as f64, &judged));
            }
            assert_eq!(
                all.iter().map(|f| (f.step, f.kind)).collect::<Vec<_>>(),
                [(400, kind::DISCRIMINATOR_WINS), (499, kind::DIVERGENCE), (500, kind::COLLAPSE)],
                "{cut}"
            );
        }
    }
}
