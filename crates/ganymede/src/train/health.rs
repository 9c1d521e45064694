//! The health monitor: reads the numbers of each logged step and says when something is wrong. Arithmetic only.
//!
//! It watches for three things that can be told from three numbers: values that are not finite, a discriminator that has won, and losses that run
//! away. A finding is given once, and again only after it had cleared. Its state is a few counters, which a checkpoint holds, so that a
//! continued run finds what an undisturbed one does.

use serde::{Deserialize, Serialize};

use crate::train::{Finding, Severity, StepReport};

/// Reports in a row before something counts as sustained: single ones are noise.
const SUSTAINED: u32 = 50;
/// Pairwise accuracy above which the discriminator leaves the generator little to learn from.
const WON: f64 = 0.98;
/// Losses are means of softplus, squares or logits; none that trains comes near this.
const RUNAWAY: f64 = 1e4;
/// Reports in a row with such losses.
const RUNAWAY_SUSTAINED: u32 = 5;

/// Watches the numbers of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    n_won: u32,
    won_reported: bool,
    n_runaway: u32,
    runaway_reported: bool,
}

impl Health {
    /// Takes in the report of a logged step and gives back what it newly shows. A [`Severity::Fatal`] finding means that training must stop.
    pub fn observe(&mut self, step: u64, report: &StepReport) -> Vec<Finding> {
        if let Some((name, value)) = report.scalars().find(|(_, value)| !value.is_finite()) {
            return vec![non_finite(step, &format!("{name} is {value}"))];
        }
        let mut found = Vec::new();
        if sustained(report.d_accuracy > WON, SUSTAINED, &mut self.n_won, &mut self.won_reported) {
            found.push(Finding {
                step,
                kind: "discriminator-wins",
                severity: Severity::Warning,
                evidence: format!(
                    "d_accuracy was above {WON} in each of the last {SUSTAINED} reports ({:.3} now; 0.5 means that it cannot tell)",
                    report.d_accuracy
                ),
                remedy: "look at the newest sheet; if it no longer improves, raise the gradient penalty, use a smaller discriminator, or give it more data"
                    .into(),
            });
        }
        let largest = report.d_loss.abs().max(report.g_loss.abs());
        if sustained(largest > RUNAWAY, RUNAWAY_SUSTAINED, &mut self.n_runaway, &mut self.runaway_reported) {
            found.push(Finding {
                step,
                kind: "exploding-loss",
                severity: Severity::Warning,
                evidence: format!(
                    "a loss was above {RUNAWAY} in each of the last {RUNAWAY_SUSTAINED} reports (d_loss {:.3e}, g_loss {:.3e})",
                    report.d_loss, report.g_loss
                ),
                remedy: "lower the learning rate, or raise the gradient penalty".into(),
            });
        }
        found
    }
}

/// The finding that ends a run: `evidence` says which number is not finite.
pub(crate) fn non_finite(step: u64, evidence: &str) -> Finding {
    Finding {
        step,
        kind: "non-finite",
        severity: Severity::Fatal,
        evidence: evidence.to_string(),
        remedy: "start a new run with a lower learning rate or a higher gradient penalty, and see whether the data holds extreme values"
            .into(),
    }
}

/// Counts how long `bad` has lasted; true once when it reaches `n_needed` in a row, and again only after it had stopped.
fn sustained(bad: bool, n_needed: u32, n_seen: &mut u32, reported: &mut bool) -> bool {
    if !bad {
        (*n_seen, *reported) = (0, false);
        return false;
    }
    *n_seen = (*n_seen + 1).min(n_needed);
    let new = *n_seen == n_needed && !*reported;
    *reported |= new;
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(d_loss: f64, d_accuracy: f64) -> StepReport {
        StepReport { d_loss, g_loss: 0.7, d_accuracy, extra: vec![("r1", 0.0)] }
    }

    /// Steps at which a finding came, over reports 0, 1, 2 ...
    fn found(reports: impl IntoIterator<Item = StepReport>) -> Vec<(u64, &'static str)> {
        let mut health = Health::default();
        reports.into_iter().zip(0..).flat_map(|(r, step)| health.observe(step, &r)).map(|f| (f.step, f.kind)).collect()
    }

    #[test]
    fn a_healthy_run_has_no_findings() {
        assert_eq!(found((0..1000).map(|i| report(0.69, if i % 10 == 0 { 1.0 } else { 0.8 }))), []);
    }

    #[test]
    fn nan_loss_is_reported_at_once() {
        let mut broken = report(0.7, 0.5);
        assert_eq!(found([broken.clone(), report(f64::NAN, 0.5)]), [(1, "non-finite")]);
        broken.extra[0].1 = f64::NEG_INFINITY;
        assert_eq!(found([broken.clone()]), [(0, "non-finite")]);
        assert_eq!(Health::default().observe(3, &broken)[0].evidence, "r1 is -inf");
    }

    #[test]
    fn a_winning_discriminator_is_reported_once_and_again_after_it_cleared() {
        let won = (0..120).map(|_| report(0.0, 1.0));
        let cleared = [report(0.5, 0.9)];
        let again = (0..60).map(|_| report(0.0, 0.99));
        assert_eq!(found(won.chain(cleared).chain(again)), [(49, "discriminator-wins"), (170, "discriminator-wins")]);
        assert_eq!(found((0..49).map(|_| report(0.0, 1.0))), []);
        assert_eq!(found((0..500).map(|_| report(0.0, 0.98))), []);
    }

    #[test]
    fn losses_that_run_away_are_reported_once() {
        assert_eq!(found((0..20).map(|_| report(-2e4, 0.5))), [(4, "exploding-loss")]);
        assert_eq!(found((0..20).map(|i| report(if i % 3 == 0 { 2e4 } else { 1.0 }, 0.5))), []);
    }

    #[test]
    fn a_stored_and_restored_monitor_goes_on_where_it_was() {
        let reports: Vec<_> = (0..80).map(|_| report(2e4, 1.0)).collect();
        for cut in 0..reports.len() {
            let mut health = Health::default();
            let mut all: Vec<_> = reports[..cut].iter().zip(0..).flat_map(|(r, step)| health.observe(step, r)).collect();
            let mut health: Health = serde_json::from_value(serde_json::to_value(&health).unwrap()).unwrap();
            all.extend(reports[cut..].iter().zip(cut as u64..).flat_map(|(r, step)| health.observe(step, r)));
            assert_eq!(all.iter().map(|f| (f.step, f.kind)).collect::<Vec<_>>(), [(4, "exploding-loss"), (49, "discriminator-wins")]);
        }
    }
}
