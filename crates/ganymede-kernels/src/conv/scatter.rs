//! The gradient in the input where it has but a few channels: a register tile of output channels would be nearly empty, so that a product over all kernel elements
//! at once, added back to the pixels they came from, does less work.

use super::{Conv, ConvGeometry};
use crate::fill::filled;
use crate::matmul::matmul_nt;

/// Pieces that the images of a batch are cut into.
const PIECES: usize = 16;

/// `g [n, oh, ow, co]`, `w [kh, kw, ci, co]` to `[n, h, w, ci]`, for one group.
pub(super) fn scattered(conv: &Conv, g: &[f32], w: &[f32]) -> Vec<f32> {
    let (n_in, n_out) = (conv.pixels_in(), conv.pixels_out());
    let depth = conv.taps() * conv.inputs;
    filled(
        g.len() / n_out * n_in,
        n_in,
        PIECES,
        || (),
        |(), i, image| {
            let patches = matmul_nt(&g[i * n_out..(i + 1) * n_out], w, [depth, conv.outputs]);
            add_patches(conv, &patches, image);
        },
    )
}

/// Adds `[oh, ow, kh, kw, ci]` to the pixels of one image.
fn add_patches(conv: &Conv, patches: &[f32], image: &mut [f32]) {
    let ConvGeometry { image: [h, w], kernel: [kh, kw], stride: [sh, sw], padding: [ph, pw], .. } = conv.geometry;
    let out_width = conv.geometry.output()[1];
    let row_len = kw * conv.inputs;
    for (pixel, patch) in patches.chunks_exact(kh * row_len).enumerate() {
        let [oy, ox] = [pixel / out_width, pixel % out_width];
        // The part of the kernel's row that lies inside the image.
        let first = pw.saturating_sub(ox * sw).min(kw);
        let last = (w + pw).saturating_sub(ox * sw).clamp(first, kw);
        for (ky, row) in patch.chunks_exact(row_len).enumerate() {
            let y = oy * sh + ky;
            if y < ph || y >= h + ph || first == last {
                continue;
            }
            let to = ((y - ph) * w + ox * sw + first - pw) * conv.inputs;
            let row = &row[first * conv.inputs..last * conv.inputs];
            image[to..to + row.len()].iter_mut().zip(row).for_each(|(to, value)| *to += value);
        }
    }
}
