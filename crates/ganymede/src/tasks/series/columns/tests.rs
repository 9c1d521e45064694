use std::path::Path;

use proptest::prelude::*;

use super::*;

fn source(text: &str) -> TableSource {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("visits.csv");
    std::fs::write(&path, text).unwrap();
    TableSource::open("visits.csv", Path::new(&path), None).unwrap()
}

/// Thirty patients, each with a sex, and visits on rising days in a shuffled file.
fn visits(seed: usize) -> String {
    let mut lines = Vec::new();
    for patient in 0..30 {
        for visit in 0..2 + (patient * 7 + seed) % 5 {
            let (sex, day) = (["F", "M"][patient % 2], 1 + visit * (1 + patient % 5));
            lines.push(format!("P{patient:03},2024-03-{day:02},{sex},{:.1}\n", 60.0 + (patient * 31 + visit * 17) as f64 % 37.0));
        }
    }
    lines.sort_by_key(|line| line.bytes().fold(seed as u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)) % 9973));
    format!("patient,date,sex,weight\n{}", lines.concat())
}

fn settings(order: &str) -> DataConfig {
    DataConfig { entity: "patient".into(), order: order.into(), ..DataConfig::default() }
}

/// The rows of a table as text, sorted.
fn sorted(table: &Table, schema: &Schema) -> Vec<String> {
    let text = String::from_utf8(crate::table::to_csv(table, schema).unwrap()).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn rows_are_put_together_by_entity_and_columns_told_apart() {
    let source = source(&visits(0));
    let found = Gathered::of(&source, &settings("date")).unwrap();
    assert_eq!((found.collection.n(), found.columns.attributes()), (30, vec!["sex"]));
    assert_eq!(found.columns.order, Some(Order { column: "date".into(), spacing: Spacing::Free }));
    let names = |table: &Table| table.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(&found.collection.attributes).join(","), names(&found.collection.steps).join(",")),
        ("patient,date,sex".into(), "date,weight".into())
    );
    assert!(found.reasons.iter().any(|reason| reason == "sex is the same in all rows of a patient: an attribute"), "{:?}", found.reasons);
    // Days between visits are whole and not negative.
    let Values::Numbers(apart) = &found.collection.steps.column("date").unwrap().values else { panic!("differences are numbers") };
    assert!(apart.iter().all(|v| *v >= 86_400.0 && v % 86_400.0 == 0.0));
    assert_eq!(found.columns.once.column("patient").unwrap().pattern.as_deref(), Some("P0##"));
}

#[test]
fn even_counts_are_made_anew_and_long_series_cut_or_refused() {
    let rows = |n: usize| (0..25 * n).map(|i| format!("{},{},{}\n", i / n, i % n, i * 37 % 91)).collect::<String>();
    let waves = source(&format!("id,t,x\n{}", rows(40)));
    let config = DataConfig { entity: "id".into(), order: "t".into(), longest: 15, ..DataConfig::default() };
    let found = Gathered::of(&waves, &DataConfig { longest: 0, ..config.clone() }).unwrap();
    assert_eq!((found.collection.n(), found.columns.order.as_ref().unwrap().spacing), (25, Spacing::Even(1.0)));
    assert_eq!(sorted(&found.columns.rows(&found.collection), &found.columns.schema), sorted(&waves.table, &waves.schema));
    let cut = Gathered::of(&waves, &config).unwrap();
    assert_eq!((cut.collection.n(), &cut.collection.lengths()[..3], &cut.entity[..4]), (75, &[15, 15, 10][..], &[0, 0, 0, 1][..]));
    let long = source(&format!("id,t,x\n{}", rows(1001)));
    let refused = Gathered::of(&long, &DataConfig { longest: 0, ..config.clone() }).err().unwrap().to_string();
    assert!(refused.contains("1001 rows") && refused.contains("data.longest"), "{refused}");
    let hinted = Gathered::of(&waves, &DataConfig { order: String::new(), longest: 0, ..config }).unwrap();
    assert!(hinted.reasons.iter().any(|reason| reason.contains("--order t")), "{:?}", hinted.reasons);
}

#[test]
fn what_is_no_series_is_refused_with_the_way_out() {
    let visits = source(&visits(0));
    let refused = |entity: &str, order: &str| {
        Gathered::of(&visits, &DataConfig { entity: entity.into(), order: order.into(), ..DataConfig::default() })
            .err()
            .unwrap()
            .to_string()
    };
    assert!(refused("pateint", "").contains("did you mean patient?"));
    assert!(refused("patient", "sex").contains("words"));
    let gap = source("id,x\n1,2\n,3\n1,4\n");
    assert!(
        Gathered::of(&gap, &DataConfig { entity: "id".into(), ..DataConfig::default() })
            .err()
            .unwrap()
            .to_string()
            .contains("1 rows have no id")
    );
    let single = source("id,x,y\n1,2,3\n2,3,4\n3,4,5\n");
    assert!(
        Gathered::of(&single, &DataConfig { entity: "id".into(), ..DataConfig::default() })
            .err()
            .unwrap()
            .to_string()
            .contains("more than one row")
    );
}

proptest! {
    #[test]
    fn rows_come_back_from_series(seed in 0usize..1000, is_ordered in any::<bool>()) {
        let source = source(&visits(seed));
        let found = Gathered::of(&source, &settings(if is_ordered { "date" } else { "" })).unwrap();
        prop_assert_eq!(sorted(&found.columns.rows(&found.collection), &found.columns.schema), sorted(&source.table, &source.schema));
        let (again, _) = found.columns.gather(&source, 0).unwrap();
        prop_assert_eq!(again, found.collection);
    }
}

#[test]
fn a_table_that_is_one_long_series_is_cut_into_pieces() {
    // Rows of 25 days, the file from the last to the first, and two more than pieces of 4 take.
    let rows: String = (0..102).rev().map(|day| format!("2024-{:02}-{:02},{}\n", 1 + day / 25, 1 + day % 25, day * 37 % 91)).collect();
    let prices = source(&format!("date,price\n{rows}"));
    assert_eq!(super::super::pieces::name(&prices).unwrap(), "series");
    let settings = DataConfig { entity: "series".into(), order: "date".into(), longest: 4, ..DataConfig::default() };
    let found = Gathered::of(&prices, &settings).unwrap();
    assert_eq!((found.collection.n(), found.collection.lengths()), (25, vec![4; 25]));
    let Values::Numbers(price) = &found.collection.steps.column("price").unwrap().values else { panic!("prices are numbers") };
    assert!(price.iter().enumerate().all(|(day, price)| *price == (day * 37 % 91) as f64), "{price:?}");
    assert_eq!(found.columns.once.column("series").unwrap().kind, Kind::Identifier);
    let (again, entities) = found.columns.gather(&prices, 4).unwrap();
    assert_eq!((again.steps, entities), (found.collection.steps, (0..25).collect()));
    // A column of that name is taken for what it is.
    let own = source(&visits(0).replacen("patient", "series", 1));
    let settings = DataConfig { entity: "series".into(), longest: 10, ..DataConfig::default() };
    assert_eq!(Gathered::of(&own, &settings).unwrap().columns.once.columns[0].pattern.as_deref(), Some("P0##"));
}
