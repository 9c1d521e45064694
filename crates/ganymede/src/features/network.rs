//! The network behind learned features.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::nn::{BiasAct, Conv2d, Conv2dConfig, Init, Linear, LinearConfig, Tape};

/// Numbers of a feature vector.
pub const DIM: usize = 64;
/// Channels after the first layer, and after each halving of the resolution.
const WIDTHS: [usize; 4] = [32, 32, 64, 128];
const SLOPE: f32 = 0.1;

/// Strided convolutions, then feature vectors; from those the class and the projection that pictures are recognised by.
#[derive(Module, Debug)]
pub struct FeatureNet {
    convolutions: Vec<Conv2d>,
    activations: Vec<BiasAct>,
    features: Linear,
    /// Between the features and both heads.
    activation: BiasAct,
    projection: Linear,
    classes: Option<Linear>,
}

impl FeatureNet {
    /// Fresh weights for pictures of this shape (`[height, width, channels]`, sides of at least 4) and so many classes, perhaps none.
    pub fn new(shape: [usize; 3], classes: usize, init: &mut Init<'_>) -> Self {
        let [mut h, mut w, c] = shape;
        let gain = (2.0 / (1.0 + f64::from(SLOPE).powi(2))).sqrt();
        let mut convolutions = vec![Conv2dConfig::new(c, WIDTHS[0], 3).with_gain(gain).init(init)];
        let mut inputs = WIDTHS[0];
        for outputs in &WIDTHS[1..] {
            if h.min(w) < 8 {
                break;
            }
            let config = Conv2dConfig { kernel: [4, 4], ..Conv2dConfig::new(inputs, *outputs, 1) };
            convolutions.push(config.with_stride(2, 1).with_gain(gain).init(init));
            (h, w, inputs) = (h / 2, w / 2, *outputs);
        }
        let activations = convolutions.iter().map(|conv| BiasAct::new(conv.weight.dims()[3], SLOPE, init)).collect();
        Self {
            convolutions,
            activations,
            features: LinearConfig::new(h * w * inputs, DIM).init(init),
            activation: BiasAct::new(DIM, SLOPE, init),
            projection: LinearConfig::new(DIM, DIM).with_gain(gain).init(init),
            classes: (classes > 0).then(|| LinearConfig::new(DIM, classes).with_gain(gain).init(init)),
        }
    }

    /// Images `[n, height, width, channels]` in [-1, 1] to features `[n, dim]`.
    pub fn features(&self, images: Tensor<4>) -> Tensor<2> {
        let layers = self.convolutions.iter().zip(&self.activations);
        let x = layers.fold(images, |x, (conv, act)| act.after_conv(conv, x, &mut Tape::off()));
        let [n, h, w, c] = x.dims();
        self.features.forward(x.reshape([n, h * w * c]))
    }

    /// From features: the projection `[n, dim]`, and logits of the classes `[n, classes]` where there are any.
    pub fn heads(&self, features: Tensor<2>) -> (Tensor<2>, Option<Tensor<2>>) {
        let x = self.activation.forward(features, &mut Tape::off());
        (self.projection.forward(x.clone()), self.classes.as_ref().map(|classes| classes.forward(x)))
    }
}
