//! The gradient of a convolution in its weights.

use rayon::prelude::*;

use super::Conv;
use super::pass::Pass;
use super::source::Source;
use crate::panels::{OnPanel, Panels};
use crate::simd::{Body, LANES, Lanes, dispatch};
use crate::tile::{add_products, add_to, copy};

/// Pieces of work.
const PIECES: usize = 16;
/// Gradients up to this many values are summed over pieces of the batch, each for itself, and then added up; larger ones are cut into pieces themselves, each of
/// which is summed over the whole batch.
const SMALL: usize = 1 << 16;
/// Output pixels that are summed in registers before they are added to memory.
const RUN: usize = 128;
/// Input channels of a register tile that is two vectors wide.
const ROWS: usize = 8;

/// `x [n, h, w, ci]`, `g [n, oh, ow, co]` to `[kh, kw, ci / groups, co]`.
pub(super) fn weight_gradient<const D: usize>(conv: &Conv, x: &[f32], g: &[f32]) -> Vec<f32> {
    let layout = Layout::<D>::new(conv);
    let images = x.len() / layout.source.n_values();
    let (n_x, n_g) = (layout.source.n_values(), layout.pass.reads.len() * conv.outputs);
    if conv.n_weights() > SMALL {
        let (mut planes, mut columns) = layout.scratch(images);
        let fill = |((planes, columns), (x, g)): ((&mut [_], &mut [_]), (&[_], &[_]))| layout.fill(x, g, planes, columns);
        let scratch = planes.par_chunks_mut(layout.source.len()).zip(columns.par_chunks_mut(layout.columns_len()));
        scratch.zip(x.par_chunks(n_x).zip(g.par_chunks(n_g))).with_min_len(images.div_ceil(PIECES).max(1)).for_each(fill);
        let per_piece = layout.units().div_ceil(PIECES);
        let mut sum = vec![0.0; layout.units() * layout.unit()];
        sum.par_chunks_mut(per_piece * layout.unit())
            .enumerate()
            .for_each(|(piece, sum)| layout.add(&planes, &columns, piece * per_piece, sum));
        return layout.unpacked(&[sum]);
    }
    let (per_piece, at_once) = (images.div_ceil(PIECES).max(1), layout.at_once());
    let sums = x.par_chunks(per_piece * n_x).zip(g.par_chunks(per_piece * n_g)).map(|(x, g)| {
        let (mut planes, mut columns) = layout.scratch(at_once.min(per_piece));
        let mut sum = vec![0.0; layout.units() * layout.unit()];
        for (x, g) in x.chunks(at_once * n_x).zip(g.chunks(at_once * n_g)) {
            let images = x.len() / n_x;
            let scratch = planes.chunks_mut(layout.source.len()).zip(columns.chunks_mut(layout.columns_len()));
            for ((planes, columns), (x, g)) in scratch.zip(x.chunks(n_x).zip(g.chunks(n_g))) {
                layout.fill(x, g, planes, columns);
            }
            layout.add(&planes[..images * layout.source.len()], &columns[..images * layout.columns_len()], 0, &mut sum);
        }
        sum
    });
    layout.unpacked(&sums.collect::<Vec<_>>())
}

/// How images, output gradients and sums lie in scratch memory.
struct Layout<'a, const D: usize> {
    conv: &'a Conv,
    source: Source<D>,
    pass: Pass,
    /// Output channels of a group.
    panels: Panels,
}

impl<'a, const D: usize> Layout<'a, D> {
    fn new(conv: &'a Conv) -> Self {
        Self { conv, source: conv.source(), pass: conv.pass(), panels: Panels::of(conv.outputs / conv.geometry.groups) }
    }

    /// Values of an image's output gradient, `[group, panel, pixel, width]`.
    fn columns_len(&self) -> usize {
        self.conv.geometry.groups * self.panels.count * self.pass.reads.len() * self.panels.width()
    }

    /// Units of `D` input channels by one panel, in the order `[group, panel, tap, block]`.
    fn units(&self) -> usize {
        self.conv.geometry.groups * self.panels.count * self.pass.n_taps() * self.source.blocks()
    }

    /// Values of a unit.
    fn unit(&self) -> usize {
        D * self.panels.width()
    }

    /// Images that are summed before going on to the next unit.
    fn at_once(&self) -> usize {
        RUN.div_ceil(self.pass.reads.len().max(1))
    }

    /// Zeroed planes and columns of some images.
    fn scratch(&self, images: usize) -> (Vec<[f32; D]>, Vec<f32>) {
        (vec![[0.0; D]; images * self.source.len()], vec![0.0; images * self.columns_len()])
    }

    /// Lays out one image and its output gradient.
    fn fill(&self, x: &[f32], g: &[f32], planes: &mut [[f32; D]], columns: &mut [f32]) {
        self.source.fill(x, planes);
        let (pixels, width) = (self.pass.reads.len(), self.panels.width());
        for (pixel, values) in g.chunks_exact(self.conv.outputs).enumerate() {
            for (group, values) in values.chunks_exact(self.panels.columns).enumerate() {
                for (panel, values) in values.chunks(width).enumerate() {
                    let to = ((group * self.panels.count + panel) * pixels + pixel) * width;
                    copy(&mut columns[to..to + values.len()], values);
                }
            }
        }
    }

    /// Adds images to the units from number `first` on that `sum` has room for.
    fn add(&self, planes: &[[f32; D]], columns: &[f32], first: usize, sum: &mut [f32]) {
        match self.panels.vectors {
            1 => dispatch(Weight::<D, 1> { layout: self, planes, columns, first, sum }),
            _ => dispatch(Weight::<D, 2> { layout: self, planes, columns, first, sum }),
        }
    }

    /// The total of some sums as `[kh, kw, ci / groups, co]`.
    fn unpacked(&self, sums: &[Vec<f32>]) -> Vec<f32> {
        let (depth, taps, blocks, outputs) = (self.source.depth, self.pass.n_taps(), self.source.blocks(), self.conv.outputs);
        let mut dw = vec![0.0; self.conv.n_weights()];
        dw.par_chunks_mut(outputs).with_min_len((1 << 14) / outputs + 1).enumerate().for_each(|(row, values)| {
            let (tap, k) = (row / depth, row % depth);
            for (group, values) in values.chunks_exact_mut(self.panels.columns).enumerate() {
                for (panel, values) in values.chunks_mut(self.panels.width()).enumerate() {
                    let from = (((group * self.panels.count + panel) * taps + tap) * blocks * D + k) * self.panels.width();
                    for sum in sums {
                        values.iter_mut().zip(&sum[from..]).for_each(|(value, sum)| *value += sum);
                    }
                }
            }
        });
        dw
    }
}

/// The work of [`Layout::add`].
struct Weight<'a, const D: usize, const S: usize> {
    layout: &'a Layout<'a, D>,
    planes: &'a [[f32; D]],
    columns: &'a [f32],
    first: usize,
    sum: &'a mut [f32],
}

impl<const D: usize, const S: usize> Body for Weight<'_, D, S> {
    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        let Layout { source, pass, panels, .. } = self.layout;
        let taps: Vec<usize> = pass.taps(source.padded[1]).collect();
        let (images, at_once) = (self.planes.len() / source.len(), self.layout.at_once());
        for start in (0..images).step_by(at_once) {
            let images = start..(start + at_once).min(images);
            for unit in 0..self.sum.len() / self.layout.unit() {
                let number = self.first + unit;
                let (block, rest) = (number % source.blocks(), number / source.blocks());
                let (tap, group_panel) = (taps[rest % taps.len()], rest / taps.len());
                let (group, panel) = (group_panel / panels.count, group_panel % panels.count);
                let place = (images.clone(), group * source.blocks() + block, group_panel, tap);
                panels.by_vectors::<L, S>(panel, &mut Unit { work: &mut self, unit, place });
            }
        }
    }
}

/// The images, the plane, the group's panel and the tap of a unit.
type Place = (std::ops::Range<usize>, usize, usize, usize);

/// One unit over some images.
struct Unit<'w, 'a, const D: usize, const S: usize> {
    work: &'w mut Weight<'a, D, S>,
    unit: usize,
    place: Place,
}

impl<const D: usize, const S: usize> OnPanel for Unit<'_, '_, D, S> {
    #[inline(always)]
    fn run<L: Lanes, const V: usize>(&mut self, _: usize) {
        // As many rows as there are registers for their sums.
        if V == 1 || D <= ROWS {
            return self.work.tile::<L, D, V>(self.unit, 0, self.place.clone());
        }
        for row in (0..D).step_by(ROWS) {
            self.work.tile::<L, ROWS, V>(self.unit, row, self.place.clone());
        }
    }
}

impl<const D: usize, const S: usize> Weight<'_, D, S> {
    /// Adds `R` input channels from `row` on, over all output pixels of some images.
    #[inline(always)]
    fn tile<L: Lanes, const R: usize, const V: usize>(&mut self, unit: usize, row: usize, (images, plane, group_panel, tap): Place) {
        let Layout { conv, source, pass, .. } = self.layout;
        let (width, pixels, out_width) = (S * LANES, pass.reads.len(), conv.geometry.output()[1]);
        let mut acc = [[L::splat(0.0); V]; R];
        for image in images {
            let plane = &self.planes[image * source.len() + plane * source.plane()..][..source.plane()];
            let columns = self.layout.columns_len() * image + group_panel * pixels * width;
            let (vectors, _) = self.columns[columns..][..pixels * width].as_chunks::<LANES>();
            let (columns, _) = vectors.as_chunks::<S>();
            for (reads, columns) in pass.reads.chunks(out_width).zip(columns.chunks(out_width)) {
                let pixels = plane[reads[0] as usize + tap..].iter().step_by(conv.geometry.stride[1]);
                for (x, g) in pixels.zip(columns) {
                    let x: &[f32; R] = x[row..].first_chunk().expect("a tile is no higher than what is left of a plane");
                    add_products(&mut acc, |i| x[i], g);
                }
            }
        }
        for (i, acc) in acc.iter().enumerate() {
            add_to(acc, &mut self.sum[((unit * D + row + i) * width)..][..V * LANES]);
        }
    }
}
