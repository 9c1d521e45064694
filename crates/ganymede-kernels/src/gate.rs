//! Leaky ReLU, its backward pass and its step in a gradient penalty: one element-wise selection.

use rayon::prelude::*;

use crate::simd::{Body, Lanes, dispatch};

/// Values per unit of work; below two units threads are not worth their start.
const UNIT: usize = 1 << 15;

/// `out = g` where `m >= 0`, `slope * g` elsewhere.
///
/// # Panics
/// If the lengths differ.
pub fn gate(g: &[f32], m: &[f32], slope: f32, out: &mut [f32]) {
    assert!(g.len() == m.len() && m.len() == out.len(), "gate: lengths differ");
    if out.len() < 2 * UNIT {
        dispatch(Gate { g, m, slope, out });
        return;
    }
    out.par_chunks_mut(UNIT).zip(g.par_chunks(UNIT)).zip(m.par_chunks(UNIT)).for_each(|((out, g), m)| dispatch(Gate { g, m, slope, out }));
}

struct Gate<'a> {
    g: &'a [f32],
    m: &'a [f32],
    slope: f32,
    out: &'a mut [f32],
}

impl Body for Gate<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        for ((o, g), m) in self.out.iter_mut().zip(self.g).zip(self.m) {
            *o = g * if *m < 0.0 { self.slope } else { 1.0 };
        }
    }
}
