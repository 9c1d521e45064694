//! Hyperbolic tangent and its backward pass.

use crate::simd::{Body, Lanes, dispatch};
use crate::threads::{each, piece};

/// Values per unit of work; below two units threads are not worth their start.
const UNIT: usize = 1 << 14;

/// `tanh(x)` in place, to about 2e-7 of its value.
pub fn tanh(x: &mut [f32]) {
    each(x.chunks_mut(piece(x.len(), UNIT)), || (), |(), _, x| dispatch(Forward(x)));
}

/// `g (1 - y^2)` in place: the gradient in the input from that at the output `y`.
///
/// # Panics
/// If lengths differ.
pub fn tanh_backward(g: &mut [f32], y: &[f32]) {
    assert!(g.len() == y.len(), "tanh_backward: lengths differ");
    let piece = piece(g.len(), UNIT);
    each(g.chunks_mut(piece).zip(y.chunks(piece)), || (), |(), _, (g, y)| dispatch(Backward { g, y }));
}

struct Forward<'a>(&'a mut [f32]);

impl Body for Forward<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        for x in self.0 {
            *x = value(*x);
        }
    }
}

struct Backward<'a> {
    g: &'a mut [f32],
    y: &'a [f32],
}

impl Body for Backward<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        for (g, y) in self.g.iter_mut().zip(self.y) {
            *g *= 1.0 - y * y;
        }
    }
}

/// Near zero the Taylor series of `tanh(x) / x`, elsewhere `1 - 2 / (exp(2x) + 1)`; both are computed and one is chosen, so that the loop has no branch and
/// becomes vectors.
#[inline(always)]
fn value(x: f32) -> f32 {
    let (size, sq) = (x.abs(), x * x);
    // Coefficients 2^2n (2^2n - 1) B_2n / (2n)! of the series, enough terms for 0.5.
    let series =
        [-1.0 / 3.0, 2.0 / 15.0, -17.0 / 315.0, 62.0 / 2835.0, -1382.0 / 155_925.0, 21844.0 / 6_081_075.0, -929_569.0 / 638_512_875.0];
    let near = size + size * sq * series.iter().rev().fold(0.0, |sum, c| sum * sq + c);
    // Beyond 10 the result is 1 in 32 bits.
    let far = 1.0 - 2.0 / (exp(2.0 * size.min(10.0)) + 1.0);
    // NaN fails every comparison and goes the first way, which keeps it.
    let result = if size >= 0.5 { far } else { near };
    result.copysign(x)
}

/// `exp(x)` for `0 <= x <= 20`, by `2^n exp(r)` with `|r| <= ln 2 / 2`.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding it leaves a whole number in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, of which the first has so few bits that its product with n is exact.
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let series = [1.0, 1.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0];
    let of_r = series.iter().rev().fold(0.0, |sum, c| sum * r + c);
    of_r * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_gradients_agree_with_the_definition() {
        for n in [7, 200_001] {
            let x: Vec<f32> = (0..n).map(|i| 24.0 * (i as f32 / (n - 1) as f32 - 0.5).powi(3) * 4.0).collect();
            let (mut y, mut g) = (x.clone(), vec![2.0; n]);
            tanh(&mut y);
            tanh_backward(&mut g, &y);
            for i in 0..n {
                let exact = f64::from(x[i]).tanh();
                assert!((f64::from(y[i]) - exact).abs() <= 3e-7 * exact.abs(), "tanh({}) = {}, not {exact}", x[i], y[i]);
                assert!((f64::from(g[i]) - 2.0 * (1.0 - exact * exact)).abs() < 2e-6);
            }
        }
        let mut special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e-30, f32::MAX];
        tanh(&mut special);
        assert!(special[0].is_nan() && special[1..3] == [1.0, -1.0] && special[4].is_sign_negative() && special[5..] == [1e-30, 1.0]);
    }
}
