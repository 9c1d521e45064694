//! Adversarial losses. All work on logits through softplus, never through `log(sigmoid(x))`; all are means over the batch.

use burn::tensor::Tensor;
use burn::tensor::activation::{relu, softplus};
use serde::{Deserialize, Serialize};

/// The game that is played. `r` are logits of real samples, `f` of fakes, `s` is softplus.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// The original game: D minimises `s(-r) + s(f)`, G minimises `log(1 - sigmoid(f)) = -s(f)`. Goodfellow et al., "Generative Adversarial Nets",
    /// NeurIPS 2014, equation 1.
    Minimax,
    /// As [`Loss::Minimax`], but G minimises `s(-f)`: a strong gradient where the discriminator wins. Goodfellow et al. 2014, section 3.
    NonSaturating,
    /// D minimises `relu(1 - r) + relu(1 + f)`, G minimises `-f`. Lim and Ye, "Geometric GAN", 2017; Miyato et al., ICLR 2018.
    Hinge,
    /// D minimises `(r - 1)^2 / 2 + f^2 / 2`, G minimises `(f - 1)^2 / 2`. Mao et al., "Least Squares GAN", ICCV 2017, equation 9.
    LeastSquares,
    /// D minimises `f - r`, G minimises `-f`. Arjovsky, Chintala and Bottou, "Wasserstein GAN", ICML 2017; needs a gradient penalty.
    Wasserstein,
    /// Pairs of one real and one fake: D minimises `s(-(r - f))`, G minimises `s(-(f - r))`. Jolicoeur-Martineau, ICLR 2019, section 3.3; R3GAN.
    #[default]
    Relativistic,
}

impl Loss {
    /// The discriminator's loss from logits `[n, 1]` of real and of fake samples. Shape `[1]`.
    pub fn discriminator(self, real: Tensor<2>, fake: Tensor<2>) -> Tensor<1> {
        match self {
            Self::Minimax | Self::NonSaturating => softplus(real.neg(), 1.0).mean() + softplus(fake, 1.0).mean(),
            Self::Hinge => relu(real.neg().add_scalar(1.0)).mean() + relu(fake.add_scalar(1.0)).mean(),
            Self::LeastSquares => (squared(real.sub_scalar(1.0)).mean() + squared(fake).mean()).div_scalar(2.0),
            Self::Wasserstein => fake.mean() - real.mean(),
            Self::Relativistic => softplus(fake - real, 1.0).mean(),
        }
    }

    /// The generator's loss from logits `[n, 1]` of fake samples and, where [`Loss::compares`], of real ones. Shape `[1]`.
    ///
    /// # Panics
    /// If the loss compares and no real logits are given.
    pub fn generator(self, real: Option<Tensor<2>>, fake: Tensor<2>) -> Tensor<1> {
        match self {
            Self::Minimax => softplus(fake, 1.0).mean().neg(),
            Self::NonSaturating => softplus(fake.neg(), 1.0).mean(),
            Self::Hinge | Self::Wasserstein => fake.mean().neg(),
            Self::LeastSquares => squared(fake.sub_scalar(1.0)).mean().div_scalar(2.0),
            Self::Relativistic => softplus(real.expect("a relativistic loss compares with real logits") - fake, 1.0).mean(),
        }
    }

    /// Whether the generator's loss looks at real samples too.
    pub fn compares(self) -> bool {
        self == Self::Relativistic
    }
}

fn squared(x: Tensor<2>) -> Tensor<2> {
    x.clone() * x
}
