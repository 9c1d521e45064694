//! The sliced Wasserstein distance.

use rayon::prelude::*;

use super::Features;
use crate::error::{Error, Result};
use crate::random;

/// `(E W_2^2)^(1/2)` over directions on the unit sphere, where `W_2` is the Wasserstein distance of order 2 between the samples' projections (Bonneel et al., "Sliced and Radon
/// Wasserstein Barycenters of Measures", Journal of Mathematical Imaging and Vision 51, 2015), in units of the features, over `directions` random directions.
///
/// # Errors
/// [`Error::Data`] if the vectors differ in length; [`Error::Config`] if there are no directions.
pub fn sliced_wasserstein(real: &Features, generated: &Features, directions: usize, seed: u64) -> Result<f64> {
    let dim = real.dim();
    let mut rng = random::stream(seed, "sliced-wasserstein", 0);
    let directions: Vec<Vec<f64>> = (0..directions)
        .map(|_| {
            let direction: Vec<f64> = random::normal(dim, &mut rng).into_iter().map(f64::from).collect();
            let length = direction.iter().map(|v| v * v).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
            direction.into_iter().map(|v| v / length).collect()
        })
        .collect();
    along(real, generated, &directions)
}

/// [`sliced_wasserstein`] over given unit directions.
pub(super) fn along(real: &Features, generated: &Features, directions: &[Vec<f64>]) -> Result<f64> {
    real.comparable(generated)?;
    if directions.is_empty() {
        return Err(Error::config("directions", "there are none", "give at least one"));
    }
    let each: Vec<f64> =
        directions.par_iter().map(|direction| squared_wasserstein(projected(real, direction), projected(generated, direction))).collect();
    Ok((each.iter().sum::<f64>() / each.len() as f64).sqrt())
}

/// In ascending order.
fn projected(features: &Features, direction: &[f64]) -> Vec<f64> {
    let mut values: Vec<f64> = features.rows().map(|row| row.iter().zip(direction).map(|(v, d)| f64::from(*v) * d).sum()).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Integral of the squared difference of both quantile functions, which are steps.
fn squared_wasserstein(a: Vec<f64>, b: Vec<f64>) -> f64 {
    let (n, m) = (a.len(), b.len());
    let (mut i, mut j, mut from, mut sum) = (0, 0, 0u128, 0.0);
    // Probability in units of 1 / (n m), so that steps meet exactly.
    while i < n && j < m {
        let to = ((i as u128 + 1) * m as u128).min((j as u128 + 1) * n as u128);
        sum += (to - from) as f64 * (a[i] - b[j]).powi(2);
        if to == (i as u128 + 1) * m as u128 {
            i += 1;
        }
        if to == (j as u128 + 1) * n as u128 {
            j += 1;
        }
        from = to;
    }
    sum / (n as f64 * m as f64)
}

#[cfg(test)]
mod tests {
    use super::super::features::tests::wave;
    use super::*;

    #[test]
    fn a_shift_is_measured_by_its_length_over_the_root_of_the_dimension() {
        let real = wave(300, 4, 0.0);
        let moved = Features::new("moved", real.rows().flat_map(|row| row.iter().map(|v| v + 3.0)).collect(), 4).unwrap();
        let found = sliced_wasserstein(&real, &moved, 4000, 1).unwrap();
        // A shift of length 6: the mean squared cosine between a direction and it is 1 / 4.
        assert!((found - 3.0).abs() < 0.1, "{found}");
        assert_eq!(sliced_wasserstein(&real, &real, 10, 1).unwrap(), 0.0);
        assert!(sliced_wasserstein(&real, &moved, 0, 1).is_err());
    }

    #[test]
    fn samples_of_different_number_are_compared_by_quantiles() {
        // {0, 6} against {0, 3, 6}: quantiles differ by 3 on the middle third.
        assert!((squared_wasserstein(vec![0.0, 6.0], vec![0.0, 3.0, 6.0]) - 3.0).abs() < 1e-12);
    }
}
