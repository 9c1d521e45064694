//! What a discriminator learned about classes that nobody told it.

use std::collections::BTreeSet;

use crate::data::Source;
use crate::error::{Error, Result};
use crate::metrics::{Accuracy, Features, ProbeSettings, probe};
use crate::train::{FeatureRows, Model};

/// Samples that a probe learns from and is tested on, at most, unless it learns from so many.
const MOST: usize = 10_000;

/// A probe of one kind of features.
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    /// What the features are of, in words.
    pub what: &'static str,
    /// Numbers of a feature vector.
    pub dim: usize,
    /// How well classes are told.
    pub accuracy: Accuracy,
}

/// How a discriminator was probed.
#[derive(Debug, Clone, PartialEq)]
pub struct Probes {
    /// Classes told apart.
    pub classes: Vec<String>,
    /// Samples that each probe was tested on.
    pub n_tested: usize,
    /// The discriminator's features first, then what they are held against.
    pub probed: Vec<Probed>,
}

/// Probes the features that a model's discriminator has of labelled samples, and beside them those of the same network with random weights and the samples themselves: the same linear
/// classifier, learned from the same few labels.
///
/// # Errors
/// [`Error::Data`] if the samples have no classes; [`Error::Config`] for numbers of labels that are out of range; [`Error::Run`] if the model holds no discriminator.
pub fn probe_discriminator(model: &dyn Model, source: &Source, settings: ProbeSettings) -> Result<Probes> {
    let mut views = model.views(source, MOST.max(settings.labels.saturating_mul(2)))?;
    let Some((_, first)) = views.first() else { return Err(no_classes(source)) };
    let classes: Vec<String> = first.labels.iter().flatten().collect::<BTreeSet<_>>().into_iter().cloned().collect();
    if classes.len() < 2 {
        return Err(no_classes(source));
    }
    let of = |label: &Option<String>| label.as_ref().and_then(|label| classes.binary_search(label).ok());
    let labels: Vec<usize> = first.labels.iter().filter_map(of).collect();
    let mut probed = Vec::with_capacity(views.len());
    for (what, rows) in views.drain(..) {
        let dim = rows.dim;
        let features = labelled(rows)?;
        probed.push(Probed { what, dim, accuracy: probe(&features, &labels, classes.len(), settings)? });
    }
    Ok(Probes { n_tested: labels.len() - settings.labels, classes, probed })
}

fn no_classes(source: &Source) -> Error {
    Error::data(
        source.name(),
        "has no classes that a probe could be tested by",
        "give pictures in a folder for each class, or with labels.csv",
    )
}

/// The rows that have a class.
fn labelled(rows: FeatureRows) -> Result<Features> {
    let FeatureRows { labels, values, dim, .. } = rows;
    let kept = if labels.iter().all(Option::is_some) {
        values
    } else {
        values.chunks_exact(dim).zip(&labels).filter(|(_, label)| label.is_some()).flat_map(|(row, _)| row.to_vec()).collect()
    };
    Features::new("labelled samples", kept, dim)
}
