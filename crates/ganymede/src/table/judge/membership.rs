//! Membership inference: can it be told who was among the training rows?

use serde::{Deserialize, Serialize};

use super::distances::Points;
use super::privacy::{Against, Measured};
use crate::metrics::auc;

/// Share of non-members that an attacker is allowed to take for members.
const FALSE_POSITIVES: f64 = 0.01;

/// How well an attacker tells training rows (members) from held-out ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// Area under the curve: 1/2 for guessing, 1 for certainty.
    pub auc: Against,
    /// Share of members that are found while at most 1 % of non-members are taken for members; 0.01 for guessing. Carlini et al., "Membership Inference Attacks From First Principles",
    /// S&P 2022, argue that this is what counts: a leak about few people is one.
    pub found: Against,
    /// Probability that guessing finds at least as many as were found by the synthetic rows.
    pub found_by_chance: f64,
}

/// Rows that an attacker asks about.
pub(super) struct Attacks<'a> {
    pub members: &'a Points,
    pub outsiders: &'a Points,
}

/// Distance of each member and of each other row to the closest row of some table.
pub(super) type Distances = [Vec<f64>; 2];

impl Attacks<'_> {
    pub fn distances(&self, to: &Points) -> Distances {
        [self.members, self.outsiders].map(|rows| rows.closest(to).iter().map(|c| c.first).collect())
    }

    /// By the distance to the synthetic rows; `held_out` are the distances to the rows that stand in for them.
    pub fn compare(&self, synthetic: &Distances, held_out: &Distances) -> Attack {
        let scores = |near: &Distances| -> Distances { near.each_ref().map(|d| d.iter().map(|v| -v).collect()) };
        attack(&scores(synthetic), &scores(held_out))
    }

    /// By that distance less the one to the reference rows; each pair is the distances to the synthetic rows and to the reference rows.
    pub fn compare_relative(&self, synthetic: [&Distances; 2], held_out: [&Distances; 2]) -> Attack {
        let scores = |[near, reference]: [&Distances; 2]| -> Distances {
            [0, 1].map(|kind| reference[kind].iter().zip(&near[kind]).map(|(r, d)| r - d).collect())
        };
        attack(&scores(synthetic), &scores(held_out))
    }
}

fn attack(synthetic: &Distances, held_out: &Distances) -> Attack {
    let curve = |[members, outsiders]: &Distances| Measured::from(auc(members, outsiders));
    let n_found = |[members, outsiders]: &Distances| {
        let mut sorted = outsiders.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        // Only scores above it count, so that no more than the allowed share of outsiders is found, ties or not.
        let threshold = sorted[allowed(outsiders.len())];
        members.iter().filter(|score| **score > threshold).count()
    };
    let found = |scores: &Distances| Measured::of_share(n_found(scores), scores[0].len());
    Attack {
        auc: Against { synthetic: curve(synthetic), held_out: curve(held_out) },
        found: Against { synthetic: found(synthetic), held_out: found(held_out) },
        found_by_chance: by_chance(n_found(synthetic), allowed(synthetic[1].len())),
    }
}

/// Outsiders that may be taken for members.
fn allowed(n_outsiders: usize) -> usize {
    (FALSE_POSITIVES * n_outsiders as f64) as usize
}

/// Probability that of equally many members and outsiders in any order `n_found` members come before outsider number `n_wrong + 1`: that at most `n_wrong` of the first `n_found + n_wrong`
/// are outsiders, each by a fair coin.
fn by_chance(n_found: usize, n_wrong: usize) -> f64 {
    let n = n_found + n_wrong;
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = log_term.exp();
    for i in 0..n_wrong {
        log_term += ((n - i) as f64 / (i + 1) as f64).ln();
        sum += log_term.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_finds_few() {
        // Three heads in a row; at most one tail among three; as many as were allowed to be wrong.
        assert!((by_chance(3, 0) - 0.125).abs() < 1e-12 && (by_chance(2, 1) - 0.5).abs() < 1e-12 && (by_chance(0, 4) - 1.0).abs() < 1e-12);
        assert!((by_chance(50, 50) - 0.5).abs() < 0.05 && by_chance(5000, 50) < 1e-300);
    }
}
