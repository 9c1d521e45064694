//! A sample as bytes with a media type, so that the command line and any other front end treat a picture and a table alike.

/// One finished sample, or one file that holds several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// For example `image/png`, `text/csv`.
    pub media_type: &'static str,
    /// File name extension without the dot, for example `png`.
    pub extension: &'static str,
    /// File name stem that identifies the sample, for example `seed3-00007`.
    pub stem: String,
    /// The file's contents.
    pub bytes: Vec<u8>,
}
