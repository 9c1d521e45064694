//! The discriminator of a trained model, used for what it knows about pictures.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::codec::Codec;
use super::model::conditions;
use super::nets::{AnyDiscriminator, Architecture, DcganDiscriminator, Frame, MlpDiscriminator, Network, ResidualDiscriminator};
use crate::error::{Error, Result};
use crate::nn::{Init, load_params};
use crate::random;
use crate::run::ModelFolder;
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
        let mut rng = random::stream(0, "init", 0);
        let mut init = Init { rng: &mut rng, device };
        let mut tensors = tensors.into_iter().collect();
        let damaged = |problem: String| {
            Error::run(folder.path(), format!("discriminator.safetensors: {problem}"), "use a model folder as `ganymede train` wrote it")
        };
        let net = match network.architecture {
            Architecture::Residual => {
                let net = ResidualDiscriminator::new(network, frame, &mut init).valid();
                load_params(net, DISCRIMINATOR, &mut tensors).map(AnyDiscriminator::Residual)
            }
            Architecture::Dcgan => {
                let net = DcganDiscriminator::new(network, frame, &mut init).valid();
                load_params(net, DISCRIMINATOR, &mut tensors).map(AnyDiscriminator::Dcgan)
            }
            Architecture::Mlp => {
                let net = MlpDiscriminator::new(network, frame, &mut init).valid();
                load_params(net, DISCRIMINATOR, &mut tensors).map(AnyDiscriminator::Mlp)
            }
        };
        Ok(Self { net: net.map_err(damaged)?, codec, frame, device: device.clone() })
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
    pub fn features(&self, pictures: &[Vec<u8>], stage: Option<usize>) -> Result<(Vec<f32>, usize)> {
        let (mut rows, mut dim) = (Vec::new(), 0);
        for chunk in pictures.chunks(CHUNK) {
            let stages = self.net.stages(self.encode(chunk));
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

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec::<f32>().expect("converted to f32")
}
