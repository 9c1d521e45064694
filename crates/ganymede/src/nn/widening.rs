//! Layers that hand on their input beside their output.

use burn::tensor::Tensor;

use super::{BiasAct, Linear, Tape};

/// Activations of a linear layer beside its input, `[n, inputs]` to `[n, outputs + inputs]`: hidden layers as in CTGAN (Xu et al., "Modeling Tabular data using Conditional GAN", NeurIPS 2019, section 4.4),
/// but normalised over the units of a sample (Ba, Kiros and Hinton, "Layer Normalization", 2016) and not over the batch: a sample does not depend on others, and averaged weights need no statistics of their own.
pub fn widened(x: Tensor<2>, linear: &Linear, act: &BiasAct) -> Tensor<2> {
    let y = linear.forward(x.clone());
    let y = y.clone() - y.mean_dim(1);
    let deviation = y.clone().powf_scalar(2.0).mean_dim(1).add_scalar(1e-5).sqrt();
    Tensor::cat(vec![act.forward(y / deviation, &mut Tape::off()), x], 1)
}
