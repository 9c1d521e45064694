//! The classifier two-sample test: can a classifier tell generated from real?

use rayon::prelude::*;

use super::Features;
use super::logistic::Logistic;
use crate::error::{Error, Result};
use crate::random::DataOrder;

/// Area under the curve of true against false positives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Auc {
    /// Probability that a positive scores higher than a negative, ties counted half: 1/2 says that scores tell nothing.
    pub value: f64,
    /// Standard error: DeLong, DeLong and Clarke-Pearson 1988.
    pub standard_error: f64,
}

impl Auc {
    /// The 95 % confidence interval, within [0, 1].
    pub fn interval(&self) -> [f64; 2] {
        [-1.96, 1.96].map(|z| (self.value + z * self.standard_error).clamp(0.0, 1.0))
    }
}

/// Of the scores of positives and negatives, at least one each.
///
/// # Panics
/// If either is empty.
pub fn auc(positives: &[f64], negatives: &[f64]) -> Auc {
    assert!(!positives.is_empty() && !negatives.is_empty(), "auc: scores of both kinds are needed");
    // Share of the other kind below each score, ties counted half.
    let below = |scores: &[f64], others: &[f64]| -> Vec<f64> {
        let mut sorted = others.to_vec();
        sorted.sort_by(f64::total_cmp);
        let share = |score: &f64| {
            (sorted.partition_point(|o| o < score) + sorted.partition_point(|o| o <= score)) as f64 / (2 * sorted.len()) as f64
        };
        scores.iter().map(share).collect()
    };
    let (over, under) = (below(positives, negatives), below(negatives, positives));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let spread = |values: &[f64]| {
        let (n, centre) = (values.len() as f64, mean(values));
        if n < 2.0 { 0.0 } else { values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (n - 1.0) / n }
    };
    Auc { value: mean(&over), standard_error: (spread(&over) + spread(&under)).sqrt() }
}

/// Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017, with logistic regression on standardised features (L2 penalty of weight 1), cross-validated over
/// `folds`: the mean area under the curve on what each fold's classifier did not see. 1/2 is the best a generator can do, 1 the worst.
///
/// # Errors
/// [`Error::Data`] if the vectors differ in length; [`Error::Config`] if there are fewer than two folds, or fewer than two samples of either kind a fold.
pub fn two_sample_test(real: &Features, generated: &Features, folds: usize, seed: u64) -> Result<Auc> {
    let shuffled = |n: usize, purpose: &'static str| DataOrder::new(seed, purpose, n).batch(0, n);
    cross_validated((real, &shuffled(real.n(), "two-sample-real")), (generated, &shuffled(generated.n(), "two-sample-generated")), folds)
}

/// Sample number `i` of an order belongs to fold `i % folds`.
pub(super) fn cross_validated(
    (real, real_order): (&Features, &[usize]),
    (generated, generated_order): (&Features, &[usize]),
    folds: usize,
) -> Result<Auc> {
    real.comparable(generated)?;
    let least = real.n().min(generated.n());
    if folds < 2 || least < 2 * folds {
        let problem = format!("{folds} folds of {least} samples are out of range");
        return Err(Error::config("folds", problem, "take at least two folds, and two samples of either kind for each"));
    }
    let each: Vec<Auc> = (0..folds)
        .into_par_iter()
        .map(|fold| {
            let part = |of: &'_ Features, order: &[usize], is_test: bool| -> Vec<Vec<f32>> {
                let own = order.iter().enumerate().filter(|(i, _)| (i % folds == fold) == is_test);
                own.map(|(_, row)| of.row(*row).to_vec()).collect()
            };
            let classifier = Logistic::fit(&part(real, real_order, false), &part(generated, generated_order, false));
            let score = |rows: Vec<Vec<f32>>| rows.iter().map(|row| classifier.score(row)).collect::<Vec<f64>>();
            auc(&score(part(real, real_order, true)), &score(part(generated, generated_order, true)))
        })
        .collect();
    let n = folds as f64;
    let value = each.iter().map(|auc| auc.value).sum::<f64>() / n;
    let standard_error = each.iter().map(|auc| auc.standard_error.powi(2)).sum::<f64>().sqrt() / n;
    Ok(Auc { value, standard_error })
}

#[cfg(test)]
mod tests {
    use super::super::features::tests::wave;
    use super::*;
    use crate::random;

    #[test]
    fn scores_that_tell_everything_or_nothing() {
        assert_eq!(auc(&[3.0, 4.0], &[1.0, 2.0]).value, 1.0);
        assert_eq!(auc(&[1.0, 1.0], &[1.0, 1.0]).value, 0.5);
        assert_eq!(auc(&[1.0, 3.0], &[2.0]).value, 0.5);
        let [low, high] = auc(&[1.0, 4.0, 2.0, 5.0], &[3.0, 1.5, 2.5]).interval();
        assert!(0.0 <= low && low < high && high <= 1.0);
    }

    #[test]
    fn real_against_real_cannot_be_told_and_a_shift_can() {
        for seed in 0..5 {
            let draw = |purpose: &str, shift: f32| {
                let values = random::normal(400 * 6, &mut random::stream(seed, purpose, 0)).into_iter().map(|v| v + shift).collect();
                Features::new(purpose, values, 6).unwrap()
            };
            let same = two_sample_test(&draw("a", 0.0), &draw("b", 0.0), 5, seed).unwrap();
            assert!((same.value - 0.5).abs() < 4.0 * same.standard_error, "{same:?}");
            let moved = two_sample_test(&draw("a", 0.0), &draw("b", 1.0), 5, seed).unwrap();
            // Distance sqrt(6): the best classifier reaches Phi(sqrt(6 / 2)) = 0.958.
            assert!((moved.value - 0.958).abs() < 0.02, "{moved:?}");
        }
    }

    #[test]
    fn a_column_that_never_changes_does_no_harm_and_too_few_samples_are_refused() {
        let flat = |shift: f32| Features::new("flat", (0..40).flat_map(|i| [1.0, (i as f32 + shift).sin()]).collect(), 2).unwrap();
        assert!(two_sample_test(&flat(0.0), &flat(0.5), 5, 0).unwrap().value.is_finite());
        assert!(two_sample_test(&wave(9, 2, 0.0), &wave(40, 2, 0.0), 5, 0).is_err());
    }
}
