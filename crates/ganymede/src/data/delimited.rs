//! Text in columns: encoding, separator and lines of a CSV or TSV file.

use std::path::Path;

use csv::StringRecord;

use crate::error::{Error, Result};

/// Checked text and its separator.
pub(super) struct Text<'a> {
    path: &'a Path,
    text: &'a str,
    delimiter: u8,
}

/// One line of it, or several where a quoted cell holds line ends.
pub(super) struct Row {
    /// The cells, unquoted.
    pub cells: StringRecord,
    /// Line on which it begins, from 1.
    pub line: u64,
}

impl<'a> Text<'a> {
    /// Checks that `bytes` are UTF-8 text, with or without byte order mark, and finds the separator: comma, semicolon or tab.
    pub(super) fn check(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let remedy = "save it as UTF-8 text with commas between columns";
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(Error::data(path, "the file is UTF-16 text", remedy));
        }
        if bytes.contains(&0) {
            return Err(Error::data(path, "the file is not text (it holds zero bytes)", format!("name {}", super::SUPPORTED)));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|e| {
            let line = 1 + bytes[..e.valid_up_to()].iter().filter(|&&b| b == b'\n').count() as u64;
            at(path, line, None, "not UTF-8 text", remedy)
        })?;
        Ok(Self { path, text, delimiter: sniff(text) })
    }

    /// All non-empty lines, the header included. Lines may differ in their number of cells.
    pub(super) fn records(&self) -> impl Iterator<Item = Result<Row>> {
        let reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(self.delimiter).from_reader(self.text.as_bytes());
        reader.into_records().map(move |record| match record {
            Ok(cells) => Ok(Row { line: cells.position().map_or(0, |at| self.line_of(at)), cells }),
            Err(e) => Err(Error::data(self.path, format!("cannot be read as columns: {e}"), "mend the file")),
        })
    }

    /// The reader's position is the end of the record before; blank lines may lie between.
    fn line_of(&self, position: &csv::Position) -> u64 {
        let rest = self.text.as_bytes().get(position.byte() as usize..).unwrap_or_default();
        let blank = rest.iter().take_while(|b| matches!(b, b'\n' | b'\r')).filter(|&&b| b == b'\n').count();
        position.line() + blank as u64
    }
}

/// An error at a line and column, both counted from 1, written `file.csv:12:3`.
pub(super) fn at(path: &Path, line: u64, column: Option<usize>, problem: impl Into<String>, remedy: impl Into<String>) -> Error {
    let column = column.map(|c| format!(":{c}")).unwrap_or_default();
    Error::data(format!("{}:{line}{column}", path.display()), problem, remedy)
}

/// The separator that occurs equally often in each of the first lines, else the most frequent one, else the comma.
fn sniff(text: &str) -> u8 {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).take(10).collect();
    let score = |delimiter: u8| {
        let counts: Vec<usize> = lines.iter().map(|line| occurrences(line, delimiter)).collect();
        let total: usize = counts.iter().sum();
        let is_regular = total > 0 && counts.iter().all(|&n| n == counts[0]);
        (is_regular, total)
    };
    // The last of equals wins.
    *b"\t;,".iter().max_by_key(|&&d| score(d)).unwrap_or(&b',')
}

fn occurrences(line: &str, delimiter: u8) -> usize {
    let mut is_quoted = false;
    let mut n = 0;
    for byte in line.bytes() {
        is_quoted ^= byte == b'"';
        n += usize::from(!is_quoted && byte == delimiter);
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(text: &str) -> Vec<Vec<String>> {
        let text = Text::check(Path::new("t.csv"), text.as_bytes()).unwrap();
        text.records().map(|r| r.unwrap().cells.iter().map(String::from).collect()).collect()
    }

    #[test]
    fn the_separator_is_found() {
        for text in ["a,b\n1,2\n", "a;b\n1;2\n", "a\tb\n1\t2\n", "\u{feff}a,b\r\n1,2\r\n", "a;b\n\n1;2"] {
            assert_eq!(cells(text), [["a", "b"], ["1", "2"]], "{text:?}");
        }
        assert_eq!(cells("x;y\n1,5;2,5\n"), [["x", "y"], ["1,5", "2,5"]]);
        assert_eq!(cells("one\n1\n"), [["one"], ["1"]]);
    }

    #[test]
    fn quotes_hold_separators_and_line_ends() {
        assert_eq!(cells("\"a;b,c\",\"d\ne\"\n1,2\n"), [["a;b,c", "d\ne"], ["1", "2"]]);
    }

    #[test]
    fn lines_are_counted_with_blank_ones() {
        for end in ["\n", "\r\n"] {
            let text = ["a,b", "", "", "1,2", "\"3", "4\",5", "6,7"].join(end);
            let text = Text::check(Path::new("t.csv"), text.as_bytes()).unwrap();
            let lines: Vec<u64> = text.records().map(|r| r.unwrap().line).collect();
            assert_eq!(lines, [1, 4, 5, 7], "{end:?}");
        }
    }

    #[test]
    fn other_encodings_are_named() {
        let message = |bytes: &[u8]| Text::check(Path::new("t.csv"), bytes).err().unwrap().to_string();
        assert!(message(b"\xff\xfea\0").contains("UTF-16"));
        assert!(message(b"a,b\n1,\xe9\n").starts_with("t.csv:2: not UTF-8"));
        assert!(message(b"a\0b").contains("zero bytes"));
    }
}
