//! Walking a folder of pictures.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::image_index::{ImageIndex, Listing, Store};
use super::labels::LabelsFile;
use super::{Skipped, decode, names};
use crate::error::{Error, Result};

/// File name extensions of pictures, in lower case. What is in such a file is decided by its content.
pub(super) const EXTENSIONS: &[&str] = &["png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "dib"];
/// Classes or attributes of the pictures.
pub(super) const LABELS: &str = "labels.csv";
/// What the pictures show, in words.
pub(super) const CAPTIONS: &str = "captions.csv";
/// A table beside the pictures above this is refused.
pub(super) const MAX_TABLE_BYTES: u64 = 256 << 20;

/// Indexes the pictures below `root`.
pub(super) fn open(name: &str, root: &Path) -> Result<ImageIndex> {
    ImageIndex::build(name, Store::Folder(root.to_path_buf()), list(root)?)
}

/// Whether there are pictures below `root`.
///
/// # Errors
/// [`Error::Io`] if it cannot be listed.
pub(super) fn has_pictures(root: &Path) -> Result<bool> {
    Ok(!list(root)?.candidates.is_empty())
}

/// Whether a name is left out on all systems: hidden files and what macOS puts into archives.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX" || name.eq_ignore_ascii_case("thumbs.db") || name.eq_ignore_ascii_case("desktop.ini")
}

/// The extension in lower case, empty if there is none.
pub(super) fn extension(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// Real folders first, linked ones afterwards, each once: the order, and with it the result, does not depend on the file system.
fn list(root: &Path) -> Result<Listing> {
    let mut listing = Listing::default();
    let mut visited = HashSet::new();
    let (mut real, mut linked) = (vec![PathBuf::new()], Vec::new());
    while let Some((folder, is_linked)) = real.pop().map(|f| (f, false)).or_else(|| linked.pop().map(|f| (f, true))) {
        let full = root.join(&folder);
        let identity = fs::canonicalize(&full);
        if identity.is_ok_and(|identity| !visited.insert(identity)) || folder.components().count() > 64 {
            continue;
        }
        match names_in(&full) {
            Ok(names) => {
                for name in names {
                    visit(root, folder.join(name), &mut listing, &mut real, &mut linked);
                }
            }
            Err(e) if folder.as_os_str().is_empty() => return Err(Error::io(root, "list", e)),
            Err(e) => listing.skipped.push(Skipped { path: folder, reason: format!("the folder cannot be listed: {e}") }),
        }
        if is_linked {
            linked.sort_by(|a, b| b.cmp(a));
        }
    }
    listing.labels = beside(root, LABELS)?;
    listing.captions.table = beside(root, CAPTIONS)?;
    Ok(listing)
}

/// A table that lies beside the pictures.
fn beside(root: &Path, name: &str) -> Result<Option<LabelsFile>> {
    let path = root.join(name);
    if !path.is_file() {
        return Ok(None);
    }
    let length = fs::metadata(&path).map_err(|e| Error::io(&path, "read", e))?.len();
    if length > MAX_TABLE_BYTES {
        return Err(Error::data(&path, format!("the file is too large ({} MB)", length >> 20), "keep one line per picture"));
    }
    let bytes = fs::read(&path).map_err(|e| Error::io(&path, "read", e))?;
    Ok(Some(LabelsFile { path, base: String::new(), bytes }))
}

fn names_in(folder: &Path) -> std::io::Result<Vec<std::ffi::OsString>> {
    let mut names = fs::read_dir(folder)?.map(|entry| entry.map(|e| e.file_name())).collect::<std::io::Result<Vec<_>>>()?;
    names.retain(|name| !is_hidden(&name.to_string_lossy()));
    // Popped from a stack, so last first.
    names.sort_by(|a, b| b.cmp(a));
    Ok(names)
}

fn visit(root: &Path, path: PathBuf, listing: &mut Listing, real: &mut Vec<PathBuf>, linked: &mut Vec<PathBuf>) {
    let full = root.join(&path);
    let is_link = fs::symlink_metadata(&full).is_ok_and(|m| m.is_symlink());
    // A link that leads nowhere, or a pipe or device, is no picture: reading a pipe would wait for ever.
    let Ok(metadata) = fs::metadata(&full) else {
        *listing.ignored.entry("broken-link".into()).or_default() += 1;
        return;
    };
    if metadata.is_dir() {
        if is_link { linked } else { real }.push(path);
        return;
    }
    let kind = extension(&path);
    if !metadata.is_file() {
        *listing.ignored.entry(kind).or_default() += 1;
    } else if EXTENSIONS.contains(&kind.as_str()) || (kind.is_empty() && names::head(&full).is_ok_and(|head| decode::is_picture(&head))) {
        listing.candidates.push((path, 0));
    } else if kind == "txt" {
        listing.captions.texts.push((path, 0));
    } else if path != Path::new(LABELS) && path != Path::new(CAPTIONS) {
        *listing.ignored.entry(kind).or_default() += 1;
    }
}
