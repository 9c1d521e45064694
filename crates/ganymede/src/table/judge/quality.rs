//! The quality report: single columns and pairs of columns.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::align::aligned;
use super::pairs::{Trend, trends};
use super::shapes::{Shape, shapes};
use crate::error::Result;
use crate::table::frame::Table;

/// What the single-table quality report of SDMetrics 0.32 says. Its figures are not comparable across versions, and they do not see how more than two columns go together: a table whose
/// columns are shuffled by themselves reaches 0.88 on census data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// Mean of `shapes` and `trends`, in [0, 1]; nothing where neither is known.
    pub overall: Option<f64>,
    /// Column Shapes: mean score of the columns that have one.
    pub shapes: Option<f64>,
    /// Column Pair Trends: mean score of the pairs that count; nothing where no two real columns go together.
    pub trends: Option<f64>,
    /// Each column.
    pub columns: Vec<Shape>,
    /// Each pair of columns.
    pub pairs: Vec<Trend>,
}

impl Quality {
    /// Of each column by its name, what `overall` is of all: mean of its own shape and of the mean of its pairs that count, where there are any. Columns without a shape are left out.
    pub fn by_column(&self) -> HashMap<&str, f64> {
        let mut trends: HashMap<&str, (usize, f64)> = HashMap::new();
        for pair in &self.pairs {
            let Some(score) = pair.score else { continue };
            for name in [&pair.first, &pair.second] {
                let (n, sum) = trends.entry(name).or_default();
                (*n, *sum) = (*n + 1, *sum + score);
            }
        }
        let of_column = |shape: f64, name: &str| mean([shape].into_iter().chain(trends.get(name).map(|(n, sum)| sum / *n as f64)));
        self.columns.iter().filter_map(|c| Some((c.column.as_str(), of_column(c.score?, &c.column)?))).collect()
    }
}

/// Quality of synthetic rows.
///
/// # Errors
/// As [`aligned`].
pub fn quality(real: &Table, synthetic: &Table) -> Result<Quality> {
    let tables = aligned(&[("real rows", real), ("synthetic rows", synthetic)], &[])?;
    Ok(of_aligned(&tables[0], &tables[1]))
}

/// Of tables with the same columns and words.
pub(super) fn of_aligned(real: &Table, synthetic: &Table) -> Quality {
    let (columns, pairs) = (shapes(real, synthetic), trends(real, synthetic));
    let shapes = mean(columns.iter().filter_map(|c| c.score));
    let trends = mean(pairs.iter().filter_map(|p| p.score));
    Quality { overall: mean(shapes.into_iter().chain(trends)), shapes, trends, columns, pairs }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (n, sum) = values.fold((0usize, 0.0), |(n, sum), v| (n + 1, sum + v));
    (n > 0).then(|| sum / n as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::align::tests::{categories, numbers};
    use super::super::diagnostic;
    use super::*;

    /// Small tables and what sdmetrics 0.32.0 says to them, made by `bench/golden/make_tables.py`.
    const GOLDEN: &str = include_str!("golden/tables.json");

    fn table(columns: &[Value], side: &str) -> Table {
        let column = |c: &Value| {
            let (name, values) = (c["name"].as_str().unwrap(), c[side].as_array().unwrap());
            match c["is_number"].as_bool().unwrap() {
                true => numbers(name, values.iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()),
                false => categories(name, &values.iter().map(|v| v.as_str().unwrap_or("")).collect::<Vec<_>>()),
            }
        };
        Table { columns: columns.iter().map(column).collect() }
    }

    fn same(what: &str, own: Option<f64>, golden: &Value) {
        match (own, golden.as_f64()) {
            (Some(own), Some(golden)) => assert!((own - golden).abs() < 1e-6, "{what}: {own} for {golden}"),
            (own, golden) => assert_eq!(own, golden, "{what}"),
        }
    }

    #[test]
    fn a_column_is_as_good_as_itself_and_its_pairs_that_count() {
        let trend = |first: &str, second: &str, score: Option<f64>| {
            let (first, second) = (first.to_owned(), second.to_owned());
            Trend { first, second, score, real: None, counts: score.is_some() }
        };
        let shape = |column: &str, score: Option<f64>| Shape { column: column.into(), score, missing: [0.0; 2] };
        let own = Quality {
            overall: None,
            shapes: None,
            trends: None,
            columns: vec![shape("age", Some(0.9)), shape("pay", Some(0.8)), shape("id", Some(1.0)), shape("gone", None)],
            pairs: vec![
                trend("age", "pay", Some(0.5)),
                trend("age", "gone", Some(0.7)),
                trend("pay", "id", None),
                trend("pay", "gone", Some(0.25)),
            ],
        };
        let expected = [("age", (0.9 + (0.5 + 0.7) / 2.0) / 2.0), ("pay", (0.8 + (0.5 + 0.25) / 2.0) / 2.0), ("id", 1.0)];
        assert_eq!(own.by_column(), HashMap::from(expected));
    }

    #[test]
    fn every_figure_agrees_with_sdmetrics() {
        let cases: Vec<Value> = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(cases.len(), 8);
        for case in &cases {
            let name = case["name"].as_str().unwrap();
            let columns = case["columns"].as_array().unwrap();
            let (real, synthetic) = (table(columns, "real"), table(columns, "synthetic"));
            let own = quality(&real, &synthetic).unwrap();
            let valid = diagnostic(&real, &synthetic);
            for (key, value) in [("overall", own.overall), ("shapes", own.shapes), ("trends", own.trends), ("validity", valid.validity)] {
                same(&format!("{name}: {key}"), value, &case[key]);
            }
            same(&format!("{name}: structure"), Some(valid.structure), &case["structure"]);
            for (shape, golden) in own.columns.iter().zip(case["columns_shapes"].as_array().unwrap()) {
                same(&format!("{name}: {}", shape.column), shape.score, &golden["score"]);
            }
            for ((column, score), golden) in valid.columns.iter().zip(case["columns_validity"].as_array().unwrap()) {
                same(&format!("{name}: validity of {column}"), *score, &golden["score"]);
            }
            for (pair, golden) in own.pairs.iter().zip(case["pairs"].as_array().unwrap()) {
                let what = format!("{name}: {} and {}", pair.first, pair.second);
                same(&what, pair.score, &golden["score"]);
                let real = if golden["real_correlation"].is_null() { &golden["real_association"] } else { &golden["real_correlation"] };
                // SDMetrics gives no real figure where the synthetic column is constant.
                if !real.is_null() {
                    same(&format!("{what}, real"), pair.real, real);
                    assert_eq!(pair.counts, golden["counts"].as_bool().unwrap(), "{what}");
                }
            }
        }
    }
}
