//! How long series are.

use serde::{Deserialize, Serialize};

/// Share of the series that gives a length a code of its own, at least.
const SHARE: f64 = 1.0 / 32.0;

/// Ranges of lengths that several series have; within a range all lengths are equally likely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lengths {
    /// Shortest and longest of each range, rising.
    ranges: Vec<[u32; 2]>,
}

impl Lengths {
    /// From the lengths of series: no range holds fewer than `least` of them, as long as there are so many.
    pub fn fit(lengths: &[usize], least: usize) -> Self {
        let mut sorted: Vec<u32> = lengths.iter().map(|length| *length as u32).collect();
        sorted.sort_unstable();
        let least = least.max((SHARE * sorted.len() as f64).ceil() as usize).max(1);
        let mut ranges = Vec::new();
        // Lengths that are too rare for a range of their own, until there are enough.
        let mut rare: Option<([u32; 2], usize)> = None;
        for run in sorted.chunk_by(|a, b| a == b) {
            if run.len() >= least {
                rare = None;
                ranges.push([run[0], run[0]]);
                continue;
            }
            let (range, n) = rare.map_or(([run[0], run[0]], run.len()), |([low, _], n)| ([low, run[0]], n + run.len()));
            rare = Some((range, n));
            if n >= least {
                ranges.push(range);
                rare = None;
            }
        }
        if ranges.is_empty() {
            ranges.extend(sorted.first().zip(sorted.last()).map(|(low, high)| [*low, *high]));
        }
        Self { ranges }
    }

    /// The ranges.
    pub fn ranges(&self) -> &[[u32; 2]] {
        &self.ranges
    }

    /// Codes that a generator chooses between; none where all series are equally long.
    pub fn n_codes(&self) -> usize {
        if self.is_fixed() { 0 } else { self.ranges.len() }
    }

    /// Whether all series are equally long.
    pub fn is_fixed(&self) -> bool {
        matches!(self.ranges.as_slice(), [[low, high]] if low == high)
    }

    /// Whether the parts fit together and none is longer than `most`: for what comes from a file.
    pub fn is_sound(&self, most: usize) -> bool {
        !self.ranges.is_empty()
            && self.ranges.iter().all(|[low, high]| 1 <= *low && low <= high && *high as usize <= most)
            && self.ranges.windows(2).all(|w| w[0][1] < w[1][0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_lengths_stand_alone_and_rare_ones_together() {
        assert!(Lengths::fit(&[24; 50], 3).is_fixed());
        let lengths = [vec![12; 40], vec![24; 40], (13..23).collect(), vec![90]].concat();
        let found = Lengths::fit(&lengths, 5);
        assert_eq!(found.ranges(), [[12, 12], [13, 17], [18, 22], [24, 24]]);
        assert_eq!((found.n_codes(), found.is_sound(24), found.is_sound(23)), (4, true, false));
        // Too few of any: one range.
        assert_eq!(Lengths::fit(&[2, 3, 9], 10).ranges(), [[2, 9]]);
    }
}
