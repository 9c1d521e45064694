//! Pictures in tar archives, one or several, read without unpacking them to disk: WebDataset's shards too.
//!
//! A shard of WebDataset is a tar in which files of one sample share their name up to the first dot: `000123.jpg`, `000123.cls` with its class, `000123.txt` with a caption.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::{Member, SharedFile, Sorter, safe_path};
use super::decode::MAX_FILE_BYTES;
use super::folder::{MAX_TABLE_BYTES, extension};
use super::image_index::{ImageIndex, Store};
use super::labels::LabelsFile;
use super::pixels::ScratchPath;
use crate::error::{Error, Result};

/// Bytes of a file that names a class.
const MAX_CLASS_BYTES: u64 = 1024;

/// Open archives and where their files lie in them. Clones share the handles.
#[derive(Debug, Clone)]
pub(super) struct Shards {
    files: Vec<SharedFile>,
    /// By location: the archive, the first byte, and how many.
    places: Arc<Vec<(u32, u64, u64)>>,
    /// Of a file of our own, which goes with the last clone.
    _scratch: Option<Arc<ScratchPath>>,
}

/// The `.tar` files in a folder, in the order of their names.
///
/// # Errors
/// [`Error::Io`] if it cannot be listed.
pub(super) fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = fs::read_dir(folder).map_err(|e| Error::io(folder, "list", e))?;
    let mut found: Vec<PathBuf> =
        listed.flatten().map(|entry| entry.path()).filter(|path| extension(path) == "tar" && path.is_file()).collect();
    found.sort();
    Ok(found)
}

/// Indexes the pictures in archives.
pub(super) fn open(name: &str, paths: &[PathBuf]) -> Result<ImageIndex> {
    let mut shards = Shards { files: Vec::new(), places: Arc::default(), _scratch: None };
    let (mut sorter, mut classes) = (Sorter::default(), HashMap::new());
    for path in paths {
        let file = SharedFile::open(path).map_err(|e| Error::io(path, "open", e))?;
        shards.files.push(file.clone());
        // Samples of several shards may have the same name. Not by a folder: those are classes.
        let shard = (paths.len() > 1).then(|| path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
        if let Err(problem) = shards.list(file, shard.as_deref(), (&mut sorter, &mut classes)) {
            sorter.skip(path.clone(), format!("the rest of the tar cannot be read: {problem}"));
        }
    }
    let whole = Path::new(name);
    let mut listing = sorter.finish(whole, &|location| shards.read(location, MAX_TABLE_BYTES))?;
    if listing.labels.is_none() && !classes.is_empty() {
        let mut table = csv::Writer::from_writer(b"file,label\n".to_vec());
        for (picture, _) in &listing.candidates {
            if let Some(class) = classes.get(&key(picture)) {
                table
                    .write_record([&*picture.to_string_lossy(), class.as_str()])
                    .map_err(|e| Error::data(whole, e.to_string(), "rename it"))?;
            }
        }
        let bytes = table.into_inner().map_err(|e| Error::data(whole, e.to_string(), "rename it"))?;
        listing.labels = Some(LabelsFile { path: whole.join("*.cls"), base: String::new(), bytes });
    }
    ImageIndex::build(name, Store::Shards(shards), listing)
}

/// What files of one sample share.
fn key(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(name.split('.').next().unwrap_or_default())
}

impl Shards {
    /// Files that were copied one after the other into one of our own, by first byte and length.
    ///
    /// # Errors
    /// [`Error::Io`] if the copy has gone.
    #[cfg(feature = "parquet")]
    pub fn of_copy(file: fs::File, scratch: ScratchPath, places: Vec<(u64, u64)>) -> Result<Self> {
        let file = SharedFile::of(file).map_err(|e| Error::io(scratch.path(), "read", e))?;
        let places = places.into_iter().map(|(first, size)| (0, first, size)).collect();
        Ok(Self { files: vec![file], places: Arc::new(places), _scratch: Some(Arc::new(scratch)) })
    }

    /// The first `limit` bytes of the file at a location.
    pub fn read(&self, location: usize, limit: u64) -> Result<Vec<u8>, String> {
        let (shard, first, size) = *self.places.get(location).ok_or("is out of range")?;
        if size > MAX_FILE_BYTES {
            return Err(format!("the entry is too large for a picture ({} MB)", size >> 20));
        }
        let mut file = self.files[shard as usize].clone();
        let wanted = size.min(limit);
        let mut bytes = Vec::new();
        let read = file.seek(SeekFrom::Start(first)).and_then(|_| file.take(wanted).read_to_end(&mut bytes));
        read.map_err(|e| format!("cannot be read: {e}"))?;
        if (bytes.len() as u64) < wanted {
            return Err("the file that holds it ends before it does".into());
        }
        Ok(bytes)
    }

    /// Notes every file of the archive that was opened last, and of those that name a class which.
    fn list(
        &mut self,
        file: SharedFile,
        shard: Option<&str>,
        (sorter, classes): (&mut Sorter, &mut HashMap<PathBuf, String>),
    ) -> Result<(), String> {
        let number = self.files.len() as u32 - 1;
        let mut tar = tar::Archive::new(file);
        for entry in tar.entries_with_seek().map_err(|e| e.to_string())? {
            let entry = entry.map_err(|e| e.to_string())?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let shown = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let shown = match shard {
                Some(shard) => with_shard(&shown, shard),
                None => shown,
            };
            let location = self.places.len();
            Arc::make_mut(&mut self.places).push((number, entry.raw_file_position(), entry.size()));
            if extension(Path::new(&shown)) == "cls" {
                if let (Some(path), Ok(class)) = (safe_path(&shown), self.read(location, MAX_CLASS_BYTES)) {
                    classes.insert(key(&path), String::from_utf8_lossy(&class).trim().to_owned());
                }
                continue;
            }
            sorter.take(&Member { shown, location, size: entry.size(), encrypted: false }, &|limit| self.read(location, limit));
        }
        Ok(())
    }
}

/// The name of a file with the shard's before its last part. Tables keep theirs.
fn with_shard(shown: &str, shard: &str) -> String {
    let (folder, name) = shown.rsplit_once('/').map_or(("", shown), |(folder, name)| (folder, name));
    match (folder, extension(Path::new(name)).as_str()) {
        (_, "csv") => shown.to_owned(),
        ("", _) => format!("{shard}~{name}"),
        _ => format!("{folder}/{shard}~{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{plain, values_of_plain};

    fn tar_of(path: &Path, files: &[(&str, &[u8])]) {
        let mut tar = tar::Builder::new(fs::File::create(path).unwrap());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            // As it stands: what the builder would refuse, others write.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            tar.append(&header, *bytes).unwrap();
        }
        tar.finish().unwrap();
    }

    #[test]
    fn samples_of_shards_have_classes_and_captions() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["s-0.tar", "s-1.tar"].map(|name| folder.path().join(name));
        for (i, path) in paths.iter().enumerate() {
            let own = |k: u8| plain(100 * i as u8 + 10 * k);
            tar_of(
                path,
                &[
                    ("000.png", &own(0)),
                    ("000.cls", if i == 0 { b"cat\n" } else { b"dog" }),
                    ("000.txt", b"a small one"),
                    ("001.png", &own(1)),
                    ("001.cls", b"dog"),
                    ("001.json", b"{}"),
                ],
            );
        }
        let index = open("shards", &in_folder(folder.path()).unwrap()).unwrap();
        assert_eq!(values_of_plain(&index), [0, 10, 100, 110]);
        assert_eq!(index.classes, ["cat", "dog"]);
        assert_eq!(index.entries.iter().map(|entry| entry.label.unwrap()).collect::<Vec<_>>(), [0, 1, 1, 1]);
        let captions = index.captions.as_ref().unwrap();
        assert_eq!((captions[0].as_slice(), captions[1].len()), (&["a small one".to_owned()][..], 0));
        assert!(index.notes.iter().any(|note| note.contains(".json")), "{:?}", index.notes);
    }

    #[test]
    fn one_tar_is_like_the_folder_that_was_packed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pets.tar");
        let hidden = plain(9);
        tar_of(
            &path,
            &[
                ("pets/cat/a.png", &plain(1)),
                ("pets/dog/a.png", &plain(2)),
                ("pets/._a.png", &hidden),
                ("pets/dog/b.png", &plain(3)),
                ("../../etc/c.png", &plain(4)),
            ],
        );
        let index = open("pets.tar", &[path]).unwrap();
        assert_eq!((values_of_plain(&index), index.classes.as_slice()), (vec![1, 2, 3], &["cat".to_owned(), "dog".to_owned()][..]));
        assert_eq!(index.skipped.len(), 1);
        assert!(index.skipped[0].reason.contains("leads out"));
    }

    #[test]
    fn a_damaged_tar_gives_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.tar");
        tar_of(&path, &[("a.png", &plain(1)), ("b.png", &plain(2)), ("c.png", &plain(3)), ("d.png", &plain(4))]);
        let whole = fs::read(&path).unwrap();
        // Headers and contents of 512 bytes each: the last header ends within.
        for (cut, least) in [(3 * 1024 + 100, 3), (2 * 1024 + 600, 2)] {
            fs::write(&path, &whole[..cut]).unwrap();
            let index = open("cut.tar", std::slice::from_ref(&path)).unwrap();
            assert!(values_of_plain(&index).len() >= least && values_of_plain(&index)[..2] == [1, 2], "{cut}");
        }
        // Junk in the place of a header, and a size beyond the end.
        for (at, bytes) in [(1024, &[0xaa; 512][..]), (1024 + 124, b"77777777777")] {
            let mut damaged = whole.clone();
            damaged[at..at + bytes.len()].copy_from_slice(bytes);
            fs::write(&path, &damaged).unwrap();
            // One picture is left, which is too few.
            let opened = open("cut.tar", std::slice::from_ref(&path));
            assert!(opened.is_err() || opened.is_ok_and(|index| index.entries.len() + index.skipped.len() >= 1), "{at}");
        }
    }
}
