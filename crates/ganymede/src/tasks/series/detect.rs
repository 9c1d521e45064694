//! Whether a table looks like series: a column whose values each stand in several rows below each other.

use std::collections::HashSet;

use super::FEWEST;
use super::columns::keys;
use super::config::DataConfig;
use crate::data::{PointTable, TableSource};
use crate::table::{Kind, Values};

/// Rows of a series on average at least.
const MEAN: usize = 3;

/// A column that seems to hold entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub entity: String,
    /// How many entities.
    pub n: usize,
}

/// The first column of a table that does.
pub fn in_table(source: &TableSource) -> Option<Found> {
    let is_key = |name: &str| {
        let kind = source.schema.column(name).map(|column| column.kind);
        matches!(kind, Some(Kind::Integer | Kind::Category | Kind::Identifier))
    };
    let columns = source.table.columns.iter().filter(|column| is_key(&column.name));
    columns.filter(|c| (0..c.values.len()).all(|row| !c.values.is_missing(row))).find_map(|c| {
        let n = runs(keys(&c.values))?;
        Some(Found { entity: c.name.clone(), n })
    })
}

/// The first column of a table that was put together from files, which says which one a row is of.
pub fn in_files(source: &TableSource) -> Option<Found> {
    let first = source.table.columns.first()?;
    Some(Found { entity: first.name.clone(), n: keys(&first.values).collect::<HashSet<u64>>().len() })
}

/// The same of a table of few columns of numbers.
pub fn in_points(points: &PointTable) -> Option<Found> {
    let column = |at: usize| points.values.iter().skip(at).step_by(points.dim()).map(|v| f64::from(*v)).collect::<Vec<f64>>();
    (0..points.dim()).find_map(|at| {
        let values = column(at);
        let is_whole = values.iter().all(|v| v.fract() == 0.0);
        let n = is_whole.then(|| runs(keys(&Values::Numbers(values)))).flatten()?;
        Some(Found { entity: points.columns[at].clone(), n })
    })
}

/// How many different keys there are, if each stands in one run of rows, there are enough, and runs are neither too short nor too long.
fn runs(keys: impl Iterator<Item = u64>) -> Option<usize> {
    let (mut seen, mut last, mut n_rows, mut longest, mut own) = (HashSet::new(), None, 0, 0, 0);
    for key in keys {
        n_rows += 1;
        own = if last == Some(key) { own + 1 } else { 1 };
        longest = longest.max(own);
        if last != Some(key) && !seen.insert(key) {
            return None;
        }
        last = Some(key);
    }
    let is_some = seen.len() >= FEWEST && n_rows >= MEAN * seen.len() && longest <= DataConfig::LONGEST;
    is_some.then_some(seen.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_keys_are_series_and_keys_that_come_back_are_not() {
        let of = |key: fn(u64) -> u64, n: u64| runs((0..n).map(key));
        assert_eq!(of(|i| i / 4, 100), Some(25));
        assert_eq!((of(|i| i % 25, 100), of(|i| i, 100), of(|i| i / 4, 40), of(|i| i / 2000, 100_000)), (None, None, None, None));
    }
}
