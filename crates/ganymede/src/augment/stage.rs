//! The linear maps that distortions are made of, on the device.

use std::ops::Range;

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};

use super::Shape;
use super::affine::Taps;

/// One map, with its constants for every picture of the batch.
#[derive(Debug)]
pub enum Stage {
    /// Every pixel is a weighted sum of pixels of the same picture.
    Warp(Vec<(Tensor<1, Int>, Tensor<2>)>),
    /// Every pixel's channels are mixed: `x M + b`, with `M` `[n, c, c]` and `b` `[n, 1, c]`.
    Colour(Tensor<3>, Tensor<3>),
    /// Distances from the mean of the picture's colours are scaled, by `[n, 1, 1]`. The second tensor, `[1, 1, c]`, is 1 at channels that show light and 0 at others.
    Contrast(Tensor<3>, Tensor<3>),
    /// Every pixel is multiplied, by `[n, pixels, 1]`.
    Mask(Tensor<3>),
}

impl Stage {
    /// Pictures made of those pixels.
    pub fn warp(taps: Taps, device: &Device) -> Self {
        let on_device = |(positions, weights): (Vec<i32>, Vec<f32>)| {
            let n = positions.len();
            let positions = Tensor::<1, Int>::from_data(TensorData::new(positions, [n]), device);
            (positions, Tensor::from_data(TensorData::new(weights, [n, 1]), device))
        };
        Self::Warp(taps.positions.into_iter().zip(taps.weights).map(on_device).collect())
    }

    /// From `n` matrices `[c, c]` by rows and `n` offsets `[c]`.
    pub fn colour(matrices: Vec<f32>, offsets: Vec<f32>, shape: Shape, device: &Device) -> Self {
        let c = shape.channels;
        let n = offsets.len() / c;
        let matrices = Tensor::from_data(TensorData::new(matrices, [n, c, c]), device);
        Self::Colour(matrices, Tensor::from_data(TensorData::new(offsets, [n, 1, c]), device))
    }

    /// From a factor for each picture.
    pub fn contrast(factors: Vec<f32>, shape: Shape, device: &Device) -> Self {
        let n = factors.len();
        let lit: Vec<f32> = (0..shape.channels).map(|c| f32::from(u8::from(c < shape.n_colours()))).collect();
        let factors = Tensor::from_data(TensorData::new(factors, [n, 1, 1]), device);
        Self::Contrast(factors, Tensor::from_data(TensorData::new(lit, [1, 1, shape.channels]), device))
    }

    /// From the rows and columns, in pixels, that are set to zero in each of `n` pictures: those pixels whose middles lie within.
    pub fn cutout((n, shape): (usize, Shape), mut draw: impl FnMut() -> Option<[Range<f64>; 2]>, device: &Device) -> Self {
        let mut factors = Vec::with_capacity(n * shape.n_pixels());
        for _ in 0..n {
            let cut = draw();
            let within = |range: &Range<f64>, at: usize| (at as f64 + 0.5) > range.start && (at as f64 + 0.5) < range.end;
            let is_cut = |y: usize, x: usize| cut.as_ref().is_some_and(|[rows, columns]| within(rows, y) && within(columns, x));
            factors.extend((0..shape.n_pixels()).map(|i| if is_cut(i / shape.width, i % shape.width) { 0.0f32 } else { 1.0 }));
        }
        Self::Mask(Tensor::from_data(TensorData::new(factors, [n, shape.n_pixels(), 1]), device))
    }

    /// Pictures `[n, height, width, channels]`, changed.
    pub fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let [n, h, w, c] = x.dims();
        match self {
            Self::Warp(taps) => {
                let x = x.reshape([n * h * w, c]);
                let taken = taps.iter().map(|(positions, weights)| x.clone().select(0, positions.clone()) * weights.clone());
                sum(taken).reshape([n, h, w, c])
            }
            Self::Colour(matrices, offsets) => (x.reshape([n, h * w, c]).matmul(matrices.clone()) + offsets.clone()).reshape([n, h, w, c]),
            Self::Contrast(..) | Self::Mask(_) => self.transposed(x),
        }
    }

    /// The same of `n` pictures from number `first` on, of all `of`.
    pub fn part(&self, (first, n): (usize, usize), of: usize) -> Self {
        match self {
            Self::Warp(taps) => {
                let some = |(positions, weights): &(Tensor<1, Int>, Tensor<2>)| {
                    let pixels = positions.dims()[0] / of;
                    let own = positions.clone().narrow(0, first * pixels, n * pixels).sub_scalar((first * pixels) as i32);
                    (own, weights.clone().narrow(0, first * pixels, n * pixels))
                };
                Self::Warp(taps.iter().map(some).collect())
            }
            Self::Colour(matrices, offsets) => Self::Colour(matrices.clone().narrow(0, first, n), offsets.clone().narrow(0, first, n)),
            Self::Contrast(factors, lit) => Self::Contrast(factors.clone().narrow(0, first, n), lit.clone()),
            Self::Mask(factors) => Self::Mask(factors.clone().narrow(0, first, n)),
        }
    }

    /// The adjoint of the linear part, on gradients `[n, height, width, channels]`.
    pub fn transposed(&self, g: Tensor<4>) -> Tensor<4> {
        let [n, h, w, c] = g.dims();
        let dims = [n, h, w, c];
        match self {
            Self::Warp(taps) => {
                let g = g.reshape([n * h * w, c]);
                let zeros = Tensor::zeros([n * h * w, c], &g.device());
                let put = |into: Tensor<2>, (positions, weights): &(Tensor<1, Int>, Tensor<2>)| {
                    into.select_assign(0, positions.clone(), g.clone() * weights.clone(), IndexingUpdateOp::Add)
                };
                taps.iter().fold(zeros, put).reshape(dims)
            }
            Self::Colour(matrices, _) => g.reshape([n, h * w, c]).matmul(matrices.clone().swap_dims(1, 2)).reshape(dims),
            // Both are their own adjoints.
            Self::Contrast(factors, lit) => {
                let g = g.reshape([n, h * w, c]);
                let light = g.clone() * lit.clone();
                let n_values = (h * w * c.min(3)) as f32;
                let mean = light.clone().sum_dim(1).sum_dim(2).div_scalar(n_values) * lit.clone();
                let rest = factors.clone().neg().add_scalar(1.0);
                // Light away from its mean, and what shows no light as it was.
                (light.clone() * factors.clone() + mean * rest + (g - light)).reshape(dims)
            }
            Self::Mask(factors) => (g.reshape([n, h * w, c]) * factors.clone()).reshape(dims),
        }
    }
}

fn sum(mut parts: impl Iterator<Item = Tensor<2>>) -> Tensor<2> {
    let first = parts.next().expect("a warp has a tap");
    parts.fold(first, |a, b| a + b)
}
