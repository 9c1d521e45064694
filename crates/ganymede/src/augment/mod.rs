//! Augmentation: real and generated samples are distorted at random, in the same way, before the discriminator sees them, so that it cannot learn few samples by heart.
//!
//! Distortions are linear in the sample up to a constant, and differentiable. Each also has its adjoint, with which a gradient penalty is taken in the samples as they
//! are and not as they were shown (as in Huang et al., "The GAN is dead; long live the GAN!", NeurIPS 2024).

mod ada;
mod affine;
mod colour;
mod diff_augment;
mod stage;

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::random;
use stage::Stage;

/// A random distortion of each sample of a batch.
pub trait Distortion<const R: usize>: Send + Sync {
    /// The samples `[n, ...]`, distorted.
    fn apply(&self, x: Tensor<R>) -> Tensor<R>;

    /// The adjoint of the distortion's linear part: a gradient in the distorted samples `[n, ...]` becomes the gradient in the samples.
    fn transposed(&self, gradient: Tensor<R>) -> Tensor<R>;

    /// The distortions of `n` samples of the batch, from number `first` on.
    fn part(&self, first: usize, n: usize) -> Box<dyn Distortion<R>>;
}

/// What is done to pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Nothing.
    #[default]
    None,
    /// Brightness, saturation, contrast; shifts of up to an eighth; a square of half the side blanked: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020.
    DiffAugment,
    /// Shifts and the blanked square alone: what the same paper uses where there are thousands of pictures.
    Translation,
    /// Mirroring, quarter turns, shifts, scaling, rotation; brightness, contrast, inverted luma, hue, saturation; a blanked square: the pipeline of Karras et al., "Training Generative Adversarial
    /// Networks with Limited Data", NeurIPS 2020, appendix B, without its filters and noise, as R3GAN uses it.
    Ada,
}

/// Shape of the pictures of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Pixels down.
    pub height: usize,
    /// Pixels across.
    pub width: usize,
    /// Channels: 1 grey, 3 RGB, 4 RGB and opacity, which is moved with the colours but not recoloured.
    pub channels: usize,
}

impl Shape {
    fn n_pixels(&self) -> usize {
        self.height * self.width
    }

    /// Channels that show light.
    fn n_colours(&self) -> usize {
        self.channels.min(3)
    }
}

/// A distortion of each picture of a batch, `[n, height, width, channels]` with values around 0.
#[derive(Debug)]
pub struct PictureDistortion {
    stages: Vec<Stage>,
    n: usize,
}

impl PictureDistortion {
    /// Draws a distortion for each of `n` pictures: every operation of the policy is applied with probability `p`. `purpose` and `update` name the draw, so that the same one is drawn again.
    pub fn draw(policy: Policy, p: f64, (n, shape): (usize, Shape), (seed, purpose, update): (u64, &str, u64), device: &Device) -> Self {
        let mut rng = random::stream(seed, purpose, update);
        let stages = match policy {
            _ if p <= 0.0 => Vec::new(),
            Policy::None => Vec::new(),
            Policy::DiffAugment => diff_augment::draw(true, p, (n, shape), &mut rng, device),
            Policy::Translation => diff_augment::draw(false, p, (n, shape), &mut rng, device),
            Policy::Ada => ada::draw(p, (n, shape), &mut rng, device),
        };
        Self { stages, n }
    }
}

impl Distortion<4> for PictureDistortion {
    fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        self.stages.iter().fold(x, |x, stage| stage.apply(x))
    }

    fn transposed(&self, gradient: Tensor<4>) -> Tensor<4> {
        self.stages.iter().rev().fold(gradient, |g, stage| stage.transposed(g))
    }

    fn part(&self, first: usize, n: usize) -> Box<dyn Distortion<4>> {
        Box::new(Self { stages: self.stages.iter().map(|stage| stage.part((first, n), self.n)).collect(), n })
    }
}

/// Draws in [0, 1), one after the other.
struct Draws<'a> {
    rng: &'a mut rand_pcg::Pcg64,
}

impl Draws<'_> {
    fn uniform(&mut self) -> f64 {
        f64::from(random::uniform(1, self.rng)[0])
    }

    fn normal(&mut self) -> f64 {
        f64::from(random::normal(1, self.rng)[0])
    }

    /// Uniform in [low, high).
    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    fn below(&mut self, bound: u64) -> u64 {
        random::below(bound, self.rng)
    }

    /// Whether something happens that has that probability. The draws of other operations do not depend on the answer.
    fn happens(&mut self, p: f64) -> bool {
        self.uniform() < p
    }
}

#[cfg(test)]
mod tests;
