//! Shape of the networks on rows (section `[network]` of a configuration).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::table::Layout;

/// Shape of both networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Length of a latent, beside the noise that decides between categories.
    pub latent_dim: usize,
    /// Units of a hidden layer of the generator.
    pub width: usize,
    /// Hidden layers of the generator.
    pub layers: usize,
    /// Units of a hidden layer of the discriminator.
    pub d_width: usize,
    /// Hidden layers of the discriminator.
    pub d_layers: usize,
    /// Rows that the discriminator looks at together (PacGAN: Lin, Khetan, Fanti and Oh, NeurIPS 2018): one. With the relativistic loss and penalties packs of four were measured to be much worse.
    pub pack: usize,
    /// Temperature at which categories are softened in training (Jang, Gu and Poole, "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017).
    pub temperature: f64,
    /// Whether the discriminator is shown the likeliest category alone instead of a softened choice.
    pub straight_through: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self { latent_dim: 64, width: 256, layers: 2, d_width: 256, d_layers: 2, pack: 1, temperature: 0.3, straight_through: true }
    }
}

impl Network {
    /// Checks every number, also of a network described in somebody else's model folder.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key.
    pub fn validate(&self) -> Result<()> {
        let limits = [
            ("network.latent_dim", self.latent_dim, 4096),
            ("network.width", self.width, 4096),
            ("network.layers", self.layers, 16),
            ("network.d_width", self.d_width, 4096),
            ("network.d_layers", self.d_layers, 16),
            ("network.pack", self.pack, 64),
        ];
        for (key, value, high) in limits {
            if !(1..=high).contains(&value) {
                return Err(Error::config(key, format!("{value} is out of range"), format!("give a number from 1 to {high}")));
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

    /// Inputs of each of the generator's layers, the last one included: every layer hands on its input beside its output.
    pub(crate) fn inputs(&self, first: usize) -> Vec<usize> {
        (0..=self.layers).map(|i| first + i * self.width).collect()
    }

    /// Multiplications for one row, once forward: of the discriminator, and of the generator.
    pub(crate) fn n_products(&self, layout: &Layout) -> (f64, f64) {
        let (width, condition) = (layout.width(), layout.condition());
        let d = self.d_width * (layout.width() + layout.n_columns()) + (self.d_layers - 1) * self.d_width * self.d_width / self.pack;
        let inputs = self.inputs(self.latent_dim + condition);
        let g = inputs[..self.layers].iter().sum::<usize>() * self.width + inputs[self.layers] * width;
        (d as f64, g as f64)
    }
}
