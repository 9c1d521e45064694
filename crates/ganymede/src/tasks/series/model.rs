//! A generator of series, opened from a model folder.

use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::codec::{Codec, StoredCodec};
use super::config::Network;
use super::drawing::Drawer;
use super::nets::SeriesGenerator;
use crate::artifact::Artifact;
use crate::error::Result;
use crate::nn::{Generator, Init};
use crate::random;
use crate::run::{ModelDescription, ModelFolder};
use crate::table::{TableWriter, WriteOptions};
use crate::train::stored::Stored;
use crate::train::{Model, SampleRequest};

/// Series that are drawn and written at once.
const AT_ONCE: usize = 4096;

/// The part of `model.json` that is the task's own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    pub network: Network,
    pub codec: StoredCodec,
}

/// A generator opened from a model folder.
pub(super) struct SeriesModel {
    description: ModelDescription,
    pub codec: Codec,
    net: SeriesGenerator,
    device: Device,
    options: WriteOptions,
}

impl SeriesModel {
    pub(super) fn open(folder: &ModelFolder, device: &Device) -> Result<Self> {
        let stored = Stored::read(folder)?;
        let Described { network, codec } = stored.described()?;
        network.validate().map_err(|e| stored.damaged(format!("model.json: {e}")))?;
        let codec = codec.opened().map_err(|problem| stored.damaged(format!("model.json: {problem}")))?;
        stored.check_size(network.n_products(&codec.frame)[1][0] as u64)?;
        let mut rng = random::stream(0, "init", 0);
        let scales = vec![1.0; codec.frame.n_differences()];
        let fresh = SeriesGenerator::new(&network, &codec.frame, (&codec.spectrum, &scales), &mut Init { rng: &mut rng, device });
        let net = stored.into_generator(&fresh)?;
        Ok(Self { description: folder.description().clone(), codec, net, device: device.clone(), options: WriteOptions::default() })
    }

    pub(super) fn drawer(&self) -> Drawer<'_> {
        Drawer { net: &self.net, codec: &self.codec, device: &self.device }
    }
}

impl Model for SeriesModel {
    fn description(&self) -> &ModelDescription {
        &self.description
    }

    fn sample(&self, request: &SampleRequest) -> Result<Vec<Artifact>> {
        self.drawer().files(request)
    }

    fn write(&self, request: &SampleRequest, path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<bool> {
        let n = request.ids.len();
        // What cannot be asked for is said before a file is begun.
        self.drawer().table(request, 0..0)?;
        let mut writer = TableWriter::create(path, &self.codec.columns.schema, &self.options)?;
        for first in (0..n).step_by(AT_ONCE) {
            let end = (first + AT_ONCE).min(n);
            writer.push(&self.drawer().table(request, first..end)?)?;
            progress(end as u64, n as u64);
        }
        writer.finish()?;
        Ok(true)
    }

    fn escape_formulas(&mut self, escaped: bool) {
        self.options.escape_formulas = escaped;
    }

    fn latent_dim(&self) -> usize {
        self.net.latent_dim()
    }
}
