//! The distribution of the numbers of a column, as bins that hold several rows each: nothing of a single row is kept.

use serde::{Deserialize, Serialize};

use super::normal::{cdf, probit};

/// Scores beyond are clipped: a share of 1e-4 on either side.
pub const MAX_SCORE: f32 = 3.7;
/// Most bins of a grid.
const MAX_BINS: usize = 1000;

/// Numbers that are whole multiples of a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Lattice {
    /// Numbers times ten to the power of this are whole.
    decimals: u8,
    /// Distance of neighbours, in units of the last decimal.
    step: i64,
    /// One of the numbers, in the same units.
    origin: i64,
}

/// Bins, each with its share of rows; numbers are spread evenly within a bin. A bin that is one number wide holds a value that many rows have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grid {
    /// Least number of each bin, rising.
    low: Vec<f64>,
    /// Greatest number of each bin.
    high: Vec<f64>,
    /// Share of rows up to the end of each bin; the last is 1.
    upto: Vec<f64>,
    lattice: Option<Lattice>,
}

/// Part of the runs while bins are made.
struct Bin {
    first: usize,
    last: usize,
    n: usize,
    /// Holds the value of `last` alone.
    is_single: bool,
}

/// What bins are made from: rising different values with the number of rows that hold each; 0 for values that are categories, which bins do not reach across if they can help it.
struct Runs<'a> {
    runs: &'a [(f64, usize)],
    /// Rows of a bin at least.
    k: usize,
    /// Rows of a bin of several values, if it does not meet a single value before.
    least: usize,
    /// Rows of a value that has a bin of its own.
    least_single: usize,
    lattice: Option<Lattice>,
}

impl Grid {
    /// Of rising different values with the number of rows that hold each, 0 for those that are encoded otherwise; `2 k` rows at least. Every bin has at least `k` rows. Its ends are values that `k` rows hold,
    /// halfway between two rows, or the k-th value from there: never the value of one row. `decimals` are those of the column, none to keep all.
    pub(super) fn fit(runs: &[(f64, usize)], k: usize, decimals: Option<u8>) -> Self {
        let k = k.max(1);
        let n: usize = runs.iter().map(|r| r.1).sum();
        let lattice = decimals.and_then(|d| Lattice::fit(&inner(runs, k, n), d));
        let mut from = Runs { runs, k, least: k.max(n.div_ceil(MAX_BINS)), least_single: k, lattice };
        let mut bins = from.bins();
        while bins.len() > MAX_BINS {
            from.least += from.least.div_ceil(4);
            from.least_single += from.least_single.div_ceil(4);
            bins = from.bins();
        }
        let mut grid = Self { low: Vec::new(), high: Vec::new(), upto: Vec::new(), lattice };
        let mut n_upto = 0;
        for (i, bin) in bins.iter().enumerate() {
            n_upto += bin.n;
            let (low, high) =
                if bin.is_single { (runs[bin.last].0, runs[bin.last].0) } else { from.ends(bin, i == 0, i + 1 == bins.len()) };
            // Rounding must not make bins overlap.
            let low = grid.high.last().map_or(low, |last| low.max(*last));
            grid.low.push(low);
            grid.high.push(high.max(low));
            grid.upto.push(n_upto as f64 / n.max(1) as f64);
        }
        grid
    }

    /// Whether the parts fit together: for grids that come from a file.
    pub(super) fn is_sound(&self) -> bool {
        let n = self.low.len();
        let rises = |values: &[f64]| values.iter().all(|v| v.is_finite()) && values.windows(2).all(|w| w[0] <= w[1]);
        n > 0
            && n <= MAX_BINS
            && self.high.len() == n
            && self.upto.len() == n
            && rises(&self.low)
            && rises(&self.high)
            && rises(&self.upto)
            && self.low.iter().zip(&self.high).all(|(l, h)| l <= h)
            && self.upto.first().is_some_and(|u| *u >= 0.0)
            && self.upto.last() == Some(&1.0)
            && self.lattice.is_none_or(|l| l.step > 0 && l.decimals <= 9)
    }

    /// Least and greatest number that is made.
    pub(super) fn range(&self) -> [f64; 2] {
        [self.low.first().copied().unwrap_or(f64::NAN), self.high.last().copied().unwrap_or(f64::NAN)]
    }

    /// The score of a number: standard normal over the rows of the training table. `jitter` in (0, 1) spreads equal numbers.
    pub(super) fn score(&self, value: f64, jitter: f64) -> f32 {
        // The first bin that does not end before it; between two bins, the nearer.
        let after = self.high.partition_point(|h| *h < value).min(self.high.len() - 1);
        let is_before = after > 0 && value < self.low[after] && value - self.high[after - 1] < self.low[after] - value;
        let bin = if is_before { after - 1 } else { after };
        let (low, high) = (self.low[bin], self.high[bin]);
        let t = match self.lattice {
            _ if value < low || value > high || low == high => jitter,
            Some(lattice) => {
                let n = lattice.n_between(low, high);
                (((lattice.n_between(low, value) - 1) as f64 + jitter) / n as f64).clamp(0.0, 1.0)
            }
            None => (value - low) / (high - low),
        };
        let before = if bin == 0 { 0.0 } else { self.upto[bin - 1] };
        let score = probit(before + t * (self.upto[bin] - before)) as f32;
        score.clamp(-MAX_SCORE, MAX_SCORE)
    }

    /// The number of a score; rising in it. A score that is no number counts as 0.
    pub(super) fn value(&self, score: f32) -> f64 {
        let score = if score.is_nan() { 0.0 } else { score.clamp(-MAX_SCORE, MAX_SCORE) };
        let u = cdf(f64::from(score));
        let bin = self.upto.partition_point(|end| *end <= u).min(self.upto.len() - 1);
        let (low, high) = (self.low[bin], self.high[bin]);
        if low == high {
            return low;
        }
        let before = if bin == 0 { 0.0 } else { self.upto[bin - 1] };
        let t = ((u - before) / (self.upto[bin] - before)).clamp(0.0, 1.0);
        match self.lattice {
            Some(lattice) => {
                let n = lattice.n_between(low, high);
                lattice.nth_from(low, ((t * n as f64) as i64).min(n - 1))
            }
            None => low + t * (high - low),
        }
    }
}

impl Lattice {
    /// The widest step of which all differences are multiples; none where the numbers are too large or not of these decimals.
    fn fit(runs: &[(f64, usize)], decimals: u8) -> Option<Self> {
        if decimals > 9 {
            return None;
        }
        let scale = 10f64.powi(i32::from(decimals));
        let whole = |v: f64| {
            let scaled = (v * scale).round();
            (scaled.abs() < 9e15).then_some(scaled as i64)
        };
        let origin = whole(runs.first()?.0)?;
        let mut step = 0i64;
        for (value, _) in runs {
            step = gcd(step, whole(*value)? - origin);
        }
        let step = step.max(1);
        // Anchored at the multiple nearest to zero, which says nothing of a row.
        Some(Self { decimals, step, origin: origin.rem_euclid(step) })
    }

    fn scale(self) -> f64 {
        10f64.powi(i32::from(self.decimals))
    }

    fn index(self, value: f64) -> f64 {
        (value * self.scale() - self.origin as f64) / self.step as f64
    }

    fn at(self, index: f64) -> f64 {
        (index * self.step as f64 + self.origin as f64) / self.scale()
    }

    /// Numbers from `low` to `high`, both included.
    fn n_between(self, low: f64, high: f64) -> i64 {
        (self.index(high).round() - self.index(low).round()) as i64 + 1
    }

    fn nth_from(self, low: f64, n: i64) -> f64 {
        self.at(self.index(low).round() + n as f64)
    }
}

/// The runs without the `k` rows at either end, or all if that leaves none.
fn inner(runs: &[(f64, usize)], k: usize, n: usize) -> Vec<(f64, usize)> {
    let mut n_upto = 0;
    let kept: Vec<_> = runs
        .iter()
        .filter(|run| {
            let before = n_upto;
            n_upto += run.1;
            run.1 > 0 && n_upto > k && before + k < n
        })
        .copied()
        .collect();
    if kept.is_empty() { runs.iter().filter(|r| r.1 > 0).copied().collect() } else { kept }
}

impl Runs<'_> {
    /// Values that many rows hold have a bin of their own; those between are put together until `least` rows are reached, and too few of them go to their neighbour. The first and the last bin have
    /// `2 k` rows unless they hold a single value.
    fn bins(&self) -> Vec<Bin> {
        let enough = |bin: &Bin, n_bins: usize, least: usize| bin.n >= if n_bins == 0 { least.max(2 * self.k) } else { least };
        let mut bins: Vec<Bin> = Vec::new();
        let mut open: Option<Bin> = None;
        for (i, (_, n)) in self.runs.iter().enumerate() {
            if *n == 0 {
                if open.as_ref().is_some_and(|bin| enough(bin, bins.len(), self.k)) {
                    bins.extend(open.take());
                }
                continue;
            }
            if *n >= self.least_single {
                let mut single = Bin { first: i, last: i, n: *n, is_single: true };
                if let Some(bin) = open.take() {
                    if enough(&bin, bins.len(), self.k) { bins.push(bin) } else { single.n += bin.n }
                }
                bins.push(single);
                continue;
            }
            let bin = open.get_or_insert(Bin { first: i, last: i, n: 0, is_single: false });
            bin.last = i;
            bin.n += n;
            if enough(bin, bins.len(), self.least) {
                bins.extend(open.take());
            }
        }
        bins.extend(open);
        // Too few rows at the upper end go to their neighbour.
        while let [.., before, last] = bins.as_mut_slice()
            && !last.is_single
            && last.n < 2 * self.k
        {
            before.n += last.n;
            if !before.is_single {
                before.last = last.last;
            }
            bins.pop();
        }
        bins
    }

    /// Ends of a bin of several values.
    fn ends(&self, bin: &Bin, is_first: bool, is_last: bool) -> (f64, f64) {
        let own = &self.runs[bin.first..=bin.last];
        let before = if is_first { None } else { bin.first.checked_sub(1) };
        let after = if is_last { None } else { Some(bin.last + 1) };
        let low = self.end(own.iter(), before);
        let high = self.end(own.iter().rev(), after.filter(|i| *i < self.runs.len()));
        let (low, high) = (low.min(high), high.max(low));
        let Some(lattice) = self.lattice else {
            let [least, most] = [own[0].0, own[own.len() - 1].0];
            let inside = |v: f64| if (least..=most).contains(&short(v)) { short(v) } else { v };
            return (inside(low), inside(high));
        };
        let (first, last) = (lattice.index(low).ceil(), lattice.index(high).floor());
        // Where no number of the lattice lies between, the one nearest to the middle.
        let middle = lattice.index(halfway(low, high)).round();
        if first <= last { (lattice.at(first), lattice.at(last)) } else { (lattice.at(middle), lattice.at(middle)) }
    }

    /// The end of a bin whose rows are `own` from that end on, next to run number `neighbour`. Halfway to a neighbour whose value the grid does not hold; next to one that it does hold, that would give away
    /// the first row, so the bin ends where the neighbour is if that is near, and otherwise behind its first rows, as it does at either end of the table.
    fn end<'b>(&self, own: impl Iterator<Item = &'b (f64, usize)> + Clone, neighbour: Option<usize>) -> f64 {
        let first = nth(own.clone(), 1);
        let n: usize = own.clone().map(|r| r.1).sum();
        let trimmed = || if n >= 2 * self.k { halfway(nth(own.clone(), self.k), nth(own.clone(), self.k + 1)) } else { mean(own.clone()) };
        let Some((value, n_rows)) = neighbour.and_then(|i| self.runs.get(i)) else { return trimmed() };
        let is_held = *n_rows == 0 || *n_rows >= self.least_single;
        match self.lattice {
            _ if !is_held => halfway(*value, first),
            Some(lattice) if (lattice.index(first) - lattice.index(*value)).abs() <= 2.5 => {
                halfway(*value, lattice.at(lattice.index(*value) + (first - value).signum()))
            }
            _ => trimmed(),
        }
    }
}

fn halfway(a: f64, b: f64) -> f64 {
    a / 2.0 + b / 2.0
}

fn mean<'a>(runs: impl Iterator<Item = &'a (f64, usize)> + Clone) -> f64 {
    let n: usize = runs.clone().map(|r| r.1).sum();
    runs.map(|(value, rows)| value * (*rows as f64 / n.max(1) as f64)).sum()
}

/// Value of the n-th row, counted from 1.
fn nth<'a>(runs: impl Iterator<Item = &'a (f64, usize)>, n: usize) -> f64 {
    let mut n_upto = 0;
    let mut value = f64::NAN;
    for run in runs {
        n_upto += run.1;
        value = run.0;
        if n_upto >= n {
            break;
        }
    }
    value
}

/// Seven digits: enough for a bin, too few to tell one row.
fn short(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn runs(mut values: Vec<f64>) -> Vec<(f64, usize)> {
        values.sort_by(f64::total_cmp);
        values.chunk_by(|a, b| a == b).map(|c| (c[0], c.len())).collect()
    }

    #[test]
    fn frequent_values_have_bins_of_their_own_and_the_ends_are_trimmed() {
        let mut values = vec![50.0; 100];
        values.extend((0..400).map(f64::from));
        values.push(9_999_999.0);
        let grid = Grid::fit(&runs(values), 10, Some(0));
        assert!(grid.is_sound());
        assert_eq!(grid.value(grid.score(50.0, 0.5)), 50.0);
        assert_eq!(grid.range(), [10.0, 390.0]);
        assert!(grid.low.iter().zip(&grid.high).any(|(l, h)| *l == 50.0 && *h == 50.0));
    }

    #[test]
    fn the_step_of_the_numbers_is_found() {
        let grid = Grid::fit(&runs((0..500).map(|i| 250.0 * f64::from(i % 100) + 3.0).collect()), 10, Some(0));
        assert_eq!(grid.lattice, Some(Lattice { decimals: 0, step: 250, origin: 3 }));
        let cents = Grid::fit(&runs((0..500).map(|i| f64::from(i) / 20.0).collect()), 10, Some(2));
        assert_eq!(cents.lattice.map(|l| l.step), Some(5));
    }

    #[test]
    fn scores_of_the_training_rows_are_standard_normal() {
        let values: Vec<f64> = (0..20_000).map(|i| ((f64::from(i) + 0.5) / 20_000.0).powi(3) * 1000.0).collect();
        let grid = Grid::fit(&runs(values.clone()), 10, None);
        let scores: Vec<f64> = values.iter().map(|v| f64::from(grid.score(*v, 0.5))).collect();
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / scores.len() as f64;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    proptest! {
        #[test]
        fn every_bin_holds_k_rows_and_numbers_stay_in_the_domain(
            values in proptest::collection::vec(prop_oneof![-50i32..50, Just(7), -100_000i32..100_000], 60..400), k in 2usize..12, decimals in 0u8..3, score in -5.0f32..5.0,
        ) {
            let scale = 10f64.powi(i32::from(decimals));
            let values: Vec<f64> = values.iter().map(|v| f64::from(*v) / scale).collect();
            let runs = runs(values.clone());
            let grid = Grid::fit(&runs, k, Some(decimals));
            prop_assert!(grid.is_sound(), "{grid:?}");
            let mut before = 0.0;
            for upto in &grid.upto {
                prop_assert!((upto - before) * values.len() as f64 > k as f64 - 1e-6);
                before = *upto;
            }
            let [low, high] = [runs[0].0, runs[runs.len() - 1].0];
            let made = grid.value(score);
            prop_assert!(made >= low && made <= high);
            prop_assert_eq!((made * scale).round() / scale, made);
            prop_assert!(grid.value(score + 0.1) >= made);
            for value in values {
                let there = grid.score(value, 0.5);
                prop_assert!(there.abs() <= MAX_SCORE && grid.value(there).is_finite());
            }
        }

        #[test]
        fn reals_with_all_decimals_stay_in_the_domain(values in proptest::collection::vec(-1e9f64..1e9, 60..200), score in -5.0f32..5.0) {
            let runs = runs(values);
            let grid = Grid::fit(&runs, 5, None);
            prop_assert!(grid.is_sound());
            let made = grid.value(score);
            prop_assert!(made >= runs[0].0 && made <= runs[runs.len() - 1].0);
        }
    }
}
