//! Settings of the table task.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::losses::Loss;
use crate::privacy::Budget;
use crate::rowgame::Network;
use crate::train::{Game, OnTrouble, Plan, Until};

/// Everything that can be set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TableConfig {
    /// How columns are understood.
    pub data: DataConfig,
    /// The networks.
    pub network: Network,
    /// The rules of the game.
    pub game: Game,
    /// What may become known about single rows.
    pub privacy: PrivacyConfig,
    /// Length and rhythm. Batches are of rows.
    pub plan: Plan,
}

/// How columns are understood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Path of a schema file; empty to infer the schema from the data.
    pub schema: String,
    /// Share of the batches in which some columns are given, so that the model learns to fill in the others: 0 for a model that cannot be asked for anything.
    pub conditions: f64,
    /// Whether the generator is adjusted after training so that single columns have the frequencies of the data.
    pub calibrate: bool,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self { schema: String::new(), conditions: 0.5, calibrate: true }
    }
}

/// Differential privacy, with one row as the unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrivacyConfig {
    /// What the model may give away about a row: 0 turns privacy off, 1 is strict, 10 is hardly worth its name.
    pub epsilon: f64,
    /// Probability with which that may fail: well below one in the number of rows.
    pub delta: f64,
    /// Norm that the gradient of each row is clipped to.
    pub clip: f64,
    /// Share of epsilon for the histograms that columns are encoded by.
    pub encoder: f64,
}

impl Default for PrivacyConfig {
    fn default() -> Self {
        Self { epsilon: 0.0, delta: 1e-5, clip: 1.0, encoder: 0.15 }
    }
}

impl PrivacyConfig {
    /// Whether training is private.
    pub fn is_on(&self) -> bool {
        self.epsilon > 0.0
    }

    /// What may be spent.
    pub fn budget(&self) -> Budget {
        Budget { epsilon: self.epsilon, delta: self.delta, histograms: self.encoder }
    }

    fn validate(&self) -> Result<()> {
        for (key, value, low, high) in [
            ("privacy.epsilon", self.epsilon, 0.0, 1e6),
            ("privacy.delta", self.delta, 1e-30, 0.01),
            ("privacy.clip", self.clip, 1e-6, 1e6),
            ("privacy.encoder", self.encoder, 0.001, 0.9),
        ] {
            if !(low..=high).contains(&value) {
                return Err(Error::config(key, format!("{value} is out of range"), format!("give a number from {low} to {high}")));
            }
        }
        Ok(())
    }
}

impl TableConfig {
    /// What private training cannot do, because it would look at real rows beyond what is accounted for.
    fn validate_private(&self) -> Result<()> {
        let Self { data, network, game, plan, .. } = self;
        let needs = [
            (data.conditions > 0.0, "data.conditions", "conditions taken from real rows would not be private", "set it to 0"),
            (network.pack != 1, "network.pack", "a row must be seen by itself", "set it to 1"),
            (
                game.loss != Loss::NonSaturating,
                "game.loss",
                "this loss compares with real rows, or is not accounted for",
                "set it to \"non-saturating\"",
            ),
            (!game.r1.is_off(), "game.r1", "a penalty at real rows is not accounted for", "set it to 0; game.r2 is at generated rows"),
            (
                !game.gradient_penalty.is_off(),
                "game.gradient_penalty",
                "a penalty near real rows is not accounted for",
                "set it to 0; game.r2 is at generated rows",
            ),
            (game.clip > 0.0, "game.clip", "gradients are clipped row by row", "set it to 0, and privacy.clip as needed"),
            (game.d_first > 0, "game.d_first", "updates without the generator are not planned", "set it to 0"),
            (game.freeze_d > 0, "game.freeze_d", "the discriminator begins anew", "set it to 0"),
            (game.completion > 0.0, "game.completion", "the generator would learn from real rows without noise", "set it to 0"),
            (plan.judge_every > 0, "plan.judge_every", "judging by real rows would not be private", "set it to 0"),
            (plan.holdout > 0.0, "plan.holdout", "nothing is chosen by held-out rows", "set it to 0"),
            (plan.until != Until::End, "plan.until", "the budget is planned for all steps", "set it to \"end\""),
            (plan.minutes > 0.0, "plan.minutes", "the budget is planned for steps, not for time", "give --steps"),
            (plan.on_trouble != OnTrouble::Report, "plan.on_trouble", "going back would use the same noise twice", "set it to \"report\""),
        ];
        match needs.into_iter().find(|(is_wrong, ..)| *is_wrong) {
            Some((_, key, problem, remedy)) => Err(Error::config(key, problem, format!("{remedy} (--preset private does the rest)"))),
            None => Ok(()),
        }
    }

    /// Checks every value, and that the values go together.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key.
    pub fn validate(&self) -> Result<()> {
        self.network.validate()?;
        self.game.validate()?;
        self.plan.validate()?;
        self.privacy.validate()?;
        if self.privacy.is_on() {
            self.validate_private()?;
        }
        if !(0.0..=1.0).contains(&self.data.conditions) {
            return Err(Error::config("data.conditions", format!("{} is no share", self.data.conditions), "give a number from 0 to 1"));
        }
        if !self.plan.batch.is_multiple_of(self.network.pack) {
            let problem = format!("{} rows are no whole number of packs of {}", self.plan.batch, self.network.pack);
            return Err(Error::config("plan.batch", problem, "make plan.batch a multiple of network.pack"));
        }
        Ok(())
    }
}
