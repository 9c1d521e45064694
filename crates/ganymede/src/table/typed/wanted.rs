//! Which columns of a file are read, and the table that they make.

use std::path::Path;

use super::super::infer::{self, Inferred, Read};
use super::super::names;
use super::super::read::{Encoding, FileFormat, Found, MAX_COLUMNS, Reading, place_of, require_all};
use super::super::schema::{ColumnSchema, Schema};
use crate::error::{Error, Result};

/// A column of the file that is to be read.
#[derive(Clone, Debug)]
pub(in super::super) struct Wanted {
    /// Where it stands in the file, counted from 0.
    pub idx: usize,
    /// Its name in the table.
    pub name: String,
    /// What the schema says of it, if there is one.
    pub given: Option<ColumnSchema>,
}

/// The columns to be read of a file that calls its columns `found`, and what was done about names.
///
/// # Errors
/// [`Error::Data`] if there are too many columns, or they do not fit the schema.
pub(in super::super) fn wanted<'a>(
    path: &Path,
    found: impl IntoIterator<Item = &'a str>,
    schema: Option<&Schema>,
) -> Result<(Vec<Wanted>, Vec<String>)> {
    let found: Vec<&str> = found.into_iter().collect();
    if found.len() > MAX_COLUMNS {
        return Err(Error::data(path, format!("{} columns; at most {MAX_COLUMNS} are read", found.len()), "choose fewer columns"));
    }
    let (all, notes) = names::unique(&found);
    if let Some(schema) = schema {
        require_all(path, schema, &all)?;
    }
    let mut columns = Vec::new();
    for (idx, name) in all.into_iter().enumerate() {
        if let Some(given) = place_of(path, &name, schema)? {
            columns.push(Wanted { idx, name, given });
        }
    }
    Ok((columns, notes))
}

/// The table that the columns make, with the schema given, completed, or the one found.
///
/// # Errors
/// [`Error::Data`] if there are no rows.
pub(in super::super) fn finish(
    path: &Path,
    format: FileFormat,
    columns: Vec<Read>,
    schema: Option<&Schema>,
    mut notes: Vec<String>,
) -> Result<Reading> {
    if columns.first().is_none_or(|column| column.column.values.is_empty()) {
        return Err(Error::data(path, "the file has no rows", "give a table with rows"));
    }
    let Inferred { table, schema, reasons, notes: more } = infer::complete(columns, schema);
    table.check()?;
    notes.extend(more);
    let found = Found { format, encoding: Encoding::Utf8, is_compressed: false, reasons, notes };
    Ok(Reading { table, schema, found })
}
