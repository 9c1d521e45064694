//! The invariants of ARCHITECTURE.md that can be read off the source files.

use std::fs;
use std::path::{Path, PathBuf};

use ganymede::tasks::TASKS;

/// Modules of the library from the bottom up; each may name its own layer and those before it.
const LAYERS: [&[&str]; 6] = [
    &["error"],
    &["artifact", "augment", "config", "data", "device", "judge", "latent", "losses", "metrics", "nn", "privacy", "random", "run", "table"],
    &["train"],
    &["features", "rowgame"],
    &["tasks"],
    &["session"],
];

/// A source file without comments and without its tests.
struct File {
    /// Relative to the crate's `src`.
    name: String,
    /// Every line, with its comment.
    lines: Vec<String>,
}

impl File {
    /// Lines that hold code, with their number.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.lines.iter().enumerate().map(|(idx, line)| (idx + 1, line.trim()));
        lines.filter(|(_, line)| !line.starts_with("//")).map(|(n, line)| (n, line.split(" // ").next().unwrap_or(line)))
    }

    /// The module of the crate that it belongs to; `lib` for the root.
    fn module(&self) -> &str {
        self.name.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }
}

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in crates/").to_path_buf()
}

fn paths(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            paths(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The source files of a crate, without `tests.rs` and what follows `mod tests {`.
fn sources(name: &str) -> Vec<File> {
    let root = crates().join(name).join("src");
    let mut found = Vec::new();
    paths(&root, &mut found);
    found.sort();
    assert!(found.len() > 3, "{name} has sources");
    found.retain(|path| path.file_name().is_none_or(|n| n != "tests.rs"));
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(str::to_owned);
            let lines = lines.take_while(|line| !line.starts_with("mod tests {") && !line.starts_with("pub(crate) mod tests {"));
            File { name: path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/"), lines: lines.collect() }
        })
        .collect()
}

/// The words that follow `prefix` in a line: `train` and `run` in `crate::train::x(crate::run::y)` after `crate::`.
fn names_after<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(prefix).map(move |(at, _)| {
        let rest = &line[at + prefix.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

#[test]
fn dependencies_point_one_way() {
    let mut n_uses = 0;
    for file in sources("ganymede").iter().filter(|f| f.module() != "lib") {
        let own = rank(file.module()).unwrap_or_else(|| panic!("{}: put its module into a layer of this test", file.name));
        for (n, line) in file.code() {
            for used in names_after(line, "crate::").filter(|used| !used.is_empty() && !matches!(*used, "Error" | "Result")) {
                let theirs = rank(used).unwrap_or_else(|| panic!("{}:{n}: crate::{used} is in no layer of this test", file.name));
                assert!(theirs <= own, "{}:{n}: {} is below {used} and must not name it", file.name, file.module());
                n_uses += 1;
            }
            assert!(!line.contains("crate::{"), "{}:{n}: write one `use` for each module", file.name);
        }
    }
    assert!(n_uses > 100, "{n_uses} uses were found");
}

#[test]
fn nothing_outside_a_task_names_it() {
    for (name, file) in
        ["ganymede", "ganymede-cli", "ganymede-kernels"].iter().flat_map(|name| sources(name).into_iter().map(move |f| (name, f)))
    {
        let own_task =
            file.name.strip_prefix("tasks/").filter(|_| *name == "ganymede").and_then(|rest| rest.split_once('/')).map(|(task, _)| task);
        let is_table = *name == "ganymede" && file.name == "tasks/mod.rs";
        for (n, line) in file.code() {
            for task in TASKS.iter().map(|t| t.name).filter(|t| Some(*t) != own_task && !is_table) {
                let is_named = ["tasks::", "super::super::"].iter().any(|prefix| names_after(line, prefix).any(|used| used == task));
                assert!(!is_named, "{name}/src/{}:{n} names the task {task}", file.name);
                // Tasks are found in the table, not compared by name.
                assert!(!line.contains(&format!("\"{task}\"")), "{name}/src/{}:{n} spells the name of the task {task}", file.name);
            }
        }
    }
}

#[test]
fn the_library_neither_prints_nor_exits() {
    let forbidden = ["println!", "eprintln!", "print!", "eprint!", "dbg!", "process::exit", "process::abort", "todo!", "unimplemented!"];
    for name in ["ganymede", "ganymede-kernels"] {
        for file in sources(name) {
            for (n, line) in file.code() {
                let found = forbidden.iter().find(|word| line.contains(*word));
                assert_eq!(found, None, "{name}/src/{}:{n}", file.name);
            }
        }
    }
}

#[test]
fn unsafe_code_is_in_the_kernels_alone_and_says_why_it_is_sound() {
    let is_unsafe = |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
    for name in ["ganymede", "ganymede-cli"] {
        for file in sources(name) {
            assert_eq!(file.code().find(|(_, line)| is_unsafe(line)), None, "{name}/src/{}", file.name);
        }
        let manifest = fs::read_to_string(crates().join(name).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name} takes the lints of the workspace");
    }
    assert!(fs::read_to_string(crates().join("../Cargo.toml")).unwrap().contains("unsafe_code = \"forbid\""));
    let mut n_unsafe = 0;
    for file in sources("ganymede-kernels") {
        for (n, _) in file.code().filter(|(_, line)| is_unsafe(line)) {
            n_unsafe += 1;
            let before = file.lines[..n - 1].iter().rev().map(|line| line.trim());
            let mut reasons = before.take_while(|line| line.starts_with("//") || line.starts_with("#["));
            assert!(reasons.any(|line| line.contains("SAFETY:") || line.contains("# Safety")), "ganymede-kernels/src/{}:{n}", file.name);
        }
    }
    assert!(n_unsafe > 0, "the kernels have unsafe blocks");
}

#[test]
fn every_task_has_its_folder_its_presets_and_its_page() {
    let tasks = crates().join("ganymede/src/tasks");
    let mut folders: Vec<String> = fs::read_dir(&tasks)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let mut listed: Vec<_> = TASKS.iter().map(|t| t.name.to_owned()).collect();
    listed.sort();
    assert_eq!(folders, listed, "folders of tasks/ and the rows of TASKS");
    let pages = crates().join("../docs/tasks");
    let contents = fs::read_to_string(pages.join("README.md")).unwrap();
    for task in TASKS {
        let folder = tasks.join(task.name);
        let code = fs::read_to_string(folder.join("mod.rs")).unwrap();
        let files: Vec<_> = fs::read_dir(folder.join("presets")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(files.len(), task.presets.len(), "{}", task.name);
        for preset in task.presets {
            assert!(code.contains(&format!("presets/{}.toml", preset.name)), "{}: {}", task.name, preset.name);
            assert!(!preset.summary.is_empty() && files.contains(&format!("{}.toml", preset.name)), "{}: {}", task.name, preset.name);
        }
        let page = fs::read_to_string(pages.join(format!("{}.md", task.name))).unwrap();
        assert!(page.starts_with(&format!("# {}", task.name)), "docs/tasks/{}.md", task.name);
        assert!(contents.contains(&format!("({}.md)", task.name)), "docs/tasks/README.md");
        for preset in task.presets {
            assert!(page.contains(preset.name), "docs/tasks/{}.md says nothing of the preset {}", task.name, preset.name);
        }
    }
}
