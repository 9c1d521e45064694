//! What generated pictures say of themselves, through the built program.

mod common;

use std::fs;

use common::{RUN, json_of, run, stdout_of, trained};

#[test]
fn pictures_say_which_model_drew_them_unless_told_not_to() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    trained(here);
    stdout_of(here, &["sample", RUN, "--seeds", "3:5", "--label", "b", "-o", "own/"]);
    let said = json_of(here, &["inspect", "own/seed3-00005.png"]);
    assert_eq!(
        (said["kind"].as_str(), said["sample"].as_str(), said["class"].as_str()),
        (Some("generated picture"), Some("seed 3, index 5"), Some("b"))
    );
    let manifest = fs::read_to_string(here.join(RUN).join("run.toml")).unwrap();
    let fingerprint = manifest.lines().find_map(|line| line.strip_prefix("fingerprint = \"")).unwrap();
    let generator = said["generator"].as_str().unwrap();
    assert!(
        generator.starts_with("image model of data (") && generator.contains("step 6, seed 1") && generator.contains(&fingerprint[..16]),
        "{generator}"
    );
    for args in
        [&["sample", RUN, "-o", "sheet.png"][..], &["walk", RUN, "-o", "walk.png"], &["sample", RUN, "--latent", "4", "-o", "one.png"]]
    {
        stdout_of(here, args);
        let file = args.last().unwrap();
        assert!(stdout_of(here, &["inspect", file]).contains("trained algorithm"), "{file}");
    }
    assert!(fs::read_dir(here.join(RUN).join("samples")).unwrap().count() > 1);

    stdout_of(here, &["sample", RUN, "-o", "silent.png", "--no-provenance"]);
    assert!(!String::from_utf8_lossy(&run(here, &["inspect", "silent.png"]).stdout).contains("trained algorithm"));
    let pixels = |name: &str| image::open(here.join(name)).unwrap().into_bytes();
    assert!(pixels("silent.png") == pixels("sheet.png"));
}
