//! Files that commands write.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use ganymede::Error;

/// Replaces a file as a whole: whoever looks sees the old one or the new one. Devices and pipes are written straight.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let error = |e| Error::io(path, "write", e);
    if path.exists() && !path.is_file() {
        return fs::write(path, bytes).map_err(error);
    }
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|e| Error::io(folder, "create", e))?;
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}.tmp", std::process::id()));
    let write = || {
        File::create(&aside)?.write_all(bytes)?;
        fs::rename(&aside, path)
    };
    write().map_err(|e| {
        let _ = fs::remove_file(&aside);
        error(e)
    })
}

/// A folder `what-NAME`, or with a number after it where that is taken.
pub fn free_folder(what: &str, name: &str) -> PathBuf {
    let names = std::iter::once(String::new()).chain((2..).map(|i: u64| format!("-{i}")));
    names.map(|suffix| PathBuf::from(format!("{what}-{name}{suffix}"))).find(|path| !path.exists()).unwrap_or_default()
}

/// `what-NAME.png`, or with a number after it where that is taken.
pub fn free_name(what: &str, name: &str, extension: &str) -> PathBuf {
    let names = std::iter::once(String::new()).chain((2..).map(|i: u64| format!("-{i}")));
    let mut paths = names.map(|suffix| PathBuf::from(format!("{what}-{name}{suffix}.{extension}")));
    paths.find(|p| !p.exists()).unwrap_or_default()
}
