//! The ganymede command.
fn main() {}
