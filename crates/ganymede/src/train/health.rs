//! The health monitor: reads the numbers of each logged step and of each judgement, and says when something is wrong. Arithmetic only.
//!
//! A finding is given once, and again only after it had cleared. The monitor's state is a few counters and the last judgements, which a checkpoint holds, so that a continued run
//! finds what an undisturbed one does.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

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

/// Share of reports since the last judgement in which the discriminator is right about nearly every pair.
const WON: f64 = 0.98;
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

/// What is wrong in a judgement.
struct Wrong {
    kind: &'static str,
    severity: Severity,
    evidence: String,
    cause: &'static str,
    remedy: &'static str,
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

/// Whether a judgement has a sign of something wrong, confirmed or not.
fn looks_bad(glance: &Glance, best: f64) -> bool {
    is_collapsed(glance) || (best > FALL && glance.reached < best - FALL) || is_saturated(glance)
}

/// How far a run must fall back towards trivial to have diverged.
const FALL: f64 = 0.3;

/// In the first quarter of a run a generator has hardly begun.
fn is_collapsed(glance: &Glance) -> bool {
    glance.progress >= 0.25 && (glance.spread < 0.15 || glance.coverage < 0.05)
}

fn is_saturated(glance: &Glance) -> bool {
    let [own, real] = glance.saturated;
    own > 0.9 && own > real + 0.3
}

/// One for each kind of trouble that judgements show; the order is that of reporting.
const DETECTORS: &[fn(&Health) -> Option<Wrong>] = &[
    saturated,
    divergence,
    collapse,
    discriminator_wins,
    stalled,
    low_variety,
    classes_alike,
    classes_missing,
    condition_ignored,
    oscillation,
    overfitting,
    memorisation,
];

fn saturated(health: &Health) -> Option<Wrong> {
    let last = health.confirmed(is_saturated)?;
    Some(Wrong {
        kind: kind::SATURATED,
        severity: Severity::Trouble,
        evidence: format!(
            "{:.0} % of generated values are at the ends of their range ({:.0} % of real ones)",
            100.0 * last.saturated[0],
            100.0 * last.saturated[1]
        ),
        cause: "the generator's last layer has run away, most often by a learning rate that is too high",
        remedy: "lower the learning rates",
    })
}

fn divergence(health: &Health) -> Option<Wrong> {
    let best = health.best;
    // What never came near cannot have fallen back.
    let last = health.confirmed(|glance| best > FALL && glance.reached < best - FALL)?;
    Some(Wrong {
        kind: kind::DIVERGENCE,
        severity: Severity::Trouble,
        evidence: format!(
            "samples had come {:.0} % of the way from trivial to real and have fallen back to {:.0} %",
            100.0 * best,
            100.0 * last.reached
        ),
        cause: "learning rates are too high for these networks, or gradient penalties too weak",
        remedy: "lower the learning rates, or raise the gradient penalties",
    })
}

fn collapse(health: &Health) -> Option<Wrong> {
    let last = health.confirmed(is_collapsed)?;
    Some(Wrong {
        kind: kind::COLLAPSE,
        severity: Severity::Trouble,
        evidence: format!(
            "the variance of samples is {:.0} % of the real one, and they cover {:.0} % of what real samples cover",
            100.0 * last.spread,
            100.0 * last.coverage
        ),
        cause: "the generator draws almost the same whatever the latent, because that fools the discriminator of the moment; or it has not begun to learn",
        remedy: "raise the gradient penalties, lower the learning rates, or use the relativistic loss",
    })
}

fn discriminator_wins(health: &Health) -> Option<Wrong> {
    let last = health.confirmed(|glance| glance.d_accuracy > WON && glance.reached < 0.4)?;
    let [first, ..] = health.glances.as_slice() else { return None };
    // While samples get better, a discriminator that tells everything apart is a good teacher.
    let gained = last.reached - first.reached;
    if health.glances.len() < 4 || gained > 0.03 {
        return None;
    }
    Some(Wrong {
        kind: kind::DISCRIMINATOR_WINS,
        severity: Severity::Trouble,
        evidence: format!(
            "the discriminator orders {:.1} % of pairs rightly, and samples gained nothing in {} judgements ({:.0} % of the way from trivial to real)",
            100.0 * last.d_accuracy,
            health.glances.len(),
            100.0 * last.reached
        ),
        cause: "the discriminator learns faster than the generator, which gets no useful gradient from it",
        remedy: "lower the discriminator's learning rate or its updates per step, or raise the gradient penalties",
    })
}

fn stalled(health: &Health) -> Option<Wrong> {
    let last = health.confirmed(|glance| glance.progress >= 0.3 && glance.d_accuracy <= WON && glance.reached < 0.3)?;
    let glances = &health.glances;
    let least_before = glances[..glances.len() - CONFIRMED].iter().map(|g| g.reached).fold(f64::INFINITY, f64::min);
    if glances.len() < 4 || health.best >= 0.3 || last.reached > least_before + 0.03 {
        return None;
    }
    Some(Wrong {
        kind: kind::STALLED,
        severity: Severity::Trouble,
        evidence: format!(
            "samples are {:.0} % of the way from trivial to real and gained nothing in {} judgements, while the discriminator orders {:.0} % of pairs rightly",
            100.0 * last.reached,
            glances.len(),
            100.0 * last.d_accuracy
        ),
        cause: "learning rates are too high for either network to settle, or too low to move it",
        remedy: "change the learning rates, lower ones first",
    })
}

fn low_variety(health: &Health) -> Option<Wrong> {
    let lacks = |glance: &Glance| {
        glance.progress >= 0.4 && !is_collapsed(glance) && (glance.coverage < 0.15 || glance.n_missing > glance.n_tolerated.max(1))
    };
    let last = health.confirmed(lacks)?;
    Some(Wrong {
        kind: kind::LOW_VARIETY,
        severity: Severity::Trouble,
        evidence: format!(
            "samples cover {:.0} % of what real ones cover, and {} of {} kinds of samples are hardly ever generated",
            100.0 * last.coverage,
            last.n_missing,
            last.kinds.len()
        ),
        cause: "part of the data's variety was never learned or was lost: latents too short, a generator too small, or a partial collapse",
        remedy: "give the latent more dimensions, use a larger generator, or raise the gradient penalties",
    })
}

fn classes_alike(health: &Health) -> Option<Wrong> {
    let last = health.glances.last()?;
    let [_, known] = last.agreement?;
    (known < 0.2).then(|| Wrong {
        kind: kind::CLASSES_ALIKE,
        severity: Severity::Trouble,
        evidence: format!("a classifier that learned the classes finds held-out samples in their own hardly more often than chance ({:.0} % of the way to always)", 100.0 * known),
        cause: "the labels say nothing about the samples: they are mixed up, or the classes do not differ",
        remedy: "look at the labels; or train without classes (--set classes=false)",
    })
}

fn classes_missing(health: &Health) -> Option<Wrong> {
    let last = health.confirmed(|glance| glance.progress >= 0.3 && glance.missing_classes > 0)?;
    Some(Wrong {
        kind: kind::CLASSES_MISSING,
        severity: Severity::Trouble,
        evidence: format!("nothing is generated of {} classes", last.missing_classes),
        cause: "the generator has given classes up that are hard or rare",
        remedy: "balance the classes, train longer, or raise the gradient penalties",
    })
}

fn condition_ignored(health: &Health) -> Option<Wrong> {
    let ignores =
        |glance: &Glance| glance.progress >= 0.4 && glance.agreement.is_some_and(|[reached, known]| known >= 0.2 && reached < 0.3);
    let last = health.confirmed(ignores)?;
    let [reached, _] = last.agreement?;
    Some(Wrong {
        kind: kind::CONDITION_IGNORED,
        severity: Severity::Trouble,
        evidence: format!(
            "samples are of the class asked for hardly more often than chance ({:.0} % of the way to real ones)",
            100.0 * reached
        ),
        cause: "neither network makes use of the class",
        remedy: "train longer, give the class embedding more dimensions, or check the labels",
    })
}

fn oscillation(health: &Health) -> Option<Wrong> {
    const MOVED: f64 = 0.35;
    let glances = &health.glances;
    if glances.len() < REMEMBERED || glances.iter().any(|g| g.kinds.len() != glances[0].kinds.len() || g.progress < 0.2) {
        return None;
    }
    let between = |a: &Glance, b: &Glance| 0.5 * a.kinds.iter().zip(&b.kinds).map(|(a, b)| (a - b).abs()).sum::<f64>();
    let moved: Vec<f64> = glances.windows(2).map(|pair| between(&pair[0], &pair[1])).collect();
    let least = moved.iter().copied().fold(f64::INFINITY, f64::min);
    // Kinds that were nearly gone and came back, or the other way round, at least twice.
    let returns = |kind: usize| {
        let is_there: Vec<bool> = glances.iter().map(|g| g.kinds[kind] > 0.3 / g.kinds.len() as f64).collect();
        is_there.windows(2).filter(|pair| pair[0] != pair[1]).count() >= 2
    };
    let n_returning = (0..glances[0].kinds.len()).filter(|kind| returns(*kind)).count();
    (least > MOVED && n_returning >= 2).then(|| Wrong {
        kind: kind::OSCILLATION,
        severity: Severity::Trouble,
        evidence: format!(
            "from each judgement to the next at least {:.0} % of samples changed their kind, and {n_returning} kinds came and went",
            100.0 * least
        ),
        cause: "the networks chase each other round in circles: the generator moves to wherever the discriminator does not look",
        remedy: "lower the learning rates, raise the gradient penalties, or average the generator's weights over longer",
    })
}

fn overfitting(health: &Health) -> Option<Wrong> {
    let last = health.confirmed(|glance| glance.overfitting.is_some_and(|r| r > 0.6))?;
    Some(Wrong {
        kind: kind::OVERFITTING,
        severity: Severity::Trouble,
        evidence: format!(
            "the discriminator takes held-out data for generated: {:.0} % of the way from training data to samples",
            100.0 * last.overfitting?
        ),
        cause: "there is too little data for a discriminator of this size, which knows it by heart",
        remedy: "add data, raise the gradient penalties, use a smaller discriminator, or stop earlier",
    })
}

fn memorisation(health: &Health) -> Option<Wrong> {
    // Few pictures leave features that take anything for near: a generator copies only what the discriminator knows by heart, and that is seen on held-out data.
    let is_known = |glance: &Glance| glance.overfitting.is_none_or(|r| r > 0.4);
    let last = health.confirmed(|glance| is_known(glance) && glance.memorised.is_some_and(|[nearer, z]| nearer > 0.8 && z > 3.0))?;
    let [nearer, z] = last.memorised?;
    Some(Wrong {
        kind: kind::MEMORISATION,
        severity: Severity::Trouble,
        evidence: format!(
            "samples are nearer to the training data than held-out data is in {:.0} % of cases (z = {z:.1}; 50 % would be right)",
            100.0 * nearer
        ),
        cause: "the generator draws copies of what it learned from: there is too little data for this many steps",
        remedy: "add data, stop earlier, or use smaller networks; do not publish samples of private data",
    })
}

impl Wrong {
    fn found(self, step: u64, since: u64) -> Finding {
        let Self { kind, severity, evidence, cause, remedy } = self;
        Finding { step, since, kind, severity, evidence, cause: cause.into(), remedy: remedy.into() }
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
