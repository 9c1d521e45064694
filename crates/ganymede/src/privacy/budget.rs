//! How a budget is shared out between what looks at the rows.

use super::accountant::Ledger;
use crate::error::{Error, Result};

/// Share of epsilon that the number of rows costs.
const COUNT: f64 = 0.01;
/// Share of delta for words of which nobody said that they are public.
const WORDS: f64 = 0.1;

/// What may be spent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Above 0.
    pub epsilon: f64,
    /// Between 0 and 1.
    pub delta: f64,
    /// Share of epsilon that the histograms would spend by themselves, between 0 and 1.
    pub histograms: f64,
}

/// The noise of each mechanism.
///
/// The number of rows is told first, by itself: whatever it is, the rest keeps to what is left (basic composition), so that sampling rate and noise may follow from it. The histograms and all updates share one ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares {
    /// Epsilon of the number of rows: Laplace noise of scale `1 / count_epsilon`.
    pub count_epsilon: f64,
    /// Standard deviation of the Gaussian noise on each count of a histogram.
    pub histogram_noise: f64,
    /// A word that is not public is kept from this noisy count on.
    pub word_threshold: f64,
    /// What is left for the updates.
    left: (f64, f64),
    spent: Ledger,
}

impl Budget {
    /// Noise for histograms of `n_columns` columns, of which `n_open` have words that are not public. A row is counted once in each column, so that the norm of what it adds is the root of their number.
    ///
    /// Words are kept as in Korolova, Kenthapadi, Mishra and Ntoulas, "Releasing Search Queries and Clicks Privately", WWW 2009: one that only a single row holds passes the threshold with a probability
    /// of at most the share of delta that is set aside for it, by `P(N > x) <= exp(-x^2 / 2) / 2`. That it does not pass is almost certain, not certain: this costs `-ln(1 - share)` of epsilon.
    ///
    /// # Errors
    /// [`Error::Config`] if no noise is enough.
    pub fn shares(&self, n_columns: usize, n_open: usize) -> Result<Shares> {
        let count_epsilon = COUNT * self.epsilon;
        let words = if n_open > 0 { WORDS * self.delta } else { 0.0 };
        let left = (self.epsilon - count_epsilon + (-words).ln_1p(), self.delta - words);
        let multiplier =
            Ledger::default().noise_for((1.0, 1), (self.histograms * left.0, left.1)).ok_or_else(|| self.too_small("privacy.encoder"))?;
        let histogram_noise = multiplier * (n_columns.max(1) as f64).sqrt();
        let word_threshold = match n_open {
            0 => 0.0,
            n => 1.0 + histogram_noise * (2.0 * (n as f64 / (2.0 * words)).ln()).sqrt(),
        };
        let spent = Ledger::default().spend(1.0, multiplier, 1);
        Ok(Shares { count_epsilon, histogram_noise, word_threshold, left, spent })
    }

    fn too_small(&self, key: &str) -> Error {
        let problem = format!("epsilon {} and delta {:e} are too little", self.epsilon, self.delta);
        Error::config(key, problem, "set privacy.epsilon higher")
    }

    /// The noise multiplier for so many updates with rows sampled at a rate, with what the histograms left.
    ///
    /// # Errors
    /// [`Error::Config`] if no noise is enough.
    pub fn noise(&self, shares: &Shares, rate: f64, updates: u64) -> Result<f64> {
        shares.spent.noise_for((rate, updates), shares.left).ok_or_else(|| self.too_small("privacy.epsilon"))
    }
}

impl Shares {
    /// Epsilon of everything together, for updates with this rate and noise, at the delta of the budget.
    pub fn epsilon(&self, budget: &Budget, (rate, noise, updates): (f64, f64, u64)) -> f64 {
        let rest = self.spent.clone().spend(rate, noise, updates).epsilon(self.left.1);
        // What the count and the words cost is what the budget has beyond what was left.
        rest + budget.epsilon - self.left.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_the_budget_and_not_beyond() {
        for (epsilon, n_open) in [(0.5, 0), (3.0, 4), (8.0, 1)] {
            let budget = Budget { epsilon, delta: 1e-5, histograms: 0.1 };
            let shares = budget.shares(15, n_open).unwrap();
            let (rate, updates) = (0.01, 2000);
            let noise = budget.noise(&shares, rate, updates).unwrap();
            let spent = shares.epsilon(&budget, (rate, noise, updates));
            assert!(spent <= epsilon + 1e-12 && spent > 0.999 * epsilon, "{epsilon}: {spent}");
            assert!(shares.epsilon(&budget, (rate, noise, updates + 200)) > epsilon);
            assert!(shares.epsilon(&budget, (rate, 0.97 * noise, updates)) > epsilon);
        }
    }

    #[test]
    fn a_word_of_one_row_hardly_ever_passes() {
        let budget = Budget { epsilon: 3.0, delta: 1e-5, histograms: 0.1 };
        let shares = budget.shares(16, 5).unwrap();
        // Deviations between the count of one row and the threshold: P(N > 5.07) is 2e-7, and 5 such columns may have 1e-6 together.
        let deviations = (shares.word_threshold - 1.0) / shares.histogram_noise;
        assert!((5.07..5.5).contains(&deviations), "{deviations}");
        assert_eq!(budget.shares(16, 0).unwrap().word_threshold, 0.0);
        assert!(Budget { epsilon: 1e-9, ..budget }.shares(16, 0).is_err());
    }
}
