//! The networks of DCGAN: Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
//! Networks", ICLR 2016: strided 4 x 4 convolutions, batch normalisation, ReLU and tanh in the generator, leaky ReLU in the discriminator.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Condition, Frame, Head, Network, Pooling};
use crate::nn::ops::tanh;
use crate::nn::{BatchNorm, Conv2d, Conv2dConfig, Discriminator, Generator, Init, Linear, LinearConfig, Tape};

const STD: f64 = 0.02;
const SLOPE: f32 = 0.2;

/// Latents to pictures in [-1, 1].
#[derive(Module, Debug)]
pub struct DcganGenerator {
    condition: Condition,
    project: Linear,
    norms: Vec<BatchNorm>,
    /// Used transposed, coarsest first.
    deconvolutions: Vec<Conv2d>,
    #[module(skip)]
    frame: Frame,
    latent_dim: usize,
}

impl DcganGenerator {
    /// Fresh weights.
    pub fn new(config: &Network, frame: Frame, init: &mut Init<'_>) -> Self {
        let widths = config.widths(frame.base[0], frame.doublings);
        let embedding = if frame.condition > 0 { config.embedding_dim } else { 0 };
        let condition = Condition::new(frame.condition, config.embedding_dim, init);
        let inputs = config.latent_dim + embedding;
        let outputs = frame.base[0] * frame.base[1] * widths[0];
        let project = LinearConfig::new(inputs, outputs).with_gain(STD * (inputs as f64).sqrt()).without_bias().init(init);
        let norms = widths.iter().map(|&w| BatchNorm::new(w, init)).collect();
        let finer = widths.iter().skip(1).copied().chain([frame.channels]);
        let deconvolutions = widths.iter().zip(finer).map(|(&coarse, fine)| strided(fine, coarse, init)).collect();
        Self { condition, project, norms, deconvolutions, frame, latent_dim: config.latent_dim }
    }

    /// Weights of the layer that latents go through first, `[latent_dim, outputs]`.
    pub fn first_weights(&self) -> Tensor<2> {
        self.project.weight.val().narrow(0, 0, self.latent_dim)
    }
}

impl Generator<4> for DcganGenerator {
    const COUPLED: bool = true;

    fn latent_dim(&self) -> usize {
        self.latent_dim
    }

    fn forward(&self, latents: Tensor<2>, condition: Option<Tensor<2>>) -> Tensor<4> {
        let n = latents.dims()[0];
        let x = self.project.forward(self.condition.forward(latents, condition));
        let [h, w] = self.frame.base;
        let c = x.dims()[1] / (h * w);
        let mut x = x.reshape([n, h, w, c]);
        for (i, (norm, deconvolution)) in self.norms.iter().zip(&self.deconvolutions).enumerate() {
            x = norm.forward_image(x, 0.0);
            x = deconvolution.transposed(x, self.frame.base.map(|e| e << (i + 1)));
        }
        tanh(x)
    }
}

/// Pictures to logits. Batch normalisation couples the samples of a batch: no gradient penalty is defined for it.
#[derive(Module, Debug)]
pub struct DcganDiscriminator {
    /// Finest first.
    convolutions: Vec<Conv2d>,
    /// After every convolution but the first.
    norms: Vec<BatchNorm>,
    head: Head,
}

impl DcganDiscriminator {
    /// Fresh weights.
    pub fn new(config: &Network, frame: Frame, init: &mut Init<'_>) -> Self {
        let widths = config.widths(frame.base[0], frame.doublings);
        let outputs: Vec<usize> = widths.iter().rev().copied().collect();
        let inputs = [frame.channels].into_iter().chain(outputs.iter().copied());
        let convolutions = inputs.zip(&outputs).map(|(fine, &coarse)| strided(fine, coarse, init)).collect();
        let norms = outputs.iter().skip(1).map(|&w| BatchNorm::new(w, init)).collect();
        let inputs = frame.base[0] * frame.base[1] * widths[0];
        let head = Head::new(inputs, inputs, (frame.condition, config.embedding_dim), init);
        Self { convolutions, norms, head }
    }
}

impl DcganDiscriminator {
    /// What each convolution makes of pictures, pooled, `[n, numbers]`; the finest first.
    pub fn stages(&self, mut x: Tensor<4>, pooling: Pooling) -> Vec<Tensor<2>> {
        let mut found = Vec::with_capacity(self.convolutions.len());
        for i in 0..self.convolutions.len() {
            x = self.convolved(i, x);
            found.push(pooling.of(x.clone()));
        }
        found
    }

    /// What the head is given, `[n, inputs]`.
    fn features(&self, x: Tensor<4>) -> Tensor<2> {
        let x = (0..self.convolutions.len()).fold(x, |x, i| self.convolved(i, x));
        let [n, h, w, c] = x.dims();
        x.reshape([n, h * w * c])
    }

    fn convolved(&self, i: usize, x: Tensor<4>) -> Tensor<4> {
        match i {
            0 => self.convolutions[i].forward_act(x, SLOPE),
            _ => self.norms[i - 1].forward_image(self.convolutions[i].forward(x), SLOPE),
        }
    }
}

impl Discriminator<4> for DcganDiscriminator {
    const COUPLED: bool = true;
    const CLASSIFIES: bool = true;

    fn forward(&self, x: Tensor<4>, condition: Option<Tensor<2>>, _: &mut Tape) -> Tensor<2> {
        self.head.forward(self.features(x), condition, &mut Tape::off())
    }

    fn forward_classified(&self, x: Tensor<4>, condition: Option<Tensor<2>>, _: &mut Tape) -> (Tensor<2>, Option<Tensor<2>>) {
        let features = self.features(x);
        let told = self.head.classified(features.clone());
        (self.head.forward(features, condition, &mut Tape::off()), told)
    }

    /// Not defined with batch statistics; the game refuses penalties for this network before it starts.
    fn input_gradient(&self, _: usize, _: Tape) -> Tensor<4> {
        unreachable!("the game takes no gradient penalty of a discriminator whose samples are coupled")
    }
}

fn strided(fine: usize, coarse: usize, init: &mut Init<'_>) -> Conv2d {
    Conv2dConfig { kernel: [4, 4], ..Conv2dConfig::new(fine, coarse, 1) }.with_stride(2, 1).with_std(STD).init(init)
}
