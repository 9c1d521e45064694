//! Pixels of many pictures of one shape: in memory, or in a file where they are too many.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use crate::error::{Error, Result};

/// Pictures of `size` bytes each.
#[derive(Debug, Clone)]
pub struct Pixels {
    size: usize,
    held: Held,
}

#[derive(Debug, Clone)]
enum Held {
    Memory(Vec<u8>),
    File(Arc<Scratch>),
}

/// The place of a file of our own, which is gone with whoever uses it.
#[derive(Debug)]
pub(super) struct ScratchPath(PathBuf);

impl ScratchPath {
    /// Where it is, or was.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchPath {
    fn drop(&mut self) {
        // On Unix it has no name any more.
        let _ = fs::remove_file(&self.0);
    }
}

/// Pictures in such a file.
#[derive(Debug)]
struct Scratch {
    path: ScratchPath,
    file: Mutex<File>,
    n: usize,
    /// The first reading that failed.
    failure: OnceLock<String>,
}

impl Pixels {
    /// How many pictures there are.
    pub fn len(&self) -> usize {
        match &self.held {
            Held::Memory(bytes) => bytes.len() / self.size,
            Held::File(scratch) => scratch.n,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a picture is got without reading a file.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.held, Held::Memory(_))
    }

    /// One picture. If the file cannot be read it is black, and [`Pixels::check`] says so.
    ///
    /// # Panics
    /// If `picture_idx` is not below [`Pixels::len`].
    pub fn picture(&self, picture_idx: usize) -> Cow<'_, [u8]> {
        match &self.held {
            Held::Memory(bytes) => Cow::Borrowed(&bytes[picture_idx * self.size..(picture_idx + 1) * self.size]),
            Held::File(scratch) => {
                assert!(picture_idx < scratch.n, "picture {picture_idx} of {}", scratch.n);
                let mut bytes = vec![0; self.size];
                if let Err(problem) = scratch.read((picture_idx * self.size) as u64, &mut bytes) {
                    scratch.failure.get_or_init(|| problem);
                    bytes.fill(0);
                }
                Cow::Owned(bytes)
            }
        }
    }

    /// All bytes in order, a part at a time.
    pub(super) fn each_part(&self, mut see: impl FnMut(&[u8])) {
        match &self.held {
            Held::Memory(bytes) => see(bytes),
            Held::File(_) => (0..self.len()).for_each(|i| see(&self.picture(i))),
        }
    }

    /// Whether all pictures could be read so far.
    ///
    /// # Errors
    /// [`Error::Run`] naming the file, if one could not.
    pub fn check(&self) -> Result<()> {
        match &self.held {
            Held::File(scratch) => match scratch.failure.get() {
                Some(problem) => {
                    let remedy = "see whether the disk is full or failing, and go on with --resume: checkpoints are as they were";
                    Err(Error::run(scratch.path.path(), format!("the decoded pictures cannot be read back: {problem}"), remedy))
                }
                None => Ok(()),
            },
            Held::Memory(_) => Ok(()),
        }
    }
}

impl Scratch {
    fn read(&self, from: u64, bytes: &mut [u8]) -> Result<(), String> {
        let mut file = self.file.lock().map_err(|_| "another reader failed".to_owned())?;
        file.seek(SeekFrom::Start(from)).and_then(|_| file.read_exact(bytes)).map_err(|e| e.to_string())
    }
}

/// Takes pictures one after the other: into memory up to `most` bytes, then all of them into a file in `folder`.
pub(super) struct PixelWriter<'a> {
    size: usize,
    most: u64,
    folder: &'a Path,
    bytes: Vec<u8>,
    file: Option<(ScratchPath, BufWriter<File>)>,
    n: usize,
}

impl<'a> PixelWriter<'a> {
    /// For about `n` pictures of `size` bytes.
    pub fn new((n, size): (usize, usize), (most, folder): (u64, &'a Path)) -> Self {
        let expected = (n as u64).saturating_mul(size as u64).min(most);
        Self { size, most, folder, bytes: Vec::with_capacity(expected as usize), file: None, n: 0 }
    }

    /// Adds a picture.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Run`] if there is no room for the file.
    pub fn push(&mut self, picture: &[u8]) -> Result<()> {
        self.n += 1;
        if self.file.is_none() && (self.bytes.len() + picture.len()) as u64 <= self.most {
            self.bytes.extend_from_slice(picture);
            return Ok(());
        }
        if self.file.is_none() {
            let (path, file) = scratch_file(self.folder)?;
            let mut file = BufWriter::new(file);
            file.write_all(&self.bytes).map_err(|e| no_room(path.path(), &e))?;
            self.bytes = Vec::new();
            self.file = Some((path, file));
        }
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        file.write_all(picture).map_err(|e| no_room(path.path(), &e))
    }

    /// Pictures so far.
    pub fn len(&self) -> usize {
        self.n
    }

    /// All of them.
    ///
    /// # Errors
    /// As [`PixelWriter::push`].
    pub fn finish(self) -> Result<Pixels> {
        let held = match self.file {
            None => Held::Memory(self.bytes),
            Some((path, file)) => {
                let file = file.into_inner().map_err(|e| no_room(path.path(), e.error()))?;
                Held::File(Arc::new(Scratch { path, file: Mutex::new(file), n: self.n, failure: OnceLock::new() }))
            }
        };
        Ok(Pixels { size: self.size, held })
    }
}

fn no_room(path: &Path, e: &std::io::Error) -> Error {
    let remedy = "make room there, set GANYMEDE_CACHE to a folder with more, or take smaller pictures (--set data.height=32)";
    Error::run(path, format!("the decoded pictures do not fit in memory and cannot be written: {e}"), remedy)
}

/// A new file that nobody else has, without a name where the system lets a file live on without one: even a killed program leaves nothing there.
pub(super) fn scratch_file(folder: &Path) -> Result<(ScratchPath, File)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    fs::create_dir_all(folder).map_err(|e| Error::io(folder, "create", e))?;
    let path = folder.join(format!("pictures-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
    // Of a program with the same number that was killed, where files keep their names.
    let _ = fs::remove_file(&path);
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).map_err(|e| Error::io(&path, "create", e))?;
    if cfg!(unix) {
        let _ = fs::remove_file(&path);
    }
    Ok((ScratchPath(path), file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(most: u64, folder: &Path) -> Pixels {
        let mut writer = PixelWriter::new((10, 6), (most, folder));
        (0..10u8).for_each(|i| writer.push(&[i, 1, 2, 3, 4, 5]).unwrap());
        assert_eq!(writer.len(), 10);
        writer.finish().unwrap()
    }

    #[test]
    fn many_pictures_are_the_same_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let (memory, file) = (written(60, folder.path()), written(59, &folder.path().join("new/folder")));
        assert!(memory.is_in_memory() && !file.is_in_memory());
        assert_eq!((memory.len(), file.len()), (10, 10));
        for i in [3, 9, 0, 3] {
            assert_eq!(memory.picture(i), file.picture(i));
        }
        let all = |pixels: &Pixels| {
            let mut all = Vec::new();
            pixels.each_part(|part| all.extend_from_slice(part));
            all
        };
        assert_eq!(all(&memory), all(&file.clone()));
        file.check().unwrap();
    }

    #[test]
    fn nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let pixels = written(0, folder.path());
        if cfg!(unix) {
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
        drop(pixels);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let pixels = written(0, folder.path());
        let Held::File(scratch) = &pixels.held else { panic!("not in a file") };
        scratch.file.lock().unwrap().set_len(30).unwrap();
        assert_eq!(&pixels.picture(2)[..2], [2, 1]);
        pixels.check().unwrap();
        assert_eq!(&*pixels.picture(7), [0; 6]);
        assert!(pixels.check().unwrap_err().to_string().contains("cannot be read back"));
    }

    #[test]
    fn no_room_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let occupied = folder.path().join("file");
        fs::write(&occupied, "").unwrap();
        let mut writer = PixelWriter::new((1, 6), (0, &occupied));
        assert!(writer.push(&[0; 6]).is_err());
    }
}
