//! Parquet files of other programs, whole and damaged.

use super::super::read::{FileFormat, read};
use super::super::typed::testing::{TYPES, damage, golden, shown};

#[test]
fn files_of_pyarrow_are_read() {
    let reading = read(&golden("types.parquet"), None).unwrap();
    assert_eq!(reading.found.format, FileFormat::Parquet);
    assert_eq!(shown(&reading.table, &reading.schema), [&TYPES[..], &["nothing constant: - | - | - | -"]].concat());
}

#[test]
fn damaged_files_are_read_or_refused() {
    damage("types.parquet", false);
}
