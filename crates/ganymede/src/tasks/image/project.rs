//! Real pictures found in the latent space.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};

use super::codec::Codec;
use super::model::conditions;
use super::nets::AnyGenerator;
use crate::nn::Generator;
use crate::random;

/// Random points that are drawn before the search; the nearest begin it.
const DRAWN: usize = 1024;
/// Points of them that are followed for each picture.
const FOLLOWED: usize = 8;
/// Points that are drawn at once.
const CHUNK: usize = 64;
/// First step of the search, in standard deviations of a latent; it falls to zero on half a cosine.
const RATE: f64 = 0.2;
/// Weight of a point's distance from the lengths that the generator learned from, beside the mean squared difference of values in [-1, 1].
const LENGTH: f64 = 0.003;

/// A point of the latent space, and which of the candidates it is drawn as.
pub struct Found {
    pub latent: Vec<f32>,
    pub candidate: usize,
}

/// Looks for pictures in a generator's latent space: the nearest of many random points, then Adam on the squared difference of pixels (Abdal, Qin and Wonka, "Image2StyleGAN", ICCV 2019, without their
/// perceptual network), kept near the sphere on which normal latents lie.
pub struct Search<'a> {
    pub net: &'a AnyGenerator,
    pub codec: Codec,
    /// What pictures may be, each a vector of the condition; one empty vector if unconditional.
    pub candidates: &'a [Vec<f32>],
    pub device: &'a Device,
}

impl Search<'_> {
    /// The best point for each picture, `[height, width, channels]`, as the candidate that fits best; `progress` is called with (steps done, steps in all).
    pub fn find(&self, pictures: &[Vec<u8>], (steps, seed): (u64, u64), progress: &mut dyn FnMut(u64, u64)) -> Vec<Found> {
        let begin = self.nearest(pictures, seed);
        let dim = self.net.latent_dim();
        let mut found = Vec::with_capacity(pictures.len());
        for (i, (picture, begin)) in pictures.iter().zip(begin).enumerate() {
            let mut report = |step| progress(i as u64 * steps + step, pictures.len() as u64 * steps);
            let (points, errors) = self.follow(picture, &begin, steps, &mut report);
            let best = (0..begin.len()).min_by(|a, b| errors[*a].total_cmp(&errors[*b])).unwrap_or(0);
            found.push(Found { latent: points[best * dim..(best + 1) * dim].to_vec(), candidate: begin[best].candidate });
        }
        found
    }

    /// The points nearest to each picture among random ones.
    fn nearest(&self, pictures: &[Vec<u8>], seed: u64) -> Vec<Vec<Found>> {
        let dim = self.net.latent_dim();
        let mut best: Vec<Vec<(f64, u64, usize)>> = pictures.iter().map(|_| Vec::new()).collect();
        let latents = |chunk: u64| random::normal(CHUNK * dim, &mut random::stream(seed, "projection", chunk));
        for chunk in 0..(DRAWN / CHUNK) as u64 {
            let tried: Vec<usize> = (0..CHUNK).map(|i| (chunk as usize * CHUNK + i) % self.candidates.len()).collect();
            let points = Tensor::from_data(TensorData::new(latents(chunk), [CHUNK, dim]), self.device);
            let images = self.codec.decode(self.net.forward(points, self.conditions(&tried)));
            for (picture, best) in pictures.iter().zip(&mut best) {
                let drawn = images.chunks_exact(picture.len()).zip(&tried).enumerate();
                best.extend(drawn.map(|(i, (drawn, tried))| (squared_error(picture, drawn), chunk * CHUNK as u64 + i as u64, *tried)));
                best.sort_by(|a, b| a.0.total_cmp(&b.0));
                best.truncate(FOLLOWED);
            }
        }
        let point = |number: u64| {
            let i = (number % CHUNK as u64) as usize;
            latents(number / CHUNK as u64)[i * dim..(i + 1) * dim].to_vec()
        };
        let found =
            |of: Vec<(f64, u64, usize)>| of.into_iter().map(|(_, number, candidate)| Found { latent: point(number), candidate }).collect();
        best.into_iter().map(found).collect()
    }

    /// The points after `steps` of the search from `begin`, row by row, and the mean squared difference at each.
    fn follow(&self, picture: &[u8], begin: &[Found], steps: u64, progress: &mut dyn FnMut(u64)) -> (Vec<f32>, Vec<f64>) {
        let (n, dim) = (begin.len(), self.net.latent_dim());
        let frame = self.codec.frame(self.candidates[0].len());
        let target = self.codec.encode(std::iter::repeat_n((picture, false), n), &frame, self.device);
        let conditions = self.conditions(&begin.iter().map(|found| found.candidate).collect::<Vec<_>>());
        let net = self.net.clone().train().no_grad();
        let flat = |images: Tensor<4>| images.reshape([n, frame.image[0] * frame.image[1] * frame.channels]);
        let target = flat(target);
        let (lightest, darkest) = (target.clone().greater_equal_elem(1.0).float(), target.clone().lower_equal_elem(-1.0).float());
        let latents = begin.iter().flat_map(|found| found.latent.iter().copied()).collect::<Vec<f32>>();
        let mut z = Tensor::<2>::from_data(TensorData::new(latents, [n, dim]), self.device);
        let (mut mean, mut square) = (z.zeros_like(), z.zeros_like());
        for step in 0..steps {
            let tracked = z.clone().autodiff().require_grad();
            let images = flat(net.forward(tracked.clone(), conditions.clone()));
            let off = images - target.clone().autodiff();
            // Values beyond what a byte can show are as good as its end.
            let beyond = relu(off.clone()) * lightest.clone().autodiff() - relu(off.clone().neg()) * darkest.clone().autodiff();
            let error = (off - beyond).powf_scalar(2.0).mean_dim(1);
            let length = tracked.clone().powf_scalar(2.0).mean_dim(1).sub_scalar(1.0).powf_scalar(2.0);
            let gradients = (error + length.mul_scalar(LENGTH)).sum().backward();
            let Some(g) = tracked.grad(&gradients) else { break };
            // Adam with beta 1 = 0.9 and beta 2 = 0.99.
            mean = mean.mul_scalar(0.9) + g.clone().mul_scalar(0.1);
            square = square.mul_scalar(0.99) + (g.clone() * g).mul_scalar(0.01);
            let t = (step + 1) as i32;
            let (m, v) = (mean.clone().div_scalar(1.0 - 0.9f64.powi(t)), square.clone().div_scalar(1.0 - 0.99f64.powi(t)));
            let rate = RATE * (0.5 + 0.5 * (std::f64::consts::PI * step as f64 / steps as f64).cos());
            z = z - m / v.sqrt().add_scalar(1e-12) * rate;
            progress(step + 1);
        }
        let images = self.codec.decode(self.net.forward(z.clone(), conditions));
        let errors = images.chunks_exact(picture.len()).map(|drawn| squared_error(picture, drawn)).collect();
        (z.into_data().convert::<f32>().try_to_vec::<f32>().expect("converted to f32"), errors)
    }

    fn conditions(&self, candidates: &[usize]) -> Option<Tensor<2>> {
        let rows: Vec<Vec<f32>> = candidates.iter().map(|i| self.candidates[*i].clone()).collect();
        conditions(&rows, (rows.len(), self.candidates[0].len()), self.device)
    }
}

/// Mean squared difference of bytes.
fn squared_error(a: &[u8], b: &[u8]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum::<f64>() / a.len() as f64
}

/// Peak signal-to-noise ratio of 8-bit pictures in decibels; infinite for equal ones.
pub fn psnr(a: &[u8], b: &[u8]) -> f64 {
    10.0 * (255.0f64.powi(2) / squared_error(a, b)).log10()
}
