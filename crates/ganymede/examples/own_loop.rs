//! The adversarial step written by hand from its parts: a [`Loss`], the exact gradient penalty R1, and a [`Player`] for each network. For games
//! that [`ganymede::train::TwoPlayer`] does not play.
//!
//! ```sh
//! cargo run --release -p ganymede --example own_loop
//! ```

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use ganymede::data::Source;
use ganymede::losses::{Loss, penalty};
use ganymede::nn::{BiasAct, Init, Linear, LinearConfig, Tape};
use ganymede::random::{self, DataOrder};
use ganymede::tasks::points::count_modes;
use ganymede::train::{AdamSettings, Player};

const SEED: u64 = 1;
const STEPS: u64 = 3000;
const BATCH: usize = 256;
const LATENT_DIM: usize = 8;
const WIDTH: usize = 128;
const LOSS: Loss = Loss::NonSaturating;
/// Weight of R1.
const GAMMA: f64 = 0.02;
/// Weight of the old average of the generator's weights at each step.
const EMA_DECAY: f64 = 0.99;
const ADAM: AdamSettings = AdamSettings { lr: 5e-4, beta1: 0.0, beta2: 0.99, epsilon: 1e-8 };

/// A fully connected network with leaky ReLU, for either player: any Burn module can be one.
#[derive(Module, Debug)]
struct Mlp {
    hidden: Vec<Linear>,
    acts: Vec<BiasAct>,
    last: Linear,
}

impl Mlp {
    fn new(inputs: usize, outputs: usize, init: &mut Init<'_>) -> Self {
        let hidden = [inputs, WIDTH, WIDTH].map(|n| LinearConfig::new(n, WIDTH).with_gain(1.4).without_bias().init(init));
        let acts = hidden.iter().map(|_| BiasAct::new(WIDTH, 0.2, init)).collect();
        Self { hidden: hidden.into(), acts, last: LinearConfig::new(WIDTH, outputs).init(init) }
    }

    fn forward(&self, x: Tensor<2>, tape: &mut Tape) -> Tensor<2> {
        let layers = self.hidden.iter().zip(&self.acts);
        self.last.forward(layers.fold(x, |x, (linear, act)| act.forward(linear.forward(x), tape)))
    }

    /// Gradient of the summed outputs with respect to the `n` inputs of the forward pass that the tape recorded.
    fn input_gradient(&self, n: usize, mut tape: Tape) -> Tensor<2> {
        let g = self.last.weight.val().transpose().repeat_dim(0, n);
        let layers = self.hidden.iter().zip(&self.acts).rev();
        layers.fold(g, |g, (linear, act)| linear.transposed(act.transposed(g, &mut tape)))
    }
}

fn latents(purpose: &str, step: u64, n: usize, device: &Device) -> Tensor<2> {
    let values = random::normal(n * LATENT_DIM, &mut random::stream(SEED, purpose, step));
    Tensor::from_data(TensorData::new(values, [n, LATENT_DIM]), device)
}

/// The discriminator learns to tell `real` from `fake`, both `[n, 2]` and without gradients of their own. Gives back its loss, shape `[1]`.
fn discriminator_step(discriminator: &mut Player<Mlp>, real: Tensor<2>, fake: Tensor<2>) -> Tensor<1> {
    let n = real.dims()[0];
    let mut tape = Tape::recording();
    let real_logits = discriminator.net().forward(real.autodiff(), &mut tape);
    let fake_logits = discriminator.net().forward(fake.autodiff(), &mut Tape::off());
    let adversarial = LOSS.discriminator(real_logits, fake_logits);
    let r1 = penalty::squared_norm(discriminator.net().input_gradient(n, tape)).mean();
    let loss = adversarial.clone() + r1.mul_scalar(GAMMA / 2.0);
    discriminator.update(loss.backward(), ADAM, 0.0);
    adversarial.inner()
}

/// The generator learns to fool the discriminator, whose weights stay as they are. Gives back its loss, shape `[1]`.
fn generator_step(generator: &mut Player<Mlp>, discriminator: &Player<Mlp>, latents: Tensor<2>) -> Tensor<1> {
    let fake = generator.net().forward(latents.autodiff(), &mut Tape::off());
    let logits = discriminator.net().clone().no_grad().forward(fake, &mut Tape::off());
    let loss = LOSS.generator(None, logits);
    generator.update(loss.backward(), ADAM, 0.0);
    generator.average(EMA_DECAY);
    loss.inner()
}

fn main() -> ganymede::Result<()> {
    let device = ganymede::device::open("cpu")?;
    let Source::Points(table) = Source::open("ring")? else { unreachable!("the ring is made of points") };
    let modes = table.modes.as_ref().expect("the modes of the ring are known");
    let mut rng = random::stream(SEED, "init", 0);
    let init = &mut Init { rng: &mut rng, device: &device };
    let mut generator = Player::averaged(Mlp::new(LATENT_DIM, 2, init));
    let mut discriminator = Player::plain(Mlp::new(2, 1, init));
    let mut order = DataOrder::new(SEED, "data-order", table.n_rows());

    for step in 0..STEPS {
        let rows: Vec<f32> = order.batch(step, BATCH).into_iter().flat_map(|row_idx| table.row(row_idx).iter().copied()).collect();
        let real = Tensor::from_data(TensorData::new(rows, [BATCH, 2]), &device);
        // `valid` is the same network without a graph for gradients.
        let fake = generator.net().valid().forward(latents("d", step, BATCH, &device), &mut Tape::off());
        let d_loss = discriminator_step(&mut discriminator, real, fake);
        let g_loss = generator_step(&mut generator, &discriminator, latents("g", step, BATCH, &device));
        if (step + 1) % 500 == 0 {
            let drawn = generator.best().forward(latents("draw", 0, 2500, &device), &mut Tape::off());
            let points = drawn.into_data().try_to_vec::<f32>().expect("the processor computes in f32");
            let found = count_modes(modes, &points);
            let (d_loss, g_loss) = (d_loss.into_scalar::<f32>(), g_loss.into_scalar::<f32>());
            println!("step {:4}: d_loss {d_loss:.3}, g_loss {g_loss:.3}, {} of {} modes", step + 1, found.modes, modes.centers.len());
        }
    }
    Ok(())
}
