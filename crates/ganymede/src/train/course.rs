//! The course of a run by its judgements: which generator was best, and when there is nothing more to gain.

use serde::{Deserialize, Serialize};

use crate::judge::{Judgement, rounded};
use crate::train::StopReason;

/// Judgements without gain after which a run has settled.
const PATIENCE: usize = 3;
/// Smallest gain that counts, as a share of the best figure so far.
const GAIN: f64 = 0.05;
/// How much worse the mean of the last judgements must be than the best to say that a run has turned, as a share of the best figure.
const TURN: f64 = 0.3;
/// The same in standard errors, where they are known.
const TURN_ERRORS: f64 = 4.0;
/// Mean share of pairs ordered rightly below which the discriminator can no longer tell.
const CANNOT_TELL: f64 = 0.55;
/// A run goes on for at most so many times its planned steps while it gains.
const LONGEST: u64 = 3;

/// What judgements said so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Course {
    /// Figures of the metric that is chosen by, lower is better, by step.
    figures: Vec<(u64, f64)>,
    /// How well the discriminator told pairs apart before the last judgements, the newest last.
    d_accuracy: Vec<f64>,
    /// Step of the best generator, and the lowest figure so far.
    best: Option<(u64, f64)>,
    /// Standard error of the last figure, where it is known.
    error: Option<f64>,
}

impl Course {
    /// Takes in a judgement, and `d_accuracy` of the steps before it; says whether its generator is the best so far by the metric that it chooses by: no other's figure is
    /// lower by more than the standard error. Of those that cannot be told apart, the one that has learned longest is taken.
    pub fn observe(&mut self, step: u64, judgement: &Judgement, d_accuracy: f64) -> bool {
        let Some(score) = judgement.score(&judgement.choice) else { return false };
        let upwards = score.metric().is_some_and(|metric| metric.higher_is_better);
        let figure = if upwards { -score.value } else { score.value };
        self.figures.push((step, figure));
        self.d_accuracy.push(rounded(d_accuracy));
        let n_old = self.d_accuracy.len().saturating_sub(PATIENCE);
        self.d_accuracy.drain(..n_old);
        self.error = score.error;
        let lowest = self.best.map_or(figure, |(_, lowest)| lowest.min(figure));
        let is_best = figure <= lowest + self.error.unwrap_or(0.0);
        let best_step = if is_best { step } else { self.best.map_or(step, |(best_step, _)| best_step) };
        self.best = Some((best_step, lowest));
        is_best
    }

    /// Forgets what came after `step`, but not the best: its generator is kept.
    pub fn rewind(&mut self, step: u64) {
        self.figures.retain(|(at, _)| *at <= step);
    }

    /// Step of the best generator.
    pub fn best_step(&self) -> Option<u64> {
        self.best.map(|(step, _)| step)
    }

    /// Whether to stop after `step` of a run planned for `planned` steps, and why.
    pub fn verdict(&self, step: u64, planned: u64) -> Option<(StopReason, String)> {
        let (best_step, best) = self.best?;
        let turn = self.error.map_or(TURN * best.abs(), |error| TURN_ERRORS * error);
        let shown = |figure: f64| format!("{:.4}", figure.abs());
        if let Some(recent) = self.figures.len().checked_sub(PATIENCE).map(|from| &self.figures[from..]) {
            let mean = recent.iter().map(|(_, f)| f).sum::<f64>() / PATIENCE as f64;
            let all_after = recent.iter().all(|(at, _)| *at > best_step);
            if step * 2 >= planned && all_after && mean > best + turn {
                let why = format!(
                    "samples were best after {best_step} steps ({}) and have been worse in the last {PATIENCE} judgements ({} on average)",
                    shown(best),
                    shown(mean)
                );
                return Some((StopReason::Turned, why));
            }
            let before = self.figures[..self.figures.len() - PATIENCE].iter().map(|(_, f)| *f).fold(f64::INFINITY, f64::min);
            let now = recent.iter().map(|(_, f)| *f).fold(f64::INFINITY, f64::min);
            let cannot_tell = self.d_accuracy.len() == PATIENCE && self.d_accuracy.iter().all(|share| *share < CANNOT_TELL);
            // While learning rates fall, figures stand still and fall again after.
            let is_past = recent.iter().all(|(at, _)| *at > planned);
            if (is_past || (cannot_tell && step * 2 >= planned))
                && before.is_finite()
                && now > before - self.error.unwrap_or(GAIN * before.abs())
            {
                let why = format!(
                    "the last {PATIENCE} judgements brought no gain worth the time ({} after {} before)",
                    shown(now),
                    shown(before)
                );
                return Some((StopReason::Settled, why));
            }
        }
        if step >= planned.saturating_mul(LONGEST) {
            return Some((StopReason::Done, format!("{LONGEST} times the planned steps are done, and samples still get better")));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Score, Vitals};

    fn course(figures: &[f64]) -> Course {
        let mut course = Course::default();
        for (i, figure) in figures.iter().enumerate() {
            let step = 100 * (i as u64 + 1);
            course.figures.push((step, *figure));
            if course.best.is_none_or(|(_, best)| *figure < best) {
                course.best = Some((step, *figure));
            }
        }
        course
    }

    /// A course of judgements whose only figure has this standard error, and which of them were the best so far.
    fn uncertain(figures: &[f64], error: f64) -> (Course, Vec<bool>) {
        let mut course = Course::default();
        let mut judge = |(i, value): (usize, &f64)| {
            let scores = vec![Score { metric: "c2st".into(), value: *value, error: Some(error), real: 0.5, trivial: 1.0 }];
            let (extractor, choice) = ("columns".into(), "c2st".into());
            let vitals = Vitals {
                spread: 1.0,
                kinds: Vec::new(),
                real_kinds: Vec::new(),
                tolerated: 0.0,
                missing_classes: Vec::new(),
                memorised_z: 0.0,
                saturated: [0.0; 2],
                signal: None,
            };
            let judgement = Judgement { extractor, n: 1000, choice, scores, vitals, notes: Vec::new() };
            course.observe(100 * (i as u64 + 1), &judgement, 0.7)
        };
        let best = figures.iter().enumerate().map(&mut judge).collect();
        (course, best)
    }

    #[test]
    fn of_generators_that_cannot_be_told_apart_the_later_is_taken() {
        let (course, best) = uncertain(&[0.8, 0.65, 0.66, 0.64, 0.655, 0.67], 0.02);
        assert_eq!((best, course.best_step()), (vec![true, true, true, true, true, false], Some(500)));
        // Small steps upwards do not add up.
        let (drifting, _) = uncertain(&[0.6, 0.61, 0.62, 0.63, 0.64, 0.65], 0.015);
        assert_eq!(drifting.best_step(), Some(200));
        let (certain, _) = uncertain(&[0.6, 0.6, 0.61], 0.0);
        assert_eq!(certain.best_step(), Some(200));
    }

    #[test]
    fn what_may_be_chance_neither_turns_nor_settles() {
        let turned = |error: f64| uncertain(&[0.8, 0.6, 0.7, 0.7, 0.7], error).0.verdict(500, 1000).map(|(reason, _)| reason);
        assert_eq!((turned(0.02), turned(0.03)), (Some(StopReason::Turned), None));
        let settled = |error: f64| uncertain(&[0.8, 0.7, 0.66, 0.65, 0.64], error).0.verdict(500, 200).map(|(reason, _)| reason);
        assert_eq!((settled(0.08), settled(0.05)), (Some(StopReason::Settled), None));
    }

    fn verdict(figures: &[f64], planned: u64) -> Option<StopReason> {
        course(figures).verdict(100 * figures.len() as u64, planned).map(|(reason, _)| reason)
    }

    #[test]
    fn a_run_that_gains_goes_on_to_three_times_its_plan() {
        let falling: Vec<f64> = (0..30).map(|i| 100.0 * 0.8f64.powi(i)).collect();
        assert_eq!(verdict(&falling[..10], 1000), None);
        assert_eq!(verdict(&falling[..29], 1000), None);
        assert_eq!(verdict(&falling, 1000), Some(StopReason::Done));
    }

    #[test]
    fn a_run_that_no_longer_gains_past_its_plan_has_settled() {
        let flat = [10.0, 5.0, 3.0, 2.0, 1.95, 2.05, 1.97];
        assert_eq!(verdict(&flat, 400), Some(StopReason::Settled));
        assert_eq!(verdict(&flat, 500), None);
        assert_eq!(verdict(&flat, 1000), None);
    }

    #[test]
    fn a_run_settles_halfway_where_the_discriminator_can_no_longer_tell() {
        let mut flat = course(&[10.0, 5.0, 3.0, 2.0, 1.95, 2.05, 1.97]);
        flat.d_accuracy = vec![0.52, 0.49, 0.5];
        assert_eq!(flat.verdict(700, 1000).map(|(reason, _)| reason), Some(StopReason::Settled));
        assert_eq!(flat.verdict(700, 2000), None);
        flat.d_accuracy[1] = 0.7;
        assert_eq!(flat.verdict(700, 1000), None);
    }

    #[test]
    fn a_run_that_gets_worse_is_stopped_halfway() {
        let turned = [10.0, 5.0, 2.0, 2.9, 3.1, 3.5];
        assert_eq!(verdict(&turned, 1000), Some(StopReason::Turned));
        assert_eq!(verdict(&turned, 5000), None);
        assert_eq!(verdict(&[10.0, 2.0, 3.5, 1.9, 3.5], 1000), None);
    }

    #[test]
    fn going_back_forgets_figures_but_not_the_best() {
        let mut course = course(&[10.0, 5.0, 4.0, 90.0]);
        course.rewind(200);
        assert_eq!((course.figures.len(), course.best_step()), (2, Some(300)));
        assert_eq!(Course::default().verdict(500, 100), None);
    }
}
