//! Real samples that generated ones are held against.

use serde::{Deserialize, Serialize};

use super::{Kinds, Score, rounded};
use crate::error::{Error, Result};
use crate::metrics::{
    Features, Pair, frechet, kernel_distance, memorisation, modes, nearest_neighbour, neighbourhoods, sliced_wasserstein, two_sample_test,
};
use crate::random::DataOrder;

/// Held-out samples that are enough to be one side of a comparison.
const FEWEST_HELD_OUT: usize = 100;
/// Samples on each side of a comparison at least: fewer have no neighbourhoods worth the name.
const FEWEST: usize = 20;
/// Neighbours of precision, recall, density and coverage (Naeem et al. 2020).
const NEIGHBOURS: usize = 5;
/// Folds of the two-sample test.
const FOLDS: usize = 5;
/// Directions of the sliced Wasserstein distance.
const DIRECTIONS: usize = 128;
/// Kinds of samples at most.
const KINDS: usize = 20;
/// Real samples of a kind at least, on average, among as many as are generated for a look.
const OF_A_KIND: usize = 25;

/// What a [`Panel`] is made of.
#[derive(Debug, Clone)]
pub struct Real {
    /// What the features are, in words.
    pub extractor: String,
    /// The metric that checkpoints are chosen by.
    pub choice: &'static str,
    /// Training samples.
    pub training: Features,
    /// Samples that were never learned from, if there are any.
    pub held_out: Option<Features>,
    /// Samples of a trivial generator, at least as many as [`Panel::n`].
    pub trivial: Features,
    /// Samples that there will be to judge, at most.
    pub most: usize,
    /// For labelled data, how often each class occurs, and how well the classifier knows it.
    pub classes: Option<RealClasses>,
    /// Share of values of real samples at either end of their range.
    pub saturated: f64,
    /// Share of the kinds of samples that a healthy generator may leave out: features see some kinds better than others.
    pub tolerated: f64,
}

/// Classes of real samples.
#[derive(Debug, Clone, PartialEq)]
pub struct RealClasses {
    /// Share of each, adding up to 1.
    pub shares: Vec<f64>,
    /// Share of held-out samples that the classifier finds in their own class.
    pub accuracy: f64,
}

/// Fresh samples of a generator.
#[derive(Debug, Clone)]
pub struct Look {
    /// As feature vectors, at least [`Panel::n`] of them.
    pub features: Features,
    /// What a classifier says to them, where the data has classes.
    pub classes: Option<LookClasses>,
    /// Share of their values at either end of the range.
    pub saturated: f64,
    /// What the discriminator says.
    pub signal: Option<Signal>,
    /// A figure that is not found in features, with its standard error, for a panel that [chooses by it](Panel::choose_by).
    pub own: Option<(f64, f64)>,
}

impl Look {
    /// Without what a classifier says.
    pub fn without_classes(self) -> Self {
        Self { classes: None, ..self }
    }
}

/// What a classifier says to samples. Those of a generator of classes were asked for with the frequencies of the data.
#[derive(Debug, Clone, PartialEq)]
pub struct LookClasses {
    /// How many it finds in each class.
    pub found: Vec<u64>,
    /// Share that it finds in the class asked for, where one was.
    pub agreement: Option<f64>,
}

/// Mean logits of the discriminator.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Of training samples.
    pub training: f64,
    /// Of held-out samples.
    pub held_out: f64,
    /// Of generated samples.
    pub generated: f64,
}

impl Signal {
    /// How far held-out samples have gone from training ones (0) to generated ones (1) in the discriminator's eyes: the overfitting signal of Karras et al., "Training Generative
    /// Adversarial Networks with Limited Data", NeurIPS 2020, equation 1. Nothing where it does not tell training samples from generated ones.
    pub fn overfitting(&self) -> Option<f64> {
        let range = self.training - self.generated;
        (range > 1e-6).then(|| (self.training - self.held_out) / range)
    }
}

/// What was found in a look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// What the features are, in words.
    pub extractor: String,
    /// Samples on each side.
    pub n: usize,
    /// Name of the metric that generators are chosen by.
    pub choice: String,
    /// Every figure beside its real and its trivial one.
    pub scores: Vec<Score>,
    /// What health is judged by.
    pub vitals: Vitals,
    /// What a person should know before believing the figures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Judgement {
    /// The score of that metric.
    pub fn score(&self, metric: &str) -> Option<&Score> {
        self.scores.iter().find(|score| score.metric == metric)
    }
}

/// Signs of health that are no scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vitals {
    /// Variance of the generated features over that of the real ones: 0 for a generator that draws one sample again and again.
    pub spread: f64,
    /// Share of samples of each kind, generated.
    pub kinds: Vec<f64>,
    /// Share of samples of each kind, real.
    pub real_kinds: Vec<f64>,
    /// Share of the kinds that a healthy generator may leave out.
    #[serde(default)]
    pub tolerated: f64,
    /// Classes of which nothing was generated although at least [`EXPECTED`] samples were to be.
    pub missing_classes: Vec<usize>,
    /// Standard score of `memorised` against 1/2.
    pub memorised_z: f64,
    /// Share of generated values at either end of the range, and of real ones.
    pub saturated: [f64; 2],
    /// What the discriminator says.
    pub signal: Option<Signal>,
}

/// Samples that must have been expected before their absence means something: none of 10 has a chance of 5e-5.
pub const EXPECTED: f64 = 10.0;

impl Vitals {
    /// Kinds of which hardly anything is generated: less than a tenth of at least [`EXPECTED`] samples.
    pub fn missing_kinds(&self, n: usize) -> usize {
        let is_missing = |(own, real): (&f64, &f64)| real * n as f64 >= EXPECTED && *own < real / 10.0;
        self.kinds.iter().zip(&self.real_kinds).filter(|pair| is_missing(*pair)).count()
    }
}

/// Holds samples against real ones.
#[derive(Debug, Clone)]
pub struct Panel {
    real: Real,
    n: usize,
    reference: Features,
    /// Figures of real samples and of trivial ones, by metric.
    bounds: Vec<(&'static str, f64, f64)>,
    /// The metric whose figure looks bring with them.
    own: Option<&'static str>,
    kinds: Kinds,
    notes: Vec<String>,
}

/// A figure, and its standard error where one is known.
type Figure = (&'static str, f64, Option<f64>);

impl Panel {
    /// Samples on each side of a comparison at most.
    pub const MOST: usize = 1000;

    /// Whether so many training samples are enough to judge anything by.
    pub fn is_enough(n_training: usize) -> bool {
        n_training >= 2 * FEWEST
    }

    /// Where at least 100 samples are held out, everything is compared with them, and the best possible figures are those of training samples. With fewer, one half of the training
    /// samples is compared with, and the other half is the best possible.
    ///
    /// # Errors
    /// [`Error::Data`] if there are too few samples to compare anything.
    pub fn new(real: Real) -> Result<Self> {
        let shuffled = |n: usize, purpose: &'static str| DataOrder::new(0, purpose, n).batch(0, n);
        let training = shuffled(real.training.n(), "panel");
        let held_out = real.held_out.as_ref().filter(|h| h.n() >= FEWEST_HELD_OUT);
        let (n, reference, best) = match held_out {
            Some(held_out) => {
                let n = held_out.n().min(real.most).min(Self::MOST).min(training.len());
                (n, held_out.chosen(&shuffled(held_out.n(), "panel")[..n]), real.training.chosen(&training[..n]))
            }
            None => {
                let n = (training.len() / 2).min(real.most).min(Self::MOST);
                (n, real.training.chosen(&training[..n]), real.training.chosen(&training[training.len() - n..]))
            }
        };
        if n < FEWEST {
            let problem = format!("{} real and {} generated ones are too few to judge anything by", training.len(), real.most);
            let remedy = format!("give at least {} real and {FEWEST} generated samples", 2 * FEWEST);
            return Err(Error::data("samples", problem, remedy));
        }
        let trivial = first(&real.trivial, n, "trivial samples")?;
        let mut notes = Vec::new();
        if n <= reference.dim() {
            let dim = reference.dim();
            notes.push(format!(
                "{n} samples are too few for a Fréchet distance of {dim} features: it is too large, for real samples as well"
            ));
        }
        let of_best = figures(&reference, &best)?;
        let of_trivial = figures(&reference, &trivial)?;
        let mut bounds: Vec<_> = of_best.iter().zip(&of_trivial).map(|(b, t)| (b.0, b.1, t.1)).collect();
        bounds.push(("memorised", 0.5, memorisation(&real.training, held_out, &trivial)?.nearer));
        if let Some(RealClasses { shares, accuracy }) = &real.classes {
            // A generator that ignores what was asked for agrees by chance.
            bounds.push(("agreement", *accuracy, shares.iter().map(|p| p * p).sum()));
            // And one that knows a single class has the divergence of its share.
            let most = shares.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
            bounds.push(("class_divergence", 0.0, -most.ln()));
        }
        let kinds = Kinds::find(&real.training, (n / OF_A_KIND).clamp(1, KINDS));
        Ok(Self { real, n, reference, bounds, own: None, kinds, notes })
    }

    /// Looks will bring a figure of this metric with them, in the place of the one of features if that is the same metric, and generators are chosen by it. The figure of real samples is `real`, that of a
    /// trivial generator `trivial`.
    pub fn choose_by(&mut self, metric: &'static str, real: f64, trivial: f64) {
        self.bounds.retain(|(name, _, _)| *name != metric);
        self.bounds.push((metric, real, trivial));
        (self.own, self.real.choice) = (Some(metric), metric);
    }

    /// Samples that a look needs.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Classes of the real samples, where they have any.
    pub fn classes(&self) -> Option<&RealClasses> {
        self.real.classes.as_ref()
    }

    /// The training sample nearest to each of the samples that are judged, nearest pair first.
    ///
    /// # Errors
    /// As [`Panel::judge`].
    pub fn pairs(&self, look: &Look) -> Result<Vec<Pair>> {
        Ok(memorisation(&self.real.training, self.held_out(), &first(&look.features, self.n, "generated samples")?)?.pairs)
    }

    /// Held-out samples, if there are enough.
    fn held_out(&self) -> Option<&Features> {
        self.real.held_out.as_ref().filter(|held_out| held_out.n() >= FEWEST_HELD_OUT)
    }

    /// Judges fresh samples.
    ///
    /// # Errors
    /// [`Error::Data`] if there are fewer than [`Panel::n`], or their features are of another extractor.
    pub fn judge(&self, look: &Look) -> Result<Judgement> {
        let generated = first(&look.features, self.n, "generated samples")?;
        let mut found = figures(&self.reference, &generated)?;
        if let Some(metric) = self.own {
            found.retain(|(name, _, _)| *name != metric);
            found.extend(look.own.map(|(value, error)| (metric, value, Some(error))));
        }
        let copied = memorisation(&self.real.training, self.held_out(), &generated)?;
        found.push(("memorised", copied.nearer, None));
        let mut missing_classes = Vec::new();
        if let (Some(look), Some(real)) = (&look.classes, &self.real.classes) {
            let total: u64 = look.found.iter().sum();
            let expected: Vec<u64> = real.shares.iter().map(|p| (p * 1e6).round() as u64).collect();
            // A class of which nothing is real cannot be asked for.
            let known: Vec<u64> = look.found.iter().zip(&expected).map(|(f, e)| if *e == 0 { 0 } else { *f }).collect();
            found.extend(look.agreement.map(|agreement| ("agreement", agreement, None)));
            found.push(("class_divergence", modes(&expected, &known)?.divergence, None));
            let is_missing = |(f, p): (&u64, &f64)| *f == 0 && p * total as f64 >= EXPECTED;
            missing_classes =
                look.found.iter().zip(&real.shares).enumerate().filter(|(_, pair)| is_missing(*pair)).map(|(c, _)| c).collect();
        }
        let scores = found.into_iter().filter_map(|(metric, value, error)| {
            let (_, real, trivial) = *self.bounds.iter().find(|(name, _, _)| *name == metric)?;
            // A log cannot hold what is not a finite number.
            let error = error.filter(|e: &f64| e.is_finite()).map(rounded);
            let [value, real, trivial] = [value, real, trivial].map(rounded);
            [value, real, trivial].iter().all(|v| v.is_finite()).then(|| Score { metric: metric.to_owned(), value, error, real, trivial })
        });
        Ok(Judgement {
            extractor: self.real.extractor.clone(),
            n: self.n,
            choice: self.real.choice.to_owned(),
            scores: scores.collect(),
            vitals: Vitals {
                spread: rounded((generated.variance() / self.reference.variance().max(1e-12)).min(1e12)),
                kinds: self.kinds.shares(&generated).into_iter().map(rounded).collect(),
                real_kinds: self.kinds.real.iter().copied().map(rounded).collect(),
                tolerated: self.real.tolerated,
                missing_classes,
                memorised_z: rounded(copied.z),
                saturated: [look.saturated, self.real.saturated].map(rounded),
                signal: look.signal.map(|s| Signal {
                    training: rounded(s.training),
                    held_out: rounded(s.held_out),
                    generated: rounded(s.generated),
                }),
            },
            notes: self.notes.clone(),
        })
    }
}

/// The first `n` vectors.
fn first(of: &Features, n: usize, what: &str) -> Result<Features> {
    if of.n() < n {
        return Err(Error::data(what, format!("{} are fewer than the {n} that are compared", of.n()), format!("give at least {n}")));
    }
    Ok(of.chosen(&(0..n).collect::<Vec<_>>()))
}

fn figures(reference: &Features, other: &Features) -> Result<Vec<Figure>> {
    let kernel = kernel_distance(reference, other)?;
    let around = neighbourhoods(reference, other, NEIGHBOURS)?;
    let told = two_sample_test(reference, other, FOLDS, 0)?;
    let nearest = nearest_neighbour(reference, other)?;
    Ok(vec![
        ("frechet", frechet(reference, other)?.distance, None),
        ("kernel", kernel.distance, kernel.standard_error),
        ("sliced", sliced_wasserstein(reference, other, DIRECTIONS, 0)?, None),
        ("c2st", told.value, Some(told.standard_error)),
        ("nearest", nearest.share, Some(nearest.standard_error)),
        ("precision", around.precision, None),
        ("recall", around.recall, None),
        ("density", around.density, None),
        ("coverage", around.coverage, None),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    fn normal(n: usize, purpose: &str, scale: f32) -> Features {
        let values = random::normal(n * 4, &mut random::stream(0, purpose, 0)).into_iter().map(|v| v * scale).collect();
        Features::new(purpose, values, 4).unwrap()
    }

    fn real() -> Real {
        Real {
            extractor: "the numbers themselves".into(),
            choice: "frechet",
            training: normal(1000, "training", 1.0),
            held_out: Some(normal(300, "held-out", 1.0)),
            trivial: normal(500, "trivial", 4.0),
            most: usize::MAX,
            classes: Some(RealClasses { shares: vec![0.5, 0.5], accuracy: 0.9 }),
            saturated: 0.0,
            tolerated: 0.2,
        }
    }

    fn look(features: Features) -> Look {
        Look { features, classes: Some(LookClasses { found: vec![300, 0], agreement: Some(0.5) }), saturated: 0.0, signal: None, own: None }
    }

    #[test]
    fn every_figure_stands_between_trivial_and_real() {
        let panel = Panel::new(real()).unwrap();
        let judged = panel.judge(&look(normal(300, "generated", 1.0))).unwrap();
        assert_eq!((judged.n, judged.scores.len()), (300, 12));
        for metric in ["frechet", "kernel", "sliced", "precision", "density", "coverage"] {
            let reached = judged.score(metric).unwrap().reached().unwrap();
            assert!(reached > 0.9, "{metric}: {:?}", judged.score(metric));
        }
        let told = judged.score("c2st").unwrap();
        assert!((told.value - 0.5).abs() < 4.0 * told.error.unwrap());
        assert!((judged.vitals.spread - 1.0).abs() < 0.2);
        assert_eq!(judged.vitals.missing_classes, [1]);
        assert_eq!(judged.score("agreement").unwrap().reached(), Some(0.0));
        assert_eq!(judged.vitals.missing_kinds(300), 0);
    }

    #[test]
    fn a_figure_of_its_own_takes_the_place_of_that_of_features() {
        let mut panel = Panel::new(real()).unwrap();
        panel.choose_by("c2st", 0.49, 0.97);
        let own = Look { own: Some((0.61, 0.02)), ..look(normal(300, "generated", 1.0)) };
        let judged = panel.judge(&own).unwrap();
        let expected = Score { metric: "c2st".into(), value: 0.61, error: Some(0.02), real: 0.49, trivial: 0.97 };
        assert_eq!((judged.choice.as_str(), judged.scores.len(), judged.score("c2st")), ("c2st", 12, Some(&expected)));
        assert_eq!(panel.judge(&Look { own: None, ..own }).unwrap().score("c2st"), None);
    }

    #[test]
    fn a_collapsed_generator_has_no_spread_and_misses_kinds() {
        let panel = Panel::new(real()).unwrap();
        let one: Vec<f32> = (0..300).flat_map(|i| [1.0, 1.0, 1.0, 1.0 + 1e-3 * i as f32]).collect();
        let judged = panel.judge(&look(Features::new("one", one, 4).unwrap())).unwrap();
        assert!(judged.vitals.spread < 0.05 && judged.vitals.missing_kinds(300) > 6, "{:?}", judged.vitals);
        assert!(judged.score("recall").unwrap().value < 0.05);
    }

    #[test]
    fn with_few_held_out_samples_the_training_samples_are_halved_and_copies_still_told() {
        let few = |held_out: Option<Features>| {
            let panel = Panel::new(Real { held_out, ..real() }).unwrap();
            let own = panel.judge(&look(normal(500, "generated", 1.0))).unwrap();
            let copies = panel.judge(&look(panel.real.training.clone())).unwrap();
            assert!(own.vitals.memorised_z.abs() < 4.0 && copies.vitals.memorised_z > 10.0);
            assert!(copies.score("memorised").unwrap().value > 0.9);
            own
        };
        let (some, none) = (few(Some(normal(6, "held-out", 1.0))), few(None));
        assert_eq!((some.n, none.n), (500, 500));
    }

    #[test]
    fn too_few_samples_are_refused() {
        let refused = Panel::new(Real { training: normal(30, "few", 1.0), held_out: None, ..real() });
        assert!(refused.unwrap_err().to_string().contains("30 real and"));
        let panel = Panel::new(real()).unwrap();
        assert!(panel.judge(&look(normal(299, "generated", 1.0))).unwrap_err().to_string().contains("299 are fewer than the 300"));
    }

    #[test]
    fn the_overfitting_signal_runs_from_training_to_generated() {
        let at = |held_out| Signal { training: 2.0, held_out, generated: -2.0 }.overfitting();
        assert_eq!((at(2.0), at(0.0), at(-2.0)), (Some(0.0), Some(0.5), Some(1.0)));
        assert_eq!(Signal { training: 0.0, held_out: 0.0, generated: 1.0 }.overfitting(), None);
    }
}
