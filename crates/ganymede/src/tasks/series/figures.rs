//! How like real series generated ones are.

use super::collection::Collection;
use crate::error::Result;
use crate::metrics::{Sequences, discriminative_score};
use crate::random::{self, DataOrder};
use crate::table::judge::{Answer, Boost, BoostSettings};
use crate::table::{Column, Table, Values};

/// Columns of a flattened series at most, beside what sums it up.
const FLAT: usize = 240;
/// Steps that a recurrent network looks at, at most.
const LONGEST: usize = 200;
/// Words of a column that it knows, at most.
const WORDS: usize = 8;
/// Recurrent networks whose mean is taken.
const NETWORKS: usize = 3;
/// Parts of a cross-validation.
const FOLDS: usize = 5;
/// Steps that the next one is foretold by.
const MEMORY: usize = 3;
/// Windows that are learned from at most.
const WINDOWS: usize = 20_000;
/// Columns that are foretold at most.
const TARGETS: usize = 4;
/// Lags of autocorrelations at most.
const LAGS: usize = 40;

/// A number and its standard error.
pub type Measured = (f64, Option<f64>);

/// One row for each series: attributes without those `left_out`, how long it is, its steps (so many that they are not too many, at even distances; missing past the end), and of every number mean, deviation,
/// least, greatest, and mean size of the difference of neighbours.
pub fn flat(series: &Collection, left_out: &[&str], n_steps: usize) -> Table {
    let mut columns = positions(series, left_out, n_steps).columns;
    for column in &series.steps.columns {
        let Values::Numbers(numbers) = &column.values else { continue };
        for (what, of) in SUMS {
            let values = (0..series.n()).map(|i| of(&numbers[series.range(i)])).collect();
            columns.push(Column { name: format!("{what} of {}", column.name), values: Values::Numbers(values) });
        }
    }
    Table { columns }
}

/// What a column of numbers of one series is summed up by.
type Sum = fn(&[f64]) -> f64;

const SUMS: [(&str, Sum); 5] = [
    ("mean", |v| mean(v.iter().copied())),
    ("deviation", |v| {
        let middle = mean(v.iter().copied());
        mean(v.iter().map(|v| (v - middle).powi(2))).sqrt()
    }),
    ("least", |v| v.iter().copied().fold(f64::NAN, f64::min)),
    ("greatest", |v| v.iter().copied().fold(f64::NAN, f64::max)),
    ("movement", |v| mean(v.windows(2).map(|w| (w[1] - w[0]).abs()))),
];

/// Of what is not missing; missing where there is nothing.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.filter(|v| !v.is_nan()).fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
    sum / n
}

/// Attributes, length and steps of [`flat`].
pub fn positions(series: &Collection, left_out: &[&str], n_steps: usize) -> Table {
    let kept = series.attributes.columns.iter().filter(|column| !left_out.contains(&column.name.as_str()));
    let mut columns: Vec<Column> = kept.cloned().collect();
    columns.push(Column { name: "number of steps".into(), values: Values::Numbers(series.lengths().iter().map(|n| *n as f64).collect()) });
    let n_places = (FLAT / series.steps.columns.len().max(1)).clamp(1, n_steps.max(1));
    for column in series.steps.columns.iter().filter(|column| !left_out.contains(&column.name.as_str())) {
        for i in 0..n_places {
            let step = if n_places > 1 { i * (n_steps - 1) / (n_places - 1) } else { 0 };
            let places = (0..series.n()).map(|s| if step < series.range(s).len() { series.first[s] + step } else { usize::MAX });
            let values = column.values.take(&places.collect::<Vec<_>>());
            columns.push(Column { name: format!("{} at {step}", column.name), values });
        }
    }
    Table { columns }
}

/// `|0.5 - accuracy|` of gradient boosting that tells the rows of two tables apart, in rows that it did not learn from, in five folds; as many rows of each, at most `most`.
///
/// # Errors
/// As [`Boost::fit`].
pub fn told_by_boosting([real, other]: [&Table; 2], most: usize, seed: u64) -> Result<Measured> {
    let n = real.n_rows().min(other.n_rows()).min(most);
    let drawn = |table: &Table, purpose: &'static str| table.take(&DataOrder::new(seed, purpose, table.n_rows()).batch(0, n));
    let all = Table::joined(vec![drawn(real, "discriminative-real"), drawn(other, "discriminative-other")]);
    let codes: Vec<u32> = (0..2 * n).map(|i| u32::from(i >= n)).collect();
    let mut n_right = 0;
    for fold in 0..FOLDS {
        let (test, train): (Vec<usize>, Vec<usize>) = (0..2 * n).partition(|i| i % n % FOLDS == fold);
        let answers: Vec<u32> = train.iter().map(|i| codes[*i]).collect();
        let boost =
            Boost::fit(&all.take(&train), &Answer::Classes { codes: &answers, n: 2 }, &BoostSettings { seed, ..BoostSettings::default() })?;
        let found = boost.predict(&all.take(&test));
        n_right += found.iter().zip(&test).filter(|(p, i)| u32::from(p[1] > 0.5) == codes[**i]).count();
    }
    let accuracy = n_right as f64 / (2 * n) as f64;
    Ok(((accuracy - 0.5).abs(), Some((accuracy * (1.0 - accuracy) / (2 * n) as f64).sqrt())))
}

/// The discriminative score of TimeGAN on the steps of two collections (see [`discriminative_score`]), of series with [`LONGEST`] steps at most, as [`sequences`].
pub fn discriminative([real, other]: [&Collection; 2], left_out: &[&str], seed: u64) -> Measured {
    let [real, other] = [real, other].map(|series| sequences(real, series, left_out));
    let (score, error) = discriminative_score([&real, &other], NETWORKS, seed);
    (score, Some(error))
}

/// The first steps of series as vectors: numbers from 0 to 1 over their range in the real ones, missing ones as 0.5 with a number beside them that says so, and one number for each of the most frequent words.
fn sequences(real: &Collection, series: &Collection, left_out: &[&str]) -> Sequences {
    let lengths: Vec<usize> = series.lengths().into_iter().map(|length| length.min(LONGEST)).collect();
    let rows: Vec<usize> = (0..series.n()).flat_map(|i| series.range(i).take(LONGEST)).collect();
    let mut columns: Vec<Vec<f64>> = Vec::new();
    for column in real.steps.columns.iter().filter(|column| !left_out.contains(&column.name.as_str())) {
        let Some(own) = series.steps.column(&column.name) else { continue };
        match (&column.values, &own.values) {
            (Values::Numbers(all), Values::Numbers(own)) => {
                let present = || all.iter().copied().filter(|v| !v.is_nan());
                let (low, high) = (present().fold(f64::INFINITY, f64::min), present().fold(f64::NEG_INFINITY, f64::max));
                let unit = if high > low { (high - low).recip() } else { 0.0 };
                columns.push(rows.iter().map(|row| own[*row]).map(|v| if v.is_nan() { 0.5 } else { (v - low) * unit }).collect());
                if all.iter().any(|v| v.is_nan()) {
                    columns.push(rows.iter().map(|row| f64::from(u8::from(own[*row].is_nan()))).collect());
                }
            }
            (all, own) => {
                for word in frequent(all) {
                    columns.push(rows.iter().map(|row| f64::from(u8::from(own.word(*row) == Some(word)))).collect());
                }
            }
        }
    }
    if columns.is_empty() {
        columns.push(vec![0.0; rows.len()]);
    }
    let values = (0..rows.len()).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
    Sequences { width: columns.len(), values, first: super::collection::starts(lengths) }
}

/// The [`WORDS`] most frequent ones, the first in the alphabet first among equals.
fn frequent(values: &Values) -> Vec<&str> {
    let mut counts = std::collections::BTreeMap::new();
    (0..values.len()).filter_map(|row| values.word(row)).for_each(|word| *counts.entry(word).or_insert(0usize) += 1);
    let mut words: Vec<(&str, usize)> = counts.into_iter().collect();
    words.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    words.into_iter().take(WORDS).map(|(word, _)| word).collect()
}

/// Mean autocorrelation over all series in which numbers change, for lags from 1: of each column of numbers. A lag that no series is long enough for has none.
pub fn autocorrelations(series: &Collection, n_steps: usize) -> Vec<Vec<Option<f64>>> {
    let most = (n_steps / 2).min(LAGS);
    let numbers = series.steps.columns.iter().filter_map(|c| if let Values::Numbers(numbers) = &c.values { Some(numbers) } else { None });
    numbers
        .map(|numbers| {
            let (mut sums, mut counts) = (vec![0.0; most], vec![0.0f64; most]);
            for i in 0..series.n() {
                for (lag, value) in autocorrelation(&numbers[series.range(i)], most).into_iter().enumerate() {
                    (sums[lag], counts[lag]) = (sums[lag] + value, counts[lag] + 1.0);
                }
            }
            sums.into_iter().zip(counts).map(|(sum, n)| (n > 0.0).then(|| sum / n)).collect()
        })
        .collect()
}

/// Autocorrelation of one series for lags from 1 to `most`, or as far as it is long; nothing if it does not change. What is missing counts as the mean.
fn autocorrelation(numbers: &[f64], most: usize) -> Vec<f64> {
    let middle = mean(numbers.iter().copied());
    let from: Vec<f64> = numbers.iter().map(|v| if v.is_nan() { 0.0 } else { v - middle }).collect();
    let variance: f64 = from.iter().map(|v| v * v).sum();
    if variance.is_nan() || variance <= 1e-12 * middle.abs().max(1e-6).powi(2) {
        return Vec::new();
    }
    let of = |lag: usize| from.iter().zip(&from[lag..]).map(|(a, b)| a * b).sum::<f64>() / variance;
    (1..=most.min(numbers.len() - 1)).map(of).collect()
}

/// Mean size of the difference of two results of [`autocorrelations`]; nothing if they have no lag in common.
pub fn autocorrelation_error(a: &[Vec<Option<f64>>], b: &[Vec<Option<f64>>]) -> Option<f64> {
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    let error = mean(pairs.filter_map(|(a, b)| Some((a.as_ref()? - b.as_ref()?).abs())));
    error.is_finite().then_some(error)
}

/// Mean size of the error, as a share of the column's range in `test`, with which the next number is foretold from the [`MEMORY`] steps before it, by gradient boosting that learned from other series; the mean over the
/// first columns of numbers, or of the one that is named. Nothing if there is none.
///
/// The predictive score of TimeGAN, whose predictor is a recurrent network.
///
/// # Errors
/// As [`Boost::fit`].
pub fn predictive(train: &Collection, test: &Collection, target: Option<&str>, seed: u64) -> Result<Option<f64>> {
    let is_target = |c: &&Column| matches!(c.values, Values::Numbers(_)) && target.is_none_or(|name| name == c.name);
    let targets: Vec<&str> = test.steps.columns.iter().filter(is_target).map(|c| c.name.as_str()).take(TARGETS).collect();
    let mut errors = Vec::new();
    for name in targets {
        let [own, other] = [windows(train, name, seed), windows(test, name, seed)];
        let (low, high) = other.1.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
        if own.1.is_empty() || other.1.is_empty() || high <= low {
            continue;
        }
        // Words that one of them does not have are unknown to a model that learned from the other.
        let aligned = crate::table::judge::aligned(&[("series", &own.0), ("series", &other.0)], &[])?;
        let boost = Boost::fit(&aligned[0], &Answer::Numbers(&own.1), &BoostSettings { seed, ..BoostSettings::default() })?;
        let found = boost.predict(&aligned[1]);
        errors.push(mean(found.iter().zip(&other.1).map(|(found, v)| (found[0] - v).abs())) / (high - low));
    }
    Ok((!errors.is_empty()).then(|| mean(errors.into_iter())))
}

/// What stands before each number of a column, and the number.
fn windows(series: &Collection, target: &str, seed: u64) -> (Table, Vec<f64>) {
    let Some(Values::Numbers(numbers)) = series.steps.column(target).map(|c| &c.values) else { return Default::default() };
    let mut places: Vec<(usize, usize)> =
        (0..series.n()).flat_map(|i| series.range(i).skip(1).map(move |at| (series.first[i], at))).collect();
    places.retain(|(_, at)| !numbers[*at].is_nan());
    if places.len() > WINDOWS {
        places = DataOrder::new(seed, "windows", places.len()).batch(0, WINDOWS).into_iter().map(|i| places[i]).collect();
    }
    let mut columns = Vec::new();
    for column in &series.steps.columns {
        for back in 1..=MEMORY {
            let before = places.iter().map(|(first, at)| if at - first >= back { at - back } else { usize::MAX });
            let values = column.values.take(&before.collect::<Vec<_>>());
            columns.push(Column { name: format!("{} {back} before", column.name), values });
        }
    }
    (Table { columns }, places.iter().map(|(_, at)| numbers[*at]).collect())
}

/// Half the sum of the differences of the shares of all lengths: 0 for the same distribution, 1 for nothing in common.
pub fn lengths(a: &Collection, b: &Collection) -> f64 {
    let mut shares: std::collections::BTreeMap<usize, f64> = std::collections::BTreeMap::new();
    for (series, sign) in [(a, 1.0), (b, -1.0)] {
        series.lengths().into_iter().for_each(|length| *shares.entry(length).or_default() += sign / series.n().max(1) as f64);
    }
    0.5 * shares.values().map(|share| share.abs()).sum::<f64>()
}

/// Series without structure: attributes come from anywhere, lengths from anywhere, and the cells of every column of steps from any step of any series.
pub fn trivial(series: &Collection, seed: u64) -> Collection {
    let n_rows = *series.first.last().unwrap_or(&0);
    let shuffled = |table: &Table, n: usize, purpose: &'static str| {
        let column = |(i, column): (usize, &Column)| {
            let order = if n == 0 { Vec::new() } else { DataOrder::new(seed, purpose, n).batch(i as u64, n) };
            Column { name: column.name.clone(), values: column.values.take(&order) }
        };
        Table { columns: table.columns.iter().enumerate().map(column).collect() }
    };
    let mut lengths = series.lengths();
    let mut rng = random::stream(seed, "trivial-lengths", 0);
    (1..lengths.len()).rev().for_each(|i| lengths.swap(i, random::below(i as u64 + 1, &mut rng) as usize));
    Collection {
        attributes: shuffled(&series.attributes, series.n(), "trivial-attributes"),
        steps: shuffled(&series.steps, n_rows, "trivial-steps"),
        first: super::collection::starts(lengths),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Autoregressive series `x' = coefficient x + noise`, and the word "up" or "down".
    fn series(n: usize, length: usize, coefficient: f64, seed: u64) -> Collection {
        let noise = random::normal(n * length, &mut random::stream(seed, "noise", 0));
        let (mut x, mut codes) = (Vec::new(), Vec::new());
        for own in noise.chunks_exact(length) {
            let mut at = f64::from(own[0]) / (1.0 - coefficient * coefficient).sqrt();
            for noise in own {
                x.push(at);
                codes.push(u32::from(at > 0.0));
                at = coefficient * at + f64::from(*noise);
            }
        }
        let words = Values::Categories { codes, words: vec!["down".into(), "up".into()] };
        Collection {
            attributes: Table { columns: vec![Column { name: "id".into(), values: Values::Numbers((0..n).map(|i| i as f64).collect()) }] },
            steps: Table {
                columns: vec![Column { name: "x".into(), values: Values::Numbers(x) }, Column { name: "sign".into(), values: words }],
            },
            first: super::super::collection::starts(std::iter::repeat_n(length, n)),
        }
    }

    #[test]
    fn autocorrelations_of_an_autoregressive_series_are_powers_of_its_coefficient() {
        let found = autocorrelations(&series(40, 4000, 0.8, 1), 20);
        assert_eq!((found.len(), found[0].len()), (1, 10));
        for (i, value) in found[0].iter().enumerate() {
            assert!((value.unwrap() - 0.8f64.powi(i as i32 + 1)).abs() < 0.02, "{i}: {value:?}");
        }
        let other = autocorrelations(&series(40, 4000, 0.5, 2), 20);
        let wanted = (1..=10).map(|lag| (0.8f64.powi(lag) - 0.5f64.powi(lag)).abs()).sum::<f64>() / 10.0;
        assert!((autocorrelation_error(&found, &other).unwrap() - wanted).abs() < 0.02);
        assert!(autocorrelation(&[3.0; 9], 4).is_empty());
        assert_eq!(autocorrelation_error(&[vec![None]], &[vec![Some(1.0)]]), None);
    }

    #[test]
    fn the_same_process_is_not_told_apart_and_another_is() {
        let [a, b, c] = [series(300, 20, 0.9, 1), series(300, 20, 0.9, 2), series(300, 20, 0.1, 3)];
        let [fa, fb, fc] = [&a, &b, &c].map(|s| flat(s, &["id"], 20));
        assert_eq!(fa.columns.len(), 1 + 40 + 5);
        assert!(told_by_boosting([&fa, &fb], 1000, 0).unwrap().0 < 0.07);
        assert!(told_by_boosting([&fa, &fc], 1000, 0).unwrap().0 > 0.3);
        let of = |train: &Collection| predictive(train, &a, None, 0).unwrap().unwrap();
        assert!(of(&b) < 0.8 * of(&trivial(&a, 0)), "{} {}", of(&b), of(&trivial(&a, 0)));
        assert_eq!(predictive(&b, &a, Some("sign"), 0).unwrap(), None);
    }

    #[test]
    fn lengths_are_compared_by_their_shares() {
        let of =
            |lengths: &[usize]| Collection { first: super::super::collection::starts(lengths.iter().copied()), ..Collection::default() };
        assert_eq!(lengths(&of(&[3, 3, 5, 5]), &of(&[3, 3, 3, 3])), 0.5);
        assert_eq!(lengths(&of(&[3, 5]), &of(&[5, 3])), 0.0);
        assert_eq!(lengths(&of(&[3]), &of(&[4])), 1.0);
    }

    #[test]
    fn a_trivial_series_keeps_its_cells_alone() {
        let a = series(50, 10, 0.9, 1);
        let shuffled = trivial(&a, 0);
        let sorted = |c: &Collection| {
            let Values::Numbers(mut numbers) = c.steps.columns[0].values.clone() else { panic!("numbers") };
            numbers.sort_by(f64::total_cmp);
            numbers
        };
        assert_eq!(sorted(&a), sorted(&shuffled));
        assert!(autocorrelation_error(&autocorrelations(&a, 10), &autocorrelations(&shuffled, 10)).unwrap() > 0.1);
        assert!(shuffled.steps.columns[1].values.word(0).is_some());
    }
}
