//! What holds for every kind of file that is written with types.

use proptest::prelude::*;

use super::super::frame::{Column, MISSING, Table, Values};
use super::super::read::read;
use super::super::schema::{Kind, Schema};
use super::super::write::{TableWriter, WriteOptions, write};

/// Endings that are written with types.
const ENDINGS: &[&str] = &[
    #[cfg(feature = "parquet")]
    "parquet",
    #[cfg(feature = "arrow")]
    "arrow",
    #[cfg(feature = "arrow")]
    "feather",
];

/// A table with a column of each type, and a row of missing cells.
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
            column("utc", Values::Numbers(vec![0.5, 1_709_164_800.25, nan, 12.0])),
            column("local", Values::Numbers(vec![-1.0, 1_709_164_800.0, nan, 12.0])),
            column("clock", Values::Numbers(vec![3600.0, 86_399.0, nan, 0.0])),
            column("ok", words(&[0, 1, MISSING, 1], &["true", "false"])),
            column("answer", words(&[0, 1, MISSING, 1], &["Yes", "No"])),
            column("word", words(&[0, 1, MISSING, 2], &["=1+1", "say \"a,b\"", "two\nlines"])),
        ],
    };
    let kinds = [
        ("whole", "integer", ""),
        ("real", "real", "decimals=3"),
        ("day", "datetime", "format='%Y-%m-%d'"),
        ("utc", "datetime", "format='%Y-%m-%dT%H:%M:%S%.f%z'\nzone='Z'"),
        ("local", "datetime", "format='%d/%m/%Y %H:%M:%S'"),
        ("clock", "datetime", "format='%H:%M:%S'"),
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
    for ending in ENDINGS {
        let path = dir.path().join(format!("t.{ending}"));
        write(&path, &table, &schema, &WriteOptions::default()).unwrap();
        let found = read(&path, None).unwrap();
        assert_eq!(found.table, table, "{ending}");
        let kinds: Vec<Kind> = found.schema.columns.iter().map(|c| c.kind).collect();
        assert_eq!(kinds, schema.columns.iter().map(|c| c.kind).collect::<Vec<_>>(), "{ending}");
        let formats: Vec<_> = found.schema.columns[2..6].iter().map(|c| c.format.as_deref().unwrap()).collect();
        assert_eq!(formats, ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S", "%H:%M:%S"], "{ending}");
        assert_eq!(read(&path, Some(&schema)).unwrap().table, table, "{ending}");
        // What a schema wants otherwise is turned into that.
        let text = schema.to_toml(&[]).replacen("\"integer\"", "\"category\"", 1);
        let words = read(&path, Some(&Schema::from_toml(&text).unwrap())).unwrap();
        assert_eq!(words.table.columns[0].values.word(1), Some("-20"));
        let text = schema.to_toml(&[]).replace("\"category\"", "\"integer\"");
        assert!(read(&path, Some(&Schema::from_toml(&text).unwrap())).unwrap_err().to_string().contains("is not of kind integer"));
        let text = schema.to_toml(&[]).replace("name = \"word\"", "name = \"word\"\nmissing = [\"=1+1\"]");
        assert_eq!(read(&path, Some(&Schema::from_toml(&text).unwrap())).unwrap().table.columns[8].values.word(0), None);
    }
}

#[test]
fn parts_make_one_file_of_several_groups() {
    let (table, schema) = columns();
    let dir = tempfile::tempdir().unwrap();
    for ending in ENDINGS {
        let path = dir.path().join(format!("t.{ending}"));
        let mut writer = TableWriter::create(&path, &schema, &WriteOptions::default()).unwrap();
        let rows: Vec<usize> = (0..100_000).map(|i| i % 4).collect();
        let part = table.take(&rows);
        (0..3).for_each(|_| writer.push(&part).unwrap());
        assert!(!path.exists());
        writer.finish().unwrap();
        let found = read(&path, None).unwrap().table;
        assert_eq!(found.n_rows(), 300_000);
        let last: Vec<usize> = (299_996..300_000).collect();
        assert_eq!(found.take(&last), table, "{ending}");
    }
}

#[test]
fn nothing_is_left_of_a_file_that_was_not_finished() {
    let (table, schema) = columns();
    let dir = tempfile::tempdir().unwrap();
    for ending in ENDINGS {
        let mut writer = TableWriter::create(&dir.path().join(format!("t.{ending}")), &schema, &WriteOptions::default()).unwrap();
        writer.push(&table).unwrap();
        let mut other = table.clone();
        other.columns[0].values = Values::Categories { codes: vec![0; 4], words: vec!["a".into()] };
        assert!(writer.push(&other).unwrap_err().to_string().contains("\"whole\" changes its kind from part to part"));
        drop(writer);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_numbers_and_words_survive(
        rows in proptest::collection::vec(
            (prop_oneof![any::<f64>().prop_filter("finite", |v| v.is_finite()), Just(f64::NAN), (-1000i32..1000).prop_map(f64::from)], "[a-cé\n,\"]{0,3}", any::<bool>()),
            1..50,
        ),
        which in 0..ENDINGS.len(),
    ) {
        prop_assume!(rows.iter().any(|(number, ..)| !number.is_nan()));
        let mut words: Vec<String> = Vec::new();
        let codes = rows.iter().map(|(_, word, is_there)| {
            // Cells are trimmed, and some texts mean "missing".
            let word = format!("w{word}w");
            if !is_there {
                return MISSING;
            }
            words.iter().position(|w| *w == word).unwrap_or_else(|| { words.push(word); words.len() - 1 }) as u32
        });
        let words_column = Values::Categories { codes: codes.collect(), words };
        let numbers = Values::Numbers(rows.iter().map(|row| row.0).collect());
        let table = Table { columns: vec![Column { name: "x".into(), values: numbers }, Column { name: "w".into(), values: words_column }] };
        let schema = Schema::from_toml("[[columns]]\nname='x'\nkind='real'\n[[columns]]\nname='w'\nkind='category'").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("t.{}", ENDINGS[which]));
        write(&path, &table, &schema, &WriteOptions::default()).unwrap();
        prop_assert_eq!(read(&path, Some(&schema)).unwrap().table, table);
    }
}
