//! How long a training will take, before it begins.

use burn::tensor::Device;

use crate::device::rate;
use crate::train::{Game, Plan};

/// Speed of a whole training step as a share of the device's: 0.35 to 0.44 for the default presets of the avatars, the digits and the ring on two CPU cores.
const EFFICIENCY: f64 = 0.4;

/// Seconds that a training of this length takes on the device, from its operations and the device's measured speed. `discriminator` and `generator` are
/// the multiplications of the networks for one sample, once forward.
pub(crate) fn estimate_secs(game: &Game, plan: &Plan, discriminator: f64, generator: f64, device: &Device) -> f64 {
    plan.steps as f64 * game.step_operations(plan.batch, discriminator, generator) / (rate(device) * EFFICIENCY)
}
