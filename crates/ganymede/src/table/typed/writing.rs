//! Rows in groups of typed columns, as files with types are written.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::super::cell::CellWriter;
use super::super::frame::{Column, MISSING, Table, Values};
use super::super::schema::{ColumnSchema, Kind};
use super::super::write::aside::Aside;
use crate::error::{Error, Result};

/// Whole numbers up to here are exact in double precision.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// A kind of file that is written group of rows by group of rows.
pub(in super::super) trait Groups: Sized {
    /// Rows of a group, which are held in memory until it is full.
    const N_ROWS: usize;

    /// Begins the file that will stand at `path`, with those columns.
    fn begin(path: &Path, aside: Aside, columns: &[Buffer]) -> Result<Self>;

    /// Writes a group of `n_rows`.
    fn write(&mut self, columns: &[Buffer], n_rows: usize) -> Result<()>;

    /// Ends the file, and gives it back.
    fn end(self) -> Result<Aside>;
}

/// Writes a file of whole groups.
pub(in super::super) struct TypedWriter<G> {
    path: PathBuf,
    /// Before the first rows say what the columns are.
    aside: Option<Aside>,
    file: Option<G>,
    columns: Vec<Buffer>,
    n_rows: usize,
}

/// The rows of a column that are not written yet.
pub(in super::super) struct Buffer {
    /// What the column holds.
    pub schema: ColumnSchema,
    /// The cells that are there.
    pub cells: Cells,
    /// For every row, whether there is a cell.
    pub is_there: Vec<bool>,
}

/// Cells of one type.
pub(in super::super) enum Cells {
    /// Whole numbers.
    Whole(Vec<i64>),
    /// Any numbers.
    Real(Vec<f64>),
    /// Yes or no.
    Flag(Vec<bool>),
    /// Words.
    Text(Texts),
    /// Days since 1970-01-01.
    Date(Vec<i32>),
    /// Microseconds since midnight.
    Time(Vec<i64>),
    /// Microseconds since 1970-01-01; in UTC, or as clocks show it.
    Moment { micros: Vec<i64>, is_utc: bool },
}

/// Words of a group, each kept once.
#[derive(Default)]
pub(in super::super) struct Texts {
    /// For each cell the position of its word.
    pub codes: Vec<u32>,
    /// The words.
    pub words: Vec<String>,
    index: HashMap<String, u32>,
}

impl<G: Groups> TypedWriter<G> {
    /// Begins a file.
    pub(in super::super) fn create(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_path_buf(), aside: Some(Aside::create(path)?), file: None, columns: Vec::new(), n_rows: 0 })
    }

    /// Appends the rows of a table whose columns `schemas` describe.
    ///
    /// # Errors
    /// [`Error::Data`] if a column holds other values than in the parts before; [`Error::Io`].
    pub(in super::super) fn push(&mut self, table: &Table, schemas: &[ColumnSchema]) -> Result<()> {
        if let Some(aside) = self.aside.take() {
            self.columns = table.columns.iter().zip(schemas).map(|(column, schema)| Buffer::new(column, schema)).collect();
            self.file = Some(G::begin(&self.path, aside, &self.columns)?);
        }
        let n_rows = table.n_rows();
        let mut start = 0;
        while start < n_rows {
            let end = n_rows.min(start + G::N_ROWS - self.n_rows);
            for (buffer, column) in self.columns.iter_mut().zip(&table.columns) {
                buffer
                    .extend(&column.values, start, end)
                    .map_err(|problem| Error::data(&self.path, problem, "give every part the same kind of values"))?;
            }
            self.n_rows += end - start;
            start = end;
            if self.n_rows >= G::N_ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Writes what is left, and puts the file in its place.
    pub(in super::super) fn finish(mut self) -> Result<()> {
        if self.aside.is_some() {
            // A file without columns is still a file.
            self.push(&Table::default(), &[])?;
        }
        self.flush()?;
        self.file.take().map_or(Ok(()), |file| file.end()?.finish())
    }

    fn flush(&mut self) -> Result<()> {
        let Some(file) = self.file.as_mut().filter(|_| self.n_rows > 0) else { return Ok(()) };
        file.write(&self.columns, self.n_rows)?;
        self.columns.iter_mut().for_each(Buffer::clear);
        self.n_rows = 0;
        Ok(())
    }
}

impl Buffer {
    fn new(column: &Column, schema: &ColumnSchema) -> Self {
        let cells = match &column.values {
            Values::Categories { words, .. } => {
                let is_flag = schema.kind == Kind::Boolean && words.iter().all(|w| flag(w).is_some());
                if is_flag { Cells::Flag(Vec::new()) } else { Cells::Text(Texts::default()) }
            }
            Values::Numbers(_) if schema.is_moment() => match schema.moment_format() {
                Ok(format) if format.has_date() && format.has_time() => Cells::Moment { micros: Vec::new(), is_utc: schema.zone.is_some() },
                Ok(format) if format.has_date() => Cells::Date(Vec::new()),
                Ok(format) if format.has_time() => Cells::Time(Vec::new()),
                _ => Cells::Text(Texts::default()),
            },
            Values::Numbers(values) => match schema.kind {
                Kind::Integer | Kind::Identifier | Kind::Constant if values.iter().all(|v| v.is_nan() || is_whole(*v)) => {
                    Cells::Whole(Vec::new())
                }
                _ => Cells::Real(Vec::new()),
            },
        };
        Self { schema: schema.clone(), cells, is_there: Vec::new() }
    }

    fn extend(&mut self, values: &Values, start: usize, end: usize) -> std::result::Result<(), String> {
        let other = format!("column \"{}\" changes its kind from part to part", self.schema.name);
        let writer = CellWriter::new(&self.schema);
        let words: &[String] = if let Values::Categories { words, .. } = values { words } else { &[] };
        // Of each word of this part the position in the group.
        let mut known = vec![MISSING; words.len()];
        for row in start..end {
            let is_there = !values.is_missing(row);
            self.is_there.push(is_there);
            if !is_there {
                continue;
            }
            match (&mut self.cells, values) {
                (Cells::Whole(cells), Values::Numbers(values)) if is_whole(values[row]) => cells.push(values[row] as i64),
                (Cells::Real(cells), Values::Numbers(values)) => cells.push(values[row]),
                (Cells::Date(cells), Values::Numbers(values)) => cells.push((values[row] / 86_400.0).floor() as i32),
                (Cells::Time(cells), Values::Numbers(values)) => cells.push((values[row] * 1e6).round().rem_euclid(86_400e6) as i64),
                (Cells::Moment { micros, .. }, Values::Numbers(values)) => micros.push((values[row] * 1e6).round() as i64),
                (Cells::Flag(cells), Values::Categories { .. }) => {
                    cells.push(values.word(row).and_then(flag).ok_or_else(|| other.clone())?)
                }
                (Cells::Text(texts), Values::Categories { codes, .. }) => {
                    let code = codes.get(row).copied().unwrap_or(MISSING) as usize;
                    let (place, word) = known.get_mut(code).zip(words.get(code)).ok_or_else(|| other.clone())?;
                    if *place == MISSING {
                        *place = texts.place(word);
                    }
                    texts.codes.push(*place);
                }
                (Cells::Text(texts), Values::Numbers(_)) => {
                    let mut text = String::new();
                    writer.write(values, row, &mut text);
                    let place = texts.place(&text);
                    texts.codes.push(place);
                }
                _ => return Err(other),
            }
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.is_there.clear();
        match &mut self.cells {
            Cells::Whole(cells) | Cells::Time(cells) | Cells::Moment { micros: cells, .. } => cells.clear(),
            Cells::Real(cells) => cells.clear(),
            Cells::Flag(cells) => cells.clear(),
            Cells::Text(texts) => *texts = Texts::default(),
            Cells::Date(cells) => cells.clear(),
        }
    }
}

impl Texts {
    fn place(&mut self, word: &str) -> u32 {
        if let Some(place) = self.index.get(word) {
            return *place;
        }
        let place = self.words.len() as u32;
        self.index.insert(word.to_owned(), place);
        self.words.push(word.to_owned());
        place
    }
}

fn is_whole(value: f64) -> bool {
    value.fract() == 0.0 && value.abs() <= MAX_WHOLE
}

fn flag(word: &str) -> Option<bool> {
    // "True" would not come back.
    match word {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}
