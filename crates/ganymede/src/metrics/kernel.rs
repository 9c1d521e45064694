//! The kernel distance.

use rayon::prelude::*;

use super::Features;
use crate::error::Result;

/// Blocks whose spread gives the standard error.
const BLOCKS: usize = 10;

/// Result of [`kernel_distance`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KernelDistance {
    /// Squared maximum mean discrepancy, unbiased: it may fall a little below 0 where the distributions are equal.
    pub distance: f64,
    /// Standard error, from the same estimate on ten disjoint blocks of the samples; `None` with fewer than two samples a block.
    pub standard_error: Option<f64>,
}

/// The unbiased squared maximum mean discrepancy with the kernel `(x y / dim + 1)^3` over all samples (Binkowski et al., "Demystifying MMD GANs", ICLR 2018;
/// Gretton et al. 2012, equation 3): the KID where the features are Inception's.
///
/// # Errors
/// [`crate::Error::Data`] if the vectors differ in length.
pub fn kernel_distance(real: &Features, generated: &Features) -> Result<KernelDistance> {
    real.comparable(generated)?;
    let all = |n: usize| (0..n).collect::<Vec<usize>>();
    let distance = discrepancy((real, &all(real.n())), (generated, &all(generated.n())));
    let enough = real.n().min(generated.n()) >= 2 * BLOCKS;
    let standard_error = enough.then(|| {
        let block = |n: usize, b: usize| (b..n).step_by(BLOCKS).collect::<Vec<usize>>();
        let of = |b: usize| discrepancy((real, &block(real.n(), b)), (generated, &block(generated.n(), b)));
        let values: Vec<f64> = (0..BLOCKS).map(of).collect();
        let mean = values.iter().sum::<f64>() / BLOCKS as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (BLOCKS as f64 - 1.0);
        (variance / BLOCKS as f64).sqrt()
    });
    Ok(KernelDistance { distance, standard_error })
}

fn discrepancy((x, own_x): (&Features, &[usize]), (y, own_y): (&Features, &[usize])) -> f64 {
    let within = |of: &Features, own: &[usize]| {
        let n = own.len() as f64;
        let pairs = |(at, i): (usize, &usize)| own[at + 1..].iter().map(|j| kernel(of.row(*i), of.row(*j))).sum::<f64>();
        2.0 * ordered_sum(own.par_iter().enumerate().map(pairs)) / (n * (n - 1.0))
    };
    let across = ordered_sum(own_x.par_iter().map(|i| own_y.iter().map(|j| kernel(x.row(*i), y.row(*j))).sum::<f64>()));
    within(x, own_x) + within(y, own_y) - 2.0 * across / (own_x.len() as f64 * own_y.len() as f64)
}

/// In order, so that it does not depend on the number of threads.
fn ordered_sum(values: impl IndexedParallelIterator<Item = f64>) -> f64 {
    values.collect::<Vec<f64>>().into_iter().sum()
}

fn kernel(a: &[f32], b: &[f32]) -> f64 {
    let product: f64 = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    (product / a.len() as f64 + 1.0).powi(3)
}

#[cfg(test)]
mod tests {
    use super::super::features::tests::wave;
    use super::*;

    #[test]
    fn equal_distributions_are_at_zero_and_others_are_not() {
        let (a, b, far) = (wave(300, 4, 0.0), wave(301, 4, 0.0), wave(300, 4, 1.0));
        let near = kernel_distance(&a, &b).unwrap();
        assert!(near.distance.abs() < 0.02, "{near:?}");
        let found = kernel_distance(&a, &far).unwrap();
        assert!(found.distance > 10.0 * found.standard_error.unwrap() && found.distance > 1.0, "{found:?}");
        assert_eq!(kernel_distance(&wave(5, 4, 0.0), &a).unwrap().standard_error, None);
    }
}
