//! Networks of your own in the ordinary game: implement [`Generator`] and [`Discriminator`] and let [`TwoPlayer`] play them, here on the ring of
//! eight Gaussians, whose modes can be counted.
//!
//! ```sh
//! cargo run --release -p ganymede --example own_networks
//! ```

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use ganymede::data::{PointTable, Source};
use ganymede::nn::{BiasAct, Discriminator, Generator, Init, Linear, LinearConfig, Tape};
use ganymede::random::{self, DataOrder};
use ganymede::tasks::points::count_modes;
use ganymede::train::{Batch, Game, Schedule, TwoPlayer};

const SEED: u64 = 1;
const STEPS: u64 = 3000;
const BATCH: usize = 256;
const LATENT_DIM: usize = 8;
const WIDTH: usize = 96;

/// `x + act(x W + b)`: a fully connected layer with a way around it.
#[derive(Module, Debug)]
struct Skip {
    linear: Linear,
    act: BiasAct,
}

impl Skip {
    fn new(init: &mut Init<'_>) -> Self {
        Self { linear: LinearConfig::new(WIDTH, WIDTH).without_bias().init(init), act: BiasAct::new(WIDTH, 0.2, init) }
    }

    fn forward(&self, x: Tensor<2>, tape: &mut Tape) -> Tensor<2> {
        x.clone() + self.act.forward(self.linear.forward(x), tape)
    }

    /// The gradient at the input from the gradient at the output. It mirrors `forward`, and what `forward` put on the tape it takes off.
    fn transposed(&self, g: Tensor<2>, tape: &mut Tape) -> Tensor<2> {
        g.clone() + self.linear.transposed(self.act.transposed(g, tape))
    }
}

/// Latents to points of the plane.
#[derive(Module, Debug)]
struct OwnGenerator {
    first: Linear,
    layers: Vec<Skip>,
    last: Linear,
}

impl Generator<2> for OwnGenerator {
    fn latent_dim(&self) -> usize {
        LATENT_DIM
    }

    fn forward(&self, latents: Tensor<2>, _: Option<Tensor<2>>) -> Tensor<2> {
        let mut off = Tape::off();
        let x = self.layers.iter().fold(self.first.forward(latents), |x, layer| layer.forward(x, &mut off));
        self.last.forward(x)
    }
}

/// Points of the plane to logits.
#[derive(Module, Debug)]
struct OwnDiscriminator {
    first: Linear,
    layers: Vec<Skip>,
    last: Linear,
}

impl Discriminator<2> for OwnDiscriminator {
    const COUPLED: bool = false;

    fn forward(&self, x: Tensor<2>, _: Option<Tensor<2>>, tape: &mut Tape) -> Tensor<2> {
        let x = self.layers.iter().fold(self.first.forward(x), |x, layer| layer.forward(x, tape));
        self.last.forward(x)
    }

    /// The exact gradient of the logits with respect to the points, which R1 and R2 penalise.
    fn input_gradient(&self, n: usize, mut tape: Tape) -> Tensor<2> {
        let g = self.last.weight.val().transpose().repeat_dim(0, n);
        let g = self.layers.iter().rev().fold(g, |g, layer| layer.transposed(g, &mut tape));
        self.first.transposed(g)
    }
}

fn networks(device: &Device) -> (OwnGenerator, OwnDiscriminator) {
    let mut rng = random::stream(SEED, "init", 0);
    let init = &mut Init { rng: &mut rng, device };
    let generator = OwnGenerator {
        first: LinearConfig::new(LATENT_DIM, WIDTH).init(init),
        layers: (0..3).map(|_| Skip::new(init)).collect(),
        last: LinearConfig::new(WIDTH, 2).init(init),
    };
    let discriminator = OwnDiscriminator {
        first: LinearConfig::new(2, WIDTH).init(init),
        layers: (0..3).map(|_| Skip::new(init)).collect(),
        last: LinearConfig::new(WIDTH, 1).without_bias().init(init),
    };
    (generator, discriminator)
}

/// 2,500 points of the averaged generator, `[n, 2]` row by row.
fn draw(game: &TwoPlayer<2, OwnGenerator, OwnDiscriminator>, device: &Device) -> Vec<f32> {
    let latents = random::normal(2500 * LATENT_DIM, &mut random::stream(SEED, "draw", 0));
    let latents = Tensor::from_data(TensorData::new(latents, [2500, LATENT_DIM]), device);
    game.generator.best().forward(latents, None).into_data().try_to_vec::<f32>().expect("the processor computes in f32")
}

/// Real points `[BATCH, 2]`.
fn batch(table: &PointTable, order: &mut DataOrder, update: u64, device: &Device) -> Batch<2> {
    let values: Vec<f32> = order.batch(update, BATCH).into_iter().flat_map(|row_idx| table.row(row_idx).iter().copied()).collect();
    Batch { real: Tensor::from_data(TensorData::new(values, [BATCH, 2]), device), condition: None, distortions: None }
}

fn main() -> ganymede::Result<()> {
    let device = ganymede::device::open("cpu")?;
    let Source::Points(table) = Source::open("ring")? else { unreachable!("the ring is made of points") };
    let modes = table.modes.as_ref().expect("the modes of the ring are known");
    // The relativistic game of R3GAN, with learning rates and penalties that fall over the run.
    let rules = Game {
        r1: Schedule::cosine(0.1, 0.002),
        r2: Schedule::cosine(0.1, 0.002),
        lr_g: Schedule::cosine(1e-3, 2e-5),
        lr_d: Schedule::cosine(1e-3, 2e-5),
        ..Game::default()
    };
    let mut game = TwoPlayer::new(networks(&device), rules, STEPS, SEED, device.clone())?;
    let mut order = DataOrder::new(SEED, "data-order", table.n_rows());
    for step in 0..STEPS {
        game.step(step, &mut |_, update| batch(&table, &mut order, update, &device));
        if (step + 1) % 500 == 0 {
            let report = game.report();
            let found = count_modes(modes, &draw(&game, &device));
            println!(
                "step {:4}: d_loss {:.3}, g_loss {:.3}, {} of {} modes, {:.0} % of the points near one",
                step + 1,
                report.d_loss,
                report.g_loss,
                found.modes,
                modes.centers.len(),
                100.0 * found.high_quality
            );
        }
    }
    Ok(())
}
