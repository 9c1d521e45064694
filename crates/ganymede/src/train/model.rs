//! What a trained generator can be asked, whatever it draws: samples, points of its latent space, and what its discriminator knows.

use std::fmt;
use std::path::Path;

use crate::artifact::Artifact;
use crate::data::{ImageSpec, Source};
use crate::error::{Error, Result};
use crate::latent::Direction;
use crate::run::ModelDescription;
use crate::train::latents::latent;

/// Identity of one sample: the `index`-th latent drawn from `seed`. The same identity gives the same sample from the same model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SampleId {
    /// Seed of the latent stream.
    pub seed: u64,
    /// Position in it.
    pub index: u64,
}

impl fmt::Display for SampleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed{}-{:05}", self.seed, self.index)
    }
}

/// What samples are asked to be, of a model that learned with a condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Wish {
    /// Anything.
    #[default]
    Any,
    /// Of a class.
    Class(String),
    /// With what these conditions say: `glasses=dark`, or for tables also `age in 30..40`.
    Where(Vec<String>),
    /// What a text says.
    Prompt(String),
}

/// What to sample.
#[derive(Debug, Clone)]
pub struct SampleRequest {
    /// Which samples.
    pub ids: Vec<SampleId>,
    /// What they are asked to be. What is left open comes as often as the data has it; classes come in turn on a sheet.
    pub wish: Wish,
    /// Latents are multiplied by this, in (0, 1]: less variety, more typical samples. 1 leaves them alone.
    pub truncation: f64,
    /// One sheet (a grid, a table) instead of one file per sample.
    pub sheet: bool,
}

/// A table with missing cells that are to be filled in, row by row.
#[derive(Debug, Clone, Copy)]
pub struct CompleteRequest<'a> {
    /// The file; cells that are not missing stay as they are.
    pub from: &'a Path,
    /// The file to write.
    pub to: &'a Path,
    /// Seed of what is drawn.
    pub seed: u64,
    /// How often missing cells are drawn: once for a plausible value, more often for the likeliest, which is the most frequent word or the median number of all draws. At least 1.
    pub draws: u64,
}

impl SampleRequest {
    /// `n` samples of one seed on one sheet.
    pub fn sheet(seed: u64, n: usize) -> Self {
        Self { ids: (0..n as u64).map(|index| SampleId { seed, index }).collect(), wish: Wish::Any, truncation: 1.0, sheet: true }
    }
}

/// Samples at given points of the latent space.
#[derive(Debug, Clone)]
pub struct LatentRequest {
    /// Points, each [`Model::latent_dim`] numbers long.
    pub latents: Vec<Vec<f32>>,
    /// What all of them are asked to be; where that is open it is the first class, or always the same example of the data.
    pub wish: Wish,
    /// How they are given.
    pub layout: Layout,
}

/// How samples at points of the latent space are given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Layout {
    /// A file each.
    Files,
    /// One sheet of so many columns.
    Sheet(usize),
    /// One moving picture.
    Moving {
        /// Pictures a second, 1 to 100.
        fps: u16,
        /// As GIF, which every program shows but which has 256 colours, or else as APNG.
        gif: bool,
    },
}

/// A real picture found in the latent space.
#[derive(Debug, Clone)]
pub struct Projection {
    /// The file, or the picture's number.
    pub name: String,
    /// Where it lies.
    pub latent: Vec<f32>,
    /// What it was found as, of a conditional model.
    pub label: Option<String>,
    /// Peak signal-to-noise ratio of the picture that the generator draws there, in decibels.
    pub psnr: f64,
}

/// A generator opened from a model folder, without training data.
pub trait Model {
    /// What the folder says about it.
    fn description(&self) -> &ModelDescription;

    /// Draws samples, as files.
    fn sample(&self, request: &SampleRequest) -> Result<Vec<Artifact>>;

    /// Writes the samples of a request into one file, whose ending says as what, without holding them all in memory, if the task's samples are rows: whether they are. `progress` is called with (done,
    /// of).
    ///
    /// # Errors
    /// As [`Model::sample`], and [`Error::Io`].
    fn write(&self, request: &SampleRequest, path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<bool> {
        let _ = (request, path, progress);
        Ok(false)
    }

    /// Names of the files that [`Model::write_into`] writes, where a sample is rows of several tables; otherwise none.
    fn files(&self) -> Vec<String> {
        Vec::new()
    }

    /// Writes the samples of a request into a folder, made if it is not there, in the files that [`Model::files`] names: how many rows are in each. `progress` is called with (files done, files in all).
    ///
    /// # Errors
    /// As [`Model::sample`], and [`Error::Io`]; [`Error::Config`] if samples are no rows of several tables.
    fn write_into(&self, request: &SampleRequest, folder: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<(String, usize)>> {
        let _ = (request, folder, progress);
        Err(Error::config("-o", "samples of this task are no rows of several tables", "name a file"))
    }

    /// Fills in the missing cells of a table: how many cells, and how many rows the table has.
    ///
    /// # Errors
    /// [`Error::Data`] for a table with other columns, [`Error::Config`] if the task has no such thing.
    fn complete(&self, request: &CompleteRequest<'_>) -> Result<(usize, usize)> {
        let _ = request;
        Err(Error::config("--complete", "this is no model of tables", "leave it out"))
    }

    /// Samples of a seed as bytes `[n, height, width, channels]`, by their numbers, and their shape; of no numbers the shape alone.
    ///
    /// # Errors
    /// [`Error::Config`] if samples of the task are no pictures.
    fn pixels(&self, seed: u64, numbers: std::ops::Range<u64>) -> Result<(ImageSpec, Vec<u8>)> {
        let _ = (seed, numbers);
        Err(Error::config("RUN|MODEL", "samples of this task are no pictures", "give a model that draws pictures"))
    }

    /// From now on every column of a row that is drawn is drawn once more, given all the others, so many times; so are the cells that are filled in of a row with several.
    ///
    /// # Errors
    /// [`Error::Config`] if samples are no rows, or the model did not learn to.
    fn sweep(&mut self, sweeps: usize) -> Result<()> {
        let _ = sweeps;
        Err(Error::config("--sweeps", "this is no model of a table", "leave it out"))
    }

    /// Whether words that a spreadsheet would run as formulas are written with an apostrophe before them, where samples are rows: they are not unless told to.
    fn escape_formulas(&mut self, escaped: bool) {
        let _ = escaped;
    }

    /// Whether what it draws says that it was generated, and by which model: it does unless told not to, where the format has a place for it.
    fn mark(&mut self, marked: bool) {
        let _ = marked;
    }

    /// What it can be asked for beside classes, as (heading, text) lines for people.
    fn offers(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Length of a latent.
    fn latent_dim(&self) -> usize;

    /// The latent of a sample.
    fn latent(&self, id: SampleId) -> Vec<f32> {
        latent(id, self.latent_dim())
    }

    /// Draws what lies at points of the latent space.
    ///
    /// # Errors
    /// [`Error::Config`] for points of another length, for a wish that the model does not know, and if the task has no such layout.
    fn draw_at(&self, request: &LatentRequest) -> Result<Vec<Artifact>> {
        let _ = request;
        Err(Error::config("--latent", "samples of this task are not drawn by latent", "it is for pictures"))
    }

    /// Directions in which samples change, the strongest first.
    fn directions(&self) -> Vec<Direction> {
        Vec::new()
    }

    /// Directions in which attributes of labelled pictures change, and what comes of going along them. `progress` is called with what is being done, parts done, and parts in all.
    ///
    /// # Errors
    /// [`Error::Data`] if the pictures have no labels; [`Error::Config`] for an attribute that there is not or that the model is asked for instead, and if samples of the task are no pictures.
    fn attribute_vectors(
        &self,
        source: &Source,
        request: &AttributesRequest<'_>,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<AttributeVectors> {
        let _ = (source, request, progress);
        Err(Error::config("--labelled", "samples of this task have no attributes to be labelled", "it is for pictures"))
    }

    /// How real the discriminator finds real files, by name: its logits, as what is wished or as what fits best.
    ///
    /// # Errors
    /// [`Error::Run`] if the model holds no discriminator, [`Error::Data`] for files that cannot be read, [`Error::Config`] for a wish that the model does not know or if the task has none of this.
    fn score(&self, source: &Source, wish: &Wish) -> Result<Vec<(String, f64)>> {
        let _ = (source, wish);
        Err(Error::config("score", "samples of this task are not scored", "it is for pictures"))
    }

    /// What a stage of the discriminator makes of files, averaged over each picture; all stages if none is named. Stages are counted from 1.
    ///
    /// # Errors
    /// As [`Model::score`], and [`Error::Config`] for a stage that there is not.
    fn features(&self, source: &Source, stage: Option<usize>) -> Result<FeatureRows> {
        let _ = (source, stage);
        Err(Error::config("features", "the discriminator of this task has no stages", "it is for pictures"))
    }

    /// At most `most` files in a random order, as the discriminator sees them, as the same network with random weights does, and as they are, each by name: what a probe compares.
    ///
    /// # Errors
    /// As [`Model::score`].
    fn views(&self, source: &Source, most: usize) -> Result<Vec<(&'static str, FeatureRows)>> {
        let _ = (source, most);
        Err(Error::config("probe", "the discriminator of this task is not probed", "it is for pictures"))
    }

    /// Finds pictures in the latent space: the points where the generator draws what is most like them. Beside them, a sheet of each picture and what is drawn. `progress` is called with (steps done,
    /// steps in all).
    ///
    /// # Errors
    /// [`Error::Data`] if there are no pictures, [`Error::Config`] for a wish that the model does not know or if the task has no projection.
    fn project(
        &self,
        source: &Source,
        request: &ProjectRequest<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Vec<Projection>, Artifact)> {
        let _ = (source, request, progress);
        Err(Error::config("project", "samples of this task are not found by projection", "it is for pictures"))
    }
}

/// What a discriminator makes of samples.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureRows {
    /// Files, one a row.
    pub names: Vec<String>,
    /// Their classes, where the data has them.
    pub labels: Vec<Option<String>>,
    /// `[n, dim]`, row by row.
    pub values: Vec<f32>,
    /// Numbers in a row.
    pub dim: usize,
}

/// How directions of attributes are looked for.
#[derive(Debug, Clone, Copy)]
pub struct AttributesRequest<'a> {
    /// Attributes to look for; all if there are none.
    pub names: &'a [String],
    /// Seed of the samples that are looked at.
    pub seed: u64,
    /// As [`crate::train::Setup::cache`].
    pub cache: Option<&'a Path>,
}

/// What was found of the attributes of labelled pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeVectors {
    /// Value by value.
    pub vectors: Vec<AttributeVector>,
    /// How often a classifier sees an attribute rightly in labelled pictures that it did not learn from, where some are known.
    pub seen_rightly: Vec<(String, Option<f64>)>,
    /// Values, as `attribute=value`, that too few samples have, or nearly all.
    pub left_out: Vec<String>,
}

/// A direction in which an attribute takes a value.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeVector {
    /// Which attribute.
    pub attribute: String,
    /// Which value.
    pub value: String,
    /// `[latent_dim]`, of length 1.
    pub vector: Vec<f32>,
    /// How far samples were moved for what follows, in standard deviations of a latent.
    pub amount: f64,
    /// Share of samples that have the value.
    pub share: f64,
    /// Share of samples without the value that have it after they were moved; nothing if there were too few.
    pub put_on: Option<f64>,
    /// Share of samples with the value that have another one after they were moved the other way; nothing if there were too few.
    pub taken_off: Option<f64>,
    /// Share of the other attributes of all those that stayed what they were.
    pub kept: f64,
}

/// How pictures are looked for in the latent space.
#[derive(Debug, Clone, Copy)]
pub struct ProjectRequest<'a> {
    /// What to look for them as; what fits best where it is open.
    pub wish: &'a Wish,
    /// Steps of the search.
    pub steps: u64,
    /// Pictures at most.
    pub most: usize,
    /// Seed of the points that the search begins from.
    pub seed: u64,
}
