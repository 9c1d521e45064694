//! Two-dimensional convolution layer without bias (biases belong to the activation, [`super::BiasAct`]).

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Init;
use super::ops::{ConvGeometry, conv2d, conv2d_act, conv2d_transposed};

/// Configuration of [`Conv2d`].
#[derive(Debug, Clone, Copy)]
pub struct Conv2dConfig {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Stride along both axes.
    pub stride: usize,
    /// Zero padding along both axes.
    pub padding: usize,
    /// Channel groups; divides inputs and outputs.
    pub groups: usize,
    /// Standard deviation of the initial weights.
    pub std: f64,
}

impl Conv2dConfig {
    /// Stride 1, one group, and the padding that keeps an odd kernel's image as large as it is; weights start with `gain / sqrt(fan in)`.
    pub fn new(inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self { inputs, outputs, kernel: [kernel, kernel], stride: 1, padding: kernel / 2, groups: 1, std: 1.0 }.with_gain(1.0)
    }

    /// Another stride and padding.
    pub fn with_stride(self, stride: usize, padding: usize) -> Self {
        Self { stride, padding, ..self }
    }

    /// Channel groups, and the gain in relation to the smaller fan in.
    pub fn with_groups(self, groups: usize) -> Self {
        let ratio = (groups as f64 / self.groups as f64).sqrt();
        Self { groups, std: self.std * ratio, ..self }
    }

    /// Standard deviation `gain / sqrt(fan in)`, fan in = kernel height x kernel width x inputs / groups.
    pub fn with_gain(self, gain: f64) -> Self {
        let fan_in = self.kernel[0] * self.kernel[1] * self.inputs / self.groups;
        Self { std: gain / (fan_in as f64).sqrt(), ..self }
    }

    /// An absolute standard deviation, as DCGAN's 0.02.
    pub fn with_std(self, std: f64) -> Self {
        Self { std, ..self }
    }

    /// Makes the layer.
    pub fn init(&self, init: &mut Init<'_>) -> Conv2d {
        let [kh, kw] = self.kernel;
        Conv2d {
            weight: init.normal([kh, kw, self.inputs / self.groups, self.outputs], self.std),
            stride: self.stride,
            padding: self.padding,
            groups: self.groups,
        }
    }
}

/// Convolution of channels-last images; its transpose shares the weights.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[kernel height, kernel width, inputs / groups, outputs]`.
    pub weight: Param<Tensor<4>>,
    stride: usize,
    padding: usize,
    groups: usize,
}

impl Conv2d {
    /// `[n, h, w, inputs]` to `[n, h', w', outputs]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, h, w, _] = x.dims();
        let geometry = self.geometry([h, w]);
        conv2d(x, self.weight.val(), geometry)
    }

    /// [`Conv2d::forward`] and a leaky ReLU with no bias between them.
    pub fn forward_act(&self, x: Tensor<4>, slope: f32) -> Tensor<4> {
        let ([_, h, w, _], [_, _, _, outputs]) = (x.dims(), self.weight.dims());
        let none = Tensor::zeros([outputs], (&x.device(), x.dtype()));
        conv2d_act(x, self.weight.val(), none, slope, self.geometry([h, w]))
    }

    /// The adjoint of [`Conv2d::forward`] on images of extents `image`: `[n, h', w', outputs]` to `[n, h, w, inputs]`. Used as a layer it is a
    /// transposed convolution ("deconvolution") from `outputs` to `inputs` channels.
    pub fn transposed(&self, g: Tensor<4>, image: [usize; 2]) -> Tensor<4> {
        conv2d_transposed(g, self.weight.val(), self.geometry(image))
    }

    /// Its extents on images of extents `image`.
    pub(super) fn geometry(&self, image: [usize; 2]) -> ConvGeometry {
        let [kh, kw, _, _] = self.weight.dims();
        ConvGeometry {
            image,
            kernel: [kh, kw],
            stride: [self.stride, self.stride],
            padding: [self.padding, self.padding],
            groups: self.groups,
        }
    }
}
