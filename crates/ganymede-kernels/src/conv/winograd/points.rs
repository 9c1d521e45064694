//! Windows of images brought to points, one row of points at a time.

use std::marker::PhantomData;

use super::Scheme;
use super::tiling::Reach;
use crate::simd::{Body, LANES, Lanes, dispatch};

/// Images `[n, extents, channels]` and where the values of their tiles lie.
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

impl<'a> Windows<'a> {
    /// The channels from `first` on of a tile's values in rows `ys`, and in `M` columns; `zeros`, of as many channels, for what lies outside the image.
    #[inline(always)]
    pub fn of_tile<const N: usize, const M: usize>(
        &self,
        [image, ty, tx]: Place,
        ys: [usize; N],
        first: usize,
        zeros: &'a [f32],
    ) -> [[&'a [[f32; LANES]]; M]; N] {
        let [height, width] = self.extents;
        let mut found = [[zeros.as_chunks::<LANES>().0; M]; N];
        for (row, y) in found.iter_mut().zip(ys) {
            let Some(y) = self.reach[0].at(ty, y) else { continue };
            for (x, found) in row.iter_mut().enumerate() {
                if let Some(x) = self.reach[1].at(tx, x) {
                    *found = self.values[((image * height + y) * width + x) * self.channels + first..][..zeros.len()].as_chunks().0;
                }
            }
        }
        found
    }

    /// The row of points that is made of rows `terms` of each window, for as many channels from `first` on as there are `zeros`.
    pub fn points<S: Scheme<R, T>, const R: usize, const T: usize>(
        &self,
        tiles: &[Place],
        first: usize,
        terms: &[(usize, f32)],
        zeros: &[f32],
        to: To<'_>,
    ) {
        let scheme = PhantomData::<S>;
        match terms {
            [only] => dispatch(Row { windows: self, tiles, first, terms: [*only], zeros, to, scheme }),
            [a, b] => dispatch(Row { windows: self, tiles, first, terms: [*a, *b], zeros, to, scheme }),
            _ => unreachable!("a row of points is made of one or two rows"),
        }
    }
}

struct Row<'a, S, const N: usize, const R: usize, const T: usize> {
    windows: &'a Windows<'a>,
    tiles: &'a [Place],
    first: usize,
    terms: [(usize, f32); N],
    zeros: &'a [f32],
    to: To<'a>,
    scheme: PhantomData<S>,
}

impl<S: Scheme<R, T>, const N: usize, const R: usize, const T: usize> Body for Row<'_, S, N, R, T> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let To { values: to, per_point, per_block } = self.to;
        let ys = self.terms.map(|(y, _)| y);
        for (number, place) in self.tiles.iter().copied().enumerate() {
            let from: [[&[[f32; LANES]]; T]; N] = self.windows.of_tile(place, ys, self.first, self.zeros);
            for block in 0..self.zeros.len() / LANES {
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
