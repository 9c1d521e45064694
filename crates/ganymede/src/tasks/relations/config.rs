//! Settings of the relations task.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::rowgame::Network;
use crate::train::{Game, Plan};

/// Everything that can be set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelationsConfig {
    /// How tables are understood.
    pub data: DataConfig,
    /// The networks of each table.
    pub network: Network,
    /// The rules of every game.
    pub game: Game,
    /// Length and rhythm. Batches are of rows of each table.
    pub plan: Plan,
}

/// How tables are understood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Path of a schema file of all tables; empty to find keys and columns in the data.
    pub schema: String,
    /// Whether the generators are adjusted after training so that single columns, and numbers of children, have the frequencies of the data.
    pub calibrate: bool,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self { schema: String::new(), calibrate: true }
    }
}

impl RelationsConfig {
    /// Checks every value, and that the values go together.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key.
    pub fn validate(&self) -> Result<()> {
        self.network.validate()?;
        self.game.validate()?;
        self.plan.validate()?;
        if !self.plan.batch.is_multiple_of(self.network.pack) {
            let problem = format!("{} rows are no whole number of packs of {}", self.plan.batch, self.network.pack);
            return Err(Error::config("plan.batch", problem, "make plan.batch a multiple of network.pack"));
        }
        Ok(())
    }
}
