//! Pictures of three digits, one in each colour channel: StackedMNIST, whose thousand kinds are known, so that what a generator leaves out can be counted.
//!
//! Metz, Poole, Pfau and Sohl-Dickstein, "Unrolled Generative Adversarial Networks", ICLR 2017, section 3.3.1; Srivastava, Valkov, Russell, Gutmann and Sutton, "VEEGAN", NeurIPS 2017,
//! section 5.2.

use std::path::PathBuf;
use std::sync::Arc;

use image::{DynamicImage, RgbImage};

use super::channels::Channels;
use super::image_index::{ImageEntry, ImageIndex, RawPictures, Store};
use crate::random;

/// Pictures in all. They are drawn from some 10^11, so that there is no end of different ones.
const N: u64 = 60_000;
/// Channels, each with a part of its own.
const CHANNELS: usize = 3;
/// Seed of which parts stand in which picture.
const SEED: u64 = 0;

/// Pictures whose channels are pictures of classes by themselves. They are put together when they are asked for.
#[derive(Debug, Clone)]
pub struct Stacked {
    parts: Arc<ImageIndex>,
}

impl Stacked {
    /// The parts: grey pictures with their classes, of the size of the whole.
    pub fn parts(&self) -> &ImageIndex {
        &self.parts
    }

    /// How many kinds of pictures there are: one for each sequence of classes.
    pub fn n_kinds(&self) -> usize {
        self.parts.classes.len().pow(CHANNELS as u32)
    }

    /// The kind of a picture whose channels are of these classes, the first being the most significant digit: 374 for 3, 7 and 4.
    pub fn kind(&self, classes: impl IntoIterator<Item = usize>) -> usize {
        classes.into_iter().fold(0, |kind, class| kind * self.parts.classes.len() + class)
    }

    /// Which parts stand in a picture, the first channel first: drawn by the picture's number alone.
    fn chosen(&self, location: usize) -> [usize; CHANNELS] {
        let mut rng = random::stream(SEED, "stacked", location as u64);
        std::array::from_fn(|_| random::below(self.parts.entries.len() as u64, &mut rng) as usize)
    }

    /// The kind of picture number `location`.
    fn kind_of(&self, location: usize) -> usize {
        let class = |part: usize| self.parts.entries.get(part).and_then(|entry| entry.label).unwrap_or_default() as usize;
        self.kind(self.chosen(location).map(class))
    }

    pub(super) fn picture(&self, location: usize) -> Result<DynamicImage, String> {
        let planes = self.chosen(location).map(|part| match self.parts.entries.get(part) {
            Some(entry) => self.parts.decode(entry).map(DynamicImage::into_luma8),
            None => Err("is out of range".to_owned()),
        });
        let [red, green, blue] = planes;
        let (red, green, blue) = (red?, green?, blue?);
        let pixels = red.iter().zip(green.iter()).zip(blue.iter()).flat_map(|((r, g), b)| [*r, *g, *b]).collect();
        RgbImage::from_raw(red.width(), red.height(), pixels).map(DynamicImage::ImageRgb8).ok_or_else(|| "has the wrong size".to_owned())
    }
}

impl ImageIndex {
    /// How the pictures were put together, where that is known.
    pub fn stacked(&self) -> Option<&Stacked> {
        match &self.store {
            Store::Stacked(stacked) => Some(stacked),
            _ => None,
        }
    }

    /// Pictures of parts that lie in memory, padded with black to `side` pixels. Files are named by their number and their kind.
    pub(super) fn stack(name: &str, parts: Self, side: usize) -> Option<Self> {
        let parts = padded(parts, side)?;
        let stacked = Stacked { parts: Arc::new(parts) };
        let entry = |location: usize| ImageEntry {
            path: PathBuf::from(format!("{location:05}-{:03}.png", stacked.kind_of(location))),
            width: side as u32,
            height: side as u32,
            channels: Channels::Rgb,
            label: None,
            row: location,
            location,
        };
        Some(Self {
            name: name.into(),
            entries: (0..N as usize).map(entry).collect(),
            classes: Vec::new(),
            attributes: None,
            captions: None,
            skipped: Vec::new(),
            notes: vec!["each channel is a picture by itself: 1,000 kinds, which `ganymede evaluate` counts among samples".into()],
            license: "unknown".into(),
            channels: Channels::Rgb,
            store: Store::Stacked(stacked),
        })
    }
}

/// The same pictures with black around them.
fn padded(mut parts: ImageIndex, side: usize) -> Option<ImageIndex> {
    let Store::Raw(RawPictures { pixels, width, height, channels: Channels::Grey }) = &parts.store else { return None };
    let (left, above) = (side.checked_sub(*width)? / 2, side.checked_sub(*height)? / 2);
    let mut wider = vec![0u8; parts.entries.len() * side * side];
    for (picture, out) in pixels.chunks_exact(width * height).zip(wider.chunks_exact_mut(side * side)) {
        for (row, out) in picture.chunks_exact(*width).zip(out.chunks_exact_mut(side).skip(above)) {
            out[left..left + width].copy_from_slice(row);
        }
    }
    parts.store = Store::Raw(RawPictures { pixels: Arc::new(wider), width: side, height: side, channels: Channels::Grey });
    for entry in &mut parts.entries {
        (entry.width, entry.height) = (side as u32, side as u32);
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use crate::data::{Channels, Fit, ImageSpec, Source};

    #[test]
    fn every_channel_is_the_digit_that_the_name_says() {
        let Source::Images(index) = Source::open("stacked-digits").unwrap() else { panic!("not pictures") };
        let stacked = index.stacked().unwrap();
        assert_eq!((index.entries.len(), index.uniform_size(), stacked.n_kinds()), (60_000, Some((32, 32)), 1000));
        assert_eq!((index.channels(), index.classes.len(), stacked.parts().class_counts()), (Channels::Rgb, 0, vec![500; 10]));
        let part = |i: usize| stacked.parts().decode(&stacked.parts().entries[i]).unwrap().into_luma8();
        for entry in index.entries.iter().step_by(7919) {
            let picture = index.decode(entry).unwrap().into_rgb8();
            let chosen = stacked.chosen(entry.location);
            for (channel, i) in chosen.into_iter().enumerate() {
                let plane: Vec<u8> = picture.pixels().map(|pixel| pixel.0[channel]).collect();
                assert_eq!(plane, part(i).into_raw(), "{}", entry.path.display());
            }
            let kind = stacked.kind(chosen.map(|i| stacked.parts().entries[i].label.unwrap() as usize));
            assert!(entry.path.to_string_lossy().ends_with(&format!("-{kind:03}.png")) && kind < 1000);
        }
        assert_eq!(stacked.kind([3, 7, 4]), 374);
    }

    #[test]
    fn kinds_are_even_and_pictures_differ_and_are_black_at_the_edge() {
        let Source::Images(index) = Source::open("stacked-digits").unwrap() else { panic!("not pictures") };
        let mut counts = vec![0u32; 1000];
        index.entries.iter().for_each(|entry| counts[index.stacked().unwrap().kind_of(entry.location)] += 1);
        // 60 of each are expected, with a standard deviation of 7.7.
        assert!(counts.iter().all(|n| (25..110).contains(n)), "{counts:?}");
        let spec = ImageSpec { width: 32, height: 32, channels: Channels::Rgb, fit: Fit::Crop };
        let preview = || index.preview(&spec, 500).unwrap().into_iter().map(|(_, picture)| picture).collect::<Vec<_>>();
        let pictures = preview();
        assert_eq!(pictures, preview());
        let different: std::collections::HashSet<_> = pictures.iter().collect();
        assert_eq!(different.len(), 500);
        assert!(pictures.iter().all(|picture| picture[..2 * 32 * 3].iter().all(|v| *v == 0)));
    }
}
