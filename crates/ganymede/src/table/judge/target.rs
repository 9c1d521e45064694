//! The column that is to be foretold.

use super::align::{chosen, n_rows};
use super::boost::Answer;
use crate::random::DataOrder;
use crate::table::frame::{Column, MISSING, Table, Values};

/// Classes that are told apart at most: rarer ones count as one.
const MOST_CLASSES: usize = 50;

/// What the target is.
pub(super) enum Scheme {
    Numbers,
    /// Names of the classes, and the class of each word or number; others are of the class after the last.
    Classes {
        names: Vec<String>,
        known: Known,
    },
}

pub(super) enum Known {
    Words(Vec<u32>),
    Numbers(Vec<f64>),
}

/// Rows without the target, and the target.
pub(super) struct Task {
    pub rows: Table,
    /// Numbers, or none.
    pub numbers: Vec<f64>,
    /// Codes of classes, or none.
    pub codes: Vec<u32>,
}

impl Task {
    /// For [`super::Boost`].
    pub fn answer(&self, scheme: &Scheme) -> Answer<'_> {
        match scheme {
            Scheme::Numbers => Answer::Numbers(&self.numbers),
            // A class that no row has would cost trees.
            Scheme::Classes { names, .. } => {
                let n = self.codes.iter().max().map_or(0, |most| *most as usize + 1);
                Answer::Classes { codes: &self.codes, n: n.max(names.len()) }
            }
        }
    }
}

impl Scheme {
    /// Of the training rows.
    pub fn of(values: &Values) -> Self {
        match values {
            Values::Numbers(numbers) => {
                let mut distinct: Vec<(f64, usize)> = Vec::new();
                for v in numbers.iter().filter(|v| !v.is_nan()) {
                    match distinct.iter().position(|(known, _)| known == v) {
                        Some(i) => distinct[i].1 += 1,
                        None if distinct.len() == 2 => return Self::Numbers,
                        None => distinct.push((*v, 1)),
                    }
                }
                distinct.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
                let known: Vec<f64> = distinct.into_iter().map(|(v, _)| v).collect();
                Self::Classes { names: known.iter().map(f64::to_string).collect(), known: Known::Numbers(known) }
            }
            Values::Categories { codes, words } => {
                let mut counts = vec![0usize; words.len()];
                codes.iter().filter(|code| **code != MISSING).for_each(|code| counts[*code as usize] += 1);
                let mut order: Vec<usize> = (0..words.len()).filter(|word| counts[*word] > 0).collect();
                order.sort_by_key(|word| std::cmp::Reverse(counts[*word]));
                order.truncate(MOST_CLASSES);
                let mut class = vec![order.len() as u32; words.len()];
                order.iter().enumerate().for_each(|(i, word)| class[*word] = i as u32);
                Self::Classes { names: order.iter().map(|word| words[*word].clone()).collect(), known: Known::Words(class) }
            }
        }
    }

    /// Names of the classes, none for numbers.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Numbers => Vec::new(),
            Self::Classes { names, .. } => names.clone(),
        }
    }

    /// With one for everything else.
    pub fn n_classes(&self) -> usize {
        self.names().len() + 1
    }

    /// At most so many rows that have the target, drawn with the seed.
    pub fn task(&self, table: &Table, at: usize, most: usize, seed: u64) -> Task {
        let values = &table.columns[at].values;
        let is_known = |i: &usize| match values {
            Values::Numbers(numbers) => !numbers[*i].is_nan(),
            Values::Categories { codes, .. } => codes[*i] != MISSING,
        };
        let n = n_rows(table);
        let mut rows: Vec<usize> = DataOrder::new(seed, "usefulness", n).batch(0, n).into_iter().filter(is_known).collect();
        rows.truncate(most);
        let others: Vec<Column> = table.columns.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, c)| c.clone()).collect();
        let mut task = Task { rows: chosen(&Table { columns: others }, &rows), numbers: Vec::new(), codes: Vec::new() };
        match (self, values) {
            (Self::Numbers, Values::Numbers(numbers)) => task.numbers = rows.iter().map(|i| numbers[*i]).collect(),
            (Self::Classes { known: Known::Numbers(known), .. }, Values::Numbers(numbers)) => {
                let code = |i: &usize| known.iter().position(|v| *v == numbers[*i]).unwrap_or(known.len()) as u32;
                task.codes = rows.iter().map(code).collect();
            }
            (Self::Classes { known: Known::Words(class), .. }, Values::Categories { codes, .. }) => {
                task.codes = rows.iter().map(|i| class[codes[*i] as usize]).collect();
            }
            _ => unreachable!("columns are aligned"),
        }
        task
    }
}

#[cfg(test)]
mod tests {
    use super::super::align::tests::{categories, numbers};
    use super::*;

    #[test]
    fn rare_and_unknown_words_are_one_class_and_rows_without_target_are_left_out() {
        let words: Vec<String> = (0..70).flat_map(|i| vec![format!("w{i}"); 100 - i]).chain(["".into()]).collect();
        let column = categories("c", &words.iter().map(String::as_str).collect::<Vec<_>>());
        let table = Table { columns: vec![numbers("n", vec![0.0; words.len()]), column] };
        let scheme = Scheme::of(&table.columns[1].values);
        assert_eq!((scheme.n_classes(), scheme.names()[0].as_str(), scheme.names()[49].as_str()), (51, "w0", "w49"));
        let task = scheme.task(&table, 1, usize::MAX, 0);
        let count = |code: u32| task.codes.iter().filter(|c| **c == code).count();
        assert_eq!((count(0), count(49), count(50)), (100, 51, (50..70).map(|i| 100 - i).sum()));
        assert_eq!((n_rows(&task.rows), task.rows.columns.len()), (words.len() - 1, 1));
        assert_eq!(scheme.task(&table, 1, 10, 0).codes.len(), 10);
    }

    #[test]
    fn numbers_with_two_values_are_classes_and_the_commoner_comes_first() {
        let names = |values: Vec<f64>| Scheme::of(&Values::Numbers(values)).names();
        assert_eq!(names(vec![0.0, 1.0, 1.0, f64::NAN]), ["1", "0"]);
        assert!(names(vec![0.0, 1.0, 2.0]).is_empty());
    }
}
