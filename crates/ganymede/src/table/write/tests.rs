//! Files that were written are read.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use proptest::prelude::*;

use super::super::frame::MISSING;
use super::super::read::read;
use super::*;

fn columns() -> (Table, Schema) {
    let words = |codes: &[u32], words: &[&str]| Values::Categories {
        codes: codes.to_vec(),
        words: words.iter().map(|w| (*w).to_owned()).collect(),
    };
    let column = |name: &str, values: Values| Column { name: name.into(), values };
    let table = Table {
        columns: vec![
            column("n", Values::Numbers(vec![1.0, -20.0, f64::NAN, 3e6])),
            column("x, y", Values::Numbers(vec![0.5, 1.25, f64::NAN, -3.0])),
            column("day", Values::Numbers(vec![0.0, 86_400.0, f64::NAN, 1_709_164_800.0])),
            column("ok", words(&[0, 1, 0, 1], &["true", "false"])),
            column("word", words(&[0, 1, MISSING, 2], &["=1+1", "say \"a,b\"", "two\nlines"])),
        ],
    };
    let schema = "[[columns]]\nname='n'\nkind='integer'\nmissing=['?']\n[[columns]]\nname='x, y'\nkind='real'\ndecimals=2\nleast_decimals=1\n\
        [[columns]]\nname='day'\nkind='datetime'\nformat='%d/%m/%Y'\n[[columns]]\nname='ok'\nkind='boolean'\n[[columns]]\nname='word'\nkind='category'\n";
    (table, Schema::from_toml(schema).unwrap())
}

fn written(name: &str, table: &Table, schema: &Schema, options: &WriteOptions) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    write(&path, table, schema, options).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let bytes = std::fs::read(&path).unwrap();
    let mut out = String::new();
    if name.ends_with(".gz") {
        MultiGzDecoder::new(&bytes[..]).read_to_string(&mut out).unwrap()
    } else {
        (&bytes[..]).read_to_string(&mut out).unwrap()
    };
    out
}

#[test]
fn cells_are_written_in_their_own_format() {
    let (table, schema) = columns();
    let csv = "n,\"x, y\",day,ok,word\n1,0.5,01/01/1970,true,=1+1\n-20,1.25,02/01/1970,false,\"say \"\"a,b\"\"\"\n?,,,true,\n3000000,-3.0,29/02/2024,false,\"two\nlines\"\n";
    assert_eq!(written("t.csv", &table, &schema, &WriteOptions::default()), csv);
    assert_eq!(written("t.CSV.gz", &table, &schema, &WriteOptions::default()), csv);
    let escaped = written("t.csv", &table, &schema, &WriteOptions { escape_formulas: true });
    assert_eq!(escaped, csv.replace(",=1+1", ",'=1+1"));
    let tsv = written("t.tsv", &table, &schema, &WriteOptions::default());
    assert!(tsv.starts_with("n\tx, y\tday\tok\tword\n1\t0.5\t01/01/1970\ttrue\t=1+1\n"), "{tsv}");
    let json = written("t.jsonl", &table, &schema, &WriteOptions::default());
    assert!(json.starts_with("{\"n\":1,\"x, y\":0.5,\"day\":\"01/01/1970\",\"ok\":true,\"word\":\"=1+1\"}\n"), "{json}");
    assert!(json.contains("{\"n\":null,\"x, y\":null,\"day\":null,\"ok\":true,\"word\":null}\n"));
}

#[test]
fn written_tables_are_read_as_they_were() {
    let (table, schema) = columns();
    for name in ["t.csv", "t.tsv.gz", "t.jsonl", "t.ndjson.gz"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        write(&path, &table, &schema, &WriteOptions::default()).unwrap();
        assert_eq!(read(&path, Some(&schema)).unwrap().table, table, "{name}");
    }
}

#[test]
fn nothing_is_left_of_a_file_that_was_not_finished() {
    let (table, schema) = columns();
    let dir = tempfile::tempdir().unwrap();
    let mut writer = TableWriter::create(&dir.path().join("t.csv"), &schema, &WriteOptions::default()).unwrap();
    writer.push(&table).unwrap();
    let other = Table { columns: table.columns[1..].to_vec() };
    assert!(writer.push(&other).unwrap_err().to_string().contains("different columns"));
    drop(writer);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let message = TableWriter::create(&dir.path().join("t.xlsx"), &schema, &WriteOptions::default()).err().unwrap().to_string();
    assert!(message.contains(".jsonl"), "{message}");
}

#[test]
fn a_single_column_keeps_its_missing_rows_and_left_out_columns_are_not_written() {
    let (mut table, mut schema) = columns();
    table.columns.truncate(2);
    schema.columns[0].leave_out = true;
    let csv = written("t.csv", &table, &schema, &WriteOptions::default());
    assert_eq!(csv, "\"x, y\"\n0.5\n1.25\n\"\"\n-3.0\n");
}

proptest! {
    #[test]
    fn any_words_survive_every_text_format(words in proptest::collection::vec("[a-z=+,;\"'\n\té{}-]{1,8}", 1..20), which in 0usize..3) {
        let mut kept: Vec<String> = Vec::new();
        let codes = words.iter().map(|w| {
            // Cells are trimmed, and some texts mean "missing".
            let w = format!("w{}w", w.trim());
            kept.iter().position(|k| *k == w).unwrap_or_else(|| { kept.push(w); kept.len() - 1 }) as u32
        }).collect();
        let table = Table { columns: vec![Column { name: "w".into(), values: Values::Categories { codes, words: kept } }, Column { name: "i".into(), values: Values::Numbers((0..words.len()).map(|i| i as f64).collect()) }] };
        let schema = Schema { columns: vec![ColumnSchema::new("w", Kind::Category), ColumnSchema::new("i", Kind::Integer)], constraints: Vec::new() };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(["t.csv", "t.tsv", "t.jsonl"][which]);
        write(&path, &table, &schema, &WriteOptions::default()).unwrap();
        prop_assert_eq!(read(&path, Some(&schema)).unwrap().table, table);
    }
}
