//! Whether samples are what they were asked to be.

use super::condition::{Attributes, Condition, Values};
use super::judge::gathered;
use super::model::ImageModel;
use crate::data::{ImageIndex, ImageSet, Pictures};
use crate::error::Result;
use crate::features::{AttributeNet, Matcher};
use crate::judge::{Score, Split};
use crate::train::{SampleId, SampleRequest, Wish};

/// Samples that are looked at.
const SAMPLES: usize = 2000;
/// Held-out captions that samples are asked for by.
const CAPTIONS: usize = 500;
/// Samples of each of them.
const OF_A_CAPTION: u64 = 4;
/// Texts out of which the right one is to be found.
const CHOICES: usize = 10;
/// Another seed than that of the text encoder that the model was trained with: what judges is not what is judged.
const SEED: u64 = 1;

/// What was found.
#[derive(Debug, Default)]
pub struct Obeyed {
    /// The figure for the whole of it, where samples can be asked for anything.
    pub score: Option<Score>,
    /// Attribute by attribute.
    pub attributes: Vec<(String, Score)>,
}

/// Asks a model for attributes, or for what held-out captions say, and lets networks that learned from real pictures say what they see.
///
/// # Errors
/// Whatever drawing gives.
pub fn obeyed(
    model: &ImageModel,
    index: &ImageIndex,
    (data, split): (&ImageSet, &Split),
    seed: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Obeyed> {
    match model.condition() {
        Condition::Attributes(attributes) => of_attributes(model, attributes, (index, data, split), seed, progress),
        Condition::Captions(_) => Ok(Obeyed { score: of_captions(model, (index, data, split), seed, progress)?, attributes: Vec::new() }),
        Condition::None | Condition::Classes(_) => Ok(Obeyed::default()),
    }
}

type Real<'a> = (&'a ImageIndex, &'a ImageSet, &'a Split);

fn view<'a>(data: &ImageSet, pixels: &'a [u8]) -> Pictures<'a> {
    Pictures { pixels, height: data.height, width: data.width, channels: data.channels.count() }
}

fn share(right: usize, of: usize, real: f64, trivial: f64) -> Score {
    let value = right as f64 / of.max(1) as f64;
    let error = (value * (1.0 - value) / of.max(1) as f64).sqrt();
    Score { metric: "obedience".into(), value, error: Some(error), real, trivial }
}

/// Each attribute with categories: the share of samples in which a classifier sees what was asked, beside that of held-out pictures and that of samples of somebody who does not listen.
fn of_attributes(
    model: &ImageModel,
    attributes: &Attributes,
    (index, data, split): Real<'_>,
    seed: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Obeyed> {
    let Some(table) = &index.attributes else { return Ok(Obeyed::default()) };
    let judged: Vec<usize> =
        (0..attributes.list().len()).filter(|i| matches!(attributes.list()[*i].values, Values::Categories(_))).collect();
    let widths: Vec<usize> = judged.iter().map(|i| attributes.list()[*i].values.width()).collect();
    let of_row = |row: &[Option<f32>]| -> Vec<Option<usize>> { judged.iter().map(|i| row[*i].map(|v| v as usize)).collect() };
    let values = |places: &[usize]| -> Vec<Vec<Option<usize>>> {
        places.iter().map(|i| of_row(&attributes.read_row(table, data.rows[*i]))).collect()
    };
    if judged.is_empty() || split.held_out.is_empty() {
        return Ok(Obeyed::default());
    }
    let (training, held_out) = (gathered(data, &split.training), gathered(data, &split.held_out));
    let known = values(&split.training);
    let net = AttributeNet::learn(&view(data, &training), &known, &widths, progress);
    let real = right(&net.see(&view(data, &held_out)), &values(&split.held_out), judged.len());
    let ids = (0..SAMPLES as u64).map(|index| SampleId { seed, index }).collect();
    let (pixels, asked) = model.draw(&SampleRequest { ids, wish: Wish::Any, truncation: 1.0, sheet: false })?;
    let wanted: Vec<Vec<Option<usize>>> = asked.rows.iter().map(|row| of_row(&attributes.cells(row))).collect();
    let generated = right(&net.see(&view(data, &pixels)), &wanted, judged.len());
    let by_chance = |at: usize| {
        let mut counts = vec![0usize; widths[at]];
        known.iter().filter_map(|row| row[at]).for_each(|v| counts[v] += 1);
        let n = counts.iter().sum::<usize>().max(1) as f64;
        counts.iter().map(|c| (*c as f64 / n).powi(2)).sum::<f64>()
    };
    let ratio = |(right, of): (usize, usize)| right as f64 / of.max(1) as f64;
    let one =
        |at: usize| (attributes.list()[judged[at]].name.clone(), share(generated[at].0, generated[at].1, ratio(real[at]), by_chance(at)));
    let each: Vec<(String, Score)> = (0..judged.len()).map(one).collect();
    let mean = |of: &dyn Fn(&Score) -> f64| each.iter().map(|(_, score)| of(score)).sum::<f64>() / each.len() as f64;
    let score = Score {
        metric: "obedience".into(),
        value: mean(&|s| s.value),
        error: None,
        real: mean(&|s| s.real),
        trivial: mean(&|s| s.trivial),
    };
    Ok(Obeyed { score: Some(score), attributes: each })
}

/// For each attribute, how many of those whose value is known were seen rightly, and of how many.
fn right(seen: &[Vec<usize>], known: &[Vec<Option<usize>>], n: usize) -> Vec<(usize, usize)> {
    let mut counts = vec![(0, 0); n];
    for (seen, known) in seen.iter().zip(known) {
        for ((count, seen), known) in counts.iter_mut().zip(seen).zip(known) {
            let Some(known) = known else { continue };
            count.0 += usize::from(seen == known);
            count.1 += 1;
        }
    }
    counts
}

/// Samples of held-out captions: how often a network that learned which texts go with which pictures finds the text among ten, beside how often it finds that of the held-out pictures.
fn of_captions(model: &ImageModel, (index, data, split): Real<'_>, seed: u64, progress: &mut dyn FnMut(u64, u64)) -> Result<Option<Score>> {
    let Some(captions) = &index.captions else { return Ok(None) };
    let own = |i: &usize| captions.get(data.rows[*i]).map_or(&[][..], Vec::as_slice);
    let training = gathered(data, &split.training);
    let known: Vec<&[String]> = split.training.iter().map(own).collect();
    let Ok(matcher) = Matcher::learn(&view(data, &training), &known, SEED, None, progress) else { return Ok(None) };
    let told: Vec<usize> = split.held_out.iter().copied().filter(|i| !own(i).is_empty()).take(CAPTIONS).collect();
    let texts: Vec<&str> = told.iter().map(|i| own(i)[0].as_str()).collect();
    if texts.len() < CHOICES {
        return Ok(None);
    }
    let found = |pixels: &[u8], asked: usize| -> usize {
        // The text that was asked for, and the nine after it.
        let choices: Vec<&str> = (0..CHOICES).map(|i| texts[(asked + i) % texts.len()]).collect();
        let scores = matcher.scores(&view(data, pixels), &choices);
        scores.iter().filter(|row| row[1..].iter().all(|other| *other < row[0])).count()
    };
    let real: usize = told.iter().enumerate().map(|(asked, i)| found(data.picture(*i), asked)).sum();
    let (mut right, mut of) = (0, 0);
    for (asked, text) in texts.iter().enumerate() {
        let ids: Vec<SampleId> = (0..OF_A_CAPTION).map(|i| SampleId { seed, index: asked as u64 * OF_A_CAPTION + i }).collect();
        let n = ids.len();
        // A caption of unknown words cannot be asked for.
        let request = SampleRequest { ids, wish: Wish::Prompt((*text).to_owned()), truncation: 1.0, sheet: false };
        of += n;
        if let Ok((pixels, _)) = model.draw(&request) {
            right += found(&pixels, asked);
        }
    }
    Ok(Some(share(right, of, real as f64 / told.len() as f64, 1.0 / CHOICES as f64)))
}
