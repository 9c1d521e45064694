//! The gradient in the weights: in points it is one product of windows and output gradients, summed over all tiles before it is brought back to kernel elements once.

use std::marker::PhantomData;

use super::points::{Place, To, Windows};
use super::tiling::Tiling;
use super::{Scheme, TILE, both, factors, load, terms};
use crate::conv::Conv;
use crate::fill::filled;
use crate::matmul::{Gradient, RUN};
use crate::panels::Panels;
use crate::scratch::with_scratch;
use crate::simd::{Body, LANES, Lanes, dispatch};
use crate::threads::each;

/// Input channels of a unit of work.
const CHANNELS: usize = 64;
/// Runs of tiles whose output gradients are in points at the same time.
const RUNS: usize = 4;
/// Values of the gradient that are brought back at once.
const VALUES: usize = 1 << 12;

/// `x [n, h, w, ci]`, `g [n, oh, ow, co]` to `[kh, kw, ci, co]`; `tiling` is that of the forward pass.
pub(super) fn gradient<S: Scheme<R, T>, const R: usize, const T: usize>(conv: &Conv, tiling: &Tiling, x: &[f32], g: &[f32]) -> Vec<f32> {
    let (s, inputs, outputs) = (conv.geometry.stride[0], conv.inputs, conv.outputs);
    let (panels, phase) = (Panels::of(outputs), &tiling.phases[0]);
    let places = tiling.places(x.len() / (tiling.image[0] * tiling.image[1] * inputs));

    // Output gradients in points, of some runs of tiles at a time: `[run, panel, point, tile, width]`. With them the products of all units of work:
    // `[window, channels, row of points, point, ci, co]`.
    let point_len = RUN * panels.width();
    let panel_len = T * T * point_len;
    let channels = (1..=CHANNELS).rev().find(|n| inputs.is_multiple_of(*n) && n.is_multiple_of(LANES)).unwrap_or(LANES);
    let (parts, of_window) = (inputs / channels, factors(S::window));
    let per_point = channels * outputs;
    let mut points = vec![0.0; s * s * parts * T * T * per_point];
    with_scratch(RUNS * panels.count * panel_len, |columns| {
        for tiles in places.chunks(RUNS * RUN) {
            let pieces = tiles.chunks(RUN).flat_map(|run| (0..panels.count).map(move |panel| (run, panel)));
            let results = Windows { values: g, extents: tiling.results, channels: outputs, reach: &phase.writes };
            let fill = |(): &mut (), _, ((tiles, panel), to): ((&[Place], usize), &mut [f32])| {
                let (first, zeros) = (panel * panels.width(), &[0.0; 2 * LANES][..panels.columns_in(panel)]);
                dispatch(Gradients::<S, R, T> { results: &results, tiles, first, zeros, to, scheme: PhantomData });
            };
            each(pieces.zip(columns.chunks_exact_mut(panel_len)), || (), fill);
            let columns = &*columns;
            let multiply = |zeros: &mut Vec<f32>, number: usize, sums: &mut [f32]| {
                let (window, part, row) = (number / T / parts, number / T % parts, number % T);
                let windows = Windows { values: x, extents: tiling.image, channels: inputs, reach: &phase.windows[window] };
                let terms = terms(of_window[row].into_iter());
                with_scratch(T * channels * RUN, |strips| {
                    let (strips, _) = strips.as_chunks_mut();
                    for (run, tiles) in tiles.chunks(RUN).enumerate() {
                        let to = To { values: &mut *strips, per_point: channels / LANES * RUN, per_block: RUN };
                        windows.points::<S, R, T>(tiles, part * channels, &terms, zeros, to);
                        for (p, sum) in sums.chunks_exact_mut(per_point).enumerate() {
                            let columns = &columns[run * panels.count * panel_len + (row * T + p) * point_len..];
                            let strips = &strips[p * channels / LANES * RUN..];
                            dispatch(Gradient::<2, LANES> {
                                panels,
                                columns,
                                panel_step: panel_len,
                                strips,
                                length: tiles.len(),
                                out: sum,
                            });
                        }
                    }
                });
            };
            each(points.chunks_exact_mut(T * per_point), || vec![0.0; channels], multiply);
        }
    });

    let [kh, kw] = conv.geometry.kernel;
    let of_kernel = factors(S::kernel);
    let piece = if per_point.is_multiple_of(VALUES) { VALUES } else { per_point };
    let per_tap = inputs * outputs;
    filled(
        kh * kw * per_tap,
        piece,
        kh * kw * per_tap / piece,
        || (),
        |(), number, to| {
            let (tap, part, first) = (number * piece / per_tap, number * piece % per_tap / per_point, number * piece % per_point);
            let [ky, kx] = [tap / kw, tap % kw];
            let unit = (ky % s * s + kx % s) * parts + part;
            for (i, vertical) in terms(of_kernel.iter().map(|of| of[ky / s])) {
                for (j, horizontal) in terms(of_kernel.iter().map(|of| of[kx / s])) {
                    let from = &points[((unit * T + i) * T + j) * per_point + first..][..to.len()];
                    dispatch(Add { from, factor: vertical * horizontal, to: &mut *to });
                }
            }
        },
    )
}

/// Output gradients of tiles to points `[point, RUN, width]`, for as many channels from `first` on as there are `zeros`.
struct Gradients<'a, S, const R: usize, const T: usize> {
    results: &'a Windows<'a>,
    tiles: &'a [Place],
    first: usize,
    zeros: &'a [f32],
    to: &'a mut [f32],
    scheme: PhantomData<S>,
}

impl<S: Scheme<R, T>, const R: usize, const T: usize> Body for Gradients<'_, S, R, T> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let per_point = self.to.len() / (T * T);
        let panel = per_point / RUN;
        for (number, place) in self.tiles.iter().copied().enumerate() {
            let from: [[&[[f32; LANES]]; TILE]; TILE] = self.results.of_tile(place, [0, 1], self.first, self.zeros);
            for block in 0..self.zeros.len() / LANES {
                let points = both(S::gradients::<L>, load(&from, block));
                for (point, value) in points.as_flattened().iter().enumerate() {
                    let to = &mut self.to[point * per_point + number * panel + block * LANES..];
                    value.store(to.first_chunk_mut().expect("a panel is whole vectors"));
                }
            }
        }
    }
}

/// Adds `factor` times `from`.
struct Add<'a> {
    from: &'a [f32],
    factor: f32,
    to: &'a mut [f32],
}

impl Body for Add<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let factor = L::splat(self.factor);
        for (to, from) in self.to.as_chunks_mut::<LANES>().0.iter_mut().zip(self.from.as_chunks::<LANES>().0) {
            L::load(to).add_product(L::load(from), factor).store(to);
        }
    }
}
