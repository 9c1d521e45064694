//! From the values of a foreign key to the rows that it means.

use std::borrow::Cow;
use std::collections::HashMap;

use super::super::frame::{MISSING, Values};

/// What keeps a column from being a key. Rows are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyProblem {
    /// A row without value.
    Missing {
        /// The row.
        row: usize,
    },
    /// A value that stands there twice.
    Twice {
        /// The second row.
        row: usize,
        /// The first row.
        first: usize,
    },
}

/// Rows of a table, each with the row of another that it refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// For each row that of its parent; nothing where the value is missing or no key.
    pub rows: Vec<Option<u32>>,
    /// Rows without value.
    pub n_missing: usize,
    /// Rows whose value is no key of the other table.
    pub n_dangling: usize,
    /// The first of them.
    pub first_dangling: Option<usize>,
}

impl Link {
    /// Of the values of a foreign key and those of the key that it holds. Where a key stands twice the first row is meant.
    pub fn of(column: &Values, key: &Values) -> Self {
        let mut link = Self::default();
        let places = Places::of(key, matches!(key, Values::Numbers(_)) == matches!(column, Values::Numbers(_)));
        let by_word: Vec<Option<u32>> = match column {
            Values::Categories { words, .. } => words.iter().map(|word| places.of_word(word)).collect(),
            Values::Numbers(_) => Vec::new(),
        };
        for row in 0..column.len() {
            let found = match column {
                _ if column.is_missing(row) => {
                    link.n_missing += 1;
                    link.rows.push(None);
                    continue;
                }
                Values::Numbers(numbers) => places.of_number(numbers[row]),
                Values::Categories { codes, .. } => by_word.get(codes[row] as usize).copied().flatten(),
            };
            if found.is_none() {
                link.n_dangling += 1;
                link.first_dangling.get_or_insert(row);
            }
            link.rows.push(found);
        }
        link
    }

    /// How many rows refer to each of `n` rows of the other table.
    pub fn counts(&self, n: usize) -> Vec<usize> {
        let mut counts = vec![0; n];
        self.rows.iter().flatten().for_each(|row| counts[*row as usize] += 1);
        counts
    }

    /// Rows that refer to one.
    pub fn n_linked(&self) -> usize {
        self.rows.len() - self.n_missing - self.n_dangling
    }
}

/// Whether every row has a value, and each a different one.
///
/// # Errors
/// The first row that has not.
pub fn check_key(key: &Values) -> Result<(), KeyProblem> {
    let mut seen: HashMap<u64, usize> = HashMap::with_capacity(key.len());
    // A word may stand in the list of words twice.
    let canonical: Vec<u32> = match key {
        Values::Categories { words, .. } => {
            let mut first: HashMap<&str, u32> = HashMap::with_capacity(words.len());
            words.iter().zip(0..).map(|(word, at)| *first.entry(word).or_insert(at)).collect()
        }
        Values::Numbers(_) => Vec::new(),
    };
    for row in 0..key.len() {
        if key.is_missing(row) {
            return Err(KeyProblem::Missing { row });
        }
        let bits = match key {
            Values::Numbers(numbers) => bits(numbers[row]),
            Values::Categories { codes, .. } => u64::from(canonical[codes[row] as usize]),
        };
        if let Some(first) = seen.insert(bits, row) {
            return Err(KeyProblem::Twice { row, first });
        }
    }
    Ok(())
}

/// Adding zero makes -0 equal to 0.
fn bits(number: f64) -> u64 {
    (number + 0.0).to_bits()
}

/// Whole numbers as they are written in keys.
fn text(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 9e15 { format!("{}", number as i64) } else { format!("{number}") }
}

/// The row of each key.
enum Places<'a> {
    Numbers(HashMap<u64, u32>),
    Words(HashMap<Cow<'a, str>, u32>),
}

impl<'a> Places<'a> {
    /// As words, unless both sides are numbers.
    fn of(key: &'a Values, is_alike: bool) -> Self {
        match key {
            Values::Numbers(numbers) if is_alike => {
                let mut places = HashMap::with_capacity(numbers.len());
                for (row, number) in (0..).zip(numbers) {
                    places.entry(bits(*number)).or_insert(row);
                }
                Self::Numbers(places)
            }
            Values::Numbers(numbers) => {
                let mut places = HashMap::with_capacity(numbers.len());
                for (row, number) in (0..).zip(numbers) {
                    places.entry(Cow::Owned(text(*number))).or_insert(row);
                }
                Self::Words(places)
            }
            Values::Categories { codes, words } => {
                let mut places = HashMap::with_capacity(words.len());
                let present = (0..).zip(codes).filter(|(_, code)| **code != MISSING);
                for (row, word) in present.filter_map(|(row, code)| Some((row, words.get(*code as usize)?))) {
                    places.entry(Cow::Borrowed(word.as_str())).or_insert(row);
                }
                Self::Words(places)
            }
        }
    }

    fn of_word(&self, word: &str) -> Option<u32> {
        match self {
            Self::Words(places) => places.get(word).copied(),
            Self::Numbers(_) => None,
        }
    }

    fn of_number(&self, number: f64) -> Option<u32> {
        match self {
            Self::Numbers(places) => places.get(&bits(number)).copied(),
            Self::Words(places) => places.get(text(number).as_str()).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(values: &[f64]) -> Values {
        Values::Numbers(values.to_vec())
    }

    fn words(values: &[&str]) -> Values {
        let mut list: Vec<String> = values.iter().filter(|v| !v.is_empty()).map(|v| (*v).to_owned()).collect();
        list.sort();
        list.dedup();
        let codes = values.iter().map(|v| list.iter().position(|w| w == v).map_or(MISSING, |at| at as u32)).collect();
        Values::Categories { codes, words: list }
    }

    #[test]
    fn rows_find_their_parents() {
        let link = Link::of(&numbers(&[7.0, f64::NAN, 3.0, 8.0, 7.0]), &numbers(&[3.0, 5.0, 7.0]));
        assert_eq!(link.rows, [Some(2), None, Some(0), None, Some(2)]);
        assert_eq!((link.n_missing, link.n_dangling, link.first_dangling, link.n_linked()), (1, 1, Some(3), 3));
        assert_eq!(link.counts(3), [1, 0, 2]);
        assert_eq!(Link::of(&words(&["b", "", "z"]), &words(&["a", "b"])).rows, [Some(1), None, None]);
        // One side was read as numbers, the other, where a cell was no number, as words.
        assert_eq!(Link::of(&words(&["12", "x"]), &numbers(&[5.0, 12.0])).rows, [Some(1), None]);
        assert_eq!(Link::of(&numbers(&[12.0]), &words(&["x", "12"])).rows, [Some(1)]);
    }

    #[test]
    fn a_key_has_a_value_of_its_own_in_every_row() {
        assert_eq!(check_key(&numbers(&[3.0, 1.0, 2.0])), Ok(()));
        assert_eq!(check_key(&numbers(&[3.0, 1.0, 3.0])), Err(KeyProblem::Twice { row: 2, first: 0 }));
        assert_eq!(check_key(&numbers(&[3.0, f64::NAN])), Err(KeyProblem::Missing { row: 1 }));
        assert_eq!(check_key(&words(&["a", "b", "a"])), Err(KeyProblem::Twice { row: 2, first: 0 }));
        assert_eq!(check_key(&words(&["a", ""])), Err(KeyProblem::Missing { row: 1 }));
    }
}
