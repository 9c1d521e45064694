//! Arrow files of other programs, whole and damaged.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, Int64Array, NullArray, RecordBatch};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};

use super::super::read::{FileFormat, Reading, read};
use super::super::schema::Schema;
use super::super::typed::testing::{TYPES, damage, golden, shown};

fn reading(name: &str) -> Reading {
    read(&golden(name), None).unwrap()
}

#[test]
fn files_of_pyarrow_are_read() {
    let reading = reading("types.arrow");
    assert_eq!(reading.found.format, FileFormat::Arrow);
    let own = [
        "view category: a | a text of more than twelve bytes | - | a",
        "decimal32 real: 1.5 | -0.01 | - | 1",
        "decimal256 real: 1.5 | 10000000000000000303786028427003666890752 | - | 1",
        "duration real: 1.5 | -86400 | - | 0",
        "numbers real: 0.5 | 1.5 | - | 0.5",
        "nothing constant: - | - | - | -",
    ];
    assert_eq!(shown(&reading.table, &reading.schema), [&TYPES[..], &own].concat());
    let notes = &reading.found.notes;
    assert!(notes.iter().any(|n| n.contains("\"zone\" is in the zone Europe/Berlin")), "{notes:?}");
    assert!(notes.iter().any(|n| n.contains("\"duration\" holds durations")), "{notes:?}");
}

#[test]
fn streams_with_changing_dictionaries_are_read() {
    let reading = reading("batches.arrows");
    let lines = shown(&reading.table.take(&[0, 1, 10, 199, 200, 201, 399]), &reading.schema);
    let expected = [
        "n integer: 0 | 1 | 3 | 25 | 6 | 7 | 31",
        "word category: a | b | a | b | b | c | c",
        "day datetime: - | 2024-02-29 | 2024-02-29 | 2024-02-29 | - | 2024-02-29 | 2024-02-29",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn files_of_pandas_are_read() {
    let expected = [
        "age integer: 31 | - | 17 | 45",
        "job category: cook | clerk | - | cook",
        "name category: Ann | Bo | - | Cy",
        "income real: 1.5 | - | 2.25 | -3",
        "since datetime: 2024-02-29 12:00:00 | - | 1969-12-31 00:00:00 | 2001-09-09 01:46:40.5",
        "seen datetime: 2024-02-29T12:00:00Z | - | 1969-12-31T00:00:00Z | 2001-09-09T01:46:40Z",
        "ok boolean: true | - | false | true",
    ];
    let reading = reading("pandas.feather");
    assert_eq!(shown(&reading.table, &reading.schema), expected);
}

#[test]
fn files_of_polars_are_read() {
    let expected = [
        "n integer: 1 | - | 3 | 4",
        "text category: short | - | a text of more than twelve bytes | short",
        "category category: x | - | y | x",
        "enum category: low | - | high | low",
        "moment datetime: 2024-02-29 12:30:15.25 | - | 1969-12-31 23:59:59 | 2024-02-29 12:30:15.25",
        "clock datetime: 01:02:03 | - | 23:59:00 | 00:00:00",
    ];
    let reading = reading("polars.arrow");
    assert_eq!(shown(&reading.table, &reading.schema), expected);
}

#[test]
fn damaged_files_are_read_or_refused() {
    damage("types.arrow", false);
    damage("pandas.feather", false);
    damage("batches.arrows", true);
}

fn written(column: ArrayRef, compression: Option<CompressionType>) -> (tempfile::TempDir, PathBuf) {
    let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.arrow");
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let mut writer = FileWriter::try_new_with_options(std::fs::File::create(&path).unwrap(), &batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    (dir, path)
}

#[test]
fn rows_that_take_no_bytes_are_not_believed() {
    let (_dir, path) = written(Arc::new(NullArray::new(1 << 40)), None);
    assert!(read(&path, None).unwrap_err().to_string().contains("are in the file"));
    let (_dir, path) = written(Arc::new(NullArray::new(1000)), None);
    assert_eq!(read(&path, None).unwrap().table.n_rows(), 1000);
}

#[test]
fn sizes_of_compressed_parts_are_not_believed() {
    for compression in [CompressionType::ZSTD, CompressionType::LZ4_FRAME] {
        let (_dir, path) = written(Arc::new(Int64Array::from(vec![7; 1000])), Some(compression));
        let bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(8).position(|bytes| bytes == 8000i64.to_le_bytes()).unwrap();
        for says in [1i64 << 45, i64::MAX, 16_000, 10, -5] {
            let mut changed = bytes.clone();
            changed[at..at + 8].copy_from_slice(&says.to_le_bytes());
            std::fs::write(&path, changed).unwrap();
            let message = read(&path, None).unwrap_err().to_string();
            assert!(message.contains("Arrow file") || message.contains("unpacks to"), "{says}: {message}");
        }
    }
}

#[test]
fn columns_that_are_no_cells_are_refused_by_name_unless_left_out() {
    let (_dir, path) = written(Arc::new(BinaryArray::from(vec![b"a".as_slice()])), None);
    let message = read(&path, None).unwrap_err().to_string();
    assert!(message.contains("column \"x\" holds bytes") && message.contains("leave the column out"), "{message}");
    let schema = Schema::from_toml("[[columns]]\nname='x'\nkind='category'\nleave_out=true").unwrap();
    assert!(read(&path, Some(&schema)).unwrap_err().to_string().contains("no rows"));
}
