//! Pictures held against real ones.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::data::{ImageSet, Pictures};
use crate::error::Result;
use crate::features::{Cache, Extractor, Kind, Lesson};
use crate::judge::{Look, LookClasses, Panel, Real, RealClasses, Signal, Split};
use crate::random::{self, DataOrder};

/// Training pictures that samples are held against, at most.
const MOST_TRAINING: usize = 50_000;

/// Bytes of training pictures that samples are held against, at most.
const MOST_BYTES: usize = 1 << 30;

/// Pictures in a file that trivial samples are put together from.
const SHUFFLED: usize = 4096;

/// Share of the kinds of pictures that a healthy generator may leave out: up to 7 of 20 were seen to be missing halfway through short healthy runs on the digits.
const TOLERATED: f64 = 0.4;

/// What pictures are judged by.
#[derive(Clone)]
pub struct ImageJudge {
    /// Pictures to features.
    pub extractor: Extractor,
    /// Real pictures, as features.
    pub panel: Arc<Panel>,
    /// Positions in the data of the training pictures of the panel.
    pub training: Vec<usize>,
    shape: [usize; 3],
}

impl ImageJudge {
    /// Learns features of the training pictures, or takes them from `cache`, and looks at all real ones. At most `most` will be judged.
    ///
    /// # Errors
    /// [`crate::Error::Data`] if there are too few pictures to judge by, or they are too small.
    pub fn new(
        data: &ImageSet,
        split: &Split,
        (kind, most): (&Kind, usize),
        cache: Option<&Path>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        let shape = [data.height, data.width, data.channels.count()];
        let view = |pixels| Pictures { pixels, height: shape[0], width: shape[1], channels: shape[2] };
        let training = some(&split.training, MOST_TRAINING.min(MOST_BYTES / data.picture_bytes()));
        let (training_pixels, held_out_pixels) = (gathered(data, &training), gathered(data, &split.held_out));
        let labels = |of: &[usize]| if data.labels.is_empty() { Vec::new() } else { of.iter().map(|i| data.labels[*i]).collect() };
        let (training_labels, held_out_labels) = (labels(&training), labels(&split.held_out));
        let lesson = Lesson { pictures: view(&training_pixels), labels: &training_labels, n_classes: data.classes.len() };
        let cache = cache.map(Cache::new);
        let extractor = Extractor::learn(kind, &lesson, &fingerprint(data, split), cache.as_ref(), progress)?;
        let seen = extractor.see(&lesson.pictures)?;
        let held_out = if split.held_out.len() < 2 { None } else { Some(extractor.see(&view(&held_out_pixels))?) };
        let classes = seen.classes.as_ref().map(|in_training| {
            let (found, labels) = match &held_out {
                Some(held_out) => (held_out.classes.as_deref().unwrap_or_default(), &held_out_labels),
                None => (in_training.as_slice(), &training_labels),
            };
            let right = found.iter().zip(labels).filter(|(a, b)| a == b).count();
            let mut shares = vec![0.0; data.classes.len()];
            training_labels.iter().for_each(|label| shares[*label as usize] += 1.0 / training_labels.len() as f64);
            RealClasses { shares, accuracy: right as f64 / labels.len().max(1) as f64 }
        });
        let trivial = shuffled(data, &training, (Panel::MOST, 0));
        let panel = Panel::new(Real {
            extractor: extractor.describe(),
            choice: "frechet",
            trivial: extractor.see(&view(&trivial))?.features,
            training: seen.features,
            held_out: held_out.map(|seen| seen.features),
            most,
            classes,
            saturated: saturated(&training_pixels),
            tolerated: TOLERATED,
        })?;
        Ok(Self { extractor, panel: Arc::new(panel), training, shape })
    }

    /// A panel of some of the training and held-out pictures alone. At most `most` samples will be judged by it.
    ///
    /// # Errors
    /// [`crate::Error::Data`] if there are too few.
    pub fn panel_of(&self, data: &ImageSet, (training, held_out): (&[usize], &[usize]), most: usize) -> Result<Panel> {
        let [height, width, channels] = self.shape;
        let pixels = |pixels: Vec<u8>| self.extractor.see(&Pictures { pixels: &pixels, height, width, channels }).map(|seen| seen.features);
        Panel::new(Real {
            extractor: self.extractor.describe(),
            choice: "frechet",
            training: pixels(gathered(data, training))?,
            held_out: if held_out.len() < 2 { None } else { Some(pixels(gathered(data, held_out))?) },
            trivial: pixels(shuffled(data, training, (Panel::MOST, 0)))?,
            most,
            classes: None,
            saturated: 0.0,
            tolerated: TOLERATED,
        })
    }

    /// Sees pictures of the same shape, `[n, height, width, channels]`; `asked` holds the class that each was asked for.
    ///
    /// # Errors
    /// [`crate::Error::Data`] if there are fewer than two.
    pub fn look(&self, pixels: &[u8], asked: Option<&[usize]>, signal: Option<Signal>) -> Result<Look> {
        let [height, width, channels] = self.shape;
        let seen = self.extractor.see(&Pictures { pixels, height, width, channels })?;
        let classes = seen.classes.map(|classes| {
            let mut found = vec![0u64; self.extractor.n_classes()];
            classes.iter().for_each(|class| found[*class as usize] += 1);
            let agreed = |asked: &[usize]| asked.iter().zip(&classes).filter(|(a, b)| **a == **b as usize).count();
            LookClasses { found, agreement: asked.map(|asked| agreed(asked) as f64 / classes.len() as f64) }
        });
        Ok(Look { features: seen.features, classes, saturated: saturated(pixels), signal, own: None })
    }
}

/// At most `n` of the positions, spread at random.
fn some(positions: &[usize], n: usize) -> Vec<usize> {
    if positions.len() <= n {
        return positions.to_vec();
    }
    DataOrder::new(0, "judged", positions.len()).batch(0, n).into_iter().map(|i| positions[i]).collect()
}

/// Pixels of the pictures at those positions.
pub fn gathered(data: &ImageSet, positions: &[usize]) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(positions.len() * data.picture_bytes());
    positions.iter().for_each(|i| pixels.extend_from_slice(&data.picture(*i)));
    pixels
}

/// Samples of the trivial generator: each value of a picture from another training picture, so that every pixel is right by itself and nothing goes together.
/// The first `n` of stream number `stream` of them. Of pictures in a file, at most [`SHUFFLED`] are taken.
pub fn shuffled(data: &ImageSet, training: &[usize], (n, stream): (usize, u64)) -> Vec<u8> {
    let n_values = data.picture_bytes();
    let most = if data.pixels.is_in_memory() { usize::MAX } else { SHUFFLED };
    let from: Vec<_> = some(training, most).into_iter().map(|i| data.picture(i)).collect();
    let mut rng = random::stream(0, "trivial", stream);
    let mut draw = || random::below(from.len() as u64, &mut rng) as usize;
    (0..n * n_values).map(|i| from[draw()][i % n_values]).collect()
}

/// Share of values that are as small or as large as can be.
fn saturated(pixels: &[u8]) -> f64 {
    pixels.iter().filter(|v| matches!(v, 0 | 255)).count() as f64 / pixels.len().max(1) as f64
}

/// Of what features are learned from: the pictures, and how many of them are held out.
pub fn fingerprint(data: &ImageSet, split: &Split) -> String {
    let text = format!("{} {}", data.fingerprint, split.held_out.len());
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
