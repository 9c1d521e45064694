//! Tables in Apache Parquet files, with their types.

mod reading;
#[cfg(test)]
mod tests;
mod writing;

pub(super) use reading::read;
pub(crate) use reading::{batches, damaged, opened, soundly};
pub(super) use writing::ParquetFile;
