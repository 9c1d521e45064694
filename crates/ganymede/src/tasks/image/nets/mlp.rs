//! The vanilla GAN on pictures: fully connected networks on flattened pixels (Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014).

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Condition, Frame, Head, Network};
use crate::nn::ops::tanh;
use crate::nn::{BiasAct, Discriminator, Generator, Init, Linear, LinearConfig, Tape};

const SLOPE: f32 = 0.2;

/// Latents to pictures in [-1, 1].
#[derive(Module, Debug)]
pub struct MlpGenerator {
    condition: Condition,
    hidden: Vec<Hidden>,
    to_image: Linear,
    #[module(skip)]
    frame: Frame,
    latent_dim: usize,
}

#[derive(Module, Debug)]
struct Hidden {
    linear: Linear,
    act: BiasAct,
}

impl Hidden {
    fn new(inputs: usize, outputs: usize, init: &mut Init<'_>) -> Self {
        let gain = (2.0 / (1.0 + f64::from(SLOPE).powi(2))).sqrt();
        Self {
            linear: LinearConfig::new(inputs, outputs).with_gain(gain).without_bias().init(init),
            act: BiasAct::new(outputs, SLOPE, init),
        }
    }
}

impl MlpGenerator {
    /// Fresh weights.
    pub fn new(config: &Network, frame: Frame, init: &mut Init<'_>) -> Self {
        let embedding = if frame.condition > 0 { config.embedding_dim } else { 0 };
        let condition = Condition::new(frame.condition, config.embedding_dim, init);
        let mut inputs = config.latent_dim + embedding;
        let mut hidden = Vec::new();
        for width in config.widths(frame.base[0], frame.doublings) {
            hidden.push(Hidden::new(inputs, width, init));
            inputs = width;
        }
        let to_image = LinearConfig::new(inputs, frame.image[0] * frame.image[1] * frame.channels).init(init);
        Self { condition, hidden, to_image, frame, latent_dim: config.latent_dim }
    }

    /// Weights of the layer that latents go through first, `[latent_dim, outputs]`.
    pub fn first_weights(&self) -> Tensor<2> {
        self.hidden.first().map_or(&self.to_image, |hidden| &hidden.linear).weight.val().narrow(0, 0, self.latent_dim)
    }
}

impl Generator<4> for MlpGenerator {
    fn latent_dim(&self) -> usize {
        self.latent_dim
    }

    fn forward(&self, latents: Tensor<2>, condition: Option<Tensor<2>>) -> Tensor<4> {
        let n = latents.dims()[0];
        let mut x = self.condition.forward(latents, condition);
        for layer in &self.hidden {
            x = layer.act.after_linear(&layer.linear, x, &mut Tape::off());
        }
        let [h, w] = self.frame.image;
        tanh(self.to_image.forward(x)).reshape([n, h, w, self.frame.channels])
    }
}

/// Pictures to logits.
#[derive(Module, Debug)]
pub struct MlpDiscriminator {
    hidden: Vec<Hidden>,
    head: Head,
    #[module(skip)]
    frame: Frame,
}

impl MlpDiscriminator {
    /// Fresh weights.
    pub fn new(config: &Network, frame: Frame, init: &mut Init<'_>) -> Self {
        let mut inputs = frame.image[0] * frame.image[1] * frame.channels;
        let mut hidden = Vec::new();
        for width in config.widths(frame.base[0], frame.doublings) {
            hidden.push(Hidden::new(inputs, width, init));
            inputs = width;
        }
        Self { hidden, head: Head::new(inputs, inputs, (frame.condition, config.embedding_dim), init), frame }
    }
}

impl MlpDiscriminator {
    /// What each hidden layer makes of pictures, `[n, width]`.
    pub fn stages(&self, x: Tensor<4>) -> Vec<Tensor<2>> {
        let [n, h, w, c] = x.dims();
        let mut x = x.reshape([n, h * w * c]);
        let mut off = Tape::off();
        let through = self.hidden.iter().map(|layer| {
            x = layer.act.after_linear(&layer.linear, x.clone(), &mut off);
            x.clone()
        });
        through.collect()
    }

    /// What the head is given, `[n, width]`.
    fn features(&self, x: Tensor<4>, tape: &mut Tape) -> Tensor<2> {
        let [n, h, w, c] = x.dims();
        let x = x.reshape([n, h * w * c]);
        self.hidden.iter().fold(x, |x, layer| layer.act.after_linear(&layer.linear, x, tape))
    }
}

impl Discriminator<4> for MlpDiscriminator {
    const COUPLED: bool = false;
    const CLASSIFIES: bool = true;

    fn forward(&self, x: Tensor<4>, condition: Option<Tensor<2>>, tape: &mut Tape) -> Tensor<2> {
        self.head.forward(self.features(x, tape), condition, tape)
    }

    fn forward_classified(&self, x: Tensor<4>, condition: Option<Tensor<2>>, tape: &mut Tape) -> (Tensor<2>, Option<Tensor<2>>) {
        let features = self.features(x, tape);
        let told = self.head.classified(features.clone());
        (self.head.forward(features, condition, tape), told)
    }

    fn input_gradient(&self, n: usize, mut tape: Tape) -> Tensor<4> {
        let mut g = self.head.transposed(n, &mut tape);
        if let Some(seen) = self.head.classified_transposed(&mut tape) {
            g = g + seen;
        }
        for layer in self.hidden.iter().rev() {
            g = layer.linear.transposed(layer.act.transposed(g, &mut tape));
        }
        let [h, w] = self.frame.image;
        g.reshape([n, h, w, self.frame.channels])
    }
}
