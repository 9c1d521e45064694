//! Attribute inference: can a value that nobody should know be told from all others of a row?

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::align::n_rows;
use super::distances::{Closest, Space};
use super::privacy::Measured;
use crate::random::DataOrder;
use crate::table::frame::{Column, MISSING, Table, Values};

/// A number counts as told within this share of the distance between the ninth and the first decile of its column.
const TOLERANCE: f64 = 0.05;

/// How well an attacker who knows all of a row but one column tells that column by the synthetic rows: it says what the nearest of them has (Giomi et al., "A Unified Framework for Quantifying Privacy Risk in
/// Synthetic Data", PoPETs 2023, section 5.3). What the synthetic rows teach about people in general helps with rows that were never learned from too; what is beyond that is given away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inference {
    /// The column.
    pub column: String,
    /// Share of the training rows whose value is told rightly.
    pub training: Measured,
    /// The same of held-out rows.
    pub held_out: Measured,
    /// Share of held-out rows that have what is most frequent among the training rows, or their median: what is told rightly without any synthetic row.
    pub trivial: f64,
    /// Of the training rows that could not be told like held-out ones the share that is: `(training - held_out) / (1 - held_out)`, as Giomi et al. define it. 0 or less for no leak.
    pub risk: Measured,
}

/// The attack on a column, on `n_asked` rows of each kind, by at most `n_known` synthetic rows.
pub(super) fn inference([train, held_out, synthetic]: [&Table; 3], column: usize, [n_asked, n_known]: [usize; 2], seed: u64) -> Inference {
    let known = |table: &Table| -> Table {
        let others = table.columns.iter().enumerate().filter(|(i, _)| *i != column);
        Table { columns: others.map(|(_, column)| column.clone()).collect() }
    };
    let [secrets, outsiders, guesses] = [train, held_out, synthetic].map(|table| &table.columns[column]);
    let own = known(train);
    let space = Space::new(&own);
    let at = |table: &Table, n: usize, purpose| DataOrder::new(seed, purpose, n_rows(table)).batch(0, n.min(n_rows(table)));
    let places = at(synthetic, n_known, "inference-synthetic");
    let points = space.points(&known(synthetic), &places);
    let same = Same::of(&secrets.values);
    let told = |table: &Table, column: &Column, purpose| {
        let asked = at(table, n_asked, purpose);
        let nearest = space.points(&known(table), &asked).closest(&points);
        let is_told = |(row, near): &(&usize, Closest)| same.holds((&column.values, **row), (&guesses.values, places[near.at]));
        Measured::of_share(asked.iter().zip(nearest).filter(is_told).count(), asked.len())
    };
    let (training, other) = (told(train, secrets, "inference-training"), told(held_out, outsiders, "inference-held-out"));
    let typical = typical(&secrets.values);
    let n_typical = (0..n_rows(held_out)).filter(|row| same.holds((&outsiders.values, *row), (&secrets.values, typical))).count();
    let left = (1.0 - other.value).max(f64::MIN_POSITIVE);
    let risk = if other.value < 1.0 {
        Measured {
            value: (training.value - other.value) / left,
            error: (training.error.hypot(other.error * (1.0 - training.value) / left)) / left,
        }
    } else {
        Measured { value: 0.0, error: 0.0 }
    };
    let trivial = n_typical as f64 / n_rows(held_out).max(1) as f64;
    Inference { column: secrets.name.clone(), training, held_out: other, trivial, risk }
}

impl Inference {
    /// Share of the training rows that is told beyond that of others, with its error.
    pub(super) fn excess(&self) -> Measured {
        Measured { value: self.training.value - self.held_out.value, error: self.training.error.hypot(self.held_out.error) }
    }
}

/// When two values of a column count as the same.
struct Same {
    tolerance: f64,
}

impl Same {
    fn of(values: &Values) -> Self {
        let Values::Numbers(numbers) = values else { return Self { tolerance: 0.0 } };
        let sorted = sorted(numbers);
        let decile = |share: f64| sorted.get((share * sorted.len().saturating_sub(1) as f64).round() as usize).copied().unwrap_or(0.0);
        Self { tolerance: TOLERANCE * (decile(0.9) - decile(0.1)) }
    }

    /// Codes are those of aligned tables.
    fn holds(&self, (a, i): (&Values, usize), (b, j): (&Values, usize)) -> bool {
        match (a, b) {
            (Values::Numbers(a), Values::Numbers(b)) => (a[i].is_nan() && b[j].is_nan()) || (a[i] - b[j]).abs() <= self.tolerance,
            (Values::Categories { codes: a, .. }, Values::Categories { codes: b, .. }) => a[i] == b[j],
            _ => false,
        }
    }
}

fn sorted(numbers: &[f64]) -> Vec<f64> {
    let mut known: Vec<f64> = numbers.iter().copied().filter(|v| !v.is_nan()).collect();
    known.sort_by(f64::total_cmp);
    known
}

/// The row that has the median or the most frequent word.
fn typical(values: &Values) -> usize {
    match values {
        Values::Numbers(numbers) => {
            let sorted = sorted(numbers);
            let median = sorted.get(sorted.len() / 2).copied();
            numbers.iter().position(|v| Some(*v) == median).unwrap_or(0)
        }
        Values::Categories { codes, .. } => {
            let mut counts: HashMap<u32, usize> = HashMap::new();
            codes.iter().filter(|code| **code != MISSING).for_each(|code| *counts.entry(*code).or_default() += 1);
            let most = counts.into_iter().max_by_key(|(code, n)| (*n, std::cmp::Reverse(*code))).map(|(code, _)| code);
            codes.iter().position(|code| Some(*code) == most).unwrap_or(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::align::aligned;
    use super::super::align::tests::{categories, numbers};
    use super::super::independent;
    use super::super::panel::tests::people;
    use super::*;

    fn attacked(tables: [&Table; 3], column: usize) -> Inference {
        let names = ["training rows", "held-out rows", "synthetic rows"];
        let tables = aligned(&names.iter().copied().zip(tables).collect::<Vec<_>>(), &[]).unwrap();
        inference([&tables[0], &tables[1], &tables[2]], column, [700, 5000], 0)
    }

    #[test]
    fn the_nearest_row_is_asked_and_near_numbers_count() {
        let table = |x: &[f64], secret: &[f64], word: &[&str]| Table {
            columns: vec![numbers("x", x.to_vec()), numbers("secret", secret.to_vec()), categories("word", word)],
        };
        // Deciles of 0 to 100: within 4 of it counts.
        let n = 101;
        let (x, words): (Vec<f64>, Vec<&str>) = (0..n).map(|i| (f64::from(i), if i % 4 == 0 { "a" } else { "b" })).unzip();
        let shifted = |by: f64| x.iter().map(|v| v + by).collect::<Vec<f64>>();
        let train = table(&x, &x, &words);
        for (by, told) in [(0.0, 1.0), (3.5, 1.0), (4.5, 0.0)] {
            let found = attacked([&train, &train, &table(&x, &shifted(by), &words)], 1);
            assert_eq!((found.training.value, found.held_out.value), (told, told), "{by}");
            assert!((found.trivial - 9.0 / 101.0).abs() < 1e-12 && found.risk.value.abs() < 1e-12, "{found:?}");
        }
        // Words: the nearest by the numbers; two of four are right, and the most frequent word is "b".
        let found = attacked([&train, &train, &table(&x, &x, &vec!["b"; 101])], 2);
        assert_eq!((found.training.value, found.trivial), (75.0 / 101.0, 75.0 / 101.0));
    }

    #[test]
    fn what_copies_give_away_is_told_from_what_people_have_in_common() {
        let (train, held_out, fresh) = (people(1500, 1), people(1500, 2), people(1500, 3));
        for column in 0..6 {
            let copied = attacked([&train, &held_out, &train], column);
            assert!(copied.training.value > 0.99 && copied.risk.value > 0.5 && copied.risk.value > 5.0 * copied.risk.error, "{copied:?}");
            let learned = attacked([&train, &held_out, &fresh], column);
            assert!(learned.risk.value.abs() < 4.0 * learned.risk.error, "{learned:?}");
        }
        // An owner is told by pay and age, whoever it is, and not by columns that have nothing to do with each other.
        let learned = attacked([&train, &held_out, &fresh], 5);
        let shuffled = attacked([&train, &held_out, &independent(&train, 4)], 5);
        assert!(learned.held_out.value > learned.trivial + 0.1 && shuffled.held_out.value < learned.held_out.value - 0.1);
    }
}
