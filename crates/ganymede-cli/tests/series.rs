//! Series, through the built program.

mod common;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use common::{failure_of, json_of, run, stderr, stdout_of};

/// 240 patients with a sex, and 3 to 6 visits on rising days; the heavier is one the next time, the less.
fn visits(here: &Path) {
    let patient = |i: usize| {
        let visit = move |v: usize| {
            let weight = 60.0 + (i * 37 % 40) as f64 - 1.5 * v as f64;
            let ward = ["north", "south"][(i / 3 + v) % 2];
            format!("P{i:04},2024-{:02}-{:02},{},{weight:.1},{ward}\n", 1 + v * 2, 1 + (i * 7 + v * 3) % 28, ["F", "M"][i % 2])
        };
        (0..3 + i % 4).rev().map(visit).collect::<String>()
    };
    fs::write(here.join("visits.csv"), format!("patient,date,sex,weight,ward\n{}", (0..240).map(patient).collect::<String>())).unwrap();
}

fn trained(here: &Path, args: &[&str]) -> String {
    let small = ["batch=16", "network.width=32", "d_width=32", "latent_dim=8", "holdout=0.2"];
    let mut all = vec!["train"];
    all.extend(args);
    all.extend(["--steps", "60", "--seed", "1"]);
    small.iter().for_each(|set| all.extend(["--set", set]));
    let output = run(here, &all);
    assert!(output.status.success(), "{}", stderr(&output));
    stderr(&output)
}

const RUN: &str = "runs/0001-series-visits";

fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn series_are_learned_drawn_and_judged() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    visits(here);
    let said = trained(here, &["visits.csv", "--entity", "patient", "--order", "date"]);
    for reason in [
        "task      series",
        "240 series of 3 to 6 steps",
        "sex is the same in all rows of a patient: an attribute",
        "date: what lies between rows",
    ] {
        assert!(said.contains(reason), "{reason}: {said}");
    }
    stdout_of(here, &["sample", RUN, "-n", "100", "-o", "out.csv", "--seed", "1"]);
    assert!(fs::read_to_string(here.join("out.csv")).unwrap().starts_with("patient,date,sex,weight,ward\n"));
    let drawn = rows(&here.join("out.csv"));
    let mut of: BTreeMap<&str, Vec<&Vec<String>>> = BTreeMap::new();
    drawn.iter().for_each(|row| of.entry(&row[0]).or_default().push(row));
    assert_eq!(of.len(), 100, "every series has an entity of its own");
    let mut lengths = HashSet::new();
    for (patient, rows) in &of {
        assert!(patient.len() == 5 && patient.starts_with('P'), "{patient}");
        assert!(
            (3..=6).contains(&rows.len()) && rows.iter().all(|row| row[2] == rows[0][2] && ["F", "M"].contains(&row[2].as_str())),
            "{rows:?}"
        );
        assert!(rows.windows(2).all(|w| w[0][1] <= w[1][1]) && rows.iter().all(|row| row[1].len() == 10), "dates rise: {rows:?}");
        assert!(rows.iter().all(|row| (50.0..101.0).contains(&row[3].parse::<f64>().unwrap())), "{rows:?}");
        lengths.insert(rows.len());
    }
    assert!(lengths.len() > 1, "{lengths:?}");
    // A series is what it is, whatever is drawn with it.
    stdout_of(here, &["sample", RUN, "-n", "10", "-o", "less.jsonl", "--seed", "1"]);
    stdout_of(here, &["sample", RUN, "-n", "10", "-o", "less.csv", "--seed", "1"]);
    let less = rows(&here.join("less.csv"));
    assert_eq!(less, drawn[..less.len()]);
    assert_eq!(fs::read_to_string(here.join("less.jsonl")).unwrap().lines().count(), less.len());
    assert!(failure_of(here, &["sample", RUN, "--where", "sex = F"], 2).contains("--where"));

    let found = json_of(here, &["evaluate", RUN]);
    for metric in ["discriminative", "boosting", "autocorrelation", "prediction", "lengths", "copies", "memorised"] {
        let figure = &found["scores"][metric];
        assert!(["value", "real", "trivial"].iter().all(|of| figure[of].is_number()), "{metric}: {found}");
    }
    assert!(found["scores"]["boosting"]["real"].as_f64().unwrap() < 0.15, "{found}");
    assert!(failure_of(here, &["evaluate", RUN, "--target", "wieght"], 2).contains("did you mean weight?"));
    let report = fs::read_to_string(here.join(RUN).join("report.html")).unwrap();
    assert!(report.contains("discriminative score"), "the report shows what was found");
}

#[test]
fn a_wave_is_learned_without_an_order_and_cut_where_it_is_long() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    let point = |i: usize| format!("{},{},{:.4}\n", i / 30, i % 30, ((i % 30) as f64 * 0.3 + (i / 30) as f64).sin());
    fs::write(here.join("waves.csv"), format!("id,t,x\n{}", (0..1500).map(point).collect::<String>())).unwrap();
    // Few columns of numbers are points, unless somebody says otherwise.
    assert!(stdout_of(here, &["train", "waves.csv", "--dry-run"]).contains("task      points"));
    let said = stdout_of(here, &["train", "waves.csv", "--task", "series", "--dry-run"]);
    assert!(said.contains("rows with the same id belong together") && said.contains("--order t"), "{said}");
    let set = ["--set", "data.longest=15", "--set", "judge_every=0"];
    let said = trained(here, &[&["waves.csv", "--entity", "id", "--order", "t"], &set[..]].concat());
    assert!(said.contains("100 series of 15 steps") && said.contains("cut into pieces of at most 15 steps"), "{said}");
    stdout_of(here, &["sample", "runs/0001-series-waves", "-n", "4", "-o", "out.csv"]);
    let drawn = rows(&here.join("out.csv"));
    assert_eq!(drawn.len(), 60);
    for (i, row) in drawn.iter().enumerate() {
        assert_eq!(row[0].parse::<usize>().unwrap() - drawn[0][0].parse::<usize>().unwrap(), i / 15, "entities count");
        assert!(i % 15 == 0 || row[1].parse::<i64>().unwrap() == drawn[i - 1][1].parse::<i64>().unwrap() + 1, "{row:?}");
    }
}

#[test]
fn a_file_that_is_one_long_series_is_cut_into_pieces() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    let day =
        |i: usize| format!("2023-{:02}-{:02},{:.2},{:.1}\n", 1 + i / 28 % 12, 1 + i % 28, (i as f64 * 0.7).sin(), (i * 37 % 91) as f64);
    fs::write(here.join("prices.csv"), format!("date,close,volume\n{}", (0..336).map(day).collect::<String>())).unwrap();
    assert!(failure_of(here, &["train", "prices.csv", "--task", "series"], 1).contains("--set data.longest=50"));
    let said = trained(here, &["prices.csv", "--task", "series", "--order", "date", "--set", "data.longest=7"]);
    assert!(said.contains("48 series of 7 steps") && said.contains("rows with the same series belong together"), "{said}");
    let run = "runs/0001-series-prices";
    stdout_of(here, &["sample", run, "-n", "10", "-o", "out.csv"]);
    assert!(fs::read_to_string(here.join("out.csv")).unwrap().starts_with("series,date,close,volume\n"));
    let drawn = rows(&here.join("out.csv"));
    assert!(
        drawn.len() == 70 && drawn.chunks(7).all(|rows| rows.windows(2).all(|w| w[0][0] == w[1][0] && w[0][1] <= w[1][1])),
        "{drawn:?}"
    );
    let judged = json_of(here, &["evaluate", run]);
    assert!(judged["scores"]["autocorrelation"].is_object(), "{judged}");
    assert!(run_again(here, run).contains("done: 70 of 70"));
}

fn run_again(here: &Path, run_dir: &str) -> String {
    let output = run(here, &["train", "--resume", run_dir, "--steps", "70"]);
    assert!(output.status.success(), "{}", stderr(&output));
    stderr(&output)
}

#[test]
fn files_with_the_same_columns_are_a_series_each() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    let folder = here.join("waves");
    fs::create_dir(&folder).unwrap();
    for file in 0..30usize {
        // The columns of every other file stand the other way round.
        let cell = |step: usize| ((step + file) as f64 * 0.5).sin();
        let line = |step: usize| if file % 2 == 0 { format!("{step},{:.3}\n", cell(step)) } else { format!("{:.3},{step}\n", cell(step)) };
        let heading = if file % 2 == 0 { "t,x\n" } else { "x,t\n" };
        fs::write(folder.join(format!("w{file:02}.csv")), heading.to_owned() + &(0..12).map(line).collect::<String>()).unwrap();
    }
    let said = trained(here, &["waves", "--order", "t"]);
    assert!(said.contains("task      series") && said.contains("30 series of 12 steps: rows with the same file belong together"), "{said}");
    let run_dir = "runs/0001-series-waves";
    stdout_of(here, &["sample", run_dir, "-n", "5", "-o", "out.csv"]);
    assert!(fs::read_to_string(here.join("out.csv")).unwrap().starts_with("file,t,x\nw"));
    let drawn = rows(&here.join("out.csv"));
    assert!(drawn.chunks(12).all(|rows| rows.iter().enumerate().all(|(step, row)| row[1] == step.to_string())), "{drawn:?}");
    assert!(json_of(here, &["evaluate", run_dir])["scores"]["autocorrelation"].is_object());
    assert!(stdout_of(here, &["train", "waves", "--task", "table", "--dry-run"]).contains("task      table"));

    // A file that is otherwise is named.
    fs::write(folder.join("w07.csv"), "t,y\n1,2\n").unwrap();
    let message = failure_of(here, &["train", "waves"], 1);
    assert!(message.contains("w07.csv") && message.contains("has a column \"y\""), "{message}");
    fs::write(folder.join("w07.csv"), "t,x\n1,2\n2,3,4\n").unwrap();
    assert!(failure_of(here, &["train", "waves"], 1).contains("w07.csv:3"));
}

#[test]
fn mistakes_are_answered_with_the_way_out() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    visits(here);
    assert!(failure_of(here, &["train", "visits.csv", "--entity", "pateint"], 2).contains("did you mean patient?"));
    assert!(failure_of(here, &["train", "visits.csv", "--entity", "patient", "--order", "ward"], 1).contains("words"));
    assert!(failure_of(here, &["train", "visits.csv", "--entity", "patient", "--order", "patient"], 2).contains("data.order"));
    let long: String = (0..60).flat_map(|id| (0..1002).map(move |t| format!("{id},{},{}\n", t, t * 37 % 91))).collect();
    fs::write(here.join("long.csv"), format!("id,t,x\n{long}")).unwrap();
    assert!(failure_of(here, &["train", "long.csv", "--entity", "id"], 1).contains("data.longest"));
    fs::write(here.join("few.csv"), "id,x,y\n1,2,a\n1,3,b\n2,4,b\n2,5,a\n").unwrap();
    assert!(failure_of(here, &["train", "few.csv", "--entity", "id"], 1).contains("at least 20"));
}
