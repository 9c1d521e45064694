//! Vectors that stand for samples.

use crate::error::{Error, Result};

/// Feature vectors `[n, dim]`, row-major, all finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    values: Vec<f32>,
    dim: usize,
}

impl Features {
    /// `values` are whole rows of `dim` numbers; `what` names them in errors ("generated samples").
    ///
    /// # Errors
    /// [`Error::Data`] if there are fewer than two rows, if the last one is not whole, or if a value is not a finite number.
    pub fn new(what: &str, values: Vec<f32>, dim: usize) -> Result<Self> {
        if dim == 0 || !values.len().is_multiple_of(dim) {
            return Err(Error::data(what, format!("{} values are not rows of {dim}", values.len()), "give whole feature vectors"));
        }
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            let problem = format!("value {} of feature vector {} is not a finite number", index % dim, index / dim);
            return Err(Error::data(what, problem, "leave such samples out, or look for what made them"));
        }
        if values.len() < 2 * dim {
            return Err(Error::data(what, format!("{} cannot be compared", values.len() / dim), "give at least two"));
        }
        Ok(Self { values, dim })
    }

    /// How many vectors there are.
    pub fn n(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Numbers of a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Vector number `i`.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }

    /// All vectors.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.dim)
    }

    /// The vectors at the given positions, in their order.
    ///
    /// # Panics
    /// If fewer than two are named, or one that does not exist.
    pub fn chosen(&self, positions: &[usize]) -> Self {
        assert!(positions.len() >= 2, "features: at least two vectors are needed");
        Self { values: positions.iter().flat_map(|i| self.row(*i).iter().copied()).collect(), dim: self.dim }
    }

    /// Mean squared distance from the mean: the trace of the covariance.
    pub fn variance(&self) -> f64 {
        let mean = self.mean();
        let row = |row: &[f32]| row.iter().zip(&mean).map(|(v, m)| (f64::from(*v) - m).powi(2)).sum::<f64>();
        self.rows().map(row).sum::<f64>() / self.n() as f64
    }

    /// Checks that both have vectors of the same length.
    pub(super) fn comparable(&self, other: &Self) -> Result<()> {
        if self.dim == other.dim {
            return Ok(());
        }
        let problem = format!("vectors of {} and of {} numbers cannot be compared", self.dim, other.dim);
        Err(Error::data("features", problem, "take both from the same extractor"))
    }

    /// The mean vector.
    pub(super) fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.dim];
        for row in self.rows() {
            mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v));
        }
        let n = self.n() as f64;
        mean.iter_mut().for_each(|m| *m /= n);
        mean
    }
}

/// Squared Euclidean distance. Differences first: the usual shortcut through products loses digits where vectors are long and near each other.
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            let difference = a[i] - b[i];
            sums[i] += difference * difference;
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
    sums.iter().map(|s| f64::from(*s)).sum::<f64>() + rest
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Deterministic vectors around `shift`.
    pub fn wave(n: usize, dim: usize, shift: f32) -> Features {
        let values = (0..n * dim).map(|i| (1.7 * i as f32 + 3.1 * shift).sin() + shift).collect();
        Features::new("wave", values, dim).unwrap()
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let refused = |values: Vec<f32>, dim: usize| Features::new("generated samples", values, dim).unwrap_err().to_string();
        assert!(refused(vec![1.0; 5], 2).contains("generated samples: 5 values are not rows of 2"));
        assert!(refused(vec![1.0, 2.0, f32::NAN, 4.0], 2).contains("value 0 of feature vector 1"));
        assert!(refused(vec![1.0, 2.0], 2).contains("at least two"));
        assert!(wave(3, 2, 0.0).comparable(&wave(3, 4, 0.0)).is_err());
    }

    #[test]
    fn distances_are_euclidean() {
        for dim in [1, 16, 37] {
            let x = wave(2, dim, 0.5);
            let expected: f64 = x.row(0).iter().zip(x.row(1)).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
            assert!((squared_distance(x.row(0), x.row(1)) - expected).abs() < 1e-5 * (1.0 + expected));
        }
    }
}
