//! The column that sorts the rows of a series: counted anew, or made from what lies between its rows.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::table::{Bound, ColumnSchema, Kind, Values};

/// How far apart the rows of a series are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    /// Always this far.
    Even(f64),
    /// Sometimes more, sometimes less: learned like any other column.
    Free,
}

/// The column that sorts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Its name.
    pub column: String,
    /// How far apart rows are.
    pub spacing: Spacing,
}

/// The numbers that rows are sorted by.
///
/// # Errors
/// [`Error::Data`] for a column of words, or one with missing cells.
pub fn numbers<'a>(column: &str, values: &'a Values) -> Result<&'a [f64]> {
    let Values::Numbers(numbers) = values else {
        let problem = "holds words, which have no order";
        return Err(Error::data(
            format!("column \"{column}\""),
            problem,
            "order by a column of numbers or dates, or give its format in a schema",
        ));
    };
    match numbers.iter().filter(|v| v.is_nan()).count() {
        0 => Ok(numbers),
        n => Err(Error::data(
            format!("column \"{column}\""),
            format!("is missing in {n} rows"),
            "fill it in, remove these rows, or leave --order out",
        )),
    }
}

impl Spacing {
    /// Of rising numbers of each series.
    pub fn of<'a>(series: impl Iterator<Item = &'a [f64]>) -> Self {
        let mut step: Option<f64> = None;
        for numbers in series {
            for pair in numbers.windows(2) {
                let own = pair[1] - pair[0];
                // Decimals are not exact.
                if own <= 0.0 || (*step.get_or_insert(own) - own).abs() > 1e-6 * own {
                    return Self::Free;
                }
            }
        }
        step.map_or(Self::Free, Self::Even)
    }
}

/// What lies between the rows of a series. The first row, before which there is nothing, has that of the second.
pub fn differences(numbers: &[f64]) -> Vec<f64> {
    let mut out: Vec<f64> = numbers.windows(2).map(|pair| pair[1] - pair[0]).collect();
    out.insert(0, out.first().copied().unwrap_or(0.0));
    out
}

/// The column of `n` rows that begin at `first`, each `differences` after the one before it; the first difference, and one that is missing, count for nothing.
pub fn summed(first: f64, n: usize, spacing: Spacing, differences: impl Fn(usize) -> Option<f64>) -> Vec<f64> {
    let mut at = first;
    (0..n)
        .map(|step| {
            match spacing {
                // Not summed up, so that decimals do not drift.
                Spacing::Even(apart) => at = first + step as f64 * apart,
                Spacing::Free if step > 0 => at += differences(step).unwrap_or(0.0).max(0.0),
                Spacing::Free => {}
            }
            at
        })
        .collect()
}

/// The schema of the differences of a column.
pub fn schema_of_differences(column: &ColumnSchema) -> ColumnSchema {
    let is_whole = match column.kind {
        Kind::Real => false,
        Kind::Datetime => column.moment_format().is_ok_and(|format| format.step() >= 1.0),
        _ => true,
    };
    let decimals = if column.kind == Kind::Real { column.decimals } else { None };
    let own = ColumnSchema::new(column.name.clone(), if is_whole { Kind::Integer } else { Kind::Real });
    ColumnSchema { min: Some(Bound::Integer(0)), decimals: decimals.filter(|_| !is_whole), ..own }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn even_steps_are_told_from_others() {
        let of = |series: &[&[f64]]| Spacing::of(series.iter().copied());
        assert_eq!(of(&[&[0.0, 2.0, 4.0], &[7.0, 9.0], &[1.0]]), Spacing::Even(2.0));
        assert_eq!(of(&[&[0.0, 2.0, 4.0], &[7.0, 8.0]]), Spacing::Free);
        assert_eq!(of(&[&[0.0, 0.0]]), Spacing::Free);
        assert_eq!(summed(3.0, 3, Spacing::Even(0.1), |_| None), [3.0, 3.1, 3.2]);
    }

    #[test]
    fn words_and_gaps_cannot_sort() {
        let words = Values::Categories { codes: vec![0], words: vec!["may".into()] };
        assert!(numbers("when", &words).unwrap_err().to_string().contains("words"));
        assert!(numbers("when", &Values::Numbers(vec![1.0, f64::NAN])).unwrap_err().to_string().contains("missing in 1 rows"));
    }

    proptest! {
        #[test]
        fn a_column_comes_back_from_its_differences(mut days in proptest::collection::vec(0i32..40_000, 1..60)) {
            days.sort_unstable();
            let column: Vec<f64> = days.iter().map(|day| f64::from(*day) * 86_400.0).collect();
            let apart = differences(&column);
            prop_assert_eq!(apart.len(), column.len());
            prop_assert!(apart.iter().all(|v| *v >= 0.0));
            prop_assert_eq!(summed(column[0], column.len(), Spacing::Free, |step| Some(apart[step])), column);
        }
    }
}
