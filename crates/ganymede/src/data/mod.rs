//! Reading people's files. Nothing here trusts a number found in a file.

use std::path::PathBuf;

/// Data that was recognised and indexed, not yet decoded.
#[derive(Debug, Clone)]
pub enum Source {
    /// Pictures.
    Images(ImageIndex),
    /// Rows of numbers.
    Points(PointTable),
}

/// Pictures found in a folder, archive or file, with what their headers say.
#[derive(Debug, Clone)]
pub struct ImageIndex {
    /// Path or built-in name, as given.
    pub name: String,
}

/// Rows of numbers.
#[derive(Debug, Clone)]
pub struct PointTable {
    /// Path or built-in name, as given.
    pub name: String,
}

/// A file that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why it was left out.
    pub reason: String,
}
