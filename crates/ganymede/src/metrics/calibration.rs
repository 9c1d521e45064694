//! From scores of two kinds of samples to probabilities, and what they are worth.

/// Newton steps at most; a few are enough.
const STEPS: usize = 100;

/// A straight line through scores whose logistic function is a probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Platt {
    /// What a score is multiplied by.
    pub scale: f64,
    /// What is added to that.
    pub offset: f64,
}

impl Platt {
    /// Platt's scaling: maximum likelihood with targets that are a little less than certain (Platt 1999, "Probabilistic Outputs for Support Vector Machines"; in the form of Lin, Lin and Weng
    /// 2007). Both kinds weigh the same, however many there are. A kind without scores is as good as even odds.
    pub fn fit(positives: &[f64], negatives: &[f64]) -> Self {
        let of = |scores: &'_ [f64], target: f64| {
            let weight = 1.0 / scores.len().max(1) as f64;
            scores.iter().map(|s| (*s, target, weight)).collect::<Vec<_>>()
        };
        let n = [positives.len() as f64, negatives.len() as f64];
        let all = [of(positives, (n[0] + 1.0) / (n[0] + 2.0)), of(negatives, 1.0 / (n[1] + 2.0))].concat();
        let loss = |line: Self| {
            let of = |(s, t, w): &(f64, f64, f64)| {
                let z = line.logit(*s);
                w * (z.max(0.0) + (-z.abs()).exp().ln_1p() - t * z)
            };
            all.iter().map(of).sum::<f64>()
        };
        let mut line = Self { scale: 0.0, offset: 0.0 };
        let mut current = loss(line);
        for _ in 0..STEPS {
            let (mut slope, mut bend) = ([0.0; 2], [1e-12, 0.0, 1e-12]);
            for (s, t, w) in &all {
                let p = line.probability(*s);
                let (d, c) = (w * (p - t), w * p * (1.0 - p));
                slope = [slope[0] + d * s, slope[1] + d];
                bend = [bend[0] + c * s * s, bend[1] + c * s, bend[2] + c];
            }
            let determinant = bend[0] * bend[2] - bend[1] * bend[1];
            if determinant <= 0.0 || !determinant.is_finite() {
                break;
            }
            let step = [(bend[2] * slope[0] - bend[1] * slope[1]) / determinant, (bend[0] * slope[1] - bend[1] * slope[0]) / determinant];
            let mut share = 1.0;
            let moved = loop {
                let moved = Self { scale: line.scale - share * step[0], offset: line.offset - share * step[1] };
                if loss(moved) <= current || share < 1e-10 {
                    break moved;
                }
                share *= 0.5;
            };
            let found = loss(moved);
            let is_done = current - found < 1e-12;
            if found <= current {
                (line, current) = (moved, found);
            }
            if is_done {
                break;
            }
        }
        line
    }

    fn logit(&self, score: f64) -> f64 {
        self.scale * score + self.offset
    }

    /// Probability that a sample of that score is a positive, where as many are as are not.
    pub fn probability(&self, score: f64) -> f64 {
        1.0 / (1.0 + (-self.logit(score)).exp())
    }
}

/// The least score that at most the share `most` of the negatives lie above: scores above it are called positive. Infinite if there are no negatives.
pub fn threshold(negatives: &[f64], most: f64) -> f64 {
    let mut sorted = negatives.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let n_false = (most * sorted.len() as f64).floor() as usize;
    sorted.get(n_false).copied().unwrap_or(if sorted.is_empty() { f64::INFINITY } else { f64::NEG_INFINITY })
}

/// Share of scores above a threshold; 0 of none.
pub fn share_above(scores: &[f64], threshold: f64) -> f64 {
    scores.iter().filter(|score| **score > threshold).count() as f64 / scores.len().max(1) as f64
}

/// Expected calibration error: how far the share of positives lies from the mean probability, averaged over ten equal spans of probability by how many samples lie in each (Guo et al., "On
/// Calibration of Modern Neural Networks", ICML 2017). 0 is right.
pub fn calibration_error(positives: &[f64], negatives: &[f64]) -> f64 {
    let mut spans = [(0.0f64, 0.0f64); 10];
    let n = (positives.len() + negatives.len()).max(1) as f64;
    for (p, is_positive) in positives.iter().map(|p| (*p, 1.0)).chain(negatives.iter().map(|p| (*p, 0.0))) {
        let span = &mut spans[((p * 10.0) as usize).min(9)];
        *span = (span.0 + p, span.1 + is_positive);
    }
    spans.iter().map(|(expected, found)| (expected - found).abs() / n).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    #[test]
    fn the_line_of_known_odds_is_found() {
        // Normal scores of means 1 and -1 and variance 1 have log odds of twice the score.
        let draw = |mean: f64, purpose: &str| -> Vec<f64> {
            random::normal(20_000, &mut random::stream(0, purpose, 0)).into_iter().map(|v| f64::from(v) + mean).collect()
        };
        let (positives, negatives) = (draw(1.0, "positives"), draw(-1.0, "negatives"));
        let line = Platt::fit(&positives, &negatives);
        assert!((line.scale - 2.0).abs() < 0.06 && line.offset.abs() < 0.06, "{line:?}");
        // Twice as many of one kind are no reason to expect it.
        let fewer = Platt::fit(&positives[..10_000], &negatives);
        assert!((fewer.scale - 2.0).abs() < 0.08 && fewer.offset.abs() < 0.08, "{fewer:?}");
        let probable = |scores: &[f64]| scores.iter().map(|s| line.probability(*s)).collect::<Vec<f64>>();
        assert!(calibration_error(&probable(&positives), &probable(&negatives)) < 0.01);
        assert!(calibration_error(&vec![0.9; 100], &vec![0.9; 100]) > 0.39);
    }

    #[test]
    fn separate_scores_give_a_finite_line() {
        let line = Platt::fit(&[2.0, 3.0, 4.0], &[-1.0, -2.0]);
        assert!(line.scale.is_finite() && line.probability(3.0) > 0.7 && line.probability(-2.0) < 0.3, "{line:?}");
        let even = Platt::fit(&[], &[]);
        assert_eq!(even.probability(7.0), 0.5);
    }

    #[test]
    fn thresholds_let_no_more_negatives_pass_than_asked() {
        let negatives: Vec<f64> = (0..200).map(f64::from).collect();
        for most in [0.0, 0.01, 0.1, 0.5] {
            let at = threshold(&negatives, most);
            assert!((share_above(&negatives, at) - most).abs() < 1e-9, "{most}");
        }
        assert_eq!(share_above(&[198.5, 197.5, 3.0], threshold(&negatives, 0.01)), 1.0 / 3.0 * 2.0);
        assert_eq!((threshold(&[], 0.01), share_above(&[], 0.0)), (f64::INFINITY, 0.0));
    }
}
