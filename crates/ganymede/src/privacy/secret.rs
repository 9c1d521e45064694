//! Randomness that nobody can foretell: a key from the operating system, and what is derived from it.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Draws of one stream; streams side by side make a long list fast.
const AT_ONCE: usize = 4096;

/// 256 secret bits. Whoever knows them can take the noise away again: they belong into checkpoints and nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

/// Shows nothing.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// A fresh one.
    ///
    /// # Errors
    /// [`Error::Data`] if the operating system gives no random bytes.
    pub fn fresh() -> Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|e| {
            Error::data(
                "the operating system",
                format!("gives no random bytes ({e})"),
                "noise cannot be drawn without; try another machine",
            )
        })?;
        Ok(Self(bytes))
    }

    /// That of these bytes.
    pub fn of(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Another secret for one purpose at one step. Nothing about the key or about other secrets follows from it.
    pub fn derive(&self, purpose: &str, step: u64) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update((purpose.len() as u64).to_le_bytes());
        hash.update(purpose.as_bytes());
        hash.update(step.to_le_bytes());
        hash.finalize().into()
    }

    /// A stream for one purpose at one step.
    pub fn stream(&self, purpose: &str, step: u64) -> Stream {
        Stream::new(self.derive(purpose, step))
    }

    /// `n` independent draws from the standard normal distribution.
    pub fn normal(&self, purpose: &str, step: u64, n: usize) -> Vec<f32> {
        let key = Self(self.derive(purpose, step));
        let mut draws = vec![0.0; n];
        draws.par_chunks_mut(AT_ONCE).enumerate().for_each(|(i, draws)| {
            let mut stream = key.stream("normal", i as u64);
            for pair in draws.chunks_mut(2) {
                let both = stream.normals();
                pair.iter_mut().zip(both).for_each(|(draw, value)| *draw = value as f32);
            }
        });
        draws
    }

    /// The numbers below `n` of which each is in by itself with probability `rate`.
    pub fn sampled(&self, purpose: &str, step: u64, (n, rate): (usize, f64)) -> Vec<usize> {
        let mut stream = self.stream(purpose, step);
        (0..n).filter(|_| stream.uniform() < rate).collect()
    }
}

/// Bits of SHA-256 in counter mode.
pub struct Stream {
    key: [u8; 32],
    n_blocks: u64,
    block: [u8; 32],
    used: usize,
}

impl Stream {
    fn new(key: [u8; 32]) -> Self {
        Self { key, n_blocks: 0, block: [0; 32], used: 32 }
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        if self.used == self.block.len() {
            let mut hash = Sha256::new();
            hash.update(self.key);
            hash.update(self.n_blocks.to_le_bytes());
            self.block = hash.finalize().into();
            (self.n_blocks, self.used) = (self.n_blocks + 1, 0);
        }
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.block[self.used..self.used + 8]);
        self.used += 8;
        u64::from_le_bytes(bytes)
    }

    /// Uniform on [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Two independent standard normal draws (Box and Muller, 1958).
    pub fn normals(&mut self) -> [f64; 2] {
        // 1 minus: the logarithm of 0 is none.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        [radius * cos, radius * sin]
    }

    /// A draw from the Laplace distribution of that scale.
    pub fn laplace(&mut self, scale: f64) -> f64 {
        let mut exponential = || -(1.0 - self.uniform()).ln();
        scale * (exponential() - exponential())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_stated_distributions_and_differ_by_key_purpose_and_step() {
        let (key, n) = (Key::of([7; 32]), 100_001);
        let draws = key.normal("noise", 3, n);
        let moment = |power: i32| draws.iter().map(|v| f64::from(*v).powi(power)).sum::<f64>() / n as f64;
        assert!(
            moment(1).abs() < 0.012 && (moment(2) - 1.0).abs() < 0.02 && (moment(4) - 3.0).abs() < 0.15,
            "{} {} {}",
            moment(1),
            moment(2),
            moment(4)
        );
        assert_eq!(draws, key.normal("noise", 3, n));
        for other in [Key::of([8; 32]).normal("noise", 3, 4), key.normal("nois", 3, 4), key.normal("noise", 4, 4)] {
            assert_ne!(draws[..4], other);
        }
        let mut stream = key.stream("count", 0);
        let laplace: Vec<f64> = (0..n).map(|_| stream.laplace(2.0)).collect();
        let deviation = laplace.iter().map(|v| v.abs()).sum::<f64>() / n as f64;
        assert!((deviation - 2.0).abs() < 0.03 && (laplace.iter().sum::<f64>() / n as f64).abs() < 0.05, "{deviation}");
    }

    #[test]
    fn each_row_is_sampled_by_a_coin_of_its_own() {
        let key = Key::of([1; 32]);
        let (n, rate, steps) = (500, 0.04, 400);
        let mut counts = vec![0u32; n];
        let mut sizes = Vec::new();
        for step in 0..steps {
            let rows = key.sampled("batch", step, (n, rate));
            sizes.push(rows.len() as f64);
            rows.into_iter().for_each(|row| counts[row] += 1);
        }
        let mean = sizes.iter().sum::<f64>() / steps as f64;
        let variance = sizes.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / steps as f64;
        // Binomial: 20 rows, variance 19.2; each row is in 16 of 400 batches.
        assert!((mean - 20.0).abs() < 1.0 && (variance - 19.2).abs() < 4.5, "{mean} {variance}");
        assert!(counts.iter().all(|count| (1..40).contains(count)));
        assert_ne!(Key::fresh().unwrap(), Key::fresh().unwrap());
    }
}
