//! A table that was read, with what it was taken for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::image_set::hexadecimal;
use super::{tables_source, with_commas};
use crate::error::{Error, Result};
use crate::table::{self, ColumnSchema, Found, Kind, Reading, Schema, Table, Values};

/// Rows of mixed columns.
#[derive(Debug, Clone)]
pub struct TableSource {
    /// Path or built-in name, as given.
    pub name: String,
    /// Where it was read; nothing for built-in data.
    pub path: Option<PathBuf>,
    /// The rows, without the columns that the schema leaves out.
    pub table: Table,
    /// What each column holds.
    pub schema: Schema,
    /// How the file was read, and why each column is what it is.
    pub found: Found,
    /// SHA-256 over names and values, hexadecimal.
    pub fingerprint: String,
    /// Licence as an SPDX expression; `unknown` for people's own files.
    pub license: String,
}

impl TableSource {
    /// Reads a file, or the files of a folder that all have the same columns: then the first column says which file a row is of.
    ///
    /// # Errors
    /// As [`table::read`].
    pub fn open(name: &str, path: &Path, schema: Option<&Schema>) -> Result<Self> {
        let Reading { table, schema, found } = if path.is_dir() { read_folder(path, schema)? } else { table::read(path, schema)? };
        let fingerprint = fingerprint(&table);
        Ok(Self { name: name.to_owned(), path: Some(path.to_path_buf()), table, schema, found, fingerprint, license: "unknown".to_owned() })
    }

    /// The same file read by that schema file, or by SDV's metadata where its name ends in `.json`.
    ///
    /// # Errors
    /// As [`table::read`], and [`Error::Config`] for a schema that cannot be used.
    pub fn with_schema(&self, schema: &Path) -> Result<Self> {
        let schema = if schema.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")) {
            let stem = Path::new(&self.name).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
            let text = std::fs::read_to_string(schema).map_err(|e| crate::Error::io(schema, "read", e))?;
            Schema::from_sdv(&text, &stem, &self.schema)?
        } else {
            Schema::load(schema)?
        };
        match &self.path {
            Some(path) => Self::open(&self.name, path, Some(&schema)),
            None => Err(Error::config("data.schema", "built-in data has its own schema", "leave it out")),
        }
    }

    /// The same file read by the schema of another table: cells are what they are there, and columns that it does not have, or leaves out, are left out.
    ///
    /// # Errors
    /// [`Error::Data`] if a column that says something is not there, or a cell does not fit.
    pub fn read_as(self: Arc<Self>, schema: &Schema) -> Result<Arc<Self>> {
        let Some(path) = &self.path else { return Ok(self) };
        let of = |found: &ColumnSchema| match schema.column(&found.name) {
            Some(known) => known.clone(),
            None => ColumnSchema { leave_out: true, ..found.clone() },
        };
        let wanted = Schema { columns: self.schema.columns.iter().map(of).collect(), constraints: Vec::new() };
        let says_something = |column: &&ColumnSchema| !matches!(column.kind, Kind::Identifier | Kind::Constant);
        if let Some(absent) = schema.kept().filter(says_something).find(|column| wanted.column(&column.name).is_none()) {
            let names: Vec<&str> = self.schema.columns.iter().map(|column| column.name.as_str()).collect();
            let problem = format!("there is no column \"{}\"; it has {}", absent.name, names.join(", "));
            return Err(Error::data(self.name.clone(), problem, "give tables with the same columns"));
        }
        if wanted.columns == self.schema.columns {
            return Ok(self);
        }
        Ok(Arc::new(Self::open(&self.name, path, Some(&wanted))?))
    }

    /// Whether it is few columns of numbers, none missing: points of a space rather than records.
    pub(super) fn is_points(&self) -> bool {
        const FEW: usize = 3;
        let columns = &self.table.columns;
        let is_number = |values: &Values| matches!(values, Values::Numbers(numbers) if numbers.iter().all(|v| v.is_finite()));
        let is_moment = self.schema.columns.iter().any(|column| column.kind == Kind::Datetime);
        !is_moment
            && self.schema.columns.len() == columns.len()
            && columns.len() <= FEW
            && columns.iter().all(|column| is_number(&column.values))
    }

    /// (heading, text) lines for `ganymede inspect`.
    pub(super) fn describe(&self) -> Vec<(String, String)> {
        let mut lines = vec![
            ("kind".to_owned(), "rows of mixed columns".to_owned()),
            ("rows".into(), with_commas(self.table.n_rows())),
            ("columns".into(), with_commas(self.table.columns.len())),
        ];
        lines.extend(self.found.reasons.iter().map(|reason| ("column".to_owned(), reason.clone())));
        lines.extend(self.found.notes.iter().map(|note| ("note".to_owned(), note.clone())));
        let identifiers = self.schema.columns.iter().filter(|column| column.kind == Kind::Identifier).count();
        if identifiers > 0 {
            lines.push(("note".into(), format!("{identifiers} columns identify rows: they are not learned, and made anew")));
        }
        lines.push(("license".into(), self.license.clone()));
        lines
    }
}

/// Names that the column may have which says which file a row is of: the first that no file has.
const FILE_COLUMNS: [&str; 3] = ["file", "file_name", "source_file"];
/// So many tables with the same columns in a folder are parts of one.
const PARTS: usize = 20;

fn read_folder(folder: &Path, schema: Option<&Schema>) -> Result<Reading> {
    let files: Vec<PathBuf> = tables_source::files_in(folder)?.iter().map(|file| folder.join(file)).collect();
    let names = files.first().and_then(|file| table::column_names(file)).unwrap_or_default();
    let Some(column) = FILE_COLUMNS.into_iter().find(|name| names.iter().all(|own| own != name)) else {
        let problem = format!("the files have columns called {}", FILE_COLUMNS.join(", "));
        return Err(Error::data(folder, problem, "rename one"));
    };
    table::read_files(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>(), column, schema)
}

/// Whether the tables of a folder are parts of one: many, of which nine in ten have the same names of columns. Reading then says which file has others.
pub(super) fn are_parts(folder: &Path, files: &[String]) -> bool {
    if files.len() < PARTS {
        return false;
    }
    let mut n_files: HashMap<Vec<String>, usize> = HashMap::new();
    for file in files {
        if let Some(mut names) = table::column_names(&folder.join(file)) {
            names.sort();
            *n_files.entry(names).or_default() += 1;
        }
    }
    n_files.into_values().any(|n| 10 * n >= 9 * files.len())
}

/// Whether a file's name says that it is a table.
pub(super) fn has_ending_of_table(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [".csv", ".tsv", ".tab", ".txt", ".jsonl", ".ndjson", ".json"].iter().any(|ending| name.ends_with(ending))
}

fn fingerprint(table: &Table) -> String {
    let mut hash = Sha256::new();
    for column in &table.columns {
        hash.update((column.name.len() as u64).to_le_bytes());
        hash.update(column.name.as_bytes());
        match &column.values {
            Values::Numbers(values) => values.iter().for_each(|v| hash.update(v.to_bits().to_le_bytes())),
            Values::Categories { codes, words } => {
                codes.iter().for_each(|code| hash.update(code.to_le_bytes()));
                words.iter().for_each(|word| {
                    hash.update((word.len() as u64).to_le_bytes());
                    hash.update(word.as_bytes());
                });
            }
        }
    }
    hexadecimal(&hash.finalize())
}
