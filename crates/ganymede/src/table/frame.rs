//! A table in memory, column by column.

use std::collections::HashMap;

use crate::error::{Error, Result};

/// Code of a missing category.
pub const MISSING: u32 = u32::MAX;

/// Rows of named columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The columns, in the order of the file; all equally long.
    pub columns: Vec<Column>,
}

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name, unique in the table.
    pub name: String,
    /// What it holds.
    pub values: Values,
}

/// The values of a column.
#[derive(Clone, Debug)]
pub enum Values {
    /// Numbers: integers, reals, and moments as seconds since 1970-01-01T00:00:00 UTC. `NaN` where missing, never infinite.
    Numbers(Vec<f64>),
    /// One of a list of words (booleans are words too).
    Categories {
        /// For each row the position in `words`, or [`MISSING`].
        codes: Vec<u32>,
        /// Each word once.
        words: Vec<String>,
    },
}

/// Equal cell by cell; a missing number equals a missing number, and the order of the words does not matter.
impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Numbers(a), Self::Numbers(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
            }
            (Self::Categories { .. }, Self::Categories { .. }) => {
                self.len() == other.len() && (0..self.len()).all(|row| self.word(row) == other.word(row))
            }
            _ => false,
        }
    }
}

impl Values {
    fn append(&mut self, more: Self) {
        match (self, more) {
            (Self::Numbers(own), Self::Numbers(more)) => own.extend(more),
            (Self::Categories { codes, words }, Self::Categories { codes: more, words: others }) if *words == others => codes.extend(more),
            (Self::Categories { codes, words }, Self::Categories { codes: more, words: others }) => {
                let mut place: HashMap<String, u32> = words.iter().cloned().zip(0..).collect();
                let new: Vec<u32> = others
                    .into_iter()
                    .map(|word| {
                        *place.entry(word).or_insert_with_key(|word| {
                            words.push(word.clone());
                            words.len() as u32 - 1
                        })
                    })
                    .collect();
                codes.extend(more.into_iter().map(|code| new.get(code as usize).copied().unwrap_or(MISSING)));
            }
            _ => {}
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Categories { codes, .. } => codes.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the cell is missing; cells beyond the last row are.
    pub fn is_missing(&self, row_idx: usize) -> bool {
        match self {
            Self::Numbers(values) => values.get(row_idx).is_none_or(|v| v.is_nan()),
            Self::Categories { .. } => self.word(row_idx).is_none(),
        }
    }

    /// The word of a cell that holds one.
    pub fn word(&self, row_idx: usize) -> Option<&str> {
        match self {
            Self::Categories { codes, words } => words.get(*codes.get(row_idx)? as usize).map(String::as_str),
            Self::Numbers(_) => None,
        }
    }

    /// The number of a cell that holds one.
    pub fn number(&self, row_idx: usize) -> Option<f64> {
        match self {
            Self::Numbers(values) => values.get(row_idx).copied().filter(|v| !v.is_nan()),
            Self::Categories { .. } => None,
        }
    }

    /// The cells at `rows`, in that order; a position beyond the last row gives a missing cell.
    pub fn take(&self, rows: &[usize]) -> Self {
        match self {
            Self::Numbers(values) => Self::Numbers(rows.iter().map(|&r| values.get(r).copied().unwrap_or(f64::NAN)).collect()),
            Self::Categories { codes, words } => {
                Self::Categories { codes: rows.iter().map(|&r| codes.get(r).copied().unwrap_or(MISSING)).collect(), words: words.clone() }
            }
        }
    }
}

impl Table {
    /// The rows of several tables with the same columns, one after the other. Of columns that are words in one and numbers in another those of the first table are kept.
    pub fn joined(parts: Vec<Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut whole = parts.next().unwrap_or_default();
        for part in parts {
            for (own, more) in whole.columns.iter_mut().zip(part.columns) {
                own.values.append(more.values);
            }
        }
        whole
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.columns.first().map_or(0, |c| c.values.len())
    }

    /// Position of the column of that name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The rows at `rows`, in that order; a position beyond the last row gives a missing row.
    pub fn take(&self, rows: &[usize]) -> Self {
        let columns = self.columns.iter().map(|c| Column { name: c.name.clone(), values: c.values.take(rows) }).collect();
        Self { columns }
    }

    /// Checks that columns are equally long, names differ, codes have words and no number is infinite.
    ///
    /// # Errors
    /// [`Error::Data`] that names the column.
    pub fn check(&self) -> Result<()> {
        let mut names = std::collections::HashSet::new();
        for column in &self.columns {
            let problem = match &column.values {
                values if values.len() != self.n_rows() => format!("{} rows where the first column has {}", values.len(), self.n_rows()),
                _ if !names.insert(column.name.as_str()) => "two columns have this name".to_owned(),
                Values::Numbers(values) if values.iter().any(|v| v.is_infinite()) => "a number is infinite".to_owned(),
                Values::Categories { codes, words } if codes.iter().any(|&c| c != MISSING && c as usize >= words.len()) => {
                    "a code has no word".to_owned()
                }
                _ => continue,
            };
            return Err(Error::data(format!("column \"{}\"", column.name), problem, "mend the table"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(codes: &[u32], words: &[&str]) -> Column {
        let words = words.iter().map(|w| (*w).to_owned()).collect();
        Column { name: "w".into(), values: Values::Categories { codes: codes.to_vec(), words } }
    }

    fn numbers(values: &[f64]) -> Column {
        Column { name: "n".into(), values: Values::Numbers(values.to_vec()) }
    }

    #[test]
    fn cells_are_compared_not_codes() {
        assert_eq!(words(&[0, 1, MISSING], &["a", "b"]), words(&[1, 0, MISSING], &["b", "a"]));
        assert_ne!(words(&[0, 1], &["a", "b"]), words(&[0, MISSING], &["a", "b"]));
        assert_eq!(numbers(&[1.0, f64::NAN]), numbers(&[1.0, f64::NAN]));
        assert_ne!(numbers(&[1.0, f64::NAN]), numbers(&[1.0, 2.0]));
    }

    #[test]
    fn rows_are_taken_in_the_order_asked_for() {
        let table = Table { columns: vec![numbers(&[1.0, 2.0, 3.0]), words(&[0, 1, 0], &["a", "b"])] };
        let taken = table.take(&[2, 1, 9]);
        assert_eq!(taken.columns[0].values, Values::Numbers(vec![3.0, 2.0, f64::NAN]));
        assert_eq!((taken.columns[1].values.word(1), taken.columns[1].values.is_missing(2)), (Some("b"), true));
    }

    #[test]
    fn tables_that_do_not_hold_together_are_refused() {
        let message = |columns: Vec<Column>| Table { columns }.check().unwrap_err().to_string();
        assert!(message(vec![numbers(&[1.0]), words(&[0, 0], &["a"])]).contains("2 rows where the first column has 1"));
        assert!(message(vec![numbers(&[1.0]), numbers(&[2.0])]).contains("two columns"));
        assert!(message(vec![numbers(&[f64::INFINITY])]).contains("infinite"));
        assert!(message(vec![words(&[3], &["a"])]).contains("no word"));
        assert!(Table::default().check().is_ok());
    }
}
