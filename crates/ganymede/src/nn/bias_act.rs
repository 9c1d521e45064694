//! Bias and leaky ReLU, together.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::ops::{bias_act, gate};
use super::{Init, Tape};

/// `leaky_relu(x + b)` per channel.
#[derive(Module, Debug)]
pub struct BiasAct {
    /// `[channels]`.
    pub bias: Param<Tensor<1>>,
    slope: f32,
}

impl BiasAct {
    /// Biases start at 0.
    pub fn new(channels: usize, slope: f32, init: &mut Init<'_>) -> Self {
        Self { bias: init.constant([channels], 0.0), slope }
    }

    /// `[n, channels]`, equal shape out.
    pub fn forward(&self, x: Tensor<2>, tape: &mut Tape) -> Tensor<2> {
        let y = bias_act(x, self.bias.val(), self.slope);
        tape.push_vector(&y);
        y
    }

    /// `[n, h, w, channels]`, equal shape out.
    pub fn forward_image(&self, x: Tensor<4>, tape: &mut Tape) -> Tensor<4> {
        let [n, h, w, c] = x.dims();
        let y = bias_act(x.reshape([n * h * w, c]), self.bias.val(), self.slope).reshape([n, h, w, c]);
        tape.push_image(&y);
        y
    }

    /// Gradient at the input, `[n, channels]`.
    pub fn transposed(&self, g: Tensor<2>, tape: &mut Tape) -> Tensor<2> {
        gate(g, tape.pop_vector(), self.slope)
    }

    /// Gradient at the input, `[n, h, w, channels]`.
    pub fn transposed_image(&self, g: Tensor<4>, tape: &mut Tape) -> Tensor<4> {
        gate(g, tape.pop_image(), self.slope)
    }
}
