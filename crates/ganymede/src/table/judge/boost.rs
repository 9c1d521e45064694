//! Gradient boosting on columns of numbers and words, with missing values.

use super::align::n_rows;
use super::bins::Bins;
use super::ensemble::Model;
use crate::error::{Error, Result};
use crate::table::frame::Table;

/// Largest number that can be foretold: its square still is a number.
const LARGEST: f64 = 1e150;

/// What is to be foretold, for each row.
#[derive(Debug, Clone, Copy)]
pub enum Answer<'a> {
    /// One of `n` classes, each code below it.
    Classes {
        /// Class of each row.
        codes: &'a [u32],
        /// How many classes there are.
        n: usize,
    },
    /// A number, never missing, of at most 1e150 in size.
    Numbers(&'a [f64]),
}

/// How a [`Boost`] is fitted. The defaults are those of LightGBM and scikit-learn, with an L2 penalty of 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoostSettings {
    /// Rounds at most.
    pub rounds: usize,
    /// Share of the way that each tree goes, in (0, 1].
    pub learning_rate: f64,
    /// Leaves of a tree at most.
    pub leaves: usize,
    /// Rows of a leaf at least.
    pub least_rows: usize,
    /// Penalty on squared leaf values.
    pub l2: f64,
    /// Rounds without progress on the held-out tenth before it stops, and goes back to the best round from here on.
    pub patience: usize,
    /// Chooses the held-out tenth.
    pub seed: u64,
}

impl Default for BoostSettings {
    fn default() -> Self {
        Self { rounds: 200, learning_rate: 0.1, leaves: 31, least_rows: 20, l2: 1.0, patience: 10, seed: 0 }
    }
}

/// Gradient-boosted trees (Friedman, "Greedy Function Approximation: A Gradient Boosting Machine", Annals of Statistics 2001) on histograms of at most 256 bins, grown leaf by leaf (Ke
/// et al., "LightGBM", NeurIPS 2017): logistic loss for two classes, softmax for more, squared error for numbers. The same rows, settings and seed give the same model with any number of
/// threads.
#[derive(Debug, Clone, PartialEq)]
pub struct Boost {
    bins: Bins,
    model: Model,
}

impl Boost {
    /// Fitted to the rows of a table (the answer is not one of its columns).
    ///
    /// # Errors
    /// [`Error::Data`] if there is no row or no column, or not one answer for each row, or a code without class or a number that is missing or beyond 1e150.
    pub fn fit(table: &Table, answer: &Answer, settings: &BoostSettings) -> Result<Self> {
        let n = n_rows(table);
        let (n_answers, is_wrong) = match answer {
            Answer::Classes { codes, n } => (codes.len(), codes.iter().any(|code| *code as usize >= *n)),
            Answer::Numbers(numbers) => (numbers.len(), !numbers.iter().all(|v| v.abs() <= LARGEST)),
        };
        if n == 0 || n_answers != n || is_wrong {
            let problem = format!("{n} rows with {n_answers} answers cannot be learned from");
            return Err(Error::data("training rows", problem, "give one answer for each row, none missing and none beyond 1e150"));
        }
        let bins = Bins::fit(table);
        let rows: Vec<u32> = (0..n as u32).collect();
        let model = Model::fit(&bins.apply(table), &rows, answer, settings);
        Ok(Self { bins, model })
    }

    /// For each row the probability of each class, or the number. The table has the columns that were learned from, in their order and with their words (see [`super::aligned`]).
    ///
    /// # Panics
    /// If it has fewer columns, or numbers where words were learned from.
    pub fn predict(&self, table: &Table) -> Vec<Vec<f64>> {
        let rows: Vec<u32> = (0..n_rows(table) as u32).collect();
        self.model.predict(&self.bins.apply(table), &rows)
    }
}

#[cfg(test)]
mod tests {
    use super::super::align::chosen;
    use super::super::align::tests::{categories, numbers};
    use super::*;
    use crate::random::{stream, uniform};

    /// Rows of two numbers (one of them sometimes missing) and a word; what is drawn for each row comes with them.
    fn rows(n: usize) -> (Table, Vec<[f64; 3]>) {
        let u = uniform(n * 3, &mut stream(1, "boost-test", 0));
        let drawn: Vec<[f64; 3]> = u.chunks(3).map(|u| [u[0], u[1], u[2]].map(f64::from)).collect();
        let words: Vec<String> = drawn.iter().map(|d| format!("w{}", (d[2] * 12.0) as usize)).collect();
        let table = Table {
            columns: vec![
                numbers("x", drawn.iter().map(|d| if d[0] < 0.2 { f64::NAN } else { d[0] }).collect()),
                numbers("y", drawn.iter().map(|d| d[1] * 1e9).collect()),
                categories("w", &words.iter().map(String::as_str).collect::<Vec<_>>()),
            ],
        };
        (table, drawn)
    }

    fn share_right(found: &[Vec<f64>], codes: &[u32]) -> f64 {
        let most = |p: &Vec<f64>| (0..p.len()).max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap() as u32;
        found.iter().zip(codes).filter(|(p, code)| most(p) == **code).count() as f64 / codes.len() as f64
    }

    #[test]
    fn missing_numbers_unordered_words_and_products_of_columns_are_learned() {
        let (table, drawn) = rows(6000);
        // A word's number modulo 3 has no order that a threshold could use.
        let class = |d: &[f64; 3]| u32::from((d[0] < 0.2) ^ (d[1] > 0.5) ^ (((d[2] * 12.0) as usize).is_multiple_of(3)));
        let codes: Vec<u32> = drawn.iter().map(class).collect();
        let train: Vec<usize> = (0..4000).collect();
        let test: Vec<usize> = (4000..6000).collect();
        let answer = Answer::Classes { codes: &codes[..4000], n: 2 };
        let boost = Boost::fit(&chosen(&table, &train), &answer, &BoostSettings::default()).unwrap();
        let right = share_right(&boost.predict(&chosen(&table, &test)), &codes[4000..]);
        assert!(right > 0.98, "{right}");
    }

    #[test]
    fn several_classes_have_probabilities_that_add_up_to_one() {
        let (table, drawn) = rows(3000);
        let codes: Vec<u32> = drawn.iter().map(|d| (d[1] * 4.0) as u32).collect();
        let boost = Boost::fit(&table, &Answer::Classes { codes: &codes, n: 5 }, &BoostSettings::default()).unwrap();
        let found = boost.predict(&table);
        assert!(found.iter().all(|p| p.len() == 5 && (p.iter().sum::<f64>() - 1.0).abs() < 1e-9));
        assert!(share_right(&found, &codes) > 0.98);
    }

    #[test]
    fn numbers_far_from_zero_are_foretold() {
        let (table, drawn) = rows(3000);
        let times: Vec<f64> = drawn.iter().map(|d| 1.7e9 + 1000.0 * d[1]).collect();
        let boost = Boost::fit(&table, &Answer::Numbers(&times), &BoostSettings::default()).unwrap();
        let error = boost.predict(&table).iter().zip(&times).map(|(found, t)| (found[0] - t).abs()).sum::<f64>() / 3000.0;
        assert!(error < 10.0, "{error}");
    }

    #[test]
    fn few_rows_one_class_and_constant_answers_do_no_harm() {
        let (table, _) = rows(30);
        let classes = Boost::fit(&table, &Answer::Classes { codes: &[0; 30], n: 2 }, &BoostSettings::default()).unwrap();
        assert!(classes.predict(&table).iter().all(|p| p[0] > 0.99));
        let numbers = Boost::fit(&table, &Answer::Numbers(&[7.0; 30]), &BoostSettings::default()).unwrap();
        assert!(numbers.predict(&table).iter().all(|v| (v[0] - 7.0).abs() < 1e-9));
        assert!(Boost::fit(&table, &Answer::Numbers(&[7.0; 29]), &BoostSettings::default()).is_err());
        assert!(Boost::fit(&table, &Answer::Classes { codes: &[2; 30], n: 2 }, &BoostSettings::default()).is_err());
    }

    #[test]
    fn any_number_of_threads_gives_the_same_model() {
        let (table, drawn) = rows(40_000);
        let codes: Vec<u32> = drawn.iter().map(|d| u32::from(d[1] + d[2] > 1.0)).collect();
        let settings = BoostSettings { rounds: 3, ..BoostSettings::default() };
        let fit = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Boost::fit(&table, &Answer::Classes { codes: &codes, n: 2 }, &settings).unwrap())
        };
        assert!(fit(1) == fit(3));
    }
}
