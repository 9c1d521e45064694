//! Columns that tell rows apart, and columns that are always the same: nothing of them is learned.

use serde::{Deserialize, Serialize};

use super::super::draw::Draws;
use super::super::frame::{MISSING, Values};
use super::super::pattern::Pattern;

/// How identifiers are made anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Made {
    /// Whole numbers that count the rows.
    Counter {
        /// Number of the first row, 0 or 1.
        first: u8,
    },
    /// Texts that follow a pattern.
    Pattern(String),
    /// A word and a number that counts the rows.
    Numbered(String),
}

/// Identifiers, with the share of rows that have none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identifier {
    pub made: Made,
    pub missing: f64,
}

/// The one value of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Constant {
    /// A number.
    Number(f64),
    /// A word.
    Word(String),
    /// A column of numbers without any.
    Missing,
}

impl Identifier {
    /// Of a column; `pattern` is that of the schema.
    pub(super) fn fit(name: &str, values: &Values, pattern: Option<&str>) -> Self {
        let n_missing = (0..values.len()).filter(|&row| values.is_missing(row)).count();
        let made = match (pattern, values) {
            (Some(pattern), _) => Made::Pattern(pattern.to_owned()),
            (None, Values::Numbers(values)) => Made::Counter { first: u8::from(values.iter().all(|v| *v != 0.0)) },
            (None, Values::Categories { .. }) => Made::Numbered(name.to_owned()),
        };
        Self { made, missing: n_missing as f64 / values.len().max(1) as f64 }
    }

    /// Values of the rows with these numbers; no two numbers have the same, as long as the pattern has enough.
    pub(super) fn make(&self, numbers: &[u64], seed: u64, column: usize) -> Values {
        let missing = Draws::new(seed, "identifier-missing", column);
        let is_missing = |row: u64| self.missing > 0.0 && missing.uniform(row) < self.missing;
        let rows = numbers.iter().copied();
        let n_at_least = numbers.iter().max().map_or(0, |most| u128::from(*most) + 1);
        let text: Box<dyn Fn(u64) -> String> = match &self.made {
            Made::Counter { first } => {
                let first = f64::from(*first);
                return Values::Numbers(rows.map(|row| if is_missing(row) { f64::NAN } else { row as f64 + first }).collect());
            }
            Made::Numbered(word) => {
                let word = word.clone();
                Box::new(move |row| format!("{word}-{:06}", row + 1))
            }
            Made::Pattern(pattern) => {
                let key = Draws::new(seed, "identifier", column).bits(0);
                let text = pattern.clone();
                match Pattern::new(pattern) {
                    Ok(pattern) if pattern.space() >= n_at_least => Box::new(move |row| pattern.fill(row, key)),
                    // Too few different texts: a number makes them so.
                    Ok(pattern) => {
                        let space = pattern.space() as u64;
                        Box::new(move |row| match row / space {
                            0 => pattern.fill(row, key),
                            round => format!("{}-{round}", pattern.fill(row % space, key)),
                        })
                    }
                    Err(_) => Box::new(move |row| format!("{text}-{:06}", row + 1)),
                }
            }
        };
        let mut words = Vec::with_capacity(numbers.len());
        let codes = rows.map(|row| {
            if is_missing(row) {
                return MISSING;
            }
            words.push(text(row));
            words.len() as u32 - 1
        });
        let codes = codes.collect();
        Values::Categories { codes, words }
    }
}

impl Constant {
    /// The value that all rows hold; the error is the row that holds another.
    pub(super) fn fit(values: &Values) -> Result<Self, usize> {
        let differs = (1..values.len()).find(|&row| values.word(row) != values.word(0) || values.number(row) != values.number(0));
        match (differs, values) {
            (Some(row), _) => Err(row),
            (None, Values::Numbers(_)) => Ok(values.number(0).map_or(Self::Missing, Self::Number)),
            (None, _) => Ok(values.word(0).map_or(Self::Missing, |w| Self::Word(w.to_owned()))),
        }
    }

    /// Values of `n` rows.
    pub(super) fn make(&self, n: usize) -> Values {
        match self {
            Self::Number(value) => Values::Numbers(vec![*value; n]),
            Self::Word(word) => Values::Categories { codes: vec![0; n], words: vec![word.clone()] },
            Self::Missing => Values::Numbers(vec![f64::NAN; n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(made: Made, n: u64, first: u64) -> Vec<String> {
        let values = Identifier { made, missing: 0.0 }.make(&(first..first + n).collect::<Vec<_>>(), 1, 0);
        (0..n as usize).filter_map(|row| values.word(row).map(String::from)).collect()
    }

    #[test]
    fn identifiers_differ_and_parts_fit_together() {
        for pattern in ["A####-##", "##"] {
            let all = made(Made::Pattern(pattern.into()), 1000, 0);
            assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), 1000);
            assert_eq!(all[700..], made(Made::Pattern(pattern.into()), 300, 700));
        }
        assert_eq!(made(Made::Numbered("note".into()), 2, 0), ["note-000001", "note-000002"]);
        assert_eq!(Identifier { made: Made::Counter { first: 1 }, missing: 0.0 }.make(&[5, 6], 0, 0), Values::Numbers(vec![6.0, 7.0]));
    }

    #[test]
    fn some_identifiers_are_missing_where_some_were() {
        let values = Identifier { made: Made::Counter { first: 0 }, missing: 0.25 }.make(&(0..10_000).collect::<Vec<_>>(), 1, 0);
        let n = (0..10_000).filter(|&row| values.is_missing(row)).count();
        assert!((2300..2700).contains(&n), "{n}");
    }
}
