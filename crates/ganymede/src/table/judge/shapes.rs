//! How alike two columns are by themselves.

use serde::{Deserialize, Serialize};

use crate::table::frame::{MISSING, Table, Values};

/// Decimals to which SDMetrics rounds numbers before it compares them.
const DECIMALS: f64 = 1e14;

/// One column beside its real one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Name of the column.
    pub column: String,
    /// [`ks_complement`] of numbers, [`tv_complement`] of words, in [0, 1]; nothing where one side has no value at all.
    pub score: Option<f64>,
    /// Share of missing values, real and synthetic. They do not enter the score.
    pub missing: [f64; 2],
}

/// Every column of tables with the same columns and words (see [`super::aligned`]).
pub(super) fn shapes(real: &Table, synthetic: &Table) -> Vec<Shape> {
    let pairs = real.columns.iter().zip(&synthetic.columns);
    pairs
        .map(|(r, s)| {
            let (score, missing) = match (&r.values, &s.values) {
                (Values::Numbers(r), Values::Numbers(s)) => {
                    (ks_complement(r, s), [r, s].map(|v| share(v.iter().filter(|x| x.is_nan()).count(), v.len())))
                }
                (Values::Categories { codes: r, .. }, Values::Categories { codes: s, .. }) => {
                    (tv_complement(r, s), [r, s].map(|v| share(v.iter().filter(|x| **x == MISSING).count(), v.len())))
                }
                _ => (None, [0.0; 2]),
            };
            Shape { column: r.name.clone(), score, missing }
        })
        .collect()
}

/// KSComplement of SDMetrics 0.32: one minus the largest difference of the two empirical distribution functions, in [0, 1]. Missing values (`NaN`) are left out; nothing where none are
/// left.
pub fn ks_complement(real: &[f64], synthetic: &[f64]) -> Option<f64> {
    let sorted = |values: &[f64]| {
        let mut known: Vec<f64> = values.iter().filter(|v| !v.is_nan()).map(|v| rounded(*v)).collect();
        known.sort_by(f64::total_cmp);
        known
    };
    let (real, synthetic) = (sorted(real), sorted(synthetic));
    if real.is_empty() || synthetic.is_empty() {
        return None;
    }
    let (mut i, mut j, mut largest) = (0, 0, 0.0f64);
    while i < real.len() && j < synthetic.len() {
        let value = real[i].min(synthetic[j]);
        while i < real.len() && real[i] <= value {
            i += 1;
        }
        while j < synthetic.len() && synthetic[j] <= value {
            j += 1;
        }
        largest = largest.max((share(i, real.len()) - share(j, synthetic.len())).abs());
    }
    Some(1.0 - largest)
}

/// TVComplement of SDMetrics 0.32: one minus half the sum of the differences of frequencies, in [0, 1]. Missing values ([`MISSING`]) are left out; nothing where none are left. SDMetrics
/// counts a word that is not real as a millionth of a row, which is left out here.
pub fn tv_complement(real: &[u32], synthetic: &[u32]) -> Option<f64> {
    let counted = |codes: &[u32]| {
        let n_words = codes.iter().filter(|c| **c != MISSING).max().map_or(0, |c| *c as usize + 1);
        let mut counts = vec![0usize; n_words];
        codes.iter().filter(|c| **c != MISSING).for_each(|c| counts[*c as usize] += 1);
        let total: usize = counts.iter().sum();
        (counts, total)
    };
    let ((real, n_real), (synthetic, n_synthetic)) = (counted(real), counted(synthetic));
    if n_real == 0 || n_synthetic == 0 {
        return None;
    }
    let of = |counts: &[usize], word: usize, n: usize| share(counts.get(word).copied().unwrap_or(0), n);
    let words = 0..real.len().max(synthetic.len());
    let total: f64 = words.map(|word| (of(&real, word, n_real) - of(&synthetic, word, n_synthetic)).abs()).sum();
    Some(1.0 - total / 2.0)
}

pub(super) fn share(count: usize, of: usize) -> f64 {
    count as f64 / of as f64
}

fn rounded(value: f64) -> f64 {
    let scaled = (value * DECIMALS).round_ties_even() / DECIMALS;
    // The sort tells -0 from 0.
    if scaled.is_finite() { scaled + 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_far_and_half_shifted_columns() {
        assert_eq!(ks_complement(&[1.0, 2.0, 3.0], &[3.0, 1.0, 2.0]), Some(1.0));
        assert_eq!(ks_complement(&[1.0, 2.0], &[3.0, 4.0, 5.0]), Some(0.0));
        assert_eq!(ks_complement(&[1.0, 2.0, 3.0, 4.0], &[3.0, 4.0, 5.0, 6.0]), Some(0.5));
        assert_eq!(ks_complement(&[-0.0, f64::NAN], &[0.0, 0.0]), Some(1.0));
        assert_eq!(ks_complement(&[f64::NAN], &[0.0]), None);
        assert_eq!(tv_complement(&[0, 0, 1, 1], &[0, 0, 0, MISSING]), Some(0.5));
        assert_eq!(tv_complement(&[0, 1], &[2, 3]), Some(0.0));
        assert_eq!(tv_complement(&[0, 1], &[MISSING]), None);
    }
}
