//! From pictures to feature vectors: by networks that learn from the pictures themselves, so that nothing is downloaded, or by one that others have trained on other pictures.

mod attributes;
mod cache;
mod efficientnet;
mod extractor;
mod learn;
mod matching;
mod network;
mod text;
mod views;

pub use attributes::AttributeNet;
pub use cache::Cache;
pub use efficientnet::EfficientNetLite0;
pub use extractor::{Extractor, Kind, Seen};
pub use learn::Lesson;
pub use matching::{Matcher, TextEncoder};
pub use text::{Tokenizer, Vocabulary};
