//! Series as codes and numbers, and back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::collection::{Collection, starts};
use super::columns::Columns;
use super::curve::Curve;
use super::lengths::Lengths;
use super::nets::Frame;
use super::order::Spacing;
use crate::error::Result;
use crate::random;
use crate::table::{Encoder, Layout, Rows, Schema, Table, layout_of};
use crate::train::SampleId;

/// How series are encoded: learned from training series alone.
#[derive(Debug, Clone)]
pub struct Codec {
    /// Of what a series has once.
    pub attributes: Encoder,
    /// Of what it has at every step.
    pub steps: Encoder,
    /// What the columns are.
    pub columns: Columns,
    /// Shapes for the networks.
    pub frame: Frame,
    /// From the scores of each number of a step to what networks see.
    curves: Vec<Option<Curve>>,
}

/// A codec as the model folder holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredCodec {
    attributes: serde_json::Value,
    steps: serde_json::Value,
    columns: Columns,
    lengths: Lengths,
    n_steps: usize,
}

/// Encoded series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// One row each.
    pub attributes: Rows,
    /// The steps of one series after the other.
    pub steps: Rows,
    /// As [`Collection::first`].
    pub first: Vec<usize>,
}

impl Series {
    /// How many there are.
    pub fn n(&self) -> usize {
        self.first.len().saturating_sub(1)
    }

    /// The series at some places.
    pub fn take(&self, places: &[usize]) -> Self {
        let range = |place: &usize| self.first[*place]..self.first[place + 1];
        let rows: Vec<usize> = places.iter().flat_map(range).collect();
        Self {
            attributes: self.attributes.take(places),
            steps: self.steps.take(&rows),
            first: starts(places.iter().map(|p| range(p).len())),
        }
    }
}

impl Codec {
    /// Learned from training series.
    ///
    /// # Errors
    /// As [`Encoder::fit`].
    pub fn fit(columns: &Columns, training: &Collection, n_steps: usize) -> Result<Self> {
        let attributes = Encoder::fit(&training.attributes, &columns.once, 0)?;
        let steps = Encoder::fit_steps(&training.steps, &columns.schema_of_steps(), 0)?;
        let lengths = Lengths::fit(&training.lengths(), attributes.least_rows());
        Self::new((attributes, steps), columns.clone(), lengths, n_steps)
    }

    fn new((attributes, steps): (Encoder, Encoder), columns: Columns, lengths: Lengths, n_steps: usize) -> Result<Self> {
        let (of_attributes, _) = layout_of(&attributes);
        let (of_steps, modelled) = layout_of(&steps);
        let difference = columns.order.as_ref().filter(|order| order.spacing == Spacing::Free).map(|order| &order.column);
        let names: Vec<&String> = steps.columns().map(|column| &column.name).collect();
        let is_between = of_steps.columns().iter().map(|place| Some(names[modelled[*place]]) == difference).collect();
        let frame = Frame { attributes: Arc::new(of_attributes), steps: Arc::new(of_steps), n_steps, lengths, is_between };
        let curves = Curve::of(&steps)?;
        Ok(Self { attributes, steps, columns, frame, curves })
    }

    /// For the model folder.
    ///
    /// # Errors
    /// As [`Encoder::to_json`].
    pub fn stored(&self) -> Result<StoredCodec> {
        let json = |encoder: &Encoder| Ok(serde_json::from_str(&encoder.to_json()?).unwrap_or_default());
        Ok(StoredCodec {
            attributes: json(&self.attributes)?,
            steps: json(&self.steps)?,
            columns: self.columns.clone(),
            lengths: self.frame.lengths.clone(),
            n_steps: self.frame.n_steps,
        })
    }

    /// Series as codes and numbers.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn encode(&self, series: &Collection) -> Result<Series> {
        let mut steps = Rows::of(&self.steps.encode(&series.steps, 0)?);
        self.mapped(&mut steps, Curve::number);
        Ok(Series { attributes: Rows::of(&self.attributes.encode(&series.attributes, 0)?), steps, first: series.first.clone() })
    }

    /// Maps the numbers of steps that mean something.
    fn mapped(&self, steps: &mut Rows, map: impl Fn(&Curve, f32) -> f32) {
        let (layout, n_blocks) = (&self.frame.steps, self.frame.steps.categories.len());
        for row in 0..steps.n {
            for (i, curve) in self.curves.iter().enumerate() {
                let is_meant = layout.numbers[i].1.is_none_or(|(block, code)| steps.codes[row * n_blocks + block] as usize == code);
                if let (true, Some(curve)) = (is_meant, curve) {
                    let number = &mut steps.numbers[row * self.curves.len() + i];
                    *number = map(curve, *number);
                }
            }
        }
    }

    /// The series of these identities; they depend on nothing else, unless other `numbers` are to tell their entities apart.
    ///
    /// # Errors
    /// As [`Encoder::decode`].
    pub fn decode(&self, series: &Series, ids: &[SampleId], numbers: Option<&[u64]>) -> Result<Collection> {
        let mut parts = Vec::new();
        let mut first = 0;
        for run in ids.chunk_by(|a, b| a.seed == b.seed) {
            let mut own = series.take(&(first..first + run.len()).collect::<Vec<_>>());
            self.mapped(&mut own.steps, Curve::score);
            first += run.len();
            let step = |(i, id): (usize, &SampleId)| {
                let first = id.index.wrapping_mul(self.frame.n_steps as u64);
                (0..(own.first[i + 1] - own.first[i]) as u64).map(move |step| first.wrapping_add(step))
            };
            let of_steps: Vec<u64> = run.iter().enumerate().flat_map(step).collect();
            let of_attributes = own.attributes.encoded(&self.attributes, run.iter().map(|id| id.index).collect());
            parts.push((
                self.attributes.decode(&of_attributes, run[0].seed)?,
                // Not the draws of the attributes once more.
                self.steps.decode(&own.steps.encoded(&self.steps, of_steps), random::mix(run[0].seed ^ 1))?,
            ));
        }
        let (attributes, steps): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let mut attributes = Table::joined(attributes);
        if let (Some(numbers), Some(first)) = (numbers, ids.first()) {
            self.attributes.identify(&mut attributes, numbers, first.seed);
        }
        Ok(Collection { attributes, steps: Table::joined(steps), first: series.first.clone() })
    }
}

impl StoredCodec {
    /// The codec, if its parts fit together.
    ///
    /// # Errors
    /// What does not, in words.
    pub fn opened(self) -> Result<Codec, String> {
        let encoder = |json: &serde_json::Value| Encoder::from_json(&json.to_string()).map_err(|e| e.to_string());
        let (attributes, steps) = (encoder(&self.attributes)?, encoder(&self.steps)?);
        self.columns.schema.check().and_then(|()| self.columns.once.check()).map_err(|e| e.to_string())?;
        let names = |encoder: &Encoder| encoder.columns().map(|c| c.name.clone()).collect::<Vec<_>>();
        let wanted = |schema: Schema| schema.columns.into_iter().map(|c| c.name).collect::<Vec<_>>();
        let fits = names(&attributes) == wanted(self.columns.once.clone()) && names(&steps) == wanted(self.columns.schema_of_steps());
        let is_even = !matches!(self.columns.order.as_ref().map(|o| o.spacing), Some(Spacing::Even(apart)) if !apart.is_finite());
        if !fits || !is_even {
            return Err("the columns and their codes do not fit together".to_owned());
        }
        if !(2..=super::config::DataConfig::LONGEST).contains(&self.n_steps) || !self.lengths.is_sound(self.n_steps) {
            return Err("the lengths of series are no lengths".to_owned());
        }
        let codec = Codec::new((attributes, steps), self.columns, self.lengths, self.n_steps).map_err(|e| e.to_string())?;
        if codec.frame.steps.width() == 0 {
            return Err("there is nothing to draw at a step".to_owned());
        }
        Ok(codec)
    }
}

/// Rows of dense vectors as codes and numbers: the largest of each block.
pub fn rows_of<'a>(layout: &Layout, dense: impl Iterator<Item = &'a [f32]>) -> Rows {
    let mut rows = Rows::default();
    let (mut codes, n_codes) = (Vec::new(), layout.n_codes());
    for row in dense {
        codes.clear();
        let mut first = 0;
        for (_, n) in &layout.categories {
            let block = &row[first..first + n];
            codes.push((0..*n).max_by(|a, b| block[*a].total_cmp(&block[*b])).unwrap_or(0) as u32);
            first += n;
        }
        rows.push(&codes, &row[n_codes..]);
    }
    rows
}
