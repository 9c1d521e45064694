//! Whole tables through the encoder.

use proptest::prelude::*;

use super::super::draw::Draws;
use super::super::frame::{MISSING, Values};
use super::super::infer::infer;
use super::super::schema::Kind;
use super::*;

fn numbers(name: &str, values: Vec<f64>) -> Column {
    Column { name: name.into(), values: Values::Numbers(values) }
}

fn words(name: &str, n: usize, word: impl Fn(usize) -> Option<String>) -> Column {
    let (mut codes, mut words): (Vec<u32>, Vec<String>) = (Vec::new(), Vec::new());
    for row in 0..n {
        codes.push(word(row).map_or(MISSING, |w| {
            words.iter().position(|k| *k == w).unwrap_or_else(|| {
                words.push(w);
                words.len() - 1
            }) as u32
        }));
    }
    Column { name: name.into(), values: Values::Categories { codes, words } }
}

/// A table of people with one unique person in it.
fn people(n: usize) -> Table {
    let draws = Draws::new(5, "people", 0);
    let u = |row: usize, which: u64| draws.uniform(row as u64 * 8 + which);
    let mut ages: Vec<f64> = (0..n).map(|r| 17.0 + (u(r, 0) * 70.0).floor()).collect();
    let mut salaries: Vec<f64> = (0..n).map(|r| if u(r, 1) < 0.4 { 0.0 } else { (u(r, 2) * 90_000.0).floor() + 10_000.0 }).collect();
    let mut weights: Vec<f64> = (0..n).map(|r| if u(r, 3) < 0.1 { f64::NAN } else { (u(r, 4) * 60_000.0).round() / 1000.0 }).collect();
    (ages[3], salaries[3], weights[3]) = (113.0, 9_999_999.0, 321.123);
    Table {
        columns: vec![
            numbers("id", (0..n).map(|i| i as f64 + 1.0).collect()),
            numbers("age", ages),
            words("name", n, |r| {
                Some(if r == 3 { "Jane Q. Public".into() } else { ["Ann", "Bob", "Cy"][(u(r, 5) * 3.0) as usize].to_owned() })
            }),
            numbers("salary", salaries),
            numbers("weight", weights),
            words("sex", n, |r| if u(r, 6) < 0.02 { None } else { Some(if u(r, 7) < 0.5 { "Female" } else { "Male" }.into()) }),
            numbers("zero", vec![0.0; n]),
        ],
    }
}

fn encoder(table: &Table) -> Encoder {
    Encoder::fit(table, &infer(table).0, 1).unwrap()
}

#[test]
fn the_blocks_follow_the_columns() {
    let table = people(8000);
    let encoder = encoder(&table);
    let blocks = encoder.blocks();
    let columns: Vec<usize> = blocks.iter().map(|b| b.column).collect();
    assert_eq!(columns, [1, 2, 3, 3, 4, 4, 5]);
    // Every score of an age counts: no age is an atom. Names have three words, and too few rare ones for a code.
    assert_eq!(blocks[0], Block { column: 1, kind: BlockKind::Scalar, other: None, missing: None });
    assert_eq!(blocks[1], Block { column: 2, kind: BlockKind::Softmax { width: 3 }, other: None, missing: None });
    assert_eq!(blocks[2], Block { column: 3, kind: BlockKind::Softmax { width: 2 }, other: Some(1), missing: None });
    assert_eq!(blocks[3], Block { column: 3, kind: BlockKind::Scalar, other: Some(1), missing: None });
    assert_eq!(blocks[4], Block { column: 4, kind: BlockKind::Softmax { width: 2 }, other: Some(0), missing: Some(1) });
    assert_eq!(encoder.width(), 1 + 3 + 2 + 1 + 2 + 1 + 3);
    let shares = encoder.marginals();
    assert!(shares[0].is_empty());
    assert!(shares.iter().filter(|s| !s.is_empty()).all(|s| (s.iter().sum::<f64>() - 1.0).abs() < 1e-12));
    assert_eq!(encoder.code_names(&blocks[6]), ["Female", "Male", "missing"]);
    assert_eq!(encoder.code_names(&blocks[2]), ["0", "other"]);
}

#[test]
fn rows_come_back_as_they_were_where_they_are_repeated() {
    let table = people(2000);
    let encoder = encoder(&table);
    let encoded = encoder.encode(&table, 7).unwrap();
    let back = encoder.decode(&encoded, 8).unwrap();
    back.check().unwrap();
    for (a, b) in table.columns.iter().zip(&back.columns) {
        assert_eq!(a.name, b.name);
        for row in (0..2000).filter(|r| *r != 3) {
            assert_eq!(a.values.is_missing(row), b.values.is_missing(row), "{} {row}", a.name);
            assert_eq!(a.values.word(row), b.values.word(row));
            if a.values.number(row) == Some(0.0) {
                assert_eq!(b.values.number(row), Some(0.0));
            }
        }
    }
    assert_eq!(table.columns[0].values, back.columns[0].values);
    let Values::Numbers(weights) = &back.columns[4].values else { panic!() };
    assert!(weights.iter().filter(|w| !w.is_nan()).all(|w| (w * 1000.0).round() / 1000.0 == *w && *w <= 60.0));
}

#[test]
fn the_file_holds_nothing_of_the_one_person_who_differs() {
    let table = people(2000);
    let json = encoder(&table).to_json().unwrap();
    assert!(json.contains("Ann") && !json.contains("Jane") && !json.contains("Public"));
    let mut held = Vec::new();
    values_in(&serde_json::from_str(&json).unwrap(), &mut held);
    assert!(held.len() > 100);
    for (column, secret) in [(1, 113.0), (3, 9_999_999.0), (4, 321.123)] {
        let Values::Numbers(values) = &table.columns[column].values else { panic!() };
        // The k outermost values at either end are in the file only if others have them too.
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        let outer = sorted.iter().take(10).chain(sorted.iter().rev().take(10));
        let alone: Vec<&f64> = outer.filter(|v| sorted.iter().filter(|o| o == v).count() < 3).collect();
        assert!(alone.contains(&&secret));
        assert!(alone.iter().all(|v| !held.contains(v)), "{alone:?}");
    }
}

/// All numbers of a file but shares of rows.
fn values_in(json: &serde_json::Value, found: &mut Vec<f64>) {
    match json {
        serde_json::Value::Number(number) => found.extend(number.as_f64()),
        serde_json::Value::Array(entries) => entries.iter().for_each(|e| values_in(e, found)),
        serde_json::Value::Object(entries) => {
            entries.iter().filter(|(k, _)| *k != "upto" && *k != "shares").for_each(|(_, e)| values_in(e, found))
        }
        _ => {}
    }
}

/// Equal but for the last digit of numbers, which JSON may change.
fn is_same(a: &Encoder, b: &Encoder) -> bool {
    fn same(a: &serde_json::Value, b: &serde_json::Value) -> bool {
        use serde_json::Value::{Array, Number, Object};
        match (a, b) {
            (Number(a), Number(b)) => {
                let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
                a == b || (a - b).abs() <= 4.0 * f64::EPSILON * a.abs().max(b.abs()).max(f64::MIN_POSITIVE)
            }
            (Array(a), Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Object(a), Object(b)) => a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other))),
            _ => a == b,
        }
    }
    same(&serde_json::to_value(a).unwrap(), &serde_json::to_value(b).unwrap())
}

#[test]
fn an_encoder_survives_its_file_and_damaged_ones_are_refused() {
    let table = people(500);
    let encoder = encoder(&table);
    let json = encoder.to_json().unwrap();
    assert!(is_same(&Encoder::from_json(&json).unwrap(), &encoder));
    for (from, to) in
        [("\"version\":1", "\"version\":9"), ("\"upto\":[", "\"upto\":[2.0,"), ("\"shares\":[", "\"shares\":[0.5,"), ("{", "[")]
    {
        let damaged = json.replacen(from, to, 1);
        assert!(damaged != json && Encoder::from_json(&damaged).is_err(), "{from}");
    }
}

#[test]
fn parts_of_a_table_are_those_of_the_whole() {
    let table = people(600);
    let encoder = encoder(&table);
    let whole = encoder.encode(&table, 1).unwrap();
    let part = Encoded {
        n_rows: 100,
        numbers: (500..600).collect(),
        blocks: whole
            .blocks
            .iter()
            .map(|b| match b {
                Codes::Softmax(c) => Codes::Softmax(c[500..].to_vec()),
                Codes::Scalar(s) => Codes::Scalar(s[500..].to_vec()),
            })
            .collect(),
    };
    let rows: Vec<usize> = (500..600).collect();
    assert_eq!(encoder.decode(&part, 3).unwrap(), encoder.decode(&whole, 3).unwrap().take(&rows));
}

#[test]
fn conditions_are_kept_by_every_admissible_row() {
    let table = people(3000);
    let encoder = encoder(&table);
    let blocks = encoder.blocks();
    let texts = [
        "age in 30..40",
        "age >= 60",
        "age < 25",
        "age = 33",
        "age != 33",
        "age in {20, 30, 50}",
        "salary = 0",
        "salary > 0",
        "salary <= 20000",
        "weight is missing",
        "weight is present",
        "weight < 5.5",
        "sex = Female",
        "sex in {Male, \"Female\"}",
        "sex != Male",
        "name in {Ann, Bob}",
    ];
    for text in texts {
        let condition = Condition::parse(text, &encoder).unwrap();
        let admissible = condition.admissible(&encoder);
        let mut n_tried = 0;
        // Every admissible code, and scores at the ends and inside of every interval.
        let mut try_row = |code: Option<(usize, u32)>, score: Option<(usize, f32)>| {
            let codes = blocks.iter().enumerate().map(|(i, b)| match b.kind {
                BlockKind::Softmax { .. } => Codes::Softmax(vec![code.filter(|c| c.0 == i).map_or(0, |c| c.1)]),
                BlockKind::Scalar => Codes::Scalar(vec![score.filter(|s| s.0 == i).map_or(0.0, |s| s.1)]),
            });
            let encoded = Encoded { n_rows: 1, numbers: Vec::new(), blocks: codes.collect() };
            let made = encoder.decode_where(&encoded, std::slice::from_ref(&condition), 4).unwrap();
            assert!(condition.satisfied(&made, 0), "{text}: {:?}", made.columns[condition.column()].values);
            n_tried += 1;
        };
        let scores: Vec<(usize, f32)> = admissible
            .iter()
            .filter_map(|a| if let Admissible::Scalar { block, intervals } = a { Some((*block, intervals)) } else { None })
            .flat_map(|(block, intervals)| intervals.iter().flat_map(move |[l, h]| [*l, (l + h) / 2.0, *h].map(|s| (block, s))))
            .collect();
        let softmax =
            admissible.iter().find_map(|a| if let Admissible::Softmax { block, codes } = a { Some((*block, codes)) } else { None });
        match softmax {
            None => scores.iter().for_each(|s| try_row(None, Some(*s))),
            Some((block, codes)) => {
                for code in (0..codes.len() as u32).filter(|c| codes[*c as usize]) {
                    if blocks[block].other == Some(code) {
                        scores.iter().for_each(|s| try_row(Some((block, code)), Some(*s)));
                    } else {
                        try_row(Some((block, code)), None);
                    }
                }
            }
        }
        assert!(n_tried > 0, "{text}");
        // The encoded training rows are admissible exactly where their decoded rows satisfy the condition.
        let encoded = encoder.encode(&table, 1).unwrap();
        let made = encoder.decode(&encoded, 1).unwrap();
        let satisfied = condition.satisfied_rows(&made);
        for row in 0..3000 {
            let lets_pass = |a: &Admissible| match a {
                Admissible::Softmax { block, codes } => match &encoded.blocks[*block] {
                    Codes::Softmax(c) => codes[c[row] as usize],
                    Codes::Scalar(_) => false,
                },
                Admissible::Scalar { block, intervals } => match &encoded.blocks[*block] {
                    Codes::Scalar(s) => {
                        let counts = match (blocks[*block].other, block.checked_sub(1).map(|b| &encoded.blocks[b])) {
                            (Some(other), Some(Codes::Softmax(c))) => c[row] == other,
                            _ => true,
                        };
                        !counts || intervals.iter().any(|[l, h]| (*l..=*h).contains(&s[row]))
                    }
                    Codes::Softmax(_) => false,
                },
            };
            assert_eq!(admissible.iter().all(lets_pass), satisfied[row], "{text} row {row}");
        }
    }
}

/// 1 less the greatest distance of the distribution functions, as SDMetrics' KSComplement.
fn ks_complement(a: &Values, b: &Values) -> f64 {
    let sorted = |values: &Values| {
        let mut all: Vec<f64> = (0..values.len()).filter_map(|row| values.number(row)).collect();
        all.sort_by(f64::total_cmp);
        all
    };
    let (a, b) = (sorted(a), sorted(b));
    let share = |all: &[f64], x: f64| all.partition_point(|v| *v <= x) as f64 / all.len() as f64;
    1.0 - a.iter().chain(&b).map(|x| (share(&a, *x) - share(&b, *x)).abs()).fold(0.0, f64::max)
}

#[test]
fn columns_keep_their_shape() {
    let table = people(8000);
    let encoder = encoder(&table);
    let made = encoder.decode(&encoder.encode(&table, 1).unwrap(), 2).unwrap();
    for i in [1, 3, 4] {
        let score = ks_complement(&table.columns[i].values, &made.columns[i].values);
        assert!(score > 0.995, "{} {score}", table.columns[i].name);
    }
}

#[test]
fn conditions_that_cannot_be_are_answered() {
    let encoder = encoder(&people(3000));
    let message = |text: &str| Condition::parse(text, &encoder).unwrap_err().to_string();
    assert!(message("agee > 3").contains("did you mean \"age\"?"));
    assert!(message("sex = Femal").contains("did you mean \"Female\"?"));
    assert!(message("sex > Male").contains("no order"));
    assert!(message("age > old").contains("\"old\" is not a number"));
    assert!(message("age > 500").contains("the column goes from 17 to 86"), "{}", message("age > 500"));
    assert!(message("age is missing").contains("no cell of the column was missing"));
    assert!(message("id = 3").contains("identifiers"));
    assert!(message("zero = 0").contains("same in all rows"));
    assert!(message("name = Jane Q. Public").contains("no word"));
    for text in ["", "age", "age 3", "age in", "age in {1", "age in 1-2", "sex is", "age ~ 3"] {
        assert!(Condition::parse(text, &encoder).is_err(), "{text}");
    }
}

#[test]
fn what_cannot_be_encoded_is_refused() {
    let table = people(500);
    let schema = infer(&table).0;
    let message = |table: &Table, schema: &Schema| Encoder::fit(table, schema, 1).unwrap_err().to_string();
    assert!(message(&table.take(&(0..19).collect::<Vec<_>>()), &schema).contains("19 rows"));
    let mut other = schema.clone();
    other.columns[1].kind = Kind::Category;
    assert!(message(&table, &other).contains("columns.age: is category in the schema, but the table holds numbers"));
    other.columns[1].name = "agee".into();
    assert!(message(&table, &other).contains("did you mean \"agee\"?"));
    let mut left_out = schema.clone();
    left_out.columns.iter_mut().for_each(|c| c.leave_out = true);
    assert!(message(&table, &left_out).contains("no columns"));
    let encoder = encoder(&table);
    assert!(encoder.encode(&Table { columns: table.columns[2..].to_vec() }, 1).is_err());
    assert!(encoder.decode(&Encoded::default(), 1).is_err());
}

/// Columns that tables of people do not have.
fn hostile(n: usize, seed: u64) -> Table {
    let draws = Draws::new(seed, "hostile", 0);
    let value = |row: usize, which: u64| (draws.uniform(row as u64 * 16 + which) * 1000.0).floor();
    let extremes = [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 0.0, -0.0, 1e300, -1e300, 1.0];
    Table {
        columns: vec![
            numbers("all missing", vec![f64::NAN; n]),
            numbers("nearly missing", (0..n).map(|r| if r == 7 { 5.0 } else { f64::NAN }).collect()),
            numbers("extremes", (0..n).map(|r| extremes[value(r, 0) as usize % 8]).collect()),
            numbers("huge", (0..n).map(|r| value(r, 1) * 1e305).collect()),
            numbers("tiny", (0..n).map(|r| value(r, 2) * 1e-320).collect()),
            numbers("unique", (0..n).map(|r| value(r, 3) + r as f64 / n as f64).collect()),
            words("unique words", n, |r| Some(format!("w{}", r * 7919 % 100_003))),
            words("rare words", n, |r| Some(format!("w{}", value(r, 4) as usize / 3))),
            words("no words", n, |_| None),
            words("odd words", n, |r| Some(["", " ", "\u{0}", "=1+1", "\"", "a,b", "\n"][value(r, 5) as usize % 7].to_owned())),
            numbers("one differs", (0..n).map(|r| if r == 0 { 1.0 } else { 0.0 }).collect()),
        ],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn hostile_tables_come_back_whole(n in 20usize..300, seed: u64) {
        let table = hostile(n, seed);
        let encoder = Encoder::fit(&table, &infer(&table).0, seed).unwrap();
        let back = encoder.decode(&encoder.encode(&table, seed).unwrap(), seed).unwrap();
        prop_assert!(back.check().is_ok());
        prop_assert_eq!((back.n_rows(), back.columns.len()), (n, table.columns.len()));
        prop_assert!(is_same(&Encoder::from_json(&encoder.to_json().unwrap()).unwrap(), &encoder));
    }

    #[test]
    fn any_codes_decode_into_the_domain(n in 200usize..600, seed: u64, codes in proptest::collection::vec((any::<u32>(), -6.0f32..6.0), 1..50)) {
        let table = people(n);
        let encoder = Encoder::fit(&table, &infer(&table).0, seed).unwrap();
        let blocks = encoder.blocks().iter().map(|b| match b.kind {
            BlockKind::Softmax { width } => Codes::Softmax(codes.iter().map(|c| c.0 % width as u32).collect()),
            BlockKind::Scalar => Codes::Scalar(codes.iter().map(|c| c.1).collect()),
        }).collect();
        let made = encoder.decode(&Encoded { n_rows: codes.len(), numbers: Vec::new(), blocks }, seed).unwrap();
        for (real, made) in table.columns.iter().zip(&made.columns) {
            for row in 0..codes.len() {
                match (&real.values, made.values.number(row)) {
                    (Values::Numbers(_), _) if real.name == "id" => {}
                    (Values::Numbers(all), Some(value)) => {
                        let low = all.iter().copied().filter(|v| !v.is_nan()).fold(f64::INFINITY, f64::min);
                        let high = all.iter().copied().filter(|v| !v.is_nan()).fold(f64::NEG_INFINITY, f64::max);
                        prop_assert!((low..=high).contains(&value));
                        if real.name != "weight" {
                            prop_assert_eq!(value.fract(), 0.0);
                        }
                    }
                    (Values::Categories { words, .. }, _) => prop_assert!(made.values.word(row).is_none_or(|w| words.iter().any(|k| k == w))),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn any_condition_is_read_or_refused(text in "(age|sex|salary|\"name\") ?(=|!=|>=|<|in|is) ?[{}a-z0-9., \"]{0,12}") {
        let _ = Condition::parse(&text, &encoder(&people(100)));
    }
}
