//! CPU kernels behind the extension: `ganymede-kernels` for 32-bit floats; for 64-bit floats (gradient checks) matrix products, of convolutions over
//! patches, chunk by chunk so that the patches stay in the cache.
//!
//! Chunks are cut by shape alone, never by the number of threads, and partial sums are added in chunk order: the result does not depend on
//! how many threads there are.

use std::ops::AddAssign;

use burn::backend::ops::FloatTensorOps;
use burn::backend::{DType, Flex};
use burn::tensor::{Bytes, Element, Shape};
use burn_flex::{FlexTensor, Layout};
use ganymede_kernels::{self as kernels, Conv, Statistics};
use rayon::prelude::*;

use super::conv::ConvGeometry;
use super::resample::Axes;
use super::{AdamStep, LinearMap, NormSettings};

/// Values of a patch matrix that one chunk may hold: about 1 MiB of 32-bit floats.
const CHUNK_VALUES: usize = 1 << 18;
trait Real: Element + bytemuck::Pod + Default + AddAssign + Send + Sync {}
impl Real for f32 {}
impl Real for f64 {}

/// See [`super::gate`].
pub fn gate(g: FlexTensor, m: FlexTensor, slope: f32) -> FlexTensor {
    let (g, m) = (contiguous(g), contiguous(m));
    if g.dtype() == DType::F64 {
        let shape = g.layout().shape().clone();
        let pick = |(g, m): (&f64, &f64)| if *m < 0.0 { g * f64::from(slope) } else { *g };
        return tensor(values::<f64>(&g).iter().zip(values::<f64>(&m)).map(pick).collect(), shape);
    }
    let mut g = g;
    kernels::gate(g.storage_mut::<f32>(), values(&m), slope);
    g
}

/// See [`super::bias_act`].
pub fn bias_act(x: FlexTensor, bias: FlexTensor, slope: f32) -> FlexTensor {
    let (x, bias) = (contiguous(x), contiguous(bias));
    if x.dtype() == DType::F64 {
        let shape = x.layout().shape().clone();
        let biases = values::<f64>(&bias);
        let sum = values::<f64>(&x).iter().enumerate().map(|(i, x)| x + biases[i % biases.len()]);
        return tensor(sum.map(|v| if v < 0.0 { v * f64::from(slope) } else { v }).collect(), shape);
    }
    let mut x = x;
    kernels::bias_act(x.storage_mut::<f32>(), kernels::BiasAct { bias: values(&bias), slope });
    x
}

/// Gradients of [`bias_act`] in its input, shaped as `g [..., c]`, and in the bias, `[c]`.
pub fn bias_act_backward(g: FlexTensor, y: FlexTensor, slope: f32) -> (FlexTensor, FlexTensor) {
    let (g, y) = (contiguous(g), contiguous(y));
    let channels = g.layout().shape().last().copied().unwrap_or(1);
    if g.dtype() == DType::F64 {
        let dx = gate(g, y, slope);
        let mut db = vec![0.0f64; channels];
        values::<f64>(&dx).iter().enumerate().for_each(|(i, d)| db[i % channels] += d);
        return (dx, tensor(db, Shape::from(vec![channels])));
    }
    let (mut g, mut db) = (g, vec![0.0f32; channels]);
    kernels::bias_act_backward(g.storage_mut::<f32>(), values(&y), slope, &mut db);
    (g, tensor(db, Shape::from(vec![channels])))
}

/// See [`super::extension::GanOps::norm_act`].
pub fn norm_act(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, settings: NormSettings) -> (FlexTensor, FlexTensor) {
    let [x, gamma, beta] = [x, gamma, beta].map(contiguous);
    let (y, statistics) = kernels::norm_act(values(&x), norm(&gamma, &beta, settings));
    let Statistics { mut mean, variance } = statistics;
    let channels = mean.len();
    mean.extend(variance);
    (tensor(y, x.layout().shape().clone()), tensor(mean, Shape::from(vec![2, channels])))
}

/// See [`super::extension::GanOps::norm_act_backward`].
pub fn norm_act_backward(tensors: [FlexTensor; 5], settings: NormSettings) -> (FlexTensor, FlexTensor, FlexTensor) {
    let [g, x, gamma, beta, statistics] = tensors.map(contiguous);
    let (mean, variance) = values::<f32>(&statistics).split_at(extent(&gamma, 0));
    let statistics = Statistics { mean: mean.to_vec(), variance: variance.to_vec() };
    let (dx, d_gamma, d_beta) = kernels::norm_act_backward(values(&x), values(&g), norm(&gamma, &beta, settings), &statistics);
    let channels = gamma.layout().shape().clone();
    (tensor(dx, x.layout().shape().clone()), tensor(d_gamma, channels.clone()), tensor(d_beta, channels))
}

fn norm<'a>(gamma: &'a FlexTensor, beta: &'a FlexTensor, settings: NormSettings) -> kernels::NormAct<'a> {
    kernels::NormAct { gamma: values(gamma), beta: values(beta), epsilon: settings.epsilon as f32, slope: settings.slope }
}

/// See [`super::tanh`].
pub fn tanh(x: FlexTensor) -> FlexTensor {
    let mut x = contiguous(x);
    kernels::tanh(x.storage_mut());
    x
}

/// See [`super::extension::GanOps::tanh_backward`].
pub fn tanh_backward(g: FlexTensor, y: FlexTensor) -> FlexTensor {
    let [mut g, y] = [g, y].map(contiguous);
    kernels::tanh_backward(g.storage_mut(), values(&y));
    g
}

/// See [`super::adam`]: weights, mean and mean of squares, as they come.
pub fn adam(moved: [FlexTensor; 3], g: FlexTensor, step: AdamStep) -> (FlexTensor, FlexTensor, FlexTensor) {
    let ([mut w, mut mean, mut square], g) = (moved.map(contiguous), contiguous(g));
    kernels::adam(w.storage_mut(), values(&g), mean.storage_mut(), square.storage_mut(), step);
    (w, mean, square)
}

/// See [`super::average`].
pub fn average(average: FlexTensor, live: FlexTensor, decay: f64) -> FlexTensor {
    let [mut average, live] = [average, live].map(contiguous);
    kernels::average(average.storage_mut(), values(&live), decay);
    average
}

/// See [`super::Resampling`].
pub fn resample(x: FlexTensor, axes: &Axes) -> FlexTensor {
    let x = contiguous(x);
    let (n, channels, [rows, columns]) = (extent(&x, 0), extent(&x, 3), axes.forward());
    let shape = Shape::from(vec![n, rows.extents()[1], columns.extents()[1], channels]);
    tensor(kernels::resample(values(&x), channels, [rows, columns]), shape)
}

/// See [`super::extension::GanOps::map`].
pub fn map(x: FlexTensor, w: FlexTensor, map: LinearMap) -> FlexTensor {
    if x.dtype() == DType::F64 {
        return match map {
            LinearMap::Matrix => Flex::float_matmul(x, w),
            LinearMap::Conv(geometry) => conv_of::<f64>(x, w, geometry),
        };
    }
    product(x, w, None, map)
}

/// See [`super::extension::GanOps::map_act`].
pub fn map_act(x: FlexTensor, w: FlexTensor, bias: FlexTensor, slope: f32, map: LinearMap) -> FlexTensor {
    if x.dtype() == DType::F64 {
        return bias_act(self::map(x, w, map), bias, slope);
    }
    let bias = contiguous(bias);
    product(x, w, Some(kernels::BiasAct { bias: values(&bias), slope }), map)
}

fn product(x: FlexTensor, w: FlexTensor, act: Option<kernels::BiasAct<'_>>, map: LinearMap) -> FlexTensor {
    let (x, w) = (contiguous(x), contiguous(w));
    match map {
        LinearMap::Matrix => {
            let (n, extents) = (extent(&x, 0), [extent(&w, 0), extent(&w, 1)]);
            tensor(kernels::matmul(values(&x), values(&w), extents, act), Shape::from(vec![n, extents[1]]))
        }
        LinearMap::Conv(geometry) => {
            let conv = Conv { geometry, inputs: extent(&x, 3), outputs: extent(&w, 3) };
            let [oh, ow] = geometry.output();
            let shape = Shape::from(vec![extent(&x, 0), oh, ow, conv.outputs]);
            tensor(kernels::conv_forward(&conv, values(&x), values(&w), act), shape)
        }
    }
}

/// See [`super::extension::GanOps::map_input`].
pub fn map_input(g: FlexTensor, w: FlexTensor, map: LinearMap) -> FlexTensor {
    if g.dtype() == DType::F64 {
        return match map {
            LinearMap::Matrix => Flex::float_matmul(g, Flex::float_swap_dims(w, 0, 1)),
            LinearMap::Conv(geometry) => conv_input_of::<f64>(g, w, geometry),
        };
    }
    let (g, w) = (contiguous(g), contiguous(w));
    let n = extent(&g, 0);
    match map {
        LinearMap::Matrix => {
            let extents = [extent(&w, 0), extent(&w, 1)];
            tensor(kernels::matmul_nt(values(&g), values(&w), extents), Shape::from(vec![n, extents[0]]))
        }
        LinearMap::Conv(geometry) => {
            let conv = Conv { geometry, inputs: extent(&w, 2) * geometry.groups, outputs: extent(&w, 3) };
            let shape = Shape::from(vec![n, geometry.image[0], geometry.image[1], conv.inputs]);
            tensor(kernels::conv_input(&conv, values(&g), values(&w)), shape)
        }
    }
}

/// See [`super::extension::GanOps::map_weight`].
pub fn map_weight(x: FlexTensor, g: FlexTensor, map: LinearMap) -> FlexTensor {
    if x.dtype() == DType::F64 {
        return match map {
            LinearMap::Matrix => Flex::float_matmul(Flex::float_swap_dims(x, 0, 1), g),
            LinearMap::Conv(geometry) => conv_weight_of::<f64>(x, g, geometry),
        };
    }
    let (x, g) = (contiguous(x), contiguous(g));
    match map {
        LinearMap::Matrix => {
            let extents = [extent(&x, 1), extent(&g, 1)];
            tensor(kernels::matmul_tn(values(&x), values(&g), extents), Shape::from(extents.to_vec()))
        }
        LinearMap::Conv(geometry) => {
            let conv = Conv { geometry, inputs: extent(&x, 3), outputs: extent(&g, 3) };
            let shape = Shape::from(vec![geometry.kernel[0], geometry.kernel[1], conv.inputs / geometry.groups, conv.outputs]);
            tensor(kernels::conv_weight(&conv, values(&x), values(&g)), shape)
        }
    }
}

/// Shapes of one convolution, worked out once.
struct Problem {
    geometry: ConvGeometry,
    n: usize,
    out: [usize; 2],
    ci: usize,
    co: usize,
    /// Input channels per group.
    cig: usize,
    /// Output channels per group.
    cog: usize,
    /// Rows of a group's weight matrix: kernel height x kernel width x input channels per group.
    depth: usize,
}

impl Problem {
    fn new(geometry: ConvGeometry, n: usize, ci: usize, co: usize) -> Self {
        let groups = geometry.groups;
        let depth = geometry.kernel[0] * geometry.kernel[1] * (ci / groups);
        Self { geometry, n, out: geometry.output(), ci, co, cig: ci / groups, cog: co / groups, depth }
    }

    fn pixels_in(&self) -> usize {
        self.geometry.image[0] * self.geometry.image[1]
    }

    fn pixels_out(&self) -> usize {
        self.out[0] * self.out[1]
    }

    /// Images per chunk.
    fn chunk(&self) -> usize {
        (CHUNK_VALUES / (self.pixels_out() * self.depth * self.geometry.groups).max(1)).clamp(1, self.n.max(1))
    }

    /// Calls `visit(row, column block start, input pixel)` for every kernel tap of every output pixel that falls inside the image.
    fn taps(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let ConvGeometry { image: [h, w], kernel: [kh, kw], stride: [sh, sw], padding: [ph, pw], .. } = self.geometry;
        for oy in 0..self.out[0] {
            for ky in 0..kh {
                let y = oy * sh + ky;
                if y < ph || y >= h + ph {
                    continue;
                }
                for ox in 0..self.out[1] {
                    for kx in 0..kw {
                        let x = ox * sw + kx;
                        if x >= pw && x < w + pw {
                            visit(oy * self.out[1] + ox, (ky * kw + kx) * self.cig, (y - ph) * w + x - pw);
                        }
                    }
                }
            }
        }
    }

    /// Patches of the images `x`, `[groups, images x output pixels, depth]`.
    fn patches<E: Real>(&self, x: &[E], images: usize) -> FlexTensor {
        let groups = self.geometry.groups;
        let rows = images * self.pixels_out();
        let mut patches = vec![E::default(); groups * rows * self.depth];
        for (image, x) in x.chunks_exact(self.pixels_in() * self.ci).enumerate() {
            self.taps(|row, column, pixel| {
                for group in 0..groups {
                    let to = (group * rows + image * self.pixels_out() + row) * self.depth + column;
                    let from = pixel * self.ci + group * self.cig;
                    patches[to..to + self.cig].copy_from_slice(&x[from..from + self.cig]);
                }
            });
        }
        tensor(patches, Shape::from(vec![groups, rows, self.depth]))
    }

    /// Adjoint of [`Problem::patches`]: adds every patch value back to its pixel.
    fn scatter<E: Real>(&self, patches: &[E], x: &mut [E]) {
        let groups = self.geometry.groups;
        let rows = patches.len() / (groups * self.depth);
        for (image, x) in x.chunks_exact_mut(self.pixels_in() * self.ci).enumerate() {
            self.taps(|row, column, pixel| {
                for group in 0..groups {
                    let from = (group * rows + image * self.pixels_out() + row) * self.depth + column;
                    let to = pixel * self.ci + group * self.cig;
                    for (x, p) in x[to..to + self.cig].iter_mut().zip(&patches[from..from + self.cig]) {
                        *x += *p;
                    }
                }
            });
        }
    }

    /// `[kh, kw, ci / groups, co]` as one matrix a group, `[groups, depth, co / groups]`; a view.
    fn weight_matrices(&self, w: FlexTensor) -> FlexTensor {
        let w = Flex::float_reshape(w, Shape::from(vec![self.depth, self.geometry.groups, self.cog]));
        contiguous(Flex::float_permute(w, &[1, 0, 2]))
    }

    /// Output pixels `[rows, co]` as one matrix a group, `[groups, rows, co / groups]`.
    fn group_rows<E: Real>(&self, g: &[E]) -> FlexTensor {
        let rows = g.len() / self.co;
        let g = tensor(g.to_vec(), Shape::from(vec![rows, self.geometry.groups, self.cog]));
        if self.geometry.groups == 1 {
            return Flex::float_reshape(g, Shape::from(vec![1, rows, self.cog]));
        }
        Flex::float_permute(g, &[1, 0, 2])
    }
}

fn conv_of<E: Real>(x: FlexTensor, w: FlexTensor, geometry: ConvGeometry) -> FlexTensor {
    let (x, w) = (contiguous(x), contiguous(w));
    let (n, ci, co) = (extent(&x, 0), extent(&x, 3), extent(&w, 3));
    let problem = Problem::new(geometry, n, ci, co);
    let weights = problem.weight_matrices(w);
    let chunk = problem.chunk();
    let mut out = vec![E::default(); n * problem.pixels_out() * co];
    let inputs = values::<E>(&x).par_chunks(chunk * problem.pixels_in() * ci);
    inputs.zip(out.par_chunks_mut(chunk * problem.pixels_out() * co)).for_each(|(x, out)| {
        let images = x.len() / (problem.pixels_in() * ci);
        let product = Flex::float_matmul(problem.patches(x, images), weights.clone());
        ungroup::<E>(&product, problem.cog, out);
    });
    tensor(out, Shape::from(vec![n, problem.out[0], problem.out[1], co]))
}

fn conv_input_of<E: Real>(g: FlexTensor, w: FlexTensor, geometry: ConvGeometry) -> FlexTensor {
    let (g, w) = (contiguous(g), contiguous(w));
    let (n, ci, co) = (extent(&g, 0), extent(&w, 2) * geometry.groups, extent(&w, 3));
    let problem = Problem::new(geometry, n, ci, co);
    let weights = Flex::float_swap_dims(problem.weight_matrices(w), 1, 2);
    let chunk = problem.chunk();
    let mut out = vec![E::default(); n * problem.pixels_in() * ci];
    let inputs = values::<E>(&g).par_chunks(chunk * problem.pixels_out() * co);
    inputs.zip(out.par_chunks_mut(chunk * problem.pixels_in() * ci)).for_each(|(g, out)| {
        let patches = Flex::float_matmul(problem.group_rows(g), weights.clone());
        problem.scatter(values::<E>(&patches), out);
    });
    tensor(out, Shape::from(vec![n, geometry.image[0], geometry.image[1], ci]))
}

fn conv_weight_of<E: Real>(x: FlexTensor, g: FlexTensor, geometry: ConvGeometry) -> FlexTensor {
    let (x, g) = (contiguous(x), contiguous(g));
    let (n, ci, co) = (extent(&x, 0), extent(&x, 3), extent(&g, 3));
    let problem = Problem::new(geometry, n, ci, co);
    let chunk = problem.chunk();
    let inputs = values::<E>(&x).par_chunks(chunk * problem.pixels_in() * ci);
    let partial: Vec<FlexTensor> = inputs
        .zip(values::<E>(&g).par_chunks(chunk * problem.pixels_out() * co))
        .map(|(x, g)| {
            let patches = problem.patches(x, x.len() / (problem.pixels_in() * ci));
            Flex::float_matmul(Flex::float_swap_dims(patches, 1, 2), problem.group_rows(g))
        })
        .collect();
    let mut sum = vec![E::default(); problem.depth * co];
    for part in &partial {
        for (s, p) in sum.iter_mut().zip(values::<E>(part)) {
            *s += *p;
        }
    }
    // [groups, depth, co / groups] back to [kh, kw, ci / groups, co].
    let sum = tensor(sum, Shape::from(vec![geometry.groups, problem.depth, problem.cog]));
    let sum = contiguous(Flex::float_permute(sum, &[1, 0, 2]));
    Flex::float_reshape(sum, Shape::from(vec![geometry.kernel[0], geometry.kernel[1], problem.cig, co]))
}

/// `[groups, rows, width]` into `[rows, groups x width]`.
fn ungroup<E: Real>(product: &FlexTensor, width: usize, out: &mut [E]) {
    let from = values::<E>(product);
    let groups = extent(product, 0);
    if groups == 1 {
        out.copy_from_slice(from);
        return;
    }
    let rows = from.len() / (groups * width);
    for group in 0..groups {
        for row in 0..rows {
            let start = (group * rows + row) * width;
            out[row * groups * width + group * width..][..width].copy_from_slice(&from[start..start + width]);
        }
    }
}

fn extent(tensor: &FlexTensor, dim: usize) -> usize {
    tensor.layout().shape()[dim]
}

/// A tensor whose buffer holds exactly its values, in order.
fn contiguous(tensor: FlexTensor) -> FlexTensor {
    let whole = tensor.layout().num_elements() * tensor.dtype().size() == tensor.bytes().len();
    if tensor.is_contiguous() && tensor.layout().start_offset() == 0 && whole { tensor } else { FlexTensor::from_data(tensor.into_data()) }
}

/// The values of a tensor that [`contiguous`] or a fresh result gave.
fn values<E: Real>(tensor: &FlexTensor) -> &[E] {
    tensor.storage::<E>()
}

fn tensor<E: Real>(values: Vec<E>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), E::dtype())
}
