//! Batch normalisation over the channels of channels-last images or vectors.
//!
//! Ioffe and Szegedy, "Batch Normalization", ICML 2015. Statistics of the batch while training, running averages (momentum 0.1, unbiased variance)
//! otherwise. Burn's own keeps the biased variance and hands out averages that are one update old; this one does neither.

use burn::module::{Module, Param, RunningState};
use burn::tensor::Tensor;

use super::Init;
use super::ops::{NormSettings, leaky_relu, norm_act};

const MOMENTUM: f64 = 0.1;
const EPSILON: f64 = 1e-5;

/// `gamma (x - mean) / sqrt(variance + 1e-5) + beta`, and the activation after it.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// `[channels]`.
    pub gamma: Param<Tensor<1>>,
    /// `[channels]`.
    pub beta: Param<Tensor<1>>,
    running_mean: RunningState<Tensor<1>>,
    running_var: RunningState<Tensor<1>>,
}

impl BatchNorm {
    /// Scales start normal around 1 with standard deviation 0.02, as in DCGAN (Radford, Metz and Chintala 2016); shifts at 0.
    pub fn new(channels: usize, init: &mut Init<'_>) -> Self {
        let gamma = init.normal([channels], 0.02);
        let gamma = gamma.map(|t| t.inner().add_scalar(1.0)).map(|t| Tensor::from_inner(t).require_grad());
        let device = init.device.clone();
        Self {
            gamma,
            beta: init.constant([channels], 0.0),
            running_mean: RunningState::new(Tensor::zeros([channels], &device)),
            running_var: RunningState::new(Tensor::ones([channels], &device)),
        }
    }

    /// `[n, channels]`, equal shape out, after a leaky ReLU of this slope (0 for ReLU, 1 for none). Batch statistics if `x` is on an autodiff device, running
    /// averages otherwise.
    pub fn forward(&self, x: Tensor<2>, slope: f32) -> Tensor<2> {
        let [n, _] = x.dims();
        if x.is_autodiff() {
            let (y, [mean, variance]) = norm_act(x, self.gamma.val(), self.beta.val(), NormSettings { epsilon: EPSILON, slope });
            self.update(mean, variance, n);
            return y;
        }
        let [mean, variance] = [&self.running_mean, &self.running_var].map(|state| plain(state.value()));
        let scale = variance.add_scalar(EPSILON).sqrt().recip() * self.gamma.val();
        leaky_relu((x - mean.unsqueeze()) * scale.unsqueeze() + self.beta.val().unsqueeze(), slope)
    }

    /// `[n, h, w, channels]`, equal shape out: statistics over images and pixels.
    pub fn forward_image(&self, x: Tensor<4>, slope: f32) -> Tensor<4> {
        let [n, h, w, c] = x.dims();
        self.forward(x.reshape([n * h * w, c]), slope).reshape([n, h, w, c])
    }

    fn update(&self, mean: Tensor<1>, var: Tensor<1>, n: usize) {
        let unbiased = var.mul_scalar(n as f64 / (n as f64 - 1.0).max(1.0));
        for (state, new) in [(&self.running_mean, mean), (&self.running_var, unbiased)] {
            let old = plain(state.value());
            state.update(old.mul_scalar(1.0 - MOMENTUM) + new.mul_scalar(MOMENTUM));
            // Burn applies an update only at the next one unless asked to.
            state.value_sync();
        }
    }
}

fn plain(tensor: Tensor<1>) -> Tensor<1> {
    if tensor.is_autodiff() { tensor.inner() } else { tensor }
}
