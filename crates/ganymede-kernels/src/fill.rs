//! Output buffers that are zeroed by the threads that fill them: one pass less over memory, and none on a single thread.

use std::mem::MaybeUninit;

use crate::threads::each;

/// A vector of `n` floats made of units of `unit` (the last one may be shorter). `fill(state, unit number, zeroed unit)` is called once for each unit,
/// at most `pieces` of them in parallel, each with a state of its own.
pub(crate) fn filled<S>(
    n: usize,
    unit: usize,
    pieces: usize,
    state: impl Fn() -> S + Sync + Send,
    fill: impl Fn(&mut S, usize, &mut [f32]) + Sync + Send,
) -> Vec<f32> {
    let mut out: Vec<f32> = Vec::with_capacity(n);
    let unit = unit.max(1);
    let units = n.div_ceil(unit);
    let run = |state: &mut S, i: usize, spare: &mut [MaybeUninit<f32>]| {
        spare.fill(MaybeUninit::new(0.0));
        // SAFETY: every element was just written, and `MaybeUninit<f32>` has the layout of `f32`.
        let values = unsafe { &mut *(std::ptr::from_mut(spare) as *mut [f32]) };
        fill(state, i, values);
    };
    let spare = &mut out.spare_capacity_mut()[..n];
    if pieces <= 1 || units <= 1 {
        let mut state = state();
        spare.chunks_mut(unit).enumerate().for_each(|(i, spare)| run(&mut state, i, spare));
    } else {
        let per_piece = units.div_ceil(pieces).max(1);
        each(spare.chunks_mut(per_piece * unit), state, |state, piece, spare| {
            spare.chunks_mut(unit).enumerate().for_each(|(i, spare)| run(state, piece * per_piece + i, spare));
        });
    }
    // SAFETY: the chunks cover exactly the first `n` elements, and each was initialised above.
    unsafe { out.set_len(n) };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_filled_once_and_the_rest_is_zero() {
        for (n, unit, pieces) in [(0, 3, 4), (10, 3, 1), (10, 3, 4), (100, 1, 8), (5, 0, 2)] {
            let out = filled(n, unit, pieces, || (), |(), i, values| values[0] += i as f32 + 1.0);
            let expected: Vec<f32> = (0..n).map(|k| if k % unit.max(1) == 0 { (k / unit.max(1)) as f32 + 1.0 } else { 0.0 }).collect();
            assert_eq!(out, expected);
        }
    }
}
