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
use crate::table::{Encoder, Layout, MAX_SCORE, Rows, Schema, Table, layout_of};
use crate::train::SampleId;

/// Multiplications that finding the sizes of frequencies may take.
const MOST_PRODUCTS: usize = 2_000_000_000;
/// Series that they are found on at least, if there are so many, and at most.
const TRANSFORMED: [usize; 2] = [200, 5000];

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
    /// Mean of each number at each step, `[steps, numbers]`: networks see what is beside it.
    means: Vec<f32>,
    /// Sizes of frequencies, as [`Frame::spectrum`].
    pub spectrum: Vec<f32>,
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
    means: Vec<f32>,
    spectrum: Vec<f32>,
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
        let least = attributes.least_rows();
        let lengths = Lengths::fit(&training.lengths(), least);
        let mut codec = Self::new((attributes, steps), columns.clone(), lengths, n_steps)?;
        codec.means = codec.means(&codec.encode(training)?, least);
        let products = (n_steps * n_steps * codec.frame.steps.width()).max(1);
        let most = (MOST_PRODUCTS / products).clamp(TRANSFORMED[0], TRANSFORMED[1]);
        let places: Vec<usize> = (0..training.n()).step_by(training.n().div_ceil(most).max(1)).collect();
        codec.spectrum = codec.frame.spectrum(&codec.frame.dense(&codec.encode(&training.take(&places))?));
        Ok(codec)
    }

    /// Mean of what means something at each step, where at least `least` series have it.
    fn means(&self, series: &Series, least: usize) -> Vec<f32> {
        let (layout, n) = (&self.frame.steps, self.frame.steps.numbers.len());
        let mut sums = vec![[0.0f64; 2]; self.frame.n_steps * n];
        for i in 0..series.n() {
            for (step, row) in (series.first[i]..series.first[i + 1]).enumerate() {
                for number in (0..n).filter(|number| is_meant(layout, series.steps.codes_of(row), *number)) {
                    let [count, sum] = &mut sums[step * n + number];
                    (*count, *sum) = (*count + 1.0, *sum + f64::from(series.steps.numbers_of(row)[number]));
                }
            }
        }
        sums.into_iter().map(|[count, sum]| if count < least as f64 { 0.0 } else { (sum / count) as f32 }).collect()
    }

    fn new((attributes, steps): (Encoder, Encoder), columns: Columns, lengths: Lengths, n_steps: usize) -> Result<Self> {
        let (of_attributes, _) = layout_of(&attributes);
        let (of_steps, modelled) = layout_of(&steps);
        let difference = columns.order.as_ref().filter(|order| order.spacing == Spacing::Free).map(|order| &order.column);
        let names: Vec<&String> = steps.columns().map(|column| &column.name).collect();
        let is_between = of_steps.columns().iter().map(|place| Some(names[modelled[*place]]) == difference).collect();
        let frame = Frame { attributes: Arc::new(of_attributes), steps: Arc::new(of_steps), n_steps, lengths, is_between };
        let curves = Curve::of(&steps)?;
        let spectrum = vec![1.0; n_steps * frame.steps.width()];
        let means = vec![0.0; n_steps * frame.steps.numbers.len()];
        Ok(Self { attributes, steps, columns, frame, curves, means, spectrum })
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
            means: self.means.clone(),
            spectrum: self.spectrum.clone(),
        })
    }

    /// Series as codes and numbers.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn encode(&self, series: &Collection) -> Result<Series> {
        let mut steps = Rows::of(&self.steps.encode(&series.steps, 0)?);
        self.mapped(&mut steps, &series.first, |curve, mean, score| curve.map_or(score, |c| c.number(score)) - mean);
        Ok(Series { attributes: Rows::of(&self.attributes.encode(&series.attributes, 0)?), steps, first: series.first.clone() })
    }

    /// Maps the numbers of steps that mean something, of series that begin at `first`, each by its curve and the mean of its step.
    fn mapped(&self, steps: &mut Rows, first: &[usize], map: impl Fn(Option<&Curve>, f32, f32) -> f32) {
        let n = self.curves.len();
        for series in first.windows(2) {
            for (step, row) in (series[0]..series[1]).enumerate() {
                for (i, curve) in self.curves.iter().enumerate() {
                    if is_meant(&self.frame.steps, steps.codes_of(row), i) {
                        let number = &mut steps.numbers[row * n + i];
                        *number = map(curve.as_ref(), self.means[step * n + i], *number);
                    }
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
            self.mapped(&mut own.steps, &own.first, |curve, mean, value| {
                curve.map_or(mean + value, |c| c.score(mean + value)).clamp(-MAX_SCORE, MAX_SCORE)
            });
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
        let mut codec = Codec::new((attributes, steps), self.columns, self.lengths, self.n_steps).map_err(|e| e.to_string())?;
        let is_size = |size: &f32| size.is_finite() && *size >= 0.0;
        if self.spectrum.len() != codec.spectrum.len() || !self.spectrum.iter().all(is_size) {
            return Err("the sizes of frequencies are no sizes".to_owned());
        }
        if self.means.len() != codec.means.len() || !self.means.iter().all(|mean| mean.is_finite()) {
            return Err("the means of steps are no means".to_owned());
        }
        (codec.means, codec.spectrum) = (self.means, self.spectrum);
        if codec.frame.steps.width() == 0 {
            return Err("there is nothing to draw at a step".to_owned());
        }
        Ok(codec)
    }
}

/// Whether a number of a step says something there: the one that gates it is chosen, or nothing gates it.
fn is_meant(layout: &Layout, codes: &[u32], number: usize) -> bool {
    layout.numbers[number].1.is_none_or(|(block, code)| codes[block] as usize == code)
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

#[cfg(test)]
mod tests {
    use super::super::columns::Gathered;
    use super::super::config::DataConfig;
    use super::*;
    use crate::data::TableSource;
    use crate::table::Values;

    #[test]
    fn means_and_sizes_of_frequencies_are_kept_and_checked() {
        // Step t is 10 t beside a number that is the same in all steps of a series, and a little noise.
        let noise = random::normal(1400, &mut random::stream(0, "noise", 0));
        let value = |i: usize, t: usize| 10.0 * t as f32 + 5.0 * noise[1200 + i] + noise[i * 6 + t];
        let lines = (0..200).flat_map(|i| (0..6).map(move |t| format!("{i},{:.3}\n", value(i, t))));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("waves.csv");
        std::fs::write(&path, format!("id,x\n{}", lines.collect::<String>())).unwrap();
        let source = TableSource::open("waves.csv", &path, None).unwrap();
        let found = Gathered::of(&source, &DataConfig { entity: "id".into(), ..DataConfig::default() }).unwrap();
        let codec = Codec::fit(&found.columns, &found.collection, 6).unwrap();
        assert_eq!(codec.spectrum.len(), 6);
        assert!(codec.spectrum[0] > 4.0 * codec.spectrum[1] && codec.spectrum[1] < 2.0 * codec.spectrum[5], "{:?}", codec.spectrum);

        let series = codec.encode(&found.collection).unwrap();
        for step in 0..6 {
            let mean = (0..200).map(|i| f64::from(series.steps.numbers[i * 6 + step])).sum::<f64>() / 200.0;
            assert!(mean.abs() < 1e-3, "{step}: {mean}");
        }
        let stored: StoredCodec = serde_json::from_value(serde_json::to_value(codec.stored().unwrap()).unwrap()).unwrap();
        let opened = stored.clone().opened().unwrap();
        assert_eq!((&opened.means, &opened.spectrum), (&codec.means, &codec.spectrum));
        let ids: Vec<SampleId> = (0..200).map(|index| SampleId { seed: 0, index }).collect();
        let back = opened.decode(&series, &ids, None).unwrap();
        let numbers = |collection: &Collection| match &collection.steps.column("x").unwrap().values {
            Values::Numbers(numbers) => numbers.clone(),
            Values::Categories { .. } => panic!("numbers"),
        };
        // Scores beyond the grid's ends come back as its ends.
        let mut off: Vec<f64> = numbers(&back).iter().zip(numbers(&found.collection)).map(|(a, b)| (a - b).abs()).collect();
        off.sort_by(f64::total_cmp);
        assert!(off[600] < 0.2 && off[1150] < 3.0, "{} {}", off[600], off[1150]);

        let wrong = |change: &dyn Fn(&mut StoredCodec)| {
            let mut stored = stored.clone();
            change(&mut stored);
            stored.opened().unwrap_err()
        };
        for changed in [&[][..], &[1.0, 1.0, -1.0, 1.0, 1.0, 1.0], &[1.0, 1.0, f32::NAN, 1.0, 1.0, 1.0]] {
            assert_eq!(wrong(&|stored| stored.spectrum = changed.to_vec()), "the sizes of frequencies are no sizes");
        }
        for changed in [&[][..], &[1.0, 1.0, f32::INFINITY, 1.0, 1.0, 1.0]] {
            assert_eq!(wrong(&|stored| stored.means = changed.to_vec()), "the means of steps are no means");
        }
    }
}
