//! What the cells of a column can be read as.

use super::super::missing::is_mark;
use super::super::moment::Format;
use super::super::number;

/// How the cells of a column are stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    /// As numbers with this decimal mark.
    Numbers { mark: u8 },
    /// As moments in this format.
    Moments(Box<Format>),
    /// As words.
    Words,
}

/// Rules out, cell by cell, what a column cannot be.
#[derive(Clone, Debug)]
pub(super) struct Guess {
    is_number: bool,
    is_comma_number: bool,
    /// Formats in the list of all that read every cell so far; not yet asked before the first cell.
    formats: Option<Vec<usize>>,
}

impl Guess {
    /// Of a column of which no cell was seen.
    pub(super) fn new() -> Self {
        Self { is_number: true, is_comma_number: true, formats: None }
    }

    /// Takes a trimmed cell into account. `is_word` says that it is text however it looks.
    pub(super) fn add(&mut self, cell: &str, is_word: bool, formats: &[Format]) {
        if is_mark(cell) {
            return;
        }
        self.is_number &= !is_word && number::parse(cell, b'.').is_some();
        self.is_comma_number &= !is_word && number::parse(cell, b',').is_some();
        let can_be_moment = cell.len() <= 40 && cell.bytes().any(|b| b.is_ascii_digit());
        let reads = |i: &usize| can_be_moment && formats.get(*i).is_some_and(|f| f.parse(cell).is_some());
        match &mut self.formats {
            Some(known) => known.retain(reads),
            None => self.formats = Some((0..formats.len()).filter(reads).collect()),
        }
    }

    /// The form that fits best. Where day and month cannot be told apart, words.
    pub(super) fn form(&self, formats: &[Format]) -> Form {
        let moment = self.formats.iter().flatten().next().and_then(|i| formats.get(*i));
        match moment {
            _ if self.is_number => Form::Numbers { mark: b'.' },
            _ if self.is_comma_number => Form::Numbers { mark: b',' },
            Some(format) if !self.is_ambiguous(formats) => Form::Moments(Box::new(format.clone())),
            _ => Form::Words,
        }
    }

    /// Whether the cells are dates, but day and month cannot be told apart.
    pub(super) fn is_ambiguous(&self, formats: &[Format]) -> bool {
        let order = |i: &usize| formats.get(*i).map(|f| f.text().find('d') < f.text().find('m'));
        let mut orders = self.formats.iter().flatten().filter_map(order);
        let first = orders.next();
        !self.is_number && !self.is_comma_number && orders.any(|o| Some(o) != first)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::moment::recognised;
    use super::*;

    fn form(cells: &[&str]) -> String {
        let formats = recognised();
        let mut guess = Guess::new();
        cells.iter().for_each(|cell| guess.add(cell, false, &formats));
        match guess.form(&formats) {
            Form::Numbers { mark } => format!("numbers {}", mark as char),
            Form::Moments(format) => format.text().to_owned(),
            Form::Words if guess.is_ambiguous(&formats) => "ambiguous".into(),
            Form::Words => "words".into(),
        }
    }

    #[test]
    fn columns_are_what_all_their_cells_are() {
        assert_eq!(form(&["1", "2.5", "NA", ""]), "numbers .");
        assert_eq!(form(&["1", "2,5", "-0,25"]), "numbers ,");
        assert_eq!(form(&["1", "2,5", "3.5"]), "words");
        assert_eq!(form(&["007", "012"]), "words");
        assert_eq!(form(&["2024-02-29", "?"]), "%Y-%m-%d");
        assert_eq!(form(&["2024-02-29", "2023-02-29"]), "words");
        assert_eq!(form(&["2024-02-29T10:00:00Z", "2024-02-29T10:00:01+01:00"]), "%Y-%m-%dT%H:%M:%S%z");
        assert_eq!(form(&["2024-02-29 10:00:00", "2024-02-29 10:00:00.5"]), "%Y-%m-%d %H:%M:%S%.f");
        assert_eq!(form(&["13:45", "01:02"]), "%H:%M");
        assert_eq!(form(&["", "NA"]), "numbers .");
    }

    #[test]
    fn day_and_month_are_told_apart_or_left_as_words() {
        assert_eq!(form(&["01/02/2020", "13/02/2020"]), "%d/%m/%Y");
        assert_eq!(form(&["01/02/2020", "01/13/2020"]), "%m/%d/%Y");
        assert_eq!(form(&["1/2/2020", "1/13/2020"]), "%-m/%-d/%Y");
        assert_eq!(form(&["01/02/2020", "03/04/2020"]), "ambiguous");
        assert_eq!(form(&["01/13/2020", "13/01/2020"]), "words");
    }
}
