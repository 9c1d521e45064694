//! The cells of a sheet, column by column.

use std::collections::HashMap;
use std::io::{Read, Seek};
use std::path::Path;

use calamine::{DataRef, ExcelDateTime, XlsxCellReader, XlsxError};

use super::super::calendar::days_from_civil;
use super::super::read::{MAX_COLUMNS, sparse};
use super::reading::damaged;
use crate::error::{Error, Result};

/// Serial numbers of days from here on are beyond the year 9999.
const END_OF_DAYS: f64 = 2_958_466.0;

/// A cell. Texts stand in a list of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Slot {
    Missing,
    Flag(bool),
    Number(f64),
    /// Seconds since 1970-01-01, as clocks show it.
    Moment(f64),
    /// Seconds since midnight.
    Clock(f64),
    /// Seconds.
    Duration(f64),
    /// Place of the text.
    Text(u32),
}

/// The rows of a sheet that have cells.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// The columns that have cells; those that end early lack the last rows.
    pub columns: Vec<Vec<Slot>>,
    /// Texts of cells, each once.
    pub texts: Vec<String>,
    /// Rows, without those in which there is nothing.
    pub n_rows: usize,
}

impl Sheet {
    /// Reads all cells.
    ///
    /// # Errors
    /// [`Error::Data`] if the sheet is damaged, or far larger than what is in it.
    pub(super) fn read<RS: Read + Seek>(path: &Path, name: &str, mut cells: XlsxCellReader<'_, RS>) -> Result<Self> {
        let mut sheet = Self::default();
        let mut index: HashMap<String, u32> = HashMap::new();
        let (mut last, mut n_given, mut n_columns) = (None, 0u64, 0usize);
        while let Some(cell) = next(path, name, &mut cells)? {
            let at = cell.get_position();
            if last.is_some_and(|last| last >= at) {
                let problem = format!("the cells of sheet \"{name}\" are out of order");
                return Err(Error::data(path, problem, "open the workbook in a spreadsheet program and save it again"));
            }
            let column = at.1 as usize;
            if column >= MAX_COLUMNS {
                let problem = format!("sheet \"{name}\" has a cell in column {}; at most {MAX_COLUMNS} are read", column + 1);
                return Err(Error::data(path, problem, "choose fewer columns"));
            }
            if last.is_none_or(|(row, _)| row != at.0) {
                sheet.n_rows += 1;
                sparse::check(path, sheet.n_rows, n_columns, n_given)?;
            }
            last = Some(at);
            let slot = slot(cell.get_value(), &mut index);
            if sheet.columns.len() <= column {
                sheet.columns.resize_with(column + 1, Vec::new);
            }
            let slots = &mut sheet.columns[column];
            n_columns += usize::from(slots.is_empty());
            slots.resize(sheet.n_rows - 1, Slot::Missing);
            slots.push(slot);
            n_given += 1;
        }
        sheet.columns.retain(|slots| slots.iter().any(|slot| *slot != Slot::Missing));
        sheet.texts = vec![String::new(); index.len()];
        index.into_iter().for_each(|(text, place)| sheet.texts[place as usize] = text);
        Ok(sheet)
    }

    /// Whether a sheet has cells at all.
    ///
    /// # Errors
    /// [`Error::Data`] if the sheet is damaged.
    pub(super) fn has_cells<RS: Read + Seek>(path: &Path, name: &str, mut cells: XlsxCellReader<'_, RS>) -> Result<bool> {
        next(path, name, &mut cells).map(|cell| cell.is_some())
    }
}

/// The next cell in which there is something.
fn next<'a, RS: Read + Seek>(path: &Path, name: &str, cells: &mut XlsxCellReader<'a, RS>) -> Result<Option<calamine::Cell<DataRef<'a>>>> {
    loop {
        match cells.next_cell() {
            Ok(Some(cell)) if is_empty(cell.get_value()) => {}
            Ok(cell) => return Ok(cell),
            Err(XlsxError::CellError(text)) => {
                let problem = format!("a cell of sheet \"{name}\" holds the error \"{text}\", which is not known");
                return Err(Error::data(path, problem, "clear the cell"));
            }
            Err(e) => return Err(damaged(path, &e)),
        }
    }
}

fn is_empty(value: &DataRef<'_>) -> bool {
    match value {
        DataRef::Empty => true,
        DataRef::String(text) => text.trim().is_empty(),
        DataRef::SharedString(text) => text.trim().is_empty(),
        _ => false,
    }
}

fn slot(value: &DataRef<'_>, index: &mut HashMap<String, u32>) -> Slot {
    let mut text = |text: &str| {
        let text = text.trim();
        let next = index.len() as u32;
        Slot::Text(index.get(text).copied().unwrap_or_else(|| {
            index.insert(text.to_owned(), next);
            next
        }))
    };
    match value {
        DataRef::Int(value) => Slot::Number(*value as f64),
        DataRef::Float(value) => Slot::Number(*value),
        DataRef::Bool(flag) => Slot::Flag(*flag),
        DataRef::DateTime(moment) => moment_slot(moment),
        DataRef::String(value) | DataRef::DateTimeIso(value) | DataRef::DurationIso(value) => text(value),
        DataRef::SharedString(value) => text(value),
        // #N/A, #DIV/0! and so on: nothing is known.
        DataRef::Error(_) | DataRef::Empty => Slot::Missing,
    }
}

/// Less than a day is a time of the day, unless the format is one of durations.
fn moment_slot(moment: &ExcelDateTime) -> Slot {
    let value = moment.as_f64();
    // Spreadsheets count milliseconds.
    let seconds = |days: f64| (days * 86_400e3).round() / 1e3;
    match value {
        _ if moment.is_duration() => Slot::Duration(seconds(value)),
        0.0..1.0 => Slot::Clock(seconds(value)),
        1.0..END_OF_DAYS => {
            let (year, month, day, hour, minute, second, milli) = moment.to_ymd_hms_milli();
            let days = days_from_civil(year.into(), month.into(), day.into());
            let in_day = f64::from(hour) * 3600.0 + f64::from(minute) * 60.0 + f64::from(second) + f64::from(milli) / 1e3;
            Slot::Moment(days as f64 * 86_400.0 + in_day)
        }
        _ => Slot::Number(value),
    }
}

#[cfg(test)]
mod tests {
    use calamine::ExcelDateTimeType::{DateTime, TimeDelta};

    use super::*;

    #[test]
    fn serial_numbers_are_moments() {
        let of = |value, kind, is_1904| moment_slot(&ExcelDateTime::new(value, kind, is_1904));
        // date -u -d '2024-02-29 12:00' +%s
        assert_eq!(of(45_351.5, DateTime, false), Slot::Moment(1_709_208_000.0));
        assert_eq!(of(45_351.5 - 1462.0, DateTime, true), Slot::Moment(1_709_208_000.0));
        // 1900-03-01 is day 61, for the 29th of February before it that never was.
        assert_eq!(of(61.0, DateTime, false), Slot::Moment(-2_203_891_200.0));
        assert_eq!(of(0.75, DateTime, false), Slot::Clock(64_800.0));
        assert_eq!(of(1.25, TimeDelta, false), Slot::Duration(108_000.0));
        assert_eq!(of(-3.0, DateTime, false), Slot::Number(-3.0));
        assert_eq!(of(5e6, DateTime, false), Slot::Number(5e6));
    }
}
