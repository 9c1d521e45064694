//! Help for the tests of readers.

use std::path::{Path, PathBuf};

use super::super::cell::CellWriter;
use super::super::frame::{Column, Table};
use super::super::read::read;
use super::super::schema::Schema;

/// A file as it came from another program.
pub(in super::super) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/table/test_files").join(name)
}

/// What `types.arrow` and `types.parquet` hold, line by line as [`shown`] says it; the last column follows those that Arrow alone has.
pub(in super::super) const TYPES: [&str; 28] = [
    "i8 integer: 1 | -128 | - | 127",
    "i16 integer: 1 | -2 | - | 3",
    "i32 integer: 1 | -2 | - | 3",
    "i64 integer: 1 | -2 | - | 9007199254740992",
    "i64_wide category: 1 | -2 | - | 9007199254740993",
    "u8 integer: 1 | 2 | - | 255",
    "u16 integer: 1 | 2 | - | 65535",
    "u32 integer: 1 | 2 | - | 4294967295",
    "u64 integer: 1 | 2 | - | 3",
    "u64_wide category: 1 | 2 | - | 18446744073709551615",
    "f16 real: 0.5 | -2 | - | 1.25",
    "f32 real: 0.1 | -2.5 | - | -",
    "f64 real: 0.1 | 10000000000 | - | -",
    "flag boolean: true | false | - | true",
    "text category: a | ü, \"b\" | - | -",
    "large category: a | b | - | b",
    "category category: x | y | - | x",
    "date32 datetime: 2024-02-29 | 1969-12-31 | - | 2024-02-29",
    "date64 datetime: 2024-02-29 | 1969-12-31 | - | 2024-02-29",
    "moment_s datetime: 2024-02-29 12:30:15 | 1969-12-31 23:59:59 | - | 1969-12-31 23:59:59",
    "moment_ms datetime: 2024-02-29 12:30:15.25 | 1969-12-31 23:59:59 | - | 1969-12-31 23:59:59",
    "moment_us datetime: 2024-02-29 12:30:15.25 | 1969-12-31 23:59:59 | - | 1969-12-31 23:59:59",
    "moment_ns datetime: 2024-02-29 12:30:15.25 | 1969-12-31 23:59:59 | - | 1969-12-31 23:59:59",
    "zone datetime: 2024-02-29T12:30:15.25Z | 1969-12-31T23:59:59Z | - | 1969-12-31T23:59:59Z",
    "time32 datetime: 01:02:03 | 23:59:59.5 | - | 00:00:00",
    "time64 datetime: 01:02:03 | 23:59:59.5 | - | 00:00:00",
    "decimal real: 123.45 | -0.01 | - | 1",
    "decimal_wide category: 1 | 10000000000000000000000000000000000000 | - | -3",
];

/// Each column on a line: its name, kind and cells, the missing ones as `-`.
pub(in super::super) fn shown(table: &Table, schema: &Schema) -> Vec<String> {
    let line = |column: &Column| {
        let column_schema = schema.column(&column.name).unwrap();
        let writer = CellWriter::new(column_schema);
        let cell = |row| {
            let mut text = String::new();
            if writer.write(&column.values, row, &mut text) { text } else { "-".to_owned() }
        };
        let cells: Vec<String> = (0..column.values.len()).map(cell).collect();
        format!("{} {}: {}", column.name, column_schema.kind.name(), cells.join(" | "))
    };
    table.columns.iter().map(line).collect()
}

/// Cuts a small file at every length and changes bytes of it here and there: it is read or refused in words. A file that is cut must be refused unless
/// `may_be_short` says that its kind allows it.
pub(in super::super) fn damage(name: &str, may_be_short: bool) {
    let bytes = std::fs::read(golden(name)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    for length in (0..bytes.len()).step_by(1 + bytes.len() / 1000) {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let message = read(&path, None).err().map(|e| e.to_string());
        assert!(may_be_short || message.is_some(), "{name} of {length} bytes is read");
        assert!(message.is_none_or(|m| m.contains(name)), "{name} of {length} bytes");
    }
    // A generator of its own: the same bytes every time (Knuth's multiplier).
    let mut state = 1u64;
    for _ in 0..500 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (at, bit) = ((state >> 33) as usize % bytes.len(), (state >> 20) as u8);
        let mut changed = bytes.clone();
        changed[at] ^= bit.max(1);
        std::fs::write(&path, changed).unwrap();
        if let Ok(reading) = read(&path, None) {
            assert!(reading.table.check().is_ok());
        }
    }
}
