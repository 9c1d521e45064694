//! Writing Parquet, one row group after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::types::Type;

use super::super::typed::{Buffer, Cells, Groups};
use super::super::write::aside::Aside;
use crate::error::{Error, Result};

/// A file of row groups.
pub(crate) struct ParquetFile {
    path: PathBuf,
    writer: SerializedFileWriter<Aside>,
}

impl Groups for ParquetFile {
    const N_ROWS: usize = 1 << 17;

    fn begin(path: &Path, aside: Aside, columns: &[Buffer]) -> Result<Self> {
        let types = columns.iter().map(|column| parquet_type(column).map(Arc::new)).collect::<Result<Vec<_>, _>>();
        let root = types.and_then(|types| Type::group_type_builder("schema").with_fields(types).build());
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).set_created_by("ganymede".to_owned()).build();
        let writer = root.and_then(|root| SerializedFileWriter::new(aside, Arc::new(root), Arc::new(properties)));
        Ok(Self { path: path.to_path_buf(), writer: writer.map_err(|e| failed(path, e))? })
    }

    fn write(&mut self, columns: &[Buffer], _: usize) -> Result<()> {
        let mut write = || -> Result<(), ParquetError> {
            let mut group = self.writer.next_row_group()?;
            for buffer in columns {
                let Some(mut column) = group.next_column()? else { break };
                write_column(buffer, &mut column)?;
                column.close()?;
            }
            group.close().map(|_| ())
        };
        write().map_err(|e| failed(&self.path, e))
    }

    fn end(self) -> Result<Aside> {
        self.writer.into_inner().map_err(|e| failed(&self.path, e))
    }
}

fn parquet_type(column: &Buffer) -> Result<Type, ParquetError> {
    let (physical, logical) = match &column.cells {
        Cells::Whole(_) => (Physical::INT64, None),
        Cells::Real(_) => (Physical::DOUBLE, None),
        Cells::Flag(_) => (Physical::BOOLEAN, None),
        Cells::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Cells::Date(_) => (Physical::INT32, Some(LogicalType::Date)),
        Cells::Time(_) => (Physical::INT64, Some(LogicalType::time(false, TimeUnit::MICROS))),
        Cells::Moment { is_utc, .. } => (Physical::INT64, Some(LogicalType::timestamp(*is_utc, TimeUnit::MICROS))),
    };
    Type::primitive_type_builder(&column.schema.name, physical).with_repetition(Repetition::OPTIONAL).with_logical_type(logical).build()
}

fn write_column(buffer: &Buffer, column: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
    let levels: Vec<i16> = buffer.is_there.iter().map(|is_there| i16::from(*is_there)).collect();
    let levels = Some(levels.as_slice());
    match &buffer.cells {
        Cells::Whole(cells) | Cells::Time(cells) | Cells::Moment { micros: cells, .. } => {
            column.typed::<Int64Type>().write_batch(cells, levels, None)?
        }
        Cells::Real(cells) => column.typed::<DoubleType>().write_batch(cells, levels, None)?,
        Cells::Flag(cells) => column.typed::<BoolType>().write_batch(cells, levels, None)?,
        Cells::Text(texts) => {
            // One allocation a word, not one a row.
            let words: Vec<ByteArray> = texts.words.iter().map(|word| ByteArray::from(word.as_bytes().to_vec())).collect();
            let cells: Vec<ByteArray> = texts.codes.iter().map(|code| words[*code as usize].clone()).collect();
            column.typed::<ByteArrayType>().write_batch(&cells, levels, None)?
        }
        Cells::Date(cells) => column.typed::<Int32Type>().write_batch(cells, levels, None)?,
    };
    Ok(())
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
