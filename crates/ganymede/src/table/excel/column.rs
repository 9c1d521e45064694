//! A column of a sheet: what its cells are together.

use std::borrow::Cow;

use super::super::missing::is_mark;
use super::super::moment::Format;
use super::super::number;
use super::super::typed::{Cell, Meaning};
use super::sheet::Slot;

/// The cells of a column below its name.
pub(super) struct SheetColumn<'a> {
    slots: &'a [Slot],
    n_rows: usize,
    texts: &'a [String],
    /// Texts that mean "missing" instead of the usual ones, unless there are none.
    marks: &'a [String],
}

/// Which kinds of cells there are.
#[derive(Debug, Default)]
struct Kinds {
    n_numbers: usize,
    n_flags: usize,
    n_moments: usize,
    n_clocks: usize,
    n_durations: usize,
    n_texts: usize,
    /// Texts that are numbers.
    n_text_numbers: usize,
    /// A moment is not the beginning of a day.
    has_time: bool,
}

impl<'a> SheetColumn<'a> {
    /// Of `n_rows`; those that `slots` lack are missing.
    pub(super) fn new(slots: &'a [Slot], n_rows: usize, texts: &'a [String], marks: &'a [String]) -> Self {
        Self { slots, n_rows, texts, marks }
    }

    /// What the cells stand for, and what a person should know of it.
    pub(super) fn meaning(&self) -> (Meaning, Option<String>) {
        let mut kinds = Kinds::default();
        for slot in self.slots {
            match slot {
                Slot::Missing => {}
                Slot::Flag(_) => kinds.n_flags += 1,
                Slot::Number(_) => kinds.n_numbers += 1,
                Slot::Moment(seconds) => {
                    kinds.n_moments += 1;
                    kinds.has_time |= seconds % 86_400.0 != 0.0;
                }
                Slot::Clock(_) => kinds.n_clocks += 1,
                Slot::Duration(_) => kinds.n_durations += 1,
                Slot::Text(place) if self.is_missing(*place) => {}
                Slot::Text(place) => {
                    kinds.n_texts += 1;
                    kinds.n_text_numbers += usize::from(self.text_number(*place).is_some());
                }
            }
        }
        let Kinds { n_numbers, n_flags, n_moments, n_clocks, n_durations, n_texts, n_text_numbers, has_time } = kinds;
        match [n_numbers, n_flags, n_moments, n_clocks, n_durations, n_texts].map(|n| n > 0) {
            [_, false, false, false, false, false] => (Meaning::Number, None),
            [true, false, false, false, false, true] if n_texts == n_text_numbers => {
                (Meaning::Number, Some(format!("{n_texts} numbers that are stored as text are read as numbers")))
            }
            [false, false, true, false, false, false] if has_time => (Meaning::Timestamp { per_second: 1.0, is_utc: false }, None),
            [false, false, true, false, false, false] => (Meaning::Date, None),
            [false, false, false, true, false, false] => (Meaning::Time(1.0), None),
            [false, false, false, false, true, false] => (Meaning::Number, Some("durations are read as seconds".to_owned())),
            _ => (Meaning::Text, None),
        }
    }

    /// Number of rows.
    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The cell of a row in a column of that meaning.
    pub(super) fn cell(&self, row: usize, meaning: Meaning) -> Option<Cell<'a>> {
        let slot = self.slots.get(row).copied().unwrap_or(Slot::Missing);
        if meaning == Meaning::Text {
            return self.word(slot);
        }
        match slot {
            Slot::Number(value) | Slot::Clock(value) | Slot::Duration(value) => Some(Cell::Number(value)),
            Slot::Moment(seconds) if meaning == Meaning::Date => Some(Cell::Number(seconds / 86_400.0)),
            Slot::Moment(seconds) => Some(Cell::Number(seconds)),
            Slot::Text(place) => self.text_number(place).map(Cell::Number),
            Slot::Flag(_) | Slot::Missing => None,
        }
    }

    /// The cell of a row as text, empty where it is missing.
    pub(super) fn text(&self, row: usize) -> String {
        let cell = self.cell(row, Meaning::Text).and_then(|cell| Meaning::Text.text(cell));
        cell.map_or_else(String::new, Cow::into_owned)
    }

    fn word(&self, slot: Slot) -> Option<Cell<'a>> {
        let moment = |format: &str, seconds: f64| {
            let mut text = String::new();
            Format::new(format).ok()?.write(seconds, None, &mut text);
            Some(Cell::Text(Cow::Owned(text)))
        };
        match slot {
            Slot::Missing => None,
            Slot::Flag(flag) => Some(Cell::Flag(flag)),
            Slot::Number(value) | Slot::Duration(value) => Some(Cell::Number(value)),
            Slot::Moment(seconds) if seconds % 86_400.0 == 0.0 => moment("%Y-%m-%d", seconds),
            Slot::Moment(seconds) => moment("%Y-%m-%d %H:%M:%S%.f", seconds),
            Slot::Clock(seconds) => moment("%H:%M:%S%.f", seconds),
            // What means "missing" is known to the reader of words.
            Slot::Text(place) => self.texts.get(place as usize).map(|text| Cell::Text(Cow::Borrowed(text))),
        }
    }

    fn is_missing(&self, place: u32) -> bool {
        let text = self.texts.get(place as usize).map_or("", String::as_str);
        if self.marks.is_empty() { is_mark(text) } else { self.marks.iter().any(|mark| mark == text) }
    }

    fn text_number(&self, place: u32) -> Option<f64> {
        if self.is_missing(place) {
            return None;
        }
        self.texts.get(place as usize).and_then(|text| number::parse(text, b'.')).map(|number| number.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(slots: &[Slot], texts: &[&str]) -> (Meaning, Vec<Option<String>>, bool) {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let column = SheetColumn::new(slots, slots.len() + 1, &texts, &[]);
        let (meaning, note) = column.meaning();
        let shown = |cell: Cell<'_>| match cell {
            Cell::Text(text) => text.into_owned(),
            other => format!("{other:?}"),
        };
        (meaning, (0..column.n_rows()).map(|row| column.cell(row, meaning).map(shown)).collect(), note.is_some())
    }

    #[test]
    fn columns_are_what_all_their_cells_are() {
        let meaning = |slots: &[Slot]| read(slots, &["NA", "a", "12", "007"]).0;
        assert_eq!(meaning(&[Slot::Missing, Slot::Text(0)]), Meaning::Number);
        assert_eq!(meaning(&[Slot::Number(1.0), Slot::Text(0)]), Meaning::Number);
        assert_eq!(meaning(&[Slot::Moment(0.0), Slot::Text(0)]), Meaning::Date);
        assert_eq!(meaning(&[Slot::Moment(0.0), Slot::Moment(1.0)]), Meaning::Timestamp { per_second: 1.0, is_utc: false });
        assert_eq!(meaning(&[Slot::Clock(5.0)]), Meaning::Time(1.0));
        for slots in
            [&[Slot::Flag(true)][..], &[Slot::Number(1.0), Slot::Text(1)], &[Slot::Text(2)], &[Slot::Clock(0.0), Slot::Moment(1.0)]]
        {
            assert_eq!(meaning(slots), Meaning::Text, "{slots:?}");
        }
        assert_eq!(meaning(&[Slot::Number(1.0), Slot::Text(2)]), Meaning::Number);
        assert_eq!(meaning(&[Slot::Number(1.0), Slot::Text(3)]), Meaning::Text);
    }

    #[test]
    fn cells_of_mixed_columns_are_words() {
        let slots = [Slot::Moment(86_400.0), Slot::Moment(90_000.5), Slot::Clock(60.0), Slot::Text(0), Slot::Number(2.5), Slot::Flag(true)];
        let (meaning, words, _) = read(&slots, &["a"]);
        let words: Vec<&str> = words.iter().map(|word| word.as_deref().unwrap_or("-")).collect();
        assert_eq!(meaning, Meaning::Text);
        assert_eq!(words, ["1970-01-02", "1970-01-02 01:00:00.5", "00:01:00", "a", "Number(2.5)", "Flag(true)", "-"]);
        let (_, numbers, has_note) = read(&[Slot::Number(1.0), Slot::Text(0)], &["12"]);
        assert_eq!((numbers[1].as_deref(), has_note), (Some("Number(12.0)"), true));
    }
}
