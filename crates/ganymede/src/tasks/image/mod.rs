//! Pictures.
pub mod nets;
