//! Grouped two-dimensional convolution of channels-last images: forward, gradient in the input, gradient in the weights.
//!
//! Images are copied into a zero-padded, group-major scratch buffer, so that inner loops have neither borders nor groups; weights into panels as
//! wide as a register tile. The inner loops keep a tile of output values in registers (an implicit matrix product: no patch matrix is made). The gradient in
//! the input falls apart into one dense correlation for each remainder of the position by the stride (Dumoulin and Visin 2016, section 4), except where it has but a
//! few channels. Convolutions of many channels with the usual kernels go by fewer multiplications altogether (`winograd`). A 1-D convolution is one of height one.

mod pass;
mod scatter;
mod source;
mod weight;
mod winograd;

use pass::{Outputs, Pass, correlate, pack};
use scatter::scattered;
use source::{Row, Source};
use weight::weight_gradient;

use crate::bias_act::BiasAct;
use crate::panels::Panels;
use crate::tile::copy;

/// Channels of a plane: as many as there are in a vector, or fewer where there are only a few in all.
const DEEP: usize = 16;
const SHALLOW: usize = 4;

/// Extents of a 2-D convolution, all `[height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Input extents of the convolution (output extents of its transpose).
    pub image: [usize; 2],
    /// Kernel extents.
    pub kernel: [usize; 2],
    /// Strides, at least 1.
    pub stride: [usize; 2],
    /// Zero padding on each side.
    pub padding: [usize; 2],
    /// Channel groups; divides input and output channels.
    pub groups: usize,
}

impl ConvGeometry {
    /// Output extents of the convolution: `(image + 2 padding - kernel) / stride + 1`, rounded down.
    pub fn output(&self) -> [usize; 2] {
        [0, 1].map(|i| (self.image[i] + 2 * self.padding[i] - self.kernel[i]) / self.stride[i] + 1)
    }
}

/// A convolution from `inputs` to `outputs` channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Extents.
    pub geometry: ConvGeometry,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
}

impl Conv {
    fn pixels_in(&self) -> usize {
        self.geometry.image[0] * self.geometry.image[1] * self.inputs
    }

    fn pixels_out(&self) -> usize {
        let [h, w] = self.geometry.output();
        h * w * self.outputs
    }

    fn n_weights(&self) -> usize {
        self.taps() * self.inputs / self.geometry.groups * self.outputs
    }

    fn taps(&self) -> usize {
        self.geometry.kernel[0] * self.geometry.kernel[1]
    }

    /// The input image as the forward pass reads it.
    fn source<const D: usize>(&self) -> Source<D> {
        let ConvGeometry { image, padding, groups, .. } = self.geometry;
        let padded = [0, 1].map(|i| image[i] + 2 * padding[i]);
        Source { image, before: padding, padded, groups, depth: self.inputs / groups, row: Row::of(image[1], self.inputs) }
    }

    /// The forward pass.
    fn pass(&self) -> Pass {
        let padded_width = self.geometry.image[1] + 2 * self.geometry.padding[1];
        let output = self.geometry.output();
        Pass::new(self.geometry.kernel, (output, [0, 0], self.geometry.stride, padded_width), ([0, 0], [1, 1], output[1]))
    }

    /// Images of a few channels: what a row of the kernel meets lies together in memory, so that it can be taken for the channels of one pixel of a kernel that is
    /// one pixel wide.
    fn merged(&self) -> (Source<SHALLOW>, Pass) {
        let ConvGeometry { image: [h, w], kernel: [kh, kw], stride: [sh, sw], padding: [ph, pw], .. } = self.geometry;
        let [oh, ow] = self.geometry.output();
        let row = Row { values: w * self.inputs, step: sw * self.inputs, before: pw * self.inputs };
        let source = Source { image: [h, ow], before: [ph, 0], padded: [h + 2 * ph, ow], groups: 1, depth: kw * self.inputs, row };
        (source, Pass::new([kh, 1], ([oh, ow], [0, 0], [sh, 1], ow), ([0, 0], [1, 1], ow)))
    }

    /// Whether [`Conv::merged`] is the way.
    fn is_shallow(&self) -> bool {
        self.geometry.groups == 1 && self.inputs <= SHALLOW
    }
}

/// `x * w`: `x [n, h, w, ci]`, `w [kh, kw, ci / groups, co]` to `[n, oh, ow, co]`; then bias and leaky ReLU, if asked for.
///
/// # Panics
/// If a length does not fit the extents.
pub fn conv_forward(conv: &Conv, x: &[f32], w: &[f32], act: Option<BiasAct<'_>>) -> Vec<f32> {
    check(conv, x.len(), conv.pixels_in(), w);
    assert!(act.is_none_or(|act| act.bias.len() == conv.outputs), "the bias does not fit the output channels");
    if conv.is_shallow() {
        let (source, pass) = conv.merged();
        return forward(conv, source, pass, x, w, act);
    }
    if conv.inputs / conv.geometry.groups <= SHALLOW {
        return forward::<SHALLOW>(conv, conv.source(), conv.pass(), x, w, act);
    }
    winograd::forward(conv, x, w, act).unwrap_or_else(|| forward::<DEEP>(conv, conv.source(), conv.pass(), x, w, act))
}

fn forward<const D: usize>(conv: &Conv, source: Source<D>, pass: Pass, x: &[f32], w: &[f32], act: Option<BiasAct<'_>>) -> Vec<f32> {
    let (depth, cog) = (source.depth, conv.outputs / source.groups);
    let outputs = Outputs { pixels: conv.pixels_out() / conv.outputs, groups: source.groups, panels: Panels::of(cog) };
    let weights = pack::<D>((pass.n_taps(), depth), &outputs, |group, tap, k, first, to| {
        copy(to, &w[(tap * depth + k) * conv.outputs + group * cog + first..][..to.len()]);
    });
    correlate(&source, &[(pass, weights)], &outputs, x, act)
}

/// Gradient in the input: `g [n, oh, ow, co]`, `w` as in [`conv_forward`], to `[n, h, w, ci]`. As a layer it is the transposed convolution.
///
/// # Panics
/// If a length does not fit the extents.
pub fn conv_input(conv: &Conv, g: &[f32], w: &[f32]) -> Vec<f32> {
    check(conv, g.len(), conv.pixels_out(), w);
    if conv.is_shallow() {
        return scattered(conv, g, w);
    }
    if conv.outputs / conv.geometry.groups <= SHALLOW {
        return input::<SHALLOW>(conv, g, w);
    }
    winograd::input(conv, g, w).unwrap_or_else(|| input::<DEEP>(conv, g, w))
}

fn input<const D: usize>(conv: &Conv, g: &[f32], w: &[f32]) -> Vec<f32> {
    let (cig, cog) = (conv.inputs / conv.geometry.groups, conv.outputs / conv.geometry.groups);
    let out = conv.geometry.output();
    let phases = [0, 1].map(|axis| phases(conv, axis));
    let before = [0, 1].map(|axis| phases[axis].iter().map(|p| p.taps.len().saturating_sub(1 + p.start)).max().unwrap_or(0));
    let after = [0, 1].map(|axis| phases[axis].iter().map(|p| (p.start + p.count).saturating_sub(out[axis])).max().unwrap_or(0));
    let padded = [0, 1].map(|axis| before[axis] + out[axis] + after[axis]);
    let row = Row::of(out[1], conv.outputs);
    let source = Source::<D> { image: out, before, padded, groups: conv.geometry.groups, depth: cog, row };
    let outputs =
        Outputs { pixels: conv.geometry.image[0] * conv.geometry.image[1], groups: conv.geometry.groups, panels: Panels::of(cig) };
    let mut passes = Vec::new();
    for vertical in &phases[0] {
        for horizontal in &phases[1] {
            let taps: Vec<usize> =
                vertical.taps.iter().flat_map(|y| horizontal.taps.iter().map(move |x| y * conv.geometry.kernel[1] + x)).collect();
            let axes = [vertical, horizontal];
            let kernel = axes.map(|p| p.taps.len());
            if taps.is_empty() || axes.iter().any(|p| p.count == 0) {
                continue;
            }
            let origin = [0, 1].map(|i| axes[i].start + before[i] + 1 - kernel[i]);
            let reads = (axes.map(|p| p.count), origin, [1, 1], padded[1]);
            let pass = Pass::new(kernel, reads, (axes.map(|p| p.first), conv.geometry.stride, conv.geometry.image[1]));
            let weights = pack::<D>((taps.len(), cog), &outputs, |group, tap, k, first, to| {
                let column = w[(taps[tap] * cig + first) * conv.outputs + group * cog + k..].iter().step_by(conv.outputs);
                to.iter_mut().zip(column).for_each(|(to, w)| *to = *w);
            });
            passes.push((pass, weights));
        }
    }
    correlate(&source, &passes, &outputs, g, None)
}

/// The input positions along one axis that meet the same elements of the kernel.
struct Phase {
    /// The first of them; the others follow every stride.
    first: usize,
    /// How many there are.
    count: usize,
    /// The output position that meets the first one through the first of its kernel elements.
    start: usize,
    /// The kernel elements, in the order of the output positions that they lead to.
    taps: Vec<usize>,
}

fn phases(conv: &Conv, axis: usize) -> Vec<Phase> {
    let (stride, padding, kernel, extent) =
        (conv.geometry.stride[axis], conv.geometry.padding[axis], conv.geometry.kernel[axis], conv.geometry.image[axis]);
    let phase = |remainder: usize| {
        let first = (remainder + stride - padding % stride) % stride;
        Phase {
            first,
            count: extent.saturating_sub(first).div_ceil(stride),
            start: (first + padding) / stride,
            taps: (remainder..kernel).step_by(stride).rev().collect(),
        }
    };
    (0..stride).map(phase).collect()
}

/// Gradient in the weights: `x [n, h, w, ci]`, `g [n, oh, ow, co]` to `[kh, kw, ci / groups, co]`.
///
/// # Panics
/// If a length does not fit the extents.
pub fn conv_weight(conv: &Conv, x: &[f32], g: &[f32]) -> Vec<f32> {
    assert!(x.len().is_multiple_of(conv.pixels_in()), "the images do not fit the extents");
    assert_eq!(g.len(), x.len() / conv.pixels_in() * conv.pixels_out(), "the output gradients do not fit the extents");
    if conv.is_shallow() {
        let (source, pass) = conv.merged();
        return weight_gradient(source, &pass, conv.outputs, x, g);
    }
    if conv.inputs / conv.geometry.groups <= SHALLOW {
        return weight_gradient::<SHALLOW>(conv.source(), &conv.pass(), conv.outputs, x, g);
    }
    winograd::weight(conv, x, g).unwrap_or_else(|| weight_gradient::<DEEP>(conv.source(), &conv.pass(), conv.outputs, x, g))
}

fn check(conv: &Conv, values: usize, per_image: usize, w: &[f32]) {
    assert_eq!(w.len(), conv.n_weights(), "the weights do not fit the extents");
    assert!(values.is_multiple_of(per_image), "the images do not fit the extents");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize, phase: f32) -> Vec<f32> {
        (0..n).map(|i| (1.7 * i as f32 + phase).sin()).collect()
    }

    /// The definition: calls `visit(x index, w index, out index)` for every product of the convolution.
    fn products(conv: &Conv, images: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let [oh, ow] = conv.geometry.output();
        let (cig, cog) = (conv.inputs / conv.geometry.groups, conv.outputs / conv.geometry.groups);
        for n in 0..images {
            for (oy, ox, co) in (0..oh).flat_map(|y| (0..ow).flat_map(move |x| (0..conv.outputs).map(move |c| (y, x, c)))) {
                for (ky, kx, i) in (0..conv.geometry.kernel[0])
                    .flat_map(|y| (0..conv.geometry.kernel[1]).flat_map(move |x| (0..cig).map(move |c| (y, x, c))))
                {
                    let (y, x) = (oy * conv.geometry.stride[0] + ky, ox * conv.geometry.stride[1] + kx);
                    let (Some(y), Some(x)) = (y.checked_sub(conv.geometry.padding[0]), x.checked_sub(conv.geometry.padding[1])) else {
                        continue;
                    };
                    if y < conv.geometry.image[0] && x < conv.geometry.image[1] {
                        let ci = co / cog * cig + i;
                        visit(
                            ((n * conv.geometry.image[0] + y) * conv.geometry.image[1] + x) * conv.inputs + ci,
                            ((ky * conv.geometry.kernel[1] + kx) * cig + i) * conv.outputs + co,
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

    /// All three kernels, and the activation, against the definition.
    fn check_against_definition(conv: &Conv, images: usize) {
        let (x, w) = (wave(images * conv.pixels_in(), 0.1), wave(conv.n_weights(), 0.7));
        let g = wave(images * conv.pixels_out(), 2.3);
        let (mut out, mut dx, mut dw) = (vec![0.0f64; g.len()], vec![0.0f64; x.len()], vec![0.0f64; w.len()]);
        products(conv, images, |i, j, k| {
            let (xv, wv, gv) = (f64::from(x[i]), f64::from(w[j]), f64::from(g[k]));
            out[k] += xv * wv;
            dx[i] += gv * wv;
            dw[j] += gv * xv;
        });
        close(&conv_forward(conv, &x, &w, None), &out, "forward");
        let bias = wave(conv.outputs, 3.1);
        let act = |(i, v): (usize, &f64)| {
            let v = v + f64::from(bias[i % conv.outputs]);
            if v < 0.0 { 0.2 * v } else { v }
        };
        let acted: Vec<f64> = out.iter().enumerate().map(act).collect();
        close(&conv_forward(conv, &x, &w, Some(BiasAct { bias: &bias, slope: 0.2 })), &acted, "with bias and activation");
        close(&conv_weight(conv, &x, &g), &dw, "weight");
        close(&conv_input(conv, &g, &w), &dx, "input");
    }

    #[test]
    fn kernels_agree_with_the_definition_on_many_shapes() {
        let mut tried = 0;
        for image in [[1, 1], [3, 5], [8, 8], [9, 17]] {
            for (kernel, padding) in [
                ([1, 1], [0, 0]),
                ([3, 3], [1, 1]),
                ([4, 4], [1, 1]),
                ([2, 3], [0, 1]),
                ([1, 5], [0, 2]),
                ([3, 3], [0, 0]),
                ([2, 2], [2, 3]),
            ] {
                for stride in [[1, 1], [2, 2], [1, 2], [3, 1]] {
                    for (groups, inputs, outputs) in [(1, 3, 5), (1, 8, 40), (2, 4, 6), (4, 64, 64), (3, 3, 3)] {
                        if (0..2).all(|i| image[i] + 2 * padding[i] >= kernel[i]) {
                            tried += 1;
                            check_against_definition(
                                &Conv { geometry: ConvGeometry { image, kernel, stride, padding, groups }, inputs, outputs },
                                3,
                            );
                        }
                    }
                }
            }
        }
        assert!(tried > 150, "only {tried} shapes");
    }

    #[test]
    fn fewer_multiplications_give_the_same_results() {
        let mut tried = 0;
        for (kernel, stride) in [(2, 1), (3, 1), (4, 2), (6, 2), (6, 3)] {
            for image in [[4, 4], [8, 8], [5, 14], [13, 9]] {
                for padding in [[0, 0], [1, 1], [2, 1]] {
                    for (inputs, outputs, images) in [(32, 48, 3), (48, 32, 1)] {
                        let geometry = ConvGeometry { image, kernel: [kernel; 2], stride: [stride; 2], padding, groups: 1 };
                        let conv = Conv { geometry, inputs, outputs };
                        if (0..2).any(|i| image[i] + 2 * padding[i] < kernel) {
                            continue;
                        }
                        let (x, w) = (wave(images * conv.pixels_in(), 0.1), wave(conv.n_weights(), 0.7));
                        tried += usize::from(winograd::forward(&conv, &x, &w, None).is_some());
                        check_against_definition(&conv, images);
                    }
                }
            }
        }
        assert!(tried > 60, "only {tried} shapes");
        // More tiles than are worked on together, of an image that falls into even parts.
        let geometry = ConvGeometry { image: [69, 65], kernel: [2; 2], stride: [1; 2], padding: [0; 2], groups: 1 };
        check_against_definition(&Conv { geometry, inputs: 32, outputs: 32 }, 1);
    }

    #[test]
    fn no_images_give_no_output_and_zero_gradients() {
        let geometry = ConvGeometry { image: [4, 4], kernel: [3, 3], stride: [1, 1], padding: [1, 1], groups: 1 };
        let conv = Conv { geometry, inputs: 2, outputs: 3 };
        assert!(conv_forward(&conv, &[], &wave(54, 0.0), None).is_empty());
        assert_eq!(conv_weight(&conv, &[], &[]), [0.0; 54]);
        let wide = Conv { geometry, inputs: 96, outputs: 96 };
        assert!(conv_weight(&wide, &[], &[]).iter().all(|v| *v == 0.0));
    }
}
