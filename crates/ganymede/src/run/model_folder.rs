//! `model/`: the generator for use. Weights as safetensors, `model.json`, a card in Markdown.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::card::card;
use super::files;
use super::manifest::{self, check_format};
use super::tensors::{first_non_finite, from_safetensors, to_safetensors};
use super::types::{ModelDescription, NamedTensors};
use crate::error::{Error, Result};

/// Name of the folder inside a run directory.
pub(crate) const FOLDER: &str = "model";
const WEIGHTS: &str = "generator.safetensors";
const DISCRIMINATOR: &str = "discriminator.safetensors";
const DESCRIPTION: &str = "model.json";
const CARD: &str = "README.md";
const OTHER_COPY: &str = "use another copy of the folder, or write it again with `ganymede train --resume RUN`";

/// An opened `model/` folder: what is needed to sample, without the training data.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    path: PathBuf,
    description: ModelDescription,
}

impl ModelFolder {
    /// Opens a model folder, or the one inside a run directory. One of the folder's files may be named as well.
    ///
    /// # Errors
    /// [`Error::Run`] if there is no model, or it is damaged or of a newer version; [`Error::Io`] if it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = find(path.as_ref())?;
        let description = read_description(&path.join(DESCRIPTION))?;
        Ok(Self { path, description })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `model.json` says.
    pub fn description(&self) -> &ModelDescription {
        &self.description
    }

    /// The generator's weights, in the order in which the task gave them.
    ///
    /// # Errors
    /// [`Error::Run`] if the file is cut off, damaged, does not hold 32-bit floats, or holds a value that is not a finite number.
    pub fn tensors(&self) -> Result<NamedTensors> {
        // A run that is training may replace the folder between two reads; the second time they fit together.
        self.read_weights(WEIGHTS).or_else(|_| self.read_weights(WEIGHTS))
    }

    /// The weights of the discriminator that the generator learned against; nothing if the folder has none.
    ///
    /// # Errors
    /// As [`ModelFolder::tensors`].
    pub fn discriminator(&self) -> Result<Option<NamedTensors>> {
        if !self.path.join(DISCRIMINATOR).exists() {
            return Ok(None);
        }
        self.read_weights(DISCRIMINATOR).or_else(|_| self.read_weights(DISCRIMINATOR)).map(Some)
    }

    fn read_weights(&self, file: &str) -> Result<NamedTensors> {
        let path = self.path.join(file);
        let bytes = fs::read(&path).map_err(|e| Error::io(&path, "read the weights", e))?;
        let tensors = from_safetensors(&path, &bytes)?;
        if let Some(name) = first_non_finite(&tensors) {
            return Err(Error::run(&path, format!("tensor \"{name}\" holds values that are not finite numbers"), OTHER_COPY));
        }
        // Without the list the folder may come from another tool: then what was checked above has to do.
        let sums = if self.path.join(files::SUMS).exists() { files::read_sums(&self.path)? } else { Vec::new() };
        match sums.iter().find(|(name, _)| name == file) {
            Some((_, sum)) if *sum != files::sha256_hex(&bytes) => {
                Err(Error::run(&path, format!("its SHA-256 is not the one in {}", files::SUMS), OTHER_COPY))
            }
            _ => Ok(tensors),
        }
    }
}

/// Replaces the model folder of a run as a whole. A crash leaves the old folder under its name or as `model.old`.
pub(crate) fn write(
    run_dir: &Path,
    (generator, discriminator): (&NamedTensors, &NamedTensors),
    description: &ModelDescription,
) -> Result<()> {
    let path = run_dir.join(FOLDER);
    let json = serde_json::to_vec_pretty(description)
        .map_err(|e| Error::run(path.join(DESCRIPTION), e.to_string(), "this is a mistake in the task; please report it"))?;
    let mut files = vec![
        (WEIGHTS.to_string(), to_safetensors(&path.join(WEIGHTS), generator)?),
        (DESCRIPTION.to_string(), json),
        (CARD.to_string(), card(description).into_bytes()),
    ];
    if !discriminator.is_empty() {
        files.push((DISCRIMINATOR.to_string(), to_safetensors(&path.join(DISCRIMINATOR), discriminator)?));
    }
    let (new, old) = (files::sibling(&path, ".tmp"), files::sibling(&path, ".old"));
    files::write_folder(&new, files.into_iter().map(Ok))?;
    if path.exists() {
        files::remove_all(&old)?;
        fs::rename(&path, &old).map_err(|e| Error::io(&path, "move the earlier model aside", e))?;
    }
    fs::rename(&new, &path).map_err(|e| Error::io(&path, "put the model in place", e))?;
    files::sync_folder(run_dir)?;
    files::remove_all(&old)
}

/// Puts right what a crash in the middle of [`write`] left.
pub(crate) fn repair(run_dir: &Path) -> Result<()> {
    let path = run_dir.join(FOLDER);
    let old = files::sibling(&path, ".old");
    files::remove_all(&files::sibling(&path, ".tmp"))?;
    if path.exists() {
        return files::remove_all(&old);
    }
    match fs::rename(&old, &path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io(&path, "put the earlier model back", e)),
        _ => Ok(()),
    }
}

fn find(given: &Path) -> Result<PathBuf> {
    // Without a slash at the end, which shells add.
    let given = &given.components().collect::<PathBuf>();
    let holds_model = |path: &Path| path.join(DESCRIPTION).is_file();
    let mut candidates = vec![given.to_path_buf(), files::sibling(given, ".old")];
    if given.is_file() {
        candidates.extend(given.parent().map(Path::to_path_buf));
    }
    let inside = given.join(FOLDER);
    candidates.extend([inside.clone(), files::sibling(&inside, ".old")]);
    if let Some(found) = candidates.into_iter().find(|path| holds_model(path)) {
        return Ok(found);
    }
    Err(if given.join(manifest::FILE).is_file() {
        Error::run(given, "this run has no model yet: it stopped before its first checkpoint", "go on with `ganymede train --resume RUN`")
    } else if given.exists() {
        Error::run(
            given,
            "is neither a run directory nor a model folder (it has no model.json)",
            "give a folder that `ganymede train` made",
        )
    } else {
        Error::run(given, "there is no such folder", "check the path; `ganymede train` prints where it puts a run")
    })
}

fn read_description(path: &Path) -> Result<ModelDescription> {
    let text = files::read_text(path, 256 << 20)?;
    let damaged = |e: serde_json::Error| Error::run(path, e.to_string(), OTHER_COPY);
    let json: serde_json::Value = serde_json::from_str(&text).map_err(damaged)?;
    check_format(path, json.get("format").and_then(serde_json::Value::as_i64), ModelDescription::FORMAT)?;
    serde_json::from_value(json).map_err(damaged)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::run::{DataDescription, HostTensor};

    /// A description for tests.
    pub(crate) fn example() -> ModelDescription {
        ModelDescription {
            format: ModelDescription::FORMAT,
            ganymede_version: "0.1.0".into(),
            task: "toy".into(),
            step: 20,
            samples_seen: 200,
            classes: vec!["cat".into()],
            generator: serde_json::json!({ "width": 4 }),
            data: DataDescription { name: "my photos".into(), fingerprint: "ab".repeat(32), n_samples: 10, license: "CC0-1.0".into() },
            config: serde_json::json!({ "lr": 0.1, "plan": { "steps": 20 } }),
            seed: 7,
            metrics: serde_json::Map::from_iter([("modes".to_string(), serde_json::json!(8.0))]),
        }
    }

    /// Weights for tests.
    pub(crate) fn weights() -> NamedTensors {
        vec![
            ("z".into(), HostTensor { shape: vec![2], values: vec![1.0, 2.0] }),
            ("a".into(), HostTensor { shape: vec![], values: vec![3.0] }),
        ]
    }

    #[test]
    fn what_is_written_is_read_back_by_run_and_by_folder_and_by_file() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            write(dir.path(), (&weights(), &Vec::new()), &example()).unwrap();
        }
        for path in [
            dir.path().to_path_buf(),
            dir.path().join("model"),
            dir.path().join("model/model.json"),
            dir.path().join("model/generator.safetensors"),
        ] {
            let model = ModelFolder::open(&path).unwrap();
            assert_eq!(model.description(), &example());
            assert_eq!(model.tensors().unwrap(), weights());
            assert_eq!(model.path(), dir.path().join("model"));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_discriminator_is_read_where_there_is_one() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), (&weights(), &weights()[..1].to_vec()), &example()).unwrap();
        assert_eq!(ModelFolder::open(dir.path()).unwrap().discriminator().unwrap().unwrap(), weights()[..1]);
        write(dir.path(), (&weights(), &Vec::new()), &example()).unwrap();
        assert_eq!(ModelFolder::open(dir.path()).unwrap().discriminator().unwrap(), None);
    }

    #[test]
    fn a_crash_between_the_two_renames_leaves_a_model() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), (&weights(), &Vec::new()), &example()).unwrap();
        fs::rename(dir.path().join("model"), dir.path().join("model.old")).unwrap();
        fs::create_dir(dir.path().join("model.tmp")).unwrap();
        assert_eq!(ModelFolder::open(dir.path()).unwrap().tensors().unwrap(), weights());
        assert_eq!(ModelFolder::open(dir.path().join("model")).unwrap().tensors().unwrap(), weights());
        repair(dir.path()).unwrap();
        assert_eq!(ModelFolder::open(dir.path()).unwrap().path(), dir.path().join("model"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_a_model_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let message = |path: &Path| ModelFolder::open(path).unwrap_err().to_string();
        assert!(message(&dir.path().join("absent")).contains("no such folder"));
        assert!(message(dir.path()).contains("neither a run directory nor a model folder"));
        fs::write(dir.path().join(manifest::FILE), "").unwrap();
        assert!(message(dir.path()).contains("no model yet"));
    }

    #[test]
    fn weights_that_are_not_finite_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut broken = weights();
        broken[1].1.values[0] = f32::NAN;
        write(dir.path(), (&broken, &Vec::new()), &example()).unwrap();
        assert!(ModelFolder::open(dir.path()).unwrap().tensors().unwrap_err().to_string().contains("\"a\""));
    }
}
