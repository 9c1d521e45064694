//! The rounds of gradient boosting, on binned columns.

use rayon::prelude::*;

use super::bins::Binned;
use super::boost::{Answer, BoostSettings};
use super::tree::{Growth, Tree};
use crate::random::DataOrder;

/// Rounds where nothing is held out.
const ROUNDS_OF_FEW: usize = 50;
/// Rows from which on a tenth is held out to find the number of rounds.
const ENOUGH_TO_STOP: usize = 1000;

/// Trees on binned columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Model {
    kind: Kind,
    /// What is said before the first round, for each output.
    base: Vec<f64>,
    /// For each round a tree for each output.
    rounds: Vec<Vec<Tree>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Binary,
    Classes,
    /// Standard deviation of the answers: trees learn standardised ones.
    Number(f64),
}

impl Model {
    /// On some rows; one answer for each row that the columns have.
    pub fn fit(binned: &Binned, rows: &[u32], answer: &Answer, settings: &BoostSettings) -> Self {
        let order = DataOrder::new(settings.seed, "boost-held-out", rows.len()).batch(0, rows.len());
        let n_test = if rows.len() >= ENOUGH_TO_STOP { rows.len() / 10 } else { 0 };
        let mut is_test = vec![false; rows.len()];
        order[..n_test].iter().for_each(|i| is_test[*i] = true);
        let part = |test: bool| -> Vec<u32> { rows.iter().zip(&is_test).filter(|(_, t)| **t == test).map(|(row, _)| *row).collect() };
        let (mut train, test) = (part(false), part(true));
        let mut state = State::new(answer, &train, settings, binned.columns.first().map_or(0, Vec::len));
        let most = if n_test == 0 { settings.rounds.min(ROUNDS_OF_FEW) } else { settings.rounds };
        let (mut rounds, mut best): (Vec<Vec<Tree>>, (f64, usize)) = (Vec::new(), (state.loss(&test), 0));
        while rounds.len() < most && !binned.columns.is_empty() {
            rounds.push(state.round(binned, &mut train, &test));
            let loss = state.loss(&test);
            if n_test == 0 || loss < best.0 - 1e-7 {
                best = (loss, rounds.len());
            } else if rounds.len() >= best.1 + settings.patience {
                break;
            }
        }
        // Even where the loss says that nothing can be foretold, what little was learned puts rows in an order that is worth looking at.
        rounds.truncate(best.1.max(settings.patience));
        Self { kind: state.kind, base: state.base, rounds }
    }

    /// For each row the probability of each class, or the number.
    pub fn predict(&self, binned: &Binned, rows: &[u32]) -> Vec<Vec<f64>> {
        let one = |row: &u32| {
            let mut scores = self.base.clone();
            for round in &self.rounds {
                scores.iter_mut().zip(round).for_each(|(score, tree)| *score += tree.value(binned, *row as usize));
            }
            match self.kind {
                Kind::Binary => {
                    let p = sigmoid(scores[0]);
                    vec![1.0 - p, p]
                }
                Kind::Classes => softmax(&scores),
                // The base is the mean in units of the deviation.
                Kind::Number(deviation) => vec![scores[0] * deviation],
            }
        };
        rows.par_iter().with_min_len(256).map(one).collect()
    }
}

/// Scores of all rows while a model is fitted.
struct State<'a> {
    kind: Kind,
    answer: &'a Answer<'a>,
    growth: Growth,
    base: Vec<f64>,
    /// For each output the score of each row.
    scores: Vec<Vec<f64>>,
}

impl<'a> State<'a> {
    fn new(answer: &'a Answer<'a>, train: &[u32], settings: &BoostSettings, n_rows: usize) -> Self {
        let n = train.len().max(1) as f64;
        let (kind, base) = match answer {
            Answer::Classes { codes, n: n_classes } => {
                let mut counts = vec![0usize; (*n_classes).max(2)];
                train.iter().for_each(|row| counts[codes[*row as usize] as usize] += 1);
                let share = |class: usize| (counts[class] as f64 / n).clamp(1e-6, 1.0 - 1e-6);
                match *n_classes {
                    ..=2 => (Kind::Binary, vec![(share(1) / (1.0 - share(1))).ln()]),
                    more => (Kind::Classes, (0..more).map(|class| share(class).ln()).collect()),
                }
            }
            Answer::Numbers(numbers) => {
                let mean = train.iter().map(|row| numbers[*row as usize] / n).sum::<f64>();
                let variance = train.iter().map(|row| (numbers[*row as usize] - mean).powi(2) / n).sum::<f64>();
                let deviation = if variance > 0.0 && variance.is_finite() { variance.sqrt() } else { 1.0 };
                (Kind::Number(deviation), vec![mean / deviation])
            }
        };
        let growth = Growth {
            leaves: settings.leaves.max(1),
            least_rows: settings.least_rows.max(1),
            l2: settings.l2.max(0.0),
            learning_rate: settings.learning_rate,
        };
        Self { kind, answer, growth, scores: base.iter().map(|b| vec![*b; n_rows]).collect(), base }
    }

    /// One tree for each output.
    fn round(&mut self, binned: &Binned, train: &mut [u32], test: &[u32]) -> Vec<Tree> {
        // All outputs of a row are needed for its gradients, before any of them changes.
        let slopes: Vec<Vec<[f32; 2]>> = match self.kind {
            Kind::Classes => self.softmax_slopes(train),
            _ => vec![self.slopes(train)],
        };
        let growth = self.growth;
        let shared: &[u32] = train;
        let grown: Vec<(Tree, Vec<f64>)> = self
            .scores
            .par_iter()
            .zip(&slopes)
            .map(|(scores, slopes)| {
                let mut scores = scores.clone();
                let mut rows = shared.to_vec();
                let (tree, spans) = Tree::grow(binned, &mut rows, slopes, &growth);
                for (span, value) in spans {
                    rows[span].iter().for_each(|row| scores[*row as usize] += value);
                }
                test.iter().for_each(|row| scores[*row as usize] += tree.value(binned, *row as usize));
                (tree, scores)
            })
            .collect();
        let (trees, scores) = grown.into_iter().unzip();
        self.scores = scores;
        trees
    }

    /// Gradient and hessian of each training row, of a model with one output.
    fn slopes(&self, train: &[u32]) -> Vec<[f32; 2]> {
        let mut slopes = vec![[0.0; 2]; self.scores[0].len()];
        for row in train.iter().map(|row| *row as usize) {
            slopes[row] = match (self.answer, self.kind) {
                (Answer::Classes { codes, .. }, _) => {
                    let p = sigmoid(self.scores[0][row]);
                    [(p - f64::from(codes[row])) as f32, (p * (1.0 - p)) as f32]
                }
                (Answer::Numbers(numbers), Kind::Number(deviation)) => [(self.scores[0][row] - numbers[row] / deviation) as f32, 1.0],
                (Answer::Numbers(_), _) => unreachable!("numbers have the kind of numbers"),
            };
        }
        slopes
    }

    fn softmax_slopes(&self, train: &[u32]) -> Vec<Vec<[f32; 2]>> {
        let Answer::Classes { codes, .. } = self.answer else { unreachable!("classes have codes") };
        let mut slopes = vec![vec![[0.0; 2]; self.scores[0].len()]; self.scores.len()];
        for row in train.iter().map(|row| *row as usize) {
            for (class, p) in self.probabilities(row).into_iter().enumerate() {
                let is_own = f64::from(u8::from(codes[row] as usize == class));
                slopes[class][row] = [(p - is_own) as f32, (p * (1.0 - p)) as f32];
            }
        }
        slopes
    }

    fn probabilities(&self, row: usize) -> Vec<f64> {
        softmax(&self.scores.iter().map(|scores| scores[row]).collect::<Vec<f64>>())
    }

    /// Mean loss on rows; 0 without any.
    fn loss(&self, rows: &[u32]) -> f64 {
        let one = |row: usize| match (self.answer, self.kind) {
            (Answer::Classes { codes, .. }, Kind::Binary) => {
                let margin = if codes[row] == 1 { self.scores[0][row] } else { -self.scores[0][row] };
                // ln(1 + e^-margin), without overflow.
                (-margin.abs()).exp().ln_1p() + (-margin).max(0.0)
            }
            (Answer::Classes { codes, .. }, _) => -self.probabilities(row)[codes[row] as usize].max(1e-300).ln(),
            (Answer::Numbers(numbers), Kind::Number(deviation)) => (self.scores[0][row] - numbers[row] / deviation).powi(2),
            (Answer::Numbers(_), _) => unreachable!("numbers have the kind of numbers"),
        };
        rows.iter().map(|row| one(*row as usize)).sum::<f64>() / rows.len().max(1) as f64
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}
