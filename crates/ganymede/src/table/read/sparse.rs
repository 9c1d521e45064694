//! Tables of which most cells are not in the file: they take memory all the same.

use std::path::Path;

use crate::error::{Error, Result};

/// So many cells may always be missing: half a gigabyte of numbers.
const MAX_ABSENT: u64 = 1 << 26;
/// Beyond, so many may be missing for each that is there.
const MAX_ABSENT_EACH: u64 = 8;

/// Refuses a table of `n_rows` times `n_columns` cells of which the file holds only `n_given`, where that would take memory out of all proportion to the file.
///
/// # Errors
/// [`Error::Data`] with the numbers.
pub(in super::super) fn check(path: &Path, n_rows: usize, n_columns: usize, n_given: u64) -> Result<()> {
    let n_cells = (n_rows as u64).saturating_mul(n_columns as u64);
    let n_absent = n_cells.saturating_sub(n_given);
    if n_absent <= MAX_ABSENT.max(MAX_ABSENT_EACH.saturating_mul(n_given)) {
        return Ok(());
    }
    let problem = format!(
        "{n_columns} columns by {n_rows} rows are {n_cells} cells, of which only {n_given} are in the file; at most {MAX_ABSENT} may be missing"
    );
    Err(Error::data(path, problem, "choose fewer columns, or write a row of a name and a value for each cell"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_bounded_by_what_is_there() {
        let is_read = |n_rows, n_columns, n_given| check(Path::new("t.jsonl"), n_rows, n_columns, n_given).is_ok();
        assert!(is_read(20_000, 2_000, 20_000) && is_read(0, 0, 0));
        assert!(!is_read(20_000, 20_000, 20_000));
        // A tenth of a hundred million rows.
        assert!(is_read(100_000_000, 10, 120_000_000));
        assert!(!is_read(100_000_000, 10, 100_000_000));
        assert!(!is_read(usize::MAX, usize::MAX, 5));
    }
}
