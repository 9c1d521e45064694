//! Reading Parquet, column by column.

use std::fs::File;
use std::path::Path;

use ::parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use ::parquet::column::reader::{ColumnReader as Pages, ColumnReaderImpl};
use ::parquet::data_type::DataType;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::schema::types::ColumnDescriptor;

use super::super::facts::Facts;
use super::super::frame::{Column, MISSING, Values};
use super::super::infer::{self, Inferred};
use super::super::moment::{Format, Moment, Zone, recognised};
use super::super::number;
use super::super::read::{ColumnReader, Encoding, FileFormat, Found, MAX_PASSES, N_GUESS_ROWS, Reading, place_of, require_all};
use super::super::schema::{ColumnSchema, Kind, Schema};
use crate::error::{Error, Result};

/// Cells read at once.
const N_BATCH: usize = 1 << 14;
/// Whole numbers beyond are not exact in double precision: they are kept as words.
const MAX_WHOLE: i64 = 1 << 53;

/// What the numbers or bytes of a column stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meaning {
    Number,
    /// A whole number to be divided by ten to the power of this.
    Decimal(i32),
    Unsigned,
    Date,
    /// So many a second; the flag says whether in UTC.
    Timestamp(f64, bool),
    Time(f64),
    Text,
    Uuid,
    /// Half a float: 16 bits.
    Half,
}

/// One cell that is there.
enum Cell<'a> {
    Flag(bool),
    Whole(i64),
    Number(f64),
    Bytes(&'a [u8]),
}

/// Reads a Parquet file: see [`super::super::read`].
pub(crate) fn read(path: &Path, schema: Option<&Schema>) -> Result<Reading> {
    // The reader of pages asserts what damaged files do not keep.
    let read = std::panic::catch_unwind(|| read_sound(path, schema));
    read.unwrap_or_else(|_| Err(Error::data(path, "the Parquet file is damaged", "write it again")))
}

fn read_sound(path: &Path, schema: Option<&Schema>) -> Result<Reading> {
    let file = File::open(path).map_err(|e| Error::io(path, "open", e))?;
    let reader = SerializedFileReader::new(file).map_err(|e| damaged(path, &e))?;
    let layout = reader.metadata().file_metadata().schema_descr_ptr();
    let all: Vec<String> = layout.columns().iter().map(|c| c.path().parts().first().cloned().unwrap_or_default()).collect();
    if let Some(schema) = schema {
        require_all(path, schema, &all)?;
    }
    let mut columns = Vec::new();
    for (i, descriptor) in layout.columns().iter().enumerate() {
        let name = &all[i];
        let Some(given) = place_of(path, name, schema)? else { continue };
        if descriptor.max_rep_level() > 0 || descriptor.path().parts().len() > 1 {
            let problem = format!("column \"{name}\" holds lists or records");
            return Err(Error::data(path, problem, "write a table whose cells are single values, or leave the column out in the schema"));
        }
        let source =
            Source { path, reader: &reader, column: i, meaning: meaning(path, name, descriptor)?, max_level: descriptor.max_def_level() };
        columns.push(conform(path, source.read(name)?, given.as_ref())?);
    }
    if columns.first().is_none_or(|c: &infer::Read| c.column.values.is_empty()) {
        return Err(Error::data(path, "the file has no rows", "give a table with rows"));
    }
    let Inferred { table, schema, reasons, notes } = infer::complete(columns, schema);
    table.check()?;
    let found = Found { format: FileFormat::Parquet, encoding: Encoding::Utf8, is_compressed: false, reasons, notes };
    Ok(Reading { table, schema, found })
}

/// A column of the file.
struct Source<'a> {
    path: &'a Path,
    reader: &'a SerializedFileReader<File>,
    column: usize,
    meaning: Meaning,
    max_level: i16,
}

impl Source<'_> {
    fn read(&self, name: &str) -> Result<infer::Read> {
        let is_flag = self.reader.metadata().file_metadata().schema_descr().column(self.column).physical_type() == Physical::BOOLEAN;
        if is_flag || matches!(self.meaning, Meaning::Text | Meaning::Uuid) {
            return self.words(name);
        }
        let mut values = Vec::new();
        let mut is_exact = true;
        self.each(&mut |cell| {
            let value = cell.map_or(f64::NAN, |cell| {
                is_exact &= match (&cell, self.meaning) {
                    (Cell::Whole(v), Meaning::Number) => (-MAX_WHOLE..=MAX_WHOLE).contains(v),
                    // Large ones look negative.
                    (Cell::Whole(v), Meaning::Unsigned) => (0..=MAX_WHOLE).contains(v),
                    _ => true,
                };
                self.number(&cell)
            });
            values.push(value);
            true
        })?;
        if !is_exact {
            return self.words(name);
        }
        let n_infinite = values.iter().filter(|v| v.is_infinite()).count();
        values.iter_mut().filter(|v| v.is_infinite()).for_each(|v| *v = f64::NAN);
        let mut facts = self.moments(&values);
        let column = Column { name: name.to_owned(), values: Values::Numbers(values) };
        if facts.format.is_none() {
            facts = Facts::of(&column);
        }
        facts.n_infinite = n_infinite;
        Ok(infer::Read { column, facts })
    }

    /// Facts of moments; empty for other numbers.
    fn moments(&self, values: &[f64]) -> Facts {
        let mut facts = Facts::default();
        let (text, zone) = match self.meaning {
            Meaning::Date => ("%Y-%m-%d", None),
            Meaning::Timestamp(_, false) => ("%Y-%m-%d %H:%M:%S%.f", None),
            Meaning::Timestamp(_, true) => ("%Y-%m-%dT%H:%M:%S%.f%z", Some(Zone::UTC)),
            Meaning::Time(_) => ("%H:%M:%S%.f", None),
            _ => return facts,
        };
        for value in values {
            if value.is_nan() {
                facts.marks.add("");
                continue;
            }
            let micros = ((value * 1e6).round() as i64).rem_euclid(1_000_000);
            let zeros = (0..6).take_while(|n| micros % 10i64.pow(n + 1) == 0).count() as u8;
            facts.see_moment(&Moment { seconds: *value, fraction: 6 - zeros, zone });
        }
        let text = if facts.has_fraction() { text.to_owned() } else { text.replace("%.f", "") };
        facts.format = Format::new(&text).ok();
        facts
    }

    /// The column as words, or as moments that are written as text.
    fn words(&self, name: &str) -> Result<infer::Read> {
        let formats = recognised();
        let mut column = ColumnReader::new(name.to_owned());
        let mut n_seen = 0;
        self.each(&mut |cell| {
            column.look(cell.map(|c| self.text(&c)).as_deref().unwrap_or_default().trim(), true, &formats);
            n_seen += 1;
            n_seen < N_GUESS_ROWS
        })?;
        for n_passes in 1..=MAX_PASSES {
            column.begin(&formats, n_passes == MAX_PASSES);
            self.each(&mut |cell| {
                // Nothing is fixed, so every cell fits sooner or later.
                let _ = column.add(cell.map(|c| self.text(&c)).as_deref().unwrap_or_default().trim(), true, &formats);
                true
            })?;
            let needs_another = n_passes < MAX_PASSES && column.needs_another_pass(&formats);
            if let Some(values) = column.take().filter(|_| !needs_another) {
                let facts = std::mem::take(&mut column.facts);
                return Ok(infer::Read { column: Column { name: name.to_owned(), values }, facts });
            }
        }
        Err(Error::data(self.path, format!("column \"{name}\" cannot be read"), "write it as text"))
    }

    fn number(&self, cell: &Cell<'_>) -> f64 {
        let value = match cell {
            Cell::Flag(flag) => f64::from(u8::from(*flag)),
            Cell::Whole(value) => *value as f64,
            Cell::Number(value) => *value,
            Cell::Bytes(bytes) if self.meaning == Meaning::Half => half(bytes),
            Cell::Bytes(bytes) => big_endian(bytes),
        };
        match self.meaning {
            Meaning::Decimal(scale) => value / 10f64.powi(scale),
            Meaning::Date => value * 86_400.0,
            Meaning::Timestamp(per_second, _) | Meaning::Time(per_second) => value / per_second,
            _ => value,
        }
    }

    fn text(&self, cell: &Cell<'_>) -> String {
        match cell {
            Cell::Flag(flag) => flag.to_string(),
            Cell::Whole(value) if self.meaning == Meaning::Unsigned => (*value as u64).to_string(),
            Cell::Whole(value) => value.to_string(),
            Cell::Number(value) => value.to_string(),
            Cell::Bytes(bytes) if self.meaning == Meaning::Uuid => {
                let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
                let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|r| hex.get(r).unwrap_or_default().to_owned());
                parts.join("-")
            }
            Cell::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        }
    }

    /// Hands every cell to `take`, none where it is missing, until that returns false.
    fn each(&self, take: &mut dyn FnMut(Option<Cell<'_>>) -> bool) -> Result<()> {
        let fails = |e: &ParquetError| damaged(self.path, e);
        for group in 0..self.reader.num_row_groups() {
            let group = self.reader.get_row_group(group).map_err(|e| fails(&e))?;
            let is_float = |v: &f32| v.to_string().parse().unwrap_or(f64::from(*v));
            let level = self.max_level;
            let is_unsigned = self.meaning == Meaning::Unsigned;
            let more = match group.get_column_reader(self.column).map_err(|e| fails(&e))? {
                Pages::BoolColumnReader(pages) => batches(pages, level, &mut |c| take(c.map(|v| Cell::Flag(*v)))),
                Pages::Int32ColumnReader(pages) => {
                    let whole = |v: &i32| if is_unsigned { i64::from(*v as u32) } else { i64::from(*v) };
                    batches(pages, level, &mut |c| take(c.map(|v| Cell::Whole(whole(v)))))
                }
                Pages::Int64ColumnReader(pages) => batches(pages, level, &mut |c| take(c.map(|v| Cell::Whole(*v)))),
                Pages::Int96ColumnReader(pages) => batches(pages, level, &mut |c| take(c.map(|v| Cell::Whole(v.to_micros())))),
                // The decimal number that the float was meant to be.
                Pages::FloatColumnReader(pages) => batches(pages, level, &mut |c| take(c.map(|v| Cell::Number(is_float(v))))),
                Pages::DoubleColumnReader(pages) => batches(pages, level, &mut |c| take(c.map(|v| Cell::Number(*v)))),
                Pages::ByteArrayColumnReader(pages) => batches(pages, level, &mut |c| take(c.map(|v| Cell::Bytes(v.data())))),
                Pages::FixedLenByteArrayColumnReader(pages) => batches(pages, level, &mut |c| take(c.map(|v| Cell::Bytes(v.data())))),
            };
            if !more.map_err(|e| fails(&e))? {
                break;
            }
        }
        Ok(())
    }
}

fn batches<T: DataType>(
    mut pages: ColumnReaderImpl<T>,
    max_level: i16,
    take: &mut dyn FnMut(Option<&T::T>) -> bool,
) -> std::result::Result<bool, ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    loop {
        levels.clear();
        values.clear();
        let (n, _, _) = pages.read_records(N_BATCH, (max_level > 0).then_some(&mut levels), None, &mut values)?;
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

fn meaning(path: &Path, name: &str, column: &ColumnDescriptor) -> Result<Meaning> {
    let per_second = |unit: &TimeUnit| match unit {
        TimeUnit::MILLIS => 1e3,
        TimeUnit::MICROS => 1e6,
        TimeUnit::NANOS => 1e9,
    };
    let refused = |what: &str| {
        Err(Error::data(path, format!("column \"{name}\" holds {what}"), "leave it out in the schema, or write it as text or numbers"))
    };
    Ok(match (column.logical_type_ref(), column.converted_type(), column.physical_type()) {
        (Some(LogicalType::Timestamp(t)), ..) => Meaning::Timestamp(per_second(&t.unit), t.is_adjusted_to_u_t_c),
        (Some(LogicalType::Time(t)), ..) => Meaning::Time(per_second(&t.unit)),
        (Some(LogicalType::Date), ..) | (_, ConvertedType::DATE, _) => Meaning::Date,
        (Some(LogicalType::Decimal(t)), ..) => Meaning::Decimal(t.scale),
        (Some(LogicalType::Uuid), ..) => Meaning::Uuid,
        (Some(LogicalType::Float16), ..) => Meaning::Half,
        (Some(LogicalType::Integer(t)), ..) if !t.is_signed => Meaning::Unsigned,
        (Some(LogicalType::Bson | LogicalType::Variant(_) | LogicalType::Geometry(_) | LogicalType::Geography(_)), ..) => {
            return refused("no text and no numbers");
        }
        (_, ConvertedType::INTERVAL | ConvertedType::BSON, _) => return refused("no text and no numbers"),
        (_, ConvertedType::DECIMAL, _) => Meaning::Decimal(column.type_scale()),
        (_, ConvertedType::TIMESTAMP_MILLIS, _) => Meaning::Timestamp(1e3, true),
        (_, ConvertedType::TIMESTAMP_MICROS, _) => Meaning::Timestamp(1e6, true),
        (_, ConvertedType::TIME_MILLIS, _) => Meaning::Time(1e3),
        (_, ConvertedType::TIME_MICROS, _) => Meaning::Time(1e6),
        (_, ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64, _) => Meaning::Unsigned,
        // Its only use is for moments.
        (_, _, Physical::INT96) => Meaning::Timestamp(1e6, false),
        (_, _, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY) => Meaning::Text,
        _ => Meaning::Number,
    })
}

/// Turns numbers into words, or words into numbers, where the schema says so.
fn conform(path: &Path, read: infer::Read, given: Option<&ColumnSchema>) -> Result<infer::Read> {
    let infer::Read { column, facts } = read;
    let Some(given) = given else { return Ok(infer::Read { column, facts }) };
    let values = match column.values {
        Values::Numbers(values) if matches!(given.kind, Kind::Boolean | Kind::Category) => {
            let mut index = std::collections::HashMap::new();
            let mut words: Vec<String> = Vec::new();
            let codes = values.iter().map(|value| {
                if value.is_nan() {
                    return MISSING;
                }
                *index.entry(value.to_bits()).or_insert_with(|| {
                    let mut text = String::new();
                    number::write(*value, None, 0, '.', &mut text);
                    words.push(text);
                    words.len() as u32 - 1
                })
            });
            Values::Categories { codes: codes.collect(), words }
        }
        Values::Categories { codes, words } if given.kind.is_numeric() => {
            let known = words.iter().map(|word| {
                given.parse(word).ok_or_else(|| {
                    let problem = format!("\"{word}\" in column \"{}\" is not of kind {}", column.name, given.kind.name());
                    Error::data(path, problem, "mend the cell, or the column's kind in the schema")
                })
            });
            let known = known.collect::<Result<Vec<f64>>>()?;
            Values::Numbers(codes.iter().map(|c| known.get(*c as usize).copied().unwrap_or(f64::NAN)).collect())
        }
        values => values,
    };
    Ok(infer::Read { column: Column { name: column.name, values }, facts })
}

/// Two's complement, the high byte first; what is beyond 16 bytes is no number.
fn big_endian(bytes: &[u8]) -> f64 {
    if bytes.is_empty() || bytes.len() > 16 {
        return f64::NAN;
    }
    let start = if bytes[0] >= 0x80 { -1i128 } else { 0 };
    bytes.iter().fold(start, |value, byte| (value << 8) | i128::from(*byte)) as f64
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

fn damaged(path: &Path, error: &ParquetError) -> Error {
    Error::data(path, format!("the Parquet file cannot be read: {error}"), "write it again, compressed by snappy, zstd or gzip")
}
