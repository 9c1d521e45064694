//! Cells that mean "nothing is known".

/// The marks that are recognised without a schema, besides the empty cell.
const MARKS: [&str; 18] =
    ["NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "-NaN", "-nan", "NaT", "null", "NULL", "Null", "None", "?", "-", "\\N"];

/// Whether a trimmed cell is one of the usual marks.
pub(crate) fn is_mark(cell: &str) -> bool {
    cell.is_empty() || (cell.len() <= 4 && MARKS.contains(&cell))
}

/// How often which mark was met.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Marks {
    counts: Vec<(String, usize)>,
}

impl Marks {
    /// Counts one missing cell.
    pub(crate) fn add(&mut self, mark: &str) {
        match self.counts.iter_mut().find(|(known, _)| known == mark) {
            Some((_, n)) => *n += 1,
            None => self.counts.push((mark.to_owned(), 1)),
        }
    }

    /// Number of missing cells.
    pub(crate) fn n(&self) -> usize {
        self.counts.iter().map(|(_, n)| n).sum()
    }

    /// The marks, the most frequent first.
    pub(crate) fn by_frequency(&self) -> Vec<String> {
        let mut counts = self.counts.clone();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        counts.into_iter().map(|(mark, _)| mark).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_marks_are_known_and_words_are_not() {
        assert!(["", "NA", "?", "-", "NaN", "null", "None", "N/A"].iter().all(|m| is_mark(m)));
        assert!(!["0", "none of these", "Namibia", "--", "no"].iter().any(|m| is_mark(m)));
    }

    #[test]
    fn the_mark_most_used_comes_first() {
        let mut marks = Marks::default();
        ["NA", "?", "?", ""].iter().for_each(|m| marks.add(m));
        assert_eq!(marks.by_frequency(), ["?", "", "NA"]);
        assert_eq!(marks.n(), 4);
    }
}
