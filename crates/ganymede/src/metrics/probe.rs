//! Linear probes: how much of the classes of pictures lies open in their features, told by a linear classifier that sees few labels.
//!
//! Alain and Bengio, "Understanding intermediate layers using linear classifier probes", ICLR 2017 workshop; with a GAN's discriminator Radford, Metz and Chintala, "Unsupervised
//! Representation Learning with Deep Convolutional Generative Adversarial Networks", ICLR 2016, section 5.

use nalgebra::DMatrix;

use super::Features;
use super::multinomial::{Multinomial, Rotated};
use crate::error::{Error, Result};
use crate::random::{self, DataOrder};

/// Weights of the penalty that are tried, for features whose rows have squared length 1 on average.
const PENALTIES: [f64; 7] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
/// Folds of the labelled part that the penalty is chosen by.
const FOLDS: usize = 5;
/// Rows whose products are taken together.
const CHUNK: usize = 512;

/// What is asked of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeSettings {
    /// Labelled rows that it learns from, as evenly over the classes as the data lets it.
    pub labels: usize,
    /// How often they are drawn.
    pub draws: usize,
    /// Seed of the draws.
    pub seed: u64,
}

/// Accuracies of a probe on rows that it did not learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Accuracy {
    /// Mean over the draws.
    pub mean: f64,
    /// Standard deviation over the draws; 0 for a single one.
    pub deviation: f64,
    /// Of each draw.
    pub draws: Vec<f64>,
}

/// Multinomial logistic regression on standardised features, learned from a few labelled rows and tested on all others. Columns are standardised by all rows, which takes no labels. The
/// weight of the L2 penalty is chosen on the labelled rows alone, by cross-validation; so is whether columns are all scaled to variance 1, or only centred.
///
/// `labels` are below `classes`, one for each row. The same settings draw the same rows for any features of them.
///
/// # Errors
/// [`Error::Config`] if there are fewer labels than classes or no rows left to test on.
pub fn probe(features: &Features, labels: &[usize], classes: usize, settings: ProbeSettings) -> Result<Accuracy> {
    let ProbeSettings { labels: n_labels, draws, seed } = settings;
    if n_labels < 2 * classes || n_labels >= labels.len() || draws == 0 {
        let problem = format!("{n_labels} labels of {} pictures in {classes} classes, drawn {draws} times, are out of range", labels.len());
        return Err(Error::config("--labels", problem, "give at least two for each class, and leave pictures to test on"));
    }
    let scalings = [Scaling::of(features, false), Scaling::of(features, true)];
    let each: Vec<f64> = (0..draws as u64)
        .map(|draw| {
            let (known, rest) = drawn(labels, classes, n_labels, (seed, draw));
            let truth: Vec<usize> = known.iter().map(|i| labels[*i]).collect();
            let mut best: Option<(f64, Probe<'_>)> = None;
            for scaling in &scalings {
                let probe = Probe::new(features, scaling, &known);
                for penalty in PENALTIES {
                    let right = probe.validated(&truth, classes, penalty);
                    // Of equally good ones the last: the largest penalty, and columns of one variance.
                    if best.as_ref().is_none_or(|(most, _)| right >= *most) {
                        best = Some((right, Probe { penalty, ..probe.clone() }));
                    }
                }
            }
            best.map_or(0.0, |(_, probe)| probe.tested(&truth, classes, (&rest, labels)))
        })
        .collect();
    let mean = each.iter().sum::<f64>() / draws as f64;
    let squares = each.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    let deviation = if draws > 1 { (squares / (draws - 1) as f64).sqrt() } else { 0.0 };
    Ok(Accuracy { mean, deviation, draws: each })
}

/// Labelled rows and all others. Classes get the same number of labels, as far as they have rows; what is left over goes to classes at random.
fn drawn(labels: &[usize], classes: usize, n: usize, (seed, draw): (u64, u64)) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    let mut rng = random::stream(seed, "probe", draw);
    for i in (1..order.len()).rev() {
        order.swap(i, random::below(i as u64 + 1, &mut rng) as usize);
    }
    let mut rank = vec![0usize; classes];
    // The first row of every class, in random order, then the second of every class, and so on.
    let mut ranked: Vec<(usize, usize)> = order
        .into_iter()
        .map(|i| {
            rank[labels[i]] += 1;
            (rank[labels[i]], i)
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut all: Vec<usize> = ranked.into_iter().map(|(_, i)| i).collect();
    let rest = all.split_off(n);
    (all, rest)
}

/// What is subtracted from columns, and what they are multiplied by so that rows have squared length 1 on average.
struct Scaling {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl Scaling {
    fn of(features: &Features, is_even: bool) -> Self {
        let (n, dim) = (features.n() as f64, features.dim());
        let (mut mean, mut variance) = (vec![0.0; dim], vec![0.0; dim]);
        features.rows().for_each(|row| mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v) / n));
        for row in features.rows() {
            variance.iter_mut().zip(row).zip(&mean).for_each(|((s, v), m)| *s += (f64::from(*v) - m).powi(2) / n);
        }
        let total = variance.iter().sum::<f64>();
        let n_varied = variance.iter().filter(|v| **v > 1e-12 * total).count().max(1) as f64;
        let scale = |v: f64| match is_even {
            _ if v <= 1e-12 * total => 0.0,
            true => (v * n_varied).sqrt().recip(),
            false => total.sqrt().recip(),
        };
        Self { scale: variance.into_iter().map(scale).collect(), mean }
    }

    /// Rows as a matrix.
    fn rows(&self, features: &Features, positions: &[usize]) -> DMatrix<f64> {
        let value = |row: &[f32], c: usize| (f64::from(row[c]) - self.mean[c]) * self.scale[c];
        DMatrix::from_row_iterator(
            positions.len(),
            features.dim(),
            positions.iter().flat_map(|i| (0..features.dim()).map(move |c| value(features.row(*i), c))),
        )
    }
}

/// Features with some labelled rows.
#[derive(Clone)]
struct Probe<'a> {
    features: &'a Features,
    scaling: &'a Scaling,
    known: std::rc::Rc<(DMatrix<f64>, Rotated)>,
    penalty: f64,
}

impl<'a> Probe<'a> {
    fn new(features: &'a Features, scaling: &'a Scaling, known: &[usize]) -> Self {
        let rows = scaling.rows(features, known);
        let rotated = Rotated::new(&(&rows * rows.transpose()));
        Self { features, scaling, known: std::rc::Rc::new((rows, rotated)), penalty: 0.0 }
    }

    /// Labelled rows that are told rightly by the others, cross-validated.
    fn validated(&self, truth: &[usize], classes: usize, penalty: f64) -> f64 {
        let rows = self.known.1.rows();
        let order = DataOrder::new(0, "probe-folds", truth.len()).batch(0, truth.len());
        let fold = |fold: usize| {
            let part = |is_test: bool| order.iter().enumerate().filter(move |(i, _)| (i % FOLDS == fold) == is_test).map(|(_, row)| *row);
            let (learned, tested): (Vec<usize>, Vec<usize>) = (part(false).collect(), part(true).collect());
            let labels: Vec<usize> = learned.iter().map(|i| truth[*i]).collect();
            let found = Multinomial::fit(&rows.select_rows(&learned), &labels, classes, penalty).classes(&rows.select_rows(&tested));
            found.iter().zip(&tested).filter(|(found, i)| **found == truth[**i]).count()
        };
        (0..FOLDS).map(fold).sum::<usize>() as f64
    }

    /// Share of further rows that are told rightly.
    fn tested(&self, truth: &[usize], classes: usize, (rest, labels): (&[usize], &[usize])) -> f64 {
        let (rows, rotated) = &*self.known;
        let fitted = Multinomial::fit(rotated.rows(), truth, classes, self.penalty);
        let right = rest.chunks(CHUNK).map(|chunk| {
            let products = self.scaling.rows(self.features, chunk) * rows.transpose();
            let found = fitted.classes(&rotated.further(&products));
            found.iter().zip(chunk).filter(|(found, i)| **found == labels[**i]).count()
        });
        right.sum::<usize>() as f64 / rest.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four classes in two of `dim` columns, at a distance from each other that is large beside their spread.
    fn clusters(n: usize, dim: usize) -> (Features, Vec<usize>) {
        let labels: Vec<usize> = (0..n).map(|i| i % 4).collect();
        let mut values = random::normal(n * dim, &mut random::stream(0, "clusters", 0));
        for (row, label) in values.chunks_exact_mut(dim).zip(&labels) {
            row[0] += if label % 2 == 0 { 4.0 } else { -4.0 };
            row[1] += if *label < 2 { 4.0 } else { -4.0 };
        }
        (Features::new("clusters", values, dim).unwrap(), labels)
    }

    #[test]
    fn separate_classes_are_told_and_noise_is_not() {
        let settings = ProbeSettings { labels: 40, draws: 3, seed: 1 };
        let (features, labels) = clusters(400, 8);
        let told = probe(&features, &labels, 4, settings).unwrap();
        assert!(told.mean > 0.97 && told.draws.len() == 3, "{told:?}");
        assert_eq!(told, probe(&features, &labels, 4, settings).unwrap());
        let noise = Features::new("noise", random::normal(400 * 8, &mut random::stream(2, "noise", 0)), 8).unwrap();
        let chance = probe(&noise, &labels, 4, settings).unwrap();
        assert!((0.15..0.35).contains(&chance.mean), "{chance:?}");
    }

    #[test]
    fn labels_are_spread_over_the_classes_and_never_tested_on() {
        let labels: Vec<usize> = (0..100).map(|i| if i < 5 { 0 } else { 1 + i % 2 }).collect();
        let (known, rest) = drawn(&labels, 3, 30, (0, 0));
        let of = |class: usize| known.iter().filter(|i| labels[**i] == class).count();
        assert_eq!((known.len(), of(0), of(1).abs_diff(of(2)) <= 1), (30, 5, true));
        assert!(rest.len() == 70 && rest.iter().all(|i| !known.contains(i)));
        assert_ne!(known, drawn(&labels, 3, 30, (0, 1)).0);
    }

    #[test]
    fn what_cannot_be_probed_is_refused() {
        let (features, labels) = clusters(40, 4);
        for (n, draws) in [(7, 1), (40, 1), (20, 0)] {
            assert!(probe(&features, &labels, 4, ProbeSettings { labels: n, draws, seed: 0 }).is_err(), "{n} {draws}");
        }
    }
}
