//! What goes in and out of run directories: tensors by name and the description of a model.

use serde::{Deserialize, Serialize};

/// Tensors by name, in a fixed order. Values are 32-bit floats, row-major.
pub type NamedTensors = Vec<(String, HostTensor)>;

/// A tensor in host memory.
#[derive(Debug, Clone, PartialEq)]
pub struct HostTensor {
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Values in row-major order; as many as the product of `shape`.
    pub values: Vec<f32>,
}

/// `model.json`: everything about a generator except its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelDescription {
    /// Version of this file's format, [`ModelDescription::FORMAT`] when written by this version.
    pub format: u32,
    /// Version of the program that wrote it.
    pub ganymede_version: String,
    /// Name of the task that can open it.
    pub task: String,
    /// Steps of training behind it.
    pub step: u64,
    /// Real samples shown behind it.
    pub samples_seen: u64,
    /// Names of the classes it was conditioned on, in order of their number; empty if unconditional.
    pub classes: Vec<String>,
    /// What the task needs to rebuild the network and to encode its samples (shapes, ranges, architecture).
    pub generator: serde_json::Value,
    /// Fingerprint and name of the data it learned from.
    pub data: DataDescription,
    /// The resolved configuration it was trained with.
    pub config: serde_json::Value,
    /// Seed of the run.
    pub seed: u64,
    /// Figures measured on its samples, by name: numbers, or objects of `value`, `real` and `trivial` for those of [`crate::judge::METRICS`].
    pub metrics: serde_json::Map<String, serde_json::Value>,
}

/// What a task knows of its generator; with what the run knows it makes a [`ModelDescription`] and its weights.
#[derive(Debug, Clone)]
pub struct TrainedGenerator {
    /// Its weights.
    pub weights: NamedTensors,
    /// Those of the discriminator that it learned against, which knows what real samples look like; empty if there is none.
    pub discriminator: NamedTensors,
    /// As [`ModelDescription::generator`].
    pub generator: serde_json::Value,
    /// As [`ModelDescription::classes`].
    pub classes: Vec<String>,
    /// As [`ModelDescription::metrics`].
    pub metrics: serde_json::Map<String, serde_json::Value>,
}

impl ModelDescription {
    /// The format written and read by this version.
    pub const FORMAT: u32 = 1;
}

/// Where the training data came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataDescription {
    /// Path or built-in name, as given.
    pub name: String,
    /// SHA-256 of the decoded training data, hexadecimal.
    pub fingerprint: String,
    /// Samples.
    pub n_samples: usize,
    /// Licence as an SPDX expression, or `unknown`.
    pub license: String,
}

/// Something that was wrong with a run, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remedy {
    /// Stable name of what was found.
    pub kind: String,
    /// How bad it was: `trouble` or `fatal`.
    pub severity: String,
    /// Step at which it was found.
    pub found_at: u64,
    /// Step that training went back to.
    pub back_to: u64,
    /// What was measured.
    pub evidence: String,
    /// What is likely behind it.
    pub cause: String,
    /// What was changed, in words.
    pub change: String,
}
