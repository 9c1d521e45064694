//! Settings of the image task.

use serde::{Deserialize, Serialize};

use super::augmenter::Augment;
use super::nets::{Architecture, Network};
use crate::data::{Fit, ImageIndex};
use crate::error::{Error, Result};
use crate::features::Kind;
use crate::train::{Game, Plan};

/// Everything that can be set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageConfig {
    /// How files become pictures.
    pub data: DataConfig,
    /// The networks.
    pub network: Network,
    /// What is done to pictures before the discriminator sees them.
    pub augment: Augment,
    /// The rules of the game.
    pub game: Game,
    /// Length and rhythm.
    pub plan: Plan,
}

/// How files become pictures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Height in pixels; 0 takes what the data proposes.
    pub height: usize,
    /// Width in pixels; 0 takes what the data proposes.
    pub width: usize,
    /// `auto`, `grey`, `rgb` or `rgba`.
    pub channels: ChannelChoice,
    /// What is done to pictures of another aspect: `crop`, `pad` or `stretch`.
    pub fit: Fit,
    /// Whether every picture is also shown mirrored left to right.
    pub mirror: bool,
    /// What can be asked for: `auto`, `none`, `class`, `attributes` or `caption`.
    pub condition: ConditionChoice,
    /// Columns of `labels.csv` that are learned as attributes; empty for all.
    pub attributes: Vec<String>,
    /// What samples are judged by: `own`, features of a network that learns from the data, or `random`, of one with random weights.
    pub features: Kind,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            height: 0,
            width: 0,
            channels: ChannelChoice::Auto,
            fit: Fit::Crop,
            mirror: false,
            condition: ConditionChoice::Auto,
            attributes: Vec::new(),
            features: Kind::Own,
        }
    }
}

/// What pictures can be asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConditionChoice {
    /// Captions where most pictures have one, else classes, else attributes.
    #[default]
    Auto,
    /// Nothing.
    None,
    /// Classes.
    Class,
    /// Several attributes.
    Attributes,
    /// Texts.
    Caption,
}

impl ConditionChoice {
    /// What is taken of some data.
    pub fn of(self, index: &ImageIndex) -> Self {
        match self {
            Self::Auto if is_captioned(index) => Self::Caption,
            Self::Auto if !index.classes.is_empty() => Self::Class,
            Self::Auto if index.attributes.as_ref().is_some_and(|table| !table.on_request) => Self::Attributes,
            Self::Auto => Self::None,
            chosen => chosen,
        }
    }
}

/// Whether more than half of the pictures have a caption with a letter in it. Text files beside pictures hold all kinds of things, boxes around objects for example, and those are numbers.
fn is_captioned(index: &ImageIndex) -> bool {
    let Some(captions) = &index.captions else { return false };
    let says_something = |own: &Vec<String>| own.iter().any(|caption| caption.chars().any(char::is_alphabetic));
    let n = index.entries.iter().filter(|entry| captions.get(entry.row).is_some_and(says_something)).count();
    2 * n > index.entries.len()
}

/// Channels of the pictures that are learned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelChoice {
    /// The fewest that lose nothing of the data.
    #[default]
    Auto,
    /// One.
    Grey,
    /// Three.
    Rgb,
    /// Three and opacity.
    Rgba,
}

impl ImageConfig {
    /// Checks every value, and that the values go together.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key.
    pub fn validate(&self) -> Result<()> {
        self.network.validate()?;
        self.game.validate()?;
        self.plan.validate()?;
        self.augment.validate()?;
        for (key, value) in [("data.height", self.data.height), ("data.width", self.data.width)] {
            if value > 1024 || (1..4).contains(&value) {
                return Err(Error::config(
                    key,
                    format!("{value} pixels are out of range"),
                    "give a number from 4 to 1024, or 0 for automatic",
                ));
            }
        }
        if self.network.architecture == Architecture::Dcgan && self.game.penalised() {
            return Err(Error::config(
                "network.architecture",
                "gradient penalties are not defined for dcgan, whose discriminator normalises over the batch",
                "set game.r1, game.r2 and game.gradient_penalty to 0, or choose network.architecture = \"residual\"",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Source;

    #[test]
    fn captions_are_taken_where_most_pictures_have_words() {
        let Source::Images(mut index) = Source::open("avatars").unwrap() else { panic!("avatars are pictures") };
        let n = index.entries.len();
        let mut chosen = |text: &str, n_captioned: usize| {
            index.captions = Some((0..n).map(|i| if i < n_captioned { vec![text.to_owned()] } else { Vec::new() }).collect());
            ConditionChoice::Auto.of(&index)
        };
        assert_eq!(chosen("a red hat", n / 2 + 1), ConditionChoice::Caption);
        assert_ne!(chosen("a red hat", n / 2), ConditionChoice::Caption);
        assert_ne!(chosen("0 0.5 0.5 0.2 0.3", n), ConditionChoice::Caption);
        assert_eq!(ConditionChoice::Caption.of(&index), ConditionChoice::Caption, "what is asked for is taken");
    }
}
