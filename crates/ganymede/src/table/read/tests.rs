//! Whole files.

use std::io::Write;

use super::super::frame::Values;
use super::*;
use proptest::prelude::*;

fn try_read(bytes: &[u8], schema: Option<&Schema>) -> Result<Reading> {
    let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    file.write_all(bytes).unwrap();
    read(file.path(), schema)
}

fn reading(text: &str) -> Reading {
    try_read(text.as_bytes(), None).unwrap()
}

fn message(text: &str) -> String {
    try_read(text.as_bytes(), None).unwrap_err().to_string()
}

fn numbers(reading: &Reading, name: &str) -> Vec<f64> {
    match &reading.table.column(name).unwrap().values {
        Values::Numbers(values) => values.clone(),
        other => panic!("{other:?}"),
    }
}

fn words(reading: &Reading, name: &str) -> Vec<Option<String>> {
    let values = &reading.table.column(name).unwrap().values;
    (0..values.len()).map(|i| values.word(i).map(String::from)).collect()
}

#[test]
fn quotes_marks_and_kinds() {
    let read = reading("\u{feff}age, name ,when,ok\n1,\"a,\nb\",2024-01-31,yes\nNA,\"say \"\"x\"\"\",,no\n3,?,2024-02-01,yes\n");
    assert_eq!(numbers(&read, "age")[0], 1.0);
    assert!(numbers(&read, "age")[1].is_nan());
    assert_eq!(words(&read, "name"), [Some("a,\nb".into()), Some("say \"x\"".into()), None]);
    assert_eq!(numbers(&read, "when")[0], 1_706_659_200.0);
    let kinds: Vec<Kind> = read.schema.columns.iter().map(|c| c.kind).collect();
    assert_eq!(kinds, [Kind::Integer, Kind::Category, Kind::Datetime, Kind::Boolean]);
    assert_eq!((&read.schema.columns[0].missing[..], &read.schema.columns[1].missing[..]), (&["NA".to_owned()][..], &["?".to_owned()][..]));
}

#[test]
fn a_column_that_turns_out_otherwise_far_down_is_read_again() {
    let mut text = String::from("a,b,c,d\n");
    for i in 0..20_000 {
        text.push_str(&format!("{i},1,2024-01-01 00:00:00,{:02}/01/2020\n", i % 12 + 1));
    }
    text.push_str("7,007,2024-01-01 00:00:00.5,01/31/2020\n");
    let read = reading(&text);
    assert_eq!(words(&read, "b")[20_000].as_deref(), Some("007"));
    assert_eq!(words(&read, "b")[0].as_deref(), Some("1"));
    assert_eq!(numbers(&read, "c")[20_000], 1_704_067_200.5);
    assert_eq!(read.schema.column("d").unwrap().format.as_deref(), Some("%m/%d/%Y"));
    assert_eq!(numbers(&read, "a").len(), 20_001);
}

#[test]
fn damaged_rows_are_named_by_their_line() {
    assert!(message("a,b\n1,2\n\n1\n").contains(".csv:4: 1 cells where the first row has 2"), "{}", message("a,b\n1,2\n\n1\n"));
    assert!(message("a,b\n1,2\n3,\"4\n5,6\n7,8\n").contains("quote is not closed"));
    assert!(message("a,b\n").contains("no rows"));
    assert!(message("a,b\n1,\u{0}\n").contains("zero bytes"));
    assert_eq!(reading("a,b\n1,2,,\n3,4\n").table.n_rows(), 2);
}

#[test]
fn unusual_tables_are_read() {
    assert_eq!(reading("a,b\n1,x\n").table.n_rows(), 1);
    assert_eq!(reading("a\n1\n").table.n_rows(), 1);
    let none = reading("a,b\n,x\n,y\n");
    assert_eq!(none.schema.columns[0].kind, Kind::Constant);
    let n = 10_000;
    let line = |f: &dyn Fn(usize) -> String| (0..n).map(f).collect::<Vec<_>>().join(",");
    let wide = format!("{}\n{}\n{}\n", line(&|i| format!("c{i}")), line(&|i| i.to_string()), line(&|i| format!("{}", i % 2)));
    assert_eq!(reading(&wide).table.columns.len(), n);
    let comma = reading("a;b\n1,5;x\n2,25;y\n");
    assert_eq!(numbers(&comma, "a"), [1.5, 2.25]);
    assert!(comma.schema.columns[0].decimal_comma);
    let infinite = reading("a\n1\ninf\n2.5\n");
    assert!(numbers(&infinite, "a")[1].is_nan() && infinite.found.notes.iter().any(|n| n.contains("infinite")));
}

#[test]
fn a_million_categories_are_an_identifier() {
    let mut text = String::from("w,x\n");
    (0..1_000_000).for_each(|i| text.push_str(&format!("u{:07},{}\n", i * 37 % 1_000_000, i % 3)));
    let read = reading(&text);
    assert_eq!((read.table.n_rows(), read.schema.columns[0].kind), (1_000_000, Kind::Identifier));
    // Of 0000000 to 0999999 the first digit is always the same.
    assert_eq!(read.schema.columns[0].pattern.as_deref(), Some("u0######"));
}

#[test]
fn files_with_the_same_columns_are_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    // Another order of the columns, another separator and another encoding; a whole number where others have fractions.
    let files = [put("a.csv", b"word,x\nred,1\nred,2\n"), put("b.b.csv", b"x;word\n2.5;green\n"), put("c.csv", b"word,x\ncaf\xe9,\n")];
    let paths: Vec<&Path> = files.iter().map(|path| path.as_path()).collect();
    let read = read_files(&paths, "file", None).unwrap();
    let names: Vec<&str> = read.table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["file", "word", "x"]);
    let told = |words: &[&str]| words.iter().map(|word| Some((*word).to_owned())).collect::<Vec<_>>();
    assert_eq!(words(&read, "file"), told(&["a", "a", "b.b", "c"]));
    assert_eq!(words(&read, "word"), told(&["red", "red", "green", "caf\u{e9}"]));
    let x = numbers(&read, "x");
    assert!(x[..3] == [1.0, 2.0, 2.5] && x[3].is_nan(), "{x:?}");
    // By the schema that was found the same is read.
    let again = read_files(&paths, "file", Some(&read.schema)).unwrap();
    assert_eq!((again.table.columns[0].name.as_str(), numbers(&again, "x")[..3].to_vec()), ("file", x[..3].to_vec()));

    let other = put("d.csv", b"word,y\nblue,1\n");
    let message = read_files(&[paths[0], &other], "file", None).unwrap_err().to_string();
    assert!(message.contains("d.csv") && message.contains("has a column \"y\""), "{message}");
    let fewer = put("e.csv", b"word,z\n".as_slice());
    let message = read_files(&[paths[0], &put("f.csv", b"word\nblue\n")], "file", None).unwrap_err().to_string();
    assert!(message.contains("f.csv") && message.contains("has no column \"x\""), "{message}");
    assert_eq!(column_names(&fewer), Some(vec!["word".to_owned(), "z".to_owned()]));
}

#[test]
fn encodings_are_found_however_late() {
    let mut bytes = b"name,x\n".to_vec();
    (0..300_000).for_each(|i| bytes.extend_from_slice(format!("plain,{i}\n").as_bytes()));
    bytes.extend_from_slice(b"caf\xe9,1\n");
    let read = try_read(&bytes, None).unwrap();
    assert_eq!(words(&read, "name")[300_000].as_deref(), Some("café"));
    assert_eq!(read.found.encoding, Encoding::Windows1252);
    let mut mixed = "naïve,1\n".repeat(300_000).into_bytes();
    mixed.extend_from_slice(b"caf\xe9,1\n");
    assert!(try_read(&mixed, None).unwrap_err().to_string().contains("not UTF-8 text, though"));
    let wide: Vec<u8> = "\u{feff}a\tb\n1\tü\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(words(&try_read(&wide, None).unwrap(), "b"), [Some("ü".into())]);
}

#[test]
fn json_lines_keep_the_order_of_their_keys() {
    let read =
        reading("{\"z\": 1, \"b\": \"x\", \"ok\": true}\n\n{\"z\": null, \"late\": \"007\", \"ok\": false}\n{\"b\": \"12\", \"z\": 2.5}\n");
    let names: Vec<&str> = read.table.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["z", "b", "ok", "late"]);
    assert_eq!(words(&read, "late"), [None, Some("007".into()), None]);
    assert_eq!(words(&read, "b"), [Some("x".into()), None, Some("12".into())]);
    assert_eq!(read.schema.column("ok").unwrap().kind, Kind::Boolean);
    assert!(message("{\"a\": 1}\n[2]\n").contains(":2"));
    assert!(message("{\"a\": [1]}\n").contains("list or an object"));
    assert!(message("{\"a\": 1, \"a\": 2}\n").contains("twice"));
}

#[test]
fn keys_that_differ_from_line_to_line_do_not_take_all_memory() {
    let lines = |n: usize, keys: &dyn Fn(usize) -> String| (0..n).map(|i| format!("{{{}}}\n", keys(i))).collect::<String>();
    let said = message(&lines(20_000, &|i| format!("\"k{i}\": {i}")));
    assert!(said.contains("columns by") && said.contains("are in the file") && said.contains("choose fewer columns"), "{said}");
    let few = reading(&lines(2_000, &|i| format!("\"k{}\": {i}, \"all\": 1", i % 500)));
    assert_eq!((few.table.columns.len(), few.table.n_rows()), (501, 2_000));
}

#[test]
fn a_schema_is_obeyed() {
    let text = "id,code,age,x\n1,3,17,a\n2,4,18,b\n";
    let schema = |extra: &str| {
        Schema::from_toml(&format!(
            "[[columns]]\nname=\"id\"\nkind=\"integer\"\nleave_out=true\n[[columns]]\nname=\"code\"\nkind=\"category\"\n[[columns]]\nname=\"age\"\nkind=\"real\"\n{extra}"
        ))
        .unwrap()
    };
    let full = schema("[[columns]]\nname=\"x\"\nkind=\"category\"\nmissing=[\"b\"]\n");
    let read = try_read(text.as_bytes(), Some(&full)).unwrap();
    assert_eq!(read.table.columns.len(), 3);
    assert_eq!(words(&read, "code"), [Some("3".into()), Some("4".into())]);
    assert_eq!(words(&read, "x"), [Some("a".into()), None]);
    let fails = |schema: &Schema, text: &str| try_read(text.as_bytes(), Some(schema)).unwrap_err().to_string();
    assert!(fails(&schema(""), text).contains("column \"x\" is not in the schema"));
    assert!(fails(&full, "id,code,agee,x\n1,3,17,a\n").contains("did you mean \"age\"?"));
    assert!(fails(&full, "id,code,age,x\n1,3,17,a\n1,3,old,a\n").contains(".csv:3:3: \"old\" in column \"age\" is not a number"));
    assert!(fails(&full, "id,code,age\n1,3,17\n").contains("the schema's column \"x\" is not in the file"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = try_read(&bytes, None);
    }

    #[test]
    fn any_text_in_columns_is_read_or_refused(text in "[a-c0-9,;\"\n\t .?{}:é-]{0,120}") {
        if let Ok(read) = try_read(text.as_bytes(), None) {
            prop_assert!(read.table.check().is_ok());
            prop_assert_eq!(read.schema.columns.len(), read.table.columns.len());
        }
    }
}

#[test]
fn json_lines_are_read_again_where_their_first_rows_mislead() {
    let mut text = String::new();
    (0..12_000).for_each(|i| text.push_str(&format!("{{\"a\": {i}, \"b\": null}}\n")));
    text.push_str("{\"a\": 1, \"b\": \"x\", \"c\": \"late\"}\n");
    let read = reading(&text);
    assert_eq!((read.table.n_rows(), numbers(&read, "a")[11_999]), (12_001, 11_999.0));
    assert_eq!((words(&read, "b")[12_000].as_deref(), words(&read, "c")[12_000].as_deref()), (Some("x"), Some("late")));
    assert!(message("{\"a\": 1, \"a\": 2}\n{\"a\": 1}\n").contains("\"a\" stands there twice"));
    assert!(message("[\n  {\"a\": 1}\n]\n").contains("one JSON document"));
}

#[test]
fn json_lines_have_no_more_columns_than_other_tables() {
    let line = |i: usize| (0..7000).map(|k| format!("\"k{i}-{k}\": 1")).collect::<Vec<_>>().join(", ");
    let text: String = (0..3).map(|i| format!("{{{}}}\n", line(i))).collect();
    assert!(message(&text).contains("at most 20000 are read"), "{}", message(&text));
}

#[test]
fn a_dash_is_a_word_among_words_and_a_gap_among_numbers() {
    let read = reading("label,x\n+,1\n-,-\n-,3\n+,4\n");
    assert_eq!(words(&read, "label")[1].as_deref(), Some("-"));
    assert!(numbers(&read, "x")[1].is_nan());
}

#[test]
fn a_schema_is_held_to() {
    let schema = |text: &str| toml::from_str::<Schema>(text).unwrap();
    let of = |text: &str, schema: &Schema| try_read(text.as_bytes(), Some(schema)).map(|_| ()).map_err(|e| e.to_string());
    let whole = schema("[[columns]]\nname = \"a\"\nkind = \"integer\"\n");
    assert!(of("a\n1\n2.0\n", &whole).is_ok());
    assert!(of("a\n1\n2.5\n", &whole).unwrap_err().contains(":3:1: \"2.5\" in column \"a\" is not a whole number"));
    let named = schema("[[columns]]\nname = \"a\"\nkind = \"category\"\ncategories = [\"x\", \"y\"]\n");
    assert!(of("a\nx\nz\n", &named).unwrap_err().contains("one of the categories that the schema names"));
    assert!(of("{\"b\": 1}\n", &whole).is_err());
    let both = schema("[[columns]]\nname = \"a\"\nkind = \"integer\"\n\n[[columns]]\nname = \"b\"\nkind = \"integer\"\n");
    assert!(of("{\"a\": 1}\n{\"a\": 2}\n", &both).unwrap_err().contains("\"b\" is not in the file"));
    assert!(of("A,B\n1,2\n3,4\n", &both).unwrap_err().contains("its first row, A, B, has none of the schema's columns, a, b"));
}
