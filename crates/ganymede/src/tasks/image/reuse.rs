//! The discriminator of a trained model, used for what it knows about pictures.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::codec::Codec;
use super::model::conditions;
use super::nets::{AnyDiscriminator, Architecture, DcganDiscriminator, Frame, MlpDiscriminator, Network, Pooling, ResidualDiscriminator};
use crate::error::{Error, Result};
use crate::nn::{Init, load_params, save_params};
use crate::random;
use crate::run::{HostTensor, ModelFolder};
use crate::train::stored::DISCRIMINATOR;

/// Pictures that are looked at together.
const CHUNK: usize = 64;

/// A discriminator out of a model folder.
pub struct Reader {
    net: AnyDiscriminator,
    codec: Codec,
    frame: Frame,
    device: Device,
}

impl Reader {
    /// Rebuilds the network and loads its weights; nothing in the folder is trusted.
    ///
    /// # Errors
    /// [`Error::Run`] if the folder has no discriminator or one that does not fit.
    pub fn open(folder: &ModelFolder, (network, codec): (&Network, Codec), condition: usize, device: &Device) -> Result<Self> {
        let Some(tensors) = folder.discriminator()? else {
            let remedy = "train it again, or go on with `ganymede train --resume RUN`: models then keep their discriminator";
            return Err(Error::run(folder.path(), "holds no discriminator", remedy));
        };
        let frame = codec.frame(condition);
        let n_stored: usize = tensors.iter().map(|(_, tensor)| tensor.values.len()).sum();
        let mut tensors = tensors.into_iter().collect();
        let damaged = |problem: String| {
            Error::run(folder.path(), format!("discriminator.safetensors: {problem}"), "use a model folder as `ganymede train` wrote it")
        };
        // The generator's weights, which were counted, bound those of a discriminator but for its classifier.
        if network.auxiliary_weights(&frame) > n_stored as u64 {
            return Err(damaged(format!("model.json describes a network larger than the {n_stored} weights that are stored")));
        }
        let net = built(network, frame, device, Weights::Stored(&mut tensors));
        Ok(Self { net: net.map_err(damaged)?, codec, frame, device: device.clone() })
    }

    /// The same network with random weights instead. Branches that begin at zero, so that training begins with a simple network, are random as well: without them it would know nothing but sums.
    pub fn unlearned(&self, network: &Network) -> Self {
        let net = built(network, self.frame, &self.device, Weights::Random).unwrap_or_else(|problem| unreachable!("{problem}"));
        Self { net, codec: self.codec, frame: self.frame, device: self.device.clone() }
    }

    /// The logit of each picture, `[height, width, channels]`, as that of some things for which it is highest.
    pub fn logits(&self, pictures: &[Vec<u8>], candidates: &[Vec<f32>]) -> Vec<f64> {
        let of = |chunk: &[Vec<u8>]| {
            let images = self.encode(chunk);
            let mut best = vec![f64::NEG_INFINITY; chunk.len()];
            for row in candidates {
                let condition = conditions(&vec![row.clone(); chunk.len()], (chunk.len(), self.frame.condition), &self.device);
                let logits = values(self.net.logits(images.clone(), condition));
                best.iter_mut().zip(logits).for_each(|(best, logit)| *best = best.max(f64::from(logit)));
            }
            best
        };
        pictures.chunks(CHUNK).flat_map(of).collect()
    }

    /// What a stage of the network makes of each picture, row by row, and how many numbers that are. Stages are counted from 1; without one it is all of them, one after the other.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such stage.
    pub fn features(&self, pictures: &[Vec<u8>], stage: Option<usize>, pooling: Pooling) -> Result<(Vec<f32>, usize)> {
        let (mut rows, mut dim) = (Vec::new(), 0);
        for chunk in pictures.chunks(CHUNK) {
            let stages = self.net.stages(self.encode(chunk), pooling);
            let n = stages.len();
            let chosen = match stage {
                None => stages,
                Some(stage) => stages.into_iter().skip(stage.wrapping_sub(1)).take(1).collect(),
            };
            if chosen.is_empty() {
                let problem = format!("the discriminator has no stage {}", stage.unwrap_or_default());
                return Err(Error::config("--stage", problem, format!("its stages are 1 to {n}")));
            }
            let together = Tensor::cat(chosen, 1);
            dim = together.dims()[1];
            rows.extend(values(together));
        }
        Ok((rows, dim))
    }

    fn encode(&self, pictures: &[Vec<u8>]) -> Tensor<4> {
        self.codec.encode(pictures.iter().map(|picture| (picture.as_slice(), false)), &self.frame, &self.device)
    }
}

/// Where weights come from.
enum Weights<'a> {
    Stored(&'a mut HashMap<String, HostTensor>),
    Random,
}

/// The discriminator of that shape.
fn built(network: &Network, frame: Frame, device: &Device, mut weights: Weights<'_>) -> Result<AnyDiscriminator, String> {
    let mut rng = random::stream(0, "init", 0);
    let mut init = Init { rng: &mut rng, device };
    match network.architecture {
        Architecture::Residual => weights.of(ResidualDiscriminator::new(network, frame, &mut init)).map(AnyDiscriminator::Residual),
        Architecture::Dcgan => weights.of(DcganDiscriminator::new(network, frame, &mut init)).map(AnyDiscriminator::Dcgan),
        Architecture::Mlp => weights.of(MlpDiscriminator::new(network, frame, &mut init)).map(AnyDiscriminator::Mlp),
    }
}

impl Weights<'_> {
    /// The network with these weights, on the plain device.
    fn of<M: Module>(&mut self, fresh: M) -> Result<M, String> {
        let fresh = fresh.valid();
        match self {
            Self::Stored(tensors) => load_params(fresh, DISCRIMINATOR, tensors),
            Self::Random => {
                let mut tensors = save_params(&fresh, DISCRIMINATOR);
                for (name, HostTensor { shape, values }) in &mut tensors {
                    let inputs = shape.iter().rev().skip(1).product::<usize>().max(1);
                    if shape.len() > 1 && values.iter().all(|v| *v == 0.0) {
                        let scale = (inputs as f32).sqrt().recip();
                        let drawn = random::normal(values.len(), &mut random::stream(0, name, 0));
                        *values = drawn.into_iter().map(|v| v * scale).collect();
                    }
                }
                load_params(fresh, DISCRIMINATOR, &mut tensors.into_iter().collect())
            }
        }
    }
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec::<f32>().expect("converted to f32")
}
