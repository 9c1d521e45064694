//! One figure with what it is to be held against.

use serde::{Deserialize, Serialize};

/// What a figure measures and which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in logs, JSON and on the command line.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// One line about it.
    pub summary: &'static str,
    /// Whether larger is better.
    pub higher_is_better: bool,
}

/// Every figure, in the order of tables.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "quality",
        title: "quality",
        summary: "mean of column shapes and pair trends, as SDMetrics has it",
        higher_is_better: true,
    },
    Metric {
        name: "column_shapes",
        title: "column shapes",
        summary: "how well single columns agree; columns shuffled by themselves agree perfectly",
        higher_is_better: true,
    },
    Metric { name: "pair_trends", title: "pair trends", summary: "how well pairs of columns go together", higher_is_better: true },
    Metric {
        name: "validity",
        title: "validity",
        summary: "share of cells within the ranges and words of the data",
        higher_is_better: true,
    },
    Metric {
        name: "usefulness",
        title: "trained on samples",
        summary: "AUC (or share of variance) with which a model that learned from samples foretells a column of held-out rows",
        higher_is_better: true,
    },
    Metric {
        name: "discriminative",
        title: "discriminative score",
        summary: "how far above a coin's is the accuracy with which a recurrent network tells series from real ones (TimeGAN's); 0 is a coin, 0.5 the most",
        higher_is_better: false,
    },
    Metric {
        name: "boosting",
        title: "told by boosting",
        summary: "the same of gradient boosting on steps and what sums them up: stricter than the discriminative score",
        higher_is_better: false,
    },
    Metric {
        name: "autocorrelation",
        title: "autocorrelation error",
        summary: "mean difference of the autocorrelations of columns of numbers",
        higher_is_better: false,
    },
    Metric {
        name: "prediction",
        title: "prediction error",
        summary: "mean error, as a share of the range, with which a model that learned from samples foretells the next step of held-out series",
        higher_is_better: false,
    },
    Metric {
        name: "lengths",
        title: "length distance",
        summary: "total variation distance of the distributions of the lengths of series",
        higher_is_better: false,
    },
    Metric {
        name: "orphans",
        title: "orphans",
        summary: "share of the values of foreign keys that are no key of the other table",
        higher_is_better: false,
    },
    Metric {
        name: "child_counts",
        title: "child-count distance",
        summary: "total variation distance of the distributions of how many rows belong to each row",
        higher_is_better: false,
    },
    Metric {
        name: "cardinality",
        title: "cardinality",
        summary: "how well these distributions agree, as SDMetrics' CardinalityShapeSimilarity has it",
        higher_is_better: true,
    },
    Metric {
        name: "relation_trends",
        title: "inter-table trends",
        summary: "how well columns of rows that belong together go together, as SDMetrics has it",
        higher_is_better: true,
    },
    Metric {
        name: "copies",
        title: "exact copies",
        summary: "share of rows that equal a training row; real rows can equal each other",
        higher_is_better: false,
    },
    Metric {
        name: "membership",
        title: "membership AUC",
        summary: "how well somebody with the samples tells who was in the training data; 0.5 is a coin",
        higher_is_better: false,
    },
    Metric {
        name: "frechet",
        title: "Fréchet distance",
        summary: "distance between the normal distributions fitted to the features",
        higher_is_better: false,
    },
    Metric {
        name: "kernel",
        title: "kernel distance",
        summary: "squared maximum mean discrepancy of the features, unbiased",
        higher_is_better: false,
    },
    Metric {
        name: "sliced",
        title: "sliced Wasserstein",
        summary: "mean distance of projections of the features",
        higher_is_better: false,
    },
    Metric {
        name: "c2st",
        title: "two-sample AUC",
        summary: "how well a classifier tells generated from real; 0.5 is a coin",
        higher_is_better: false,
    },
    Metric {
        name: "nearest",
        title: "nearest-neighbour test",
        summary: "how often a sample's nearest other one is of its own kind; 0.5 is a coin",
        higher_is_better: false,
    },
    Metric { name: "precision", title: "precision", summary: "share of samples that look real", higher_is_better: true },
    Metric { name: "recall", title: "recall", summary: "share of the real variety that is generated", higher_is_better: true },
    Metric {
        name: "density",
        title: "density",
        summary: "precision that outliers do not raise; about 1 for real samples",
        higher_is_better: true,
    },
    Metric { name: "coverage", title: "coverage", summary: "recall that outliers do not raise", higher_is_better: true },
    Metric {
        name: "memorised",
        title: "nearer than held-out",
        summary: "how often a sample lies nearer to the training data than held-out data does; 0.5 is right, 1 is copying",
        higher_is_better: false,
    },
    Metric {
        name: "similarity",
        title: "MS-SSIM of pairs",
        summary: "how alike two samples are; real samples show how alike they should be",
        higher_is_better: false,
    },
    Metric {
        name: "agreement",
        title: "class agreement",
        summary: "share of samples that a classifier finds in the class that was asked for",
        higher_is_better: true,
    },
    Metric {
        name: "obedience",
        title: "asked and seen",
        summary: "share of what was asked, by attributes or by a held-out caption among ten, that networks see in the samples",
        higher_is_better: true,
    },
    Metric {
        name: "class_divergence",
        title: "class divergence",
        summary: "Kullback-Leibler divergence of the generated class frequencies from the real ones",
        higher_is_better: false,
    },
    Metric {
        name: "modes",
        title: "modes found",
        summary: "kinds of which at least one sample was found, where the data has known ones",
        higher_is_better: true,
    },
    Metric {
        name: "mode_divergence",
        title: "mode divergence",
        summary: "Kullback-Leibler divergence in nats of the found frequencies of the kinds from even ones",
        higher_is_better: false,
    },
    Metric {
        name: "classification",
        title: "classification accuracy",
        summary: "accuracy on held-out data of a classifier that learned from samples",
        higher_is_better: true,
    },
];

/// A figure of some samples, beside the same figure of real ones (the best that can be reached) and of something trivial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Name of the [`Metric`].
    pub metric: String,
    /// The figure.
    pub value: f64,
    /// Its standard error, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
    /// The figure of real samples that were not compared with themselves.
    pub real: f64,
    /// The figure of a trivial generator.
    pub trivial: f64,
}

impl Score {
    /// The metric of this score, if it is one of [`METRICS`].
    pub fn metric(&self) -> Option<&'static Metric> {
        METRICS.iter().find(|m| m.name == self.metric)
    }

    /// How far it came from trivial (0) to real (1); more than 1 is possible. Nothing where real samples are not clearly better than trivial ones: the figure then says only whether it is
    /// like that of real samples.
    pub fn reached(&self) -> Option<f64> {
        let way = self.real - self.trivial;
        let is_better = self.metric().is_some_and(|metric| (way > 0.0) == metric.higher_is_better);
        let is_clear = way.abs() > 0.1 * self.real.abs().max(self.trivial.abs());
        (is_better && is_clear).then(|| (self.value - self.trivial) / way)
    }
}

/// Nine digits that matter: more say nothing, and so many come back from JSON as they were, which a continued run needs to end with the same bytes.
pub(crate) fn rounded(value: f64) -> f64 {
    if value.abs() < 1e-12 { 0.0 } else { format!("{value:.8e}").parse().unwrap_or(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_lies_between_trivial_and_real() {
        let score = |value| Score { metric: "frechet".into(), value, error: None, real: 2.0, trivial: 12.0 };
        assert_eq!(score(12.0).reached(), Some(0.0));
        assert_eq!(score(7.0).reached(), Some(0.5));
        assert_eq!(score(2.0).reached(), Some(1.0));
        for (real, trivial) in [(2.0, 2.0), (2.0, 2.1), (2.0, 1.0)] {
            assert_eq!(Score { real, trivial, ..score(1.0) }.reached(), None);
        }
        assert!(!score(1.0).metric().unwrap().higher_is_better);
    }

    #[test]
    fn rounded_figures_come_back_from_json_as_they_were() {
        for i in 0..20_000 {
            let value = rounded((f64::from(i) * 0.7312).sin() * 10f64.powi(i % 25 - 11));
            let back: f64 = serde_json::from_str(&serde_json::to_string(&value).unwrap()).unwrap();
            assert_eq!(back.to_bits(), value.to_bits(), "{value:e}");
        }
    }

    #[test]
    fn names_are_given_once() {
        for (i, metric) in METRICS.iter().enumerate() {
            assert!(METRICS[..i].iter().all(|other| other.name != metric.name && other.title != metric.title));
        }
    }
}
