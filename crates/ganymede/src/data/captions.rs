//! What pictures show, in words: `captions.csv` beside them, or a text file beside each picture.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::delimited::{Text, at};
use super::image_index::ImageEntry;
use super::labels::{LabelsFile, normal};
use super::with_commas;
use crate::error::{Error, Result};

/// Characters of a caption that are read.
const MOST_CHARACTERS: usize = 1000;

/// Gives the text of a file beside a picture, by its path and its position in the archive.
type Read<'a> = dyn Fn(&Path, usize) -> Result<Vec<u8>, String> + 'a;

/// Where the captions of a set are.
#[derive(Debug, Default)]
pub(super) struct CaptionFiles {
    /// The `captions.csv` of the set.
    pub table: Option<LabelsFile>,
    /// Text files that lie beside pictures: path and position in the archive.
    pub texts: Vec<(PathBuf, usize)>,
}

/// The captions of each entry, each entry's first one first; nothing if no entry has any. `read` gives the text of a file beside a picture.
pub(super) fn find(entries: &[ImageEntry], files: &CaptionFiles, read: &Read<'_>) -> Result<Option<Vec<Vec<String>>>> {
    let found = match &files.table {
        Some(file) => from_csv(file, entries)?,
        None => from_texts(entries, &files.texts, read),
    };
    Ok(found.iter().any(|captions| !captions.is_empty()).then_some(found))
}

/// How many pictures have captions, in words.
pub(super) fn note(captions: &[Vec<String>]) -> String {
    let n = captions.iter().filter(|own| !own.is_empty()).count();
    let all = captions.iter().map(Vec::len).sum::<usize>();
    format!("{} captions of {} pictures", with_commas(all), with_commas(n))
}

/// The column `file`, or else the first one, names the picture; every other cell is a caption. A picture may have several lines.
fn from_csv(file: &LabelsFile, entries: &[ImageEntry]) -> Result<Vec<Vec<String>>> {
    let path = file.path.as_path();
    let text = Text::check(path, &file.bytes)?;
    let mut rows = text.records();
    let Some(header) = rows.next().transpose()? else {
        return Err(Error::data(path, "the file is empty", "give it a header line, for example: file,caption"));
    };
    let n_columns = header.cells.len();
    if n_columns < 2 {
        return Err(Error::data(path, "it has one column only", "give it a header line and two columns, for example: file,caption"));
    }
    let file_column = header.cells.iter().position(|c| c.trim().eq_ignore_ascii_case("file")).unwrap_or(0);
    let mut of_file: HashMap<String, Vec<String>> = HashMap::new();
    for row in rows {
        let row = row?;
        let n = row.cells.len();
        if n != n_columns {
            let remedy = "mend the line; a caption that holds a separator stands in quotes";
            return Err(at(path, row.line, None, format!("{n} columns where the header has {n_columns}"), remedy));
        }
        let captions = of_file.entry(normal(row.cells[file_column].trim())).or_default();
        captions.extend(row.cells.iter().enumerate().filter(|(i, _)| *i != file_column).filter_map(|(_, cell)| one_line(cell)));
    }
    let own = |entry: &ImageEntry| {
        let full = normal(&entry.path.to_string_lossy());
        let below = full.strip_prefix(&file.base).map(|rest| rest.trim_start_matches('/')).unwrap_or(&full);
        of_file.get(below).or_else(|| of_file.get(&full)).cloned().unwrap_or_default()
    };
    let found: Vec<Vec<String>> = entries.iter().map(own).collect();
    if found.iter().all(Vec::is_empty) && !entries.is_empty() {
        let remedy = "write file names as they are in the folder, for example fruit/apple.png, or remove captions.csv";
        return Err(Error::data(path, "none of the files it names is there", remedy));
    }
    Ok(found)
}

/// `apple.txt` beside `apple.png`: each line is a caption.
fn from_texts(entries: &[ImageEntry], texts: &[(PathBuf, usize)], read: &Read<'_>) -> Vec<Vec<String>> {
    let by_stem: HashMap<PathBuf, &(PathBuf, usize)> = texts.iter().map(|text| (text.0.with_extension(""), text)).collect();
    let own = |entry: &ImageEntry| {
        let Some((path, location)) = by_stem.get(&entry.path.with_extension("")) else { return Vec::new() };
        let bytes = read(path, *location).unwrap_or_default();
        String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes)).lines().filter_map(one_line).collect()
    };
    entries.iter().map(own).collect()
}

/// A caption without line ends and other spaces than single ones.
fn one_line(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line: String = words.join(" ").chars().take(MOST_CHARACTERS).collect();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Channels;

    fn entries(paths: &[&str]) -> Vec<ImageEntry> {
        let entry = |(row, p): (usize, &&str)| ImageEntry {
            path: PathBuf::from(p),
            width: 1,
            height: 1,
            channels: Channels::Rgb,
            label: None,
            row,
            location: 0,
        };
        paths.iter().enumerate().map(entry).collect()
    }

    fn table(csv: &str, paths: &[&str]) -> Result<Option<Vec<Vec<String>>>> {
        let table = LabelsFile { path: "captions.csv".into(), base: String::new(), bytes: csv.into() };
        find(&entries(paths), &CaptionFiles { table: Some(table), texts: Vec::new() }, &|_, _| Ok(Vec::new()))
    }

    #[test]
    fn every_column_and_every_line_is_a_caption() {
        let found = table("file,en,de\n a.png,red apple,roter  Apfel\nb.png ,pear,\na.png,fruit,\n", &["a.png", "b.png", "c.png"])
            .unwrap()
            .unwrap();
        assert_eq!(found[0], ["red apple", "roter Apfel", "fruit"]);
        assert_eq!((found[1].len(), found[2].len()), (1, 0));
        assert_eq!(note(&found), "4 captions of 2 pictures");
    }

    #[test]
    fn mistakes_name_the_line_and_the_way_out() {
        let ragged = table("file,caption\na.png,one, two\n", &["a.png"]).unwrap_err().to_string();
        assert!(ragged.contains("captions.csv:2") && ragged.contains("quotes"), "{ragged}");
        assert!(table("file,caption\nz.png,one\n", &["a.png"]).unwrap_err().to_string().contains("none of the files"));
        assert!(table("file\na.png\n", &["a.png"]).is_err() && table("", &["a.png"]).is_err());
    }

    #[test]
    fn a_text_file_beside_a_picture_is_its_caption() {
        let files = CaptionFiles { table: None, texts: vec![("x/a.txt".into(), 7), ("b.txt".into(), 1)] };
        let read = |_: &Path, at: usize| Ok(if at == 7 { "a red\tapple\n\nfruit\n".into() } else { b"\xff\xfe".to_vec() });
        let found = find(&entries(&["x/a.png", "c.png"]), &files, &read).unwrap().unwrap();
        assert_eq!(found[0], ["a red apple", "fruit"]);
        assert!(found[1].is_empty());
        assert!(find(&entries(&["c.png"]), &files, &read).unwrap().is_none());
    }
}
