//! Two-dimensional convolution and its transpose, channels-last.

use burn::backend::Dispatch;
use burn::tensor::Tensor;
use burn::tensor::module::{conv_transpose2d, conv2d as burn_conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};

pub use ganymede_kernels::ConvGeometry;

use super::{GanOps, LinearMap, bias_act, on_flex};

/// Convolution (cross-correlation, as in the field).
///
/// # Shapes
/// - `x`: `[n, image height, image width, ci]`
/// - `w`: `[kernel height, kernel width, ci / groups, co]`
/// - output: `[n, output height, output width, co]`
pub fn conv2d(x: Tensor<4>, w: Tensor<4>, geometry: ConvGeometry) -> Tensor<4> {
    if on_flex(&x.device()) {
        return Tensor::from_dispatch(<Dispatch as GanOps>::map(x.into_dispatch(), w.into_dispatch(), LinearMap::Conv(geometry)));
    }
    let options = ConvOptions::new(geometry.stride, geometry.padding, [1, 1], geometry.groups);
    burn_conv2d(x.permute([0, 3, 1, 2]), w.permute([3, 2, 0, 1]), None, options).permute([0, 2, 3, 1])
}

/// `leaky_relu(conv2d(x, w) + bias)` in one pass.
///
/// # Shapes
/// As [`conv2d`]; `bias` `[co]`.
pub fn conv2d_act(x: Tensor<4>, w: Tensor<4>, bias: Tensor<1>, slope: f32, geometry: ConvGeometry) -> Tensor<4> {
    if on_flex(&x.device()) {
        let (x, w, bias) = (x.into_dispatch(), w.into_dispatch(), bias.into_dispatch());
        return Tensor::from_dispatch(<Dispatch as GanOps>::map_act(x, w, bias, slope, LinearMap::Conv(geometry)));
    }
    let y = conv2d(x, w, geometry);
    let [n, h, w, c] = y.dims();
    bias_act(y.reshape([n * h * w, c]), bias, slope).reshape([n, h, w, c])
}

/// Transposed convolution: the adjoint of [`conv2d`] in its input, with the same weights and geometry.
///
/// # Shapes
/// - `g`: `[n, output height, output width, co]` of the convolution
/// - `w`: `[kernel height, kernel width, ci / groups, co]`
/// - output: `[n, image height, image width, ci]`
pub fn conv2d_transposed(g: Tensor<4>, w: Tensor<4>, geometry: ConvGeometry) -> Tensor<4> {
    if on_flex(&g.device()) {
        return Tensor::from_dispatch(<Dispatch as GanOps>::map_input(g.into_dispatch(), w.into_dispatch(), LinearMap::Conv(geometry)));
    }
    let out = geometry.output();
    let rest = [0, 1].map(|i| geometry.image[i] + 2 * geometry.padding[i] - ((out[i] - 1) * geometry.stride[i] + geometry.kernel[i]));
    let options = ConvTransposeOptions::new(geometry.stride, geometry.padding, rest, [1, 1], geometry.groups);
    conv_transpose2d(g.permute([0, 3, 1, 2]), w.permute([3, 2, 0, 1]), None, options).permute([0, 2, 3, 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData, Tolerance};

    /// Deterministic values in [-1, 1].
    pub(crate) fn wave(shape: [usize; 4], phase: f64, device: &Device) -> Tensor<4> {
        let values: Vec<f64> = (0..shape.iter().product()).map(|i| (1.7 * i as f64 + phase).sin()).collect();
        Tensor::from_data(TensorData::new(values, shape), (device, DType::F64))
    }

    fn geometries() -> Vec<(ConvGeometry, usize, usize)> {
        let g = |image, kernel, stride, padding, groups| ConvGeometry { image, kernel, stride, padding, groups };
        vec![
            (g([5, 4], [3, 3], [1, 1], [1, 1], 1), 2, 3),
            (g([6, 6], [4, 4], [2, 2], [1, 1], 1), 3, 2),
            (g([7, 5], [3, 2], [2, 1], [1, 0], 1), 1, 4),
            (g([4, 4], [3, 3], [1, 1], [1, 1], 2), 4, 6),
            (g([4, 4], [4, 4], [1, 1], [0, 0], 3), 3, 3),
            (g([3, 3], [1, 1], [1, 1], [0, 0], 1), 5, 2),
        ]
    }

    #[test]
    fn convolution_equals_the_back_ends_own() {
        let device = Device::flex();
        for (geometry, ci, co) in geometries() {
            let x = wave([3, geometry.image[0], geometry.image[1], ci], 0.3, &device);
            let w = wave([geometry.kernel[0], geometry.kernel[1], ci / geometry.groups, co], 1.1, &device);
            let ours = conv2d(x.clone(), w.clone(), geometry);
            let options = ConvOptions::new(geometry.stride, geometry.padding, [1, 1], geometry.groups);
            let theirs = burn_conv2d(x.permute([0, 3, 1, 2]), w.permute([3, 2, 0, 1]), None, options).permute([0, 2, 3, 1]);
            ours.into_data().assert_approx_eq::<f64>(&theirs.into_data(), Tolerance::absolute(1e-12));
        }
    }

    #[test]
    fn single_precision_agrees_with_double() {
        let device = Device::flex().autodiff();
        for (geometry, ci, co) in geometries() {
            let [oh, ow] = geometry.output();
            let run = |dtype: DType| {
                let x = wave([3, geometry.image[0], geometry.image[1], ci], 0.3, &device).cast(dtype).detach().require_grad();
                let w = wave([geometry.kernel[0], geometry.kernel[1], ci / geometry.groups, co], 1.1, &device)
                    .cast(dtype)
                    .detach()
                    .require_grad();
                let g = wave([3, oh, ow, co], 2.2, &device).cast(dtype);
                let y = conv2d(x.clone(), w.clone(), geometry);
                let grads = (y.clone() * g).sum().backward();
                [y.inner(), x.grad(&grads).unwrap(), w.grad(&grads).unwrap()].map(|t| t.into_data().convert::<f64>())
            };
            for (single, double) in run(DType::F32).iter().zip(&run(DType::F64)) {
                single.assert_approx_eq::<f64>(double, Tolerance::absolute(2e-5));
            }
        }
    }

    #[test]
    fn the_transpose_is_the_adjoint_and_so_are_the_weight_gradients() {
        let device = Device::flex().autodiff();
        for (geometry, ci, co) in geometries() {
            let [oh, ow] = geometry.output();
            let x = wave([2, geometry.image[0], geometry.image[1], ci], 0.3, &device).require_grad();
            let w = wave([geometry.kernel[0], geometry.kernel[1], ci / geometry.groups, co], 1.1, &device).require_grad();
            let g = wave([2, oh, ow, co], 2.2, &device).require_grad();
            let forward = (conv2d(x.clone(), w.clone(), geometry) * g.clone()).sum();
            let transposed = (conv2d_transposed(g.clone(), w.clone(), geometry) * x.clone()).sum();
            let tolerance = Tolerance::absolute(1e-11);
            forward.clone().inner().into_data().assert_approx_eq::<f64>(&transposed.clone().inner().into_data(), tolerance);
            let (a, b) = (forward.backward(), transposed.backward());
            for (one, two) in [(x.grad(&a), x.grad(&b)), (w.grad(&a), w.grad(&b)), (g.grad(&a), g.grad(&b))] {
                one.unwrap().into_data().assert_approx_eq::<f64>(&two.unwrap().into_data(), tolerance);
            }
        }
    }

    #[test]
    fn weight_gradients_agree_with_finite_differences() {
        let device = Device::flex().autodiff();
        let plain = Device::flex();
        for (geometry, ci, co) in geometries() {
            let shape = [geometry.kernel[0], geometry.kernel[1], ci / geometry.groups, co];
            let x = wave([2, geometry.image[0], geometry.image[1], ci], 0.3, &device);
            let w = wave(shape, 1.1, &device).require_grad();
            let loss = |x: Tensor<4>, w: Tensor<4>| conv2d(x, w, geometry).powf_scalar(2.0).sum();
            let grad = w.grad(&loss(x.clone(), w.clone()).backward()).unwrap();
            let direction = wave(shape, 5.0, &plain);
            let eps = 1e-5;
            let at = |t: f64| loss(x.clone().inner(), w.clone().inner() + direction.clone() * t).into_scalar::<f64>();
            let numeric = (at(eps) - at(-eps)) / (2.0 * eps);
            let exact = (grad * direction).sum().into_scalar::<f64>();
            assert!((numeric - exact).abs() < 1e-6 * (1.0 + exact.abs()), "{geometry:?}: {numeric} against {exact}");
        }
    }
}
