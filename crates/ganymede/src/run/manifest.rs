//! `run.toml`: what was asked for, written before the first step; enough to repeat the run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files;
use super::types::DataDescription;
use crate::error::{Error, Result};

/// File name inside a run directory.
pub(crate) const FILE: &str = "run.toml";

const HEADER: &str = "\
# Everything needed to repeat this run. Written before its first step; only `--resume` with more `--steps` and a limit of time change it.
# Go on with it:  ganymede train --resume <this folder>

";

/// A file without it was cut off, perhaps after a whole line: what is missing would otherwise be taken for left open.
const FOOTER: &str = "# end of run.toml\n";

/// Everything needed to repeat a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this file's format, [`Manifest::FORMAT`] when written by this version.
    pub format: u32,
    /// Version of the program that wrote it.
    pub ganymede_version: String,
    /// When the run was made: RFC 3339, UTC ([`super::utc_now`]).
    pub created: String,
    /// The command as it was typed, one word each.
    pub command_line: Vec<String>,
    /// Name of the task.
    pub task: String,
    /// Name of the preset that the configuration started from.
    pub preset: String,
    /// Seed of everything random; at most 2⁶³ - 1, the largest integer of TOML.
    pub seed: u64,
    /// Name of the device.
    pub device: String,
    /// Absolute path of the data; nothing for built-in data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_path: Option<PathBuf>,
    /// Absolute path of the model that it began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// What the data is.
    pub data: DataDescription,
    /// The resolved configuration of the task, every key.
    pub config: toml::Table,
}

impl Manifest {
    /// The format written and read by this version.
    pub const FORMAT: u32 = 1;

    /// The text of `run.toml`.
    ///
    /// # Errors
    /// [`Error::Config`] if a number is too large for TOML.
    pub fn to_toml(&self) -> Result<String> {
        if i64::try_from(self.seed).is_err() {
            return Err(Error::config("seed", format!("{} does not fit a configuration file", self.seed), "give a number below 2^63"));
        }
        let body = toml::to_string_pretty(self)
            .map_err(|e| Error::config("config", format!("cannot be written as TOML ({e})"), "give smaller numbers and plain text"))?;
        Ok(format!("{HEADER}{body}\n{FOOTER}"))
    }

    /// Reads the manifest of a run directory.
    ///
    /// # Errors
    /// [`Error::Run`] naming file and line if it is damaged or of a newer version, [`Error::Io`] if it cannot be read.
    pub fn read(run_dir: &Path) -> Result<Self> {
        let path = run_dir.join(FILE);
        if !path.is_file() {
            return Err(Error::run(run_dir, "is not a run directory (it has no run.toml)", "give a folder that `ganymede train` made"));
        }
        let text = files::read_text(&path, 16 << 20)?;
        let damaged = |e: &toml::de::Error| {
            let line = e.span().map_or(1, |span| text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1);
            Error::run(&path, format!("line {line}: {}", e.message()), "undo the change, or start a new run with `ganymede train`")
        };
        let table: toml::Table = toml::from_str(&text).map_err(|e| damaged(&e))?;
        check_format(&path, table.get("format").and_then(toml::Value::as_integer), Self::FORMAT)?;
        if !text.trim_end().ends_with(FOOTER.trim_end()) {
            let problem = format!("is cut off: its last line is not `{}`", FOOTER.trim_end());
            return Err(Error::run(&path, problem, "use another copy of it, or start a new run with `ganymede train`"));
        }
        toml::from_str(&text).map_err(|e| damaged(&e))
    }

    /// Whether it is the same work: task, data, configuration and seed. The device and the program's version may differ.
    pub fn same_work(&self, other: &Self) -> bool {
        let same_data = if self.data.fingerprint.is_empty() || other.data.fingerprint.is_empty() {
            self.data.name == other.data.name
        } else {
            self.data.fingerprint == other.data.fingerprint
        };
        same_data
            && self.task == other.task
            && self.data_path == other.data_path
            && self.from == other.from
            && self.seed == other.seed
            && self.config == other.config
    }

    /// Steps that the run is to have in all: `plan.steps` of the configuration, if it is there.
    pub fn steps(&self) -> Option<u64> {
        self.config.get("plan")?.get("steps")?.as_integer().and_then(|steps| u64::try_from(steps).ok())
    }
}

/// The way out of a file of a newer version.
pub(crate) const UPDATE: &str = "update ganymede";

/// Refuses a file of a format that this version does not know.
pub(crate) fn check_format(path: &Path, found: Option<i64>, known: u32) -> Result<()> {
    match found {
        Some(format) if format > i64::from(known) => {
            Err(Error::run(path, format!("was written by a newer version of ganymede (format {format}; this one reads {known})"), UPDATE))
        }
        Some(format) if format >= 1 => Ok(()),
        _ => Err(Error::run(path, "has no valid `format` number", "the file is damaged; use another copy of it")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fs;

    /// A manifest of 20 steps for tests.
    pub(crate) fn example() -> Manifest {
        Manifest {
            format: Manifest::FORMAT,
            ganymede_version: "0.1.0".into(),
            created: "2026-11-22T08:15:30Z".into(),
            command_line: vec!["ganymede".into(), "train".into(), "my photos".into()],
            task: "toy".into(),
            preset: "default".into(),
            seed: 7,
            device: "cpu".into(),
            from: None,
            data_path: Some("/data/my photos".into()),
            data: DataDescription { name: "my photos".into(), fingerprint: "ab".repeat(32), n_samples: 10, license: "CC0-1.0".into() },
            config: toml::from_str("lr = 0.1\n[plan]\nsteps = 20\n").unwrap(),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), example().to_toml().unwrap()).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), example());
        assert_eq!(example().steps(), Some(20));
    }

    #[test]
    fn a_seed_that_toml_cannot_hold_is_refused() {
        let manifest = Manifest { seed: u64::MAX, ..example() };
        assert!(matches!(manifest.to_toml(), Err(Error::Config { key, .. }) if key == "seed"));
    }

    #[test]
    fn mistakes_are_named_with_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        let text = example().to_toml().unwrap();
        for (from, to, expected) in [
            ("format = 1", "format = 2", "newer version"),
            ("format = 1", "format = \"1\"", "no valid `format`"),
            ("seed = 7", "seed = -7", "run.toml: line "),
            ("seed = 7", "seed = ", "run.toml: line "),
            ("task = \"toy\"\n", "", "task"),
            ("steps = 20\n\n# end of run.toml\n", "", "cut off"),
            ("# end of run.toml\n", "# end of", "cut off"),
        ] {
            assert!(text.contains(from), "{from}");
            fs::write(dir.path().join(FILE), text.replace(from, to)).unwrap();
            let message = Manifest::read(dir.path()).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn other_settings_are_other_work() {
        let manifest = example();
        assert!(manifest.same_work(&Manifest { device: "vulkan".into(), created: "later".into(), ..example() }));
        assert!(!manifest.same_work(&Manifest { seed: 8, ..example() }));
        assert!(!manifest.same_work(&Manifest { config: toml::Table::new(), ..example() }));
        let mut changed_data = example();
        changed_data.data.fingerprint = "cd".repeat(32);
        assert!(!manifest.same_work(&changed_data));
        changed_data.data.fingerprint.clear();
        assert!(manifest.same_work(&changed_data));
    }
}
