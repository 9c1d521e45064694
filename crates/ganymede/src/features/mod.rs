//! From pictures to feature vectors: by networks that learn from the pictures themselves, so that nothing is downloaded, or by one that others have trained on other pictures.

mod cache;
mod efficientnet;
mod extractor;
mod learn;
mod network;
mod views;

pub use cache::Cache;
pub use efficientnet::EfficientNetLite0;
pub use extractor::{Extractor, Kind, Seen};
pub use learn::Lesson;
