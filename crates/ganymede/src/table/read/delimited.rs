//! CSV, TSV and their relatives: separator, header and rows.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use csv::StringRecord;

use super::super::missing::is_mark;
use super::super::moment::Format;
use super::super::number;
use super::source::Source;
use super::{Flow, MAX_COLUMNS, at};
use crate::error::{Error, Result};

/// Rows looked at to find separator and header.
const N_LOOKED_AT: usize = 50;

/// Takes a row, with a way to find the line it begins on.
pub(super) type Visit<'a> = dyn FnMut(&dyn Fn() -> u64, &StringRecord) -> Result<Flow> + 'a;

/// How a file is laid out.
#[derive(Debug)]
pub(super) struct Layout {
    pub delimiter: u8,
    pub has_header: bool,
    /// Name of each column, each once.
    pub names: Vec<String>,
    /// What was done about names.
    pub notes: Vec<String>,
}

impl Layout {
    /// Finds separator and header. With `expected` names the first row is a header if it holds one of them.
    pub(super) fn find(path: &Path, head: &str, expected: Option<&[String]>, formats: &[Format]) -> Result<Self> {
        let prefers_tab = path.to_string_lossy().contains(".tsv");
        let delimiter = separator(head, prefers_tab);
        let rows = rows(head, delimiter);
        let Some(first) = rows.first() else {
            return Err(Error::data(path, "the file has no lines with content", "give a table with a header and rows"));
        };
        if first.len() > MAX_COLUMNS {
            return Err(Error::data(path, format!("{} columns; at most {MAX_COLUMNS} are read", first.len()), "choose fewer columns"));
        }
        let has_header = match expected {
            Some(names) if first.iter().any(|cell| names.iter().any(|n| n == cell.trim())) => true,
            Some(names) if is_header(&rows, formats) => {
                let list = |names: Vec<&str>| if names.len() > 12 { format!("{}, ...", names[..12].join(", ")) } else { names.join(", ") };
                let (found, wanted) = (list(first.iter().map(str::trim).collect()), list(names.iter().map(String::as_str).collect()));
                let problem = format!("its first row, {found}, has none of the schema's columns, {wanted}");
                return Err(Error::data(path, problem, "give the columns the same names in both"));
            }
            Some(_) => false,
            None => is_header(&rows, formats),
        };
        let mut layout = Self { delimiter, has_header, names: Vec::new(), notes: Vec::new() };
        match expected {
            Some(names) if !has_header && names.len() == first.len() => layout.names = names.to_vec(),
            _ => layout.name_columns(first),
        }
        Ok(layout)
    }

    fn name_columns(&mut self, first: &StringRecord) {
        let mut taken = HashSet::new();
        for (i, cell) in first.iter().enumerate() {
            let wanted = match cell.trim() {
                "" => format!("column_{}", i + 1),
                _ if !self.has_header => format!("column_{}", i + 1),
                name => name.to_owned(),
            };
            let mut name = wanted.clone();
            let mut n = 1;
            while !taken.insert(name.clone()) {
                n += 1;
                name = format!("{wanted}_{n}");
            }
            if self.has_header && name != cell.trim() {
                self.notes.push(format!("column {} is called \"{name}\": its name in the file is empty or taken", i + 1));
            }
            self.names.push(name);
        }
        if !self.has_header {
            self.notes.push("the first row is data, not names; columns are called column_1, column_2 and so on".to_owned());
        }
    }

    /// Hands every row to `visit`, with a way to find the line it begins on, until that stops.
    pub(super) fn visit(&self, path: &Path, source: &Source, visit: &mut Visit<'_>) -> Result<()> {
        let (text, watch) = source.open()?;
        let mut reader = reader(text, self.delimiter);
        let mut record = StringRecord::new();
        let (mut is_first, mut is_ascii, mut ends_in_open_quote) = (true, true, false);
        while reader.read_record(&mut record).map_err(|e| failure(path, source, e, is_ascii))? {
            let line = || line_of(source, record.position());
            watch.end_row();
            is_ascii &= record.as_slice().is_ascii();
            ends_in_open_quote = record.iter().next_back().is_some_and(|cell| cell.contains('\n'));
            if std::mem::take(&mut is_first) && self.has_header {
                continue;
            }
            let n_extra = record.len().saturating_sub(self.names.len());
            let is_padded = n_extra > 0 && record.iter().skip(self.names.len()).all(|cell| cell.trim().is_empty());
            if record.len() != self.names.len() && !is_padded {
                let problem = format!("{} cells where the first row has {}", record.len(), self.names.len());
                return Err(at(path, line(), None, problem, "mend or remove the row, or close its quotes"));
            }
            if visit(&line, &record)? == Flow::Stop {
                return Ok(());
            }
        }
        if ends_in_open_quote && watch.has_open_quote() {
            let line = line_of(source, record.position());
            return Err(at(path, line, None, "a quote is not closed", "close it"));
        }
        Ok(())
    }
}

fn reader<R: Read>(text: R, delimiter: u8) -> csv::Reader<R> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text)
}

/// The line of a row. Its position is the end of the row before; blank lines may lie between, which are counted only when somebody asks.
fn line_of(source: &Source, position: Option<&csv::Position>) -> u64 {
    let Some(position) = position else { return 0 };
    let mut blank = Vec::new();
    if let Ok((mut text, _)) = source.open()
        && std::io::copy(&mut text.by_ref().take(position.byte()), &mut std::io::sink()).is_ok()
    {
        // Blank lines that cannot be read are not counted.
        let _ = text.take(1 << 16).read_to_end(&mut blank);
    }
    position.line() + blank.iter().take_while(|b| matches!(b, b'\n' | b'\r')).filter(|b| **b == b'\n').count() as u64
}

/// The first whole rows.
fn rows(head: &str, delimiter: u8) -> Vec<StringRecord> {
    let mut rows: Vec<StringRecord> =
        reader(head.as_bytes(), delimiter).into_records().take(N_LOOKED_AT + 1).map_while(|r| r.ok()).collect();
    // The last may be cut.
    if rows.len() > 1 && !head.ends_with('\n') {
        rows.pop();
    }
    rows
}

/// The separator with which the first rows have the same number of cells; of several the rarer in text; of none the most frequent.
fn separator(head: &str, prefers_tab: bool) -> u8 {
    let score = |delimiter: u8| {
        let rows = rows(head, delimiter);
        let n_cells = rows.first().map_or(0, StringRecord::len);
        let is_regular = n_cells > 1 && rows.iter().all(|r| r.len() == n_cells);
        let n_total: usize = rows.iter().map(|r| r.len() - 1).sum();
        (prefers_tab && delimiter == b'\t' && n_cells > 1, is_regular, if is_regular { 0 } else { n_total })
    };
    // The last of equals wins.
    let found = b",|;\t".iter().max_by_key(|&&d| score(d)).copied().unwrap_or(b',');
    if score(found) == (false, false, 0) { b',' } else { found }
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

fn failure(path: &Path, source: &Source, error: csv::Error, is_ascii: bool) -> Error {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(e) => source.failure(e),
        csv::ErrorKind::Utf8 { .. } if is_ascii => Error::data(path, super::NOT_UTF8, "save it as UTF-8 text"),
        csv::ErrorKind::Utf8 { .. } => at(path, line, None, "not UTF-8 text, though lines before are", "save the file as UTF-8 text"),
        other => Error::data(path, format!("cannot be read as columns: {other:?}"), "mend the file"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::moment::recognised;
    use super::*;

    fn find(text: &str) -> Layout {
        Layout::find(Path::new("t.csv"), text, None, &recognised()).unwrap()
    }

    #[test]
    fn separators_are_found() {
        for (text, delimiter) in [
            ("a,b\n1,2\n", ','),
            ("a;b\n1,5;2,5\n", ';'),
            ("a\tb c, d\n1\tx, y\n", '\t'),
            ("a|b\n1|2\n", '|'),
            ("a\n1\n", ','),
            ("\"a;b\",c\n\"1;;2\",3\n", ','),
        ] {
            assert_eq!(find(text).delimiter as char, delimiter, "{text:?}");
        }
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
