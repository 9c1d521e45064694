//! One picture: what its header says, and its pixels. Sizes are judged before anything is allocated for them.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::channels::Channels;

/// Larger declared pictures are refused: 64 megapixels.
pub(super) const MAX_PIXELS: u64 = 64_000_000;
/// Larger files are not read as pictures: an uncompressed 16-bit RGBA picture of [`MAX_PIXELS`].
pub(super) const MAX_FILE_BYTES: u64 = MAX_PIXELS * 8 + (1 << 20);
/// Pictures above this are decoded one at a time, so that memory does not grow with the number of cores.
const ALONE_PIXELS: u64 = 16_000_000;

/// What the header of a picture says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Pixels across, after the orientation in EXIF.
    pub width: u32,
    /// Pixels down, after the orientation in EXIF.
    pub height: u32,
    /// Channels that the file can hold; its pixels may use fewer.
    pub channels: Channels,
    /// More than one frame.
    pub animated: bool,
}

/// Whether the first bytes are those of a picture that can be read.
pub(super) fn is_picture(head: &[u8]) -> bool {
    supported_format(head).is_ok()
}

/// Reads the header. `bytes` may be the beginning of the file only; then failure may mean that more is needed.
pub(super) fn probe(bytes: &[u8]) -> Result<Header, String> {
    guarded(|| {
        let format = supported_format(bytes)?;
        let (decoder, orientation) = open(bytes, format)?;
        let (width, height) = oriented(decoder.dimensions(), orientation);
        let channels = match decoder.color_type() {
            ColorType::L8 | ColorType::L16 => Channels::Grey,
            ColorType::Rgb8 | ColorType::Rgb16 | ColorType::Rgb32F => Channels::Rgb,
            _ => Channels::Rgba,
        };
        Ok(Header { width, height, channels, animated: is_animated(bytes, format) })
    })
}

/// Whether [`probe`] needs the whole file to answer completely: a GIF's header does not say how many frames follow.
pub(super) fn needs_whole_file(head: &[u8]) -> bool {
    head.starts_with(b"GIF8")
}

/// Decodes the first frame, turned as EXIF says.
pub(super) fn decode(bytes: &[u8]) -> Result<DynamicImage, String> {
    guarded(|| {
        let format = supported_format(bytes)?;
        if format == ImageFormat::Jpeg && !jpeg_reaches_its_end(bytes) {
            return Err("the JPEG is cut off: its end is missing".into());
        }
        let (decoder, orientation) = open(bytes, format)?;
        let (width, height) = decoder.dimensions();
        let _turn = (u64::from(width) * u64::from(height) > ALONE_PIXELS).then(|| ALONE.lock());
        let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| reason(&e))?;
        picture.apply_orientation(orientation);
        Ok(picture)
    })
}

/// The pixels in row-major order with exactly `channels`. Opacity that is dropped lays the picture over white.
pub(super) fn pixels(picture: DynamicImage, channels: Channels) -> Vec<u8> {
    match channels {
        Channels::Rgba => picture.into_rgba8().into_raw(),
        Channels::Rgb if picture.color().has_alpha() => over_white(picture).into_raw(),
        Channels::Rgb => picture.into_rgb8().into_raw(),
        Channels::Grey if picture.color().has_alpha() => DynamicImage::ImageRgb8(over_white(picture)).into_luma8().into_raw(),
        Channels::Grey => picture.into_luma8().into_raw(),
    }
}

static ALONE: Mutex<()> = Mutex::new(());

fn over_white(picture: DynamicImage) -> image::RgbImage {
    let rgba = picture.into_rgba8();
    let mut rgb = image::RgbImage::new(rgba.width(), rgba.height());
    for (to, from) in rgb.pixels_mut().zip(rgba.pixels()) {
        let alpha = u32::from(from[3]);
        for c in 0..3 {
            to[c] = ((u32::from(from[c]) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        }
    }
    rgb
}

fn supported_format(bytes: &[u8]) -> Result<ImageFormat, String> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, WebP};
    match image::guess_format(bytes) {
        Ok(format @ (Png | Jpeg | Gif | WebP | Bmp)) => Ok(format),
        Ok(other) => Err(format!("{other:?} pictures are not supported")),
        Err(_) if bytes.is_empty() => Err("the file is empty".into()),
        Err(_) => Err("not a picture of a known format".into()),
    }
}

fn open(bytes: &[u8], format: ImageFormat) -> Result<(impl ImageDecoder + '_, Orientation), String> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_FILE_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| reason(&e))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err("the header says that it has no pixels".into());
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!("the header says {width} x {height} pixels; at most {} megapixels are read", MAX_PIXELS / 1_000_000));
    }
    // Damaged EXIF is no reason to leave out a good picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((decoder, orientation))
}

fn oriented((width, height): (u32, u32), orientation: Orientation) -> (u32, u32) {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    match orientation {
        Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH => (height, width),
        _ => (width, height),
    }
}

/// Decoders are other people's code: a panic in one costs one picture, not the run.
fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("damaged: the decoder gave up".into()))
}

fn reason(error: &image::ImageError) -> String {
    let text = match error {
        image::ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => "the file is cut off".to_string(),
        image::ImageError::Limits(_) => "too large to be read safely".to_string(),
        other => format!("damaged: {other}"),
    };
    text.replace(['\n', '\r'], " ")
}

/// The decoder fills what is missing of a cut JPEG with grey, so the end-of-image marker is looked for first.
fn jpeg_reaches_its_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker]) = bytes.get(at..at + 2) {
        match marker {
            0xd9 => return true,
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([high, low]));
                if marker == 0xda {
                    at = after_scan(bytes, at);
                }
            }
        }
    }
    // Bytes between segments: leave judgement to the decoder as long as an end follows somewhere.
    bytes.get(at..).is_some_and(|rest| rest.windows(2).any(|pair| pair == [0xff, 0xd9]))
}

/// Position of the first marker after entropy-coded data, where `ff 00` is a data byte and `ff d0`..`ff d7` are restarts.
fn after_scan(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&[byte, next]) = bytes.get(at..at + 2) {
        if byte == 0xff && next != 0 && !(0xd0..=0xd7).contains(&next) {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

fn is_animated(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        // acTL comes before the first IDAT.
        ImageFormat::Png => png_chunk_before_pixels(bytes, b"acTL"),
        ImageFormat::WebP => bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 0x02 != 0),
        ImageFormat::Gif => gif_has_two_frames(bytes).unwrap_or(false),
        _ => false,
    }
}

fn png_chunk_before_pixels(bytes: &[u8], wanted: &[u8; 4]) -> bool {
    let mut at = 8usize;
    while let (Some(length), Some(kind)) = (bytes.get(at..at + 4), bytes.get(at + 4..at + 8)) {
        if kind == wanted {
            return true;
        }
        if kind == b"IDAT" {
            return false;
        }
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        at = at.saturating_add(12).saturating_add(length as usize).min(bytes.len());
    }
    false
}

fn gif_has_two_frames(bytes: &[u8]) -> Option<bool> {
    let colours = |flags: u8| if flags & 0x80 != 0 { 3usize << ((flags & 7) + 1) } else { 0 };
    let mut at = 13 + colours(*bytes.get(10)?);
    let mut n_frames = 0;
    loop {
        match bytes.get(at)? {
            0x21 => at += 2,
            0x2c => {
                n_frames += 1;
                if n_frames == 2 {
                    return Some(true);
                }
                at += 11 + colours(*bytes.get(at + 9)?);
            }
            _ => return Some(false),
        }
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
    }
}
