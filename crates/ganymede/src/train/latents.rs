//! The latent vectors behind samples.

use burn::tensor::{Device, Tensor, TensorData};

use crate::random;
use crate::train::SampleId;

/// The latent of a sample, from the standard normal distribution.
pub(crate) fn latent(id: SampleId, dim: usize) -> Vec<f32> {
    random::normal(dim, &mut random::stream(id.seed, "sample", id.index))
}

/// Latents `[rows, dim]` of the samples `ids`, at most `rows` of them, each from the standard normal distribution and multiplied by `truncation`.
/// Rows that are left over are zero: with batches of one size a sample does not depend on which others are drawn with it.
pub(crate) fn sample_latents(ids: &[SampleId], rows: usize, dim: usize, truncation: f64, device: &Device) -> Tensor<2> {
    let mut values = Vec::with_capacity(rows * dim);
    for id in ids {
        values.extend(latent(*id, dim).iter().map(|v| v * truncation as f32));
    }
    values.resize(rows * dim, 0.0);
    Tensor::from_data(TensorData::new(values, [rows, dim]), device)
}
