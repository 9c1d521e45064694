//! A table that is one long series: its rows in their order, cut into pieces that count as series.

use std::borrow::Cow;

use super::order;
use crate::data::TableSource;
use crate::error::{Error, Result};
use crate::table::{Column, ColumnSchema, Kind, Values};

/// Names that the column may have which says what piece a row belongs to: the first that no column of the table has.
const NAMES: [&str; 3] = ["series", "piece", "window"];

/// The name of that column for a table.
///
/// # Errors
/// [`Error::Data`] if all of its names are taken.
pub fn name(source: &TableSource) -> Result<&'static str> {
    let free = NAMES.into_iter().find(|name| source.table.column(name).is_none());
    free.ok_or_else(|| {
        let problem = format!("it has columns called {}, none of which shows which rows belong together", NAMES.join(", "));
        Error::data(source.name.clone(), problem, "rename one")
    })
}

/// The table with that column before the others, which counts pieces of `longest` rows in the order of the column `order`, or of the file if that is empty; rows left at the end, too few for a piece, stay out.
/// A table that has a column called `entity` stays as it is, as does one of which long series are not to be cut.
///
/// # Errors
/// [`Error::Config`] for a column that there is not, [`Error::Data`] for an order that is none.
pub fn cut<'a>(source: &'a TableSource, entity: &str, order: Option<&str>, longest: usize) -> Result<Cow<'a, TableSource>> {
    if !NAMES.contains(&entity) || source.table.column(entity).is_some() || longest < 2 {
        return Ok(Cow::Borrowed(source));
    }
    let mut rows: Vec<usize> = (0..source.table.n_rows()).collect();
    if let Some(name) = order {
        let by = order::numbers(name, &super::columns::column(&source.table, "data.order", name)?.values)?;
        rows.sort_by(|a, b| by[*a].total_cmp(&by[*b]));
    }
    rows.truncate(rows.len() / longest * longest);
    let mut cut = source.clone();
    cut.table = source.table.take(&rows);
    let numbers = (0..rows.len()).map(|row| (row / longest) as f64).collect();
    cut.table.columns.insert(0, Column { name: entity.to_owned(), values: Values::Numbers(numbers) });
    cut.schema.columns.insert(0, ColumnSchema::new(entity, Kind::Identifier));
    cut.found.reasons.insert(0, format!("{entity}: counts pieces of {longest} rows"));
    Ok(Cow::Owned(cut))
}
