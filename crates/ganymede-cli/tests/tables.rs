//! Tables, through the built program.

mod common;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use common::{failure_of, json_of, run, stderr, stdout_of};

/// 400 people: the older earn more, words go with numbers, some cells are missing, and each has a number of their own.
fn people(here: &Path) {
    let row = |i: usize| {
        let age = 18 + i * 7 % 60;
        let income = if i.is_multiple_of(9) { String::new() } else { format!("{:.2}", 900.0 + 37.5 * age as f64 + (i * 131 % 400) as f64) };
        let job = if age < 30 { "student" } else { ["clerk", "cook"][i % 2] };
        format!("P{i:05},{age},{job},{income},2024-{:02}-{:02}\n", 1 + i % 12, 1 + i % 28)
    };
    fs::write(here.join("people.csv"), format!("id,age,job,income,since\n{}", (0..400).map(row).collect::<String>())).unwrap();
}

fn trained(here: &Path, more: &[&str]) {
    let small = ["batch=32", "network.width=32", "d_width=32", "latent_dim=8", "holdout=0.25"];
    let mut args = vec!["train", "people.csv", "--steps", "60", "--seed", "1"];
    small.iter().for_each(|set| args.extend(["--set", set]));
    args.extend(more);
    let output = run(here, &args);
    assert!(output.status.success(), "{}", stderr(&output));
}

const RUN: &str = "runs/0001-table-people";

fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn a_table_is_learned_and_asked_for() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    people(here);
    let inspected = stdout_of(here, &["inspect", "people.csv"]);
    for said in ["age: integer", "job: category", "income: real", "since: date", "id: identifier", "400"] {
        assert!(inspected.contains(said), "{said}: {inspected}");
    }
    trained(here, &[]);
    stdout_of(here, &["sample", RUN, "-n", "500", "-o", "out.csv"]);
    let drawn = rows(&here.join("out.csv"));
    assert_eq!((drawn.len(), drawn[0].len()), (500, 5));
    let ids: HashSet<&String> = drawn.iter().map(|row| &row[0]).collect();
    assert_eq!(ids.len(), 500, "identifiers are made anew, each once");
    for row in &drawn {
        assert!((18..78).contains(&row[1].parse::<i64>().unwrap()), "{row:?}");
        assert!(["student", "clerk", "cook"].contains(&row[2].as_str()), "{row:?}");
        assert!(row[3].is_empty() || row[3].split_once('.').is_none_or(|(_, cents)| cents.len() <= 2), "{row:?}");
        assert!(row[4].starts_with("2024-") && row[4].len() == 10, "{row:?}");
    }
    assert!(drawn.iter().any(|row| row[3].is_empty()), "missing cells are a value too");

    // The same seed gives the same rows, whatever comes with them, in every format.
    stdout_of(here, &["sample", RUN, "-n", "100", "-o", "less.csv"]);
    assert_eq!(rows(&here.join("less.csv")), drawn[..100]);
    stdout_of(here, &["sample", RUN, "-n", "100", "-o", "less.jsonl.gz"]);
    assert!(fs::metadata(here.join("less.jsonl.gz")).unwrap().len() > 100);
    assert!(failure_of(here, &["sample", RUN, "-o", "less.doc"], 2).contains(".csv"));

    let wished =
        ["sample", RUN, "-n", "200", "--where", "job = cook", "--where", "age in 40..50", "--where", "income is present", "-o", "some.csv"];
    stdout_of(here, &wished);
    for row in rows(&here.join("some.csv")) {
        assert!(row[2] == "cook" && (40..=50).contains(&row[1].parse::<i64>().unwrap()) && !row[3].is_empty(), "{row:?}");
    }
    let refused = |wish: &str| failure_of(here, &["sample", RUN, "--where", wish], 2);
    assert!(refused("jobs = cook").contains("job") && refused("job = coock").contains("cook") && refused("age > old").contains("age"));
    assert!(failure_of(here, &["sample", RUN, "--label", "cook"], 2).contains("--where"));
}

#[test]
fn missing_cells_are_filled_in_and_the_others_stay() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    people(here);
    trained(here, &[]);
    fs::write(
        here.join("part.csv"),
        "id,age,job,income,since\nP90001,25,,,2024-05-05\nP90002,,cook,1234.56,\nP90003,44,clerk,,2024-01-02\n",
    )
    .unwrap();
    stdout_of(here, &["sample", RUN, "--complete", "part.csv", "-o", "full.csv"]);
    let full = rows(&here.join("full.csv"));
    assert!(full.iter().flat_map(|row| row[1..3].iter()).all(|cell| !cell.is_empty()), "{full:?}");
    assert_eq!((full[0][0].as_str(), full[0][1].as_str(), full[0][4].as_str()), ("P90001", "25", "2024-05-05"));
    assert_eq!((full[1][2].as_str(), full[1][3].as_str()), ("cook", "1234.56"));
    assert!(failure_of(here, &["sample", RUN, "--complete", "people.txt", "-o", "x.csv"], 1).contains("people.txt"));
}

#[test]
fn tables_are_judged_with_privacy_and_use() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    people(here);
    trained(here, &["--set", "judge_every=30"]);
    let found = json_of(here, &["evaluate", RUN, "--target", "job"]);
    for metric in ["quality", "pair_trends", "c2st", "usefulness", "copies", "memorised", "membership"] {
        assert!(found["scores"][metric]["value"].is_number(), "{metric}: {found}");
    }
    assert!(found["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().starts_with("privacy, ")), "{found}");
    // A file of anyone's: the training rows themselves are found to be copies.
    let copied = json_of(here, &["evaluate", "people.csv", "--against", "people.csv"]);
    assert!(copied["scores"]["quality"]["value"].as_f64().unwrap() > 0.9, "{copied}");
    assert!(failure_of(here, &["evaluate", RUN, "--target", "jobb"], 2).contains("did you mean job?"));
}

#[test]
fn a_schema_is_written_changed_and_obeyed() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    people(here);
    stdout_of(here, &["inspect", "people.csv", "--write-schema"]);
    let path = here.join("people.csv.schema.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("name = \"income\"") && text.contains("kind = \"real\""), "{text}");
    failure_of(here, &["inspect", "people.csv", "--write-schema"], 1);
    fs::write(&path, text.replace("name = \"since\"", "name = \"since\"\nleave_out = true")).unwrap();
    trained(here, &["--schema", "people.csv.schema.toml"]);
    stdout_of(here, &["sample", RUN, "-n", "5", "-o", "out.csv"]);
    assert!(!fs::read_to_string(here.join("out.csv")).unwrap().contains("since"));
    fs::write(&path, text.replace("kind = \"real\"", "kind = \"rael\"")).unwrap();
    assert!(
        failure_of(here, &["train", "people.csv", "--schema", "people.csv.schema.toml", "--steps", "1"], 2)
            .contains("did you mean \"real\"?")
    );
}
