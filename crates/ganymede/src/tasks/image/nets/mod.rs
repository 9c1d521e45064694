//! Networks for pictures, all channels-last, by architecture.

mod dcgan;
mod mlp;
mod network;
mod residual;

pub use dcgan::{DcganDiscriminator, DcganGenerator};
pub use mlp::{MlpDiscriminator, MlpGenerator};
pub use network::{Architecture, Network};
pub use residual::{ResidualDiscriminator, ResidualGenerator};

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::nn::{Discriminator, Generator, Init, Linear, LinearConfig, Tape};

/// A generator of any architecture.
#[expect(clippy::large_enum_variant, reason = "a program has one, and its weights are elsewhere")]
#[derive(Module, Debug)]
pub enum AnyGenerator {
    /// See [`ResidualGenerator`].
    Residual(ResidualGenerator),
    /// See [`DcganGenerator`].
    Dcgan(DcganGenerator),
    /// See [`MlpGenerator`].
    Mlp(MlpGenerator),
}

impl AnyGenerator {
    /// Weights of the layer that latents go through first, `[latent_dim, outputs]`.
    pub fn first_weights(&self) -> Tensor<2> {
        match self {
            Self::Residual(net) => net.first_weights(),
            Self::Dcgan(net) => net.first_weights(),
            Self::Mlp(net) => net.first_weights(),
        }
    }
}

impl Generator<4> for AnyGenerator {
    fn latent_dim(&self) -> usize {
        match self {
            Self::Residual(net) => net.latent_dim(),
            Self::Dcgan(net) => net.latent_dim(),
            Self::Mlp(net) => net.latent_dim(),
        }
    }

    fn forward(&self, latents: Tensor<2>, condition: Option<Tensor<2>>) -> Tensor<4> {
        match self {
            Self::Residual(net) => net.forward(latents, condition),
            Self::Dcgan(net) => net.forward(latents, condition),
            Self::Mlp(net) => net.forward(latents, condition),
        }
    }
}

/// A discriminator of any architecture.
pub enum AnyDiscriminator {
    /// See [`ResidualDiscriminator`].
    Residual(ResidualDiscriminator),
    /// See [`DcganDiscriminator`].
    Dcgan(DcganDiscriminator),
    /// See [`MlpDiscriminator`].
    Mlp(MlpDiscriminator),
}

impl AnyDiscriminator {
    /// As [`Discriminator::forward`], on the plain device.
    pub fn logits(&self, x: Tensor<4>, condition: Option<Tensor<2>>) -> Tensor<2> {
        match self {
            Self::Residual(net) => net.forward(x, condition, &mut Tape::off()),
            Self::Dcgan(net) => net.forward(x, condition, &mut Tape::off()),
            Self::Mlp(net) => net.forward(x, condition, &mut Tape::off()),
        }
    }

    /// What each stage makes of pictures, `[n, features]`, the first stage first.
    pub fn stages(&self, x: Tensor<4>, pooling: Pooling) -> Vec<Tensor<2>> {
        match self {
            Self::Residual(net) => net.stages(x, pooling),
            Self::Dcgan(net) => net.stages(x, pooling),
            Self::Mlp(net) => net.stages(x),
        }
    }
}

/// How feature maps become vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Means over all pixels: a number for each channel.
    Mean,
    /// The largest value of a channel in each cell of a grid of so many rows and columns, as far as there are pixels (Radford et al. 2016, section 5, with 4).
    Largest(usize),
}

impl Pooling {
    /// `[n, height, width, channels]` to `[n, numbers]`.
    fn of(self, x: Tensor<4>) -> Tensor<2> {
        let [n, h, w, c] = x.dims();
        let cells = match self {
            Self::Mean => return x.reshape([n, h * w, c]).mean_dim(1).reshape([n, c]),
            Self::Largest(cells) => cells.max(1),
        };
        // Cells share the pixels that lie on their border.
        let spans = |extent: usize| {
            let cells = cells.min(extent);
            (0..cells).map(move |i| (i * extent / cells, ((i + 1) * extent).div_ceil(cells)))
        };
        let rows: Vec<Tensor<4>> = spans(h).map(|(top, end)| x.clone().narrow(1, top, end - top).max_dim(1)).collect();
        let rows = Tensor::cat(rows, 1);
        let cells: Vec<Tensor<4>> = spans(w).map(|(left, end)| rows.clone().narrow(2, left, end - left).max_dim(2)).collect();
        let cells = Tensor::cat(cells, 2);
        let [_, gh, gw, _] = cells.dims();
        cells.reshape([n, gh * gw * c])
    }
}

/// Extents that a network is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Height and width of the network's images: `base` times a power of two.
    pub image: [usize; 2],
    /// Extents of the coarsest feature map.
    pub base: [usize; 2],
    /// Doublings from `base` to `image`.
    pub doublings: usize,
    /// 1 grey, 3 RGB, 4 RGBA.
    pub channels: usize,
    /// Classes, 0 if unconditional.
    pub condition: usize,
}

impl Frame {
    /// The frame for pictures of `height` x `width`: halved until the shorter side of the coarsest map would fall below `coarsest`, then rounded up to
    /// whole pixels there. `image` is therefore as large as the picture or a little larger.
    pub fn around([height, width]: [usize; 2], coarsest: usize, channels: usize, condition: usize) -> Self {
        let mut doublings = 0;
        while height.min(width) >> (doublings + 1) >= coarsest {
            doublings += 1;
        }
        let base = [height, width].map(|e| e.div_ceil(1 << doublings));
        Self { image: base.map(|e| e << doublings), base, doublings, channels, condition }
    }
}

/// Latents, with an embedding of the class appended for a conditional generator.
#[derive(Module, Debug)]
struct Condition {
    /// `[condition, embedding]`.
    embedding: Option<Linear>,
}

impl Condition {
    fn new(condition: usize, embedding: usize, init: &mut Init<'_>) -> Self {
        // A one-hot input picks one row: with this gain its values are as large as the latent's.
        let gain = (condition as f64).sqrt();
        Self { embedding: (condition > 0).then(|| LinearConfig::new(condition, embedding).with_gain(gain).without_bias().init(init)) }
    }

    /// `[n, latent_dim]` and `[n, condition]` to `[n, latent_dim + embedding]`.
    fn forward(&self, latents: Tensor<2>, condition: Option<Tensor<2>>) -> Tensor<2> {
        match (&self.embedding, condition) {
            (Some(embedding), Some(condition)) => Tensor::cat(vec![latents.clone(), embedding.forward(same_graph(condition, &latents))], 1),
            _ => latents,
        }
    }
}

/// The last layer of a discriminator: one logit, or for a conditional one the product of the features with the class's embedding (projection
/// discriminator: Miyato and Koyama, "cGANs with Projection Discriminator", ICLR 2018, in the form of R3GAN), and the auxiliary classifier.
#[derive(Module, Debug)]
struct Head {
    features: Linear,
    /// `[condition, embedding]`.
    embedding: Option<Param<Tensor<2>>>,
    auxiliary: Option<Linear>,
}

impl Head {
    /// Of `inputs` features; the auxiliary classifier sees `seen` numbers.
    fn new(inputs: usize, seen: usize, (condition, embedding): (usize, usize), init: &mut Init<'_>) -> Self {
        let outputs = if condition > 0 { embedding } else { 1 };
        Self {
            features: LinearConfig::new(inputs, outputs).without_bias().init(init),
            embedding: (condition > 0).then(|| init.normal([condition, embedding], 1.0)),
            auxiliary: (condition > 0).then(|| LinearConfig::new(seen, condition).init(init)),
        }
    }

    /// `[n, inputs]` and `[n, condition]` to logits `[n, 1]`; remembers the class embeddings on the tape.
    fn forward(&self, x: Tensor<2>, condition: Option<Tensor<2>>, tape: &mut Tape) -> Tensor<2> {
        let y = self.features.forward(x);
        match (&self.embedding, condition) {
            (Some(embedding), Some(condition)) => {
                let e = same_graph(condition, &y).matmul(embedding.val());
                let e = e.mul_scalar((y.dims()[1] as f64).sqrt().recip());
                tape.push_vector(&e);
                (y * e).sum_dim(1)
            }
            _ => y,
        }
    }

    /// What the auxiliary classifier makes of `[n, seen]`, `[n, condition]`.
    fn classified(&self, seen: Tensor<2>) -> Option<Tensor<2>> {
        self.auxiliary.as_ref().map(|auxiliary| auxiliary.forward(seen))
    }

    /// Gradient of what the auxiliary classifier tells, along the tape's direction, at its input, `[n, seen]`; nothing if the tape has none.
    fn classified_transposed(&self, tape: &mut Tape) -> Option<Tensor<2>> {
        let weight = self.auxiliary.as_ref()?.weight.val();
        Some(same_graph(tape.pop_toward()?, &weight).matmul(weight.transpose()))
    }

    /// Gradient of the sum of the logits at the input, `[n, inputs]`.
    fn transposed(&self, n: usize, tape: &mut Tape) -> Tensor<2> {
        let weight = self.features.weight.val();
        if self.embedding.is_some() {
            return tape.pop_vector().matmul(weight.transpose());
        }
        weight.transpose().repeat_dim(0, n)
    }
}

/// A constant beside tensors of either kind of device.
fn same_graph(constant: Tensor<2>, like: &Tensor<2>) -> Tensor<2> {
    let constant = constant.cast(like.dtype());
    if like.is_autodiff() && !constant.is_autodiff() { Tensor::from_inner(constant) } else { constant }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Discriminator, load_params, save_params};
    use crate::random;
    use burn::tensor::{Device, TensorData};

    fn normal<const R: usize>(shape: [usize; R], name: &str) -> Tensor<R> {
        let values = random::normal(shape.iter().product(), &mut random::stream(0, name, 0));
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    /// The transposed pass and what backward propagation gives. All weights are random, those too that begin at zero.
    fn transposed_and_backward<D: Discriminator<4>>(fresh: D, frame: &Frame) -> [TensorData; 2] {
        let mut tensors = save_params(&fresh, "net");
        for (name, tensor) in &mut tensors {
            let drawn = random::normal(tensor.values.len(), &mut random::stream(1, name, 0));
            tensor.values.iter_mut().zip(drawn).for_each(|(value, drawn)| *value += 0.2 * drawn);
        }
        let net = load_params(fresh, "net", &mut tensors.into_iter().collect()).unwrap();
        let n = 3;
        let [h, w] = frame.image;
        let x = Tensor::from_inner(normal([n, h, w, frame.channels], "pictures")).require_grad();
        let (condition, along) = (normal([n, frame.condition], "condition"), normal([n, frame.condition], "along"));
        let mut tape = Tape::recording();
        let (logits, told) = net.forward_classified(x.clone(), Some(condition), &mut tape);
        let sum = logits.sum() + (told.unwrap() * Tensor::from_inner(along.clone())).sum();
        let backward = x.grad(&sum.backward()).unwrap();
        tape.toward(along);
        [net.input_gradient(n, tape).inner(), backward].map(Tensor::into_data)
    }

    #[test]
    fn the_transposed_pass_is_the_gradient_of_logits_and_of_what_the_classifier_tells() {
        let frame = Frame::around([8, 12], Network::COARSEST, 2, 5);
        let network = Network { width: 16, group_width: 8, ..Network::default() };
        let device = Device::flex().autodiff();
        let mut rng = random::stream(0, "init", 0);
        let mut init = Init { rng: &mut rng, device: &device };
        for [transposed, backward] in [
            transposed_and_backward(ResidualDiscriminator::new(&network, frame, &mut init), &frame),
            transposed_and_backward(MlpDiscriminator::new(&network, frame, &mut init), &frame),
        ] {
            assert!(backward.iter::<f32>().any(|v| v.abs() > 0.1));
            transposed.assert_approx_eq::<f32>(&backward, burn::tensor::Tolerance::relative(1e-3).set_absolute(1e-4));
        }
    }

    #[test]
    fn grids_keep_the_largest_of_each_cell_and_means_the_mean() {
        let values: Vec<f32> = (0..3 * 5 * 2).map(|i| if i % 2 == 0 { i as f32 } else { -(i as f32) }).collect();
        let x = || Tensor::<4>::from_data(TensorData::new(values.clone(), [1, 3, 5, 2]), &Device::flex());
        let of = |pooling: Pooling| pooling.of(x()).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(of(Pooling::Mean), [14.0, -15.0]);
        // Rows 0 to 1 and 1 to 2, columns 0 to 2 and 2 to 4.
        assert_eq!(of(Pooling::Largest(2)), [14.0, -1.0, 18.0, -5.0, 24.0, -11.0, 28.0, -15.0]);
        assert_eq!(of(Pooling::Largest(1)), [28.0, -1.0]);
        assert_eq!(of(Pooling::Largest(9)), values);
    }
}
