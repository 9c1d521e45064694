//! Rows as text: CSV, TSV, JSON lines.

use std::borrow::Cow;

use rayon::prelude::*;

use super::super::cell::CellWriter;
use super::super::frame::{Column, Table, Values};
use super::super::schema::ColumnSchema;

/// Rows that one task turns into text.
const N_CHUNK: usize = 8192;

/// Which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Cells between separators.
    Delimited { delimiter: u8, escape_formulas: bool },
    /// One object a line.
    JsonLines,
}

/// The line that names the columns, if there is one.
pub(super) fn header(style: Style, names: &[&str]) -> String {
    let Style::Delimited { delimiter, escape_formulas } = style else { return String::new() };
    let mut out = String::new();
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            out.push(delimiter as char);
        }
        quote(&harmless(name, escape_formulas), delimiter, &mut out);
    }
    out.push('\n');
    out
}

/// Hands the text of the rows to `take`, in order; made by all cores, a few megabytes at a time.
pub(super) fn rows<E>(style: Style, table: &Table, schemas: &[ColumnSchema], mut take: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    let columns: Vec<TextColumn> = table.columns.iter().zip(schemas).map(|(c, s)| TextColumn::new(style, c, s)).collect();
    let n_rows = table.n_rows();
    let n_at_once = N_CHUNK * rayon::current_num_threads().max(1);
    for start in (0..n_rows).step_by(n_at_once) {
        let end = (start + n_at_once).min(n_rows);
        let chunks: Vec<usize> = (start..end).step_by(N_CHUNK).collect();
        let texts: Vec<String> = chunks.par_iter().map(|from| chunk(style, &columns, *from, (from + N_CHUNK).min(end))).collect();
        texts.iter().try_for_each(|text| take(text))?;
    }
    Ok(())
}

/// A column with what is the same for all its rows.
struct TextColumn<'a> {
    values: &'a Values,
    writer: CellWriter,
    /// Text of each word, quoted.
    words: Vec<String>,
    missing: String,
    /// What stands before the cell of JSON.
    key: String,
    /// The text of a number may hold the separator, or is text in JSON.
    is_quoted: bool,
}

impl<'a> TextColumn<'a> {
    fn new(style: Style, column: &'a Column, schema: &ColumnSchema) -> Self {
        let words: &[String] = if let Values::Categories { words, .. } = &column.values { words } else { &[] };
        let is_flag = words.iter().all(|w| matches!(w.as_str(), "true" | "false"));
        let (words, missing, schema) = match style {
            Style::Delimited { delimiter, escape_formulas } => {
                let text = |word: &String| {
                    let mut out = String::new();
                    quote(&harmless(word, escape_formulas), delimiter, &mut out);
                    out
                };
                let mut missing = String::new();
                quote(schema.missing.first().map_or("", String::as_str), delimiter, &mut missing);
                (words.iter().map(text).collect(), missing, schema.clone())
            }
            Style::JsonLines => {
                let text = |word: &String| if is_flag { word.clone() } else { serde_json::Value::from(word.as_str()).to_string() };
                (words.iter().map(text).collect(), "null".to_owned(), ColumnSchema { decimal_comma: false, ..schema.clone() })
            }
        };
        let key = format!("{}:", serde_json::Value::from(column.name.as_str()));
        let is_quoted = schema.is_moment() || (style != Style::JsonLines && schema.decimal_comma);
        Self { values: &column.values, writer: CellWriter::new(&schema), words, missing, key, is_quoted }
    }

    fn write(&self, style: Style, row: usize, out: &mut String) {
        match self.values {
            Values::Categories { codes, .. } => out.push_str(self.words.get(codes[row] as usize).unwrap_or(&self.missing)),
            Values::Numbers(_) if !self.is_quoted => {
                if !self.writer.write(self.values, row, out) {
                    out.push_str(&self.missing);
                }
            }
            Values::Numbers(_) => {
                let mut text = String::new();
                match (self.writer.write(self.values, row, &mut text), style) {
                    (false, _) => out.push_str(&self.missing),
                    (true, Style::JsonLines) => out.push_str(&serde_json::Value::from(text).to_string()),
                    (true, Style::Delimited { delimiter, .. }) => quote(&text, delimiter, out),
                }
            }
        }
    }
}

fn chunk(style: Style, columns: &[TextColumn<'_>], from: usize, to: usize) -> String {
    let mut out = String::with_capacity((to - from) * columns.len() * 8);
    for row in from..to {
        let start = out.len();
        for (i, column) in columns.iter().enumerate() {
            match style {
                Style::Delimited { delimiter, .. } if i > 0 => out.push(delimiter as char),
                Style::JsonLines => {
                    out.push(if i == 0 { '{' } else { ',' });
                    out.push_str(&column.key);
                }
                Style::Delimited { .. } => {}
            }
            column.write(style, row, &mut out);
        }
        if style == Style::JsonLines {
            out.push_str(if columns.is_empty() { "{}" } else { "}" });
        } else if out.len() == start {
            // An empty line is no row.
            out.push_str("\"\"");
        }
        out.push('\n');
    }
    out
}

/// A text that no spreadsheet takes for a formula, if that is wanted.
fn harmless(text: &str, escape_formulas: bool) -> Cow<'_, str> {
    let is_formula = escape_formulas && text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// Appends a cell, in quotes where it would be read otherwise without.
fn quote(text: &str, delimiter: u8, out: &mut String) {
    let is_plain = !text.bytes().any(|b| b == delimiter || matches!(b, b'"' | b'\n' | b'\r')) && text.trim().len() == text.len();
    if is_plain {
        out.push_str(text);
        return;
    }
    out.push('"');
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}
