//! Rows of numbers held against real ones.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Look, Panel, Real, Signal, Split};
use crate::error::Result;
use crate::metrics::Features;
use crate::random::{self, DataOrder};

/// Numbers beyond which rows are judged by projections.
const MOST_NUMBERS: usize = 64;

/// What rows are judged by: their numbers, or random projections of them where there are many.
#[derive(Clone)]
pub struct RowJudge {
    /// Real rows, as features.
    pub panel: Arc<Panel>,
    dim: usize,
    /// `[dim, MOST_NUMBERS]`, row-major.
    projections: Option<Vec<f32>>,
}

impl RowJudge {
    /// Training rows that samples are held against, at most.
    pub const MOST_TRAINING: usize = 20_000;

    /// The training rows that samples are held against.
    pub fn training_rows(split: &Split) -> Vec<usize> {
        match split.training.len() {
            n if n <= Self::MOST_TRAINING => split.training.clone(),
            n => DataOrder::new(0, "judged", n).batch(0, Self::MOST_TRAINING).into_iter().map(|i| split.training[i]).collect(),
        }
    }

    /// From rows `[n, columns]`, of which numbers with the same entry in `columns` belong together. What they are in words, by which metric generators are chosen, and how many samples at most will be judged.
    ///
    /// # Errors
    /// [`crate::Error::Data`] if there are too few, or a number is not finite.
    pub fn new(rows: &[f32], columns: &[usize], split: &Split, (words, choice, most): (&str, &'static str, usize)) -> Result<Self> {
        let dim = columns.len();
        let scale = (dim as f32).sqrt().recip();
        let drawn =
            || random::normal(dim * MOST_NUMBERS, &mut random::stream(0, "projections", 0)).into_iter().map(|v| v * scale).collect();
        let projections: Option<Vec<f32>> = (dim > MOST_NUMBERS).then(drawn);
        let features = |rows: Vec<f32>| seen(rows, dim, projections.as_deref());
        let gathered =
            |positions: &[usize]| positions.iter().flat_map(|i| rows[i * dim..(i + 1) * dim].iter().copied()).collect::<Vec<f32>>();
        let training = Self::training_rows(split);
        // The trivial generator draws every column by itself.
        let mut rng = random::stream(0, "trivial", 0);
        let mut any = || training[random::below(training.len() as u64, &mut rng) as usize];
        let mut trivial = Vec::with_capacity(Panel::MOST * dim);
        for _ in 0..Panel::MOST {
            let mut from: HashMap<usize, usize> = HashMap::new();
            trivial.extend(
                columns.iter().enumerate().map(|(place, column)| rows[*from.entry(*column).or_insert_with(&mut any) * dim + place]),
            );
        }
        let panel = Panel::new(Real {
            extractor: if projections.is_some() { format!("{MOST_NUMBERS} random projections of {words}") } else { words.to_owned() },
            choice,
            training: features(gathered(&training))?,
            held_out: if split.held_out.len() < 2 { None } else { Some(features(gathered(&split.held_out))?) },
            trivial: features(trivial)?,
            most,
            classes: None,
            saturated: 0.0,
            tolerated: 0.15,
        });
        Ok(Self { panel: Arc::new(panel?), dim, projections })
    }

    /// Sees rows `[n, columns]`.
    ///
    /// # Errors
    /// [`crate::Error::Data`] if there are fewer than two, or a number is not finite.
    pub fn look(&self, rows: &[f32], signal: Option<Signal>) -> Result<Look> {
        let features = seen(rows.to_vec(), self.dim, self.projections.as_deref())?;
        Ok(Look { features, classes: None, saturated: 0.0, signal, own: None })
    }
}

fn seen(rows: Vec<f32>, dim: usize, projections: Option<&[f32]>) -> Result<Features> {
    let Some(projections) = projections else { return Features::new("rows", rows, dim) };
    let project = |row: &[f32]| {
        let mut out = vec![0.0f32; MOST_NUMBERS];
        for (value, weights) in row.iter().zip(projections.chunks_exact(MOST_NUMBERS)) {
            out.iter_mut().zip(weights).for_each(|(o, w)| *o += value * w);
        }
        out
    };
    Features::new("rows", rows.chunks_exact(dim).flat_map(project).collect(), MOST_NUMBERS)
}
