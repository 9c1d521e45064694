//! How alike tables that refer to each other are to real ones: how many rows belong to each, and how columns of both go together.

use std::collections::HashMap;

use super::align::aligned;
use super::pairs::{Trend, trends_of};
use super::shapes::ks_complement;
use crate::error::Result;
use crate::table::frame::{Column, Table};

/// Total variation distance of two distributions of whole numbers, in [0, 1]: half the sum of the differences of frequencies. Nothing where a side has none.
pub fn count_distance(real: &[usize], synthetic: &[usize]) -> Option<f64> {
    if real.is_empty() || synthetic.is_empty() {
        return None;
    }
    let mut shares: HashMap<usize, f64> = HashMap::new();
    real.iter().for_each(|n| *shares.entry(*n).or_default() += 1.0 / real.len() as f64);
    synthetic.iter().for_each(|n| *shares.entry(*n).or_default() -= 1.0 / synthetic.len() as f64);
    let mut differences: Vec<f64> = shares.into_values().map(f64::abs).collect();
    // In one order, so that the sum is always the same.
    differences.sort_by(f64::total_cmp);
    Some(differences.iter().sum::<f64>() / 2.0)
}

/// CardinalityShapeSimilarity of SDMetrics 0.32: [`ks_complement`] of how many rows refer to each row, in [0, 1]. Rows that none refers to count with zero.
pub fn cardinality_similarity(real: &[usize], synthetic: &[usize]) -> Option<f64> {
    let numbers = |counts: &[usize]| counts.iter().map(|n| *n as f64).collect::<Vec<f64>>();
    ks_complement(&numbers(real), &numbers(synthetic))
}

/// Intertable Trends of SDMetrics 0.32's quality report: every pair of a column of one table and a column of another, on rows that belong together. Each side is given as tables with as many rows: row
/// `i` of the second belongs to row `i` of the first. Columns are called `first.NAME` and `second.NAME`.
///
/// # Errors
/// As [`aligned`].
pub fn trends_between(real: [&Table; 2], synthetic: [&Table; 2]) -> Result<Vec<Trend>> {
    let joined = |[first, second]: [&Table; 2]| {
        let named = |table: &Table, name: &str| {
            let column = |column: &Column| Column { name: format!("{name}.{}", column.name), values: column.values.clone() };
            table.columns.iter().map(column).collect::<Vec<_>>()
        };
        Table { columns: [named(first, "first"), named(second, "second")].concat() }
    };
    let tables = aligned(&[("real rows", &joined(real)), ("synthetic rows", &joined(synthetic))], &[])?;
    let (n_first, n) = (real[0].columns.len(), real[0].columns.len() + real[1].columns.len());
    let pairs = (0..n_first).flat_map(|i| (n_first..n).map(move |j| (i, j))).collect();
    Ok(trends_of(&tables[0], &tables[1], pairs))
}

#[cfg(test)]
mod tests {
    use super::super::align::tests::{categories, numbers};
    use super::*;

    #[test]
    fn counts_are_compared_as_distributions() {
        assert_eq!(count_distance(&[0, 1, 1, 2], &[2, 1, 0, 1]), Some(0.0));
        assert_eq!(count_distance(&[0, 0], &[1, 5, 7]), Some(1.0));
        assert!((count_distance(&[0, 1], &[0, 0, 0, 1]).unwrap() - 0.25).abs() < 1e-12);
        assert_eq!(count_distance(&[], &[1]), None);
        // Of [0, 1, 1, 2] and [0, 0, 3, 3]: sdmetrics.utils and scipy's ks_2samp say 0.5.
        assert_eq!(cardinality_similarity(&[0, 1, 1, 2], &[0, 0, 3, 3]), Some(0.5));
        assert_eq!(cardinality_similarity(&[3; 4], &[3; 9]), Some(1.0));
    }

    #[test]
    fn columns_of_both_tables_are_paired_and_no_others() {
        let line: Vec<f64> = (0..200).map(f64::from).collect();
        let back: Vec<f64> = line.iter().map(|v| -v).collect();
        let words: Vec<&str> = (0..200).map(|i| if i < 100 { "low" } else { "high" }).collect();
        let first = Table { columns: vec![numbers("x", line.clone()), categories("half", &words)] };
        let [up, down] = [line, back].map(|values| Table { columns: vec![numbers("x", values)] });
        let found = trends_between([&first, &up], [&first, &down]).unwrap();
        assert_eq!(
            found.iter().map(|t| (t.first.as_str(), t.second.as_str())).collect::<Vec<_>>(),
            [("first.x", "second.x"), ("first.half", "second.x")]
        );
        assert!(found[0].score.unwrap() < 1e-9 && found[0].counts);
        let same = trends_between([&first, &up], [&first, &up]).unwrap();
        assert!(same.iter().all(|trend| trend.score.unwrap() > 1.0 - 1e-9));
    }
}
