//! Leaky ReLU, its backward pass and its step in a gradient penalty: one element-wise selection.

use crate::simd::{Body, Lanes, dispatch};
use crate::threads::{each, piece};

/// Values per unit of work; below two units threads are not worth their start.
const UNIT: usize = 1 << 15;

/// `g` where `m >= 0`, `slope * g` elsewhere, in place.
///
/// # Panics
/// If the lengths differ.
pub fn gate(g: &mut [f32], m: &[f32], slope: f32) {
    assert!(g.len() == m.len(), "gate: lengths differ");
    let piece = piece(g.len(), UNIT);
    each(g.chunks_mut(piece).zip(m.chunks(piece)), || (), |(), _, (g, m)| dispatch(Gate { g, m, slope }));
}

struct Gate<'a> {
    g: &'a mut [f32],
    m: &'a [f32],
    slope: f32,
}

impl Body for Gate<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        for (g, m) in self.g.iter_mut().zip(self.m) {
            *g *= if *m < 0.0 { self.slope } else { 1.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_of_the_mask_decides() {
        for n in [4, 100_000] {
            let mut g: Vec<f32> = (0..n).map(|i| i as f32).collect();
            let m: Vec<f32> = (0..n).map(|i| if i % 3 == 0 { -1.0 } else { 0.0 }).collect();
            gate(&mut g, &m, 0.5);
            assert!(g.iter().enumerate().all(|(i, g)| *g == if i % 3 == 0 { 0.5 * i as f32 } else { i as f32 }));
        }
    }
}
