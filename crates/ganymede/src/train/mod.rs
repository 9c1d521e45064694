//! The game: tasks, players, the adversarial step, the plan and the loop.

mod adam;
mod course;
pub(crate) mod estimate;
mod event;
mod game;
pub mod health;
pub(crate) mod latents;
mod plan;
mod player;
mod run_loop;
mod schedule;
pub(crate) mod stored;
mod task;
mod tuning;
mod two_player;

pub use adam::{Adam, AdamSettings};
pub use course::Course;
pub use event::{Event, Finding, Outcome, Severity, StopReason};
pub use game::Game;
pub use health::Health;
pub use plan::{OnTrouble, Plan, Until};
pub use player::Player;
pub use run_loop::{Control, run};
pub use schedule::{Ramp, Schedule, Shape};
pub use task::{
    Asked, AttributeVector, AttributeVectors, AttributesRequest, CompleteRequest, Confidence, EvaluateRequest, Evaluation, FeatureRows,
    Judged, LatentRequest, Layout, Model, Preset, ProjectRequest, Projection, Proposal, SampleId, SampleRequest, Setup, StepReport, Task,
    TaskEntry, Wish,
};
pub use tuning::Tuning;
pub use two_player::{Batch, Batches, TwoPlayer};
