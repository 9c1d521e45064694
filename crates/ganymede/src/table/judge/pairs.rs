//! How alike two tables are in how their columns go together.

use std::collections::HashMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::shapes::share;
use crate::table::frame::{MISSING, Table, Values};

/// A pair of numbers counts if their real correlation is beyond this, in size (`DEFAULT_REAL_CORRELATION_THRESHOLD` of SDMetrics 0.32).
pub const CORRELATION_THRESHOLD: f64 = 0.5;
/// Another pair counts if its real Cramér's V is beyond this (`DEFAULT_REAL_ASSOCIATION_THRESHOLD` of SDMetrics 0.32).
pub const ASSOCIATION_THRESHOLD: f64 = 0.3;
/// Columns that are paired at most.
pub const MOST_PAIRED: usize = 500;
/// Bins of equal width that numbers are cut into when they are paired with words.
const BINS: usize = 10;
/// Cells of a contingency table that is kept whole; larger ones are kept by their filled cells.
const DENSE_CELLS: usize = 1 << 16;

/// Two columns, real and synthetic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trend {
    /// Name of one column.
    pub first: String,
    /// Name of the other.
    pub second: String,
    /// CorrelationSimilarity or ContingencySimilarity, in [0, 1]; nothing where the pair does not count.
    pub score: Option<f64>,
    /// Pearson's correlation of two numbers, Cramér's V of other pairs, of the real rows. Nothing where it is not defined: a constant column, no row with both values.
    pub real: Option<f64>,
    /// Whether the real columns go together closely enough to count. A pair that counts and has no score has no correlation in the synthetic table: one of its columns never changes.
    pub counts: bool,
}

/// Every pair of columns of tables with the same columns and words (see [`super::aligned`]), by the definitions of SDMetrics 0.32, single-table quality report:
///
/// * two numbers: `1 - |rho - rho'| / 2` with Pearson's correlation of the rows that have both, if `|rho| > 0.5`. A column that is constant in either table has no correlation: the pair
///   does not count, however wrong the synthetic column is.
/// * otherwise: `1 - 1/2 sum |P_ij - Q_ij|` over the contingency tables, if Cramér's V of the real one is beyond 0.3. A missing word is a word of its own. Numbers are cut in ten bins of
///   equal width between the smallest and the largest number *of their own table*; the largest number has a bin of its own, which missing numbers share.
///
/// SDMetrics draws 50,000 rows at random from larger tables for the second kind; here all rows count. Of more than [`MOST_PAIRED`] columns the first ones are paired.
pub(super) fn trends(real: &Table, synthetic: &Table) -> Vec<Trend> {
    let n = real.columns.len();
    trends_of(real, synthetic, (0..n.min(MOST_PAIRED)).flat_map(|i| (i + 1..n).map(move |j| (i, j))).collect())
}

/// The same of some pairs of columns, by their positions; of the first [`MOST_PAIRED`] columns alone.
pub(super) fn trends_of(real: &Table, synthetic: &Table, pairs: Vec<(usize, usize)>) -> Vec<Trend> {
    let (real_codes, synthetic_codes) = (discrete(real), discrete(synthetic));
    pairs
        .into_par_iter()
        .filter(|(i, j)| i.max(j) < &MOST_PAIRED)
        .map(|(i, j)| {
            let both = numbers(real, i).zip(numbers(real, j)).zip(numbers(synthetic, i).zip(numbers(synthetic, j)));
            let ((score, real_value), threshold) = match both {
                Some(((x, y), (u, v))) => (correlation_similarity([x, y], [u, v]), CORRELATION_THRESHOLD),
                None => {
                    let found = contingency_similarity([&real_codes[i], &real_codes[j]], [&synthetic_codes[i], &synthetic_codes[j]]);
                    (found, ASSOCIATION_THRESHOLD)
                }
            };
            let counts = real_value.is_some_and(|value| value.abs() > threshold);
            Trend { first: real.columns[i].name.clone(), second: real.columns[j].name.clone(), score, real: real_value, counts }
        })
        .collect()
}

/// The column at that position, if it holds numbers.
fn numbers(table: &Table, col_idx: usize) -> Option<&[f64]> {
    match &table.columns[col_idx].values {
        Values::Numbers(numbers) => Some(numbers),
        Values::Categories { .. } => None,
    }
}

/// The score, and the real correlation.
fn correlation_similarity(real: [&[f64]; 2], synthetic: [&[f64]; 2]) -> (Option<f64>, Option<f64>) {
    let Some(rho) = (!real.iter().any(|column| is_constant(column))).then(|| pearson(real)).flatten() else { return (None, None) };
    if rho.abs() <= CORRELATION_THRESHOLD || synthetic.iter().any(|column| is_constant(column)) {
        return (None, Some(rho));
    }
    (pearson(synthetic).map(|own| 1.0 - (rho - own).abs() / 2.0), Some(rho))
}

fn is_constant(column: &[f64]) -> bool {
    let mut known = column.iter().filter(|v| !v.is_nan());
    known.next().is_none_or(|first| known.all(|v| v == first))
}

/// Pearson's correlation of the rows that have both numbers; nothing if one of them does not change.
fn pearson([x, y]: [&[f64]; 2]) -> Option<f64> {
    let rows: Vec<(f64, f64)> = x.iter().copied().zip(y.iter().copied()).filter(|(x, y)| !x.is_nan() && !y.is_nan()).collect();
    let n = rows.len() as f64;
    let (mx, my) = (rows.iter().map(|r| r.0).sum::<f64>() / n, rows.iter().map(|r| r.1).sum::<f64>() / n);
    let [xx, yy, xy] = rows.iter().fold([0.0; 3], |[xx, yy, xy], (x, y)| {
        let (x, y) = (x - mx, y - my);
        [xx + x * x, yy + y * y, xy + x * y]
    });
    let is_flat = |of: fn(&(f64, f64)) -> f64| rows.windows(2).all(|w| of(&w[0]) == of(&w[1]));
    let rho = xy / (xx.sqrt() * yy.sqrt());
    (rows.len() >= 2 && !is_flat(|r| r.0) && !is_flat(|r| r.1) && rho.is_finite()).then(|| rho.clamp(-1.0, 1.0))
}

/// The score, and Cramér's V of the real rows.
fn contingency_similarity(real: [&Codes; 2], synthetic: [&Codes; 2]) -> (Option<f64>, Option<f64>) {
    let width = real[1].n.max(synthetic[1].n);
    let height = real[0].n.max(synthetic[0].n);
    let of_real = Contingency::count(real, (height, width));
    let Some(v) = of_real.cramer() else { return (None, None) };
    if v <= ASSOCIATION_THRESHOLD {
        return (None, Some(v));
    }
    let of_synthetic = Contingency::count(synthetic, (height, width));
    (Some(1.0 - of_real.difference(&of_synthetic) / 2.0), Some(v))
}

/// A column as whole numbers below `n`.
struct Codes {
    of: Vec<u32>,
    n: usize,
}

/// Words by their code and missing ones after the last; numbers by their bin.
fn discrete(table: &Table) -> Vec<Codes> {
    let column = |values: &Values| match values {
        Values::Categories { codes, words } => {
            let n = words.len() as u32;
            Codes { of: codes.iter().map(|code| if *code == MISSING { n } else { *code }).collect(), n: words.len() + 1 }
        }
        Values::Numbers(numbers) => {
            let edges = edges(numbers);
            let bin = |v: &f64| if v.is_nan() { edges.len() as u32 } else { edges.partition_point(|edge| edge <= v) as u32 };
            Codes { of: numbers.iter().map(bin).collect(), n: edges.len() + 1 }
        }
    };
    table.columns.par_iter().take(MOST_PAIRED).map(|c| column(&c.values)).collect()
}

/// Eleven edges of ten bins of equal width, computed as numpy's `histogram_bin_edges` does: a number on an edge must not change sides.
fn edges(numbers: &[f64]) -> Vec<f64> {
    let known = numbers.iter().copied().filter(|v| !v.is_nan());
    let (mut low, mut high) = known.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        (low, high) = (0.0, 1.0);
    } else if low == high {
        (low, high) = (low - 0.5, high + 0.5);
    }
    let range = high - low;
    let step = if range.is_finite() { range / BINS as f64 } else { high / BINS as f64 - low / BINS as f64 };
    (0..=BINS).map(|i| if i == BINS { high } else { i as f64 * step + low }).collect()
}

/// How often each pair of codes occurs.
struct Contingency {
    /// Filled cells in rising order, and their counts.
    cells: Vec<(u64, usize)>,
    width: usize,
    n_rows: usize,
}

impl Contingency {
    fn count([a, b]: [&Codes; 2], (height, width): (usize, usize)) -> Self {
        let keys = a.of.iter().zip(&b.of).map(|(i, j)| u64::from(*i) * width as u64 + u64::from(*j));
        let mut cells: Vec<(u64, usize)> = if height.saturating_mul(width) <= DENSE_CELLS {
            let mut counts = vec![0usize; height * width];
            keys.for_each(|key| counts[key as usize] += 1);
            counts.into_iter().enumerate().filter(|(_, count)| *count > 0).map(|(key, count)| (key as u64, count)).collect()
        } else {
            let mut counts: HashMap<u64, usize> = HashMap::new();
            keys.for_each(|key| *counts.entry(key).or_default() += 1);
            counts.into_iter().collect()
        };
        cells.sort_unstable_by_key(|cell| cell.0);
        Self { cells, width, n_rows: a.of.len() }
    }

    /// Cramér's V without correction: `sqrt(chi^2 / n / (min(rows, columns) - 1))` over the rows and columns that occur. Nothing if either kind is constant.
    fn cramer(&self) -> Option<f64> {
        let (mut rows, mut columns) = (HashMap::new(), HashMap::new());
        let place = |key: u64| (key / self.width as u64, key % self.width as u64);
        for (key, count) in &self.cells {
            let (i, j) = place(*key);
            *rows.entry(i).or_insert(0usize) += count;
            *columns.entry(j).or_insert(0usize) += count;
        }
        let least = rows.len().min(columns.len());
        if least < 2 {
            return None;
        }
        let term = |(key, count): &(u64, usize)| {
            let (i, j) = place(*key);
            (*count as f64).powi(2) / (rows[&i] as f64 * columns[&j] as f64)
        };
        let phi2 = self.cells.iter().map(term).sum::<f64>() - 1.0;
        Some((phi2.max(0.0) / (least - 1) as f64).sqrt())
    }

    /// Sum of the differences of frequencies, in [0, 2].
    fn difference(&self, other: &Self) -> f64 {
        let (mut i, mut j, mut sum) = (0, 0, 0.0);
        while i < self.cells.len() || j < other.cells.len() {
            let key = |cells: &[(u64, usize)], at: usize| cells.get(at).map_or(u64::MAX, |cell| cell.0);
            let (own, their) = (key(&self.cells, i), key(&other.cells, j));
            let mut frequencies = [0.0; 2];
            if own <= their {
                frequencies[0] = share(self.cells[i].1, self.n_rows);
                i += 1;
            }
            if their <= own {
                frequencies[1] = share(other.cells[j].1, other.n_rows);
                j += 1;
            }
            sum += f64::abs(frequencies[0] - frequencies[1]);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlations_of_straight_lines() {
        let (x, y, z) = ([1.0, 2.0, 3.0, f64::NAN], [2.0, 4.0, 6.0, 1.0], [3.0, 2.0, 1.0, 0.0]);
        let near = |a: Option<f64>, b: f64| (a.unwrap() - b).abs() < 1e-12;
        assert!(near(pearson([&x, &y]), 1.0) && near(pearson([&x, &z]), -1.0));
        assert!(near(correlation_similarity([&x, &y], [&x, &y]).0, 1.0));
        assert!(near(correlation_similarity([&x, &y], [&x, &z]).0, 0.0));
        assert_eq!(correlation_similarity([&x, &y], [&x, &[5.0; 4]]).0, None);
        assert_eq!(correlation_similarity([&x, &[5.0; 4]], [&x, &y]), (None, None));
    }

    #[test]
    fn words_that_determine_each_other_are_associated_and_large_tables_count_the_same() {
        let codes = |of: &[u32], n: usize| Codes { of: of.to_vec(), n };
        let (a, b, c) = (codes(&[0, 0, 1, 1], 2), codes(&[1, 1, 0, 0], 2), codes(&[0, 1, 0, 1], 2));
        assert_eq!(contingency_similarity([&a, &b], [&a, &b]), (Some(1.0), Some(1.0)));
        assert_eq!(contingency_similarity([&a, &b], [&a, &c]), (Some(0.5), Some(1.0)));
        assert_eq!(contingency_similarity([&a, &c], [&a, &c]), (None, Some(0.0)));
        assert_eq!(contingency_similarity([&a, &codes(&[0; 4], 1)], [&a, &c]), (None, None));
        let wide = |codes: &Codes| Codes { of: codes.of.clone(), n: 1000 };
        assert_eq!(contingency_similarity([&wide(&a), &wide(&b)], [&wide(&a), &wide(&c)]), (Some(0.5), Some(1.0)));
    }

    #[test]
    fn the_largest_number_has_a_bin_of_its_own_which_missing_ones_share() {
        let table = Table { columns: vec![super::super::align::tests::numbers("n", vec![0.0, 0.5, 1.0, 9.99, 10.0, f64::NAN])] };
        assert_eq!(discrete(&table)[0].of, [1, 1, 2, 10, 11, 11]);
    }
}
