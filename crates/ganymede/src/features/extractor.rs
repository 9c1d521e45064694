//! A feature network that is ready for use.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::learn::{Lesson, learn, untrained};
use super::network::{DIM, FeatureNet};
use super::views::View;
use super::{Cache, EfficientNetLite0};
use crate::data::Pictures;
use crate::error::{Error, Result};
use crate::metrics::Features;
use crate::nn::{load_params, save_params};
use crate::run::{HostTensor, NamedTensors};

/// Pictures that go through the network at once.
const CHUNK: usize = 128;
/// The same for EfficientNet-Lite0, which takes some 7 MB for each.
const PUBLISHED_CHUNK: usize = 16;
/// Pictures of a class that its being learned takes, on average.
const OF_A_CLASS: usize = 10;

/// Where features come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Kind {
    /// A network that learns from the pictures themselves, and from their classes where they have any: `own`.
    #[default]
    Own,
    /// The same network with random weights: `random`.
    Random,
    /// EfficientNet-Lite0 with the weights of that file.
    Published(PathBuf),
}

impl Kind {
    /// `own`, `random`, or the path of a safetensors file.
    ///
    /// # Errors
    /// [`Error::Config`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "own" => Ok(Self::Own),
            "random" => Ok(Self::Random),
            path if path.ends_with(".safetensors") => Ok(Self::Published(path.into())),
            other => {
                let remedy = "write own, random, or the path of EfficientNet-Lite0's weights (a .safetensors file)";
                Err(Error::config("data.features", format!("\"{other}\" names no features"), remedy))
            }
        }
    }
}

impl Kind {
    /// Reads published weights once, so that a wrong file is a mistake found before training and not in the middle of it.
    ///
    /// # Errors
    /// As [`EfficientNetLite0::open`].
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Own | Self::Random => Ok(()),
            Self::Published(path) => EfficientNetLite0::open(path, &Device::flex()).map(|_| ()),
        }
    }
}

impl TryFrom<String> for Kind {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        Self::parse(&text).map_err(|error| error.to_string())
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Own => "own".to_owned(),
            Kind::Random => "random".to_owned(),
            Kind::Published(path) => path.to_string_lossy().into_owned(),
        }
    }
}

/// Turns pictures of one shape into feature vectors. Those of our own networks have mean 0 and variance 1 over the pictures they learned from; published ones are left as they are.
#[derive(Debug, Clone)]
pub struct Extractor {
    net: Net,
    view: View,
    device: Device,
}

#[derive(Debug, Clone)]
enum Net {
    Own(Box<Own>),
    Published(Arc<EfficientNetLite0>),
}

/// A network of ours.
#[derive(Debug, Clone)]
struct Own {
    net: FeatureNet,
    is_random: bool,
    /// Classes it tells apart; 0 for none.
    n_classes: usize,
    mean: Vec<f32>,
    /// One over the standard deviation.
    scale: Vec<f32>,
}

/// What an extractor saw in pictures.
#[derive(Debug, Clone)]
pub struct Seen {
    /// A vector for each picture.
    pub features: Features,
    /// The class of each picture, if classes were learned.
    pub classes: Option<Vec<u32>>,
}

impl Extractor {
    /// Learns from pictures, or takes what was learned from the same ones before: `fingerprint` is that of the pictures and classes. Always on the CPU, so that features do not
    /// depend on the device that trains. `progress` is called with (done, of).
    ///
    /// # Errors
    /// [`Error::Data`] if there are fewer than two pictures or they are smaller than 4 x 4.
    pub fn learn(
        kind: &Kind,
        lesson: &Lesson<'_>,
        fingerprint: &str,
        cache: Option<&Cache>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        let Lesson { pictures, labels, n_classes } = *lesson;
        let (device, view) = (Device::flex(), View::of(&pictures));
        if let Kind::Published(path) = kind {
            let net = Net::Published(Arc::new(EfficientNetLite0::open(path, &device)?));
            return Ok(Self { net, view, device });
        }
        if !Self::sees([pictures.height, pictures.width]) {
            let problem = format!("pictures of {} x {} pixels are too small for features", pictures.width, pictures.height);
            return Err(Error::data("pictures", problem, "give pictures of at least 4 x 4 pixels"));
        }
        let is_random = *kind == Kind::Random;
        let n_classes = if !is_random && n_classes > 1 && labels.len() >= OF_A_CLASS * n_classes { n_classes } else { 0 };
        let fresh = untrained(&view, n_classes, 0, &device);
        let known = cache.and_then(|cache| cache.read(fingerprint));
        let net = match known.and_then(|tensors| restored(&fresh, PREFIX, tensors)) {
            _ if is_random => fresh.valid_net(),
            Some(net) => net,
            None => {
                let net = learn(&Lesson { pictures, labels, n_classes }, &view, &device, progress);
                if let Some(cache) = cache {
                    cache.write(fingerprint, &save_params(&net, PREFIX));
                }
                net
            }
        };
        let mut own = Own { net, is_random, n_classes, mean: vec![0.0; DIM], scale: vec![1.0; DIM] };
        let raw = own.see(&pictures, &view, &device)?.features;
        for i in 0..DIM {
            let column = || raw.rows().map(|row| f64::from(row[i]));
            let mean = column().sum::<f64>() / raw.n() as f64;
            let variance = column().map(|v| (v - mean).powi(2)).sum::<f64>() / raw.n() as f64;
            own.mean[i] = mean as f32;
            own.scale[i] = if variance > 1e-12 { variance.sqrt().recip() as f32 } else { 0.0 };
        }
        Ok(Self { net: Net::Own(Box::new(own)), view, device })
    }

    /// Whether pictures of that height and width are large enough for networks of ours.
    pub fn sees(extents: [usize; 2]) -> bool {
        extents.iter().all(|extent| *extent >= 4)
    }

    /// What the features are, for people.
    pub fn describe(&self) -> String {
        match &self.net {
            Net::Own(own) if own.is_random => format!("{DIM} features of a network with random weights"),
            Net::Own(own) if own.n_classes == 0 => format!("{DIM} features of a network that learned from the training pictures"),
            Net::Own(own) => {
                format!("{DIM} features of a network that learned the training pictures and their {} classes", own.n_classes)
            }
            Net::Published(net) => {
                format!("{} features of EfficientNet-Lite0 with the weights {}", EfficientNetLite0::DIM, &net.fingerprint()[..12])
            }
        }
    }

    /// Classes it tells apart; 0 for none.
    pub fn n_classes(&self) -> usize {
        match &self.net {
            Net::Own(own) => own.n_classes,
            Net::Published(_) => 0,
        }
    }

    /// Feature vectors, and classes where they were learned.
    ///
    /// # Errors
    /// [`Error::Data`] if there are fewer than two pictures, or they have another shape than those learned from.
    pub fn see(&self, pictures: &Pictures<'_>) -> Result<Seen> {
        if View::of(pictures) != self.view {
            let problem = format!("pictures of {} x {} pixels have another shape than those learned from", pictures.width, pictures.height);
            return Err(Error::data("pictures", problem, "give pictures of one shape"));
        }
        match &self.net {
            Net::Own(own) => own.see(pictures, &self.view, &self.device),
            Net::Published(net) => {
                let mut values = Vec::with_capacity(pictures.len() * EfficientNetLite0::DIM);
                for pixels in pictures.pixels.chunks(PUBLISHED_CHUNK * pictures.picture_bytes()) {
                    let n = pixels.len() / pictures.picture_bytes();
                    let images = net.prepare(pixels, [n, pictures.height, pictures.width, pictures.channels])?;
                    values.extend(floats(net.features(images)));
                }
                Ok(Seen { features: Features::new("pictures", values, EfficientNetLite0::DIM)?, classes: None })
            }
        }
    }
}

impl Own {
    fn see(&self, pictures: &Pictures<'_>, view: &View, device: &Device) -> Result<Seen> {
        let (mut values, mut classes) = (Vec::with_capacity(pictures.len() * DIM), Vec::new());
        let positions: Vec<usize> = (0..pictures.len()).collect();
        for chunk in positions.chunks(CHUNK) {
            let images = view.whole(chunk.iter().map(|i| pictures.picture(*i)), device);
            let features = self.net.features(images);
            if let (_, Some(logits)) = self.net.heads(features.clone()) {
                classes.extend(floats(logits).chunks_exact(self.n_classes).map(largest));
            }
            values.extend(floats(features));
        }
        for row in values.chunks_exact_mut(DIM) {
            row.iter_mut().zip(&self.mean).zip(&self.scale).for_each(|((v, m), s)| *v = (*v - m) * s);
        }
        Ok(Seen { features: Features::new("pictures", values, DIM)?, classes: (self.n_classes > 0).then_some(classes) })
    }
}

const PREFIX: &str = "features";

/// The network with stored weights, if they are its own.
pub(super) fn restored<M: Module>(fresh: &M, prefix: &str, tensors: NamedTensors) -> Option<M> {
    let mut tensors: HashMap<String, HostTensor> = tensors.into_iter().collect();
    let net = load_params(fresh.valid(), prefix, &mut tensors).ok()?;
    tensors.is_empty().then_some(net)
}

pub(super) fn floats(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec::<f32>().expect("converted to f32")
}

fn largest(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    best.map_or(0, |(class, _)| class as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pictures of 8 x 8 in two classes, bright above or bright below, with some noise.
    fn halves(n: usize) -> (Vec<u8>, Vec<u32>) {
        let labels: Vec<u32> = (0..n as u32).map(|i| i % 2).collect();
        let noise = crate::random::uniform(n * 64, &mut crate::random::stream(1, "halves", 0));
        let pixels = noise.chunks_exact(64).zip(&labels).flat_map(|(noise, label)| {
            noise.iter().enumerate().map(move |(i, v)| (v * 100.0) as u8 + if (i < 32) == (*label == 0) { 150 } else { 0 })
        });
        (pixels.collect(), labels)
    }

    #[test]
    fn classes_are_learned_and_come_back_from_the_cache() {
        let (pixels, labels) = halves(200);
        let pictures = Pictures { pixels: &pixels, height: 8, width: 8, channels: 1 };
        let lesson = Lesson { pictures, labels: &labels, n_classes: 2 };
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let mut steps = 0;
        let learned = Extractor::learn(&Kind::Own, &lesson, "some", Some(&cache), &mut |_, _| steps += 1).unwrap();
        assert!(steps > 0 && learned.n_classes() == 2);
        let seen = learned.see(&pictures).unwrap();
        let right = seen.classes.as_ref().unwrap().iter().zip(&labels).filter(|(a, b)| a == b).count();
        assert!(right >= 198, "{right} of 200");
        assert!((seen.features.variance() / DIM as f64 - 1.0).abs() < 1e-3);

        let again = Extractor::learn(&Kind::Own, &lesson, "some", Some(&cache), &mut |_, _| panic!("learned twice")).unwrap();
        assert_eq!(again.see(&pictures).unwrap().features, seen.features);
        // A damaged file is learned anew.
        let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        std::fs::write(&file, b"damaged").unwrap();
        let mut steps = 0;
        let third = Extractor::learn(&Kind::Own, &lesson, "some", Some(&cache), &mut |_, _| steps += 1).unwrap();
        assert!(steps > 0 && third.see(&pictures).unwrap().features == seen.features);
    }

    #[test]
    fn random_features_need_no_lesson_and_other_shapes_are_refused() {
        let (pixels, labels) = halves(20);
        let pictures = Pictures { pixels: &pixels, height: 8, width: 8, channels: 1 };
        let lesson = Lesson { pictures, labels: &labels, n_classes: 2 };
        let random = Extractor::learn(&Kind::Random, &lesson, "some", None, &mut |_, _| panic!("nothing is learned")).unwrap();
        assert_eq!((random.n_classes(), random.see(&pictures).unwrap().features.dim()), (0, DIM));
        let other = Pictures { pixels: &pixels, height: 4, width: 16, channels: 1 };
        assert!(random.see(&other).unwrap_err().to_string().contains("another shape"));
        let tiny = Lesson { pictures: Pictures { pixels: &pixels, height: 2, width: 2, channels: 1 }, ..lesson };
        assert!(Extractor::learn(&Kind::Random, &tiny, "some", None, &mut |_, _| {}).is_err());
    }
}
