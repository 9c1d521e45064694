//! Series: what each has once, and what it has at every step.

use crate::table::Table;

/// Series of rows. Identifiers and attributes are in one table, steps in another.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Collection {
    /// What a series has once, one row each.
    pub attributes: Table,
    /// What it has at every step, one series after the other.
    pub steps: Table,
    /// Where the steps of each series begin, and where those of the last one end: one more than there are series.
    pub first: Vec<usize>,
}

impl Collection {
    /// How many series there are.
    pub fn n(&self) -> usize {
        self.first.len().saturating_sub(1)
    }

    /// Places of the steps of a series.
    pub fn range(&self, series: usize) -> std::ops::Range<usize> {
        self.first[series]..self.first[series + 1]
    }

    /// How long each series is.
    pub fn lengths(&self) -> Vec<usize> {
        self.first.windows(2).map(|w| w[1] - w[0]).collect()
    }

    /// The series at some places.
    pub fn take(&self, places: &[usize]) -> Self {
        let rows: Vec<usize> = places.iter().flat_map(|place| self.range(*place)).collect();
        Self {
            attributes: self.attributes.take(places),
            steps: self.steps.take(&rows),
            first: starts(places.iter().map(|p| self.range(*p).len())),
        }
    }
}

/// Where parts of these lengths begin when they stand one after the other, and where the last one ends.
pub fn starts(lengths: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut starts = vec![0];
    starts.extend(lengths.into_iter().scan(0, |end, length| {
        *end += length;
        Some(*end)
    }));
    starts
}
