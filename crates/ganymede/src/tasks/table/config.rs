//! Settings of the table task.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::rowgame::Network;
use crate::train::{Game, Plan};

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

impl TableConfig {
    /// Checks every value, and that the values go together.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key.
    pub fn validate(&self) -> Result<()> {
        self.network.validate()?;
        self.game.validate()?;
        self.plan.validate()?;
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
