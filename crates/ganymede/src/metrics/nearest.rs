//! The nearest-neighbour two-sample test.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::Features;
use super::features::squared_distance;
use crate::error::Result;

/// What [`nearest_neighbour`] found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearestNeighbour {
    /// Share of samples whose nearest other one is of their own kind, in [0, 1].
    pub share: f64,
    /// Its standard error where both kinds are equally distributed.
    pub standard_error: f64,
}

/// Share of all samples, real and generated together, whose nearest other sample is of their own kind: 1/2 where the distributions are equal and there are as many of either, 1 where
/// they lie apart, less than 1/2 where samples are copies of the very real ones they are compared with. The leave-one-out accuracy of a 1-nearest-neighbour classifier: Lopez-Paz
/// and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017; Xu et al., "An empirical study on evaluation metrics of generative adversarial networks", 2018, who find it
/// to tell collapse and loss of quality best. Where another sample of either kind is equally near, it counts half.
///
/// The standard error is that of equal distributions: Henze, "A multivariate two-sample test based on the number of nearest neighbor type coincidences", Annals of Statistics 1988, for one neighbour and
/// as many samples of either kind, √((1 + m) / 4N), where m is the share of the N samples that are the nearest of their own nearest.
///
/// # Errors
/// [`crate::Error::Data`] if the vectors differ in length.
pub fn nearest_neighbour(real: &Features, generated: &Features) -> Result<NearestNeighbour> {
    real.comparable(generated)?;
    let (n_real, n) = (real.n(), real.n() + generated.n());
    let row = |i: usize| if i < n_real { real.row(i) } else { generated.row(i - n_real) };
    // The nearest other sample of each, and the share of the nearest ones that are of its own kind.
    let one = |i: usize| {
        let nearest = |others: std::ops::Range<usize>| {
            let distances = others.filter(|j| *j != i).map(|j| (squared_distance(row(i), row(j)), j));
            distances.fold((f64::INFINITY, i), |best, other| if other.0 < best.0 { other } else { best })
        };
        let (from_real, from_generated) = (nearest(0..n_real), nearest(n_real..n));
        let (own, other) = if i < n_real { (from_real, from_generated) } else { (from_generated, from_real) };
        match own.0.total_cmp(&other.0) {
            Ordering::Less => (own.1, 1.0),
            Ordering::Equal => (own.1, 0.5),
            Ordering::Greater => (other.1, 0.0),
        }
    };
    let found: Vec<(usize, f64)> = (0..n).into_par_iter().map(one).collect();
    let n_mutual = found.iter().enumerate().filter(|(i, (nearest, _))| found[*nearest].0 == *i).count() as f64;
    let total = n as f64;
    Ok(NearestNeighbour {
        share: found.iter().map(|(_, same)| same).sum::<f64>() / total,
        standard_error: ((1.0 + n_mutual / total) / (4.0 * total)).sqrt(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::features::tests::wave;
    use super::*;

    #[test]
    fn equal_far_and_copied_samples_are_told_apart() {
        let real = wave(400, 3, 0.0);
        assert_eq!(nearest_neighbour(&real, &wave(400, 3, 9.0)).unwrap().share, 1.0);
        let copies = Features::new("copies", real.rows().flat_map(|row| row.iter().map(|v| v + 1e-6)).collect(), 3).unwrap();
        assert!(nearest_neighbour(&real, &copies).unwrap().share < 0.05);
    }

    #[test]
    fn independent_draws_are_at_one_half_and_vary_by_the_standard_error() {
        let draw = |seed: u64, purpose: &str| {
            let values = crate::random::normal(300 * 2, &mut crate::random::stream(seed, purpose, 0));
            Features::new(purpose, values, 2).unwrap()
        };
        let found: Vec<NearestNeighbour> = (0..200).map(|seed| nearest_neighbour(&draw(seed, "a"), &draw(seed, "b")).unwrap()).collect();
        let mean = |of: &dyn Fn(&NearestNeighbour) -> f64| found.iter().map(of).sum::<f64>() / found.len() as f64;
        let variance = mean(&|f| (f.share - 0.5).powi(2));
        let foretold = mean(&|f| f.standard_error.powi(2));
        assert!((mean(&|f| f.share) - 0.5).abs() < 0.01);
        assert!((variance / foretold - 1.0).abs() < 0.3, "{variance} {foretold}");
    }
}
