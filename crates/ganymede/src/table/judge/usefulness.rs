//! Train on synthetic, test on real.

use serde::{Deserialize, Serialize};

use super::align::{aligned, n_rows};
use super::boost::{Boost, BoostSettings};
use super::independent::independent;
use super::target::{Scheme, Task};
use crate::error::{Error, Result};
use crate::metrics::auc;
use crate::table::frame::Table;

/// Rows that a model learns from at most.
const MOST_ROWS: usize = 100_000;
/// Rows times classes at most: every class has trees of its own.
const MOST_ROWS_TIMES_CLASSES: usize = 1_000_000;

/// How well a target column of rows that nothing was learned from is foretold by [`super::Boost`] after it learned from other rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usefulness {
    /// The target column.
    pub target: String,
    /// Its classes in the order of their frequency among the training rows; none if it is a number.
    pub classes: Vec<String>,
    /// Rows that the model learned from: synthetic, then real ones.
    pub n_train: [usize; 2],
    /// Held-out rows that were foretold.
    pub n_test: usize,
    /// After learning from synthetic rows.
    pub synthetic: Foretold,
    /// After learning from the training rows: the most that can be hoped for.
    pub real: Foretold,
    /// After learning from the training rows with every column shuffled by itself: what single columns give.
    pub independent: Foretold,
    /// The most frequent class, or the mean, whatever the row.
    pub constant: Foretold,
}

/// How well a column was foretold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Foretold {
    /// One of several classes.
    Classes {
        /// Area under the curve of a class against the rest, the mean over classes that training rows have, and some test rows but not all; nothing if there is no such class.
        auc: Option<f64>,
        /// Its standard error: of two classes by DeLong et al. 1988, of more as if classes were independent.
        auc_error: Option<f64>,
        /// Harmonic mean of precision and recall of the rarer class, of two; nothing for more classes.
        f1: Option<f64>,
        /// The mean over classes that were foretold or occur.
        macro_f1: f64,
        /// Share of rows whose most probable class is right.
        accuracy: f64,
    },
    /// A number.
    Numbers {
        /// Share of the variance that is explained; nothing if the test rows have none. Below 0 where the mean of the test rows would have been better.
        r2: Option<f64>,
        /// Mean absolute error, in units of the column.
        mae: f64,
    },
}

/// Usefulness of synthetic rows. Rows without the target are left out; a number with at most two values counts as classes; at most 100,000 rows (1,000,000 over the number of classes) are learned from, as many
/// real as synthetic ones, drawn with the seed.
///
/// # Errors
/// As [`aligned`]; [`Error::Config`] if there is no such column, or no other one, or no row has it.
pub fn usefulness(train: &Table, held_out: &Table, synthetic: &Table, target: &str, seed: u64) -> Result<Usefulness> {
    let tables = aligned(&[("training rows", train), ("held-out rows", held_out), ("synthetic rows", synthetic)], &[])?;
    of_aligned([&tables[0], &tables[1], &tables[2]], target, seed)
}

/// Of training, held-out and synthetic rows with the same columns and words.
pub(super) fn of_aligned([train, held_out, synthetic]: [&Table; 3], target: &str, seed: u64) -> Result<Usefulness> {
    let Some(at) = train.columns.iter().position(|column| column.name == target).filter(|_| train.columns.len() > 1) else {
        let names: Vec<&str> = train.columns.iter().take(20).map(|c| c.name.as_str()).collect();
        let problem = format!("there is no column `{target}` with others beside it");
        return Err(Error::config("target", problem, format!("choose a column of the table, such as {}", names.join(", "))));
    };
    let scheme = Scheme::of(&train.columns[at].values);

    let task = |table: &Table, most: usize| scheme.task(table, at, most, seed);
    let most = n_rows(train).min(n_rows(synthetic)).min(MOST_ROWS).min(MOST_ROWS_TIMES_CLASSES / scheme.n_classes());
    let (of_train, of_test, of_synthetic) = (task(train, most), task(held_out, MOST_ROWS), task(synthetic, most));
    for (what, task) in [("training", &of_train), ("held-out", &of_test), ("synthetic", &of_synthetic)] {
        if n_rows(&task.rows) == 0 {
            let problem = format!("column `{target}` is missing in all {what} rows");
            return Err(Error::config("target", problem, "choose another column"));
        }
    }
    // A class that was never learned from cannot be foretold by anyone.
    let n_met = of_train.codes.iter().max().map_or(0, |code| *code as usize + 1);
    let after = |task: &Task| -> Result<Foretold> {
        let settings = BoostSettings { seed, ..BoostSettings::default() };
        let boost = Boost::fit(&task.rows, &task.answer(&scheme), &settings)?;
        let mut found = boost.predict(&of_test.rows);
        if !scheme.names().is_empty() {
            found.iter_mut().for_each(|p| p.resize(scheme.n_classes(), 0.0));
        }
        Ok(judged(&found, &of_test, (&scheme, n_met)))
    };
    let n_test = n_rows(&of_test.rows);
    let constant = match &scheme {
        Scheme::Numbers => vec![vec![of_train.numbers.iter().sum::<f64>() / of_train.numbers.len() as f64]; n_test],
        // Classes are in the order of their frequency.
        Scheme::Classes { .. } => vec![(0..scheme.n_classes()).map(|class| f64::from(u8::from(class == 0))).collect(); n_test],
    };
    Ok(Usefulness {
        target: target.to_owned(),
        classes: scheme.names(),
        n_train: [n_rows(&of_synthetic.rows), n_rows(&of_train.rows)],
        n_test,
        synthetic: after(&of_synthetic)?,
        real: after(&of_train)?,
        independent: after(&task(&independent(train, seed), most))?,
        constant: judged(&constant, &of_test, (&scheme, n_met)),
    })
}

fn judged(found: &[Vec<f64>], test: &Task, (scheme, n_met): (&Scheme, usize)) -> Foretold {
    let n = found.len() as f64;
    if matches!(scheme, Scheme::Numbers) {
        let mean = test.numbers.iter().sum::<f64>() / n;
        let total: f64 = test.numbers.iter().map(|v| (v - mean).powi(2)).sum();
        let errors: Vec<f64> = found.iter().zip(&test.numbers).map(|(f, v)| (f[0] - v).abs()).collect();
        let left: f64 = errors.iter().map(|e| e * e).sum();
        return Foretold::Numbers { r2: (total > 0.0).then(|| 1.0 - left / total), mae: errors.iter().sum::<f64>() / n };
    }
    let n_classes = scheme.n_classes();
    let most_probable = |p: &Vec<f64>| (0..n_classes).fold(0, |best, class| if p[class] > p[best] { class } else { best });
    // Right ones, then how often each class was foretold and how often it occurs.
    let (mut right, mut said, mut own) = (vec![0usize; n_classes], vec![0usize; n_classes], vec![0usize; n_classes]);
    for (p, code) in found.iter().zip(&test.codes) {
        let (class, truth) = (most_probable(p), *code as usize);
        said[class] += 1;
        own[truth] += 1;
        right[class] += usize::from(class == truth);
    }
    let f1 = |class: usize| 2.0 * right[class] as f64 / (said[class] + own[class]) as f64;
    let met: Vec<f64> = (0..n_classes).filter(|class| said[*class] + own[*class] > 0).map(f1).collect();
    let curves: Vec<_> = (0..n_classes.min(n_met))
        // Of two classes one curve says it all.
        .filter(|class| (1..found.len()).contains(&own[*class]) && (n_classes > 3 || *class > 0))
        .map(|class| {
            let scores = |is_own: bool| -> Vec<f64> {
                found.iter().zip(&test.codes).filter(|(_, code)| (**code as usize == class) == is_own).map(|(p, _)| p[class]).collect()
            };
            auc(&scores(true), &scores(false))
        })
        .collect();
    let k = curves.len() as f64;
    Foretold::Classes {
        auc: (!curves.is_empty()).then(|| curves.iter().map(|c| c.value).sum::<f64>() / k),
        auc_error: (!curves.is_empty()).then(|| curves.iter().map(|c| c.standard_error.powi(2)).sum::<f64>().sqrt() / k),
        f1: (n_classes == 3).then(|| if said[1] + own[1] > 0 { f1(1) } else { 0.0 }),
        macro_f1: met.iter().sum::<f64>() / met.len().max(1) as f64,
        accuracy: right.iter().sum::<usize>() as f64 / n,
    }
}

#[cfg(test)]
mod tests {
    use super::super::align::tests::numbers;
    use super::super::panel::tests::people;
    use super::*;
    use crate::table::frame::{Column, Values};

    fn parts(foretold: &Foretold) -> [f64; 4] {
        match foretold {
            Foretold::Classes { auc, f1, macro_f1, accuracy, .. } => [auc.unwrap(), f1.unwrap_or(-1.0), *macro_f1, *accuracy],
            Foretold::Numbers { .. } => panic!("classes are foretold"),
        }
    }

    #[test]
    fn real_rows_foretell_a_class_and_independent_columns_do_not() {
        let (train, held_out, synthetic) = (people(3000, 1), people(1500, 2), people(3000, 3));
        let found = usefulness(&train, &held_out, &synthetic, "owner", 0).unwrap();
        assert_eq!(found.classes, ["no", "yes"]);
        assert_eq!((found.n_train, found.n_test), ([3000, 3000], 1500));
        let [synthetic, real, independent, constant] = [&found.synthetic, &found.real, &found.independent, &found.constant].map(parts);
        assert!(real[0] > 0.9 && (real[0] - synthetic[0]).abs() < 0.02, "{real:?} {synthetic:?}");
        // Whichever way chance leans, columns that go with the class then foretell it a little, or its opposite.
        assert!((independent[0] - 0.5).abs() < 0.25 && independent[1] < 0.2, "{independent:?}");
        assert_eq!((constant[0], constant[1]), (0.5, 0.0));
        assert!(real[3] > constant[3] + 0.1);
    }

    #[test]
    fn numbers_and_numbers_with_two_values() {
        let (train, held_out) = (people(2000, 1), people(1000, 2));
        let found = usefulness(&train, &held_out, &train, "income", 0).unwrap();
        let Foretold::Numbers { r2: Some(r2), mae } = found.real else { panic!("a number is foretold") };
        let Foretold::Numbers { r2: Some(flat), mae: flat_mae } = found.constant else { panic!("a number is foretold") };
        assert!(r2 > 0.7 && flat.abs() < 0.02 && mae < flat_mae / 1.5, "{r2} {mae} {flat} {flat_mae}");
        let bits = |table: &Table| {
            let mut table = table.clone();
            let Values::Numbers(income) = &table.columns[1].values else { panic!("income is a number") };
            let values = income.iter().map(|v| if v.is_nan() { f64::NAN } else { f64::from(u8::from(*v > 40.0)) }).collect();
            table.columns.push(numbers("bit", values));
            table
        };
        let found = usefulness(&bits(&train), &bits(&held_out), &bits(&train), "bit", 0).unwrap();
        assert!(found.classes.len() == 2 && parts(&found.real)[0] > 0.99);
    }

    #[test]
    fn a_class_that_was_never_learned_from_is_held_against_nobody() {
        let (train, mut held_out) = (people(3000, 1), people(1500, 2));
        let before = parts(&usefulness(&train, &held_out, &train, "owner", 0).unwrap().real);
        let owner = held_out.columns.iter_mut().find(|c| c.name == "owner").unwrap();
        let Values::Categories { codes, words } = &mut owner.values else { panic!("owner is a word") };
        words.push("yes.".into());
        codes[0] = words.len() as u32 - 1;
        let after = parts(&usefulness(&train, &held_out, &train, "owner", 0).unwrap().real);
        assert!((before[0] - after[0]).abs() < 0.01, "{before:?} {after:?}");
    }

    #[test]
    fn a_synthetic_table_with_one_class_foretells_nothing_and_unknown_targets_are_refused() {
        let (train, held_out) = (people(500, 1), people(300, 2));
        let mut flat = train.clone();
        if let Some(Column { values: Values::Categories { codes, .. }, .. }) = flat.columns.iter_mut().find(|c| c.name == "owner") {
            codes.fill(0);
        }
        let found = usefulness(&train, &held_out, &flat, "owner", 0).unwrap();
        assert_eq!(parts(&found.synthetic)[0], 0.5);
        assert!(usefulness(&train, &held_out, &flat, "shoe", 0).unwrap_err().to_string().contains("age, income"));
    }
}
