//! Pictures as the feature network sees them, whole or changed a little at random.

use burn::tensor::{Device, Tensor, TensorData};
use rand_pcg::Pcg64;

use crate::data::Pictures;
use crate::random;

/// Longer side of what the network sees, in pixels; larger pictures are averaged over squares of a whole number of pixels.
const LARGEST: usize = 32;
/// Largest shift of a changed view, as a share of the side.
const SHIFT: f32 = 0.125;
/// Largest relative change of a channel's contrast.
const CONTRAST: f32 = 0.2;
/// Largest change of a channel's brightness, where values run from -1 to 1.
const BRIGHTNESS: f32 = 0.15;
/// Standard deviation of a changed view's noise.
const NOISE: f32 = 0.05;
/// Standard deviation of a noisy view's noise.
const FAINT: f32 = 0.02;

/// Largest turn of a bent view, in radians.
const TURN: f32 = 0.26;
/// Largest relative change of size and largest slant of a bent view.
const BEND: f32 = 0.15;

/// What is done to a picture before a network learns from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Shifts of up to an eighth, contrast, brightness, noise: what features of any picture should not see.
    Colour,
    /// Turned, resized, slanted and shifted a little, as handwriting is.
    Bend,
    /// Mirrored left to right, and shifted by at most a pixel: values stay exactly as they are.
    Shift,
    /// A little noise alone: whatever shows in a picture, be it a single pixel or a shade, stays where and as it is.
    Noise,
}

/// How pictures of one shape become the network's images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    height: usize,
    width: usize,
    channels: usize,
    /// Pixels of a side that become one.
    square: usize,
}

impl View {
    /// For pictures of this shape.
    pub fn of(pictures: &Pictures<'_>) -> Self {
        Self::within(pictures, LARGEST)
    }

    /// For pictures of this shape, whose longer side the network sees in at most `largest` pixels.
    pub fn within(pictures: &Pictures<'_>, largest: usize) -> Self {
        let Pictures { height, width, channels, .. } = *pictures;
        Self { height, width, channels, square: height.max(width).div_ceil(largest.max(1)).max(1) }
    }

    /// Whether these are pictures of the shape that it was made for.
    pub fn is_of(&self, pictures: &Pictures<'_>) -> bool {
        (self.height, self.width, self.channels) == (pictures.height, pictures.width, pictures.channels)
    }

    /// Extents of the images: `[height, width, channels]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.height.div_ceil(self.square), self.width.div_ceil(self.square), self.channels]
    }

    /// Pictures as images `[n, height, width, channels]` in [-1, 1].
    pub fn whole<'a>(&self, pictures: impl Iterator<Item = &'a [u8]>, device: &Device) -> Tensor<4> {
        let values: Vec<f32> = pictures.flat_map(|picture| self.small(picture)).collect();
        self.tensor(values, device)
    }

    /// The same pictures changed, each in its own way.
    pub fn changed<'a>(&self, pictures: impl Iterator<Item = &'a [u8]>, change: Change, rng: &mut Pcg64, device: &Device) -> Tensor<4> {
        let change = match change {
            Change::Colour => Self::recoloured,
            Change::Bend => Self::bent,
            Change::Shift => Self::shifted,
            Change::Noise => Self::noisy,
        };
        let values: Vec<f32> = pictures.flat_map(|picture| change(self, &self.small(picture), rng)).collect();
        self.tensor(values, device)
    }

    fn tensor(&self, values: Vec<f32>, device: &Device) -> Tensor<4> {
        let [h, w, c] = self.shape();
        let n = values.len() / (h * w * c);
        Tensor::from_data(TensorData::new(values, [n, h, w, c]), device)
    }

    /// Averages over squares, which are cut off at the right and lower edge.
    fn small(&self, picture: &[u8]) -> Vec<f32> {
        let ([h, w, c], s) = (self.shape(), self.square);
        let mut out = Vec::with_capacity(h * w * c);
        for y in 0..h {
            let rows = y * s..((y + 1) * s).min(self.height);
            for x in 0..w {
                let columns = x * s..((x + 1) * s).min(self.width);
                let n = (rows.len() * columns.len()) as f32;
                for channel in 0..c {
                    let row = |y: usize| columns.clone().map(move |x| f32::from(picture[(y * self.width + x) * c + channel])).sum::<f32>();
                    out.push(rows.clone().map(row).sum::<f32>() / n / 127.5 - 1.0);
                }
            }
        }
        out
    }

    fn recoloured(&self, image: &[f32], rng: &mut Pcg64) -> Vec<f32> {
        let [h, w, c] = self.shape();
        let draws = random::uniform(2 + 2 * c, rng);
        let both_ways = |i: usize, most: f32| (2.0 * draws[i] - 1.0) * most;
        let shift = |i: usize, side: usize| both_ways(i, (SHIFT * side as f32).max(1.0)).round() as isize;
        let (down, right) = (shift(0, h), shift(1, w));
        let noise = random::normal(image.len(), rng);
        let mut out = Vec::with_capacity(image.len());
        for y in 0..h {
            let from_y = (y as isize - down).clamp(0, h as isize - 1) as usize;
            for x in 0..w {
                let from_x = (x as isize - right).clamp(0, w as isize - 1) as usize;
                for channel in 0..c {
                    let value = image[(from_y * w + from_x) * c + channel];
                    let value = value * (1.0 + both_ways(2 + 2 * channel, CONTRAST)) + both_ways(3 + 2 * channel, BRIGHTNESS);
                    out.push(value + NOISE * noise[out.len()]);
                }
            }
        }
        out
    }

    /// Turned, resized, slanted and shifted around the centre; values lie between those of the four nearest pixels, and those at the edge go on outwards.
    fn bent(&self, image: &[f32], rng: &mut Pcg64) -> Vec<f32> {
        let [h, w, c] = self.shape();
        let draws: Vec<f32> = random::uniform(6, rng).into_iter().map(|v| 2.0 * v - 1.0).collect();
        let (sin, cos) = (draws[0] * TURN).sin_cos();
        let (tall, wide, slant) = (1.0 + draws[1] * BEND, 1.0 + draws[2] * BEND, draws[3] * BEND);
        let centre = [(h - 1) as f32 / 2.0, (w - 1) as f32 / 2.0];
        let shift = [draws[4] * SHIFT * h as f32 / 2.0, draws[5] * SHIFT * w as f32 / 2.0];
        let at = |y: isize, x: isize, channel: usize| {
            image[(y.clamp(0, h as isize - 1) as usize * w + x.clamp(0, w as isize - 1) as usize) * c + channel]
        };
        let mut out = Vec::with_capacity(image.len());
        for y in 0..h {
            for x in 0..w {
                let (dy, dx) = (y as f32 - centre[0] - shift[0], x as f32 - centre[1] - shift[1]);
                let from_y = (cos * dy + sin * dx) * tall + centre[0];
                let from_x = (cos * dx - sin * dy + slant * dy) * wide + centre[1];
                let (top, left) = (from_y.floor(), from_x.floor());
                let (v, u) = (from_y - top, from_x - left);
                let (top, left) = (top as isize, left as isize);
                for channel in 0..c {
                    let row = |y: isize| at(y, left, channel) * (1.0 - u) + at(y, left + 1, channel) * u;
                    out.push(row(top) * (1.0 - v) + row(top + 1) * v);
                }
            }
        }
        out
    }

    fn noisy(&self, image: &[f32], rng: &mut Pcg64) -> Vec<f32> {
        image.iter().zip(random::normal(image.len(), rng)).map(|(value, noise)| value + FAINT * noise).collect()
    }

    /// Mirrored every other time, and shifted by at most one pixel.
    fn shifted(&self, image: &[f32], rng: &mut Pcg64) -> Vec<f32> {
        let [h, w, c] = self.shape();
        let is_mirrored = random::below(2, rng) == 1;
        let mut shift = || random::below(3, rng) as isize - 1;
        let (down, right) = (shift(), shift());
        let mut out = Vec::with_capacity(image.len());
        for y in 0..h {
            let from_y = (y as isize - down).clamp(0, h as isize - 1) as usize;
            for x in 0..w {
                let from_x = (x as isize - right).clamp(0, w as isize - 1) as usize;
                let from_x = if is_mirrored { w - 1 - from_x } else { from_x };
                out.extend_from_slice(&image[(from_y * w + from_x) * c..][..c]);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pictures_are_averaged_and_small_ones_kept() {
        let pixels: Vec<u8> = (0..40 * 33).map(|i| if i % 33 == 32 { 255 } else { (i % 2) as u8 * 100 }).collect();
        let view = View::of(&Pictures { pixels: &pixels, height: 40, width: 33, channels: 1 });
        assert_eq!(view.shape(), [20, 17, 1]);
        let image = view.whole([&pixels[..]].into_iter(), &Device::flex()).into_data().try_to_vec::<f32>().unwrap();
        assert!((image[0] - (50.0 / 127.5 - 1.0)).abs() < 1e-6);
        assert_eq!(image[16], 1.0, "the last column is cut off at the edge");
        let small = View::of(&Pictures { pixels: &pixels[..16], height: 4, width: 4, channels: 1 });
        assert_eq!(small.shape(), [4, 4, 1]);
    }

    #[test]
    fn changed_views_are_near_the_picture_and_differ() {
        let pixels: Vec<u8> = (0..16 * 16 * 3).map(|i| (i / 6) as u8).collect();
        let view = View::of(&Pictures { pixels: &pixels, height: 16, width: 16, channels: 3 });
        let mut rng = random::stream(0, "views", 0);
        let twice = view
            .changed([&pixels[..], &pixels[..]].into_iter(), Change::Colour, &mut rng, &Device::flex())
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        let whole = view.whole([&pixels[..]].into_iter(), &Device::flex()).into_data().try_to_vec::<f32>().unwrap();
        let (one, two) = twice.split_at(768);
        let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / 768.0;
        assert!(distance(one, two) > 0.02 && distance(one, &whole) < 0.5);
    }

    #[test]
    fn bent_views_are_between_the_values_and_shifted_ones_made_of_them() {
        let pixels: Vec<u8> = (0..12 * 12).map(|i| if i % 12 == 5 { 255 } else { (i / 12 * 3) as u8 }).collect();
        let view = View::of(&Pictures { pixels: &pixels, height: 12, width: 12, channels: 1 });
        let seen = |change, step| {
            let mut rng = random::stream(0, "views", step);
            view.changed([&pixels[..]].into_iter(), change, &mut rng, &Device::flex()).into_data().try_to_vec::<f32>().unwrap()
        };
        let whole = view.whole([&pixels[..]].into_iter(), &Device::flex()).into_data().try_to_vec::<f32>().unwrap();
        for step in 0..20 {
            let (bent, shifted) = (seen(Change::Bend, step), seen(Change::Shift, step));
            assert!(bent != whole && bent.iter().all(|v| (-1.0..=1.0).contains(v)));
            assert!(shifted.iter().all(|v| whole.contains(v)));
            // The bright column is still one.
            assert!(shifted.iter().filter(|v| **v == 1.0).count() >= 12);
            let bright = bent.iter().filter(|v| **v > 0.0).count();
            assert!((6..30).contains(&bright), "{bright}");
            let noisy = seen(Change::Noise, step);
            assert!(noisy != whole && noisy.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 0.2));
        }
    }
}
