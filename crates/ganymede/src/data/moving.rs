//! Moving pictures.

use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame, RgbaImage};

use super::{Channels, sheet};
use crate::artifact::Artifact;
use crate::error::{Error, Result};

/// A moving picture that repeats for ever, from the frames `pixels`, `[n, height, width, channels]`, shown `fps` times a second: an APNG, or a GIF of at most 256 colours a frame. Small pictures are enlarged
/// as on a sheet.
///
/// # Errors
/// [`Error::Config`] for a rate that is not 1 to 100, [`Error::Data`] if there is no frame.
pub fn moving(pixels: &[u8], (width, height, channels): (usize, usize, Channels), fps: u16, gif: bool) -> Result<Artifact> {
    if !(1..=100).contains(&fps) {
        return Err(Error::config("--fps", format!("{fps} is not between 1 and 100"), "10 to 30 look well"));
    }
    let size = width * height * channels.count();
    if size == 0 || pixels.len() < size {
        return Err(Error::data("moving picture", "has no frames", "give at least one point"));
    }
    let frames: Vec<_> = pixels.chunks_exact(size).map(|frame| sheet(frame, width, height, channels, 1)).collect();
    let (_, w, h) = frames[0];
    let shape = (w as u32, h as u32, channels);
    let frames = frames.iter().map(|(frame, _, _)| frame.as_slice());
    let (bytes, extension, media_type) =
        if gif { (as_gif(frames, shape, fps)?, "gif", "image/gif") } else { (as_apng(frames, shape, fps)?, "apng", "image/apng") };
    Ok(Artifact { media_type, extension, stem: "walk".to_owned(), bytes })
}

fn as_apng<'a>(frames: impl ExactSizeIterator<Item = &'a [u8]>, (w, h, channels): (u32, u32, Channels), fps: u16) -> Result<Vec<u8>> {
    let wrong = |e: png::EncodingError| Error::data("moving picture", e.to_string(), "ask for fewer or smaller pictures");
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, w, h);
    encoder.set_color(match channels {
        Channels::Grey => png::ColorType::Grayscale,
        Channels::Rgb => png::ColorType::Rgb,
        Channels::Rgba => png::ColorType::Rgba,
    });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_animated(frames.len() as u32, 0).map_err(wrong)?;
    encoder.set_frame_delay(1, fps).map_err(wrong)?;
    encoder.add_text_chunk("Software".into(), "ganymede".into()).map_err(wrong)?;
    let mut writer = encoder.write_header().map_err(wrong)?;
    for frame in frames {
        writer.write_image_data(frame).map_err(wrong)?;
    }
    writer.finish().map_err(wrong)?;
    Ok(bytes)
}

fn as_gif<'a>(frames: impl Iterator<Item = &'a [u8]>, (w, h, channels): (u32, u32, Channels), fps: u16) -> Result<Vec<u8>> {
    let wrong = |e: image::ImageError| Error::data("moving picture", e.to_string(), "ask for fewer or smaller pictures");
    let mut bytes = Vec::new();
    {
        let mut encoder = GifEncoder::new_with_speed(&mut bytes, 10);
        encoder.set_repeat(Repeat::Infinite).map_err(wrong)?;
        for frame in frames {
            let rgba: Vec<u8> = match channels {
                Channels::Grey => frame.iter().flat_map(|v| [*v, *v, *v, 255]).collect(),
                Channels::Rgb => frame.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect(),
                Channels::Rgba => frame.to_vec(),
            };
            let picture = RgbaImage::from_raw(w, h, rgba).expect("a frame has as many pixels as its shape");
            let delay = Delay::from_numer_denom_ms(1000, u32::from(fps));
            encoder.encode_frame(Frame::from_parts(picture, 0, 0, delay)).map_err(wrong)?;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::AnimationDecoder;
    use image::codecs::gif::GifDecoder;
    use image::codecs::png::PngDecoder;

    use super::*;

    #[test]
    fn frames_are_read_back() {
        for channels in [Channels::Grey, Channels::Rgb, Channels::Rgba] {
            let size = 64 * 70 * channels.count();
            // One colour a frame, so that a palette loses nothing.
            let pixels: Vec<u8> = [10u8, 250, 90].iter().flat_map(|v| vec![*v; size]).collect();
            let shape = (64, 70, channels);
            let apng = moving(&pixels, shape, 10, false).unwrap();
            let gif = moving(&pixels, shape, 10, true).unwrap();
            let read_apng = PngDecoder::new(Cursor::new(&apng.bytes)).unwrap().apng().unwrap().into_frames().collect_frames().unwrap();
            let read_gif = GifDecoder::new(Cursor::new(&gif.bytes)).unwrap().into_frames().collect_frames().unwrap();
            assert_eq!((read_apng.len(), read_gif.len()), (3, 3));
            for (i, value) in [10, 250, 90].into_iter().enumerate() {
                assert!(read_apng[i].buffer().pixels().all(|p| p.0[0] == value), "{channels} {value}");
                if channels != Channels::Rgba {
                    assert!(read_gif[i].buffer().pixels().all(|p| p.0[0].abs_diff(value) <= 4), "{channels} {value}");
                }
            }
            assert_eq!(read_apng[0].delay().numer_denom_ms(), (100, 1));
        }
    }

    #[test]
    fn no_frames_and_odd_rates_are_refused() {
        assert!(moving(&[], (4, 4, Channels::Grey), 10, false).is_err());
        assert!(moving(&[0; 16], (4, 4, Channels::Grey), 0, true).is_err());
        assert!(moving(&[0; 16], (4, 4, Channels::Grey), 101, false).is_err());
    }
}
