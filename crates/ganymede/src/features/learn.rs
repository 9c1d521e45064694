//! How a feature network learns from pictures, and from their classes where they have any.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};

use super::network::FeatureNet;
use super::views::{Change, View};
use crate::data::Pictures;
use crate::nn::Init;
use crate::random::{self, DataOrder};
use crate::train::{AdamSettings, Player};

/// Updates in all.
const STEPS: u64 = 400;
/// Pictures of an update, each of which is shown in two views.
const BATCH: usize = 64;
/// Adam's learning rate at the beginning; it falls to zero along half a cosine.
const RATE: f64 = 2e-3;
/// Temperature of the comparison of views.
const TEMPERATURE: f64 = 0.2;

/// What a network learns from.
#[derive(Debug, Clone, Copy)]
pub struct Lesson<'a> {
    /// The pictures.
    pub pictures: Pictures<'a>,
    /// The class of each, below `n_classes`; empty if there are none.
    pub labels: &'a [u32],
    /// How many classes there are; 0 for none.
    pub n_classes: usize,
}

/// A network with random weights, always the same for pictures of one shape and one seed.
pub fn untrained(view: &View, n_classes: usize, seed: u64, device: &Device) -> FeatureNet {
    FeatureNet::new(view.shape(), n_classes, &mut Init { rng: &mut random::stream(seed, "features", 0), device })
}

/// Learns to recognise a picture in another view of it among other pictures (SimCLR: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML
/// 2020, algorithm 1) and, where there are classes, to tell those. Views keep most of a picture's colour and place: what they leave out, features cannot judge. `progress` is
/// called with (done, of).
pub fn learn(lesson: &Lesson<'_>, view: &View, device: &Device, progress: &mut dyn FnMut(u64, u64)) -> FeatureNet {
    let Lesson { pictures, labels, n_classes } = *lesson;
    let mut player = Player::plain(untrained(view, n_classes, 0, device));
    let mut order = DataOrder::new(0, "feature-order", pictures.len());
    for step in 0..STEPS {
        let chosen = order.batch(step, BATCH);
        let batch = || chosen.iter().map(|i| pictures.picture(*i));
        let mut rng = random::stream(0, "feature-views", step);
        let mut changed = || view.changed(batch(), Change::Colour, &mut rng, device);
        let views = Tensor::cat(vec![changed(), changed()], 0);
        let net = player.net();
        let (projection, logits) = net.heads(net.features(views.autodiff()));
        let mut loss = contrastive(projection, &chosen);
        if let Some(logits) = logits {
            loss = loss + cross_entropy(logits, chosen.iter().chain(&chosen).map(|i| labels[*i]), device);
        }
        let lr = RATE * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / STEPS as f64).cos());
        player.update(loss.backward(), AdamSettings { lr, beta1: 0.9, beta2: 0.99, epsilon: 1e-8 }, 0.0);
        progress(step + 1, STEPS);
    }
    player.net().valid_net()
}

impl FeatureNet {
    /// Without autodiff.
    pub fn valid_net(&self) -> Self {
        burn::module::Module::valid(self)
    }
}

/// The normalised temperature-scaled cross entropy of views `[2 n, d]`, the second half being the first half's pictures again. A picture that occurs twice in a small batch is
/// not held against itself.
fn contrastive(projection: Tensor<2>, chosen: &[usize]) -> Tensor<1> {
    let n = chosen.len();
    let device = projection.device().without_autodiff();
    let length = projection.clone().powf_scalar(2.0).sum_dim(1).add_scalar(1e-12).sqrt();
    let unit = projection / length;
    let alike = unit.clone().matmul(unit.transpose()).mul_scalar(1.0 / TEMPERATURE);
    let (mut apart, mut partner) = (vec![0.0f32; 4 * n * n], vec![0.0f32; 4 * n * n]);
    for i in 0..2 * n {
        for j in 0..2 * n {
            let is_partner = j == (i + n) % (2 * n);
            if chosen[i % n] == chosen[j % n] && !is_partner {
                apart[i * 2 * n + j] = -1e4;
            }
            partner[i * 2 * n + j] = f32::from(u8::from(is_partner));
        }
    }
    let mask = |values: Vec<f32>| Tensor::<2>::from_inner(Tensor::from_data(TensorData::new(values, [2 * n, 2 * n]), &device));
    (log_softmax(alike + mask(apart), 1) * mask(partner)).sum().mul_scalar(-1.0 / (2 * n) as f64)
}

/// Mean negative log likelihood of the labels.
pub fn cross_entropy(logits: Tensor<2>, labels: impl Iterator<Item = u32>, device: &Device) -> Tensor<1> {
    let [n, classes] = logits.dims();
    let mut values = vec![0.0f32; n * classes];
    labels.enumerate().for_each(|(i, label)| values[i * classes + label as usize] = 1.0);
    let hot = Tensor::<2>::from_inner(Tensor::from_data(TensorData::new(values, [n, classes]), device));
    (log_softmax(logits, 1) * hot).sum().mul_scalar(-1.0 / n as f64)
}
