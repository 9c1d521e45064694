//! The game: tasks, players, the adversarial step, the plan and the loop.

mod adam;
pub(crate) mod estimate;
mod event;
mod game;
mod health;
pub(crate) mod latents;
mod plan;
mod player;
mod run_loop;
mod schedule;
pub(crate) mod stored;
mod task;
mod two_player;

pub use adam::{Adam, AdamSettings};
pub use event::{Event, Finding, Outcome, Severity, StopReason};
pub use game::Game;
pub use health::Health;
pub use plan::Plan;
pub use player::Player;
pub use run_loop::{Control, run};
pub use schedule::{Ramp, Schedule, Shape};
pub use task::{Confidence, Model, Preset, Proposal, SampleId, SampleRequest, Setup, StepReport, Task, TaskEntry};
pub use two_player::{Batch, Batches, TwoPlayer};
