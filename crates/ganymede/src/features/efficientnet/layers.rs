//! Convolutions with batch normalisation folded in, and the blocks that they make.

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use super::weights::Weights;
use crate::error::Result;
use crate::nn::ops::{ConvGeometry, conv2d_act, linear_act};

/// Added to variances by batch normalisation.
const EPSILON: f64 = 1e-3;
/// Upper end of ReLU6.
const SIX: f32 = 6.0;

/// A square kernel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernel {
    pub size: usize,
    pub stride: usize,
}

impl Kernel {
    /// Output extent along a side, and the zeros before and in all around it: as many as make the output `extent / stride`, rounded up, the odd one at the end.
    fn along(self, extent: usize) -> Span {
        let outputs = extent.div_ceil(self.stride);
        let zeros = ((outputs - 1) * self.stride + self.size).saturating_sub(extent);
        Span { outputs, before: zeros / 2, padded: extent + zeros }
    }
}

/// One side of a padded picture.
struct Span {
    outputs: usize,
    before: usize,
    padded: usize,
}

/// Weights `[kernel, kernel, inputs / groups, outputs]` and bias `[outputs]` of a convolution and the batch normalisation after it.
struct Folded {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// Takes both from the file, where weights are `[outputs, inputs, kernel, kernel]`; `inputs` are those of a group.
fn fold(weights: &mut Weights, [conv, norm]: [&str; 2], [outputs, inputs, kernel]: [usize; 3]) -> Result<Folded> {
    let weight = weights.take(&format!("{conv}.weight"), &[outputs, inputs, kernel, kernel])?;
    let [gamma, beta, mean] = ["weight", "bias", "running_mean"].map(|part| weights.take(&format!("{norm}.{part}"), &[outputs]));
    let (gamma, beta, mean) = (gamma?, beta?, mean?);
    let variance = weights.take_variances(&format!("{norm}.running_var"), outputs)?;
    let scale: Vec<f64> = gamma.iter().zip(&variance).map(|(g, v)| f64::from(*g) / (f64::from(*v) + EPSILON).sqrt()).collect();
    let bias: Vec<f32> = (0..outputs).map(|o| (f64::from(beta[o]) - f64::from(mean[o]) * scale[o]) as f32).collect();
    let taps = kernel * kernel;
    let mut folded = Vec::with_capacity(weight.len());
    for tap in 0..taps {
        for input in 0..inputs {
            folded.extend((0..outputs).map(|o| (f64::from(weight[(o * inputs + input) * taps + tap]) * scale[o]) as f32));
        }
    }
    // Finite numbers may still have a product that is not.
    if folded.iter().chain(&bias).any(|v| !v.is_finite()) {
        return Err(weights.damaged(format!("tensors \"{conv}.weight\" and \"{norm}\" make values that are not finite numbers")));
    }
    Ok(Folded { weight: folded, bias })
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// `x` with zeros around it.
fn padded(x: Tensor<4>, [down, across]: [&Span; 2]) -> Tensor<4> {
    let [n, h, w, c] = x.dims();
    if [down.padded, across.padded] == [h, w] {
        return x;
    }
    let (top, left) = (down.before, across.before);
    let around = Tensor::zeros([n, down.padded, across.padded, c], &x.device());
    around.slice_assign([0..n, top..top + h, left..left + w, 0..c], x)
}

/// The first layer: a convolution of stride 2 from three channels, with ReLU6.
#[derive(Debug)]
pub(super) struct Stem {
    /// `[3, 3, 3, outputs]`.
    weight: Tensor<4>,
    bias: Tensor<1>,
}

impl Stem {
    const KERNEL: Kernel = Kernel { size: 3, stride: 2 };

    pub fn load(weights: &mut Weights, outputs: usize, device: &Device) -> Result<Self> {
        let Folded { weight, bias } = fold(weights, ["_conv_stem", "_bn0"], [outputs, 3, 3])?;
        Ok(Self { weight: tensor(weight, [3, 3, 3, outputs], device), bias: tensor(bias, [outputs], device) })
    }

    /// `[n, h, w, 3]` to `[n, h / 2, w / 2, outputs]`, rounded up.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        convolved(x, self.weight.clone(), self.bias.clone(), Self::KERNEL, 1)
    }
}

/// A padded convolution with ReLU6. `weight` `[kernel, kernel, inputs / groups, outputs]`.
fn convolved(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, kernel: Kernel, groups: usize) -> Tensor<4> {
    let [_, h, w, _] = x.dims();
    let x = padded(x, [&kernel.along(h), &kernel.along(w)]);
    let [_, h, w, _] = x.dims();
    let geometry = ConvGeometry { image: [h, w], kernel: [kernel.size; 2], stride: [kernel.stride; 2], padding: [0, 0], groups };
    conv2d_act(x, weight, bias, 0.0, geometry).clamp_max(SIX)
}

/// A convolution of one pixel.
#[derive(Debug)]
pub(super) struct Pointwise {
    /// `[inputs, outputs]`.
    weight: Tensor<2>,
    bias: Tensor<1>,
    /// Whether ReLU6 follows.
    bounded: bool,
}

impl Pointwise {
    pub fn load(weights: &mut Weights, names: [&str; 2], [inputs, outputs]: [usize; 2], bounded: bool, device: &Device) -> Result<Self> {
        let Folded { weight, bias } = fold(weights, names, [outputs, inputs, 1])?;
        Ok(Self { weight: tensor(weight, [inputs, outputs], device), bias: tensor(bias, [outputs], device), bounded })
    }

    /// `[n, h, w, inputs]` to `[n, h, w, outputs]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [n, h, w, c] = x.dims();
        let slope = if self.bounded { 0.0 } else { 1.0 };
        let y = linear_act(x.reshape([n * h * w, c]), self.weight.clone(), self.bias.clone(), slope);
        let y = if self.bounded { y.clamp_max(SIX) } else { y };
        let [_, outputs] = y.dims();
        y.reshape([n, h, w, outputs])
    }
}

/// A convolution of each channel by itself, with ReLU6.
#[derive(Debug)]
pub(super) struct Depthwise {
    kernel: Kernel,
    /// `[kernel, kernel, 1, channels]` and `[channels]`.
    on_device: (Tensor<4>, Tensor<1>),
    /// The same in host memory.
    on_host: Folded,
}

impl std::fmt::Debug for Folded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} weights, {} channels", self.weight.len(), self.bias.len())
    }
}

impl Depthwise {
    fn load(weights: &mut Weights, names: [&str; 2], channels: usize, kernel: Kernel, device: &Device) -> Result<Self> {
        Ok(Self::new(fold(weights, names, [channels, 1, kernel.size])?, kernel, device))
    }

    fn new(on_host: Folded, kernel: Kernel, device: &Device) -> Self {
        let channels = on_host.bias.len();
        let weight = tensor(on_host.weight.clone(), [kernel.size, kernel.size, 1, channels], device);
        let bias = tensor(on_host.bias.clone(), [channels], device);
        Self { kernel, on_device: (weight, bias), on_host }
    }

    /// `[n, h, w, c]` to `[n, h / stride, w / stride, c]`, rounded up.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        // The CPU's kernels for convolutions fill vectors with the channels of a group, of which there is one here: a layer would take as long as the whole network does so.
        if x.device() == Device::flex() { self.by_rows(x) } else { self.by_groups(x) }
    }

    fn by_groups(&self, x: Tensor<4>) -> Tensor<4> {
        let (weight, bias) = self.on_device.clone();
        convolved(x, weight, bias, self.kernel, self.on_host.bias.len())
    }

    /// Row by row of the output, all channels of a pixel together.
    fn by_rows(&self, x: Tensor<4>) -> Tensor<4> {
        let ([n, h, w, c], device) = (x.dims(), x.device());
        let (down, across) = (self.kernel.along(h), self.kernel.along(w));
        let x = x.into_data().convert::<f32>();
        let x = x.as_slice::<f32>().expect("the data was just converted to f32");
        let mut y = vec![0.0; n * down.outputs * across.outputs * c];
        y.par_chunks_exact_mut(across.outputs * c).enumerate().for_each(|(row, to)| {
            let (picture, row) = (&x[row / down.outputs * h * w * c..][..h * w * c], row % down.outputs);
            for (column, to) in to.chunks_exact_mut(c).enumerate() {
                to.copy_from_slice(&self.on_host.bias);
                for (source, taps) in self.met([row, column], [&down, &across], [h, w]) {
                    let (from, taps) = (&picture[source * c..][..c], &self.on_host.weight[taps * c..][..c]);
                    to.iter_mut().zip(from).zip(taps).for_each(|((to, from), tap)| *to += from * tap);
                }
                to.iter_mut().for_each(|v| *v = v.clamp(0.0, SIX));
            }
        });
        tensor(y, [n, down.outputs, across.outputs, c], &device)
    }

    /// Pixels of the picture under the kernel at an output's place, each with the number of its weights.
    fn met(
        &self,
        [row, column]: [usize; 2],
        [down, across]: [&Span; 2],
        [h, w]: [usize; 2],
    ) -> impl Iterator<Item = (usize, usize)> + use<> {
        let Kernel { size, stride } = self.kernel;
        // Positions in the padded picture.
        let (top, left, before) = (row * stride, column * stride, [down.before, across.before]);
        let within =
            |first: usize, before: usize, extent: usize| before.saturating_sub(first)..size.min((extent + before).saturating_sub(first));
        let columns = within(left, before[1], w);
        within(top, before[0], h).flat_map(move |ky| {
            let line = (top + ky - before[0]) * w;
            columns.clone().map(move |kx| (line + left + kx - before[1], ky * size + kx))
        })
    }
}

/// An inverted residual block (Sandler et al., "MobileNetV2", CVPR 2018).
#[derive(Debug)]
pub(super) struct Block {
    /// Absent where the channels inside are those that enter.
    expand: Option<Pointwise>,
    depthwise: Depthwise,
    project: Pointwise,
    /// Whether the input is added.
    skips: bool,
}

impl Block {
    /// Block number `idx`, with these channels entering, inside and leaving.
    pub fn load(weights: &mut Weights, idx: usize, [inputs, inside, outputs]: [usize; 3], kernel: Kernel, device: &Device) -> Result<Self> {
        let name = |part: &str| format!("_blocks.{idx}.{part}");
        let mut pointwise = |[conv, norm]: [&str; 2], extents: [usize; 2], bounded: bool| {
            Pointwise::load(weights, [&name(conv), &name(norm)], extents, bounded, device)
        };
        let expand = (inside != inputs).then(|| pointwise(["_expand_conv", "_bn0"], [inputs, inside], true)).transpose()?;
        let project = pointwise(["_project_conv", "_bn2"], [inside, outputs], false)?;
        let depthwise = Depthwise::load(weights, [&name("_depthwise_conv"), &name("_bn1")], inside, kernel, device)?;
        Ok(Self { expand, depthwise, project, skips: kernel.stride == 1 && inputs == outputs })
    }

    /// `[n, h, w, inputs]` to `[n, h / stride, w / stride, outputs]`, rounded up.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let before = self.skips.then(|| x.clone());
        let x = self.expand.as_ref().map_or(x.clone(), |expand| expand.forward(x));
        let y = self.project.forward(self.depthwise.forward(x));
        match before {
            Some(x) => y + x,
            None => y,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tolerance;

    use super::*;

    #[test]
    fn zeros_are_those_of_same_padding() {
        // Even sides under stride 2 have the odd zero at the end; odd sides have as many on both.
        for (size, stride, extent, expected) in [
            (3, 2, 224, [112, 0, 1]),
            (5, 2, 56, [28, 1, 3]),
            (3, 2, 75, [38, 1, 2]),
            (5, 1, 7, [7, 2, 4]),
            (3, 1, 1, [1, 1, 2]),
            (1, 2, 2, [1, 0, 0]),
        ] {
            let Span { outputs, before, padded } = Kernel { size, stride }.along(extent);
            assert_eq!([outputs, before, padded.saturating_sub(extent)], expected, "{size} {stride} {extent}");
        }
    }

    #[test]
    fn a_depthwise_convolution_is_one_with_as_many_groups_as_channels() {
        let device = Device::flex();
        let wave = |n: usize, phase: f32| (0..n).map(|i| (1.7 * i as f32 + phase).sin()).collect::<Vec<f32>>();
        for (size, stride, [h, w]) in [(3, 1, [6, 5]), (3, 2, [6, 5]), (5, 2, [7, 8]), (5, 1, [2, 1]), (3, 2, [1, 1])] {
            let folded = Folded { weight: wave(size * size * 16, 0.4), bias: wave(16, 1.0) };
            let layer = Depthwise::new(folded, Kernel { size, stride }, &device);
            let x = tensor(wave(3 * h * w * 16, 2.2), [3, h, w, 16], &device) * 3.0;
            let expected = layer.by_groups(x.clone()).into_data();
            layer.by_rows(x).into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
        }
    }
}
