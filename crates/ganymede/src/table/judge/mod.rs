//! Judging of synthetic tables: quality, usefulness and privacy, each beside what a table without structure (the floor) and real rows (the ceiling) reach.

mod align;
mod bins;
mod boost;
mod distances;
mod ensemble;
mod findings;
mod independent;
mod inference;
mod membership;
mod pairs;
mod panel;
mod privacy;
mod quality;
mod related;
mod shapes;
mod target;
mod tree;
mod two_sample;
mod usefulness;
mod validity;

pub use align::{aligned, chosen, n_rows};
pub use boost::{Answer, Boost, BoostSettings};
pub use findings::{Finding, Level};
pub use independent::independent;
pub use inference::Inference;
pub use membership::Attack;
pub use pairs::{ASSOCIATION_THRESHOLD, CORRELATION_THRESHOLD, MOST_PAIRED, Trend};
pub use panel::{Figure, Judgement, Settings, judge};
pub use privacy::{Against, Measured, Privacy, privacy};
pub use quality::{Quality, quality};
pub use related::{cardinality_similarity, count_distance, trends_between};
pub use shapes::{Shape, ks_complement, tv_complement};
pub use two_sample::{told_apart, two_sample_test};
pub use usefulness::{Foretold, Usefulness, usefulness};
pub use validity::{Diagnostic, diagnostic};
