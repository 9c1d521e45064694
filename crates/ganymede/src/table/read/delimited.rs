//! CSV, TSV and their relatives: separator, header and rows.

use std::io::Read;
use std::path::Path;

use csv::StringRecord;

use super::super::moment::Format;
use super::header::{Header, N_LOOKED_AT};
use super::source::Source;
use super::{Flow, at};
use crate::error::{Error, Result};

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
        let Header { has_header, names, notes } = Header::find(path, &rows, expected, formats)?;
        Ok(Self { delimiter, has_header, names, notes })
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
}
