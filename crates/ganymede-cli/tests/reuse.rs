//! The discriminator of a trained model, used through the built program.

mod common;

use std::fs;

use common::{RUN, failure_of, json_of, stdout_of, trained};

#[test]
fn pictures_are_scored_and_sorted() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    trained(here);
    let scores = json_of(here, &["score", RUN, "data", "--label", "a"]);
    let scores: Vec<f64> = scores["scores"].as_array().unwrap().iter().map(|s| s["score"].as_f64().unwrap()).collect();
    assert!(scores.len() == 40 && scores.is_sorted_by(|a, b| a >= b) && scores[0] > scores[39], "{scores:?}");
    // The class that fits best is at least as good as any.
    let best = json_of(here, &["score", RUN, "data"]);
    assert!(best["scores"][0]["score"].as_f64().unwrap() >= scores[0]);
    assert_eq!(stdout_of(here, &["score", RUN, "data"]).lines().count(), 40);
    assert!(failure_of(here, &["score", RUN, "data", "--label", "c"], 2).contains("help: "));

    fs::remove_file(here.join(RUN).join("model/discriminator.safetensors")).unwrap();
    assert!(failure_of(here, &["score", RUN, "data"], 1).contains("no discriminator"));
}

#[test]
fn features_are_rows_for_other_programs() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    trained(here);
    let all = json_of(here, &["features", RUN, "data", "-o", "f.csv"]);
    let text = fs::read_to_string(here.join("f.csv")).unwrap();
    let dim = all["dim"].as_u64().unwrap() as usize;
    assert!(text.starts_with("name,class,f0,") && text.lines().count() == 41);
    assert!(
        text.lines().skip(1).all(|line| line.split(',').count() == dim + 2 && line.split(',').nth(1).is_some_and(|c| c == "a" || c == "b"))
    );

    let one = json_of(here, &["features", RUN, "data", "-o", "f.npy", "--stage", "1"]);
    let (n, first) = (one["rows"].as_u64().unwrap() as usize, one["dim"].as_u64().unwrap() as usize);
    let bytes = fs::read(here.join("f.npy")).unwrap();
    let header = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    assert!(bytes.starts_with(b"\x93NUMPY\x01\x00") && (10 + header).is_multiple_of(64) && bytes[9 + header] == b'\n');
    assert!(String::from_utf8_lossy(&bytes[10..10 + header]).contains(&format!("'shape': ({n}, {first})")));
    assert!(bytes.len() == 10 + header + 4 * n * first && first < dim);
    // The first stage's numbers come first among those of all stages.
    let value = f32::from_le_bytes(bytes[10 + header..][..4].try_into().unwrap());
    assert_eq!(text.lines().nth(1).unwrap().split(',').nth(2).unwrap().parse::<f32>().unwrap(), value);
    assert!(failure_of(here, &["features", RUN, "data", "--stage", "9"], 2).contains("its stages are"));
    failure_of(here, &["features", RUN, "data", "--stage", "0"], 2);
    failure_of(here, &["features", RUN, "data", "-o", "f.parquet"], 2);
}

#[test]
fn a_probe_is_held_against_pixels_and_random_weights() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    trained(here);
    let args = ["probe", RUN, "data", "--labels", "12", "--draws", "3"];
    let found = json_of(here, &args);
    assert_eq!(
        (&found["classes"], &found["labels"], &found["tested"], &found["model_classes"]),
        (&2.into(), &12.into(), &28.into(), &2.into())
    );
    let probes = found["probes"].as_array().unwrap();
    assert_eq!(probes.len(), 3);
    for probe in probes {
        let draws: Vec<f64> = probe["draws"].as_array().unwrap().iter().map(|a| a.as_f64().unwrap()).collect();
        let mean = probe["accuracy"].as_f64().unwrap();
        assert!(draws.len() == 3 && (draws.iter().sum::<f64>() / 3.0 - mean).abs() < 1e-9 && (0.0..=1.0).contains(&mean), "{probe}");
    }
    assert_eq!((&probes[0]["dim"], &probes[2]["dim"]), (&probes[1]["dim"], &192.into()));
    assert_ne!(probes[0]["draws"], probes[1]["draws"], "random weights are not the learned ones");
    assert_eq!(json_of(here, &args), found, "the same draws again");
    let text = stdout_of(here, &args);
    assert!(text.lines().count() == 4 && text.contains("the pixels themselves"), "{text}");

    for labels in ["3", "40"] {
        assert!(failure_of(here, &["probe", RUN, "data", "--labels", labels], 2).contains("help: give at least two"), "{labels}");
    }
    fs::create_dir(here.join("flat")).unwrap();
    for i in 0..4 {
        fs::copy(here.join(format!("data/a/{}.png", 2 * i)), here.join(format!("flat/{i}.png"))).unwrap();
    }
    assert!(failure_of(here, &["probe", RUN, "flat"], 1).contains("no classes"));
}
