//! Differential privacy: what is spent, secret noise, and histograms that may be shown.
//!
//! The unit is one row: a guarantee of (epsilon, delta) bounds how much the probability of any result changes when one row is added or removed (Dwork, McSherry, Nissim and Smith, TCC 2006).

mod accountant;
#[cfg(test)]
pub(crate) mod audit;
mod budget;
mod histogram;
mod secret;

use serde::{Deserialize, Serialize};

pub use accountant::Ledger;
pub use budget::{Budget, Shares};
pub use histogram::{Histogram, surrogate};
pub use secret::{Key, Stream};

/// What is promised about a model, and what the promise follows from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guarantee {
    /// Bound of the logarithm of how much likelier a result becomes.
    pub epsilon: f64,
    /// Probability with which that bound may fail.
    pub delta: f64,
    /// What is protected: `one row`.
    pub unit: String,
    /// Which tables are told apart: `add or remove one row`.
    pub neighbours: String,
    /// How, in words.
    pub mechanism: String,
    /// Standard deviation of the noise on summed gradients, over the norm that each is clipped to.
    pub noise_multiplier: f64,
    /// Norm that the gradient of each row is clipped to.
    pub clip: f64,
    /// Probability with which a row is in a batch.
    pub sampling_rate: f64,
    /// Discriminator updates that are accounted for.
    pub updates: u64,
    /// Standard deviation of the noise on each count of the histograms, in rows.
    pub histogram_noise: f64,
    /// Epsilon of the number of rows alone, which the sampling rate follows from.
    pub count_epsilon: f64,
}

impl Guarantee {
    /// As (heading, text) lines for people.
    pub fn lines(&self) -> Vec<(String, String)> {
        let line = |heading: &str, text: String| (heading.to_owned(), text);
        vec![
            line("privacy", format!("epsilon {}, delta {:e}; {}, {}", self.epsilon, self.delta, self.unit, self.neighbours)),
            line("mechanism", self.mechanism.clone()),
            line(
                "noise",
                format!(
                    "multiplier {:.4}, clip {}, sampling rate {:.6}, {} updates; histograms {:.2} rows, number of rows epsilon {:.4}",
                    self.noise_multiplier, self.clip, self.sampling_rate, self.updates, self.histogram_noise, self.count_epsilon
                ),
            ),
        ]
    }
}
