//! Kinds counted among samples, where the data was put together from known ones.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::judge::{gathered, shuffled};
use crate::data::{Channels, Fit, ImageSet, ImageSpec, Pictures, Stacked};
use crate::error::Result;
use crate::features::{Cache, Change, Classifier, Lesson, Practice};
use crate::judge::{Score, Split};
use crate::metrics::modes;
use crate::random::DataOrder;

/// Samples that kinds are counted in, unless asked otherwise: as many as in the literature.
pub const COUNTED: usize = 26_000;
/// How the classifier of the parts learns.
const PRACTICE: Practice = Practice { steps: 1000, change: Change::Bend, largest: 32, seed: 0 };
/// Share of the parts that the classifier is tested by.
const TESTED: f64 = 0.2;
/// Pictures that are looked at together.
const CHUNK: usize = 1000;

/// Tells the kind of pictures that are put together from parts: the class of each channel, by a network that learned the parts.
pub struct Kinds<'a> {
    stacked: &'a Stacked,
    classifier: Classifier,
    /// Share of held-out parts that the classifier finds in their own class.
    accuracy: f64,
    height: usize,
    width: usize,
}

impl<'a> Kinds<'a> {
    /// Learns the parts of the data, or takes what was learned from them before. Nothing where channels were dropped, so that parts cannot be told.
    ///
    /// # Errors
    /// [`crate::Error::Data`] if the pictures are too small.
    pub fn learn(
        stacked: &'a Stacked,
        data: &ImageSet,
        (fit, cache): (Fit, Option<&Path>),
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Option<Self>> {
        if data.channels != Channels::Rgb {
            return Ok(None);
        }
        let (height, width) = (data.height, data.width);
        let parts = stacked.parts().load(&ImageSpec { width, height, channels: Channels::Grey, fit }, &mut |_, _| {})?;
        let split = Split::new(parts.len(), TESTED);
        let of = |positions: &[usize]| -> (Vec<u8>, Vec<u32>) {
            (gathered(&parts, positions), positions.iter().map(|i| parts.labels[*i]).collect())
        };
        let ((pixels, labels), (others, truth)) = (of(&split.training), of(&split.held_out));
        let view = |pixels| Pictures { pixels, height, width, channels: 1 };
        let lesson = Lesson { pictures: view(&pixels), labels: &labels, n_classes: parts.classes.len() };
        let text = format!("{} {} {PRACTICE:?}", parts.fingerprint, split.training.len());
        let fingerprint: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        let cache = cache.map(Cache::new);
        let classifier = Classifier::learn(&lesson, PRACTICE, cache.as_ref().map(|cache| (cache, fingerprint.as_str())), progress)?;
        let found = classifier.classes(&view(&others))?;
        let right = found.iter().zip(&truth).filter(|(a, b)| **a == **b as usize).count();
        Ok(Some(Self { stacked, classifier, accuracy: right as f64 / truth.len().max(1) as f64, height, width }))
    }

    /// How well it knows the parts, in words.
    pub fn describe(&self, n: usize) -> String {
        let (kinds, accuracy) = (self.stacked.n_kinds(), 100.0 * self.accuracy);
        format!(
            "{kinds} kinds are counted among {n} samples, each channel told by a network that is right about {accuracy:.1} % of held-out parts"
        )
    }

    /// The kind of each picture, `[n, height, width, 3]`.
    ///
    /// # Errors
    /// [`crate::Error::Data`] if the pictures have another shape.
    pub fn of(&self, pixels: &[u8]) -> Result<Vec<usize>> {
        let n_pixels = self.height * self.width;
        let planes: Vec<u8> = pixels
            .chunks_exact(3 * n_pixels)
            .flat_map(|picture| (0..3).flat_map(move |channel| picture.iter().skip(channel).step_by(3).copied()))
            .collect();
        let parts = Pictures { pixels: &planes, height: self.height, width: self.width, channels: 1 };
        Ok(self.classifier.classes(&parts)?.chunks_exact(3).map(|classes| self.stacked.kind(classes.iter().copied())).collect())
    }

    /// Kinds found among samples and the divergence of their frequencies from even ones, beside the same figures of as many real and trivial pictures. `draw` gives the pixels of
    /// samples by number.
    ///
    /// # Errors
    /// Whatever drawing gives.
    pub fn scores(&self, data: &ImageSet, n: usize, mut draw: impl FnMut(std::ops::Range<usize>) -> Result<Vec<u8>>) -> Result<Vec<Score>> {
        let even = vec![1u64; self.stacked.n_kinds()];
        let count = |draw: &mut dyn FnMut(std::ops::Range<usize>) -> Result<Vec<u8>>| {
            let mut counts = vec![0u64; even.len()];
            for first in (0..n).step_by(CHUNK) {
                self.of(&draw(first..(first + CHUNK).min(n))?)?.into_iter().for_each(|kind| counts[kind] += 1);
            }
            modes(&even, &counts)
        };
        let all: Vec<usize> = (0..data.len()).collect();
        let order = DataOrder::new(0, "counted", data.len()).batch(0, n);
        let samples = count(&mut draw)?;
        let real = count(&mut |range| Ok(gathered(data, &order[range])))?;
        let trivial = count(&mut |range| Ok(shuffled(data, &all, (range.len(), range.start as u64))))?;
        let score = |metric: &str, of: &dyn Fn(&crate::metrics::Modes) -> f64| Score {
            metric: metric.into(),
            value: of(&samples),
            error: None,
            real: of(&real),
            trivial: of(&trivial),
        };
        Ok(vec![score("modes", &|m| m.found as f64), score("mode_divergence", &|m| m.divergence)])
    }
}
