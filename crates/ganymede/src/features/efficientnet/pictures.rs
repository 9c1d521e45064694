//! Pictures as the network takes them.

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use rayon::prelude::*;

use crate::error::{Error, Result};

/// `[n, height, width, channels]` from 0 to 255 as `[n, side, side, 3]` from -0.99 to 1.
pub(super) fn prepare(pixels: &[u8], [n, height, width, channels]: [usize; 4], side: usize) -> Result<Vec<f32>> {
    let wrong = |problem: String, remedy: &str| Err(Error::data("pictures", problem, remedy));
    if ![1, 3, 4].contains(&channels) {
        return wrong(format!("{channels} channels cannot be shown as colours"), "give one (grey), three (RGB) or four (RGBA)");
    }
    if n == 0 {
        return wrong("there are none".into(), "give at least one");
    }
    let each = height.checked_mul(width).and_then(|area| area.checked_mul(channels)).filter(|each| *each > 0);
    let Some(each) = each.filter(|each| each.checked_mul(n) == Some(pixels.len())) else {
        let shape = format!("{width} x {height} pixels of {channels} channels");
        return wrong(format!("{} bytes are not {n} pictures of {shape}", pixels.len()), "give whole pictures");
    };
    let one = |picture: &[u8]| {
        let rgb = resized(coloured(picture, channels), [height, width], side)?;
        Ok(rgb.into_iter().map(|v| (f32::from(v) - 127.0) / 128.0).collect())
    };
    let prepared: Vec<Vec<f32>> = pixels.par_chunks_exact(each).map(one).collect::<Result<_>>()?;
    Ok(prepared.concat())
}

/// Red, green and blue, over white.
fn coloured(picture: &[u8], channels: usize) -> Vec<u8> {
    let over_white = |value: u8, opacity: u8| {
        let opacity = u32::from(opacity);
        ((u32::from(value) * opacity + 255 * (255 - opacity) + 127) / 255) as u8
    };
    match channels {
        1 => picture.iter().flat_map(|v| [*v; 3]).collect(),
        4 => picture.as_chunks().0.iter().flat_map(|[r, g, b, opacity]| [r, g, b].map(|v| over_white(*v, *opacity))).collect(),
        _ => picture.to_vec(),
    }
}

fn resized(rgb: Vec<u8>, [height, width]: [usize; 2], side: usize) -> Result<Vec<u8>> {
    if [height, width] == [side; 2] {
        return Ok(rgb);
    }
    let wrong =
        |why: String| Error::data("pictures", format!("{width} x {height} pixels cannot be resized: {why}"), "give smaller pictures");
    let [h, w] = [height, width].map(u32::try_from);
    let (h, w) = (h.map_err(|e| wrong(e.to_string()))?, w.map_err(|e| wrong(e.to_string()))?);
    let from = Image::from_vec_u8(w, h, rgb, PixelType::U8x3).map_err(|e| wrong(e.to_string()))?;
    let mut to = Image::new(side as u32, side as u32, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    Resizer::new().resize(&from, &mut to, &options).map_err(|e| wrong(e.to_string()))?;
    Ok(to.into_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_from_just_above_minus_one_to_one() {
        let prepared = prepare(&[0, 127, 255], [1, 1, 1, 3], 1).unwrap();
        assert_eq!(prepared, [-127.0 / 128.0, 0.0, 1.0]);
    }

    #[test]
    fn grey_is_repeated_and_what_is_transparent_is_white() {
        assert_eq!(prepare(&[127, 255], [2, 1, 1, 1], 1).unwrap(), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        let prepared = prepare(&[0, 127, 255, 255, 9, 99, 200, 0], [2, 1, 1, 4], 1).unwrap();
        assert_eq!(prepared, [-127.0 / 128.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn every_picture_is_brought_to_the_size_by_itself() {
        let dark_and_bright = [[127; 5 * 3 * 3], [255; 5 * 3 * 3]].concat();
        let prepared = prepare(&dark_and_bright, [2, 5, 3, 3], 7).unwrap();
        assert_eq!(prepared, [[0.0; 7 * 7 * 3], [1.0; 7 * 7 * 3]].concat());
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let refused = |n_bytes: usize, shape| prepare(&vec![0; n_bytes], shape, 4).unwrap_err().to_string();
        assert!(refused(8, [1, 2, 2, 2]).contains("2 channels cannot be shown"));
        assert!(refused(13, [1, 2, 2, 3]).contains("13 bytes are not 1 pictures of 2 x 2 pixels of 3 channels; give whole pictures"));
        assert!(refused(0, [1, 0, 2, 3]).contains("not 1 pictures") && refused(0, [0, 2, 2, 3]).contains("there are none"));
        assert!(refused(12, [2, usize::MAX, 2, 3]).contains("not 2 pictures"));
    }
}
