//! Bias and leaky ReLU, together.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::ops::{bias_act, conv2d_act, gate, linear_act};
use super::{Conv2d, Init, Linear, Tape};

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

    /// The same after a layer without bias, in one pass: `[n, inputs]` to `[n, channels]`.
    ///
    /// # Panics
    /// If the layer has a bias.
    pub fn after_linear(&self, layer: &Linear, x: Tensor<2>, tape: &mut Tape) -> Tensor<2> {
        assert!(layer.bias.is_none(), "the activation brings the bias");
        let y = linear_act(x, layer.weight.val(), self.bias.val(), self.slope);
        tape.push_vector(&y);
        y
    }

    /// [`BiasAct::after_linear`] on every pixel: `[n, h, w, inputs]` to `[n, h, w, channels]`.
    ///
    /// # Panics
    /// If the layer has a bias.
    pub fn after_linear_image(&self, layer: &Linear, x: Tensor<4>, tape: &mut Tape) -> Tensor<4> {
        let [n, h, w, c] = x.dims();
        let y = self.after_linear(layer, x.reshape([n * h * w, c]), &mut Tape::off());
        let c = y.dims()[1];
        let y = y.reshape([n, h, w, c]);
        tape.push_image(&y);
        y
    }

    /// The same after a convolution, in one pass: `[n, h, w, inputs]` to `[n, h', w', channels]`.
    pub fn after_conv(&self, layer: &Conv2d, x: Tensor<4>, tape: &mut Tape) -> Tensor<4> {
        let [_, h, w, _] = x.dims();
        let y = conv2d_act(x, layer.weight.val(), self.bias.val(), self.slope, layer.geometry([h, w]));
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
