//! What the training loop tells whoever watches it. The library draws nothing; the program does.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::train::StepReport;

/// One thing that happened in the loop.
#[derive(Debug, Clone)]
pub enum Event {
    /// The loop starts or continues.
    Started {
        /// First step that will be done.
        from_step: u64,
        /// Steps in all.
        steps: u64,
    },
    /// A step was done. `report` is there on logged steps only.
    Step {
        /// Steps done so far.
        step: u64,
        /// Numbers of this step.
        report: Option<StepReport>,
        /// Real samples shown per second, over the last few seconds.
        samples_per_sec: f64,
    },
    /// A sample sheet was written.
    Snapshot {
        /// Steps done so far.
        step: u64,
        /// The file.
        path: PathBuf,
        /// Quick figures about the samples.
        metrics: Vec<(&'static str, f64)>,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// Steps done so far.
        step: u64,
        /// Its folder.
        path: PathBuf,
    },
    /// The health monitor found something.
    Found(Finding),
    /// Something outside the training needs a word, for example a damaged checkpoint that was skipped.
    Warning {
        /// One sentence.
        message: String,
    },
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Likely to cost quality.
    Warning,
    /// The run is lost unless something changes.
    Fatal,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Fatal => "fatal",
        })
    }
}

/// Something the health monitor noticed, with evidence and a way out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Step at which it was seen.
    pub step: u64,
    /// Stable name: `non-finite`, `discriminator-wins`, `exploding-loss`.
    pub kind: &'static str,
    /// How bad.
    pub severity: Severity,
    /// What was measured, with numbers.
    pub evidence: String,
    /// What to try.
    pub remedy: String,
}

/// How a training run ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Steps done in all.
    pub step: u64,
    /// Why it stopped.
    pub reason: StopReason,
    /// Seconds spent in this process.
    pub seconds: f64,
}

/// Why a training run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StopReason {
    /// All steps are done.
    Done,
    /// Somebody asked it to stop; a checkpoint was written and `--resume` goes on.
    Interrupted,
}
