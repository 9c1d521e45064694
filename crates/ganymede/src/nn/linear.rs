//! Fully connected layer.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Init;
use super::ops::{linear, linear_transposed};

/// Configuration of [`Linear`].
#[derive(Debug, Clone, Copy)]
pub struct LinearConfig {
    /// Inputs.
    pub inputs: usize,
    /// Outputs.
    pub outputs: usize,
    /// Weights start normal with standard deviation `gain / sqrt(inputs)`.
    pub gain: f64,
    /// Whether a bias is added; it starts at 0.
    pub bias: bool,
}

impl LinearConfig {
    /// With bias and gain 1.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs, gain: 1.0, bias: true }
    }

    /// Another gain.
    pub fn with_gain(self, gain: f64) -> Self {
        Self { gain, ..self }
    }

    /// Without bias.
    pub fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }

    /// Makes the layer.
    pub fn init(&self, init: &mut Init<'_>) -> Linear {
        Linear {
            weight: init.normal([self.inputs, self.outputs], self.gain / (self.inputs as f64).sqrt()),
            bias: self.bias.then(|| init.constant([self.outputs], 0.0)),
        }
    }
}

/// `x W + b`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[inputs, outputs]`.
    pub weight: Param<Tensor<2>>,
    /// `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// `[n, inputs]` to `[n, outputs]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let y = linear(x, self.weight.val());
        match &self.bias {
            Some(bias) => y + bias.val().unsqueeze(),
            None => y,
        }
    }

    /// The same layer on every pixel: `[n, h, w, inputs]` to `[n, h, w, outputs]`.
    pub fn forward_image(&self, x: Tensor<4>) -> Tensor<4> {
        let [n, h, w, c] = x.dims();
        let y = self.forward(x.reshape([n * h * w, c]));
        let c = y.dims()[1];
        y.reshape([n, h, w, c])
    }

    /// Gradient at the input from the gradient at the output: `[n, outputs]` to `[n, inputs]`.
    pub fn transposed(&self, g: Tensor<2>) -> Tensor<2> {
        linear_transposed(g, self.weight.val())
    }

    /// [`Linear::transposed`] on every pixel.
    pub fn transposed_image(&self, g: Tensor<4>) -> Tensor<4> {
        let [n, h, w, c] = g.dims();
        let x = self.transposed(g.reshape([n * h * w, c]));
        let c = x.dims()[1];
        x.reshape([n, h, w, c])
    }
}
