//! Pictures of anyone's held against real ones.

use std::collections::HashMap;
use std::ops::Range;

use super::condition::Asked;
use super::config::DataConfig;
use super::judge::{ImageJudge, gathered, shuffled};
use super::model::ImageModel;
use super::modes::{COUNTED, Kinds};
use super::obeyed::{Obeyed, obeyed};
use super::{load_as, parse, propose};
use crate::artifact::Artifact;
use crate::data::{Channels, ImageIndex, ImageSet, ImageSpec, Pictures, Source, sheet, write_png};
use crate::error::{Error, Result};
use crate::features::{Extractor, Kind, Lesson};
use crate::judge::{Judgement, Panel, Score, Split};
use crate::metrics::{Diversity, ms_ssim_diversity};
use crate::random;
use crate::train::{EvaluateRequest, Evaluation, Judged, SampleId, SampleRequest, Wish};

/// Pairs of pictures for the similarity of samples.
const SIMILAR_PAIRS: usize = 500;
/// Closest pairs that are shown.
const SHOWN_PAIRS: usize = 8;
/// Samples that a classifier learns from, at most.
const LESSON: usize = 5000;
/// Samples of a class below which it is not judged by itself.
const OF_A_CLASS: usize = 40;

/// Judges pictures: as in training, and by how alike they are, what a classifier learns from them, and class by class.
///
/// # Errors
/// [`Error::Data`] if the data is not made of pictures, or there are too few; [`Error::Config`] for unknown features; whatever opening the model gives.
pub fn evaluate(request: &EvaluateRequest<'_>, progress: &mut dyn FnMut(u64, u64)) -> Result<Evaluation> {
    let index = pictures(request.against)?;
    let kind = Kind::parse(request.features)?;
    let mut asked_and_seen = Obeyed::default();
    let (data, samples, model, fit) = match request.judged {
        Judged::Model(folder) => {
            let model = ImageModel::open(folder, &request.device)?;
            let spec = model.spec(&fit_of(folder.description())?);
            let data = load_as(index, &spec, &mut |_, _| {})?;
            let samples = Samples::drawn(&model, &data, request.seed, Panel::MOST.max(data.len().min(LESSON)))?;
            asked_and_seen =
                obeyed(&model, index, (&data, &Split::new(data.len(), request.holdout)), (request.seed, request.cache), progress)?;
            (data, samples, Some(model), spec.fit)
        }
        Judged::Samples(source) => {
            let config = DataConfig::default();
            let (height, width) = propose::size(index, &config);
            let spec = ImageSpec { width, height, channels: propose::channels(index, config.channels), fit: config.fit };
            let data = load_as(index, &spec, &mut |_, _| {})?;
            let samples = Samples::of_files(load_as(pictures(source)?, &spec, &mut |_, _| {})?, &data);
            (data, samples, None, spec.fit)
        }
    };
    let split = Split::new(data.len(), request.holdout);
    let n_samples = samples.pixels.len() / data.picture_bytes();
    let judge = ImageJudge::new(&data, &split, (&kind, n_samples), request.cache, progress)?;
    let (panel, n_bytes) = (&judge.panel, data.picture_bytes());
    let judged = &samples.pixels[..panel.n() * n_bytes];
    let asked = samples.classes.as_deref();
    let look = judge.look(judged, asked.map(|asked| &asked[..panel.n()]), None)?;
    let mut judgement = panel.judge(&look)?;
    judgement.scores.push(similarity(&data, &judge, judged)?);
    judgement.scores.extend(asked_and_seen.score);
    judgement.scores.extend(classification(&judge, &data, &split, &samples)?);
    if let Some(kinds) = index.stacked().map(|stacked| Kinds::learn(stacked, &data, (fit, request.cache), progress)).transpose()?.flatten()
    {
        let there = if model.is_some() { data.len() } else { n_samples };
        let n = request.samples.unwrap_or(COUNTED).clamp(1, there.min(data.len()));
        judgement.scores.extend(kinds.scores(&data, n, |range| match &model {
            Some(model) => drawn(model, request.seed, range).map(|(pixels, _)| pixels),
            None => Ok(samples.pixels[range.start * n_bytes..range.end * n_bytes].to_vec()),
        })?);
        judgement.notes.push(kinds.describe(n));
    }
    let pairs = panel.pairs(&look)?;
    let shown = pairs.iter().take(SHOWN_PAIRS);
    let closest = if pairs.is_empty() {
        None
    } else {
        let generated = shown.clone().flat_map(|pair| judged[pair.generated * n_bytes..(pair.generated + 1) * n_bytes].iter().copied());
        let real = shown.flat_map(|pair| data.picture(judge.training[pair.training]).into_owned());
        Some(pairs_sheet(&data, &generated.chain(real).collect::<Vec<u8>>())?)
    };
    let classes = by_class(&judge, &data, &split, &samples)?;
    Ok(Evaluation { judgement, classes, parts: Vec::new(), attributes: asked_and_seen.attributes, closest })
}

/// Pixels of the samples of a seed with these numbers, and what each was asked to be.
fn drawn(model: &ImageModel, seed: u64, numbers: Range<usize>) -> Result<(Vec<u8>, Asked)> {
    let ids = numbers.map(|index| SampleId { seed, index: index as u64 }).collect();
    model.draw(&SampleRequest { ids, wish: Wish::Any, truncation: 1.0, sheet: false })
}

/// Pictures that are judged, in the shape of the real ones.
struct Samples {
    /// `[n, height, width, channels]`.
    pixels: Vec<u8>,
    /// The class that each was asked for, or lies in, as a position in the classes of the real data.
    classes: Option<Vec<usize>>,
}

impl Samples {
    fn drawn(model: &ImageModel, data: &ImageSet, seed: u64, n: usize) -> Result<Self> {
        let (pixels, asked) = drawn(model, seed, 0..n)?;
        let classes = if model.condition().classes().is_empty() {
            None
        } else {
            let names: Vec<&str> = asked.words.iter().map(String::as_str).collect();
            positions(&names, n, data)
        };
        Ok(Self { pixels, classes })
    }

    /// In a random order, so that the first few are of all classes.
    fn of_files(set: ImageSet, data: &ImageSet) -> Self {
        let order = random::DataOrder::new(0, "evaluated", set.len()).batch(0, set.len());
        let names: Vec<&str> = order.iter().filter_map(|i| set.classes.get(*set.labels.get(*i)? as usize).map(String::as_str)).collect();
        Self { pixels: gathered(&set, &order), classes: positions(&names, set.len(), data) }
    }
}

/// Class names as positions in the classes of the real data, if all `n` samples have one that it knows.
fn positions(names: &[&str], n: usize, data: &ImageSet) -> Option<Vec<usize>> {
    let known: HashMap<&str, usize> = data.classes.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let found: Option<Vec<usize>> = names.iter().map(|name| known.get(name).copied()).collect();
    found.filter(|found| found.len() == n && !data.classes.is_empty())
}

fn pictures(source: &Source) -> Result<&ImageIndex> {
    match source {
        Source::Images(index) => Ok(index),
        _ => Err(Error::data(source.name(), "is not made of pictures", "give pictures on both sides")),
    }
}

/// How the run behind a model made its pictures one shape.
pub fn fit_of(description: &crate::run::ModelDescription) -> Result<DataConfig> {
    let table = toml::Table::try_from(&description.config).unwrap_or_default();
    Ok(parse(&table)?.data)
}

fn view<'a>(data: &ImageSet, pixels: &'a [u8]) -> Pictures<'a> {
    Pictures { pixels, height: data.height, width: data.width, channels: data.channels.count() }
}

/// How alike two samples are, beside two real ones and two trivial ones.
fn similarity(data: &ImageSet, judge: &ImageJudge, judged: &[u8]) -> Result<Score> {
    let n = judged.len() / data.picture_bytes();
    let real: Vec<usize> = judge.training.iter().copied().take(n).collect();
    let mean = |pixels: &[u8]| ms_ssim_diversity(&view(data, pixels), SIMILAR_PAIRS, 0);
    let Diversity { mean: value, standard_error } = mean(judged)?;
    let (real, trivial) = (mean(&gathered(data, &real))?.mean, mean(&shuffled(data, &judge.training, (n, 0)))?.mean);
    Ok(Score { metric: "similarity".into(), value, error: Some(standard_error), real, trivial })
}

/// The classification accuracy score: Ravuri and Vinyals, "Classification Accuracy Score for Conditional Generative Models", NeurIPS 2019. Beside that of a classifier that
/// learned from real pictures and the share of the most common class. Nothing without classes or held-out pictures.
fn classification(judge: &ImageJudge, data: &ImageSet, split: &Split, samples: &Samples) -> Result<Option<Score>> {
    let (Some(classes), Some(real)) = (&samples.classes, judge.panel.classes()) else { return Ok(None) };
    if split.held_out.is_empty() {
        return Ok(None);
    }
    let n = classes.len().min(LESSON);
    let labels: Vec<u32> = classes[..n].iter().map(|class| *class as u32).collect();
    let pictures = view(data, &samples.pixels[..n * data.picture_bytes()]);
    let lesson = Lesson { pictures, labels: &labels, n_classes: data.classes.len() };
    let learned = Extractor::learn(&Kind::Own, &lesson, "samples", None, &mut |_, _| {})?;
    let Some(found) = learned.see(&view(data, &gathered(data, &split.held_out)))?.classes else { return Ok(None) };
    let right = split.held_out.iter().zip(&found).filter(|(i, class)| data.labels[**i] == **class).count();
    let value = right as f64 / found.len() as f64;
    let error = (value * (1.0 - value) / found.len() as f64).sqrt();
    let trivial = real.shares.iter().copied().fold(0.0, f64::max);
    Ok(Some(Score { metric: "classification".into(), value, error: Some(error), real: real.accuracy, trivial }))
}

/// Each class against its own real pictures, if there are enough of both.
fn by_class(judge: &ImageJudge, data: &ImageSet, split: &Split, samples: &Samples) -> Result<Vec<(String, Judgement)>> {
    let Some(asked) = &samples.classes else { return Ok(Vec::new()) };
    let mut judged = Vec::new();
    for (class, name) in data.classes.iter().enumerate() {
        let of_class = |positions: &[usize]| positions.iter().copied().filter(|i| data.labels[*i] as usize == class).collect::<Vec<_>>();
        let (training, held_out) = (of_class(&judge.training), of_class(&split.held_out));
        let own: Vec<usize> = (0..asked.len()).filter(|i| asked[*i] == class).take(Panel::MOST).collect();
        if training.len() < OF_A_CLASS || own.len() < OF_A_CLASS {
            continue;
        }
        let n_bytes = data.picture_bytes();
        let own_pixels: Vec<u8> = own.iter().flat_map(|i| samples.pixels[i * n_bytes..(i + 1) * n_bytes].iter().copied()).collect();
        let panel = judge.panel_of(data, (&training, &held_out), own.len())?;
        judged.push((name.clone(), panel.judge(&judge.look(&own_pixels, None, None)?.without_classes())?));
    }
    Ok(judged)
}

/// Generated pictures above, what they are nearest to below.
fn pairs_sheet(data: &ImageSet, pixels: &[u8]) -> Result<Artifact> {
    let ImageSet { width, height, channels, .. } = *data;
    let columns = pixels.len() / data.picture_bytes() / 2;
    let channels: Channels = channels;
    let (pixels, w, h) = sheet(pixels, width, height, channels, columns);
    let bytes = write_png(w, h, channels, &pixels, &[("Comment", "generated pictures above the training pictures nearest to them")])?;
    Ok(Artifact { media_type: "image/png", extension: "png", stem: "closest".into(), bytes })
}
