//! Results of all tiles: the forward pass and the gradient in the input.

use std::marker::PhantomData;

use super::points::{Place, To, Windows};
use super::tiling::{Phase, Tiling};
use super::{Scheme, TILE, factors, terms};
use crate::bias_act::BiasAct;
use crate::conv::pass::{WEIGHTS_AT_ONCE, tile};
use crate::fill::filled;
use crate::panels::{OnPanel, Panels};
use crate::scratch::with_scratch;
use crate::simd::{Body, LANES, Lanes, dispatch};
use crate::threads::threads;
use crate::tile::{add_to, store};

/// Tiles that are worked on together: a row of their points stays in the second cache while its weights go by.
const TOGETHER: usize = 128;
/// Tiles of a register tile.
const ROWS: usize = 8;

/// `x [n, image, depth]` to `[n, results, columns]`; `weights [phase, panel, point, window and depth, width]`.
pub(super) fn product<S: Scheme<R, T>, const R: usize, const T: usize>(
    tiling: &Tiling,
    weights: &[f32],
    x: &[f32],
    act: Option<BiasAct<'_>>,
) -> Vec<f32> {
    let n_x = tiling.image[0] * tiling.image[1] * tiling.depth;
    let n_y = tiling.results[0] * tiling.results[1] * tiling.columns;
    let images = x.len() / n_x;
    let (at_once, parts) = units(tiling, images);
    let unit = at_once * n_y / parts;
    let places = tiling.places(at_once);
    let panels = Panels::of(tiling.columns);
    let (of_window, of_results) = (factors(S::window), factors(S::results));
    filled(
        images * n_y,
        unit,
        (images * n_y).div_ceil(unit.max(1)),
        || vec![0.0; tiling.depth],
        |zeros, number, out| {
            let (image, part) = (number / parts * at_once, number % parts);
            let x = &x[image * n_x..][..(out.len() / n_y).max(1) * n_x];
            let n_tiles = places.len() / parts * out.len() / unit;
            let tiles = &places[part * n_tiles..][..n_tiles];
            for (number, phase) in tiling.phases.iter().enumerate() {
                let blocks = phase.windows.len() * tiling.depth / LANES;
                let weights_len = panels.count * T * T * blocks * LANES * panels.width();
                let weights = &weights[number * weights_len..][..weights_len];
                let n_points = T * n_tiles * blocks * LANES;
                with_scratch(n_points + T * n_tiles * tiling.columns, |space| {
                    let (points, sums) = space.split_at_mut(n_points);
                    let (points, _) = points.as_chunks_mut();
                    for row in 0..T {
                        for (window, reach) in phase.windows.iter().enumerate() {
                            let windows = Windows { values: x, extents: tiling.image, channels: tiling.depth, reach };
                            let values = &mut points[window * tiling.depth / LANES * n_tiles..];
                            let to = To { values, per_point: blocks * n_tiles, per_block: n_tiles };
                            windows.points::<S, R, T>(tiles, 0, &terms(of_window[row].into_iter()), zeros, to);
                        }
                        dispatch(Sums::<T> { panels, row, blocks, n_tiles, points, weights, sums });
                        for (y, factor) in terms(of_results.iter().map(|of| of[row])) {
                            let above = part * tiling.results[0] / parts;
                            dispatch(Results::<S, R, T> { tiling, phase, tiles, above, y, factor, sums, out, scheme: PhantomData });
                        }
                    }
                });
            }
            if let Some(act) = act {
                dispatch(act.on(out));
            }
        },
    )
}

/// How the tiles of a batch are cut into units of work: so many images each, or, where that is one, so many parts of an image.
fn units(tiling: &Tiling, images: usize) -> (usize, usize) {
    let [rows, columns] = tiling.tiles;
    let at_once = TOGETHER / (rows * columns);
    if at_once > 0 {
        return (at_once.min(images.div_ceil(threads())).max(1), 1);
    }
    // Parts must be of the same length, so that those of all images are.
    let even = |parts: &usize| rows.is_multiple_of(*parts) && rows * tiling.rows == tiling.results[0];
    let small = |parts: &usize| rows / parts * columns <= TOGETHER || *parts == rows;
    (1, (1..=rows).filter(even).find(small).unwrap_or(1))
}

/// A row of points by their weights: `[point, tile, column]`.
struct Sums<'a, const T: usize> {
    panels: Panels,
    /// Which row.
    row: usize,
    /// Blocks of channels of all windows.
    blocks: usize,
    n_tiles: usize,
    points: &'a [[f32; LANES]],
    weights: &'a [f32],
    sums: &'a mut [f32],
}

impl<const T: usize> Body for Sums<'_, T> {
    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        self.panels.each::<L, 2>(&mut self);
    }
}

impl<const T: usize> OnPanel for Sums<'_, T> {
    #[inline(always)]
    fn run<L: Lanes, const V: usize>(&mut self, panel: usize) {
        let (n, blocks, columns) = (self.n_tiles, self.blocks, self.panels.columns);
        let unit = blocks * LANES * self.panels.width();
        let steps = WEIGHTS_AT_ONCE / (2 * LANES);
        for p in 0..T {
            let points = &self.points[p * blocks * n..][..blocks * n];
            let (vectors, _) = self.weights[((panel * T + self.row) * T + p) * unit..][..unit].as_chunks::<LANES>();
            let (rows, _) = vectors.as_chunks::<2>();
            let (weights, _) = rows.as_chunks::<LANES>();
            for (first, weights) in (0..blocks).step_by(steps).zip(weights.chunks(steps)) {
                for start in (0..n).step_by(ROWS) {
                    // The last tile may have fewer rows; the others repeat its last one and are dropped.
                    let at: [usize; ROWS] = std::array::from_fn(|r| (start + r).min(n - 1));
                    let steps = (first..first + weights.len()).map(|block| block * n);
                    let tile = tile::<L, LANES, ROWS, 2, V>(points, at, steps, weights);
                    for r in 0..ROWS {
                        if start + r < n {
                            let to = (p * n + at[r]) * columns + panel * self.panels.width();
                            let to = &mut self.sums[to..to + self.panels.columns_in(panel)];
                            if first == 0 { store(&tile[r], to) } else { add_to(&tile[r], to) }
                        }
                    }
                }
            }
        }
    }
}

/// Adds what a row of points gives to row `y` of the results.
struct Results<'a, S, const R: usize, const T: usize> {
    tiling: &'a Tiling,
    phase: &'a Phase,
    tiles: &'a [Place],
    /// Rows of the image above `out`.
    above: usize,
    y: usize,
    factor: f32,
    sums: &'a [f32],
    out: &'a mut [f32],
    scheme: PhantomData<S>,
}

impl<S: Scheme<R, T>, const R: usize, const T: usize> Body for Results<'_, S, R, T> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Tiling { results: [height, width], columns, .. } = *self.tiling;
        let factor = L::splat(self.factor);
        for (number, [image, ty, tx]) in self.tiles.iter().copied().enumerate() {
            let Some(y) = self.phase.writes[0].at(ty, self.y) else { continue };
            let row = (image * height + y - self.above) * width;
            let mut from = [self.sums.as_chunks::<LANES>().0; T];
            for (x, from) in from.iter_mut().enumerate() {
                *from = self.sums[(x * self.tiles.len() + number) * columns..][..columns].as_chunks().0;
            }
            let mut to = [None; TILE];
            for (x, to) in to.iter_mut().enumerate() {
                *to = self.phase.writes[1].at(tx, x).map(|x| (row + x) * columns);
            }
            for block in 0..columns / LANES {
                let mut points = [L::splat(0.0); T];
                for (point, from) in points.iter_mut().zip(&from) {
                    *point = L::load(&from[block]);
                }
                for (to, result) in to.iter().zip(S::results(points)) {
                    if let Some(to) = to {
                        let to = self.out[to + block * LANES..].first_chunk_mut().expect("columns are whole vectors");
                        L::load(to).add_product(result, factor).store(to);
                    }
                }
            }
        }
    }
}
