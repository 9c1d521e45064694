//! Tables in Apache Parquet files, with their types.

mod reading;
#[cfg(test)]
mod tests;
mod writing;

pub(super) use reading::read;
pub(super) use writing::ParquetFile;
