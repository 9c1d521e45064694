//! Sample sheets inside the report: pictures as data URIs, text as text.

use std::fs;
use std::io::Cursor;
use std::path::{Component, Path};

use image::{ImageFormat, ImageReader, Limits};

use super::svg::escape;

/// How large a sheet is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// As it is, unless it is very large.
    Whole,
    /// Small, beside others.
    Thumbnail,
}

const MAX_WHOLE_BYTES: usize = 4 << 20;
const WHOLE_EDGE: u32 = 1280;
const THUMBNAIL_EDGE: u32 = 256;
const MAX_LINES: usize = 24;

/// The HTML that shows the file `file` of a run directory; nothing if it is gone or leads out of the directory.
pub(crate) fn embed(run_dir: &Path, file: &str, size: Size) -> Option<String> {
    if !Path::new(file).components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let bytes = fs::read(run_dir.join(file)).ok()?;
    let media_type = match Path::new(file).extension()?.to_str()? {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "csv" | "txt" | "json" | "jsonl" => return Some(text(&bytes, size)),
        _ => return Some(format!("<a href=\"{0}\">{0}</a>", escape(file))),
    };
    let smaller = match size {
        Size::Whole if bytes.len() <= MAX_WHOLE_BYTES => None,
        Size::Whole => shrink(&bytes, WHOLE_EDGE),
        Size::Thumbnail => shrink(&bytes, THUMBNAIL_EDGE),
    };
    let (media_type, bytes) = smaller.map_or((media_type, bytes), |png| ("image/png", png));
    Some(format!("<img alt=\"{}\" src=\"data:{media_type};base64,{}\">", escape(file), base64(&bytes)))
}

/// A PNG of at most `edge` pixels on its longer side; nothing if the picture is as small already or cannot be read.
fn shrink(bytes: &[u8], edge: u32) -> Option<Vec<u8>> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(32_768);
    limits.max_image_height = Some(32_768);
    reader.limits(limits);
    let picture = reader.decode().ok()?;
    if picture.width().max(picture.height()) <= edge {
        return None;
    }
    let mut png = Cursor::new(Vec::new());
    picture.thumbnail(edge, edge).write_to(&mut png, ImageFormat::Png).ok()?;
    Some(png.into_inner())
}

/// The first lines of a text.
fn text(bytes: &[u8], size: Size) -> String {
    let n_lines = if size == Size::Whole { MAX_LINES } else { MAX_LINES / 4 };
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(1 << 16)]);
    let shown: Vec<String> = text.lines().take(n_lines).map(|line| line.chars().take(200).collect()).collect();
    format!("<pre>{}</pre>", escape(&shown.join("\n")))
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() { digit as char } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_gives_the_published_vectors() {
        for (text, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }

    #[test]
    fn thumbnails_are_small_and_small_pictures_stay() {
        let mut png = Cursor::new(Vec::new());
        image::RgbImage::from_pixel(512, 128, image::Rgb([9, 8, 7])).write_to(&mut png, ImageFormat::Png).unwrap();
        let small = shrink(&png.into_inner(), 256).unwrap();
        let small = image::load_from_memory(&small).unwrap();
        assert_eq!((small.width(), small.height()), (256, 64));
        assert_eq!(small.to_rgb8().get_pixel(5, 5).0, [9, 8, 7]);
        assert_eq!(shrink(b"no picture", 256), None);
    }

    #[test]
    fn nothing_outside_the_run_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("run")).unwrap();
        fs::write(dir.path().join("secret.txt"), "x").unwrap();
        fs::write(dir.path().join("run/open.txt"), "x").unwrap();
        let run = dir.path().join("run");
        assert_eq!(embed(&run, "../secret.txt", Size::Whole), None);
        assert_eq!(embed(&run, dir.path().join("secret.txt").to_str().unwrap(), Size::Whole), None);
        assert_eq!(embed(&run, "open.txt", Size::Whole), Some("<pre>x</pre>".to_string()));
        assert_eq!(embed(&run, "absent.png", Size::Whole), None);
    }
}
