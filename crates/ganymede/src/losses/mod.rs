//! What the players minimise, on logits.

mod adversarial;
pub mod penalty;

pub use adversarial::Loss;
