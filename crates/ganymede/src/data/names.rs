//! Recognising files by their first bytes, and helping with names that are neither built in nor there.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::built_in::BUILT_IN;
use crate::config::nearest;
use crate::error::{Error, Result};

/// The first bytes of a file, at most 512 of them.
pub(super) fn head(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|e| Error::io(path, "open", e))?;
    let mut head = Vec::new();
    file.take(512).read_to_end(&mut head).map_err(|e| Error::io(path, "read", e))?;
    Ok(head)
}

/// What a file of another kind is, when its first bytes say so.
pub(super) fn foreign_kind(head: &[u8]) -> Option<&'static str> {
    const KINDS: &[(&[u8], &str)] = &[
        (b"\x93NUMPY", "a NumPy array"),
        (b"\x89HDF", "an HDF5 file"),
        (b"%PDF", "a PDF document"),
        (b"SQLite format 3", "an SQLite database"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"Rar!", "a RAR archive"),
        (b"\xfd7zXZ", "an xz-compressed file"),
        (b"BZh", "a bzip2-compressed file"),
        (b"\x28\xb5\x2f\xfd", "a Zstandard-compressed file"),
        (b"RIFF", "a sound or video file"),
        (b"fLaC", "a FLAC sound file"),
        (b"OggS", "an Ogg sound file"),
        (b"ID3", "an MP3 sound file"),
        (b"MThd", "a MIDI file"),
        (b"\x7fELF", "a program"),
        (b"{\"", "a JSON file"),
        (b"{\n", "a JSON file"),
        (b"<!DOCTYPE", "a web page"),
        (b"<html", "a web page"),
        (b"<?xml", "an XML file"),
        (b"<svg", "an SVG drawing"),
    ];
    if head.get(4..8) == Some(b"ftyp") {
        return Some("a video, HEIC or AVIF file");
    }
    if head.starts_with(b"II*\0") || head.starts_with(b"MM\0*") {
        return Some("a TIFF picture");
    }
    KINDS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, kind)| *kind)
}

/// Whether a file begins like a tar archive.
pub(super) fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

/// The error for a name that is neither built in nor a path that exists.
pub(super) fn unknown(name: &str) -> Error {
    let list = BUILT_IN.iter().map(|b| b.name).collect::<Vec<_>>().join(", ");
    let near = nearest(name, BUILT_IN.iter().map(|b| b.name));
    let hint = near.map_or_else(String::new, |near| format!("did you mean \"{near}\"? "));
    Error::data(
        name,
        "there is no such file or folder, and no built-in data of that name",
        format!("{hint}built-in data: {list}; or check the path"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest_and_the_list() {
        let message = unknown("avatar").to_string();
        assert!(message.contains("did you mean \"avatars\"?"), "{message}");
        assert!(message.contains("avatars, digits, stacked-digits, ring, grid"), "{message}");
        assert!(!unknown("photos-of-my-cat").to_string().contains("did you mean"));
    }
}
