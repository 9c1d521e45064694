//! Networks on whole series.
//!
//! The generator draws what a series has once first, then how long it is, then all its steps, knowing both: fully connected layers give the parts of all frequencies, each in the unit that it has in the data, so that
//! what is smooth there is drawn smooth; a few convolutions with noise of their own at every step refine it, as far as the data is rough. The discriminator sees everything at once: attributes, which steps there are,
//! steps, and differences of neighbouring steps, which show at once what is rough. It is fully connected, and the game is about all these numbers, so that R1 and R2 weigh roughness too.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use super::codec::Series;
use super::config::Network;
use super::lengths::Lengths;
use crate::nn::{BiasAct, Conv2d, Conv2dConfig, Discriminator, Generator, Init, Linear, LinearConfig, Tape, widened};
use crate::table::{Layout, RowOutput, alike};

const SLOPE: f32 = 0.2;
/// Steps that a convolution looks at.
pub const KERNEL: usize = 5;
/// Deviation of differences from which on they count in units of it.
const LEAST_MOVE: f64 = 0.002;
/// Share of its strongest frequency that a place has of every other one at least.
const FAINTEST: f64 = 1e-3;
/// Initial gain of what refines steps.
const REFINED: f64 = 0.1;

/// Shape of series.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Of what a series has once; may be empty.
    pub attributes: Arc<Layout>,
    /// Of a step.
    pub steps: Arc<Layout>,
    /// Steps of a series at most.
    pub n_steps: usize,
    /// How long series are.
    pub lengths: Lengths,
    /// For each place of a step, whether it says what lies between two steps, so that it says nothing at the first.
    pub is_between: Vec<bool>,
}

impl Frame {
    /// Numbers of a series as the discriminator sees it.
    pub fn width(&self) -> usize {
        self.plain() + self.n_differences()
    }

    /// Numbers of differences.
    pub fn n_differences(&self) -> usize {
        (self.n_steps - 1) * self.steps.numbers.len()
    }

    /// Those of them that are no differences.
    pub fn plain(&self) -> usize {
        self.attributes.width() + self.mask() + self.n_steps * self.steps.width()
    }

    /// Numbers that say which steps there are.
    pub fn mask(&self) -> usize {
        if self.lengths.is_fixed() { 0 } else { self.n_steps }
    }

    /// What the generator is told before it draws steps: attributes, and how long the series is.
    pub fn told(&self) -> usize {
        self.attributes.width() + usize::from(!self.lengths.is_fixed())
    }

    /// For each place of what is no difference, a number that is the same for places which belong together: of one attribute, or of one step.
    pub fn together(&self) -> Vec<usize> {
        let attributes = self.attributes.columns();
        let first = self.attributes.n_columns();
        let mask = std::iter::repeat_n(first, self.mask());
        let steps = (0..self.n_steps).flat_map(|step| std::iter::repeat_n(first + 1 + step, self.steps.width()));
        attributes.into_iter().chain(mask).chain(steps).collect()
    }

    /// Series as vectors `[n, plain]`; steps past the end are zero.
    pub fn dense(&self, series: &Series) -> Vec<f32> {
        let (n, width) = (series.n(), self.steps.width());
        let mut out = Vec::with_capacity(n * self.plain());
        for i in 0..n {
            let length = series.first[i + 1] - series.first[i];
            self.attributes.write(series.attributes.codes_of(i), series.attributes.numbers_of(i), &mut out);
            out.extend((0..self.mask()).map(|step| f32::from(u8::from(step < length))));
            let begin = out.len();
            for row in series.first[i]..series.first[i + 1] {
                self.steps.write(series.steps.codes_of(row), series.steps.numbers_of(row), &mut out);
            }
            out[begin..begin + width].iter_mut().zip(&self.is_between).filter(|(_, is)| **is).for_each(|(v, _)| *v = 0.0);
            out.resize(begin + self.n_steps * width, 0.0);
        }
        out
    }

    /// Size of each frequency of each place of a step, `[steps, width]`: the root mean square of the cosine transforms of what series `[n, plain]` have beside the mean of each step; of categories, whose logits have no
    /// unit, so that its mean square over all frequencies is one. Series stay as they are past their end.
    pub fn spectrum(&self, plain: &[f32]) -> Vec<f32> {
        let (width, n_steps) = (self.steps.width(), self.n_steps);
        let (begin, cosines) = (self.attributes.width() + self.mask(), cosines(n_steps));
        let n_there =
            |series: &[f32]| if self.mask() == 0 { n_steps } else { series[begin - n_steps..begin].iter().filter(|v| **v > 0.5).count() };
        let (mut means, mut counts) = (vec![0.0f64; n_steps * width], vec![0.0f64; n_steps]);
        for series in plain.chunks_exact(self.plain()) {
            for step in 0..n_there(series) {
                counts[step] += 1.0;
                let own = &series[begin + step * width..begin + (step + 1) * width];
                means[step * width..(step + 1) * width].iter_mut().zip(own).for_each(|(sum, v)| *sum += f64::from(*v));
            }
        }
        means.iter_mut().enumerate().for_each(|(i, sum)| *sum /= counts[i / width].max(1.0));
        let n_series = (plain.len() / self.plain()).max(1) as f64;
        let mut squares = vec![0.0f64; n_steps * width];
        for series in plain.chunks_exact(self.plain()) {
            let last = n_there(series).max(1) - 1;
            for place in 0..width {
                let value = |step: usize| series[begin + step * width + place] - means[step * width + place] as f32;
                let values: Vec<f32> = (0..n_steps).map(|step| value(step.min(last))).collect();
                for (frequency, cosine) in cosines.chunks_exact(n_steps).enumerate() {
                    let part: f32 = cosine.iter().zip(&values).map(|(c, v)| c * v).sum();
                    squares[frequency * width + place] += f64::from(part).powi(2);
                }
            }
        }
        for place in 0..width {
            let own = || (0..n_steps).map(|frequency| frequency * width + place);
            let faintest = own().map(|i| squares[i]).fold(0.0, f64::max) * FAINTEST * FAINTEST;
            own().for_each(|i| squares[i] = squares[i].max(faintest));
            let mean = own().map(|i| squares[i]).sum::<f64>() / n_steps as f64;
            let unit = if place < self.steps.n_codes() { mean } else { n_series };
            // What is always the same is as likely to be anything.
            own().for_each(|i| squares[i] = if mean > 0.0 { (squares[i] / unit).sqrt() } else { 1.0 });
        }
        squares.into_iter().map(|size| size as f32).collect()
    }

    /// Vectors `[n, plain]` with the differences of neighbouring steps beside them, in units of their own `[steps - 1, numbers]`: `[n, width]`.
    pub fn with_differences(&self, plain: &[f32], scales: &[f32]) -> Vec<f32> {
        let (width, n_codes, n) = (self.steps.width(), self.steps.n_codes(), self.steps.numbers.len());
        let begin = self.attributes.width() + self.mask();
        let mut out = Vec::with_capacity(plain.len() / self.plain().max(1) * self.width());
        for series in plain.chunks_exact(self.plain()) {
            out.extend_from_slice(series);
            let is_there = |step: usize| self.mask() == 0 || series[self.attributes.width() + step] > 0.5;
            let number = |step: usize, i: usize| series[begin + step * width + n_codes + i];
            for step in 1..self.n_steps {
                let there = f32::from(u8::from(is_there(step)));
                let scales = &scales[(step - 1) * n..step * n];
                out.extend((0..n).map(|i| (number(step, i) - number(step - 1, i)) * scales[i] * there));
            }
        }
        out
    }

    /// Units of the differences of each number at each step, `[steps - 1, numbers]`: where there are any, their deviation from zero is one.
    pub fn scales(&self, plain: &[f32]) -> Vec<f32> {
        let n = self.n_differences();
        let (mut squares, mut counts) = (vec![0.0f64; n], vec![0.0f64; n]);
        for series in self.with_differences(plain, &vec![1.0; n]).chunks_exact(self.width()) {
            for (i, value) in series[self.plain()..].iter().enumerate().filter(|(_, value)| **value != 0.0) {
                squares[i] += f64::from(*value).powi(2);
                counts[i] += 1.0;
            }
        }
        // A number that hardly moves is not blown up without end.
        squares.into_iter().zip(counts).map(|(sum, n)| (sum / n.max(1.0)).sqrt().max(LEAST_MOVE).recip() as f32).collect()
    }
}

/// Latents to series.
#[derive(Module, Debug)]
pub struct SeriesGenerator {
    /// Layers behind attributes and length; none where there is nothing to draw.
    once: Option<Stack>,
    steps: Stack,
    refine: Vec<Conv2d>,
    refine_act: Option<BiasAct>,
    #[module(skip)]
    shape: Shape,
}

/// Hidden layers that hand on their input, and one after them.
#[derive(Module, Debug)]
struct Stack {
    layers: Vec<Linear>,
    acts: Vec<BiasAct>,
    last: Linear,
}

impl Stack {
    fn new(network: &Network, (first, outputs, gain): (usize, usize, f64), init: &mut Init<'_>) -> Self {
        let inputs = network.inputs(first);
        let hidden = &inputs[..network.layers];
        Self {
            layers: hidden.iter().map(|n| LinearConfig::new(*n, network.width).with_gain(2f64.sqrt()).without_bias().init(init)).collect(),
            acts: hidden.iter().map(|_| BiasAct::new(network.width, SLOPE, init)).collect(),
            last: LinearConfig::new(inputs[network.layers], outputs).with_gain(gain).init(init),
        }
    }

    fn hidden(&self, x: Tensor<2>) -> Tensor<2> {
        self.layers.iter().zip(&self.acts).fold(x, |x, (linear, act)| widened(x, linear, act))
    }
}

/// Shapes, and what follows from them.
#[derive(Debug, Clone)]
struct Shape {
    network: Network,
    frame: Frame,
    attributes: RowOutput,
    steps: RowOutput,
    /// Cosines, `[frequencies, steps]`.
    cosines: Tensor<2>,
    /// Size of each frequency of each place, `[1, steps, width]`.
    spectrum: Tensor<3>,
    /// How rough each place is: the size of the highest frequencies, `[1, 1, width]`.
    rough: Tensor<3>,
    /// Shortest length of each range and how many there are in it, `[1, ranges]` each.
    lengths: [Tensor<2>; 2],
    /// 0 for what says nothing at the first step, `[1, steps, width]`.
    meant: Tensor<3>,
    /// Units of differences, `[1, steps - 1, numbers]`.
    scales: Tensor<3>,
}

impl SeriesGenerator {
    /// Fresh weights. `spectrum` is that of [`Frame::spectrum`]; `scales` are those of [`Frame::scales`], and matter to the game alone.
    pub fn new(network: &Network, frame: &Frame, (spectrum, scales): (&[f32], &[f32]), init: &mut Init<'_>) -> Self {
        let (width, n_numbers) = (frame.steps.width(), frame.steps.numbers.len());
        let device = init.device;
        let matrix = |values: Vec<f32>, shape: [usize; 2]| Tensor::<2>::from_data(TensorData::new(values, shape), device);
        let ranges = frame.lengths.ranges();
        let meant = (0..frame.n_steps).flat_map(|step| frame.is_between.iter().map(move |is| f32::from(u8::from(!(*is && step == 0)))));
        let shape = Shape {
            attributes: RowOutput::new(&frame.attributes, network.temperature, network.straight_through, device),
            steps: RowOutput::new(&frame.steps, network.temperature, network.straight_through, device),
            cosines: matrix(cosines(frame.n_steps), [frame.n_steps, frame.n_steps]),
            spectrum: Tensor::from_data(TensorData::new(spectrum.to_vec(), [1, frame.n_steps, width]), device),
            rough: Tensor::from_data(TensorData::new(roughness(spectrum, width), [1, 1, width]), device),
            lengths: [0, 1].map(|end| {
                let of = |[low, high]: &[u32; 2]| if end == 0 { *low as f32 } else { (high - low + 1) as f32 };
                matrix(ranges.iter().map(of).collect(), [1, ranges.len()])
            }),
            meant: Tensor::from_data(TensorData::new(meant.collect::<Vec<f32>>(), [1, frame.n_steps, width]), device),
            scales: Tensor::from_data(TensorData::new(scales.to_vec(), [1, frame.n_steps - 1, n_numbers]), device),
            network: network.clone(),
            frame: frame.clone(),
        };
        let n_once = frame.attributes.width() + frame.lengths.n_codes();
        let first = network.latent_dim + frame.told();
        let conv = |inputs: usize, outputs: usize, gain: f64, init: &mut Init<'_>| {
            Conv2dConfig { kernel: [1, KERNEL], padding: 0, ..Conv2dConfig::new(inputs, outputs, 1) }.with_gain(gain).init(init)
        };
        Self {
            once: (n_once > 0).then(|| Stack::new(network, (network.latent_dim, n_once, 1.0), init)),
            steps: Stack::new(network, (first, frame.n_steps * width, 1.0), init),
            refine: if network.refine > 0 {
                vec![conv(width + network.noise, network.refine, 2f64.sqrt(), init), conv(network.refine, width, REFINED, init)]
            } else {
                Vec::new()
            },
            refine_act: (network.refine > 0).then(|| BiasAct::new(network.refine, SLOPE, init)),
            shape,
        }
    }

    /// Numbers of a latent that say what a series is like; the others are noise that decides between categories and roughens steps.
    pub fn n_truncated(&self) -> usize {
        self.shape.network.latent_dim
    }

    /// Attributes, which steps there are, and steps, of latents `[n, latent_dim]`: `[n, attributes]`, `[n, steps]` and `[n, steps, width]`.
    fn parts(&self, noise: Tensor<2>) -> (Option<Tensor<2>>, Tensor<2>, Tensor<3>) {
        let Shape { network, frame, attributes, steps, .. } = &self.shape;
        let (n, dim, n_steps) = (noise.dims()[0], network.latent_dim, frame.n_steps);
        let latent = noise.clone().narrow(1, 0, dim);
        let (once_width, n_codes) = (frame.attributes.width(), frame.attributes.n_codes());
        let raw = self.once.as_ref().map(|stack| stack.last.forward(stack.hidden(latent.clone())));
        let own =
            raw.as_ref().filter(|_| once_width > 0).map(|raw| attributes.forward(raw.clone().narrow(1, 0, once_width), (&noise, dim)));
        let at = dim + n_codes;
        let there = match &raw {
            Some(raw) if !frame.lengths.is_fixed() => {
                let logits = (frame.lengths.n_codes() > 1).then(|| raw.clone().narrow(1, once_width, frame.lengths.n_codes()));
                self.there(logits, &noise, at)
            }
            _ => latent.clone().narrow(1, 0, 1).ones_like().repeat_dim(1, n_steps),
        };
        let at = at + frame.lengths.n_codes() + usize::from(!frame.lengths.is_fixed());
        let mut told = vec![latent];
        told.extend(own.clone());
        if !frame.lengths.is_fixed() {
            told.push(there.clone().mean_dim(1));
        }
        let x = self.drawn(Tensor::cat(told, 1), noise.clone().narrow(1, at, n_steps * network.noise.max(1)));
        let of_steps = noise.narrow(1, at + n_steps * network.noise.max(1), n_steps * frame.steps.n_codes().max(1));
        let width = frame.steps.width();
        let x = steps.forward(x.reshape([n * n_steps, width]), (&of_steps.reshape([n * n_steps, frame.steps.n_codes().max(1)]), 0));
        let x = x.reshape([n, n_steps, width]) * alike(&self.shape.meant, &there) * there.clone().reshape([n, n_steps, 1]);
        (own, there, x)
    }

    /// Which steps there are, `[n, steps]`: a range of lengths is chosen, and a length in it by a number of noise.
    fn there(&self, logits: Option<Tensor<2>>, noise: &Tensor<2>, at: usize) -> Tensor<2> {
        let Shape { frame, network, lengths, .. } = &self.shape;
        let (n, ranges) = (noise.dims()[0], frame.lengths.ranges().len());
        let chosen = match logits {
            Some(logits) => {
                let layout = Arc::new(Layout { categories: vec![(0, ranges)], numbers: Vec::new() });
                RowOutput::new(&layout, network.temperature, true, &lengths[0].device()).forward(logits, (noise, at))
            }
            None => noise.clone().narrow(1, 0, 1).ones_like(),
        };
        // Nothing is learned through the noise: plain numbers.
        let plain = if noise.is_autodiff() { noise.clone().inner() } else { noise.clone() };
        let uniform =
            plain.narrow(1, at + frame.lengths.n_codes(), 1).div_scalar(std::f64::consts::SQRT_2).erf().add_scalar(1.0).mul_scalar(0.5);
        let [low, count] = lengths.clone().map(|v| v.cast(uniform.dtype()));
        let length = low + (uniform.clamp(0.0, 1.0 - 1e-6) * count).floor();
        let step: Vec<f32> = (0..frame.n_steps).map(|step| step as f32 + 0.5).collect();
        let step = Tensor::<3>::from_data(TensorData::new(step, [1, 1, frame.n_steps]), &length.device()).cast(length.dtype());
        let each = length.reshape([n, ranges, 1]).repeat_dim(2, frame.n_steps).greater(step.repeat_dim(1, ranges).repeat_dim(0, n)).float();
        let each = each.cast(chosen.dtype());
        let each = if chosen.is_autodiff() { Tensor::from_inner(each) } else { each };
        (chosen.reshape([n, ranges, 1]) * each).sum_dim(1).reshape([n, frame.n_steps])
    }

    /// Logits and numbers of all steps, `[n, steps, width]`, from what is told and the noise of steps `[n, steps * noise]`.
    fn drawn(&self, told: Tensor<2>, noise: Tensor<2>) -> Tensor<3> {
        let Shape { network, frame, cosines, spectrum, rough, .. } = &self.shape;
        let (n, n_steps, width) = (told.dims()[0], frame.n_steps, frame.steps.width());
        let parts = self.steps.last.forward(self.steps.hidden(told)).reshape([n, n_steps, width]);
        let parts = (parts.clone() * alike(spectrum, &parts)).swap_dims(1, 2).reshape([n * width, n_steps]);
        let x = parts.clone().matmul(alike(cosines, &parts)).reshape([n, width, n_steps]).swap_dims(1, 2);
        let (Some(act), [inner, outer]) = (&self.refine_act, self.refine.as_slice()) else { return x };
        let mut seen = vec![x.clone()];
        if network.noise > 0 {
            seen.push(noise.reshape([n, n_steps, network.noise]));
        }
        let y = Tensor::cat(seen, 2);
        let channels = y.dims()[2];
        let y = act.after_conv(inner, padded(y.reshape([n, 1, n_steps, channels])), &mut Tape::off());
        let refined = outer.forward(padded(y)).reshape([n, n_steps, width]);
        x + refined.clone() * alike(rough, &refined)
    }

    /// Attributes, which steps there are, and steps as vectors `[n, plain]`, without differences.
    pub fn plain(&self, noise: Tensor<2>) -> Tensor<2> {
        let frame = &self.shape.frame;
        let n = noise.dims()[0];
        let (own, there, steps) = self.parts(noise);
        let mut parts: Vec<Tensor<2>> = own.into_iter().collect();
        if frame.mask() > 0 {
            parts.push(there);
        }
        parts.push(steps.reshape([n, frame.n_steps * frame.steps.width()]));
        Tensor::cat(parts, 1)
    }
}

/// With zeros on both sides, so that a convolution gives as many steps as there are: `[n, 1, steps, channels]`.
fn padded(x: Tensor<4>) -> Tensor<4> {
    let [n, _, _, c] = x.dims();
    let zeros = x.clone().narrow(2, 0, 1).zeros_like().reshape([n, 1, 1, c]).repeat_dim(2, KERNEL / 2);
    Tensor::cat(vec![zeros.clone(), x, zeros], 2)
}

/// The orthonormal cosines of the discrete cosine transform (Ahmed, Natarajan and Rao, 1974, the second type), `[frequencies, steps]`, as many of both.
fn cosines(n: usize) -> Vec<f32> {
    let cosine = |frequency: usize, step: usize| {
        let size = if frequency == 0 { 1.0 } else { 2.0f64 };
        (size / n as f64).sqrt() * (std::f64::consts::PI * frequency as f64 * (step as f64 + 0.5) / n as f64).cos()
    };
    (0..n).flat_map(|frequency| (0..n).map(move |step| cosine(frequency, step) as f32)).collect()
}

/// Root mean square of the highest quarter of the frequencies of each place.
fn roughness(spectrum: &[f32], width: usize) -> Vec<f32> {
    let n = spectrum.len() / width;
    let highest = &spectrum[(n - n.div_ceil(4)) * width..];
    (0..width)
        .map(|place| {
            let own = highest.iter().skip(place).step_by(width);
            (own.clone().map(|size| size * size).sum::<f32>() / own.count() as f32).sqrt()
        })
        .collect()
}

impl Generator<2> for SeriesGenerator {
    fn latent_dim(&self) -> usize {
        let Shape { network, frame, .. } = &self.shape;
        let once = frame.attributes.n_codes() + frame.lengths.n_codes() + usize::from(!frame.lengths.is_fixed());
        network.latent_dim + once + frame.n_steps * (network.noise.max(1) + frame.steps.n_codes().max(1))
    }

    /// `[n, latent_dim]` to series as the discriminator sees them, `[n, width]`.
    fn forward(&self, latents: Tensor<2>, _: Option<Tensor<2>>) -> Tensor<2> {
        let frame = &self.shape.frame;
        let n = latents.dims()[0];
        let n_numbers = frame.steps.numbers.len();
        let (own, there, steps) = self.parts(latents);
        let mut parts: Vec<Tensor<2>> = own.into_iter().collect();
        if frame.mask() > 0 {
            parts.push(there.clone());
        }
        parts.push(steps.clone().reshape([n, frame.n_steps * frame.steps.width()]));
        if n_numbers > 0 {
            let numbers = steps.narrow(2, frame.steps.n_codes(), n_numbers);
            let (later, earlier) = (numbers.clone().narrow(1, 1, frame.n_steps - 1), numbers.narrow(1, 0, frame.n_steps - 1));
            let there = there.narrow(1, 1, frame.n_steps - 1).reshape([n, frame.n_steps - 1, 1]);
            let differences = (later - earlier) * alike(&self.shape.scales, &there) * there;
            parts.push(differences.reshape([n, (frame.n_steps - 1) * n_numbers]));
        }
        Tensor::cat(parts, 1)
    }
}

/// Series to logits.
#[derive(Module, Debug)]
pub struct SeriesDiscriminator {
    layers: Vec<Linear>,
    acts: Vec<BiasAct>,
    last: Linear,
}

impl SeriesDiscriminator {
    /// Fresh weights.
    pub fn new(network: &Network, frame: &Frame, init: &mut Init<'_>) -> Self {
        let gain = (2.0 / (1.0 + f64::from(SLOPE).powi(2))).sqrt();
        let inputs = (0..network.d_layers).map(|i| if i == 0 { frame.width() } else { network.d_width });
        Self {
            layers: inputs.map(|n| LinearConfig::new(n, network.d_width).with_gain(gain).without_bias().init(init)).collect(),
            acts: (0..network.d_layers).map(|_| BiasAct::new(network.d_width, SLOPE, init)).collect(),
            last: LinearConfig::new(network.d_width, 1).without_bias().init(init),
        }
    }
}

impl Discriminator<2> for SeriesDiscriminator {
    const COUPLED: bool = false;

    /// `[n, width]` to `[n, 1]`.
    fn forward(&self, x: Tensor<2>, _: Option<Tensor<2>>, tape: &mut Tape) -> Tensor<2> {
        let layers = self.layers.iter().zip(&self.acts);
        self.last.forward(layers.fold(x, |x, (linear, act)| act.after_linear(linear, x, tape)))
    }

    fn input_gradient(&self, n: usize, mut tape: Tape) -> Tensor<2> {
        let g = self.last.weight.val().transpose().repeat_dim(0, n);
        let layers = self.layers.iter().zip(&self.acts).rev();
        layers.fold(g, |g, (linear, act)| linear.transposed(act.transposed(g, &mut tape)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use burn::tensor::Device;

    fn values<const R: usize>(tensor: Tensor<R>) -> Vec<f32> {
        tensor.into_data().convert::<f32>().try_to_vec::<f32>().unwrap()
    }

    const SCALES: [f32; 2] = [2.0, 0.5];

    fn frame(lengths: &[usize]) -> Frame {
        Frame {
            attributes: Arc::new(Layout { categories: vec![(0, 2)], numbers: vec![(1, None)] }),
            steps: Arc::new(Layout { categories: vec![(0, 3)], numbers: vec![(1, None), (2, None)] }),
            n_steps: 9,
            lengths: Lengths::fit(lengths, 1),
            is_between: vec![false, false, false, false, true],
        }
    }

    fn nets(frame: &Frame) -> (SeriesGenerator, SeriesDiscriminator, Device) {
        let network = Network { latent_dim: 3, width: 8, d_width: 16, refine: 4, ..Network::default() };
        let device = Device::flex();
        let mut rng = random::stream(0, "init", 0);
        let mut init = Init { rng: &mut rng, device: &device };
        (
            SeriesGenerator::new(&network, frame, (&[1.0; 45], &SCALES.repeat(8)), &mut init),
            SeriesDiscriminator::new(&network, frame, &mut init),
            device,
        )
    }

    fn normal(n: usize, width: usize, device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(random::normal(n * width, &mut random::stream(3, "x", 0)), [n, width]), device)
    }

    #[test]
    fn steps_past_the_end_are_zero_and_differences_are_those_of_the_steps() {
        for lengths in [vec![9; 40], [vec![9; 20], vec![4; 20], vec![5, 6]].concat()] {
            let frame = frame(&lengths);
            let (g, _, device) = nets(&frame);
            let g = g.valid();
            let n = 60;
            let seen = values(g.forward(normal(n, g.latent_dim(), &device), None));
            assert_eq!(seen.len(), n * frame.width());
            let plain: Vec<f32> = seen.chunks_exact(frame.width()).flat_map(|row| row[..frame.plain()].to_vec()).collect();
            assert_eq!(values(g.plain(normal(n, g.latent_dim(), &device))), plain);
            for (a, b) in frame.with_differences(&plain, &SCALES.repeat(8)).iter().zip(&seen) {
                assert!((a - b).abs() < 1e-4, "{a} {b}");
            }
            let mut found = std::collections::BTreeSet::new();
            for row in plain.chunks_exact(frame.plain()) {
                let (mask, steps) = row[frame.attributes.width()..].split_at(frame.mask());
                let length = if mask.is_empty() { 9 } else { mask.iter().filter(|v| **v > 0.5).count() };
                assert!(mask.iter().take(length).all(|v| (*v - 1.0).abs() < 1e-5));
                found.insert(length);
                for (step, own) in steps.chunks_exact(5).enumerate() {
                    let is_there = step < length;
                    assert!((own[..3].iter().sum::<f32>() - f32::from(u8::from(is_there))).abs() < 1e-5, "{own:?}");
                    assert_eq!(own[4] == 0.0, step == 0 || !is_there, "{step} {length} {own:?}");
                }
            }
            assert!(found.iter().all(|length| lengths.contains(length)), "{found:?}");
            assert_eq!(found.len() > 1, !frame.lengths.is_fixed(), "{found:?}");
        }
    }

    #[test]
    fn the_transposed_pass_is_the_gradient() {
        let frame = frame(&[[9; 20], [4; 20]].concat());
        let (_, d, device) = nets(&frame);
        let d = d.valid();
        let (n, width) = (3, frame.width());
        let x = normal(n, width, &device);
        let mut tape = Tape::recording();
        let logits = values(d.forward(x.clone(), None, &mut tape));
        let gradient = values(d.input_gradient(n, tape));
        let at = values(x);
        for i in (0..at.len()).step_by(7) {
            let mut moved = at.clone();
            moved[i] += 1e-3;
            let x = Tensor::from_data(TensorData::new(moved, [n, width]), &device);
            let slope = (values(d.forward(x, None, &mut Tape::off()))[i / width] - logits[i / width]) / 1e-3;
            assert!((slope - gradient[i]).abs() < 2e-2 * (1.0 + slope.abs()), "{i}: {slope} and {}", gradient[i]);
        }
    }

    #[test]
    fn the_spectrum_is_that_of_the_series() {
        let frame = Frame {
            attributes: Arc::new(Layout { categories: Vec::new(), numbers: Vec::new() }),
            steps: Arc::new(Layout { categories: Vec::new(), numbers: vec![(0, None), (1, None)] }),
            n_steps: 16,
            lengths: Lengths::fit(&[16; 40], 1),
            is_between: vec![false; 2],
        };
        let cosines = cosines(16);
        // Orthonormal.
        for i in 0..16 {
            for j in 0..16 {
                let product: f32 = (0..16).map(|t| cosines[i * 16 + t] * cosines[j * 16 + t]).sum();
                assert!((product - f32::from(u8::from(i == j))).abs() < 1e-6);
            }
        }
        // The first place is of frequency 3 with some of frequency 5, beside a mean of frequency 1; the second one is noise.
        let sign = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let noise = random::normal(400 * 16, &mut random::stream(1, "noise", 0));
        let value = |i: usize, t: usize| [sign(i) * (cosines[3 * 16 + t] + 0.5 * cosines[5 * 16 + t]) + cosines[16 + t], noise[i * 16 + t]];
        let plain: Vec<f32> = (0..400).flat_map(|i| (0..16).flat_map(move |t| value(i, t))).collect();
        let spectrum = frame.spectrum(&plain);
        let of = |frequency: usize, place: usize| spectrum[frequency * 2 + place];
        assert!((of(5, 0) / of(3, 0) - 0.5).abs() < 1e-4 && (of(7, 0) / of(3, 0) - 1e-3).abs() < 1e-4, "{spectrum:?}");
        assert!((0..16).all(|frequency| (of(frequency, 1) - 1.0).abs() < 0.15), "{spectrum:?}");
        for place in 0..2 {
            let wanted = [1.25 / 16.0, 1.0][place];
            assert!(((0..16).map(|frequency| of(frequency, place).powi(2)).sum::<f32>() / 16.0 - wanted).abs() < 0.02);
        }
        let rough = roughness(&spectrum, 2);
        assert!(rough[0] < 0.002 && (rough[1] - 1.0).abs() < 0.1, "{rough:?}");
    }
}
