//! Classes of pictures: from `labels.csv` beside them, or from the sub-folders they lie in.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use super::delimited::{Row, Text, at};
use super::image_index::ImageEntry;
use super::{OpenOptions, with_commas};
use crate::error::{Error, Result};

/// Classes of the entries of an index.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// Sorted names; empty if the pictures are unlabelled.
    pub classes: Vec<String>,
    /// Position in `classes` for each entry; `None` for a picture that the labels do not name.
    pub of_entry: Vec<Option<u32>>,
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

/// Finds the classes.
pub(super) fn find(name: &str, entries: &[ImageEntry], labels: Option<LabelsFile>, options: &OpenOptions) -> Result<Labels> {
    let mut notes = Vec::new();
    if let Some(file) = labels {
        let found = from_csv(&file, entries, options)?;
        if !found.classes.is_empty() {
            return Ok(found);
        }
        notes = found.notes;
    } else if let Some(column) = &options.label_column {
        return Err(Error::config(
            "label_column",
            format!("\"{column}\" was asked for, but {name} has no labels.csv"),
            "put a labels.csv with the columns file and label beside the pictures, or leave label_column out",
        ));
    }
    let mut found = from_folders(entries);
    found.notes.splice(0..0, notes);
    Ok(found)
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
        Some((classes, of_entry)) if classes.len() >= 2 => Labels { classes, of_entry, notes: Vec::new() },
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

fn from_csv(file: &LabelsFile, entries: &[ImageEntry], options: &OpenOptions) -> Result<Labels> {
    let path = file.path.as_path();
    let text = Text::check(path, &file.bytes)?;
    let mut rows = text.records();
    let Some(header) = rows.next().transpose()? else {
        return Err(Error::data(path, "the file is empty", "give it a header line, for example: file,label"));
    };
    let columns: Vec<String> = header.cells.iter().map(|c| c.trim().to_string()).collect();
    let (file_column, label_column) = match choose_columns(path, &columns, options)? {
        Choice::Columns(file, label) => (file, label),
        Choice::None(note) => return Ok(Labels { notes: vec![note], ..Labels::default() }),
    };
    let (label_of, n_empty) = collect(path, rows, columns.len(), (file_column, label_column))?;
    let mut notes = Vec::new();
    let values: Vec<Option<String>> = entries.iter().map(|e| lookup(&label_of, &file.base, &e.path)).collect();
    let n_named = values.iter().flatten().count();
    if n_named == 0 && !entries.is_empty() {
        return Err(Error::data(
            path,
            format!("none of the files it names is there (its first column is \"{}\")", columns[file_column]),
            "write file names as they are in the folder, for example cats/001.png, or remove labels.csv",
        ));
    }
    if label_of.len() > n_named {
        notes.push(format!("labels.csv names {} files that are not there or cannot be read", with_commas(label_of.len() - n_named)));
    }
    if n_empty > 0 {
        notes.push(format!("empty cells of {} in labels.csv form the class \"none\"", columns[label_column]));
    }
    judge(path, &columns[label_column], classes_of(values), n_named, notes, options)
}

/// Label and line by file name, and how many labels were empty cells.
fn collect(
    path: &Path,
    rows: impl Iterator<Item = Result<Row>>,
    n_columns: usize,
    (file_column, label_column): (usize, usize),
) -> Result<(HashMap<String, (String, u64)>, usize)> {
    let mut label_of: HashMap<String, (String, u64)> = HashMap::new();
    let mut n_empty = 0;
    for row in rows {
        let row = row?;
        let n = row.cells.len();
        if n != n_columns {
            return Err(at(path, row.line, None, format!("{n} columns where the header has {n_columns}"), "mend the line"));
        }
        let label = row.cells[label_column].trim();
        n_empty += usize::from(label.is_empty());
        let label = if label.is_empty() { "none" } else { label };
        let file = normal(&row.cells[file_column]);
        match label_of.get(&file) {
            Some((before, line)) if before != label => {
                let problem = format!("\"{file}\" is \"{label}\" here and \"{before}\" in line {line}");
                return Err(at(path, row.line, None, problem, "remove one of the lines"));
            }
            _ => drop(label_of.insert(file, (label.to_string(), row.line))),
        }
    }
    Ok((label_of, n_empty))
}

/// A column in which nearly every picture has a value of its own is not a class.
fn judge(
    path: &Path,
    column: &str,
    (classes, of_entry): (Vec<String>, Vec<Option<u32>>),
    n_named: usize,
    mut notes: Vec<String>,
    options: &OpenOptions,
) -> Result<Labels> {
    if classes.len() < 2 || (n_named >= 20 && classes.len() > n_named / 2) {
        let problem =
            format!("column \"{column}\" has {} different values in {} pictures", with_commas(classes.len()), with_commas(n_named));
        if options.label_column.is_some() {
            return Err(Error::data(path, format!("{problem}: no classes to learn"), "name a column with a few values that repeat"));
        }
        return Ok(Labels { notes: vec![format!("{problem}: not taken as classes")], ..Labels::default() });
    }
    notes.push(format!("classes from column \"{column}\" of labels.csv"));
    Ok(Labels { classes, of_entry, notes })
}

enum Choice {
    Columns(usize, usize),
    None(String),
}

fn choose_columns(path: &Path, columns: &[String], options: &OpenOptions) -> Result<Choice> {
    let position = |name: &str| columns.iter().position(|c| c.eq_ignore_ascii_case(name));
    let file = position("file").unwrap_or(0);
    let others: Vec<usize> = (0..columns.len()).filter(|&i| i != file).collect();
    let list = others.iter().map(|&i| columns[i].as_str()).collect::<Vec<_>>().join(", ");
    if let Some(wanted) = &options.label_column {
        let found = columns.iter().position(|c| c == wanted).or_else(|| position(wanted)).filter(|&i| i != file);
        return match found {
            Some(label) => Ok(Choice::Columns(file, label)),
            None => Err(Error::config("label_column", format!("labels.csv has no column \"{wanted}\""), format!("it has: {list}"))),
        };
    }
    if let Some(label) = position("label").or_else(|| position("class")).filter(|&i| i != file) {
        return Ok(Choice::Columns(file, label));
    }
    match others.as_slice() {
        [] => Err(Error::data(path, "it has one column only", "give it a header line and two columns, for example: file,label")),
        [label] => Ok(Choice::Columns(file, *label)),
        _ => Ok(Choice::None(format!("labels.csv has several columns, none is taken as the class; name one of: {list}"))),
    }
}

fn lookup(label_of: &HashMap<String, (String, u64)>, base: &str, path: &Path) -> Option<String> {
    let full = normal(&path.to_string_lossy());
    let below = full.strip_prefix(base).map(|rest| rest.trim_start_matches('/')).unwrap_or(&full);
    label_of.get(below).or_else(|| label_of.get(&full)).map(|(label, _)| label.clone())
}

/// Forward slashes, no leading `./`.
fn normal(file: &str) -> String {
    let file = file.replace('\\', "/");
    file.strip_prefix("./").unwrap_or(&file).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Channels;
    use std::path::PathBuf;

    fn entries(paths: &[&str]) -> Vec<ImageEntry> {
        let entry =
            |p: &&str| ImageEntry { path: PathBuf::from(p), width: 1, height: 1, channels: Channels::Rgb, label: None, location: 0 };
        paths.iter().map(entry).collect()
    }

    fn read(csv: &str, paths: &[&str], column: Option<&str>) -> Result<Labels> {
        let options = OpenOptions { label_column: column.map(Into::into) };
        find("photos", &entries(paths), Some(LabelsFile { path: "labels.csv".into(), base: String::new(), bytes: csv.into() }), &options)
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
        let labels = read("file,label\n./b.png,dog\nc/a.png,cat\n", &["b.png", "c/a.png", "other.png"], None).unwrap();
        assert_eq!(labels.classes, ["cat", "dog"]);
        assert_eq!(labels.of_entry, [Some(1), Some(0), None]);
    }

    #[test]
    fn the_only_other_column_is_the_label_whatever_its_name() {
        let labels = read("kind;file\n2;a.png\n10;b.png\n", &["a.png", "b.png"], None).unwrap();
        assert_eq!(labels.classes, ["2", "10"]);
        assert_eq!(labels.of_entry, [Some(0), Some(1)]);
    }

    #[test]
    fn several_columns_need_a_choice() {
        let csv = "file,hat,glasses\na.png,,dark\nb.png,cap,\n";
        let none = read(csv, &["a.png", "b.png"], None).unwrap();
        assert!(none.classes.is_empty());
        assert!(none.notes[0].contains("hat, glasses"), "{:?}", none.notes);
        let glasses = read(csv, &["a.png", "b.png"], Some("glasses")).unwrap();
        assert_eq!(glasses.classes, ["dark", "none"]);
        let wrong = read(csv, &["a.png", "b.png"], Some("shoes")).unwrap_err().to_string();
        assert!(wrong.contains("it has: hat, glasses"), "{wrong}");
    }

    #[test]
    fn mistakes_in_labels_csv_name_the_line() {
        let twice = read("file,label\na.png,x\na.png,y\n", &["a.png"], None).unwrap_err().to_string();
        assert!(twice.contains("labels.csv:3") && twice.contains("in line 2"), "{twice}");
        let ragged = read("file,label\na.png\n", &["a.png"], None).unwrap_err().to_string();
        assert!(ragged.contains("labels.csv:2"), "{ragged}");
        let absent = read("file,label\nz.png,x\n", &["a.png"], None).unwrap_err().to_string();
        assert!(absent.contains("none of the files"), "{absent}");
    }

    #[test]
    fn a_value_for_each_picture_is_no_class() {
        let names: Vec<String> = (0..30).map(|i| format!("{i}.png")).collect();
        let csv = names.iter().enumerate().fold("file,age\n".to_string(), |csv, (i, name)| csv + &format!("{name},{i}.5\n"));
        let paths: Vec<&str> = names.iter().map(String::as_str).collect();
        let labels = read(&csv, &paths, None).unwrap();
        assert!(labels.classes.is_empty() && labels.notes[0].contains("30 different values"), "{labels:?}");
        assert!(read(&csv, &paths, Some("age")).is_err());
    }
}
