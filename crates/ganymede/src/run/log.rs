//! `log.jsonl`: one JSON object a line, for logged steps, snapshots and findings.
//!
//! Lines of a finished run do not depend on whether it was stopped and continued on the way, apart from the fields that tell real time
//! (`samples_per_sec`, `secs`).

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::files;
use super::types::Remedy;
use crate::error::{Error, Result};
use crate::judge::Judgement;

/// File name inside a run directory.
pub(crate) const FILE: &str = "log.jsonl";

/// One line of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum LogEntry {
    /// The numbers of one step: `{"step":10,"d_loss":0.6,...,"samples_per_sec":410.0,"secs":1.5}`. Numbers that are not finite are `null`.
    Scalars {
        /// Steps done so far.
        step: u64,
        /// Numbers by name, in the order of the log.
        scalars: Vec<(String, f64)>,
        /// Real samples shown per second.
        samples_per_sec: f64,
        /// Seconds spent on the run so far, over all its processes.
        secs: f64,
    },
    /// A sample sheet was written: `{"step":500,"snapshot":{"file":"samples/...","metrics":{...}}}`.
    Snapshot {
        /// Steps done so far.
        step: u64,
        /// Its path inside the run directory, with `/`.
        file: String,
        /// Figures about the samples.
        metrics: Vec<(String, f64)>,
    },
    /// Samples were judged: `{"step":500,"judgement":{...}}`, with every score beside its real and its trivial figure.
    Judged {
        /// Steps done so far.
        step: u64,
        /// What was found.
        judgement: Box<Judgement>,
    },
    /// Something was wrong; training went back and on with changed settings: `{"step":500,"remedy":{"kind":...,"found_at":900,...,"change":...}}`.
    Remedied {
        /// Step that training went back to.
        step: u64,
        /// What was found and changed.
        remedy: Remedy,
    },
    /// The run stopped: `{"step":900,"stopped":{"reason":"settled","why":...}}`.
    Stopped {
        /// Steps done so far.
        step: u64,
        /// Stable name.
        reason: String,
        /// A sentence with the figures behind it.
        why: String,
    },
    /// The health monitor found something: `{"step":90,"finding":{"kind":...,"severity":...,"evidence":...,"cause":...,"remedy":...}}`.
    Finding {
        /// Steps done so far.
        step: u64,
        /// Stable name.
        kind: String,
        /// `note`, `trouble` or `fatal`.
        severity: String,
        /// What was measured.
        evidence: String,
        /// What is likely behind it.
        cause: String,
        /// What to try.
        remedy: String,
    },
}

impl LogEntry {
    /// Steps done when the line was written.
    pub fn step(&self) -> u64 {
        match self {
            Self::Scalars { step, .. }
            | Self::Snapshot { step, .. }
            | Self::Judged { step, .. }
            | Self::Remedied { step, .. }
            | Self::Stopped { step, .. }
            | Self::Finding { step, .. } => *step,
        }
    }

    /// The line, without its line break.
    pub fn to_line(&self) -> String {
        match self {
            Self::Scalars { step, scalars, samples_per_sec, secs } => {
                let rate = [("samples_per_sec".to_string(), *samples_per_sec), ("secs".to_string(), *secs)];
                format!("{{\"step\":{step}{}{}}}", fields(scalars), fields(&rate))
            }
            Self::Snapshot { step, file, metrics } => {
                let metrics = fields(metrics);
                let metrics = metrics.strip_prefix(',').unwrap_or(&metrics);
                format!("{{\"step\":{step},\"snapshot\":{{\"file\":{},\"metrics\":{{{metrics}}}}}}}", Value::from(file.as_str()))
            }
            Self::Judged { step, judgement } => {
                format!("{{\"step\":{step},\"judgement\":{}}}", serde_json::to_string(judgement).unwrap_or_else(|_| "null".into()))
            }
            Self::Remedied { step, remedy } => {
                format!("{{\"step\":{step},\"remedy\":{}}}", serde_json::to_string(remedy).unwrap_or_else(|_| "null".into()))
            }
            Self::Stopped { step, reason, why } => {
                let [reason, why] = [reason, why].map(|text| Value::from(text.as_str()));
                format!("{{\"step\":{step},\"stopped\":{{\"reason\":{reason},\"why\":{why}}}}}")
            }
            Self::Finding { step, kind, severity, evidence, cause, remedy } => {
                let [kind, severity, evidence, cause, remedy] =
                    [kind, severity, evidence, cause, remedy].map(|text| Value::from(text.as_str()));
                format!(
                    "{{\"step\":{step},\"finding\":{{\"kind\":{kind},\"severity\":{severity},\"evidence\":{evidence},\"cause\":{cause},\"remedy\":{remedy}}}}}"
                )
            }
        }
    }

    /// Reads a line; nothing if it is not one that [`LogEntry::to_line`] could have written.
    pub fn parse(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let object = value.as_object()?;
        let step = object.get("step")?.as_u64()?;
        if let Some(finding) = object.get("finding") {
            let text = |key: &str| finding.get(key).and_then(Value::as_str).map(str::to_string);
            let (kind, severity) = (text("kind")?, text("severity")?);
            return Some(Self::Finding {
                step,
                kind,
                severity,
                evidence: text("evidence")?,
                cause: text("cause")?,
                remedy: text("remedy")?,
            });
        }
        if let Some(stopped) = object.get("stopped") {
            let text = |key: &str| stopped.get(key).and_then(Value::as_str).map(str::to_string);
            return Some(Self::Stopped { step, reason: text("reason")?, why: text("why")? });
        }
        if let Some(judgement) = object.get("judgement") {
            return Some(Self::Judged { step, judgement: serde_json::from_value(judgement.clone()).ok()? });
        }
        if let Some(remedy) = object.get("remedy") {
            return Some(Self::Remedied { step, remedy: serde_json::from_value(remedy.clone()).ok()? });
        }
        if let Some(snapshot) = object.get("snapshot") {
            let metrics = numbers(snapshot.get("metrics")?.as_object()?, &[]);
            return Some(Self::Snapshot { step, file: snapshot.get("file")?.as_str()?.to_string(), metrics });
        }
        let number = |key: &str| object.get(key).map(|v| v.as_f64().unwrap_or(f64::NAN));
        let (samples_per_sec, secs) = (number("samples_per_sec")?, number("secs")?);
        let mut scalars = numbers(object, &["step", "samples_per_sec", "secs"]);
        // The usual three lead, as they do in the file; the parser does not keep its order.
        let rank = |name: &str| ["d_loss", "g_loss", "d_accuracy"].iter().position(|known| *known == name).unwrap_or(3);
        scalars.sort_by_key(|(name, _)| rank(name));
        Some(Self::Scalars { step, scalars, samples_per_sec, secs })
    }
}

/// The log of a run directory, open for appending.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: Option<File>,
}

impl Log {
    pub(crate) fn new(run_dir: &Path) -> Self {
        Self { path: run_dir.join(FILE), file: None }
    }

    /// Appends a line; it has left the process when this returns.
    pub(crate) fn append(&mut self, entry: &LogEntry) -> Result<()> {
        let path = &self.path;
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let opened = OpenOptions::new().create(true).append(true).open(path).map_err(|e| Error::io(path, "open the log", e))?;
                self.file.insert(opened)
            }
        };
        let line = entry.to_line() + "\n";
        file.write_all(line.as_bytes()).map_err(|e| Error::io(path, "write the log", e))
    }

    /// Waits until everything appended is on the disk.
    pub(crate) fn sync(&mut self) -> Result<()> {
        match &self.file {
            // A device or pipe put in its place cannot be synced; that is no reason to stop.
            Some(file) => file.sync_data().or_else(|e| if e.kind() == std::io::ErrorKind::InvalidInput { Ok(()) } else { Err(e) }),
            None => Ok(()),
        }
        .map_err(|e| Error::io(&self.path, "write the log", e))
    }

    /// Drops every line of a step after `last_step` but the first `n_remedies` remedies, which stay, further remedies, how the run stopped, and everything from the first damaged line on. `None` drops all.
    pub(crate) fn cut(&mut self, last_step: Option<u64>, n_remedies: usize) -> Result<()> {
        self.file = None;
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(Error::io(&self.path, "read the log", e)),
        };
        let mut n_seen = 0;
        let mut is_kept = |entry: &LogEntry| {
            n_seen += usize::from(matches!(entry, LogEntry::Remedied { .. }));
            match entry {
                LogEntry::Stopped { .. } => false,
                // A remedy stays known, also where a later one went further back.
                LogEntry::Remedied { .. } => n_seen <= n_remedies,
                _ => last_step.is_some_and(|last| entry.step() <= last),
            }
        };
        let kept: Vec<u8> = whole_lines(&bytes)
            .map_while(|line| Some((line, std::str::from_utf8(line).ok().and_then(LogEntry::parse)?)))
            .filter(|(_, entry)| is_kept(entry))
            .flat_map(|(line, _)| [line, b"\n"].concat())
            .collect();
        if kept == bytes { Ok(()) } else { files::write_atomic(&self.path, &kept) }
    }
}

/// The lines of a run's log that can be read, in order; none if there is no log.
pub(crate) fn read(run_dir: &Path) -> Result<Vec<LogEntry>> {
    let path = run_dir.join(FILE);
    match fs::read(&path) {
        Ok(bytes) => Ok(whole_lines(&bytes).filter_map(|line| LogEntry::parse(std::str::from_utf8(line).ok()?)).collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(Error::io(&path, "read the log", e)),
    }
}

/// Lines that end in a line break: one without is the torn last line of a crash.
fn whole_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|b| *b == b'\n').filter_map(|line| line.strip_suffix(b"\n"))
}

fn fields(scalars: &[(String, f64)]) -> String {
    // JSON has no NaN; serde_json writes `null` for it.
    scalars.iter().map(|(name, value)| format!(",{}:{}", Value::from(name.as_str()), Value::from(*value))).collect()
}

fn numbers(object: &serde_json::Map<String, Value>, without: &[&str]) -> Vec<(String, f64)> {
    let wanted = object.iter().filter(|(name, value)| !without.contains(&name.as_str()) && (value.is_number() || value.is_null()));
    wanted.map(|(name, value)| (name.clone(), value.as_f64().unwrap_or(f64::NAN))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scalars(step: u64) -> LogEntry {
        let scalars = vec![("d_loss".into(), 0.5), ("g_loss".into(), 1.5), ("d_accuracy".into(), 0.75), ("a".into(), 2.0)];
        LogEntry::Scalars { step, scalars, samples_per_sec: 10.0, secs: 0.25 }
    }

    #[test]
    fn lines_read_as_documented() {
        let line = r#"{"step":10,"d_loss":0.5,"g_loss":1.5,"d_accuracy":0.75,"a":2.0,"samples_per_sec":10.0,"secs":0.25}"#;
        assert_eq!(scalars(10).to_line(), line);
        assert_eq!(LogEntry::parse(line), Some(scalars(10)));
    }

    #[test]
    fn a_number_that_is_not_finite_is_null_and_comes_back_as_nan() {
        let entry = LogEntry::Scalars { step: 1, scalars: vec![("d_loss".into(), f64::INFINITY)], samples_per_sec: 1.0, secs: 1.0 };
        assert!(entry.to_line().contains("\"d_loss\":null"));
        let Some(LogEntry::Scalars { scalars, .. }) = LogEntry::parse(&entry.to_line()) else { panic!("not read back") };
        assert!(scalars[0].1.is_nan());
    }

    #[test]
    fn cutting_keeps_whole_lines_up_to_the_step_byte_for_byte() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::new(dir.path());
        log.cut(Some(3), 0).unwrap();
        for step in 1..=4 {
            log.append(&scalars(step)).unwrap();
        }
        let before = fs::read_to_string(dir.path().join(FILE)).unwrap();
        fs::write(dir.path().join(FILE), format!("{before}{{\"step\":2,\"d_lo")).unwrap();
        log.cut(Some(3), 0).unwrap();
        let after = fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert_eq!(after.lines().collect::<Vec<_>>(), before.lines().take(3).collect::<Vec<_>>());
        log.append(&scalars(9)).unwrap();
        assert_eq!(read(dir.path()).unwrap().len(), 4);
        log.cut(None, 0).unwrap();
        assert_eq!(read(dir.path()).unwrap(), []);
    }

    proptest! {
        #[test]
        fn every_entry_comes_back(step in any::<u64>(), text in ".*", values in prop::collection::vec(-1e6f64..1e6, 0..4)) {
            let finding = LogEntry::Finding { step, kind: text.clone(), severity: "note".into(), evidence: text.clone(), cause: text.clone(), remedy: text.clone() };
            prop_assert_eq!(LogEntry::parse(&finding.to_line()), Some(finding));
            let metrics = values.iter().enumerate().map(|(idx, v)| (format!("m{idx}"), v.round())).collect();
            let snapshot = LogEntry::Snapshot { step, file: text, metrics };
            prop_assert!(!snapshot.to_line().contains('\n'));
            prop_assert_eq!(LogEntry::parse(&snapshot.to_line()), Some(snapshot));
        }

        #[test]
        fn no_line_panics(line in ".*") {
            let _ = LogEntry::parse(&line);
        }
    }
}
