//! Columns of numbers and moments: repeated values as categories, the others as a score.

use serde::{Deserialize, Serialize};

use super::super::draw::Draws;
use super::grid::Grid;
use crate::error::Result;

/// Most values that are categories of their own.
const MAX_ATOMS: usize = 40;

/// Which numbers are categories of their own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Atoms {
    /// So many values at most; all of them, if there are no others.
    most: usize,
    /// Share of the rows that makes a value one, where there are others.
    share: f64,
}

impl Atoms {
    /// Of rows that stand by themselves.
    pub(super) const ROWS: Self = Self { most: MAX_ATOMS, share: 0.02 };
    /// Of rows that go on from each other: a curve that passes through a value often is still a curve.
    pub(super) const STEPS: Self = Self { most: 12, share: 0.1 };
}

/// Softmax codes are: the atoms in rising order, then "other" if there is a grid, then "missing" if cells were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Numeric {
    /// Values that are categories, rising.
    pub atoms: Vec<f64>,
    /// The other values.
    pub grid: Option<Grid>,
    /// Cells were missing.
    pub has_missing: bool,
    /// Range of the schema, where it gives one.
    pub range: [Option<f64>; 2],
}

impl Numeric {
    /// Of all cells of a column; values outside of `range` are not counted. Nothing is kept that fewer than `k` rows hold.
    pub(super) fn fit(values: &[f64], range: [f64; 2], (k, atoms): (usize, Atoms), decimals: Option<u8>) -> Result<Self> {
        let has_missing = values.iter().any(|v| v.is_nan());
        // Adding zero turns -0 into 0.
        let mut present: Vec<f64> = values.iter().copied().filter(|v| *v >= range[0] && *v <= range[1]).map(|v| v + 0.0).collect();
        present.sort_unstable_by(f64::total_cmp);
        let runs: Vec<(f64, usize)> = present.chunk_by(|a, b| a == b).map(|c| (c[0], c.len())).collect();
        let atoms = chosen(&runs, values.len(), k, atoms);
        let is_atom = |value: &f64| atoms.binary_search_by(|a| a.total_cmp(value)).is_ok();
        let rest: Vec<(f64, usize)> = runs.iter().map(|(v, n)| (*v, if is_atom(v) { 0 } else { *n })).collect();
        let n_rest: usize = rest.iter().map(|r| r.1).sum();
        let finite = |v: f64| v.is_finite().then_some(v);
        let mut code = Self { atoms, grid: None, has_missing, range: range.map(finite) };
        if n_rest >= 2 * k {
            code.grid = Some(Grid::fit(&rest, k, decimals));
        } else if code.atoms.is_empty() && n_rest >= k {
            // Too few for bins: their mean.
            let mean = rest.iter().map(|(v, n)| v * *n as f64).sum::<f64>() / n_rest as f64;
            let scale = decimals.map_or(1.0, |d| 10f64.powi(i32::from(d)));
            code.atoms.push(if decimals.is_some() { (mean * scale).round() / scale } else { mean });
        }
        Ok(code)
    }

    /// Number of softmax codes.
    pub(super) fn width(&self) -> usize {
        self.atoms.len() + usize::from(self.grid.is_some()) + usize::from(self.has_missing)
    }

    /// Code of values that have a score.
    pub(super) fn other(&self) -> Option<u32> {
        self.grid.as_ref().map(|_| self.atoms.len() as u32)
    }

    /// Code of missing cells.
    pub(super) fn missing(&self) -> Option<u32> {
        self.has_missing.then(|| self.width() as u32 - 1)
    }

    /// Code and score of a cell. A missing cell of a column where none was missing gets a code that exists.
    pub(super) fn encode(&self, value: f64, row: u64, draws: &Draws) -> (u32, f32) {
        if value.is_nan() {
            return (self.missing().unwrap_or(0), 0.0);
        }
        let value = value.clamp(self.range[0].unwrap_or(f64::NEG_INFINITY), self.range[1].unwrap_or(f64::INFINITY)) + 0.0;
        let place = self.atoms.binary_search_by(|a| a.total_cmp(&value));
        match (place, &self.grid) {
            (Ok(code), _) => (code as u32, 0.0),
            (Err(_), Some(grid)) => (self.atoms.len() as u32, grid.score(value, draws.uniform(row))),
            (Err(after), None) => (self.nearest_atom(value, after), 0.0),
        }
    }

    /// The number of a code and a score; `NaN` where missing.
    pub(super) fn decode(&self, code: u32, score: f32) -> f64 {
        match (self.atoms.get(code as usize), &self.grid) {
            (Some(atom), _) => *atom,
            (None, Some(grid)) if Some(code) == self.other() => {
                grid.value(score).clamp(self.range[0].unwrap_or(f64::NEG_INFINITY), self.range[1].unwrap_or(f64::INFINITY))
            }
            _ => f64::NAN,
        }
    }

    /// Whether the parts fit together: for codes that come from a file.
    pub(super) fn is_sound(&self) -> bool {
        self.atoms.len() <= MAX_ATOMS
            && self.atoms.iter().all(|a| a.is_finite())
            && self.atoms.windows(2).all(|w| w[0] < w[1])
            && self.grid.as_ref().is_none_or(Grid::is_sound)
            && self.range.iter().flatten().all(|r| r.is_finite())
            && !matches!(self.range, [Some(low), Some(high)] if low > high)
    }

    fn nearest_atom(&self, value: f64, after: usize) -> u32 {
        let below = after.checked_sub(1).and_then(|i| self.atoms.get(i).map(|a| (value - a, i)));
        let above = self.atoms.get(after).map(|a| (a - value, after));
        match (below, above) {
            (Some(below), Some(above)) => (if below.0 <= above.0 { below.1 } else { above.1 }) as u32,
            (Some(only), None) | (None, Some(only)) => only.1 as u32,
            (None, None) => self.missing().unwrap_or(0),
        }
    }
}

/// Values that are categories: all that `k` rows hold if that leaves next to nothing and they are few, otherwise those with a share of the rows.
fn chosen(runs: &[(f64, usize)], n_rows: usize, k: usize, Atoms { most, share }: Atoms) -> Vec<f64> {
    let n_present: usize = runs.iter().map(|r| r.1).sum();
    let held: Vec<(f64, usize)> = runs.iter().filter(|r| r.1 >= k).copied().collect();
    let n_held: usize = held.iter().map(|r| r.1).sum();
    if held.len() <= most && n_present - n_held < 2 * k {
        return held.into_iter().map(|r| r.0).collect();
    }
    let least = k.max((share * n_rows as f64).ceil() as usize);
    let mut frequent: Vec<(f64, usize)> = held.into_iter().filter(|r| r.1 >= least).collect();
    frequent.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.total_cmp(&b.0)));
    frequent.truncate(most);
    let mut atoms: Vec<f64> = frequent.into_iter().map(|r| r.0).collect();
    atoms.sort_by(f64::total_cmp);
    atoms
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];

    fn fit(values: &[f64]) -> Numeric {
        Numeric::fit(values, ALL, (10, Atoms::ROWS), Some(0)).unwrap()
    }

    #[test]
    fn few_values_are_all_atoms_and_need_no_score() {
        let code = fit(&(0..2000).map(|i| f64::from(i % 16)).chain([99.0, 98.0]).collect::<Vec<_>>());
        assert_eq!((code.atoms.len(), &code.grid, code.width()), (16, &None, 16));
        let draws = Draws::new(0, "encode", 0);
        assert_eq!(code.encode(99.0, 0, &draws).0, 15);
        assert_eq!(code.decode(3, 0.0), 3.0);
    }

    #[test]
    fn a_spike_is_an_atom_and_the_rest_has_scores() {
        let mut values = vec![0.0; 900];
        values.extend((0..100).map(|i| f64::from(1000 + 7 * i)));
        values.push(f64::NAN);
        let code = fit(&values);
        assert_eq!((code.atoms.as_slice(), code.width(), code.other(), code.missing()), (&[0.0][..], 3, Some(1), Some(2)));
        let draws = Draws::new(0, "encode", 0);
        assert_eq!(code.encode(f64::NAN, 0, &draws), (2, 0.0));
        let (other, score) = code.encode(1350.0, 0, &draws);
        assert_eq!(other, 1);
        assert!((code.decode(other, score) - 1350.0).abs() <= 70.0);
        assert!(code.decode(2, 0.0).is_nan());
    }

    #[test]
    fn a_curve_through_a_frequent_value_stays_a_curve() {
        let values: Vec<f64> = (0..3000).map(|i| f64::from(i % 100) / 10.0).chain([5.0; 200]).collect();
        let fit = |atoms| Numeric::fit(&values, ALL, (10, atoms), Some(1)).unwrap();
        assert_eq!((fit(Atoms::ROWS).atoms, fit(Atoms::STEPS).atoms), (vec![5.0], vec![]));
    }

    #[test]
    fn a_range_keeps_values_inside() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i % 500)).collect();
        let code = Numeric::fit(&values, [100.0, 200.0], (10, Atoms::ROWS), Some(0)).unwrap();
        for score in [-9.0, -1.0, 0.0, 2.0, 9.0] {
            assert!((100.0..=200.0).contains(&code.decode(code.other().unwrap(), score)));
        }
    }

    #[test]
    fn a_handful_of_values_leaves_their_mean_or_nothing() {
        let mut values = vec![f64::NAN; 500];
        values.extend((0..12).map(f64::from));
        assert_eq!(fit(&values).atoms, [6.0]);
        values.truncate(503);
        assert_eq!((fit(&values).atoms.len(), fit(&values).width()), (0, 1));
    }
}
