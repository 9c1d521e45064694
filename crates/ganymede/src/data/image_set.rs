//! Decoding an index to pixels of one shape.

use std::borrow::Cow;
use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::channels::{Channels, ImageSpec};
use super::fit::fit;
use super::image_index::{ImageEntry, ImageIndex, refuse_mostly_broken};
use super::pixels::{PixelWriter, Pixels};
use super::{Skipped, cache_folder, with_commas};
use crate::error::{Error, Result};

/// A decoded set is kept in memory up to this size; a larger one is kept in a file.
const MOST_IN_MEMORY: u64 = 2 << 30;
/// A set that would be larger is refused before decoding starts.
const MAX_SET_BYTES: u64 = 256 << 30;

/// Decoded pictures of one shape.
#[derive(Debug, Clone)]
pub struct ImageSet {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// Colour channels.
    pub channels: Channels,
    /// `[n, height, width, channels]`, 0 to 255.
    pub pixels: Pixels,
    /// One position in `classes` per picture; empty if unlabelled.
    pub labels: Vec<u32>,
    /// Names of the classes; empty if unlabelled.
    pub classes: Vec<String>,
    /// [`ImageEntry::row`] of each picture.
    pub rows: Vec<usize>,
    /// Files that were left out.
    pub skipped: Vec<Skipped>,
    /// SHA-256 over shape, pixels and labels, hexadecimal: the same pictures in the same shape have the same one, wherever they came from.
    pub fingerprint: String,
}

impl ImageSet {
    /// How many pictures there are.
    pub fn len(&self) -> usize {
        self.pixels.len()
    }

    /// Never true of a loaded set.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// Pixels of one picture, `[height, width, channels]`.
    ///
    /// # Panics
    /// If `picture_idx` is not below [`ImageSet::len`].
    pub fn picture(&self, picture_idx: usize) -> Cow<'_, [u8]> {
        self.pixels.picture(picture_idx)
    }

    /// Bytes of one picture.
    pub fn picture_bytes(&self) -> usize {
        self.width * self.height * self.channels.count()
    }
}

/// Pictures that were read one by one, in their order.
#[derive(Debug, Clone)]
pub struct First<'a> {
    /// What is known of each, and its pixels `[height, width, channels]`, 0 to 255.
    pub pictures: Vec<(&'a ImageEntry, Vec<u8>)>,
    /// Those that were left out.
    pub skipped: Vec<Skipped>,
}

/// Pictures of one shape in memory, as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pictures<'a> {
    /// `[n, height, width, channels]`, 0 to 255.
    pub pixels: &'a [u8],
    /// Pixels down, at least 1.
    pub height: usize,
    /// Pixels across, at least 1.
    pub width: usize,
    /// Channels, at least 1.
    pub channels: usize,
}

impl<'a> Pictures<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.picture_bytes()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pixels of one picture, `[height, width, channels]`.
    ///
    /// # Panics
    /// If `picture_idx` is not below [`Pictures::len`].
    pub fn picture(&self, picture_idx: usize) -> &'a [u8] {
        let size = self.picture_bytes();
        &self.pixels[picture_idx * size..(picture_idx + 1) * size]
    }

    /// Bytes of one picture.
    pub fn picture_bytes(&self) -> usize {
        self.height * self.width * self.channels
    }
}

impl ImageIndex {
    /// Decodes all pictures to the shape of `spec`, in the order of `entries`, on all cores. `progress` is called with (done, of).
    ///
    /// Pictures that cannot be decoded are left out and named in [`ImageSet::skipped`].
    ///
    /// # Errors
    /// [`Error::Data`] for fewer than 2 pictures, for more than half of them broken, and for a set that would take more than 256 GiB;
    /// [`Error::Config`] for a size out of range; [`Error::Io`] or [`Error::Run`] if there is no room on the disk for a set of more than 2 GiB, which is kept in a file among what is cached.
    pub fn load(&self, spec: &ImageSpec, progress: &mut dyn FnMut(usize, usize)) -> Result<ImageSet> {
        let folder = cache_folder().unwrap_or_else(std::env::temp_dir);
        self.load_within(spec, (MOST_IN_MEMORY, &folder), progress)
    }

    /// The same with another limit of memory and another folder for a larger set.
    pub(super) fn load_within(&self, spec: &ImageSpec, limit: (u64, &Path), progress: &mut dyn FnMut(usize, usize)) -> Result<ImageSet> {
        spec.validate()?;
        let n = self.entries.len();
        self.refuse_too_large(spec)?;
        self.refuse_too_few(n)?;
        let mut pixels = PixelWriter::new((n, spec.n_bytes()), limit);
        let mut labels = Vec::with_capacity(if self.classes.is_empty() { 0 } else { n });
        let (mut rows, mut skipped) = (Vec::with_capacity(n), self.skipped.clone());
        let chunk_len = ((64 << 20) / spec.n_bytes()).clamp(16, 1024);
        let mut done = 0;
        progress(0, n);
        for chunk in self.entries.chunks(chunk_len) {
            let decoded: Vec<_> = chunk.par_iter().map(|entry| self.decode(entry).and_then(|picture| fit(picture, spec))).collect();
            for (entry, picture) in chunk.iter().zip(decoded) {
                match picture {
                    Ok(picture) => {
                        pixels.push(&picture)?;
                        rows.push(entry.row);
                        if !self.classes.is_empty() {
                            labels.extend(entry.label);
                        }
                    }
                    Err(reason) => skipped.push(Skipped { path: entry.path.clone(), reason }),
                }
            }
            done += chunk.len();
            progress(done, n);
        }
        refuse_mostly_broken(&self.name, &skipped, n + self.skipped.len())?;
        self.refuse_too_few(pixels.len())?;
        let pixels = pixels.finish()?;
        skipped.sort_by(|a, b| a.path.cmp(&b.path));
        let fingerprint = fingerprint(spec, &pixels, &labels);
        let ImageSpec { width, height, channels, .. } = *spec;
        Ok(ImageSet { width, height, channels, pixels, labels, classes: self.classes.clone(), rows, skipped, fingerprint })
    }

    /// At most `most` pictures in the shape of `spec`, spread evenly over the index: the entry and `[height, width, channels]` of each, 0 to 255. What cannot be decoded is left out.
    ///
    /// # Errors
    /// [`Error::Config`] for a size out of range.
    pub fn preview(&self, spec: &ImageSpec, most: usize) -> Result<Vec<(&ImageEntry, Vec<u8>)>> {
        spec.validate()?;
        let n = self.entries.len().min(most);
        let chosen: Vec<_> = (0..n).map(|i| &self.entries[i * self.entries.len() / n]).collect();
        let shaped = |entry| Some((entry, self.decode(entry).and_then(|picture| fit(picture, spec)).ok()?));
        Ok(chosen.into_par_iter().filter_map(shaped).collect())
    }

    /// The first pictures that can be decoded, at most `most`, in the shape of `spec`, each with its entry; and those before the last of them that cannot.
    ///
    /// # Errors
    /// [`Error::Data`] if there are no pictures at all; [`Error::Config`] for a size out of range.
    pub fn first(&self, spec: &ImageSpec, most: usize) -> Result<First<'_>> {
        spec.validate()?;
        if self.entries.is_empty() {
            return Err(Error::data(&self.name, "holds no pictures", "give a folder of pictures"));
        }
        let mut first = First { pictures: Vec::new(), skipped: Vec::new() };
        for entry in &self.entries {
            if first.pictures.len() >= most {
                break;
            }
            match self.decode(entry).and_then(|picture| fit(picture, spec)) {
                Ok(picture) => first.pictures.push((entry, picture)),
                Err(reason) => first.skipped.push(Skipped { path: entry.path.clone(), reason }),
            }
        }
        Ok(first)
    }

    fn refuse_too_few(&self, n: usize) -> Result<()> {
        match n {
            0 | 1 => {
                Err(Error::data(&self.name, format!("needs at least 2 pictures, found {n}"), "add pictures: a few hundred is a good start"))
            }
            _ => Ok(()),
        }
    }

    /// Bytes that all pictures take in the shape of `spec`, if that is more than is kept in memory.
    pub fn bytes_in_a_file(&self, spec: &ImageSpec) -> Option<u64> {
        let bytes = (self.entries.len() as u64).saturating_mul(spec.n_bytes() as u64);
        (bytes > MOST_IN_MEMORY).then_some(bytes)
    }

    fn refuse_too_large(&self, spec: &ImageSpec) -> Result<()> {
        let n = self.entries.len().max(1);
        if (n as u64).saturating_mul(spec.n_bytes() as u64) <= MAX_SET_BYTES {
            return Ok(());
        }
        let side = (MAX_SET_BYTES as f64 / n as f64 / spec.channels.count() as f64).sqrt() as usize;
        let side = if side >= 16 { side / 8 * 8 } else { side.max(1) };
        Err(Error::data(
            &self.name,
            format!(
                "{} pictures of {} x {} {} take more than {} GiB",
                with_commas(n),
                spec.width,
                spec.height,
                spec.channels,
                MAX_SET_BYTES >> 30
            ),
            format!("choose a smaller size (--set data.height={side} --set data.width={side} fits) or fewer pictures"),
        ))
    }
}

fn fingerprint(spec: &ImageSpec, pixels: &Pixels, labels: &[u32]) -> String {
    let mut hash = Sha256::new();
    for extent in [pixels.len(), spec.height, spec.width, spec.channels.count()] {
        hash.update((extent as u64).to_le_bytes());
    }
    pixels.each_part(|part| hash.update(part));
    for label in labels {
        hash.update(label.to_le_bytes());
    }
    hexadecimal(&hash.finalize())
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
