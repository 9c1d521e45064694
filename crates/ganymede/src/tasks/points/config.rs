//! Settings of the points task.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::train::{Game, Plan};

/// Everything that can be set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PointsConfig {
    /// The networks.
    pub network: Network,
    /// The rules of the game.
    pub game: Game,
    /// Length and rhythm.
    pub plan: Plan,
}

impl PointsConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key.
    pub fn validate(&self) -> Result<()> {
        self.network.validate()?;
        self.game.validate()?;
        self.plan.validate()
    }
}

/// Shape of both fully connected networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Length of a latent.
    pub latent_dim: usize,
    /// Units of a hidden layer.
    pub width: usize,
    /// Hidden layers.
    pub layers: usize,
}

impl Default for Network {
    fn default() -> Self {
        Self { latent_dim: 16, width: 128, layers: 3 }
    }
}

impl Network {
    /// Most columns of a table of points.
    pub const MAX_DIM: usize = 4096;

    /// Checks every number, also of a network described in somebody else's model folder.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key.
    pub fn validate(&self) -> Result<()> {
        let limits =
            [("network.latent_dim", self.latent_dim, 4096), ("network.width", self.width, 4096), ("network.layers", self.layers, 16)];
        for (key, value, high) in limits {
            if !(1..=high).contains(&value) {
                return Err(Error::config(key, format!("{value} is out of range"), format!("give a number from 1 to {high}")));
            }
        }
        Ok(())
    }

    /// Multiplications of one network for one point of `dim` numbers.
    pub(super) fn n_products(&self, dim: usize) -> f64 {
        (self.n_hidden_weights() + self.width * dim) as f64
    }

    /// Weights of the generator's hidden layers.
    pub(super) fn n_hidden_weights(&self) -> usize {
        self.latent_dim * self.width + (self.layers - 1) * self.width * self.width
    }
}
