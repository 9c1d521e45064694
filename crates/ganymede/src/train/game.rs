//! The rules of the game (section `[game]` of a configuration): losses, penalties, optimizers, moving average.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::losses::Loss;
use crate::train::Schedule;

/// How two players play.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Game {
    /// What is minimised.
    pub loss: Loss,
    /// Weight gamma of R1: `gamma / 2` times the squared gradient at real samples.
    pub r1: Schedule,
    /// Weight gamma of R2: the same at fake samples.
    pub r2: Schedule,
    /// Weight of WGAN-GP's penalty at interpolates; the paper's is 10.
    pub gradient_penalty: Schedule,
    /// Discriminator updates per generator update.
    pub d_steps: u64,
    /// The classic staged training: so many discriminator-only steps first, on real samples against the untrained generator's.
    pub d_first: u64,
    /// Parts that a batch is computed in, one after the other, before an update by all of them: the same game in less memory. Batch normalisation takes its statistics part by part.
    pub accumulate: usize,
    /// Weight, for both players, of the auxiliary classifier, with which the discriminator reads off a sample what it is asked to be ([`crate::losses::Auxiliary`]); 0 turns it off, and without a condition there is none.
    pub auxiliary: f64,
    /// Penalty on what the auxiliary classifier tells, as a share of R1 and R2: its squared gradient (that of its Jacobian's entries) times this is added to the squared gradient of the logits.
    /// It keeps the generator from being read rightly by changes that nobody sees; without R1 and R2 there is none. What is logged
    /// as r1 and r2 holds it.
    pub auxiliary_penalty: f64,
    /// Weight, in the generator's loss, of how badly it fills in one hidden part of real samples ([`crate::nn::Generator::completion`]); 0 turns it off.
    pub completion: f64,
    /// The discriminator's first so many stages are not learned: for fine-tuning with few samples (Mo, Cho and Shin, "Freeze the Discriminator", 2020).
    pub freeze_d: usize,
    /// Adam's learning rate for the generator.
    pub lr_g: Schedule,
    /// Adam's learning rate for the discriminator.
    pub lr_d: Schedule,
    /// Adam's beta 1.
    pub beta1: f64,
    /// Adam's beta 2.
    pub beta2: Schedule,
    /// Adam's epsilon.
    pub epsilon: f64,
    /// Largest norm of all gradients of a player together; 0 turns clipping off.
    pub clip: f64,
    /// Half-life of the generator's moving average, in samples shown; 0 turns averaging off.
    pub ema_half_life: f64,
    /// Warm-up of the moving average: the half-life is at most this share of the samples shown so far (StyleGAN2's is 0.05); 0 turns it off.
    pub ema_warmup: f64,
}

impl Default for Game {
    fn default() -> Self {
        Self {
            loss: Loss::Relativistic,
            r1: Schedule::Constant(1.0),
            r2: Schedule::Constant(1.0),
            gradient_penalty: Schedule::Constant(0.0),
            d_steps: 1,
            d_first: 0,
            accumulate: 1,
            auxiliary: 0.0,
            auxiliary_penalty: 1e-5,
            completion: 0.0,
            freeze_d: 0,
            lr_g: Schedule::Constant(2e-4),
            lr_d: Schedule::Constant(2e-4),
            beta1: 0.0,
            beta2: Schedule::Constant(0.99),
            epsilon: 1e-8,
            clip: 0.0,
            ema_half_life: 10_000.0,
            ema_warmup: 0.05,
        }
    }
}

impl Game {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key.
    pub fn validate(&self) -> Result<()> {
        for (key, schedule, high) in [
            ("game.r1", &self.r1, 1e6),
            ("game.r2", &self.r2, 1e6),
            ("game.gradient_penalty", &self.gradient_penalty, 1e6),
            ("game.lr_g", &self.lr_g, 10.0),
            ("game.lr_d", &self.lr_d, 10.0),
            ("game.beta2", &self.beta2, 0.999_999),
        ] {
            schedule.validate(key, 0.0, high)?;
        }
        let limits = [
            ("game.beta1", self.beta1, 0.0, 0.999_999),
            ("game.epsilon", self.epsilon, 1e-30, 1.0),
            ("game.clip", self.clip, 0.0, 1e9),
            ("game.auxiliary", self.auxiliary, 0.0, 1e6),
            ("game.auxiliary_penalty", self.auxiliary_penalty, 0.0, 1e6),
            ("game.completion", self.completion, 0.0, 1e6),
            ("game.ema_half_life", self.ema_half_life, 0.0, 1e12),
            ("game.ema_warmup", self.ema_warmup, 0.0, 1e6),
        ];
        for (key, value, low, high) in limits {
            if !(low..=high).contains(&value) {
                return Err(Error::config(key, format!("{value} is out of range"), format!("give a value between {low} and {high}")));
            }
        }
        if self.d_steps == 0 || self.d_steps > 1000 {
            return Err(Error::config(
                "game.d_steps",
                format!("{} updates are out of range", self.d_steps),
                "give a number from 1 to 1000",
            ));
        }
        if !(1..=4096).contains(&self.accumulate) {
            let problem = format!("{} parts of a batch are out of range", self.accumulate);
            return Err(Error::config("game.accumulate", problem, "give a number from 1 to 4096"));
        }
        Ok(())
    }

    /// Whether any gradient penalty is on.
    pub fn penalised(&self) -> bool {
        !(self.r1.is_off() && self.r2.is_off() && self.gradient_penalty.is_off())
    }

    /// Floating-point operations of one step, from the multiplications of the discriminator and of the generator for one sample, once forward. A backward
    /// pass costs two forward passes, or one where only the input's gradient is needed; a transposed pass and its backward pass cost three.
    pub fn step_operations(&self, batch: usize, discriminator: f64, generator: f64) -> f64 {
        let penalised =
            if self.r1.is_off() && self.r2.is_off() { 0.0 } else { 6.0 } + if self.gradient_penalty.is_off() { 0.0 } else { 4.0 };
        let update = discriminator * (6.0 + penalised) + generator;
        let compared = if self.loss.compares() { 1.0 } else { 0.0 };
        let generator_update = generator * 3.0 + discriminator * (2.0 + compared);
        2.0 * batch as f64 * (self.d_steps as f64 * update + generator_update)
    }

    /// Weight of the old average when `batch` samples were shown since the last update and `seen` in all, with `factor` times the configured half-life.
    pub fn ema_decay(&self, batch: usize, seen: u64, factor: f64) -> f64 {
        let mut half_life = self.ema_half_life * factor;
        if self.ema_warmup > 0.0 {
            half_life = half_life.min(seen as f64 * self.ema_warmup);
        }
        0.5f64.powf(batch as f64 / half_life.max(1e-8))
    }
}
