//! Run directories: everything needed to continue, sample or reproduce a training run.

mod types;

pub use types::{DataDescription, HostTensor, ModelDescription, NamedTensors};

/// An opened `model/` folder.
#[derive(Debug, Clone)]
pub struct ModelFolder;
