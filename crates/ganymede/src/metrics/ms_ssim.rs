//! How alike pictures look, and from that how little a generator varies them.

use rayon::prelude::*;

use crate::data::Pictures;
use crate::error::{Error, Result};
use crate::random;

/// Weights of the scales, finest first, as published (Wang, Simoncelli and Bovik 2003, section 4): rounded so that they sum to 1.0001.
const WEIGHTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];
/// Pixels across the window, and the standard deviation of its Gaussian weights in pixels.
const WINDOW: usize = 11;
const SIGMA: f64 = 1.5;
/// `(K L)^2` of luminance and contrast with K = 0.01 and 0.03 and values from 0 to L = 255.
const LUMINANCE: f64 = (0.01 * 255.0) * (0.01 * 255.0);
const CONTRAST: f64 = (0.03 * 255.0) * (0.03 * 255.0);

/// Result of [`ms_ssim_diversity`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Diversity {
    /// Mean similarity of a pair, from 0 to 1: lower is more diverse.
    pub mean: f64,
    /// Standard error of the mean over the choice of pairs. How pictures would differ if there were other ones is not in it.
    pub standard_error: f64,
}

/// Mean [`ms_ssim`] of `n_pairs` random pairs of different pictures (Odena, Olah and Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs", ICML 2017,
/// section 4.2, who take pairs within a class). The same pair may be drawn twice. By itself the figure says little: compare it with that of as many real pictures, which a
/// generator that collapses exceeds and one that makes noise falls below.
///
/// The same pictures and seed give the same figure, whatever the number of threads.
///
/// # Errors
/// [`Error::Data`] if the bytes are not whole pictures of that shape, or fewer than two; [`Error::Config`] for fewer than two pairs.
pub fn ms_ssim_diversity(pictures: &Pictures<'_>, n_pairs: usize, seed: u64) -> Result<Diversity> {
    let n = at_least_two(pictures)?;
    if n_pairs < 2 {
        return Err(Error::config("n_pairs", format!("{n_pairs} is out of range"), "give at least two pairs, better some hundreds"));
    }
    let mut rng = random::stream(seed, "ms-ssim", 0);
    let pairs: Vec<[usize; 2]> = (0..n_pairs)
        .map(|_| {
            let first = random::below(n as u64, &mut rng) as usize;
            // One of the others, each as likely.
            let second = random::below(n as u64 - 1, &mut rng) as usize;
            [first, second + usize::from(second >= first)]
        })
        .collect();
    let shape = [pictures.height, pictures.width, pictures.channels];
    let each: Vec<f64> = pairs.par_iter().map(|[i, j]| ms_ssim(pictures.picture(*i), pictures.picture(*j), shape)).collect();
    let count = n_pairs as f64;
    let mean = each.iter().sum::<f64>() / count;
    let variance = each.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Ok(Diversity { mean, standard_error: (variance / count).sqrt() })
}

/// How many pictures there are.
fn at_least_two(pictures: &Pictures<'_>) -> Result<usize> {
    let Pictures { pixels, height, width, channels } = *pictures;
    let each = height.checked_mul(width).and_then(|n| n.checked_mul(channels)).filter(|n| *n > 0);
    match each.filter(|each| pixels.len().is_multiple_of(*each)).map(|each| pixels.len() / each) {
        None => {
            let problem = format!("{} bytes are not pictures of {width} x {height} pixels of {channels} channels", pixels.len());
            Err(Error::data("pictures", problem, "give whole pictures"))
        }
        Some(n) if n < 2 => Err(Error::data("pictures", format!("{n} cannot be compared"), "give at least two")),
        Some(n) => Ok(n),
    }
}

/// Multi-scale structural similarity of two pictures `[height, width, channels]` (Wang, Simoncelli and Bovik, "Multi-Scale Structural Similarity for Image Quality
/// Assessment", Asilomar 2003): from 0 to 1, 1 for equal pictures. A Gaussian window of 11 pixels (standard deviation 1.5) where it lies wholly inside the picture, K = (0.01, 0.03),
/// five scales, each half as large as the one before; a scale whose mean contrast term is negative counts as 0; the mean over channels.
///
/// - Scales are halved by the mean of 2 x 2 pixels. Where a side is odd its last row or column is repeated, so that none is lost (other implementations pad with zeros there,
///   which darkens a border).
/// - Pictures that are too small for five scales have as many as keep their shorter side at 11 pixels or more, the weights of which are divided by their sum: 64 pixels give three
///   scales, 28 two, 16 one. Figures of pictures of different size are therefore not comparable.
/// - Below 11 pixels there is one scale, and the window is the largest odd number of pixels that fits.
///
/// # Panics
/// If a side or the number of channels is 0, or if a length is not their product.
pub fn ms_ssim(a: &[u8], b: &[u8], [height, width, channels]: [usize; 3]) -> f64 {
    assert!(height * width * channels > 0, "ms_ssim: the pictures have no pixels");
    assert!([a, b].iter().all(|p| p.len() == height * width * channels), "ms_ssim: the pictures do not have that shape");
    let side = height.min(width);
    let weights = &WEIGHTS[..n_scales(side)];
    // All five are used as published, in agreement with other implementations.
    let total: f64 = if weights.len() < WEIGHTS.len() { weights.iter().sum() } else { 1.0 };
    let window = window(side);
    let one = |channel: usize| {
        let mut planes = [a, b].map(|picture| Plane::of(picture, [height, width, channels], channel));
        let mut product = 1.0;
        for (scale, weight) in weights.iter().enumerate() {
            if scale > 0 {
                planes = planes.map(|plane| plane.halved());
            }
            let [luminance_too, contrast] = similarity(&planes, &window);
            // Luminance counts at the coarsest scale alone.
            let term = if scale + 1 == weights.len() { luminance_too } else { contrast };
            product *= term.max(0.0).powf(weight / total);
        }
        product
    };
    (0..channels).map(one).sum::<f64>() / channels as f64
}

/// How many scales a picture of this shorter side has.
fn n_scales(side: usize) -> usize {
    let coarser = std::iter::successors(Some(side), |side| Some(side.div_ceil(2))).skip(1);
    1 + coarser.take(WEIGHTS.len() - 1).take_while(|side| *side >= WINDOW).count()
}

/// Gaussian weights that sum to 1, over an odd number of pixels that fits into `side`.
fn window(side: usize) -> Vec<f64> {
    let reach = (side.min(WINDOW) - 1) / 2;
    let weights: Vec<f64> = (0..=2 * reach).map(|i| (-(i as f64 - reach as f64).powi(2) / (2.0 * SIGMA * SIGMA)).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|w| w / total).collect()
}

/// Means of the similarity and of its contrast and structure term over all places of the window.
fn similarity([a, b]: &[Plane; 2], window: &[f64]) -> [f64; 2] {
    let mean_of = |value: &dyn Fn(f64, f64) -> f64| {
        let values = a.values.iter().zip(&b.values).map(|(a, b)| value(*a, *b)).collect();
        Plane { values, ..*a }.blurred(window)
    };
    let [a, b, aa, bb, ab] =
        [mean_of(&|a, _| a), mean_of(&|_, b| b), mean_of(&|a, _| a * a), mean_of(&|_, b| b * b), mean_of(&|a, b| a * b)];
    let mut sums = [0.0; 2];
    for i in 0..a.len() {
        let (mean_a, mean_b) = (a[i], b[i]);
        let (variance_a, variance_b, covariance) = (aa[i] - mean_a * mean_a, bb[i] - mean_b * mean_b, ab[i] - mean_a * mean_b);
        let contrast = (2.0 * covariance + CONTRAST) / (variance_a + variance_b + CONTRAST);
        let luminance = (2.0 * mean_a * mean_b + LUMINANCE) / (mean_a * mean_a + mean_b * mean_b + LUMINANCE);
        sums[0] += luminance * contrast;
        sums[1] += contrast;
    }
    sums.map(|sum| sum / a.len() as f64)
}

/// One channel of a picture.
struct Plane {
    /// `[height, width]`.
    values: Vec<f64>,
    height: usize,
    width: usize,
}

impl Plane {
    fn of(picture: &[u8], [height, width, channels]: [usize; 3], channel: usize) -> Self {
        Self { values: picture.iter().skip(channel).step_by(channels).map(|v| f64::from(*v)).collect(), height, width }
    }

    /// Half as large, rounded up.
    fn halved(&self) -> Self {
        let (height, width) = (self.height.div_ceil(2), self.width.div_ceil(2));
        let mut values = Vec::with_capacity(height * width);
        for y in 0..height {
            let row = |y: usize| &self.values[y * self.width..][..self.width];
            let (upper, lower) = (row(2 * y), row((2 * y + 1).min(self.height - 1)));
            values.extend(upper.chunks(2).zip(lower.chunks(2)).map(|(u, l)| 0.25 * (u[0] + u[u.len() - 1] + l[0] + l[l.len() - 1])));
        }
        Self { values, height, width }
    }

    /// Weighted means over every place of the window that lies inside.
    fn blurred(&self, window: &[f64]) -> Vec<f64> {
        let (height, width) = (self.height + 1 - window.len(), self.width + 1 - window.len());
        let mut across = vec![0.0; self.height * width];
        for (row, to) in self.values.chunks_exact(self.width).zip(across.chunks_exact_mut(width)) {
            for (shift, weight) in window.iter().enumerate() {
                add_scaled(to, &row[shift..], *weight);
            }
        }
        let mut both = vec![0.0; height * width];
        for (y, to) in both.chunks_exact_mut(width).enumerate() {
            for (row, weight) in across[y * width..].chunks_exact(width).zip(window) {
                add_scaled(to, row, *weight);
            }
        }
        both
    }
}

fn add_scaled(to: &mut [f64], from: &[f64], weight: f64) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += weight * from);
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The pictures of `bench/golden/make_ms_ssim.py`: ramps that wrap around, and the same mixed with noise or turned to the negative. `noise` is out of 256.
    fn pair([height, width, channels]: [usize; 3], noise: u64, negative: bool) -> [Vec<u8>; 2] {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for i in 0..height * width * channels {
            let [y, x, c] = [i / channels / width, i / channels % width, i % channels].map(|v| v as u64);
            let ramp = ((3 * x * x + 5 * y * y + 7 * x * y) / 64 + 50 * c) % 256;
            let speckle = (((7919 * x + 104_729 * y + 1_299_709 * c + 1) * 2_654_435_761) % (1 << 32)) >> 24;
            a.push(ramp as u8);
            let mixed = (ramp * (256 - noise) + speckle * noise) / 256;
            b.push(if negative { 255 - mixed } else { mixed } as u8);
        }
        [a, b]
    }

    /// The golden file was made with pytorch-msssim 1.0.0 and PyTorch 2.15.0, in float64.
    #[test]
    fn similarities_are_those_of_pytorch_msssim() {
        let golden: Value = serde_json::from_str(include_str!("../../tests/golden/ms_ssim.json")).unwrap();
        let cases = golden["cases"].as_array().unwrap();
        assert!(cases.iter().any(|case| case["scales"] == 5) && cases.len() >= 10);
        for case in cases {
            let shape = ["height", "width", "channels"].map(|name| case[name].as_u64().unwrap() as usize);
            let [a, b] = pair(shape, case["noise"].as_u64().unwrap(), case["negative"].as_bool().unwrap());
            assert_eq!(n_scales(shape[0].min(shape[1])) as u64, case["scales"].as_u64().unwrap(), "{case}");
            let (ours, theirs) = (ms_ssim(&a, &b, shape), case["ms_ssim"].as_f64().unwrap());
            assert!((ours - theirs).abs() <= 1e-9 * theirs, "{case}: {ours}");
        }
    }

    #[test]
    fn equal_pictures_are_alike_whatever_their_size() {
        for shape in [[1, 1, 1], [2, 5, 3], [10, 300, 1], [11, 12, 4], [33, 47, 3], [176, 200, 1]] {
            let [a, b] = pair(shape, 200, false);
            assert_eq!(ms_ssim(&a, &a, shape), 1.0, "{shape:?}");
            let (one, two) = (ms_ssim(&a, &b, shape), ms_ssim(&b, &a, shape));
            assert!(one == two && (0.0..1.0).contains(&one), "{shape:?}: {one} {two}");
        }
    }

    #[test]
    fn flat_pictures_differ_by_luminance_alone() {
        // Contrast terms are 1; the luminance term of 100 against 200 is raised to the weight of the coarsest scale.
        let luminance: f64 = (2.0 * 100.0 * 200.0 + LUMINANCE) / (100.0f64.powi(2) + 200.0f64.powi(2) + LUMINANCE);
        for (side, weight) in [(8, 1.0), (16, 1.0), (32, 0.2856 / (0.0448 + 0.2856)), (176, 0.1333)] {
            let found = ms_ssim(&vec![100; side * side], &vec![200; side * side], [side, side, 1]);
            assert!((found - luminance.powf(weight)).abs() < 1e-9, "{side}: {found}");
        }
    }

    #[test]
    fn a_picture_and_its_negative_have_nothing_in_common() {
        let [a, b] = pair([64, 64, 1], 0, true);
        assert_eq!(ms_ssim(&a, &b, [64, 64, 1]), 0.0);
    }

    #[test]
    fn the_last_row_and_column_of_an_odd_side_are_repeated() {
        let plane = Plane { values: vec![1.0, 3.0, 8.0, 5.0, 7.0, 2.0, 6.0, 4.0, 9.0], height: 3, width: 3 }.halved();
        assert_eq!((plane.values, plane.height, plane.width), (vec![4.0, 5.0, 5.0, 9.0], 2, 2));
    }

    /// Ten pictures of noise.
    fn noise() -> Vec<u8> {
        random::uniform(10 * 16 * 16, &mut random::stream(5, "pixels", 0)).into_iter().map(|v| (255.0 * v) as u8).collect()
    }

    #[test]
    fn diversity_tells_one_picture_from_many() {
        let (same, many) = ([7; 4 * 16 * 16], noise());
        let measure = |pixels: &[u8]| ms_ssim_diversity(&Pictures { pixels, height: 16, width: 16, channels: 1 }, 60, 3).unwrap();
        assert_eq!(measure(&same), Diversity { mean: 1.0, standard_error: 0.0 });
        let varied = measure(&many);
        assert!(varied.mean < 0.1 && varied.standard_error > 0.0 && varied.standard_error < 0.02, "{varied:?}");
    }

    #[test]
    fn no_picture_is_compared_with_itself_and_threads_change_nothing() {
        // Two pictures: every pair is the same one.
        let two = &noise()[..2 * 16 * 16];
        let of = |pixels, seed| ms_ssim_diversity(&Pictures { pixels, height: 16, width: 16, channels: 1 }, 40, seed).unwrap();
        let alone = ms_ssim(&two[..256], &two[256..], [16, 16, 1]);
        assert!((of(two, 1).mean - alone).abs() < 1e-12 && of(two, 1).standard_error < 1e-12);

        let many = noise();
        let single = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(single.install(|| of(&many, 9)), of(&many, 9));
        assert_ne!(of(&many, 9), of(&many, 10));
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let refused = |n_bytes: usize, height, channels, n_pairs| {
            ms_ssim_diversity(&Pictures { pixels: &vec![0; n_bytes], height, width: 4, channels }, n_pairs, 0).unwrap_err().to_string()
        };
        assert!(refused(33, 4, 1, 5).contains("33 bytes are not pictures of 4 x 4 pixels of 1 channels; give whole pictures"));
        assert!(refused(16, 4, 1, 5).contains("1 cannot be compared"));
        assert!(refused(32, 4, 1, 1).contains("n_pairs"));
        assert!(refused(32, 0, 1, 5).contains("not pictures") && refused(32, usize::MAX, 3, 5).contains("not pictures"));
    }
}
