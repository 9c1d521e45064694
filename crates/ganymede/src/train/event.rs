//! What the training loop tells whoever watches it. The library draws nothing; the program does.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::judge::Judgement;
use crate::run::Remedy;
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
    /// What samples are judged by is being made ready.
    Preparing {
        /// Parts done.
        done: u64,
        /// Parts in all.
        of: u64,
    },
    /// Samples were judged.
    Judged {
        /// Steps done so far.
        step: u64,
        /// What was found.
        judgement: Box<Judgement>,
        /// Whether they are the best so far; the model folder then holds their generator.
        is_best: bool,
    },
    /// The health monitor found something.
    Found(Finding),
    /// Training went back to a healthy checkpoint, and on from there with changed settings.
    Remedied {
        /// Step that training went back to.
        step: u64,
        /// What was found and changed.
        remedy: Remedy,
    },
    /// Steps in all are no longer what they were.
    Planned {
        /// Steps in all.
        steps: u64,
        /// Why.
        reason: String,
    },
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
    /// Quality is lost unless something changes.
    Trouble,
    /// Training cannot go on.
    Fatal,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Trouble => "trouble",
            Self::Fatal => "fatal",
        })
    }
}

/// Something the health monitor noticed, with evidence and a way out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Step at which it was seen.
    pub step: u64,
    /// Step up to which all was well, as far as is known.
    pub since: u64,
    /// Stable name, one of those in [`crate::train::health`].
    pub kind: &'static str,
    /// How bad.
    pub severity: Severity,
    /// What was measured, with numbers.
    pub evidence: String,
    /// What is likely behind it.
    pub cause: String,
    /// What to try.
    pub remedy: String,
}

/// How a training run ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Steps done in all.
    pub step: u64,
    /// Steps that were planned.
    pub steps: u64,
    /// Why it stopped.
    pub reason: StopReason,
    /// The same in a sentence, with the figures behind it.
    pub why: String,
    /// Seconds spent in this process.
    pub seconds: f64,
}

/// Why a training run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StopReason {
    /// All steps are done.
    Done,
    /// Samples no longer get better.
    Settled,
    /// Samples get worse; the model is the best one.
    Turned,
    /// The time is up.
    Time,
    /// Something is wrong and was to stop the run.
    Trouble,
    /// Somebody asked it to stop; a checkpoint was written and `--resume` goes on.
    Interrupted,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Settled => "settled",
            Self::Turned => "turned",
            Self::Time => "time",
            Self::Trouble => "trouble",
            Self::Interrupted => "interrupted",
        })
    }
}
