//! Batch normalisation with its activation, in one pass over the data for the statistics and one for the result, and the same backward.
//!
//! Ioffe and Szegedy, "Batch Normalization", ICML 2015. Statistics of pieces of the rows are put together by the formula of Chan, Golub and LeVeque (1979), which
//! loses no digits where the mean is large.

use crate::fill::filled;
use crate::simd::{Body, Lanes, dispatch};
use crate::threads::map;

/// Values of a piece of work; it stays in the cache between its two passes.
const UNIT: usize = 1 << 14;
/// Pieces that threads work on at a time.
const PIECES: usize = 16;

/// What a normalisation knows of its batch: one value for each channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Mean over rows.
    pub mean: Vec<f32>,
    /// Mean squared distance from it (biased).
    pub variance: Vec<f32>,
}

/// Scale, shift and activation of a normalisation.
#[derive(Debug, Clone, Copy)]
pub struct NormAct<'a> {
    /// Scale of each channel.
    pub gamma: &'a [f32],
    /// Shift of each channel.
    pub beta: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
    /// Slope of the leaky ReLU below zero: 0 for ReLU, 1 for none.
    pub slope: f32,
}

/// `leaky_relu(gamma (x - mean) / sqrt(variance + epsilon) + beta)` with the statistics of the rows of `x [n, channels]`.
///
/// # Panics
/// If a length does not fit or there are no rows.
pub fn norm_act(x: &[f32], norm: NormAct<'_>) -> (Vec<f32>, Statistics) {
    let statistics = statistics(x, norm.gamma.len());
    let scale = scale(&norm, &statistics);
    let affine = Affine { scale: &scale, shift: norm.beta, mean: &statistics.mean, slope: norm.slope };
    let unit = unit(norm.gamma.len());
    let y = filled(
        x.len(),
        unit,
        PIECES,
        || (),
        |(), i, y| {
            dispatch(Forward { affine, x: &x[i * unit..][..y.len()], y });
        },
    );
    (y, statistics)
}

/// Gradients of [`norm_act`] in `x`, `gamma` and `beta` from the gradient `g` at its output; the statistics depend on `x` too.
///
/// # Panics
/// If a length does not fit.
pub fn norm_act_backward(x: &[f32], g: &[f32], norm: NormAct<'_>, statistics: &Statistics) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    assert_eq!(x.len(), g.len(), "norm_act_backward: lengths differ");
    let (channels, unit) = (norm.gamma.len(), unit(norm.gamma.len()));
    let scale = scale(&norm, statistics);
    let affine = Affine { scale: &scale, shift: norm.beta, mean: &statistics.mean, slope: norm.slope };
    let inverse: Vec<f32> = statistics.variance.iter().map(|v| 1.0 / (v + norm.epsilon).sqrt()).collect();
    let sums = map(x.chunks(unit).zip(g.chunks(unit)), |_, (x, g)| {
        let mut sums = [vec![0.0; channels], vec![0.0; channels]];
        dispatch(Sums { affine, x, g, sums: &mut sums });
        sums
    });
    let total = |k: usize, c: usize| sums.iter().map(|sum| f64::from(sum[k][c])).sum::<f64>();
    let d_beta: Vec<f32> = (0..channels).map(|c| total(0, c) as f32).collect();
    let d_gamma: Vec<f32> = (0..channels).map(|c| total(1, c) as f32 * inverse[c]).collect();
    // dx = gamma / deviation (gz - mean(gz) - (x - mean) / deviation mean(gz (x - mean) / deviation)).
    let n = (x.len() / channels) as f32;
    let offset: Vec<f32> = d_beta.iter().map(|b| b / n).collect();
    let pull: Vec<f32> = d_gamma.iter().zip(&inverse).map(|(d, i)| d * i / n).collect();
    let dx = filled(
        x.len(),
        unit,
        PIECES,
        || (),
        |(), i, dx| {
            let range = i * unit..i * unit + dx.len();
            dispatch(Backward { affine, x: &x[range.clone()], g: &g[range], dx, offset: &offset, pull: &pull });
        },
    );
    (dx, d_gamma, d_beta)
}

fn statistics(x: &[f32], channels: usize) -> Statistics {
    assert!(!x.is_empty() && x.len().is_multiple_of(channels), "norm_act: lengths do not fit");
    let unit = unit(channels);
    let pieces = map(x.chunks(unit), |_, x| {
        let mut moments = [vec![0.0; channels], vec![0.0; channels]];
        dispatch(Moments { x, moments: &mut moments });
        moments
    });
    let rows = |piece: usize| (x.len() - piece * unit).min(unit) as f64 / channels as f64;
    let combined = (0..channels).map(|c| {
        let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for (i, piece) in pieces.iter().enumerate() {
            let (more, distance) = (rows(i), f64::from(piece[0][c]) - mean);
            squares += f64::from(piece[1][c]) + distance * distance * n * more / (n + more);
            mean += distance * more / (n + more);
            n += more;
        }
        (mean as f32, (squares / n) as f32)
    });
    let (mean, variance) = combined.unzip();
    Statistics { mean, variance }
}

/// `gamma / deviation`. The mean is taken off before it is applied, or digits would be lost where the mean is large.
fn scale(norm: &NormAct<'_>, statistics: &Statistics) -> Vec<f32> {
    assert!(norm.beta.len() == norm.gamma.len() && statistics.mean.len() == norm.gamma.len(), "norm_act: channels do not fit");
    norm.gamma.iter().zip(&statistics.variance).map(|(gamma, v)| gamma / (v + norm.epsilon).sqrt()).collect()
}

/// About [`UNIT`] values, in whole rows.
fn unit(channels: usize) -> usize {
    (UNIT / channels).max(1) * channels
}

struct Moments<'a> {
    x: &'a [f32],
    /// Mean and summed squared distance.
    moments: &'a mut [Vec<f32>; 2],
}

impl Body for Moments<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let [mean, squares] = self.moments;
        let channels = mean.len();
        // Distances from the first row are small where the mean is large.
        let first = &self.x[..channels];
        for x in self.x.chunks_exact(channels) {
            for ((m, x), first) in mean.iter_mut().zip(x).zip(first) {
                *m += x - first;
            }
        }
        let n = (self.x.len() / channels) as f32;
        mean.iter_mut().zip(first).for_each(|(m, first)| *m = first + *m / n);
        for x in self.x.chunks_exact(channels) {
            for ((s, m), x) in squares.iter_mut().zip(&*mean).zip(x) {
                *s += (x - m) * (x - m);
            }
        }
    }
}

/// `z = scale (x - mean) + shift`, a value of each for every channel, and the leaky ReLU of `z`.
#[derive(Clone, Copy)]
struct Affine<'a> {
    scale: &'a [f32],
    shift: &'a [f32],
    mean: &'a [f32],
    slope: f32,
}

impl<'a> Affine<'a> {
    /// Scale, shift and mean of each channel.
    #[inline(always)]
    fn channels(&self) -> impl Iterator<Item = [f32; 3]> + use<'a> {
        self.scale.iter().zip(self.shift).zip(self.mean).map(|((scale, shift), mean)| [*scale, *shift, *mean])
    }

    /// `z` and the slope of the activation there.
    #[inline(always)]
    fn at(&self, x: f32, [scale, shift, mean]: [f32; 3]) -> (f32, f32) {
        let z = (x - mean) * scale + shift;
        (z, if z < 0.0 { self.slope } else { 1.0 })
    }
}

struct Forward<'a> {
    affine: Affine<'a>,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Body for Forward<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let channels = self.affine.scale.len();
        for (y, x) in self.y.chunks_exact_mut(channels).zip(self.x.chunks_exact(channels)) {
            for ((y, x), channel) in y.iter_mut().zip(x).zip(self.affine.channels()) {
                let (z, slope) = self.affine.at(*x, channel);
                *y = z * slope;
            }
        }
    }
}

struct Sums<'a> {
    affine: Affine<'a>,
    x: &'a [f32],
    g: &'a [f32],
    /// Of the gradient before the activation, and of the same times the distance from the mean.
    sums: &'a mut [Vec<f32>; 2],
}

impl Body for Sums<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let [plain, weighted] = self.sums;
        let channels = plain.len();
        for (x, g) in self.x.chunks_exact(channels).zip(self.g.chunks_exact(channels)) {
            let sums = plain.iter_mut().zip(weighted.iter_mut());
            for (((x, g), channel), (plain, weighted)) in x.iter().zip(g).zip(self.affine.channels()).zip(sums) {
                let gz = g * self.affine.at(*x, channel).1;
                *plain += gz;
                *weighted += gz * (x - channel[2]);
            }
        }
    }
}

struct Backward<'a> {
    affine: Affine<'a>,
    x: &'a [f32],
    g: &'a [f32],
    dx: &'a mut [f32],
    /// What is taken off every gradient of a channel, and what for each unit of distance from the mean.
    offset: &'a [f32],
    pull: &'a [f32],
}

impl Body for Backward<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let channels = self.affine.scale.len();
        let rows = self.dx.chunks_exact_mut(channels).zip(self.x.chunks_exact(channels)).zip(self.g.chunks_exact(channels));
        for ((dx, x), g) in rows {
            let parameters = self.affine.channels().zip(self.offset.iter().zip(self.pull));
            for (((dx, x), g), (channel, (offset, pull))) in dx.iter_mut().zip(x).zip(g).zip(parameters) {
                let gz = g * self.affine.at(*x, channel).1;
                *dx = channel[0] * (gz - offset - (x - channel[2]) * pull);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize, phase: f32) -> Vec<f32> {
        (0..n).map(|i| (1.7 * i as f32 + phase).sin()).collect()
    }

    /// The definition in double precision: outputs, means, variances.
    fn reference(x: &[f64], norm: NormAct<'_>) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let channels = norm.gamma.len();
        let n = (x.len() / channels) as f64;
        let column = |c: usize| x.iter().skip(c).step_by(channels);
        let mean: Vec<f64> = (0..channels).map(|c| column(c).sum::<f64>() / n).collect();
        let variance: Vec<f64> = (0..channels).map(|c| column(c).map(|v| (v - mean[c]).powi(2)).sum::<f64>() / n).collect();
        let y = x.iter().enumerate().map(|(i, v)| {
            let c = i % channels;
            let z = f64::from(norm.gamma[c]) * (v - mean[c]) / (variance[c] + f64::from(norm.epsilon)).sqrt() + f64::from(norm.beta[c]);
            if z < 0.0 { z * f64::from(norm.slope) } else { z }
        });
        (y.collect(), mean, variance)
    }

    fn close(ours: &[f32], reference: &[f64], tolerance: f64, what: &str) {
        assert_eq!(ours.len(), reference.len(), "{what}");
        for (i, (a, b)) in ours.iter().zip(reference).enumerate() {
            assert!((f64::from(*a) - b).abs() < tolerance * (1.0 + b.abs()), "{what}[{i}]: {a} against {b}");
        }
    }

    #[test]
    fn values_and_gradients_agree_with_the_definition() {
        for (rows, channels, slope, offset) in [(2, 1, 0.2, 0.0), (33, 5, 0.0, 0.0), (700, 40, 0.2, 100.0), (64, 16, 1.0, -3.0)] {
            let x: Vec<f32> = wave(rows * channels, 0.3).iter().map(|v| v + offset).collect();
            let (g, beta) = (wave(rows * channels, 2.0), wave(channels, 1.0));
            let gamma: Vec<f32> = wave(channels, 0.5).iter().map(|v| v + 1.5).collect();
            let norm = NormAct { gamma: &gamma, beta: &beta, epsilon: 1e-5, slope };
            let wide: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
            let (y, mean, variance) = reference(&wide, norm);
            let (ours, statistics) = norm_act(&x, norm);
            close(&ours, &y, 2e-4, "y");
            close(&statistics.mean, &mean, 1e-5, "mean");
            close(&statistics.variance, &variance, 1e-4, "variance");
            let (dx, d_gamma, d_beta) = norm_act_backward(&x, &g, norm, &statistics);
            // Finite differences of sum(g y), except where the step crosses the kink.
            let value = |x: &[f64]| reference(x, norm).0.iter().zip(&g).map(|(y, g)| y * f64::from(*g)).sum::<f64>();
            for i in (0..x.len()).step_by(x.len() / 7 + 1) {
                let at = |step: f64| {
                    let mut moved = wide.clone();
                    moved[i] += step;
                    value(&moved)
                };
                let numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
                assert!((f64::from(dx[i]) - numeric).abs() < 2e-3, "dx[{i}]: {} against {numeric}", dx[i]);
            }
            for c in 0..channels {
                // So near the kink either side is right.
                let is_near = |i: usize| y[i].abs() < 1e-4;
                let gz = |i: usize| f64::from(g[i]) * if y[i] < 0.0 || (slope == 0.0 && y[i] == 0.0) { f64::from(slope) } else { 1.0 };
                let own = || (c..x.len()).step_by(channels);
                let normal = |i: usize| (wide[i] - mean[c]) / (variance[c] + 1e-5).sqrt();
                let near: f64 = if slope == 0.0 { 0.0 } else { own().filter(|i| is_near(*i)).map(|i| f64::from(g[i]).abs() * 2.0).sum() };
                close(&d_beta[c..=c], &[own().map(gz).sum::<f64>()], 1e-3 + near, "d_beta");
                close(&d_gamma[c..=c], &[own().map(|i| gz(i) * normal(i)).sum::<f64>()], 1e-3 + near, "d_gamma");
            }
        }
    }
}
