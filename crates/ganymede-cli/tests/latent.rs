//! The latent space of a trained model, through the built program.

mod common;

use std::fs;
use std::path::Path;

use common::{RUN, failure_of, json_of, stdout_of, trained};
use ganymede::data::{Channels, write_png};

fn size(path: &Path) -> (u32, u32) {
    let picture = image::open(path).unwrap();
    (picture.width(), picture.height())
}

#[test]
fn walks_directions_and_sums_are_pictures() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    trained(here);

    // Cells of 8 x 8 are enlarged sixfold, with gaps of 2: 5 columns, and 2 rows from 3 points.
    let walk = json_of(here, &["walk", RUN, "--seeds", "0-2", "--steps", "4", "-o", "walk.png"]);
    assert_eq!(walk["pictures"], 10);
    let (w, h) = size(&here.join("walk.png"));
    let cell = (w + 2) / 5;
    assert_eq!((w, h), (5 * cell - 2, 2 * cell - 2));
    for name in ["walk.gif", "walk.apng"] {
        let moving = json_of(here, &["walk", RUN, "--seeds", "0-2", "--steps", "4", "--close", "-o", name]);
        assert_eq!(moving["pictures"], 12, "{name}");
    }
    assert!(
        fs::read(here.join("walk.gif")).unwrap().starts_with(b"GIF89a")
            && fs::read(here.join("walk.apng")).unwrap().starts_with(b"\x89PNG")
    );

    let directions = json_of(here, &["directions", RUN, "-n", "3", "-o", "d.png", "--label", "b"]);
    let strengths: Vec<f64> = directions["strengths"].as_array().unwrap().iter().map(|s| s.as_f64().unwrap()).collect();
    assert!(strengths.len() == 3 && strengths.is_sorted_by(|a, b| a >= b) && strengths[2] > 0.0, "{strengths:?}");
    assert_eq!(size(&here.join("d.png")), (7 * cell - 2, 3 * cell - 2));

    // A sample by its name in the latent space is the sample.
    stdout_of(here, &["sample", RUN, "--seeds", "3:5", "--label", "a", "-o", "plain.png"]);
    stdout_of(here, &["sample", RUN, "--latent", "3:5", "--label", "a", "-o", "latent.png"]);
    stdout_of(here, &["sample", RUN, "--seeds", "3:5", "--label", "a", "--along", "1=3", "-o", "moved.png"]);
    let pixels = |name: &str| image::open(here.join(name)).unwrap().into_bytes();
    assert!(pixels("plain.png") == pixels("latent.png") && pixels("plain.png") != pixels("moved.png"));
    stdout_of(here, &["sample", RUN, "--latent", "3:5 - 3:7 + 3:9", "--latent", "4", "-o", "files/"]);
    assert_eq!(fs::read_dir(here.join("files")).unwrap().count(), 2);
    failure_of(here, &["sample", RUN, "--latent", "4", "-o", "files/"], 1);
}

#[test]
fn a_sample_is_found_again_in_the_latent_space() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    trained(here);
    stdout_of(here, &["sample", RUN, "--seeds", "5,9", "--label", "b", "-o", "own/"]);
    let found = json_of(here, &["project", RUN, "own", "--steps", "200", "-o", "found.json"]);
    for picture in found["pictures"].as_array().unwrap() {
        assert!(picture["psnr"].as_f64().unwrap_or(f64::INFINITY) > 25.0, "{found}");
    }
    let (w, h) = size(&here.join("found.png"));
    assert_eq!(w, h, "two rows, each of a picture and what is drawn");
    stdout_of(here, &["sample", RUN, "--latent", "@found.json#1 + 0.5*3:5", "--along", "2=1", "-o", "edited.png"]);

    let said = failure_of(here, &["sample", RUN, "--latent", "@found.json#7"], 1);
    assert!(said.contains("none of number 7"), "{said}");
    fs::write(here.join("other.json"), fs::read_to_string(here.join("found.json")).unwrap().replace("seed 1", "seed 2")).unwrap();
    assert!(failure_of(here, &["sample", RUN, "--latent", "@other.json"], 1).contains("another model"));
    fs::write(here.join("broken.json"), "{").unwrap();
    failure_of(here, &["sample", RUN, "--latent", "@broken.json"], 1);
}

/// Pictures that are bright or dark, beside which stands what they are.
fn labelled(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let mut labels = "file,light,number\n".to_owned();
    for i in 0..120usize {
        let is_bright = i % 2 == 0;
        let pixels: Vec<u8> = (0..64).map(|p| (i * 31 + p * (5 + i % 11)) as u8 % 50 + if is_bright { 190 } else { 10 }).collect();
        fs::write(folder.join(format!("{i}.png")), write_png(8, 8, Channels::Grey, &pixels, &[]).unwrap()).unwrap();
        labels += &format!("{i}.png,{},{}.5\n", if is_bright { "on" } else { "off" }, i);
    }
    fs::write(folder.join("labels.csv"), labels).unwrap();
}

#[test]
fn labelled_attributes_have_directions_that_samples_can_be_moved_along() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    labelled(&here.join("lamps"));
    let mut args = vec!["train", "lamps", "--steps", "150", "--seed", "1"];
    let small = ["condition=none", "batch=8", "latent_dim=6", "network.width=16", "group_width=8", "judge_every=0"];
    small.iter().for_each(|set| args.extend(["--set", set]));
    stdout_of(here, &args);
    let run = "runs/0001-image-lamps";
    let found =
        json_of(here, &["directions", run, "--labelled", "lamps", "--attribute", "light", "--save", "light.json", "-o", "light.png"]);
    let directions = found["directions"].as_array().unwrap();
    assert_eq!(directions.len(), 2, "{found}");
    for direction in directions {
        let share = |key: &str| direction[key].as_f64().unwrap();
        assert!(share("put_on") > 0.8 && share("taken_off") > 0.8 && share("kept") == 1.0, "{found}");
    }
    assert!(found["seen_rightly"]["light"].as_f64().unwrap() > 0.99, "{found}");

    // All samples become bright, as far as the file says.
    let amount = directions.iter().find(|d| d["value"] == "on").unwrap()["amount"].as_f64().unwrap();
    let along = format!("@light.json#light=on={amount}");
    let mean_of = |args: &[&str], folder: &str| {
        stdout_of(here, &[&["sample", run, "--seeds", "50-69", "-o", folder], args].concat());
        let pictures = fs::read_dir(here.join(folder)).unwrap().map(|file| image::open(file.unwrap().path()).unwrap().into_bytes());
        let pixels: Vec<u8> = pictures.flatten().collect();
        pixels.iter().map(|v| f64::from(*v)).sum::<f64>() / pixels.len() as f64
    };
    let (plain, moved) = (mean_of(&[], "plain/"), mean_of(&["--along", &along], "moved/"));
    assert!(moved > plain + 40.0, "{plain} {moved}");

    for along in ["@light.json#light=on", "@light.json#light=blue=2", "@light.json", "@light.json#light=on=nan"] {
        assert!(failure_of(here, &["sample", run, "--along", along], 2).contains("help: "), "{along}");
    }
    let other = fs::read_to_string(here.join("light.json")).unwrap().replace("seed 1", "seed 2");
    fs::write(here.join("other.json"), other).unwrap();
    assert!(failure_of(here, &["sample", run, "--along", "@other.json#light=on=1"], 1).contains("another model"));
    assert!(failure_of(here, &["directions", run, "--labelled", "lamps", "--attribute", "hat"], 2).contains("no column"));
    assert!(failure_of(here, &["directions", run, "--labelled", "lamps", "--attribute", "number"], 1).contains("labels.csv"));
    trained(here);
    assert!(failure_of(here, &["directions", "runs/0002-image-data", "--labelled", "data"], 2).contains("--label"));
}

#[test]
fn what_means_nothing_in_the_latent_space_is_refused() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    trained(here);
    for args in [
        &["walk", RUN, "--seeds", "0"][..],
        &["walk", RUN, "--steps", "0"],
        &["walk", RUN, "-o", "walk.jpg"],
        &["walk", RUN, "-o", "walk.gif", "--fps", "0"],
        &["walk", RUN, "--label", "c"],
        &["directions", RUN, "--reach", "nan"],
        &["sample", RUN, "--latent", "3:5 3:6"],
        &["sample", RUN, "--along", "0=1"],
        &["sample", RUN, "--along", "7=1"],
        &["sample", RUN, "--along", "1=inf"],
        &["project", RUN, "data", "-o", "found.txt"],
    ] {
        let said = failure_of(here, args, 2);
        assert!(said.contains("help: "), "{args:?}: {said}");
    }
    stdout_of(here, &["train", "ring", "--steps", "2", "--set", "judge_every=0"]);
    let points = "runs/0002-points-ring";
    for args in [&["walk", points][..], &["project", points, "data"], &["sample", points, "--latent", "3"]] {
        assert!(failure_of(here, args, 2).contains("pictures"), "{args:?}");
    }
}
