//! Many pictures on one.

use super::channels::Channels;

/// Pixels between two cells.
const GAP: usize = 2;
/// Smaller pictures are enlarged until their longer side reaches this.
const CELL: usize = 48;

/// Lays pictures of one size out in rows of `columns`, with a thin white gap (transparent with opacity channel), and gives back (pixels, width, height).
///
/// `pixels` is `[n, height, width, channels]`; what is left over after whole pictures is ignored. Small pictures are enlarged by a whole factor, each
/// pixel repeated, so that a 16-pixel face can be seen. Without any picture the sheet is a single gap pixel.
pub fn sheet(pixels: &[u8], width: usize, height: usize, channels: Channels, columns: usize) -> (Vec<u8>, usize, usize) {
    let c = channels.count();
    let size = width * height * c;
    let n = pixels.len().checked_div(size).unwrap_or(0);
    let background = if channels == Channels::Rgba { 0 } else { 255 };
    if n == 0 {
        return (vec![background; c], 1, 1);
    }
    let columns = columns.clamp(1, n);
    let factor = CELL.div_ceil(width.max(height)).max(1);
    let (cell_w, cell_h) = (width * factor, height * factor);
    let total_w = columns * (cell_w + GAP) - GAP;
    let total_h = n.div_ceil(columns) * (cell_h + GAP) - GAP;
    let mut out = vec![background; total_w * total_h * c];
    for (i, picture) in pixels.chunks_exact(size).enumerate() {
        let (left, top) = (i % columns * (cell_w + GAP), i / columns * (cell_h + GAP));
        for y in 0..cell_h {
            let row = &picture[y / factor * width * c..][..width * c];
            let to = &mut out[((top + y) * total_w + left) * c..][..cell_w * c];
            for (x, pixel) in to.chunks_exact_mut(c).enumerate() {
                pixel.copy_from_slice(&row[x / factor * c..][..c]);
            }
        }
    }
    (out, total_w, total_h)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pictures_are_enlarged_by_a_whole_factor() {
        let (pixels, width, height) = sheet(&[10, 20, 30, 40, 50, 60], 2, 1, Channels::Grey, 2);
        // Factor 24: cells of 48 x 24, two columns, two rows.
        assert_eq!((width, height), (48 * 2 + GAP, 24 * 2 + GAP));
        assert_eq!((pixels[0], pixels[23], pixels[24], pixels[47]), (10, 10, 20, 20));
        assert_eq!((pixels[48], pixels[49], pixels[50]), (255, 255, 30));
        assert_eq!(pixels[(24 + GAP) * width], 50);
        assert_eq!(pixels[width * height - 1], 255, "the empty last cell is background");
    }

    #[test]
    fn large_pictures_keep_their_size() {
        let (pixels, width, height) = sheet(&vec![9; 2 * 64 * 50 * 3], 64, 50, Channels::Rgb, 8);
        assert_eq!((width, height), (64 * 2 + GAP, 50));
        assert_eq!(pixels.len(), width * height * 3);
    }

    #[test]
    fn no_pictures_and_no_columns_are_harmless() {
        assert_eq!(sheet(&[], 16, 16, Channels::Rgba, 0), (vec![0; 4], 1, 1));
        assert_eq!(sheet(&[1], 1, 1, Channels::Grey, 0).1, 48);
        assert_eq!(sheet(&[1], 0, 0, Channels::Grey, 4), (vec![255], 1, 1));
    }
}
