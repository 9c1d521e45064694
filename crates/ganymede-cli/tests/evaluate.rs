//! Samples held against real data, through the built program.

mod common;

use std::fs;
use std::path::Path;

use common::{failure_of, json_of, run, stderr, stdout_of};
use serde_json::Value;

/// Rows of two numbers, of `shift` and more.
fn table(path: &Path, n: usize, shift: f64) {
    let row = |i: usize| format!("{},{}\n", (i as f64 * 0.7312).sin() + shift, (i as f64 * 1.137).cos());
    fs::write(path, format!("x,y\n{}", (0..n).map(row).collect::<String>())).unwrap();
}

/// Grey pictures of 8 x 8 with a bright spot, in two folders of classes.
fn pictures(folder: &Path, n: usize, first: usize) {
    for i in first..first + n {
        let class = folder.join(if i.is_multiple_of(2) { "above" } else { "below" });
        fs::create_dir_all(&class).unwrap();
        let row = (i * 7 + 3) % 3 + if i.is_multiple_of(2) { 0 } else { 5 };
        let pixels: Vec<u8> = (0..64).map(|p| if p / 8 == row { 200 + (i % 50) as u8 } else { (p * (i % 13)) as u8 % 60 }).collect();
        fs::write(
            class.join(format!("{i:04}.png")),
            ganymede::data::write_png(8, 8, ganymede::data::Channels::Grey, &pixels, &[]).unwrap(),
        )
        .unwrap();
    }
}

fn score<'a>(found: &'a Value, metric: &str) -> &'a Value {
    &found["scores"][metric]
}

#[test]
fn rows_are_judged_between_real_and_trivial() {
    let here = tempfile::tempdir().unwrap();
    table(&here.path().join("real.csv"), 400, 0.0);
    table(&here.path().join("good.csv"), 120, 0.01);
    table(&here.path().join("bad.csv"), 120, 3.0);
    let judged = |name: &str| json_of(here.path(), &["evaluate", name, "--against", "real.csv"]);
    let (good, bad) = (judged("good.csv"), judged("bad.csv"));
    assert_eq!(good["n"], 120);
    for metric in ["frechet", "kernel", "sliced", "c2st", "nearest", "precision", "recall", "density", "coverage"] {
        for bound in ["value", "real", "trivial"] {
            assert!(score(&good, metric)[bound].is_number(), "{metric} {bound}: {good}");
        }
    }
    assert!(score(&bad, "frechet")["value"].as_f64() > score(&good, "frechet")["value"].as_f64());
    assert_eq!(score(&bad, "coverage")["value"], 0.0);
    let text = stdout_of(here.path(), &["evaluate", "good.csv", "--against", "real.csv", "--metrics", "coverage,c2st"]);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains("coverage") && text.contains("two-sample AUC") && !text.contains("precision"));
}

#[test]
fn folders_of_pictures_are_judged_and_the_closest_pairs_shown() {
    let here = tempfile::tempdir().unwrap();
    pictures(&here.path().join("real"), 120, 0);
    pictures(&here.path().join("samples"), 60, 200);
    let args = ["evaluate", "samples", "--against", "real", "-o", "out"];
    let found = json_of(here.path(), &args);
    assert!(found["features"].as_str().unwrap().contains("2 classes"), "{found}");
    for metric in ["frechet", "memorised", "similarity", "agreement", "classification"] {
        assert!(score(&found, metric)["value"].is_number(), "{metric}: {found}");
    }
    assert!(here.path().join("out/closest.png").is_file());
    let kept: Value = serde_json::from_str(&fs::read_to_string(here.path().join("out/evaluation.json")).unwrap()).unwrap();
    assert_eq!(kept, found);
    // Learned features are kept: the second time gives the same figures.
    assert_eq!(json_of(here.path(), &args), found);
    let random = json_of(here.path(), &["evaluate", "samples", "--against", "real", "--features", "random"]);
    assert!(random["features"].as_str().unwrap().contains("random weights"));
}

#[test]
fn a_run_is_judged_by_its_own_data_and_shows_it() {
    let here = tempfile::tempdir().unwrap();
    let args = ["train", "ring", "--steps", "20", "--set", "plan.checkpoint_every=10", "--set", "plan.judge_every=10", "--device", "cpu"];
    let trained = run(here.path(), &args);
    assert!(trained.status.success() && stderr(&trained).contains("judged    step 10"), "{}", stderr(&trained));
    let found = json_of(here.path(), &["evaluate", "runs/0001-points-ring"]);
    assert_eq!(found["n"], 1000);
    let path = here.path().join("runs/0001-points-ring");
    assert!(path.join("evaluation.json").is_file());
    let report = fs::read_to_string(path.join("report.html")).unwrap();
    assert!(report.contains("Evaluation of") && report.contains("nearest-neighbour test") && report.contains("trivial"));
    // The model alone says nothing about where its data is.
    let said = failure_of(here.path(), &["evaluate", "runs/0001-points-ring/model"], 2);
    assert!(said.contains("--against"), "{said}");
    json_of(here.path(), &["evaluate", "runs/0001-points-ring/model", "--against", "ring"]);
}

#[test]
fn what_cannot_be_compared_is_refused_with_the_way_out() {
    let here = tempfile::tempdir().unwrap();
    table(&here.path().join("real.csv"), 400, 0.0);
    table(&here.path().join("few.csv"), 10, 0.0);
    fs::write(here.path().join("other.csv"), format!("a,b,c\n{}", "1,2,3\n4,5,6\n".repeat(30))).unwrap();
    let refused = |args: &[&str], code: i32| failure_of(here.path(), &[&["evaluate"], args].concat(), code);
    assert!(refused(&["few.csv", "--against", "real.csv"], 1).contains("too few"));
    let said = refused(&["other.csv", "--against", "real.csv"], 1);
    assert!(said.contains("same columns"), "{said}");
    assert!(refused(&["real.csv", "--against", "avatars"], 1).contains("pictures"));
    assert!(refused(&["real.csv"], 2).contains("--against"));
    assert!(refused(&["real.csv", "--against", "real.csv", "--metrics", "fid"], 2).contains("known figures"));
    assert!(refused(&["avatars", "--against", "avatars", "--features", "inception"], 2).contains("names no features"));
    assert!(refused(&["nowhere", "--against", "real.csv"], 1).contains("nowhere"));
}
