//! Bringing one picture to the shape of its set.

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::DynamicImage;

use super::channels::{Channels, Fit, ImageSpec};
use super::decode;

/// Pixels of `picture` in the shape of `spec`, `[height, width, channels]`. A picture of that size already is not resampled.
pub(super) fn fit(picture: DynamicImage, spec: &ImageSpec) -> Result<Vec<u8>, String> {
    let from = Raster::new(picture, spec.channels);
    let (width, height) = (spec.width, spec.height);
    if (from.width, from.height) == (width, height) {
        return Ok(from.pixels);
    }
    match spec.fit {
        Fit::Stretch => from.stretched(width, height),
        Fit::Crop => from.cropped(width, height),
        Fit::Pad => from.padded(width, height),
    }
}

struct Raster {
    width: usize,
    height: usize,
    channels: Channels,
    pixels: Vec<u8>,
}

impl Raster {
    fn new(picture: DynamicImage, channels: Channels) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        Self { width, height, channels, pixels: decode::pixels(picture, channels) }
    }

    fn stretched(self, width: usize, height: usize) -> Result<Vec<u8>, String> {
        let whole = [0.0, 0.0, self.width as f64, self.height as f64];
        self.resized(whole, width, height)
    }

    fn cropped(self, width: usize, height: usize) -> Result<Vec<u8>, String> {
        let (w, h) = (self.width as f64, self.height as f64);
        let scale = (w / width as f64).min(h / height as f64);
        let (box_w, box_h) = ((width as f64 * scale).min(w), (height as f64 * scale).min(h));
        let (left, top) = ((w - box_w) / 2.0, (h - box_h) / 2.0);
        if scale == 1.0 {
            // Whole pixels are cut out, not interpolated between.
            return Ok(self.cut(left as usize, top as usize, width, height));
        }
        self.resized([left, top, box_w, box_h], width, height)
    }

    fn padded(self, width: usize, height: usize) -> Result<Vec<u8>, String> {
        let scale = (width as f64 / self.width as f64).min(height as f64 / self.height as f64);
        let inner_w = ((self.width as f64 * scale).round() as usize).clamp(1, width);
        let inner_h = ((self.height as f64 * scale).round() as usize).clamp(1, height);
        let channels = self.channels;
        let pixels = if (inner_w, inner_h) == (self.width, self.height) { self.pixels } else { self.stretched(inner_w, inner_h)? };
        let (left, top) = ((width - inner_w) / 2, (height - inner_h) / 2);
        let c = channels.count();
        let mut out = Vec::with_capacity(width * height * c);
        for y in 0..height {
            let row = y.saturating_sub(top).min(inner_h - 1) * inner_w;
            for x in 0..width {
                let at = (row + x.saturating_sub(left).min(inner_w - 1)) * c;
                out.extend_from_slice(&pixels[at..at + c]);
            }
        }
        Ok(out)
    }

    fn cut(&self, left: usize, top: usize, width: usize, height: usize) -> Vec<u8> {
        let c = self.channels.count();
        let mut out = Vec::with_capacity(width * height * c);
        for y in top..top + height {
            let at = (y * self.width + left) * c;
            out.extend_from_slice(&self.pixels[at..at + width * c]);
        }
        out
    }

    /// Resamples the box `[left, top, width, height]`: Lanczos with three lobes when shrinking, cubic (Catmull-Rom) when enlarging, where
    /// Lanczos rings visibly. Colours are weighted by opacity.
    fn resized(self, [left, top, w, h]: [f64; 4], width: usize, height: usize) -> Result<Vec<u8>, String> {
        let kind = match self.channels {
            Channels::Grey => PixelType::U8,
            Channels::Rgb => PixelType::U8x3,
            Channels::Rgba => PixelType::U8x4,
        };
        let enlarges = w < width as f64 && h < height as f64;
        let filter = if enlarges { FilterType::CatmullRom } else { FilterType::Lanczos3 };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).crop(left, top, w, h);
        let from =
            Image::from_vec_u8(self.width as u32, self.height as u32, self.pixels, kind).map_err(|e| format!("cannot be resized: {e}"))?;
        let mut to = Image::new(width as u32, height as u32, kind);
        Resizer::new().resize(&from, &mut to, &options).map_err(|e| format!("cannot be resized: {e}"))?;
        Ok(to.into_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma, Rgba, RgbaImage};

    fn grey(width: u32, height: u32, value: impl Fn(u32, u32) -> u8) -> DynamicImage {
        DynamicImage::ImageLuma8(GrayImage::from_fn(width, height, |x, y| Luma([value(x, y)])))
    }

    fn spec(width: usize, height: usize, channels: Channels, fit: Fit) -> ImageSpec {
        ImageSpec { width, height, channels, fit }
    }

    #[test]
    fn a_picture_of_the_right_size_is_left_alone() {
        let checker = |x: u32, y: u32| if (x + y).is_multiple_of(2) { 255 } else { 0 };
        for how in [Fit::Crop, Fit::Pad, Fit::Stretch] {
            let out = fit(grey(4, 4, checker), &spec(4, 4, Channels::Grey, how)).unwrap();
            assert_eq!(out, grey(4, 4, checker).into_luma8().into_raw());
        }
    }

    #[test]
    fn cropping_one_side_cuts_whole_pixels_out_of_the_middle() {
        let out = fit(grey(5, 2, |x, y| (10 * y + x) as u8), &spec(2, 2, Channels::Grey, Fit::Crop)).unwrap();
        assert_eq!(out, [1, 2, 11, 12]);
    }

    #[test]
    fn padding_repeats_the_outermost_pixels() {
        let out = fit(grey(2, 1, |x, _| 100 + x as u8), &spec(2, 3, Channels::Grey, Fit::Pad)).unwrap();
        assert_eq!(out, [100, 101, 100, 101, 100, 101]);
    }

    #[test]
    fn a_flat_picture_stays_flat_under_every_fit() {
        for how in [Fit::Crop, Fit::Pad, Fit::Stretch] {
            for (w, h) in [(3, 7), (40, 11), (1, 1), (9, 9)] {
                let out = fit(grey(13, 6, |_, _| 77), &spec(w, h, Channels::Rgb, how)).unwrap();
                assert_eq!(out, vec![77; w * h * 3], "{how:?} {w} x {h}");
            }
        }
    }

    #[test]
    fn halving_averages_neighbours() {
        let out = fit(grey(8, 8, |x, _| if x < 4 { 0 } else { 200 }), &spec(2, 2, Channels::Grey, Fit::Crop)).unwrap();
        assert!(out[0] < 20 && out[1] > 180, "{out:?}");
    }

    #[test]
    fn hidden_colour_does_not_bleed_when_shrinking() {
        // The right half is fully transparent red: none of the red may show.
        let picture = RgbaImage::from_fn(8, 8, |x, _| if x < 4 { Rgba([0, 0, 255, 255]) } else { Rgba([255, 0, 0, 0]) });
        let out = fit(picture.into(), &spec(1, 1, Channels::Rgba, Fit::Crop)).unwrap();
        assert!(out[0] < 5 && out[2] > 250 && (120..136).contains(&out[3]), "{out:?}");
    }

    #[test]
    fn dropping_opacity_lays_the_picture_over_white() {
        let picture = RgbaImage::from_pixel(1, 1, Rgba([0, 100, 200, 0]));
        assert_eq!(fit(picture.clone().into(), &spec(1, 1, Channels::Rgb, Fit::Crop)).unwrap(), [255, 255, 255]);
        assert_eq!(fit(picture.into(), &spec(1, 1, Channels::Grey, Fit::Crop)).unwrap(), [255]);
        let opaque = RgbaImage::from_pixel(1, 1, Rgba([7, 100, 200, 255]));
        assert_eq!(fit(opaque.into(), &spec(1, 1, Channels::Rgb, Fit::Crop)).unwrap(), [7, 100, 200]);
    }
}
