//! Bias and leaky ReLU in one pass, and their backward in one pass.

use crate::simd::{Body, Lanes, dispatch};
use crate::threads::{each, map, piece};

/// Values per unit of work; below two units threads are not worth their start.
const UNIT: usize = 1 << 15;

/// `leaky_relu(row + bias)`, applied to the rows of a result while they are in the cache.
#[derive(Debug, Clone, Copy)]
pub struct BiasAct<'a> {
    /// One value for each column.
    pub bias: &'a [f32],
    /// Slope of the leaky ReLU below zero.
    pub slope: f32,
}

/// `x = leaky_relu(x + bias)` in place, on rows of as many channels as there are biases.
///
/// # Panics
/// If the length is no multiple of the bias's.
pub fn bias_act(x: &mut [f32], act: BiasAct<'_>) {
    assert!(x.len().is_multiple_of(act.bias.len()), "bias_act: lengths do not fit");
    let unit = unit(act.bias.len());
    each(x.chunks_mut(piece(x.len(), unit)), || (), |(), _, x| dispatch(act.on(x)));
}

/// Gradients of [`bias_act`] from its output `y` and the gradient `g` there, which becomes the gradient in the input in place: `g` where `y >= 0`,
/// `slope * g` elsewhere; `db` its sum over rows.
///
/// # Panics
/// If a length is no multiple of the bias's, or lengths differ.
pub fn bias_act_backward(g: &mut [f32], y: &[f32], slope: f32, db: &mut [f32]) {
    assert!(g.len() == y.len() && g.len().is_multiple_of(db.len()), "bias_act_backward: lengths do not fit");
    let unit = unit(db.len());
    let channels = db.len();
    let sums = map(g.chunks_mut(unit).zip(y.chunks(unit)), |_, (g, y)| {
        let mut sum = vec![0.0; channels];
        dispatch(Backward { g, y, slope, sum: &mut sum });
        sum
    });
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
    x: &'a mut [f32],
    act: BiasAct<'a>,
}

impl Body for Forward<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        self.act.rows(self.x);
    }
}

impl<'a> BiasAct<'a> {
    /// The work of doing it to whole rows.
    pub(crate) fn on(self, x: &'a mut [f32]) -> impl Body + 'a {
        Forward { x, act: self }
    }

    /// Does it to whole rows, inside another body.
    #[inline(always)]
    pub(crate) fn rows(&self, x: &mut [f32]) {
        for x in x.chunks_exact_mut(self.bias.len()) {
            for (x, b) in x.iter_mut().zip(self.bias) {
                let v = *x + b;
                *x = v * if v < 0.0 { self.slope } else { 1.0 };
            }
        }
    }
}

struct Backward<'a> {
    g: &'a mut [f32],
    y: &'a [f32],
    slope: f32,
    sum: &'a mut [f32],
}

impl Body for Backward<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let c = self.sum.len();
        for (g, y) in self.g.chunks_exact_mut(c).zip(self.y.chunks_exact(c)) {
            for ((g, y), s) in g.iter_mut().zip(y).zip(self.sum.iter_mut()) {
                *g *= if *y < 0.0 { self.slope } else { 1.0 };
                *s += *g;
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
            let (mut y, mut dx, mut db) = (x.clone(), g.clone(), vec![f32::NAN; channels]);
            bias_act(&mut y, BiasAct { bias: &bias, slope: 0.2 });
            bias_act_backward(&mut dx, &y, 0.2, &mut db);
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
