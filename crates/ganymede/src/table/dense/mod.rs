//! Encoded rows as vectors, as networks take and give them.

mod layout;
mod output;
mod rows;

pub use layout::Layout;
pub use output::RowOutput;
pub(crate) use output::alike;
pub use rows::{Rows, layout_of};
