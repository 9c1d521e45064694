//! Convolutions with fewer multiplications: minimal filtering (Winograd 1980, "Arithmetic Complexity of Computations"; Lavin and Gray 2016, "Fast Algorithms for
//! Convolutional Neural Networks").
//!
//! A kernel with a stride falls apart into as many kernels without one as there are remainders of a position by the stride, each of `R x R` elements. A tile of 2 x 2
//! results of such a kernel reads a window of `T x T` values, `T = R + 1`. Window and kernel are brought to `T x T` points each by sums and differences, multiplied point
//! by point, summed over the channels and brought back to 2 x 2 results: `T x T` products instead of `4 R x R`, 9 instead of 16 or 16 instead of 36. The sums over channels
//! are a matrix product for each point.

mod gradient;
mod points;
mod product;
mod tiling;
mod weights;

use super::Conv;
use crate::bias_act::BiasAct;
use crate::simd::{LANES, Lanes, Portable};
use tiling::Tiling;

/// Results of a tile along each axis.
const TILE: usize = 2;
/// Fewer channels than this leave too little work between the sums before and after.
const CHANNELS: usize = 32;

/// The sums along one axis, for kernels of `R` elements and `T = R + 1` points. Along both axes one after the other is the whole transform.
trait Scheme<const R: usize, const T: usize> {
    /// Window to points.
    fn window<L: Lanes>(values: [L; T]) -> [L; T];
    /// Kernel to points.
    fn kernel<L: Lanes>(values: [L; R]) -> [L; T];
    /// Points to results.
    fn results<L: Lanes>(values: [L; T]) -> [L; TILE];
    /// Gradients of results to points: the adjoint of `results`.
    fn gradients<L: Lanes>(values: [L; TILE]) -> [L; T];
}

/// Kernels of 2 elements.
struct Two;
impl Scheme<2, 3> for Two {
    #[inline(always)]
    fn window<L: Lanes>([a, b, c]: [L; 3]) -> [L; 3] {
        [less(a, b), b, less(c, b)]
    }
    #[inline(always)]
    fn kernel<L: Lanes>([a, b]: [L; 2]) -> [L; 3] {
        [a, plus(a, b), b]
    }
    #[inline(always)]
    fn results<L: Lanes>([a, b, c]: [L; 3]) -> [L; TILE] {
        [plus(a, b), plus(b, c)]
    }
    #[inline(always)]
    fn gradients<L: Lanes>([a, b]: [L; TILE]) -> [L; 3] {
        [a, plus(a, b), b]
    }
}

/// Kernels of 3 elements.
struct Three;
impl Scheme<3, 4> for Three {
    #[inline(always)]
    fn window<L: Lanes>([a, b, c, d]: [L; 4]) -> [L; 4] {
        [less(a, c), plus(b, c), less(c, b), less(b, d)]
    }
    #[inline(always)]
    fn kernel<L: Lanes>([a, b, c]: [L; 3]) -> [L; 4] {
        let zero = L::splat(0.0);
        let (ends, middle) = (zero.add_product(plus(a, c), L::splat(0.5)), zero.add_product(b, L::splat(0.5)));
        [a, plus(ends, middle), less(ends, middle), c]
    }
    #[inline(always)]
    fn results<L: Lanes>([a, b, c, d]: [L; 4]) -> [L; TILE] {
        [plus(plus(a, b), c), less(less(b, c), d)]
    }
    #[inline(always)]
    fn gradients<L: Lanes>([a, b]: [L; TILE]) -> [L; 4] {
        [a, plus(a, b), less(a, b), less(L::splat(0.0), b)]
    }
}

#[inline(always)]
fn plus<L: Lanes>(a: L, b: L) -> L {
    a.add_product(b, L::splat(1.0))
}

#[inline(always)]
fn less<L: Lanes>(a: L, b: L) -> L {
    a.add_product(b, L::splat(-1.0))
}

/// Elements of the kernels without stride, where this is the way for a convolution: by its extents alone, so that a picture does not depend on how many others there are.
fn elements(conv: &Conv) -> Option<usize> {
    let geometry = &conv.geometry;
    let ([k, kw], [s, sw]) = (geometry.kernel, geometry.stride);
    let fit = |channels: usize| channels >= CHANNELS && channels.is_multiple_of(LANES);
    let suits = k == kw && s == sw && k.is_multiple_of(s) && geometry.groups == 1 && fit(conv.inputs) && fit(conv.outputs);
    suits.then_some(k / s).filter(|r| *r == 2 || *r == 3)
}

/// Whether tiles that reach beyond the image leave enough of what is saved.
fn pays(tiling: &Tiling, elements: usize) -> bool {
    let tiles = tiling.tiles[0] * tiling.tiles[1] * tiling.phases.len();
    let results = tiling.results[0] * tiling.results[1];
    4 * tiles * (elements + 1).pow(2) <= 3 * results * elements.pow(2)
}

/// [`super::conv_forward`], where this is the way.
pub(super) fn forward(conv: &Conv, x: &[f32], w: &[f32], act: Option<BiasAct<'_>>) -> Option<Vec<f32>> {
    let r = elements(conv)?;
    let tiling = Tiling::forward(conv);
    pays(&tiling, r).then(|| match r {
        2 => product::product::<Two, 2, 3>(&tiling, &weights::forward::<Two, 2, 3>(conv, w), x, act),
        _ => product::product::<Three, 3, 4>(&tiling, &weights::forward::<Three, 3, 4>(conv, w), x, act),
    })
}

/// [`super::conv_input`], where this is the way.
pub(super) fn input(conv: &Conv, g: &[f32], w: &[f32]) -> Option<Vec<f32>> {
    let r = elements(conv)?;
    let tiling = Tiling::input(conv);
    pays(&tiling, r).then(|| match r {
        2 => product::product::<Two, 2, 3>(&tiling, &weights::input::<Two, 2, 3>(conv, w), g, None),
        _ => product::product::<Three, 3, 4>(&tiling, &weights::input::<Three, 3, 4>(conv, w), g, None),
    })
}

/// [`super::conv_weight`], where this is the way.
pub(super) fn weight(conv: &Conv, x: &[f32], g: &[f32]) -> Option<Vec<f32>> {
    let r = elements(conv)?;
    let tiling = Tiling::forward(conv);
    pays(&tiling, r).then(|| match r {
        2 => gradient::gradient::<Two, 2, 3>(conv, &tiling, x, g),
        _ => gradient::gradient::<Three, 3, 4>(conv, &tiling, x, g),
    })
}

/// `sums` along both axes. Loops, because closures within closures are not always compiled for the instruction set at hand.
#[inline(always)]
fn both<L: Lanes, const M: usize, const N: usize>(sums: impl Fn([L; N]) -> [L; M], values: [[L; N]; N]) -> [[L; M]; M] {
    let zero = L::splat(0.0);
    let (mut columns, mut points) = ([[zero; M]; N], [[zero; M]; M]);
    for x in 0..N {
        let mut column = [zero; N];
        for y in 0..N {
            column[y] = values[y][x];
        }
        columns[x] = sums(column);
    }
    for y in 0..M {
        let mut row = [zero; N];
        for x in 0..N {
            row[x] = columns[x][y];
        }
        points[y] = sums(row);
    }
    points
}

/// Vector number `block` of each.
#[inline(always)]
fn load<L: Lanes, const N: usize>(from: &[[&[[f32; LANES]]; N]; N], block: usize) -> [[L; N]; N] {
    let mut values = [[L::splat(0.0); N]; N];
    for y in 0..N {
        for x in 0..N {
            values[y][x] = L::load(&from[y][x][block]);
        }
    }
    values
}

/// The factors of `sums`: row `m` makes value `m`.
fn factors<const M: usize, const N: usize>(sums: impl Fn([Portable; N]) -> [Portable; M]) -> [[f32; N]; M] {
    let mut factors = [[0.0; N]; M];
    for n in 0..N {
        let unit = std::array::from_fn(|i| Portable::splat(f32::from(i == n)));
        for (row, value) in factors.iter_mut().zip(sums(unit)) {
            let mut values = [0.0; LANES];
            value.store(&mut values);
            row[n] = values[0];
        }
    }
    factors
}

/// What a row of points is made of, or adds to: which rows, and by which factor.
fn terms(factors: impl Iterator<Item = f32>) -> Vec<(usize, f32)> {
    factors.enumerate().filter(|(_, factor)| *factor != 0.0).collect()
}
