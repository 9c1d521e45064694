//! Several properties of each picture, as the columns of `labels.csv` have them.

use std::collections::HashSet;

use crate::table::is_mark;

/// Columns with a value for every picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeTable {
    /// Names of the columns.
    pub names: Vec<String>,
    /// The cells of each picture, by [`super::ImageEntry::row`]; nothing for a picture that the labels do not name. Empty cells are values of their own.
    pub rows: Vec<Option<Vec<String>>>,
    /// Whether they are learned only where they are asked for.
    pub on_request: bool,
}

impl AttributeTable {
    /// The chosen columns of the rows that were found, without those that say nothing: one value for all pictures, or words of its own for nearly every picture. What is left out is noted.
    pub(super) fn of(columns: &[String], chosen: &[usize], found: &[Option<&Vec<String>>], notes: &mut Vec<String>) -> Option<Self> {
        let n_named = found.iter().flatten().count();
        let says_something = |&column: &usize| {
            let values: HashSet<&str> = found.iter().flatten().map(|row| row[column].as_str()).collect();
            let is_number = values.iter().all(|value| is_mark(value) || number(value).is_some());
            let is_text = !is_number && n_named >= 20 && values.len() > n_named / 2;
            if values.len() > 1 && !is_text {
                return true;
            }
            let why = if is_text { "has a text of its own for nearly every picture" } else { "has the same value everywhere" };
            notes.push(format!("column \"{}\" {why} and is left out", columns[column]));
            false
        };
        let kept: Vec<usize> = chosen.iter().copied().filter(says_something).collect();
        let row = |row: &Option<&Vec<String>>| row.map(|row| kept.iter().map(|column| row[*column].clone()).collect());
        let names = kept.iter().map(|column| columns[*column].clone()).collect();
        (!kept.is_empty()).then(|| Self { names, rows: found.iter().map(row).collect(), on_request: false })
    }
}

/// A finite number, with a point.
pub fn number(cell: &str) -> Option<f64> {
    cell.trim().parse::<f64>().ok().filter(|v| v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_say_nothing_are_left_out() {
        let columns = ["", "same", "text", "age", "hat"].map(String::from);
        let rows: Vec<Vec<String>> = (0..30)
            .map(|i| {
                vec![
                    String::new(),
                    "x".into(),
                    format!("face number {i}"),
                    if i == 3 { "NA".into() } else { format!("{i}.5") },
                    if i % 2 == 0 { "cap".into() } else { String::new() },
                ]
            })
            .collect();
        let found: Vec<Option<&Vec<String>>> = rows.iter().map(Some).chain([None]).collect();
        let mut notes = Vec::new();
        let table = AttributeTable::of(&columns, &[1, 2, 3, 4], &found, &mut notes).unwrap();
        assert_eq!(table.names, ["age", "hat"]);
        assert_eq!((table.rows[0].as_ref().unwrap()[1].as_str(), table.rows[1].as_ref().unwrap()[1].as_str()), ("cap", ""));
        assert!(table.rows[30].is_none() && notes.len() == 2, "{notes:?}");
        assert!(AttributeTable::of(&columns, &[1], &found, &mut notes).is_none());
    }
}
