//! Random numbers that depend on (seed, purpose, column, row) alone, so that rows may be worked on in any order and in any number of parts.

use crate::random::mix;

/// Draws for one column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    key: u64,
}

impl Draws {
    /// Draws for `purpose` in column number `column`.
    pub(crate) fn new(seed: u64, purpose: &str, column: usize) -> Self {
        let named = purpose.bytes().fold(mix(seed ^ 0x9e37_79b9_7f4a_7c15), |state, byte| mix(state ^ u64::from(byte)));
        Self { key: mix(named ^ column as u64) }
    }

    /// 64 random bits for a row.
    pub(crate) fn bits(&self, row: u64) -> u64 {
        mix(self.key ^ mix(row))
    }

    /// Uniform on (0, 1), ends excluded.
    pub(crate) fn uniform(&self, row: u64) -> f64 {
        ((self.bits(row) >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_uniform_and_differ_by_seed_purpose_and_column() {
        let draws = Draws::new(1, "test", 0);
        let n = 100_000;
        let mean = (0..n).map(|row| draws.uniform(row)).sum::<f64>() / n as f64;
        let square = (0..n).map(|row| draws.uniform(row).powi(2)).sum::<f64>() / n as f64;
        assert!((mean - 0.5).abs() < 0.005 && (square - 1.0 / 3.0).abs() < 0.005, "{mean} {square}");
        for other in [Draws::new(2, "test", 0), Draws::new(1, "tests", 0), Draws::new(1, "test", 1)] {
            assert_ne!(draws.bits(0), other.bits(0));
        }
    }
}
