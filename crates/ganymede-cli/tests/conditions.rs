//! Models that can be asked for attributes and in words, through the built program.

mod common;

use std::fs;
use std::path::Path;

use common::{failure_of, json_of, run, stderr, stdout_of};
use ganymede::data::{Channels, write_png};

/// Pictures of 8 x 8, red or blue, bright above or below, and what `tell` says of each in a file beside them.
fn pictures(here: &Path, name: &str, header: &str, tell: impl Fn(&str, &str, usize) -> String) {
    let folder = here.join("data");
    fs::create_dir_all(&folder).unwrap();
    let mut table = format!("{header}\n");
    for i in 0..N {
        let (colour, place) = (["red", "blue"][i % 2], ["above", "below"][i / 2 % 2]);
        let value = |p: usize| match (p % 3, (p / 96 == 0) == (place == "above")) {
            (0, true) if colour == "red" => 220,
            (2, true) if colour == "blue" => 220,
            _ => (20 + (i + p) % 9) as u8,
        };
        let pixels: Vec<u8> = (0..192).map(value).collect();
        fs::write(folder.join(format!("{i}.png")), write_png(8, 8, Channels::Rgb, &pixels, &[]).unwrap()).unwrap();
        table += &tell(colour, place, i);
    }
    fs::write(folder.join(name), table).unwrap();
}

/// Pictures in a set.
const N: usize = 240;

fn trained(here: &Path, steps: &str, more: &[&str]) {
    let small = ["batch=16", "latent_dim=6", "network.width=16", "group_width=8", "judge_every=0", "holdout=0.25"];
    let mut args = vec!["train", "data", "--steps", steps, "--seed", "1"];
    small.iter().chain(more).for_each(|set| args.extend(["--set", set]));
    let output = run(here, &args);
    assert!(output.status.success(), "{}", stderr(&output));
}

const RUN: &str = "runs/0001-image-data";

#[test]
fn attributes_are_learned_and_asked_for() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    pictures(here, "labels.csv", "file,colour,place,age", |colour, place, i| format!("{i}.png,{colour},{place},{}\n", 10 + i % 48));
    let inspected = stdout_of(here, &["inspect", "data"]);
    assert!(inspected.contains("colour, place, age"), "{inspected}");
    trained(here, "150", &[]);
    let of_model = stdout_of(here, &["inspect", &format!("{RUN}/model")]);
    assert!(of_model.contains("--where colour") && of_model.contains("a number from "), "{of_model}");

    stdout_of(here, &["sample", RUN, "--where", "colour=red", "--where", "age=20", "-n", "8", "-o", "red/"]);
    stdout_of(here, &["sample", RUN, "--where", "colour=blue", "--where", "age=20", "-n", "8", "-o", "blue/"]);
    let redness = |folder: &str| -> f64 {
        let mean = |path: &Path| {
            let picture = image::open(path).unwrap().into_rgb8();
            picture.pixels().map(|p| f64::from(p[0]) - f64::from(p[2])).sum::<f64>() / 64.0
        };
        (0..8).map(|i| mean(&here.join(folder).join(format!("seed0-{i:05}.png")))).sum::<f64>() / 8.0
    };
    assert!(redness("red") > redness("blue") + 20.0, "{} and {}", redness("red"), redness("blue"));
    let said = stdout_of(here, &["inspect", "red/seed0-00000.png"]);
    assert!(said.contains("colour=red") && said.contains("age=20"), "{said}");

    // The same seed and wish give the same bytes; a walk, a score and a projection take the wish too.
    stdout_of(here, &["sample", RUN, "--where", "colour=red", "--where", "age=20", "-n", "8", "-o", "again/"]);
    let bytes = |folder: &str| fs::read(here.join(folder).join("seed0-00003.png")).unwrap();
    assert!(bytes("red") == bytes("again") && bytes("red") != bytes("blue"));
    stdout_of(here, &["walk", RUN, "--where", "place=above", "-o", "walk.png"]);
    assert_eq!(json_of(here, &["score", RUN, "data", "--where", "colour=red"])["scores"].as_array().unwrap().len(), N);
    stdout_of(here, &["project", RUN, "data", "-n", "1", "--steps", "5", "-o", "found.json"]);

    let refused = |wish: &[&str]| failure_of(here, &[&["sample", RUN][..], wish].concat(), 2);
    assert!(refused(&["--where", "color=red"]).contains("did you mean colour?"));
    assert!(refused(&["--where", "colour=rad"]).contains("did you mean red?"));
    assert!(refused(&["--where", "age=200"]).contains("a number from "));
    assert!(refused(&["--where", "colour"]).contains("NAME=VALUE"));
    assert!(refused(&["--label", "red"]).contains("ask with --where"));
    assert!(refused(&["--prompt", "red"]).contains("ask with --where"));

    let found = json_of(here, &["evaluate", RUN]);
    let seen = &found["attributes"]["colour"];
    assert!(seen["value"].as_f64().unwrap() > seen["trivial"].as_f64().unwrap() && seen["real"].as_f64().unwrap() > 0.9, "{found}");
    assert!(found["attributes"].get("age").is_none() && found["scores"]["obedience"].is_object(), "{found}");
}

#[test]
fn captions_are_learned_and_asked_for_in_words() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    let tell = |colour: &str, place: &str, i: usize| format!("{i}.png,{colour} {place},{}\n", if colour == "red" { "rot" } else { "blau" });
    pictures(here, "captions.csv", "file,en,de", tell);
    assert!(stdout_of(here, &["inspect", "data"]).contains("480 captions of 240 pictures"));
    trained(here, "20", &[]);
    let of_model = stdout_of(here, &["inspect", &format!("{RUN}/model")]);
    assert!(of_model.contains("--prompt") && of_model.contains("words as in"), "{of_model}");
    stdout_of(here, &["sample", RUN, "--prompt", "red below", "-n", "2", "-o", "red/"]);
    stdout_of(here, &["sample", RUN, "--prompt", "Blau!", "-n", "2", "-o", "blue/"]);
    let bytes = |folder: &str| image::open(here.join(folder).join("seed0-00001.png")).unwrap().into_bytes();
    assert_ne!(bytes("red"), bytes("blue"));
    assert!(stdout_of(here, &["inspect", "red/seed0-00000.png"]).contains("red below"));
    stdout_of(here, &["sample", RUN, "-n", "4", "-o", "any.png"]);
    assert!(failure_of(here, &["sample", RUN, "--prompt", "xyz"], 2).contains("ask in words as in"));
    assert!(failure_of(here, &["sample", RUN, "--where", "a=b"], 2).contains("--prompt"));

    // A run that goes on reads its captions as before.
    let model = here.join(RUN).join("model/model.json");
    let vocabulary = |path: &Path| -> serde_json::Value {
        serde_json::from_slice::<serde_json::Value>(&fs::read(path).unwrap()).unwrap()["generator"]["captions"].clone()
    };
    let before = vocabulary(&model);
    let resumed = run(here, &["train", "--resume", RUN, "--steps", "24"]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    assert_eq!(vocabulary(&model), before);
}
