//! Settings of the series task.

use serde::{Deserialize, Serialize};

use super::nets::Frame;
use crate::error::{Error, Result};
use crate::train::{Game, Plan};

/// Everything that can be set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeriesConfig {
    /// Which rows belong together, and how columns are understood.
    pub data: DataConfig,
    /// The networks.
    pub network: Network,
    /// The rules of the game.
    pub game: Game,
    /// Length and rhythm. Batches are of series.
    pub plan: Plan,
}

/// Which rows belong together, and how columns are understood.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Path of a schema file; empty to infer the schema from the data.
    pub schema: String,
    /// Column whose rows with the same value are one series; empty for one whose values each stand in rows below each other.
    pub entity: String,
    /// Column by which the rows of a series are sorted; empty for the order of the file.
    pub order: String,
    /// Longer series are cut into pieces of so many steps; 0 cuts nothing.
    pub longest: usize,
}

/// Shape of both networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Length of a latent, beside the noise that decides between categories and that of single steps.
    pub latent_dim: usize,
    /// Units of a hidden layer of the generator.
    pub width: usize,
    /// Hidden layers of the generator, of the attributes and of the steps each.
    pub layers: usize,
    /// Channels of the convolutions that refine steps by what is around them; 0 for none.
    pub refine: usize,
    /// Numbers of noise that each step has of its own.
    pub noise: usize,
    /// Units of a hidden layer of the discriminator.
    pub d_width: usize,
    /// Hidden layers of the discriminator.
    pub d_layers: usize,
    /// Temperature at which categories are softened in training.
    pub temperature: f64,
    /// Whether the discriminator is shown the likeliest category alone instead of a softened choice.
    pub straight_through: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            latent_dim: 64,
            width: 256,
            layers: 2,
            refine: 16,
            noise: 2,
            d_width: 256,
            d_layers: 2,
            temperature: 0.3,
            straight_through: true,
        }
    }
}

impl SeriesConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key.
    pub fn validate(&self) -> Result<()> {
        self.network.validate()?;
        self.game.validate()?;
        self.plan.validate()?;
        if self.data.longest == 1 || self.data.longest > DataConfig::LONGEST {
            let problem = format!("{} is out of range", self.data.longest);
            return Err(Error::config("data.longest", problem, format!("give a number from 2 to {}, or 0", DataConfig::LONGEST)));
        }
        if !self.data.order.is_empty() && self.data.order == self.data.entity {
            return Err(Error::config("data.order", "is the same column as data.entity", "name two columns, or leave --order out"));
        }
        Ok(())
    }
}

impl DataConfig {
    /// Steps of a series at most.
    pub const LONGEST: usize = 1000;
}

impl Network {
    /// Checks every number, also of a network described in somebody else's model folder.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key.
    pub fn validate(&self) -> Result<()> {
        let limits = [
            ("network.latent_dim", self.latent_dim, 1, 4096),
            ("network.width", self.width, 1, 4096),
            ("network.layers", self.layers, 1, 16),
            ("network.refine", self.refine, 0, 512),
            ("network.noise", self.noise, 0, 64),
            ("network.d_width", self.d_width, 1, 4096),
            ("network.d_layers", self.d_layers, 1, 16),
        ];
        for (key, value, low, high) in limits {
            if !(low..=high).contains(&value) {
                return Err(Error::config(key, format!("{value} is out of range"), format!("give a number from {low} to {high}")));
            }
        }
        if !(0.05..=10.0).contains(&self.temperature) {
            return Err(Error::config(
                "network.temperature",
                format!("{} is out of range", self.temperature),
                "give a number from 0.05 to 10",
            ));
        }
        Ok(())
    }

    /// Inputs of each hidden layer of the generator and of the layer after them: every layer hands on its input beside its output.
    pub(super) fn inputs(&self, first: usize) -> Vec<usize> {
        (0..=self.layers).map(|i| first + i * self.width).collect()
    }

    /// Weights of the fully connected layers, which are also their multiplications for one series, once forward, and the multiplications of the convolutions: of the discriminator, and of the generator.
    pub(super) fn n_products(&self, frame: &Frame) -> [[f64; 2]; 2] {
        let d = self.d_width * frame.width() + (self.d_layers - 1) * self.d_width * self.d_width;
        let hidden = |first: usize| self.inputs(first)[..self.layers].iter().sum::<usize>() * self.width;
        let last = |first: usize| self.inputs(first)[self.layers];
        let once = frame.attributes.width() + frame.lengths.n_codes();
        let to_once = if once > 0 { hidden(self.latent_dim) + last(self.latent_dim) * once } else { 0 };
        let to_steps = self.latent_dim + frame.told();
        let g = to_once + hidden(to_steps) + last(to_steps) * frame.n_steps * frame.steps.width();
        let width = frame.steps.width();
        let refined = frame.n_steps * super::nets::KERNEL * self.refine * (2 * width + self.noise);
        [[d as f64, 0.0], [g as f64, refined as f64]]
    }
}
