//! Operations that the blocks are made of, each exact, differentiable once, and the adjoint of another where the penalties need it.
//!
//! On the CPU back end they are Burn extensions with their own backward; on every other device they are compositions of Burn's operations.
//! Images are channels-last, `[batch, height, width, channels]`; convolution weights are `[kernel height, kernel width, input channels / groups,
//! output channels]`.

mod conv;
mod extension;
mod flex;
mod resample;

use burn::tensor::{Device, Tensor};

pub use conv::{ConvGeometry, conv2d, conv2d_transposed};
pub use extension::GanOps;
pub use resample::{Filter, Resampling};

use burn::backend::Dispatch;

/// `g` where `m >= 0`, `slope * g` elsewhere. `m` is a constant: no gradient flows into it.
///
/// It is leaky ReLU when both are the same tensor, and its backward pass, and its step in the transposed pass of a gradient penalty.
///
/// # Shapes
/// `g`, `m` and the output are equal, of any rank.
pub fn gate<const D: usize>(g: Tensor<D>, m: Tensor<D>, slope: f32) -> Tensor<D> {
    if on_flex(&g.device()) {
        Tensor::from_dispatch(<Dispatch as GanOps>::gate(g.into_dispatch(), m.into_dispatch(), slope))
    } else {
        let m = if m.is_autodiff() { m.inner() } else { m };
        let mask = m.zeros_like().add_scalar(1.0).mask_fill(m.lower_elem(0.0), slope);
        let mask = if g.is_autodiff() { Tensor::from_inner(mask) } else { mask };
        g * mask
    }
}

/// Leaky ReLU: `x` where it is positive, `slope * x` elsewhere.
///
/// # Shapes
/// Any; the output is equal.
pub fn leaky_relu<const D: usize>(x: Tensor<D>, slope: f32) -> Tensor<D> {
    let m = x.clone();
    gate(x, m, slope)
}

/// `leaky_relu(x + bias)` in one pass.
///
/// # Shapes
/// `x` and the output `[n, c]`, `bias` `[c]`.
pub fn bias_act(x: Tensor<2>, bias: Tensor<1>, slope: f32) -> Tensor<2> {
    if on_flex(&x.device()) {
        return Tensor::from_dispatch(<Dispatch as GanOps>::bias_act(x.into_dispatch(), bias.into_dispatch(), slope));
    }
    leaky_relu(x + bias.unsqueeze(), slope)
}

/// Runs `work` on one of the threads that the CPU back end's operations are spread over. From any other thread each operation would have to wake
/// those threads and wait for them; from here it starts at once. On other devices it changes nothing.
pub fn on_workers<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| work())
}

fn on_flex(device: &Device) -> bool {
    *device == Device::flex()
}
