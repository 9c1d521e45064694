//! Whether samples are what they were asked to be.

use std::collections::HashMap;
use std::path::Path;

use super::condition::{Attributes, Condition, Values};
use super::judge::{fingerprint, gathered};
use super::model::ImageModel;
use crate::data::{ImageIndex, ImageSet, Pictures};
use crate::error::Result;
use crate::features::{AttributeNet, Cache, Known, Matcher};
use crate::judge::{Score, Split};
use crate::random::DataOrder;
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

/// Asks a model for attributes, or for what held-out captions say, and lets networks that learned from real pictures, or were kept in that cache, say what they see.
///
/// # Errors
/// Whatever drawing gives.
pub fn obeyed(
    model: &ImageModel,
    index: &ImageIndex,
    (data, split): (&ImageSet, &Split),
    (seed, cache): (u64, Option<&Path>),
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Obeyed> {
    let (cache, fingerprint) = (cache.map(Cache::new), fingerprint(data, split));
    let real = Real { index, data, split, known: cache.as_ref().map(|cache| (cache, fingerprint.as_str())) };
    match model.condition() {
        Condition::Attributes(attributes) => of_attributes(model, attributes, &real, seed, progress),
        Condition::Captions(_) => Ok(Obeyed { score: of_captions(model, &real, seed, progress)?, attributes: Vec::new() }),
        Condition::None | Condition::Classes(_) => Ok(Obeyed::default()),
    }
}

/// The real pictures, and what was learned from them before.
struct Real<'a> {
    index: &'a ImageIndex,
    data: &'a ImageSet,
    split: &'a Split,
    /// A cache and the fingerprint of the pictures.
    known: Known<'a>,
}

fn view<'a>(data: &ImageSet, pixels: &'a [u8]) -> Pictures<'a> {
    Pictures { pixels, height: data.height, width: data.width, channels: data.channels.count() }
}

fn share(right: usize, of: usize, real: f64, trivial: f64) -> Score {
    let value = right as f64 / of.max(1) as f64;
    let error = (value * (1.0 - value) / of.max(1) as f64).sqrt();
    Score { metric: "obedience".into(), value, error: Some(error), real, trivial }
}

/// Each attribute with categories: the share of samples in which a classifier sees what was asked, beside that of held-out pictures and that of somebody who draws like the data but does not
/// listen. Attributes of which nothing is known on a side are left out.
fn of_attributes(
    model: &ImageModel,
    attributes: &Attributes,
    real: &Real<'_>,
    seed: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Obeyed> {
    let Real { index, data, split, known } = *real;
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
    let told = values(&split.training);
    let net = AttributeNet::learn(&view(data, &training), &told, &widths, known, progress);
    let seen = net.see(&view(data, &held_out));
    let real = right(&seen, &values(&split.held_out), judged.len());
    let ids = (0..SAMPLES as u64).map(|index| SampleId { seed, index }).collect();
    let (pixels, asked) = model.draw(&SampleRequest { ids, wish: Wish::Any, truncation: 1.0, sheet: false })?;
    let wanted: Vec<Vec<Option<usize>>> = asked.rows.iter().map(|row| of_row(&attributes.cells(row))).collect();
    let generated = right(&net.see(&view(data, &pixels)), &wanted, judged.len());
    let ratio = |(right, of): (usize, usize)| right as f64 / of as f64;
    let one = |at: usize| {
        let is_told = told.iter().any(|row| row[at].is_some());
        (is_told && real[at].1 > 0 && generated[at].1 > 0).then(|| {
            let by_chance = chance(wanted.iter().filter_map(|row| row[at]), seen.iter().map(|row| row[at]), widths[at]);
            (attributes.list()[judged[at]].name.clone(), share(generated[at].0, generated[at].1, ratio(real[at]), by_chance))
        })
    };
    let each: Vec<(String, Score)> = (0..judged.len()).filter_map(one).collect();
    if each.is_empty() {
        return Ok(Obeyed::default());
    }
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

/// How often what is asked is seen in pictures that have nothing to do with it: over all values, how often it is asked times how often the judge sees it in real pictures, its mistakes included.
fn chance(asked: impl Iterator<Item = usize>, seen: impl Iterator<Item = usize>, width: usize) -> f64 {
    let shares = |values: &mut dyn Iterator<Item = usize>| {
        let mut counts = vec![0.0; width];
        values.for_each(|value| counts[value] += 1.0);
        let n = counts.iter().sum::<f64>().max(1.0);
        counts.into_iter().map(|count| count / n).collect::<Vec<f64>>()
    };
    let [asked, seen] = [shares(&mut { asked }), shares(&mut { seen })];
    asked.iter().zip(&seen).map(|(asked, seen)| asked * seen).sum()
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

/// Samples of held-out captions: how often a network that learned which texts go with which pictures finds the text among ten different ones, beside how often it finds that of the held-out
/// pictures. Nothing where there are fewer than ten.
fn of_captions(model: &ImageModel, real: &Real<'_>, seed: u64, progress: &mut dyn FnMut(u64, u64)) -> Result<Option<Score>> {
    let Real { index, data, split, known } = *real;
    let Some(captions) = &index.captions else { return Ok(None) };
    let own = |i: &usize| captions.get(data.rows[*i]).map_or(&[][..], Vec::as_slice);
    let training = gathered(data, &split.training);
    let told: Vec<&[String]> = split.training.iter().map(own).collect();
    let Ok(matcher) = Matcher::learn(&view(data, &training), &told, SEED, known, progress) else { return Ok(None) };
    // Two texts of the same tokens are one to the matcher, and of a text without known ones it can say nothing.
    let said = |text: &String| {
        let mut tokens = matcher.text.tokenizer().tokens(text);
        tokens.sort_unstable();
        tokens
    };
    let asked = |i: usize| own(&i).iter().map(|text| (i, text.as_str(), said(text))).find(|(.., said)| !said.is_empty());
    let asked: Vec<(usize, &str, Vec<usize>)> = split.held_out.iter().copied().filter_map(asked).take(CAPTIONS).collect();
    let Some(others) = others(&asked.iter().map(|(.., said)| said.as_slice()).collect::<Vec<_>>()) else { return Ok(None) };
    let found = |pixels: &[u8], at: usize| -> usize {
        let choices: Vec<&str> = [at].iter().chain(&others[at]).map(|i| asked[*i].1).collect();
        let scores = matcher.scores(&view(data, pixels), &choices);
        scores.iter().filter(|row| row[1..].iter().all(|other| *other < row[0])).count()
    };
    let found_in_real: usize = asked.iter().enumerate().map(|(at, (i, ..))| found(&data.picture(*i), at)).sum();
    let (mut right, mut of) = (0, 0);
    for (at, (_, text, _)) in asked.iter().enumerate() {
        let ids: Vec<SampleId> = (0..OF_A_CAPTION).map(|i| SampleId { seed, index: at as u64 * OF_A_CAPTION + i }).collect();
        let n = ids.len();
        // A caption of words that the model does not know cannot be asked for.
        let request = SampleRequest { ids, wish: Wish::Prompt((*text).to_owned()), truncation: 1.0, sheet: false };
        of += n;
        if let Ok((pixels, _)) = model.draw(&request) {
            right += found(&pixels, at);
        }
    }
    Ok(Some(share(right, of, found_in_real as f64 / asked.len() as f64, 1.0 / CHOICES as f64)))
}

/// For each text, places of so many others that all differ from it and from each other, as to make [`CHOICES`] with it: the next ones in a random order, because texts that follow each other in
/// the data are often alike. Nothing if there are too few.
fn others(said: &[&[usize]]) -> Option<Vec<Vec<usize>>> {
    let mut first_of: HashMap<&[usize], usize> = HashMap::new();
    for (i, said) in said.iter().enumerate() {
        first_of.entry(said).or_insert(i);
    }
    let n = first_of.len();
    if n < CHOICES {
        return None;
    }
    let mut different: Vec<usize> = first_of.values().copied().collect();
    different.sort_unstable();
    let order: Vec<usize> = DataOrder::new(SEED, "caption-choices", n).batch(0, n).into_iter().map(|i| different[i]).collect();
    let place: HashMap<usize, usize> = order.iter().enumerate().map(|(place, i)| (*i, place)).collect();
    let of = |said: &&[usize]| {
        let place = place[&first_of[said]];
        (1..CHOICES).map(|i| order[(place + i) % n]).collect()
    };
    Some(said.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_what_is_asked_times_what_the_judge_sees() {
        let by_chance = |asked: &[usize], seen: &[usize]| chance(asked.iter().copied(), seen.iter().copied(), 2);
        assert_eq!(by_chance(&[0, 0, 0, 1], &[0, 1]), 0.5);
        // A judge that always says the same is obeyed as often as that is asked.
        assert_eq!(by_chance(&[0, 0, 0, 1], &[0, 0]), 0.75);
        assert_eq!(by_chance(&[1], &[0]), 0.0);
    }

    #[test]
    fn choices_are_different_texts_in_a_random_order() {
        let texts: Vec<Vec<usize>> = (0..40).map(|i| vec![i / 2]).collect();
        let said: Vec<&[usize]> = texts.iter().map(Vec::as_slice).collect();
        let found = others(&said).unwrap();
        for (i, own) in found.iter().enumerate() {
            let mut all: Vec<&[usize]> = own.iter().map(|j| said[*j]).chain([said[i]]).collect();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), CHOICES, "{i}: {own:?}");
        }
        assert_eq!(found[6], found[7], "equal texts are held against the same ones");
        assert!(found.iter().enumerate().any(|(i, own)| own[0].abs_diff(i) > 5));
        assert_eq!((others(&said).unwrap(), others(&said[..18])), (found, None));
    }
}
