//! What the players minimise, on logits.

mod adversarial;
mod auxiliary;
pub mod penalty;

pub use adversarial::Loss;
pub use auxiliary::{Auxiliary, Part};
