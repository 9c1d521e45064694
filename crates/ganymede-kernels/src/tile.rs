//! A tile of results in registers: the one step that every product is made of, and moving rows to and from memory. A row is `V` vectors, or fewer values at the
//! right edge of a matrix.

use crate::simd::{LANES, Lanes};

/// Adds an outer product: `x(r)` times the first `V` vectors of `w` to row `r`.
#[inline(always)]
pub(crate) fn add_products<L: Lanes, const V: usize, const R: usize>(acc: &mut [[L; V]; R], x: impl Fn(usize) -> f32, w: &[[f32; LANES]]) {
    let w: [L; V] = std::array::from_fn(|v| L::load(&w[v]));
    for (r, acc) in acc.iter_mut().enumerate() {
        let x = L::splat(x(r));
        for (acc, w) in acc.iter_mut().zip(w) {
            *acc = acc.add_product(x, w);
        }
    }
}

/// Sums over a run of steps.
pub(crate) trait Run {
    /// Adds to some rows and vectors of a tile: the first are row `row` and vector `vector`.
    fn add<L: Lanes, const V: usize, const R: usize>(&self, acc: &mut [[L; V]; R], row: usize, vector: usize);
}

/// A whole tile, as many sums at once as an instruction set has registers for; each is summed in the same order, however many there are.
#[inline(always)]
pub(crate) fn sums<L: Lanes, const V: usize, const R: usize>(run: &impl Run) -> [[L; V]; R] {
    let mut acc = [[L::splat(0.0); V]; R];
    if V * R <= L::SUMS || !R.is_multiple_of(4) {
        run.add(&mut acc, 0, 0);
    } else if L::SUMS >= 4 {
        parts::<L, V, R, 4>(run, &mut acc);
    } else {
        parts::<L, V, R, 2>(run, &mut acc);
    }
    acc
}

#[inline(always)]
fn parts<L: Lanes, const V: usize, const R: usize, const N: usize>(run: &impl Run, acc: &mut [[L; V]; R]) {
    for (number, rows) in acc.chunks_exact_mut(N).enumerate() {
        for vector in 0..V {
            let mut part = [[L::splat(0.0); 1]; N];
            run.add(&mut part, number * N, vector);
            rows.iter_mut().zip(part).for_each(|(sums, [own])| sums[vector] = own);
        }
    }
}

/// [`add_products`] for each row of weights, `x(r, i)` times row `i`, of which the first vector is `vector`; a multiple of four of them.
#[inline(always)]
pub(crate) fn add_rows<L: Lanes, const V: usize, const R: usize, const S: usize>(
    acc: &mut [[L; V]; R],
    x: impl Fn(usize, usize) -> f32,
    weights: &[[[f32; LANES]; S]],
    vector: usize,
) {
    // Four in a row, so that counting costs little beside them.
    for (i, w) in weights.as_chunks::<4>().0.iter().enumerate() {
        for (k, w) in w.iter().enumerate() {
            add_products(acc, |r| x(r, 4 * i + k), &w[vector..]);
        }
    }
}

/// As many values as `to` holds.
#[inline(always)]
pub(crate) fn store<L: Lanes, const V: usize>(values: &[L; V], to: &mut [f32]) {
    if let (to, []) = to.as_chunks_mut::<LANES>()
        && to.len() == V
    {
        values.iter().zip(to).for_each(|(value, to)| value.store(to));
        return;
    }
    for (v, value) in values.iter().enumerate() {
        let mut whole = [0.0; LANES];
        value.store(&mut whole);
        let rest = to.get_mut(v * LANES..).unwrap_or_default();
        let count = rest.len().min(LANES);
        rest[..count].copy_from_slice(&whole[..count]);
    }
}

/// As many values as there are, zeros beyond.
#[inline(always)]
pub(crate) fn load<L: Lanes, const V: usize>(from: &[f32]) -> [L; V] {
    if let (from, []) = from.as_chunks::<LANES>()
        && from.len() == V
    {
        return std::array::from_fn(|v| L::load(&from[v]));
    }
    std::array::from_fn(|v| {
        let mut whole = [0.0; LANES];
        let rest = from.get(v * LANES..).unwrap_or_default();
        let count = rest.len().min(LANES);
        whole[..count].copy_from_slice(&rest[..count]);
        L::load(&whole)
    })
}

/// Adds as many values as `to` holds.
#[inline(always)]
pub(crate) fn add_to<L: Lanes, const V: usize>(values: &[L; V], to: &mut [f32]) {
    let before: [L; V] = load(to);
    let sums: [L; V] = std::array::from_fn(|v| before[v].add_product(values[v], L::splat(1.0)));
    store(&sums, to);
}

/// Copies a few values; the usual counts become a few vector moves instead of a call.
#[inline(always)]
pub(crate) fn copy(to: &mut [f32], from: &[f32]) {
    #[inline(always)]
    fn exact<const N: usize>(to: &mut [f32], from: &[f32]) -> bool {
        match (to.as_chunks_mut::<N>(), from.as_chunks::<N>()) {
            (([to], []), ([from], [])) => {
                *to = *from;
                true
            }
            _ => false,
        }
    }
    if !(exact::<16>(to, from) || exact::<32>(to, from) || exact::<8>(to, from) || exact::<4>(to, from)) {
        to.copy_from_slice(from);
    }
}
