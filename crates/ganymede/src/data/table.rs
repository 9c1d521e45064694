//! Tables of few numbers as points of a space.

use super::points::PointTable;
use super::table_source::TableSource;
use crate::error::{Error, Result};
use crate::table::{FileFormat, Values};

/// Fewer rows are not a distribution.
const MIN_ROWS: usize = 10;

/// The points of a table of numbers, none of which is missing.
///
/// # Errors
/// [`Error::Data`] if there are too few, or a number is too large.
pub(super) fn points(source: &TableSource) -> Result<PointTable> {
    let n_rows = source.table.n_rows();
    if n_rows < MIN_ROWS {
        return Err(Error::data(&source.name, format!("{n_rows} rows of numbers; at least {MIN_ROWS} are needed"), "add rows"));
    }
    let has_names = !matches!(source.found.format, FileFormat::Delimited { has_header: false, .. });
    let name = |(i, name): (usize, &String)| if has_names { name.clone() } else { format!("x{}", i + 1) };
    let columns = source.table.columns.iter().map(|column| &column.name).enumerate().map(name).collect();
    let mut values = Vec::with_capacity(n_rows * source.table.columns.len());
    for row in 0..n_rows {
        for column in &source.table.columns {
            let Values::Numbers(numbers) = &column.values else { continue };
            let number = numbers[row] as f32;
            if !number.is_finite() {
                let problem = format!("column \"{}\" holds {}, which is too large for a 32-bit number", column.name, numbers[row]);
                return Err(Error::data(&source.name, problem, "replace it, or remove the row"));
            }
            values.push(number);
        }
    }
    Ok(PointTable { name: source.name.clone(), columns, values, modes: None, license: source.license.clone() })
}
