//! The ordinary adversarial game of one generator and one discriminator.

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};

use crate::augment::Distortion;
use crate::error::{Error, Result};
use crate::losses::{Auxiliary, penalty};
use crate::nn::ops::beside;
use crate::nn::{Discriminator, Generator, Tape};
use crate::random;
use crate::run::{ModelFolder, NamedTensors};
use crate::train::adam::AdamSettings;
use crate::train::stored::{DISCRIMINATOR, GENERATOR};
use crate::train::{Game, Player, StepReport, Tuning};

/// Real samples of one update.
pub struct Batch<const R: usize> {
    /// `[n, ...]`, on the plain device.
    pub real: Tensor<R>,
    /// What each sample is asked to be, `[n, condition]`, for a conditional game.
    pub condition: Option<Tensor<2>>,
    /// What is done to the real samples and to as many generated ones before the discriminator sees them.
    pub distortions: Option<[Box<dyn Distortion<R>>; 2]>,
}

impl<const R: usize> Batch<R> {
    /// `n` samples, from number `first` on.
    fn part(&self, first: usize, n: usize) -> Self {
        Self {
            real: self.real.clone().narrow(0, first, n),
            condition: self.condition.clone().map(|condition| condition.narrow(0, first, n)),
            distortions: self.distortions.as_ref().map(|[real, fake]| [real.part(first, n), fake.part(first, n)]),
        }
    }

    /// Real samples as they are shown.
    fn shown(&self) -> Tensor<R> {
        self.distort(0, self.real.clone())
    }

    /// Generated samples as they are shown.
    fn shown_fake(&self, fake: Tensor<R>) -> Tensor<R> {
        self.distort(1, fake)
    }

    fn distort(&self, side: usize, x: Tensor<R>) -> Tensor<R> {
        match &self.distortions {
            Some(both) => both[side].apply(x),
            None => x,
        }
    }

    /// The gradient in real and generated samples, from that in what was shown of them, both `[2 n, ...]`.
    fn gradient(&self, shown: Tensor<R>) -> Tensor<R> {
        let Some([real, fake]) = &self.distortions else { return shown };
        let n = shown.dims()[0] / 2;
        Tensor::cat(vec![real.transposed(shown.clone().narrow(0, 0, n)), fake.transposed(shown.narrow(0, n, n))], 0)
    }
}

/// Gives the real batch for an update of a step, by the step and the update's number among all alone: batches are asked for ahead of time, on another thread.
pub type Batches<'a, const R: usize> = dyn FnMut(u64, u64) -> Batch<R> + Send + 'a;

/// Generator against discriminator.
pub struct TwoPlayer<const R: usize, G: Generator<R>, D: Discriminator<R>> {
    /// Kept and averaged.
    pub generator: Player<G>,
    /// Plays against it.
    pub discriminator: Player<D>,
    game: Game,
    auxiliary: Option<Auxiliary>,
    steps: u64,
    seed: u64,
    tuning: Tuning,
    device: Device,
    /// What the next step needs, made while the last one ran.
    ready: Option<Round<R>>,
    last: Option<Numbers>,
}

/// What one step needs besides the networks.
struct Round<const R: usize> {
    step: u64,
    updates: Vec<Update<R>>,
}

/// What one update needs: a real batch, and latents for as many fakes.
struct Update<const R: usize> {
    number: u64,
    batch: Batch<R>,
    latents: Tensor<2>,
}

/// A part of an update that is computed at once.
struct Part<const R: usize> {
    batch: Batch<R>,
    latents: Tensor<2>,
    /// Number of its first sample.
    first: usize,
    /// Its samples' share of all.
    share: f64,
}

impl<const R: usize> Update<R> {
    /// So many parts at most, as large as each other as far as they can be.
    fn parts(self, wanted: usize) -> Vec<Part<R>> {
        let Self { batch, latents, .. } = self;
        let of = batch.real.dims()[0];
        let wanted = wanted.min(of);
        if wanted < 2 {
            return vec![Part { batch, latents, first: 0, share: 1.0 }];
        }
        let part = |i: usize| {
            let (first, end) = (i * of / wanted, (i + 1) * of / wanted);
            let n = end - first;
            Part { batch: batch.part(first, n), latents: latents.clone().narrow(0, first, n), first, share: n as f64 / of as f64 }
        };
        (0..wanted).map(part).collect()
    }
}

/// What one step leaves on the device for the report.
struct Numbers {
    names: Vec<&'static str>,
    values: Vec<Tensor<1>>,
    scheduled: Vec<(&'static str, f64)>,
}

/// The scheduled values of one step.
struct Moment {
    r1: f64,
    r2: f64,
    gradient_penalty: f64,
    adam_g: AdamSettings,
    adam_d: AdamSettings,
}

impl<const R: usize, G: Generator<R>, D: Discriminator<R>> TwoPlayer<R, G, D> {
    /// Sets up the game. `steps` is the planned length, over which schedules run; `device` is without autodiff.
    ///
    /// # Errors
    /// [`Error::Config`] if a gradient penalty is asked of a discriminator for which none is defined.
    pub fn new(players: (G, D), game: Game, steps: u64, seed: u64, device: Device) -> Result<Self> {
        game.validate()?;
        if D::COUPLED && game.penalised() {
            return Err(Error::config(
                "game.r1",
                "gradient penalties are not defined for a discriminator with batch normalisation",
                "set game.r1, game.r2 and game.gradient_penalty to 0, or choose another architecture",
            ));
        }
        if game.auxiliary > 0.0 && !D::CLASSIFIES {
            return Err(Error::config("game.auxiliary", "this task has no auxiliary classifier", "set it to 0"));
        }
        if game.completion > 0.0 && !G::COMPLETES {
            return Err(Error::config("game.completion", "this task has nothing that is filled in", "set it to 0"));
        }
        let (generator, mut discriminator) = players;
        if game.freeze_d > 0 {
            discriminator = discriminator.frozen(game.freeze_d).ok_or_else(|| {
                Error::config("game.freeze_d", "this discriminator has no stages to freeze", "set it to 0, or choose another architecture")
            })?;
        }
        Ok(Self {
            generator: Player::averaged(generator),
            discriminator: Player::plain(discriminator),
            game,
            auxiliary: None,
            steps,
            seed,
            tuning: Tuning::default(),
            device,
            ready: None,
            last: None,
        })
    }

    /// How the auxiliary classifier reads conditions, if it has a weight in the game; none is read otherwise.
    pub fn with_auxiliary(mut self, auxiliary: Option<Auxiliary>) -> Self {
        self.auxiliary = auxiliary.filter(|_| self.game.auxiliary > 0.0);
        self
    }

    /// One round: the discriminator learns `d_steps` times, then the generator once; during the first `d_first` rounds the generator waits. What the next round
    /// needs is prepared meanwhile.
    pub fn step(&mut self, step: u64, batches: &mut Batches<'_, R>) {
        let (device, draw) = (self.device.clone(), self.draw());
        let ready = self.ready.take().filter(|round| round.step == step);
        let round = ready.unwrap_or_else(|| draw.round(step, batches));
        self.ready = Some(beside(&device, || self.round(round), || draw.round(step + 1, batches)));
    }

    fn round(&mut self, round: Round<R>) {
        let Round { step, updates } = round;
        let at = self.moment(step);
        let mut numbers = Numbers { names: Vec::new(), values: Vec::new(), scheduled: Vec::new() };
        for (i, update) in updates.into_iter().enumerate() {
            let i = i as u64;
            let d_steps = self.d_steps();
            if i < d_steps {
                let last = i + 1 == d_steps;
                self.discriminator_step(update, &at, last.then_some(&mut numbers));
                continue;
            }
            let n = update.batch.real.dims()[0];
            self.generator_step(update, &at, &mut numbers);
            let rounds = step - self.game.d_first + 1;
            self.generator.average(self.game.ema_decay(n, rounds * n as u64, self.tuning.ema));
        }
        numbers.scheduled = vec![("lr_g", at.adam_g.lr), ("lr_d", at.adam_d.lr), ("gamma", at.r1.max(at.r2).max(at.gradient_penalty))];
        self.last = Some(numbers);
    }

    fn discriminator_step(&mut self, update: Update<R>, at: &Moment, numbers: Option<&mut Numbers>) {
        let (mut numbers, mut gradients) = (numbers, GradientsAccumulator::new());
        let of = (update.number, update.batch.real.dims()[0]);
        for part in update.parts(self.game.accumulate) {
            let loss = self.discriminator_loss(part, of, at, numbers.as_deref_mut());
            let d = self.discriminator.net();
            gradients.accumulate(d, GradientsParams::from_grads(loss.backward(), d));
        }
        self.discriminator.update_by(gradients.grads(), at.adam_d, self.game.clip);
    }

    /// A part's share of the loss of update `number`, of `of` samples.
    fn discriminator_loss(&self, part: Part<R>, (number, of): (u64, usize), at: &Moment, numbers: Option<&mut Numbers>) -> Tensor<1> {
        let Part { batch, latents, first, share } = part;
        let n = batch.real.dims()[0];
        let fake = batch.shown_fake(self.fake_without_graph(latents, batch.condition.clone()));
        let shown = batch.shown();
        let d = self.discriminator.net();
        let mut tape = if at.r1 > 0.0 || at.r2 > 0.0 { Tape::recording() } else { Tape::off() };

        let (real_logits, fake_logits, told) = if D::COUPLED {
            let (real, told) = d.forward_classified(shown.clone().autodiff(), batch.condition.clone(), &mut Tape::off());
            (real, d.forward(fake.clone().autodiff(), batch.condition.clone(), &mut Tape::off()), told)
        } else {
            let both = Tensor::cat(vec![shown.clone(), fake.clone()], 0).autodiff();
            let condition = batch.condition.clone().map(|c| Tensor::cat(vec![c.clone(), c], 0));
            let (logits, told) = d.forward_classified(both, condition, &mut tape);
            (logits.clone().narrow(0, 0, n), logits.narrow(0, n, n), told.map(|told| told.narrow(0, 0, n)))
        };
        let adversarial = self.game.loss.discriminator(real_logits.clone(), fake_logits.clone());
        let mut loss = adversarial.clone();
        let auxiliary = self.auxiliary_loss(told, batch.condition.clone());
        if let Some(auxiliary) = &auxiliary {
            loss = loss + auxiliary.clone().mul_scalar(self.game.auxiliary);
        }

        let mut penalties: Vec<(&'static str, Tensor<1>)> = Vec::new();
        if at.r1 > 0.0 || at.r2 > 0.0 {
            if let Some(along) = self.auxiliary_direction(batch.condition.as_ref(), number, (first, of)) {
                tape.toward(Tensor::cat(vec![along.clone(), along], 0));
            }
            let norms = penalty::squared_norm(batch.gradient(d.input_gradient(2 * n, tape)));
            let r1 = norms.clone().narrow(0, 0, n).mean();
            let r2 = norms.narrow(0, n, n).mean();
            loss = loss + r1.clone().mul_scalar(at.r1 / 2.0) + r2.clone().mul_scalar(at.r2 / 2.0);
            penalties = vec![("r1", r1), ("r2", r2)];
        }
        if at.gradient_penalty > 0.0 {
            let mix = self.uniform::<R>(number, of).narrow(0, first, n);
            let between = (shown * mix.clone() + fake * mix.neg().add_scalar(1.0)).autodiff();
            let mut tape = Tape::recording();
            let unused = d.forward(between, batch.condition, &mut tape);
            drop(unused);
            let gp = penalty::one_centred(d.input_gradient(n, tape));
            loss = loss + gp.clone().mul_scalar(at.gradient_penalty);
            penalties.push(("gradient_penalty", gp));
        }
        if let Some(numbers) = numbers {
            let (real, fake) = (real_logits.inner(), fake_logits.inner());
            numbers.add("d_loss", adversarial.inner(), share);
            numbers.add("d_accuracy", real.clone().greater(fake.clone()).float().mean(), share);
            numbers.add("d_real", real.mean(), share);
            numbers.add("d_fake", fake.mean(), share);
            for (name, value) in penalties.into_iter().chain(auxiliary.map(|auxiliary| ("d_auxiliary", auxiliary))) {
                numbers.add(name, value.inner(), share);
            }
        }
        part_of(loss, share)
    }

    /// What the auxiliary classifier gets wrong about samples.
    fn auxiliary_loss(&self, told: Option<Tensor<2>>, condition: Option<Tensor<2>>) -> Option<Tensor<1>> {
        Some(self.auxiliary.as_ref()?.loss(told?, condition?))
    }

    fn generator_step(&mut self, update: Update<R>, at: &Moment, numbers: &mut Numbers) {
        let mut gradients = GradientsAccumulator::new();
        let number = update.number;
        for part in update.parts(self.game.accumulate) {
            let loss = self.generator_loss(part, number, numbers);
            let g = self.generator.net();
            gradients.accumulate(g, GradientsParams::from_grads(loss.backward(), g));
        }
        self.generator.update_by(gradients.grads(), at.adam_g, self.game.clip);
    }

    /// A part's share of the loss of update `number`.
    fn generator_loss(&self, part: Part<R>, number: u64, numbers: &mut Numbers) -> Tensor<1> {
        let Part { batch, latents, share, first } = part;
        let latents = latents.autodiff();
        let fake = batch.shown_fake(self.generator.net().forward(latents.clone(), batch.condition.clone()));
        // The discriminator's weights get no gradient here, and none is computed.
        let d = self.discriminator.net().clone().no_grad();
        let (logits, told) = d.forward_classified(fake, batch.condition.clone(), &mut Tape::off());
        let real = self.game.loss.compares().then(|| {
            if D::COUPLED {
                // Statistics of the batch for both sides of the comparison.
                return d.forward(batch.shown().autodiff(), batch.condition.clone(), &mut Tape::off());
            }
            self.discriminator.net().valid().forward(batch.shown(), batch.condition.clone(), &mut Tape::off()).autodiff()
        });
        let mut loss = self.game.loss.generator(real, logits);
        numbers.add("g_loss", loss.clone().inner(), share);
        let turn = number as usize + first;
        let completion =
            (self.game.completion > 0.0).then(|| self.generator.net().completion(&batch.real, latents, batch.condition.as_ref(), turn));
        if let Some(completion) = completion.flatten() {
            numbers.add("g_completion", completion.clone().inner(), share);
            loss = loss + completion.mul_scalar(self.game.completion);
        }
        if let Some(auxiliary) = self.auxiliary_loss(told, batch.condition) {
            numbers.add("g_auxiliary", auxiliary.clone().inner(), share);
            loss = loss + auxiliary.mul_scalar(self.game.auxiliary);
        }
        part_of(loss, share)
    }

    /// Samples of the live generator that carry no gradient.
    fn fake_without_graph(&self, latents: Tensor<2>, condition: Option<Tensor<2>>) -> Tensor<R> {
        if G::COUPLED {
            // The statistics of the batch are taken only on the autodiff device; without gradients no graph is kept.
            self.generator.net().clone().no_grad().forward(latents.autodiff(), condition).inner()
        } else {
            self.generator.net().valid().forward(latents, condition)
        }
    }

    /// How rounds are drawn.
    fn draw(&self) -> Draw {
        let latent_dim = self.generator.net().latent_dim();
        Draw { seed: self.seed, d_steps: self.d_steps(), d_first: self.game.d_first, latent_dim, device: self.device.clone() }
    }

    /// Along what the classifier's gradient is penalised with that of the logits: random signs, so that the square of the sum is on average that of both norms, the classifier's that of its
    /// Jacobian (Hoffman, Roberts and Yaida, "Robust Learning with Jacobian Regularization", 2019, section 2.3), `[n, condition]`. Nothing if it is not penalised.
    fn auxiliary_direction(&self, condition: Option<&Tensor<2>>, update: u64, (first, of): (usize, usize)) -> Option<Tensor<2>> {
        let [n, width] = condition.filter(|_| self.auxiliary.is_some() && self.game.auxiliary_penalty > 0.0)?.dims();
        let size = self.game.auxiliary_penalty.sqrt() as f32;
        let drawn = random::uniform(of * width, &mut random::stream(self.seed, "auxiliary-direction", update));
        let signs: Vec<f32> = drawn[first * width..(first + n) * width].iter().map(|v| if *v < 0.5 { size } else { -size }).collect();
        Some(Tensor::from_data(TensorData::new(signs, [n, width]), &self.device))
    }

    fn uniform<const K: usize>(&self, update: u64, n: usize) -> Tensor<K> {
        let values = random::uniform(n, &mut random::stream(self.seed, "interpolation", update));
        let mut shape = [1; K];
        shape[0] = n;
        Tensor::<1>::from_data(TensorData::new(values, [n]), &self.device).reshape(shape)
    }

    fn moment(&self, step: u64) -> Moment {
        let game = &self.game;
        let progress = step as f64 / self.steps.max(1) as f64;
        let adam = |lr: f64| AdamSettings { lr, beta1: game.beta1, beta2: game.beta2.at(progress), epsilon: game.epsilon };
        let Tuning { lr_g, lr_d, penalty, added_penalty, .. } = self.tuning;
        let added = if D::COUPLED || game.penalised() { 0.0 } else { added_penalty };
        Moment {
            r1: game.r1.at(progress) * penalty + added,
            r2: game.r2.at(progress) * penalty + added,
            gradient_penalty: game.gradient_penalty.at(progress) * penalty,
            adam_g: adam(game.lr_g.at(progress) * lr_g),
            adam_d: adam(game.lr_d.at(progress) * lr_d),
        }
    }

    /// Changes the rules from the next step on, in place of any earlier change.
    pub fn tune(&mut self, tuning: Tuning) {
        self.tuning = tuning;
        self.redraw();
    }

    /// Draws the next round anew: what it was drawn by has changed.
    pub fn redraw(&mut self) {
        self.ready = None;
    }

    /// Discriminator updates of a step.
    fn d_steps(&self) -> u64 {
        self.game.d_steps.min(self.tuning.d_steps)
    }

    /// Changes the length that schedules run over, from the next step on.
    pub fn plan_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// Mean logit of samples `[n, ...]` on the plain device, with conditions `[n, condition]` in a conditional game; nothing if it is not finite.
    pub fn mean_logit(&self, samples: Tensor<R>, condition: Option<Tensor<2>>) -> Option<f64> {
        let logits = self.discriminator.net().valid().forward(samples, condition, &mut Tape::off());
        Some(logits.mean().into_scalar::<f64>()).filter(|mean| mean.is_finite())
    }

    /// Takes over the weights of a model folder that fit. Gives the names of the parameters that stay as they are.
    ///
    /// # Errors
    /// As [`ModelFolder::tensors`].
    pub fn take_over(&mut self, model: &ModelFolder) -> Result<Vec<String>> {
        self.take_over_where(model, &|_| true)
    }

    /// The same of those weights alone whose names are wanted.
    ///
    /// # Errors
    /// As [`ModelFolder::tensors`].
    pub fn take_over_where(&mut self, model: &ModelFolder, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<String>> {
        let (mut generator, mut discriminator) = (model.tensors()?, model.discriminator()?.unwrap_or_default());
        [&mut generator, &mut discriminator].into_iter().for_each(|tensors| tensors.retain(|(name, _)| wanted(name)));
        Ok(self.take_over_tensors([(GENERATOR, generator), (DISCRIMINATOR, discriminator)]))
    }

    /// Takes over those of some weights of both players, each under its prefix, that fit. Gives the names of the parameters that stay as they are.
    pub fn take_over_tensors(&mut self, [generator, discriminator]: [(&str, NamedTensors); 2]) -> Vec<String> {
        let mut left = self.generator.take_over(generator.0, generator.1);
        left.extend(self.discriminator.take_over(discriminator.0, discriminator.1));
        self.redraw();
        left
    }

    /// Reads the numbers of the last step; waits for the device.
    ///
    /// # Panics
    /// If no step was done yet.
    pub fn report(&self) -> StepReport {
        let last = self.last.as_ref().expect("a step was done before its report is read");
        let values = Tensor::cat(last.values.clone(), 0).into_data().convert::<f64>().try_to_vec::<f64>().expect("converted to f64");
        let mut report = StepReport { d_loss: f64::NAN, g_loss: 0.0, d_accuracy: f64::NAN, extra: Vec::new() };
        for (name, value) in last.names.iter().copied().zip(values) {
            match name {
                "d_loss" => report.d_loss = value,
                "g_loss" => report.g_loss = value,
                "d_accuracy" => report.d_accuracy = value,
                _ => report.extra.push((name, value)),
            }
        }
        report.extra.extend(last.scheduled.iter().copied());
        report
    }

    /// Both players' state, for a checkpoint.
    pub fn save_state(&self) -> Vec<(String, NamedTensors)> {
        vec![("generator".into(), self.generator.save()), ("discriminator".into(), self.discriminator.save())]
    }

    /// Takes back what [`TwoPlayer::save_state`] gave; on an error both players are as they were.
    ///
    /// # Errors
    /// [`Error::Run`] naming the player and the tensor.
    pub fn load_state(&mut self, players: Vec<(String, NamedTensors)>) -> Result<()> {
        let players = self.loaded(players)?;
        self.put(players);
        Ok(())
    }

    /// Puts players in the place of those that there are.
    pub fn put(&mut self, (generator, discriminator): (Player<G>, Player<D>)) {
        (self.generator, self.discriminator) = (generator, discriminator);
    }

    /// The players with the state that [`TwoPlayer::save_state`] gave; those of this game stay as they are.
    ///
    /// # Errors
    /// [`Error::Run`] naming the player and the tensor.
    pub fn loaded(&self, players: Vec<(String, NamedTensors)>) -> Result<(Player<G>, Player<D>)> {
        let (mut generator, mut discriminator) = (None, None);
        for (name, tensors) in players {
            let loaded = match name.as_str() {
                "generator" => self.generator.loaded(tensors).map(|player| generator = Some(player)),
                "discriminator" => self.discriminator.loaded(tensors).map(|player| discriminator = Some(player)),
                _ => Err("is no player of this game".to_string()),
            };
            loaded.map_err(|problem| mismatch(&name, &problem))?;
        }
        // Both or none, so that a checkpoint of which one half fits leaves no mixture behind.
        let generator = generator.ok_or_else(|| mismatch("generator", "is missing"))?;
        let discriminator = discriminator.ok_or_else(|| mismatch("discriminator", "is missing"))?;
        Ok((generator, discriminator))
    }
}

/// Draws what a round needs.
struct Draw {
    seed: u64,
    d_steps: u64,
    d_first: u64,
    latent_dim: usize,
    device: Device,
}

impl Draw {
    fn round<const R: usize>(&self, step: u64, batches: &mut Batches<'_, R>) -> Round<R> {
        // One batch for each discriminator update and one for the generator's comparison.
        let first = step * (self.d_steps + 1);
        let learners = self.d_steps + u64::from(step >= self.d_first);
        let update = |i: u64| {
            let (number, batch) = (first + i, batches(step, first + i));
            let n = batch.real.dims()[0];
            let purpose = if i < self.d_steps { "discriminator-latents" } else { "generator-latents" };
            let values = random::normal(n * self.latent_dim, &mut random::stream(self.seed, purpose, number));
            Update { number, batch, latents: Tensor::from_data(TensorData::new(values, [n, self.latent_dim]), &self.device) }
        };
        Round { step, updates: (0..learners).map(update).collect() }
    }
}

fn mismatch(player: &str, problem: &str) -> Error {
    Error::run(format!("checkpoint of the {player}"), problem.to_string(), "resume with the configuration the run was started with")
}

/// A mean over some samples as their share of the mean over all.
fn part_of(mean: Tensor<1>, share: f64) -> Tensor<1> {
    if share < 1.0 { mean.mul_scalar(share) } else { mean }
}

impl Numbers {
    /// Adds the number of that share of the samples.
    fn add(&mut self, name: &'static str, value: Tensor<1>, share: f64) {
        let value = part_of(value, share);
        match self.names.iter().position(|own| *own == name) {
            Some(at) => self.values[at] = self.values[at].clone() + value,
            None => {
                self.names.push(name);
                self.values.push(value);
            }
        }
    }
}
