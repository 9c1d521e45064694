//! An optimizer's update of all values of a parameter, and a moving average, each in one pass over memory.

use crate::simd::{Body, Lanes, dispatch};
use crate::threads::{each, piece};

/// Values per unit of work; below two units threads are not worth their start.
const UNIT: usize = 1 << 14;

/// One update of Adam: Kingma and Ba, ICLR 2015, algorithm 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Learning rate over the bias correction of the mean, `1 - beta1^t`.
    pub rate: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// One over the root of the bias correction of the mean of squares, `1 - beta2^t`.
    pub correction2: f64,
    /// Added to the root of the mean of squares.
    pub epsilon: f64,
}

/// Moves the weights `w`, the mean of gradients and the mean of their squares by the gradient `g`, in place.
///
/// # Panics
/// If lengths differ.
pub fn adam(w: &mut [f32], g: &[f32], mean: &mut [f32], square: &mut [f32], step: AdamStep) {
    assert!([g.len(), mean.len(), square.len()] == [w.len(); 3], "adam: lengths differ");
    let piece = piece(w.len(), UNIT);
    let moved = w.chunks_mut(piece).zip(g.chunks(piece));
    let moments = mean.chunks_mut(piece).zip(square.chunks_mut(piece));
    each(moved.zip(moments), || (), |(), _, ((w, g), (mean, square))| dispatch(Update { w, g, mean, square, step }));
}

/// `decay * average + (1 - decay) * live`, in place.
///
/// # Panics
/// If lengths differ.
pub fn average(average: &mut [f32], live: &[f32], decay: f64) {
    assert!(average.len() == live.len(), "average: lengths differ");
    let piece = piece(average.len(), UNIT);
    let pieces = average.chunks_mut(piece).zip(live.chunks(piece));
    each(pieces, || (), |(), _, (average, live)| dispatch(Average { average, live, decay }));
}

struct Update<'a> {
    w: &'a mut [f32],
    g: &'a [f32],
    mean: &'a mut [f32],
    square: &'a mut [f32],
    step: AdamStep,
}

impl Body for Update<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let AdamStep { rate, beta1, beta2, correction2, epsilon } = self.step;
        let [rate, correction2, epsilon] = [rate, correction2, epsilon].map(|v| v as f32);
        let ([keep1, take1], [keep2, take2]) = ([beta1, 1.0 - beta1].map(|v| v as f32), [beta2, 1.0 - beta2].map(|v| v as f32));
        for (((w, g), mean), square) in self.w.iter_mut().zip(self.g).zip(self.mean).zip(self.square) {
            *mean = *mean * keep1 + g * take1;
            *square = *square * keep2 + g * g * take2;
            *w -= *mean * rate / (square.sqrt() * correction2 + epsilon);
        }
    }
}

struct Average<'a> {
    average: &'a mut [f32],
    live: &'a [f32],
    decay: f64,
}

impl Body for Average<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let [keep, take] = [self.decay, 1.0 - self.decay].map(|v| v as f32);
        for (average, live) in self.average.iter_mut().zip(self.live) {
            *average = *average * keep + live * take;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_parameters_follow_the_definition() {
        let step = AdamStep { rate: 2e-3, beta1: 0.5, beta2: 0.9, correction2: 1.2, epsilon: 1e-8 };
        for n in [1, 37, 100_000] {
            let wave = |phase: f64| (0..n).map(|i| (1.3 * i as f64 + phase).sin() as f32).collect::<Vec<_>>();
            let (start, g, before) = (wave(0.0), wave(1.0), wave(2.0));
            let (mut w, mut mean, mut square) = (start.clone(), before.clone(), before.iter().map(|v| v * v).collect::<Vec<_>>());
            adam(&mut w, &g, &mut mean, &mut square, step);
            for i in 0..n {
                let [g, before] = [g[i], before[i]].map(f64::from);
                let (m, v) = (0.5 * before + 0.5 * g, 0.9 * before * before + 0.1 * g * g);
                let expected = f64::from(start[i]) - 2e-3 * m / (1.2 * v.sqrt() + 1e-8);
                let close = |a: f32, b: f64| (f64::from(a) - b).abs() < 1e-6;
                assert!(close(w[i], expected) && close(mean[i], m) && close(square[i], v), "{n}: {i}");
            }
            let mut moved = start.clone();
            average(&mut moved, &g, 0.75);
            assert!((0..n).all(|i| (moved[i] - (0.75 * start[i] + 0.25 * g[i])).abs() < 1e-6), "{n}");
        }
    }
}
