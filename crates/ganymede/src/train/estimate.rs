//! How long a training will take, before it begins.

use burn::tensor::Device;

use crate::device::matmul_rate;
use crate::train::{Game, Plan};

/// Speed of a whole training step as a share of a plain matrix product's: measured on two CPU cores with the default presets of pictures and of points.
const EFFICIENCY: f64 = 0.33;

/// Seconds that a training of this length takes on the device, from its operations and the device's measured speed. `discriminator` and `generator` are
/// the multiplications of the networks for one sample, once forward.
pub(crate) fn estimate_secs(game: &Game, plan: &Plan, discriminator: f64, generator: f64, device: &Device) -> f64 {
    plan.steps as f64 * game.step_operations(plan.batch, discriminator, generator) / (matmul_rate(device) * EFFICIENCY)
}
