//! The Fréchet distance between two normal distributions with the means and covariances of the features.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

use super::Features;
use crate::error::Result;

/// Result of [`frechet`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frechet {
    /// Squared distance, at least 0, in squared units of the features; the FID where the features are Inception's.
    pub distance: f64,
    /// Whether either side has no more samples than a feature vector has numbers: its covariance is then singular and the distance too large.
    pub too_few: bool,
}

/// `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))` with the unbiased covariances (Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
/// Equilibrium", NeurIPS 2017, equation 6; Dowson and Landau 1982).
///
/// The trace of the root is taken as the sum of the roots of the eigenvalues of `C1^(1/2) C2 C1^(1/2)`, which is symmetric and positive semi-definite: no imaginary parts arise
/// and singular covariances do no harm.
///
/// # Errors
/// [`crate::Error::Data`] if the vectors differ in length.
pub fn frechet(real: &Features, generated: &Features) -> Result<Frechet> {
    real.comparable(generated)?;
    let ((mean_r, cov_r), (mean_g, cov_g)) = (moments(real), moments(generated));
    let trace = cov_r.trace() + cov_g.trace();
    let root = root(cov_r);
    let middle = &root * cov_g * &root;
    // Rounding leaves the product a little asymmetric.
    let middle = (&middle + middle.transpose()) * 0.5;
    let roots: f64 = middle.symmetric_eigenvalues().iter().map(|v| v.max(0.0).sqrt()).sum();
    let distance = (mean_r - mean_g).norm_squared() + trace - 2.0 * roots;
    let too_few = real.n().min(generated.n()) <= real.dim();
    Ok(Frechet { distance: distance.max(0.0), too_few })
}

/// Mean and unbiased covariance.
fn moments(features: &Features) -> (DVector<f64>, DMatrix<f64>) {
    let (n, dim, mean) = (features.n(), features.dim(), features.mean());
    let centred = DMatrix::from_row_iterator(n, dim, features.rows().flat_map(|row| row.iter().zip(&mean).map(|(v, m)| f64::from(*v) - m)));
    let covariance = centred.tr_mul(&centred) / (n as f64 - 1.0);
    (DVector::from_vec(mean), covariance)
}

/// Symmetric root of a positive semi-definite matrix.
fn root(matrix: DMatrix<f64>) -> DMatrix<f64> {
    let SymmetricEigen { eigenvectors, eigenvalues } = matrix.symmetric_eigen();
    let roots = DMatrix::from_diagonal(&eigenvalues.map(|v| v.max(0.0).sqrt()));
    &eigenvectors * roots * eigenvectors.transpose()
}

#[cfg(test)]
mod tests {
    use super::super::features::tests::wave;
    use super::*;

    #[test]
    fn a_shift_is_measured_and_nothing_else() {
        let real = wave(200, 3, 0.0);
        let moved = Features::new("moved", real.rows().flat_map(|row| row.iter().map(|v| v + 2.0)).collect(), 3).unwrap();
        let none = frechet(&real, &real).unwrap();
        assert!(none.distance < 1e-6 && !none.too_few, "{none:?}");
        assert!((frechet(&real, &moved).unwrap().distance - 12.0).abs() < 1e-4);
    }

    #[test]
    fn one_dimension_has_a_closed_form() {
        // (m1 - m2)^2 + (s1 - s2)^2.
        let a = Features::new("a", vec![0.0, 2.0, 4.0], 1).unwrap();
        let b = Features::new("b", vec![1.0, 2.0, 3.0], 1).unwrap();
        assert!((frechet(&a, &b).unwrap().distance - 1.0).abs() < 1e-12);
    }

    #[test]
    fn few_samples_are_told() {
        let found = frechet(&wave(5, 8, 0.0), &wave(50, 8, 0.1)).unwrap();
        assert!(found.too_few && found.distance.is_finite());
    }
}
