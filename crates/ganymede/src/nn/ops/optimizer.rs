//! The update of a parameter and of its moving average, each in one pass over memory on the CPU back end.

use burn::backend::Dispatch;
use burn::tensor::{DType, Tensor};

pub use ganymede_kernels::AdamStep;

use super::{GanOps, on_flex};

/// The weights after one update of Adam by the gradient `g`, the mean of gradients and the mean of their squares. No gradient flows through it.
///
/// # Shapes
/// All equal, of any rank.
pub fn adam<const D: usize>(w: Tensor<D>, g: Tensor<D>, [mean, square]: [Tensor<D>; 2], step: AdamStep) -> [Tensor<D>; 3] {
    if on_flex(&w.device()) && w.dtype() == DType::F32 {
        let [w, g, mean, square] = [w, g, mean, square].map(Tensor::into_dispatch);
        let (w, mean, square) = <Dispatch as GanOps>::adam(w, g, mean, square, step);
        return [w, mean, square].map(Tensor::from_dispatch);
    }
    let g_sq = g.clone() * g.clone();
    let mean = mean.mul_scalar(step.beta1) + g.mul_scalar(1.0 - step.beta1);
    let square = square.mul_scalar(step.beta2) + g_sq.mul_scalar(1.0 - step.beta2);
    let way = mean.clone().mul_scalar(step.rate) / square.clone().sqrt().mul_scalar(step.correction2).add_scalar(step.epsilon);
    [w - way, mean, square]
}

/// `decay * average + (1 - decay) * live`. No gradient flows through it.
///
/// # Shapes
/// All equal, of any rank.
pub fn average<const D: usize>(average: Tensor<D>, live: Tensor<D>, decay: f64) -> Tensor<D> {
    if on_flex(&live.device()) && live.dtype() == DType::F32 {
        return Tensor::from_dispatch(<Dispatch as GanOps>::average(average.into_dispatch(), live.into_dispatch(), decay));
    }
    average.mul_scalar(decay) + live.mul_scalar(1.0 - decay)
}
