//! Whether the first row names the columns, and the names that they get.

use std::path::Path;

use csv::StringRecord;

use super::super::missing::is_mark;
use super::super::moment::Format;
use super::super::{names, number};
use super::MAX_COLUMNS;
use crate::error::{Error, Result};

/// Rows looked at to find the names.
pub(in super::super) const N_LOOKED_AT: usize = 50;

/// The names of the columns.
#[derive(Debug)]
pub(in super::super) struct Header {
    /// The first row holds them.
    pub has_header: bool,
    /// Name of each column, each once.
    pub names: Vec<String>,
    /// What was done about names.
    pub notes: Vec<String>,
}

impl Header {
    /// Finds the names in the first rows. With `expected` names the first row holds them if it has one of those.
    ///
    /// # Errors
    /// [`Error::Data`] if there is no row, there are too many columns, or none of those that were expected.
    pub(in super::super) fn find(path: &Path, rows: &[StringRecord], expected: Option<&[String]>, formats: &[Format]) -> Result<Self> {
        let Some(first) = rows.first() else {
            return Err(Error::data(path, "the file has no lines with content", "give a table with a header and rows"));
        };
        if first.len() > MAX_COLUMNS {
            return Err(Error::data(path, format!("{} columns; at most {MAX_COLUMNS} are read", first.len()), "choose fewer columns"));
        }
        let has_header = match expected {
            Some(names) if first.iter().any(|cell| names.iter().any(|n| n == cell.trim())) => true,
            Some(names) if is_header(rows, formats) => {
                let list = |names: Vec<&str>| if names.len() > 12 { format!("{}, ...", names[..12].join(", ")) } else { names.join(", ") };
                let (found, wanted) = (list(first.iter().map(str::trim).collect()), list(names.iter().map(String::as_str).collect()));
                let problem = format!("its first row, {found}, has none of the schema's columns, {wanted}");
                return Err(Error::data(path, problem, "give the columns the same names in both"));
            }
            Some(_) => false,
            None => is_header(rows, formats),
        };
        if has_header {
            let (names, notes) = names::unique(&first.iter().collect::<Vec<_>>());
            return Ok(Self { has_header, names, notes });
        }
        if let Some(names) = expected.filter(|names| names.len() == first.len()) {
            return Ok(Self { has_header, names: names.to_vec(), notes: Vec::new() });
        }
        let names = (1..=first.len()).map(|i| format!("column_{i}")).collect();
        let note = "the first row is data, not names; columns are called column_1, column_2 and so on".to_owned();
        Ok(Self { has_header, names, notes: vec![note] })
    }
}

/// The first row names the columns unless it looks like the rows below it: a number, date or empty cell above cells of that kind, and no word above a number or a date.
fn is_header(rows: &[StringRecord], formats: &[Format]) -> bool {
    let is_value = |cell: &str| {
        let cell = cell.trim();
        number::parse(cell, b'.').is_some()
            || number::parse(cell, b',').is_some()
            || (cell.bytes().any(|b| b.is_ascii_digit()) && cell.len() <= 40 && formats.iter().any(|f| f.parse(cell).is_some()))
    };
    let Some((first, below)) = rows.split_first() else { return false };
    let is_value_column = |i: usize| {
        let mut cells = below.iter().take(20).filter_map(|r| r.get(i)).filter(|c| !is_mark(c.trim())).peekable();
        cells.peek().is_some() && cells.all(is_value)
    };
    let word_above_values = first.iter().enumerate().any(|(i, cell)| !is_mark(cell.trim()) && !is_value(cell) && is_value_column(i));
    let has_value = first.iter().any(|cell| is_value(cell) || is_mark(cell.trim()) && !cell.trim().is_empty());
    let all_empty = first.iter().all(|cell| cell.trim().is_empty());
    !all_empty && (word_above_values || !has_value)
}

#[cfg(test)]
mod tests {
    use super::super::super::moment::recognised;
    use super::*;

    fn find(text: &str) -> Header {
        let rows: Vec<StringRecord> = text.lines().map(|line| line.split(',').collect()).collect();
        Header::find(Path::new("t.csv"), &rows, None, &recognised()).unwrap()
    }

    #[test]
    fn headers_are_told_from_data() {
        assert!(find("age,sex\n3,m\n").has_header);
        assert!(find("name,city\nann,ulm\n").has_header);
        assert!(find("id,2019,2020\n1,5,7\n").has_header);
        assert!(!find("3,m\n4,f\n").has_header);
        assert!(!find("2024-01-01,1.5\n2024-01-02,2\n").has_header);
        assert!(find(",a,b\n0,1,2\n").has_header);
    }

    #[test]
    fn columns_have_one_name_each() {
        assert_eq!(find("a,a,,a_2\nx,y,z,w\n").names, ["a", "a_2", "column_3", "a_2_2"]);
        assert_eq!(find("1,2\n3,4\n").names, ["column_1", "column_2"]);
        assert_eq!(find("a,a\n1,2\n").notes.len(), 1);
    }
}
