//! The network that sees attributes, which may show in a few pixels.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use rand_pcg::Pcg64;

use crate::nn::{BiasAct, Conv2d, Conv2dConfig, Init, Linear, LinearConfig, Tape};
use crate::random;

/// Channels after the first layer.
const FIRST: usize = 32;
/// Channels of the other layers.
const WIDTH: usize = 64;
/// Numbers between the picture and the attributes, which they all share.
const DIM: usize = 512;
/// Longer side that is looked at closely: larger pictures are halved first.
const CLOSE: usize = 16;
const SLOPE: f32 = 0.1;

/// Two convolutions at a resolution of up to 16 pixels a side, a halving, and two fully connected layers, so that what few pixels say is not lost on the way. Half of the numbers before each of the fully connected
/// layers are left out while it learns (dropout: Srivastava et al., JMLR 2014): it would learn few pictures by heart.
#[derive(Module, Debug)]
pub struct DetailNet {
    convolutions: Vec<Conv2d>,
    activations: Vec<BiasAct>,
    features: Linear,
    activation: BiasAct,
    values: Linear,
}

impl DetailNet {
    /// Fresh weights for pictures of this shape (`[height, width, channels]`, sides of at least 4) and so many values of all attributes together.
    pub fn new(shape: [usize; 3], values: usize, init: &mut Init<'_>) -> Self {
        let [mut h, mut w, c] = shape;
        let gain = (2.0 / (1.0 + f64::from(SLOPE).powi(2))).sqrt();
        let mut convolutions = Vec::new();
        let mut push = |inputs: usize, outputs: usize, halves: bool| {
            let config = if halves {
                Conv2dConfig { kernel: [4, 4], ..Conv2dConfig::new(inputs, outputs, 1) }.with_stride(2, 1)
            } else {
                Conv2dConfig::new(inputs, outputs, 3)
            };
            convolutions.push(config.with_gain(gain).init(init));
            outputs
        };
        let mut inputs = push(c, FIRST, false);
        while h.max(w) > CLOSE && h.min(w) >= 8 {
            (h, w, inputs) = (h / 2, w / 2, push(inputs, WIDTH, true));
        }
        inputs = push(inputs, WIDTH, false);
        if h.min(w) >= 8 {
            (h, w, inputs) = (h / 2, w / 2, push(inputs, WIDTH, true));
        }
        let activations = convolutions.iter().map(|conv| BiasAct::new(conv.weight.dims()[3], SLOPE, init)).collect();
        Self {
            convolutions,
            activations,
            features: LinearConfig::new(h * w * inputs, DIM).with_gain(gain).init(init),
            activation: BiasAct::new(DIM, SLOPE, init),
            values: LinearConfig::new(DIM, values).init(init),
        }
    }

    /// Images `[n, height, width, channels]` in [-1, 1] to logits `[n, values]`.
    pub fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        self.through(images, |x| x)
    }

    /// The same while learning: each number before a fully connected layer is left out with this probability.
    pub fn logits_dropped(&self, images: Tensor<4>, probability: f32, rng: &mut Pcg64) -> Tensor<2> {
        self.through(images, |x| {
            let (shape, device) = (x.dims(), x.device().without_autodiff());
            let draws = random::uniform(shape[0] * shape[1], rng);
            let kept = draws.into_iter().map(|u| if u < probability { 0.0 } else { 1.0 / (1.0 - probability) });
            x * Tensor::from_inner(Tensor::from_data(TensorData::new(kept.collect::<Vec<f32>>(), shape), &device))
        })
    }

    fn through(&self, images: Tensor<4>, mut change: impl FnMut(Tensor<2>) -> Tensor<2>) -> Tensor<2> {
        let layers = self.convolutions.iter().zip(&self.activations);
        let x = layers.fold(images, |x, (conv, act)| act.after_conv(conv, x, &mut Tape::off()));
        let [n, h, w, c] = x.dims();
        let x = self.features.forward(change(x.reshape([n, h * w * c])));
        self.values.forward(change(self.activation.forward(x, &mut Tape::off())))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn pictures_of_any_shape_go_through_and_numbers_are_left_out_only_while_learning() {
        let device = Device::flex();
        for shape in [[4, 4, 1], [32, 4, 3], [16, 16, 3], [17, 30, 4]] {
            let mut rng = random::stream(1, "detail", 0);
            let net = DetailNet::new(shape, 7, &mut Init { rng: &mut rng, device: &device });
            let [h, w, c] = shape;
            let images = || {
                Tensor::<4>::from_data(
                    TensorData::new(random::normal(2 * h * w * c, &mut random::stream(2, "detail", 0)), [2, h, w, c]),
                    &device,
                )
            };
            let values = |logits: Tensor<2>| {
                assert_eq!(logits.dims(), [2, 7], "{shape:?}");
                logits.into_data().convert::<f32>().try_to_vec::<f32>().unwrap()
            };
            let net = Module::valid(&net);
            let whole = values(net.logits(images()));
            assert_eq!(whole, values(net.logits(images())));
            assert_eq!(whole, values(net.logits_dropped(images(), 0.0, &mut rng)));
            assert_ne!(whole, values(net.logits_dropped(images(), 0.5, &mut rng)));
        }
    }
}
