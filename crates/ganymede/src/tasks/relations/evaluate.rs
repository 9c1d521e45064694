//! Databases of anyone's held against real ones.

use std::sync::Arc;

use super::family::Family;
use super::figures::{Database, Ends, FEWEST, Part, mean_scores, of_relation, says_something, sides};
use super::model::RelationsModel;
use crate::data::TablesSource;
use crate::error::{Error, Result};
use crate::judge::{Judgement, Score, Split, Vitals};
use crate::table::judge::{self, Against, Figure, Finding, Level, Settings};
use crate::train::{EvaluateRequest, Evaluation, Judged, SampleId};

/// Rows of the first table that are drawn of a model at most.
const DRAWN: usize = 20_000;

/// Judges several tables: each by itself as any table is, and what relates them.
///
/// # Errors
/// [`Error::Data`] if tables or columns are not the same, or there are too few rows; whatever opening the model gives.
pub fn evaluate(request: &EvaluateRequest<'_>, _: &mut dyn FnMut(u64, u64)) -> Result<Evaluation> {
    if request.target.is_some() {
        return Err(Error::config("--target", "columns of several tables are not foretold", "leave it out, or judge one table's file"));
    }
    let model = match request.judged {
        Judged::Model(folder) => Some(RelationsModel::open(folder, &request.device)?),
        Judged::Samples(_) => None,
    };
    let real = request.against.database()?;
    let real = match &model {
        Some(model) => Arc::new(real.read_as(&model.learned.schema)?),
        None => real,
    };
    let schema = &real.schema;
    let family = family_of(&real);
    let of_real = database(&real);
    let own = request.learned_from.map(|source| source.database()?.read_as(schema)).transpose()?;
    let of_own = own.as_ref().map(database);
    let is_run = matches!(request.judged, Judged::Model(_));
    let is_own = match (&own, request.judged) {
        (Some(own), _) => own.fingerprint == real.fingerprint,
        // The model's folder says what it learned from.
        (None, Judged::Model(folder)) => folder.description().data.fingerprint == real.fingerprint,
        (None, Judged::Samples(_)) => false,
    };
    let (training, held_out, seen) = match (&own, &of_own) {
        // Rows that were not learned from are held out as a whole.
        (Some(own), Some(of_own)) if !is_own => {
            let training =
                if is_run { part(of_own, &split(own, &family_of(own), request.holdout), |split| &split.training) } else { of_own.whole() };
            (training, of_real.whole(), Seen::Known)
        }
        // What somebody learned from all of is not held out by parting it here.
        (Some(_), _) if !is_run => (of_real.whole(), part(&of_real, &split(&real, &family, 0.0), |split| &split.held_out), Seen::All),
        _ => {
            let parted = split(&real, &family, request.holdout);
            let seen = match parted[family.first].held_out.len() {
                n if n < FEWEST => Seen::All,
                _ if is_own => Seen::Known,
                _ => Seen::Unknown,
            };
            (part(&of_real, &parted, |split| &split.training), part(&of_real, &parted, |split| &split.held_out), seen)
        }
    };
    let n_first = training.rows[family.first].len().min(DRAWN);
    let (tables, n) = match (&model, request.judged) {
        (Some(model), _) => {
            let ids: Vec<SampleId> = (0..n_first as u64).map(|index| SampleId { seed: request.seed, index }).collect();
            (model.tables(&ids)?, n_first)
        }
        (None, Judged::Samples(source)) => {
            let samples = source.database()?.read_as(schema)?;
            let tables: Vec<_> = samples.tables.iter().map(|table| table.table.clone()).collect();
            let n = tables[family.first].n_rows();
            (tables, n)
        }
        (None, Judged::Model(_)) => (Vec::new(), 0),
    };
    let drawn = Database::of(schema, tables);
    let samples = drawn.whole();
    let mut notes = seen.notes();
    let mut of_tables = Vec::new();
    for (at, table) in schema.tables.iter().enumerate() {
        let judged = of_table(at, &table.name, &real, (&training, &held_out, &samples), (request.seed, seen))?;
        notes.extend(judged.notes.into_iter().map(|note| format!("{}: {note}", table.name)));
        of_tables.push((table.name.clone(), judged.scores));
    }
    let mut relations = Vec::new();
    for (key, own) in schema.foreign_keys.iter().enumerate().filter(|(_, own)| own.table != own.refers_to) {
        let (Some(child), Some(parent)) = (schema.position(&own.table), schema.position(&own.refers_to)) else { continue };
        let scores = of_relation(Ends { schema, key, parent, child }, &training, &held_out, &samples)?;
        relations.push((format!("{own} -> {}", own.refers_to), scores));
    }
    let mut scores = mean_scores(&of_tables);
    scores.extend(mean_scores(&relations));
    Ok(Evaluation {
        judgement: Judgement {
            extractor: "the columns themselves; figures are means over tables and foreign keys".into(),
            n,
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
        parts: of_tables.into_iter().chain(relations).collect(),
        classes: Vec::new(),
        attributes: Vec::new(),
        closest: None,
    })
}

fn family_of(source: &TablesSource) -> Family {
    let n_rows: Vec<usize> = source.tables.iter().map(|table| table.table.n_rows()).collect();
    Family::of(&source.schema, &source.links, &n_rows)
}

fn database(source: &TablesSource) -> Database {
    Database { tables: source.tables.iter().map(|table| table.table.clone()).collect(), links: source.links.clone() }
}

fn split(source: &TablesSource, family: &Family, holdout: f64) -> Vec<Split> {
    let n_rows: Vec<usize> = source.tables.iter().map(|table| table.table.n_rows()).collect();
    family.split(&source.schema, &source.links, &n_rows, holdout)
}

fn part<'a>(of: &'a Database, split: &[Split], which: fn(&Split) -> &Vec<usize>) -> Part<'a> {
    Part { of, rows: split.iter().map(|split| which(split).clone()).collect() }
}

/// What is known of the rows that were learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Which they were.
    Known,
    /// Nothing: the real rows are parted at random.
    Unknown,
    /// All of them.
    All,
}

impl Seen {
    /// What a person should know before believing the figures.
    fn notes(self) -> Vec<String> {
        let note = match self {
            Self::Known => return Vec::new(),
            Self::Unknown => {
                "privacy, caution: it is not known which rows the samples were learned from: if those that count as held out were, copying goes unseen. Name both parts with --against HELD-OUT \
                 --learned-from TRAINING"
            }
            Self::All => {
                "no rows were held out: halves of the real rows are compared, a copy of them would look perfect, and privacy cannot be judged"
            }
        };
        vec![note.to_owned()]
    }
}

/// What was found of one table.
#[derive(Default)]
struct OfTable {
    scores: Vec<Score>,
    notes: Vec<String>,
}

/// A table by itself.
fn of_table(
    at: usize,
    name: &str,
    real: &TablesSource,
    (training, held_out, samples): (&Part<'_>, &Part<'_>, &Part<'_>),
    (seed, seen): (u64, Seen),
) -> Result<OfTable> {
    let is_parted = held_out.rows[at].len() >= FEWEST;
    let [reference, others] = sides(training, held_out, at);
    let [reference, others, own] = [&reference, &others, samples].map(|part| says_something(&real.schema, at, part.table(at)));
    if reference.columns.is_empty() {
        return Ok(OfTable { notes: vec!["has no columns of its own".to_owned()], ..OfTable::default() });
    }
    if let Some(n) = [&reference, &others, &own].iter().map(|table| table.n_rows()).find(|n| *n < FEWEST / 2) {
        return Ok(OfTable { notes: vec![format!("{n} rows are too few to judge it by itself")], ..OfTable::default() });
    }
    let found = judge::judge(&reference, &others, &own, &Settings { seed, ..Settings::default() }).map_err(|error| match error {
        Error::Data { path, problem, remedy } => Error::Data { path, problem: format!("{name}: {problem}"), remedy },
        other => other,
    })?;
    let mut scores = Vec::new();
    let mut put = |metric: &str, figure: &Figure| {
        let Figure { value: Some(value), error, floor: Some(trivial), ceiling: Some(real) } = *figure else { return };
        scores.push(Score { metric: metric.to_owned(), value, error, real, trivial });
    };
    put("quality", &found.overall);
    put("column_shapes", &found.shapes);
    put("pair_trends", &found.trends);
    put("validity", &found.validity);
    put("c2st", &found.two_sample);
    let mut notes = found.notes;
    if !is_parted {
        notes.push("too few of its rows are held out: halves of it are compared, and privacy is not judged".to_owned());
    } else if seen != Seen::All {
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
        let is_serious = |finding: &&Finding| finding.level == Level::Leak;
        notes.extend(privacy.findings.iter().filter(is_serious).map(|finding| format!("privacy, LEAK: {}", finding.text)));
    }
    Ok(OfTable { scores, notes })
}
