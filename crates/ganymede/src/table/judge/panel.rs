//! Every figure of a synthetic table beside its floor and its ceiling.

use serde::{Deserialize, Serialize};

use super::align::{aligned, n_rows};
use super::independent::independent;
use super::pairs::{MOST_PAIRED, Trend};
use super::privacy::Privacy;
use super::shapes::Shape;
use super::usefulness::Usefulness;
use super::{privacy, quality, two_sample, usefulness};
use super::{quality::Quality, validity::diagnostic};
use crate::error::Result;
use crate::metrics::Auc;
use crate::table::frame::Table;

/// What is judged, and with how many rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Column that a model is to foretell after learning from synthetic rows; nothing to leave usefulness out.
    pub target: Option<String>,
    /// Columns that nothing is asked about: identifiers, and what was not learned.
    pub left_out: Vec<String>,
    /// Columns of which nobody should be able to tell whose value is what.
    pub sensitive: Vec<String>,
    /// Draws rows, folds and shuffled columns.
    pub seed: u64,
    /// Rows on each side of the two-sample test at most.
    pub two_sample_rows: usize,
    /// Rows of each kind at most whose nearest rows are looked for.
    pub privacy_rows: usize,
    /// Folds of the two-sample test.
    pub folds: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { target: None, left_out: Vec::new(), sensitive: Vec::new(), seed: 0, two_sample_rows: 20_000, privacy_rows: 10_000, folds: 5 }
    }
}

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// Of the synthetic rows; nothing where it is not defined.
    pub value: Option<f64>,
    /// Its standard error, where one is known.
    pub error: Option<f64>,
    /// Of the training rows with every column shuffled by itself.
    pub floor: Option<f64>,
    /// Of real rows in the place of the synthetic ones.
    pub ceiling: Option<f64>,
}

/// How good a synthetic table is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// Training, held-out and synthetic rows.
    pub n_rows: [usize; 3],
    /// Columns that were judged.
    pub n_columns: usize,
    /// Mean of the next two: the overall score of SDMetrics 0.32.
    pub overall: Figure,
    /// Column Shapes of SDMetrics 0.32, against the training rows; the ceiling is that of the held-out rows.
    pub shapes: Figure,
    /// Column Pair Trends of SDMetrics 0.32, likewise.
    pub trends: Figure,
    /// Data Validity of SDMetrics 0.32, likewise.
    pub validity: Figure,
    /// Columns that all tables have over those that any of the training and synthetic tables has: Data Structure of SDMetrics 0.32. All of the training columns have to be there, so less than 1 says
    /// that there are more.
    pub structure: f64,
    /// Area under the curve of the two-sample test against the *held-out* rows, so that copying is not rewarded; the ceiling is that of the training rows. 0.5 is best.
    pub two_sample: Figure,
    /// Train on synthetic, test on real: if a target was given.
    pub usefulness: Option<Usefulness>,
    /// Copies, distances, membership.
    pub privacy: Privacy,
    /// Each column by itself.
    pub columns: Vec<Shape>,
    /// Each column with the others that it goes together with, by its name: [`Quality::by_column`], for columns of which the synthetic, shuffled and held-out ones have it.
    pub by_column: Vec<(String, Figure)>,
    /// Each pair of columns.
    pub pairs: Vec<Trend>,
    /// What a person should know before believing the figures.
    pub notes: Vec<String>,
}

/// Judges a synthetic table by the rows it was learned from and rows that it was not learned from.
///
/// # Errors
/// [`crate::Error::Data`] if the tables do not have the same columns, or too few rows; [`crate::Error::Config`] if a setting names a column that is not there or a number out of range.
pub fn judge(train: &Table, held_out: &Table, synthetic: &Table, settings: &Settings) -> Result<Judgement> {
    let structure = diagnostic(train, synthetic).structure;
    let named = [("training rows", train), ("held-out rows", held_out), ("synthetic rows", synthetic)];
    let tables = aligned(&named, &settings.left_out)?;
    let [train, held_out, synthetic] = [&tables[0], &tables[1], &tables[2]];
    privacy::enough([train, held_out, synthetic])?;
    let shuffled = independent(train, settings.seed);
    let [own, floor, ceiling] = [synthetic, &shuffled, held_out].map(|table| quality::of_aligned(train, table));
    let [valid, valid_floor, valid_ceiling] = [synthetic, &shuffled, held_out].map(|table| diagnostic(train, table).validity);
    let figure = |of: fn(&Quality) -> Option<f64>| Figure { value: of(&own), error: None, floor: of(&floor), ceiling: of(&ceiling) };
    let told = |table: &Table| -> Result<Auc> {
        two_sample::of_aligned([held_out, table], settings.two_sample_rows, settings.folds, settings.seed)
    };
    let (told_own, told_floor, told_ceiling) = (told(synthetic)?, told(&shuffled)?, told(train)?);
    let usefulness = match &settings.target {
        Some(target) => Some(usefulness::of_aligned([train, held_out, synthetic], target, settings.seed)?),
        None => None,
    };
    Ok(Judgement {
        n_rows: [train, held_out, synthetic].map(n_rows),
        n_columns: train.columns.len(),
        overall: figure(|q| q.overall),
        shapes: figure(|q| q.shapes),
        trends: figure(|q| q.trends),
        validity: Figure { value: valid, error: None, floor: valid_floor, ceiling: valid_ceiling },
        structure,
        two_sample: Figure {
            value: Some(told_own.value),
            error: Some(told_own.standard_error),
            floor: Some(told_floor.value),
            ceiling: Some(told_ceiling.value),
        },
        usefulness,
        privacy: privacy::of_aligned([train, held_out, synthetic], &settings.sensitive, settings.privacy_rows, settings.seed)?,
        notes: notes(&own, settings, [train, held_out, synthetic].map(n_rows)),
        by_column: by_column([&own, &floor, &ceiling]),
        columns: own.columns,
        pairs: own.pairs,
    })
}

fn by_column(qualities: [&Quality; 3]) -> Vec<(String, Figure)> {
    let [own, floor, ceiling] = qualities.map(Quality::by_column);
    let figure = |name: &str| {
        Some(Figure { value: Some(*own.get(name)?), error: None, floor: Some(*floor.get(name)?), ceiling: Some(*ceiling.get(name)?) })
    };
    let names = qualities[0].columns.iter().map(|shape| &shape.column);
    names.filter_map(|name| Some((name.clone(), figure(name)?))).collect()
}

fn notes(own: &Quality, settings: &Settings, n_rows: [usize; 3]) -> Vec<String> {
    let mut notes = Vec::new();
    let [n_train, n_held, n_own] = n_rows;
    if 2 * n_held < n_own.min(n_train) {
        notes.push(format!(
            "agreement of columns and pairs is that of {n_own} rows, that of real rows is of {n_held} held-out ones: fewer rows agree less well by chance alone"
        ));
    }
    let empty: Vec<&str> = own.columns.iter().filter(|c| c.score.is_none()).map(|c| c.column.as_str()).collect();
    if !empty.is_empty() {
        notes.push(format!(
            "{} could not be scored, because real or synthetic values are all missing; the mean leaves them out",
            empty.join(", ")
        ));
    }
    let n_lost = own.pairs.iter().filter(|pair| pair.counts && pair.score.is_none()).count();
    if n_lost > 0 {
        notes.push(format!(
            "{n_lost} pairs of columns that go together were left out of the pair trends, because a synthetic column never changes"
        ));
    }
    for column in &own.columns {
        let [real, synthetic] = column.missing;
        if (real - synthetic).abs() > 0.05 {
            let (real, synthetic) = (100.0 * real, 100.0 * synthetic);
            notes.push(format!(
                "{real:.1} % of {} is missing and {synthetic:.1} % of the synthetic column; the scores do not see it",
                column.column
            ));
        }
    }
    if own.trends.is_none() {
        notes.push("no two real columns go together closely enough for pair trends: the overall score is that of single columns".into());
    }
    if own.columns.len() > MOST_PAIRED {
        notes.push(format!("only the first {MOST_PAIRED} columns are paired"));
    }
    if !settings.left_out.is_empty() {
        notes.push(format!("{} were not judged", settings.left_out.join(", ")));
    }
    notes
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::align::tests::{categories, numbers};
    use super::super::findings::Level;
    use super::*;
    use crate::random::{normal, stream, uniform};
    use crate::table::frame::Values;

    /// Rows of people who are made up: numbers with and without spikes and gaps, words with and without order, all going together.
    pub fn people(n: usize, seed: u64) -> Table {
        let mut rng = stream(seed, "people", 0);
        let (u, z) = (uniform(n * 5, &mut rng), normal(n * 3, &mut rng));
        let (mut age, mut income, mut height, mut children) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut city, mut owner) = (Vec::new(), Vec::new());
        for (u, z) in u.chunks(5).zip(z.chunks(3)) {
            let (u, z): (Vec<f64>, Vec<f64>) = (u.iter().map(|v| f64::from(*v)).collect(), z.iter().map(|v| f64::from(*v)).collect());
            let years = (18.0 + 60.0 * u[0]).floor();
            let town = ["York", "Bath", "Ely", "Wells", "Ripon"][(u[1] * u[1] * 5.0) as usize];
            let pay = 10.0 + 0.6 * years + if town == "York" { 15.0 } else { 0.0 } + 4.0 * z[0];
            age.push(years);
            income.push(if u[2] < 0.05 { f64::NAN } else { pay });
            height.push(170.0 + 8.0 * z[1]);
            children.push(if years < 30.0 { 0.0 } else { (u[3] * 4.0).floor() });
            city.push(if u[4] < 0.03 { "" } else { town });
            owner.push(if pay + 3.0 * z[2] > 50.0 { "yes" } else { "no" });
        }
        Table {
            columns: vec![
                numbers("age", age),
                numbers("income", income),
                numbers("height", height),
                numbers("children", children),
                categories("city", &city),
                categories("owner", &owner),
            ],
        }
    }

    #[test]
    fn real_rows_reach_the_ceiling_and_shuffled_columns_the_floor() {
        let (train, held_out) = (people(1500, 1), people(1200, 2));
        let settings = Settings { target: Some("owner".into()), left_out: vec!["height".into()], ..Settings::default() };
        let real = judge(&train, &held_out, &people(1500, 3), &settings).unwrap();
        assert_eq!((real.n_rows, real.n_columns), ([1500, 1200, 1500], 5));
        assert!(real.overall.value.unwrap() > 0.95 && real.overall.floor.unwrap() < 0.9, "{:?}", real.overall);
        assert!((real.overall.value.unwrap() - real.overall.ceiling.unwrap()).abs() < 0.02);
        let told = real.two_sample;
        assert!((told.value.unwrap() - 0.5).abs() < 4.0 * told.error.unwrap() && told.floor.unwrap() > 0.85, "{told:?}");
        assert!(real.privacy.findings.iter().all(|f| f.level != Level::Leak), "{:#?}", real.privacy.findings);
        assert_eq!(real.notes, ["height were not judged"]);
        let (name, income) = &real.by_column[1];
        assert!(name == "income" && income.value > Some(0.9) && income.ceiling > Some(0.9) && income.floor < Some(0.9), "{income:?}");
        let shuffled = judge(&train, &held_out, &independent(&train, 9), &settings).unwrap();
        let near = |figure: Figure| (figure.value.unwrap() - figure.floor.unwrap()).abs() < 0.03;
        assert!(near(shuffled.overall) && near(shuffled.two_sample) && near(shuffled.trends), "{shuffled:?}");
        let again: Judgement = serde_json::from_str(&serde_json::to_string(&real).unwrap()).unwrap();
        assert_eq!(again.privacy.findings, real.privacy.findings);
    }

    #[test]
    fn a_table_that_repeats_the_training_rows_is_flagged_however_good_it_looks() {
        let (train, held_out) = (people(800, 1), people(800, 2));
        let found = judge(&train, &held_out, &train, &Settings::default()).unwrap();
        assert_eq!(found.overall.value, Some(1.0));
        assert!(found.privacy.findings.iter().any(|f| f.level == Level::Leak && f.about == "conclusion"));
        assert!(found.usefulness.is_none());
    }

    #[test]
    fn columns_that_scores_do_not_see_are_named() {
        let (train, held_out, mut broken) = (people(300, 1), people(300, 2), people(300, 3));
        for column in &mut broken.columns {
            match (&mut column.values, column.name.as_str()) {
                (Values::Numbers(age), "age") => age.fill(40.0),
                (Values::Numbers(height), "height") => height.fill(f64::NAN),
                _ => {}
            }
        }
        let notes = judge(&train, &held_out, &broken, &Settings::default()).unwrap().notes;
        assert!(notes[0].starts_with("height could not be scored") && notes[1].starts_with("1 pairs"), "{notes:?}");
        assert!(notes[2].starts_with("0.0 % of height is missing and 100.0 %"), "{notes:?}");
    }

    #[test]
    fn odd_columns_give_finite_figures() {
        let table = |seed: u64| {
            let mut table = people(60, seed);
            let names: Vec<String> = (0..60).map(|i| format!("{seed}-{i}")).collect();
            let huge = (0..60).map(|i| if i % 2 == 0 { f64::MAX } else { -f64::MAX / f64::from(i) }).collect();
            table.columns.extend([
                numbers("constant", vec![-0.0; 60]),
                numbers("empty", vec![f64::NAN; 60]),
                numbers("huge", huge),
                categories("no words", &[""; 60]),
                categories("one word", &["w"; 60]),
                categories("all different", &names.iter().map(String::as_str).collect::<Vec<_>>()),
            ]);
            table
        };
        for target in ["owner", "constant", "one word", "all different", "age"] {
            let settings = Settings { target: Some(target.into()), ..Settings::default() };
            let found = judge(&table(1), &table(2), &table(3), &settings).unwrap();
            let text = serde_json::to_string(&found).unwrap();
            // A figure that is not finite would be written as nothing, and not be read back.
            assert_eq!(serde_json::from_str::<Judgement>(&text).unwrap().privacy.n, found.privacy.n);
        }
        for target in ["empty", "no words", "huge"] {
            let settings = Settings { target: Some(target.into()), ..Settings::default() };
            assert!(judge(&table(1), &table(2), &table(3), &settings).is_err(), "{target}");
        }
        let lone = |seed: u64| Table { columns: vec![people(60, seed).columns.swap_remove(1)] };
        let found = judge(&lone(1), &lone(2), &lone(3), &Settings::default()).unwrap();
        assert_eq!(found.trends.value, None);
        assert!(found.notes.iter().any(|note| note.contains("single columns")));
    }

    #[test]
    fn wrong_settings_are_refused() {
        let table = people(200, 1);
        let refused = |settings: Settings, words: &str| {
            let error = judge(&table, &table, &table, &settings).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        refused(Settings { target: Some("shoe".into()), ..Settings::default() }, "no column `shoe`");
        refused(Settings { left_out: vec!["shoe".into()], ..Settings::default() }, "no column `shoe`");
        refused(Settings { folds: 1, ..Settings::default() }, "1 folds");
        let few = judge(&table, &people(39, 2), &table, &Settings::default()).unwrap_err().to_string();
        assert_eq!(few, "held-out rows: 39 are too few to judge anything by; give at least 40");
        refused(Settings { privacy_rows: 3, ..Settings::default() }, "3 rows say nothing");
    }
}
