//! Reading Parquet, column by column.

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;

use ::parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use ::parquet::column::reader::{ColumnReader as Pages, ColumnReaderImpl};
use ::parquet::data_type::DataType;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::schema::types::ColumnDescriptor;

use super::super::read::{FileFormat, Reading};
use super::super::schema::Schema;
use super::super::typed::{Cell, Meaning, TypedColumn, finish, meant, read_columns, wanted};
use crate::error::{Error, Result};

/// Cells read at once.
const N_BATCH: usize = 1 << 14;

/// How the numbers or bytes of a column are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stored {
    /// As they are.
    Plain,
    /// Whole numbers without sign.
    Unsigned,
    /// Whole numbers, two's complement, the high byte first where they are bytes.
    BigEndian,
    /// Half a float: 16 bits.
    Half,
    /// 16 bytes.
    Uuid,
}

/// Reads a Parquet file: see [`super::super::read`].
pub(crate) fn read(path: &Path, schema: Option<&Schema>) -> Result<Reading> {
    soundly(path, || read_sound(path, schema))
}

/// What `read` gives, or the error of a damaged file: the reader of pages asserts what those do not keep.
pub(crate) fn soundly<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    read.unwrap_or_else(|_| Err(Error::data(path, "the Parquet file is damaged", "write it again")))
}

/// The file at `path`, of which the layout was read.
pub(crate) fn opened(path: &Path) -> Result<SerializedFileReader<File>> {
    let file = File::open(path).map_err(|e| Error::io(path, "open", e))?;
    SerializedFileReader::new(file).map_err(|e| damaged(path, &e))
}

fn read_sound(path: &Path, schema: Option<&Schema>) -> Result<Reading> {
    let reader = opened(path)?;
    let layout = reader.metadata().file_metadata().schema_descr_ptr();
    let fields = layout.root_schema().get_fields();
    let (wanted, notes) = wanted(path, fields.iter().map(|field| field.name()), schema)?;
    // The leaf of each column that is one.
    let mut leaves = vec![None; fields.len()];
    (0..layout.num_columns()).for_each(|leaf| leaves[layout.get_column_root_idx(leaf)] = Some(leaf));
    let (mut columns, mut sources) = (Vec::new(), vec![None; fields.len()]);
    for wanted in wanted {
        let leaf = leaves[wanted.idx].filter(|leaf| fields[wanted.idx].is_primitive() && layout.column(*leaf).max_rep_level() == 0);
        let Some(leaf) = leaf else {
            let problem = format!("column \"{}\" holds lists or records", wanted.name);
            return Err(Error::data(path, problem, "write a table whose cells are single values, or leave the column out in the schema"));
        };
        let (stored, meaning) = meaning(path, &wanted.name, &layout.column(leaf))?;
        sources[wanted.idx] = Some(Source { leaf, stored, max_level: layout.column(leaf).max_def_level() });
        columns.push(TypedColumn::new(wanted, meaning));
    }
    let columns = read_columns(path, columns, |columns| {
        for column in columns.iter_mut().filter(|column| column.wants_more()) {
            let Some(source) = &sources[column.idx] else { continue };
            let read = source.each(&reader, &mut |cell| {
                column.take(cell);
                column.wants_more()
            });
            read.map_err(|e| damaged(path, &e))?;
        }
        Ok(())
    })?;
    finish(path, FileFormat::Parquet, columns, schema, notes)
}

/// A column of the file.
#[derive(Clone)]
struct Source {
    leaf: usize,
    stored: Stored,
    max_level: i16,
}

impl Source {
    /// Hands every cell to `take`, none where it is missing, until that returns false.
    fn each(&self, reader: &SerializedFileReader<File>, take: &mut dyn FnMut(Option<Cell<'_>>) -> bool) -> Result<(), ParquetError> {
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group)?;
            let level = self.max_level;
            let is_unsigned = self.stored == Stored::Unsigned;
            let more = match group.get_column_reader(self.leaf)? {
                Pages::BoolColumnReader(pages) => batches(pages, (level, N_BATCH), &mut |c| take(c.map(|v| Cell::Flag(*v))))?,
                Pages::Int32ColumnReader(pages) => {
                    let whole = |v: &i32| if is_unsigned { i128::from(*v as u32) } else { i128::from(*v) };
                    batches(pages, (level, N_BATCH), &mut |c| take(c.map(|v| Cell::Whole(whole(v)))))?
                }
                Pages::Int64ColumnReader(pages) => {
                    let whole = |v: &i64| if is_unsigned { i128::from(*v as u64) } else { i128::from(*v) };
                    batches(pages, (level, N_BATCH), &mut |c| take(c.map(|v| Cell::Whole(whole(v)))))?
                }
                Pages::Int96ColumnReader(pages) => {
                    batches(pages, (level, N_BATCH), &mut |c| take(c.map(|v| Cell::Whole(i128::from(v.to_micros())))))?
                }
                Pages::FloatColumnReader(pages) => batches(pages, (level, N_BATCH), &mut |c| take(c.map(|v| Cell::Number(meant(*v)))))?,
                Pages::DoubleColumnReader(pages) => batches(pages, (level, N_BATCH), &mut |c| take(c.map(|v| Cell::Number(*v))))?,
                Pages::ByteArrayColumnReader(pages) => batches(pages, (level, N_BATCH), &mut |c| take(c.map(|v| self.bytes(v.data()))))?,
                Pages::FixedLenByteArrayColumnReader(pages) => {
                    batches(pages, (level, N_BATCH), &mut |c| take(c.map(|v| self.bytes(v.data()))))?
                }
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn bytes<'a>(&self, bytes: &'a [u8]) -> Cell<'a> {
        match self.stored {
            Stored::BigEndian => big_endian(bytes),
            Stored::Half => Cell::Number(half(bytes)),
            Stored::Uuid => Cell::Text(Cow::Owned(uuid(bytes))),
            Stored::Plain | Stored::Unsigned => Cell::Text(String::from_utf8_lossy(bytes)),
        }
    }
}

/// Hands every cell of a column without repetition to `take`, nothing where it is missing, until that returns false, and says whether it never did. `at_once` cells are read together.
pub(crate) fn batches<T: DataType>(
    mut pages: ColumnReaderImpl<T>,
    (max_level, at_once): (i16, usize),
    take: &mut dyn FnMut(Option<&T::T>) -> bool,
) -> Result<bool, ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    loop {
        levels.clear();
        values.clear();
        let (n, _, _) = pages.read_records(at_once, (max_level > 0).then_some(&mut levels), None, &mut values)?;
        if n == 0 {
            return Ok(true);
        }
        let mut present = values.iter();
        for row in 0..n {
            let is_there = max_level == 0 || levels.get(row) == Some(&max_level);
            if !take(if is_there { present.next() } else { None }) {
                return Ok(false);
            }
        }
    }
}

fn meaning(path: &Path, name: &str, column: &ColumnDescriptor) -> Result<(Stored, Meaning)> {
    let per_second = |unit: &TimeUnit| match unit {
        TimeUnit::MILLIS => 1e3,
        TimeUnit::MICROS => 1e6,
        TimeUnit::NANOS => 1e9,
    };
    let refused = |what: &str| {
        Err(Error::data(path, format!("column \"{name}\" holds {what}"), "leave it out in the schema, or write it as text or numbers"))
    };
    let plain = |meaning| (Stored::Plain, meaning);
    Ok(match (column.logical_type_ref(), column.converted_type(), column.physical_type()) {
        (Some(LogicalType::Timestamp(t)), ..) => {
            plain(Meaning::Timestamp { per_second: per_second(&t.unit), is_utc: t.is_adjusted_to_u_t_c })
        }
        (Some(LogicalType::Time(t)), ..) => plain(Meaning::Time(per_second(&t.unit))),
        (Some(LogicalType::Date), ..) | (_, ConvertedType::DATE, _) => plain(Meaning::Date),
        (Some(LogicalType::Decimal(t)), ..) => (Stored::BigEndian, Meaning::Decimal(t.scale)),
        (Some(LogicalType::Uuid), ..) => (Stored::Uuid, Meaning::Text),
        (Some(LogicalType::Float16), ..) => (Stored::Half, Meaning::Number),
        (Some(LogicalType::Integer(t)), ..) if !t.is_signed => (Stored::Unsigned, Meaning::Number),
        (Some(LogicalType::Bson | LogicalType::Variant(_) | LogicalType::Geometry(_) | LogicalType::Geography(_)), ..) => {
            return refused("no text and no numbers");
        }
        (_, ConvertedType::INTERVAL | ConvertedType::BSON, _) => return refused("no text and no numbers"),
        (_, ConvertedType::DECIMAL, _) => (Stored::BigEndian, Meaning::Decimal(column.type_scale())),
        (_, ConvertedType::TIMESTAMP_MILLIS, _) => plain(Meaning::Timestamp { per_second: 1e3, is_utc: true }),
        (_, ConvertedType::TIMESTAMP_MICROS, _) => plain(Meaning::Timestamp { per_second: 1e6, is_utc: true }),
        (_, ConvertedType::TIME_MILLIS, _) => plain(Meaning::Time(1e3)),
        (_, ConvertedType::TIME_MICROS, _) => plain(Meaning::Time(1e6)),
        (_, ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64, _) => {
            (Stored::Unsigned, Meaning::Number)
        }
        // Its only use is for moments.
        (_, _, Physical::INT96) => plain(Meaning::Timestamp { per_second: 1e6, is_utc: false }),
        (_, _, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY | Physical::BOOLEAN) => plain(Meaning::Text),
        _ => plain(Meaning::Number),
    })
}

/// Two's complement, the high byte first; what is beyond 16 bytes is no number.
fn big_endian(bytes: &[u8]) -> Cell<'static> {
    if bytes.is_empty() || bytes.len() > 16 {
        return Cell::Number(f64::NAN);
    }
    let start = if bytes[0] >= 0x80 { -1i128 } else { 0 };
    Cell::Whole(bytes.iter().fold(start, |value, byte| (value << 8) | i128::from(*byte)))
}

/// IEEE 754 binary16, the low byte first.
fn half(bytes: &[u8]) -> f64 {
    let &[low, high] = bytes else { return f64::NAN };
    let bits = u16::from_le_bytes([low, high]);
    let (sign, exponent, fraction) = (if bits >> 15 == 1 { -1.0 } else { 1.0 }, i32::from((bits >> 10) & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}

fn uuid(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|r| hex.get(r).unwrap_or_default().to_owned()).join("-")
}

/// The error of a file that cannot be read.
pub(crate) fn damaged(path: &Path, error: &ParquetError) -> Error {
    Error::data(path, format!("the Parquet file cannot be read: {error}"), "write it again, compressed by snappy, lz4, zstd or gzip")
}
