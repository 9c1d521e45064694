//! `ganymede inspect DATA|RUN|MODEL`: what something is.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use ganymede::data::{Provenance, Skipped, Source};
use ganymede::run::{LogEntry, Manifest, ModelDescription, ModelFolder, Remedy, figure_text};
use ganymede::train::{Asked, Plan, Proposal};
use ganymede::{Error, device, session};
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::{Map, Value, json};

use crate::files::write_file;
use crate::output::{Output, duration, thousands};
use crate::progress::figures;

const EXAMPLES: &str = "\
Examples:
  ganymede inspect photos/                    pictures, sizes, classes, broken files, what train would do
  ganymede inspect measurements.csv
  ganymede inspect shop/                      several tables: keys, and what refers to what
  ganymede inspect digits                     built-in data
  ganymede inspect runs/0001-image-avatars    a run: settings, how far, what was found
  ganymede inspect runs/0001-image-avatars/model --json
  ganymede inspect picture.png                whether it says that it was generated, and by what";

/// Arguments of `inspect`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// Data, a run directory or a model folder
    #[arg(value_name = "DATA|RUN|MODEL")]
    what: String,
    /// Write what the columns of a table, or of a folder's tables, were taken for into TABLE.schema.toml, or as SDV's metadata (sdv) into TABLE.metadata.json, to be changed and given to `train --schema`
    #[arg(long, value_name = "FORM", num_args = 0..=1, require_equals = true, default_missing_value = "toml", value_parser = ["toml", "sdv"])]
    write_schema: Option<String>,
    /// Device that the choice of preset is made for
    #[arg(long, env = "GANYMEDE_DEVICE", hide_env_values = true, default_value = "auto")]
    device: String,
}

/// Headings and texts for people, and the same for scripts.
struct Findings {
    lines: Vec<(String, String)>,
    json: Value,
}

pub fn run(args: &InspectArgs, output: Output) -> Result<()> {
    let path = Path::new(&args.what);
    if let Some(form) = &args.write_schema {
        return write_schema(&args.what, form == "sdv", output);
    }
    let is_png = path.is_file() && path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
    let said = if is_png { fs::read(path).ok().and_then(|bytes| Provenance::read(&bytes)) } else { None };
    let findings = if let Some(said) = said {
        of_generated(path, &said)
    } else if path.join("run.toml").is_file() {
        of_run(path)?
    } else if path.join("model.json").is_file() || path.file_name().is_some_and(|n| n == "model.json") {
        of_model(&ModelFolder::open(path)?)?
    } else {
        of_data(&args.what, &args.device, output)?
    };
    if output.json {
        return Ok(output.object(&findings.json)?);
    }
    let width = findings.lines.iter().map(|(heading, _)| heading.chars().count()).max().unwrap_or(0);
    for (heading, text) in findings.lines {
        let mut rows = text.lines();
        output.line(format!("{heading:width$}  {}", rows.next().unwrap_or_default()).trim_end())?;
        for row in rows {
            output.line(format!("{:width$}  {row}", ""))?;
        }
    }
    Ok(())
}

/// The schema of a table as a file beside it, which must not be there yet.
fn write_schema(name: &str, as_sdv: bool, output: Output) -> Result<()> {
    // Beside a folder, not in it.
    let plain = name.trim_end_matches('/');
    let path = PathBuf::from(format!("{plain}.{}", if as_sdv { "metadata.json" } else { "schema.toml" }));
    let (text, n_columns) = match Source::open(name)? {
        Source::Table(table) => {
            let stem = Path::new(name).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
            let text = if as_sdv { table.schema.to_sdv(&stem) } else { table.schema.to_toml(&table.found.reasons) };
            (text, table.schema.columns.len())
        }
        Source::Tables(tables) => {
            let text = if as_sdv { tables.schema.to_sdv() } else { tables.schema_text() };
            (text, tables.schema.tables.iter().map(|table| table.schema.columns.len()).sum())
        }
        _ => {
            let remedy = "name a table (.csv, .tsv, .jsonl, .parquet, .arrow, .xlsx), or a folder of several";
            return Err(Error::data(name, "is no table of mixed columns", remedy).into());
        }
    };
    if path.exists() {
        return Err(Error::data(&path, "exists already", "remove it, or change it").into());
    }
    write_file(&path, text.as_bytes())?;
    output.say(format!(
        "{} columns described in {}: change it and give it to `ganymede train {name} --schema {}`",
        n_columns,
        path.display(),
        path.display()
    ));
    output.line(path.display().to_string()).map_err(Into::into)
}

fn line(heading: &str, text: impl ToString) -> (String, String) {
    (heading.to_owned(), text.to_string())
}

/// A picture that says that it was generated.
fn of_generated(path: &Path, said: &Provenance) -> Findings {
    let shown = [("generator", &said.generator), ("sample", &said.sample), ("class", &said.class)];
    let mut lines = vec![line("picture", path.display()), line("provenance", "says that it was made by a trained algorithm")];
    lines.extend(shown.iter().filter(|(_, value)| !value.is_empty()).map(|(heading, value)| line(heading, value)));
    let json = json!({ "kind": "generated picture", "generator": said.generator, "sample": said.sample, "class": said.class });
    Findings { lines, json }
}

fn of_data(name: &str, device: &str, output: Output) -> Result<Findings> {
    let source = Source::open(name)?;
    let device = device::choose(device)?;
    let broken = broken_files(&source, output);
    let mut lines = source.describe();
    lines.retain(|(heading, _)| heading != "left out");
    let mut json = json!({ "kind": "data", "name": name, "description": pairs(&lines), "broken": broken, "license": source.license() });
    if !broken.is_empty() {
        lines.push(line("broken", broken_lines(&broken, output.verbose > 0)));
    }
    match session::recognize(&source).and_then(|(entry, confidence)| {
        let proposal = (entry.propose)(&source, &device.device, &Asked::default())?;
        let plan = proposed_plan(entry, &proposal)?;
        Ok((entry, confidence, proposal, plan))
    }) {
        Ok((entry, confidence, proposal, plan)) => {
            lines.push(line("task", format!("{}: {}", entry.name, confidence.reason)));
            lines.push(line("preset", format!("{}\n{}", proposal.preset, proposal.reasons.join("\n")).trim_end()));
            let takes = proposal.estimated_secs.map_or_else(String::new, |s| format!(", about {} on {}", duration(s), device.name));
            lines.push(line("plan", format!("{} steps of {} samples{takes}", thousands(plan.steps), thousands(plan.batch as u64))));
            json["proposal"] = json!({
                "task": entry.name,
                "confidence": (f64::from(confidence.score) * 1000.0).round() / 1000.0,
                "recognized": confidence.reason,
                "preset": proposal.preset,
                "settings": proposal.settings,
                "reasons": proposal.reasons,
                "steps": plan.steps,
                "batch": plan.batch,
                "device": device.name.to_string(),
                "estimated_secs": proposal.estimated_secs,
            });
        }
        Err(error) => {
            lines.push(line("task", format!("none: {error}")));
            json["proposal"] = Value::Null;
        }
    }
    Ok(Findings { lines, json })
}

fn proposed_plan(entry: &ganymede::train::TaskEntry, proposal: &Proposal) -> ganymede::Result<Plan> {
    let config = session::proposed_config(entry, proposal)?;
    (entry.plan)(&config)
}

fn of_run(path: &Path) -> Result<Findings> {
    let manifest = Manifest::read(path)?;
    let log = read_log(path);
    let step = log.last().map_or(0, LogEntry::step);
    let steps = manifest.steps().unwrap_or(0);
    let found: Vec<_> = log.iter().filter_map(finding).collect();
    let judged = log.iter().rev().find_map(|e| if let LogEntry::Judged { step, judgement } = e { Some((*step, judgement)) } else { None });
    let stopped = log.iter().rev().find_map(|e| if let LogEntry::Stopped { reason, why, .. } = e { Some((reason, why)) } else { None });
    let numbers = log.iter().rev().find_map(|e| if let LogEntry::Scalars { scalars, .. } = e { Some(scalars.clone()) } else { None });
    let model = ModelFolder::open(path).ok();
    let mut lines = vec![
        line("run", path.display()),
        line("task", format!("{}, preset {}", manifest.task, manifest.preset)),
        line("data", format!("{} ({} samples)", manifest.data.name, thousands(manifest.data.n_samples as u64))),
        line("seed", manifest.seed),
        line("device", &manifest.device),
        line("created", format!("{} by ganymede {}", manifest.created, manifest.ganymede_version)),
        line("progress", format!("step {} of {}", thousands(step), thousands(steps))),
    ];
    lines.extend(numbers.iter().map(|n| line("last", n.iter().take(3).map(|(k, v)| format!("{k} {v:.3}")).collect::<Vec<_>>().join("  "))));
    lines.extend(judged.map(|(step, judgement)| line("judged", format!("step {}: {}", thousands(step), figures(judgement)))));
    lines.extend(found.iter().map(|f| line("finding", f)));
    lines.extend(stopped.map(|(_, why)| line("stopped", why)));
    lines.push(match &model {
        Some(model) => {
            line("model", format!("of step {}; draw with `ganymede sample {}`", thousands(model.description().step), path.display()))
        }
        None => line("model", "none yet"),
    });
    if step < steps && stopped.is_none_or(|(reason, _)| reason == "interrupted") {
        lines.push(line("next", format!("ganymede train --resume {}", path.display())));
    }
    let json = json!({
        "kind": "run",
        "path": path,
        "manifest": manifest,
        "step": step,
        "steps": steps,
        "last": numbers.map(|n| n.into_iter().map(|(k, v)| (k, json!(v))).collect::<Map<_, _>>()),
        "judged": judged.map(|(step, judgement)| json!({ "step": step, "judgement": judgement })),
        "findings": found,
        "stopped": stopped.map(|(reason, why)| json!({ "reason": reason, "why": why })),
        "model_step": model.map(|m| m.description().step),
    });
    Ok(Findings { lines, json })
}

fn of_model(folder: &ModelFolder) -> Result<Findings> {
    let description = folder.description();
    // Reading the weights checks them.
    let n_parameters: usize = folder.tensors()?.iter().map(|(_, t)| t.values.len()).sum();
    let ModelDescription { task, step, samples_seen, classes, data, seed, metrics, ganymede_version, .. } = description;
    let mut lines = vec![
        line("model", folder.path().display()),
        line("task", task),
        line(
            "trained",
            format!("{} steps, {} samples seen, seed {seed}, ganymede {ganymede_version}", thousands(*step), thousands(*samples_seen)),
        ),
        line("weights", format!("{} numbers, whole", thousands(n_parameters as u64))),
        line("data", format!("{} ({} samples, license {})", data.name, thousands(data.n_samples as u64), data.license)),
    ];
    if !classes.is_empty() {
        lines.push(line("classes", classes.join(", ")));
    }
    lines.extend(session::open_model(folder.path(), "cpu")?.offers().into_iter().map(|(heading, text)| line(&heading, text)));
    lines.extend(metrics.iter().map(|(name, value)| line(name, figure_text(value))));
    lines.push(line("next", format!("ganymede sample {} -n 64", folder.path().display())));
    let json = json!({ "kind": "model", "path": folder.path(), "n_parameters": n_parameters, "description": description });
    Ok(Findings { lines, json })
}

fn read_log(run: &Path) -> Vec<LogEntry> {
    let path: PathBuf = run.join("log.jsonl");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(LogEntry::parse).collect()
}

fn finding(entry: &LogEntry) -> Option<String> {
    match entry {
        LogEntry::Finding { step, severity, kind, evidence, remedy, .. } => {
            Some(format!("{severity} at step {}: {kind}: {evidence}; {remedy}", thousands(*step)))
        }
        LogEntry::Remedied { step, remedy } => {
            let Remedy { kind, found_at, evidence, change, .. } = remedy;
            Some(format!("remedied at step {}: {kind}: {evidence}; back to step {}, {change}", thousands(*found_at), thousands(*step)))
        }
        _ => None,
    }
}

/// Decodes everything: a header can be whole and the pixels behind it not.
fn broken_files(source: &Source, output: Output) -> Vec<Skipped> {
    let Source::Images(index) = source else { return Vec::new() };
    let bar = ProgressBar::with_draw_target(Some(index.entries.len() as u64), ProgressDrawTarget::hidden());
    if output.draws() {
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
    let broken = index.verify(&mut |done, _| bar.set_position(done as u64));
    bar.finish_and_clear();
    broken
}

fn broken_lines(broken: &[Skipped], all: bool) -> String {
    const SHOWN: usize = 10;
    let shown = if all { broken.len() } else { SHOWN };
    let mut lines = vec![format!("{} left out of training", thousands(broken.len() as u64))];
    lines.extend(broken.iter().take(shown).map(|s| format!("{}: {}", s.path.display(), s.reason)));
    if broken.len() > shown {
        lines.push(format!("and {} more (-v names them)", thousands((broken.len() - shown) as u64)));
    }
    lines.join("\n")
}

fn pairs(lines: &[(String, String)]) -> Vec<Value> {
    lines.iter().map(|(heading, text)| json!({ "heading": heading.trim(), "text": text })).collect()
}
