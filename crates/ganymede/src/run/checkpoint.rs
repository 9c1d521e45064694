//! Checkpoints: folders `step-00001000/` with one safetensors file per player, `state.json` and the SHA-256 of each.
//!
//! A checkpoint is written under another name, synced and renamed, so that a folder of that name is whole unless the disk damaged it. Readers
//! do not rely on it: every file is held against its checksum.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files;
use super::manifest::{UPDATE, check_format};
use super::tensors::{first_non_finite, from_safetensors, to_safetensors};
use super::types::NamedTensors;
use crate::error::{Error, Result};

const FORMAT: u32 = 1;
const STATE: &str = "state.json";
const PREFIX: &str = "step-";
const HALF_WRITTEN: &str = "writing-";

/// Everything needed to go on from a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Steps done so far.
    pub step: u64,
    /// Per player its file stem (letters, digits, `_`, `-`) and tensors.
    pub players: Vec<(String, NamedTensors)>,
    /// State of the trainer itself.
    pub trainer: serde_json::Value,
}

/// The newest checkpoint that can be used, and what was passed over on the way to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored {
    /// Nothing if none was written yet.
    pub checkpoint: Option<Checkpoint>,
    /// One sentence per damaged checkpoint that was skipped.
    pub warnings: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct State {
    format: u32,
    step: u64,
    players: Vec<String>,
    trainer: serde_json::Value,
}

/// Writes a checkpoint into `folder` and removes the oldest beyond `keep`, and any of a later step: those were passed over as damaged.
pub(crate) fn save(folder: &Path, checkpoint: &Checkpoint, keep: usize) -> Result<PathBuf> {
    let path = folder.join(format!("{PREFIX}{:08}", checkpoint.step));
    let state = State {
        format: FORMAT,
        step: checkpoint.step,
        players: checkpoint.players.iter().map(|(name, _)| name.clone()).collect(),
        trainer: checkpoint.trainer.clone(),
    };
    if let Some(name) = state.players.iter().find(|name| !is_plain_name(name)) {
        return Err(Error::run(&path, format!("player name \"{name}\" is not a plain file name"), "use letters, digits, `_` and `-`"));
    }
    let json = serde_json::to_vec_pretty(&state).map_err(|e| Error::run(&path, e.to_string(), "please report this"))?;
    let players = checkpoint.players.iter().map(|(name, tensors)| {
        let file = format!("{name}.safetensors");
        let bytes = to_safetensors(&path.join(&file), tensors)?;
        Ok((file, bytes))
    });
    let contents = players.chain([Ok((STATE.to_string(), json))]);

    let aside = folder.join(format!("{HALF_WRITTEN}{:08}", checkpoint.step));
    files::write_folder(&aside, contents)?;
    // Only a damaged one, or one with the same bytes, can be there: a folder cannot be renamed over another.
    files::remove_all(&path)?;
    fs::rename(&aside, &path).map_err(|e| Error::io(&path, "put the checkpoint in place", e))?;
    files::sync_folder(folder)?;

    let steps = list(folder)?;
    let newer = steps.iter().filter(|(step, _)| *step > checkpoint.step);
    let older = steps.iter().filter(|(step, _)| *step <= checkpoint.step).skip(keep.max(1));
    for (_, path) in newer.chain(older) {
        files::remove_all(path)?;
    }
    Ok(path)
}

/// The newest checkpoint of `folder` that is whole.
pub(crate) fn latest(folder: &Path) -> Result<Restored> {
    let mut warnings = Vec::new();
    let found = list(folder)?;
    for (step, path) in &found {
        match load(path, *step) {
            Ok(checkpoint) => return Ok(Restored { checkpoint: Some(checkpoint), warnings }),
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
                return Err(Error::io(path, "read the checkpoint", source));
            }
            Err(error) if is_of_newer_version(&error) => return Err(error),
            Err(error) => {
                let warning = format!("checkpoint of step {step} skipped: {error}");
                tracing::warn!("{warning}");
                warnings.push(warning);
            }
        }
    }
    if found.is_empty() {
        return Ok(Restored { checkpoint: None, warnings });
    }
    Err(Error::run(
        folder,
        format!("none of the {} checkpoints can be read ({})", found.len(), warnings.join("; ")),
        "start a new run with `ganymede train`, or remove this folder to begin the run again from step 0",
    ))
}

/// The newest whole checkpoint of a step up to `step`, or else the oldest whole one.
pub(crate) fn up_to(folder: &Path, step: u64) -> Result<Option<Checkpoint>> {
    let found = list(folder)?;
    let (newer, older): (Vec<_>, Vec<_>) = found.into_iter().partition(|(at, _)| *at > step);
    Ok(older.iter().chain(newer.iter().rev()).find_map(|(at, path)| load(path, *at).ok()))
}

/// Step of the newest checkpoint, whole or not, without reading it.
pub(crate) fn latest_step(folder: &Path) -> Option<u64> {
    list(folder).ok()?.first().map(|(step, _)| *step)
}

/// Removes what a crash in the middle of writing left.
pub(crate) fn remove_half_written(folder: &Path) -> Result<()> {
    for (name, path) in entries(folder)? {
        if name.starts_with(HALF_WRITTEN) {
            files::remove_all(&path)?;
        }
    }
    Ok(())
}

/// Reads one checkpoint folder, every file held against its checksum.
fn load(path: &Path, step: u64) -> Result<Checkpoint> {
    let sums = files::read_sums(path)?;
    let read = |name: &str| -> Result<Vec<u8>> {
        let file = path.join(name);
        let bytes = fs::read(&file).map_err(|e| Error::io(&file, "read the file", e))?;
        let expected = sums.iter().find(|(listed, _)| listed == name).map(|(_, sum)| sum.as_str());
        if expected != Some(files::sha256_hex(&bytes).as_str()) {
            return Err(Error::run(&file, "its checksum is wrong", "the file is damaged; use an earlier checkpoint"));
        }
        Ok(bytes)
    };
    let state_path = path.join(STATE);
    let damaged = |problem: String| Error::run(&state_path, problem, "the file is damaged; use an earlier checkpoint");
    let json: serde_json::Value = serde_json::from_slice(&read(STATE)?).map_err(|e| damaged(e.to_string()))?;
    check_format(&state_path, json.get("format").and_then(serde_json::Value::as_i64), FORMAT)?;
    let state: State = serde_json::from_value(json).map_err(|e| damaged(e.to_string()))?;
    if state.step != step {
        return Err(damaged(format!("is of step {}, its folder of step {step}", state.step)));
    }
    if let Some(name) = state.players.iter().find(|name| !is_plain_name(name)) {
        return Err(damaged(format!("names the player \"{name}\"")));
    }
    let mut players = Vec::with_capacity(state.players.len());
    for name in state.players {
        let file = format!("{name}.safetensors");
        let tensors = from_safetensors(&path.join(&file), &read(&file)?)?;
        // None is ever written; with one the run would diverge at once.
        if let Some(tensor) = first_non_finite(&tensors) {
            let problem = format!("tensor \"{tensor}\" holds values that are not finite numbers");
            return Err(Error::run(path.join(&file), problem, "the file is damaged; use an earlier checkpoint"));
        }
        players.push((name, tensors));
    }
    Ok(Checkpoint { step, players, trainer: state.trainer })
}

/// The checkpoints of a folder, newest first.
fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found: Vec<_> = entries(folder)?
        .into_iter()
        .filter_map(|(name, path)| {
            let step = name.strip_prefix(PREFIX)?.parse().ok()?;
            // Only names that we give: `step-7` beside `step-00000007` would be one step twice.
            (name == format!("{PREFIX}{step:08}")).then_some((step, path))
        })
        .collect();
    found.sort_by_key(|(step, _)| std::cmp::Reverse(*step));
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let read = |e| Error::io(folder, "list the folder", e);
    match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(read(e)),
        Ok(dir) => {
            dir.map(|entry| entry.map(|e| (e.file_name().to_string_lossy().into_owned(), e.path())).map_err(read)).collect::<Result<_>>()
        }
    }
}

fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 100 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn is_of_newer_version(error: &Error) -> bool {
    matches!(error, Error::Run { remedy, .. } if remedy == UPDATE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::HostTensor;

    fn checkpoint(step: u64) -> Checkpoint {
        let tensor = HostTensor { shape: vec![2], values: vec![step as f32, 0.5] };
        Checkpoint {
            step,
            players: vec![("generator".into(), vec![("w".into(), tensor.clone())]), ("discriminator".into(), vec![("v".into(), tensor)])],
            trainer: serde_json::json!({ "count": step }),
        }
    }

    #[test]
    fn the_newest_is_read_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), &checkpoint(1), 3).unwrap();
        save(dir.path(), &checkpoint(2), 3).unwrap();
        assert_eq!(latest(dir.path()).unwrap(), Restored { checkpoint: Some(checkpoint(2)), warnings: vec![] });
    }

    #[test]
    fn only_the_newest_k_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        for step in 1..=5 {
            save(dir.path(), &checkpoint(step), 2).unwrap();
        }
        let steps: Vec<u64> = list(dir.path()).unwrap().into_iter().map(|(step, _)| step).collect();
        assert_eq!(steps, [5, 4]);
    }

    #[test]
    fn saving_after_a_fall_back_removes_the_damaged_later_one_and_keeps_itself() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), &checkpoint(10), 1).unwrap();
        fs::write(dir.path().join("step-00000010/state.json"), "{").unwrap();
        save(dir.path(), &checkpoint(7), 1).unwrap();
        assert_eq!(latest(dir.path()).unwrap().checkpoint, Some(checkpoint(7)));
        assert_eq!(list(dir.path()).unwrap().len(), 1);
    }

    #[test]
    fn none_written_and_none_readable_are_different_things() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(latest(dir.path()).unwrap().checkpoint, None);
        assert_eq!(latest(&dir.path().join("absent")).unwrap().checkpoint, None);
        save(dir.path(), &checkpoint(1), 1).unwrap();
        fs::remove_file(dir.path().join("step-00000001/generator.safetensors")).unwrap();
        assert!(latest(dir.path()).unwrap_err().to_string().contains("none of the 1 checkpoints"));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut bad = checkpoint(1);
        bad.players[0].0 = "../../etc/passwd".into();
        assert!(save(dir.path(), &bad, 1).unwrap_err().to_string().contains("plain file name"));
    }

    #[test]
    fn a_checkpoint_of_a_newer_version_is_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), &checkpoint(1), 2).unwrap();
        let path = save(dir.path(), &checkpoint(2), 2).unwrap();
        let state = fs::read_to_string(path.join(STATE)).unwrap().replace("\"format\": 1", "\"format\": 2");
        let sums = fs::read_to_string(path.join(files::SUMS)).unwrap();
        let old_sum = sums.lines().find(|l| l.ends_with(STATE)).unwrap().split("  ").next().unwrap().to_string();
        fs::write(path.join(files::SUMS), sums.replace(&old_sum, &files::sha256_hex(state.as_bytes()))).unwrap();
        fs::write(path.join(STATE), state).unwrap();
        assert!(latest(dir.path()).unwrap_err().to_string().contains("newer version"));
    }
}
