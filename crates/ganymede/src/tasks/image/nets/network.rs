//! Which networks, how large (section `[network]` of a configuration).

use serde::{Deserialize, Serialize};

use super::Frame;
use crate::error::{Error, Result};
use crate::nn::ops::Filter;

/// A pair of networks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// Norm-free residual networks as in R3GAN.
    #[default]
    Residual,
    /// Strided convolutions with batch normalisation, as in DCGAN.
    Dcgan,
    /// Fully connected.
    Mlp,
}

/// Shape of both networks. What an architecture has no use for is ignored by it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Kind of network.
    pub architecture: Architecture,
    /// Length of a latent.
    pub latent_dim: usize,
    /// Channels of the coarsest feature map; units of a hidden layer of `mlp`.
    pub width: usize,
    /// `residual`: resolutions (shorter side, in pixels) above this one have half the channels at each doubling. `dcgan` halves from the coarsest on.
    pub full_width_until: usize,
    /// `residual`: residual blocks at each resolution. `mlp`: hidden layers.
    pub blocks: usize,
    /// `residual`: channels inside a block, as a multiple of its width.
    pub expansion: usize,
    /// `residual`: channels in a group of a block's spatial convolution; 0 for one group.
    pub group_width: usize,
    /// `residual`: filter of the changes of resolution.
    pub filter: Filter,
    /// Length of a class embedding.
    pub embedding_dim: usize,
    /// `residual`: whether the generator adds to its coarsest feature map a map of what is asked, a learned one for each value.
    pub condition_map: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            architecture: Architecture::Residual,
            latent_dim: 64,
            width: 64,
            full_width_until: 32,
            blocks: 1,
            expansion: 2,
            group_width: 16,
            filter: Filter::Binomial,
            embedding_dim: 64,
            condition_map: false,
        }
    }
}

impl Network {
    /// Shorter side that the coarsest feature map must keep.
    pub const COARSEST: usize = 4;

    /// Checks every number, also of a network described in somebody else's model folder.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key.
    pub fn validate(&self) -> Result<()> {
        let limits = [
            ("network.latent_dim", self.latent_dim, 1, 4096),
            ("network.width", self.width, 1, 4096),
            ("network.full_width_until", self.full_width_until, 1, 4096),
            ("network.blocks", self.blocks, 1, 16),
            ("network.expansion", self.expansion, 1, 8),
            ("network.group_width", self.group_width, 0, 4096),
            ("network.embedding_dim", self.embedding_dim, 1, 4096),
        ];
        for (key, value, low, high) in limits {
            if !(low..=high).contains(&value) {
                return Err(Error::config(key, format!("{value} is out of range"), format!("give a number from {low} to {high}")));
            }
        }
        Ok(())
    }

    /// Channels at each resolution, coarsest first: `doublings + 1` of them for `residual`, `doublings` for `dcgan`.
    pub fn widths(&self, base: usize, doublings: usize) -> Vec<usize> {
        match self.architecture {
            Architecture::Residual => (0..=doublings)
                .map(|i| {
                    let halvings = ((base << i) / self.full_width_until.max(1)).max(1).ilog2();
                    self.round(self.width >> halvings)
                })
                .collect(),
            Architecture::Dcgan => (0..doublings.max(1)).map(|i| (self.width >> i).max(8)).collect(),
            Architecture::Mlp => vec![self.width; self.blocks],
        }
    }

    /// Channels inside a residual block, and the groups of its spatial convolution.
    pub fn inner(&self, width: usize) -> (usize, usize) {
        let inner = width * self.expansion;
        (inner, inner.checked_div(self.group_width).unwrap_or(1).max(1))
    }

    /// Multiplications of one network (both are about as large) for one sample, once forward.
    pub fn n_products(&self, frame: &Frame) -> f64 {
        let pixels = |i: usize| ((frame.base[0] << i) * (frame.base[1] << i)) as f64;
        let widths = self.widths(frame.base[0].min(frame.base[1]), frame.doublings);
        match self.architecture {
            Architecture::Residual => {
                let block = |width: usize| {
                    let (inner, groups) = self.inner(width);
                    (2 * width * inner + 9 * inner * inner / groups) as f64
                };
                widths.iter().enumerate().map(|(i, &width)| pixels(i) * block(width) * self.blocks as f64).sum()
            }
            Architecture::Dcgan => {
                let finer = widths.iter().skip(1).copied().chain([frame.channels]);
                widths.iter().zip(finer).enumerate().map(|(i, (&coarse, fine))| pixels(i) * (16 * coarse * fine) as f64).sum()
            }
            Architecture::Mlp => {
                let outer = frame.image[0] * frame.image[1] * frame.channels;
                (self.width * (self.latent_dim + outer + self.width * (self.blocks - 1))) as f64
            }
        }
    }

    /// Weights that a generator of this shape has at least: everything but biases, normalisation and changes of width.
    pub fn least_weights(&self, frame: &Frame) -> u64 {
        let wide = |n: usize| n as u64;
        let widths: Vec<u64> = self.widths(frame.base[0].min(frame.base[1]), frame.doublings).into_iter().map(wide).collect();
        let embedding = if frame.condition > 0 { wide(self.embedding_dim) } else { 0 };
        let inputs = wide(self.latent_dim) + embedding;
        let area = |[h, w]: [usize; 2]| wide(h) * wide(w);
        let first = widths.first().copied().unwrap_or(0);
        let layers = match self.architecture {
            Architecture::Residual => {
                let block = |width: u64| {
                    let (inner, groups) = self.inner(width as usize);
                    2 * width * wide(inner) + 9 * wide(inner) * wide(inner / groups)
                };
                let placed = if self.condition_map { wide(frame.condition) * area(frame.base) * first } else { 0 };
                placed + (inputs + area(frame.base)) * first + widths.iter().map(|w| wide(self.blocks) * block(*w)).sum::<u64>()
            }
            Architecture::Dcgan => {
                let strided = widths.windows(2).map(|pair| 16 * pair[0] * pair[1]).sum::<u64>();
                inputs * area(frame.base) * first + strided
            }
            Architecture::Mlp => {
                let hidden = (wide(self.blocks) - 1) * first * first;
                inputs * first + hidden + first * area(frame.image) * wide(frame.channels)
            }
        };
        wide(frame.condition) * embedding + layers
    }

    /// Weights of a discriminator's auxiliary classifier, without biases.
    pub fn auxiliary_weights(&self, frame: &Frame) -> u64 {
        let first = self.widths(frame.base[0].min(frame.base[1]), frame.doublings).first().copied().unwrap_or(0);
        let area = match self.architecture {
            Architecture::Residual | Architecture::Dcgan => frame.base[0] as u64 * frame.base[1] as u64,
            Architecture::Mlp => 1,
        };
        frame.condition as u64 * area * first as u64
    }

    /// The nearest width, at least one group, whose inner channels are whole groups.
    fn round(&self, width: usize) -> usize {
        let unit = (self.group_width / gcd(self.group_width, self.expansion)).max(1);
        width.next_multiple_of(unit).max(unit)
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Init, n_params};
    use crate::random;
    use crate::tasks::image::nets::{
        DcganDiscriminator, DcganGenerator, MlpDiscriminator, MlpGenerator, ResidualDiscriminator, ResidualGenerator,
    };
    use burn::tensor::Device;

    #[test]
    fn published_widths_come_out_of_the_rule() {
        // R3GAN's FFHQ-256: 768 channels at 4 to 32 pixels, then 384, 192, 96.
        let network = Network { width: 768, ..Network::default() };
        assert_eq!(network.widths(4, 6), [768, 768, 768, 768, 384, 192, 96]);
    }

    #[test]
    fn widths_are_whole_groups() {
        let network = Network { width: 100, full_width_until: 4, group_width: 16, expansion: 2, ..Network::default() };
        for width in network.widths(4, 5) {
            let (inner, groups) = network.inner(width);
            assert_eq!(inner, groups * 16, "width {width}");
        }
    }

    #[test]
    fn frames_are_at_least_as_large_as_the_picture() {
        let frame = |size| Frame::around(size, Network::COARSEST, 3, 0);
        assert_eq!((frame([28, 28]).base, frame([28, 28]).image, frame([28, 28]).doublings), ([7, 7], [28, 28], 2));
        assert_eq!((frame([16, 16]).base, frame([100, 60]).image), ([4, 4], [104, 64]));
        assert_eq!((frame([3, 50]).doublings, frame([3, 50]).image), (0, [3, 50]));
    }

    #[test]
    fn the_least_number_of_weights_is_just_below_the_real_one() {
        let mut rng = random::stream(0, "init", 0);
        let mut init = Init { rng: &mut rng, device: &Device::flex() };
        for (size, condition) in [([16, 16], 0), ([12, 20], 3), ([33, 40], 10)] {
            let frame = Frame::around(size, Network::COARSEST, 3, condition);
            for architecture in [Architecture::Residual, Architecture::Dcgan, Architecture::Mlp] {
                let network = Network {
                    architecture,
                    width: 48,
                    full_width_until: 8,
                    blocks: 2,
                    condition_map: condition == 3,
                    ..Network::default()
                };
                let n = match architecture {
                    Architecture::Residual => n_params(&ResidualGenerator::new(&network, frame, &mut init)),
                    Architecture::Dcgan => n_params(&DcganGenerator::new(&network, frame, &mut init)),
                    Architecture::Mlp => n_params(&MlpGenerator::new(&network, frame, &mut init)),
                } as u64;
                let least = network.least_weights(&frame);
                assert!(least <= n && least * 10 > n * 8, "{architecture:?} of {size:?}: {least} of {n}");
                let discriminator = |frame: Frame, init: &mut Init<'_>| match architecture {
                    Architecture::Residual => n_params(&ResidualDiscriminator::new(&network, frame, init)),
                    Architecture::Dcgan => n_params(&DcganDiscriminator::new(&network, frame, init)),
                    Architecture::Mlp => n_params(&MlpDiscriminator::new(&network, frame, init)),
                } as u64;
                // One condition more is a row of the embedding, one of the classifier and its bias more.
                if condition > 0 {
                    let [one, more] = [frame, Frame { condition: condition + 1, ..frame }].map(|frame| discriminator(frame, &mut init));
                    let row = network.auxiliary_weights(&frame) / condition as u64;
                    assert_eq!(more - one, network.embedding_dim as u64 + row + 1, "{architecture:?} of {size:?}");
                }
            }
        }
    }
}
