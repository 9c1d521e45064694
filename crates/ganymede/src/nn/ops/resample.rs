//! Linear resampling as small matrices: exact for any extent and any filter, and trivially transposed.

use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

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
    /// `[output height, input height]`.
    rows: Tensor<2>,
    /// `[output width, input width]`.
    columns: Tensor<2>,
}

impl Resampling {
    /// Halves both extents: filter, then every second pixel. Constants stay constants away from the border; zeros are assumed beyond it.
    ///
    /// # Panics
    /// If an extent is odd; networks are built so that it is not.
    pub fn down(image: [usize; 2], filter: Filter, device: &Device) -> Self {
        Self { rows: down_matrix(image[0], filter, device), columns: down_matrix(image[1], filter, device) }
    }

    /// Doubles both extents: zeros between the pixels, then the filter with a gain of 2 along each axis, as R3GAN does.
    pub fn up(image: [usize; 2], filter: Filter, device: &Device) -> Self {
        let up = |extent| down_matrix(2 * extent, filter, device).transpose().mul_scalar(2.0);
        Self { rows: up(image[0]), columns: up(image[1]) }
    }

    /// `[n, h, w, c]` to `[n, h', w', c]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        apply(x, self.rows.clone(), self.columns.clone())
    }

    /// The adjoint: `[n, h', w', c]` to `[n, h, w, c]`.
    pub fn transposed(&self, g: Tensor<4>) -> Tensor<4> {
        apply(g, self.rows.clone().transpose(), self.columns.clone().transpose())
    }
}

fn apply(x: Tensor<4>, rows: Tensor<2>, columns: Tensor<2>) -> Tensor<4> {
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

fn down_matrix(extent: usize, filter: Filter, device: &Device) -> Tensor<2> {
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
                matrix[o * extent + i - before] += tap / total;
            }
        }
    }
    Tensor::from_data(TensorData::new(matrix, [half, extent]), (&device.clone().without_autodiff(), DType::F32))
}

#[cfg(test)]
mod tests {
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
        let matrix = down_matrix(6, Filter::Binomial, &Device::flex()).into_data().try_to_vec::<f32>().unwrap();
        let eighths: Vec<f32> = matrix.iter().map(|v| v * 8.0).collect();
        assert_eq!(eighths, [3.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 3.0]);
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
