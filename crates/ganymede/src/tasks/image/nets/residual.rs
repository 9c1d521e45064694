//! Norm-free residual networks in the manner of R3GAN.
//!
//! Huang, Gokaslan, Kuleshov and Tompkin, "The GAN is dead; long live the GAN! A Modern GAN Baseline", NeurIPS 2024, sections 3 and 4.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{Condition, Frame, Head, Network, Pooling};
use crate::nn::ops::Resampling;
use crate::nn::{Discriminator, Generator, Init, Linear, LinearConfig, ResidualBlock, ResidualBlockConfig, Tape};

fn blocks(network: &Network, frame: &Frame, width: usize, init: &mut Init<'_>) -> Vec<ResidualBlock> {
    let (inner, groups) = network.inner(width);
    let block = ResidualBlockConfig { channels: width, inner, groups, n_blocks: network.blocks * (frame.doublings + 1) };
    (0..network.blocks).map(|_| block.init(init)).collect()
}

fn widths(network: &Network, frame: &Frame) -> Vec<usize> {
    network.widths(frame.base[0].min(frame.base[1]), frame.doublings)
}

/// Latents to pictures.
#[derive(Module, Debug)]
pub struct ResidualGenerator {
    condition: Condition,
    project: Linear,
    /// Learned coarsest feature map, `[base height, base width, channels]`.
    basis: Param<Tensor<3>>,
    /// What a condition adds to it, `[condition, base height * base width * channels]`.
    placed: Option<Linear>,
    stages: Vec<GeneratorStage>,
    to_image: Linear,
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
    pub fn new(config: &Network, frame: Frame, init: &mut Init<'_>) -> Self {
        let widths = widths(config, &frame);
        let first = widths[0];
        let embedding = if frame.condition > 0 { config.embedding_dim } else { 0 };
        let condition = Condition::new(frame.condition, config.embedding_dim, init);
        let project = LinearConfig::new(config.latent_dim + embedding, first).init(init);
        let basis = init.normal([frame.base[0], frame.base[1], first], 1.0);
        let mut stages = Vec::new();
        let mut before = first;
        for (i, &width) in widths.iter().enumerate() {
            let image = frame.base.map(|e| e << i.saturating_sub(1));
            stages.push(GeneratorStage {
                widen: (width != before).then(|| LinearConfig::new(before, width).without_bias().init(init)),
                up: (i > 0).then(|| Resampling::up(image, config.filter, init.device)),
                blocks: blocks(config, &frame, width, init),
            });
            before = width;
        }
        let to_image = LinearConfig::new(before, frame.channels).without_bias().init(init);
        let placed = (config.condition_map && frame.condition > 0).then(|| {
            let map = frame.base[0] * frame.base[1] * first;
            LinearConfig::new(frame.condition, map).with_gain(0.0).without_bias().init(init)
        });
        Self { condition, project, basis, placed, stages, to_image, latent_dim: config.latent_dim }
    }

    /// Weights of the layer that latents go through first, `[latent_dim, outputs]`.
    pub fn first_weights(&self) -> Tensor<2> {
        self.project.weight.val().narrow(0, 0, self.latent_dim)
    }
}

impl Generator<4> for ResidualGenerator {
    fn latent_dim(&self) -> usize {
        self.latent_dim
    }

    fn forward(&self, latents: Tensor<2>, condition: Option<Tensor<2>>) -> Tensor<4> {
        let n = latents.dims()[0];
        let scale = self.project.forward(self.condition.forward(latents.clone(), condition.clone()));
        let [h, w, c] = self.basis.val().dims();
        let mut x = self.basis.val().unsqueeze::<4>() * scale.reshape([n, 1, 1, c]);
        if let (Some(placed), Some(condition)) = (&self.placed, condition) {
            x = x + placed.forward(super::same_graph(condition, &latents)).reshape([n, h, w, c]);
        }
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
    pub fn new(config: &Network, frame: Frame, init: &mut Init<'_>) -> Self {
        let widths = widths(config, &frame);
        let last = widths.len() - 1;
        let from_image = LinearConfig::new(frame.channels, widths[last]).init(init);
        let mut stages = Vec::new();
        for i in (0..=last).rev() {
            let (width, image) = (widths[i], frame.base.map(|e| e << i));
            let next = if i > 0 { widths[i - 1] } else { width };
            stages.push(DiscriminatorStage {
                blocks: blocks(config, &frame, width, init),
                down: (i > 0).then(|| Resampling::down(image, config.filter, init.device)),
                widen: (next != width).then(|| LinearConfig::new(width, next).without_bias().init(init)),
            });
        }
        let pixels = (frame.base[0] * frame.base[1]) as f64;
        let basis = init.normal([frame.base[0], frame.base[1], widths[0]], pixels.sqrt().recip());
        let map = frame.base[0] * frame.base[1] * widths[0];
        let head = Head::new(widths[0], map, (frame.condition, config.embedding_dim), init);
        Self { from_image, stages, basis, head }
    }
}

impl ResidualDiscriminator {
    /// What the last block of each stage finds in pictures, pooled, `[n, numbers]`; the finest first. It is taken inside the block, after its nonlinearities: what blocks add is little, and
    /// their sums are nearly linear in the pixels.
    pub fn stages(&self, x: Tensor<4>, pooling: Pooling) -> Vec<Tensor<2>> {
        let mut x = self.from_image.forward_image(x);
        let mut found = Vec::with_capacity(self.stages.len());
        let mut off = Tape::off();
        for stage in &self.stages {
            for (i, block) in stage.blocks.iter().enumerate() {
                if i + 1 == stage.blocks.len() {
                    found.push(pooling.of(block.inner(x.clone(), &mut off)));
                }
                x = block.forward(x, &mut off);
            }
            x = stage.down.iter().fold(x, |x, down| down.forward(x));
            x = stage.widen.iter().fold(x, |x, widen| widen.forward_image(x));
        }
        found
    }

    /// The last feature map.
    fn map(&self, x: Tensor<4>, tape: &mut Tape) -> Tensor<4> {
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
        x
    }

    /// What the head is given, `[n, channels]`.
    fn features(&self, x: Tensor<4>) -> Tensor<2> {
        let [n, h, w, c] = x.dims();
        (x * self.basis.val().unsqueeze::<4>()).reshape([n, h * w, c]).sum_dim(1).reshape([n, c])
    }
}

impl Discriminator<4> for ResidualDiscriminator {
    const COUPLED: bool = false;
    const CLASSIFIES: bool = true;

    fn forward(&self, x: Tensor<4>, condition: Option<Tensor<2>>, tape: &mut Tape) -> Tensor<2> {
        self.head.forward(self.features(self.map(x, tape)), condition, tape)
    }

    fn forward_classified(&self, x: Tensor<4>, condition: Option<Tensor<2>>, tape: &mut Tape) -> (Tensor<2>, Option<Tensor<2>>) {
        let map = self.map(x, tape);
        let [n, h, w, c] = map.dims();
        let told = self.head.classified(map.clone().reshape([n, h * w * c]));
        (self.head.forward(self.features(map), condition, tape), told)
    }

    fn frozen(mut self, stages: usize) -> Option<Self> {
        if stages > 0 {
            self.from_image = self.from_image.no_grad();
        }
        self.stages = self.stages.into_iter().enumerate().map(|(i, stage)| if i < stages { stage.no_grad() } else { stage }).collect();
        Some(self)
    }

    fn input_gradient(&self, n: usize, mut tape: Tape) -> Tensor<4> {
        let g = self.head.transposed(n, &mut tape);
        let c = g.dims()[1];
        let mut g = g.reshape([n, 1, 1, c]) * self.basis.val().unsqueeze::<4>();
        if let Some(seen) = self.head.classified_transposed(&mut tape) {
            g = g.clone() + seen.reshape(g.dims());
        }
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
