//! Every task with data that is its own, made small.

use std::fs;
use std::path::Path;

use ganymede::artifact::Artifact;
use ganymede::config::flatten;
use ganymede::data::{Channels, Source, write_png};
use ganymede::losses::Loss;
use ganymede::run::{RunDir, to_safetensors};
use ganymede::session::{self, TrainRequest};
use ganymede::tasks::TASKS;
use ganymede::train::{self, Control, Plan, SampleId, SampleRequest, Setup, Task, TaskEntry, Wish};
use ganymede::{Result, device};
use tempfile::TempDir;
use toml::Table;

/// What makes any task small. A task takes what it knows of it.
pub const SMALL: [(&str, &str); 13] = [
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
pub const PUBLIC: &str = r#"
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
pub const LOSSES: [Loss; 6] = [Loss::Minimax, Loss::NonSaturating, Loss::Hinge, Loss::LeastSquares, Loss::Wasserstein, Loss::Relativistic];

pub fn name_of(loss: Loss) -> &'static str {
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
pub fn pictures(folders: &[&str], width: usize, height: usize, channels: Channels) -> TempDir {
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
pub struct Case {
    pub entry: &'static TaskEntry,
    pub data: String,
    pub source: Source,
    _dir: TempDir,
}

impl Case {
    pub fn of_pictures(dir: TempDir) -> Self {
        let data = dir.path().to_str().unwrap().to_owned();
        let source = Source::open(&data).unwrap();
        Self { entry: session::recognize(&source).unwrap().0, data, source, _dir: dir }
    }

    /// The task's settings over `layers`, made small.
    pub fn config(&self, layers: &[&str]) -> Table {
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
    pub fn small(&self) -> Vec<String> {
        let known = flatten(&(self.entry.resolve)(&[]).unwrap());
        let is_known = |key: &str| known.iter().any(|(k, _)| k == key);
        SMALL.iter().filter(|(key, _)| is_known(key)).map(|(key, value)| format!("{key}={value}")).collect()
    }

    pub fn try_open(&self, config: &Table, seed: u64) -> Result<Box<dyn Task>> {
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
    pub fn after(&self, layers: &[&str], seed: u64, steps: u64) -> Box<dyn Task> {
        let mut task = self.try_open(&self.config(layers), seed).unwrap_or_else(|e| panic!("{}: {e}", self.entry.name));
        (0..steps).for_each(|step| task.step(step).unwrap());
        task
    }
}

/// Every task with data that it recognises. A new task finds its data here or adds some.
pub fn cases() -> Vec<Case> {
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

pub fn ids(seed: u64, indices: impl IntoIterator<Item = u64>) -> Vec<SampleId> {
    indices.into_iter().map(|index| SampleId { seed, index }).collect()
}

pub fn singles(ids: Vec<SampleId>) -> SampleRequest {
    SampleRequest { ids, wish: Wish::Any, truncation: 1.0, sheet: false }
}

/// A file's contents without its metadata: pixels, or the bytes themselves.
pub fn contents(artifact: &Artifact) -> Vec<u8> {
    match artifact.media_type {
        "image/png" => image::load_from_memory(&artifact.bytes).unwrap().into_rgba8().into_raw(),
        _ => artifact.bytes.clone(),
    }
}

/// Every bit of a task's state.
pub fn state_bytes(task: &dyn Task) -> Vec<(String, Vec<u8>)> {
    let players = task.save_state().unwrap();
    players.into_iter().map(|(name, tensors)| (name, to_safetensors(Path::new("state"), &tensors).unwrap())).collect()
}

/// The files of a folder and their bytes.
pub fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut found: Vec<_> = entries.map(|p| (p.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&p).unwrap())).collect();
    found.sort();
    found
}

pub fn request(case: &Case) -> TrainRequest {
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
pub fn start(case: &Case, root: &Path) -> (RunDir, Box<dyn Task>, Plan) {
    let prepared = session::prepare(&request(case)).unwrap();
    let (run, task) = prepared.start(root, &|_, _, _| {}).unwrap();
    (run, task, prepared.plan)
}

/// [`start`], and all of its plan done.
pub fn finished(case: &Case, root: &Path) -> (RunDir, Box<dyn Task>) {
    let (mut run, mut task, plan) = start(case, root);
    train::run(task.as_mut(), &plan, &mut run, &Control::default(), &mut |_| {}).unwrap();
    (run, task)
}
