//! Operations that the blocks are made of, each exact, differentiable once, and the adjoint of another where the penalties need it.
//!
//! On the CPU back end they are Burn extensions with their own backward; on every other device they are compositions of Burn's operations.
//! Images are channels-last, `[batch, height, width, channels]`; convolution weights are `[kernel height, kernel width, input channels / groups,
//! output channels]`.

mod conv;
mod extension;
mod flex;
mod optimizer;
mod resample;

use burn::tensor::{DType, Device, Tensor};

pub use conv::{ConvGeometry, conv2d, conv2d_act, conv2d_transposed};
pub use extension::GanOps;
pub use optimizer::{AdamStep, adam, average};
pub use resample::{Filter, Resampling};

use burn::backend::Dispatch;

/// A map that is linear in its input and in its weights, so that each is the other's adjoint with the third held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinearMap {
    /// Rows `[n, k]` by a matrix `[k, m]`.
    Matrix,
    /// Images by a kernel: see [`conv2d`].
    Conv(ConvGeometry),
}

/// Constants of a batch normalisation with its activation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormSettings {
    /// Added to the variance.
    pub epsilon: f64,
    /// Slope of the leaky ReLU below zero: 0 for ReLU, 1 for none.
    pub slope: f32,
}

/// `leaky_relu(gamma (x - mean) / sqrt(variance + epsilon) + beta)` with the statistics of the batch, and those: means and biased variances, without gradient.
///
/// # Shapes
/// `x` and the output `[n, c]`; `gamma`, `beta` and each of the statistics `[c]`.
pub fn norm_act(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>, settings: NormSettings) -> (Tensor<2>, [Tensor<1>; 2]) {
    let [_, c] = x.dims();
    if on_flex(&x.device()) && x.dtype() == DType::F32 {
        let (y, statistics) = <Dispatch as GanOps>::norm_act(x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch(), settings);
        let statistics: Tensor<2> = Tensor::from_dispatch(statistics);
        let statistics = if statistics.is_autodiff() { statistics.inner() } else { statistics };
        return (Tensor::from_dispatch(y), [0, 1].map(|i| statistics.clone().slice([i..i + 1, 0..c]).reshape([c])));
    }
    let mean = x.clone().mean_dim(0);
    let centred = x - mean.clone();
    let variance = centred.clone().powf_scalar(2.0).mean_dim(0);
    let scale = variance.clone().add_scalar(settings.epsilon).sqrt().recip() * gamma.unsqueeze();
    let y = centred * scale + beta.unsqueeze();
    let statistics = [mean, variance].map(|s| if s.is_autodiff() { s.inner() } else { s }.reshape([c]));
    (leaky_relu(y, settings.slope), statistics)
}

/// `x w`.
///
/// # Shapes
/// `x` `[n, k]`, `w` `[k, m]`, output `[n, m]`.
pub fn linear(x: Tensor<2>, w: Tensor<2>) -> Tensor<2> {
    if on_flex(&x.device()) {
        return Tensor::from_dispatch(<Dispatch as GanOps>::map(x.into_dispatch(), w.into_dispatch(), LinearMap::Matrix));
    }
    x.matmul(w)
}

/// `leaky_relu(x w + bias)` in one pass.
///
/// # Shapes
/// As [`linear`]; `bias` `[m]`.
pub fn linear_act(x: Tensor<2>, w: Tensor<2>, bias: Tensor<1>, slope: f32) -> Tensor<2> {
    if on_flex(&x.device()) {
        let (x, w, bias) = (x.into_dispatch(), w.into_dispatch(), bias.into_dispatch());
        return Tensor::from_dispatch(<Dispatch as GanOps>::map_act(x, w, bias, slope, LinearMap::Matrix));
    }
    bias_act(x.matmul(w), bias, slope)
}

/// `g wᵀ`, the adjoint of [`linear`] in its input.
///
/// # Shapes
/// `g` `[n, m]`, `w` `[k, m]`, output `[n, k]`.
pub fn linear_transposed(g: Tensor<2>, w: Tensor<2>) -> Tensor<2> {
    if on_flex(&g.device()) {
        return Tensor::from_dispatch(<Dispatch as GanOps>::map_input(g.into_dispatch(), w.into_dispatch(), LinearMap::Matrix));
    }
    g.matmul(w.transpose())
}

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

/// Hyperbolic tangent.
///
/// # Shapes
/// Any; the output is equal.
pub fn tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if on_flex(&x.device()) && x.dtype() == DType::F32 {
        return Tensor::from_dispatch(<Dispatch as GanOps>::tanh(x.into_dispatch()));
    }
    x.tanh()
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

/// Runs `work` where the device's operations start soonest, and gives what `aside` made meanwhile. Burn's own operations on the CPU are spread over threads, of which
/// `work` takes one, because from any other thread each operation would have to wake them and wait for them; `aside` takes another. Other devices keep a queue for each
/// thread that calls them, so that there both stay on this one.
pub fn beside<T: Send>(device: &Device, work: impl FnOnce() + Send, aside: impl FnOnce() -> T + Send) -> T {
    if on_flex(device) {
        return rayon::join(work, aside).1;
    }
    work();
    aside()
}

fn on_flex(device: &Device) -> bool {
    *device == Device::flex()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, Tensor, TensorData, Tolerance};

    use super::*;

    /// Deterministic values in [-1, 1].
    fn wave<const D: usize>(shape: [usize; D], phase: f64, dtype: DType) -> Tensor<D> {
        let values: Vec<f64> = (0..shape.iter().product()).map(|i| (1.7 * i as f64 + phase).sin()).collect();
        Tensor::<D>::from_data(TensorData::new(values, shape), (&Device::flex().autodiff(), DType::F64)).cast(dtype).detach().require_grad()
    }

    fn all_close(single: Vec<TensorData>, double: Vec<TensorData>) {
        for (single, double) in single.into_iter().zip(double) {
            single.convert::<f64>().assert_approx_eq::<f64>(&double.convert::<f64>(), Tolerance::absolute(2e-5));
        }
    }

    /// Value and gradients of a layer, of its transposed pass and of both together, in one precision.
    fn linear_layer([n, k, m]: [usize; 3], dtype: DType) -> Vec<TensorData> {
        let (x, w, b) = (wave([n, k], 0.3, dtype), wave([k, m], 1.1, dtype), wave([m], 0.9, dtype));
        let y = linear_act(x.clone(), w.clone(), b.clone(), 0.2);
        let back = linear_transposed(y.clone(), w.clone());
        let grads = (back.clone() * wave([n, k], 2.2, dtype).detach() + linear(x.clone(), w.clone()).sum().unsqueeze()).sum().backward();
        let gradients = [x.grad(&grads).unwrap().into_data(), w.grad(&grads).unwrap().into_data(), b.grad(&grads).unwrap().into_data()];
        [y.into_data(), back.into_data()].into_iter().chain(gradients).collect()
    }

    #[test]
    fn fully_connected_layers_agree_in_both_precisions() {
        for extents in [[1, 1, 1], [5, 3, 2], [16, 20, 33], [300, 7, 40]] {
            let scale = |data: TensorData| {
                // Sums over many rows are compared in proportion to their size.
                let values = data.convert::<f64>().try_to_vec::<f64>().unwrap();
                let largest = values.iter().fold(1.0f64, |a, v| a.max(v.abs()));
                TensorData::new(values.iter().map(|v| v / largest).collect::<Vec<_>>(), [values.len()])
            };
            let [single, double] = [DType::F32, DType::F64].map(|dtype| linear_layer(extents, dtype).into_iter().map(scale).collect());
            all_close(single, double);
        }
    }

    #[test]
    fn batch_normalisation_agrees_in_both_precisions() {
        let run = |dtype: DType| {
            let (x, gamma, beta) = (wave([50, 6], 0.3, dtype), wave([6], 1.1, dtype), wave([6], 0.9, dtype));
            let (y, [mean, variance]) = norm_act(x.clone(), gamma.clone(), beta.clone(), NormSettings { epsilon: 1e-5, slope: 0.2 });
            let grads = (y.clone() * wave([50, 6], 2.2, dtype).detach()).sum().backward();
            let gradients =
                [x.grad(&grads).unwrap().into_data(), gamma.grad(&grads).unwrap().into_data(), beta.grad(&grads).unwrap().into_data()];
            [y.into_data(), mean.into_data(), variance.into_data()].into_iter().chain(gradients).collect()
        };
        all_close(run(DType::F32), run(DType::F64));
    }

    #[test]
    fn hyperbolic_tangents_agree_in_both_precisions() {
        let run = |dtype: DType| {
            let x = wave([7, 5], 0.3, dtype) * 3.0;
            let x = x.detach().require_grad();
            let y = tanh(x.clone());
            let grads = (y.clone() * wave([7, 5], 2.2, dtype).detach()).sum().backward();
            vec![y.into_data(), x.grad(&grads).unwrap().into_data()]
        };
        all_close(run(DType::F32), run(DType::F64));
    }

    #[test]
    fn a_convolution_with_its_activation_is_both_one_after_the_other() {
        let geometry = ConvGeometry { image: [6, 5], kernel: [3, 3], stride: [1, 1], padding: [1, 1], groups: 2 };
        let run = |dtype: DType, fused: bool| {
            let (x, w, b) = (wave([3, 6, 5, 4], 0.3, dtype), wave([3, 3, 2, 6], 1.1, dtype), wave([6], 0.9, dtype));
            let y = if fused {
                conv2d_act(x.clone(), w.clone(), b.clone(), 0.2, geometry)
            } else {
                leaky_relu(conv2d(x.clone(), w.clone(), geometry) + b.clone().unsqueeze(), 0.2)
            };
            let grads = (y.clone() * wave([3, 6, 5, 6], 2.2, dtype).detach()).sum().backward();
            vec![
                y.into_data(),
                x.grad(&grads).unwrap().into_data(),
                w.grad(&grads).unwrap().into_data(),
                b.grad(&grads).unwrap().into_data(),
            ]
        };
        all_close(run(DType::F32, true), run(DType::F64, false));
        all_close(run(DType::F64, true), run(DType::F64, false));
    }
}
