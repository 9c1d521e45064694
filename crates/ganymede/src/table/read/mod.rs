//! Tables from files: here CSV, TSV, their relatives and JSON lines, plain or compressed by gzip; the other kinds have modules of their own.

mod column;
mod delimited;
mod guess;
pub(super) mod header;
mod json;
mod source;
pub(super) mod sparse;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

use super::container::Container;
use super::frame::{Column, Table};
use super::infer::{self, Inferred};
use super::moment::{Format, recognised};
use super::names;
use super::schema::{ColumnSchema, Kind, Schema};
use crate::error::{Error, Result};
pub(super) use column::ColumnReader;
use delimited::Layout;
use guess::Form;
pub use source::Encoding;
use source::Source;

/// More columns are no table of this kind.
pub(super) const MAX_COLUMNS: usize = 20_000;
/// Rows, and cells, that the first guess is made from.
pub(super) const N_GUESS_ROWS: usize = 10_000;
const N_GUESS_CELLS: usize = 2_000_000;
/// After so many passes a column that fits no guess holds words.
pub(super) const MAX_PASSES: usize = 5;
const NOT_UTF8: &str = "the file is not UTF-8 text";

/// A table that was read, and what it was taken for.
#[derive(Debug)]
pub struct Reading {
    /// The rows, without the columns that the schema leaves out.
    pub table: Table,
    /// The schema given, completed; or the one found, which describes every column of the table.
    pub schema: Schema,
    /// How the file was read.
    pub found: Found,
}

/// How a file was read.
#[derive(Debug, Clone)]
pub struct Found {
    /// Kind of file.
    pub format: FileFormat,
    /// Encoding of its text.
    pub encoding: Encoding,
    /// Compressed by gzip.
    pub is_compressed: bool,
    /// For each column of the schema one line that says what it was taken for, and why.
    pub reasons: Vec<String>,
    /// What a person should know: what was renamed, recoded or not kept.
    pub notes: Vec<String>,
}

/// Kind of a table file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Text in columns.
    Delimited {
        /// Separator of the cells.
        delimiter: char,
        /// The first row names the columns.
        has_header: bool,
    },
    /// One JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow.
    Arrow,
    /// The first sheet of a workbook that has cells.
    Workbook,
}

#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Stop,
}

/// Reads a table. Cells are streamed into columns, so that memory holds 8 bytes for each number and 4 for each word, not the text; a file whose first rows mislead is read twice.
/// Without a schema, the kind of each column is found; with one, cells that are not of its kinds are errors.
///
/// # Errors
/// [`Error::Data`] with line and column if the file is not a table or does not fit the schema; [`Error::Io`]; [`Error::Config`] if the schema is wrong.
pub fn read(path: &Path, schema: Option<&Schema>) -> Result<Reading> {
    if let Some(schema) = schema {
        schema.check()?;
    }
    match Container::of(path)? {
        Some(container) => container.read(path, schema),
        None => read_text(&[path], None, schema),
    }
}

/// Reads files with the same columns as one table, the rows of one after those of the other. Its first column, of the name given, says which file each row is of: its name without ending.
///
/// # Errors
/// As [`read`]; [`Error::Data`] too if files have other columns than the first, or are no text in columns.
pub fn read_files(files: &[&Path], column: &str, schema: Option<&Schema>) -> Result<Reading> {
    if let Some(schema) = schema {
        schema.check()?;
    }
    read_text(files, Some(column), schema)
}

/// The names of a text file's columns; nothing if it has none, or is something else.
pub fn column_names(path: &Path) -> Option<Vec<String>> {
    let source = Source::probe(path).ok()?;
    let layout = TextFile::open(path, source, None, &recognised()).ok()?.layout?;
    layout.has_header.then_some(layout.names)
}

/// Of several files `own` is the column that says which one a row is of.
fn read_text(paths: &[&Path], own: Option<&str>, schema: Option<&Schema>) -> Result<Reading> {
    let formats = recognised();
    // What the schema says of the column that no file has is none of the files' business.
    let of_files = schema.map(|schema| {
        let columns = schema.columns.iter().filter(|column| Some(column.name.as_str()) != own).cloned().collect();
        Schema { columns, constraints: Vec::new() }
    });
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let mut file = TextFile::open(path, Source::probe(path)?, of_files.as_ref(), &formats)?;
        // The beginnings of many files are many times the memory of one.
        file.source.head = String::new();
        files.push(file);
    }
    let columns = loop {
        match columns(&files, own, schema, &formats) {
            // A letter far down shows that the text is not UTF-8 after all.
            Err(Error::Data { problem, path, .. }) if problem == NOT_UTF8 && recode(&mut files, &path, of_files.as_ref(), &formats)? => {}
            columns => break columns?,
        }
    };
    let Some(TextFile { source, .. }) = files.first() else {
        return Err(Error::data("files", "there are none", "give at least one"));
    };
    let mut notes = files[0].notes();
    match source.encoding {
        Encoding::Utf8 => {}
        Encoding::Windows1252 => notes.push("the text is not UTF-8; it was read as Windows-1252".to_owned()),
        Encoding::Utf16Le | Encoding::Utf16Be => notes.push("the text is UTF-16".to_owned()),
    }
    let Inferred { table, schema, reasons, notes: more } = infer::complete(columns, schema);
    notes.extend(more);
    let found = Found { format: files[0].format(), encoding: source.encoding, is_compressed: source.is_compressed, reasons, notes };
    Ok(Reading { table, schema, found })
}

/// The line on which a row of a file begins, counted from 1, for messages; rows are counted from 0. Nothing where there is no such row, or the format has no lines.
pub(crate) fn line_of(path: &Path, row_idx: usize) -> Option<u64> {
    let source = Source::probe(path).ok()?;
    let file = TextFile::open(path, source, None, &recognised()).ok()?;
    let (mut n, mut found) = (0, None);
    let mut next = |line: u64| {
        n += 1;
        if n <= row_idx {
            return Flow::On;
        }
        found = Some(line);
        Flow::Stop
    };
    match &file.layout {
        Some(layout) => layout.visit(path, &file.source, &mut |line, _| Ok(next(line()))).ok()?,
        None => json::visit(path, &file.source, &mut |line, _| Ok(next(line))).ok()?,
    }
    found
}

/// An error at a line and column, both counted from 1, written `file.csv:12:3`.
fn at(path: &Path, line: u64, column: Option<usize>, problem: impl Into<String>, remedy: impl Into<String>) -> Error {
    let column = column.map(|c| format!(":{c}")).unwrap_or_default();
    Error::data(format!("{}:{line}{column}", path.display()), problem, remedy)
}

/// A cell for a message: on one line, cut where it is long.
fn shown(cell: &str) -> String {
    let mut out: String = cell.chars().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if cell.chars().count() > 40 {
        out.push('…');
    }
    out
}

/// A file of text whose layout is known.
struct TextFile<'a> {
    path: &'a Path,
    source: Source,
    /// None for JSON lines.
    layout: Option<Layout>,
}

/// Columns of one pass, and where the cells of the file go.
struct Pass<'a> {
    formats: &'a [Format],
    columns: Vec<ColumnReader>,
    /// For each file, for each of its columns its place in `columns`; None where it is left out.
    places: Vec<Vec<Option<usize>>>,
    /// The place of the column that says which file a row is of.
    own: Option<usize>,
    n_rows: usize,
    /// Cells of JSON lines that the file holds, in those rows.
    n_given: u64,
}

impl<'a> TextFile<'a> {
    fn open(path: &'a Path, source: Source, schema: Option<&Schema>, formats: &[Format]) -> Result<Self> {
        if json::is_json_lines(&source.head) {
            return Ok(Self { path, source, layout: None });
        }
        let head: String = source.head.chars().filter(|c| !c.is_whitespace()).take(2).collect();
        let is_document = head == "[{" || source.head.trim_start().lines().next().is_some_and(|line| line.trim() == "{");
        if is_document {
            return Err(Error::data(path, "the file is one JSON document", "write one JSON object a line (.jsonl)"));
        }
        let names: Option<Vec<String>> = schema.map(|s| s.columns.iter().map(|c| c.name.clone()).collect());
        let layout = Layout::find(path, &source.head, names.as_deref(), formats)?;
        Ok(Self { path, source, layout: Some(layout) })
    }

    fn format(&self) -> FileFormat {
        match &self.layout {
            Some(layout) => FileFormat::Delimited { delimiter: layout.delimiter as char, has_header: layout.has_header },
            None => FileFormat::JsonLines,
        }
    }

    fn notes(&self) -> Vec<String> {
        self.layout.as_ref().map_or_else(Vec::new, |l| l.notes.clone())
    }

    fn names(&self) -> &[String] {
        self.layout.as_ref().map_or(&[], |layout| &layout.names)
    }

    /// Its name without folder, ending and that of its compression.
    fn stem(&self) -> String {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        plain.rsplit_once('.').map_or(plain, |(stem, _)| stem).to_owned()
    }

    /// One way through the file: over the first `n_looked_at` rows only to look at them, otherwise to keep them.
    fn visit(&self, at_file: usize, pass: &mut Pass<'_>, schema: Option<&Schema>, n_looked_at: Option<usize>) -> Result<()> {
        let stem = self.stem();
        let mut n_seen = 0;
        let mut end_row = |pass: &mut Pass<'_>| {
            n_seen += 1;
            if n_looked_at.is_none() {
                pass.n_rows += 1;
            }
            if n_looked_at.is_some_and(|n| n_seen >= n) { Flow::Stop } else { Flow::On }
        };
        match &self.layout {
            Some(layout) => layout.visit(self.path, &self.source, &mut |line, record| {
                for (i, place) in pass.places[at_file].iter().enumerate() {
                    let Some(column) = place.and_then(|p| pass.columns.get_mut(p)) else { continue };
                    let cell = record.get(i).unwrap_or_default().trim();
                    take(column, cell, false, n_looked_at.is_some(), pass.formats)
                        .map_err(|m| m.at(self.path, line(), Some(i + 1), column, cell))?;
                }
                if let Some(column) = pass.own.and_then(|place| pass.columns.get_mut(place)) {
                    take(column, &stem, true, n_looked_at.is_some(), pass.formats)
                        .map_err(|m| m.at(self.path, line(), None, column, &stem))?;
                }
                Ok(end_row(pass))
            }),
            None => {
                let mut places: HashMap<String, Option<usize>> =
                    pass.columns.iter().enumerate().map(|(i, c)| (c.name.clone(), Some(i))).collect();
                json::visit(self.path, &self.source, &mut |line, object| {
                    for (key, value) in &object.0 {
                        let place = match places.get(key) {
                            Some(place) => *place,
                            None if places.len() >= MAX_COLUMNS => {
                                let problem = format!("\"{key}\" would be column {}; at most {MAX_COLUMNS} are read", MAX_COLUMNS + 1);
                                return Err(at(self.path, line, None, problem, "choose fewer columns"));
                            }
                            None => *places.entry(key.clone()).or_insert(pass.place(self.path, key, schema)?),
                        };
                        let Some(column) = place.and_then(|p| pass.columns.get_mut(p)) else { continue };
                        let (cell, is_word) = json::cell(value);
                        if n_looked_at.is_none() {
                            if column.n_rows() > pass.n_rows {
                                return Err(at(self.path, line, None, format!("\"{key}\" stands there twice"), "give every key once"));
                            }
                            column.pad(pass.n_rows);
                        }
                        let is_look = n_looked_at.is_some();
                        take(column, &cell, is_word, is_look, pass.formats).map_err(|m| m.at(self.path, line, None, column, &cell))?;
                        pass.n_given += 1;
                    }
                    let flow = end_row(pass);
                    sparse::check(self.path, pass.n_rows, pass.columns.len(), pass.n_given)?;
                    Ok(flow)
                })
            }
        }
    }
}

/// Reads the file that holds this path anew, as Windows-1252; says whether there was one that was read otherwise.
fn recode(files: &mut [TextFile<'_>], path: &Path, schema: Option<&Schema>, formats: &[Format]) -> Result<bool> {
    let Some(file) = files.iter_mut().find(|file| file.path == path && file.source.encoding == Encoding::Utf8) else { return Ok(false) };
    let mut source = Source::probe(path)?;
    source.encoding = Encoding::Windows1252;
    *file = TextFile::open(file.path, source, schema, formats)?;
    Ok(true)
}

/// Reads all cells of files with the same columns, in as many passes as the guesses need.
fn columns(files: &[TextFile<'_>], own: Option<&str>, schema: Option<&Schema>, formats: &[Format]) -> Result<Vec<infer::Read>> {
    let Some(first) = files.first() else { return Ok(Vec::new()) };
    let names = first.names();
    let mut pass = Pass { formats, columns: Vec::new(), places: Vec::new(), own: None, n_rows: 0, n_given: 0 };
    if let Some(own) = own {
        pass.own = pass.place(first.path, own, schema)?;
    }
    let mut places: HashMap<&str, Option<usize>> = HashMap::with_capacity(names.len());
    for name in names {
        let place = pass.place(first.path, name, schema)?;
        places.insert(name, place);
    }
    for file in files {
        let own = file.names();
        if let Some(other) = own.iter().find(|name| !places.contains_key(name.as_str())) {
            let problem = format!("has a column \"{other}\", which {} has not", first.path.display());
            return Err(Error::data(file.path, problem, "give files with the same columns"));
        }
        // Names of one file differ, so that only a shorter list lacks one.
        if let Some(absent) = names.iter().find(|name| own.len() < names.len() && !own.contains(name)) {
            let problem = format!("has no column \"{absent}\", which {} has", first.path.display());
            return Err(Error::data(file.path, problem, "give files with the same columns"));
        }
        pass.places.push(own.iter().map(|name| places[name.as_str()]).collect());
    }
    if let (Some(schema), Some(_)) = (schema, &first.layout) {
        let all: Vec<String> = own.map(str::to_owned).into_iter().chain(names.iter().cloned()).collect();
        require_all(first.path, schema, &all)?;
    }
    let n_looked_at = (N_GUESS_CELLS / names.len().max(1)).clamp(100, N_GUESS_ROWS).div_ceil(files.len());
    for (at, file) in files.iter().enumerate() {
        file.visit(at, &mut pass, schema, Some(n_looked_at))?;
    }
    let mut values: Vec<Option<infer::Read>> = Vec::new();
    for n_passes in 1..=MAX_PASSES {
        for (i, column) in pass.columns.iter_mut().enumerate() {
            if values.get(i).is_none_or(Option::is_none) {
                column.begin(formats, n_passes >= MAX_PASSES);
            } else {
                column.pass_over();
            }
        }
        (pass.n_rows, pass.n_given) = (0, 0);
        for (at, file) in files.iter().enumerate() {
            file.visit(at, &mut pass, schema, None)?;
        }
        values.resize_with(pass.columns.len(), || None);
        for (column, value) in pass.columns.iter_mut().zip(&mut values) {
            column.pad(pass.n_rows);
            let needs_another = n_passes < MAX_PASSES && column.needs_another_pass(formats);
            let taken = if needs_another { None } else { column.take() };
            if let Some(values) = taken {
                let facts = std::mem::take(&mut column.facts);
                *value = Some(infer::Read { column: Column { name: column.name.clone(), values }, facts });
            }
        }
        if values.iter().all(Option::is_some) {
            break;
        }
    }
    if let (Some(schema), None) = (schema, &first.layout) {
        let found: Vec<String> = pass.columns.iter().map(|column| column.name.clone()).collect();
        require_all(first.path, schema, &found)?;
    }
    if pass.n_rows == 0 {
        return Err(Error::data(first.path, "the file has names but no rows", "give a table with rows"));
    }
    let columns: Vec<infer::Read> = values.into_iter().flatten().collect();
    if columns.is_empty() {
        return Err(Error::data(first.path, "the file has no columns", "give a table with a header and rows"));
    }
    Ok(columns)
}

fn take(column: &mut ColumnReader, cell: &str, is_word: bool, is_look: bool, formats: &[Format]) -> Result<(), column::Misfit> {
    if is_look {
        column.look(cell, is_word, formats);
        return Ok(());
    }
    column.add(cell, is_word, formats)
}

impl column::Misfit {
    fn at(&self, path: &Path, line: u64, number: Option<usize>, column: &ColumnReader, cell: &str) -> Error {
        let problem = format!("\"{}\" in column \"{}\" is not {}", shown(cell), column.name, self.expected);
        at(path, line, number, problem, "mend the cell, or the column's kind in the schema")
    }
}

impl Pass<'_> {
    /// Where the cells of the column called `name` go; None if the schema leaves it out.
    fn place(&mut self, path: &Path, name: &str, schema: Option<&Schema>) -> Result<Option<usize>> {
        let Some(given) = place_of(path, name, schema)? else { return Ok(None) };
        let mut column = ColumnReader::new(name.to_owned());
        if let Some(given) = given {
            column.fix(fixed_form(&given)?, &given);
        }
        // A key of JSON that first comes late begins with missing cells.
        column.begin(self.formats, false);
        self.columns.push(column);
        Ok(Some(self.columns.len() - 1))
    }
}

/// What the schema says of a column of the file, if there is a schema; none at all if it leaves the column out.
pub(super) fn place_of(path: &Path, name: &str, schema: Option<&Schema>) -> Result<Option<Option<ColumnSchema>>> {
    let Some(schema) = schema else { return Ok(Some(None)) };
    match schema.column(name) {
        Some(given) if given.leave_out => Ok(None),
        Some(given) => Ok(Some(Some(given.clone()))),
        None => {
            let hint = names::hint(name, schema.columns.iter().map(|c| c.name.as_str()));
            let problem = format!("column \"{name}\" is not in the schema");
            Err(Error::data(path, problem, format!("{hint}; or add it there, with leave_out = true if it is not wanted")))
        }
    }
}

/// The form that the schema asks for, if it does.
fn fixed_form(column: &ColumnSchema) -> Result<Option<Form>> {
    Ok(match column.kind {
        Kind::Integer | Kind::Real => Some(Form::Numbers { mark: column.decimal_mark() as u8 }),
        Kind::Boolean | Kind::Category => Some(Form::Words),
        Kind::Datetime if column.format.is_some() => Some(Form::Moments(Box::new(column.moment_format()?))),
        Kind::Datetime | Kind::Identifier | Kind::Constant => None,
    })
}

/// Columns that the schema wants must be there.
pub(super) fn require_all(path: &Path, schema: &Schema, names: &[String]) -> Result<()> {
    match schema.kept().find(|c| !names.contains(&c.name)) {
        Some(absent) => {
            let hint = names::hint(&absent.name, names.iter().map(String::as_str));
            let problem = format!("the schema's column \"{}\" is not in the file", absent.name);
            Err(Error::data(path, problem, format!("{hint}; or set leave_out = true for it in the schema")))
        }
        None => Ok(()),
    }
}
