//! Tables of anyone's held against real ones.

use super::{TableModel, tabular};
use crate::data::TableSource;
use crate::error::{Error, Result};
use crate::judge::{Judgement, Score, Split, Vitals};
use crate::table::Table;
use crate::table::judge::{self, Figure, Foretold, Level, Settings, Shape};
use crate::train::{EvaluateRequest, Evaluation, Judged, SampleId};

/// Rows that are drawn of a model at most.
const DRAWN: usize = 50_000;
/// Held-out rows without which nothing is judged.
const FEWEST: usize = 40;

/// Judges a table: how well its columns and pairs agree with the real ones, whether a classifier tells it from real, what a classifier learns from it, and what it gives away.
///
/// # Errors
/// [`Error::Data`] if the columns are not the same, or there are too few rows; [`Error::Config`] for a target that is no column; whatever opening the model gives.
pub fn evaluate(request: &EvaluateRequest<'_>, _: &mut dyn FnMut(u64, u64)) -> Result<Evaluation> {
    let real = tabular(request.against)?;
    let (training, held_out) = match request.learned_from.map(tabular) {
        // Rows that a run did not learn from are held out as a whole.
        Some(Ok(own)) => (own.table.clone(), real.table.clone()),
        _ => {
            let split = Split::new(real.table.n_rows(), request.holdout);
            (real.table.take(&split.training), real.table.take(&split.held_out))
        }
    };
    if held_out.n_rows() < FEWEST {
        let problem = format!("{} held-out rows are too few to judge anything by", held_out.n_rows());
        return Err(Error::data(real.name.clone(), problem, format!("give at least {FEWEST}, or train with held-out rows")));
    }
    let (samples, seed) = (samples(request, real, training.n_rows())?, request.seed);
    let left_out = left_out(real);
    if let Some(target) = request.target
        && real.table.column(target).is_none()
    {
        let names: Vec<&str> = real.table.columns.iter().map(|column| column.name.as_str()).collect();
        let near = crate::config::nearest(target, names.iter().copied()).map(|n| format!("did you mean {n}? ")).unwrap_or_default();
        return Err(Error::config("--target", format!("there is no column \"{target}\""), format!("{near}columns: {}", names.join(", "))));
    }
    let settings = Settings { target: request.target.map(str::to_owned), left_out, seed, ..Settings::default() };
    let found = judge::judge(&training, &held_out, &samples, &settings)?;
    let mut scores = Vec::new();
    let mut put = |metric: &str, figure: &Figure| scores.extend(score(metric, figure));
    put("quality", &found.overall);
    put("column_shapes", &found.shapes);
    put("pair_trends", &found.trends);
    put("validity", &found.validity);
    put("c2st", &found.two_sample);
    let mut notes = found.notes.clone();
    if let Some(usefulness) = &found.usefulness {
        let figure = |of: &Foretold| match of {
            Foretold::Classes { auc, .. } => *auc,
            Foretold::Numbers { r2, .. } => *r2,
        };
        let trivial = figure(&usefulness.constant).into_iter().chain(figure(&usefulness.independent)).reduce(f64::max);
        if let (Some(value), Some(real), Some(trivial)) = (figure(&usefulness.synthetic), figure(&usefulness.real), trivial) {
            scores.push(Score { metric: "usefulness".into(), value, error: None, real, trivial });
        }
    }
    let privacy = &found.privacy;
    scores.push(Score {
        metric: "copies".into(),
        value: privacy.copies.synthetic.value,
        error: Some(privacy.copies.synthetic.error),
        real: privacy.copies.held_out.value,
        trivial: 1.0,
    });
    scores.push(Score {
        metric: "memorised".into(),
        value: privacy.nearer_to_training.synthetic.value,
        error: Some(privacy.nearer_to_training.synthetic.error),
        real: 0.5,
        trivial: 1.0,
    });
    scores.push(Score {
        metric: "membership".into(),
        value: privacy.membership.auc.synthetic.value,
        error: Some(privacy.membership.auc.synthetic.error),
        real: 0.5,
        trivial: 1.0,
    });
    let word = |level: Level| match level {
        Level::Fine => "fine",
        Level::Caution => "caution",
        Level::Leak => "LEAK",
        Level::Limit => "limit",
    };
    notes.extend(privacy.findings.iter().map(|finding| format!("privacy, {}: {}", word(finding.level), finding.text)));
    // Held-out rows of a thousand agree with the training rows in every column but for chance.
    let of_column = |shape: &Shape| {
        Some((shape.column.clone(), Score { metric: "column_shapes".into(), value: shape.score?, error: None, real: 1.0, trivial: 0.0 }))
    };
    let columns = found.columns.iter().filter_map(of_column);
    Ok(Evaluation {
        attributes: columns.collect(),
        judgement: Judgement {
            extractor: "the columns themselves".into(),
            n: samples.n_rows(),
            choice: "c2st".into(),
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
    })
}

/// The table that is judged, with the real one's columns.
fn samples(request: &EvaluateRequest<'_>, real: &TableSource, n: usize) -> Result<Table> {
    match request.judged {
        Judged::Model(folder) => {
            let model = TableModel::open(folder, &request.device)?;
            let ids: Vec<SampleId> = (0..n.min(DRAWN) as u64).map(|index| SampleId { seed: request.seed, index }).collect();
            model.table(&ids)
        }
        Judged::Samples(source) => {
            let own = tabular(source)?;
            match &own.path {
                // What the real table holds says what the cells of this one are.
                Some(path) => Ok(TableSource::open(&own.name, path, Some(&real.schema))?.table),
                None => Ok(own.table.clone()),
            }
        }
    }
}

/// Columns that are made anew and say nothing.
fn left_out(real: &TableSource) -> Vec<String> {
    let of =
        real.schema.columns.iter().filter(|column| matches!(column.kind, crate::table::Kind::Identifier | crate::table::Kind::Constant));
    of.map(|column| column.name.clone()).collect()
}

fn score(metric: &str, figure: &Figure) -> Option<Score> {
    let Figure { value: Some(value), error, floor, ceiling } = *figure else { return None };
    Some(Score { metric: metric.to_owned(), value, error, real: ceiling?, trivial: floor? })
}
