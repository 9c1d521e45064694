//! Tables into files: CSV, TSV, JSON lines, plain or compressed by gzip; Parquet and Arrow.

pub(crate) mod aside;
#[cfg(test)]
mod tests;
mod text;

use std::io::{BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::frame::{Column, Table, Values};
use super::schema::{ColumnSchema, Kind, Schema};
#[cfg(any(feature = "arrow", feature = "parquet"))]
use super::typed::TypedWriter;
use crate::error::{Error, Result};
use aside::Aside;
use text::Style;

/// The endings that [`TableWriter::create`] knows, for messages.
const ENDINGS: &str = if cfg!(all(feature = "arrow", feature = "parquet")) {
    ".csv, .tsv, .jsonl, each also with .gz, .parquet, .arrow or .feather"
} else {
    ".csv, .tsv or .jsonl, each also with .gz"
};

/// How to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Puts an apostrophe before words of CSV and TSV files that a spreadsheet would run as formulas: those that begin with `=`, `+`, `-`, `@`, a tab or a carriage return. Words are then not given back as they were.
    pub escape_formulas: bool,
}

/// Writes a table part by part. The file appears in its place when [`TableWriter::finish`] is called; otherwise nothing is left.
pub struct TableWriter {
    schema: Schema,
    sink: Sink,
    columns: Option<Vec<ColumnSchema>>,
}

enum Sink {
    Text {
        out: TextSink,
        style: Style,
    },
    #[cfg(feature = "parquet")]
    Parquet(Box<TypedWriter<super::parquet::ParquetFile>>),
    #[cfg(feature = "arrow")]
    Arrow(Box<TypedWriter<super::arrow::ArrowFile>>),
}

enum TextSink {
    Plain(BufWriter<Aside>),
    Gzip(Box<GzEncoder<BufWriter<Aside>>>),
}

/// Writes a whole table in the formats of `schema`; the ending of `path` says as what. Columns that the schema does not have are written as they are; those that it leaves out are not written.
///
/// # Errors
/// [`Error::Config`] if the ending is not known; [`Error::Data`] if the table does not hold together; [`Error::Io`].
pub fn write(path: &Path, table: &Table, schema: &Schema, options: &WriteOptions) -> Result<()> {
    let mut writer = TableWriter::create(path, schema, options)?;
    writer.push(table)?;
    writer.finish()
}

/// A whole table as CSV text.
///
/// # Errors
/// [`Error::Data`] if the table does not hold together.
pub fn to_csv(table: &Table, schema: &Schema) -> Result<Vec<u8>> {
    table.check()?;
    let style = Style::Delimited { delimiter: b',', escape_formulas: false };
    let columns: Vec<ColumnSchema> = table.columns.iter().map(|c| described(c, schema)).collect();
    let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
    let mut out = text::header(style, &names).into_bytes();
    text::rows(style, table, &columns, |text| {
        out.extend_from_slice(text.as_bytes());
        Ok::<(), Error>(())
    })?;
    Ok(out)
}

/// A whole table as a JSON list with an object for each row.
///
/// # Errors
/// [`Error::Data`] if the table does not hold together.
pub fn to_json_rows(table: &Table, schema: &Schema) -> Result<Vec<u8>> {
    table.check()?;
    let columns: Vec<ColumnSchema> = table.columns.iter().map(|c| described(c, schema)).collect();
    let mut out = b"[".to_vec();
    text::rows(Style::JsonLines, table, &columns, |text| {
        for line in text.lines() {
            out.extend_from_slice(if out.len() > 1 { b",\n" } else { b"\n" });
            out.extend_from_slice(line.as_bytes());
        }
        Ok::<(), Error>(())
    })?;
    out.extend_from_slice(b"\n]");
    Ok(out)
}

impl TableWriter {
    /// Begins a file; see [`write()`].
    ///
    /// # Errors
    /// As [`write()`].
    pub fn create(path: &Path, schema: &Schema, options: &WriteOptions) -> Result<Self> {
        schema.check()?;
        let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        let (stem, is_gzip) = name.strip_suffix(".gz").map_or((name.as_str(), false), |stem| (stem, true));
        let style = match stem.rsplit_once('.').map(|(_, ending)| ending) {
            Some("csv") => Style::Delimited { delimiter: b',', escape_formulas: options.escape_formulas },
            Some("tsv" | "tab") => Style::Delimited { delimiter: b'\t', escape_formulas: options.escape_formulas },
            Some("jsonl" | "ndjson") => Style::JsonLines,
            #[cfg(feature = "parquet")]
            Some("parquet") if !is_gzip => {
                let sink = Sink::Parquet(Box::new(TypedWriter::create(path)?));
                return Ok(Self { schema: schema.clone(), sink, columns: None });
            }
            #[cfg(feature = "arrow")]
            Some("arrow" | "feather" | "ipc") if !is_gzip => {
                let sink = Sink::Arrow(Box::new(TypedWriter::create(path)?));
                return Ok(Self { schema: schema.clone(), sink, columns: None });
            }
            _ => {
                return Err(Error::config(
                    "output",
                    format!("\"{}\" has no ending that is known", path.display()),
                    format!("end it in {ENDINGS}"),
                ));
            }
        };
        let file = BufWriter::with_capacity(1 << 20, Aside::create(path)?);
        let out = if is_gzip { TextSink::Gzip(Box::new(GzEncoder::new(file, Compression::new(6)))) } else { TextSink::Plain(file) };
        Ok(Self { schema: schema.clone(), sink: Sink::Text { out, style }, columns: None })
    }

    /// Appends the rows of a table. All parts must have the same columns.
    ///
    /// # Errors
    /// As [`write()`].
    pub fn push(&mut self, table: &Table) -> Result<()> {
        table.check()?;
        let is_kept = |c: &&Column| self.schema.column(&c.name).is_none_or(|s| !s.leave_out);
        if table.columns.iter().any(|c| !is_kept(&c)) {
            let kept = Table { columns: table.columns.iter().filter(is_kept).cloned().collect() };
            return self.push(&kept);
        }
        let is_first = self.columns.is_none();
        let columns = self.columns.get_or_insert_with(|| table.columns.iter().map(|c| described(c, &self.schema)).collect());
        if columns.iter().map(|c| &c.name).ne(table.columns.iter().map(|c| &c.name)) {
            return Err(Error::data("the table", "its parts have different columns", "give every part the same columns"));
        }
        match &mut self.sink {
            Sink::Text { out, style } => {
                let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
                if is_first {
                    out.put(&text::header(*style, &names))?;
                }
                text::rows(*style, table, columns, |text| out.put(text))
            }
            #[cfg(feature = "parquet")]
            Sink::Parquet(writer) => writer.push(table, columns),
            #[cfg(feature = "arrow")]
            Sink::Arrow(writer) => writer.push(table, columns),
        }
    }

    /// Puts the complete file in its place.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(self) -> Result<()> {
        match self.sink {
            Sink::Text { out, .. } => out.finish(),
            #[cfg(feature = "parquet")]
            Sink::Parquet(writer) => writer.finish(),
            #[cfg(feature = "arrow")]
            Sink::Arrow(writer) => writer.finish(),
        }
    }
}

impl TextSink {
    fn path(&self) -> &Path {
        match self {
            Self::Plain(file) => file.get_ref().path(),
            Self::Gzip(packer) => packer.get_ref().get_ref().path(),
        }
    }

    fn put(&mut self, text: &str) -> Result<()> {
        let written = match self {
            Self::Plain(file) => file.write_all(text.as_bytes()),
            Self::Gzip(packer) => packer.write_all(text.as_bytes()),
        };
        written.map_err(|e| Error::io(self.path(), "write the file", e))
    }

    fn finish(self) -> Result<()> {
        let path = self.path().to_path_buf();
        let failed = |e| Error::io(&path, "write the file", e);
        let file = match self {
            Self::Plain(file) => file,
            Self::Gzip(packer) => packer.finish().map_err(failed)?,
        };
        file.into_inner().map_err(|e| failed(e.into_error()))?.finish()
    }
}

/// The schema of a column; of one that the schema does not have, what its values are.
fn described(column: &Column, schema: &Schema) -> ColumnSchema {
    let is_number = matches!(column.values, Values::Numbers(_));
    match schema.column(&column.name) {
        // Numbers of a column of words, or the other way round, are written as they are.
        Some(given) if given.kind.is_numeric() == is_number || matches!(given.kind, Kind::Identifier | Kind::Constant) => given.clone(),
        _ => ColumnSchema::new(&column.name, if is_number { Kind::Real } else { Kind::Category }),
    }
}
