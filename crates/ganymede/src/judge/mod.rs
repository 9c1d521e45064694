//! Samples held against real data: every figure beside what it is for real samples and for something trivial, on the same features and the same number of samples.

mod kinds;
mod panel;
mod rows;
mod score;
mod split;

pub use kinds::Kinds;
pub use panel::{EXPECTED, Judgement, Look, LookClasses, Panel, Real, RealClasses, Signal, Vitals};
pub use rows::RowJudge;
pub(crate) use score::rounded;
pub use score::{METRICS, Metric, Score};
pub use split::Split;
