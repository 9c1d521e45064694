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

/// The same with one split: the classifier learns from the first pair of tables, real and synthetic rows, and is tested on the second, of which it knows nothing. Where few real rows are left
/// that the generator has not seen, this tells more than folds of these few: it learns from the rows that the generator learned from, too.
///
/// # Errors
/// As [`aligned`]; [`Error::Config`] if there are fewer than two rows of a kind.
pub fn told_apart(learned: [&Table; 2], tested: [&Table; 2], seed: u64) -> Result<Auc> {
    let named =
        [("real rows", learned[0]), ("synthetic rows", learned[1]), ("real test rows", tested[0]), ("synthetic test rows", tested[1])];
    let tables = aligned(&named, &[])?;
    if let Some(i) = tables.iter().position(|table| n_rows(table) < 2) {
        let problem = format!("{} of them cannot be told apart", n_rows(&tables[i]));
        return Err(Error::config(named[i].0, problem, "take at least two"));
    }
    let pooled = stacked(&tables.iter().collect::<Vec<_>>());
    let binned = Bins::fit(&pooled).apply(&pooled);
    let mut codes = Vec::new();
    let mut places = Vec::new();
    for (i, table) in tables.iter().enumerate() {
        let from = codes.len() as u32;
        codes.resize(codes.len() + n_rows(table), (i % 2) as u32);
        places.push((from..codes.len() as u32).collect::<Vec<u32>>());
    }
    let settings = BoostSettings { seed, ..BoostSettings::default() };
    let model = Model::fit(&binned, &places[..2].concat(), &Answer::Classes { codes: &codes, n: 2 }, &settings);
    let scores = |i: usize| -> Vec<f64> { model.predict(&binned, &places[i]).iter().map(|p| p[1]).collect() };
    Ok(auc(&scores(3), &scores(2)))
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
    fn one_split_says_what_folds_say() {
        let standardised = (0..8u64).map(|i| {
            let [a, b, c, d] = [(2000, 1), (2000, 2), (300, 3), (900, 4)].map(|(n, seed)| people(n, 10 * i + seed));
            let same = told_apart([&a, &b], [&c, &d], i).unwrap();
            (same.value - 0.5) / same.standard_error
        });
        let standardised: Vec<f64> = standardised.collect();
        // The mean of eight deviates by a third, and the largest by less than 3.
        assert!(standardised.iter().sum::<f64>().abs() / 8.0 < 1.0 && standardised.iter().all(|z| z.abs() < 3.0), "{standardised:?}");
        let [a, b, c, d] = [31, 32, 33, 34].map(|seed| people(2000, seed));
        // The copies of what it learned from say nothing of other rows.
        let copied = told_apart([&a, &a], [&c, &a], 0).unwrap();
        assert!((copied.value - 0.5).abs() < 0.05, "{copied:?}");
        let (b, d) = (independent(&b, 0), independent(&d, 1));
        let apart = told_apart([&a, &b], [&c, &d], 0).unwrap();
        let folds = two_sample_test(&a, &b, 2000, 5, 0).unwrap();
        assert!((apart.value - folds.value).abs() < 3.0 * apart.standard_error.hypot(folds.standard_error), "{apart:?} {folds:?}");
        assert!(told_apart([&a, &b], [&c, &d.take(&[0])], 0).is_err());
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
