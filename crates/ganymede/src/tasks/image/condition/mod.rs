//! What pictures are asked for by, and the vector of it that both networks are given.
//!
//! Whatever it is, a class, several attributes or a text, it becomes one vector, of unit length but for attributes with numbers or unknown values. The generator gets a linear image of it
//! beside the latent; the discriminator's logit is the product of its features with another one (projection discriminator: Miyato and Koyama, "cGANs with Projection Discriminator", ICLR
//! 2018), which for several attributes is a sum of one term for each.

mod attributes;
mod captions;
mod classes;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use attributes::{Attributes, Values};
pub use captions::Captions;
pub use classes::Classes;

use super::config::ConditionChoice;
use crate::data::{ImageIndex, ImageSet};
use crate::error::{Error, Result};
use crate::features::Known;
use crate::losses::{Auxiliary, Part};
use crate::random;
use crate::run::{HostTensor, NamedTensors};
use crate::train::{SampleId, Wish};

/// Longest vector, against models that describe an absurd one.
const LONGEST: usize = 65_536;
/// Things that were learned which a model keeps to draw from where nothing is asked for.
const EXAMPLES: usize = 2000;
/// The file of a checkpoint that the text encoder is kept in, and the name of its weights there.
const FILE: (&str, &str) = ("text", "tokens");

/// What a model can be asked for.
#[derive(Debug, Clone, Default)]
pub enum Condition {
    /// Nothing.
    #[default]
    None,
    /// One of several classes.
    Classes(Classes),
    /// A value for each of several attributes.
    Attributes(Attributes),
    /// What is said in words.
    Captions(Box<Captions>),
}

/// The part of a condition in `model.json`; classes stand elsewhere in it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    /// Training pictures of each class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_counts: Vec<u64>,
    /// Names and values of attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Attributes>,
    /// What captions are read with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captions: Option<captions::Described>,
}

/// What each of some samples is asked to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// A vector of the condition's width for each sample.
    pub rows: Vec<Vec<f32>>,
    /// The same in words, empty where there is no condition.
    pub words: Vec<String>,
    /// The class of each, where classes are the condition.
    pub classes: Vec<usize>,
}

/// The vectors of real pictures.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// One or several vectors for each picture, by its position in the set.
    rows: Vec<Vec<Vec<f32>>>,
    /// Its captions where those are the condition, so that another text encoder can read them.
    captions: Vec<Vec<String>>,
}

impl Given {
    /// A vector of a picture, one of several by that number.
    pub fn row(&self, picture_idx: usize, number: u64) -> Vec<f32> {
        let Some(rows) = self.rows.get(picture_idx).filter(|rows| !rows.is_empty()) else { return Vec::new() };
        rows[random::below(rows.len() as u64, &mut random::stream(number, "caption", picture_idx as u64)) as usize].clone()
    }
}

impl Condition {
    /// What the data can be asked for, of what the settings choose. Captions are learned to be read first: `known` is a cache of what was learned before and the fingerprint of the pictures, and
    /// `progress` is called with (done, of).
    ///
    /// # Errors
    /// [`Error::Config`] if the data has not what the settings ask for.
    pub fn learn(
        index: &ImageIndex,
        data: &ImageSet,
        (choice, names): (ConditionChoice, &[String]),
        training: &[usize],
        (known, progress): (Known<'_>, &mut dyn FnMut(u64, u64)),
    ) -> Result<(Self, Given)> {
        let missing = |what: &str, remedy: &str| Err(Error::config("data.condition", format!("{} has no {what}", index.name), remedy));
        match choice.of(index) {
            ConditionChoice::Class if data.classes.is_empty() => {
                missing("classes", "put pictures into sub-folders, or a labels.csv beside them")
            }
            ConditionChoice::Class => {
                let mut counts = vec![0; data.classes.len()];
                training.iter().for_each(|i| counts[data.labels[*i] as usize] += 1);
                let classes = Classes { names: data.classes.clone(), counts };
                let rows = data.labels.iter().map(|label| vec![classes.row(*label as usize)]).collect();
                Ok((Self::Classes(classes), Given { rows, ..Given::default() }))
            }
            ConditionChoice::Attributes => match &index.attributes {
                Some(table) => {
                    let (attributes, rows) = Attributes::learn(table, &data.rows, names, training)?;
                    let rows = rows.into_iter().map(|row| vec![row]).collect();
                    Ok((Self::Attributes(attributes), Given { rows, ..Given::default() }))
                }
                None => missing("attributes", "put a labels.csv with a column for each beside the pictures"),
            },
            ConditionChoice::Caption => match &index.captions {
                Some(captions) => {
                    let own: Vec<Vec<String>> = data.rows.iter().map(|row| captions.get(*row).cloned().unwrap_or_default()).collect();
                    let captions = Captions::learn(data, &own, training, known, progress)?;
                    let rows = captions.rows(&own);
                    Ok((Self::Captions(Box::new(captions)), Given { rows, captions: own }))
                }
                None => missing("captions", "put a captions.csv beside the pictures, or a .txt beside each"),
            },
            ConditionChoice::None | ConditionChoice::Auto => Ok((Self::None, Given::default())),
        }
    }

    /// The fingerprint of the pictures together with the attributes or captions that are learned of them: a run that goes on with other words for the same pictures would be another run.
    pub fn fingerprint(&self, index: &ImageIndex, data: &ImageSet, given: &Given) -> String {
        let said: Vec<Vec<&str>> = match (self, &index.attributes) {
            (Self::Attributes(attributes), Some(table)) => data.rows.iter().map(|row| attributes.texts(table, *row)).collect(),
            (Self::Captions(_), _) => given.captions.iter().map(|own| own.iter().map(String::as_str).collect()).collect(),
            _ => return data.fingerprint.clone(),
        };
        let mut hash = Sha256::new();
        hash.update(&data.fingerprint);
        for own in said {
            hash.update((own.len() as u64).to_le_bytes());
            for text in own {
                // Lengths first, so that no text can run into the next one.
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Classes(classes) => classes.names.len(),
            Self::Attributes(attributes) => attributes.width(),
            Self::Captions(captions) => captions.width(),
        }
    }

    /// How the discriminator's auxiliary classifier reads a vector off a picture.
    pub fn auxiliary(&self) -> Option<Auxiliary> {
        match self {
            Self::None => None,
            Self::Classes(classes) => Some(Auxiliary::Parts { parts: vec![Part::Category(0..classes.names.len())], scale: 1.0 }),
            Self::Attributes(attributes) => Some(attributes.auxiliary()),
            Self::Captions(_) => Some(Auxiliary::Matching),
        }
    }

    /// Names of the classes, where they are the condition.
    pub fn classes(&self) -> &[String] {
        match self {
            Self::Classes(classes) => &classes.names,
            _ => &[],
        }
    }

    /// What samples of these identities are asked to be. Where the wish leaves something open it is drawn as often as the data has it, or for `in_turn` classes follow each other.
    ///
    /// # Errors
    /// [`Error::Config`] for a wish that this model cannot be asked for, with what it can.
    pub fn ask(&self, wish: &Wish, ids: &[SampleId], in_turn: bool) -> Result<Asked> {
        match (self, wish) {
            (Self::None, Wish::Any) => {
                Ok(Asked { rows: vec![Vec::new(); ids.len()], words: vec![String::new(); ids.len()], classes: vec![0; ids.len()] })
            }
            (Self::Classes(classes), _) => classes.ask(wish, ids, in_turn),
            (Self::Attributes(attributes), Wish::Any) => attributes.ask(&[], ids),
            (Self::Attributes(attributes), Wish::Where(texts)) => attributes.ask(&attributes::pairs(texts)?, ids),
            (Self::Captions(captions), Wish::Any) => Ok(captions.drawn(ids)),
            (Self::Captions(captions), Wish::Prompt(text)) => captions.ask(text, ids.len()),
            _ => Err(self.refuse(wish)),
        }
    }

    /// Different things that pictures may be asked to be, for one of which none was said to be: all classes, or of attributes and captions at most `most`.
    ///
    /// # Errors
    /// As [`Condition::ask`].
    pub fn candidates(&self, wish: &Wish, most: usize) -> Result<Asked> {
        let n = match (self, wish) {
            (Self::Classes(classes), Wish::Any) => classes.names.len(),
            (Self::Attributes(_), Wish::Any | Wish::Where(_)) | (Self::Captions(_), Wish::Any) => most,
            _ => 1,
        };
        let ids: Vec<SampleId> = (0..n.max(1) as u64).map(|index| SampleId { seed: 0, index }).collect();
        self.ask(wish, &ids, true)
    }

    /// What can be asked for, as (heading, text) lines for people; classes are told elsewhere.
    pub fn offers(&self) -> Vec<(String, String)> {
        match self {
            Self::Attributes(attributes) => {
                attributes.list().iter().map(|a| (format!("--where {}", a.name), a.values.to_string())).collect()
            }
            Self::Captions(captions) => vec![("--prompt".into(), format!("words as in {}", captions.some()))],
            Self::None | Self::Classes(_) => Vec::new(),
        }
    }

    fn refuse(&self, wish: &Wish) -> Error {
        let (flag, what) = match wish {
            Wish::Any => ("sample", "something"),
            Wish::Class(_) => ("--label", "classes"),
            Wish::Where(_) => ("--where", "attributes"),
            Wish::Prompt(_) => ("--prompt", "captions"),
        };
        let remedy = match self {
            Self::None => "it was trained without a condition and draws what it likes; leave it out".to_owned(),
            Self::Classes(_) => "it has classes; ask with --label NAME".to_owned(),
            Self::Attributes(attributes) => format!("it has attributes; ask with --where NAME=VALUE: {}", attributes.names()),
            Self::Captions(_) => "it has captions; ask with --prompt TEXT".to_owned(),
        };
        Error::config(flag, format!("this model learned no {what}"), remedy)
    }

    /// For `model.json`.
    pub fn describe(&self) -> Described {
        match self {
            Self::None => Described::default(),
            Self::Classes(classes) => Described { class_counts: classes.counts.clone(), ..Described::default() },
            Self::Attributes(attributes) => Described { attributes: Some(attributes.clone()), ..Described::default() },
            Self::Captions(captions) => Described { captions: Some(captions.describe()), ..Described::default() },
        }
    }

    /// From `model.json`, the names of the classes in it, and the text encoder's weights; nothing of them is trusted.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn read(described: Described, classes: &[String], text: Option<HostTensor>) -> Result<Self, String> {
        let Described { class_counts, attributes, captions } = described;
        if class_counts.len() != classes.len() || class_counts.iter().any(|count| *count > 1 << 40) {
            return Err("the classes and their counts do not fit together".into());
        }
        let condition = match (attributes, captions, text) {
            (None, None, None) if classes.is_empty() => Self::None,
            (None, None, None) => Self::Classes(Classes { names: classes.to_vec(), counts: class_counts }),
            (Some(attributes), None, None) if classes.is_empty() => Self::Attributes(attributes.checked()?),
            (None, Some(described), Some(text)) if classes.is_empty() => Self::Captions(Box::new(Captions::read(described, text)?)),
            _ => return Err("its conditions do not fit together".into()),
        };
        if condition.width() > LONGEST {
            return Err(format!("a condition of {} numbers is none of ours", condition.width()));
        }
        Ok(condition)
    }

    /// The text encoder's weights.
    pub fn text(&self) -> Option<HostTensor> {
        match self {
            Self::Captions(captions) => Some(captions.weights()),
            _ => None,
        }
    }

    /// What a checkpoint keeps: the text encoder, because another machine would learn a slightly different one.
    pub fn save(&self) -> Option<(String, NamedTensors)> {
        self.text().map(|weights| (FILE.0.to_owned(), vec![(FILE.1.to_owned(), weights)]))
    }

    /// Takes its part out of what a checkpoint kept: the condition and the vectors of real pictures as that text encoder reads them. Nothing where there is no text encoder.
    ///
    /// # Errors
    /// [`Error::Run`] if the encoder is missing or does not fit.
    pub fn loaded(&self, given: &Given, kept: &mut Vec<(String, NamedTensors)>) -> Result<Option<(Self, Given)>> {
        let Self::Captions(own) = self else { return Ok(None) };
        let damaged =
            |problem: String| Error::run("checkpoint", problem, "resume with the data and configuration the run was started with");
        let position = kept.iter().position(|(file, _)| file == FILE.0);
        let tensors = position.map(|position| kept.swap_remove(position).1).unwrap_or_default();
        let Ok([(_, weights)]) = <[_; 1]>::try_from(tensors) else { return Err(damaged("holds no text encoder".into())) };
        let captions = own.with_weights(weights).map_err(damaged)?;
        let given = Given { rows: captions.rows(&given.captions), captions: given.captions.clone() };
        Ok(Some((Self::Captions(Box::new(captions)), given)))
    }

    /// Whether weights that were learned with another condition mean the same with this one, as far as texts go: two encoders have nothing in common but their width.
    pub fn reads_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Captions(own), Self::Captions(other)) => own.reads_as(other),
            (Self::Captions(_), _) | (_, Self::Captions(_)) => false,
            _ => true,
        }
    }
}

/// A few of the training pictures, spread at random: what a model keeps as examples.
fn some(training: &[usize]) -> Vec<usize> {
    let order = random::DataOrder::new(0, "condition-examples", training.len()).batch(0, training.len().min(EXAMPLES));
    order.into_iter().map(|i| training[i]).collect()
}

/// Which of `n` examples belongs to a sample.
fn example(id: &SampleId, n: usize) -> usize {
    random::below(n.max(1) as u64, &mut random::stream(id.seed, "sample-condition", id.index)) as usize
}

/// A vector with unit length, or zero.
fn unit(mut row: Vec<f32>) -> Vec<f32> {
    let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|v| *v /= length);
    }
    row
}
