//! Series of a model held against real ones.

use super::collection::Collection;
use super::figures::{self, Measured};
use super::model::SeriesModel;
use super::split;
use crate::error::{Error, Result};
use crate::judge::{Judgement, Score, Split, Vitals};
use crate::random::DataOrder;
use crate::run::ModelFolder;
use crate::table::judge::{Against, Level, privacy};
use crate::table::{Column, ColumnSchema, Kind, Values};
use crate::train::{self, EvaluateRequest, Evaluation, SampleId};

/// Series that are drawn of a model at least and at most.
const DRAWN: [usize; 2] = [200, 2000];
/// Held-out series that are enough to be compared with; of fewer, all real ones are.
const ENOUGH: usize = 200;
/// Held-out series without which nothing is said about privacy.
const PRIVATE: usize = 40;

/// Judges series: whether a classifier tells them from real ones, how they hang together from step to step, what is learned from them, how long they are, and what they give away.
///
/// # Errors
/// [`Error::Config`] if these are not samples of a run, or for a target that is no column of numbers; [`Error::Data`] for other columns, or too few series; whatever opening the model gives.
pub fn evaluate(request: &EvaluateRequest<'_>, _: &mut dyn FnMut(u64, u64)) -> Result<Evaluation> {
    let train::Judged::Model(folder) = request.judged else {
        let problem = "series are judged as those of a run, which knows the columns that hold them together";
        return Err(Error::config("evaluate", problem, "name the run or its model folder"));
    };
    let model = SeriesModel::open(folder, &request.device)?;
    let columns = &model.codec.columns;
    let n_steps = model.codec.frame.n_steps;
    let source = request.against.tabular()?.read_as(&columns.schema)?;
    let (real, entities) = columns.gather(&source, longest(folder))?;
    let parts = parts(&real, &entities, request.holdout)?;
    let is_own = folder.description().data.fingerprint == source.fingerprint;
    let n = real.n().clamp(DRAWN[0], DRAWN[1]);
    let ids: Vec<SampleId> = (0..n as u64).map(|index| SampleId { seed: request.seed, index }).collect();
    let samples = model.drawer().collection(&ids, None, 1.0)?;
    if let Some(target) = request.target {
        check_target(target, &real)?;
    }
    let mut notes = vec![
        "the prediction error is TimeGAN's with gradient boosting in place of a recurrent network: compare it with the real and trivial ones beside it, not with published ones"
            .to_owned(),
    ];
    if parts.held_out.n() < ENOUGH {
        notes.push(format!(
            "{} held-out series are few: samples are compared with all real ones, and real ones by halves",
            parts.held_out.n()
        ));
    }
    // Columns that are made anew, or always the same, say nothing.
    let says_nothing = |c: &&ColumnSchema| matches!(c.kind, Kind::Identifier | Kind::Constant);
    let order = columns.order.as_ref().map(|order| order.column.as_str());
    let named = columns.once.columns.iter().chain(&columns.schema.columns).filter(says_nothing).map(|c| c.name.as_str());
    let left_out: Vec<&str> = named.filter(|name| Some(*name) != order).collect();
    let judged = Judged { request, parts: &parts, samples: &samples, left_out: &left_out, n_steps };
    let mut scores = judged.likeness()?;
    if !model.codec.frame.lengths.is_fixed() {
        scores.push(judged.lengths());
    }
    if parts.held_out.n() >= PRIVATE {
        let (given_away, leaks) = judged.given_away()?;
        scores.extend(given_away);
        notes.extend(leaks.into_iter().filter(|_| is_own));
        if !is_own {
            notes.push(
                "privacy: this is not the data that the run learned from; its parts are drawn at random, and copying goes unseen"
                    .to_owned(),
            );
        }
    } else {
        notes.push(format!("fewer than {PRIVATE} series were held out: nothing is said about privacy"));
    }
    Ok(Evaluation {
        attributes: Vec::new(),
        judgement: Judgement {
            extractor: "the series themselves".into(),
            n: samples.n(),
            choice: "boosting".into(),
            scores,
            vitals: Vitals {
                spread: 1.0,
                kinds: Vec::new(),
                real_kinds: Vec::new(),
                tolerated: 0.0,
                missing_classes: Vec::new(),
                memorised_z: 0.0,
                saturated: [0.0; 2],
                signal: None,
            },
            notes,
        },
        classes: Vec::new(),
        closest: None,
        parts: Vec::new(),
    })
}

/// Samples and what they are held against.
struct Judged<'a> {
    request: &'a EvaluateRequest<'a>,
    parts: &'a Parts,
    samples: &'a Collection,
    left_out: &'a [&'a str],
    n_steps: usize,
}

impl Judged<'_> {
    /// A figure of samples, beside that of real series and of trivial ones, where all three are known.
    fn score(metric: &str, [value, real, trivial]: [Option<Measured>; 3]) -> Option<Score> {
        let ((value, error), (real, _), (trivial, _)) = (value?, real?, trivial?);
        Some(Score { metric: metric.into(), value, error, real, trivial })
    }

    /// Whether samples are told from real series, how they hang together, and what is learned from them.
    fn likeness(&self) -> Result<Vec<Score>> {
        let Self { request, parts, samples, left_out, n_steps } = *self;
        let trivial = figures::trivial(&parts.training, request.seed);
        let pairs = [[&parts.reference, samples], [&parts.halves[0], &parts.halves[1]], [&parts.reference, &trivial]];
        let told = |pair: [&Collection; 2]| {
            let [a, b] = pair.map(|series| figures::flat(series, left_out, n_steps));
            figures::told_by_boosting([&a, &b], DRAWN[1], request.seed).map(Some)
        };
        let recurrent = |pair: [&Collection; 2]| Some(figures::discriminative(pair, left_out, request.seed));
        let hangs = |pair: [&Collection; 2]| {
            let [a, b] = pair.map(|series| figures::autocorrelations(series, n_steps));
            figures::autocorrelation_error(&a, &b).map(|error| (error, None))
        };
        let foretold = |from: &Collection| -> Result<Option<Measured>> {
            let error = figures::predictive(from, &parts.foretold, request.target, request.seed)?;
            Ok(error.map(|error| (error, None)))
        };
        let scores = [
            Self::score("discriminative", pairs.map(recurrent)),
            Self::score("boosting", [told(pairs[0])?, told(pairs[1])?, told(pairs[2])?]),
            Self::score("autocorrelation", pairs.map(hangs)),
            Self::score("prediction", [foretold(samples)?, foretold(&parts.training)?, foretold(&trivial)?]),
        ];
        Ok(scores.into_iter().flatten().collect())
    }

    /// How long series are. What is trivial is that all are equally long.
    fn lengths(&self) -> Score {
        let Self { parts, samples, .. } = self;
        Score {
            metric: "lengths".into(),
            value: figures::lengths(&parts.reference, samples),
            error: None,
            real: figures::lengths(&parts.halves[0], &parts.halves[1]),
            trivial: figures::lengths(&parts.reference, &same_length(&parts.reference)),
        }
    }

    /// What samples give away about training series, and leaks in words. What is trivial here is to hand out the training series.
    fn given_away(&self) -> Result<(Vec<Score>, Vec<String>)> {
        let Self { request, parts, samples, left_out, n_steps } = *self;
        let [train, held_out, own] = [&parts.training, &parts.held_out, samples].map(|s| figures::positions(s, left_out, n_steps));
        let found = privacy(&train, &held_out, &own, DRAWN[1], request.seed)?;
        let score = |metric: &str, figure: Against| Score {
            metric: metric.into(),
            value: figure.synthetic.value,
            error: Some(figure.synthetic.error),
            real: figure.held_out.value,
            trivial: 1.0,
        };
        let scores =
            vec![score("copies", found.copies), score("memorised", found.nearer_to_training), score("membership", found.membership.auc)];
        let leaks = found.findings.iter().filter(|finding| finding.level == Level::Leak);
        Ok((scores, leaks.map(|finding| format!("privacy, LEAK: {}", finding.text)).collect()))
    }
}

/// The setting of the run that long series were cut by.
fn longest(folder: &ModelFolder) -> usize {
    let setting = folder.description().config.get("data").and_then(|data| data.get("longest")).and_then(|v| v.as_u64());
    setting.map_or(0, |longest| longest as usize)
}

fn check_target(target: &str, real: &Collection) -> Result<()> {
    let is_number = |c: &&Column| matches!(c.values, Values::Numbers(_));
    let names: Vec<&str> = real.steps.columns.iter().filter(is_number).map(|c| c.name.as_str()).collect();
    if names.contains(&target) {
        return Ok(());
    }
    let near = crate::config::nearest(target, names.iter().copied()).map(|n| format!("did you mean {n}? ")).unwrap_or_default();
    let problem = format!("\"{target}\" is no column of numbers that changes from step to step");
    Err(Error::config("--target", problem, format!("{near}columns: {}", names.join(", "))))
}

/// Real series in parts.
struct Parts {
    training: Collection,
    held_out: Collection,
    /// What samples are compared with.
    reference: Collection,
    /// Two parts that have no series in common: the best that can be hoped for.
    halves: [Collection; 2],
    /// What is foretold after learning from the others.
    foretold: Collection,
}

fn parts(real: &Collection, entities: &[usize], holdout: f64) -> Result<Parts> {
    let Split { training, held_out } = split(entities, holdout);
    let order = DataOrder::new(0, "halves", real.n().max(1)).batch(0, real.n());
    let halves = order.split_at(real.n() / 2);
    if halves.0.len() < super::FEWEST / 2 {
        return Err(Error::data("the data", format!("{} series are too few to judge anything by", real.n()), "give more of them"));
    }
    let is_enough = held_out.len() >= ENOUGH;
    let (training, held_out) = (real.take(&training), real.take(&held_out));
    let halves = [real.take(halves.0), real.take(halves.1)];
    Ok(Parts {
        reference: if is_enough { held_out.clone() } else { real.clone() },
        foretold: if held_out.n() >= super::FEWEST { held_out.clone() } else { halves[1].clone() },
        halves: if is_enough { [training.clone(), held_out.clone()] } else { halves },
        training,
        held_out,
    })
}

/// As many series, all as long as the most frequent ones.
fn same_length(series: &Collection) -> Collection {
    let mut counts = std::collections::BTreeMap::new();
    series.lengths().into_iter().for_each(|length| *counts.entry(length).or_insert(0usize) += 1);
    let most = counts.into_iter().max_by_key(|(_, n)| *n).map_or(0, |(length, _)| length);
    Collection { first: super::collection::starts(std::iter::repeat_n(most, series.n())), ..Collection::default() }
}
