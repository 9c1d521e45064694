//! Writing PNG files with text in them.

use std::borrow::Cow;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use super::channels::Channels;
use crate::error::{Error, Result};

/// A PNG file of `pixels`, `[height, width, channels]`, with `text` as key and value in tEXt chunks (iTXt where Latin-1 does not suffice).
///
/// Keys are cut to the 79 characters of Latin-1 that PNG allows (PNG specification, third edition, section 11.3.3).
///
/// # Errors
/// [`Error::Data`] if the size is 0, too large for a PNG, or does not fit `pixels`.
pub fn write_png(width: usize, height: usize, channels: Channels, pixels: &[u8], text: &[(&str, &str)]) -> Result<Vec<u8>> {
    let wrong = || {
        let problem = format!("{width} x {height} x {} pixels cannot be written from {} bytes", channels.count(), pixels.len());
        Error::data("png", problem, "ask for fewer or smaller pictures")
    };
    let n_bytes = width.checked_mul(height).and_then(|n| n.checked_mul(channels.count()));
    let side = 1..=i32::MAX as usize;
    if n_bytes != Some(pixels.len()) || !side.contains(&width) || !side.contains(&height) {
        return Err(wrong());
    }
    let color = match channels {
        Channels::Grey => ExtendedColorType::L8,
        Channels::Rgb => ExtendedColorType::Rgb8,
        Channels::Rgba => ExtendedColorType::Rgba8,
    };
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Default, FilterType::Adaptive)
        .write_image(pixels, width as u32, height as u32, color)
        .map_err(|_| wrong())?;
    // Signature (8 bytes) and header chunk (25 bytes) come first; text follows them.
    let rest = png.split_off(33);
    for (key, value) in text {
        text_chunk(&mut png, key, value);
    }
    png.extend_from_slice(&rest);
    Ok(png)
}

fn text_chunk(png: &mut Vec<u8>, key: &str, value: &str) {
    let key = latin1(key.trim()).map_or_else(|| "Comment".as_bytes().to_vec(), Cow::into_owned);
    let key: Vec<u8> = key.into_iter().filter(|&b| b >= 32 && !(127..161).contains(&b)).take(79).collect();
    let key = if key.is_empty() { b"Comment".to_vec() } else { key };
    let value = value.replace('\0', "");
    match latin1(&value) {
        // XMP has to be in an iTXt chunk, whatever its letters.
        Some(value) if !key.starts_with(b"XML:") => chunk(png, b"tEXt", &[&key, &[0], &value]),
        // Not compressed, no language, no translated keyword.
        _ => chunk(png, b"iTXt", &[&key, &[0, 0, 0, 0, 0], value.as_bytes()]),
    }
}

fn latin1(text: &str) -> Option<Cow<'_, [u8]>> {
    if text.is_ascii() {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<Vec<u8>>>().map(Cow::Owned)
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], parts: &[&[u8]]) {
    let data = parts.concat();
    let Ok(length) = u32::try_from(data.len()) else { return };
    png.extend_from_slice(&length.to_be_bytes());
    let mut crc = crc32fast::Hasher::new();
    for part in [kind.as_slice(), &data] {
        crc.update(part);
        png.extend_from_slice(part);
    }
    png.extend_from_slice(&crc.finalize().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find<'a>(png: &'a [u8], wanted: &[u8; 4]) -> Option<&'a [u8]> {
        let mut at = 8;
        while at + 12 <= png.len() {
            let length = u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
            let body = &png[at + 4..at + 8 + length];
            let crc = u32::from_be_bytes(png[at + 8 + length..at + 12 + length].try_into().unwrap());
            assert_eq!(crc32fast::hash(body), crc);
            if &body[..4] == wanted {
                return Some(&body[4..]);
            }
            at += 12 + length;
        }
        None
    }

    #[test]
    fn text_is_found_where_the_specification_puts_it() {
        let png = write_png(1, 1, Channels::Grey, &[7], &[("Software", "ganymede"), ("Title", "größe"), ("Label", "猫")]).unwrap();
        assert_eq!(find(&png, b"tEXt").unwrap(), b"Software\0ganymede");
        assert_eq!(find(&png, b"iTXt").unwrap(), "Label\0\0\0\0\0猫".as_bytes());
        assert!(png.windows(11).any(|w| w == b"Title\0gr\xf6\xdfe"));
        assert_eq!(image::load_from_memory(&png).unwrap().into_luma8().into_raw(), [7]);
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        assert!(write_png(0, 1, Channels::Grey, &[], &[]).is_err());
        assert!(write_png(2, 2, Channels::Rgb, &[0; 11], &[]).is_err());
        assert!(write_png(usize::MAX, 2, Channels::Rgb, &[0; 12], &[]).is_err());
    }

    proptest! {
        #[test]
        fn pixels_are_read_back(width in 1usize..9, height in 1usize..9, kind in 0usize..3, seed: u8, key in ".{0,90}", value in ".{0,40}") {
            let channels = [Channels::Grey, Channels::Rgb, Channels::Rgba][kind];
            let pixels: Vec<u8> = (0..width * height * channels.count()).map(|i| (i as u8).wrapping_mul(37) ^ seed).collect();
            let png = write_png(width, height, channels, &pixels, &[(&key, &value)]).unwrap();
            find(&png, b"IEND");
            let back = crate::data::decode::decode(&png).unwrap();
            prop_assert_eq!((back.width() as usize, back.height() as usize), (width, height));
            prop_assert_eq!(crate::data::decode::pixels(back, channels), pixels);
        }
    }
}
