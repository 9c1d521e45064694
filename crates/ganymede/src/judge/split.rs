//! Which samples of a data set are never learned from.

use crate::random::DataOrder;

/// Held-out samples that are enough for any figure here; larger sets hold out 2 % instead.
const ENOUGH: usize = 1000;
/// Held-out samples below which there is no point in any.
const FEWEST: usize = 5;

/// Positions of a data set in two parts, both in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// What is learned from.
    pub training: Vec<usize>,
    /// What is only judged by; may be empty.
    pub held_out: Vec<usize>,
}

impl Split {
    /// Holds out the share `share` of `n` samples, but no more than 1,000 or 2 % of them, whichever is larger; none if that would be fewer than five. Which ones depends on `n` and
    /// `share` alone, so that all runs on the same data are judged by the same samples.
    pub fn new(n: usize, share: f64) -> Self {
        let most = ENOUGH.max(n / 50);
        let n_held = ((n as f64 * share) as usize).min(most).min(n / 2);
        let n_held = if n_held < FEWEST { 0 } else { n_held };
        let order = if n == 0 { Vec::new() } else { DataOrder::new(0, "held-out", n).batch(0, n) };
        let (mut held_out, mut training) = (order[..n_held].to_vec(), order[n_held..].to_vec());
        held_out.sort_unstable();
        training.sort_unstable();
        Self { training, held_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_disjoint_complete_and_always_the_same() {
        for (n, share, held) in [
            (6000, 0.1, 600),
            (100_000, 0.1, 2000),
            (20_000, 0.1, 1000),
            (50, 0.1, 5),
            (49, 0.1, 0),
            (6000, 0.0, 0),
            (1, 0.5, 0),
            (0, 0.1, 0),
        ] {
            let split = Split::new(n, share);
            assert_eq!(split.held_out.len(), held, "{n} {share}");
            let mut all = [split.training.clone(), split.held_out.clone()].concat();
            all.sort_unstable();
            assert_eq!(all, (0..n).collect::<Vec<_>>());
            assert_eq!(split, Split::new(n, share));
        }
    }
}
