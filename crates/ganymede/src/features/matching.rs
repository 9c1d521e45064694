//! Texts and pictures in one space, learned from pictures with captions.

use burn::module::{Module, Param};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use sha2::{Digest, Sha256};

use super::Known;
use super::extractor::restored;
use super::network::{DIM, FeatureNet};
use super::text::Tokenizer;
use super::views::{Change, View};
use crate::data::Pictures;
use crate::nn::{Init, save_params};
use crate::random::{self, DataOrder};
use crate::run::{HostTensor, NamedTensors};
use crate::train::{AdamSettings, Player};

/// Updates in all.
const STEPS: u64 = 1200;
/// Pictures of an update, each beside one of its captions.
const BATCH: usize = 64;
/// Adam's learning rate at the beginning; it falls to zero along half a cosine.
const RATE: f64 = 3e-3;
/// Temperature of the comparison.
const TEMPERATURE: f64 = 0.1;
/// Share of a caption's tokens that an update leaves out, so that no token is relied on alone.
const LEFT_OUT: f32 = 0.2;
/// Pictures that go through the network at once.
const CHUNK: usize = 128;
/// Names of the picture tower's weights begin with it.
const PREFIX: &str = "matcher";
/// Name of the text tower's weights.
const TOKENS: &str = "text.tokens";

/// Texts as vectors.
#[derive(Debug, Clone)]
pub struct TextEncoder {
    tokenizer: Tokenizer,
    /// `[tokens, TextEncoder::DIM]`.
    table: Vec<f32>,
}

impl TextEncoder {
    /// Numbers of a vector.
    pub const DIM: usize = DIM;

    /// Puts tokenizer and weights together; nothing of them is trusted.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn read(tokenizer: Tokenizer, weights: HostTensor) -> Result<Self, String> {
        if weights.shape != [tokenizer.n_tokens(), DIM] || weights.values.iter().any(|v| !v.is_finite()) {
            return Err(format!("the text encoder's weights are not finite numbers for {} tokens", tokenizer.n_tokens()));
        }
        Ok(Self { tokenizer, table: weights.values })
    }

    /// What it cuts texts with.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Its weights, `[tokens, TextEncoder::DIM]`.
    pub fn weights(&self) -> HostTensor {
        HostTensor { shape: vec![self.tokenizer.n_tokens(), DIM], values: self.table.clone() }
    }

    /// A text as the sum of its tokens' vectors, of unit length; nothing if no token of it is known.
    pub fn encode(&self, text: &str) -> Option<Vec<f32>> {
        let tokens = self.tokenizer.tokens(text);
        let mut sum = vec![0.0f32; DIM];
        for token in &tokens {
            sum.iter_mut().zip(&self.table[token * DIM..]).for_each(|(sum, v)| *sum += v);
        }
        let length = sum.iter().map(|v| v * v).sum::<f32>().sqrt();
        (length > 1e-6).then(|| sum.iter().map(|v| v / length).collect())
    }
}

/// Tells how well texts and pictures go together.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// Its view of texts.
    pub text: TextEncoder,
    net: FeatureNet,
    view: View,
}

/// Both towers.
#[derive(Module, Debug)]
struct Towers {
    pictures: FeatureNet,
    /// `[tokens, DIM]`.
    tokens: Param<Tensor<2>>,
}

impl Matcher {
    /// Learns to find a picture's caption among those of other pictures, and the other way round (CLIP: Radford et al., "Learning Transferable Visual Models From Natural Language
    /// Supervision", ICML 2021, figure 3, with a bag of tokens as the text's encoder, which puts words together that were never seen together). Pictures without captions are passed over.
    /// Always on the CPU, so that it does not depend on the device that trains. What was learned from the same pictures and captions before is taken instead: `known` is a cache and the
    /// fingerprint of the pictures. `progress` is called with (done, of).
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn learn(
        pictures: &Pictures<'_>,
        captions: &[&[String]],
        seed: u64,
        known: Known<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, String> {
        let tokenizer = Tokenizer::learn(captions.iter().flat_map(|own| own.iter().map(String::as_str)))?;
        let tokens: Vec<Vec<Vec<usize>>> = captions.iter().map(|own| own.iter().map(|text| tokenizer.tokens(text)).collect()).collect();
        let told: Vec<usize> = (0..tokens.len()).filter(|i| tokens[*i].iter().any(|tokens| !tokens.is_empty())).collect();
        if told.len() < 2 {
            return Err("fewer than two pictures have captions".into());
        }
        let (device, view) = (Device::flex(), View::of(pictures));
        let mut rng = random::stream(seed, "matching", 0);
        let mut init = Init { rng: &mut rng, device: &device };
        let table = init.normal([tokenizer.n_tokens(), DIM], (DIM as f64).sqrt().recip());
        let fresh = Towers { pictures: FeatureNet::new(view.shape(), 0, &mut init), tokens: table };
        let known = known.map(|(cache, of_pictures)| (cache, fingerprint(of_pictures, captions, seed)));
        let kept = known.as_ref().and_then(|(cache, fingerprint)| cache.read(fingerprint));
        if let Some((text, net)) = kept.and_then(|kept| both(&fresh.pictures, &tokenizer, kept)) {
            return Ok(Self { text, net, view });
        }
        let mut player = Player::plain(fresh);
        let mut order = DataOrder::new(seed, "matching-order", told.len());
        for step in 0..STEPS {
            let chosen: Vec<usize> = order.batch(step, BATCH.min(told.len())).into_iter().map(|i| told[i]).collect();
            let mut rng = random::stream(seed, "matching-views", step);
            let views = view.changed(chosen.iter().map(|i| pictures.picture(*i)), Change::Colour, &mut rng, &device);
            let bags = bags(chosen.iter().map(|i| &tokens[*i]), tokenizer.n_tokens(), &mut rng, &device);
            let net = player.net();
            let (seen, _) = net.pictures.heads(net.pictures.features(views.autodiff()));
            let said = Tensor::<2>::from_inner(bags).matmul(net.tokens.val());
            let loss = matching(seen, said, &chosen);
            let lr = RATE * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / STEPS as f64).cos());
            player.update(loss.backward(), AdamSettings { lr, beta1: 0.9, beta2: 0.99, epsilon: 1e-8 }, 0.0);
            progress(step + 1, STEPS);
        }
        let Towers { pictures: net, tokens } = player.net().clone().valid();
        let table = tokens.val().into_data().convert::<f32>().try_to_vec::<f32>().map_err(|e| format!("{e:?}"))?;
        let text = TextEncoder { tokenizer, table };
        if let Some((cache, fingerprint)) = known {
            let mut tensors = save_params(&net, PREFIX);
            tensors.push((TOKENS.to_owned(), text.weights()));
            cache.write(&fingerprint, &tensors);
        }
        Ok(Self { text, net, view })
    }

    /// How well each picture goes with each text, `[pictures][texts]`: cosines, and -1 for a text of which nothing is known.
    pub fn scores(&self, pictures: &Pictures<'_>, texts: &[&str]) -> Vec<Vec<f32>> {
        let said: Vec<Option<Vec<f32>>> = texts.iter().map(|text| self.text.encode(text)).collect();
        let positions: Vec<usize> = (0..pictures.len()).collect();
        let mut scores = Vec::with_capacity(pictures.len());
        for chunk in positions.chunks(CHUNK) {
            let images = self.view.whole(chunk.iter().map(|i| pictures.picture(*i)), &Device::flex());
            let (seen, _) = self.net.heads(self.net.features(images));
            let values = unit(seen).into_data().convert::<f32>().try_to_vec::<f32>().expect("converted to f32");
            let cosine =
                |seen: &[f32], said: &Option<Vec<f32>>| said.as_ref().map_or(-1.0, |said| seen.iter().zip(said).map(|(a, b)| a * b).sum());
            scores.extend(values.chunks_exact(DIM).map(|seen| said.iter().map(|said| cosine(seen, said)).collect()));
        }
        scores
    }
}

/// Both towers as a cache kept them, if they fit.
fn both(fresh: &FeatureNet, tokenizer: &Tokenizer, mut kept: NamedTensors) -> Option<(TextEncoder, FeatureNet)> {
    let (_, table) = kept.swap_remove(kept.iter().position(|(name, _)| name == TOKENS)?);
    Some((TextEncoder::read(tokenizer.clone(), table).ok()?, restored(fresh, PREFIX, kept)?))
}

/// Of everything that the towers are learned from, and how.
fn fingerprint(of_pictures: &str, captions: &[&[String]], seed: u64) -> String {
    let mut hash = Sha256::new();
    // Lengths first, so that no caption can run into the next one.
    let mut text = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    text(&format!("matcher {STEPS} {BATCH} {RATE} {TEMPERATURE} {LEFT_OUT} {seed}"));
    text(of_pictures);
    for own in captions {
        text(&own.len().to_string());
        own.iter().for_each(|caption| text(caption));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How often each token occurs in one caption of each picture, `[n, tokens]`.
fn bags<'a>(captions: impl Iterator<Item = &'a Vec<Vec<usize>>>, n_tokens: usize, rng: &mut rand_pcg::Pcg64, device: &Device) -> Tensor<2> {
    let mut values = Vec::new();
    for own in captions {
        let known: Vec<&Vec<usize>> = own.iter().filter(|tokens| !tokens.is_empty()).collect();
        let tokens = known[random::below(known.len() as u64, rng) as usize];
        let kept = random::uniform(tokens.len(), rng);
        let one = random::below(tokens.len() as u64, rng) as usize;
        let first = values.len();
        values.resize(first + n_tokens, 0.0f32);
        for (i, token) in tokens.iter().enumerate() {
            if i == one || kept[i] >= LEFT_OUT {
                values[first + token] += 1.0;
            }
        }
    }
    let n = values.len() / n_tokens;
    Tensor::from_data(TensorData::new(values, [n, n_tokens]), device)
}

fn unit(x: Tensor<2>) -> Tensor<2> {
    let length = x.clone().powf_scalar(2.0).sum_dim(1).add_scalar(1e-12).sqrt();
    x / length
}

/// The symmetric cross entropy of finding the right one, `[n, d]` on both sides. A picture that occurs twice in a small batch is not held against itself.
fn matching(seen: Tensor<2>, said: Tensor<2>, chosen: &[usize]) -> Tensor<1> {
    let n = chosen.len();
    let device = seen.device().without_autodiff();
    let alike = unit(seen).matmul(unit(said).transpose()).mul_scalar(1.0 / TEMPERATURE);
    let mut apart = vec![0.0f32; n * n];
    let mut own = vec![0.0f32; n * n];
    for i in 0..n {
        own[i * n + i] = 1.0;
        (0..n).filter(|j| *j != i && chosen[*j] == chosen[i]).for_each(|j| apart[i * n + j] = -1e4);
    }
    let mask = |values: Vec<f32>| Tensor::<2>::from_inner(Tensor::from_data(TensorData::new(values, [n, n]), &device));
    let (alike, own) = (alike + mask(apart), mask(own));
    let found = log_softmax(alike.clone(), 1) + log_softmax(alike, 0);
    (found * own).sum().mul_scalar(-0.5 / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Cache;

    /// Squares in two colours and two places.
    fn squares() -> (Vec<u8>, Vec<Vec<String>>) {
        let mut pixels = Vec::new();
        let mut captions = Vec::new();
        for i in 0..80usize {
            let (colour, place) = (i % 2, i / 2 % 2);
            for y in 0..8 {
                for _ in 0..8 {
                    let inside = (y < 4) == (place == 0);
                    pixels.extend([
                        if inside && colour == 0 { 255 } else { 20 },
                        20,
                        if inside && colour == 1 { 255 } else { 20 + i as u8 % 7 },
                    ]);
                }
            }
            captions.push(vec![format!("{} {}", ["red", "blue"][colour], ["above", "below"][place])]);
        }
        (pixels, captions)
    }

    #[test]
    fn pictures_are_told_by_their_captions() {
        let (pixels, captions) = squares();
        let view = |pixels| Pictures { pixels, height: 8, width: 8, channels: 3 };
        let own: Vec<&[String]> = captions.iter().map(Vec::as_slice).collect();
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let matcher = Matcher::learn(&view(&pixels), &own, 0, Some((&cache, "squares")), &mut |_, _| {}).unwrap();
        let texts = ["red above", "blue above", "red below", "blue below", "???"];
        let scores = matcher.scores(&view(&pixels), &texts);
        let best = |i: usize| (0..4).max_by(|a, b| scores[i][*a].total_cmp(&scores[i][*b])).unwrap();
        assert_eq!((0..4).map(best).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(scores[0][4], -1.0);
        let kept = Matcher::learn(&view(&pixels), &own, 0, Some((&cache, "squares")), &mut |_, _| panic!("learned twice")).unwrap();
        assert_eq!(kept.scores(&view(&pixels), &texts), scores);
        let fingerprint = |captions: &[&[String]], seed| fingerprint("squares", captions, seed);
        assert!(fingerprint(&own, 0) != fingerprint(&own, 1) && fingerprint(&own, 0) != fingerprint(&own[1..], 0));
        let again = TextEncoder::read(matcher.text.tokenizer().clone(), matcher.text.weights()).unwrap();
        assert_eq!(again.encode("red above"), matcher.text.encode("red above"));
        assert!(TextEncoder::read(matcher.text.tokenizer().clone(), HostTensor { shape: vec![1, DIM], values: vec![0.0; DIM] }).is_err());
    }
}
