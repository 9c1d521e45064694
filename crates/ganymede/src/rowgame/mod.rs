//! Games on the rows of a table: networks, batches in which some columns are given, drawing from what is known of a row, and making a table of what was drawn.
//!
//! Shared by all tasks that learn rows of mixed columns. How a row lies in a vector is [`crate::table::Layout`]'s.

mod batch;
pub mod chart;
mod clipped;
mod drawing;
mod given;
mod making;
mod nets;
mod network;
mod private;

pub use batch::batch_of;
pub use drawing::{Calibration, Drawer, Known};
pub use given::{Given, Givens};
pub use making::{Maker, Tally, satisfying};
pub use nets::{PackDiscriminator, RowGenerator};
pub use network::Network;
pub use private::{PrivateGame, PrivateRules};
