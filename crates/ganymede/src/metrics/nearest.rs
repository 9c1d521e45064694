//! The nearest-neighbour two-sample test.

use rayon::prelude::*;

use super::Features;
use super::features::squared_distance;
use crate::error::Result;

/// Share of all samples, real and generated together, whose nearest other sample is of their own kind: 1/2 where the distributions are equal and there are as many of either, 1 where
/// they lie apart, less than 1/2 where samples are copies of the very real ones they are compared with. The leave-one-out accuracy of a 1-nearest-neighbour classifier: Lopez-Paz
/// and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017; Xu et al., "An empirical study on evaluation metrics of generative adversarial networks", 2018, who find it
/// to tell collapse and loss of quality best. Where another sample of either kind is equally near, it counts half.
///
/// # Errors
/// [`crate::Error::Data`] if the vectors differ in length.
pub fn nearest_neighbour(real: &Features, generated: &Features) -> Result<f64> {
    real.comparable(generated)?;
    let own = |of: &Features, other: &Features| -> f64 {
        let one = |i: usize| {
            let nearest = |distances: &mut dyn Iterator<Item = f64>| distances.fold(f64::INFINITY, f64::min);
            let same = nearest(&mut (0..of.n()).filter(|j| *j != i).map(|j| squared_distance(of.row(i), of.row(j))));
            let different = nearest(&mut other.rows().map(|row| squared_distance(of.row(i), row)));
            match same.total_cmp(&different) {
                std::cmp::Ordering::Less => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Greater => 0.0,
            }
        };
        (0..of.n()).into_par_iter().map(one).collect::<Vec<f64>>().into_iter().sum()
    };
    Ok((own(real, generated) + own(generated, real)) / (real.n() + generated.n()) as f64)
}

#[cfg(test)]
mod tests {
    use super::super::features::tests::wave;
    use super::*;

    #[test]
    fn equal_far_and_copied_samples_are_told_apart() {
        let real = wave(400, 3, 0.0);
        assert_eq!(nearest_neighbour(&real, &wave(400, 3, 9.0)).unwrap(), 1.0);
        let copies = Features::new("copies", real.rows().flat_map(|row| row.iter().map(|v| v + 1e-6)).collect(), 3).unwrap();
        assert!(nearest_neighbour(&real, &copies).unwrap() < 0.05);
    }

    #[test]
    fn independent_draws_are_at_one_half() {
        let draw = |purpose: &str| {
            let values = crate::random::normal(1000 * 2, &mut crate::random::stream(3, purpose, 0));
            Features::new(purpose, values, 2).unwrap()
        };
        assert!((nearest_neighbour(&draw("a"), &draw("b")).unwrap() - 0.5).abs() < 0.05);
    }
}
