//! Grouped two-dimensional convolution of channels-last images: forward, gradient in the input (stride 1), gradient in the weights.
//!
//! Images are copied into a zero-padded, group-major scratch buffer, so that inner loops have neither borders nor groups; weights into panels as
//! wide as a register tile. The inner loops keep a tile of output values in registers (an implicit matrix product: no patch matrix is made).

use rayon::prelude::*;

use crate::simd::{Body, LANES, Lanes, dispatch};

/// Channels are padded to a multiple of this in scratch buffers.
const DEPTH: usize = 8;
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

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Input channels of a group, and padded.
    fn depth(&self) -> (usize, usize) {
        let depth = self.inputs / self.groups;
        (depth, depth.next_multiple_of(DEPTH))
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

    fn scratch(&self) -> usize {
        let [h, w] = self.padded();
        // One spare pixel row of channels at the end lets strided chunks end beyond the last pixel.
        self.groups * h * w * self.depth().1 + self.stride[1] * self.depth().1
    }

    /// Copies one image into the scratch buffer `[groups, padded height, padded width, padded depth]`, whose borders are zero.
    fn pad(&self, x: &[f32], scratch: &mut [f32]) {
        let ([h, w], [hp, wp], (depth, lanes)) = (self.image, self.padded(), self.depth());
        let [ph, pw] = self.padding;
        for y in 0..h {
            for (i, pixel) in x[y * w * self.inputs..(y + 1) * w * self.inputs].chunks_exact(self.inputs).enumerate() {
                for (group, values) in pixel.chunks_exact(depth).enumerate() {
                    let to = ((group * hp + y + ph) * wp + i + pw) * lanes;
                    copy(&mut scratch[to..to + depth], values);
                }
            }
        }
    }

    /// Copies weights `[kh, kw, ci / groups, co]` into panels `[group, panel, tap, padded depth, width]`.
    fn pack(&self, w: &[f32]) -> Vec<f32> {
        let ((depth, lanes), (width, panels), cog) = (self.depth(), self.panels(), self.outputs / self.groups);
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

/// `out = x * w`: `x [n, h, w, ci]`, `w [kh, kw, ci / groups, co]`, `out [n, oh, ow, co]`.
///
/// # Panics
/// If a length does not fit the extents.
pub fn conv_forward(conv: &Conv, x: &[f32], w: &[f32], out: &mut [f32]) {
    check(conv, x.len(), w.len(), out.len());
    let packed = conv.pack(w);
    let images = x.len() / conv.pixels_in().max(1);
    let pairs = out.par_chunks_mut(conv.pixels_out()).zip(x.par_chunks(conv.pixels_in()));
    pairs.with_min_len(images.div_ceil(BLOCKS).max(1)).for_each_init(
        || vec![0.0; conv.scratch()],
        |scratch, (out, x)| {
            conv.pad(x, scratch);
            match conv.panels().0 {
                LANES => dispatch(Forward::<8, 1> { conv, x: scratch, w: &packed, out }),
                _ => dispatch(Forward::<8, 2> { conv, x: scratch, w: &packed, out }),
            }
        },
    );
}

/// Gradient in the input of a convolution with stride 1: `g [n, oh, ow, co]`, `w` as in [`conv_forward`], `dx [n, h, w, ci]`. It is itself a
/// convolution of `g`, with the kernel turned by 180 degrees and its channels exchanged.
///
/// # Panics
/// If a length does not fit the extents, the stride is not 1, or the padding is larger than the kernel minus 1.
pub fn conv_input_stride1(conv: &Conv, g: &[f32], w: &[f32], dx: &mut [f32]) {
    check(conv, dx.len(), w.len(), g.len());
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
    conv_forward(&turned, g, &flipped, dx);
}

/// Gradient in the weights: `x [n, h, w, ci]`, `g [n, oh, ow, co]`, `dw [kh, kw, ci / groups, co]`.
///
/// # Panics
/// If a length does not fit the extents.
pub fn conv_weight(conv: &Conv, x: &[f32], g: &[f32], dw: &mut [f32]) {
    check(conv, x.len(), dw.len(), g.len());
    let images = x.len() / conv.pixels_in().max(1);
    let per_block = images.div_ceil(BLOCKS).max(1);
    let ((depth, lanes), (width, panels), cog) = (conv.depth(), conv.panels(), conv.outputs / conv.groups);
    let partial: Vec<Vec<f32>> = x
        .par_chunks(per_block * conv.pixels_in())
        .zip(g.par_chunks(per_block * conv.pixels_out()))
        .map(|(x, g)| {
            let mut sum = vec![0.0; conv.groups * panels * conv.taps() * lanes * width];
            let mut scratch = vec![0.0; conv.scratch()];
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
    dw.fill(0.0);
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

fn check(conv: &Conv, x: usize, w: usize, out: usize) {
    let images = x / conv.pixels_in().max(1);
    assert_eq!(x, images * conv.pixels_in(), "the images do not fit the extents");
    assert_eq!(out, images * conv.pixels_out(), "the outputs do not fit the extents");
    assert_eq!(w, conv.taps() * conv.inputs / conv.groups * conv.outputs, "the weights do not fit the extents");
}

/// One image forward: tiles of `P` neighbouring output pixels by `V` vectors of output channels.
struct Forward<'a, const P: usize, const V: usize> {
    conv: &'a Conv,
    x: &'a [f32],
    w: &'a [f32],
    out: &'a mut [f32],
}

impl<const P: usize, const V: usize> Body for Forward<'_, P, V> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let conv = self.conv;
        let ([hp, wp], (_, lanes), (width, panels)) = (conv.padded(), conv.depth(), conv.panels());
        let ([oh, ow], cog) = (conv.output(), conv.outputs / conv.groups);
        for group in 0..conv.groups {
            let plane = &self.x[group * hp * wp * lanes..];
            for panel in 0..panels {
                let size = conv.taps() * lanes * width;
                let weights = &self.w[(group * panels + panel) * size..][..size];
                let channels = (cog - panel * width).min(width);
                for oy in 0..oh {
                    let mut ox = 0;
                    while ox < ow {
                        // The last tile of a row repeats pixels of the one before rather than being narrower, where the row is long enough.
                        let first = if ow >= P { ox.min(ow - P) } else { 0 };
                        let tile = tile::<L, P, V>(conv, plane, weights, [oy, first]);
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
fn tile<L: Lanes, const P: usize, const V: usize>(conv: &Conv, plane: &[f32], weights: &[f32], [oy, first]: [usize; 2]) -> [[L; V]; P] {
    let ([_, wp], (_, lanes)) = (conv.padded(), conv.depth());
    let [sh, sw] = conv.stride;
    let last = conv.output()[1] - 1;
    let mut acc = [[L::splat(0.0); V]; P];
    for ky in 0..conv.kernel[0] {
        let row = &plane[(oy * sh + ky) * wp * lanes..][..wp * lanes];
        for kx in 0..conv.kernel[1] {
            let tap = ky * conv.kernel[1] + kx;
            let panel = &weights[tap * lanes * V * LANES..][..lanes * V * LANES];
            let pixels: [&[f32]; P] = std::array::from_fn(|p| &row[((first + p).min(last) * sw + kx) * lanes..][..lanes]);
            let (vectors, _) = panel.as_chunks::<LANES>();
            let (rows, _) = vectors.as_chunks::<V>();
            let (blocks, _) = rows.as_chunks::<DEPTH>();
            for (k, block) in blocks.iter().enumerate() {
                let values: [&[f32; DEPTH]; P] = std::array::from_fn(|p| pixels[p][k * DEPTH..].first_chunk().expect("padded to DEPTH"));
                for i in 0..DEPTH {
                    let w: [L; V] = std::array::from_fn(|v| L::load(&block[i][v]));
                    for p in 0..P {
                        let x = L::splat(values[p][i]);
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

/// One image's share of the weight gradient: tiles of `DEPTH` input channels by `V` vectors of output channels, summed over the output pixels.
struct Weight<'a, const V: usize> {
    conv: &'a Conv,
    x: &'a [f32],
    g: &'a [f32],
    sum: &'a mut [f32],
}

impl<const V: usize> Body for Weight<'_, V> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let conv = self.conv;
        let ([hp, wp], (_, lanes), (width, panels)) = (conv.padded(), conv.depth(), conv.panels());
        let ([oh, ow], [sh, sw]) = (conv.output(), conv.stride);
        for group in 0..conv.groups {
            for panel in 0..panels {
                let (vectors, _) = self.g[(group * panels + panel) * oh * ow * width..][..oh * ow * width].as_chunks::<LANES>();
                let (columns, _) = vectors.as_chunks::<V>();
                for tap in 0..conv.taps() {
                    let (ky, kx) = (tap / conv.kernel[1], tap % conv.kernel[1]);
                    for k in (0..lanes).step_by(DEPTH) {
                        let mut acc = [[L::splat(0.0); V]; DEPTH];
                        for oy in 0..oh {
                            let start = ((group * hp + oy * sh + ky) * wp + kx) * lanes + k;
                            let row = self.x[start..].chunks_exact(sw * lanes);
                            for (x, g) in row.zip(&columns[oy * ow..(oy + 1) * ow]) {
                                let x: &[f32; DEPTH] = x.first_chunk().expect("padded to DEPTH");
                                let g: [L; V] = std::array::from_fn(|v| L::load(&g[v]));
                                for i in 0..DEPTH {
                                    let x = L::splat(x[i]);
                                    for v in 0..V {
                                        acc[i][v] = acc[i][v].add_product(x, g[v]);
                                    }
                                }
                            }
                        }
                        let to = (((group * panels + panel) * conv.taps() + tap) * lanes + k) * width;
                        let (rows, _) = self.sum[to..to + DEPTH * width].as_chunks_mut::<LANES>();
                        for (row, acc) in rows.iter_mut().zip(acc.as_flattened()) {
                            L::load(row).add_product(*acc, L::splat(1.0)).store(row);
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
                        let mut ours = vec![f32::NAN; out.len()];
                        conv_forward(&conv, &x, &w, &mut ours);
                        close(&ours, &out, "forward");
                        let mut ours = vec![f32::NAN; dw.len()];
                        conv_weight(&conv, &x, &g, &mut ours);
                        close(&ours, &dw, "weight");
                        if stride == [1, 1] && (0..2).all(|i| padding[i] < kernel[i]) {
                            let mut ours = vec![f32::NAN; dx.len()];
                            conv_input_stride1(&conv, &g, &w, &mut ours);
                            close(&ours, &dx, "input");
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
        conv_forward(&conv, &[], &wave(54, 0.0), &mut []);
        let mut dw = vec![1.0; 54];
        conv_weight(&conv, &[], &[], &mut dw);
        assert!(dw.iter().all(|v| *v == 0.0));
    }
}
