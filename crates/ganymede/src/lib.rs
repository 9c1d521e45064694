//! Ganymede trains, judges and serves generative adversarial networks on people's own data.

pub mod artifact;
pub mod augment;
pub mod config;
pub mod data;
pub mod device;
pub mod error;
pub mod features;
pub mod judge;
pub mod latent;
pub mod losses;
pub mod metrics;
pub mod nn;
pub mod privacy;
pub mod random;
mod rowgame;
pub mod run;
pub mod session;
pub mod table;
pub mod tasks;
pub mod train;

pub use error::{Error, Result};
