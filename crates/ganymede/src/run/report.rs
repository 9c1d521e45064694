//! `report.html`: one page that opens from disk and needs nothing else. Everything on it is taken from the run directory.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use minijinja::{Environment, Value, context};

use super::card::flatten;
use super::directory::SAMPLES;
use super::log::{self, LogEntry};
use super::manifest::Manifest;
use super::sheet::{Size, embed};
use super::svg::{Series, line_chart};
use super::verdict::{best, verdict};
use crate::error::{Error, Result};
use crate::judge::{Judgement, METRICS};

/// File name inside a run directory.
pub(crate) const FILE: &str = "report.html";

const TEMPLATE: &str = include_str!("report.html.jinja");
/// Results of `ganymede evaluate`.
pub(crate) const EVALUATION: &str = "evaluation.json";
/// Samples beside the training data nearest to them.
pub(crate) const CLOSEST: &str = "samples/closest.png";
const MAX_EARLIER: usize = 8;
const MAX_CHARTS: usize = 24;
const MAX_FINDINGS: usize = 8;

/// How far a run is, for its report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// What became of it.
    pub state: RunState,
}

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// It trains.
    Running,
    /// All steps are done.
    Finished,
    /// It was asked to stop and can go on.
    Interrupted,
    /// A number was no longer finite.
    Diverged,
    /// Something was wrong, and was to stop it.
    Troubled,
}

/// The page as HTML.
pub(crate) fn render(run_dir: &Path, manifest: &Manifest, progress: &Progress) -> Result<String> {
    let entries = log::read(run_dir)?;
    let snapshots: Vec<_> =
        entries.iter().filter_map(|e| if let LogEntry::Snapshot { step, file, .. } = e { Some((*step, file)) } else { None }).collect();
    let verdicts: Vec<Value> = verdict(&entries, progress).into_iter().map(|(mood, text)| context! { mood, text }).collect();
    let page = context! {
        title => format!("{} on {}", manifest.task, manifest.data.name),
        subtitle => format!("{} · preset {} · seed {} · device {} · ganymede {} · begun {}",
            run_dir.file_name().unwrap_or_default().to_string_lossy(), manifest.preset, manifest.seed, manifest.device, manifest.ganymede_version, manifest.created),
        verdicts,
        findings => findings(&entries),
        scores => best(&entries).map(|(step, judgement)| context! { step, rows => score_rows(judgement) }),
        evaluation => evaluation(run_dir),
        closest => sheet(run_dir, CLOSEST, Size::Whole, "Generated above, the training picture nearest to each below"),
        newest => snapshots.last().and_then(|(step, file)| sheet(run_dir, file, Size::Whole, &format!("Generated, step {step}"))),
        real => real_file(run_dir).and_then(|file| sheet(run_dir, &file, Size::Whole, &format!("Real: {}", manifest.data.name))),
        earlier => spread(&snapshots).into_iter().filter_map(|(step, file)| sheet(run_dir, file, Size::Thumbnail, &format!("step {step}"))).collect::<Vec<_>>(),
        charts => charts(&entries).into_iter().map(Value::from_safe_string).collect::<Vec<_>>(),
        commands => commands(run_dir, progress),
        figures => rows(figures(&entries, manifest)),
        settings => rows(settings(manifest)),
    };
    let mut environment = Environment::new();
    let rendered = environment.add_template(FILE, TEMPLATE).and_then(|()| environment.get_template(FILE)?.render(page));
    rendered.map_err(|e| Error::run(run_dir.join(FILE), format!("the report cannot be made ({e})"), "please report this"))
}

/// What was found and what was done about it, newest first.
fn findings(entries: &[LogEntry]) -> Vec<Value> {
    let found = entries.iter().rev().filter_map(|entry| match entry {
        LogEntry::Finding { step, kind, severity, evidence, cause, remedy } => {
            let mood = if severity == "note" { "mild" } else { "bad" };
            Some(context! { step, kind, mood, evidence, cause, ending => format!("What to try: {remedy}.") })
        }
        LogEntry::Remedied { step, remedy } => {
            let ending = format!("Training went back to step {step}; {}.", remedy.change);
            Some(context! { step => remedy.found_at, kind => remedy.kind.clone(), mood => "mild", evidence => remedy.evidence.clone(), cause => remedy.cause.clone(), ending })
        }
        _ => None,
    });
    found.take(MAX_FINDINGS).collect()
}

/// Every figure with its bounds: title, value, real, trivial, share of the way, what it is.
fn score_rows(judgement: &Judgement) -> Vec<Vec<String>> {
    let rows = judgement.scores.iter().filter_map(|score| {
        let metric = score.metric()?;
        let error = score.error.map_or_else(String::new, |e| format!(" ± {}", short(e)));
        let reached = score.reached().map_or_else(String::new, |r| format!("{:.0} %", 100.0 * r));
        let value = format!("{}{error}", short(score.value));
        Some(vec![metric.title.into(), value, short(score.real), short(score.trivial), reached, metric.summary.into()])
    });
    rows.collect()
}

/// The last `ganymede evaluate` of this run, if its file can be read: what features, how many, rows as [`score_rows`].
fn evaluation(run_dir: &Path) -> Option<Value> {
    const LARGEST: u64 = 16 << 20;
    let json: serde_json::Value = serde_json::from_str(&super::files::read_text(&run_dir.join(EVALUATION), LARGEST).ok()?).ok()?;
    let text = |key: &str| json.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let rows = METRICS.iter().filter_map(|metric| {
        let score = json.get("scores")?.get(metric.name)?;
        let number = |key: &str| score.get(key).and_then(serde_json::Value::as_f64);
        let reached = number("reached").map_or_else(String::new, |r| format!("{:.0} %", 100.0 * r));
        let error = number("error").map_or_else(String::new, |e| format!(" ± {}", short(e)));
        let value = format!("{}{error}", short(number("value")?));
        Some(vec![metric.title.to_owned(), value, short(number("real")?), short(number("trivial")?), reached, metric.summary.to_owned()])
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let n = json.get("n").and_then(serde_json::Value::as_u64)?;
    (!rows.is_empty()).then(|| context! { judged => text("judged"), against => text("against"), features => text("features"), n, rows })
}

fn sheet(run_dir: &Path, file: &str, size: Size, caption: &str) -> Option<Value> {
    let html = Value::from_safe_string(embed(run_dir, file, size)?);
    Some(context! { html, caption })
}

fn real_file(run_dir: &Path) -> Option<String> {
    let names = fs::read_dir(run_dir.join(SAMPLES)).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let real = names.filter(|name| name.starts_with("real.") && !name.ends_with(".tmp")).min()?;
    Some(format!("{SAMPLES}/{real}"))
}

/// At most [`MAX_EARLIER`] of all but the last, evenly spread from the first on.
fn spread<T: Copy>(all: &[T]) -> Vec<T> {
    let n_earlier = all.len().saturating_sub(1);
    let n_shown = n_earlier.min(MAX_EARLIER);
    (0..n_shown).map(|idx| all[idx * n_earlier / n_shown]).collect()
}

fn charts(entries: &[LogEntry]) -> Vec<String> {
    let series = |name: &str| Series {
        name: name.to_string(),
        points: entries.iter().filter_map(|e| Some((e.step() as f64, number(e, name)?))).collect(),
    };
    let mut charts = vec![line_chart("loss", &[series("d_loss"), series("g_loss")]), line_chart("d_accuracy", &[series("d_accuracy")])];
    charts.extend(METRICS.iter().map(|metric| line_chart(metric.title, &bounded(entries, metric.name))));
    let known = ["d_loss", "g_loss", "d_accuracy"];
    let others: BTreeSet<&str> =
        entries.iter().flat_map(numbers).map(|(name, _)| name.as_str()).filter(|name| !known.contains(name)).collect();
    charts.extend(others.into_iter().take(MAX_CHARTS).map(|name| line_chart(name, &[series(name)])));
    charts.into_iter().flatten().collect()
}

/// A figure over the run, with that of real samples.
fn bounded(entries: &[LogEntry], metric: &str) -> [Series; 2] {
    let judged = || {
        entries.iter().filter_map(|entry| match entry {
            LogEntry::Judged { step, judgement } => judgement.score(metric).map(|score| (*step as f64, score)),
            _ => None,
        })
    };
    [
        Series { name: "samples".into(), points: judged().map(|(step, score)| (step, score.value)).collect() },
        Series { name: "real".into(), points: judged().map(|(step, score)| (step, score.real)).collect() },
    ]
}

fn numbers(entry: &LogEntry) -> &[(String, f64)] {
    match entry {
        LogEntry::Scalars { scalars, .. } => scalars,
        LogEntry::Snapshot { metrics, .. } => metrics,
        LogEntry::Finding { .. } | LogEntry::Judged { .. } | LogEntry::Remedied { .. } | LogEntry::Stopped { .. } => &[],
    }
}

fn number(entry: &LogEntry, wanted: &str) -> Option<f64> {
    numbers(entry).iter().find(|(name, _)| name == wanted).map(|(_, value)| *value)
}

/// The last value of every number, and how long it took.
fn figures(entries: &[LogEntry], manifest: &Manifest) -> Vec<(String, String)> {
    let mut rows = vec![("samples in the data".to_string(), manifest.data.n_samples.to_string())];
    let mut seen = BTreeSet::new();
    for (name, value) in entries.iter().rev().flat_map(numbers) {
        if seen.insert(name) {
            rows.push((name.clone(), short(*value)));
        }
    }
    if let Some(LogEntry::Scalars { samples_per_sec, secs, .. }) = entries.iter().rev().find(|e| matches!(e, LogEntry::Scalars { .. })) {
        rows.push(("samples per second".to_string(), short(*samples_per_sec)));
        rows.push(("training time".to_string(), format!("{} s", short(*secs))));
    }
    rows
}

/// Four digits are what a person compares.
fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        value.to_string()
    } else if (1e-3..1e6).contains(&size) {
        let n_decimals = (3.0 - size.log10().floor()).clamp(0.0, 6.0) as usize;
        let text = format!("{value:.n_decimals$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
    } else {
        format!("{value:.3e}")
    }
}

fn settings(manifest: &Manifest) -> Vec<(String, String)> {
    let data = &manifest.data;
    let mut rows: Vec<(String, String)> = vec![
        ("data".into(), manifest.data_path.as_ref().map_or_else(|| data.name.clone(), |p| p.display().to_string())),
        ("data licence".into(), data.license.clone()),
        ("data fingerprint".into(), data.fingerprint.clone()),
        ("command".into(), manifest.command_line.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")),
    ];
    rows.extend(serde_json::to_value(&manifest.config).map(|config| flatten(&config)).unwrap_or_default());
    rows
}

fn commands(run_dir: &Path, progress: &Progress) -> String {
    let run = shell_word(&run_dir.display().to_string());
    let sample = format!("ganymede sample {run} -n 64 --seed 1 -o samples.png");
    match progress.state {
        RunState::Running | RunState::Finished | RunState::Diverged | RunState::Troubled => sample,
        RunState::Interrupted => format!("ganymede train --resume {run}\n{sample}"),
    }
}

/// A word as a POSIX shell reads it back.
fn shell_word(word: &str) -> String {
    let is_plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-=,:+@%".contains(c));
    if is_plain { word.to_string() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

fn rows(rows: Vec<(String, String)>) -> Vec<Vec<String>> {
    rows.into_iter().map(|(key, value)| vec![key, value]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::manifest::tests::example;

    const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\nnot decoded when shown whole";

    fn run_dir(entries: &[LogEntry]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(SAMPLES)).unwrap();
        let mut log = log::Log::new(dir.path());
        for entry in entries {
            log.append(entry).unwrap();
        }
        dir
    }

    fn scalars(step: u64) -> LogEntry {
        LogEntry::Scalars {
            step,
            scalars: vec![("d_loss".into(), 1.0 / step as f64), ("r1".into(), 2.0)],
            samples_per_sec: 50.0,
            secs: 3.0,
        }
    }

    fn page(dir: &Path, state: RunState) -> String {
        render(dir, &example(), &Progress { step: 2, steps: 20, state }).unwrap()
    }

    #[test]
    fn the_page_shows_curves_sheets_settings_and_the_way_on() {
        let dir = run_dir(&[
            scalars(1),
            LogEntry::Snapshot { step: 1, file: "samples/step-1.png".into(), metrics: vec![("modes".into(), 8.0)] },
            scalars(2),
        ]);
        fs::write(dir.path().join("samples/step-1.png"), PIXEL).unwrap();
        fs::write(dir.path().join("samples/real.csv"), "x,y\n1,<2>\n").unwrap();
        let html = page(dir.path(), RunState::Interrupted);
        for expected in [
            "Interrupted after 2 of 20",
            "<svg ",
            "data:image/png;base64,iVBORw0KGg",
            "1,&lt;2&gt;",
            "plan.steps",
            "train --resume",
            "<td>modes</td><td>8</td>",
        ] {
            assert!(html.contains(expected), "{expected}");
        }
        assert!(!html.contains("http"), "the page must not need the network");
    }

    #[test]
    fn each_state_has_its_verdict() {
        let dir = run_dir(&[]);
        for (state, expected) in
            [(RunState::Running, "Training: 2"), (RunState::Finished, "Finished: all 20"), (RunState::Diverged, "Diverged at step 2")]
        {
            assert!(page(dir.path(), state).contains(expected));
        }
    }

    #[test]
    fn text_from_files_is_escaped() {
        let evil = "<script>alert('x')</script>\"";
        let finding = LogEntry::Finding {
            step: 1,
            kind: evil.into(),
            severity: evil.into(),
            evidence: evil.into(),
            cause: evil.into(),
            remedy: evil.into(),
        };
        let chart = |step| LogEntry::Scalars { step, scalars: vec![(evil.into(), 1.0)], samples_per_sec: 1.0, secs: 1.0 };
        let snapshot = LogEntry::Snapshot { step: 1, file: "../../../etc/hostname".into(), metrics: vec![] };
        let dir = run_dir(&[finding, chart(1), chart(2), snapshot]);
        fs::write(dir.path().join("samples/real.txt"), evil).unwrap();
        let mut manifest = example();
        manifest.task = evil.into();
        manifest.data.name = evil.into();
        manifest.command_line = vec![evil.into()];
        manifest.config.insert(evil.into(), evil.into());
        let html = render(dir.path(), &manifest, &Progress { step: 1, steps: 2, state: RunState::Running }).unwrap();
        assert!(!html.contains("<script"));
        assert!(html.matches("&lt;script&gt;").count() >= 9, "{}", html.matches("&lt;script&gt;").count());
    }

    #[test]
    fn the_strip_is_spread_over_the_run() {
        assert_eq!(spread(&[1]), [0; 0]);
        assert_eq!(spread(&[1, 2, 3]), [1, 2]);
        let all: Vec<u32> = (0..101).collect();
        assert_eq!(spread(&all), [0, 12, 25, 37, 50, 62, 75, 87]);
    }

    #[test]
    fn figures_are_short_and_commands_are_quoted() {
        for (value, text) in [
            (0.0, "0"),
            (8.0, "8"),
            (0.123456, "0.1235"),
            (1234.56, "1235"),
            (100.0, "100"),
            (1e-9, "1.000e-9"),
            (2.5e7, "2.500e7"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(short(value), text);
        }
        assert_eq!(shell_word("runs/0001-a"), "runs/0001-a");
        assert_eq!(shell_word("my run's"), "'my run'\\''s'");
    }
}
