//! A dense correlation of laid-out images with a kernel: the whole of a forward pass, and each phase of an input gradient.

use super::source::Source;
use crate::bias_act::BiasAct;
use crate::fill::filled;
use crate::panels::{OnPanel, Panels};
use crate::simd::{Body, LANES, Lanes, dispatch, moving};
use crate::tile::{Run, add_rows, add_to, sums};

/// Units of work that the images of a batch are cut into.
const PIECES: usize = 16;
/// Outputs that go by the weights together at least, where there are images enough.
const TOGETHER: usize = 128;
/// Vectors of weights that are used at once: 16 KiB.
pub(super) const WEIGHTS_AT_ONCE: usize = 256;

/// Where outputs lie and what they read.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    /// Kernel extents.
    pub kernel: [usize; 2],
    /// Outputs of a row.
    pub row: usize,
    /// For each output, the pixel of a plane under the kernel's first element.
    pub reads: Vec<u32>,
    /// For each output, its pixel in the whole output image.
    pub writes: Vec<u32>,
}

impl Pass {
    /// Outputs `count` that read from `origin` on every `stride` pixels of a plane of width `padded_width` and lie from `first` on every `step` pixels of an
    /// image of width `out_width`. All `[vertical, horizontal]`.
    pub fn new(
        kernel: [usize; 2],
        (count, origin, stride, padded_width): ([usize; 2], [usize; 2], [usize; 2], usize),
        (first, step, out_width): ([usize; 2], [usize; 2], usize),
    ) -> Self {
        let outputs = || (0..count[0]).flat_map(move |y| (0..count[1]).map(move |x| [y, x]));
        let index = |at: [usize; 2], from: [usize; 2], by: [usize; 2], width: usize| {
            ((from[0] + at[0] * by[0]) * width + from[1] + at[1] * by[1]) as u32
        };
        Self {
            kernel,
            row: count[1],
            reads: outputs().map(|at| index(at, origin, stride, padded_width)).collect(),
            writes: outputs().map(|at| index(at, first, step, out_width)).collect(),
        }
    }

    /// Distance of each kernel element's pixel from the first one's.
    pub fn taps(&self, padded_width: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.kernel[0]).flat_map(move |y| (0..self.kernel[1]).map(move |x| y * padded_width + x))
    }

    /// The same over several images whose planes and outputs lie one after the other.
    fn over(&self, images: usize, source_len: usize, pixels: usize) -> Self {
        let repeat = |of: &[u32], step: usize| (0..images).flat_map(|image| of.iter().map(move |i| i + (image * step) as u32)).collect();
        Self { reads: repeat(&self.reads, source_len), writes: repeat(&self.writes, pixels), ..*self }
    }

    /// Kernel elements.
    pub fn n_taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }
}

/// Output channels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outputs {
    /// Pixels of the whole output image.
    pub pixels: usize,
    /// Groups.
    pub groups: usize,
    /// Channels of a group.
    pub panels: Panels,
}

/// Weights of a pass as `[group, panel, tap, block, D]` rows of a register tile's width. `row(group, tap, k, first, to)` writes the weights from one tap and
/// input channel to the output channels from `first` on, as many as `to` holds.
pub(super) fn pack<const D: usize>(
    (taps, depth): (usize, usize),
    outputs: &Outputs,
    row: impl Fn(usize, usize, usize, usize, &mut [f32]) + Sync + Send,
) -> Vec<f32> {
    let Outputs { groups, panels, .. } = *outputs;
    let (width, lanes) = (panels.width(), depth.div_ceil(D) * D);
    let unit = taps * lanes * width;
    filled(
        groups * panels.count * unit,
        unit,
        PIECES,
        || (),
        |(), number, packed| {
            let (group, panel) = (number / panels.count, number % panels.count);
            let channels = panels.columns_in(panel);
            moving(|| {
                for tap in 0..taps {
                    for k in 0..depth {
                        row(group, tap, k, panel * width, &mut packed[(tap * lanes + k) * width..][..channels]);
                    }
                }
            });
        },
    )
}

/// All passes over all images: `x [n, h, w, channels]` to `[n, output pixels, output channels]`. What no pass writes is zero.
pub(super) fn correlate<const D: usize>(
    source: &Source<D>,
    passes: &[(Pass, Vec<f32>)],
    outputs: &Outputs,
    x: &[f32],
    act: Option<BiasAct<'_>>,
) -> Vec<f32> {
    let images = x.len() / source.n_values();
    let (n_x, n_y) = (source.n_values(), outputs.pixels * outputs.groups * outputs.panels.columns);
    // Small images go by together, so that the weights are read less often.
    let at_once = TOGETHER.div_ceil(outputs.pixels.max(1)).min(images.div_ceil(PIECES)).max(1);
    let passes: Vec<_> = passes.iter().map(|(pass, weights)| (pass.over(at_once, source.len(), outputs.pixels), weights)).collect();
    filled(
        images * n_y,
        at_once * n_y,
        PIECES,
        || vec![[0.0; D]; at_once * source.len()],
        |planes, i, out| {
            let images = out.len() / n_y;
            moving(|| {
                for (x, planes) in x[i * at_once * n_x..].chunks_exact(n_x).zip(planes.chunks_exact_mut(source.len())).take(images) {
                    source.fill(x, planes);
                }
            });
            for (pass, weights) in &passes {
                let (planes, pixels, row) = (&planes[..], pass.reads.len() / at_once * images, pass.row);
                let blocks = |tap| (0..source.blocks()).map(move |block| block * source.plane() + tap);
                let steps = &pass.taps(source.padded[1]).flat_map(blocks).collect::<Vec<_>>();
                let work = Work { source, pass, outputs, pixels, group: 0, steps, planes, weights, out };
                match (outputs.panels.vectors, pixels) {
                    (1, 16..) if row.is_multiple_of(16) => dispatch(Correlate::<D, 16, 1>(work)),
                    (1, ..8) => dispatch(Correlate::<D, 4, 1>(work)),
                    (1, _) => dispatch(Correlate::<D, 8, 1>(work)),
                    (_, ..8) => dispatch(Correlate::<D, 4, 2>(work)),
                    (_, _) => dispatch(Correlate::<D, 8, 2>(work)),
                }
            }
            if let Some(act) = act {
                dispatch(act.on(out));
            }
        },
    )
}

/// One pass over some images.
struct Work<'a, const D: usize> {
    source: &'a Source<D>,
    pass: &'a Pass,
    outputs: &'a Outputs,
    /// Outputs of all images.
    pixels: usize,
    /// The group that is worked on.
    group: usize,
    /// For each tap and block, how far its pixel is from the first one's.
    steps: &'a [usize],
    planes: &'a [[f32; D]],
    weights: &'a [f32],
    out: &'a mut [f32],
}

/// [`Work`] by tiles of `P` outputs by `S` vectors of output channels.
struct Correlate<'a, const D: usize, const P: usize, const S: usize>(Work<'a, D>);

impl<const D: usize, const P: usize, const S: usize> Body for Correlate<'_, D, P, S> {
    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        for group in 0..self.0.outputs.groups {
            self.0.group = group;
            self.0.outputs.panels.each::<L, S>(&mut self);
        }
    }
}

impl<const D: usize, const P: usize, const S: usize> OnPanel for Correlate<'_, D, P, S> {
    #[inline(always)]
    fn run<L: Lanes, const V: usize>(&mut self, panel: usize) {
        let Work { source, pass, pixels, group, .. } = self.0;
        let Outputs { groups, panels, .. } = *self.0.outputs;
        let (width, channels) = (S * LANES, panels.columns_in(panel));
        let planes = &self.0.planes[group * source.blocks() * source.plane()..];
        let size = pass.n_taps() * source.blocks() * D * width;
        let weights = &self.0.weights[(group * panels.count + panel) * size..][..size];
        let (vectors, _) = weights.as_chunks::<LANES>();
        let (rows, _) = vectors.as_chunks::<S>();
        let (blocks, _) = rows.as_chunks::<D>();
        // So much of the weights that it stays in the innermost cache while all outputs go by.
        let depth = WEIGHTS_AT_ONCE / (D * S);
        for (steps, blocks) in self.0.steps.chunks(depth).zip(blocks.chunks(depth)) {
            for start in (0..pixels).step_by(P) {
                // The last tile may have fewer outputs; the others repeat its last one and are dropped.
                let at: [usize; P] = std::array::from_fn(|p| (start + p).min(pixels - 1));
                let tile = tile::<L, D, P, S, V>(planes, at.map(|i| pass.reads[i] as usize), steps.iter().copied(), blocks);
                for p in 0..P {
                    if start + p < pixels {
                        let to = (pass.writes[at[p]] as usize * groups + group) * panels.columns + panel * width;
                        add_to(&tile[p], &mut self.0.out[to..to + channels]);
                    }
                }
            }
        }
    }
}

/// `P` outputs, summed in registers over some taps and blocks.
#[inline(always)]
pub(super) fn tile<L: Lanes, const D: usize, const P: usize, const S: usize, const V: usize>(
    planes: &[[f32; D]],
    reads: [usize; P],
    steps: impl Iterator<Item = usize> + Clone,
    blocks: &[[[[f32; LANES]; S]; D]],
) -> [[L; V]; P] {
    let are_neighbours = (1..P).all(|p| reads[p] == reads[0] + p);
    if are_neighbours {
        sums(&Neighbours { planes, first: reads[0], steps, blocks })
    } else {
        sums(&Pixels { planes, reads, steps, blocks })
    }
}

/// Pixels that lie side by side in memory, under some taps and blocks: they need but one address.
struct Neighbours<'a, I, const D: usize, const S: usize> {
    planes: &'a [[f32; D]],
    first: usize,
    steps: I,
    blocks: &'a [[[[f32; LANES]; S]; D]],
}

impl<I: Iterator<Item = usize> + Clone, const D: usize, const S: usize> Run for Neighbours<'_, I, D, S> {
    #[inline(always)]
    fn add<L: Lanes, const V: usize, const R: usize>(&self, acc: &mut [[L; V]; R], row: usize, vector: usize) {
        for (step, block) in self.steps.clone().zip(self.blocks) {
            let pixels: &[[f32; D]; R] = self.planes[self.first + row + step..].first_chunk().expect("a tile's last pixel is in the plane");
            add_rows(acc, |p, i| pixels[p][i], block, vector);
        }
    }
}

/// Pixels anywhere, under some taps and blocks.
struct Pixels<'a, I, const D: usize, const P: usize, const S: usize> {
    planes: &'a [[f32; D]],
    reads: [usize; P],
    steps: I,
    blocks: &'a [[[[f32; LANES]; S]; D]],
}

impl<I: Iterator<Item = usize> + Clone, const D: usize, const P: usize, const S: usize> Run for Pixels<'_, I, D, P, S> {
    #[inline(always)]
    fn add<L: Lanes, const V: usize, const R: usize>(&self, acc: &mut [[L; V]; R], row: usize, vector: usize) {
        let reads: &[usize; R] = self.reads[row..].first_chunk().expect("the rows are those of the tile");
        for (step, block) in self.steps.clone().zip(self.blocks) {
            let pixels: [&[f32; D]; R] = std::array::from_fn(|p| &self.planes[reads[p] + step]);
            add_rows(acc, |p, i| pixels[p][i], block, vector);
        }
    }
}
