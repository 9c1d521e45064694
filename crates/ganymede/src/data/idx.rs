//! IDX files, the format of MNIST and its relatives: big-endian header, then raw bytes; plain or gzipped.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use super::channels::{Channels, ImageSpec};
use super::image_index::{ImageIndex, RawPictures};
use super::labels::{Labels, classes_of};
use crate::error::{Error, Result};

const IMAGES: [u8; 4] = [0, 0, 8, 3];
const LABELS: [u8; 4] = [0, 0, 8, 1];
/// More pixels than this are not read.
const MAX_BYTES: u64 = 4 << 30;

/// Whether a file begins like an IDX file of bytes.
pub(super) fn is_idx(head: &[u8]) -> bool {
    head.starts_with(&[0, 0, 8])
}

/// The images file of an IDX pair in a folder, training set first.
pub(super) fn find_in_folder(folder: &Path) -> Result<Option<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, "list", e))?;
    let mut found: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| is_images_name(p) && p.is_file()).collect();
    found.sort_by_key(|p| (!name_of(p).contains("train"), p.clone()));
    Ok(found.into_iter().next())
}

/// Reads the images file at `path` and the labels beside it, if there are any.
pub(super) fn open(name: &str, path: &Path) -> Result<ImageIndex> {
    let bytes = Contents::read(path)?;
    if bytes.0.starts_with(&LABELS) {
        return Err(Error::data(path, "these are IDX labels", "name the images file (...-images-idx3-ubyte) or the folder of both"));
    }
    let raw = images(path, bytes)?;
    let n = raw.pixels.len() / (raw.width * raw.height);
    let mut index = ImageIndex::raw(name, raw, "");
    match labels_beside(path) {
        None => index.notes.push("no IDX labels beside it: unlabelled".into()),
        Some(labels_path) => {
            let values = labels(&labels_path, n)?;
            let (classes, of_entry) = classes_of(values.iter().map(|v| Some(v.to_string())).collect());
            index.apply_labels(Labels { classes, of_entry, ..Labels::default() });
        }
    }
    Ok(index)
}

/// Pictures and labels from IDX bytes that are part of the program.
pub(super) fn from_parts(name: &str, images_gz: &[u8], labels_gz: &[u8]) -> Result<ImageIndex> {
    let path = Path::new(name);
    let raw = images(path, Contents::inflate(path, images_gz)?)?;
    let n = raw.pixels.len() / (raw.width * raw.height);
    let values = label_bytes(path, Contents::inflate(path, labels_gz)?, n)?;
    let mut index = ImageIndex::raw(name, raw, "");
    let (classes, of_entry) = classes_of(values.iter().map(|v| Some(v.to_string())).collect());
    index.apply_labels(Labels { classes, of_entry, ..Labels::default() });
    Ok(index)
}

/// Decompressed bytes of a file.
struct Contents(Vec<u8>);

impl Contents {
    fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, "open", e))?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 17).read_to_end(&mut bytes).map_err(|e| Error::io(path, "read", e))?;
        if bytes.starts_with(&[0x1f, 0x8b]) { Self::inflate(path, &bytes) } else { Ok(Self(bytes)) }
    }

    /// Reads the 16 bytes of the header first, then no more than they announce.
    fn inflate(path: &Path, gz: &[u8]) -> Result<Self> {
        let damaged = |e: std::io::Error| Error::data(path, format!("the gzip data is damaged: {e}"), "download it again");
        let mut reader = MultiGzDecoder::new(gz);
        let mut bytes = Vec::new();
        reader.by_ref().take(16).read_to_end(&mut bytes).map_err(damaged)?;
        if !is_idx(&bytes) {
            return Err(Error::data(path, "the gzip file holds no IDX data", format!("unpack it, or name {}", super::SUPPORTED)));
        }
        let announced = announced(&bytes).filter(|&n| n <= MAX_BYTES && n / 1100 <= gz.len() as u64);
        let announced = announced.ok_or_else(|| disagrees(path, "its header announces more than the file can hold"))?;
        reader.take((16 + announced + 1).saturating_sub(bytes.len() as u64)).read_to_end(&mut bytes).map_err(damaged)?;
        Ok(Self(bytes))
    }
}

/// Product of the extents in the header.
fn announced(bytes: &[u8]) -> Option<u64> {
    let n_dims = usize::from(*bytes.get(3)?);
    let dims = bytes.get(4..4 + 4 * n_dims.min(3))?;
    dims.chunks(4).try_fold(1u64, |n, d| n.checked_mul(u64::from(u32::from_be_bytes([d[0], d[1], d[2], d[3]]))))
}

fn images(path: &Path, Contents(mut bytes): Contents) -> Result<RawPictures> {
    let dim = |i: usize| bytes.get(i..i + 4).map_or(0, |d| u32::from_be_bytes([d[0], d[1], d[2], d[3]]) as usize);
    let (n, height, width) = (dim(4), dim(8), dim(12));
    if !bytes.starts_with(&IMAGES) || bytes.len() < 16 {
        return Err(Error::data(
            path,
            "not an IDX file of grey pictures (three dimensions of bytes)",
            format!("name {}", super::SUPPORTED),
        ));
    }
    let side = 1..=ImageSpec::MAX_SIDE;
    if n == 0 || !side.contains(&height) || !side.contains(&width) {
        return Err(disagrees(path, &format!("its header says {n} pictures of {width} x {height}")));
    }
    let announced = announced(&bytes).unwrap_or(u64::MAX);
    let held = (bytes.len() - 16) as u64;
    if announced != held {
        let size = (width * height) as u64;
        let more = if held > announced { "more than " } else { "" };
        return Err(disagrees(
            path,
            &format!("its header says {n} pictures of {width} x {height}, it holds {more}{}", held.min(announced) / size),
        ));
    }
    bytes.drain(..16);
    Ok(RawPictures { pixels: Arc::new(bytes), width, height, channels: Channels::Grey })
}

fn labels(path: &Path, n: usize) -> Result<Vec<u8>> {
    label_bytes(path, Contents::read(path)?, n)
}

fn label_bytes(path: &Path, Contents(mut bytes): Contents, n: usize) -> Result<Vec<u8>> {
    if !bytes.starts_with(&LABELS) || bytes.len() < 8 {
        return Err(Error::data(path, "not an IDX file of labels", "download it again, or remove it to train without labels"));
    }
    let announced = announced(&bytes).unwrap_or(u64::MAX);
    bytes.drain(..8);
    if announced != n as u64 || bytes.len() != n {
        let problem = format!("{n} pictures, but its header says {announced} labels and it holds {}", bytes.len());
        return Err(disagrees(path, &problem));
    }
    Ok(bytes)
}

fn disagrees(path: &Path, problem: &str) -> Error {
    Error::data(path, problem, "the file is damaged or cut off: download it again")
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// `train-images-idx3-ubyte`, `train-images.idx3-ubyte`, each with or without `.gz`.
fn is_images_name(path: &Path) -> bool {
    let name = name_of(path);
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    stem.contains("images") && (stem.ends_with("idx3-ubyte") || stem.ends_with("idx3"))
}

fn labels_beside(path: &Path) -> Option<PathBuf> {
    if !is_images_name(path) {
        return None;
    }
    let name = path.file_name()?.to_str()?;
    let labels = name.replace("images", "labels").replace("idx3", "idx1");
    let other = labels.strip_suffix(".gz").map_or_else(|| format!("{labels}.gz"), str::to_string);
    [labels, other].into_iter().map(|name| path.with_file_name(name)).find(|p| p.is_file())
}
