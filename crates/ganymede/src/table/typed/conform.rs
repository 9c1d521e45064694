//! Columns that were read, as the schema wants them.

use std::collections::HashMap;
use std::path::Path;

use super::super::frame::{Column, MISSING, Values};
use super::super::infer::Read;
use super::super::number;
use super::super::schema::{ColumnSchema, Kind};
use crate::error::{Error, Result};

/// Turns numbers into words, or words into numbers, where the schema says so, and holds the cells against it.
///
/// # Errors
/// [`Error::Data`] that names the first cell that does not fit, and its row.
pub(super) fn conform(path: &Path, read: Read, given: Option<&ColumnSchema>) -> Result<Read> {
    let Some(given) = given else { return Ok(read) };
    let Read { column: Column { name, values }, facts } = read;
    let misfit = |row: usize, cell: &str, expected: &str| {
        let problem = format!("\"{cell}\" in column \"{name}\", row {}, is not {expected}", row + 1);
        Error::data(path, problem, "mend the cell, or the column's kind in the schema")
    };
    let values = match values {
        Values::Numbers(values) if matches!(given.kind, Kind::Boolean | Kind::Category) => words(&values),
        Values::Categories { codes, words } if given.kind.is_numeric() => {
            let known: Vec<Option<f64>> = words.iter().map(|word| given.parse(word)).collect();
            let number = |(row, code): (usize, &u32)| match known.get(*code as usize) {
                None => Ok(f64::NAN),
                Some(Some(value)) => Ok(*value),
                Some(None) => Err(misfit(row, &words[*code as usize], &format!("of kind {}", given.kind.name()))),
            };
            Values::Numbers(codes.iter().enumerate().map(number).collect::<Result<_>>()?)
        }
        values => values,
    };
    match &values {
        Values::Numbers(values) if given.kind == Kind::Integer => {
            if let Some((row, value)) = values.iter().enumerate().find(|(_, v)| v.fract() != 0.0 && !v.is_nan()) {
                return Err(misfit(row, &value.to_string(), "a whole number"));
            }
        }
        Values::Categories { codes, words } => {
            let allowed = given.categories.as_deref().unwrap_or_default();
            let is_misfit = |code: &u32| words.get(*code as usize).is_some_and(|word| !allowed.contains(word));
            if let Some((row, code)) = codes.iter().enumerate().find(|(_, code)| !allowed.is_empty() && is_misfit(code)) {
                return Err(misfit(row, &words[*code as usize], "one of the categories that the schema names"));
            }
        }
        Values::Numbers(_) => {}
    }
    Ok(Read { column: Column { name, values }, facts })
}

fn words(values: &[f64]) -> Values {
    let mut index = HashMap::new();
    let mut words: Vec<String> = Vec::new();
    let codes = values.iter().map(|value| {
        if value.is_nan() {
            return MISSING;
        }
        *index.entry(value.to_bits()).or_insert_with(|| {
            let mut text = String::new();
            number::write(*value, None, 0, '.', &mut text);
            words.push(text);
            words.len() as u32 - 1
        })
    });
    Values::Categories { codes: codes.collect(), words }
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::Facts;
    use super::*;

    fn conformed(values: Values, given: &ColumnSchema) -> Result<Values> {
        let read = Read { column: Column { name: "x".into(), values }, facts: Facts::default() };
        conform(Path::new("t.arrow"), read, Some(given)).map(|read| read.column.values)
    }

    fn category(codes: &[u32], words: &[&str]) -> Values {
        Values::Categories { codes: codes.to_vec(), words: words.iter().map(|w| (*w).to_owned()).collect() }
    }

    #[test]
    fn values_become_what_the_schema_wants() {
        let numbers = Values::Numbers(vec![1.0, 2.5, f64::NAN]);
        let words = category(&[0, 1, MISSING], &["1", "2.5"]);
        assert_eq!(conformed(numbers.clone(), &ColumnSchema::new("x", Kind::Category)).unwrap(), words);
        assert_eq!(conformed(words, &ColumnSchema::new("x", Kind::Real)).unwrap(), numbers);
    }

    #[test]
    fn cells_that_do_not_fit_are_named_with_their_row() {
        let message = |values, given: &ColumnSchema| conformed(values, given).unwrap_err().to_string();
        let integer = ColumnSchema::new("x", Kind::Integer);
        assert!(
            message(category(&[0, 1], &["1", "old"]), &integer)
                .starts_with("t.arrow: \"old\" in column \"x\", row 2, is not of kind integer")
        );
        assert!(
            message(Values::Numbers(vec![f64::NAN, 1.0, 2.5]), &integer).contains("\"2.5\" in column \"x\", row 3, is not a whole number")
        );
        let named = ColumnSchema { categories: Some(vec!["a".into()]), ..ColumnSchema::new("x", Kind::Category) };
        assert!(message(category(&[MISSING, 0, 1], &["a", "b"]), &named).contains("\"b\" in column \"x\", row 3"));
        assert!(conformed(category(&[0, MISSING], &["a", "b"]), &named).is_ok());
    }
}
