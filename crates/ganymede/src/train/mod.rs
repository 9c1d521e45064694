//! The game: tasks, players, the adversarial step, the plan and the loop.

mod adam;
mod course;
pub(crate) mod estimate;
mod event;
mod game;
pub mod health;
pub(crate) mod latents;
mod model;
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
pub use model::{
    AttributeVector, AttributeVectors, AttributesRequest, CompleteRequest, FeatureRows, LatentRequest, Layout, Model, ProjectRequest,
    Projection, SampleId, SampleRequest, Wish,
};
pub use plan::{OnTrouble, Plan, Until};
pub use player::Player;
pub use run_loop::{Control, run};
pub use schedule::{Ramp, Schedule, Shape};
pub use task::{Asked, Confidence, EvaluateRequest, Evaluation, Judged, Preset, Proposal, Setup, StepReport, Task, TaskEntry};
pub use tuning::Tuning;
pub use two_player::{Batch, Batches, TwoPlayer};
