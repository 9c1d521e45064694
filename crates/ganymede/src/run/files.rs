//! Writing so that a crash, a full disk or `kill -9` leaves either the old state or the new one, never something between.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Name of the file that lists the SHA-256 of its neighbours, in the form that `sha256sum -c` reads.
pub(crate) const SUMS: &str = "SHA256SUMS";

/// Writes a new file and waits until it is on the disk.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).map_err(|e| Error::io(path, "create the file", e))?;
    file.write_all(bytes).map_err(|e| Error::io(path, "write the file", e))?;
    file.sync_all().map_err(|e| Error::io(path, "write the file", e))
}

/// Replaces a file as a whole: written aside, synced, renamed.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let aside = sibling(path, ".tmp");
    let written = write_synced(&aside, bytes)
        .and_then(|()| fs::rename(&aside, path).map_err(|e| Error::io(path, "put the new file in place", e)))
        .and_then(|()| sync_parent(path));
    if written.is_err() {
        // Half a file helps nobody, and on a full disk its space does.
        let _ = fs::remove_file(&aside);
    }
    written
}

/// Writes `files` and their checksums into a new folder, everything synced. The folder is removed again if that fails. Each file is asked for when the one before it
/// is written, so that only one has to be in memory.
pub(crate) fn write_folder(folder: &Path, files: impl IntoIterator<Item = Result<(String, Vec<u8>)>>) -> Result<()> {
    remove_all(folder)?;
    let fill = move || -> Result<()> {
        fs::create_dir_all(folder).map_err(|e| Error::io(folder, "create the folder", e))?;
        let mut sums = String::new();
        for file in files {
            let (name, bytes) = file?;
            write_synced(&folder.join(&name), &bytes)?;
            sums.push_str(&format!("{}  {name}\n", sha256_hex(&bytes)));
        }
        write_synced(&folder.join(SUMS), sums.as_bytes())?;
        sync_folder(folder)
    };
    let filled = fill();
    if filled.is_err() {
        let _ = fs::remove_dir_all(folder);
    }
    filled
}

/// The checksums listed in `folder`, as (file name, hexadecimal SHA-256).
pub(crate) fn read_sums(folder: &Path) -> Result<Vec<(String, String)>> {
    let path = folder.join(SUMS);
    let text = read_text(&path, 1 << 20)?;
    text.lines()
        .map(|line| line.split_once("  ").map(|(sum, name)| (name.to_string(), sum.to_string())))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Error::run(&path, "is not a list of checksums", "the folder is damaged; use another one"))
}

/// SHA-256 as 64 hexadecimal digits.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The whole of a text file that may have at most `limit` bytes.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String> {
    let file = File::open(path).map_err(|e| Error::io(path, "open the file", e))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| Error::io(path, "read the file", e))?;
    if bytes.len() as u64 > limit {
        return Err(Error::run(path, format!("is larger than {limit} bytes"), "this is not a file that ganymede wrote; give another one"));
    }
    String::from_utf8(bytes).map_err(|_| Error::run(path, "is not UTF-8 text", "the file is damaged; use another copy of the folder"))
}

/// Removes a file or folder with everything in it; nothing there is fine.
pub(crate) fn remove_all(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.map_err(|e| Error::io(path, "remove what an earlier run left", e))
}

/// Waits until the folder's list of names is on the disk. Only Unix offers that.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(folder).and_then(|f| f.sync_all()).map_err(|e| Error::io(folder, "write the folder", e))?;
    }
    Ok(())
}

/// [`sync_folder`] of the folder that holds `path`.
pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

/// `path` with `suffix` after its last name.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_of_abc_is_the_published_one() {
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn an_atomic_write_replaces_and_leaves_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_carries_the_checksums_of_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("f");
        write_folder(&folder, [Ok(("a".into(), b"abc".to_vec()))]).unwrap();
        assert_eq!(read_sums(&folder).unwrap(), [("a".to_string(), sha256_hex(b"abc"))]);
    }

    #[test]
    fn a_text_file_over_the_limit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        fs::write(&path, "12345").unwrap();
        assert!(read_text(&path, 4).unwrap_err().to_string().contains("larger than 4 bytes"));
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
    }
}
