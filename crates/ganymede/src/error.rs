//! The one error type of the library.
//!
//! Every variant says what is wrong, where, and what to do about it: its `Display` is one lower-case sentence that ends in the remedy.

use std::io;
use std::path::{Path, PathBuf};

/// Result of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong. The program maps [`Error::exit_code`] to its exit status.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The user's data cannot be used: missing, empty, damaged, too large, not of a kind that can be learned.
    #[error("{}: {problem}; {remedy}", .path.display())]
    Data {
        /// The file or folder, with line and column appended by the reader where there is one.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// A configuration key or value is wrong.
    #[error("{key}: {problem}; {remedy}")]
    Config {
        /// Dotted key, for example `plan.batch`.
        key: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// A run directory, checkpoint or model folder cannot be used.
    #[error("{}: {problem}; {remedy}", .path.display())]
    Run {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// The operating system refused.
    #[error("{}: cannot {action}: {source}; {}", .path.display(), io_remedy(.source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done, as in "cannot ...".
        action: &'static str,
        /// The system's word.
        source: io::Error,
    },
    /// The compute device is not there or was not compiled in.
    #[error("device {name}: {problem}; {remedy}")]
    Device {
        /// The name asked for.
        name: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// The task does not do this.
    #[error("the {task} task does not offer {capability}; see `ganymede tasks` for what each task offers")]
    Unsupported {
        /// Name of the task.
        task: &'static str,
        /// What was asked of it.
        capability: &'static str,
    },
    /// Training broke down: a loss or a weight is no longer a finite number.
    #[error("training diverged at step {step}: {problem}; {remedy}")]
    Diverged {
        /// Step at which it was seen.
        step: u64,
        /// What was seen.
        problem: String,
        /// What to do.
        remedy: String,
    },
}

impl Error {
    /// A problem in the user's data.
    pub fn data(path: impl AsRef<Path>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Data { path: path.as_ref().to_path_buf(), problem: problem.into(), remedy: remedy.into() }
    }

    /// A problem with a configuration key.
    pub fn config(key: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Config { key: key.into(), problem: problem.into(), remedy: remedy.into() }
    }

    /// A problem with a run directory, checkpoint or model folder.
    pub fn run(path: impl AsRef<Path>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Run { path: path.as_ref().to_path_buf(), problem: problem.into(), remedy: remedy.into() }
    }

    /// The operating system refused `action` on `path`.
    pub fn io(path: impl AsRef<Path>, action: &'static str, source: io::Error) -> Self {
        Self::Io { path: path.as_ref().to_path_buf(), action, source }
    }

    /// Exit status of the program: 1 failed (data, files, devices), 2 wrong use (keys, values), 6 training diverged.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. } => 2,
            Self::Diverged { .. } => 6,
            _ => 1,
        }
    }
}

fn io_remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a folder you may write to (--out), or change its permissions"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some disk space, or choose another folder (--out)",
        io::ErrorKind::AlreadyExists => "choose another name",
        _ => "check the file and try again",
    }
}
