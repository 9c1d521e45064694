//! Tables of anyone's held against real ones.

use super::{TableModel, percent};
use crate::data::TableSource;
use crate::error::{Error, Result};
use crate::judge::{Judgement, Score, Split, Vitals};
use crate::table::judge::{self, Against, Figure, Foretold, Level, Settings};
use crate::table::{ColumnSchema, Constraint, Kind, Table};
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
    let model = match request.judged {
        Judged::Model(folder) => Some(TableModel::open(folder, &request.device)?),
        Judged::Samples(_) => None,
    };
    let real = match &model {
        Some(model) => request.against.tabular()?.read_as(&model.encoder.schema())?,
        None => request.against.tabular()?,
    };
    let Parts { training, held_out, seen } = parts(request, &real)?;
    if held_out.n_rows() < FEWEST {
        let problem = format!("{} held-out rows are too few to judge anything by", held_out.n_rows());
        return Err(Error::data(real.name.clone(), problem, format!("give at least {} rows", 2 * FEWEST)));
    }
    let seed = request.seed;
    let drawn = match request.judged {
        Judged::Model(_) => None,
        Judged::Samples(source) => Some(source.tabular()?.read_as(&real.schema)?.table.clone()),
    };
    let samples = match (&model, drawn) {
        (Some(model), _) => {
            let n = training.n_rows().min(DRAWN) as u64;
            model.table(&(0..n).map(|index| SampleId { seed, index }).collect::<Vec<_>>())?
        }
        (None, drawn) => drawn.unwrap_or_default(),
    };
    if let Some(target) = request.target
        && real.table.column(target).is_none()
    {
        let names: Vec<&str> = real.table.columns.iter().map(|column| column.name.as_str()).collect();
        let near = crate::config::nearest(target, names.iter().copied()).map(|n| format!("did you mean {n}? ")).unwrap_or_default();
        return Err(Error::config("--target", format!("there is no column \"{target}\""), format!("{near}columns: {}", names.join(", "))));
    }
    let mut notes = seen.notes(held_out.n_rows());
    if let Some(model) = &model {
        let (own, others) = (model.rules.shares(&samples)?, model.rules.shares(&training)?);
        let share = |(own, other): (&(Constraint, f64), &(Constraint, f64))| {
            format!("constraint {}: satisfied by {} of the samples and {} of the real rows", own.0, percent(own.1), percent(other.1))
        };
        notes.extend(own.iter().zip(&others).map(share));
    }
    // Columns that are made anew, or always the same, say nothing.
    let says_nothing = |column: &&ColumnSchema| matches!(column.kind, Kind::Identifier | Kind::Constant);
    let left_out: Vec<&str> = real.schema.columns.iter().filter(says_nothing).map(|column| column.name.as_str()).collect();
    let [training, held_out, samples] = [training, held_out, samples].map(|table| without(table, &left_out));
    let sensitive = real.schema.columns.iter().filter(|column| column.sensitive).map(|column| column.name.clone()).collect();
    let settings = Settings { target: request.target.map(str::to_owned), sensitive, seed, ..Settings::default() };
    let found = judge::judge(&training, &held_out, &samples, &settings)?;
    let mut scores = Vec::new();
    let mut put = |metric: &str, figure: &Figure| scores.extend(score(metric, figure));
    put("quality", &found.overall);
    put("column_shapes", &found.shapes);
    put("pair_trends", &found.trends);
    put("validity", &found.validity);
    put("c2st", &found.two_sample);
    notes.extend(found.notes.clone());
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
    if seen != Seen::All {
        let privacy = &found.privacy;
        // What is trivial here is to hand out the training rows.
        let given_away = |metric: &str, figure: Against| Score {
            metric: metric.into(),
            value: figure.synthetic.value,
            error: Some(figure.synthetic.error),
            real: figure.held_out.value,
            trivial: 1.0,
        };
        scores.push(given_away("copies", privacy.copies));
        scores.push(given_away("memorised", privacy.nearer_to_training));
        scores.push(given_away("membership", privacy.membership.auc));
        let is_known = seen == Seen::Known;
        let said = privacy.findings.iter().filter(|finding| is_known || finding.about != "conclusion" || finding.level != Level::Fine);
        notes.extend(said.map(|finding| format!("privacy, {}: {}", word(finding.level), finding.text)));
    }
    let columns = found.by_column.iter().filter_map(|(name, figure)| Some((name.clone(), score("quality", figure)?)));
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
        parts: Vec::new(),
    })
}

/// What is known of the rows that were learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Which they were.
    Known,
    /// Nothing: the real rows are parted at random.
    Unknown,
    /// All of them, the held-out ones too.
    All,
}

impl Seen {
    /// What a person should know before believing the figures.
    fn notes(self, n_held_out: usize) -> Vec<String> {
        let note = match self {
            Self::Known => return Vec::new(),
            Self::Unknown => format!(
                "privacy, caution: it is not known which rows the samples were learned from. {n_held_out} of the real rows, drawn at random, count as held out: if they were learned \
                 from, copying goes unseen. Name both parts with --against HELD-OUT --learned-from TRAINING"
            ),
            Self::All => "no rows were held out: halves of the real rows are compared, a copy of them would look perfect, and privacy cannot be judged".to_owned(),
        };
        vec![note]
    }
}

/// Real rows in two parts.
struct Parts {
    training: Table,
    held_out: Table,
    seen: Seen,
}

fn parts(request: &EvaluateRequest<'_>, real: &TableSource) -> Result<Parts> {
    let n = real.table.n_rows();
    let of = |split: &Split, seen| Parts { training: real.table.take(&split.training), held_out: real.table.take(&split.held_out), seen };
    let split = Split::new(n, request.holdout);
    let own = request.learned_from.map(|source| source.tabular()?.read_as(&real.schema)).transpose()?;
    let is_own = match (&own, request.judged) {
        (Some(own), _) => own.fingerprint == real.fingerprint,
        // The model's folder says what it learned from.
        (None, Judged::Model(folder)) => folder.description().data.fingerprint == real.fingerprint,
        (None, Judged::Samples(_)) => false,
    };
    let is_run = matches!(request.judged, Judged::Model(_));
    Ok(match own {
        // Rows that were not learned from are held out as a whole.
        Some(own) if !is_own => {
            let training =
                if is_run { own.table.take(&Split::new(own.table.n_rows(), request.holdout).training) } else { own.table.clone() };
            Parts { training, held_out: real.table.clone(), seen: Seen::Known }
        }
        // What somebody learned from all of is not held out by parting it here.
        Some(_) if !is_run => of(&Split::new(n, 0.5), Seen::All),
        _ if split.held_out.len() < FEWEST => of(&Split::new(n, 0.5), Seen::All),
        _ => of(&split, if is_own { Seen::Known } else { Seen::Unknown }),
    })
}

/// A table without some of its columns.
fn without(mut table: Table, names: &[&str]) -> Table {
    table.columns.retain(|column| !names.contains(&column.name.as_str()));
    table
}

fn score(metric: &str, figure: &Figure) -> Option<Score> {
    let Figure { value: Some(value), error, floor, ceiling } = *figure else { return None };
    Some(Score { metric: metric.to_owned(), value, error, real: ceiling?, trivial: floor? })
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Fine => "fine",
        Level::Caution => "caution",
        Level::Leak => "LEAK",
        Level::Limit => "limit",
    }
}
