//! Which channels the pixels of a set use, where the headers allow more.

use rayon::prelude::*;

use super::channels::Channels;
use super::image_index::{ImageEntry, ImageIndex};

/// How many pictures are looked at, at most.
const MAX_LOOKED_AT: usize = 64;
/// How many pixels are decoded for it, at most (one picture is always looked at).
const MAX_PIXELS: u64 = 128_000_000;

/// Looks at the pixels of some of the pictures and adds a note where not all were looked at and the answer is less than the headers allow.
pub(super) fn find(index: &mut ImageIndex) -> Channels {
    let declared = index.entries.iter().map(|e| e.channels).max().unwrap_or(Channels::Rgb);
    let doubtful: Vec<&ImageEntry> = index.entries.iter().filter(|e| e.channels != Channels::Grey).collect();
    if doubtful.is_empty() {
        return declared;
    }
    let mut budget = MAX_PIXELS;
    let looked_at: Vec<&ImageEntry> = spread(doubtful.len(), MAX_LOOKED_AT)
        .map(|i| doubtful[i])
        .enumerate()
        .take_while(|(i, e)| {
            let pixels = u64::from(e.width) * u64::from(e.height);
            let fits = pixels <= budget || *i == 0;
            budget = budget.saturating_sub(pixels);
            fits
        })
        .map(|(_, e)| e)
        .collect();
    let seen: Vec<Channels> = looked_at.par_iter().filter_map(|e| Some(used(&index.decode(e).ok()?.into_rgba8()))).collect();
    let used = seen.iter().copied().max().unwrap_or(declared);
    if used < declared && looked_at.len() < doubtful.len() {
        index.notes.push(format!(
            "the {} files allow {declared}, but {} of them, spread over the set, use only {used}: taken as {used}",
            doubtful.len(),
            seen.len()
        ));
    }
    used
}

/// At most `n` positions of `0..len`, evenly spread.
fn spread(len: usize, n: usize) -> impl Iterator<Item = usize> {
    let n = n.min(len);
    (0..n).map(move |i| i * len / n)
}

fn used(picture: &image::RgbaImage) -> Channels {
    let mut used = Channels::Grey;
    for p in picture.pixels() {
        if p[3] != 255 {
            return Channels::Rgba;
        }
        if p[0] != p[1] || p[1] != p[2] {
            used = Channels::Rgb;
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgba, RgbaImage};

    #[test]
    fn channels_are_judged_by_pixels() {
        assert_eq!(used(&RgbaImage::from_pixel(2, 2, Rgba([9, 9, 9, 255]))), Channels::Grey);
        assert_eq!(used(&RgbaImage::from_pixel(2, 2, Rgba([9, 9, 8, 255]))), Channels::Rgb);
        assert_eq!(used(&RgbaImage::from_pixel(2, 2, Rgba([9, 9, 9, 254]))), Channels::Rgba);
    }

    #[test]
    fn positions_are_spread_over_the_whole_set() {
        assert_eq!(spread(10, 5).collect::<Vec<_>>(), [0, 2, 4, 6, 8]);
        assert_eq!(spread(3, 64).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
