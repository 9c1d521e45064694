//! The game: tasks, players, the adversarial step, the plan and the loop.

mod event;
mod health;
mod plan;
mod run_loop;
mod task;

pub use event::{Event, Finding, Outcome, Severity, StopReason};
pub use health::Health;
pub use plan::Plan;
pub use run_loop::{Control, run};
pub use task::{Confidence, Model, Preset, Proposal, SampleId, SampleRequest, Setup, StepReport, Task, TaskEntry};
