//! What judgements show to be wrong, one function for each kind of trouble.

use super::{CONFIRMED, Glance, Health, REMEMBERED, kind};
use crate::train::{Finding, Severity};

/// Mean share of pairs ordered rightly since the last judgement, above which the discriminator tells nearly everything apart.
const WON: f64 = 0.98;
/// How far a run must fall back towards trivial to have diverged.
const FALL: f64 = 0.3;

/// What is wrong in a judgement.
pub(super) struct Wrong {
    pub kind: &'static str,
    pub severity: Severity,
    pub evidence: String,
    pub cause: &'static str,
    pub remedy: &'static str,
}

/// Whether a judgement has a sign of something wrong, confirmed or not.
pub(super) fn looks_bad(glance: &Glance, best: f64) -> bool {
    is_collapsed(glance) || (best > FALL && glance.reached < best - FALL) || is_saturated(glance)
}

/// In the first quarter of a run a generator has hardly begun.
fn is_collapsed(glance: &Glance) -> bool {
    glance.progress >= 0.25 && (glance.spread < 0.15 || glance.coverage < 0.05)
}

fn is_saturated(glance: &Glance) -> bool {
    let [own, real] = glance.saturated;
    own > 0.9 && own > real + 0.3
}

/// One for each kind of trouble that judgements show; the order is that of reporting.
pub(super) const DETECTORS: &[fn(&Health) -> Option<Wrong>] = &[
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
        remedy: "look at the labels; or train without classes (--set condition=none)",
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
        remedy: "add data, augment pictures (--set augment.policy=diffaugment), raise the gradient penalties, or stop earlier",
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
        remedy: "add data, augment pictures (--set augment.policy=diffaugment), or stop earlier; do not publish samples of private data",
    })
}

impl Wrong {
    /// The finding of a step; all was well up to step `since`.
    pub fn found(self, step: u64, since: u64) -> Finding {
        let Self { kind, severity, evidence, cause, remedy } = self;
        Finding { step, since, kind, severity, evidence, cause: cause.into(), remedy: remedy.into() }
    }
}
