//! A classifier of several attributes at once.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use sha2::{Digest, Sha256};

use super::Known;
use super::detail::DetailNet;
use super::extractor::{floats, restored};
use super::views::{Change, View};
use crate::data::Pictures;
use crate::nn::{Init, save_params};
use crate::random::{self, DataOrder};
use crate::train::{AdamSettings, Player};

/// Updates at most.
const STEPS: u64 = 5000;
/// Times that every picture is shown, if that takes fewer updates.
const PASSES: usize = 60;
/// Updates at least.
const FEWEST_STEPS: u64 = 300;
/// Pictures of an update.
const BATCH: usize = 64;
/// Adam's learning rate at the beginning; it falls to zero along half a cosine.
const RATE: f64 = 2e-3;
/// Weight of the old average of the weights at each update.
const AVERAGE: f64 = 0.99;
/// Probability with which the network leaves a number out while it learns.
const DROPPED: f32 = 0.5;
/// Names of the weights begin with it.
const PREFIX: &str = "attributes";
/// Pictures that go through the network at once.
const CHUNK: usize = 128;

/// Sees which value each attribute of a picture has.
pub struct AttributeNet {
    net: DetailNet,
    view: View,
    widths: Vec<usize>,
}

impl AttributeNet {
    /// Learns from pictures of which each attribute is one of `widths` values or unknown, or takes what was learned from the same ones before: `known` is a cache and the fingerprint of the
    /// pictures. Always on the CPU. `progress` is called with (done, of).
    ///
    /// # Panics
    /// If there are no pictures, or a value is not below its attribute's width.
    pub fn learn(
        pictures: &Pictures<'_>,
        values: &[Vec<Option<usize>>],
        widths: &[usize],
        known: Known<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Self {
        let (device, view) = (Device::flex(), View::of(pictures));
        let total = widths.iter().sum();
        let mut rng = random::stream(0, "attributes", 0);
        let fresh = DetailNet::new(view.shape(), total, &mut Init { rng: &mut rng, device: &device });
        let known = known.map(|(cache, of_pictures)| (cache, fingerprint(of_pictures, values, widths)));
        let kept = known.as_ref().and_then(|(cache, fingerprint)| cache.read(fingerprint));
        if let Some(net) = kept.and_then(|kept| restored(&fresh, PREFIX, kept)) {
            return Self { net, view, widths: widths.to_vec() };
        }
        let mut player = Player::averaged(fresh);
        let mut order = DataOrder::new(0, "attribute-order", pictures.len());
        let steps = ((PASSES * pictures.len() / BATCH) as u64).clamp(FEWEST_STEPS, STEPS);
        for step in 0..steps {
            let chosen = order.batch(step, BATCH);
            let mut rng = random::stream(0, "attribute-views", step);
            let views = view.changed(chosen.iter().map(|i| pictures.picture(*i)), Change::Noise, &mut rng, &device);
            let logits = player.net().logits_dropped(views.autodiff(), DROPPED, &mut rng);
            let mut first = 0;
            let mut loss = Tensor::<1>::zeros([1], &device.clone().autodiff());
            for (attribute, width) in widths.iter().enumerate() {
                let mut hot = vec![0.0f32; chosen.len() * width];
                for (row, i) in chosen.iter().enumerate() {
                    if let Some(value) = values[*i][attribute] {
                        hot[row * width + value] = 1.0;
                    }
                }
                let hot = Tensor::<2>::from_inner(Tensor::from_data(TensorData::new(hot, [chosen.len(), *width]), &device));
                loss = loss - (log_softmax(logits.clone().narrow(1, first, *width), 1) * hot).sum().div_scalar(chosen.len() as f64);
                first += width;
            }
            let lr = RATE * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
            player.update(loss.backward(), AdamSettings { lr, beta1: 0.9, beta2: 0.99, epsilon: 1e-8 }, 0.0);
            // An average of few weights is one of the last of them.
            player.average(AVERAGE.min(step as f64 / (step + 10) as f64));
            progress(step + 1, steps);
        }
        let net = player.best();
        if let Some((cache, fingerprint)) = known {
            cache.write(&fingerprint, &save_params(&net, PREFIX));
        }
        Self { net, view, widths: widths.to_vec() }
    }

    /// The likeliest value of each attribute of each picture.
    pub fn see(&self, pictures: &Pictures<'_>) -> Vec<Vec<usize>> {
        let positions: Vec<usize> = (0..pictures.len()).collect();
        let total: usize = self.widths.iter().sum();
        let mut found = Vec::with_capacity(pictures.len());
        for chunk in positions.chunks(CHUNK) {
            let images = self.view.whole(chunk.iter().map(|i| pictures.picture(*i)), &Device::flex());
            let values = floats(self.net.logits(images));
            found.extend(values.chunks_exact(total).map(|row| self.likeliest(row)));
        }
        found
    }

    fn likeliest(&self, row: &[f32]) -> Vec<usize> {
        let mut first = 0;
        let best = |width: &usize| {
            let own = &row[first..first + width];
            first += width;
            (0..*width).max_by(|a, b| own[*a].total_cmp(&own[*b])).unwrap_or(0)
        };
        self.widths.iter().map(best).collect()
    }
}

/// Of everything that the network is learned from, and how.
fn fingerprint(of_pictures: &str, values: &[Vec<Option<usize>>], widths: &[usize]) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("attributes {STEPS} {PASSES} {FEWEST_STEPS} {BATCH} {RATE} {AVERAGE} {DROPPED} detail {widths:?} {of_pictures} "));
    for value in values.iter().flatten() {
        // One more than the value, so that an unknown one is none of them.
        hash.update((value.map_or(0, |value| value + 1) as u64).to_le_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Cache;

    #[test]
    fn attributes_are_told_each_by_itself() {
        // Brightness above, brightness below and a single pixel are independent; some values are unknown.
        let (n, n_learned) = (360usize, 240);
        let truth = |i: usize| [i % 2, usize::from(!(i / 2).is_multiple_of(3)), i / 6 % 2];
        let pixel = |i: usize| {
            let (picture, place) = (i / 64, i % 64);
            let [above, below, spot] = truth(picture);
            let bright = [above, below][place / 32] == 1;
            let noise = (i.wrapping_mul(2_654_435_761) >> 7) as u8 % 12;
            if place == 50 && spot == 1 { 120 + noise } else { noise + if bright { 200 } else { 30 } }
        };
        let pixels: Vec<u8> = (0..n * 64).map(pixel).collect();
        let values: Vec<Vec<Option<usize>>> =
            (0..n_learned).map(|i| truth(i).iter().enumerate().map(|(a, v)| (i % 5 != a).then_some(*v)).collect()).collect();
        let view = |pixels| Pictures { pixels, height: 8, width: 8, channels: 1 };
        let (learned, others) = pixels.split_at(n_learned * 64);
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let net = AttributeNet::learn(&view(learned), &values, &[2, 2, 2], Some((&cache, "spots")), &mut |_, _| {});
        let seen = net.see(&view(others));
        let right = (n_learned..n).filter(|i| seen[i - n_learned] == truth(*i)).count();
        assert!(right > n - n_learned - 5, "{right} of {}", n - n_learned);
        let again = AttributeNet::learn(&view(learned), &values, &[2, 2, 2], Some((&cache, "spots")), &mut |_, _| panic!("learned twice"));
        assert_eq!(again.see(&view(others)), seen);
        assert_ne!(fingerprint("spots", &values, &[2, 2, 2]), fingerprint("spots", &values[1..], &[2, 2, 2]));
    }
}
