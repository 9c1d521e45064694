//! One column while a file with types is read.

use std::path::Path;
use std::sync::LazyLock;

use super::super::facts::Facts;
use super::super::frame::{Column, Values};
use super::super::infer::Read;
use super::super::moment::{Format, Moment, Zone, recognised};
use super::super::read::{ColumnReader, MAX_PASSES, N_GUESS_ROWS};
use super::super::schema::ColumnSchema;
use super::conform::conform;
use super::wanted::Wanted;
use super::{Cell, Meaning};
use crate::error::Result;

/// The formats of moments that words are held against.
static FORMATS: LazyLock<Vec<Format>> = LazyLock::new(recognised);

/// Collects the cells of a column in passes over the file.
pub(in super::super) struct TypedColumn {
    /// Where it stands in the file, counted from 0.
    pub idx: usize,
    name: String,
    given: Option<ColumnSchema>,
    meaning: Meaning,
    state: State,
}

enum State {
    Numbers {
        values: Vec<f64>,
        is_exact: bool,
    },
    /// Words may be moments: the first rows show whether.
    Look {
        words: Box<ColumnReader>,
        n_seen: usize,
    },
    Words {
        words: Box<ColumnReader>,
        n_passes: usize,
    },
    Done(Read),
}

impl TypedColumn {
    /// A column of which no cell was seen.
    pub(in super::super) fn new(wanted: Wanted, meaning: Meaning) -> Self {
        let Wanted { idx, name, given } = wanted;
        let mut column = Self { idx, name, given, meaning, state: State::Numbers { values: Vec::new(), is_exact: true } };
        if meaning == Meaning::Text {
            column.state = column.look();
        }
        column
    }

    /// Whether this pass needs further cells.
    pub(in super::super) fn wants_more(&self) -> bool {
        match &self.state {
            State::Numbers { .. } | State::Words { .. } => true,
            State::Look { n_seen, .. } => *n_seen < N_GUESS_ROWS,
            State::Done(_) => false,
        }
    }

    /// Takes the next cell; none where it is missing.
    pub(in super::super) fn take(&mut self, cell: Option<Cell<'_>>) {
        let meaning = self.meaning;
        match &mut self.state {
            State::Numbers { values, is_exact } => {
                *is_exact &= cell.as_ref().is_none_or(|cell| meaning.is_exact(cell));
                values.push(cell.map_or(f64::NAN, |cell| meaning.number(&cell)));
            }
            State::Look { words, n_seen } => {
                words.look(cell.and_then(|cell| meaning.text(cell)).unwrap_or_default().trim(), true, &FORMATS);
                *n_seen += 1;
            }
            State::Words { words, .. } => {
                let text = cell.and_then(|cell| meaning.text(cell)).unwrap_or_default();
                // Nothing is fixed, so every cell fits sooner or later.
                let _ = words.add(text.trim(), true, &FORMATS);
            }
            State::Done(_) => {}
        }
    }

    /// Ends a pass.
    fn end(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Numbers { values: Vec::new(), is_exact: true });
        self.state = match state {
            State::Numbers { values, is_exact: true } => State::Done(self.numbers(values)),
            State::Numbers { .. } => self.look(),
            State::Look { mut words, .. } => {
                words.begin(&FORMATS, false);
                State::Words { words, n_passes: 1 }
            }
            State::Words { mut words, n_passes } => {
                let needs_another = n_passes < MAX_PASSES && words.needs_another_pass(&FORMATS);
                match words.take().filter(|_| !needs_another) {
                    Some(values) => {
                        let facts = std::mem::take(&mut words.facts);
                        State::Done(Read { column: Column { name: self.name.clone(), values }, facts })
                    }
                    None => {
                        words.begin(&FORMATS, n_passes + 1 >= MAX_PASSES);
                        State::Words { words, n_passes: n_passes + 1 }
                    }
                }
            }
            done => done,
        };
    }

    fn look(&self) -> State {
        let mut words = ColumnReader::new(self.name.clone());
        if let Some(given) = &self.given {
            words.mark_missing(&given.missing);
        }
        State::Look { words: Box::new(words), n_seen: 0 }
    }

    fn numbers(&self, mut values: Vec<f64>) -> Read {
        let n_infinite = values.iter().filter(|v| v.is_infinite()).count();
        values.iter_mut().filter(|v| v.is_infinite()).for_each(|v| *v = f64::NAN);
        let moments = self.moments(&values);
        let column = Column { name: self.name.clone(), values: Values::Numbers(values) };
        let mut facts = moments.unwrap_or_else(|| Facts::of(&column));
        facts.n_infinite = n_infinite;
        Read { column, facts }
    }

    /// How moments are written; nothing for other numbers.
    fn moments(&self, values: &[f64]) -> Option<Facts> {
        let (text, zone) = match self.meaning {
            Meaning::Date => ("%Y-%m-%d", None),
            Meaning::Timestamp { is_utc: false, .. } => ("%Y-%m-%d %H:%M:%S%.f", None),
            Meaning::Timestamp { is_utc: true, .. } => ("%Y-%m-%dT%H:%M:%S%.f%z", Some(Zone::UTC)),
            Meaning::Time(_) => ("%H:%M:%S%.f", None),
            Meaning::Number | Meaning::Decimal(_) | Meaning::Text => return None,
        };
        let mut facts = Facts::default();
        for value in values {
            if value.is_nan() {
                facts.marks.add("");
                continue;
            }
            let micros = ((value * 1e6).round() as i64).rem_euclid(1_000_000);
            let zeros = (0..6).take_while(|n| micros % 10i64.pow(n + 1) == 0).count() as u8;
            facts.see_moment(&Moment { seconds: *value, fraction: 6 - zeros, zone });
        }
        let text = if facts.has_fraction() { text.to_owned() } else { text.replace("%.f", "") };
        facts.format = Format::new(&text).ok();
        Some(facts)
    }
}

/// Reads columns in as many passes over the file at `path` as they need. `pass` hands the cells of every row, in order, to those columns that want more.
///
/// # Errors
/// Those of `pass`; [`crate::Error::Data`] if a cell does not fit the schema.
pub(in super::super) fn read_columns(
    path: &Path,
    mut columns: Vec<TypedColumn>,
    mut pass: impl FnMut(&mut [TypedColumn]) -> Result<()>,
) -> Result<Vec<Read>> {
    while columns.iter().any(|column| !matches!(column.state, State::Done(_))) {
        pass(&mut columns)?;
        columns.iter_mut().for_each(TypedColumn::end);
    }
    let done = columns.into_iter().filter_map(|column| match column.state {
        State::Done(read) => Some(conform(path, read, column.given.as_ref())),
        _ => None,
    });
    done.collect()
}
