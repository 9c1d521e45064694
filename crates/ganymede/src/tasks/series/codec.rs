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

/// A number that hardly varies at a step, against all steps, is not blown up without end.
const LEAST_UNIT: f64 = 0.01;

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
    /// From the scores of each number of a step to numbers as far apart as in the data.
    curves: Vec<Option<Curve>>,
    /// Mean and deviation of each number at each step, `[steps, numbers]`: what networks see is counted from there in that unit, because what is large at one step may be nothing at another.
    units: Vec<[f32; 2]>,
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
    units: Vec<[f32; 2]>,
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
        codec.units = codec.units(&codec.encode(training)?, least);
        Ok(codec)
    }

    /// Mean and deviation of what means something at each step, where at least `least` series have it.
    fn units(&self, series: &Series, least: usize) -> Vec<[f32; 2]> {
        let (layout, n) = (&self.frame.steps, self.frame.steps.numbers.len());
        let mut sums = vec![[0.0f64; 3]; self.frame.n_steps * n];
        for i in 0..series.n() {
            for (step, row) in (series.first[i]..series.first[i + 1]).enumerate() {
                for number in (0..n).filter(|number| is_meant(layout, series.steps.codes_of(row), *number)) {
                    let value = f64::from(series.steps.numbers_of(row)[number]);
                    let [count, sum, squares] = &mut sums[step * n + number];
                    (*count, *sum, *squares) = (*count + 1.0, *sum + value, *squares + value * value);
                }
            }
        }
        let unit = |[count, sum, squares]: [f64; 3]| {
            if count < least.max(2) as f64 {
                return [0.0, 1.0];
            }
            let mean = sum / count;
            [mean as f32, (squares / count - mean * mean).max(0.0).sqrt().max(LEAST_UNIT) as f32]
        };
        sums.into_iter().map(unit).collect()
    }

    fn new((attributes, steps): (Encoder, Encoder), columns: Columns, lengths: Lengths, n_steps: usize) -> Result<Self> {
        let (of_attributes, _) = layout_of(&attributes);
        let (of_steps, modelled) = layout_of(&steps);
        let difference = columns.order.as_ref().filter(|order| order.spacing == Spacing::Free).map(|order| &order.column);
        let names: Vec<&String> = steps.columns().map(|column| &column.name).collect();
        let is_between = of_steps.columns().iter().map(|place| Some(names[modelled[*place]]) == difference).collect();
        let frame = Frame { attributes: Arc::new(of_attributes), steps: Arc::new(of_steps), n_steps, lengths, is_between };
        let curves = Curve::of(&steps)?;
        let units = vec![[0.0, 1.0]; n_steps * frame.steps.numbers.len()];
        Ok(Self { attributes, steps, columns, frame, curves, units })
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
            units: self.units.clone(),
        })
    }

    /// Series as codes and numbers.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn encode(&self, series: &Collection) -> Result<Series> {
        let mut steps = Rows::of(&self.steps.encode(&series.steps, 0)?);
        self.mapped(&mut steps, &series.first, |curve, [mean, unit], score| (curve.map_or(score, |c| c.number(score)) - mean) / unit);
        Ok(Series { attributes: Rows::of(&self.attributes.encode(&series.attributes, 0)?), steps, first: series.first.clone() })
    }

    /// Maps the numbers of steps that mean something, of series that begin at `first`, each by its curve and the unit of its step.
    fn mapped(&self, steps: &mut Rows, first: &[usize], map: impl Fn(Option<&Curve>, [f32; 2], f32) -> f32) {
        let n = self.curves.len();
        for series in first.windows(2) {
            for (step, row) in (series[0]..series[1]).enumerate() {
                for (i, curve) in self.curves.iter().enumerate() {
                    if is_meant(&self.frame.steps, steps.codes_of(row), i) {
                        let number = &mut steps.numbers[row * n + i];
                        *number = map(curve.as_ref(), self.units[step * n + i], *number);
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
            self.mapped(&mut own.steps, &own.first, |curve, [mean, unit], value| {
                let number = mean + unit * value;
                curve.map_or(number, |c| c.score(number)).clamp(-MAX_SCORE, MAX_SCORE)
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
        let is_unit = |[mean, unit]: &[f32; 2]| mean.is_finite() && unit.is_finite() && *unit > 0.0;
        if self.units.len() != codec.units.len() || !self.units.iter().all(is_unit) {
            return Err("the units of steps are no units".to_owned());
        }
        codec.units = self.units;
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
    fn numbers_count_from_the_mean_of_their_step_and_come_back() {
        // Step t is 10 t, give or take t + 1.
        let noise = random::normal(1200, &mut random::stream(0, "noise", 0));
        let line = |(i, v): (usize, &f32)| format!("{},{:.3}\n", i / 6, 10.0 * (i % 6) as f32 + (1 + i % 6) as f32 * v);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("waves.csv");
        std::fs::write(&path, format!("id,x\n{}", noise.iter().enumerate().map(line).collect::<String>())).unwrap();
        let source = TableSource::open("waves.csv", &path, None).unwrap();
        let found = Gathered::of(&source, &DataConfig { entity: "id".into(), ..DataConfig::default() }).unwrap();
        let codec = Codec::fit(&found.columns, &found.collection, 6).unwrap();
        let series = codec.encode(&found.collection).unwrap();
        for step in 0..6 {
            let of = |i: usize| f64::from(series.steps.numbers[i * 6 + step]);
            let mean = (0..200).map(of).sum::<f64>() / 200.0;
            let deviation = ((0..200).map(|i| (of(i) - mean).powi(2)).sum::<f64>() / 200.0).sqrt();
            assert!(mean.abs() < 1e-3 && (deviation - 1.0).abs() < 0.01, "{step}: {mean} {deviation}");
        }
        let stored: StoredCodec = serde_json::from_value(serde_json::to_value(codec.stored().unwrap()).unwrap()).unwrap();
        let ids: Vec<SampleId> = (0..200).map(|index| SampleId { seed: 0, index }).collect();
        let back = stored.clone().opened().unwrap().decode(&series, &ids, None).unwrap();
        let numbers = |collection: &Collection| match &collection.steps.column("x").unwrap().values {
            Values::Numbers(numbers) => numbers.clone(),
            Values::Categories { .. } => panic!("numbers"),
        };
        // Scores beyond the grid's ends come back as its ends.
        let mut off: Vec<f64> = numbers(&back).iter().zip(numbers(&found.collection)).map(|(a, b)| (a - b).abs()).collect();
        off.sort_by(f64::total_cmp);
        assert!(off[600] < 0.5 && off[1150] < 3.0, "{} {}", off[600], off[1150]);
        let wrong = |change: &dyn Fn(&mut Vec<[f32; 2]>)| {
            let mut stored = stored.clone();
            change(&mut stored.units);
            stored.opened().unwrap_err()
        };
        assert_eq!(wrong(&|units| units.truncate(3)), "the units of steps are no units");
        assert_eq!(wrong(&|units| units[2] = [0.0, 0.0]), "the units of steps are no units");
        assert_eq!(wrong(&|units| units[2] = [f32::NAN, 1.0]), "the units of steps are no units");
    }
}
