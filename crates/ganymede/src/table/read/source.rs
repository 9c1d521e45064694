//! Bytes of a file as UTF-8 text: unpacked, decoded, and never more of one row than memory can hold.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use super::super::container::READ;
use crate::error::{Error, Result};

/// Bytes looked at to find out what a file is.
const HEAD_BYTES: u64 = 2 << 20;
/// A longer row is not one: a quote was not closed.
const MAX_ROW_BYTES: u64 = 64 << 20;

/// How text is stored as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without byte order mark.
    Utf8,
    /// Windows-1252, of which Latin-1 is the part that files use.
    Windows1252,
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
}

/// A text file, looked at but not read.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    pub is_compressed: bool,
    pub encoding: Encoding,
    /// Its beginning; the last character may be cut.
    pub head: String,
}

impl Source {
    /// Looks at the first bytes.
    pub(super) fn probe(path: &Path) -> Result<Self> {
        let raw = head(File::open(path).map_err(|e| Error::io(path, "open", e))?).map_err(|e| Error::io(path, "read", e))?;
        let is_compressed = raw.starts_with(&[0x1f, 0x8b]);
        if let Some(kind) = foreign_kind(&raw) {
            return Err(Error::data(path, format!("the file is {kind}"), format!("save it as one of {READ}")));
        }
        let bytes = if is_compressed {
            let file = File::open(path).map_err(|e| Error::io(path, "open", e))?;
            head(MultiGzDecoder::new(file)).map_err(|e| failure(path, e))?
        } else {
            raw
        };
        let encoding = encoding(&bytes);
        let mut source = Self { path: path.to_path_buf(), is_compressed, encoding, head: String::new() };
        let mut decoded = Vec::new();
        source.open()?.0.take(HEAD_BYTES).read_to_end(&mut decoded).map_err(|e| failure(path, e))?;
        source.head = String::from_utf8_lossy(&decoded).into_owned();
        if source.head.trim().is_empty() {
            return Err(Error::data(path, "the file has no lines with content", "give a table with a header and rows"));
        }
        Ok(source)
    }

    /// Opens the text from its beginning, without byte order mark.
    pub(super) fn open(&self) -> Result<(impl Read + use<>, Watch)> {
        let file = File::open(&self.path).map_err(|e| Error::io(&self.path, "open", e))?;
        let bytes: Box<dyn Read> = if self.is_compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        let watch = Watch::default();
        Ok((
            Decoder {
                bytes,
                encoding: self.encoding,
                buffer: vec![0; 64 << 10],
                kept: 0,
                out: Vec::new(),
                taken: 0,
                is_first: true,
                watch: watch.clone(),
            },
            watch,
        ))
    }

    /// The error for what went wrong while reading.
    pub(super) fn failure(&self, error: io::Error) -> Error {
        failure(&self.path, error)
    }
}

/// Counts what has been read.
#[derive(Clone, Default)]
pub(super) struct Watch {
    in_row: Rc<Cell<u64>>,
    quotes: Rc<Cell<u64>>,
}

impl Watch {
    /// A row ended.
    pub(super) fn end_row(&self) {
        self.in_row.set(0);
    }

    /// Whether the number of quotes so far is odd.
    pub(super) fn has_open_quote(&self) -> bool {
        self.quotes.get() % 2 == 1
    }
}

struct Decoder {
    bytes: Box<dyn Read>,
    encoding: Encoding,
    buffer: Vec<u8>,
    /// Bytes at the start of the buffer that are half a character.
    kept: usize,
    out: Vec<u8>,
    taken: usize,
    is_first: bool,
    watch: Watch,
}

impl Read for Decoder {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.out.len() {
            let n = self.bytes.read(&mut self.buffer[self.kept..])?;
            let available = self.kept + n;
            if n == 0 && self.kept == 0 {
                return Ok(0);
            }
            self.out.clear();
            self.taken = 0;
            self.decode(available, n == 0)?;
            if std::mem::take(&mut self.is_first) && self.out.starts_with(b"\xef\xbb\xbf") {
                self.taken = 3;
            }
        }
        let n = target.len().min(self.out.len() - self.taken);
        target[..n].copy_from_slice(&self.out[self.taken..self.taken + n]);
        self.taken += n;
        self.count(&target[..n])?;
        Ok(n)
    }
}

impl Decoder {
    fn decode(&mut self, available: usize, is_end: bool) -> io::Result<()> {
        self.kept = 0;
        let bytes = &self.buffer[..available];
        match self.encoding {
            Encoding::Utf8 => self.out.extend_from_slice(bytes),
            Encoding::Windows1252 => {
                for &byte in bytes {
                    let c = windows_1252(byte).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the file is not text"))?;
                    self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            Encoding::Utf16Le | Encoding::Utf16Be => {
                let unit = |pair: &[u8]| {
                    let pair = [pair[0], pair[1]];
                    if self.encoding == Encoding::Utf16Le { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
                };
                let units: Vec<u16> = bytes.chunks_exact(2).map(unit).collect();
                // A pair of units may be cut in half.
                let n_units =
                    if !is_end && units.last().is_some_and(|u| (0xd800..0xdc00).contains(u)) { units.len() - 1 } else { units.len() };
                for c in char::decode_utf16(units[..n_units].iter().copied()) {
                    self.out.extend_from_slice(c.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut [0; 4]).as_bytes());
                }
                if !is_end {
                    self.buffer.copy_within(2 * n_units..available, 0);
                    self.kept = available - 2 * n_units;
                }
            }
        }
        Ok(())
    }

    fn count(&self, text: &[u8]) -> io::Result<()> {
        if text.contains(&0) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is not text (it holds zero bytes)"));
        }
        let quotes = text.iter().filter(|b| **b == b'"').count() as u64;
        self.watch.quotes.set(self.watch.quotes.get() + quotes);
        let in_row = self.watch.in_row.get() + text.len() as u64;
        self.watch.in_row.set(in_row);
        if in_row > MAX_ROW_BYTES {
            let problem = format!("a row is longer than {} MiB (a quote may not be closed)", MAX_ROW_BYTES >> 20);
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        Ok(())
    }
}

fn failure(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData => {
            Error::data(path, error.to_string(), "mend the file, or save it as UTF-8 text with commas between columns")
        }
        io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            Error::data(path, format!("the compressed file is damaged: {error}"), "use another copy of it")
        }
        _ => Error::io(path, "read", error),
    }
}

fn head(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(HEAD_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a file of another kind is, when its first bytes say so.
fn foreign_kind(head: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 10] = [
        (b"FEA1", "a Feather table of the first version"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\xd0\xcf\x11\xe0", "a workbook of the old kind (.xls), or one with a password"),
        (b"%PDF", "a PDF document"),
        (b"SQLite format 3", "an SQLite database"),
        (b"\x93NUMPY", "a NumPy array"),
        (b"\x89HDF", "an HDF5 file"),
        (b"\xfd7zXZ", "an xz-compressed file"),
        (b"BZh", "a bzip2-compressed file"),
        (b"\x28\xb5\x2f\xfd", "a Zstandard-compressed file"),
    ];
    KINDS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, kind)| *kind)
}

/// Byte order marks first; then the zeros that every second byte of UTF-16 is in western text; then whether it could be UTF-8.
fn encoding(bytes: &[u8]) -> Encoding {
    if bytes.starts_with(b"\xff\xfe") {
        return Encoding::Utf16Le;
    }
    if bytes.starts_with(b"\xfe\xff") {
        return Encoding::Utf16Be;
    }
    let n_zeros = |from: usize| bytes.iter().skip(from).step_by(2).take(512).filter(|b| **b == 0).count();
    let half = bytes.len().div_ceil(2).min(512);
    match (n_zeros(0), n_zeros(1)) {
        (0, n) if half >= 2 && n * 10 > half * 7 => return Encoding::Utf16Le,
        (n, 0) if half >= 2 && n * 10 > half * 7 => return Encoding::Utf16Be,
        _ => {}
    }
    match std::str::from_utf8(bytes) {
        // A file whose valid part has other letters than ASCII is damaged UTF-8, not Windows-1252.
        Err(e) if e.error_len().is_some() && bytes[..e.valid_up_to()].is_ascii() => Encoding::Windows1252,
        _ => Encoding::Utf8,
    }
}

/// The character of a byte, per the WHATWG Encoding Standard, index windows-1252, but without the five bytes that are control characters there.
fn windows_1252(byte: u8) -> Option<char> {
    const HIGH: [u16; 32] = [
        0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0, 0, 0x2018, 0x2019,
        0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
    ];
    match byte {
        0x80..=0x9f => char::from_u32(u32::from(HIGH[usize::from(byte) - 0x80])).filter(|c| *c != '\0'),
        _ => Some(char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn text(bytes: &[u8]) -> Result<(String, Encoding)> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let source = Source::probe(file.path())?;
        let mut out = String::new();
        source.open()?.0.read_to_string(&mut out).map_err(|e| source.failure(e))?;
        Ok((out, source.encoding))
    }

    fn utf_16(text: &str, mark: bool) -> Vec<u8> {
        mark.then_some(0xfeff).into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn encodings_are_found_and_decoded() {
        assert_eq!(text("a,é\n".as_bytes()).unwrap(), ("a,é\n".into(), Encoding::Utf8));
        assert_eq!(text("\u{feff}a,b\n".as_bytes()).unwrap(), ("a,b\n".into(), Encoding::Utf8));
        assert_eq!(text(b"name,caf\xe9,\x80 \x93x\x94\n").unwrap(), ("name,café,€ “x”\n".into(), Encoding::Windows1252));
        let long = "naïve 𝄞 text,1\n".repeat(20_000);
        assert_eq!(text(&utf_16(&long, true)).unwrap(), (long, Encoding::Utf16Le));
        assert_eq!(text(&utf_16("a,b\n1,2\n", false)).unwrap(), ("a,b\n1,2\n".into(), Encoding::Utf16Le));
        let big: Vec<u8> = "\u{feff}a,b\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(text(&big).unwrap(), ("a,b\n".into(), Encoding::Utf16Be));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let message = |bytes: &[u8]| text(bytes).unwrap_err().to_string();
        assert!(message(b"a,b\n1,\0\n").contains("zero bytes"));
        assert!(message(b"a,\x81\n").contains("not text"));
        assert!(message(b"PK\x03\x04xx").contains("ZIP archive"));
        assert!(message(b"").contains("no lines"));
        assert!(message(b" \n\n").contains("no lines"));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all("a,b\n1,2\n".repeat(1000).as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        assert!(text(&packed).unwrap().0.starts_with("a,b\n"));
        assert!(message(&packed[..packed.len() / 2]).contains("damaged"));
    }

    #[test]
    fn a_row_without_end_is_refused() {
        let bytes = vec![b'x'; (MAX_ROW_BYTES + 1) as usize];
        assert!(text(&bytes).unwrap_err().to_string().contains("a row is longer than 64 MiB"));
    }
}
