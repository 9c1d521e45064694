//! What people do wrong, through the built program: each mistake is named together with its file or key and a way out, ends with the documented
//! exit status, and leaves nothing behind.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use common::{failure_of, json_of, run, stderr, stdout_of};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// Networks and plan of a training that takes a moment.
const SMALL: &[&str] = &[
    "--steps",
    "1",
    "--set",
    "network.width=16",
    "--set",
    "batch=4",
    "--set",
    "sheet=4",
    "--set",
    "data.height=8",
    "--set",
    "plan.log_every=1",
    "--device",
    "cpu",
];

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn picture(width: u32, height: u32, tint: u8, format: ImageFormat) -> Vec<u8> {
    let picture: DynamicImage = RgbImage::from_fn(width, height, |x, y| Rgb([tint, (x * 9) as u8, (y * 13) as u8])).into();
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

/// `n` good pictures in a folder.
fn pictures(here: &Path, name: &str, n: u8) -> PathBuf {
    let path = here.join(name);
    fs::create_dir_all(&path).unwrap();
    for i in 0..n {
        fs::write(path.join(format!("good{i}.png")), picture(16, 16, 20 * i, ImageFormat::Png)).unwrap();
    }
    path
}

/// A PNG whose header says 30,000 x 30,000 pixels, with a checksum that fits.
fn lying_picture() -> Vec<u8> {
    let mut bytes = picture(16, 16, 1, ImageFormat::Png);
    for at in [16, 20] {
        bytes[at..at + 4].copy_from_slice(&30_000u32.to_be_bytes());
    }
    let mut crc = !0u32;
    for byte in &bytes[12..29] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    bytes[29..33].copy_from_slice(&(!crc).to_be_bytes());
    bytes
}

/// Everything below a folder: paths and contents. A run's lock, which notes who opened it last, may change.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(contents(&path)),
            false if path.ends_with("lock") => {}
            false => drop(found.insert(path.clone(), fs::read(&path).ok())),
        }
        found.entry(path).or_insert(None);
    }
    found
}

/// The command fails with `code`, says every one of `words` and a way out, and changes nothing on the disk.
fn refused(here: &Path, args: &[&str], code: i32, words: &[&str]) -> String {
    let before = contents(here);
    let said = failure_of(here, args, code);
    for word in words {
        assert!(said.contains(word), "{args:?}: \"{word}\" is not in: {said}");
    }
    assert!(said.contains("help: ") && !said.contains("panicked"), "{args:?}: {said}");
    assert!(contents(here) == before, "{args:?} left something behind");
    // The same as an object.
    let output = run(here, &[args, &["--json"]].concat());
    let object: serde_json::Value = serde_json::from_str(String::from_utf8(output.stdout).unwrap().lines().last().unwrap()).unwrap();
    assert_eq!((output.status.code(), object["error"]["exit_code"].as_i64()), (Some(code), Some(i64::from(code))), "{args:?}");
    assert!(object["error"]["help"].is_string(), "{args:?}: {object}");
    said
}

fn train(here: &Path, data: &str, words: &[&str]) {
    refused(here, &[&["train", data], SMALL].concat(), 1, words);
}

/// A model of points, trained for a step.
fn trained(here: &Path) -> PathBuf {
    let args = ["train", "ring", "--steps", "1", "--set", "width=8", "--set", "plan.sheet=4", "--device", "cpu", "--fresh"];
    here.join(stdout_of(here, &args).trim_end())
}

#[test]
fn folders_without_pictures_enough() {
    let here = folder();
    fs::create_dir(here.path().join("empty")).unwrap();
    train(here.path(), "empty", &["empty: there is nothing in it", "name a folder"]);
    fs::create_dir(here.path().join("texts")).unwrap();
    fs::write(here.path().join("texts/a.txt"), "words").unwrap();
    train(here.path(), "texts", &["texts: no pictures in it", "1 .txt"]);
    fs::write(here.path().join("texts/table.csv"), "1,2\n").unwrap();
    train(here.path(), "texts", &["name the file itself"]);
    pictures(here.path(), "one", 1);
    train(here.path(), "one", &["one: needs at least 2 pictures, found 1", "add pictures"]);
    train(here.path(), "one/good0.png", &["one/good0.png: this is one picture", "name the folder"]);
    train(here.path(), "empyt", &["empyt", "help: "]);
    fs::write(here.path().join("nothing.csv"), "").unwrap();
    train(here.path(), "nothing.csv", &["nothing.csv: the file is empty"]);
}

#[test]
fn pictures_of_different_sizes_are_no_mistake() {
    let here = folder();
    let path = pictures(here.path(), "mixed", 2);
    for (i, (width, height)) in [(40, 20), (21, 33), (3, 90)].into_iter().enumerate() {
        fs::write(path.join(format!("other{i}.jpg")), picture(width, height, 99, ImageFormat::Jpeg)).unwrap();
    }
    let output = run(here.path(), &[&["train", "mixed"], SMALL].concat());
    let said = stderr(&output);
    assert!(output.status.success() && said.contains("of different sizes") && !said.contains("panicked"), "{said}");
    assert!(here.path().join("runs/0001-image-mixed/model/model.json").is_file());
}

#[test]
fn a_damaged_picture_among_good_ones_is_left_out_and_named() {
    let here = folder();
    let path = pictures(here.path(), "photos", 5);
    let whole = picture(64, 64, 50, ImageFormat::Jpeg);
    fs::write(path.join("cut.jpg"), &whole[..whole.len() / 2]).unwrap();
    fs::write(path.join("huge.png"), lying_picture()).unwrap();
    let output = run(here.path(), &[&["train", "photos"], SMALL].concat());
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("cut.jpg is left out: the JPEG is cut off"), "{said}");
    assert!(said.contains("huge.png is left out: the header says 30000 x 30000 pixels"), "{said}");
    let found = stdout_of(here.path(), &["inspect", "photos"]);
    assert!(found.contains("cut.jpg") && found.contains("huge.png"), "{found}");
    assert_eq!(json_of(here.path(), &["inspect", "runs/0001-image-photos"])["manifest"]["data"]["n_samples"], 5);
}

#[test]
fn nothing_but_damaged_pictures_is_an_error() {
    let here = folder();
    let path = pictures(here.path(), "photos", 2);
    for name in ["a.png", "b.png", "c.png"] {
        fs::write(path.join(name), lying_picture()).unwrap();
    }
    train(here.path(), "photos", &["photos: 3 of 5 pictures cannot be used", "a.png", "30000 x 30000", "remove the broken ones"]);
    // Headers that are whole and pixels that are not.
    for name in ["a.png", "b.png", "c.png"] {
        let whole = picture(40, 40, 3, ImageFormat::Png);
        fs::write(path.join(name), &whole[..whole.len() * 3 / 4]).unwrap();
    }
    train(here.path(), "photos", &["photos: 3 of 5 pictures cannot be used", "a.png"]);
}

#[test]
fn a_cell_that_is_no_number_is_named_by_line_and_column() {
    let here = folder();
    let rows = |cell: &str| (0..20).map(|i| if i == 7 { format!("{i},{cell}\n") } else { format!("{i},0.5\n") }).collect::<String>();
    fs::write(here.path().join("s.toml"), "[[columns]]\nname = \"x\"\nkind = \"integer\"\n\n[[columns]]\nname = \"y\"\nkind = \"real\"\n")
        .unwrap();
    fs::write(here.path().join("a.csv"), format!("x,y\n{}", rows("red"))).unwrap();
    // File, line and column as compilers write them.
    refused(here.path(), &["train", "a.csv", "--schema", "s.toml"], 1, &["a.csv:9:2: ", "\"red\"", "is not a number"]);
    fs::write(here.path().join("a.csv"), format!("x,y\n{}", rows("1,2"))).unwrap();
    refused(here.path(), &["train", "a.csv"], 1, &["a.csv:9: ", "3 cells where the first row has 2"]);
    fs::write(here.path().join("a.csv"), "a,b\n1,x\n2,y\n").unwrap();
    refused(here.path(), &["train", "a.csv"], 1, &["a.csv: 2 rows; at least 20", "add rows"]);
    fs::write(here.path().join("a.csv"), "1,2\n3,4\n").unwrap();
    refused(here.path(), &["train", "a.csv"], 1, &["a.csv: 2 rows of numbers; at least 10", "add rows"]);
}

#[test]
fn wrong_settings_name_their_key_and_the_nearest_one() {
    let here = folder();
    pictures(here.path(), "photos", 4);
    let set = |assignment: &str, words: &[&str]| {
        refused(here.path(), &["train", "photos", "--set", assignment], 2, words);
    };
    set("widht=32", &["widht: unknown setting", "did you mean data.width or network.width?"]);
    set("plan.stesp=3", &["plan.stesp", "did you mean plan.steps?"]);
    set("network.width=0", &["network.width: 0 is out of range", "from 1 to 4096"]);
    set("network.width=99999999999999999999", &["network.width"]);
    set("height=100000", &["data.height: 100000 pixels are out of range"]);
    set("fit=squeeze", &["data.fit", "crop"]);
    set("game.loss=best", &["game.loss", "relativistic"]);
    set("architecture=dcgan", &["network.architecture: gradient penalties are not defined for dcgan"]);
    set("beta1=nan", &["game.beta1"]);
    set("lr_g=inf", &["game.lr_g"]);
}

#[test]
fn a_damaged_or_newer_model_is_refused_by_file() {
    let here = folder();
    let run = trained(here.path());
    let model = run.join("model");
    let sample = ["sample", model.to_str().unwrap(), "-n", "2", "-o", "out.csv"];
    let weights = fs::read(model.join("generator.safetensors")).unwrap();
    for n in [0, 5, 100, weights.len() - 1] {
        fs::write(model.join("generator.safetensors"), &weights[..n]).unwrap();
        refused(here.path(), &sample, 1, &["model/generator.safetensors: is not a whole safetensors file", "another copy"]);
    }
    fs::write(model.join("generator.safetensors"), &weights).unwrap();
    let described = fs::read_to_string(model.join("model.json")).unwrap();
    for (text, words) in [
        (described.replacen("\"format\": 1", "\"format\": 2", 1), "was written by a newer version of ganymede"),
        (described.replacen("\"points\"", "\"music\"", 1), "the task \"music\""),
        (described.replacen("\"width\": 8", "\"width\": 4096", 1), "larger than the"),
        (described[..described.len() / 2].to_owned(), "model.json"),
        ("{}".to_owned(), "model.json"),
    ] {
        assert_ne!(text, described, "{words}");
        fs::write(model.join("model.json"), text).unwrap();
        refused(here.path(), &sample, 1, &["model", words]);
    }
    fs::remove_file(model.join("model.json")).unwrap();
    refused(here.path(), &sample, 1, &["model", "no model.json"]);
}

#[test]
fn a_run_that_is_in_use_or_whose_data_changed_is_refused() {
    let here = folder();
    pictures(here.path(), "photos", 4);
    let path = stdout_of(here.path(), &[&["train", "photos"], SMALL].concat());
    let run = path.trim_end();
    let lock = fs::File::open(here.path().join(run).join("lock")).unwrap();
    lock.lock().unwrap();
    refused(here.path(), &["train", "--resume", run], 1, &[run, "in use by another process", "wait until it ends"]);
    lock.unlock().unwrap();
    fs::write(here.path().join("photos/good0.png"), picture(16, 16, 250, ImageFormat::Png)).unwrap();
    refused(here.path(), &["train", "--resume", run], 1, &["changed since this run began", "put the old files back"]);
    fs::remove_dir_all(here.path().join("photos")).unwrap();
    refused(here.path(), &["train", "--resume", run], 1, &["photos"]);
    let manifest = here.path().join(run).join("run.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("batch = 4", "bacth = 4", 1)).unwrap();
    pictures(here.path(), "photos", 4);
    refused(here.path(), &["train", "--resume", run], 1, &["run.toml: plan.bacth: unknown setting", "did you mean plan.batch?"]);
}

#[test]
fn places_that_cannot_be_written_are_refused_before_training() {
    let here = folder();
    fs::write(here.path().join("file"), "").unwrap();
    refused(here.path(), &["train", "ring", "--steps", "1", "--out", "file"], 1, &["file"]);
    refused(here.path(), &["train", "ring", "--steps", "1", "--out", "file/runs"], 1, &["file/runs"]);
    if cfg!(target_os = "linux") {
        refused(here.path(), &["train", "ring", "--steps", "1", "--out", "/proc/runs"], 1, &["/proc/runs"]);
    }
    let locked = here.path().join("locked");
    fs::create_dir(&locked).unwrap();
    let mut permissions = fs::metadata(&locked).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&locked, permissions).unwrap();
    // An administrator may write everywhere.
    if fs::write(locked.join("probe"), "").is_err() {
        refused(here.path(), &["train", "ring", "--steps", "1", "--out", "locked/runs"], 1, &["locked/runs", "--out"]);
    }
    let run = trained(here.path());
    refused(here.path(), &["sample", run.to_str().unwrap(), "-n", "2", "-o", "file/rows.csv"], 1, &["file"]);
}
