//! Writing Parquet, one row group after the other.

use std::path::Path;
use std::sync::Arc;

use ::parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::types::Type;

use super::super::cell::CellWriter;
use super::super::frame::{Column, MISSING, Table, Values};
use super::super::schema::{ColumnSchema, Kind};
use super::super::write::aside::Aside;
use crate::error::{Error, Result};

/// Rows of a row group, which are held in memory until it is full.
const N_GROUP: usize = 1 << 17;
/// Whole numbers up to here are exact in double precision.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// Writes a file of whole row groups.
pub(crate) struct ParquetWriter {
    /// Before the first rows say what the columns are.
    aside: Option<Aside>,
    path: std::path::PathBuf,
    file: Option<SerializedFileWriter<Aside>>,
    columns: Vec<Buffer>,
    n_rows: usize,
}

/// The rows of a column that are not written yet.
struct Buffer {
    schema: ColumnSchema,
    cells: Cells,
    /// 1 for each cell that is there, 0 for each that is missing.
    levels: Vec<i16>,
}

enum Cells {
    Int64(Vec<i64>),
    Double(Vec<f64>),
    Flag(Vec<bool>),
    Text(Vec<ByteArray>),
    /// Days since 1970-01-01.
    Date(Vec<i32>),
    /// Microseconds since 1970-01-01; in UTC, or as clocks show it.
    Moment {
        micros: Vec<i64>,
        is_utc: bool,
    },
}

impl ParquetWriter {
    /// Begins a file.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        Ok(Self { aside: Some(Aside::create(path)?), path: path.to_path_buf(), file: None, columns: Vec::new(), n_rows: 0 })
    }

    /// Appends the rows of a table whose columns `schemas` describe.
    pub(crate) fn push(&mut self, table: &Table, schemas: &[ColumnSchema]) -> Result<()> {
        if let Some(aside) = self.aside.take() {
            self.columns = table.columns.iter().zip(schemas).map(|(c, s)| Buffer::new(c, s)).collect();
            let types = self.columns.iter().map(|c| c.parquet_type().map(Arc::new)).collect::<std::result::Result<Vec<_>, _>>();
            let root = types.and_then(|types| Type::group_type_builder("schema").with_fields(types).build());
            let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).set_created_by("ganymede".to_owned()).build();
            let file = root.and_then(|root| SerializedFileWriter::new(aside, Arc::new(root), Arc::new(properties)));
            self.file = Some(file.map_err(|e| failed(&self.path, e))?);
        }
        let n_rows = table.n_rows();
        let mut start = 0;
        while start < n_rows {
            let end = n_rows.min(start + N_GROUP - self.n_rows);
            for (buffer, column) in self.columns.iter_mut().zip(&table.columns) {
                buffer
                    .extend(&column.values, start, end)
                    .map_err(|problem| Error::data(&self.path, problem, "give every part the same kind of values"))?;
            }
            self.n_rows += end - start;
            start = end;
            if self.n_rows >= N_GROUP {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Writes what is left, and puts the file in its place.
    pub(crate) fn finish(mut self) -> Result<()> {
        if self.aside.is_some() {
            // A file without columns is still a file.
            self.push(&Table::default(), &[])?;
        }
        self.flush()?;
        match self.file.take() {
            Some(file) => file.into_inner().map_err(|e| failed(&self.path, e))?.finish(),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<()> {
        let Some(file) = self.file.as_mut().filter(|_| self.n_rows > 0) else { return Ok(()) };
        let mut write = || -> std::result::Result<(), ParquetError> {
            let mut group = file.next_row_group()?;
            for buffer in &mut self.columns {
                let Some(mut column) = group.next_column()? else { break };
                buffer.write(&mut column)?;
                column.close()?;
            }
            group.close().map(|_| ())
        };
        write().map_err(|e| failed(&self.path, e))?;
        self.n_rows = 0;
        Ok(())
    }
}

impl Buffer {
    fn new(column: &Column, schema: &ColumnSchema) -> Self {
        let cells = match &column.values {
            Values::Categories { words, .. } => {
                let is_flag = schema.kind == Kind::Boolean && words.iter().all(|w| flag(w).is_some());
                if is_flag { Cells::Flag(Vec::new()) } else { Cells::Text(Vec::new()) }
            }
            Values::Numbers(_) if schema.is_moment() => match schema.moment_format() {
                Ok(format) if format.has_date() && !format.has_time() => Cells::Date(Vec::new()),
                Ok(format) if format.has_date() => Cells::Moment { micros: Vec::new(), is_utc: schema.zone.is_some() },
                _ => Cells::Text(Vec::new()),
            },
            Values::Numbers(values) => match schema.kind {
                Kind::Integer | Kind::Identifier | Kind::Constant if values.iter().all(|v| v.is_nan() || is_whole(*v)) => {
                    Cells::Int64(Vec::new())
                }
                _ => Cells::Double(Vec::new()),
            },
        };
        Self { schema: schema.clone(), cells, levels: Vec::new() }
    }

    fn parquet_type(&self) -> std::result::Result<Type, ParquetError> {
        let (physical, logical) = match &self.cells {
            Cells::Int64(_) => (Physical::INT64, None),
            Cells::Double(_) => (Physical::DOUBLE, None),
            Cells::Flag(_) => (Physical::BOOLEAN, None),
            Cells::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Cells::Date(_) => (Physical::INT32, Some(LogicalType::Date)),
            Cells::Moment { is_utc, .. } => (Physical::INT64, Some(LogicalType::timestamp(*is_utc, TimeUnit::MICROS))),
        };
        Type::primitive_type_builder(&self.schema.name, physical).with_repetition(Repetition::OPTIONAL).with_logical_type(logical).build()
    }

    fn extend(&mut self, values: &Values, start: usize, end: usize) -> std::result::Result<(), String> {
        let other = format!("column \"{}\" changes its kind from part to part", self.schema.name);
        let writer = CellWriter::new(&self.schema);
        // One allocation a word, not one a row.
        let shared: Vec<ByteArray> = match (values, &self.cells) {
            (Values::Categories { words, .. }, Cells::Text(_)) => words.iter().map(|w| ByteArray::from(w.as_bytes().to_vec())).collect(),
            _ => Vec::new(),
        };
        for row in start..end {
            let is_missing = values.is_missing(row);
            self.levels.push(i16::from(!is_missing));
            if is_missing {
                continue;
            }
            match (&mut self.cells, values) {
                (Cells::Int64(cells), Values::Numbers(values)) if is_whole(values[row]) => cells.push(values[row] as i64),
                (Cells::Double(cells), Values::Numbers(values)) => cells.push(values[row]),
                (Cells::Date(cells), Values::Numbers(values)) => cells.push((values[row] / 86_400.0).floor() as i32),
                (Cells::Moment { micros, .. }, Values::Numbers(values)) => micros.push((values[row] * 1e6).round() as i64),
                (Cells::Flag(cells), Values::Categories { .. }) => {
                    cells.push(values.word(row).and_then(flag).ok_or_else(|| other.clone())?)
                }
                (Cells::Text(cells), Values::Categories { codes, .. }) => {
                    let code = codes.get(row).copied().unwrap_or(MISSING);
                    cells.push(shared.get(code as usize).cloned().ok_or_else(|| other.clone())?);
                }
                (Cells::Text(cells), Values::Numbers(_)) => {
                    let mut text = String::new();
                    writer.write(values, row, &mut text);
                    cells.push(ByteArray::from(text.into_bytes()));
                }
                _ => return Err(other),
            }
        }
        Ok(())
    }

    fn write(&mut self, column: &mut SerializedColumnWriter<'_>) -> std::result::Result<(), ParquetError> {
        let levels = Some(self.levels.as_slice());
        match &self.cells {
            Cells::Int64(cells) => column.typed::<Int64Type>().write_batch(cells, levels, None)?,
            Cells::Moment { micros, .. } => column.typed::<Int64Type>().write_batch(micros, levels, None)?,
            Cells::Double(cells) => column.typed::<DoubleType>().write_batch(cells, levels, None)?,
            Cells::Flag(cells) => column.typed::<BoolType>().write_batch(cells, levels, None)?,
            Cells::Text(cells) => column.typed::<ByteArrayType>().write_batch(cells, levels, None)?,
            Cells::Date(cells) => column.typed::<Int32Type>().write_batch(cells, levels, None)?,
        };
        self.levels.clear();
        match &mut self.cells {
            Cells::Int64(cells) | Cells::Moment { micros: cells, .. } => cells.clear(),
            Cells::Double(cells) => cells.clear(),
            Cells::Flag(cells) => cells.clear(),
            Cells::Text(cells) => cells.clear(),
            Cells::Date(cells) => cells.clear(),
        }
        Ok(())
    }
}

fn is_whole(value: f64) -> bool {
    value.fract() == 0.0 && value.abs() <= MAX_WHOLE
}

fn flag(word: &str) -> Option<bool> {
    // "True" would not come back.
    match word {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn failed(path: &Path, error: ParquetError) -> Error {
    match error {
        ParquetError::External(source) if source.is::<std::io::Error>() => match source.downcast::<std::io::Error>() {
            Ok(source) => Error::io(path, "write the file", *source),
            Err(source) => Error::data(path, source.to_string(), "write as CSV"),
        },
        other => Error::data(path, format!("cannot be written as Parquet: {other}"), "write as CSV"),
    }
}
