//! Resampling of channels-last images: a sparse matrix along each axis.

use crate::fill::filled;
use crate::simd::{Body, Lanes, dispatch};

/// Units of work that the images of a batch are cut into at most.
const PIECES: usize = 16;

/// A matrix `[output extent, input extent]` of which most is zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    inputs: usize,
    /// For each output, the inputs that it reads and their weights.
    outputs: Vec<Vec<(usize, f32)>>,
}

impl Axis {
    /// From the dense matrix, row by row.
    ///
    /// # Panics
    /// If `matrix` is no whole number of rows of `inputs` values.
    pub fn new(matrix: &[f32], inputs: usize) -> Self {
        assert!(inputs > 0 && matrix.len().is_multiple_of(inputs), "the matrix has no whole rows");
        let used = |row: &[f32]| row.iter().copied().enumerate().filter(|(_, w)| *w != 0.0).collect();
        Self { inputs, outputs: matrix.chunks_exact(inputs).map(used).collect() }
    }

    /// The matrix with rows and columns exchanged.
    pub fn transposed(&self) -> Self {
        let mut outputs = vec![Vec::new(); self.inputs];
        for (o, taps) in self.outputs.iter().enumerate() {
            taps.iter().for_each(|(i, w)| outputs[*i].push((o, *w)));
        }
        Self { inputs: self.outputs.len(), outputs }
    }

    /// The dense matrix, row by row.
    pub fn matrix(&self) -> Vec<f32> {
        let mut matrix = vec![0.0; self.outputs.len() * self.inputs];
        for (row, taps) in matrix.chunks_exact_mut(self.inputs).zip(&self.outputs) {
            taps.iter().for_each(|(i, w)| row[*i] = *w);
        }
        matrix
    }

    /// Input and output extents.
    pub fn extents(&self) -> [usize; 2] {
        [self.inputs, self.outputs.len()]
    }
}

/// `x [n, h, w, channels]` to `[n, h', w', channels]`, by a matrix along the height and one along the width.
///
/// # Panics
/// If the length of `x` is no whole number of images.
pub fn resample(x: &[f32], channels: usize, [rows, columns]: [&Axis; 2]) -> Vec<f32> {
    let [[h, oh], [w, ow]] = [rows.extents(), columns.extents()];
    let (n_x, n_y) = (h * w * channels, oh * ow * channels);
    assert!(n_x > 0 && x.len().is_multiple_of(n_x), "the images do not fit the extents");
    filled(
        x.len() / n_x * n_y,
        n_y,
        PIECES,
        || vec![0.0; w * channels],
        |line, i, y| dispatch(Image { x: &x[i * n_x..][..n_x], channels, axes: [rows, columns], line, y }),
    )
}

/// One image, by way of one row of it.
struct Image<'a> {
    x: &'a [f32],
    channels: usize,
    axes: [&'a Axis; 2],
    line: &'a mut [f32],
    y: &'a mut [f32],
}

impl Body for Image<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let [rows, columns] = self.axes;
        let (c, width) = (self.channels, self.line.len());
        for (taps, y) in rows.outputs.iter().zip(self.y.chunks_exact_mut(columns.outputs.len() * c)) {
            weighted(taps, self.x, width, self.line);
            for (taps, y) in columns.outputs.iter().zip(y.chunks_exact_mut(c)) {
                weighted(taps, self.line, c, y);
            }
        }
    }
}

/// `to` becomes the weighted sum of the rows of `from`, each `len` long.
#[inline(always)]
fn weighted(taps: &[(usize, f32)], from: &[f32], len: usize, to: &mut [f32]) {
    let row = |i: usize| &from[i * len..][..len];
    match taps {
        [] => to.fill(0.0),
        [(i, w)] => to.iter_mut().zip(row(*i)).for_each(|(to, a)| *to = w * a),
        [(i, v), (j, w)] => to.iter_mut().zip(row(*i).iter().zip(row(*j))).for_each(|(to, (a, b))| *to = v * a + w * b),
        [(i, v), rest @ ..] => {
            to.iter_mut().zip(row(*i)).for_each(|(to, a)| *to = v * a);
            for (j, w) in rest {
                to.iter_mut().zip(row(*j)).for_each(|(to, a)| *to += w * a);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_agree_with_the_product_of_dense_matrices() {
        let wave = |n: usize, phase: f32| (0..n).map(|i| (1.7 * i as f32 + phase).sin()).collect::<Vec<_>>();
        for (n, [h, oh], [w, ow], c) in [(1, [1, 1], [2, 1], 1), (3, [4, 2], [6, 12], 5), (2, [5, 10], [3, 7], 33), (0, [2, 1], [2, 1], 3)]
        {
            // Every third weight is zero, and one whole output reads nothing.
            let matrix = |outputs: usize, inputs: usize| {
                let keep = |(i, v): (usize, f32)| if i % 3 == 1 || i / inputs == 1 { 0.0 } else { v };
                wave(outputs * inputs, 0.4).into_iter().enumerate().map(keep).collect::<Vec<_>>()
            };
            let (x, rows, columns) = (wave(n * h * w * c, 0.0), matrix(oh, h), matrix(ow, w));
            let axes = [Axis::new(&rows, h), Axis::new(&columns, w)];
            let y = resample(&x, c, [&axes[0], &axes[1]]);
            assert_eq!(y.len(), n * oh * ow * c);
            for (at, y) in y.iter().enumerate() {
                let (image, oy, ox, k) = (at / (oh * ow * c), at / (ow * c) % oh, at / c % ow, at % c);
                let sum: f64 = (0..h * w)
                    .map(|p| f64::from(rows[oy * h + p / w] * columns[ox * w + p % w]) * f64::from(x[(image * h * w + p) * c + k]))
                    .sum();
                assert!((f64::from(*y) - sum).abs() < 1e-5, "{at}: {y} against {sum}");
            }
            assert_eq!(axes[0].transposed().transposed(), axes[0]);
            assert_eq!(axes[0].transposed().extents(), [oh, h]);
            assert_eq!(axes[1].matrix(), columns);
        }
    }
}
