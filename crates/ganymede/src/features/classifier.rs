//! A network that tells classes of pictures, learned from labelled ones.

use std::collections::HashMap;

use burn::tensor::Device;

use super::extractor::{floats, restored};
use super::learn::{cross_entropy, untrained};
use super::network::FeatureNet;
use super::views::{Change, View};
use super::{Cache, Lesson};
use crate::data::Pictures;
use crate::error::{Error, Result};
use crate::nn::save_params;
use crate::random::{self, DataOrder};
use crate::run::{HostTensor, NamedTensors};
use crate::train::{AdamSettings, Player};

/// Pictures of an update.
const BATCH: usize = 64;
/// Adam's learning rate at the beginning; it falls to zero along half a cosine.
const RATE: f64 = 2e-3;
/// Weight of the old average of the weights at each update.
const AVERAGE: f64 = 0.99;
/// Pictures that go through the network at once.
const CHUNK: usize = 128;
/// Names of the weights begin with it.
const PREFIX: &str = "classifier";

/// How a classifier learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Practice {
    /// Updates of 64 pictures.
    pub steps: u64,
    /// What is done to a picture each time it is shown.
    pub change: Change,
    /// Longer side of what the network sees, in pixels: larger pictures are averaged over squares.
    pub largest: usize,
    /// Of initial weights, order and changes.
    pub seed: u64,
}

/// Tells the class of pictures of one shape.
#[derive(Debug, Clone)]
pub struct Classifier {
    net: FeatureNet,
    view: View,
    n_classes: usize,
    device: Device,
}

impl Classifier {
    /// Learns from labelled pictures on the CPU, or takes what was learned from the same ones before: `known` is a cache and the fingerprint of pictures, labels and practice. `progress`
    /// is called with (done, of).
    ///
    /// # Errors
    /// [`Error::Data`] if there are fewer than two pictures, if not each has a label below the number of classes, or if they are smaller than 4 x 4.
    pub fn learn(
        lesson: &Lesson<'_>,
        practice: Practice,
        known: Option<(&Cache, &str)>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        let Lesson { pictures, labels, n_classes } = *lesson;
        if pictures.len() < 2 || labels.len() != pictures.len() || labels.iter().any(|label| *label as usize >= n_classes) {
            let problem = format!("{} pictures with {} labels of {n_classes} classes are no lesson", pictures.len(), labels.len());
            return Err(Error::data("pictures", problem, "give each of at least two pictures its class"));
        }
        let fresh = Self::fresh([pictures.height, pictures.width, pictures.channels], n_classes, practice)?;
        if let Some(net) = known.and_then(|(cache, fingerprint)| restored(&fresh.net, PREFIX, cache.read(fingerprint)?)) {
            return Ok(Self { net, ..fresh });
        }
        let net = fresh.practised(lesson, practice, progress);
        if let Some((cache, fingerprint)) = known {
            cache.write(fingerprint, &save_params(&net, PREFIX));
        }
        Ok(Self { net, ..fresh })
    }

    /// Random weights, for pictures of that height, width and number of channels.
    fn fresh([height, width, channels]: [usize; 3], n_classes: usize, practice: Practice) -> Result<Self> {
        if height.min(width) < 4 {
            let problem = format!("pictures of {width} x {height} pixels are too small to be told apart");
            return Err(Error::data("pictures", problem, "give pictures of at least 4 x 4 pixels"));
        }
        let device = Device::flex();
        let view = View::within(&Pictures { pixels: &[], height, width, channels }, practice.largest);
        let net = untrained(&view, n_classes, practice.seed, &device).valid_net();
        Ok(Self { net, view, n_classes, device })
    }

    fn practised(&self, lesson: &Lesson<'_>, practice: Practice, progress: &mut dyn FnMut(u64, u64)) -> FeatureNet {
        let Practice { steps, change, seed, .. } = practice;
        let mut player = Player::averaged(untrained(&self.view, self.n_classes, seed, &self.device));
        let mut order = DataOrder::new(seed, "classifier-order", lesson.pictures.len());
        for step in 0..steps {
            let chosen = order.batch(step, BATCH);
            let mut rng = random::stream(seed, "classifier-views", step);
            let shown = self.view.changed(chosen.iter().map(|i| lesson.pictures.picture(*i)), change, &mut rng, &self.device);
            let net = player.net();
            let (_, Some(logits)) = net.heads(net.features(shown.autodiff())) else { break };
            let loss = cross_entropy(logits, chosen.iter().map(|i| lesson.labels[*i]), &self.device);
            let lr = RATE * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
            player.update(loss.backward(), AdamSettings { lr, beta1: 0.9, beta2: 0.99, epsilon: 1e-8 }, 0.0);
            // An average of few weights is one of the last of them.
            player.average(AVERAGE.min(step as f64 / (step + 10) as f64));
            progress(step + 1, steps);
        }
        player.best()
    }

    /// Classes it tells apart.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// The logits of each picture, `[n, classes]` row by row.
    ///
    /// # Errors
    /// [`Error::Data`] if the pictures have another shape than those learned from.
    pub fn logits(&self, pictures: &Pictures<'_>) -> Result<Vec<f32>> {
        if !self.view.is_of(pictures) {
            let problem = format!("pictures of {} x {} pixels have another shape than those learned from", pictures.width, pictures.height);
            return Err(Error::data("pictures", problem, "give pictures of one shape"));
        }
        let positions: Vec<usize> = (0..pictures.len()).collect();
        let of = |chunk: &[usize]| {
            let images = self.view.whole(chunk.iter().map(|i| pictures.picture(*i)), &self.device);
            self.net.heads(self.net.features(images)).1.map(floats).unwrap_or_default()
        };
        Ok(positions.chunks(CHUNK).flat_map(of).collect())
    }

    /// The class of each picture.
    ///
    /// # Errors
    /// As [`Classifier::logits`].
    pub fn classes(&self, pictures: &Pictures<'_>) -> Result<Vec<usize>> {
        let best =
            |logits: &[f32]| logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))).map_or(0, |(class, _)| class);
        Ok(self.logits(pictures)?.chunks_exact(self.n_classes).map(best).collect())
    }

    /// Its weights.
    pub fn save(&self) -> NamedTensors {
        save_params(&self.net, PREFIX)
    }

    /// A classifier for pictures of that height, width and number of channels with the weights that [`Classifier::save`] gave.
    ///
    /// # Errors
    /// A sentence that says what does not fit.
    pub fn load(shape: [usize; 3], n_classes: usize, practice: Practice, tensors: NamedTensors) -> Result<Self, String> {
        let fresh = Self::fresh(shape, n_classes, practice).map_err(|error| error.to_string())?;
        let mut tensors: HashMap<String, HostTensor> = tensors.into_iter().collect();
        let net = crate::nn::load_params(fresh.net.clone(), PREFIX, &mut tensors)?;
        match tensors.keys().min() {
            Some(name) => Err(format!("tensor \"{name}\" belongs to no part of this network")),
            None => Ok(Self { net, ..fresh }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRACTICE: Practice = Practice { steps: 60, change: Change::Shift, largest: 32, seed: 0 };

    /// Grey pictures of 8 x 8 with a bright row above or below, and noise.
    fn rows(n: usize, seed: u64) -> (Vec<u8>, Vec<u32>) {
        let labels: Vec<u32> = (0..n as u32).map(|i| i % 2).collect();
        let noise = random::uniform(n * 64, &mut random::stream(seed, "rows", 0));
        let pixel = |i: usize, v: f32| (v * 100.0) as u8 + if (i % 64 / 8) == 1 + 5 * labels[i / 64] as usize { 150 } else { 0 };
        (noise.iter().enumerate().map(|(i, v)| pixel(i, *v)).collect(), labels)
    }

    #[test]
    fn classes_are_told_and_weights_come_back() {
        let ((pixels, labels), (others, truth)) = (rows(200, 1), rows(100, 2));
        let view = |pixels| Pictures { pixels, height: 8, width: 8, channels: 1 };
        let lesson = Lesson { pictures: view(&pixels), labels: &labels, n_classes: 2 };
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let learned = Classifier::learn(&lesson, PRACTICE, Some((&cache, "rows")), &mut |_, _| {}).unwrap();
        let right = learned.classes(&view(&others)).unwrap().iter().zip(&truth).filter(|(a, b)| **a == **b as usize).count();
        assert!(right >= 98, "{right} of 100");
        let logits = learned.logits(&view(&others)).unwrap();
        assert_eq!(logits.len(), 200);
        let again = Classifier::learn(&lesson, PRACTICE, Some((&cache, "rows")), &mut |_, _| panic!("learned twice")).unwrap();
        assert_eq!(again.logits(&view(&others)).unwrap(), logits);
        let loaded = Classifier::load([8, 8, 1], 2, PRACTICE, learned.save()).unwrap();
        assert_eq!(loaded.logits(&view(&others)).unwrap(), logits);
        assert!(Classifier::load([16, 8, 1], 2, PRACTICE, learned.save()).is_err());
        assert!(Classifier::load([8, 8, 1], 2, PRACTICE, learned.save().split_off(1)).unwrap_err().contains("missing"));
    }

    #[test]
    fn what_is_no_lesson_is_refused() {
        let (pixels, labels) = rows(20, 1);
        let pictures = Pictures { pixels: &pixels, height: 8, width: 8, channels: 1 };
        let refused =
            |labels: &[u32]| Classifier::learn(&Lesson { pictures, labels, n_classes: 2 }, PRACTICE, None, &mut |_, _| {}).is_err();
        assert!(refused(&labels[..19]) && refused(&[2; 20]) && !refused(&labels));
        let learned = Classifier::learn(&Lesson { pictures, labels: &labels, n_classes: 2 }, PRACTICE, None, &mut |_, _| {}).unwrap();
        let other = Pictures { pixels: &pixels, height: 16, width: 4, channels: 1 };
        assert!(learned.logits(&other).unwrap_err().to_string().contains("another shape"));
    }
}
