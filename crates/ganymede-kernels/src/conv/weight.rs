//! The gradient of a convolution in its weights.

use std::ops::Range;

use super::pass::Pass;
use super::source::Source;
use crate::fill::filled;
use crate::panels::{OnPanel, Panels};
use crate::scratch::with_scratch;
use crate::simd::{Body, LANES, Lanes, dispatch, moving};
use crate::threads::{map, threads};
use crate::tile::{Run, add_products, add_to, copy, sums};

/// Pieces of work.
const PIECES: usize = 16;
/// Gradients up to this many values are summed over pieces of the batch, each for itself, and then added up; larger ones are cut into pieces themselves, each of
/// which is summed over the whole batch.
const SMALL: usize = 1 << 16;
/// Values of a gradient that are added up at once.
const SUMMED: usize = 1 << 12;
/// Vectors of output gradients that are summed in registers before the sums are added to memory: with the input that they meet they fit the innermost cache.
const RUN: usize = 256;
/// Input channels of a register tile that is two vectors wide.
const ROWS: usize = 8;

/// `x [n, image]`, `g [n, output pixels, outputs]` to `[taps, depth of a group, outputs]`.
pub(super) fn weight_gradient<const D: usize>(source: Source<D>, pass: &Pass, outputs: usize, x: &[f32], g: &[f32]) -> Vec<f32> {
    let images = x.len() / source.n_values();
    let layout = Layout::new(source, pass, outputs, images);
    let rows = pass.n_taps() * source.depth;
    let n_weights = rows * outputs;
    if n_weights > SMALL {
        // Blocks stay whole. Each piece lays out all images for itself, so that there are no more of them than keep the threads busy; how many changes no sum.
        let unit = if source.depth.is_multiple_of(D) { D } else { source.depth };
        let pieces = (2 * threads()).min(PIECES);
        let piece = (rows / unit).div_ceil(pieces) * unit;
        return filled(n_weights, piece * outputs, pieces, || (), |(), i, out| layout.sum(x, g, i * piece, out));
    }
    let per_piece = images.div_ceil(PIECES).max(1);
    let pieces = x.chunks(per_piece * source.n_values()).zip(g.chunks(per_piece * layout.pixels * outputs));
    let sums = map(pieces, |_, (x, g)| {
        let mut sum = vec![0.0; n_weights];
        layout.sum(x, g, 0, &mut sum);
        sum
    });
    let total = |(): &mut (), i: usize, total: &mut [f32]| {
        for sum in &sums {
            total.iter_mut().zip(&sum[i * SUMMED..]).for_each(|(total, value)| *total += value);
        }
    };
    filled(n_weights, SUMMED, PIECES, || (), total)
}

/// How some images and their output gradients lie in memory while they are worked on.
struct Layout<const D: usize> {
    source: Source<D>,
    /// Images.
    images: usize,
    /// Output pixels of an image.
    pixels: usize,
    /// For each output pixel of all images, the pixel of a plane under the kernel's first element.
    reads: Vec<usize>,
    /// Distance of each kernel element's pixel from the first one's.
    taps: Vec<usize>,
    /// Output channels of a group.
    panels: Panels,
}

impl<const D: usize> Layout<D> {
    fn new(source: Source<D>, pass: &Pass, outputs: usize, images: usize) -> Self {
        let pixels = pass.reads.len();
        let panels = Panels::of(outputs / source.groups);
        let images = (RUN / panels.vectors).div_ceil(pixels.max(1)).min(images.max(1));
        let reads = (0..images).flat_map(|image| pass.reads.iter().map(move |read| image * source.len() + *read as usize)).collect();
        Self { source, images, pixels, reads, taps: pass.taps(source.padded[1]).collect(), panels }
    }

    /// Output channels.
    fn outputs(&self) -> usize {
        self.source.groups * self.panels.columns
    }

    /// Adds all images to the rows of the gradient from number `first` on, as many as `sum` holds, on this thread.
    fn sum(&self, x: &[f32], g: &[f32], first: usize, sum: &mut [f32]) {
        let (n_x, n_g) = (self.source.n_values(), self.pixels * self.outputs());
        let planes_len = self.images * self.source.len() * D;
        let columns_len = self.source.groups * self.panels.count * self.reads.len() * self.panels.width();
        with_scratch(planes_len + columns_len, |space| {
            let (planes, columns) = space.split_at_mut(planes_len);
            planes.fill(0.0);
            let (planes, _) = planes.as_chunks_mut();
            for (x, g) in x.chunks(self.images * n_x).zip(g.chunks(self.images * n_g)) {
                moving(|| {
                    for (x, planes) in x.chunks_exact(n_x).zip(planes.chunks_exact_mut(self.source.len())) {
                        self.source.fill(x, planes);
                    }
                    self.fill(g, columns);
                });
                let (planes, columns, pixels) = (&*planes, &*columns, g.len() / self.outputs());
                match self.panels.vectors {
                    1 => dispatch(Weight::<D, 1> { layout: self, planes, columns, pixels, first, sum }),
                    _ => dispatch(Weight::<D, 2> { layout: self, planes, columns, pixels, first, sum }),
                }
            }
        });
    }

    /// Lays out output gradients as `[group, panel, pixel, width]`. What lies beyond the last channel is anything: its products are never stored.
    #[inline(always)]
    fn fill(&self, g: &[f32], columns: &mut [f32]) {
        let (pixels, width) = (self.reads.len(), self.panels.width());
        for (pixel, values) in g.chunks_exact(self.outputs()).enumerate() {
            for (group, values) in values.chunks_exact(self.panels.columns).enumerate() {
                for (panel, values) in values.chunks(width).enumerate() {
                    let to = ((group * self.panels.count + panel) * pixels + pixel) * width;
                    copy(&mut columns[to..to + values.len()], values);
                }
            }
        }
    }
}

/// Adds what is laid out to some rows of the gradient.
struct Weight<'a, const D: usize, const S: usize> {
    layout: &'a Layout<D>,
    planes: &'a [[f32; D]],
    columns: &'a [f32],
    /// Output pixels that are laid out.
    pixels: usize,
    /// Number of the first row.
    first: usize,
    sum: &'a mut [f32],
}

impl<const D: usize, const S: usize> Body for Weight<'_, D, S> {
    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        let Layout { source, reads, taps, panels, .. } = self.layout;
        let rows = self.sum.len() / self.layout.outputs();
        let run = RUN / S;
        let mut strip = [[0.0; D]; RUN];
        for start in (0..self.pixels).step_by(run) {
            let pixels = start..(start + run).min(self.pixels);
            let mut row = 0;
            while row < rows {
                let (tap, k) = ((self.first + row) / source.depth, (self.first + row) % source.depth);
                let count = (source.depth - k).min(D);
                for group in 0..source.groups {
                    let block = Block { pixels: pixels.clone(), group, row, count };
                    let plane = &self.planes[(group * source.blocks() + k / D) * source.plane() + taps[tap]..];
                    let reads = &reads[pixels.clone()];
                    if panels.count == 1 {
                        panels.each::<L, S>(&mut OnBlock { work: &mut self, x: |i: usize| &plane[reads[i]], block });
                        continue;
                    }
                    // Side by side in memory they are there when the products need them, once for each panel.
                    for (to, read) in strip.iter_mut().zip(reads) {
                        *to = plane[*read];
                    }
                    panels.each::<L, S>(&mut OnBlock { work: &mut self, x: |i: usize| &strip[i], block });
                }
                row += count;
            }
        }
    }
}

/// Input channels under one tap.
struct Block {
    /// Output pixels.
    pixels: Range<usize>,
    group: usize,
    /// Its first row in `sum`.
    row: usize,
    /// Its rows.
    count: usize,
}

/// A block, and `x(i)`, what its pixel number `i` meets.
struct OnBlock<'w, 'a, X, const D: usize, const S: usize> {
    work: &'w mut Weight<'a, D, S>,
    x: X,
    block: Block,
}

impl<'x, X: Fn(usize) -> &'x [f32; D], const D: usize, const S: usize> OnPanel for OnBlock<'_, '_, X, D, S> {
    #[inline(always)]
    fn run<L: Lanes, const V: usize>(&mut self, panel: usize) {
        // As many rows as there are registers for their sums.
        if V == 1 || D <= ROWS {
            return self.work.tile::<L, D, V>(0, panel, &self.x, &self.block);
        }
        for first in (0..self.block.count).step_by(ROWS) {
            self.work.tile::<L, ROWS, V>(first, panel, &self.x, &self.block);
        }
    }
}

impl<const D: usize, const S: usize> Weight<'_, D, S> {
    /// Adds `R` input channels of a block from `first` on.
    #[inline(always)]
    fn tile<'x, L: Lanes, const R: usize, const V: usize>(
        &mut self,
        first: usize,
        panel: usize,
        x: &impl Fn(usize) -> &'x [f32; D],
        block: &Block,
    ) {
        let Layout { reads, panels, .. } = self.layout;
        let width = S * LANES;
        let columns = &self.columns[((block.group * panels.count + panel) * reads.len() + block.pixels.start) * width..];
        let (vectors, _) = columns.as_chunks::<LANES>();
        let (columns, _) = vectors.as_chunks::<S>();
        let acc = sums::<L, V, R>(&Channels { x: &|i| x(i).as_slice(), first, columns: &columns[..block.pixels.len()] });
        let (outputs, column) = (self.layout.outputs(), block.group * panels.columns + panel * width);
        for (i, acc) in acc.iter().enumerate().take(block.count.saturating_sub(first)) {
            add_to(acc, &mut self.sum[(block.row + first + i) * outputs + column..][..panels.columns_in(panel)]);
        }
    }
}

/// Channels of what pixels meet, from `first` on, by columns.
struct Channels<'a, X, const S: usize> {
    x: &'a X,
    first: usize,
    columns: &'a [[[f32; LANES]; S]],
}

impl<'x, X: Fn(usize) -> &'x [f32], const S: usize> Run for Channels<'_, X, S> {
    #[inline(always)]
    fn add<L: Lanes, const V: usize, const R: usize>(&self, acc: &mut [[L; V]; R], row: usize, vector: usize) {
        for (i, g) in self.columns.iter().enumerate() {
            let x: &[f32; R] = (self.x)(i)[self.first + row..].first_chunk().expect("a tile is no higher than what is left of a block");
            add_products(acc, |i| x[i], &g[vector..]);
        }
    }
}
