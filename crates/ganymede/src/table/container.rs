//! Which kind of table a file is, by its first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zip::ZipArchive;

use super::read::Reading;
use super::schema::Schema;
use crate::error::{Error, Result};

/// The endings of tables that can be read, for messages.
pub(crate) const READ: &str = if cfg!(all(feature = "arrow", feature = "excel", feature = "parquet")) {
    ".csv, .tsv, .jsonl, also .gz, .parquet, .arrow, .feather, .xlsx"
} else {
    ".csv, .tsv, .jsonl, also .gz"
};
/// Directories of archives beyond are not looked through: a workbook has fewer parts.
const MAX_PARTS: usize = 1 << 16;

/// A file of a table that is not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow IPC file, which is also Feather of version 2.
    ArrowFile,
    /// Apache Arrow IPC stream.
    ArrowStream,
    /// Office Open XML workbook (.xlsx, .xlsm).
    Workbook,
    /// Binary workbook (.xlsb).
    BinaryWorkbook,
    /// OpenDocument spreadsheet (.ods).
    OpenDocument,
}

impl Container {
    /// What the file at `path` is; nothing for text and everything else.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn of(path: &Path) -> Result<Option<Self>> {
        let mut file = File::open(path).map_err(|e| Error::io(path, "open", e))?;
        let mut head = Vec::new();
        file.by_ref().take(8).read_to_end(&mut head).map_err(|e| Error::io(path, "read", e))?;
        if head.starts_with(b"PK\x03\x04") {
            return Ok(of_archive(file));
        }
        // A continuation mark and the length of the first message.
        let length = head.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_le_bytes);
        Ok(match head.as_slice() {
            [b'P', b'A', b'R', b'1', ..] => Some(Self::Parquet),
            [b'A', b'R', b'R', b'O', b'W', b'1', ..] => Some(Self::ArrowFile),
            [0xff, 0xff, 0xff, 0xff, ..] if length > 0 => Some(Self::ArrowStream),
            _ => None,
        })
    }

    /// Reads the table: see [`super::read`].
    pub(super) fn read(self, path: &Path, schema: Option<&Schema>) -> Result<Reading> {
        let refused = |what: &str, remedy: &str| Err(Error::data(path, format!("the file is {what}"), remedy));
        // Without a feature, its files are still called by their name.
        let _ = schema;
        match self {
            #[cfg(feature = "parquet")]
            Self::Parquet => super::parquet::read(path, schema),
            #[cfg(feature = "arrow")]
            Self::ArrowFile | Self::ArrowStream => super::arrow::read(path, self == Self::ArrowStream, schema),
            #[cfg(feature = "excel")]
            Self::Workbook => super::excel::read(path, schema),
            Self::BinaryWorkbook => refused("a binary workbook (.xlsb)", "save it as .xlsx or .csv"),
            Self::OpenDocument => refused("an OpenDocument spreadsheet", "save it as .xlsx or .csv"),
            #[cfg(not(all(feature = "arrow", feature = "excel", feature = "parquet")))]
            _ => refused(self.name(), "build the program with the feature arrow, excel or parquet, or save the table as .csv"),
        }
    }

    #[cfg(not(all(feature = "arrow", feature = "excel", feature = "parquet")))]
    fn name(self) -> &'static str {
        match self {
            Self::Parquet => "a Parquet table, which this build does not read",
            Self::ArrowFile | Self::ArrowStream => "an Arrow table, which this build does not read",
            _ => "a workbook, which this build does not read",
        }
    }
}

/// Which workbook an archive is, if it is one. Archives that cannot be read are none: their own reader says what is wrong.
fn of_archive(file: File) -> Option<Container> {
    let zip = ZipArchive::new(file).ok().filter(|zip| zip.len() <= MAX_PARTS)?;
    let names: Vec<String> = zip.file_names().filter_map(|name| name.ok().map(|name| name.into_owned())).collect();
    let has = |start: &str, end: &str| {
        let middle =
            |name: &String| name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)).is_some_and(|rest| !rest.contains('/'));
        names.iter().any(middle)
    };
    let is_office = zip.index_for_name("[Content_Types].xml").is_some();
    match () {
        () if is_office && has("xl/workbook", ".xml") => Some(Container::Workbook),
        () if is_office && has("xl/workbook", ".bin") => Some(Container::BinaryWorkbook),
        () if zip.index_for_name("content.xml").is_some() && zip.index_for_name("mimetype").is_some() => Some(Container::OpenDocument),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn of(bytes: &[u8]) -> Option<Container> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Container::of(file.path()).unwrap()
    }

    fn archive(names: &[&str]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for name in names {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(b"x").unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn files_are_known_by_their_bytes() {
        assert_eq!(of(b"PAR1...."), Some(Container::Parquet));
        assert_eq!(of(b"ARROW1\0\0"), Some(Container::ArrowFile));
        assert_eq!(of(b"\xff\xff\xff\xff\x10\0\0\0"), Some(Container::ArrowStream));
        for other in [&b""[..], b"a,b\n1,2\n", b"\xff\xff\xff\xff", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"PK\x03\x04 no archive"] {
            assert_eq!(of(other), None, "{other:?}");
        }
    }

    #[test]
    fn workbooks_are_told_from_archives_of_pictures() {
        assert_eq!(of(&archive(&["[Content_Types].xml", "xl/workbook.xml"])), Some(Container::Workbook));
        assert_eq!(of(&archive(&["[Content_Types].xml", "xl/workbook.bin"])), Some(Container::BinaryWorkbook));
        assert_eq!(of(&archive(&["mimetype", "content.xml"])), Some(Container::OpenDocument));
        for names in [&["a.png", "b.png"][..], &["xl/workbook.xml"], &["[Content_Types].xml", "word/document.xml"]] {
            assert_eq!(of(&archive(names)), None, "{names:?}");
        }
    }
}
