//! A classifier of several attributes at once.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};

use super::network::FeatureNet;
use super::views::{Change, View};
use crate::data::Pictures;
use crate::nn::Init;
use crate::random::{self, DataOrder};
use crate::train::{AdamSettings, Player};

/// Updates in all.
const STEPS: u64 = 1500;
/// Pictures of an update.
const BATCH: usize = 64;
/// Adam's learning rate at the beginning; it falls to zero along half a cosine.
const RATE: f64 = 3e-3;
/// Pictures that go through the network at once.
const CHUNK: usize = 128;

/// Sees which value each attribute of a picture has.
pub struct AttributeNet {
    net: FeatureNet,
    view: View,
    widths: Vec<usize>,
}

impl AttributeNet {
    /// Learns from pictures of which each attribute is one of `widths` values or unknown. Always on the CPU. `progress` is called with (done, of).
    ///
    /// # Panics
    /// If there are no pictures, or a value is not below its attribute's width.
    pub fn learn(pictures: &Pictures<'_>, values: &[Vec<Option<usize>>], widths: &[usize], progress: &mut dyn FnMut(u64, u64)) -> Self {
        let (device, view) = (Device::flex(), View::of(pictures));
        let total = widths.iter().sum();
        let mut rng = random::stream(0, "attributes", 0);
        let mut player = Player::plain(FeatureNet::new(view.shape(), total, &mut Init { rng: &mut rng, device: &device }));
        let mut order = DataOrder::new(0, "attribute-order", pictures.len());
        for step in 0..STEPS {
            let chosen = order.batch(step, BATCH);
            let mut rng = random::stream(0, "attribute-views", step);
            let views = view.changed(chosen.iter().map(|i| pictures.picture(*i)), Change::Colour, &mut rng, &device);
            let net = player.net();
            let (_, logits) = net.heads(net.features(views.autodiff()));
            let logits = logits.expect("the network has a head for values");
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
            let lr = RATE * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / STEPS as f64).cos());
            player.update(loss.backward(), AdamSettings { lr, beta1: 0.9, beta2: 0.99, epsilon: 1e-8 }, 0.0);
            progress(step + 1, STEPS);
        }
        Self { net: player.net().valid_net(), view, widths: widths.to_vec() }
    }

    /// The likeliest value of each attribute of each picture.
    pub fn see(&self, pictures: &Pictures<'_>) -> Vec<Vec<usize>> {
        let positions: Vec<usize> = (0..pictures.len()).collect();
        let total: usize = self.widths.iter().sum();
        let mut found = Vec::with_capacity(pictures.len());
        for chunk in positions.chunks(CHUNK) {
            let images = self.view.whole(chunk.iter().map(|i| pictures.picture(*i)), &Device::flex());
            let (_, logits) = self.net.heads(self.net.features(images));
            let values = logits
                .expect("the network has a head for values")
                .into_data()
                .convert::<f32>()
                .try_to_vec::<f32>()
                .expect("converted to f32");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_told_each_by_itself() {
        // Brightness above and brightness below are independent; some values are unknown.
        let n = 240;
        let pixels: Vec<u8> = (0..n * 64usize)
            .map(|i| {
                let (picture, place) = (i / 64, i % 64 / 32);
                let bright = if place == 0 { picture.is_multiple_of(2) } else { !(picture / 2).is_multiple_of(3) };
                if bright { 200 + (i % 7) as u8 } else { 30 + (i % 11) as u8 }
            })
            .collect();
        let truth = |i: usize| [i % 2, usize::from(!(i / 2).is_multiple_of(3))];
        let values: Vec<Vec<Option<usize>>> =
            (0..n).map(|i| truth(i).iter().enumerate().map(|(a, v)| (i % 5 != a).then_some(*v)).collect()).collect();
        let pictures = Pictures { pixels: &pixels, height: 8, width: 8, channels: 1 };
        let net = AttributeNet::learn(&pictures, &values, &[2, 2], &mut |_, _| {});
        let seen = net.see(&pictures);
        let right = (0..n).filter(|i| seen[*i] == truth(*i)).count();
        assert!(right > n - 5, "{right} of {n}");
    }
}
