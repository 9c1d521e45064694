//! The contract of `Task`, held against every row of the table of tasks with networks of a few hundred weights.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use ganymede::artifact::Artifact;
use ganymede::config::flatten;
use ganymede::data::{Channels, Source, write_png};
use ganymede::losses::Loss;
use ganymede::run::{HostTensor, ModelFolder, NamedTensors, RunDir, to_safetensors};
use ganymede::session::{self, ResumeChanges, TrainRequest};
use ganymede::tasks::TASKS;
use ganymede::train::{self, Asked, Control, Event, Plan, SampleId, SampleRequest, Setup, Task, TaskEntry, Tuning, Wish};
use ganymede::{Result, device};
use tempfile::TempDir;
use toml::Table;

/// What makes any task small. A task takes what it knows of it.
const SMALL: [(&str, &str); 13] = [
    ("plan.steps", "4"),
    ("plan.batch", "4"),
    ("plan.log_every", "1"),
    ("plan.sample_every", "2"),
    ("plan.checkpoint_every", "2"),
    ("plan.sheet", "6"),
    ("network.latent_dim", "4"),
    ("network.width", "8"),
    ("network.embedding_dim", "4"),
    ("network.group_width", "4"),
    ("network.blocks", "1"),
    ("network.layers", "2"),
    ("network.d_width", "8"),
];

/// What everybody may know of the people's columns.
const PUBLIC: &str = r#"
[[columns]]
name = "age"
kind = "integer"
min = 20
max = 70
[[columns]]
name = "colour"
kind = "category"
categories = ["red", "green", "blue"]
[[columns]]
name = "size"
kind = "real"
min = 0
max = 13
decimals = 2
[[columns]]
name = "member"
kind = "boolean"
categories = ["true", "false"]
"#;

/// Every loss there is; the compiler asks for a new one in `name_of`.
const LOSSES: [Loss; 6] = [Loss::Minimax, Loss::NonSaturating, Loss::Hinge, Loss::LeastSquares, Loss::Wasserstein, Loss::Relativistic];

fn name_of(loss: Loss) -> &'static str {
    match loss {
        Loss::Minimax => "minimax",
        Loss::NonSaturating => "non-saturating",
        Loss::Hinge => "hinge",
        Loss::LeastSquares => "least-squares",
        Loss::Wasserstein => "wasserstein",
        Loss::Relativistic => "relativistic",
    }
}

/// Six pictures of `width` x `height` in each of `folders`, every one different.
fn pictures(folders: &[&str], width: usize, height: usize, channels: Channels) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (class, folder) in folders.iter().enumerate() {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
        for i in 0..6 {
            let bytes: Vec<u8> = (0..width * height * channels.count()).map(|p| (p * (7 + i) + 40 * i + 90 * class) as u8).collect();
            fs::write(dir.path().join(folder).join(format!("{i}.png")), write_png(width, height, channels, &bytes, &[]).unwrap()).unwrap();
        }
    }
    dir
}

/// A task's row, data that is its own, and the folder that the data lies in.
struct Case {
    entry: &'static TaskEntry,
    data: String,
    source: Source,
    _dir: TempDir,
}

impl Case {
    fn of_pictures(dir: TempDir) -> Self {
        let data = dir.path().to_str().unwrap().to_owned();
        let source = Source::open(&data).unwrap();
        Self { entry: session::recognize(&source).unwrap().0, data, source, _dir: dir }
    }

    /// The task's settings over `layers`, made small.
    fn config(&self, layers: &[&str]) -> Table {
        let mut layers: Vec<Table> = layers.iter().map(|text| toml::from_str(text).unwrap()).collect();
        let small: String = self.small().iter().map(|assignment| format!("{assignment}\n")).collect();
        layers.insert(layers.len().min(1), toml::from_str(&small).unwrap());
        let resolve = |layers: &[Table]| (self.entry.resolve)(layers).unwrap_or_else(|e| panic!("{}: {e}", self.entry.name));
        let config = resolve(&layers);
        let is_private = flatten(&config).iter().any(|(key, value)| key == "privacy.epsilon" && value != "0.0");
        if !is_private {
            return config;
        }
        // Nothing about the columns may be found in the data.
        let schema = self._dir.path().join("schema.toml");
        fs::write(&schema, PUBLIC).unwrap();
        let named = format!("data.schema = {:?}", schema.to_str().unwrap());
        resolve(&[config, toml::from_str(&named).unwrap()])
    }

    /// The assignments of [`SMALL`] whose keys the task has.
    fn small(&self) -> Vec<String> {
        let known = flatten(&(self.entry.resolve)(&[]).unwrap());
        let is_known = |key: &str| known.iter().any(|(k, _)| k == key);
        SMALL.iter().filter(|(key, _)| is_known(key)).map(|(key, value)| format!("{key}={value}")).collect()
    }

    fn try_open(&self, config: &Table, seed: u64) -> Result<Box<dyn Task>> {
        (self.entry.open)(&Setup {
            source: &self.source,
            config,
            seed,
            device: device::open("cpu").unwrap(),
            cache: None,
            progress: &|_, _, _| {},
        })
    }

    /// The task with the settings of `layers` after `steps` steps.
    fn after(&self, layers: &[&str], seed: u64, steps: u64) -> Box<dyn Task> {
        let mut task = self.try_open(&self.config(layers), seed).unwrap_or_else(|e| panic!("{}: {e}", self.entry.name));
        (0..steps).for_each(|step| task.step(step).unwrap());
        task
    }
}

/// Every task with data that it recognises. A new task finds its data here or adds some.
fn cases() -> Vec<Case> {
    TASKS
        .iter()
        .map(|entry| {
            let dir = pictures(&["cats", "dogs"], 8, 8, Channels::Rgb);
            let folder = dir.path().to_str().unwrap().to_owned();
            let people = dir.path().join("people.csv");
            let row = |i: usize| {
                format!(
                    "{},{},{:.2},{}\n",
                    20 + i * 7 % 50,
                    ["red", "green", "blue"][i * i % 3],
                    (i * 37 % 91) as f64 / 7.0,
                    i.is_multiple_of(2)
                )
            };
            fs::write(&people, format!("age,colour,size,member\n{}", (0..80).map(row).collect::<String>())).unwrap();
            let visits = dir.path().join("visits.csv");
            let steps = |patient: usize| {
                let step = move |i: usize| {
                    format!(
                        "P{patient:02},{},{:.1},{},{}\n",
                        ["F", "M"][patient % 2],
                        60.0 + (patient * 31 + i * 17 % 9) as f64 / 7.0,
                        i * i % 7,
                        ["a", "b"][i % 2]
                    )
                };
                (0..3 + patient % 3).map(step).collect::<String>()
            };
            fs::write(&visits, format!("patient,sex,weight,dose,ward\n{}", (0..60).map(steps).collect::<String>())).unwrap();
            let shop = dir.path().join("shop");
            fs::create_dir(&shop).unwrap();
            let customer = |i: usize| format!("{i},{},{:.2}\n", 20 + i * 7 % 50, (i * 37 % 91) as f64 / 7.0);
            let order = |i: usize| format!("{i},{},{:.2}\n", i * i % 45, (i * 31 % 97) as f64 / 3.0);
            fs::write(shop.join("customers.csv"), format!("id,age,size\n{}", (0..60).map(customer).collect::<String>())).unwrap();
            fs::write(shop.join("orders.csv"), format!("id,customer_id,amount\n{}", (0..150).map(order).collect::<String>())).unwrap();
            let paths = [&people, &visits, &shop].map(|path| path.to_str().unwrap().to_owned());
            let candidates = [vec![folder, "ring".to_owned()], paths.to_vec()].concat();
            let opened = candidates.into_iter().map(|data| (Source::open(&data).unwrap(), data));
            let mut own = opened.filter(|(source, _)| (entry.recognizes)(source).is_some());
            let (source, data) = own.next().unwrap_or_else(|| panic!("add data that the task {} recognises", entry.name));
            Case { entry, data, source, _dir: dir }
        })
        .collect()
}

fn ids(seed: u64, indices: impl IntoIterator<Item = u64>) -> Vec<SampleId> {
    indices.into_iter().map(|index| SampleId { seed, index }).collect()
}

fn singles(ids: Vec<SampleId>) -> SampleRequest {
    SampleRequest { ids, wish: Wish::Any, truncation: 1.0, sheet: false }
}

/// A file's contents without its metadata: pixels, or the bytes themselves.
fn contents(artifact: &Artifact) -> Vec<u8> {
    match artifact.media_type {
        "image/png" => image::load_from_memory(&artifact.bytes).unwrap().into_rgba8().into_raw(),
        _ => artifact.bytes.clone(),
    }
}

/// Every bit of a task's state.
fn state_bytes(task: &dyn Task) -> Vec<(String, Vec<u8>)> {
    let players = task.save_state().unwrap();
    players.into_iter().map(|(name, tensors)| (name, to_safetensors(Path::new("state"), &tensors).unwrap())).collect()
}

/// The files of a folder and their bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut found: Vec<_> = entries.map(|p| (p.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&p).unwrap())).collect();
    found.sort();
    found
}

fn request(case: &Case) -> TrainRequest {
    TrainRequest {
        data: Some(case.data.clone()),
        task: Some(case.entry.name.to_owned()),
        set: case.small(),
        seed: 5,
        device: "cpu".into(),
        ..TrainRequest::default()
    }
}

/// A training run of the case's task in a directory under `root`, as the program starts it.
fn start(case: &Case, root: &Path) -> (RunDir, Box<dyn Task>, Plan) {
    let prepared = session::prepare(&request(case)).unwrap();
    let (run, task) = prepared.start(root, &|_, _, _| {}).unwrap();
    (run, task, prepared.plan)
}

/// [`start`], and all of its plan done.
fn finished(case: &Case, root: &Path) -> (RunDir, Box<dyn Task>) {
    let (mut run, mut task, plan) = start(case, root);
    train::run(task.as_mut(), &plan, &mut run, &Control::default(), &mut |_| {}).unwrap();
    (run, task)
}

#[test]
fn it_steps_and_its_numbers_are_finite() {
    for case in cases() {
        let name = case.entry.name;
        let mut task = case.after(&[], 1, 0);
        assert_eq!(task.batch(), 4, "{name}");
        for step in 0..3 {
            task.step(step).unwrap();
            let report = task.report().unwrap();
            assert!(report.scalars().all(|(_, value)| value.is_finite()), "{name}: {report:?}");
            assert!((0.0..=1.0).contains(&report.d_accuracy), "{name}: {report:?}");
        }
        assert!(task.quick_metrics().unwrap().iter().all(|(_, value)| value.is_finite()), "{name}");
    }
}

#[test]
fn its_samples_are_judged_the_same_each_time_and_too_little_data_is_no_error() {
    for case in cases() {
        let name = case.entry.name;
        let mut task = case.after(&[], 1, 2);
        let Some(panel) = task.panel(&mut |_, _| {}).unwrap() else {
            assert!(task.look(0).unwrap_err().to_string().contains("too small"), "{name}");
            continue;
        };
        let judged = |task: &mut dyn Task, seed| panel.judge(&task.look(seed).unwrap()).unwrap();
        let first = judged(task.as_mut(), 7);
        assert!(first.score(&first.choice).is_some() && first.scores.len() >= 8, "{name}");
        assert!(first.scores.iter().all(|s| [s.value, s.real, s.trivial].iter().all(|v| v.is_finite())), "{name}");
        assert_eq!(first, judged(task.as_mut(), 7), "{name}");
        assert_ne!(first, judged(task.as_mut(), 8), "{name}");
    }
}

#[test]
fn tuning_changes_the_game_and_is_undone_by_tuning_back() {
    for case in cases() {
        let name = case.entry.name;
        let played = |tunings: &[Tuning]| {
            let mut task = case.after(&[], 1, 0);
            for (step, tuning) in tunings.iter().enumerate() {
                task.tune(*tuning);
                task.step(step as u64).unwrap();
            }
            state_bytes(task.as_ref())
        };
        let (plain, slow) = (Tuning::default(), Tuning { lr_g: 0.5, ..Tuning::default() });
        let untouched = state_bytes(case.after(&[], 1, 2).as_ref());
        assert!(played(&[plain, plain]) == untouched, "{name}");
        let mut changes = vec![slow, Tuning { lr_d: 0.5, ..plain }, Tuning { penalty: 3.0, ..plain }];
        changes.extend(case.after(&[], 1, 0).augments().then_some(Tuning { augment: 0.5, ..plain }));
        for changed in changes {
            assert!(played(&[plain, changed]) != untouched, "{name}: {changed:?}");
        }
    }
}

#[test]
fn its_sheets_are_files_that_can_be_read() {
    for case in cases() {
        let name = case.entry.name;
        let task = case.after(&[], 1, 1);
        let sheet = task.sample(&SampleRequest::sheet(0, 6)).unwrap();
        assert_eq!(sheet.len(), 1, "{name}");
        for artifact in [task.snapshot(0, 6).unwrap(), task.real_sheet(6).unwrap(), task.real_sheet(1_000_000).unwrap(), sheet[0].clone()] {
            assert!(!artifact.stem.is_empty() && !artifact.bytes.is_empty(), "{name}");
            match (artifact.media_type, artifact.extension) {
                ("image/png", "png") => assert!(image::load_from_memory(&artifact.bytes).unwrap().width() > 0, "{name}"),
                (media_type, _) if media_type.starts_with("text/") => assert!(std::str::from_utf8(&artifact.bytes).is_ok(), "{name}"),
                ("application/json", "json") => {
                    let document: serde_json::Value = serde_json::from_slice(&artifact.bytes).unwrap();
                    assert!(document.as_object().is_some_and(|tables| tables.values().all(serde_json::Value::is_array)), "{name}");
                }
                other => panic!("{name}: teach this test to read {other:?}"),
            }
        }
        assert_eq!(contents(&task.snapshot(3, 6).unwrap()), contents(&task.snapshot(3, 6).unwrap()), "{name}");
    }
}

#[test]
fn a_sample_is_a_function_of_its_identity_alone() {
    for case in cases() {
        let name = case.entry.name;
        let task = case.after(&[], 1, 2);
        let before = state_bytes(task.as_ref());
        let wanted = SampleId { seed: 3, index: 7 };
        let alone = task.sample(&singles(vec![wanted])).unwrap();
        assert_eq!((alone.len(), alone[0].stem.as_str()), (1, "seed3-00007"), "{name}");
        // Among others, more than are computed at once, in the first place and in the last.
        let mut among = ids(9, 0..40);
        among.insert(0, wanted);
        among.push(wanted);
        let drawn = task.sample(&singles(among)).unwrap();
        assert_eq!(drawn.len(), 42, "{name}");
        assert_eq!((&drawn[0], &drawn[41]), (&alone[0], &alone[0]), "{name}");
        let different: Vec<_> = task.sample(&singles([ids(3, 7..10), ids(4, 7..10)].concat())).unwrap().iter().map(contents).collect();
        for (i, one) in different.iter().enumerate() {
            assert!(different[..i].iter().all(|other| other != one), "{name}: sample {i} is one that was there before");
        }
        let typical = task.sample(&SampleRequest { truncation: 0.5, ..singles(vec![wanted]) }).unwrap();
        assert_ne!(contents(&typical[0]), contents(&alone[0]), "{name}");
        assert_eq!(state_bytes(task.as_ref()), before, "{name}: sampling changes nothing");
    }
}

#[test]
fn the_seed_and_nothing_else_makes_a_run() {
    for case in cases() {
        let [one, two, other] = [1, 1, 2].map(|seed| state_bytes(case.after(&[], seed, 2).as_ref()));
        assert!(one == two && one != other, "{}", case.entry.name);
    }
}

/// A batch of four in parts of one and of two: with Adam's epsilon so large that updates follow the gradients, the same game but for rounding.
#[test]
fn a_batch_in_parts_plays_the_same_game() {
    for case in cases() {
        let name = case.entry.name;
        let after = |parts: usize| {
            let game = format!("game.accumulate = {parts}\ngame.epsilon = 1.0\ngame.gradient_penalty = 0.5\ngame.clip = 10.0");
            let task = case.after(&["", &game], 1, 3);
            let values: Vec<f32> =
                task.save_state().unwrap().into_iter().flat_map(|(_, own)| own).flat_map(|(_, own)| own.values).collect();
            (task, values)
        };
        let ((mut whole, expected), (mut parts, found)) = (after(1), after(3));
        assert!(expected != found, "{name}: the parts were not taken by themselves");
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{name}: {found} and {expected}");
        }
        let (whole, parts) = (whole.report().unwrap(), parts.report().unwrap());
        for ((key, expected), (_, found)) in whole.scalars().zip(parts.scalars()) {
            assert!((found - expected).abs() < 1e-3 * (1.0 + expected.abs()), "{name} {key}: {found} and {expected}");
        }
    }
}

#[test]
fn a_restored_task_goes_on_exactly_like_the_one_it_came_from() {
    for case in cases() {
        let mut variants: Vec<Vec<&str>> = case.entry.presets.iter().map(|preset| vec![preset.toml]).collect();
        variants.push(vec!["", "game.d_first = 2\ngame.clip = 0.5\ngame.d_steps = 2"]);
        for layers in &variants {
            for saved_at in [0, 1, 2] {
                let mut one = case.after(layers, 1, saved_at);
                let mut two = case.after(layers, 1, 0);
                two.load_state(one.save_state().unwrap()).unwrap();
                assert_eq!(state_bytes(one.as_ref()), state_bytes(two.as_ref()), "{} at {saved_at}", case.entry.name);
                for step in saved_at..saved_at + 2 {
                    one.step(step).unwrap();
                    two.step(step).unwrap();
                }
                assert_eq!(state_bytes(one.as_ref()), state_bytes(two.as_ref()), "{} from {saved_at}", case.entry.name);
                assert_eq!(one.report().unwrap(), two.report().unwrap());
            }
        }
    }
}

#[test]
fn a_run_that_was_stopped_and_resumed_ends_with_the_same_bytes() {
    for case in cases() {
        let name = case.entry.name;
        let root = tempfile::tempdir().unwrap();
        let (run, _) = finished(&case, root.path());
        let undisturbed = run.path().to_path_buf();

        let (mut run, mut task, plan) = start(&case, root.path());
        let control = Control::default();
        let stop = control.stop.clone();
        let mut stop_at_3 = |event: &Event| {
            if matches!(event, Event::Step { step: 3, .. }) {
                stop.store(true, Ordering::Relaxed);
            }
        };
        assert_eq!(train::run(task.as_mut(), &plan, &mut run, &control, &mut stop_at_3).unwrap().step, 3, "{name}");
        let stopped = run.path().to_path_buf();
        drop(run);
        let mut resumed = session::resume(&stopped, &ResumeChanges::default(), &|_, _, _| {}).unwrap();
        let outcome = train::run(resumed.task.as_mut(), &resumed.plan, &mut resumed.run, &Control::default(), &mut |_| {}).unwrap();
        assert_eq!(outcome.step, 4, "{name}");
        for folder in ["model", "checkpoints/step-00000004", "samples"] {
            assert_eq!(files(&stopped.join(folder)), files(&undisturbed.join(folder)), "{name}: {folder}");
        }
    }
}

#[test]
fn the_model_folder_alone_draws_the_same_samples() {
    for case in cases() {
        let name = case.entry.name;
        let root = tempfile::tempdir().unwrap();
        let (run, task) = finished(&case, root.path());
        let moved = root.path().join("elsewhere");
        fs::rename(run.path().join("model"), &moved).unwrap();
        let folder = ModelFolder::open(&moved).unwrap();
        assert_eq!((folder.description().task.as_str(), folder.description().step), (name, 4));
        let model = (case.entry.load_model)(&folder, &device::open("cpu").unwrap()).unwrap();
        assert_eq!(model.description(), folder.description(), "{name}");
        for request in [singles(ids(2, 0..20)), SampleRequest::sheet(1, 6), SampleRequest { truncation: 0.3, ..SampleRequest::sheet(1, 3) }]
        {
            // Pictures of a model folder also say which one it was.
            let drawn = |files: Vec<Artifact>| files.iter().map(|file| (file.stem.clone(), contents(file))).collect::<Vec<_>>();
            assert!(drawn(model.sample(&request).unwrap()) == drawn(task.sample(&request).unwrap()), "{name}");
        }
    }
}

/// Ways in which a state can fail to fit: for every tensor that it is missing or of another shape, a tensor too many, a player too many or too few.
fn misfits(state: &[(String, NamedTensors)]) -> Vec<(String, Vec<(String, NamedTensors)>)> {
    let mut found = Vec::new();
    for player in 0..state.len() {
        let mut add = |what: &str, change: &dyn Fn(&mut NamedTensors)| {
            let mut players = state.to_vec();
            change(&mut players[player].1);
            found.push((format!("{what} of the {}", state[player].0), players));
        };
        for (idx, (name, _)) in state[player].1.iter().enumerate() {
            add(&format!("{name} missing"), &|tensors| drop(tensors.remove(idx)));
            add(&format!("{name} in another shape"), &|tensors| tensors[idx].1.shape.push(1));
            add(&format!("{name} longer"), &|tensors| {
                let HostTensor { shape, values } = &mut tensors[idx].1;
                values.push(0.0);
                *shape = vec![values.len()];
            });
        }
        add("one more tensor", &|tensors| tensors.push(("net.more".into(), HostTensor { shape: vec![1], values: vec![0.0] })));
        let mut without = state.to_vec();
        let (name, tensors) = without.remove(player);
        found.push((format!("no {name}"), without));
        found.push((format!("a stranger beside the {name}"), [state, &[("stranger".to_owned(), tensors)]].concat()));
    }
    found
}

#[test]
fn a_state_that_does_not_fit_is_refused_and_changes_nothing() {
    for case in cases() {
        for preset in case.entry.presets {
            let name = format!("{} {}", case.entry.name, preset.name);
            let state = case.after(&[preset.toml], 1, 2).save_state().unwrap();
            let mut task = case.after(&[preset.toml], 1, 1);
            let before = state_bytes(task.as_ref());
            for (what, misfit) in misfits(&state) {
                assert!(task.load_state(misfit).is_err(), "{name}: {what} is not noticed");
                assert!(state_bytes(task.as_ref()) == before, "{name}: {what} is refused, but something was loaded");
            }
            task.load_state(state).unwrap();
            assert!(state_bytes(task.as_ref()) != before, "{name}");
        }
    }
}

#[test]
fn every_preset_resolves_and_takes_a_step() {
    for case in cases() {
        for preset in case.entry.presets {
            let mut task = case.after(&[preset.toml], 1, 2);
            let report = task.report().unwrap();
            assert!(report.scalars().all(|(_, value)| value.is_finite()), "{} {}: {report:?}", case.entry.name, preset.name);
            assert_eq!(task.sample(&singles(ids(0, 0..2))).unwrap().len(), 2);
        }
    }
}

#[test]
fn every_loss_and_every_penalty_takes_a_step() {
    for case in cases() {
        for loss in LOSSES {
            assert_eq!(serde_json::to_value(loss).unwrap(), name_of(loss));
            for (r1, gradient_penalty) in [(0.0, 0.0), (1.0, 0.0), (0.0, 10.0), (1.0, 10.0)] {
                let game = format!(
                    "game.loss = \"{}\"\ngame.r1 = {r1:?}\ngame.r2 = {r1:?}\ngame.gradient_penalty = {gradient_penalty:?}",
                    name_of(loss)
                );
                let mut task = case.after(&["", &game], 1, 2);
                let report = task.report().unwrap();
                assert!(report.scalars().all(|(_, value)| value.is_finite()), "{} {game}: {report:?}", case.entry.name);
                let has = |wanted: &str| report.scalars().any(|(name, _)| name == wanted);
                assert_eq!((has("r1"), has("r2"), has("gradient_penalty")), (r1 > 0.0, r1 > 0.0, gradient_penalty > 0.0), "{game}");
            }
        }
    }
}

#[test]
fn wrong_settings_are_refused_by_their_key() {
    for case in cases() {
        for (layer, key) in [
            ("plan.batch = 0", "plan.batch"),
            ("plan.stepz = 3", "plan.stepz"),
            ("game.lr_g = -1.0", "game.lr_g"),
            ("network.width = 0", "network.width"),
        ] {
            let error = (case.entry.resolve)(&[toml::from_str(layer).unwrap()]).unwrap_err();
            assert!(error.to_string().starts_with(key) && error.exit_code() == 2, "{}: {error}", case.entry.name);
        }
        assert!(case.entry.preset("nonsense").is_err());
    }
}

#[test]
fn data_of_another_kind_is_refused() {
    let cases = cases();
    for case in &cases {
        for other in cases.iter().filter(|other| (case.entry.recognizes)(&other.source).is_none()) {
            let setup = Setup {
                source: &other.source,
                config: &case.config(&[]),
                seed: 1,
                device: device::open("cpu").unwrap(),
                cache: None,
                progress: &|_, _, _| {},
            };
            let error = (case.entry.open)(&setup);
            assert!(error.err().unwrap().to_string().contains("ganymede tasks"), "{}", case.entry.name);
            assert!((case.entry.propose)(&other.source, &device::open("cpu").unwrap(), &Asked::default()).is_err());
        }
    }
}

#[test]
fn pictures_keep_their_size_and_channels() {
    for (width, height, channels) in
        [(20, 12, Channels::Rgba), (12, 20, Channels::Rgb), (9, 7, Channels::Grey), (5, 31, Channels::Rgb), (4, 4, Channels::Grey)]
    {
        let case = Case::of_pictures(pictures(&["."], width, height, channels));
        for architecture in ["residual", "dcgan", "mlp"] {
            let layer = format!("network.architecture = \"{architecture}\"\ngame.r1 = 0.0\ngame.r2 = 0.0");
            let task = case.try_open(&case.config(&["", &layer]), 1);
            // Too small for a single stride: an error that says what to use instead.
            if architecture == "dcgan" && width.min(height) < 8 {
                assert!(task.err().unwrap().to_string().starts_with("network.architecture"));
                continue;
            }
            let mut task = task.unwrap();
            task.step(0).unwrap();
            assert!(task.report().unwrap().d_loss.is_finite());
            let drawn = image::load_from_memory(&task.sample(&singles(ids(0, 0..1))).unwrap()[0].bytes).unwrap();
            let n_channels = usize::from(drawn.color().channel_count());
            assert_eq!((drawn.width() as usize, drawn.height() as usize, n_channels), (width, height, channels.count()), "{architecture}");
        }
    }
}

#[test]
fn pictures_are_drawn_of_the_class_that_is_asked_for() {
    let case = Case::of_pictures(pictures(&["cats", "dogs"], 8, 8, Channels::Rgb));
    let asked = |task: &dyn Task, label: &str| {
        task.sample(&SampleRequest { wish: Wish::Class(label.to_owned()), ..singles(ids(0, 0..20)) })
            .map(|files| files.iter().map(contents).collect::<Vec<_>>())
    };
    for architecture in ["residual", "dcgan", "mlp"] {
        let layer = format!("network.architecture = \"{architecture}\"\ngame.r1 = 0.0\ngame.r2 = 0.0");
        let task = case.after(&["", &layer], 1, 2);
        let (cats, dogs) = (asked(task.as_ref(), "cats").unwrap(), asked(task.as_ref(), "dogs").unwrap());
        assert!(cats.iter().zip(&dogs).all(|(cat, dog)| cat != dog), "{architecture}: the class makes a difference");
        // Without a label each identity has a class of its own, drawn as often as the data has it.
        let free: Vec<_> = task.sample(&singles(ids(0, 0..20))).unwrap().iter().map(contents).collect();
        let n_cats = free.iter().zip(&cats).filter(|(one, cat)| one == cat).count();
        let n_dogs = free.iter().zip(&dogs).filter(|(one, dog)| one == dog).count();
        assert!(n_cats + n_dogs == 20 && n_cats > 2 && n_dogs > 2, "{architecture}: {n_cats} cats, {n_dogs} dogs");
        let message = asked(task.as_ref(), "cat").unwrap_err().to_string();
        assert!(message.contains("did you mean cats?") && message.contains("known classes: cats, dogs"), "{message}");
    }
    let blind = case.after(&["", "data.condition = \"none\""], 1, 1);
    assert!(asked(blind.as_ref(), "cats").unwrap_err().to_string().contains("learned no classes"));
    assert!(blind.model().unwrap().classes.is_empty());
}

#[test]
fn training_begins_with_an_earlier_model_where_it_is_asked_to() {
    for case in cases() {
        let name = case.entry.name;
        let root = tempfile::tempdir().unwrap();
        let (run, task) = finished(&case, root.path());
        let beginning = || TrainRequest { from: Some(run.path().to_path_buf()), ..request(&case) };
        let opened = |request| session::prepare(&request).unwrap().open(&|_, _, _| {}).unwrap();
        let (mut further, fresh) = (opened(beginning()), opened(request(&case)));
        let earlier = task.model().unwrap();
        assert!(further.model().unwrap().weights == earlier.weights && fresh.model().unwrap().weights != earlier.weights, "{name}");
        assert!(further.model().unwrap().discriminator == earlier.discriminator, "{name}");
        assert!(
            !earlier.discriminator.is_empty() && further.take_over(&ModelFolder::open(run.path()).unwrap()).unwrap().is_empty(),
            "{name}"
        );
        further.step(0).unwrap();
        assert!(further.model().unwrap().weights != earlier.weights, "{name}");

        // A run that was killed before its first checkpoint begins with the same model when it is resumed.
        let (second, task) = session::prepare(&beginning()).unwrap().start(root.path(), &|_, _, _| {}).unwrap();
        let path = second.path().to_path_buf();
        drop((second, task));
        let resumed = session::resume(&path, &ResumeChanges::default(), &|_, _, _| {}).unwrap();
        assert!(resumed.task.model().unwrap().weights == earlier.weights, "{name}");

        for other in TASKS.iter().filter(|other| other.name != name) {
            let wrong = TrainRequest { task: Some(other.name.to_owned()), ..beginning() };
            assert!(session::prepare(&wrong).is_err(), "{name} as {}", other.name);
        }
    }
}
