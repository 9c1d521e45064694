//! Fully connected networks on vectors.

use burn::module::Module;
use burn::tensor::Tensor;

use super::Network;
use crate::nn::{BiasAct, Discriminator, Generator, Init, Linear, LinearConfig, Tape};

const SLOPE: f32 = 0.2;

/// Linear layer and leaky ReLU.
#[derive(Module, Debug)]
struct Hidden {
    linear: Linear,
    act: BiasAct,
}

fn hidden(network: &Network, mut inputs: usize, init: &mut Init<'_>) -> Vec<Hidden> {
    let gain = (2.0 / (1.0 + f64::from(SLOPE).powi(2))).sqrt();
    let layer = |inputs, init: &mut Init<'_>| Hidden {
        linear: LinearConfig::new(inputs, network.width).with_gain(gain).without_bias().init(init),
        act: BiasAct::new(network.width, SLOPE, init),
    };
    (0..network.layers)
        .map(|_| {
            let made = layer(inputs, init);
            inputs = network.width;
            made
        })
        .collect()
}

/// Latents to points.
#[derive(Module, Debug)]
pub struct PointGenerator {
    hidden: Vec<Hidden>,
    out: Linear,
    latent_dim: usize,
}

impl PointGenerator {
    /// Fresh weights for points of `dim` numbers.
    pub fn new(network: &Network, dim: usize, init: &mut Init<'_>) -> Self {
        let hidden = hidden(network, network.latent_dim, init);
        Self { hidden, out: LinearConfig::new(network.width, dim).init(init), latent_dim: network.latent_dim }
    }
}

impl Generator<2> for PointGenerator {
    fn latent_dim(&self) -> usize {
        self.latent_dim
    }

    /// `[n, latent_dim]` to `[n, dim]`; classes are ignored.
    fn forward(&self, latents: Tensor<2>, _: Option<Tensor<2>>) -> Tensor<2> {
        let mut off = Tape::off();
        let x = self.hidden.iter().fold(latents, |x, layer| layer.act.after_linear(&layer.linear, x, &mut off));
        self.out.forward(x)
    }
}

/// Points to logits.
#[derive(Module, Debug)]
pub struct PointDiscriminator {
    hidden: Vec<Hidden>,
    out: Linear,
}

impl PointDiscriminator {
    /// Fresh weights for points of `dim` numbers.
    pub fn new(network: &Network, dim: usize, init: &mut Init<'_>) -> Self {
        Self { hidden: hidden(network, dim, init), out: LinearConfig::new(network.width, 1).without_bias().init(init) }
    }
}

impl Discriminator<2> for PointDiscriminator {
    const COUPLED: bool = false;

    fn forward(&self, x: Tensor<2>, _: Option<Tensor<2>>, tape: &mut Tape) -> Tensor<2> {
        let x = self.hidden.iter().fold(x, |x, layer| layer.act.after_linear(&layer.linear, x, tape));
        self.out.forward(x)
    }

    fn input_gradient(&self, n: usize, mut tape: Tape) -> Tensor<2> {
        let g = self.out.weight.val().transpose().repeat_dim(0, n);
        self.hidden.iter().rev().fold(g, |g, layer| layer.linear.transposed(layer.act.transposed(g, &mut tape)))
    }
}
