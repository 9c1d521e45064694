//! Whether a generator copies what it learned from.

use rayon::prelude::*;

use super::Features;
use super::features::squared_distance;
use super::two_sample::auc;
use crate::error::Result;

/// A generated sample and the training sample nearest to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Number of the generated sample.
    pub generated: usize,
    /// Number of the training sample.
    pub training: usize,
    /// Euclidean distance of their features.
    pub distance: f64,
}

/// Result of [`memorisation`].
#[derive(Debug, Clone, PartialEq)]
pub struct Memorisation {
    /// Probability that a generated sample lies nearer to the training samples than a held-out real one does: 1/2 for a generator that has learned the distribution, more for one
    /// that copies, less for one that stays away from the data.
    pub nearer: f64,
    /// Standard score of that probability against 1/2: above 3 is hardly chance.
    pub z: f64,
    /// Nearest training sample of each generated one, nearest pair first.
    pub pairs: Vec<Pair>,
}

/// The test of Meehan, Chaudhuri and Dasgupta, "A Non-Parametric Test to Detect Data-Copying in Generative Models", AISTATS 2020, section 3, over the whole space: a Mann-Whitney
/// test on the distances to the nearest training sample. `z` has the opposite sign of theirs: large means copying.
///
/// Without held-out samples, distances of training samples to their nearest other one stand in for theirs, as in the authenticity of Alaa et al., "How Faithful is your Synthetic
/// Data?", ICML 2022.
///
/// # Errors
/// [`crate::Error::Data`] if the vectors differ in length.
pub fn memorisation(training: &Features, held_out: Option<&Features>, generated: &Features) -> Result<Memorisation> {
    training.comparable(held_out.unwrap_or(training))?;
    training.comparable(generated)?;
    let nearest = |of: &Features, without: fn(usize, usize) -> bool| -> Vec<Pair> {
        let one = |i: usize| {
            let others = training.rows().enumerate().filter(|(j, _)| !without(i, *j));
            let distances = others.map(|(j, row)| (j, squared_distance(of.row(i), row)));
            let (training, squared) = distances.min_by(|a, b| a.1.total_cmp(&b.1)).expect("there are at least two");
            Pair { generated: i, training, distance: squared.sqrt() }
        };
        (0..of.n()).into_par_iter().map(one).collect()
    };
    let mut pairs = nearest(generated, |_, _| false);
    let reference = match held_out {
        Some(held_out) => nearest(held_out, |_, _| false),
        None => nearest(training, |i, j| i == j),
    };
    let distances = |pairs: &[Pair]| pairs.iter().map(|pair| pair.distance).collect::<Vec<f64>>();
    let (own, other) = (distances(&pairs), distances(&reference));
    let nearer = auc(&other, &own).value;
    let z = (nearer - 0.5) / null_deviation(&own, &other);
    pairs.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    Ok(Memorisation { nearer, z, pairs })
}

/// Standard deviation of the Mann-Whitney statistic over `n m` where both sides are alike, ties allowed for. 0 / 0 becomes 0 by an infinite deviation.
fn null_deviation(a: &[f64], b: &[f64]) -> f64 {
    let (n, m) = (a.len() as f64, b.len() as f64);
    let mut all: Vec<f64> = a.iter().chain(b).copied().collect();
    all.sort_by(f64::total_cmp);
    let ties: f64 = all.chunk_by(|x, y| x == y).map(|tie| (tie.len() as f64).powi(3) - tie.len() as f64).sum();
    let total = n + m;
    let variance = (total + 1.0 - ties / (total * (total - 1.0))) / (12.0 * n * m);
    if variance > 0.0 { variance.sqrt() } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::super::features::tests::wave;
    use super::*;

    #[test]
    fn copies_are_told_from_samples_of_the_distribution() {
        let all = wave(600, 3, 0.0);
        let part = |first: usize, step: usize| {
            Features::new("part", (first..600).step_by(step).flat_map(|i| all.row(i).to_vec()).collect(), 3).unwrap()
        };
        let (training, held_out, fresh) = (part(0, 3), part(1, 3), part(2, 3));
        let honest = memorisation(&training, Some(&held_out), &fresh).unwrap();
        assert!(honest.z.abs() < 3.0, "{} {}", honest.nearer, honest.z);
        let copies: Vec<f32> = training.rows().flat_map(|row| row.iter().map(|v| v + 1e-4)).collect();
        let copied = memorisation(&training, Some(&held_out), &Features::new("copies", copies, 3).unwrap()).unwrap();
        assert!(copied.nearer > 0.95 && copied.z > 10.0, "{} {}", copied.nearer, copied.z);
        assert!(copied.pairs.is_sorted_by(|a, b| a.distance <= b.distance) && copied.pairs[0].generated == copied.pairs[0].training);
    }

    #[test]
    fn without_held_out_samples_training_samples_stand_in() {
        let draw = |purpose: &str| {
            let values = crate::random::normal(300 * 3, &mut crate::random::stream(2, purpose, 0));
            Features::new(purpose, values, 3).unwrap()
        };
        let training = draw("training");
        let honest = memorisation(&training, None, &draw("fresh")).unwrap();
        assert!(honest.z.abs() < 3.0, "{} {}", honest.nearer, honest.z);
        let copies = memorisation(&training, None, &training).unwrap();
        assert!(copies.nearer > 0.99 && copies.pairs.iter().all(|pair| pair.distance == 0.0));
    }
}
