//! A generator out of a model folder, of which nothing is trusted.

use std::collections::HashMap;
use std::fmt::Display;

use burn::module::Module;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::nn::load_params;
use crate::run::{HostTensor, ModelFolder};

/// Prefix of the generator's tensors in a model folder.
pub(crate) const GENERATOR: &str = "generator";

/// Prefix of the discriminator's tensors in a model folder.
pub(crate) const DISCRIMINATOR: &str = "discriminator";

/// The weights of a model folder, on the way into a network.
pub(crate) struct Stored<'a> {
    folder: &'a ModelFolder,
    tensors: HashMap<String, HostTensor>,
}

impl<'a> Stored<'a> {
    /// Reads the folder's weights.
    ///
    /// # Errors
    /// As [`ModelFolder::tensors`].
    pub fn read(folder: &'a ModelFolder) -> Result<Self> {
        Ok(Self { folder, tensors: folder.tensors()?.into_iter().collect() })
    }

    /// The error of a folder whose parts do not fit together.
    pub fn damaged(&self, problem: impl Display) -> Error {
        Error::run(self.folder.path(), problem.to_string(), "use a model folder as `ganymede train` wrote it")
    }

    /// The task's own part of `model.json`.
    ///
    /// # Errors
    /// [`Error::Run`] if a key is missing, unknown or of another kind.
    pub fn described<T: DeserializeOwned>(&self) -> Result<T> {
        let own = self.folder.description().generator.clone();
        serde_json::from_value(own).map_err(|e| self.damaged(format!("model.json: generator: {e}")))
    }

    /// Takes a tensor out that is none of the network's.
    pub fn take(&mut self, name: &str) -> Option<HostTensor> {
        self.tensors.remove(name)
    }

    /// Refuses a description of more weights than are stored, before a network is made on its word.
    ///
    /// # Errors
    /// [`Error::Run`].
    pub fn check_size(&self, n_least: u64) -> Result<()> {
        let n_stored: usize = self.tensors.values().map(|t| t.values.len()).sum();
        if n_least > n_stored as u64 {
            return Err(self.damaged(format!("model.json describes a network larger than the {n_stored} weights that are stored")));
        }
        Ok(())
    }

    /// The weights in the network they belong to, on the plain device.
    ///
    /// # Errors
    /// [`Error::Run`] naming a tensor that is missing, of another shape, or left over.
    pub fn into_generator<M: Module>(mut self, fresh: &M) -> Result<M> {
        let net = self.part(fresh, GENERATOR)?;
        self.finish()?;
        Ok(net)
    }

    /// The weights under a prefix, of a model of several networks, in the network that they belong to, on the plain device.
    ///
    /// # Errors
    /// [`Error::Run`] naming a tensor that is missing or of another shape.
    pub fn part<M: Module>(&mut self, fresh: &M, prefix: &str) -> Result<M> {
        let net = load_params(fresh.valid(), prefix, &mut self.tensors);
        net.map_err(|problem| self.damaged(format!("generator.safetensors: {problem}")))
    }

    /// Checks that all weights were taken.
    ///
    /// # Errors
    /// [`Error::Run`] naming a tensor that is left over.
    pub fn finish(&self) -> Result<()> {
        match self.tensors.keys().min() {
            Some(name) => Err(self.damaged(format!("generator.safetensors: tensor \"{name}\" belongs to no part of this network"))),
            None => Ok(()),
        }
    }
}
