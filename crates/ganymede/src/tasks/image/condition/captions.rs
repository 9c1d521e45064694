//! What is said in words.

use serde::{Deserialize, Serialize};

use super::super::judge::gathered;
use super::{Asked, example, some};
use crate::data::{ImageSet, Pictures};
use crate::error::{Error, Result};
use crate::features::{Known, Matcher, TextEncoder, Tokenizer, Vocabulary};
use crate::run::HostTensor;
use crate::train::SampleId;

/// Seed of the text encoder's weights: the same captions of the same pictures are always read in the same way.
const SEED: u64 = 0;

/// Captions as vectors.
#[derive(Debug, Clone)]
pub struct Captions {
    text: TextEncoder,
    examples: Vec<String>,
}

/// The part of it in `model.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    vocabulary: Vocabulary,
    /// Some captions of training pictures.
    examples: Vec<String>,
}

impl Captions {
    /// Learns to read the captions of the training pictures, or takes what was learned from the same ones before: `known` is a cache and the fingerprint of the pictures. `progress` is called
    /// with (done, of).
    ///
    /// # Errors
    /// [`Error::Data`] if there is nothing to learn from.
    pub fn learn(
        data: &ImageSet,
        captions: &[Vec<String>],
        training: &[usize],
        known: Known<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        let pixels = gathered(data, training);
        let pictures = Pictures { pixels: &pixels, height: data.height, width: data.width, channels: data.channels.count() };
        let own: Vec<&[String]> = training.iter().map(|i| captions[*i].as_slice()).collect();
        let matcher = Matcher::learn(&pictures, &own, SEED, known, progress);
        let text = matcher
            .map_err(|problem| Error::data("captions", problem, "give every picture a caption, or set data.condition to none"))?
            .text;
        // Of captioned pictures alone: where few have captions, a choice among all might hold none.
        let known = |i: usize| captions[i].iter().find(|caption| !text.tokenizer().tokens(caption).is_empty());
        let told: Vec<usize> = training.iter().copied().filter(|i| known(*i).is_some()).collect();
        let examples = some(&told).into_iter().filter_map(|i| known(i).cloned()).collect();
        Ok(Self { text, examples })
    }

    /// The vectors of all captions of each picture.
    pub fn rows(&self, captions: &[Vec<String>]) -> Vec<Vec<Vec<f32>>> {
        captions.iter().map(|own| own.iter().filter_map(|caption| self.text.encode(caption)).collect()).collect()
    }

    /// The same captions, read with other weights.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn with_weights(&self, weights: HostTensor) -> Result<Self, String> {
        Ok(Self { text: TextEncoder::read(self.text.tokenizer().clone(), weights)?, examples: self.examples.clone() })
    }

    /// Whether both make the same vector of every text.
    pub fn reads_as(&self, other: &Self) -> bool {
        self.text.tokenizer().vocabulary() == other.text.tokenizer().vocabulary() && self.weights() == other.weights()
    }

    /// For `model.json`.
    pub fn describe(&self) -> Described {
        Described { vocabulary: self.text.tokenizer().vocabulary().clone(), examples: self.examples.clone() }
    }

    /// From `model.json` and the encoder's weights; nothing of them is trusted.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn read(described: Described, weights: HostTensor) -> Result<Self, String> {
        let text = TextEncoder::read(Tokenizer::read(described.vocabulary)?, weights)?;
        if described.examples.is_empty() {
            return Err("no captions are left to draw from".into());
        }
        Ok(Self { text, examples: described.examples })
    }

    /// The encoder's weights.
    pub fn weights(&self) -> HostTensor {
        self.text.weights()
    }

    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        TextEncoder::DIM
    }

    /// `n` samples of what is said.
    ///
    /// # Errors
    /// [`Error::Config`] if no word of it was in any caption.
    pub fn ask(&self, text: &str, n: usize) -> Result<Asked> {
        let Some(row) = self.text.encode(text) else {
            let remedy = format!("ask in words as in {}", self.some());
            return Err(Error::config("--prompt", format!("no word of \"{text}\" was in any caption"), remedy));
        };
        Ok(Asked { rows: vec![row; n], words: vec![text.to_owned(); n], classes: vec![0; n] })
    }

    /// A few captions that were learned, for people.
    pub fn some(&self) -> String {
        self.examples.iter().take(3).map(|caption| format!("\"{caption}\"")).collect::<Vec<_>>().join(", ")
    }

    /// Samples of captions that were learned.
    pub fn drawn(&self, ids: &[SampleId]) -> Asked {
        let words: Vec<String> = ids.iter().map(|id| self.examples[example(id, self.examples.len())].clone()).collect();
        let row = |caption: &String| self.text.encode(caption).unwrap_or_else(|| vec![0.0; TextEncoder::DIM]);
        Asked { rows: words.iter().map(row).collect(), classes: vec![0; words.len()], words }
    }
}
