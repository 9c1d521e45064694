//! What one picture of a set looks like: size, channels, and how a picture of another shape is brought to it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Colour channels of a picture, 8 bits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Brightness alone.
    Grey,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue and opacity, not premultiplied.
    Rgba,
}

impl Channels {
    /// How many bytes a pixel has: 1, 3 or 4.
    pub const fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    /// The word used in configurations: `grey`, `rgb`, `rgba`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grey => "grey",
            Self::Rgb => "rgb",
            Self::Rgba => "rgba",
        }
    }
}

impl std::fmt::Display for Channels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How a picture of another aspect is brought to the wanted one. A picture that has the wanted size already is never touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The largest centred part of the wanted aspect is cut out, then resized.
    #[default]
    Crop,
    /// The whole picture is resized to fit in; its outermost pixels are repeated outwards.
    Pad,
    /// The whole picture is resized, distorting it.
    Stretch,
}

/// The one shape that all pictures of a set are brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageSpec {
    /// Pixels across, 1 to [`ImageSpec::MAX_SIDE`].
    pub width: usize,
    /// Pixels down, 1 to [`ImageSpec::MAX_SIDE`].
    pub height: usize,
    /// Colour channels. Dropping opacity lays the picture over white.
    pub channels: Channels,
    /// What happens to other aspects.
    pub fit: Fit,
}

impl ImageSpec {
    /// The longest side that can be asked for, in pixels.
    pub const MAX_SIDE: usize = 4096;

    /// Bytes of one picture: width x height x channels.
    pub const fn n_bytes(&self) -> usize {
        self.width.saturating_mul(self.height).saturating_mul(self.channels.count())
    }

    pub(super) fn validate(&self) -> Result<()> {
        let side = 1..=Self::MAX_SIDE;
        if side.contains(&self.width) && side.contains(&self.height) {
            return Ok(());
        }
        Err(Error::config(
            "data.height",
            format!("{} x {} pixels is out of range", self.width, self.height),
            format!("give sides from 1 to {} pixels", Self::MAX_SIDE),
        ))
    }
}
