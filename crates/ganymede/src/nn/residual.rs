//! The residual block of R3GAN: no normalisation, an inverted bottleneck with a grouped convolution, Fixup-style initialisation.
//!
//! Huang, Gokaslan, Kuleshov and Tompkin, "The GAN is dead; long live the GAN! A Modern GAN Baseline", NeurIPS 2024, section 3.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{BiasAct, Conv2d, Conv2dConfig, Init, Linear, LinearConfig, Tape};

/// Slope of every leaky ReLU.
pub const SLOPE: f32 = 0.2;

/// Configuration of [`ResidualBlock`].
#[derive(Debug, Clone, Copy)]
pub struct ResidualBlockConfig {
    /// Channels in and out.
    pub channels: usize,
    /// Channels between, of the spatial convolution.
    pub inner: usize,
    /// Groups of the spatial convolution; divides `inner`.
    pub groups: usize,
    /// Residual blocks of the whole network: more blocks, smaller initial weights.
    pub n_blocks: usize,
}

impl ResidualBlockConfig {
    /// Makes the block. The last layer starts at zero, so that the block starts as the identity (Zhang, Dauphin and Ma, "Fixup", ICLR 2019).
    pub fn init(&self, init: &mut Init<'_>) -> ResidualBlock {
        let slope = f64::from(SLOPE);
        let gain = (2.0 / (1.0 + slope * slope)).sqrt() * (self.n_blocks.max(1) as f64).powf(-0.25);
        ResidualBlock {
            expand: LinearConfig::new(self.channels, self.inner).with_gain(gain).without_bias().init(init),
            act1: BiasAct::new(self.inner, SLOPE, init),
            spatial: Conv2dConfig::new(self.inner, self.inner, 3).with_groups(self.groups).with_gain(gain).init(init),
            act2: BiasAct::new(self.inner, SLOPE, init),
            contract: LinearConfig::new(self.inner, self.channels).with_gain(0.0).without_bias().init(init),
        }
    }
}

/// `x + contract(act(spatial(act(expand(x)))))`.
#[derive(Module, Debug)]
pub struct ResidualBlock {
    /// 1 x 1 convolution.
    pub expand: Linear,
    /// Activation after it.
    pub act1: BiasAct,
    /// Grouped 3 x 3 convolution.
    pub spatial: Conv2d,
    /// Activation after it.
    pub act2: BiasAct,
    /// 1 x 1 convolution.
    pub contract: Linear,
}

impl ResidualBlock {
    /// `[n, h, w, channels]`, equal shape out.
    pub fn forward(&self, x: Tensor<4>, tape: &mut Tape) -> Tensor<4> {
        let y = self.inner(x.clone(), tape);
        x + self.contract.forward_image(y)
    }

    /// What the block adds to its input, before it is brought to as many channels: `[n, h, w, inner]`.
    pub fn inner(&self, x: Tensor<4>, tape: &mut Tape) -> Tensor<4> {
        let y = self.act1.after_linear_image(&self.expand, x, tape);
        self.act2.after_conv(&self.spatial, y, tape)
    }

    /// Gradient at the input, `[n, h, w, channels]`.
    pub fn transposed(&self, g: Tensor<4>, tape: &mut Tape) -> Tensor<4> {
        let [_, h, w, _] = g.dims();
        let y = self.act2.transposed_image(self.contract.transposed_image(g.clone()), tape);
        let y = self.act1.transposed_image(self.spatial.transposed(y, [h, w]), tape);
        g + self.expand.transposed_image(y)
    }
}
