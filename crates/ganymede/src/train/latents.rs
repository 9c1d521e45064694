//! The latent vectors behind samples.

use burn::tensor::{Device, Tensor, TensorData};

use crate::random;
use crate::train::SampleId;

/// Latents `[rows, dim]` of the samples `ids`, at most `rows` of them, each from the standard normal distribution and multiplied by `truncation`.
/// Rows that are left over are zero: with batches of one size a sample does not depend on which others are drawn with it.
pub(crate) fn sample_latents(ids: &[SampleId], rows: usize, dim: usize, truncation: f64, device: &Device) -> Tensor<2> {
    let mut values = Vec::with_capacity(rows * dim);
    for id in ids {
        values.extend(random::normal(dim, &mut random::stream(id.seed, "sample", id.index)).iter().map(|v| v * truncation as f32));
    }
    values.resize(rows * dim, 0.0);
    Tensor::from_data(TensorData::new(values, [rows, dim]), device)
}
