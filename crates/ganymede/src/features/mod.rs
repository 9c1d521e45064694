//! From pictures to feature vectors and classes: by networks that learn from the pictures themselves, so that nothing is downloaded, or by one that others have trained on other pictures.

mod attributes;
mod cache;
mod classifier;
mod detail;
mod detector;
mod efficientnet;
mod extractor;
mod learn;
mod matching;
mod network;
mod text;
mod views;

pub use attributes::AttributeNet;
pub use cache::{Cache, Known};
pub use classifier::{Classifier, Practice};
pub use detector::{Described, Detector, FALSE_POSITIVES, Fakes, Parts, Suspicion, Teaching, Told, Verdict};
pub use efficientnet::EfficientNetLite0;
pub use extractor::{Extractor, Kind, Seen};
pub use learn::Lesson;
pub use matching::{Matcher, TextEncoder};
pub use text::{Tokenizer, Vocabulary};
pub use views::Change;
