//! Bias and leaky ReLU in one pass, and their backward in one pass.

use rayon::prelude::*;

use crate::simd::{Body, Lanes, dispatch};

/// Values per unit of work; below two units threads are not worth their start.
const UNIT: usize = 1 << 15;

/// `out = leaky_relu(x + bias)` on rows of `bias.len()` channels.
///
/// # Panics
/// If a length is no multiple of the bias's, or lengths differ.
pub fn bias_act(x: &[f32], bias: &[f32], slope: f32, out: &mut [f32]) {
    assert!(x.len() == out.len() && x.len().is_multiple_of(bias.len()), "bias_act: lengths do not fit");
    let unit = unit(bias.len());
    if out.len() < 2 * unit {
        dispatch(Forward { x, bias, slope, out });
        return;
    }
    out.par_chunks_mut(unit).zip(x.par_chunks(unit)).for_each(|(out, x)| dispatch(Forward { x, bias, slope, out }));
}

/// Gradients of [`bias_act`] from its output `y` and the gradient `g` there: `dx = g` where `y >= 0`, `slope * g` elsewhere; `db` its sum over rows.
///
/// # Panics
/// If a length is no multiple of the bias's, or lengths differ.
pub fn bias_act_backward(g: &[f32], y: &[f32], slope: f32, dx: &mut [f32], db: &mut [f32]) {
    assert!(g.len() == y.len() && y.len() == dx.len() && g.len().is_multiple_of(db.len()), "bias_act_backward: lengths do not fit");
    let unit = unit(db.len());
    let sums: Vec<Vec<f32>> = dx
        .par_chunks_mut(unit)
        .zip(g.par_chunks(unit))
        .zip(y.par_chunks(unit))
        .map(|((dx, g), y)| {
            let mut sum = vec![0.0; db.len()];
            dispatch(Backward { g, y, slope, dx, sum: &mut sum });
            sum
        })
        .collect();
    db.fill(0.0);
    for sum in &sums {
        db.iter_mut().zip(sum).for_each(|(d, s)| *d += s);
    }
}

/// About [`UNIT`] values, in whole rows.
fn unit(channels: usize) -> usize {
    (UNIT / channels).max(1) * channels
}

struct Forward<'a> {
    x: &'a [f32],
    bias: &'a [f32],
    slope: f32,
    out: &'a mut [f32],
}

impl Body for Forward<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let c = self.bias.len();
        for (out, x) in self.out.chunks_exact_mut(c).zip(self.x.chunks_exact(c)) {
            for ((o, x), b) in out.iter_mut().zip(x).zip(self.bias) {
                let v = x + b;
                *o = v * if v < 0.0 { self.slope } else { 1.0 };
            }
        }
    }
}

struct Backward<'a> {
    g: &'a [f32],
    y: &'a [f32],
    slope: f32,
    dx: &'a mut [f32],
    sum: &'a mut [f32],
}

impl Body for Backward<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let c = self.sum.len();
        for ((dx, g), y) in self.dx.chunks_exact_mut(c).zip(self.g.chunks_exact(c)).zip(self.y.chunks_exact(c)) {
            for (((d, g), y), s) in dx.iter_mut().zip(g).zip(y).zip(self.sum.iter_mut()) {
                *d = g * if *y < 0.0 { self.slope } else { 1.0 };
                *s += *d;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_agree_with_the_definition() {
        for (rows, channels) in [(1, 1), (3, 5), (7, 48), (2000, 40)] {
            let value = |i: usize, phase: f32| (1.3 * i as f32 + phase).sin();
            let x: Vec<f32> = (0..rows * channels).map(|i| value(i, 0.0)).collect();
            let g: Vec<f32> = (0..rows * channels).map(|i| value(i, 1.0)).collect();
            let bias: Vec<f32> = (0..channels).map(|i| value(i, 2.0)).collect();
            let (mut y, mut dx, mut db) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()], vec![f32::NAN; channels]);
            bias_act(&x, &bias, 0.2, &mut y);
            bias_act_backward(&g, &y, 0.2, &mut dx, &mut db);
            let mut sums = vec![0.0f64; channels];
            for i in 0..x.len() {
                let v = x[i] + bias[i % channels];
                let slope = if v < 0.0 { 0.2 } else { 1.0 };
                assert_eq!((y[i], dx[i]), (v * slope, g[i] * slope));
                sums[i % channels] += f64::from(g[i] * slope);
            }
            assert!(db.iter().zip(&sums).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-3), "{rows} x {channels}");
        }
    }
}
