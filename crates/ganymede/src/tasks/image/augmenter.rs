//! Augmentation of the game's pictures: how much of it, and by what rule.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::nets::Frame;
use crate::augment::{Distortion, PictureDistortion, Policy, Shape};
use crate::error::{Error, Result};
use crate::judge::Signal;
use crate::run::{HostTensor, NamedTensors};
use crate::train::Schedule;

/// Settings of augmentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// What is done to real and generated pictures before the discriminator sees them: `none`, `translation`, `diffaugment` or `ada`.
    pub policy: Policy,
    /// Probability of each operation; where it adapts itself, the largest.
    pub p: Schedule,
    /// Overfitting of the discriminator that the probability is adapted to, from 0: the share of its distance between training and generated pictures that it also sees between training and held-out
    /// ones. 0 leaves the probability as it is set.
    pub target: f64,
    /// Pictures shown while an adapted probability goes from 0 to 1 at the fastest.
    pub ramp: f64,
}

impl Default for Augment {
    fn default() -> Self {
        Self { policy: Policy::None, p: Schedule::Constant(1.0), target: 0.0, ramp: 100_000.0 }
    }
}

impl Augment {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key.
    pub fn validate(&self) -> Result<()> {
        self.p.validate("augment.p", 0.0, 1.0)?;
        for (key, value, low, high) in [("augment.target", self.target, 0.0, 1.0), ("augment.ramp", self.ramp, 1.0, 1e12)] {
            if !(low..=high).contains(&value) {
                return Err(Error::config(key, format!("{value} is out of range"), format!("give a value between {low} and {high}")));
            }
        }
        Ok(())
    }
}

/// The file of a checkpoint that an adapted probability is kept in.
const FILE: &str = "augment";

/// Draws distortions as strong as the rule says.
#[derive(Clone)]
pub struct Augmenter {
    settings: Augment,
    shape: Shape,
    seed: u64,
    steps: u64,
    /// The adapted probability, in the precision that checkpoints keep.
    adapted: f32,
    /// What a remedy added.
    added: f64,
}

impl Augmenter {
    /// Steps between two adaptations of the probability.
    pub const EVERY: u64 = 32;

    /// For pictures in that frame, and schedules over so many steps.
    pub fn new(settings: Augment, frame: &Frame, seed: u64, steps: u64) -> Self {
        let [height, width] = frame.image;
        Self { settings, shape: Shape { height, width, channels: frame.channels }, seed, steps, adapted: 0.0, added: 0.0 }
    }

    /// Changes the length that schedules run over.
    pub fn plan_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// Adds to the probability what a remedy asks for.
    pub fn add(&mut self, added: f64) {
        self.added = added;
    }

    /// Whether the probability adapts itself.
    pub fn is_adaptive(&self) -> bool {
        self.settings.policy != Policy::None && self.settings.target > 0.0
    }

    /// Probability of each operation in that step.
    pub fn p(&self, step: u64) -> f64 {
        let set = match self.settings.policy {
            Policy::None => 0.0,
            _ if self.is_adaptive() => f64::from(self.adapted),
            _ => self.settings.p.at(step as f64 / self.steps.max(1) as f64),
        };
        (set + self.added).min(1.0)
    }

    /// The policy: a remedy's where none was set.
    fn policy(&self) -> Policy {
        if self.settings.policy == Policy::None { Policy::DiffAugment } else { self.settings.policy }
    }

    /// Distortions of the `n` real pictures of an update and of as many generated ones; none where nothing is augmented.
    pub fn draw(&self, (step, update): (u64, u64), n: usize, device: &Device) -> Option<[Box<dyn Distortion<4>>; 2]> {
        if self.p(step) <= 0.0 {
            return None;
        }
        Some(
            ["augment-real", "augment-fake"]
                .map(|side| Box::new(self.distortion(step, n, (side, update), device)) as Box<dyn Distortion<4>>),
        )
    }

    /// A distortion of `n` pictures, drawn by name and number.
    pub fn distortion(&self, step: u64, n: usize, (purpose, number): (&str, u64), device: &Device) -> PictureDistortion {
        PictureDistortion::draw(self.policy(), self.p(step), (n, self.shape), (self.seed, purpose, number), device)
    }

    /// A distortion of `n` pictures as strong as they get.
    pub fn strongest(&self, n: usize, number: u64, device: &Device) -> PictureDistortion {
        let of = (self.seed, "augmented", number);
        PictureDistortion::draw(self.policy(), self.settings.p.at(1.0), (n, self.shape), of, device)
    }

    /// Takes the probability nearer to where the discriminator overfits as much as it should, after `shown` more pictures: up where it overfits more, by the sign alone (Karras et al., NeurIPS 2020,
    /// section 3.1, with its heuristic of a validation set, equation 1).
    pub fn adapt(&mut self, step: u64, signal: &Signal, shown: u64) {
        let Some(overfitting) = signal.overfitting() else { return };
        let most = self.settings.p.at(step as f64 / self.steps.max(1) as f64);
        let change = shown as f64 / self.settings.ramp * if overfitting > self.settings.target { 1.0 } else { -1.0 };
        self.adapted = (self.adapted + change as f32).clamp(0.0, most as f32);
    }

    /// What a checkpoint keeps.
    pub fn save(&self) -> Option<(String, NamedTensors)> {
        let p = HostTensor { shape: Vec::new(), values: vec![self.adapted] };
        self.is_adaptive().then(|| (FILE.to_owned(), vec![("p".to_owned(), p)]))
    }

    /// Takes its part out of what a checkpoint kept.
    ///
    /// # Errors
    /// [`Error::Run`] if it is missing or no probability.
    pub fn load(&mut self, kept: &mut Vec<(String, NamedTensors)>) -> Result<()> {
        let Some(position) = kept.iter().position(|(file, _)| file == FILE).filter(|_| self.is_adaptive()) else {
            let missing = || {
                Error::run("checkpoint", "holds no probability of augmentation", "resume with the configuration the run was started with")
            };
            return if self.is_adaptive() { Err(missing()) } else { Ok(()) };
        };
        let (_, tensors) = kept.swap_remove(position);
        let p = match tensors.as_slice() {
            [(_, tensor)] => tensor.values.first().copied().unwrap_or(f32::NAN),
            _ => f32::NAN,
        };
        if !(0.0..=1.0).contains(&p) {
            return Err(Error::run("checkpoint", "the probability of augmentation is damaged", "take an earlier checkpoint"));
        }
        self.adapted = p;
        Ok(())
    }
}
