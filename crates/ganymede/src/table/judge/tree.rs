//! One tree of gradient boosting on binned columns.

use rayon::prelude::*;

use super::bins::Binned;

/// Rows of a category at least before it is placed by itself.
const LEAST_OF_CATEGORY: u32 = 10;
/// Added to the hessian of a category when categories are put in order, so that chance does not order rare ones.
const SMOOTHING: f64 = 10.0;
/// Hessian of a leaf at least.
const LEAST_HESSIAN: f64 = 1e-3;
/// Values that are looked at together before threads are worth it.
const WORTH_THREADS: usize = 1 << 16;

/// How trees are grown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growth {
    pub leaves: usize,
    pub least_rows: usize,
    pub l2: f64,
    pub learning_rate: f64,
}

/// A binary tree.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Split { feature: usize, lefts: BinSet, children: [usize; 2] },
    Leaf(f64),
}

/// Bins of a column.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct BinSet([u64; 4]);

impl BinSet {
    fn insert(&mut self, bin: usize) {
        self.0[bin / 64] |= 1 << (bin % 64);
    }

    fn holds(&self, bin: u8) -> bool {
        (self.0[usize::from(bin / 64)] >> (bin % 64)) & 1 == 1
    }
}

/// Sums over rows.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    gradient: f64,
    hessian: f64,
    n: u32,
}

impl Sums {
    fn plus(self, other: Self) -> Self {
        Self { gradient: self.gradient + other.gradient, hessian: self.hessian + other.hessian, n: self.n + other.n }
    }

    fn minus(self, other: Self) -> Self {
        Self { gradient: self.gradient - other.gradient, hessian: self.hessian - other.hessian, n: self.n - other.n }
    }

    fn score(self, l2: f64) -> f64 {
        self.gradient * self.gradient / (self.hessian + l2)
    }
}

/// Where to split a leaf.
#[derive(Debug, Clone, Copy)]
struct Split {
    gain: f64,
    feature: usize,
    lefts: BinSet,
}

struct Leaf {
    node: usize,
    /// Its part of the rows.
    span: std::ops::Range<usize>,
    /// Sums of each bin of each column, one column after the other.
    histogram: Vec<Sums>,
    sums: Sums,
    split: Option<Split>,
}

impl Tree {
    /// Grown leaf by leaf where the loss falls most (Friedman 2001 with the second-order gain of Chen and Guestrin, "XGBoost", KDD 2016, equation 7), on the gradients and hessians of
    /// `rows`. The rows are left in the order of the leaves; the spans of the leaves and their values come with the tree.
    pub fn grow(binned: &Binned, rows: &mut [u32], slopes: &[[f32; 2]], growth: &Growth) -> (Self, Vec<(std::ops::Range<usize>, f64)>) {
        let grower = Grower { binned, slopes, growth };
        let mut nodes = vec![Node::Leaf(0.0)];
        let mut spare = vec![0u32; rows.len()];
        let mut leaves = vec![grower.leaf(0, 0..rows.len(), grower.histogram(rows))];
        while leaves.len() < growth.leaves {
            let gain = |leaf: &Leaf| leaf.split.map_or(0.0, |split| split.gain);
            // The first of equals, so that the order is settled.
            let Some(best) = (0..leaves.len()).reduce(|a, b| if gain(&leaves[b]) > gain(&leaves[a]) { b } else { a }) else { break };
            let Some(split) = leaves[best].split else { break };
            let parent = leaves.swap_remove(best);
            let n_left = partition(&mut rows[parent.span.clone()], &mut spare, &binned.columns[split.feature], &split.lefts);
            let middle = parent.span.start + n_left;
            let (left, right) = (parent.span.start..middle, middle..parent.span.end);
            let is_left_smaller = left.len() <= right.len();
            let small = grower.histogram(&rows[if is_left_smaller { left.clone() } else { right.clone() }]);
            let mut large = parent.histogram;
            large.iter_mut().zip(&small).for_each(|(all, part)| *all = all.minus(*part));
            let (of_left, of_right) = if is_left_smaller { (small, large) } else { (large, small) };
            let children = [nodes.len(), nodes.len() + 1];
            nodes[parent.node] = Node::Split { feature: split.feature, lefts: split.lefts, children };
            nodes.extend([Node::Leaf(0.0), Node::Leaf(0.0)]);
            leaves.push(grower.leaf(children[0], left, of_left));
            leaves.push(grower.leaf(children[1], right, of_right));
        }
        let mut spans = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let value = -growth.learning_rate * leaf.sums.gradient / (leaf.sums.hessian + growth.l2);
            nodes[leaf.node] = Node::Leaf(value);
            spans.push((leaf.span, value));
        }
        (Self { nodes }, spans)
    }

    /// What it says to a row.
    pub fn value(&self, binned: &Binned, row_idx: usize) -> f64 {
        let mut at = 0;
        loop {
            match &self.nodes[at] {
                Node::Leaf(value) => return *value,
                Node::Split { feature, lefts, children } => {
                    at = children[usize::from(!lefts.holds(binned.columns[*feature][row_idx]))];
                }
            }
        }
    }
}

/// Puts the rows that go left first, both in their order, and counts them.
fn partition(rows: &mut [u32], spare: &mut [u32], bins: &[u8], lefts: &BinSet) -> usize {
    let (mut n_left, mut n_right) = (0, 0);
    for i in 0..rows.len() {
        let row = rows[i];
        if lefts.holds(bins[row as usize]) {
            rows[n_left] = row;
            n_left += 1;
        } else {
            spare[n_right] = row;
            n_right += 1;
        }
    }
    rows[n_left..].copy_from_slice(&spare[..n_right]);
    n_left
}

struct Grower<'a> {
    binned: &'a Binned,
    slopes: &'a [[f32; 2]],
    growth: &'a Growth,
}

impl Grower<'_> {
    fn leaf(&self, node: usize, span: std::ops::Range<usize>, histogram: Vec<Sums>) -> Leaf {
        let first = self.binned.n_bins.first().copied().unwrap_or(0);
        let sums = histogram[..first].iter().fold(Sums::default(), |all, bin| all.plus(*bin));
        let split = if span.len() < 2 * self.growth.least_rows { None } else { self.best_split(&histogram, sums) };
        // Sums that no split will need are not kept.
        let histogram = if split.is_some() { histogram } else { Vec::new() };
        Leaf { node, span, histogram, sums, split }
    }

    /// Each column is summed by one thread in the order of the rows: the sums do not depend on how many threads there are.
    fn histogram(&self, rows: &[u32]) -> Vec<Sums> {
        let slopes: Vec<[f32; 2]> = rows.iter().map(|row| self.slopes[*row as usize]).collect();
        let mut histogram = vec![Sums::default(); self.binned.n_bins.iter().sum()];
        let mut parts = Vec::with_capacity(self.binned.columns.len());
        let mut rest = histogram.as_mut_slice();
        for (bins, n_bins) in self.binned.columns.iter().zip(&self.binned.n_bins) {
            let (part, other) = rest.split_at_mut(*n_bins);
            parts.push((bins, part));
            rest = other;
        }
        let sum = |(bins, part): (&Vec<u8>, &mut [Sums])| {
            for (row, [gradient, hessian]) in rows.iter().zip(&slopes) {
                let bin = &mut part[usize::from(bins[*row as usize])];
                bin.gradient += f64::from(*gradient);
                bin.hessian += f64::from(*hessian);
                bin.n += 1;
            }
        };
        if rows.len() * parts.len() >= WORTH_THREADS {
            parts.into_par_iter().for_each(sum);
        } else {
            parts.into_iter().for_each(sum);
        }
        histogram
    }

    fn best_split(&self, histogram: &[Sums], all: Sums) -> Option<Split> {
        let mut best: Option<Split> = None;
        let mut start = 0;
        for (feature, n_bins) in self.binned.n_bins.iter().enumerate() {
            let bins = &histogram[start..start + n_bins];
            start += n_bins;
            let found = if self.binned.is_category[feature] { self.categories(bins, all) } else { self.numbers(bins, all) };
            if let Some((gain, lefts)) = found
                && best.is_none_or(|best| gain > best.gain)
            {
                best = Some(Split { gain, feature, lefts });
            }
        }
        best
    }

    /// What is gained if `left` goes left; nothing if that is not allowed.
    fn gain(&self, left: Sums, all: Sums) -> Option<f64> {
        let right = all.minus(left);
        let is_allowed = [left, right].iter().all(|side| side.n as usize >= self.growth.least_rows && side.hessian >= LEAST_HESSIAN);
        let gain = left.score(self.growth.l2) + right.score(self.growth.l2) - all.score(self.growth.l2);
        (is_allowed && gain > 1e-9).then_some(gain)
    }

    /// Numbers up to a bin go left; missing ones to the side where they gain more, or where most rows go if there are none.
    fn numbers(&self, bins: &[Sums], all: Sums) -> Option<(f64, BinSet)> {
        let last = bins.len() - 1;
        let missing = bins[last];
        let mut left = Sums::default();
        let mut best: Option<(f64, usize, bool)> = None;
        for (bin, sums) in bins[..last].iter().enumerate() {
            if sums.n == 0 {
                continue;
            }
            left = left.plus(*sums);
            let with = if missing.n == 0 { None } else { self.gain(left.plus(missing), all).map(|gain| (gain, true)) };
            let without = self.gain(left, all).map(|gain| (gain, missing.n == 0 && 2 * left.n > all.n));
            for (gain, is_missing_left) in without.into_iter().chain(with) {
                if best.is_none_or(|best| gain > best.0) {
                    best = Some((gain, bin, is_missing_left));
                }
            }
        }
        best.map(|(gain, bin, is_missing_left)| {
            let mut lefts = BinSet::default();
            (0..=bin).for_each(|bin| lefts.insert(bin));
            if is_missing_left {
                lefts.insert(last);
            }
            (gain, lefts)
        })
    }

    /// Categories in the order of their mean gradient are cut in two (Fisher 1958), from either end; those with few rows stay on the other side, those with none go where most rows go.
    fn categories(&self, bins: &[Sums], all: Sums) -> Option<(f64, BinSet)> {
        let mut order: Vec<usize> = (0..bins.len()).filter(|bin| bins[*bin].n >= LEAST_OF_CATEGORY).collect();
        let slope = |bin: &usize| bins[*bin].gradient / (bins[*bin].hessian + SMOOTHING);
        order.sort_by(|a, b| slope(a).total_cmp(&slope(b)));
        let mut best: Option<(f64, Vec<usize>, u32)> = None;
        for is_reversed in [false, true] {
            if is_reversed {
                order.reverse();
            }
            let mut left = Sums::default();
            for (i, bin) in order.iter().enumerate() {
                left = left.plus(bins[*bin]);
                if let Some(gain) = self.gain(left, all)
                    && best.as_ref().is_none_or(|best| gain > best.0)
                {
                    best = Some((gain, order[..=i].to_vec(), left.n));
                }
            }
        }
        best.map(|(gain, own, n_left)| {
            let mut lefts = BinSet::default();
            own.into_iter().for_each(|bin| lefts.insert(bin));
            if 2 * n_left > all.n {
                (0..bins.len()).filter(|bin| bins[*bin].n == 0).for_each(|bin| lefts.insert(bin));
            }
            (gain, lefts)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(bins: Vec<u8>, n_bins: usize, is_category: bool, answers: &[f32]) -> Tree {
        let binned = Binned { columns: vec![bins], n_bins: vec![n_bins], is_category: vec![is_category] };
        let slopes: Vec<[f32; 2]> = answers.iter().map(|answer| [-answer, 1.0]).collect();
        let growth = Growth { leaves: 2, least_rows: 1, l2: 0.0, learning_rate: 1.0 };
        Tree::grow(&binned, &mut (0..answers.len() as u32).collect::<Vec<_>>(), &slopes, &growth).0
    }

    fn value(tree: &Tree, bin: u8) -> f64 {
        tree.value(&Binned { columns: vec![vec![bin]], n_bins: vec![256], is_category: vec![false] }, 0)
    }

    #[test]
    fn a_threshold_is_found_and_missing_numbers_go_where_they_belong() {
        // Bins 0, 1 and 2, and 3 for missing.
        let tree = grown(vec![0, 1, 2, 2, 3, 3], 4, false, &[1.0, 1.0, 5.0, 5.0, 1.0, 1.0]);
        assert_eq!([0, 1, 2, 3].map(|bin| value(&tree, bin)), [1.0, 1.0, 5.0, 1.0]);
        let only_missing = grown(vec![0, 1, 2, 3], 4, false, &[2.0, 2.0, 2.0, 6.0]);
        assert_eq!([0, 2, 3].map(|bin| value(&only_missing, bin)), [2.0, 2.0, 6.0]);
        // Without any in training they go with the most rows.
        let none = grown(vec![0, 1, 1, 1], 3, false, &[1.0, 5.0, 5.0, 5.0]);
        assert_eq!(value(&none, 2), 5.0);
    }

    #[test]
    fn categories_are_split_without_regard_to_their_order_and_unknown_ones_go_with_most_rows() {
        let bins: Vec<u8> = (0..70).map(|i| [0, 1, 2, 0, 1, 2, 0][i % 7]).collect();
        let answers: Vec<f32> = bins.iter().map(|bin| if *bin == 1 { 5.0 } else { 1.0 }).collect();
        let tree = grown(bins, 5, true, &answers);
        assert_eq!([0, 1, 2, 3].map(|bin| value(&tree, bin)), [1.0, 5.0, 1.0, 1.0]);
    }

    #[test]
    fn equal_answers_are_not_split() {
        assert_eq!(grown(vec![0, 1, 2, 3], 5, false, &[3.0; 4]).nodes, [Node::Leaf(3.0)]);
    }
}
