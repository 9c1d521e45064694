//! Classes and attributes of pictures: from `labels.csv` beside them, or from the sub-folders they lie in.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use super::attributes::AttributeTable;
use super::delimited::{Row, Text, at};
use super::image_index::ImageEntry;
use super::with_commas;
use crate::error::{Error, Result};

/// Classes of the entries of an index.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// Sorted names; empty if the pictures are unlabelled.
    pub classes: Vec<String>,
    /// Position in `classes` for each entry; `None` for a picture that the labels do not name.
    pub of_entry: Vec<Option<u32>>,
    /// The other columns of `labels.csv`.
    pub attributes: Option<AttributeTable>,
    /// Sentences for the user.
    pub notes: Vec<String>,
}

/// A `labels.csv` that was found.
#[derive(Debug)]
pub(super) struct LabelsFile {
    /// For messages.
    pub path: PathBuf,
    /// Folder in which it lies, relative to the pictures' paths; empty for the top.
    pub base: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Cells and line in `labels.csv` by file name.
type RowOf = HashMap<String, (Vec<String>, u64)>;

/// Finds classes and attributes.
pub(super) fn find(entries: &[ImageEntry], labels: Option<LabelsFile>) -> Result<Labels> {
    let Some(file) = labels else { return Ok(from_folders(entries)) };
    let found = from_csv(&file, entries)?;
    if !found.classes.is_empty() {
        return Ok(found);
    }
    let folders = from_folders(entries);
    Ok(Labels { classes: folders.classes, of_entry: folders.of_entry, ..found })
}

/// Classes from values, one per entry. Numbers sort as numbers, other names alphabetically.
pub(super) fn classes_of(values: Vec<Option<String>>) -> (Vec<String>, Vec<Option<u32>>) {
    let distinct: BTreeSet<&String> = values.iter().flatten().collect();
    let mut classes: Vec<String> = distinct.into_iter().cloned().collect();
    let numbers: Option<Vec<f64>> = classes.iter().map(|c| c.parse::<f64>().ok().filter(|x| x.is_finite())).collect();
    if let Some(numbers) = numbers {
        let mut both: Vec<_> = numbers.into_iter().zip(classes).collect();
        both.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        classes = both.into_iter().map(|(_, class)| class).collect();
    }
    let position: HashMap<&str, u32> = classes.iter().zip(0..).map(|(class, i)| (class.as_str(), i)).collect();
    let of_entry = values.iter().map(|v| v.as_ref().and_then(|v| position.get(v.as_str()).copied())).collect();
    (classes, of_entry)
}

/// The first folder level below what all pictures share, if every picture lies in one of at least two.
fn from_folders(entries: &[ImageEntry]) -> Labels {
    let folders: Vec<Vec<&std::ffi::OsStr>> = entries.iter().map(|e| parents(&e.path)).collect();
    let Some(first) = folders.first() else { return Labels::default() };
    let shared = (0..first.len()).take_while(|&i| folders.iter().all(|f| f.get(i) == first.get(i))).count();
    let values: Option<Vec<Option<String>>> =
        folders.iter().map(|f| f.get(shared).map(|f| Some(f.to_string_lossy().into_owned()))).collect();
    match values.map(classes_of) {
        Some((classes, of_entry)) if classes.len() >= 2 => Labels { classes, of_entry, ..Labels::default() },
        _ => Labels::default(),
    }
}

fn parents(path: &Path) -> Vec<&std::ffi::OsStr> {
    let mut parts: Vec<_> = path
        .components()
        .filter_map(|c| match c {
            Component::Normal(part) => Some(part),
            _ => None,
        })
        .collect();
    parts.pop();
    parts
}

fn from_csv(file: &LabelsFile, entries: &[ImageEntry]) -> Result<Labels> {
    let path = file.path.as_path();
    let text = Text::check(path, &file.bytes)?;
    let mut rows = text.records();
    let Some(header) = rows.next().transpose()? else {
        return Err(Error::data(path, "the file is empty", "give it a header line, for example: file,label"));
    };
    let columns: Vec<String> = header.cells.iter().map(|c| c.trim().to_string()).collect();
    let position = |name: &str| columns.iter().position(|c| c.eq_ignore_ascii_case(name));
    let file_column = position("file").unwrap_or(0);
    let others: Vec<usize> = (0..columns.len()).filter(|&i| i != file_column).collect();
    if others.is_empty() {
        return Err(Error::data(path, "it has one column only", "give it a header line and two columns, for example: file,label"));
    }
    let row_of = collect(path, rows, (columns.len(), file_column))?;
    let found: Vec<Option<&Vec<String>>> = entries.iter().map(|e| lookup(&row_of, &file.base, &e.path)).collect();
    let n_named = found.iter().flatten().count();
    if n_named == 0 && !entries.is_empty() {
        return Err(Error::data(
            path,
            format!("none of the files it names is there (its first column is \"{}\")", columns[file_column]),
            "write file names as they are in the folder, for example cats/001.png, or remove labels.csv",
        ));
    }
    let mut labels = Labels::default();
    if row_of.len() > n_named {
        labels.notes.push(format!("labels.csv names {} files that are not there or cannot be read", with_commas(row_of.len() - n_named)));
    }
    let label = position("label").or_else(|| position("class")).filter(|&i| i != file_column);
    let label = label.or(if let [only] = others[..] { Some(only) } else { None });
    if let Some(column) = label {
        let value = |row: &&Vec<String>| if row[column].is_empty() { "none".to_owned() } else { row[column].clone() };
        judge(&mut labels, &columns[column], found.iter().map(|row| row.as_ref().map(value)).collect());
    }
    let left: Vec<usize> = others.into_iter().filter(|i| labels.classes.is_empty() || Some(*i) != label).collect();
    labels.attributes = AttributeTable::of(&columns, &left, &found, &mut labels.notes);
    Ok(labels)
}

/// Cells and line by file name.
fn collect(path: &Path, rows: impl Iterator<Item = Result<Row>>, (n_columns, file_column): (usize, usize)) -> Result<RowOf> {
    let mut row_of = RowOf::new();
    for row in rows {
        let row = row?;
        let n = row.cells.len();
        if n != n_columns {
            return Err(at(path, row.line, None, format!("{n} columns where the header has {n_columns}"), "mend the line"));
        }
        let file = normal(row.cells[file_column].trim());
        let cells: Vec<String> =
            row.cells.iter().enumerate().map(|(i, c)| if i == file_column { String::new() } else { c.trim().into() }).collect();
        match row_of.get(&file) {
            Some((before, line)) if *before != cells => {
                let differs = before.iter().zip(&cells).find(|(a, b)| a != b);
                let (before, here) = differs.map_or(("", ""), |(a, b)| (a.as_str(), b.as_str()));
                let problem = format!("\"{file}\" is \"{here}\" here and \"{before}\" in line {line}");
                return Err(at(path, row.line, None, problem, "remove one of the lines"));
            }
            _ => drop(row_of.insert(file, (cells, row.line))),
        }
    }
    Ok(row_of)
}

/// A column in which nearly every picture has a value of its own is not a class.
fn judge(labels: &mut Labels, column: &str, values: Vec<Option<String>>) {
    let n_named = values.iter().flatten().count();
    let has_empty = values.iter().flatten().any(|value| value == "none");
    let (classes, of_entry) = classes_of(values);
    if classes.len() < 2 || (n_named >= 20 && classes.len() > n_named / 2) {
        let (n, of) = (with_commas(classes.len()), with_commas(n_named));
        labels.notes.push(format!("column \"{column}\" has {n} different values in {of} pictures: not taken as classes"));
        return;
    }
    if has_empty {
        labels.notes.push(format!("empty cells of {column} form the class \"none\""));
    }
    labels.notes.push(format!("classes from column \"{column}\""));
    (labels.classes, labels.of_entry) = (classes, of_entry);
}

fn lookup<'a>(row_of: &'a RowOf, base: &str, path: &Path) -> Option<&'a Vec<String>> {
    let full = normal(&path.to_string_lossy());
    let below = full.strip_prefix(base).map(|rest| rest.trim_start_matches('/')).unwrap_or(&full);
    row_of.get(below).or_else(|| row_of.get(&full)).map(|(cells, _)| cells)
}

/// Forward slashes, no leading `./`.
pub(super) fn normal(file: &str) -> String {
    let file = file.replace('\\', "/");
    file.strip_prefix("./").unwrap_or(&file).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Channels;
    use std::path::PathBuf;

    fn entries(paths: &[&str]) -> Vec<ImageEntry> {
        let entry = |p: &&str| ImageEntry {
            path: PathBuf::from(p),
            width: 1,
            height: 1,
            channels: Channels::Rgb,
            label: None,
            row: 0,
            location: 0,
        };
        paths.iter().map(entry).collect()
    }

    fn read(csv: &str, paths: &[&str]) -> Result<Labels> {
        find(&entries(paths), Some(LabelsFile { path: "labels.csv".into(), base: String::new(), bytes: csv.into() }))
    }

    #[test]
    fn sub_folders_are_classes_only_if_every_picture_lies_in_one() {
        let labels = from_folders(&entries(&["cat/1.png", "cat/old/2.png", "dog/1.png"]));
        assert_eq!(labels.classes, ["cat", "dog"]);
        assert_eq!(labels.of_entry, [Some(0), Some(0), Some(1)]);
        assert!(from_folders(&entries(&["cat/1.png", "dog/1.png", "3.png"])).classes.is_empty());
        assert!(from_folders(&entries(&["cat/1.png", "cat/2.png"])).classes.is_empty());
        assert!(from_folders(&entries(&["1.png", "2.png"])).classes.is_empty());
    }

    #[test]
    fn a_folder_around_everything_is_passed_over() {
        let labels = from_folders(&entries(&["set/10/a.png", "set/9/a.png"]));
        assert_eq!(labels.classes, ["9", "10"]);
        assert_eq!(labels.of_entry, [Some(1), Some(0)]);
    }

    #[test]
    fn labels_csv_is_matched_by_file_name() {
        let labels = read("file,label\n ./b.png ,dog\nc/a.png,cat\n", &["b.png", "c/a.png", "other.png"]).unwrap();
        assert_eq!(labels.classes, ["cat", "dog"]);
        assert_eq!(labels.of_entry, [Some(1), Some(0), None]);
    }

    #[test]
    fn the_only_other_column_is_the_label_whatever_its_name() {
        let labels = read("kind;file\n2;a.png\n10;b.png\n", &["a.png", "b.png"]).unwrap();
        assert_eq!(labels.classes, ["2", "10"]);
        assert_eq!(labels.of_entry, [Some(0), Some(1)]);
    }

    #[test]
    fn several_columns_are_attributes() {
        let csv = "file,hat,age\na.png,,31\nb.png,cap,7\n";
        let found = read(csv, &["a.png", "b.png"]).unwrap();
        assert!(found.classes.is_empty());
        let table = found.attributes.unwrap();
        assert_eq!(table.names, ["hat", "age"]);
        assert_eq!(table.rows, [Some(vec!["".to_owned(), "31".into()]), Some(vec!["cap".into(), "7".into()])]);
        let both = read("file,label,hat\na.png,x,cap\nb.png,y,\n", &["a.png", "b.png"]).unwrap();
        assert_eq!((both.classes, both.attributes.unwrap().names), (vec!["x".to_owned(), "y".into()], vec!["hat".to_owned()]));
    }

    #[test]
    fn mistakes_in_labels_csv_name_the_line() {
        let twice = read("file,label\na.png,x\na.png,y\n", &["a.png"]).unwrap_err().to_string();
        assert!(twice.contains("labels.csv:3") && twice.contains("in line 2"), "{twice}");
        let ragged = read("file,label\na.png\n", &["a.png"]).unwrap_err().to_string();
        assert!(ragged.contains("labels.csv:2"), "{ragged}");
        let absent = read("file,label\nz.png,x\n", &["a.png"]).unwrap_err().to_string();
        assert!(absent.contains("none of the files"), "{absent}");
    }

    #[test]
    fn a_value_for_each_picture_is_no_class() {
        let names: Vec<String> = (0..30).map(|i| format!("{i}.png")).collect();
        let csv = names.iter().enumerate().fold("file,age\n".to_string(), |csv, (i, name)| csv + &format!("{name},{i}.5\n"));
        let paths: Vec<&str> = names.iter().map(String::as_str).collect();
        let labels = read(&csv, &paths).unwrap();
        assert!(labels.classes.is_empty() && labels.notes[0].contains("30 different values"), "{labels:?}");
        assert_eq!(labels.attributes.unwrap().names, ["age"]);
    }
}
