//! Everything random, derived from `(seed, purpose, step)`: no generator state has to be saved, and stopping and resuming equals not stopping.

use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;

/// A stream of random numbers for one purpose at one step. The same arguments give the same stream on every machine.
pub fn stream(seed: u64, purpose: &str, step: u64) -> Pcg64 {
    let mut state = mix(seed ^ 0x9e37_79b9_7f4a_7c15);
    for byte in purpose.bytes() {
        state = mix(state ^ u64::from(byte));
    }
    let low = mix(state ^ step);
    let high = mix(low ^ seed.rotate_left(32));
    Pcg64::new((u128::from(high) << 64) | u128::from(low), u128::from(state))
}

/// `n` draws from the standard normal distribution.
pub fn normal(n: usize, rng: &mut Pcg64) -> Vec<f32> {
    (0..n).map(|_| StandardNormal.sample(rng)).collect()
}

/// `n` draws from the uniform distribution on [0, 1).
pub fn uniform(n: usize, rng: &mut Pcg64) -> Vec<f32> {
    (0..n).map(|_| (rng.next_u64() >> 40) as f32 / (1u64 << 24) as f32).collect()
}

/// A whole number below `bound` (which is at least 1), without bias worth mentioning (2^-64 of the bound).
pub fn below(bound: u64, rng: &mut Pcg64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(bound)) >> 64) as u64
}

/// The order in which training data is shown: a fresh permutation for each pass, a function of `(seed, purpose, step)` alone.
#[derive(Debug, Clone)]
pub struct DataOrder {
    seed: u64,
    purpose: &'static str,
    n: usize,
    epoch: Option<(u64, Vec<u32>)>,
}

impl DataOrder {
    /// Order over `n` samples (at least 1).
    pub fn new(seed: u64, purpose: &'static str, n: usize) -> Self {
        Self { seed, purpose, n, epoch: None }
    }

    /// Indices of batch number `step`, each below `n`.
    pub fn batch(&mut self, step: u64, batch: usize) -> Vec<usize> {
        let n = self.n as u64;
        let first = u128::from(step) * batch as u128;
        (0..batch as u128)
            .map(|i| {
                let position = first + i;
                let (epoch, offset) = ((position / u128::from(n)) as u64, (position % u128::from(n)) as usize);
                self.permutation(epoch)[offset] as usize
            })
            .collect()
    }

    fn permutation(&mut self, epoch: u64) -> &[u32] {
        if self.epoch.as_ref().is_none_or(|(e, _)| *e != epoch) {
            let mut rng = stream(self.seed, self.purpose, epoch);
            let mut order: Vec<u32> = (0..self.n as u32).collect();
            for i in (1..order.len()).rev() {
                order.swap(i, below(i as u64 + 1, &mut rng) as usize);
            }
            self.epoch = Some((epoch, order));
        }
        &self.epoch.as_ref().expect("just set").1
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_draws_have_mean_zero_and_variance_one() {
        let draws = normal(100_000, &mut stream(1, "latent", 0));
        let mean = draws.iter().map(|v| f64::from(*v)).sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.015 && (variance - 1.0).abs() < 0.02, "mean {mean}, variance {variance}");
    }

    #[test]
    fn streams_differ_by_seed_purpose_and_step() {
        let first = |seed, purpose, step| normal(4, &mut stream(seed, purpose, step));
        let base = first(1, "latent", 0);
        assert_eq!(base, first(1, "latent", 0));
        assert_ne!(base, first(2, "latent", 0));
        assert_ne!(base, first(1, "order", 0));
        assert_ne!(base, first(1, "latent", 1));
    }

    #[test]
    fn every_sample_is_shown_once_a_pass() {
        let mut order = DataOrder::new(3, "order", 10);
        let mut seen: Vec<usize> = (0..5).flat_map(|step| order.batch(step, 4)).collect();
        let mut second = seen.split_off(10);
        seen.sort_unstable();
        second.sort_unstable();
        let all: Vec<usize> = (0..10).collect();
        assert_eq!((seen, second), (all.clone(), all));
    }

    #[test]
    fn the_order_depends_on_the_step_alone() {
        let mut one = DataOrder::new(3, "order", 7);
        let first: Vec<_> = (0..6).map(|step| one.batch(step, 3)).collect();
        let mut two = DataOrder::new(3, "order", 7);
        let second: Vec<_> = (0..6).rev().map(|step| two.batch(step, 3)).collect();
        assert_eq!(first, second.into_iter().rev().collect::<Vec<_>>());
    }
}
