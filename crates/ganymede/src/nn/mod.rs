//! Blocks of networks, one a file, thin over Burn's. Images are channels-last inside.
//!
//! Blocks that may stand in a penalised discriminator also have a *transposed* pass: given the gradient at their output it computes the gradient
//! at their input with the same weights, as ordinary operations, so that a penalty on it can itself be differentiated (see [`crate::losses::penalty`]).

mod batch_norm;
mod bias_act;
mod conv;
mod init;
mod linear;
pub mod ops;
mod params;
mod residual;
mod tape;
mod widening;

pub use batch_norm::BatchNorm;
pub use bias_act::BiasAct;
pub use conv::{Conv2d, Conv2dConfig};
pub use init::Init;
pub use linear::{Linear, LinearConfig};
pub(crate) use params::{from_host, to_host};
pub use params::{load_fitting, load_params, n_params, save_params, with_dtype};
pub use residual::{ResidualBlock, ResidualBlockConfig};
pub use tape::Tape;
pub use widening::widened;

use burn::module::Module;
use burn::tensor::Tensor;

/// Turns latents into samples.
pub trait Generator<const R: usize>: Module {
    /// Whether samples of a batch influence each other (batch statistics): the fakes that the discriminator learns from are then made with the statistics of their
    /// batch, as those that the generator learns from.
    const COUPLED: bool = false;

    /// Length of a latent.
    fn latent_dim(&self) -> usize;

    /// Samples `[n, ...]` from latents `[n, latent_dim]` and, for a conditional generator, conditions `[n, condition]`.
    fn forward(&self, latents: Tensor<2>, condition: Option<Tensor<2>>) -> Tensor<R>;

    /// Whether it learns to fill in what is hidden of a sample.
    const COMPLETES: bool = false;

    /// How badly it fills in one hidden part of real samples `[n, ...]` whose other parts it is given, by latents `[n, latent_dim]`; shape `[1]`. Which part that is goes by the sample's
    /// place and by `turn`, so that all have their turn. `condition` is what was given of the samples when they were drawn. Nothing if it does not complete.
    fn completion(&self, real: &Tensor<R>, latents: Tensor<2>, condition: Option<&Tensor<2>>, turn: usize) -> Option<Tensor<1>> {
        let _ = (real, latents, condition, turn);
        None
    }
}

/// Tells real from generated.
pub trait Discriminator<const R: usize>: Module {
    /// Whether samples of a batch influence each other's logits (batch statistics): real and fake must then be shown apart, and gradient
    /// penalties are not defined.
    const COUPLED: bool;

    /// Logits `[n, 1]`, higher for more real, of samples `[n, ...]` and conditions `[n, condition]`. What the transposed pass needs goes on the tape.
    fn forward(&self, x: Tensor<R>, condition: Option<Tensor<2>>, tape: &mut Tape) -> Tensor<2>;

    /// Whether it has an auxiliary classifier.
    const CLASSIFIES: bool = false;

    /// As [`Discriminator::forward`], and beside it what the auxiliary classifier makes of the samples, `[n, condition]` (see [`crate::losses::Auxiliary`]); nothing if there is none.
    fn forward_classified(&self, x: Tensor<R>, condition: Option<Tensor<2>>, tape: &mut Tape) -> (Tensor<2>, Option<Tensor<2>>) {
        (self.forward(x, condition, tape), None)
    }

    /// The same network, of which the first `stages` stages are not learned; nothing if it has no stages.
    fn frozen(self, stages: usize) -> Option<Self> {
        let _ = stages;
        None
    }

    /// Gradient of the sum of the logits with respect to the samples, `[n, ...]`, from the tape of the forward pass over `n` samples; with [`Tape::toward`] that of what the auxiliary
    /// classifier tells as well, where there is one.
    fn input_gradient(&self, n: usize, tape: Tape) -> Tensor<R>;
}
