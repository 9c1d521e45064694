//! What a workbook unpacks to, found out before anything of it is believed.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use crate::error::{Error, Result};

/// All parts together: a full sheet of thirty columns.
const MAX_UNPACKED: u64 = 2 << 30;
/// The reader of shared texts makes room for so many before it has seen one.
const COUNT: &[u8] = b"uniqueCount";
/// Bytes after [`COUNT`] that are looked at for its number.
const AFTER: usize = 40;

/// Unpacks every part and keeps nothing: parts that lie about their size are found out, damaged ones too.
///
/// # Errors
/// [`Error::Data`] if the workbook is damaged, or larger than is sensible; [`Error::Io`].
pub(super) fn check(path: &Path) -> Result<()> {
    within(path, MAX_UNPACKED)
}

fn within(path: &Path, limit: u64) -> Result<()> {
    let file = File::open(path).map_err(|e| Error::io(path, "open", e))?;
    let mut zip = ZipArchive::new(file).map_err(|e| damaged(path, e))?;
    let too_large = || {
        let problem = format!("the workbook unpacks to more than {} MiB", limit >> 20);
        Error::data(path, problem, "save the sheet as .csv")
    };
    let mut sizes = Vec::new();
    for place in 0..zip.len() {
        sizes.push(zip.by_index_raw(place).map_err(|e| damaged(path, e))?.size());
    }
    let says = sizes.iter().fold(0u64, |sum, size| sum.saturating_add(*size));
    if says > limit {
        return Err(too_large());
    }
    let mut left = limit;
    for place in 0..zip.len() {
        let part = zip.by_index(place).map_err(|e| damaged(path, e))?;
        let is_texts = part.name().map_err(|e| damaged(path, e))?.to_lowercase().ends_with("sharedstrings.xml");
        let measured = measure(part.take(left + 1), is_texts).map_err(|e| damaged(path, ZipError::Io(e)))?;
        left = left.checked_sub(measured.n_bytes).ok_or_else(too_large)?;
        if measured.n_texts > measured.n_bytes || measured.is_wide {
            return Err(damaged(path, ZipError::InvalidArchive("its texts are not what they say".into())));
        }
    }
    Ok(())
}

#[derive(Debug, Default, PartialEq)]
struct Measured {
    n_bytes: u64,
    /// The largest number of texts that the part says to hold.
    n_texts: u64,
    /// In an encoding of which the bytes could not be searched.
    is_wide: bool,
}

fn measure(mut part: impl Read, is_texts: bool) -> io::Result<Measured> {
    let mut found = Measured::default();
    let mut chunk = vec![0; 1 << 16];
    // The end of the chunk before, in which a count may have begun.
    let mut kept: Vec<u8> = Vec::new();
    loop {
        let n = part.read(&mut chunk)?;
        if n == 0 {
            return Ok(found);
        }
        if is_texts {
            found.is_wide |= found.n_bytes == 0 && chunk[..n.min(4)].iter().any(|b| matches!(b, 0 | 0xfe | 0xff));
            kept.extend_from_slice(&chunk[..n]);
            let counts = kept.windows(COUNT.len()).enumerate().filter(|(_, bytes)| *bytes == COUNT);
            let counts = counts.map(|(at, _)| count(&kept[at + COUNT.len()..]));
            found.n_texts = counts.fold(found.n_texts, u64::max);
            kept.drain(..kept.len().saturating_sub(COUNT.len() + AFTER));
        }
        found.n_bytes += n as u64;
    }
}

/// The number that follows, as in `="12"`; what has too many digits is as large as can be.
fn count(after: &[u8]) -> u64 {
    let digits = after.iter().take(AFTER).skip_while(|b| !b.is_ascii_digit()).take_while(|b| b.is_ascii_digit());
    digits.fold(0u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

fn damaged(path: &Path, error: ZipError) -> Error {
    match error {
        ZipError::Io(e) if e.raw_os_error().is_some() => Error::io(path, "read", e),
        other => {
            Error::data(path, format!("the workbook cannot be unpacked: {other}"), "open it in a spreadsheet program and save it again")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn parts_are_measured_whatever_they_say() {
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        zip.start_file("xl/workbook.xml", zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&[b' '; 100_000]).unwrap();
        let mut bytes = zip.finish().unwrap().into_inner();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.xlsx");
        std::fs::write(&path, &bytes).unwrap();
        assert!(within(&path, 100_000).is_ok());
        assert!(within(&path, 99_999).unwrap_err().to_string().contains("unpacks to more than"));
        // Where it lies, it is refused all the same.
        let size = 100_000u32.to_le_bytes();
        let places: Vec<usize> = (0..bytes.len() - 4).filter(|i| bytes[*i..*i + 4] == size).collect();
        assert!(!places.is_empty());
        places.iter().for_each(|i| bytes[*i..*i + 4].copy_from_slice(&10u32.to_le_bytes()));
        std::fs::write(&path, &bytes).unwrap();
        assert!(within(&path, 50_000).is_err());
    }

    #[test]
    fn counts_are_found_wherever_they_stand() {
        let of = |text: &str| measure(text.as_bytes(), true).unwrap();
        assert_eq!(of("<sst uniqueCount=\"12\">"), Measured { n_bytes: 22, n_texts: 12, is_wide: false });
        assert_eq!(of("<sst uniqueCount = '99999999999999999999999'>").n_texts, u64::MAX);
        for n in [65_500, 65_520, 65_530, 65_536, 200_000] {
            assert_eq!(of(&format!("{}<sst uniqueCount=\"345\"/>", " ".repeat(n))).n_texts, 345, "{n}");
        }
        assert!(measure(&b"\xff\xfe<\0"[..], true).unwrap().is_wide);
        assert_eq!(measure(&b"uniqueCount=\"5\""[..], false).unwrap().n_texts, 0);
    }
}
