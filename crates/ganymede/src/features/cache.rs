//! What was learned once need not be learned again.

use std::path::{Path, PathBuf};

use crate::run::{NamedTensors, first_non_finite, from_safetensors, to_safetensors, write_atomic};

/// Networks that differ in more than their weights need another number.
const VERSION: u32 = 1;
/// No network of ours is larger.
const LARGEST: u64 = 64 << 20;

/// Where what was learned before may be found: a cache, and the fingerprint of what it was learned from. Nothing if it is to be learned anew.
pub type Known<'a> = Option<(&'a Cache, &'a str)>;

/// A folder of learned networks by the fingerprint of what they learned from. Nothing depends on it: what is missing, damaged or cannot be written is learned anew.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// In that folder, which need not exist.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The tensors kept for this fingerprint, if they are whole.
    pub(super) fn read(&self, fingerprint: &str) -> Option<NamedTensors> {
        let path = self.path(fingerprint);
        if std::fs::metadata(&path).ok()?.len() > LARGEST {
            return None;
        }
        let tensors = from_safetensors(&path, &std::fs::read(&path).ok()?).ok()?;
        first_non_finite(&tensors).is_none().then_some(tensors)
    }

    pub(super) fn write(&self, fingerprint: &str, tensors: &NamedTensors) {
        let path = self.path(fingerprint);
        let written = to_safetensors(&path, tensors).and_then(|bytes| {
            std::fs::create_dir_all(&self.folder).map_err(|e| crate::Error::io(&self.folder, "make the folder", e))?;
            write_atomic(&path, &bytes)
        });
        if let Err(error) = written {
            tracing::warn!("learned features are not kept: {error}");
        }
    }

    fn path(&self, fingerprint: &str) -> PathBuf {
        let plain: String = fingerprint.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        Path::new(&self.folder).join(format!("features-v{VERSION}-{plain}.safetensors"))
    }
}
