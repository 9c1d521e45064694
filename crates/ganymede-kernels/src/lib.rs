//! CPU kernels on slices of 32-bit floats. Knows neither tensors nor files.
//!
//! Each body is compiled for AVX-512, for AVX2 with FMA and for the baseline, and chosen at run time ([`instruction_set`]). Work is shared among
//! [`threads`] of the crate's own; the order of every sum is given by the shapes alone, so that results do not depend on how many threads there are.

mod adam;
#[cfg(feature = "allocator")]
pub mod allocator;
mod batch_norm;
mod bias_act;
mod conv;
mod fill;
mod gate;
mod matmul;
mod panels;
mod peak;
mod resample;
mod scratch;
mod simd;
mod tanh;
mod threads;
mod tile;

pub use adam::{AdamStep, adam, average};
pub use batch_norm::{NormAct, Statistics, norm_act, norm_act_backward};
pub use bias_act::{BiasAct, bias_act, bias_act_backward};
pub use conv::{Conv, ConvGeometry, conv_forward, conv_input, conv_weight};
pub use gate::gate;
pub use matmul::{matmul, matmul_nt, matmul_tn};
pub use peak::peak;
pub use resample::{Axis, resample};
pub use simd::instruction_set;
pub use tanh::{tanh, tanh_backward};
pub use threads::threads;
