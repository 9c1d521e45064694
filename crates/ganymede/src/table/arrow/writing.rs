//! Writing an Arrow IPC file, one batch of rows after the other.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::NullBuffer;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};

use super::super::typed::{Buffer, Cells, Groups};
use super::super::write::aside::Aside;
use crate::error::{Error, Result};

const ZONE: &str = "UTC";

/// A file of batches, not compressed, so that every program can read and map it. Words are plain strings, as pandas and polars write them.
pub(crate) struct ArrowFile {
    path: PathBuf,
    schema: Arc<Schema>,
    writer: FileWriter<BufWriter<Aside>>,
}

impl Groups for ArrowFile {
    const N_ROWS: usize = 1 << 16;

    fn begin(path: &Path, aside: Aside, columns: &[Buffer]) -> Result<Self> {
        let fields: Vec<Field> = columns.iter().map(|column| Field::new(&column.schema.name, data_type(&column.cells), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let writer = FileWriter::try_new(BufWriter::with_capacity(1 << 20, aside), &schema).map_err(|e| failed(path, e))?;
        Ok(Self { path: path.to_path_buf(), schema, writer })
    }

    fn write(&mut self, columns: &[Buffer], _: usize) -> Result<()> {
        let arrays = columns.iter().map(|column| array(&self.path, column)).collect::<Result<Vec<_>>>()?;
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).map_err(|e| failed(&self.path, e))?;
        self.writer.write(&batch).map_err(|e| failed(&self.path, e))
    }

    fn end(self) -> Result<Aside> {
        let file = self.writer.into_inner().map_err(|e| failed(&self.path, e))?;
        file.into_inner().map_err(|e| Error::io(&self.path, "write the file", e.into_error()))
    }
}

fn data_type(cells: &Cells) -> DataType {
    match cells {
        Cells::Whole(_) => DataType::Int64,
        Cells::Real(_) => DataType::Float64,
        Cells::Flag(_) => DataType::Boolean,
        Cells::Text(_) => DataType::Utf8,
        Cells::Date(_) => DataType::Date32,
        Cells::Time(_) => DataType::Time64(TimeUnit::Microsecond),
        Cells::Moment { is_utc, .. } => DataType::Timestamp(TimeUnit::Microsecond, is_utc.then(|| ZONE.into())),
    }
}

fn array(path: &Path, column: &Buffer) -> Result<ArrayRef> {
    let is_there = &column.is_there;
    let nulls = Some(NullBuffer::from(is_there.as_slice())).filter(|nulls| nulls.null_count() > 0);
    Ok(match &column.cells {
        Cells::Whole(cells) => Arc::new(Int64Array::new(spread(cells, is_there).into(), nulls)),
        Cells::Real(cells) => Arc::new(Float64Array::new(spread(cells, is_there).into(), nulls)),
        Cells::Flag(cells) => Arc::new(BooleanArray::new(spread(cells, is_there).into(), nulls)),
        Cells::Date(cells) => Arc::new(Date32Array::new(spread(cells, is_there).into(), nulls)),
        Cells::Time(cells) => Arc::new(Time64MicrosecondArray::new(spread(cells, is_there).into(), nulls)),
        Cells::Moment { micros, is_utc } => {
            let moments = TimestampMicrosecondArray::new(spread(micros, is_there).into(), nulls);
            Arc::new(if *is_utc { moments.with_timezone(ZONE) } else { moments })
        }
        Cells::Text(texts) => {
            let n_bytes: usize = texts.codes.iter().map(|code| texts.words[*code as usize].len()).sum();
            if i32::try_from(n_bytes).is_err() {
                let problem = format!("the texts of column \"{}\" are longer than 2 GiB in {} rows", column.schema.name, is_there.len());
                return Err(Error::data(path, problem, "write as CSV"));
            }
            let mut codes = texts.codes.iter();
            let word = |is_there: &bool| if *is_there { codes.next().map(|code| texts.words[*code as usize].as_str()) } else { None };
            Arc::new(is_there.iter().map(word).collect::<StringArray>())
        }
    })
}

/// The cells that are there in their rows, and zeros in the others.
fn spread<T: Copy + Default>(cells: &[T], is_there: &[bool]) -> Vec<T> {
    let mut cells = cells.iter().copied();
    is_there.iter().map(|is_there| if *is_there { cells.next().unwrap_or_default() } else { T::default() }).collect()
}

fn failed(path: &Path, error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, source) => Error::io(path, "write the file", source),
        other => Error::data(path, format!("cannot be written as Arrow: {other}"), "write as CSV"),
    }
}
