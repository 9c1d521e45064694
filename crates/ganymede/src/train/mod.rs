//! The game: tasks, players, the adversarial step, the plan and the loop.

mod event;
mod plan;
mod task;

pub use event::{Event, Finding, Outcome, Severity, StopReason};
pub use plan::Plan;
pub use task::{Confidence, Model, Preset, Proposal, SampleId, SampleRequest, Setup, StepReport, Task, TaskEntry};
