//! Norm-free residual networks in the manner of R3GAN.
//!
//! Huang, Gokaslan, Kuleshov and Tompkin, "The GAN is dead; long live the GAN! A Modern GAN Baseline", NeurIPS 2024, sections 3 and 4.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Condition, Frame, Head};
use crate::nn::ops::{Filter, Resampling};
use crate::nn::{Discriminator, Generator, Init, Linear, LinearConfig, ResidualBlock, ResidualBlockConfig, Tape};

/// Shape of a residual network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResidualConfig {
    /// Length of a latent.
    pub latent_dim: usize,
    /// Channels per resolution, coarsest first; each further one doubles the resolution.
    pub widths: Vec<usize>,
    /// Residual blocks per resolution.
    pub blocks: usize,
    /// Channels inside a block, as a multiple of its width.
    pub expansion: usize,
    /// Channels in a group of a block's spatial convolution; 0 for one group.
    pub group_width: usize,
    /// Filter of the changes of resolution.
    pub filter: Filter,
    /// Length of a class embedding.
    pub embedding_dim: usize,
}

impl Default for ResidualConfig {
    fn default() -> Self {
        Self {
            latent_dim: 64,
            widths: vec![96, 96, 64],
            blocks: 1,
            expansion: 2,
            group_width: 16,
            filter: Filter::Binomial,
            embedding_dim: 64,
        }
    }
}

impl ResidualConfig {
    fn block(&self, width: usize) -> ResidualBlockConfig {
        let inner = width * self.expansion;
        let groups = if self.group_width == 0 { 1 } else { (inner / self.group_width).max(1) };
        ResidualBlockConfig { channels: width, inner, groups, n_blocks: self.blocks * self.widths.len() }
    }

    fn blocks(&self, width: usize, init: &mut Init<'_>) -> Vec<ResidualBlock> {
        (0..self.blocks).map(|_| self.block(width).init(init)).collect()
    }
}

/// Latents to pictures.
#[derive(Module, Debug)]
pub struct ResidualGenerator {
    condition: Condition,
    project: Linear,
    /// Learned coarsest feature map, `[base height, base width, channels]`.
    basis: Param<Tensor<3>>,
    stages: Vec<GeneratorStage>,
    to_image: Linear,
    #[module(skip)]
    frame: Frame,
    latent_dim: usize,
}

/// A change of resolution (none before the first) and the blocks after it.
#[derive(Module, Debug)]
struct GeneratorStage {
    widen: Option<Linear>,
    #[module(skip)]
    up: Option<Resampling>,
    blocks: Vec<ResidualBlock>,
}

impl ResidualGenerator {
    /// Fresh weights.
    pub fn new(config: &ResidualConfig, frame: Frame, init: &mut Init<'_>) -> Self {
        let first = config.widths[0];
        let embedding = if frame.classes > 0 { config.embedding_dim } else { 0 };
        let condition = Condition::new(frame.classes, config.embedding_dim, init);
        let project = LinearConfig::new(config.latent_dim + embedding, first).init(init);
        let basis = init.normal([frame.base[0], frame.base[1], first], 1.0);
        let mut stages = Vec::new();
        let mut before = first;
        for (i, &width) in config.widths.iter().enumerate() {
            let image = frame.base.map(|e| e << i.saturating_sub(1));
            stages.push(GeneratorStage {
                widen: (width != before).then(|| LinearConfig::new(before, width).without_bias().init(init)),
                up: (i > 0).then(|| Resampling::up(image, config.filter, init.device)),
                blocks: config.blocks(width, init),
            });
            before = width;
        }
        let to_image = LinearConfig::new(before, frame.channels).without_bias().init(init);
        Self { condition, project, basis, stages, to_image, frame, latent_dim: config.latent_dim }
    }
}

impl Generator<4> for ResidualGenerator {
    fn latent_dim(&self) -> usize {
        self.latent_dim
    }

    fn forward(&self, latents: Tensor<2>, classes: Option<Tensor<2>>) -> Tensor<4> {
        let n = latents.dims()[0];
        let scale = self.project.forward(self.condition.forward(latents, classes));
        let c = scale.dims()[1];
        let mut x = self.basis.val().unsqueeze::<4>() * scale.reshape([n, 1, 1, c]);
        let mut off = Tape::off();
        for stage in &self.stages {
            if let Some(widen) = &stage.widen {
                x = widen.forward_image(x);
            }
            if let Some(up) = &stage.up {
                x = up.forward(x);
            }
            for block in &stage.blocks {
                x = block.forward(x, &mut off);
            }
        }
        self.to_image.forward_image(x)
    }
}

/// Pictures to logits.
#[derive(Module, Debug)]
pub struct ResidualDiscriminator {
    from_image: Linear,
    stages: Vec<DiscriminatorStage>,
    /// Weights of the last feature map's pixels, `[base height, base width, channels]`: a depthwise convolution as large as the map.
    basis: Param<Tensor<3>>,
    head: Head,
    #[module(skip)]
    frame: Frame,
}

/// Blocks and the change of resolution after them (none after the last).
#[derive(Module, Debug)]
struct DiscriminatorStage {
    blocks: Vec<ResidualBlock>,
    #[module(skip)]
    down: Option<Resampling>,
    widen: Option<Linear>,
}

impl ResidualDiscriminator {
    /// Fresh weights; the widths are used from the finest resolution to the coarsest.
    pub fn new(config: &ResidualConfig, frame: Frame, init: &mut Init<'_>) -> Self {
        let last = config.widths.len() - 1;
        let from_image = LinearConfig::new(frame.channels, config.widths[last]).init(init);
        let mut stages = Vec::new();
        for i in (0..=last).rev() {
            let (width, image) = (config.widths[i], frame.base.map(|e| e << i));
            let next = if i > 0 { config.widths[i - 1] } else { width };
            stages.push(DiscriminatorStage {
                blocks: config.blocks(width, init),
                down: (i > 0).then(|| Resampling::down(image, config.filter, init.device)),
                widen: (next != width).then(|| LinearConfig::new(width, next).without_bias().init(init)),
            });
        }
        let pixels = (frame.base[0] * frame.base[1]) as f64;
        let basis = init.normal([frame.base[0], frame.base[1], config.widths[0]], pixels.sqrt().recip());
        let head = Head::new(config.widths[0], frame.classes, config.embedding_dim, init);
        Self { from_image, stages, basis, head, frame }
    }
}

impl Discriminator<4> for ResidualDiscriminator {
    const COUPLED: bool = false;

    fn forward(&self, x: Tensor<4>, classes: Option<Tensor<2>>, tape: &mut Tape) -> Tensor<2> {
        let mut x = self.from_image.forward_image(x);
        for stage in &self.stages {
            for block in &stage.blocks {
                x = block.forward(x, tape);
            }
            if let Some(down) = &stage.down {
                x = down.forward(x);
            }
            if let Some(widen) = &stage.widen {
                x = widen.forward_image(x);
            }
        }
        let [n, h, w, c] = x.dims();
        let x = (x * self.basis.val().unsqueeze::<4>()).reshape([n, h * w, c]).sum_dim(1).reshape([n, c]);
        self.head.forward(x, classes, tape)
    }

    fn input_gradient(&self, n: usize, mut tape: Tape) -> Tensor<4> {
        let g = self.head.transposed(n, &mut tape);
        let c = g.dims()[1];
        let mut g = g.reshape([n, 1, 1, c]) * self.basis.val().unsqueeze::<4>();
        for stage in self.stages.iter().rev() {
            if let Some(widen) = &stage.widen {
                g = widen.transposed_image(g);
            }
            if let Some(down) = &stage.down {
                g = down.transposed(g);
            }
            for block in stage.blocks.iter().rev() {
                g = block.transposed(g, &mut tape);
            }
        }
        self.from_image.transposed_image(g)
    }
}
