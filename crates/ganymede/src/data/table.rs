//! Numeric CSV and TSV files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::SUPPORTED;
use super::delimited::{Row, Text, at, shown};
use super::points::PointTable;
use crate::error::{Error, Result};

const MAX_FILE_BYTES: u64 = 2 << 30;
const MAX_COLUMNS: usize = 4096;
/// Fewer rows are not a distribution.
const MIN_ROWS: usize = 10;

/// Reads the table at `path`.
pub(super) fn open(name: &str, path: &Path) -> Result<PointTable> {
    let file = File::open(path).map_err(|e| Error::io(path, "open", e))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|e| Error::io(path, "read", e))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Error::data(path, format!("the file is larger than {} GiB", MAX_FILE_BYTES >> 30), "train on a sample of its rows"));
    }
    parse(name, path, &bytes)
}

fn parse(name: &str, path: &Path, bytes: &[u8]) -> Result<PointTable> {
    let text = Text::check(path, bytes)?;
    let mut rows = text.records();
    let Some(first) = rows.next().transpose()? else {
        return Err(Error::data(path, "the file has no lines with content", format!("name {SUPPORTED}")));
    };
    let dim = first.cells.len();
    if dim > MAX_COLUMNS {
        return Err(Error::data(path, format!("{dim} columns; at most {MAX_COLUMNS} are read"), "choose fewer columns"));
    }
    let mut values = Vec::new();
    let columns = if is_header(&first) {
        first.cells.iter().enumerate().map(|(i, c)| if c.trim().is_empty() { format!("x{}", i + 1) } else { c.trim().into() }).collect()
    } else {
        append(path, &first, &mut values)?;
        (1..=dim).map(|i| format!("x{i}")).collect()
    };
    for row in rows {
        let row = row?;
        if row.cells.len() != dim {
            let problem = format!("{} columns where the first line has {dim}", row.cells.len());
            return Err(at(path, row.line, None, problem, "mend or remove the line"));
        }
        if values.is_empty() && row.cells.iter().all(|cell| number(cell).is_none()) {
            return Err(Error::data(path, "this is not a table of numbers", format!("name {SUPPORTED}")));
        }
        append(path, &row, &mut values)?;
    }
    let n_rows = values.len() / dim.max(1);
    if n_rows < MIN_ROWS {
        return Err(Error::data(path, format!("{n_rows} rows of numbers; at least {MIN_ROWS} are needed"), "add rows"));
    }
    Ok(PointTable { name: name.into(), columns, values, modes: None, license: "unknown".into() })
}

/// A header is a first line whose cells are, for the greater part, no numbers.
fn is_header(row: &Row) -> bool {
    let n_words = row.cells.iter().filter(|cell| number(cell).is_none()).count();
    n_words * 2 > row.cells.len()
}

/// Includes the spellings of NaN and infinity.
fn number(cell: &str) -> Option<f64> {
    cell.trim().parse().ok()
}

fn append(path: &Path, row: &Row, values: &mut Vec<f32>) -> Result<()> {
    for (i, cell) in row.cells.iter().enumerate() {
        let fail = |problem: String, remedy: &str| Err(at(path, row.line, Some(i + 1), problem, remedy));
        let Some(number) = number(cell) else {
            return match cell.trim() {
                "" => fail("the cell is empty".into(), "fill it in, or remove the line or the column"),
                text if text.replacen(',', ".", 1).parse::<f64>().is_ok() => {
                    fail(format!("\"{}\" has a decimal comma", shown(text)), "write numbers with a decimal point")
                }
                text => fail(format!("\"{}\" is not a number", shown(text)), "remove the line, or the column if it holds text"),
            };
        };
        if !(number as f32).is_finite() {
            let problem = if number.is_finite() { "is too large for a 32-bit number" } else { "is not a finite number" };
            return fail(format!("\"{}\" {problem}", shown(cell.trim())), "replace it, or remove the line");
        }
        values.push(number as f32);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<PointTable> {
        parse("t.csv", Path::new("t.csv"), text.as_bytes())
    }

    fn message(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    fn rows(n: usize) -> String {
        (0..n).map(|i| format!("{i},{}.5\n", i * 2)).collect()
    }

    #[test]
    fn numbers_with_and_without_header() {
        let plain = read(&rows(10)).unwrap();
        assert_eq!(plain.columns, ["x1", "x2"]);
        assert_eq!((plain.n_rows(), plain.dim()), (10, 2));
        assert_eq!(plain.row(3), [3.0, 6.5]);
        let named = read(&format!("width,\"height, cm\"\n{}", rows(10))).unwrap();
        assert_eq!(named.columns, ["width", "height, cm"]);
        assert_eq!(named.values, plain.values);
        assert_eq!(named.fingerprint(), plain.fingerprint());
    }

    #[test]
    fn spellings_of_numbers() {
        let table = read("x\n1\n-2\n+3\n4e2\n .5 \n-0\n1E-3\n\"7\"\n8.\n9\n").unwrap();
        assert_eq!(table.values, [1.0, -2.0, 3.0, 400.0, 0.5, 0.0, 0.001, 7.0, 8.0, 9.0]);
    }

    #[test]
    fn mistakes_name_line_and_column() {
        let with = |line: &str| message(&format!("a,b\n{}{line}\n", rows(10)));
        assert!(with("1,oak").starts_with("t.csv:12:2: \"oak\" is not a number"), "{}", with("1,oak"));
        assert!(with("NaN,1").starts_with("t.csv:12:1: \"NaN\" is not a finite"), "{}", with("NaN,1"));
        assert!(with("1,-inf").starts_with("t.csv:12:2: \"-inf\" is not a finite"));
        assert!(with("1,1e300").contains("too large"));
        assert!(with("1,").starts_with("t.csv:12:2: the cell is empty"));
        assert!(with("1,2,3").starts_with("t.csv:12: 3 columns where the first line has 2"));
        assert!(message("a;b\n1,5;2\n").contains("decimal comma"));
        assert!(message("1,oak\n2,3\n").starts_with("t.csv:1:2"));
    }

    #[test]
    fn text_and_short_tables_are_refused() {
        assert!(message("It was a night\nthat had no stars\n").contains("not a table of numbers"));
        assert!(message(&rows(9)).contains("9 rows"));
        assert!(message("a,b\n").contains("0 rows"));
        assert!(message("\n\n").contains("no lines"));
    }

    proptest! {
        #[test]
        fn written_tables_are_read_back(values in prop::collection::vec(-1e30f32..1e30, 30..90), header: bool, delimiter in prop::sample::select(vec![",", ";", "\t"])) {
            let n = values.len() / 3 * 3;
            let body: String = values[..n].chunks(3).map(|r| format!("{}{delimiter}{}{delimiter}{}\n", r[0], r[1], r[2])).collect();
            let head = if header { format!("a{delimiter}b{delimiter}c\n") } else { String::new() };
            let table = read(&(head + &body)).unwrap();
            prop_assert_eq!(&table.values, &values[..n]);
        }

        #[test]
        fn any_text_is_read_or_refused_with_a_message(text in "[0-9a-z.,;\t\"\n\r -]{0,200}") {
            if let Err(e) = read(&text) {
                prop_assert!(e.to_string().contains("t.csv"));
            }
        }
    }
}
