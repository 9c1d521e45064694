//! Parquet files that were written are read.

use proptest::prelude::*;

use super::super::frame::{Column, MISSING, Table, Values};
use super::super::read::{FileFormat, read};
use super::super::schema::{Kind, Schema};
use super::super::write::{TableWriter, WriteOptions, write};

fn columns() -> (Table, Schema) {
    let words = |codes: &[u32], words: &[&str]| Values::Categories {
        codes: codes.to_vec(),
        words: words.iter().map(|w| (*w).to_owned()).collect(),
    };
    let column = |name: &str, values: Values| Column { name: name.into(), values };
    let nan = f64::NAN;
    let table = Table {
        columns: vec![
            column("whole", Values::Numbers(vec![1.0, -20.0, nan, 9e12])),
            column("real", Values::Numbers(vec![0.5, 1.25, nan, -3.125])),
            column("day", Values::Numbers(vec![0.0, -86_400.0, nan, 1_709_164_800.0])),
            column("moment", Values::Numbers(vec![0.5, 1_709_164_800.25, nan, 12.0])),
            column("clock", Values::Numbers(vec![3600.0, 60.0, nan, 0.0])),
            column("ok", words(&[0, 1, MISSING, 1], &["true", "false"])),
            column("answer", words(&[0, 1, MISSING, 1], &["Yes", "No"])),
            column("word", words(&[0, 1, MISSING, 2], &["=1+1", "say \"a,b\"", "two\nlines"])),
        ],
    };
    let kinds = [
        ("whole", "integer", ""),
        ("real", "real", "decimals=3"),
        ("day", "datetime", "format='%Y-%m-%d'"),
        ("moment", "datetime", "format='%Y-%m-%dT%H:%M:%S%.f%z'\nzone='Z'"),
        ("clock", "datetime", "format='%H:%M'"),
        ("ok", "boolean", ""),
        ("answer", "boolean", ""),
        ("word", "category", ""),
    ];
    let schema: String = kinds.iter().map(|(name, kind, more)| format!("[[columns]]\nname='{name}'\nkind='{kind}'\n{more}\n")).collect();
    (table, Schema::from_toml(&schema).unwrap())
}

#[test]
fn types_and_cells_survive() {
    let (table, schema) = columns();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    write(&path, &table, &schema, &WriteOptions::default()).unwrap();
    let found = read(&path, None).unwrap();
    assert_eq!(found.found.format, FileFormat::Parquet);
    assert_eq!(found.table, table);
    let kinds: Vec<Kind> = found.schema.columns.iter().map(|c| c.kind).collect();
    assert_eq!(kinds, schema.columns.iter().map(|c| c.kind).collect::<Vec<_>>());
    assert_eq!(found.schema.columns[3].format.as_deref(), Some("%Y-%m-%dT%H:%M:%S%.f%z"));
    assert_eq!(read(&path, Some(&schema)).unwrap().table, table);
    // What a schema wants otherwise is turned into that.
    let text = schema.to_toml(&[]).replacen("\"integer\"", "\"category\"", 1);
    let words = read(&path, Some(&Schema::from_toml(&text).unwrap())).unwrap();
    assert_eq!(words.table.columns[0].values.word(1), Some("-20"));
    let text = schema.to_toml(&[]).replace("\"category\"", "\"integer\"");
    assert!(read(&path, Some(&Schema::from_toml(&text).unwrap())).unwrap_err().to_string().contains("is not of kind integer"));
}

#[test]
fn parts_make_one_file_of_several_groups() {
    let (table, schema) = columns();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    let mut writer = TableWriter::create(&path, &schema, &WriteOptions::default()).unwrap();
    let rows: Vec<usize> = (0..100_000).map(|i| i % 4).collect();
    let part = table.take(&rows);
    (0..3).for_each(|_| writer.push(&part).unwrap());
    assert!(!path.exists());
    writer.finish().unwrap();
    let found = read(&path, None).unwrap().table;
    assert_eq!(found.n_rows(), 300_000);
    let last: Vec<usize> = (299_996..300_000).collect();
    assert_eq!(found.take(&last), table);
}

#[test]
fn damaged_files_are_refused() {
    let (table, schema) = columns();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    write(&path, &table, &schema, &WriteOptions::default()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(read(&path, None).unwrap_err().to_string().contains("cannot be read"));
    std::fs::write(&path, b"PAR1").unwrap();
    assert!(read(&path, None).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_numbers_survive(values in proptest::collection::vec(prop_oneof![any::<f64>().prop_filter("finite", |v| v.is_finite()), Just(f64::NAN), (-1000i32..1000).prop_map(f64::from)], 1..50)) {
        prop_assume!(values.iter().any(|v| !v.is_nan()));
        let table = Table { columns: vec![Column { name: "x".into(), values: Values::Numbers(values) }] };
        let schema = Schema::from_toml("[[columns]]\nname='x'\nkind='real'").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        write(&path, &table, &schema, &WriteOptions::default()).unwrap();
        prop_assert_eq!(read(&path, None).unwrap().table, table);
    }

    #[test]
    fn files_with_a_changed_byte_are_read_or_refused(at in any::<proptest::sample::Index>(), byte: u8) {
        let (table, schema) = columns();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        write(&path, &table, &schema, &WriteOptions::default()).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let at = 4 + at.index(bytes.len() - 4);
        bytes[at] = byte;
        std::fs::write(&path, bytes).unwrap();
        let _ = read(&path, None);
    }
}
