//! The classifier two-sample test: can a classifier tell synthetic rows from real ones?

use rayon::prelude::*;

use super::align::{aligned, chosen, n_rows, stacked};
use super::bins::Bins;
use super::boost::{Answer, BoostSettings};
use super::ensemble::Model;
use crate::error::{Error, Result};
use crate::metrics::{Auc, auc};
use crate::random::DataOrder;
use crate::table::frame::Table;

/// Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017, with gradient boosting ([`super::Boost`]), cross-validated over `folds`: the mean area under the curve on what
/// each fold's classifier did not see. 1/2 is the best a generator can do, 1 the worst; clearly less than 1/2 where synthetic rows repeat the very rows they are compared with. Both
/// sides have equally many rows, drawn with the seed, at most `most_rows`: more rows make a better classifier, so figures of different sizes are not comparable.
///
/// The standard error is that of one fold (DeLong et al. 1988) with the correction for overlapping training parts of Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning
/// 2003, section 3; it is rather too large than too small.
///
/// # Errors
/// As [`aligned`]; [`Error::Config`] if there are fewer than two folds, or fewer than two rows of either kind a fold.
pub fn two_sample_test(real: &Table, synthetic: &Table, most_rows: usize, folds: usize, seed: u64) -> Result<Auc> {
    let tables = aligned(&[("real rows", real), ("synthetic rows", synthetic)], &[])?;
    of_aligned([&tables[0], &tables[1]], most_rows, folds, seed)
}

/// Of tables with the same columns and words.
pub(super) fn of_aligned([real, synthetic]: [&Table; 2], most_rows: usize, folds: usize, seed: u64) -> Result<Auc> {
    let n = n_rows(real).min(n_rows(synthetic)).min(most_rows);
    if folds < 2 || n < 2 * folds {
        let problem = format!("{folds} folds of {n} rows are out of range");
        return Err(Error::config("folds", problem, "take at least two folds, and two rows of either kind for each"));
    }
    let part = |table: &Table, purpose: &'static str| chosen(table, &DataOrder::new(seed, purpose, n_rows(table)).batch(0, n));
    let pooled = stacked(&[&part(real, "two-sample-real"), &part(synthetic, "two-sample-synthetic")]);
    // Bins do not know which rows are real, so that all rows may be used to find them.
    let binned = Bins::fit(&pooled).apply(&pooled);
    let codes: Vec<u32> = (0..2 * n).map(|i| u32::from(i >= n)).collect();
    let answer = Answer::Classes { codes: &codes, n: 2 };
    let each: Vec<Auc> = (0..folds)
        .into_par_iter()
        .map(|fold| {
            let rows = |is_test: bool| -> Vec<u32> { (0..2 * n as u32).filter(|i| (*i as usize % n % folds == fold) == is_test).collect() };
            let settings = BoostSettings { seed: seed.wrapping_add(fold as u64), ..BoostSettings::default() };
            let model = Model::fit(&binned, &rows(false), &answer, &settings);
            let test = rows(true);
            let scores: Vec<f64> = model.predict(&binned, &test).iter().map(|p| p[1]).collect();
            let of = |class: u32| -> Vec<f64> {
                test.iter().zip(&scores).filter(|(row, _)| codes[**row as usize] == class).map(|(_, score)| *score).collect()
            };
            auc(&of(1), &of(0))
        })
        .collect();
    let value = each.iter().map(|auc| auc.value).sum::<f64>() / folds as f64;
    let variance = each.iter().map(|auc| auc.standard_error.powi(2)).sum::<f64>() / folds as f64;
    // Each fold is tested after learning from the others, which adds the ratio of test to training rows.
    let standard_error = (variance * (1.0 / folds as f64 + 1.0 / (folds - 1) as f64)).sqrt();
    Ok(Auc { value, standard_error })
}

#[cfg(test)]
mod tests {
    use super::super::independent;
    use super::super::panel::tests::people;
    use super::*;

    #[test]
    fn real_rows_cannot_be_told_from_real_rows_and_independent_columns_can() {
        for seed in 0..4 {
            let (a, b) = (people(1500, 10 + seed), people(1500, 20 + seed));
            let same = two_sample_test(&a, &b, 20_000, 5, seed).unwrap();
            assert!((same.value - 0.5).abs() < 2.0 * same.standard_error, "{same:?}");
            let apart = two_sample_test(&a, &independent(&b, seed), 20_000, 5, seed).unwrap();
            assert!(apart.value > 0.9, "{apart:?}");
        }
    }

    #[test]
    fn values_that_never_occur_give_a_table_away_and_few_rows_are_refused() {
        let a = people(400, 1);
        let mut b = people(400, 2);
        for column in &mut b.columns {
            if let crate::table::frame::Values::Numbers(numbers) = &mut column.values {
                numbers.iter_mut().for_each(|v| *v += 1e4);
            }
        }
        assert!(two_sample_test(&a, &b, 20_000, 5, 0).unwrap().value > 0.99);
        assert!(two_sample_test(&people(9, 1), &a, 20_000, 5, 0).is_err());
    }
}
