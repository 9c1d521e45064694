//! How long one step takes with networks of the shape of CTGAN's (Xu et al., "Modeling Tabular Data using Conditional GAN", NeurIPS 2019, section 4.4): a generator
//! 128 -> 256 -> 256 -> 156 with batch normalisation whose layers hand on their input beside their output, and a discriminator 2600 -> 256 -> 256 -> 1 that looks at ten rows
//! at once ("packing", Lin et al. 2018, PacGAN), each row with a condition of 104 columns. `bench/torch_peers.py table` is the same in PyTorch, `bench/compare.py` runs both.
//!
//! ```sh
//! cargo run --release -p ganymede --example table_step            # the non-saturating game
//! cargo run --release -p ganymede --example table_step -- 10      # Wasserstein with a gradient penalty of this weight
//! ```

use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use ganymede::losses::Loss;
use ganymede::nn::ops::tanh;
use ganymede::nn::{BatchNorm, BiasAct, Discriminator, Generator, Init, Linear, LinearConfig, Tape};
use ganymede::random::{self, DataOrder};
use ganymede::train::{Batch, Game, Schedule, TwoPlayer};
use ganymede_kernels::allocator::{MiMalloc, keep_freed_memory};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const SEED: u64 = 1;
/// Rows of a batch, and how many of them the discriminator sees together.
const ROWS: usize = 500;
const PACK: usize = 10;
const LATENT_DIM: usize = 128;
const COLUMNS: usize = 156;
const CONDITIONS: usize = 104;
const WIDTH: usize = 256;
const STEPS: u64 = 300;

/// Packs of latents to packs of rows.
#[derive(Module, Debug)]
struct RowGenerator {
    layers: Vec<Linear>,
    norms: Vec<BatchNorm>,
    last: Linear,
}

impl Generator<3> for RowGenerator {
    const COUPLED: bool = true;

    fn latent_dim(&self) -> usize {
        PACK * LATENT_DIM
    }

    fn forward(&self, latents: Tensor<2>, _: Option<Tensor<2>>) -> Tensor<3> {
        let packs = latents.dims()[0];
        let rows = latents.reshape([packs * PACK, LATENT_DIM]);
        let layers = self.layers.iter().zip(&self.norms);
        let x = layers.fold(rows, |x, (linear, norm)| Tensor::cat(vec![norm.forward(linear.forward(x.clone()), 0.0), x], 1));
        tanh(self.last.forward(x)).reshape([packs, PACK, COLUMNS])
    }
}

/// Packs of rows with their conditions to logits.
#[derive(Module, Debug)]
struct PackDiscriminator {
    layers: Vec<Linear>,
    acts: Vec<BiasAct>,
    last: Linear,
}

impl Discriminator<3> for PackDiscriminator {
    const COUPLED: bool = false;

    fn forward(&self, x: Tensor<3>, conditions: Option<Tensor<2>>, tape: &mut Tape) -> Tensor<2> {
        let packs = x.dims()[0];
        let conditions = conditions.expect("every batch has conditions").reshape([packs, PACK, CONDITIONS]);
        let conditions = if x.is_autodiff() { conditions.autodiff() } else { conditions };
        let x = Tensor::cat(vec![x, conditions], 2).reshape([packs, PACK * (COLUMNS + CONDITIONS)]);
        let layers = self.layers.iter().zip(&self.acts);
        self.last.forward(layers.fold(x, |x, (linear, act)| act.after_linear(linear, x, tape)))
    }

    fn input_gradient(&self, n: usize, mut tape: Tape) -> Tensor<3> {
        let g = self.last.weight.val().transpose().repeat_dim(0, n);
        let layers = self.layers.iter().zip(&self.acts).rev();
        let g = layers.fold(g, |g, (linear, act)| linear.transposed(act.transposed(g, &mut tape)));
        g.reshape([n, PACK, COLUMNS + CONDITIONS]).narrow(2, 0, COLUMNS)
    }
}

fn networks(device: &Device) -> (RowGenerator, PackDiscriminator) {
    let mut rng = random::stream(SEED, "init", 0);
    let init = &mut Init { rng: &mut rng, device };
    let inputs = [LATENT_DIM, LATENT_DIM + WIDTH];
    let generator = RowGenerator {
        layers: inputs.map(|n| LinearConfig::new(n, WIDTH).without_bias().init(init)).into(),
        norms: inputs.map(|_| BatchNorm::new(WIDTH, init)).into(),
        last: LinearConfig::new(LATENT_DIM + 2 * WIDTH, COLUMNS).init(init),
    };
    let inputs = [PACK * (COLUMNS + CONDITIONS), WIDTH];
    let discriminator = PackDiscriminator {
        layers: inputs.map(|n| LinearConfig::new(n, WIDTH).without_bias().init(init)).into(),
        acts: inputs.map(|_| BiasAct::new(WIDTH, 0.2, init)).into(),
        last: LinearConfig::new(WIDTH, 1).init(init),
    };
    (generator, discriminator)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    keep_freed_memory();
    let penalty: f64 = std::env::args().nth(1).map_or(Ok(0.0), |text| text.parse())?;
    let device = ganymede::device::open("cpu")?;
    let rate = Schedule::Constant(2e-4);
    let off = Schedule::Constant(0.0);
    let rules = Game {
        loss: if penalty > 0.0 { Loss::Wasserstein } else { Loss::NonSaturating },
        r1: off,
        r2: off,
        gradient_penalty: Schedule::Constant(penalty),
        lr_g: rate,
        lr_d: rate,
        beta1: 0.5,
        beta2: Schedule::Constant(0.9),
        ..Game::default()
    };
    let mut game = TwoPlayer::new(networks(&device), rules, STEPS, SEED, device.clone())?;

    // A table of random numbers: the time does not depend on what they mean.
    const N: usize = 10_000;
    let table = random::normal(N * COLUMNS, &mut random::stream(SEED, "table", 0));
    let mut order = DataOrder::new(SEED, "data-order", N);
    let mut batch = |_: u64, update: u64| {
        let rows = order.batch(update, ROWS);
        let mut values = Vec::with_capacity(ROWS * COLUMNS);
        rows.iter().for_each(|row| values.extend_from_slice(&table[row * COLUMNS..(row + 1) * COLUMNS]));
        let mut conditions = vec![0.0f32; ROWS * CONDITIONS];
        rows.iter().enumerate().for_each(|(i, row)| conditions[i * CONDITIONS + row % CONDITIONS] = 1.0);
        Batch {
            real: Tensor::from_data(TensorData::new(values, [ROWS / PACK, PACK, COLUMNS]), &device),
            condition: Some(Tensor::from_data(TensorData::new(conditions, [ROWS / PACK, PACK * CONDITIONS]), &device)),
            distortions: None,
        }
    };
    let mut seconds = Vec::new();
    for step in 0..STEPS {
        let start = Instant::now();
        game.step(step, &mut batch);
        seconds.push(start.elapsed().as_secs_f64());
    }
    let report = game.report();
    assert!(report.d_loss.is_finite() && report.g_loss.is_finite(), "the game went off: {report:?}");
    let half = &mut seconds[STEPS as usize / 2..];
    half.sort_by(f64::total_cmp);
    let median = half[half.len() / 2];
    println!("{{\"step_ms\": {:.3}, \"samples_per_sec\": {:.1}}}", median * 1e3, ROWS as f64 / median);
    Ok(())
}
