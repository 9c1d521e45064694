//! Several tables that were read, with the keys by which they refer to each other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::folder::{extension, is_hidden};
use super::image_set::hexadecimal;
use super::table_source::TableSource;
use super::with_commas;
use crate::error::{Error, Result};
use crate::table::database::{DatabaseSchema, ForeignKey, Guess, KeyProblem, Link, Metadata, NamedTable, check_key, find};
use crate::table::{Schema, Table, line_of};

/// Tables with fewer rows cannot be learned from without learning their rows.
const FEWEST: usize = 20;
/// Endings of tables in a folder. A `.txt` or `.json` file beside them may be anything.
const ENDINGS: [&str; 5] = ["csv", "tsv", "tab", "jsonl", "ndjson"];
/// Tables that are named in a message at most.
const NAMED: usize = 12;

/// Tables that refer to each other.
#[derive(Debug)]
pub struct TablesSource {
    /// Path, as given.
    pub name: String,
    /// The tables, in the order of the schema.
    pub tables: Vec<Arc<TableSource>>,
    /// What they and their columns are, and how they refer to each other. Keys and foreign keys are identifiers in it.
    pub schema: DatabaseSchema,
    /// For each foreign key of the schema which rows refer to which.
    pub links: Vec<Link>,
    /// For each table and each foreign key one line about it.
    pub reasons: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// SHA-256 over names and values of all tables, hexadecimal.
    pub fingerprint: String,
    /// Licence as an SPDX expression; `unknown` for people's own files.
    pub license: String,
    /// Where the files are.
    folder: PathBuf,
}

impl TablesSource {
    /// Reads the tables of a folder. A JSON file beside them that is SDV's metadata says how they refer to each other; otherwise that is found in names and values.
    ///
    /// # Errors
    /// As [`crate::table::read`]; [`Error::Data`] if fewer than two tables can be learned from.
    pub(super) fn open_folder(name: &str, folder: &Path, files: Vec<String>) -> Result<Self> {
        if let Some(metadata) = metadata_in(folder)? {
            return Self::by_metadata(name, folder, &metadata);
        }
        let (mut tables, mut read) = (Vec::new(), Vec::new());
        for file in files {
            let table = stem(&file).to_owned();
            read.push(TableSource::open(&table, &folder.join(&file), None)?);
            tables.push(NamedTable { name: table, file, key: None, schema: Schema::default() });
        }
        let mut notes = Vec::new();
        let mut schema = without_small(name, DatabaseSchema { tables, foreign_keys: Vec::new() }, &mut read, &mut notes)?;
        let all: Vec<(&str, &Table, &Schema)> =
            schema.tables.iter().zip(&read).map(|(table, read)| (table.name.as_str(), &read.table, &read.schema)).collect();
        let Guess { keys, foreign_keys, notes: found } = find(&all);
        schema.tables.iter_mut().zip(keys).for_each(|(table, key)| table.key = key);
        schema.foreign_keys = foreign_keys;
        notes.extend(found);
        Self::complete((name, folder), schema, read, notes)
    }

    /// Reads the tables that SDV's metadata describe, in the folder of that file; nothing if the file holds something else.
    ///
    /// # Errors
    /// As [`TablesSource::open_folder`], and [`Error::Config`] for metadata that cannot be used.
    pub(super) fn open_metadata(name: &str, path: &Path) -> Result<Option<Self>> {
        if extension(path) != "json" {
            return Ok(None);
        }
        // What is too large for metadata, or no text, is none.
        let Some(metadata) =
            Metadata::read(path).or_else(|error| if matches!(error, Error::Config { .. }) { Err(error) } else { Ok(None) })?
        else {
            return Ok(None);
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::by_metadata(name, folder, &metadata).map(Some)
    }

    /// The same files read by a schema of several tables, or by SDV's metadata where its name ends in `.json`.
    ///
    /// # Errors
    /// As [`crate::table::read`], and [`Error::Config`] for a schema that cannot be used.
    pub fn with_schema(&self, schema: &Path) -> Result<Self> {
        if extension(schema) != "json" {
            return Self::by_schema(&self.name, &self.folder, DatabaseSchema::load(schema)?);
        }
        let metadata = Metadata::read(schema)?;
        let none =
            || Error::config("data.schema", format!("{} describes no tables", schema.display()), "give SDV's metadata of all tables");
        Self::by_metadata(&self.name, &self.folder, &metadata.ok_or_else(none)?)
    }

    /// The same files read by the schema of others: cells and keys are what they are there, and what it does not have is left out.
    ///
    /// # Errors
    /// [`Error::Data`] if a table or a column that says something is not there, or a cell does not fit.
    pub fn read_as(&self, schema: &DatabaseSchema) -> Result<Self> {
        let mut read = Vec::new();
        for table in &schema.tables {
            let own = self.own(&table.name)?.read_as(&table.schema)?;
            let keys = schema.foreign_keys.iter().filter(|key| key.table == table.name).map(|key| &key.column).chain(&table.key);
            if let Some(absent) = keys.into_iter().find(|name| own.table.column(name).is_none()) {
                let problem = format!("the table {} has no column \"{absent}\", which relates it to others", table.name);
                return Err(Error::data(self.name.clone(), problem, "give tables with the same columns"));
            }
            read.push(TableSource::clone(&own));
        }
        Self::complete((&self.name, &self.folder), schema.clone(), read, Vec::new())
    }

    /// The table of that name, also one that was left out because it is small.
    fn own(&self, name: &str) -> Result<Arc<TableSource>> {
        if let Some(at) = self.schema.position(name) {
            return Ok(self.tables[at].clone());
        }
        let files = files_in(&self.folder)?;
        match files.iter().find(|file| stem(file) == name) {
            Some(file) => Ok(Arc::new(TableSource::open(name, &self.folder.join(file), None)?)),
            None => {
                let problem = format!("there is no table {name}; it has {}", named(self.schema.tables.iter().map(|own| &own.name)));
                Err(Error::data(self.name.clone(), problem, "give the same tables"))
            }
        }
    }

    fn by_schema(name: &str, folder: &Path, schema: DatabaseSchema) -> Result<Self> {
        let mut read = Vec::new();
        for table in &schema.tables {
            let given = (!table.schema.columns.is_empty()).then_some(&table.schema);
            read.push(TableSource::open(&table.name, &existing(folder, table)?, given)?);
        }
        let mut notes = Vec::new();
        let schema = without_small(name, schema, &mut read, &mut notes)?;
        Self::complete((name, folder), schema, read, notes)
    }

    fn by_metadata(name: &str, folder: &Path, metadata: &Metadata) -> Result<Self> {
        let files = files_in(folder)?;
        let file = |table: &str| {
            files.iter().find(|file| stem(file) == table).cloned().ok_or_else(|| {
                let problem = format!("there is no file {table}.csv in {}", folder.display());
                Error::config(
                    format!("tables.{table}"),
                    problem,
                    "put the tables of the metadata beside each other, each in a file of its name",
                )
            })
        };
        let schema = metadata.schema(file)?;
        let mut read = Vec::new();
        for table in &schema.tables {
            read.push(TableSource::open(&table.name, &folder.join(&table.file), None)?);
        }
        let referring = schema.foreign_keys.clone();
        let mut notes = Vec::new();
        let schema = without_small(name, schema, &mut read, &mut notes)?;
        for own in &mut read {
            let mut described = Schema::from_sdv(&metadata.text, &own.name, &own.schema)?;
            // What referred to a table that is left out is a column like others.
            for key in referring.iter().filter(|key| key.table == own.name && !schema.foreign_keys.contains(key)) {
                if let (Some(column), Some(found)) =
                    (described.columns.iter_mut().find(|column| column.name == key.column), own.schema.column(&key.column))
                {
                    *column = found.clone();
                }
            }
            if described != own.schema
                && let Some(path) = &own.path
            {
                *own = TableSource::open(&own.name, path, Some(&described))?;
            }
        }
        notes.push("keys and how tables refer to each other are those of SDV's metadata".to_owned());
        Self::complete((name, folder), schema, read, notes)
    }

    /// Puts together what was read, and checks that keys are keys.
    fn complete(
        (name, folder): (&str, &Path),
        mut schema: DatabaseSchema,
        mut read: Vec<TableSource>,
        mut notes: Vec<String>,
    ) -> Result<Self> {
        schema.tables.iter_mut().zip(&read).for_each(|(table, read)| table.schema = read.schema.clone());
        schema.check()?;
        schema.mark_keys();
        for (table, read) in schema.tables.iter().zip(&mut read) {
            read.schema = table.schema.clone();
            checked_key(table, read)?;
        }
        let (mut links, mut relations) = (Vec::new(), Vec::new());
        for key in &schema.foreign_keys {
            let link = link(&schema, &read, key)?;
            relations.push(relation(&schema, &read, (key, &link)));
            notes.extend(dangling(&schema, &read, (key, &link)));
            links.push(link);
        }
        let mut reasons = Vec::new();
        for (at, (table, read)) in schema.tables.iter().zip(&mut read).enumerate() {
            let key = table.key.as_ref().map_or_else(String::new, |key| format!(", key {key}"));
            reasons.push(format!("{}: {} rows of {} columns{key}", table.name, with_commas(read.table.n_rows()), read.table.columns.len()));
            describe_keys(&schema, at, read);
            notes.extend(read.found.notes.drain(..).map(|note| format!("{}: {note}", table.name)));
        }
        reasons.extend(relations);
        let mut hash = Sha256::new();
        for (table, read) in schema.tables.iter().zip(&read) {
            hash.update((table.name.len() as u64).to_le_bytes());
            hash.update(table.name.as_bytes());
            hash.update(read.fingerprint.as_bytes());
        }
        Ok(Self {
            name: name.to_owned(),
            tables: read.into_iter().map(Arc::new).collect(),
            schema,
            links,
            reasons,
            notes,
            fingerprint: hexadecimal(&hash.finalize()),
            license: "unknown".to_owned(),
            folder: folder.to_path_buf(),
        })
    }

    /// The schema as a file that a person can change.
    pub fn schema_text(&self) -> String {
        let notes: Vec<Vec<String>> = self.tables.iter().map(|table| table.found.reasons.clone()).collect();
        self.schema.to_toml(&notes)
    }

    /// (heading, text) lines for `ganymede inspect`.
    pub(super) fn describe(&self) -> Vec<(String, String)> {
        let n_tables = self.tables.len();
        let mut lines = vec![("kind".to_owned(), "several tables that refer to each other".to_owned())];
        lines.extend(self.reasons.iter().enumerate().map(|(i, reason)| {
            let heading = if i < n_tables { "rows" } else { "foreign key" };
            (heading.to_owned(), reason.clone())
        }));
        for table in &self.tables {
            lines.extend(table.found.reasons.iter().map(|reason| ("column".to_owned(), format!("{}.{reason}", table.name))));
        }
        lines.extend(self.notes.iter().map(|note| ("note".to_owned(), note.clone())));
        lines.push(("license".into(), self.license.clone()));
        lines
    }
}

/// Names of the tables in a folder, sorted.
///
/// # Errors
/// [`Error::Io`] if it cannot be listed.
pub(super) fn files_in(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, "list", e))?;
    let is_table = |name: &String| {
        let plain = name.strip_suffix(".gz").unwrap_or(name);
        let ending = extension(Path::new(plain));
        let is_one_of = |endings: &[&str]| endings.contains(&ending.as_str());
        let is_typed = (cfg!(feature = "parquet") && is_one_of(&["parquet"]))
            || (cfg!(feature = "arrow") && is_one_of(&["arrow", "feather"]))
            || (cfg!(feature = "excel") && is_one_of(&["xlsx"]));
        !is_hidden(name) && (is_one_of(&ENDINGS) || is_typed)
    };
    let names = entries.flatten().filter(|entry| entry.path().is_file()).filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<String> = names.filter(is_table).collect();
    found.sort();
    // Two files of one table cannot both be meant.
    if let Some(pair) = found.windows(2).find(|pair| stem(&pair[0]) == stem(&pair[1])) {
        let problem = format!("holds {} and {}, which are the same table by their names", pair[0], pair[1]);
        return Err(Error::data(folder, problem, "remove one of them"));
    }
    Ok(found)
}

/// Whether a folder holds SDV's metadata of several tables.
pub(super) fn has_metadata(folder: &Path) -> Result<bool> {
    Ok(metadata_in(folder)?.is_some())
}

/// SDV's metadata among the JSON files of a folder, if one of them is.
fn metadata_in(folder: &Path) -> Result<Option<Metadata>> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, "list", e))?;
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file() && extension(path) == "json").collect();
    paths.sort();
    for path in paths {
        match Metadata::read(&path) {
            Ok(Some(metadata)) => return Ok(Some(metadata)),
            Ok(None) => {}
            Err(error @ Error::Config { .. }) => return Err(error),
            // Some other file.
            Err(_) => {}
        }
    }
    Ok(None)
}

/// A file's name without its endings.
fn stem(file: &str) -> &str {
    let plain = file.strip_suffix(".gz").unwrap_or(file);
    plain.rsplit_once('.').map_or(plain, |(stem, _)| stem)
}

fn named<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let mut all: Vec<&str> = names.map(String::as_str).collect();
    let more = if all.len() > NAMED { ", ..." } else { "" };
    all.truncate(NAMED);
    format!("{}{more}", all.join(", "))
}

/// The file of a table, which must be there.
fn existing(folder: &Path, table: &NamedTable) -> Result<PathBuf> {
    let path = folder.join(&table.file);
    if path.is_file() {
        return Ok(path);
    }
    let files = files_in(folder)?;
    let near = crate::config::nearest(&table.file, files.iter().map(String::as_str));
    let hint = near.map_or_else(|| format!("the tables there are {}", named(files.iter())), |near| format!("did you mean \"{near}\"?"));
    Err(Error::config(format!("tables.{}.file", table.name), format!("there is no file {} in {}", table.file, folder.display()), hint))
}

/// Leaves out tables that are too small to learn from, and what refers to them: such a column is learned as an ordinary one, whose values are then those of the data.
fn without_small(name: &str, mut schema: DatabaseSchema, read: &mut Vec<TableSource>, notes: &mut Vec<String>) -> Result<DatabaseSchema> {
    let is_small: Vec<bool> = read.iter().map(|table| table.table.n_rows() < FEWEST).collect();
    for (table, own) in schema.tables.iter().zip(read.iter()).zip(&is_small).filter(|(_, small)| **small).map(|(pair, _)| pair) {
        let n = own.table.n_rows();
        notes.push(format!(
            "{}: {n} rows are too few to learn from: the table is left out, and columns that hold its keys are learned as ordinary ones",
            table.name
        ));
    }
    let small: Vec<String> =
        schema.tables.iter().zip(&is_small).filter(|(_, small)| **small).map(|(table, _)| table.name.clone()).collect();
    let mut keeps = is_small.iter().map(|small| !small);
    read.retain(|_| keeps.next().unwrap_or(true));
    schema.tables.retain(|table| !small.contains(&table.name));
    schema.foreign_keys.retain(|key| !small.contains(&key.table) && !small.contains(&key.refers_to));
    if schema.tables.is_empty() {
        return Err(Error::data(name, format!("none of its tables has {FEWEST} rows"), "add rows"));
    }
    Ok(schema)
}

/// `file.csv:12`, or a row's number where a format has no lines.
fn place(source: &TableSource, row: usize) -> String {
    let path = source.path.as_deref();
    match path.and_then(|path| line_of(path, row)) {
        Some(line) => format!("{}:{line}", path.unwrap_or(Path::new("")).display()),
        None => format!("{}, row {}", source.name, row + 1),
    }
}

fn checked_key(table: &NamedTable, read: &TableSource) -> Result<()> {
    let Some(column) = table.key.as_ref().and_then(|key| read.table.column(key)) else { return Ok(()) };
    let remedy = "mend the row, or name another key in the schema";
    match check_key(&column.values) {
        Ok(()) => Ok(()),
        Err(KeyProblem::Missing { row }) => {
            Err(Error::data(place(read, row), format!("the key \"{}\" of {} is missing", column.name, table.name), remedy))
        }
        Err(KeyProblem::Twice { row, first }) => {
            let problem =
                format!("the key \"{}\" of {} stands there a second time; first in {}", column.name, table.name, place(read, first));
            Err(Error::data(place(read, row), problem, remedy))
        }
    }
}

fn link(schema: &DatabaseSchema, read: &[TableSource], key: &ForeignKey) -> Result<Link> {
    let (own, parent) = (schema.position(&key.table).unwrap_or_default(), schema.position(&key.refers_to).unwrap_or_default());
    let of_parent = schema.tables[parent].key.as_ref().and_then(|key| read[parent].table.column(key));
    let (Some(column), Some(of_parent)) = (read[own].table.column(&key.column), of_parent) else {
        return Err(Error::config(format!("foreign_keys.{key}"), "one of its columns is not there", "mend the schema"));
    };
    let link = Link::of(&column.values, &of_parent.values);
    if link.n_linked() == 0 {
        let problem = format!("no value of \"{}\" is a key \"{}\" of {}", key.column, of_parent.name, key.refers_to);
        return Err(Error::data(
            place(&read[own], link.first_dangling.unwrap_or(0)),
            problem,
            "mend the column, or leave this foreign key out of the schema",
        ));
    }
    Ok(link)
}

/// One line about a foreign key.
fn relation(schema: &DatabaseSchema, read: &[TableSource], (key, link): (&ForeignKey, &Link)) -> String {
    let parent = schema.position(&key.refers_to).unwrap_or_default();
    let of_parent = schema.tables[parent].key.as_deref().unwrap_or_default();
    let mut line = format!("{key} refers to {}.{of_parent}", key.refers_to);
    if key.table == key.refers_to {
        line.push_str(": rows refer to others of their own table; which ones is not learned");
    } else {
        let counts = link.counts(read[parent].table.n_rows());
        let (least, most) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
        let mean = link.n_linked() as f64 / counts.len().max(1) as f64;
        line.push_str(&format!(": {least} to {most} rows each, {mean:.2} on average"));
    }
    let n_without = link.rows.len() - link.n_linked();
    if n_without > 0 {
        line.push_str(&format!("; {} rows refer to none", with_commas(n_without)));
    }
    line
}

fn dangling(schema: &DatabaseSchema, read: &[TableSource], (key, link): (&ForeignKey, &Link)) -> Option<String> {
    let row = link.first_dangling?;
    let own = schema.position(&key.table)?;
    let n = link.n_dangling;
    let of = if n == 1 { "1 value".to_owned() } else { format!("{} values", with_commas(n)) };
    Some(format!(
        "{}: {of} of {key} {} no key of {}; counted as if missing",
        place(&read[own], row),
        if n == 1 { "is" } else { "are" },
        key.refers_to
    ))
}

/// Says of keys what they are, in place of what they would be if they were none.
fn describe_keys(schema: &DatabaseSchema, at: usize, read: &mut TableSource) {
    let table = &schema.tables[at];
    let mut said = Vec::new();
    for (column, reason) in read.schema.columns.iter().zip(&mut read.found.reasons) {
        let foreign = schema.foreign_keys.iter().find(|key| key.table == table.name && key.column == column.name);
        let is_key = table.key.as_ref() == Some(&column.name);
        let what = match (is_key, foreign) {
            (true, Some(key)) => format!("key, which refers to {}", key.refers_to),
            (true, None) => "key; made anew".to_owned(),
            (false, Some(key)) => format!("foreign key; refers to {}", key.refers_to),
            (false, None) => continue,
        };
        *reason = format!("{}: {what}", column.name);
        said.push(format!("column \"{}\"", column.name));
    }
    read.found.notes.retain(|note| !said.iter().any(|column| note.starts_with(column)));
}
