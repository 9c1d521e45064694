//! Grouped two-dimensional convolution of channels-last images: forward, gradient in the input (stride 1), gradient in the weights.
//!
//! Images are copied into a zero-padded, group-major scratch buffer, so that inner loops have neither borders nor groups; weights into panels as
//! wide as a register tile. The inner loops keep a tile of output values in registers (an implicit matrix product: no patch matrix is made).

use rayon::prelude::*;

use crate::fill::filled;
use crate::simd::{Body, LANES, Lanes, dispatch};

/// Channels are padded to a multiple of this in scratch buffers.
const DEPTH: usize = 16;
/// Pieces that the images of a batch are cut into: units of work, and the partial sums of a weight gradient.
const BLOCKS: usize = 8;

/// Extents of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Input height and width.
    pub image: [usize; 2],
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Strides.
    pub stride: [usize; 2],
    /// Zero padding on each side.
    pub padding: [usize; 2],
    /// Groups; divides both channel counts.
    pub groups: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
}

impl Conv {
    /// Output height and width.
    pub fn output(&self) -> [usize; 2] {
        [0, 1].map(|i| (self.image[i] + 2 * self.padding[i] - self.kernel[i]) / self.stride[i] + 1)
    }

    fn pixels_in(&self) -> usize {
        self.image[0] * self.image[1] * self.inputs
    }

    fn pixels_out(&self) -> usize {
        let [h, w] = self.output();
        h * w * self.outputs
    }

    fn n_weights(&self) -> usize {
        self.taps() * self.inputs / self.groups * self.outputs
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Input channels of a group, and blocks of [`DEPTH`] channels that hold them.
    fn depth(&self) -> (usize, usize) {
        let depth = self.inputs / self.groups;
        (depth, depth.div_ceil(DEPTH))
    }

    /// Input channels of a group with their padding.
    fn lanes(&self) -> usize {
        self.depth().1 * DEPTH
    }

    /// Width of a register tile, and how many of them make up a group's output channels.
    fn panels(&self) -> (usize, usize) {
        let width = if self.outputs / self.groups <= LANES { LANES } else { 2 * LANES };
        (width, (self.outputs / self.groups).div_ceil(width))
    }

    /// Extents of the padded scratch image.
    fn padded(&self) -> [usize; 2] {
        [0, 1].map(|i| self.image[i] + 2 * self.padding[i])
    }

    fn scratch(&self) -> Vec<[f32; DEPTH]> {
        let [h, w] = self.padded();
        vec![[0.0; DEPTH]; self.groups * self.depth().1 * h * w]
    }

    /// Copies one image into the scratch buffer `[groups, blocks, padded height, padded width, DEPTH]`, whose borders are zero.
    fn pad(&self, x: &[f32], scratch: &mut [[f32; DEPTH]]) {
        let ([h, w], [hp, wp], (depth, blocks)) = (self.image, self.padded(), self.depth());
        let [ph, pw] = self.padding;
        for (y, row) in x.chunks_exact(w * self.inputs).enumerate().take(h) {
            for group in 0..self.groups {
                for block in 0..blocks {
                    let to = ((group * blocks + block) * hp + y + ph) * wp + pw;
                    let from = group * depth + block * DEPTH;
                    let channels = (depth - block * DEPTH).min(DEPTH);
                    for (to, pixel) in scratch[to..to + w].iter_mut().zip(row.chunks_exact(self.inputs)) {
                        match pixel[from..from + channels].first_chunk() {
                            Some(values) => *to = *values,
                            None => to[..channels].copy_from_slice(&pixel[from..from + channels]),
                        }
                    }
                }
            }
        }
    }

    /// Copies weights `[kh, kw, ci / groups, co]` into panels `[group, panel, tap, blocks x DEPTH, width]`.
    fn pack(&self, w: &[f32]) -> Vec<f32> {
        let ((depth, _), lanes, (width, panels), cog) = (self.depth(), self.lanes(), self.panels(), self.outputs / self.groups);
        let mut packed = vec![0.0; self.groups * panels * self.taps() * lanes * width];
        for (row, values) in w.chunks_exact(self.outputs).enumerate() {
            let (tap, k) = (row / depth, row % depth);
            for (group, values) in values.chunks_exact(cog).enumerate() {
                for (panel, values) in values.chunks(width).enumerate() {
                    let to = (((group * panels + panel) * self.taps() + tap) * lanes + k) * width;
                    packed[to..to + values.len()].copy_from_slice(values);
                }
            }
        }
        packed
    }
}

/// `x * w`: `x [n, h, w, ci]`, `w [kh, kw, ci / groups, co]` to `[n, oh, ow, co]`.
///
/// # Panics
/// If a length does not fit the extents.
pub fn conv_forward(conv: &Conv, x: &[f32], w: &[f32]) -> Vec<f32> {
    let images = images(conv, x, w);
    let packed = conv.pack(w);
    let ow = conv.output()[1];
    filled(
        images * conv.pixels_out(),
        conv.pixels_out(),
        BLOCKS,
        || conv.scratch(),
        |scratch, i, out| {
            conv.pad(&x[i * conv.pixels_in()..(i + 1) * conv.pixels_in()], scratch);
            let (x, w) = (&scratch[..], &packed[..]);
            match (conv.panels().0, ow) {
                (LANES, ..8) => dispatch(Forward::<4, 1> { conv, x, w, out }),
                (LANES, _) => dispatch(Forward::<8, 1> { conv, x, w, out }),
                (_, ..8) => dispatch(Forward::<4, 2> { conv, x, w, out }),
                (_, _) => dispatch(Forward::<8, 2> { conv, x, w, out }),
            }
        },
    )
}

/// Gradient in the input of a convolution with stride 1: `g [n, oh, ow, co]`, `w` as in [`conv_forward`], to `[n, h, w, ci]`. It is itself a
/// convolution of `g`, with the kernel turned by 180 degrees and its channels exchanged.
///
/// # Panics
/// If a length does not fit the extents, the stride is not 1, or the padding is larger than the kernel minus 1.
pub fn conv_input_stride1(conv: &Conv, g: &[f32], w: &[f32]) -> Vec<f32> {
    assert_eq!(conv.stride, [1, 1], "the input gradient of a strided convolution is no convolution");
    let turned = Conv {
        image: conv.output(),
        padding: [0, 1].map(|i| conv.kernel[i] - 1 - conv.padding[i]),
        inputs: conv.outputs,
        outputs: conv.inputs,
        ..*conv
    };
    let (cig, cog) = (conv.inputs / conv.groups, conv.outputs / conv.groups);
    let mut flipped = vec![0.0; w.len()];
    for tap in 0..conv.taps() {
        for i in 0..cig {
            for group in 0..conv.groups {
                for o in 0..cog {
                    let from = (tap * cig + i) * conv.outputs + group * cog + o;
                    let to = ((conv.taps() - 1 - tap) * cog + o) * conv.inputs + group * cig + i;
                    flipped[to] = w[from];
                }
            }
        }
    }
    conv_forward(&turned, g, &flipped)
}

/// Gradient in the weights: `x [n, h, w, ci]`, `g [n, oh, ow, co]` to `[kh, kw, ci / groups, co]`.
///
/// # Panics
/// If a length does not fit the extents.
pub fn conv_weight(conv: &Conv, x: &[f32], g: &[f32]) -> Vec<f32> {
    let mut dw = vec![0.0; conv.n_weights()];
    let images = images(conv, x, &dw);
    assert_eq!(g.len(), images * conv.pixels_out(), "the output gradients do not fit the extents");
    let per_block = images.div_ceil(BLOCKS).max(1);
    let ((depth, _), lanes, (width, panels), cog) = (conv.depth(), conv.lanes(), conv.panels(), conv.outputs / conv.groups);
    let partial: Vec<Vec<f32>> = x
        .par_chunks(per_block * conv.pixels_in())
        .zip(g.par_chunks(per_block * conv.pixels_out()))
        .map(|(x, g)| {
            let mut sum = vec![0.0; conv.groups * panels * conv.taps() * lanes * width];
            let mut scratch = conv.scratch();
            let mut columns = vec![0.0; conv.groups * panels * width * (conv.pixels_out() / conv.outputs)];
            for (x, g) in x.chunks_exact(conv.pixels_in()).zip(g.chunks_exact(conv.pixels_out())) {
                conv.pad(x, &mut scratch);
                pack_columns(conv, g, &mut columns);
                match width {
                    LANES => dispatch(Weight::<1> { conv, x: &scratch, g: &columns, sum: &mut sum }),
                    _ => dispatch(Weight::<2> { conv, x: &scratch, g: &columns, sum: &mut sum }),
                }
            }
            sum
        })
        .collect();
    for sum in &partial {
        for (row, values) in dw.chunks_exact_mut(conv.outputs).enumerate() {
            let (tap, k) = (row / depth, row % depth);
            for (group, values) in values.chunks_exact_mut(cog).enumerate() {
                for (panel, values) in values.chunks_mut(width).enumerate() {
                    let from = (((group * panels + panel) * conv.taps() + tap) * lanes + k) * width;
                    for (v, s) in values.iter_mut().zip(&sum[from..from + width]) {
                        *v += s;
                    }
                }
            }
        }
    }
    dw
}

/// One image's output gradient `[oh, ow, co]` as panels `[group, panel, pixel, width]`.
fn pack_columns(conv: &Conv, g: &[f32], columns: &mut [f32]) {
    let ((width, panels), cog, pixels) = (conv.panels(), conv.outputs / conv.groups, conv.pixels_out() / conv.outputs);
    for (pixel, values) in g.chunks_exact(conv.outputs).enumerate() {
        for (group, values) in values.chunks_exact(cog).enumerate() {
            for (panel, values) in values.chunks(width).enumerate() {
                let to = ((group * panels + panel) * pixels + pixel) * width;
                copy(&mut columns[to..to + values.len()], values);
            }
        }
    }
}

/// Copies a few channels; the usual counts become a few vector moves instead of a call.
#[inline(always)]
fn copy(to: &mut [f32], from: &[f32]) {
    fn exact<const N: usize>(to: &mut [f32], from: &[f32]) -> bool {
        match (to.as_chunks_mut::<N>(), from.as_chunks::<N>()) {
            (([to], []), ([from], [])) => {
                *to = *from;
                true
            }
            _ => false,
        }
    }
    if !(exact::<16>(to, from) || exact::<32>(to, from) || exact::<8>(to, from)) {
        to.copy_from_slice(from);
    }
}

/// Number of images in `x`, after checking that it and the weights fit.
fn images(conv: &Conv, x: &[f32], w: &[f32]) -> usize {
    assert_eq!(w.len(), conv.n_weights(), "the weights do not fit the extents");
    assert!(x.len().is_multiple_of(conv.pixels_in()), "the images do not fit the extents");
    x.len() / conv.pixels_in()
}

/// One image forward: tiles of `P` neighbouring output pixels by `V` vectors of output channels.
struct Forward<'a, const P: usize, const V: usize> {
    conv: &'a Conv,
    x: &'a [[f32; DEPTH]],
    w: &'a [f32],
    out: &'a mut [f32],
}

impl<const P: usize, const V: usize> Body for Forward<'_, P, V> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let conv = self.conv;
        let ([hp, wp], (_, blocks), (width, panels)) = (conv.padded(), conv.depth(), conv.panels());
        let ([oh, ow], cog) = (conv.output(), conv.outputs / conv.groups);
        for group in 0..conv.groups {
            let planes = &self.x[group * blocks * hp * wp..][..blocks * hp * wp];
            for panel in 0..panels {
                let size = conv.taps() * conv.lanes() * width;
                let weights = &self.w[(group * panels + panel) * size..][..size];
                let channels = (cog - panel * width).min(width);
                for oy in 0..oh {
                    let mut ox = 0;
                    while ox < ow {
                        // The last tile of a row repeats pixels of the one before rather than being narrower, where the row is long enough.
                        let first = if ow >= P { ox.min(ow - P) } else { 0 };
                        let tile = tile::<L, P, V>(conv, planes, weights, [oy, first]);
                        for (p, values) in tile.iter().enumerate().take(ow.min(P)) {
                            let to = (oy * ow + first + p) * conv.outputs + group * cog + panel * width;
                            for (out, value) in self.out[to..to + channels].chunks_mut(LANES).zip(values) {
                                match out.first_chunk_mut() {
                                    Some(out) => value.store(out),
                                    None => {
                                        let mut rest = [0.0; LANES];
                                        value.store(&mut rest);
                                        out.copy_from_slice(&rest[..out.len()]);
                                    }
                                }
                            }
                        }
                        ox += P;
                    }
                }
            }
        }
    }
}

/// `P` output pixels from `[row, column]` on. Pixels beyond the row read the row's last pixel.
#[inline(always)]
fn tile<L: Lanes, const P: usize, const V: usize>(
    conv: &Conv,
    planes: &[[f32; DEPTH]],
    weights: &[f32],
    [oy, first]: [usize; 2],
) -> [[L; V]; P] {
    let [hp, wp] = conv.padded();
    let [sh, sw] = conv.stride;
    let last = conv.output()[1] - 1;
    let (vectors, _) = weights.as_chunks::<LANES>();
    let (rows, _) = vectors.as_chunks::<V>();
    let (mut blocks, _) = rows.as_chunks::<DEPTH>();
    let mut acc = [[L::splat(0.0); V]; P];
    for ky in 0..conv.kernel[0] {
        for kx in 0..conv.kernel[1] {
            for plane in planes.chunks_exact(hp * wp) {
                let row = &plane[(oy * sh + ky) * wp..][..wp];
                let gathered: [[f32; DEPTH]; P];
                let pixels: &[[f32; DEPTH]; P] = match row[first * sw + kx..].first_chunk() {
                    Some(pixels) if sw == 1 => pixels,
                    _ => {
                        gathered = std::array::from_fn(|p| row[(first + p).min(last) * sw + kx]);
                        &gathered
                    }
                };
                let Some((block, rest)) = blocks.split_first() else { return acc };
                blocks = rest;
                for (i, w) in block.iter().enumerate() {
                    let w: [L; V] = std::array::from_fn(|v| L::load(&w[v]));
                    for p in 0..P {
                        let x = L::splat(pixels[p][i]);
                        for v in 0..V {
                            acc[p][v] = acc[p][v].add_product(x, w[v]);
                        }
                    }
                }
            }
        }
    }
    acc
}

/// One image's share of the weight gradient: tiles of some input channels by `V` vectors of output channels, summed over the output pixels.
struct Weight<'a, const V: usize> {
    conv: &'a Conv,
    x: &'a [[f32; DEPTH]],
    g: &'a [f32],
    sum: &'a mut [f32],
}

impl<const V: usize> Body for Weight<'_, V> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let conv = self.conv;
        let ([hp, wp], (_, blocks), (width, panels)) = (conv.padded(), conv.depth(), conv.panels());
        let ([oh, ow], [sh, sw]) = (conv.output(), conv.stride);
        for group in 0..conv.groups {
            for panel in 0..panels {
                let (vectors, _) = self.g[(group * panels + panel) * oh * ow * width..][..oh * ow * width].as_chunks::<LANES>();
                let (columns, _) = vectors.as_chunks::<V>();
                for tap in 0..conv.taps() {
                    let (ky, kx) = (tap / conv.kernel[1], tap % conv.kernel[1]);
                    for block in 0..blocks {
                        let plane = &self.x[(group * blocks + block) * hp * wp..][..hp * wp];
                        let to = (((group * panels + panel) * conv.taps() + tap) * blocks + block) * DEPTH * width;
                        let (rows, _) = self.sum[to..to + DEPTH * width].as_chunks_mut::<LANES>();
                        // Half the block at a time keeps the sums in registers also with two vectors.
                        for half in 0..2 {
                            let mut acc = [[L::splat(0.0); V]; DEPTH / 2];
                            for oy in 0..oh {
                                let row = plane[(oy * sh + ky) * wp + kx..(oy * sh + ky + 1) * wp].iter().step_by(sw);
                                for (x, g) in row.zip(&columns[oy * ow..(oy + 1) * ow]) {
                                    let g: [L; V] = std::array::from_fn(|v| L::load(&g[v]));
                                    for i in 0..DEPTH / 2 {
                                        let x = L::splat(x[half * (DEPTH / 2) + i]);
                                        for v in 0..V {
                                            acc[i][v] = acc[i][v].add_product(x, g[v]);
                                        }
                                    }
                                }
                            }
                            let (_, rows) = rows.split_at_mut(half * (DEPTH / 2) * V);
                            for (row, acc) in rows.iter_mut().zip(acc.as_flattened()) {
                                L::load(row).add_product(*acc, L::splat(1.0)).store(row);
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize, phase: f32) -> Vec<f32> {
        (0..n).map(|i| (1.7 * i as f32 + phase).sin()).collect()
    }

    /// The definition: calls `visit(x index, w index, out index)` for every product of the convolution.
    fn products(conv: &Conv, images: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let [oh, ow] = conv.output();
        let (cig, cog) = (conv.inputs / conv.groups, conv.outputs / conv.groups);
        for n in 0..images {
            for (oy, ox, co) in (0..oh).flat_map(|y| (0..ow).flat_map(move |x| (0..conv.outputs).map(move |c| (y, x, c)))) {
                for (ky, kx, i) in (0..conv.kernel[0]).flat_map(|y| (0..conv.kernel[1]).flat_map(move |x| (0..cig).map(move |c| (y, x, c))))
                {
                    let (y, x) = (oy * conv.stride[0] + ky, ox * conv.stride[1] + kx);
                    let (Some(y), Some(x)) = (y.checked_sub(conv.padding[0]), x.checked_sub(conv.padding[1])) else { continue };
                    if y < conv.image[0] && x < conv.image[1] {
                        let ci = co / cog * cig + i;
                        visit(
                            ((n * conv.image[0] + y) * conv.image[1] + x) * conv.inputs + ci,
                            ((ky * conv.kernel[1] + kx) * cig + i) * conv.outputs + co,
                            ((n * oh + oy) * ow + ox) * conv.outputs + co,
                        );
                    }
                }
            }
        }
    }

    fn close(ours: &[f32], reference: &[f64], what: &str) {
        assert_eq!(ours.len(), reference.len(), "{what}");
        for (i, (a, b)) in ours.iter().zip(reference).enumerate() {
            assert!((f64::from(*a) - b).abs() < 1e-3 * (1.0 + b.abs()), "{what}[{i}]: {a} against {b}");
        }
    }

    #[test]
    fn kernels_agree_with_the_definition_on_many_shapes() {
        let mut tried = 0;
        for image in [[1, 1], [3, 5], [8, 8], [9, 17]] {
            for (kernel, padding) in [([1, 1], [0, 0]), ([3, 3], [1, 1]), ([4, 4], [1, 1]), ([2, 3], [0, 1]), ([3, 3], [0, 0])] {
                for stride in [[1, 1], [2, 2], [1, 2]] {
                    for (groups, inputs, outputs) in [(1, 3, 5), (1, 8, 40), (2, 4, 6), (4, 64, 64), (3, 3, 3)] {
                        let conv = Conv { image, kernel, stride, padding, groups, inputs, outputs };
                        if (0..2).any(|i| image[i] + 2 * padding[i] < kernel[i]) {
                            continue;
                        }
                        tried += 1;
                        let images = 3;
                        let (x, w) = (wave(images * conv.pixels_in(), 0.1), wave(conv.taps() * inputs / groups * outputs, 0.7));
                        let g = wave(images * conv.pixels_out(), 2.3);
                        let (mut out, mut dx, mut dw) = (vec![0.0f64; g.len()], vec![0.0f64; x.len()], vec![0.0f64; w.len()]);
                        products(&conv, images, |i, j, k| {
                            let (xv, wv, gv) = (f64::from(x[i]), f64::from(w[j]), f64::from(g[k]));
                            out[k] += xv * wv;
                            dx[i] += gv * wv;
                            dw[j] += gv * xv;
                        });
                        close(&conv_forward(&conv, &x, &w), &out, "forward");
                        close(&conv_weight(&conv, &x, &g), &dw, "weight");
                        if stride == [1, 1] && (0..2).all(|i| padding[i] < kernel[i]) {
                            close(&conv_input_stride1(&conv, &g, &w), &dx, "input");
                        }
                    }
                }
            }
        }
        assert!(tried > 150, "only {tried} shapes");
    }

    #[test]
    fn no_images_give_no_output_and_zero_gradients() {
        let conv = Conv { image: [4, 4], kernel: [3, 3], stride: [1, 1], padding: [1, 1], groups: 1, inputs: 2, outputs: 3 };
        assert!(conv_forward(&conv, &[], &wave(54, 0.0)).is_empty());
        assert_eq!(conv_weight(&conv, &[], &[]), [0.0; 54]);
    }
}
