//! Reading a workbook: which sheet, which columns.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use calamine::{Reader, SheetType, SheetVisible, Xlsx, XlsxError};
use csv::StringRecord;

use super::super::moment::recognised;
use super::super::read::header::{Header, N_LOOKED_AT};
use super::super::read::{FileFormat, Reading};
use super::super::schema::Schema;
use super::super::typed::{TypedColumn, finish, read_columns, wanted};
use super::column::SheetColumn;
use super::sheet::{Sheet, Slot};
use super::size;
use crate::error::{Error, Result};

type Workbook = Xlsx<BufReader<File>>;

/// Reads a workbook: see [`super::super::read`].
pub(crate) fn read(path: &Path, schema: Option<&Schema>) -> Result<Reading> {
    // The reader does arithmetic with what damaged files say.
    let read = std::panic::catch_unwind(|| read_sound(path, schema));
    read.unwrap_or_else(|_| Err(Error::data(path, "the workbook is damaged", "open it in a spreadsheet program and save it again")))
}

fn read_sound(path: &Path, schema: Option<&Schema>) -> Result<Reading> {
    size::check(path)?;
    let file = File::open(path).map_err(|e| Error::io(path, "open", e))?;
    let mut workbook = Xlsx::new(BufReader::new(file)).map_err(|e| damaged(path, &e))?;
    let sheets = sheets_with_cells(path, &mut workbook)?;
    let Some(name) = sheets.first() else {
        return Err(Error::data(path, "no sheet of the workbook has cells", "give a table with a header and rows"));
    };
    let mut notes = Vec::new();
    if sheets.len() > 1 {
        let n = sheets.len();
        notes.push(format!("{n} sheets have cells; \"{name}\" is read: save another one as a file of its own to take that"));
    }
    let cells = workbook.worksheet_cells_reader(name).map_err(|e| damaged(path, &e))?;
    let sheet = Sheet::read(path, name, cells)?;
    drop(workbook);
    let expected: Option<Vec<String>> = schema.map(|s| s.columns.iter().map(|c| c.name.clone()).collect());
    let header = Header::find(path, &first_rows(&sheet), expected.as_deref(), &recognised())?;
    notes.extend(header.notes);
    let n_above = usize::from(header.has_header);
    let n_rows = sheet.n_rows - n_above;
    let (wanted, more) = wanted(path, header.names.iter().map(String::as_str), schema)?;
    notes.extend(more);
    let (mut columns, mut sources) = (Vec::new(), Vec::new());
    for wanted in &wanted {
        let marks = wanted.given.as_ref().map_or(&[][..], |given| &given.missing);
        let slots = sheet.columns[wanted.idx].get(n_above..).unwrap_or_default();
        let source = SheetColumn::new(slots, n_rows, &sheet.texts, marks);
        let (meaning, note) = source.meaning();
        notes.extend(note.map(|note| format!("column \"{}\": {note}", wanted.name)));
        columns.push(TypedColumn::new(wanted.clone(), meaning));
        sources.push((source, meaning));
    }
    let columns = read_columns(path, columns, |columns| {
        for (column, (source, meaning)) in columns.iter_mut().zip(&sources) {
            for row in 0..source.n_rows() {
                if !column.wants_more() {
                    break;
                }
                column.take(source.cell(row, *meaning));
            }
        }
        Ok(())
    })?;
    finish(path, FileFormat::Workbook, columns, schema, notes)
}

/// The sheets that have cells: those that are shown, or if none of them has any, those that are hidden.
fn sheets_with_cells(path: &Path, workbook: &mut Workbook) -> Result<Vec<String>> {
    let sheets: Vec<_> = workbook.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet).cloned().collect();
    let (shown, hidden): (Vec<_>, Vec<_>) = sheets.into_iter().partition(|sheet| sheet.visible == SheetVisible::Visible);
    for sheets in [shown, hidden] {
        let mut names = Vec::new();
        for sheet in sheets {
            let cells = workbook.worksheet_cells_reader(&sheet.name).map_err(|e| damaged(path, &e))?;
            if Sheet::has_cells(path, &sheet.name, cells)? {
                names.push(sheet.name);
            }
        }
        if !names.is_empty() {
            return Ok(names);
        }
    }
    Ok(Vec::new())
}

/// The first rows as text, to find the names of the columns in.
fn first_rows(sheet: &Sheet) -> Vec<StringRecord> {
    let row = |row: usize| {
        let text = |slots: &Vec<Slot>| SheetColumn::new(slots, sheet.n_rows, &sheet.texts, &[]).text(row);
        sheet.columns.iter().map(text).collect()
    };
    (0..sheet.n_rows.min(N_LOOKED_AT + 1)).map(row).collect()
}

/// The error for what the reader of workbooks says.
pub(super) fn damaged(path: &Path, error: &XlsxError) -> Error {
    Error::data(
        path,
        format!("the workbook cannot be read: {error}"),
        "open it in a spreadsheet program and save it again, or save it as .csv",
    )
}
