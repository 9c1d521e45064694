//! Linear resampling as small matrices: exact for any extent and any filter, and trivially transposed.

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Tensor, TensorData};
use ganymede_kernels::Axis;
use serde::{Deserialize, Serialize};

use super::{GanOps, on_flex};

/// Low-pass filter of a resampling by 2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// `[1, 1]`: nearest neighbour up, 2 x 2 average down.
    Box,
    /// `[1, 3, 3, 1]`: the binomial filter of StyleGAN2 and R3GAN; bilinear up.
    #[default]
    Binomial,
}

impl Filter {
    fn taps(self) -> &'static [f64] {
        match self {
            Self::Box => &[1.0, 1.0],
            Self::Binomial => &[1.0, 3.0, 3.0, 1.0],
        }
    }
}

/// Resampling of channels-last images by a matrix along each axis.
#[derive(Debug, Clone)]
pub struct Resampling {
    axes: Axes,
    /// The same as tensors: `[output height, input height]` and `[output width, input width]`.
    matrices: [Tensor<2>; 2],
}

/// The matrices along height and width, and their transposes.
#[derive(Debug, Clone)]
pub struct Axes {
    both: Arc<[[Axis; 2]; 2]>,
    transposed: bool,
}

impl Axes {
    /// Along height and width.
    pub(super) fn forward(&self) -> [&Axis; 2] {
        self.both[usize::from(self.transposed)].each_ref()
    }

    /// The other way round.
    pub(super) fn adjoint(&self) -> Self {
        Self { both: self.both.clone(), transposed: !self.transposed }
    }
}

impl Resampling {
    /// Halves both extents: filter, then every second pixel. Constants stay constants away from the border; zeros are assumed beyond it.
    ///
    /// # Panics
    /// If an extent is odd; networks are built so that it is not.
    pub fn down(image: [usize; 2], filter: Filter, device: &Device) -> Self {
        Self::new(image.map(|extent| Axis::new(&down_matrix(extent, filter), extent)), device)
    }

    /// Doubles both extents: zeros between the pixels, then the filter with a gain of 2 along each axis, as R3GAN does.
    pub fn up(image: [usize; 2], filter: Filter, device: &Device) -> Self {
        let doubled = |extent| down_matrix(2 * extent, filter).iter().map(|v| 2.0 * v).collect::<Vec<_>>();
        Self::new(image.map(|extent| Axis::new(&doubled(extent), 2 * extent).transposed()), device)
    }

    fn new(axes: [Axis; 2], device: &Device) -> Self {
        let tensor = |axis: &Axis| {
            let [inputs, outputs] = axis.extents();
            Tensor::from_data(TensorData::new(axis.matrix(), [outputs, inputs]), (&device.clone().without_autodiff(), DType::F32))
        };
        let matrices = axes.each_ref().map(tensor);
        let transposes = axes.each_ref().map(Axis::transposed);
        Self { axes: Axes { both: Arc::new([axes, transposes]), transposed: false }, matrices }
    }

    /// `[n, h, w, c]` to `[n, h', w', c]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        if has_kernel(&x) {
            return Tensor::from_dispatch(<Dispatch as GanOps>::resample(x.into_dispatch(), self.axes.clone()));
        }
        apply(x, self.matrices.clone())
    }

    /// The adjoint: `[n, h', w', c]` to `[n, h, w, c]`.
    pub fn transposed(&self, g: Tensor<4>) -> Tensor<4> {
        if has_kernel(&g) {
            return Tensor::from_dispatch(<Dispatch as GanOps>::resample(g.into_dispatch(), self.axes.adjoint()));
        }
        apply(g, self.matrices.clone().map(Tensor::transpose))
    }
}

fn has_kernel(x: &Tensor<4>) -> bool {
    on_flex(&x.device()) && x.dtype() == DType::F32
}

fn apply(x: Tensor<4>, [rows, columns]: [Tensor<2>; 2]) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    let [oh, _] = rows.dims();
    let [ow, _] = columns.dims();
    let constant = |m: Tensor<2>| {
        let m = m.cast(x.dtype());
        if x.is_autodiff() { Tensor::from_inner(m) } else { m }
    };
    let (rows, columns) = (constant(rows), constant(columns));
    let x = rows.unsqueeze::<3>().matmul(x.reshape([n, h, w * c]));
    columns.unsqueeze::<3>().matmul(x.reshape([n * oh, w, c])).reshape([n, oh, ow, c])
}

/// `[extent / 2, extent]`.
fn down_matrix(extent: usize, filter: Filter) -> Vec<f32> {
    assert!(extent.is_multiple_of(2), "an extent of {extent} cannot be halved");
    let taps = filter.taps();
    let total: f64 = taps.iter().sum();
    let half = extent / 2;
    let before = taps.len() / 2 - 1;
    let mut matrix = vec![0.0; half * extent];
    for o in 0..half {
        for (tap_idx, tap) in taps.iter().enumerate() {
            let i = 2 * o + tap_idx;
            if i >= before && i - before < extent {
                matrix[o * extent + i - before] += (tap / total) as f32;
            }
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tolerance;

    use super::*;

    fn row(values: &[f32]) -> Tensor<4> {
        let image: Vec<f32> = values.iter().chain(values).copied().collect();
        Tensor::from_data(TensorData::new(image, [1, 2, values.len(), 1]), &Device::flex())
    }

    #[test]
    fn a_box_averages_down_and_repeats_up() {
        let device = Device::flex();
        let down = Resampling::down([2, 4], Filter::Box, &device).forward(row(&[1.0, 3.0, 5.0, 7.0]));
        assert_eq!(down.into_data().try_to_vec::<f32>().unwrap(), [2.0, 6.0]);
        let up = Resampling::up([2, 2], Filter::Box, &device).forward(row(&[1.0, 3.0]));
        assert_eq!(up.into_data().try_to_vec::<f32>().unwrap(), [1.0, 1.0, 3.0, 3.0].repeat(4));
    }

    #[test]
    fn the_binomial_filter_weighs_one_three_three_one() {
        let eighths: Vec<f32> = down_matrix(6, Filter::Binomial).iter().map(|v| v * 8.0).collect();
        assert_eq!(eighths, [3.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 3.0]);
    }

    #[test]
    fn values_and_gradients_agree_in_both_precisions() {
        let device = Device::flex();
        let [down, up] = [Resampling::down([4, 6], Filter::Binomial, &device), Resampling::up([2, 3], Filter::Binomial, &device)];
        let run = |dtype: DType| {
            let values: Vec<f64> = (0..2 * 4 * 6 * 5).map(|i| (1.3 * f64::from(i)).sin()).collect();
            let data = TensorData::new(values, [2, 4, 6, 5]);
            let x = Tensor::<4>::from_data(data, (&device.clone().autodiff(), DType::F64)).cast(dtype).detach().require_grad();
            let y = up.forward(down.forward(x.clone()));
            let grads = (y.clone() * x.clone().detach()).sum().backward();
            [y.into_data(), x.grad(&grads).unwrap().into_data()]
        };
        for (single, double) in run(DType::F32).into_iter().zip(run(DType::F64)) {
            single.convert::<f64>().assert_approx_eq::<f64>(&double, Tolerance::absolute(1e-6));
        }
    }

    #[test]
    fn the_transposed_resampling_is_the_adjoint() {
        let device = Device::flex();
        let resampling = Resampling::down([2, 4], Filter::Binomial, &device);
        let (x, g) = (row(&[1.0, -2.0, 0.5, 3.0]), Tensor::<4>::from_data(TensorData::new(vec![2.0f32, -1.0], [1, 1, 2, 1]), &device));
        let left = (resampling.forward(x.clone()) * g.clone()).sum().into_scalar::<f32>();
        let right = (resampling.transposed(g) * x).sum().into_scalar::<f32>();
        assert!((left - right).abs() < 1e-6);
    }
}
