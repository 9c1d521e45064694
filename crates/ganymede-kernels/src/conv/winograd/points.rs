//! Windows of images brought to points, one row of points at a time.

use std::marker::PhantomData;
use std::ops::Range;

use super::Scheme;
use super::tiling::Reach;
use crate::simd::{Body, LANES, Lanes, dispatch};

/// Images `[n, extents, channels]` and where the windows of their tiles lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows<'a> {
    pub values: &'a [f32],
    pub extents: [usize; 2],
    pub channels: usize,
    pub reach: &'a [Reach; 2],
}

/// A tile: its image, row and column.
pub(super) type Place = [usize; 3];

/// Where points go: block `b` of tile `t` of point `x` to `x * per_point + b * per_block + t`.
#[derive(Debug)]
pub(super) struct To<'a> {
    pub values: &'a mut [[f32; LANES]],
    pub per_point: usize,
    pub per_block: usize,
}

impl Windows<'_> {
    /// The row of points that is made of rows `terms` of each window, for some channels. `zeros` are as many as there are such channels.
    pub fn points<S: Scheme<R, T>, const R: usize, const T: usize>(
        &self,
        tiles: &[Place],
        channels: Range<usize>,
        terms: &[(usize, f32)],
        zeros: &[f32],
        to: To<'_>,
    ) {
        let scheme = PhantomData::<S>;
        match terms {
            [only] => dispatch(Row { windows: self, tiles, channels, terms: [*only], zeros, to, scheme }),
            [a, b] => dispatch(Row { windows: self, tiles, channels, terms: [*a, *b], zeros, to, scheme }),
            _ => unreachable!("a row of points is made of one or two rows"),
        }
    }
}

struct Row<'a, S, const N: usize, const R: usize, const T: usize> {
    windows: &'a Windows<'a>,
    tiles: &'a [Place],
    channels: Range<usize>,
    terms: [(usize, f32); N],
    zeros: &'a [f32],
    to: To<'a>,
    scheme: PhantomData<S>,
}

impl<S: Scheme<R, T>, const N: usize, const R: usize, const T: usize> Body for Row<'_, S, N, R, T> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Windows { values, extents: [height, width], channels, reach } = *self.windows;
        let (first, n) = (self.channels.start, self.channels.len());
        let To { values: to, per_point, per_block } = self.to;
        for (number, [image, ty, tx]) in self.tiles.iter().copied().enumerate() {
            let mut from = [[self.zeros.as_chunks::<LANES>().0; T]; N];
            for (row, (i, _)) in from.iter_mut().zip(self.terms) {
                let Some(y) = reach[0].at(ty, i) else { continue };
                for (j, from) in row.iter_mut().enumerate() {
                    if let Some(x) = reach[1].at(tx, j) {
                        *from = values[((image * height + y) * width + x) * channels + first..][..n].as_chunks().0;
                    }
                }
            }
            for block in 0..n / LANES {
                let mut row = [L::splat(0.0); T];
                for (from, (_, factor)) in from.iter().zip(self.terms) {
                    for x in 0..T {
                        row[x] = row[x].add_product(L::load(&from[x][block]), L::splat(factor));
                    }
                }
                let points = S::window(row);
                for x in 0..T {
                    points[x].store(&mut to[x * per_point + block * per_block + number]);
                }
            }
        }
    }
}
