//! One column while a file is read.

use std::collections::{HashMap, HashSet};

use super::super::facts::Facts;
use super::super::frame::{MISSING, Values};
use super::super::missing::is_mark;
use super::super::moment::Format;
use super::super::number;
use super::super::schema::{ColumnSchema, Kind};
use super::guess::{Form, Guess};

/// Different words of a column beyond which further ones are not kept: no table of categories has as many, and identifiers are made anew.
const MAX_WORDS: usize = 1 << 21;
const MAX_WORD_BYTES: usize = 128 << 20;
/// Stands for a word that was not kept.
const NOT_KEPT: &str = "(not kept)";
/// Cells against the form that are remembered for the next guess.
const MAX_MISFITS: usize = 64;

/// Collects the cells of a column in the form that is expected of it.
pub(in super::super) struct ColumnReader {
    pub name: String,
    form: Form,
    /// The form comes from a schema: other cells are errors.
    is_fixed: bool,
    /// Marks of missing cells that the schema gives instead of the usual ones.
    marks: Vec<String>,
    /// The schema says that numbers are whole.
    is_whole: bool,
    /// The words that the schema names, if it does.
    allowed: Option<HashSet<String>>,
    guess: Guess,
    cells: Cells,
    n_rows: usize,
    n_misfits: usize,
    pub facts: Facts,
}

enum Cells {
    Numbers(Vec<f64>),
    Words {
        codes: Vec<u32>,
        words: Vec<String>,
        index: HashMap<String, u32>,
        n_bytes: usize,
    },
    /// Complete, or given up until the next pass.
    Done,
}

/// A cell does not fit a form that is fixed.
pub(in super::super) struct Misfit {
    /// What the column should hold.
    pub expected: &'static str,
}

impl ColumnReader {
    /// A column of which nothing is known.
    pub(in super::super) fn new(name: String) -> Self {
        Self {
            name,
            form: Form::Numbers { mark: b'.' },
            is_fixed: false,
            marks: Vec::new(),
            is_whole: false,
            allowed: None,
            guess: Guess::new(),
            cells: Cells::Done,
            n_rows: 0,
            n_misfits: 0,
            facts: Facts::default(),
        }
    }

    /// Gives the column the form of a schema, its marks, and what it says of the values.
    pub(super) fn fix(&mut self, form: Option<Form>, given: &ColumnSchema) {
        self.marks = given.missing.clone();
        self.is_whole = given.kind == Kind::Integer;
        self.allowed = given.categories.as_ref().filter(|words| !words.is_empty()).map(|words| words.iter().cloned().collect());
        if let Some(form) = form {
            self.form = form;
            self.is_fixed = true;
        }
    }

    /// Takes `marks` for missing cells instead of the usual ones, unless there are none.
    #[cfg(feature = "typed")]
    pub(in super::super) fn mark_missing(&mut self, marks: &[String]) {
        self.marks = marks.to_vec();
    }

    /// Looks at a cell of the first rows, without keeping it.
    pub(in super::super) fn look(&mut self, cell: &str, is_word: bool, formats: &[Format]) {
        if !self.is_missing(cell) {
            self.guess.add(cell, is_word, formats);
        }
    }

    /// Begins a pass over the file.
    pub(in super::super) fn begin(&mut self, formats: &[Format], give_up: bool) {
        if !self.is_fixed {
            self.form = if give_up { Form::Words } else { self.guess.form(formats) };
        }
        self.cells = match self.form {
            Form::Words => Cells::Words { codes: Vec::new(), words: Vec::new(), index: HashMap::new(), n_bytes: 0 },
            _ => Cells::Numbers(Vec::new()),
        };
        (self.n_rows, self.n_misfits) = (0, 0);
        let is_ambiguous = self.guess.is_ambiguous(formats);
        self.facts = Facts::default();
        self.facts.is_ambiguous = is_ambiguous;
        match &self.form {
            Form::Numbers { mark } => self.facts.decimal_comma = *mark == b',',
            Form::Moments(format) => self.facts.format = Some((**format).clone()),
            Form::Words => {}
        }
    }

    /// Begins another way through the file for a column whose values are complete: its cells are passed over.
    pub(super) fn pass_over(&mut self) {
        self.n_rows = 0;
    }

    /// Number of rows so far.
    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Takes a cell, trimmed. `is_word` says that it is text however it looks.
    pub(in super::super) fn add(&mut self, cell: &str, is_word: bool, formats: &[Format]) -> Result<(), Misfit> {
        self.n_rows += 1;
        if self.is_missing(cell) {
            self.facts.marks.add(cell);
            match &mut self.cells {
                Cells::Numbers(values) => values.push(f64::NAN),
                Cells::Words { codes, .. } => codes.push(MISSING),
                Cells::Done => {}
            }
            return Ok(());
        }
        let value = match (&self.form, is_word) {
            (Form::Numbers { mark }, false) => number::parse(cell, *mark).map(|n| {
                self.facts.see_decimals(n.decimals);
                n.value
            }),
            (Form::Moments(format), _) => format.parse(cell).map(|m| {
                self.facts.see_moment(&m);
                m.seconds
            }),
            (Form::Numbers { .. }, true) => None,
            (Form::Words, _) => {
                if self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(cell)) {
                    return Err(Misfit { expected: "one of the categories that the schema names" });
                }
                self.add_word(cell, is_word, formats);
                return Ok(());
            }
        };
        if self.is_fixed && self.is_whole && value.is_some_and(|v| v.fract() != 0.0) {
            return Err(Misfit { expected: "a whole number" });
        }
        match (value, &mut self.cells) {
            (Some(value), Cells::Numbers(values)) if value.is_finite() => values.push(value),
            (Some(_), Cells::Numbers(values)) => {
                self.facts.n_infinite += 1;
                values.push(f64::NAN);
            }
            (Some(_), _) => {}
            (None, _) if self.is_fixed => {
                let expected = if matches!(self.form, Form::Moments(_)) { "a moment in the format of the schema" } else { "a number" };
                return Err(Misfit { expected });
            }
            (None, _) => {
                self.cells = Cells::Done;
                self.n_misfits += 1;
                if self.n_misfits <= MAX_MISFITS {
                    self.guess.add(cell, is_word, formats);
                }
            }
        }
        Ok(())
    }

    /// Adds missing cells up to `n_rows`.
    pub(super) fn pad(&mut self, n_rows: usize) {
        while self.n_rows < n_rows {
            // Missing cells always fit.
            let _ = self.add("", false, &[]);
        }
    }

    /// Whether the file has to be read again for this column.
    pub(in super::super) fn needs_another_pass(&self, formats: &[Format]) -> bool {
        self.n_misfits > 0 || (!self.is_fixed && self.facts.is_ambiguous && self.guess.form(formats) != Form::Words)
    }

    /// The values, at the end of a pass.
    pub(in super::super) fn take(&mut self) -> Option<Values> {
        match std::mem::replace(&mut self.cells, Cells::Done) {
            Cells::Numbers(values) => Some(Values::Numbers(values)),
            Cells::Words { codes, words, .. } => Some(Values::Categories { codes, words }),
            Cells::Done => None,
        }
    }

    fn is_missing(&self, cell: &str) -> bool {
        // Among words a dash is one, as beside "+".
        let is_word = cell == "-" && self.form == Form::Words;
        if self.marks.is_empty() { is_mark(cell) && !is_word } else { cell.is_empty() || self.marks.iter().any(|m| m == cell) }
    }

    fn add_word(&mut self, cell: &str, is_word: bool, formats: &[Format]) {
        let Cells::Words { codes, words, index, n_bytes } = &mut self.cells else { return };
        if let Some(code) = index.get(cell) {
            codes.push(*code);
            return;
        }
        if self.facts.is_ambiguous && !self.is_fixed {
            self.guess.add(cell, is_word, formats);
        }
        let is_full = words.len() >= MAX_WORDS || *n_bytes + cell.len() > MAX_WORD_BYTES;
        let word = if is_full { NOT_KEPT } else { cell };
        self.facts.n_not_kept += usize::from(is_full);
        let code = *index.entry(word.to_owned()).or_insert_with(|| {
            *n_bytes += word.len();
            words.push(word.to_owned());
            words.len() as u32 - 1
        });
        codes.push(code);
    }
}
