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
        let Pictures { height, width, channels, .. } = *pictures;
        Self { height, width, channels, square: height.max(width).div_ceil(LARGEST).max(1) }
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

    /// The same pictures shifted, recoloured and with noise, each in its own way.
    pub fn changed<'a>(&self, pictures: impl Iterator<Item = &'a [u8]>, rng: &mut Pcg64, device: &Device) -> Tensor<4> {
        let values: Vec<f32> = pictures.flat_map(|picture| self.change(&self.small(picture), rng)).collect();
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

    fn change(&self, image: &[f32], rng: &mut Pcg64) -> Vec<f32> {
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
        let twice =
            view.changed([&pixels[..], &pixels[..]].into_iter(), &mut rng, &Device::flex()).into_data().try_to_vec::<f32>().unwrap();
        let whole = view.whole([&pixels[..]].into_iter(), &Device::flex()).into_data().try_to_vec::<f32>().unwrap();
        let (one, two) = twice.split_at(768);
        let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / 768.0;
        assert!(distance(one, two) > 0.02 && distance(one, &whole) < 0.5);
    }
}
