//! Tables in Apache Parquet files, with their types.

mod reading;
#[cfg(test)]
mod tests;
mod writing;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
pub(super) use reading::read;
pub(super) use writing::ParquetWriter;

/// Whether a file begins as Parquet does.
pub(super) fn is_parquet(path: &Path) -> Result<bool> {
    let file = File::open(path).map_err(|e| Error::io(path, "open", e))?;
    let mut head = Vec::new();
    file.take(4).read_to_end(&mut head).map_err(|e| Error::io(path, "read", e))?;
    Ok(head == b"PAR1")
}
