//! A file that appears only when it is complete.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A file beside its place, which is removed again unless it is put there.
pub(crate) struct Aside {
    path: PathBuf,
    aside: PathBuf,
    file: Option<File>,
}

impl Aside {
    /// Creates the file beside `path`.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let mut name = path.as_os_str().to_os_string();
        name.push(format!(".{}.tmp", std::process::id()));
        let aside = PathBuf::from(name);
        let file = File::create(&aside).map_err(|e| Error::io(path, "create the file", e))?;
        Ok(Self { path: path.to_path_buf(), aside, file: Some(file) })
    }

    /// The file that it will be.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until the file is on the disk and puts it in its place.
    pub(crate) fn finish(mut self) -> Result<()> {
        let file = self.file.take();
        let placed = file.map_or(Ok(()), |f| f.sync_all()).and_then(|()| fs::rename(&self.aside, &self.path));
        if placed.is_err() {
            let _ = fs::remove_file(&self.aside);
        }
        placed.map_err(|e| Error::io(&self.path, "put the new file in place", e))
    }
}

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |f| f.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Half a table helps nobody.
            let _ = fs::remove_file(&self.aside);
        }
    }
}
