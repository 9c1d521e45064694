//! Detectors of generated pictures, taught and asked through the built program.

mod common;

use std::fs;
use std::path::Path;

use common::{RUN, failure_of, json_of, run, stderr, stdout_of, trained};
use ganymede::data::{Channels, write_png};
use serde_json::Value;

/// Real pictures of 8 x 8 in colour: smooth shades, each with a slope of its own.
fn photos(folder: &Path, n: usize) {
    fs::create_dir_all(folder).unwrap();
    for i in 0..n {
        let shade = |y: usize, x: usize, c: usize| ((i * 7 % 90) + y * (3 + i % 5) + x * (2 + i % 7) + 20 * c) as u8;
        let pixels: Vec<u8> = (0..192).map(|p| shade(p / 24, p / 3 % 8, p % 3)).collect();
        fs::write(folder.join(format!("{i:03}.png")), write_png(8, 8, Channels::Rgb, &pixels, &[]).unwrap()).unwrap();
    }
}

fn column(csv: &str, column: usize) -> Vec<String> {
    csv.lines().skip(1).map(|line| line.split(',').nth(column).unwrap().to_owned()).collect()
}

#[test]
fn a_detector_is_taught_tested_and_asked() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    trained(here);
    photos(&here.join("photos"), 240);
    let taught = json_of(here, &["detect", "train", RUN, "--real", "photos", "--steps", "80", "-o", "detector"]);
    let described = &taught["detector"];
    assert_eq!(described["pictures"], serde_json::json!([168, 36, 36]));
    assert!(described["told"][0]["auc"].as_f64().unwrap() > 0.95, "{described}");
    assert!(described["told"][0]["interval"][1].as_f64().unwrap() <= 1.0 && described["unseen"].as_array().unwrap().is_empty());
    assert!(described["limits"][1].as_str().unwrap().contains("a single generator"), "{described}");
    let kept: Value = serde_json::from_str(&fs::read_to_string(here.join("detector/detector.json")).unwrap()).unwrap();
    assert!(&kept == described && here.join("detector/detector.safetensors").is_file());

    let drawn = run(here, &["sample", RUN, "-n", "20", "--seed", "99", "-o", "drawn/"]);
    assert!(drawn.status.success(), "{}", stderr(&drawn));
    let fakes = stdout_of(here, &["detect", "drawn", "--detector", "detector"]);
    assert!(fakes.starts_with("file,probability,verdict\n") && fakes.lines().count() == 21, "{fakes}");
    let flagged = column(&fakes, 2).iter().filter(|verdict| *verdict == "generated").count();
    assert!(flagged >= 15, "{fakes}");
    // Single files and folders together; what is not there is said.
    let mixed = stdout_of(here, &["detect", "photos/000.png", "photos/001.png", "drawn", "--detector", "detector"]);
    let probabilities: Vec<f64> = column(&mixed, 1).iter().map(|p| p.parse().unwrap()).collect();
    assert!(probabilities.len() == 22 && column(&mixed, 0)[0] == "photos/000.png" && probabilities[0] < 0.5, "{mixed}");
    let said = run(here, &["detect", "drawn", "--detector", "detector", "-o", "found.csv"]);
    assert!(said.stdout.is_empty() && fs::read_to_string(here.join("found.csv")).unwrap() == fakes);
    let json = json_of(here, &["detect", "photos/000.png", "--detector", "detector"]);
    assert_eq!((json["files"].as_array().unwrap().len(), &json["files"][0]["resized"]), (1, &Value::Bool(false)));
    assert!(!json["limits"].as_array().unwrap().is_empty());

    // The same twice: the samples and the training of a detector are those of its seed.
    json_of(here, &["detect", "train", RUN, "--real", "photos", "--steps", "80", "-o", "again"]);
    let weights = |name: &str| fs::read(here.join(name).join("detector.safetensors")).unwrap();
    assert!(weights("again") == weights("detector"));
}

#[test]
fn a_generator_left_out_of_the_lesson_is_judged_too() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    trained(here);
    photos(&here.join("photos"), 200);
    let model = format!("{RUN}/model");
    let text = stdout_of(here, &["detect", "train", RUN, &model, "--real", "photos", "--steps", "10", "-o", "detector"]);
    assert_eq!(text.lines().filter(|line| line.starts_with("left out: ")).count(), 2, "{text}");
    assert!(text.contains("real pictures"), "{text}");
}

#[test]
fn what_cannot_be_taught_or_asked_is_refused_with_the_way_out() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    trained(here);
    let refused = |args: &[&str], code: i32| failure_of(here, &[&["detect"], args].concat(), code);
    // The run's own 40 pictures are too few.
    assert!(refused(&["train", RUN], 1).contains("too few"));
    assert!(refused(&["train", &format!("{RUN}/model")], 2).contains("--real"));
    assert!(refused(&["train", RUN, "--real", "ring"], 1).contains("not made of pictures"));
    assert!(refused(&["train", "nowhere"], 1).contains("nowhere"));
    assert!(refused(&["data/a/0.png", "--detector", "nowhere"], 1).contains("is no detector"));
    assert!(refused(&["data/a/0.png"], 2).contains("--detector"));
    assert!(stdout_of(here, &["detect", "train", "--help"]).contains("Examples:"));
}
