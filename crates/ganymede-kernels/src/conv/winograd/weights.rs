//! Kernels brought to points, laid out for the products.

use std::marker::PhantomData;

use super::tiling::remainders;
use super::{Scheme, both, load};
use crate::conv::Conv;
use crate::fill::filled;
use crate::panels::Panels;
use crate::simd::{Body, LANES, Lanes, dispatch};

/// Units of work.
const PIECES: usize = 16;

/// `w [kh, kw, ci, co]` to `[panel, point, remainder and ci, width]`.
pub(super) fn forward<S: Scheme<R, T>, const R: usize, const T: usize>(conv: &Conv, w: &[f32]) -> Vec<f32> {
    let (s, inputs, outputs) = (conv.geometry.stride[0], conv.inputs, conv.outputs);
    let (panels, depth) = (Panels::of(outputs), s * s * inputs);
    let unit = T * T * depth * panels.width();
    filled(
        panels.count * unit,
        unit,
        PIECES,
        || (),
        |(), panel, to| {
            for (number, a) in remainders(s).enumerate() {
                let rows = |tap: [usize; 2], k: usize| {
                    let tap = (s * tap[0] + a[0]) * conv.geometry.kernel[1] + s * tap[1] + a[1];
                    &w[(tap * inputs + k) * outputs + panel * panels.width()..][..panels.columns_in(panel)]
                };
                dispatch(Rows::<S, _, R, T> {
                    rows,
                    count: inputs,
                    first: number * inputs,
                    depth,
                    width: panels.width(),
                    to,
                    scheme: PhantomData,
                });
            }
        },
    )
}

/// `w [kh, kw, ci, co]` to `[remainder, panel, point, co, width]`, the elements the other way round.
pub(super) fn input<S: Scheme<R, T>, const R: usize, const T: usize>(conv: &Conv, w: &[f32]) -> Vec<f32> {
    let (s, inputs, outputs) = (conv.geometry.stride[0], conv.inputs, conv.outputs);
    let panels = Panels::of(inputs);
    let (width, unit) = (panels.width(), T * T * outputs * panels.width());
    filled(
        s * s * panels.count * unit,
        unit,
        PIECES,
        || vec![[[0.0; 2 * LANES]; LANES]; R * R],
        |turned, number, to| {
            let (a, panel) = ([number / panels.count / s, number / panels.count % s], number % panels.count);
            let columns = panels.columns_in(panel);
            for first in (0..outputs).step_by(LANES) {
                for (tap, turned) in turned.iter_mut().enumerate() {
                    let tap = [tap / R, tap % R].map(|j| s * (R - 1 - j));
                    let tap = (tap[0] + a[0]) * conv.geometry.kernel[1] + tap[1] + a[1];
                    for column in 0..columns {
                        let from = &w[(tap * inputs + panel * width + column) * outputs + first..][..LANES];
                        turned.iter_mut().zip(from).for_each(|(to, value)| to[column] = *value);
                    }
                }
                let rows = |tap: [usize; 2], k: usize| &turned[tap[0] * R + tap[1]][k][..columns];
                dispatch(Rows::<S, _, R, T> { rows, count: LANES, first, depth: outputs, width, to, scheme: PhantomData });
            }
        },
    )
}

/// Some rows of weights, `rows(element, k)` each, to `[point, depth, width]` from row `first` on.
struct Rows<'a, S, F, const R: usize, const T: usize> {
    rows: F,
    count: usize,
    first: usize,
    depth: usize,
    width: usize,
    to: &'a mut [f32],
    scheme: PhantomData<S>,
}

impl<'w, S: Scheme<R, T>, F: Fn([usize; 2], usize) -> &'w [f32], const R: usize, const T: usize> Body for Rows<'_, S, F, R, T> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        for k in 0..self.count {
            let rows: [[&[[f32; LANES]]; R]; R] = std::array::from_fn(|y| std::array::from_fn(|x| (self.rows)([y, x], k).as_chunks().0));
            for v in 0..rows[0][0].len() {
                let points = both(S::kernel::<L>, load(&rows, v));
                for (point, value) in points.as_flattened().iter().enumerate() {
                    let to = &mut self.to[(point * self.depth + self.first + k) * self.width + v * LANES..];
                    value.store(to.first_chunk_mut().expect("a panel's width is whole vectors"));
                }
            }
        }
    }
}
