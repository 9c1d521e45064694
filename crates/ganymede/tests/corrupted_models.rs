//! Damaged run directories and model folders of real tasks: each variant either works or is refused with a message that names the file. Nothing
//! panics, hangs, or takes memory on a lying number's word.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use ganymede::data::{Channels, write_png};
use ganymede::run::{HostTensor, NamedTensors, from_safetensors, to_safetensors};
use ganymede::session::{self, ResumeChanges, TrainRequest};
use ganymede::train::{self, Control, Event, SampleRequest};
use ganymede::{Error, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Far above what the little networks need and far below what the lying numbers announce.
const MAX_MEMORY_MIB: u64 = 1536;

/// Two steps of a small network on `data`, stopped before the third; the run directory inside the folder.
fn trained(data: &str, more: &[&str]) -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let small = [
        "plan.steps=3",
        "plan.batch=4",
        "plan.checkpoint_every=1",
        "plan.sheet=4",
        "plan.log_every=1",
        "network.latent_dim=4",
        "network.width=8",
    ];
    let request = TrainRequest {
        data: Some(data.to_owned()),
        set: small.iter().chain(more).map(|s| (*s).to_owned()).collect(),
        device: "cpu".into(),
        ..TrainRequest::default()
    };
    let prepared = session::prepare(&request).unwrap();
    let (mut run, mut task) = prepared.start(root.path(), &|_, _, _| {}).unwrap();
    let control = Control::default();
    let mut stop_at_2 =
        |event: &Event| control.stop.store(matches!(event, Event::Step { step: 2, .. }) || control.is_stopped(), Ordering::Relaxed);
    train::run(task.as_mut(), &prepared.plan, &mut run, &control, &mut stop_at_2).unwrap();
    let path = run.path().to_path_buf();
    (root, path)
}

fn points() -> (TempDir, PathBuf) {
    trained("ring", &["network.layers=2"])
}

/// A run on pictures of two classes, and the folder they lie in.
fn pictures() -> (TempDir, TempDir, PathBuf) {
    let data = tempfile::tempdir().unwrap();
    for (class, name) in ["cats", "dogs"].iter().enumerate() {
        fs::create_dir(data.path().join(name)).unwrap();
        for i in 0..4 {
            let pixels: Vec<u8> = (0..8 * 8 * 3).map(|p| (p * (5 + i) + 100 * class) as u8).collect();
            fs::write(data.path().join(name).join(format!("{i}.png")), write_png(8, 8, Channels::Rgb, &pixels, &[]).unwrap()).unwrap();
        }
    }
    let (root, path) = trained(data.path().to_str().unwrap(), &["network.group_width=4", "network.embedding_dim=4"]);
    (data, root, path)
}

/// A run on two tables of which one refers to the other, and the folder they lie in.
fn shop() -> (TempDir, TempDir, PathBuf) {
    let data = tempfile::tempdir().unwrap();
    let shop = data.path().join("shop");
    fs::create_dir(&shop).unwrap();
    let customer = |i: usize| format!("{i},{},{}\n", 20 + i * 7 % 50, ["F", "M"][i % 2]);
    let order = |i: usize| {
        format!("{},{:.2}\n", if i.is_multiple_of(9) { String::new() } else { (i * i % 60).to_string() }, (i * 37 % 91) as f64 / 7.0)
    };
    fs::write(shop.join("customers.csv"), format!("id,age,sex\n{}", (0..60).map(customer).collect::<String>())).unwrap();
    fs::write(shop.join("orders.csv"), format!("customer_id,amount\n{}", (0..150).map(order).collect::<String>())).unwrap();
    let (root, path) = trained(shop.to_str().unwrap(), &["network.d_width=8"]);
    (data, root, path)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

/// Opens the model and draws from it.
fn sample(path: &Path) -> Result<()> {
    let model = session::open_model(path, "cpu")?;
    let sheet = model.sample(&SampleRequest::sheet(0, 3))?;
    assert!(!sheet[0].bytes.is_empty());
    model.sample(&SampleRequest { sheet: false, truncation: 0.5, ..SampleRequest::sheet(1, 2) }).map(drop)
}

/// Goes on with the run, for one step at most: a damaged plan may ask for any number.
fn resume(path: &Path) -> Result<()> {
    let mut resumed = session::resume(path, &ResumeChanges::default(), &|_, _, _| {})?;
    let control = Control::default();
    let mut stop = |event: &Event| control.stop.store(matches!(event, Event::Step { .. }) || control.is_stopped(), Ordering::Relaxed);
    train::run(resumed.task.as_mut(), &resumed.plan, &mut resumed.run, &control, &mut stop).map(drop)
}

/// What came of the variants.
#[derive(Default)]
struct Tally {
    n_fine: usize,
    n_refused: usize,
}

impl Tally {
    /// Holds one outcome against the rule. `path` is the folder that the message must point into.
    fn add(&mut self, what: &str, path: &Path, outcome: impl FnOnce() -> Result<()>) {
        let outcome = catch_unwind(AssertUnwindSafe(outcome)).unwrap_or_else(|_| panic!("{what}: panicked"));
        match outcome {
            Ok(()) => self.n_fine += 1,
            // A damaged name of the data is looked for, and not found under that name.
            Err(Error::Data { .. }) if what.starts_with("run.toml") => self.n_refused += 1,
            // Finite numbers in the right places that lead nowhere.
            Err(Error::Diverged { .. }) => self.n_refused += 1,
            Err(error) => {
                let message = error.to_string();
                assert!(message.contains(&*path.to_string_lossy()) && message.contains("; "), "{what}: {message}");
                self.n_refused += 1;
            }
        }
    }
}

/// Contents that replace a file's: cut off, flipped, emptied, overwritten, with a lying length in front.
fn damaged(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let n = bytes.len();
    let mut variants = vec![("deep brackets".to_owned(), vec![b'['; 100_000]), ("only 0xff".into(), vec![0xff; n])];
    variants.extend([0, 1, 7, 8, 9, n / 4, n / 2, n - 1].map(|cut| (format!("cut to {cut}"), bytes[..cut.min(n)].to_vec())));
    for length in [0, 1, n as u64, 1 << 40, u64::MAX] {
        let mut lying = bytes.to_vec();
        lying[..8].copy_from_slice(&length.to_le_bytes());
        variants.push((format!("length {length}"), lying));
    }
    for idx in 0..16 {
        let mut flipped = bytes.to_vec();
        let at = (idx * 7919 + 8) % n;
        flipped[at] ^= 1 << (idx % 8);
        variants.push((format!("bit {} of byte {at} flipped", idx % 8), flipped));
    }
    variants
}

/// Files of weights that are whole and hold the wrong thing.
fn other_weights(path: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let whole = from_safetensors(path, &fs::read(path).unwrap()).unwrap();
    let changed = |change: &dyn Fn(&mut NamedTensors)| {
        let mut tensors = whole.clone();
        change(&mut tensors);
        to_safetensors(path, &tensors).unwrap()
    };
    let n = whole.len();
    vec![
        ("the first tensor missing", changed(&|t| drop(t.remove(0)))),
        ("the last tensor missing", changed(&|t| drop(t.pop()))),
        ("no tensors", changed(&|t| t.clear())),
        ("one more tensor", changed(&|t| t.push(("more".into(), HostTensor { shape: vec![1], values: vec![0.5] })))),
        ("an empty tensor more", changed(&|t| t.push(("more".into(), HostTensor { shape: vec![usize::MAX, 0], values: vec![] })))),
        (
            "tensors swapped",
            changed(&|t| {
                let (a, b) = (t[0].1.clone(), t[n - 1].1.clone());
                (t[0].1, t[n - 1].1) = (b, a);
            }),
        ),
        ("a tensor transposed", changed(&|t| t.iter_mut().for_each(|(_, tensor)| tensor.shape.reverse()))),
        ("a flat tensor", changed(&|t| t[0].1.shape = vec![t[0].1.values.len()])),
        ("a tensor of one more dimension", changed(&|t| t[0].1.shape.push(1))),
        (
            "a longer tensor",
            changed(&|t| {
                t[0].1.values.extend(vec![0.0; 1000]);
                t[0].1.shape = vec![t[0].1.values.len()];
            }),
        ),
        ("a value that is not a number", changed(&|t| t[0].1.values[0] = f32::NAN)),
        ("an infinite value", changed(&|t| t[n - 1].1.values[0] = f32::INFINITY)),
        ("huge values", changed(&|t| t.iter_mut().for_each(|(_, tensor)| tensor.values.fill(f32::MAX)))),
        ("all values zero", changed(&|t| t.iter_mut().for_each(|(_, tensor)| tensor.values.fill(0.0)))),
        ("another order", changed(&|t| t.reverse())),
    ]
}

/// Writes the list of checksums anew, so that what is wrong is not found by it.
fn sum_anew(folder: &Path) {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "SHA256SUMS");
    let line = |name: &String| {
        let sum: String = Sha256::digest(fs::read(folder.join(name)).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{sum}  {name}\n")
    };
    fs::write(folder.join("SHA256SUMS"), names.iter().map(line).collect::<String>()).unwrap();
}

/// Samples from the model with one file after the other damaged, with its list of checksums and with a list that says it is right.
fn damage_model(run: &Path, tally: &mut Tally) {
    let folder = run.join("model");
    sample(&folder).expect("the model is good before it is damaged");
    let sums = fs::read(folder.join("SHA256SUMS")).unwrap();
    for file in ["generator.safetensors", "model.json"] {
        let path = folder.join(file);
        let whole = fs::read(&path).unwrap();
        let mut variants = damaged(&whole);
        if file.ends_with(".safetensors") {
            variants.extend(other_weights(&path).into_iter().map(|(what, bytes)| (what.to_owned(), bytes)));
        }
        for (what, bytes) in variants {
            fs::write(&path, bytes).unwrap();
            tally.add(&format!("{file}: {what}"), &folder, || sample(&folder));
            sum_anew(&folder);
            tally.add(&format!("{file}: {what}, sums anew"), &folder, || sample(&folder));
            fs::write(folder.join("SHA256SUMS"), &sums).unwrap();
        }
        fs::write(&path, &whole).unwrap();
    }
    sample(&folder).unwrap();
}

/// Samples from the model with `model.json` saying something else at one or more places.
fn lie(run: &Path, lies: &[&[(&str, Value)]], tally: &mut Tally) {
    let folder = run.join("model");
    let path = folder.join("model.json");
    let whole = fs::read(&path).unwrap();
    for changes in lies {
        let mut description: Value = serde_json::from_slice(&whole).unwrap();
        for (pointer, value) in *changes {
            *description.pointer_mut(pointer).unwrap_or_else(|| panic!("model.json has {pointer}")) = value.clone();
        }
        fs::write(&path, serde_json::to_vec(&description).unwrap()).unwrap();
        let shown: Vec<_> = changes.iter().map(|(pointer, value)| format!("{pointer} = {value:.60}")).collect();
        tally.add(&format!("model.json: {}", shown.join(", ")), &folder, || sample(&folder));
    }
    fs::write(&path, whole).unwrap();
    sample(&folder).unwrap();
}

/// The most memory this process has had resident, where the system tells.
fn peak_memory_mib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? >> 10)
}

fn check_memory() {
    if let Some(peak) = peak_memory_mib() {
        assert!(peak < MAX_MEMORY_MIB, "{peak} MiB");
    }
}

#[test]
fn damaged_models_draw_or_are_refused_by_name() {
    let (_root, run) = points();
    let (_data, _image_root, image_run) = pictures();
    let mut tally = Tally::default();
    damage_model(&run, &mut tally);
    damage_model(&image_run, &mut tally);
    assert!(tally.n_refused > 120 && tally.n_fine > 4, "{} refused, {} fine", tally.n_refused, tally.n_fine);
    check_memory();
}

#[test]
fn lies_in_a_description_of_points_are_noticed() {
    let (_root, run) = points();
    let mut tally = Tally::default();
    let layers = ("/generator/network/layers", json!(16));
    lie(
        &run,
        &[
            &[("/format", json!(2))],
            &[("/format", json!(0))],
            &[("/format", json!("one"))],
            &[("/task", json!("nonsense"))],
            &[("/task", json!("image"))],
            &[("/generator", json!(null))],
            &[("/generator/network", json!({}))],
            &[("/generator/network/width", json!(4096))],
            &[("/generator/network/width", json!(0))],
            &[("/generator/network/width", json!(-8))],
            &[("/generator/network/width", json!(u64::MAX))],
            &[("/generator/network/latent_dim", json!(4096))],
            &[("/generator/network/width", json!(4096)), ("/generator/network/latent_dim", json!(4096)), layers.clone()],
            &[layers],
            &[("/generator/codec/columns", json!([]))],
            &[("/generator/codec/columns", json!(["a"]))],
            &[("/generator/codec/columns", json!(vec!["a"; 5000]))],
            &[
                ("/generator/codec/columns", json!(vec!["a"; 4096])),
                ("/generator/codec/mean", json!(vec![0.0; 4096])),
                ("/generator/codec/std", json!(vec![1.0; 4096])),
            ],
            &[("/generator/codec/std", json!([0.0, 1e308]))],
            &[("/generator/codec/mean", json!([1e308, -1e308]))],
            &[("/generator/codec/mean", json!([0.0]))],
            &[("/classes", json!(["a", "b"]))],
        ],
        &mut tally,
    );
    assert!(tally.n_refused >= 16, "{} refused, {} fine", tally.n_refused, tally.n_fine);
    check_memory();
}

#[test]
fn lies_in_a_description_of_several_tables_are_noticed() {
    let (_data, _root, run) = shop();
    let mut tally = Tally::default();
    lie(
        &run,
        &[
            &[("/generator/tables", json!([]))],
            &[("/generator/tables/0/encoder", json!(null))],
            &[("/generator/tables/0/encoder/columns", json!([]))],
            &[("/generator/tables/1/calibration/codes", json!([1.0]))],
            &[("/generator/schema/tables", json!([]))],
            &[("/generator/schema/tables/0/file", json!("../elsewhere.csv"))],
            &[("/generator/schema/tables/0/key", json!("age of"))],
            &[("/generator/schema/tables/0/schema/columns", json!([]))],
            &[("/generator/schema/tables/1/name", json!("customers"))],
            &[("/generator/schema/foreign_keys", json!([]))],
            &[("/generator/schema/foreign_keys/0/refers_to", json!("orders"))],
            &[("/generator/schema/foreign_keys/0/column", json!("amount"))],
            &[("/generator/family/first", json!(1))],
            &[("/generator/family/first", json!(9))],
            &[("/generator/family/members", json!([]))],
            &[("/generator/family/members/1/parents", json!([]))],
            &[("/generator/family/members/1/parents/0/table", json!(1))],
            &[("/generator/family/members/1/parents/0/table", json!(u64::MAX))],
            &[("/generator/family/members/1/parents/0/role", json!("inherited"))],
            &[("/generator/family/members/1/parents/0/role", json!("itself"))],
            &[("/generator/family/members/1/parents/0/missing", json!(-1.0))],
            &[("/generator/family/members/1/parents/0/missing", json!(0.0))],
            &[("/generator/family/members/1/share", json!(-1.0))],
            &[("/generator/network/width", json!(4096))],
        ],
        &mut tally,
    );
    assert!(tally.n_refused >= 24, "{} refused, {} fine", tally.n_refused, tally.n_fine);
    check_memory();
}

#[test]
fn lies_in_a_description_of_pictures_are_noticed() {
    let (_data, _root, run) = pictures();
    let mut tally = Tally::default();
    let width = ("/generator/network/width", json!(4096));
    let height = |n: u64| ("/generator/codec/height", json!(n));
    let all = |architecture: &str| {
        [
            ("/generator/network/architecture", json!(architecture)),
            ("/generator/network/latent_dim", json!(4096)),
            width.clone(),
            ("/generator/network/blocks", json!(16)),
            ("/generator/network/expansion", json!(8)),
            ("/generator/network/group_width", json!(0)),
        ]
    };
    let classes: Vec<String> = (0..60_000).map(|i| format!("c{i}")).collect();
    lie(
        &run,
        &[
            &[("/task", json!("points"))],
            &[height(1_000_000)],
            &[height(u64::MAX)],
            &[height(0)],
            &[height(1024)],
            &[height(1024), ("/generator/codec/width", json!(1024))],
            &[height(7)],
            &[height(1)],
            &[("/generator/codec/channels", json!("rgba"))],
            &[("/generator/codec/channels", json!("cmyk"))],
            std::slice::from_ref(&width),
            &[("/generator/network/width", json!(0))],
            &[("/generator/network/width", json!(9))],
            &[("/generator/network/latent_dim", json!(4096))],
            &[("/generator/network/latent_dim", json!(0))],
            &[("/generator/network/blocks", json!(16))],
            &[("/generator/network/expansion", json!(8))],
            &[("/generator/network/group_width", json!(0))],
            &[("/generator/network/group_width", json!(4096))],
            &[("/generator/network/full_width_until", json!(1))],
            &[("/generator/network/embedding_dim", json!(4096))],
            &[("/generator/network/filter", json!("box"))],
            &[("/generator/network/filter", json!("none"))],
            &[("/generator/network/architecture", json!("dcgan"))],
            &[("/generator/network/architecture", json!("mlp"))],
            // Each of these would be tens of gigabytes of weights.
            &all("residual"),
            &all("dcgan"),
            &all("mlp"),
            &[width.clone(), height(1024), ("/generator/codec/width", json!(1024)), ("/generator/network/architecture", json!("mlp"))],
            &[width.clone(), ("/generator/network/group_width", json!(0)), ("/generator/network/latent_dim", json!(1))],
            &[("/classes", json!([]))],
            &[("/classes", json!(["cats"]))],
            &[("/classes", json!([])), ("/generator/class_counts", json!([]))],
            &[
                ("/classes", json!(classes)),
                ("/generator/class_counts", json!(vec![1; 60_000])),
                ("/generator/network/embedding_dim", json!(4096)),
            ],
            &[("/generator/class_counts", json!([0, 0]))],
            &[("/generator/class_counts", json!([u64::MAX, u64::MAX]))],
            &[("/generator/class_counts", json!([-1, 1]))],
        ],
        &mut tally,
    );
    assert!(tally.n_refused >= 28, "{} refused, {} fine", tally.n_refused, tally.n_fine);
    check_memory();
}

/// Goes on with copies of `run` in which the file of that name is replaced by each of the variants.
fn resume_damaged(run: &Path, file: &str, variants: Vec<(String, Vec<u8>)>, is_summed_anew: bool, tally: &mut Tally) {
    for (what, bytes) in variants {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run");
        copy(run, &path);
        fs::write(path.join(file), bytes).unwrap();
        if is_summed_anew {
            sum_anew(path.join(file).parent().unwrap());
        }
        tally.add(&format!("{file}: {what}"), &path, || resume(&path));
    }
}

#[test]
fn damaged_checkpoints_are_passed_over_or_refused_by_name() {
    let (_root, run) = points();
    let (_data, _image_root, image_run) = pictures();
    let mut tally = Tally::default();
    for run in [run, image_run] {
        resume(&{
            let path = run.with_extension("copy");
            copy(&run, &path);
            path
        })
        .expect("the run is good before it is damaged");
        let newest = "checkpoints/step-00000002";
        for file in ["generator.safetensors", "discriminator.safetensors"] {
            let name = format!("{newest}/{file}");
            let variants = other_weights(&run.join(&name)).into_iter().map(|(what, bytes)| (what.to_owned(), bytes)).collect();
            resume_damaged(&run, &name, variants, true, &mut tally);
        }
        for file in ["generator.safetensors", "state.json"] {
            let name = format!("{newest}/{file}");
            let some = damaged(&fs::read(run.join(&name)).unwrap()).into_iter().step_by(3).collect();
            resume_damaged(&run, &name, some, true, &mut tally);
        }
        let state: Value = serde_json::from_slice(&fs::read(run.join(newest).join("state.json")).unwrap()).unwrap();
        let mut lies = Vec::new();
        for (key, value) in [
            ("step", json!(1)),
            ("step", json!(u64::MAX)),
            ("format", json!(9)),
            ("players", json!([])),
            ("players", json!(["generator"])),
            ("players", json!(["generator", "generator"])),
            ("players", json!(["../../run", "discriminator"])),
            ("trainer", json!(null)),
            ("trainer", json!({ "recent": "nonsense" })),
        ] {
            let mut state = state.clone();
            state[key] = value.clone();
            lies.push((format!("{key} = {value}"), serde_json::to_vec(&state).unwrap()));
        }
        resume_damaged(&run, &format!("{newest}/state.json"), lies, true, &mut tally);
    }
    assert!(tally.n_refused > 30 && tally.n_fine > 30, "{} refused, {} fine", tally.n_refused, tally.n_fine);
    check_memory();
}

#[test]
fn damaged_manifests_are_refused_by_name() {
    let (_root, run) = points();
    let whole = fs::read(run.join("run.toml")).unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    let mut variants: Vec<(String, Vec<u8>)> = damaged(&whole);
    variants.extend((1..20).map(|i| (format!("cut to {i} twentieths"), whole[..whole.len() * i / 20].to_vec())));
    for (from, to) in [
        ("format = 1", "format = 2"),
        ("format = 1", "format = -1"),
        ("task = \"points\"", "task = \"nonsense\""),
        ("task = \"points\"", "task = \"image\""),
        ("device = \"cpu\"", "device = \"abacus\""),
        ("name = \"ring\"", "name = \"grid\""),
        ("seed = 0", "seed = -1"),
        ("seed = 0", "seed = 1"),
        ("batch = 4", "batch = 0"),
        ("batch = 4", "batch = 99999999"),
        ("batch = 4", "batch = \"many\""),
        ("batch = 4", "batsch = 4"),
        ("width = 8", "width = 16"),
        ("width = 8", "width = 0"),
        ("width = 8", "width = 9999999999"),
        ("steps = 3", "steps = 1"),
        ("steps = 3", "steps = 0"),
        ("steps = 3", "steps = 9223372036854775807"),
        ("latent_dim = 4", "latent_dim = 1e3"),
        ("keep = 3", "keep = 9223372036854775807"),
        ("sheet = 4", "sheet = 1000000000"),
    ] {
        assert!(text.contains(from), "run.toml holds {from}");
        variants.push((to.to_owned(), text.replace(from, to).into_bytes()));
    }
    let mut tally = Tally::default();
    resume_damaged(&run, "run.toml", variants, false, &mut tally);
    assert!(tally.n_refused > 40 && tally.n_fine > 3, "{} refused, {} fine", tally.n_refused, tally.n_fine);
    check_memory();
}
