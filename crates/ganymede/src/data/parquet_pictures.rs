//! Pictures whose bytes stand in a column of Parquet files, as data sets on the Hugging Face hub have them: a column of records `{bytes, path}`, or of bytes alone.
//!
//! Columns beside it become what `labels.csv` and `captions.csv` are in a folder: `label` classes, `text` and `caption` captions, other words and numbers attributes. The names of classes that are numbers stand in the file's metadata.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use ::parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use ::parquet::column::reader::ColumnReader;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};

use super::decode::{self, MAX_FILE_BYTES};
use super::folder::extension;
use super::image_index::{ImageIndex, Listing, Store};
use super::labels::LabelsFile;
use super::pixels::{ScratchPath, scratch_file};
use super::shards::Shards;
use super::{Skipped, cache_folder};
use crate::error::{Error, Result};
use crate::table::parquet::{batches, damaged, opened, soundly};

/// Pictures that are read at once.
const N_PICTURES: usize = 64;
/// Other cells that are read at once.
const N_CELLS: usize = 1 << 14;
/// The column of classes in `labels.csv`.
const LABEL: &str = "label";
/// What other columns are.
const CAPTION: &str = "caption";
/// Different values that any column may have.
const FEW: usize = 100;
/// Names of columns of classes.
const LABELS: [&str; 4] = ["label", "labels", "class", "cls"];
/// Names of columns of captions.
const CAPTIONS: [&str; 6] = ["text", "texts", "caption", "captions", "prompt", "description"];

/// Where a file has what.
struct Layout {
    /// The leaf that holds the pictures' bytes, and the name of its column.
    pictures: (usize, String),
    /// Leaves of single values beside it, by name.
    others: Vec<(usize, String)>,
}

/// The layout of the file at `path`, if one of its columns holds pictures.
fn layout(reader: &SerializedFileReader<File>) -> Result<Option<Layout>, ParquetError> {
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let fields = schema.root_schema().get_fields();
    let (mut pictures, mut others) = (None, Vec::new());
    for leaf in 0..schema.num_columns() {
        let column = schema.column(leaf);
        let name = fields[schema.get_column_root_idx(leaf)].name().to_owned();
        if column.max_rep_level() > 0 {
            continue;
        }
        let is_text = matches!(column.logical_type_ref(), Some(LogicalType::String | LogicalType::Enum | LogicalType::Json))
            || matches!(column.converted_type(), ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON);
        let parts = column.path().parts();
        let is_bytes = column.physical_type() == Physical::BYTE_ARRAY && !is_text;
        let could_be = is_bytes && (parts.len() == 1 || (parts.len() == 2 && parts[1] == "bytes"));
        if could_be && pictures.is_none() && first_is_picture(reader, leaf)? {
            pictures = Some((leaf, name));
        } else if parts.len() == 1
            && !is_bytes
            && matches!(
                column.physical_type(),
                Physical::BYTE_ARRAY | Physical::INT32 | Physical::INT64 | Physical::FLOAT | Physical::DOUBLE | Physical::BOOLEAN
            )
        {
            others.push((leaf, name));
        }
    }
    Ok(pictures.map(|pictures| Layout { pictures, others }))
}

/// Whether the first bytes of a column that are there begin a picture.
fn first_is_picture(reader: &SerializedFileReader<File>, leaf: usize) -> Result<bool, ParquetError> {
    let mut found = false;
    each(reader, leaf, 1, &mut |bytes| {
        if let Some(Value::Bytes(bytes)) = bytes {
            found = decode::is_picture(&bytes[..bytes.len().min(64)]);
        }
        bytes.is_none()
    })?;
    Ok(found)
}

/// A cell.
enum Value<'a> {
    Bytes(&'a [u8]),
    Text(String),
}

/// Hands every cell of a leaf to `take`, nothing where it is missing, until it says that it wants no more. `n` are read at once.
fn each(
    reader: &SerializedFileReader<File>,
    leaf: usize,
    n: usize,
    take: &mut dyn FnMut(Option<Value<'_>>) -> bool,
) -> Result<(), ParquetError> {
    let level = reader.metadata().file_metadata().schema_descr().column(leaf).max_def_level();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group)?;
        let more = match group.get_column_reader(leaf)? {
            ColumnReader::BoolColumnReader(pages) => batches(pages, (level, n), &mut |c| take(c.map(|v| Value::Text(v.to_string()))))?,
            ColumnReader::Int32ColumnReader(pages) => batches(pages, (level, n), &mut |c| take(c.map(|v| Value::Text(v.to_string()))))?,
            ColumnReader::Int64ColumnReader(pages) => batches(pages, (level, n), &mut |c| take(c.map(|v| Value::Text(v.to_string()))))?,
            ColumnReader::FloatColumnReader(pages) => batches(pages, (level, n), &mut |c| take(c.map(|v| Value::Text(v.to_string()))))?,
            ColumnReader::DoubleColumnReader(pages) => batches(pages, (level, n), &mut |c| take(c.map(|v| Value::Text(v.to_string()))))?,
            ColumnReader::ByteArrayColumnReader(pages) => batches(pages, (level, n), &mut |c| take(c.map(|v| Value::Bytes(v.data()))))?,
            ColumnReader::Int96ColumnReader(_) | ColumnReader::FixedLenByteArrayColumnReader(_) => true,
        };
        if !more {
            break;
        }
    }
    Ok(())
}

/// Whether a column of the Parquet file at `path` holds pictures. A file that cannot be read holds none.
pub(super) fn has_pictures(path: &Path) -> bool {
    soundly(path, || opened(path).and_then(|reader| layout(&reader).map_err(|e| damaged(path, &e)))).is_ok_and(|found| found.is_some())
}

/// The Parquet files in a folder, in the order of their names, if the first of them holds pictures.
pub(super) fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = std::fs::read_dir(folder).map_err(|e| Error::io(folder, "list", e))?;
    let is_parquet = |path: &PathBuf| extension(path) == "parquet" && path.is_file();
    let mut found: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).filter(is_parquet).collect();
    found.sort();
    Ok(if found.first().is_some_and(|first| has_pictures(first)) { found } else { Vec::new() })
}

/// Copies the pictures of some files, as they are compressed, into a file of our own, from which they can be read one by one, and indexes them.
///
/// # Errors
/// [`Error::Data`] for a file that cannot be read; [`Error::Io`] or [`Error::Run`] if there is no room for the copy.
pub(super) fn open(name: &str, paths: &[PathBuf]) -> Result<ImageIndex> {
    let folder = cache_folder().unwrap_or_else(std::env::temp_dir);
    let (scratch, file) = scratch_file(&folder)?;
    let mut copy = Copy { scratch: &scratch, out: BufWriter::new(file), end: 0, places: Vec::new(), names: Vec::new() };
    let (mut listing, mut tables) = (Listing::default(), Tables::default());
    for path in paths {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let first = copy.names.len();
        soundly(path, || take(path, &stem, &mut copy, &mut listing))?;
        soundly(path, || tables.take(path, &copy.names[first..]))?;
    }
    let Copy { out, places, names, .. } = copy;
    let file = out.into_inner().map_err(|e| no_room(&scratch, e.error()))?;
    listing.candidates.extend(names.into_iter().flatten().map(PathBuf::from).zip(0..));
    let whole = Path::new(name);
    listing.labels = tables.labels.file(whole, LABEL)?;
    listing.captions.table = tables.captions.file(whole, CAPTION)?;
    ImageIndex::build(name, Store::Shards(Shards::of_copy(file, scratch, places)?), listing)
}

fn no_room(path: &ScratchPath, e: &std::io::Error) -> Error {
    let remedy = "make room there, or set GANYMEDE_CACHE to a folder with more";
    Error::run(path.path(), format!("the pictures of the Parquet files cannot be copied: {e}"), remedy)
}

/// The pictures so far.
struct Copy<'a> {
    scratch: &'a ScratchPath,
    out: BufWriter<File>,
    end: u64,
    /// First byte and length of each.
    places: Vec<(u64, u64)>,
    /// The name of each row's picture; nothing where there is none.
    names: Vec<Option<String>>,
}

fn take(path: &Path, stem: &str, copy: &mut Copy<'_>, listing: &mut Listing) -> Result<()> {
    let reader = opened(path)?;
    let found = layout(&reader).map_err(|e| damaged(path, &e))?;
    let Some(Layout { pictures: (leaf, _), .. }) = found else {
        return Err(Error::data(path, "no column holds pictures, but those of other files beside it do", "move it elsewhere"));
    };
    let (mut row, mut failed) = (0usize, None);
    let read = each(&reader, leaf, N_PICTURES, &mut |value| {
        let name = format!("{stem}~{row:08}");
        row += 1;
        let reason = match value {
            Some(Value::Bytes(bytes)) if bytes.len() as u64 <= MAX_FILE_BYTES => {
                if let Err(e) = copy.out.write_all(bytes) {
                    failed = Some(no_room(copy.scratch, &e));
                    return false;
                }
                copy.places.push((copy.end, bytes.len() as u64));
                copy.end += bytes.len() as u64;
                copy.names.push(Some(name));
                return true;
            }
            Some(_) => "it is too large for a picture",
            None => "the cell is empty",
        };
        listing.skipped.push(Skipped { path: name.into(), reason: reason.into() });
        copy.names.push(None);
        true
    });
    read.map_err(|e| damaged(path, &e))?;
    failed.map_or(Ok(()), Err)
}

/// A table of what stands beside the pictures: its columns, and cells by column of each picture.
#[derive(Default)]
struct Beside {
    columns: Vec<String>,
    rows: Vec<(String, HashMap<usize, String>)>,
}

#[derive(Default)]
struct Tables {
    labels: Beside,
    captions: Beside,
}

impl Tables {
    /// Adds the columns of a file; `names` are those of its pictures, row by row.
    fn take(&mut self, path: &Path, names: &[Option<String>]) -> Result<()> {
        let reader = opened(path)?;
        let Some(Layout { others, .. }) = layout(&reader).map_err(|e| damaged(path, &e))? else { return Ok(()) };
        let first = [self.labels.rows.len(), self.captions.rows.len()];
        for beside in [&mut self.labels, &mut self.captions] {
            beside.rows.extend(names.iter().map(|name| (name.clone().unwrap_or_default(), HashMap::new())));
        }
        for (leaf, name) in others {
            let lower = name.to_lowercase();
            let is_caption = CAPTIONS.contains(&lower.as_str());
            let is_label = LABELS.contains(&lower.as_str());
            let (beside, first) = if is_caption { (&mut self.captions, first[1]) } else { (&mut self.labels, first[0]) };
            let shown = if is_label { LABEL.to_owned() } else { name.clone() };
            let column = beside.columns.iter().position(|own| *own == shown).unwrap_or_else(|| {
                beside.columns.push(shown);
                beside.columns.len() - 1
            });
            let classes = class_names(&reader, &name);
            let mut row = first;
            let read = each(&reader, leaf, N_CELLS, &mut |value| {
                let text = match value {
                    Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
                    Some(Value::Text(text)) => text,
                    None => String::new(),
                };
                let named = text.parse::<usize>().ok().and_then(|i| classes.get(i)).cloned();
                if let Some((_, cells)) = beside.rows.get_mut(row) {
                    cells.insert(column, named.unwrap_or(text));
                }
                row += 1;
                true
            });
            read.map_err(|e| damaged(path, &e))?;
        }
        Ok(())
    }
}

/// The names of a column's numbers, as the `datasets` library notes them.
fn class_names(reader: &SerializedFileReader<File>, column: &str) -> Vec<String> {
    let noted = reader.metadata().file_metadata().key_value_metadata();
    let text = noted.into_iter().flatten().find(|noted| noted.key == "huggingface").and_then(|noted| noted.value.as_deref());
    let read: Option<serde_json::Value> = text.and_then(|text| serde_json::from_str(text).ok());
    let names = read.as_ref().and_then(|noted| noted["info"]["features"][column]["names"].as_array());
    names.into_iter().flatten().map(|name| name.as_str().unwrap_or_default().to_owned()).collect()
}

impl Beside {
    /// As a CSV; nothing without columns. `only` is what they are.
    fn file(self, whole: &Path, only: &str) -> Result<Option<LabelsFile>> {
        let Self { columns, rows } = self;
        // Identifiers, addresses and the like are nothing to be asked for.
        let is_kept = |column: usize| {
            let different: HashSet<&str> = rows.iter().filter_map(|(_, cells)| cells.get(&column)).map(String::as_str).collect();
            only == CAPTION || columns[column] == LABEL || different.len() <= FEW.max(rows.len() / 2)
        };
        let kept: Vec<usize> = (0..columns.len()).filter(|column| is_kept(*column)).collect();
        if kept.is_empty() {
            return Ok(None);
        }
        let failed = |e: String| Error::data(whole, e, "write the file again");
        let mut table = csv::Writer::from_writer(Vec::new());
        let header = ["file".to_owned()].into_iter().chain(kept.iter().map(|column| columns[*column].clone()));
        table.write_record(header).map_err(|e| failed(e.to_string()))?;
        for (name, mut cells) in rows.into_iter().filter(|(name, _)| !name.is_empty()) {
            let cells = kept.iter().map(|column| cells.remove(column).unwrap_or_default()).collect::<Vec<_>>();
            table.write_record([name].into_iter().chain(cells)).map_err(|e| failed(e.to_string()))?;
        }
        let bytes = table.into_inner().map_err(|e| failed(e.to_string()))?;
        Ok(Some(LabelsFile { path: whole.join(format!("{only} columns")), base: String::new(), bytes }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use ::parquet::file::metadata::KeyValue;
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;

    use super::*;
    use crate::data::Source;
    use crate::data::tests::{plain, values_of_plain};

    const RECORDS: &str = "message m { optional group image { optional binary bytes; optional binary path (UTF8); } optional int64 label; optional binary text (UTF8); }";

    /// Rows of a picture, a label and a text; a missing picture is empty.
    fn written(path: &Path, rows: &[(Vec<u8>, i64, &str)]) {
        let schema = Arc::new(parse_message_type(RECORDS).unwrap());
        let noted = r#"{"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}}}"#;
        let noted = KeyValue::new("huggingface".to_owned(), noted.to_owned());
        let properties = Arc::new(WriterProperties::builder().set_key_value_metadata(Some(vec![noted])).build());
        let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let bytes = |values: Vec<&[u8]>| values.into_iter().map(|v| ByteArray::from(v.to_vec())).collect::<Vec<_>>();
        let there: Vec<i16> = rows.iter().map(|(picture, ..)| if picture.is_empty() { 1 } else { 2 }).collect();
        let mut column = group.next_column().unwrap().unwrap();
        let pictures = bytes(rows.iter().map(|(picture, ..)| picture.as_slice()).filter(|p| !p.is_empty()).collect());
        column.typed::<ByteArrayType>().write_batch(&pictures, Some(&there), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&[], Some(&vec![1; rows.len()]), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let labels: Vec<i64> = rows.iter().map(|(_, label, _)| *label).collect();
        column.typed::<Int64Type>().write_batch(&labels, Some(&vec![1; rows.len()]), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let texts = bytes(rows.iter().map(|(_, _, text)| text.as_bytes()).collect());
        column.typed::<ByteArrayType>().write_batch(&texts, Some(&vec![1; rows.len()]), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
    }

    #[test]
    fn files_of_the_hub_are_pictures_with_classes_and_captions() {
        let folder = tempfile::tempdir().unwrap();
        written(
            &folder.path().join("train-0.parquet"),
            &[(plain(5), 1, "a dog"), (Vec::new(), 0, "lost"), (plain(9), 0, "a cat, \"sleeping\"")],
        );
        written(&folder.path().join("train-1.parquet"), &[(plain(7), 1, "dog again")]);
        let Source::Images(index) = Source::open(folder.path().to_str().unwrap()).unwrap() else { panic!("not pictures") };
        assert_eq!(values_of_plain(&index), [5, 9, 7]);
        assert_eq!(index.classes, ["cat", "dog"]);
        assert_eq!(index.entries.iter().map(|entry| entry.label.unwrap()).collect::<Vec<_>>(), [1, 0, 1]);
        let captions: Vec<&str> = index.captions.as_ref().unwrap().iter().map(|own| own[0].as_str()).collect();
        assert_eq!(captions, ["a dog", "a cat, \"sleeping\"", "dog again"]);
        assert_eq!(index.skipped.iter().map(|skipped| skipped.reason.as_str()).collect::<Vec<_>>(), ["the cell is empty"]);
        // One file by its name.
        let one = folder.path().join("train-0.parquet");
        let Source::Images(index) = Source::open(one.to_str().unwrap()).unwrap() else { panic!("not pictures") };
        assert_eq!(values_of_plain(&index), [5, 9]);
    }

    #[test]
    fn damaged_files_are_refused_and_tables_are_no_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        written(&path, &[(plain(5), 1, "a"), (plain(6), 0, "b"), (plain(7), 0, "c")]);
        assert!(has_pictures(&path));
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            std::fs::write(&path, &bytes).unwrap();
            // Read or refused, but without a panic.
            let _ = has_pictures(&path);
            let _ = open("a", std::slice::from_ref(&path));
        }
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(!has_pictures(&path) && open("a", std::slice::from_ref(&path)).is_err());
        assert!(in_folder(folder.path()).unwrap().is_empty());
    }
}
