//! Differential privacy for tables, through the built program.

mod common;

use std::fs;
use std::path::Path;

use common::{failure_of, json_of, run, stderr, stdout_of};

const SCHEMA: &str = r#"
[[columns]]
name = "id"
kind = "identifier"
pattern = "P#####"
[[columns]]
name = "age"
kind = "integer"
min = 0
max = 100
[[columns]]
name = "job"
kind = "category"
categories = ["student", "clerk", "cook"]
[[columns]]
name = "income"
kind = "real"
decimals = 2
min = 0
max = 5000
[[columns]]
name = "since"
kind = "datetime"
format = "%Y-%m-%d"
min = 2024-01-01
max = 2024-12-31
"#;

/// 1,237 people of mixed columns, one of them by a word that nobody else has.
fn people(here: &Path) {
    let row = |i: usize| {
        let age = 18 + i * 7 % 60;
        let income = if i.is_multiple_of(9) { String::new() } else { format!("{:.2}", 900.0 + 37.5 * age as f64 + (i * 131 % 400) as f64) };
        let job = if age < 30 { "student" } else { ["clerk", "cook"][i % 2] };
        format!("P{i:05},{age},{job},{income},2024-{:02}-{:02}\n", 1 + i % 12, 1 + i % 28)
    };
    fs::write(here.join("people.csv"), format!("id,age,job,income,since\n{}", (0..1237).map(row).collect::<String>())).unwrap();
    fs::write(here.join("schema.toml"), SCHEMA).unwrap();
}

const SMALL: [&str; 8] = [
    "plan.steps=6",
    "plan.batch=32",
    "game.d_steps=2",
    "network.width=32",
    "network.d_width=32",
    "latent_dim=8",
    "log_every=1",
    "checkpoint_every=3",
];

fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["train", "people.csv", "--schema", "schema.toml", "--preset", "private"];
    SMALL.iter().for_each(|set| args.extend(["--set", set]));
    args.extend(more);
    args
}

const RUN: &str = "runs/0001-table-people";

#[test]
fn a_private_model_says_what_it_promises_and_holds_nothing_of_the_rows() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    people(here);
    let output = run(here, &args(&["--set", "privacy.epsilon=2"]));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("privacy: spends epsilon 2 and delta 1e-5"), "{}", stderr(&output));

    let model = format!("{RUN}/model");
    let said = stdout_of(here, &["inspect", &model]);
    for part in ["epsilon 2, delta 1e-5; one row, add or remove one row", "Poisson-sampled Gaussian", "12 updates"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let described = json_of(here, &["inspect", &model])["description"].clone();
    let promised = &described["generator"]["privacy"];
    assert!(promised["noise_multiplier"].as_f64().is_some_and(|noise| noise > 0.3), "{described}");
    assert!(promised["sampling_rate"].as_f64().is_some_and(|rate| rate > 0.0 && rate < 0.1), "{described}");
    assert_eq!(described["data"]["fingerprint"], "");
    assert_ne!(described["data"]["n_samples"], 0);

    stdout_of(here, &["sample", RUN, "-n", "200", "-o", "out.csv"]);
    let text = fs::read_to_string(here.join("out.csv")).unwrap();
    assert_eq!(text.lines().count(), 201);
    for row in text.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        assert!(["", "student", "clerk", "cook"].contains(&cells[2]), "{row}");
        assert!(cells[1].is_empty() || cells[1].parse::<i64>().is_ok_and(|age| (0..=100).contains(&age)), "{row}");
    }
    stdout_of(here, &["sample", RUN, "-n", "20", "--where", "job = cook", "-o", "cooks.csv"]);
    assert!(fs::read_to_string(here.join("cooks.csv")).unwrap().lines().skip(1).all(|row| row.contains("cook")));
}

#[test]
fn the_budget_cannot_be_spent_twice() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    people(here);
    assert!(run(here, &args(&[])).status.success());
    let first = fs::read(here.join(RUN).join("model/generator.safetensors")).ok();
    let newest = here.join(RUN).join("checkpoints/step-00000006");
    assert!(newest.is_dir());
    // As if it had been killed after step 3: it ends as it did before.
    fs::remove_dir_all(&newest).unwrap();
    let output = run(here, &["train", "--resume", RUN]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(fs::read(here.join(RUN).join("model/generator.safetensors")).ok(), first);
    // Other rows under the same noise would show what it hides.
    let text = fs::read_to_string(here.join("people.csv")).unwrap();
    fs::write(here.join("people.csv"), text.lines().take(1200).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    assert!(failure_of(here, &["train", "--resume", RUN], 2).contains("would spend more than it states"));
    fs::write(here.join("people.csv"), text).unwrap();
    assert!(failure_of(here, &["train", "--resume", RUN, "--steps", "9"], 2).contains("would spend more than it states"));
}

#[test]
fn what_would_not_be_private_is_refused_with_the_way_out() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    people(here);
    let without = failure_of(here, &["train", "people.csv", "--preset", "private"], 2);
    assert!(without.contains("--write-schema") && without.contains("counts as public"), "{without}");
    let refused = |set: &str| failure_of(here, &args(&["--set", set]), 2);
    assert!(refused("game.loss=relativistic").contains("non-saturating"));
    assert!(refused("game.r1=1").contains("game.r2"));
    assert!(refused("network.pack=2").contains("network.pack"));
    assert!(refused("plan.judge_every=2").contains("plan.judge_every"));
    assert!(refused("data.conditions=0.5").contains("data.conditions"));
    assert!(failure_of(here, &args(&["--until", "never"]), 2).contains("plan.until"));
    assert!(failure_of(here, &args(&["--minutes", "1"]), 2).contains("--steps"));
    assert!(failure_of(here, &args(&["--on-trouble", "remedy"]), 2).contains("same noise twice"));
    let with = |from: &str, to: &str| {
        fs::write(here.join("schema.toml"), SCHEMA.replace(from, to)).unwrap();
        failure_of(here, &args(&[]), 2)
    };
    let missing = with("max = 100\n", "");
    assert!(missing.contains("columns.age") && missing.contains("give min and max"), "{missing}");
    assert!(with("format = \"%Y-%m-%d\"\nmin = 2024-01-01\nmax = 2024-12-31\n", "").contains("format"));
    let fixed = format!("{SCHEMA}\n[[constraints]]\nkind = \"fixed_combinations\"\ncolumns = [\"age\", \"job\"]\n");
    fs::write(here.join("schema.toml"), fixed).unwrap();
    assert!(failure_of(here, &args(&[]), 2).contains("not private"));
}
