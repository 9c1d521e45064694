//! Gradient penalties, exact with first-order automatic differentiation.
//!
//! A penalty on `g = dD/dx` needs the derivative of `g` in the weights. For a discriminator that is piecewise linear in its input, `g` is itself a
//! forward computation with the same weights, transposed, times the masks of the leaky ReLUs, whose own derivative is zero almost everywhere. That
//! computation is [`crate::nn::Discriminator::input_gradient`]; these are the functions of `g`. One ordinary backward pass then gives exactly what
//! double backward would.

use burn::tensor::Tensor;

/// Squared length of each sample's gradient: `[n, ...]` to `[n, 1]`.
///
/// Its mean times `gamma / 2` is R1 at real and R2 at fake samples (Mescheder, Geiger and Nowozin, "Which Training Methods for GANs do actually
/// Converge?", ICML 2018, equations 9 and 10).
pub fn squared_norm<const R: usize>(gradient: Tensor<R>) -> Tensor<2> {
    let n = gradient.dims()[0];
    let rest = gradient.dims().iter().skip(1).product::<usize>();
    let flat = gradient.reshape([n, rest]);
    (flat.clone() * flat).sum_dim(1)
}

/// `mean (||g|| - 1)^2` over the batch, shape `[1]`: the penalty of WGAN-GP at interpolates of real and fake samples (Gulrajani et al., "Improved
/// Training of Wasserstein GANs", NeurIPS 2017, equation 3), without its factor of 10.
pub fn one_centred<const R: usize>(gradient: Tensor<R>) -> Tensor<1> {
    // The square root has no derivative at 0; where the gradient vanishes altogether the penalty is flat up to 1e-24.
    let norm = squared_norm(gradient).add_scalar(1e-24).sqrt();
    let off = norm.sub_scalar(1.0);
    (off.clone() * off).mean()
}
