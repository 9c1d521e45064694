//! The table of tasks. A new task is one folder here and one row.

pub mod image;
pub mod points;
pub mod relations;
pub mod series;
pub mod table;

use crate::train::TaskEntry;

/// Every task, in the order in which `ganymede tasks` lists them.
pub const TASKS: &[&TaskEntry] = &[&image::ENTRY, &points::ENTRY, &table::ENTRY, &series::ENTRY, &relations::ENTRY];
