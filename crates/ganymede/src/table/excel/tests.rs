//! Workbooks of other programs, whole and damaged.

use std::io::{Read, Write};

use super::super::read::{FileFormat, read};
use super::super::typed::testing::{damage, golden, shown};

#[test]
fn cells_of_every_kind_are_read() {
    let reading = read(&golden("sheet.xlsx"), None).unwrap();
    assert_eq!(reading.found.format, FileFormat::Workbook);
    let expected = [
        "age real: 31 | - | 17.5 | -4",
        "name category: Ann | Bo | ü & <b> | Ann",
        "born datetime: 2024-02-29 | 1900-03-01 | - | 2024-02-29",
        "seen datetime: 2024-02-29 12:30:15.25 | 2024-02-29 00:00:00 | - | 2024-02-29 12:30:15.25",
        "at datetime: 01:02:03 | 23:59:00 | - | 00:00:00",
        "took integer: 108000 | 60 | - | 0",
        "ok boolean: true | false | - | true",
        "code category: 007 | 012 | - | 007",
        "2024 integer: 1 | 2 | - | 3",
        "column_10 category: x | - | - | y",
        "mixed category: 1 | a | - | 2024-02-29",
        "sum integer: 32 | - | - | 33",
    ];
    assert_eq!(shown(&reading.table, &reading.schema), expected);
    let notes = [
        "column 10 is called \"column_10\": its name in the file is empty or taken",
        "column \"took\": durations are read as seconds",
        "column \"2024\": 1 numbers that are stored as text are read as numbers",
    ];
    assert_eq!(reading.found.notes, notes);
}

#[test]
fn the_first_sheet_with_cells_is_read() {
    let reading = read(&golden("sheets.xlsx"), None).unwrap();
    let expected = ["x real: 1 | 2.5 | 3", "text category: First | a ü | First", "day constant: 2024-02-29 | 2024-02-29 | 2024-02-29"];
    assert_eq!(shown(&reading.table, &reading.schema), expected);
    assert_eq!(reading.found.notes, ["2 sheets have cells; \"First\" is read: save another one as a file of its own to take that"]);
}

#[test]
fn damaged_files_are_read_or_refused() {
    damage("sheet.xlsx", false);
    damage("sheets.xlsx", false);
}

/// A workbook with one part changed.
fn changed(name: &str, part: &str, change: impl Fn(&str) -> String) -> tempfile::NamedTempFile {
    let mut source = zip::ZipArchive::new(std::fs::File::open(golden(name)).unwrap()).unwrap();
    let mut file = tempfile::Builder::new().suffix(".xlsx").tempfile().unwrap();
    let mut target = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for place in 0..source.len() {
        let mut text = String::new();
        let mut entry = source.by_index(place).unwrap();
        entry.read_to_string(&mut text).unwrap();
        let name = entry.name().unwrap().into_owned();
        target.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        let text = if name == part { change(&text) } else { text };
        target.write_all(text.as_bytes()).unwrap();
    }
    file.write_all(&target.finish().unwrap().into_inner()).unwrap();
    file
}

#[test]
fn what_a_workbook_says_of_itself_is_not_believed() {
    let message = |file: tempfile::NamedTempFile| read(file.path(), None).unwrap_err().to_string();
    let many = changed("sheets.xlsx", "xl/sharedStrings.xml", |text| text.replace("uniqueCount=\"7\"", "uniqueCount=\"99999999999\""));
    assert!(message(many).contains("not what they say"));
    let sheet = "xl/worksheets/sheet1.xml";
    let far = changed("sheet.xlsx", sheet, |text| text.replace("\"A7\"", "\"ZZZZ7\""));
    assert!(message(far).contains("column"));
    let twice = changed("sheet.xlsx", sheet, |text| text.replace("\"B7\"", "\"A7\""));
    assert!(message(twice).contains("out of order"));
    let unknown = changed("sheet.xlsx", sheet, |text| text.replace("#DIV/0!", "#WRONG!"));
    assert!(message(unknown).contains("#WRONG!"));
    let empty = changed("sheet.xlsx", sheet, |_| "<worksheet><sheetData/></worksheet>".into());
    assert!(message(empty).contains("no sheet of the workbook has cells"));
    let names = changed("sheet.xlsx", sheet, |_| {
        "<worksheet><sheetData><row><c t=\"inlineStr\"><is><t>a</t></is></c></row></sheetData></worksheet>".into()
    });
    assert!(message(names).contains("no rows"));
}
