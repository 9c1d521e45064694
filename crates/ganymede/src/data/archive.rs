//! Pictures in a .zip, read without unpacking it to disk.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use zip::ZipArchive;
use zip::result::ZipError;

use super::Skipped;
use super::decode::{self, MAX_FILE_BYTES};
use super::folder::{CAPTIONS, EXTENSIONS, LABELS, MAX_TABLE_BYTES, extension, is_hidden};
use super::image_index::{ImageIndex, Listing, Store};
use super::labels::LabelsFile;
use crate::error::{Error, Result};

/// Archives that say that they unpack to more are refused: a real set of pictures is already compressed and does not grow like this.
const MAX_UNPACKED_BYTES: u64 = 256 << 30;

/// An open archive. Clones share the list of entries and the file.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    zip: ZipArchive<SharedFile>,
}

/// Indexes the pictures in the archive at `path`.
pub(super) fn open(name: &str, path: &Path) -> Result<ImageIndex> {
    let file = SharedFile::open(path).map_err(|e| Error::io(path, "open", e))?;
    let zip = ZipArchive::new(file).map_err(|e| Error::data(path, format!("the zip cannot be read: {e}"), "make or download it again"))?;
    let mut archive = Archive { zip };
    let listing = archive.list(path)?;
    ImageIndex::build(name, Store::Archive(archive), listing)
}

impl Archive {
    /// The first `limit` bytes of entry `location`. An entry that holds more than it declares is refused.
    pub(super) fn read(&self, location: usize, limit: u64) -> Result<Vec<u8>, String> {
        // The clone has its own position in the file; the list of entries is shared.
        let mut zip = self.zip.clone();
        let entry = zip.by_index(location).map_err(reason)?;
        let declared = entry.size();
        if declared > MAX_FILE_BYTES {
            return Err(format!("the entry is too large for a picture ({} MB)", declared >> 20));
        }
        let mut bytes = Vec::new();
        entry.take(limit.min(declared + 1)).read_to_end(&mut bytes).map_err(|e| format!("cannot be unpacked: {e}"))?;
        if bytes.len() as u64 > declared {
            return Err("the entry is larger than it says".into());
        }
        if (bytes.len() as u64) < limit.min(declared) {
            return Err("the entry is smaller than it says".into());
        }
        Ok(bytes)
    }

    fn list(&mut self, path: &Path) -> Result<Listing> {
        let mut listing = Listing::default();
        let mut unpacked = 0u64;
        let mut tables: [Option<(PathBuf, usize)>; 2] = [None, None];
        for location in 0..self.zip.len() {
            let metadata = self.zip.metadata();
            let Ok(entry) = metadata.entry(location) else { continue };
            if entry.is_dir() || entry.is_symlink() {
                continue;
            }
            let (encrypted, size) = (entry.encrypted(), entry.size());
            let shown = entry.name().map(|n| n.into_owned()).unwrap_or_else(|_| String::from_utf8_lossy(entry.name_raw()).into_owned());
            let inside = safe_path(&shown);
            if inside.as_ref().is_some_and(|p| p.components().any(|c| is_hidden(&c.as_os_str().to_string_lossy()))) {
                continue;
            }
            let kind = extension(Path::new(&shown));
            let last = shown.rsplit(['/', '\\']).next().unwrap_or_default();
            let table = [LABELS, CAPTIONS].iter().position(|name| *name == last);
            let looks_like_one = EXTENSIONS.contains(&kind.as_str())
                || (kind.is_empty() && !encrypted && self.read(location, 512).is_ok_and(|head| decode::is_picture(&head)));
            let is_text = kind == "txt" && !encrypted;
            if !looks_like_one && !is_text && table.is_none() {
                *listing.ignored.entry(kind).or_default() += 1;
                continue;
            }
            unpacked = unpacked.saturating_add(size);
            match inside {
                None => listing.skipped.push(Skipped { path: shown.into(), reason: "its path leads out of the archive".into() }),
                Some(p) if encrypted => {
                    listing.skipped.push(Skipped { path: p, reason: "it is encrypted; unpack it with its password".into() })
                }
                Some(p) if is_text => listing.captions.texts.push((p, location)),
                Some(p) => match table {
                    Some(table) => {
                        if tables[table].as_ref().is_none_or(|(best, _)| p.components().count() < best.components().count()) {
                            tables[table] = Some((p, location));
                        }
                    }
                    None => listing.candidates.push((p, location)),
                },
            }
        }
        if unpacked > MAX_UNPACKED_BYTES {
            let problem = format!("it says that it unpacks to {} GiB", unpacked >> 30);
            return Err(Error::data(path, problem, "if that is right, unpack it and name the folder"));
        }
        let [labels, captions] = tables;
        listing.labels = labels.map(|(inside, location)| self.table(path, inside, location)).transpose()?;
        listing.captions.table = captions.map(|(inside, location)| self.table(path, inside, location)).transpose()?;
        Ok(listing)
    }

    /// A table that lies beside the pictures.
    fn table(&self, path: &Path, inside: PathBuf, location: usize) -> Result<LabelsFile> {
        let bytes = self.read(location, MAX_TABLE_BYTES).map_err(|e| Error::data(path.join(&inside), e, "make the archive again"))?;
        let base = inside.parent().map(|p| p.to_string_lossy().replace('\\', "/")).unwrap_or_default();
        Ok(LabelsFile { path: path.join(inside), base, bytes })
    }
}

/// The entry's path if it stays inside the archive.
fn safe_path(name: &str) -> Option<PathBuf> {
    if name.contains('\0') {
        return None;
    }
    let name = name.replace('\\', "/");
    let drive = name.as_bytes().get(1) == Some(&b':');
    let path = PathBuf::from(&name);
    let stays = !drive && path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    stays.then(|| path.components().filter(|c| matches!(c, Component::Normal(_))).collect())
}

fn reason(error: ZipError) -> String {
    match error {
        ZipError::UnsupportedArchive(what) => format!("cannot be unpacked: {what}"),
        other => format!("damaged in the archive: {other}"),
    }
}

/// A file with a position of its own that shares the handle with its clones.
#[derive(Debug, Clone)]
struct SharedFile {
    file: Arc<Mutex<File>>,
    position: u64,
    length: u64,
}

impl SharedFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file: Arc::new(Mutex::new(file)), position: 0, length })
    }
}

impl Read for SharedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file.lock().map_err(|_| io::Error::other("another reader failed"))?;
        file.seek(SeekFrom::Start(self.position))?;
        let n = file.read(buffer)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for SharedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, by) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::End(by) => (self.length, by),
            SeekFrom::Current(by) => (self.position, by),
        };
        let outside = || io::Error::new(io::ErrorKind::InvalidInput, "seek outside of the file");
        self.position = base.checked_add_signed(by).ok_or_else(outside)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_out_are_refused() {
        for bad in ["../a.png", "a/../../b.png", "/etc/a.png", "..\\a.png", "C:\\a.png", "a\0.png"] {
            assert_eq!(safe_path(bad), None, "{bad}");
        }
        assert_eq!(safe_path("./a/b.png"), Some(PathBuf::from("a/b.png")));
        assert_eq!(safe_path("a\\b.png"), Some(PathBuf::from("a/b.png")));
    }
}
