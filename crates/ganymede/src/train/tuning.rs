//! What remedies change in the rules of a game.

use serde::{Deserialize, Serialize};

use super::health::kind;

/// Gradient penalty that a game without any gets at its first remedy that asks for one.
const FIRST_PENALTY: f64 = 1.0;

/// What one remedy adds to the probability of augmentation, and what all of them add at most: distortions that are hardly ever left out show in the samples (Karras et al., NeurIPS 2020, section 2.2).
const MORE_AUGMENTED: f64 = 0.3;
const MOST_AUGMENTED: f64 = 0.6;

/// Changes on top of the configured rules; as configured by default.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tuning {
    /// Factor on the generator's learning rate.
    pub lr_g: f64,
    /// Factor on the discriminator's learning rate.
    pub lr_d: f64,
    /// Factor on every gradient penalty.
    pub penalty: f64,
    /// Factor on the half-life of the generator's moving average.
    pub ema: f64,
    /// Discriminator updates per step at most.
    pub d_steps: u64,
    /// Weight of R1 and R2 in a game that was configured without gradient penalties, where its discriminator allows for them.
    pub added_penalty: f64,
    /// Added to the probability of augmentation, where the task has one.
    pub augment: f64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { lr_g: 1.0, lr_d: 1.0, penalty: 1.0, ema: 1.0, d_steps: u64::MAX, added_penalty: 0.0, augment: 0.0 }
    }
}

impl Tuning {
    /// What a finding of that kind calls for in a task that `augments` its samples or not, on top of what was changed before, and the same in words; nothing for what no setting can mend.
    pub fn against(self, found: &str, augments: bool) -> Option<(Self, &'static str)> {
        let Self { lr_g, lr_d, penalty, ema, added_penalty, .. } = self;
        let slower = Self { lr_g: lr_g / 4.0, lr_d: lr_d / 4.0, ..self };
        let smoother = Self { penalty: penalty * 3.0, added_penalty: (added_penalty * 3.0).max(FIRST_PENALTY), ..self };
        let calmer = Self { lr_g: lr_g / 2.0, lr_d: lr_d / 2.0, ..smoother };
        match found {
            kind::NON_FINITE | kind::DIVERGENCE | kind::SATURATED | kind::STALLED => {
                Some((slower, "both learning rates are a quarter of what they were"))
            }
            kind::DISCRIMINATOR_WINS => Some((
                Self { lr_d: lr_d / 4.0, d_steps: 1, ..smoother },
                "the discriminator is updated once a step at a quarter of its learning rate, and gradient penalties are three times as strong",
            )),
            kind::COLLAPSE => {
                Some((calmer, "both learning rates are half of what they were, and gradient penalties are three times as strong"))
            }
            kind::OSCILLATION => Some((
                Self { ema: ema * 2.0, ..calmer },
                "both learning rates are half of what they were, gradient penalties are three times as strong, and weights are averaged over twice as long",
            )),
            kind::OVERFITTING | kind::MEMORISATION if augments => Some((
                Self { augment: (self.augment + MORE_AUGMENTED).min(MOST_AUGMENTED), ..self },
                "samples are augmented more before the discriminator sees them",
            )),
            kind::OVERFITTING => Some((smoother, "gradient penalties are three times as strong as they were")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_add_up() {
        let (once, _) = Tuning::default().against(kind::DIVERGENCE, false).unwrap();
        let (twice, _) = once.against(kind::COLLAPSE, true).unwrap();
        assert_eq!(twice, Tuning { lr_g: 0.125, lr_d: 0.125, penalty: 3.0, added_penalty: 1.0, ..Tuning::default() });
        assert_eq!(Tuning::default().against(kind::CONDITION_IGNORED, true), None);
        let (augmented, _) = Tuning::default().against(kind::OVERFITTING, true).unwrap();
        assert_eq!(augmented, Tuning { augment: 0.3, ..Tuning::default() });
        assert_eq!(augmented.against(kind::MEMORISATION, true).unwrap().0.augment, 0.6);
        assert_eq!(augmented.against(kind::OVERFITTING, false).unwrap().0.penalty, 3.0);
        assert_eq!(augmented.against(kind::MEMORISATION, false), None);
    }
}
