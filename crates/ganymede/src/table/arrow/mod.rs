//! Tables in Apache Arrow IPC files and streams, with their types. Feather of version 2 is the same as an IPC file.

mod cells;
mod messages;
mod reading;
#[cfg(test)]
mod tests;
mod writing;

pub(super) use reading::read;
pub(super) use writing::ArrowFile;
