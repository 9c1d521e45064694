//! Feature vectors of pictures, from networks that others have trained on other pictures.

mod efficientnet;

pub use efficientnet::EfficientNetLite0;
