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
        let mut sorter = Sorter::default();
        for location in 0..self.zip.len() {
            let metadata = self.zip.metadata();
            let Ok(entry) = metadata.entry(location) else { continue };
            if entry.is_dir() || entry.is_symlink() {
                continue;
            }
            let (encrypted, size) = (entry.encrypted(), entry.size());
            let shown = entry.name().map(|n| n.into_owned()).unwrap_or_else(|_| String::from_utf8_lossy(entry.name_raw()).into_owned());
            sorter.take(&Member { shown, location, size, encrypted }, &|limit| self.read(location, limit));
        }
        sorter.finish(path, &|location| self.read(location, MAX_TABLE_BYTES))
    }
}

/// A file in an archive.
pub(super) struct Member {
    /// Its name as the archive has it.
    pub shown: String,
    /// Its position.
    pub location: usize,
    /// Bytes that it says it unpacks to.
    pub size: u64,
    /// Whether it cannot be read without a password.
    pub encrypted: bool,
}

/// Tells what the files of an archive are for.
#[derive(Default)]
pub(super) struct Sorter {
    listing: Listing,
    unpacked: u64,
    /// The uppermost table of labels and of captions.
    tables: [Option<(PathBuf, usize)>; 2],
}

impl Sorter {
    /// Takes note of a file; `read` gives its first bytes.
    pub fn take(&mut self, member: &Member, read: &dyn Fn(u64) -> Result<Vec<u8>, String>) {
        let Member { shown, location, size, encrypted } = member;
        let (location, encrypted) = (*location, *encrypted);
        let inside = safe_path(shown);
        if inside.as_ref().is_some_and(|p| p.components().any(|c| is_hidden(&c.as_os_str().to_string_lossy()))) {
            return;
        }
        let kind = extension(Path::new(shown));
        let last = shown.rsplit(['/', '\\']).next().unwrap_or_default();
        let table = [LABELS, CAPTIONS].iter().position(|name| *name == last);
        let looks_like_one =
            EXTENSIONS.contains(&kind.as_str()) || (kind.is_empty() && !encrypted && read(512).is_ok_and(|head| decode::is_picture(&head)));
        let is_text = kind == "txt" && !encrypted;
        if !looks_like_one && !is_text && table.is_none() {
            *self.listing.ignored.entry(kind).or_default() += 1;
            return;
        }
        self.unpacked = self.unpacked.saturating_add(*size);
        match inside {
            None => self.skip(shown.into(), "its path leads out of the archive"),
            Some(p) if encrypted => self.skip(p, "it is encrypted; unpack it with its password"),
            Some(p) if is_text => self.listing.captions.texts.push((p, location)),
            Some(p) => match table {
                Some(table) => {
                    if self.tables[table].as_ref().is_none_or(|(best, _)| p.components().count() < best.components().count()) {
                        self.tables[table] = Some((p, location));
                    }
                }
                None => self.listing.candidates.push((p, location)),
            },
        }
    }

    /// Leaves a file out.
    pub fn skip(&mut self, path: PathBuf, reason: impl Into<String>) {
        self.listing.skipped.push(Skipped { path, reason: reason.into() });
    }

    /// What was found in the archive at `path`; `read` gives the bytes at a position.
    ///
    /// # Errors
    /// [`Error::Data`] for a table that cannot be read, and for an archive that says that it is absurdly large.
    pub fn finish(self, path: &Path, read: &dyn Fn(usize) -> Result<Vec<u8>, String>) -> Result<Listing> {
        let Self { mut listing, unpacked, tables: [labels, captions] } = self;
        if unpacked > MAX_UNPACKED_BYTES {
            let problem = format!("it says that it unpacks to {} GiB", unpacked >> 30);
            return Err(Error::data(path, problem, "if that is right, unpack it and name the folder"));
        }
        // A table that lies beside the pictures.
        let table = |(inside, location): (PathBuf, usize)| {
            let bytes = read(location).map_err(|e| Error::data(path.join(&inside), e, "make the archive again"))?;
            let base = inside.parent().map(|p| p.to_string_lossy().replace('\\', "/")).unwrap_or_default();
            Ok(LabelsFile { path: path.join(inside), base, bytes })
        };
        listing.labels = labels.map(table).transpose()?;
        listing.captions.table = captions.map(table).transpose()?;
        Ok(listing)
    }
}

/// The entry's path if it stays inside the archive.
pub(super) fn safe_path(name: &str) -> Option<PathBuf> {
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
pub(super) struct SharedFile {
    file: Arc<Mutex<File>>,
    position: u64,
    length: u64,
}

impl SharedFile {
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::of(File::open(path)?)
    }

    /// Of an open file.
    pub fn of(file: File) -> io::Result<Self> {
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
