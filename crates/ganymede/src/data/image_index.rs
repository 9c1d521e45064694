//! Pictures found in a folder, an archive or a file, known by their headers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::DynamicImage;
use rayon::prelude::*;

use super::archive::Archive;
use super::attributes::AttributeTable;
use super::captions::{self, CaptionFiles};
use super::channels::Channels;
use super::decode::{self, Header, MAX_FILE_BYTES};
use super::labels::{self, Labels, LabelsFile};
use super::shards::Shards;
use super::stacked::Stacked;
use super::{SUPPORTED, Skipped, channels_used, with_commas};
use crate::error::{Error, Result};

/// Pictures with what their headers say, sorted by path, so that the same files always have the same positions.
#[derive(Debug, Clone)]
pub struct ImageIndex {
    /// Path or built-in name, as given.
    pub name: String,
    /// The pictures whose headers can be read.
    pub entries: Vec<ImageEntry>,
    /// Names of the classes; an entry's `label` is a position in it. Empty if unlabelled. Numbers are in numeric order, other names in alphabetical order.
    pub classes: Vec<String>,
    /// Further properties of the pictures, where there are any.
    pub attributes: Option<AttributeTable>,
    /// What each picture shows, in words, by [`ImageEntry::row`]; nothing if no picture has captions.
    pub captions: Option<Vec<Vec<String>>>,
    /// Files that look like pictures and cannot be used.
    pub skipped: Vec<Skipped>,
    /// What a person should know about how the data was understood, one sentence each.
    pub notes: Vec<String>,
    /// Licence as an SPDX expression, or `unknown`.
    pub license: String,
    pub(super) store: Store,
    pub(super) channels: Channels,
}

/// One picture of an [`ImageIndex`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageEntry {
    /// Path relative to the folder or archive.
    pub path: PathBuf,
    /// Pixels across, after the orientation in EXIF.
    pub width: u32,
    /// Pixels down, after the orientation in EXIF.
    pub height: u32,
    /// Channels that the file holds; [`ImageIndex::channels`] tells which of them carry anything.
    pub channels: Channels,
    /// Position of its class in [`ImageIndex::classes`].
    pub label: Option<u32>,
    /// Position in [`ImageIndex::attributes`] and [`ImageIndex::captions`].
    pub row: usize,
    /// Position in the archive or block of pixels; unused for folders.
    pub(super) location: usize,
}

/// A text file beside a picture is read up to here.
const MAX_TEXT_BYTES: u64 = 64 << 10;

/// Where the pictures' bytes are.
#[derive(Debug, Clone)]
pub(super) enum Store {
    Folder(PathBuf),
    Archive(Archive),
    Shards(Shards),
    Raw(RawPictures),
    Stacked(Stacked),
}

/// Pictures of one size that are in memory already, `[n, height, width, channels]`.
#[derive(Debug, Clone)]
pub(super) struct RawPictures {
    pub pixels: Arc<Vec<u8>>,
    pub width: usize,
    pub height: usize,
    pub channels: Channels,
}

/// What walking a folder or listing an archive gave.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Files that should be pictures: relative path and position in the archive.
    pub candidates: Vec<(PathBuf, usize)>,
    /// Files of other kinds, counted by extension.
    pub ignored: BTreeMap<String, usize>,
    /// Files that are known to be unusable before they are read.
    pub skipped: Vec<Skipped>,
    /// The `labels.csv` of the set, if there is one.
    pub labels: Option<LabelsFile>,
    /// What the pictures show, in words.
    pub captions: CaptionFiles,
}

impl Listing {
    /// Texts that turn out to be no captions.
    fn ignore_texts(&mut self) {
        if !self.captions.texts.is_empty() {
            *self.ignored.entry("txt".into()).or_default() += std::mem::take(&mut self.captions.texts).len();
        }
    }
}

impl ImageIndex {
    /// Reads the headers of everything listed and finds the classes.
    pub(super) fn build(name: &str, store: Store, mut listing: Listing) -> Result<Self> {
        let n_files = listing.candidates.len() + listing.skipped.len();
        if n_files == 0 {
            listing.ignore_texts();
            return Err(nothing_found(name, &listing.ignored));
        }
        listing.candidates.sort();
        let headers: Vec<_> = listing.candidates.par_iter().map(|(path, location)| probe(&store, path, *location)).collect();
        let (mut entries, mut skipped) = (Vec::with_capacity(n_files), std::mem::take(&mut listing.skipped));
        let mut n_animated = 0;
        for ((path, location), header) in std::mem::take(&mut listing.candidates).into_iter().zip(headers) {
            match header {
                Ok(Header { width, height, channels, animated }) => {
                    n_animated += usize::from(animated);
                    entries.push(ImageEntry { path, width, height, channels, label: None, row: entries.len(), location });
                }
                Err(reason) => skipped.push(Skipped { path, reason }),
            }
        }
        refuse_mostly_broken(name, &skipped, n_files)?;
        let labels = labels::find(&entries, listing.labels.take())?;
        let captions = captions::find(&entries, &listing.captions, &|path, location| store.read(path, location, MAX_TEXT_BYTES))?;
        let mut index = Self {
            name: name.into(),
            entries,
            classes: Vec::new(),
            attributes: None,
            captions,
            skipped,
            notes: Vec::new(),
            license: "unknown".into(),
            store,
            channels: Channels::Rgb,
        };
        index.notes.extend(index.captions.as_deref().map(captions::note));
        if index.captions.is_none() {
            listing.ignore_texts();
        }
        index.notes.extend(ignored_note(&listing.ignored));
        if n_animated > 0 {
            index.notes.push(format!("{} animated pictures: the first frame of each is used", with_commas(n_animated)));
        }
        index.apply_labels(labels);
        refuse_mostly_broken(name, &index.skipped, n_files)?;
        index.skipped.sort_by(|a, b| a.path.cmp(&b.path));
        index.channels = channels_used::find(&mut index);
        Ok(index)
    }

    /// An index of single files, which may lie anywhere.
    ///
    /// # Errors
    /// [`Error::Data`] if most of them cannot be used.
    pub fn of_files(paths: Vec<PathBuf>) -> Result<Self> {
        let listing = Listing { candidates: paths.into_iter().map(|path| (path, 0)).collect(), ..Listing::default() };
        Self::build("files", Store::Folder(PathBuf::new()), listing)
    }

    /// Whether there is a file at that path that begins like a picture.
    pub fn is_picture(path: &Path) -> bool {
        let mut head = Vec::new();
        let read = path.is_file().then(|| File::open(path).and_then(|file| file.take(64).read_to_end(&mut head)));
        read.is_some_and(|read| read.is_ok()) && decode::is_picture(&head)
    }

    /// An index of pictures that are in memory already.
    pub(super) fn raw(name: &str, raw: RawPictures, stem: &str) -> Self {
        let size = raw.width * raw.height * raw.channels.count();
        let n = raw.pixels.len().checked_div(size).unwrap_or(0);
        let entry = |location| ImageEntry {
            path: PathBuf::from(format!("{stem}{location}.png")),
            width: raw.width as u32,
            height: raw.height as u32,
            channels: raw.channels,
            label: None,
            row: location,
            location,
        };
        Self {
            name: name.into(),
            entries: (0..n).map(entry).collect(),
            classes: Vec::new(),
            attributes: None,
            captions: None,
            skipped: Vec::new(),
            notes: Vec::new(),
            license: "unknown".into(),
            channels: raw.channels,
            store: Store::Raw(raw),
        }
    }

    pub(super) fn apply_labels(&mut self, labels: Labels) {
        self.classes = labels.classes;
        self.attributes = labels.attributes;
        self.notes.extend(labels.notes);
        if self.classes.is_empty() {
            return;
        }
        let entries = std::mem::take(&mut self.entries);
        for (mut entry, label) in entries.into_iter().zip(labels.of_entry) {
            match label {
                Some(_) => {
                    entry.label = label;
                    self.entries.push(entry);
                }
                None => self.skipped.push(Skipped { path: entry.path, reason: "the labels do not name it".into() }),
            }
        }
    }

    /// The most common size if at least half of the pictures have it, else the median width and the median height, in pixels.
    pub fn typical_size(&self) -> (u32, u32) {
        let counts = self.size_counts();
        match counts.first() {
            Some(&(size, n)) if n * 2 >= self.entries.len() => size,
            Some(_) => (median(self.entries.iter().map(|e| e.width)), median(self.entries.iter().map(|e| e.height))),
            None => (0, 0),
        }
    }

    /// Width and height in pixels if all pictures share them.
    pub fn uniform_size(&self) -> Option<(u32, u32)> {
        let first = self.entries.first()?;
        self.entries.iter().all(|e| (e.width, e.height) == (first.width, first.height)).then_some((first.width, first.height))
    }

    /// The fewest channels that lose nothing: grey if no picture has colour, with opacity only if some picture is not opaque.
    ///
    /// Headers say what a file could hold. Where that may be more than its pixels use, up to 64 of them, spread over the set, were decoded to see.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// How many pictures each class has, in the order of `classes`.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for label in self.entries.iter().filter_map(|e| e.label) {
            counts[label as usize] += 1;
        }
        counts
    }

    /// Decodes every picture and returns those that cannot be: what `inspect` needs to name files whose headers are good and whose pixels are not.
    /// `progress` is called with (done, of).
    pub fn verify(&self, progress: &mut dyn FnMut(usize, usize)) -> Vec<Skipped> {
        let mut broken = self.skipped.clone();
        let mut done = 0;
        for chunk in self.entries.chunks(64) {
            let found: Vec<_> =
                chunk.par_iter().filter_map(|e| Some(Skipped { path: e.path.clone(), reason: self.decode(e).err()? })).collect();
            broken.extend(found);
            done += chunk.len();
            progress(done, self.entries.len());
        }
        broken
    }

    pub(super) fn decode(&self, entry: &ImageEntry) -> Result<DynamicImage, String> {
        match &self.store {
            Store::Raw(raw) => raw.picture(entry.location),
            Store::Stacked(stacked) => stacked.picture(entry.location),
            store => decode::decode(&store.read(&entry.path, entry.location, MAX_FILE_BYTES)?),
        }
    }

    /// Sizes with how many pictures have them, most common first, then by size.
    pub(super) fn size_counts(&self) -> Vec<((u32, u32), usize)> {
        let mut counts = BTreeMap::new();
        for entry in &self.entries {
            *counts.entry((entry.width, entry.height)).or_insert(0) += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|&(size, n)| (std::cmp::Reverse(n), size));
        counts
    }
}

impl Store {
    /// The bytes of one file, at most `limit` of them. A file longer than [`MAX_FILE_BYTES`] is refused.
    fn read(&self, path: &Path, location: usize, limit: u64) -> Result<Vec<u8>, String> {
        match self {
            Self::Archive(archive) => archive.read(location, limit),
            Self::Shards(shards) => shards.read(location, limit),
            Self::Raw(_) | Self::Stacked(_) => Err("has no file".into()),
            Self::Folder(root) => {
                let file = File::open(root.join(path)).map_err(|e| format!("cannot be opened: {e}"))?;
                let length = file.metadata().map_err(|e| format!("cannot be opened: {e}"))?.len();
                if length > MAX_FILE_BYTES {
                    return Err(format!("the file is too large for a picture ({} MB)", length >> 20));
                }
                let mut bytes = Vec::with_capacity(length.min(limit) as usize);
                file.take(limit).read_to_end(&mut bytes).map_err(|e| format!("cannot be read: {e}"))?;
                Ok(bytes)
            }
        }
    }
}

impl RawPictures {
    fn picture(&self, location: usize) -> Result<DynamicImage, String> {
        let size = self.width * self.height * self.channels.count();
        let pixels = self.pixels.get(location * size..(location + 1) * size).ok_or("is out of range")?.to_vec();
        let (w, h) = (self.width as u32, self.height as u32);
        let picture = match self.channels {
            Channels::Grey => image::GrayImage::from_raw(w, h, pixels).map(DynamicImage::ImageLuma8),
            Channels::Rgb => image::RgbImage::from_raw(w, h, pixels).map(DynamicImage::ImageRgb8),
            Channels::Rgba => image::RgbaImage::from_raw(w, h, pixels).map(DynamicImage::ImageRgba8),
        };
        picture.ok_or_else(|| "has the wrong size".into())
    }
}

/// The header is usually in the first 64 KiB; only where it is not, the whole file is read.
fn probe(store: &Store, path: &Path, location: usize) -> Result<Header, String> {
    const HEAD_BYTES: u64 = 64 << 10;
    let head = store.read(path, location, HEAD_BYTES)?;
    if (head.len() as u64) < HEAD_BYTES || !decode::is_picture(&head) {
        return decode::probe(&head);
    }
    if !decode::needs_whole_file(&head)
        && let Ok(header) = decode::probe(&head)
    {
        return Ok(header);
    }
    decode::probe(&store.read(path, location, MAX_FILE_BYTES)?)
}

/// Many broken files mean that something else is wrong: no training on the rest.
pub(super) fn refuse_mostly_broken(name: &str, skipped: &[Skipped], n_files: usize) -> Result<()> {
    match skipped.first() {
        Some(first) if skipped.len() * 2 > n_files => Err(Error::data(
            name,
            format!(
                "{} of {} pictures cannot be used, among them {}: {}",
                with_commas(skipped.len()),
                with_commas(n_files),
                first.path.display(),
                first.reason
            ),
            "check how the files were copied or downloaded, or remove the broken ones",
        )),
        _ => Ok(()),
    }
}

fn nothing_found(name: &str, ignored: &BTreeMap<String, usize>) -> Error {
    let problem = match ignored_note(ignored) {
        Some(note) => format!("no pictures in it ({note})"),
        None => "there is nothing in it".into(),
    };
    let tables = ["csv", "tsv"].iter().any(|kind| ignored.contains_key(*kind));
    let remedy = if tables { "to train on a CSV file, name the file itself".into() } else { format!("name {SUPPORTED}") };
    Error::data(name, problem, remedy)
}

fn ignored_note(ignored: &BTreeMap<String, usize>) -> Option<String> {
    let total: usize = ignored.values().sum();
    if total == 0 {
        return None;
    }
    let mut kinds: Vec<_> = ignored.iter().map(|(kind, n)| (*n, kind.as_str())).collect();
    kinds.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let shown = kinds.iter().take(5).map(|(n, kind)| {
        let kind = if kind.is_empty() { "without extension".into() } else { format!(".{kind}") };
        format!("{} {kind}", with_commas(*n))
    });
    Some(format!("{} other files ignored: {}", with_commas(total), shown.collect::<Vec<_>>().join(", ")))
}

pub(super) fn median(values: impl Iterator<Item = u32>) -> u32 {
    let mut values: Vec<u32> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}
