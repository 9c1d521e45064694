//! The data of known kinds, trained on and counted through the built program.

mod common;

use common::{json_of, run, stderr, stdout_of};

#[test]
fn kinds_are_counted_among_samples_and_beside_them_among_real_ones() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    let seen = stdout_of(here, &["inspect", "stacked-digits"]);
    assert!(seen.contains("60,000") && seen.contains("1,000 kinds"), "{seen}");
    // Small pictures, so that learning to tell them takes seconds; at 32 x 32 more than 98 % of the digits are told.
    let small = ["network.width=8", "group_width=4", "batch=4", "sheet=4", "judge_every=0", "data.height=8", "data.width=8"];
    let mut args = vec!["train", "stacked-digits", "--steps", "1"];
    small.iter().for_each(|set| args.extend(["--set", set]));
    let trained = run(here, &args);
    assert!(trained.status.success(), "{}", stderr(&trained));
    let found = json_of(here, &["evaluate", "runs/0001-image-stacked-digits", "--features", "random", "-n", "500"]);
    let of = |metric: &str, of: &str| found["scores"][metric][of].as_f64().unwrap();
    // Of 1,000 kinds, 500 draws find 1000 (1 - (1 - 1/1000)^500) = 394, with a standard deviation of 9.
    assert!((350.0..430.0).contains(&of("modes", "real")), "{found}");
    // A generator that learned nothing draws few kinds; even draws of so few pictures have a divergence of about 1.
    assert!(of("modes", "value") < 200.0 && of("modes", "trivial") < of("modes", "real"), "{found}");
    assert!((0.9..1.1).contains(&of("mode_divergence", "real")) && of("mode_divergence", "value") > 2.0, "{found}");
    let note = found["notes"][0].as_str().unwrap();
    let accuracy = note.split("right about ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|number| number.parse::<f64>().ok());
    assert!(note.contains("among 500 samples") && accuracy.unwrap() >= 90.0, "{note}");
    // Classes of the channels are no classes of the pictures.
    assert!(found["classes"].as_object().unwrap().is_empty() && found["scores"]["agreement"].is_null());
}
