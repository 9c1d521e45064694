//! Arrow's types as what their cells stand for.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowDictionaryKeyType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DurationMicrosecondType,
    DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayAccessor, ArrowPrimitiveType};
use arrow_buffer::ArrowNativeType;
use arrow_schema::{DataType, TimeUnit};

use super::super::typed::{Cell, Meaning, meant};

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// The cell of a row; none where it is missing.
pub(super) type At<'a> = Box<dyn Fn(usize) -> Option<Cell<'a>> + 'a>;

/// What the cells of a type stand for; nothing for types that hold no single numbers or words.
pub(super) fn meaning(data_type: &DataType) -> Option<Meaning> {
    let per_second = |unit: &TimeUnit| 10f64.powi(digits(unit));
    Some(match data_type {
        DataType::Dictionary(_, values) if !matches!(**values, DataType::Dictionary(..)) => meaning(values)?,
        DataType::Null | DataType::Float16 | DataType::Float32 | DataType::Float64 => Meaning::Number,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Meaning::Number,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => Meaning::Number,
        DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Meaning::Text,
        DataType::Date32 | DataType::Date64 => Meaning::Date,
        DataType::Timestamp(unit, zone) => Meaning::Timestamp { per_second: per_second(unit), is_utc: zone.is_some() },
        DataType::Time32(unit) | DataType::Time64(unit) => Meaning::Time(per_second(unit)),
        // In seconds.
        DataType::Duration(unit) => Meaning::Decimal(digits(unit)),
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
            Meaning::Decimal(i32::from(*scale))
        }
        _ => return None,
    })
}

/// The cells of an array of a type that has a [`meaning`].
pub(super) fn cells(array: &dyn Array) -> Option<At<'_>> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    Some(match array.data_type() {
        DataType::Null => Box::new(|_| None),
        DataType::Boolean => {
            let flags = array.as_boolean();
            Box::new(move |i| flags.is_valid(i).then(|| Cell::Flag(flags.value(i))))
        }
        DataType::Int8 => whole::<Int8Type>(array),
        DataType::Int16 => whole::<Int16Type>(array),
        DataType::Int32 => whole::<Int32Type>(array),
        DataType::Int64 => whole::<Int64Type>(array),
        DataType::UInt8 => whole::<UInt8Type>(array),
        DataType::UInt16 => whole::<UInt16Type>(array),
        DataType::UInt32 => whole::<UInt32Type>(array),
        DataType::UInt64 => whole::<UInt64Type>(array),
        DataType::Float16 => of::<Float16Type>(array, |v| Cell::Number(f64::from(v))),
        DataType::Float32 => of::<Float32Type>(array, |v| Cell::Number(meant(v))),
        DataType::Float64 => of::<Float64Type>(array, Cell::Number),
        DataType::Date32 => whole::<Date32Type>(array),
        DataType::Date64 => of::<Date64Type>(array, |v| Cell::Whole(v.div_euclid(DAY).into())),
        DataType::Timestamp(Second, _) => whole::<TimestampSecondType>(array),
        DataType::Timestamp(Millisecond, _) => whole::<TimestampMillisecondType>(array),
        DataType::Timestamp(Microsecond, _) => whole::<TimestampMicrosecondType>(array),
        DataType::Timestamp(Nanosecond, _) => whole::<TimestampNanosecondType>(array),
        DataType::Time32(Second) => whole::<Time32SecondType>(array),
        DataType::Time32(_) => whole::<Time32MillisecondType>(array),
        DataType::Time64(Nanosecond) => whole::<Time64NanosecondType>(array),
        DataType::Time64(_) => whole::<Time64MicrosecondType>(array),
        DataType::Duration(Second) => whole::<DurationSecondType>(array),
        DataType::Duration(Millisecond) => whole::<DurationMillisecondType>(array),
        DataType::Duration(Microsecond) => whole::<DurationMicrosecondType>(array),
        DataType::Duration(Nanosecond) => whole::<DurationNanosecondType>(array),
        DataType::Decimal32(..) => whole::<Decimal32Type>(array),
        DataType::Decimal64(..) => whole::<Decimal64Type>(array),
        DataType::Decimal128(..) => whole::<Decimal128Type>(array),
        // Beyond 38 digits all that can be kept are the leading ones.
        DataType::Decimal256(..) => of::<Decimal256Type>(array, |v| {
            v.to_i128().map_or_else(|| Cell::Number(v.to_string().parse().unwrap_or(f64::NAN)), Cell::Whole)
        }),
        DataType::Utf8 => text(array.as_string::<i32>()),
        DataType::LargeUtf8 => text(array.as_string::<i64>()),
        DataType::Utf8View => text(array.as_string_view()),
        DataType::Dictionary(key, _) => {
            let dictionary = array.as_any_dictionary();
            let (keys, values) = (dictionary.keys(), cells(dictionary.values().as_ref())?);
            match **key {
                DataType::Int8 => looked_up::<Int8Type>(keys, values),
                DataType::Int16 => looked_up::<Int16Type>(keys, values),
                DataType::Int32 => looked_up::<Int32Type>(keys, values),
                DataType::Int64 => looked_up::<Int64Type>(keys, values),
                DataType::UInt8 => looked_up::<UInt8Type>(keys, values),
                DataType::UInt16 => looked_up::<UInt16Type>(keys, values),
                DataType::UInt32 => looked_up::<UInt32Type>(keys, values),
                DataType::UInt64 => looked_up::<UInt64Type>(keys, values),
                _ => return None,
            }
        }
        _ => return None,
    })
}

/// Digits after the point of a second.
fn digits(unit: &TimeUnit) -> i32 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

fn of<'a, T: ArrowPrimitiveType>(array: &'a dyn Array, cell: impl Fn(T::Native) -> Cell<'static> + 'a) -> At<'a> {
    let values = array.as_primitive::<T>();
    Box::new(move |i| values.is_valid(i).then(|| cell(values.value(i))))
}

fn whole<'a, T: ArrowPrimitiveType<Native: Into<i128>>>(array: &'a dyn Array) -> At<'a> {
    of::<T>(array, |value| Cell::Whole(value.into()))
}

fn text<'a>(texts: impl ArrayAccessor<Item = &'a str> + 'a) -> At<'a> {
    Box::new(move |i| texts.is_valid(i).then(|| Cell::Text(Cow::Borrowed(texts.value(i)))))
}

fn looked_up<'a, K: ArrowDictionaryKeyType>(keys: &'a dyn Array, values: At<'a>) -> At<'a> {
    let keys = keys.as_primitive::<K>();
    Box::new(move |i| if keys.is_valid(i) { values(keys.value(i).as_usize()) } else { None })
}
