//! Kinds of samples, found in the data: what a collapsed generator leaves out.

use rayon::prelude::*;

use crate::metrics::{Features, squared_distance};
use crate::random;

/// Rounds of assignment at most; a few dozen settle.
const ROUNDS: usize = 50;

/// Clusters of real feature vectors, found by k-means (Lloyd 1982) from well-spread first centres (k-means++, Arthur and Vassilvitskii 2007). Richardson and Weiss, "On GANs and
/// GMMs", NeurIPS 2018, count samples by such clusters to see what a generator leaves out.
#[derive(Debug, Clone, PartialEq)]
pub struct Kinds {
    centers: Vec<Vec<f32>>,
    /// Share of the real samples in each, in descending order, adding up to 1.
    pub real: Vec<f64>,
}

impl Kinds {
    /// At most `k` kinds (at least one) of the vectors in `data`.
    pub fn find(data: &Features, k: usize) -> Self {
        let mut centers = spread_out(data, k.clamp(1, data.n()));
        let mut assigned = Vec::new();
        for _ in 0..ROUNDS {
            let now = nearest(&centers, data);
            if now == assigned {
                break;
            }
            assigned = now;
            move_to_means(&mut centers, data, &assigned);
        }
        let mut shares = shares(&nearest(&centers, data), centers.len());
        // The most common first, and nothing that is empty.
        let mut order: Vec<usize> = (0..centers.len()).filter(|i| shares[*i] > 0.0).collect();
        order.sort_by(|a, b| shares[*b].total_cmp(&shares[*a]).then(a.cmp(b)));
        centers = order.iter().map(|i| centers[*i].clone()).collect();
        shares = order.iter().map(|i| shares[*i]).collect();
        Self { centers, real: shares }
    }

    /// Share of the samples that are of each kind.
    pub fn shares(&self, samples: &Features) -> Vec<f64> {
        shares(&nearest(&self.centers, samples), self.centers.len())
    }
}

fn spread_out(data: &Features, k: usize) -> Vec<Vec<f32>> {
    let mut rng = random::stream(0, "kinds", 0);
    let mut centers = vec![data.row(random::below(data.n() as u64, &mut rng) as usize).to_vec()];
    let mut distances = vec![f64::INFINITY; data.n()];
    while centers.len() < k {
        let newest = &centers[centers.len() - 1];
        distances.iter_mut().zip(data.rows()).for_each(|(d, row)| *d = d.min(squared_distance(row, newest)));
        let total: f64 = distances.iter().sum();
        let draw = f64::from(random::uniform(1, &mut rng)[0]) * total;
        let mut sum = 0.0;
        let reached = distances.iter().position(|d| {
            sum += d;
            sum > draw
        });
        // Nothing is left where all vectors are centres already.
        let Some(next) = reached.filter(|_| total > 0.0) else { break };
        centers.push(data.row(next).to_vec());
    }
    centers
}

fn nearest(centers: &[Vec<f32>], data: &Features) -> Vec<usize> {
    let one = |i: usize| {
        let distances = centers.iter().map(|c| squared_distance(data.row(i), c)).enumerate();
        distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(kind, _)| kind)
    };
    (0..data.n()).into_par_iter().map(one).collect()
}

fn move_to_means(centers: &mut [Vec<f32>], data: &Features, assigned: &[usize]) {
    let mut sums = vec![(vec![0.0f64; data.dim()], 0usize); centers.len()];
    for (row, kind) in data.rows().zip(assigned) {
        let (sum, n) = &mut sums[*kind];
        sum.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
        *n += 1;
    }
    for (center, (sum, n)) in centers.iter_mut().zip(sums) {
        if n > 0 {
            center.iter_mut().zip(sum).for_each(|(c, s)| *c = (s / n as f64) as f32);
        }
    }
}

fn shares(assigned: &[usize], k: usize) -> Vec<f64> {
    let mut counts = vec![0usize; k];
    assigned.iter().for_each(|kind| counts[*kind] += 1);
    counts.into_iter().map(|count| count as f64 / assigned.len().max(1) as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blobs(counts: &[usize]) -> Features {
        let values = counts.iter().enumerate().flat_map(|(blob, n)| {
            let noise = random::normal(2 * n, &mut random::stream(blob as u64, "blobs", 0));
            noise.into_iter().enumerate().map(move |(i, v)| 0.1 * v + if i % 2 == 0 { 10.0 * blob as f32 } else { 0.0 }).collect::<Vec<_>>()
        });
        Features::new("blobs", values.collect(), 2).unwrap()
    }

    #[test]
    fn separate_clusters_are_found_with_their_shares() {
        let kinds = Kinds::find(&blobs(&[100, 200, 700]), 3);
        assert_eq!(kinds.real, [0.7, 0.2, 0.1]);
        assert_eq!(kinds.shares(&blobs(&[50, 0, 50])), [0.5, 0.0, 0.5]);
    }

    #[test]
    fn fewer_different_vectors_than_kinds_are_no_trouble() {
        let same = Features::new("same", vec![1.0; 20], 2).unwrap();
        assert_eq!(Kinds::find(&same, 5).real, [1.0]);
    }
}
