//! The game of which nothing is known about any single real row.
//!
//! Real rows are seen by the discriminator alone, in batches that each row joins by a coin of its own; their gradients are clipped row by row, summed, and hidden in noise (Abadi et al., "Deep Learning with Differential
//! Privacy", CCS 2016). Everything else, the generator above all, is computed from what comes out of that, which costs nothing (Xie et al., "Differentially Private Generative Adversarial Network", 2018).
//! Many updates of the discriminator for one of the generator are worth their share of the budget (Bie, Kamath and Zhang, "Private GANs, Revisited", TMLR 2023).

use std::sync::Arc;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use super::clipped::{Passes, RowGradients};
use super::nets::{PackDiscriminator, RowGenerator};
use crate::error::{Error, Result};
use crate::losses::{Loss, penalty};
use crate::nn::{Discriminator, Generator, Tape};
use crate::privacy::Key;
use crate::random;
use crate::run::NamedTensors;
use crate::table::{Layout, Rows};
use crate::train::{AdamSettings, Game, Player, StepReport};

/// What the guarantee follows from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrivateRules {
    /// Norm that the gradient of a real row is clipped to.
    pub clip: f64,
    /// Standard deviation of the noise over that norm.
    pub noise: f64,
    /// Probability with which a real row is in a batch.
    pub rate: f64,
    /// Real rows that are expected in a batch; as many are generated.
    pub batch: usize,
    /// Steps that are paid for.
    pub steps: u64,
}

/// Generator against a discriminator that learns real rows privately.
pub struct PrivateGame {
    /// Averaged.
    pub generator: Player<RowGenerator>,
    /// Plays against it.
    pub discriminator: Player<PackDiscriminator>,
    game: Game,
    rules: PrivateRules,
    layout: Arc<Layout>,
    key: Key,
    seed: u64,
    device: Device,
    last: Option<Last>,
}

/// What a step leaves for its report.
struct Last {
    g_loss: Tensor<1>,
    fake: Tensor<3>,
    scheduled: [(&'static str, f64); 2],
}

impl PrivateGame {
    /// Sets up the game. `key` makes batches and noise, `seed` the rest; `device` is without autodiff.
    pub fn new(
        players: (RowGenerator, PackDiscriminator),
        (game, rules): (Game, PrivateRules),
        layout: Arc<Layout>,
        (key, seed): (Key, u64),
        device: Device,
    ) -> Self {
        let (generator, discriminator) = (Player::averaged(players.0), Player::plain(players.1));
        Self { generator, discriminator, game, rules, layout, key, seed, device, last: None }
    }

    /// One round on the real rows: the discriminator learns `d_steps` times, then the generator once.
    ///
    /// # Errors
    /// [`Error::Config`] for a step beyond those that are paid for.
    pub fn step(&mut self, step: u64, rows: &Rows) -> Result<()> {
        if step >= self.rules.steps {
            let problem = format!("the privacy budget was planned for {} steps and is spent", self.rules.steps);
            return Err(Error::config("plan.steps", problem, "train a new run, with a budget of its own, for more steps"));
        }
        let progress = step as f64 / self.rules.steps.max(1) as f64;
        let game = &self.game;
        let adam = |lr: f64| AdamSettings { lr, beta1: game.beta1, beta2: game.beta2.at(progress), epsilon: game.epsilon };
        let (adam_g, adam_d, r2) = (adam(game.lr_g.at(progress)), adam(game.lr_d.at(progress)), game.r2.at(progress));
        let d_steps = game.d_steps;
        for i in 0..d_steps {
            let update = step * d_steps + i;
            let d = self.discriminator.net();
            let fake = self.generator.net().valid().forward(self.latents("discriminator-latents", update), None);
            // Generated rows are clipped alike: else they would outvote the real ones, and nothing would ever look real.
            let at_fake = Passes::of_generated(&d.valid(), fake.clone()).clipped_sum(self.rules.clip);
            let learned = self.private_sum(update, rows).plus(at_fake).scaled(1.0 / self.rules.batch as f64);
            let mut gradients = if r2 > 0.0 { penalty_gradients(d, fake, r2) } else { GradientsParams::new() };
            learned.add_to(&mut gradients, d);
            self.discriminator.update_by(gradients, adam_d, 0.0);
        }
        let scheduled = [("lr_g", adam_g.lr), ("lr_d", adam_d.lr)];
        self.generator_step(step, adam_g, scheduled);
        let n = self.rules.batch;
        self.generator.average(self.game.ema_decay(n, (step + 1) * n as u64, 1.0));
        Ok(())
    }

    /// The sum of the clipped gradients of the real rows that an update sees, with its noise.
    fn private_sum(&self, update: u64, rows: &Rows) -> RowGradients {
        let PrivateRules { clip, noise, rate, .. } = self.rules;
        let d = self.discriminator.net().valid();
        let chosen = self.key.sampled("batch", update, (rows.n, rate));
        let sum = if chosen.is_empty() {
            RowGradients::zeros(&d)
        } else {
            let dense = rows.take(&chosen).dense(&self.layout);
            let shape = [chosen.len(), 1, self.layout.width()];
            Passes::of_real(&d, Tensor::from_data(TensorData::new(dense, shape), &self.device)).clipped_sum(clip)
        };
        let deviation = (noise * clip) as f32;
        let draws: Vec<f32> = self.key.normal("noise", update, sum.len()).into_iter().map(|v| v * deviation).collect();
        sum.noised(&draws, &self.device)
    }

    fn generator_step(&mut self, step: u64, adam: AdamSettings, scheduled: [(&'static str, f64); 2]) {
        let fake = self.generator.net().forward(self.latents("generator-latents", step).autodiff(), None);
        let d = self.discriminator.net().clone().no_grad();
        let loss = Loss::NonSaturating.generator(None, d.forward(fake.clone(), None, &mut Tape::off()));
        self.last = Some(Last { g_loss: loss.clone().inner(), fake: fake.inner(), scheduled });
        self.generator.update(loss.backward(), adam, self.game.clip);
    }

    fn latents(&self, purpose: &str, number: u64) -> Tensor<2> {
        let (n, dim) = (self.rules.batch, self.generator.net().latent_dim());
        let values = random::normal(n * dim, &mut random::stream(self.seed, purpose, number));
        Tensor::from_data(TensorData::new(values, [n, dim]), &self.device)
    }

    /// The numbers of the last step. In the place of real rows stand those of `surrogate`, which are no secret.
    ///
    /// # Panics
    /// If no step was done yet.
    pub fn report(&self, surrogate: &Rows) -> StepReport {
        let last = self.last.as_ref().expect("a step was done before its report is read");
        let n = self.rules.batch.min(surrogate.n);
        let dense = surrogate.take(&(0..n).collect::<Vec<_>>()).dense(&self.layout);
        let shown = Tensor::from_data(TensorData::new(dense, [n, 1, self.layout.width()]), &self.device);
        let d = self.discriminator.net().valid();
        let real = d.forward(shown, None, &mut Tape::off());
        let fake = d.forward(last.fake.clone().narrow(0, 0, n), None, &mut Tape::off());
        let number = |tensor: Tensor<1>| tensor.into_scalar::<f64>();
        StepReport {
            d_loss: number(Loss::NonSaturating.discriminator(real.clone(), fake.clone())),
            g_loss: number(last.g_loss.clone()),
            d_accuracy: number(real.greater(fake.clone()).float().mean()),
            extra: [vec![("d_fake", number(fake.mean()))], last.scheduled.to_vec()].concat(),
        }
    }

    /// Both players' state, for a checkpoint.
    pub fn save_state(&self) -> Vec<(String, NamedTensors)> {
        vec![("generator".into(), self.generator.save()), ("discriminator".into(), self.discriminator.save())]
    }

    /// Takes back what [`PrivateGame::save_state`] gave; on an error both players are as they were.
    ///
    /// # Errors
    /// [`Error::Run`] naming the player and the tensor.
    pub fn load_state(&mut self, players: Vec<(String, NamedTensors)>) -> Result<()> {
        let mismatch = |name: &str, problem: &str| {
            Error::run(format!("checkpoint of the {name}"), problem.to_owned(), "resume with the configuration the run was started with")
        };
        let (mut generator, mut discriminator) = (None, None);
        for (name, tensors) in players {
            let loaded = match name.as_str() {
                "generator" => self.generator.loaded(tensors).map(|player| generator = Some(player)),
                "discriminator" => self.discriminator.loaded(tensors).map(|player| discriminator = Some(player)),
                _ => Err("is no player of this game".to_owned()),
            };
            loaded.map_err(|problem| mismatch(&name, &problem))?;
        }
        let (Some(generator), Some(discriminator)) = (generator, discriminator) else {
            return Err(mismatch("players", "one of them is missing"));
        };
        (self.generator, self.discriminator) = (generator, discriminator);
        Ok(())
    }
}

/// The gradients of R2 of that weight at generated rows, `[n, 1, width]`.
fn penalty_gradients(d: &PackDiscriminator, fake: Tensor<3>, r2: f64) -> GradientsParams {
    let (n, mut tape) = (fake.dims()[0], Tape::recording());
    d.forward(fake.autodiff(), None, &mut tape);
    let loss = penalty::squared_norm(d.input_gradient(n, tape)).mean().mul_scalar(r2 / 2.0);
    GradientsParams::from_module(&mut loss.backward(), d)
}

#[cfg(test)]
mod tests;
