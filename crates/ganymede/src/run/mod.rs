//! Run directories: everything needed to continue, sample or reproduce a training run.
//!
//! ```text
//! runs/0007-image-avatars/
//!   run.toml                     what was asked for, resolved (Manifest); written before the first step
//!   lock                         held by the process that trains
//!   log.jsonl                    logged steps, snapshots, findings (LogEntry)
//!   events.out.tfevents.*        the same for TensorBoard, one file per process
//!   samples/                     real.png, step-00000500.png ...
//!   checkpoints/step-00001000/   one safetensors file per player, state.json, SHA256SUMS (Checkpoint)
//!   model/                       generator.safetensors, discriminator.safetensors, model.json, README.md, SHA256SUMS (ModelFolder)
//!   report.html                  one page that opens from disk
//! ```
//!
//! Whatever is replaced is written aside, synced and renamed. [`RunDir`] writes, under a lock; [`ModelFolder`] reads what sampling needs.

mod card;
mod checkpoint;
mod directory;
mod files;
mod log;
mod manifest;
mod model_folder;
mod report;
mod sheet;
mod svg;
mod tensorboard;
mod tensors;
mod time;
mod types;
mod verdict;

pub use card::figure_text;
pub use checkpoint::{Checkpoint, Restored};
pub use directory::{RunDir, Unfinished, find_unfinished};
pub(crate) use files::{sha256_hex, write_atomic};
pub use log::LogEntry;
pub use manifest::Manifest;
pub use model_folder::ModelFolder;
pub use report::{Progress, RunState};
pub use tensors::{first_non_finite, from_safetensors, to_safetensors};
pub use time::utc_now;
pub use types::{DataDescription, HostTensor, ModelDescription, NamedTensors, Remedy, TrainedGenerator};
