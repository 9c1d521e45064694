//! From the scores of a column of steps to numbers that lie as far apart as in the data.

use crate::error::Result;
use crate::table::{BlockKind, Codes, Encoded, Encoder, MAX_SCORE, Values};

/// Scores at which a column is looked up.
const LADDER: usize = 2049;
/// Numbers that reach farther from their mean than so many deviations stay scores.
const FARTHEST: f64 = 10.0;

/// A rising function by straight lines: scores to numbers of mean 0 and deviation 1. Scores are normal in every column, which is right for rows that stand by themselves; a curve would be bent by it, and its tops blown up.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Scores and numbers, both rising.
    knots: Vec<[f32; 2]>,
}

impl Curve {
    /// For each scalar block of an encoder; nothing where numbers are better left as scores.
    ///
    /// # Errors
    /// As [`Encoder::decode`].
    pub fn of(encoder: &Encoder) -> Result<Vec<Option<Self>>> {
        let scores: Vec<f32> = (0..LADDER).map(|i| MAX_SCORE * (2.0 * i as f32 / (LADDER - 1) as f32 - 1.0)).collect();
        let blocks = encoder.blocks();
        let ladder = blocks.iter().map(|block| match block.kind {
            BlockKind::Softmax { .. } => Codes::Softmax(vec![block.other.unwrap_or(0); LADDER]),
            BlockKind::Scalar => Codes::Scalar(scores.clone()),
        });
        let table = encoder.decode(&Encoded { n_rows: LADDER, numbers: Vec::new(), blocks: ladder.collect() }, 0)?;
        let scalars = blocks.iter().filter(|block| block.kind == BlockKind::Scalar);
        Ok(scalars
            .map(|block| match &table.columns[block.column].values {
                Values::Numbers(numbers) => Self::through(&scores, numbers),
                Values::Categories { .. } => None,
            })
            .collect())
    }

    /// Of rising scores and the numbers that they stand for.
    fn through(scores: &[f32], numbers: &[f64]) -> Option<Self> {
        let weight = |score: f32| f64::from(-0.5 * score * score).exp();
        let total: f64 = scores.iter().map(|score| weight(*score)).sum();
        let mean = |of: &dyn Fn(f64) -> f64| scores.iter().zip(numbers).map(|(score, v)| weight(*score) * of(*v)).sum::<f64>() / total;
        let middle = mean(&|v| v);
        let deviation = mean(&|v| (v - middle).powi(2)).sqrt();
        let farthest = numbers.iter().map(|v| (v - middle).abs()).fold(0.0, f64::max);
        if !(deviation > 0.0 && farthest <= FARTHEST * deviation) {
            return None;
        }
        let mut knots: Vec<[f32; 2]> = Vec::new();
        let mut first = 0;
        // A number that many scores stand for lies in their middle, and what spreads equal numbers still does.
        for run in numbers.chunk_by(|a, b| a == b) {
            let score = 0.5 * (scores[first] + scores[first + run.len() - 1]);
            first += run.len();
            let value = ((run[0] - middle) / deviation) as f32;
            if knots.last().is_none_or(|[s, v]| score > *s && value > *v) {
                knots.push([score, value]);
            }
        }
        (knots.len() > 2).then_some(Self { knots })
    }

    /// The number of a score.
    pub fn number(&self, score: f32) -> f32 {
        self.at(score, 0)
    }

    /// The score of a number.
    pub fn score(&self, number: f32) -> f32 {
        self.at(number, 1).clamp(-MAX_SCORE, MAX_SCORE)
    }

    /// Straight between the knots, and beside them as between the last two.
    fn at(&self, value: f32, from: usize) -> f32 {
        let i = self.knots.partition_point(|knot| knot[from] <= value).clamp(1, self.knots.len() - 1);
        let (a, b) = (self.knots[i - 1], self.knots[i]);
        a[1 - from] + (value - a[from]) / (b[from] - a[from]) * (b[1 - from] - a[1 - from])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use crate::table::{Column, Table, infer};

    #[test]
    fn numbers_lie_as_far_apart_as_in_the_data_and_come_back() {
        let wave: Vec<f64> = (0..4000).map(|i| ((f64::from(i) * 0.1).sin() * 1000.0).round() / 1000.0).collect();
        let flat: Vec<f64> =
            random::normal(4000, &mut random::stream(0, "x", 0)).into_iter().map(|v| f64::from(v * 3.0).exp().round()).collect();
        let column = |name: &str, values: &[f64]| Column { name: name.into(), values: Values::Numbers(values.to_vec()) };
        let table = Table { columns: vec![column("wave", &wave), column("tail", &flat)] };
        let encoder = Encoder::fit_steps(&table, &infer(&table).0, 0).unwrap();
        let curves = Curve::of(&encoder).unwrap();
        assert!(curves[0].is_some() && curves[1].is_none(), "long tails stay scores");
        let curve = curves[0].as_ref().unwrap();
        let encoded = encoder.encode(&table, 0).unwrap();
        let Codes::Scalar(scores) = &encoded.blocks[0] else { panic!("a wave is numbers") };
        for (value, score) in wave.iter().zip(scores) {
            let number = f64::from(curve.number(*score));
            assert!((number - value * 2f64.sqrt()).abs() < 0.03, "{value} {number}");
            assert!((curve.score(curve.number(*score)) - score).abs() < 1e-3);
        }
    }
}
