//! Reading people's files. Nothing here trusts a number found in a file.
//!
//! [`Source::open`] recognises what a name or path is and indexes it: pictures by their headers alone ([`ImageIndex`]), rows of numbers completely
//! ([`PointTable`]), tables completely ([`TableSource`]), and folders of tables with the keys that relate them ([`TablesSource`]). [`ImageIndex::load`] then decodes the pictures to one size. Damaged files among good ones are left out and named
//! ([`Skipped`]); data that cannot be used at all is an [`Error::Data`] that names the file and the way out.

mod archive;
mod attributes;
mod built_in;
mod captions;
mod channels;
mod channels_used;
mod decode;
mod delimited;
mod describe;
mod fit;
mod folder;
mod idx;
mod image_index;
mod image_set;
mod labels;
mod moving;
mod names;
#[cfg(feature = "parquet")]
mod parquet_pictures;
mod pixels;
mod png;
mod points;
mod provenance;
mod shards;
mod sheet;
mod stacked;
mod table;
mod table_source;
mod tables_source;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::table::Container;

pub use attributes::{AttributeTable, number};
pub use built_in::{BUILT_IN, BuiltIn};
pub use channels::{Channels, Fit, ImageSpec};
pub use image_index::{ImageEntry, ImageIndex};
pub use image_set::{First, ImageSet, Pictures};
pub use moving::moving;
pub use pixels::Pixels;
pub use png::write_png;
pub use points::{Modes, PointTable};
pub use provenance::Provenance;
pub use sheet::sheet;
pub use stacked::Stacked;
pub use table_source::TableSource;
pub use tables_source::TablesSource;

/// What can be read, for error messages.
pub(crate) const SUPPORTED: &str = if cfg!(all(feature = "arrow", feature = "excel", feature = "parquet")) {
    "a folder, .zip or .tar of pictures (png, jpg, webp, gif, bmp), a folder of .tar shards, Parquet files of pictures, MNIST-style IDX files, a table (.csv, .tsv, .jsonl, also .gz, .parquet, .arrow, .feather, .xlsx), or a folder of several tables"
} else {
    "a folder, .zip or .tar of pictures (png, jpg, webp, gif, bmp), a folder of .tar shards, MNIST-style IDX files, a table (.csv, .tsv, .jsonl, also .gz), or a folder of several tables"
};

/// Data that was recognised and indexed, not yet decoded.
#[derive(Debug, Clone)]
pub enum Source {
    /// Pictures.
    Images(ImageIndex),
    /// Rows of a few numbers.
    Points(PointTable),
    /// Rows of mixed columns.
    Table(Arc<TableSource>),
    /// Several tables that refer to each other.
    Tables(Arc<TablesSource>),
}

/// The user's folder for such things: `GANYMEDE_CACHE`, `$XDG_CACHE_HOME/ganymede`, or where the system has it. Nothing if there is none.
pub fn cache_folder() -> Option<PathBuf> {
    let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let system = || match std::env::consts::OS {
        "windows" => path("LOCALAPPDATA"),
        "macos" => path("HOME").map(|home| home.join("Library/Caches")),
        _ => path("XDG_CACHE_HOME").or_else(|| path("HOME").map(|home| home.join(".cache"))),
    };
    path("GANYMEDE_CACHE").or_else(|| system().map(|folder| folder.join("ganymede")))
}

/// A file that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// The file, relative to the folder or archive where it lies in one.
    pub path: PathBuf,
    /// Why it was left out.
    pub reason: String,
}

impl Source {
    /// Opens built-in data by name ([`BUILT_IN`]) or the file or folder at a path. A path spelled like a built-in name is reached as `./ring`.
    ///
    /// # Errors
    /// [`Error::Data`] or [`Error::Io`] with the file and the way out.
    pub fn open(name_or_path: &str) -> Result<Self> {
        if let Some(source) = built_in::open(name_or_path)? {
            return Ok(source);
        }
        let path = Path::new(name_or_path);
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(names::unknown(name_or_path)),
            Err(e) => return Err(Error::io(path, "open", e)),
        };
        if metadata.is_dir() {
            #[cfg(feature = "parquet")]
            {
                let parquets = parquet_pictures::in_folder(path)?;
                if !parquets.is_empty() {
                    return parquet_pictures::open(name_or_path, &parquets).map(Self::Images);
                }
            }
            let tables = tables_source::files_in(path)?;
            if tables.len() > 1 && !folder::has_pictures(path)? {
                if table_source::are_parts(path, &tables) && !tables_source::has_metadata(path)? {
                    return TableSource::open(name_or_path, path, None).map(|table| Self::Table(Arc::new(table)));
                }
                return TablesSource::open_folder(name_or_path, path, tables).map(|tables| Self::Tables(Arc::new(tables)));
            }
            let tars = shards::in_folder(path)?;
            if !tars.is_empty() && !folder::has_pictures(path)? {
                return shards::open(name_or_path, &tars).map(Self::Images);
            }
            return match idx::find_in_folder(path)? {
                Some(images) => idx::open(name_or_path, &images).map(Self::Images),
                None => folder::open(name_or_path, path).map(Self::Images),
            };
        }
        if !metadata.is_file() {
            return Err(Error::data(path, "is neither a file nor a folder", format!("name {SUPPORTED}")));
        }
        Self::open_file(name_or_path, path)
    }

    fn open_file(name: &str, path: &Path) -> Result<Self> {
        let head = names::head(path)?;
        if head.is_empty() {
            return Err(Error::data(path, "the file is empty", format!("name {SUPPORTED}")));
        }
        #[cfg(feature = "parquet")]
        if Container::of(path)? == Some(Container::Parquet) && parquet_pictures::has_pictures(path) {
            return parquet_pictures::open(name, &[path.to_path_buf()]).map(Self::Images);
        }
        if Container::of(path)?.is_some() {
            return Self::open_table(name, path);
        }
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            return archive::open(name, path).map(Self::Images);
        }
        let is_gzip = head.starts_with(&[0x1f, 0x8b]);
        if is_gzip && [".tar.gz", ".tgz"].iter().any(|ending| name.to_lowercase().ends_with(ending)) {
            let problem = "a compressed tar can only be read from its beginning";
            return Err(Error::data(path, problem, "uncompress it (gunzip) and name the .tar"));
        }
        if names::is_tar(&head) || folder::extension(path) == "tar" {
            return shards::open(name, &[path.to_path_buf()]).map(Self::Images);
        }
        let is_table = table_source::has_ending_of_table(path);
        if idx::is_idx(&head) || (is_gzip && !is_table) {
            return idx::open(name, path).map(Self::Images);
        }
        if decode::is_picture(&head) {
            return Err(Error::data(path, "this is one picture; training needs at least 2", "name the folder that holds the pictures"));
        }
        if let Some(tables) = TablesSource::open_metadata(name, path)? {
            return Ok(Self::Tables(Arc::new(tables)));
        }
        if let Some(kind) = names::foreign_kind(&head)
            && !(is_table && kind == "a JSON file")
        {
            return Err(Error::data(path, format!("this is {kind}, which is not supported"), format!("name {SUPPORTED}")));
        }
        Self::open_table(name, path)
    }

    fn open_table(name: &str, path: &Path) -> Result<Self> {
        let read = TableSource::open(name, path, None)?;
        if read.is_points() {
            return table::points(&read).map(Self::Points);
        }
        Ok(Self::Table(Arc::new(read)))
    }

    /// The name or path it was opened by.
    pub fn name(&self) -> &str {
        match self {
            Self::Images(index) => &index.name,
            Self::Points(table) => &table.name,
            Self::Table(table) => &table.name,
            Self::Tables(tables) => &tables.name,
        }
    }

    /// The table, also of a file of few columns of numbers.
    ///
    /// # Errors
    /// [`Error::Data`] if it is none.
    pub fn tabular(&self) -> Result<Arc<TableSource>> {
        match self {
            Self::Table(table) => Ok(table.clone()),
            Self::Points(points) if points.modes.is_none() => Ok(Arc::new(TableSource::open(&points.name, Path::new(&points.name), None)?)),
            _ => Err(Error::data(self.name(), "is no table", "choose another task; see `ganymede tasks`")),
        }
    }

    /// The tables that refer to each other.
    ///
    /// # Errors
    /// [`Error::Data`] if it is no folder of several tables.
    pub fn database(&self) -> Result<Arc<TablesSource>> {
        match self {
            Self::Tables(tables) => Ok(tables.clone()),
            _ => Err(Error::data(self.name(), "is no folder of several tables", "name one, or choose another task; see `ganymede tasks`")),
        }
    }

    /// Licence of the data as an SPDX expression; `unknown` for people's own files.
    pub fn license(&self) -> &str {
        match self {
            Self::Images(index) => &index.license,
            Self::Points(table) => &table.license,
            Self::Table(table) => &table.license,
            Self::Tables(tables) => &tables.license,
        }
    }

    /// What the data is, as (heading, text) lines for `ganymede inspect`.
    pub fn describe(&self) -> Vec<(String, String)> {
        match self {
            Self::Images(index) => index.describe(),
            Self::Points(table) => table.describe(),
            Self::Table(table) => table.describe(),
            Self::Tables(tables) => tables.describe(),
        }
    }
}

/// 1234567 as `1,234,567`, for people.
pub(crate) fn with_commas(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests;
