//! `ganymede evaluate RUN|MODEL|SAMPLES --against DATA`: how good samples are, beside real ones and something trivial.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use ganymede::Error;
use ganymede::judge::{Judgement, METRICS, Score};
use ganymede::run::RunDir;
use ganymede::session::{self, EvaluateOptions, Evaluated};
use serde_json::{Map, Value, json};

use crate::output::{Output, figure};

const EXAMPLES: &str = "\
Examples:
  ganymede evaluate runs/0001-image-avatars                    a run, by the data it held out
  ganymede evaluate runs/0001-image-avatars/model --against photos/
  ganymede evaluate samples/ --against photos/                 anyone's pictures against anyone's
  ganymede evaluate samples.csv --against measurements.csv
  ganymede evaluate synthetic/ --against shop/                 several tables, and what relates them
  ganymede evaluate synthetic.csv --against held-out.csv --learned-from training.csv --target income
  ganymede evaluate samples/ --against photos/ --metrics frechet,coverage --json
  ganymede evaluate samples/ --against photos/ --features efficientnet_lite0.safetensors
  ganymede evaluate runs/0003-image-stacked-digits -n 26000    counts its modes as well

Every figure stands beside that of real samples, the best that can be reached, and that of a trivial
generator, on the same features and as many samples. Figures of different features, data or numbers of
samples cannot be compared with each other.";

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct EvaluateArgs {
    /// A run directory, a model folder, or samples: a folder, .zip or .tar of pictures, a CSV, a folder of tables
    #[arg(value_name = "RUN|MODEL|SAMPLES")]
    judged: String,
    /// The real data [default: that of the run]
    #[arg(long, value_name = "DATA")]
    against: Option<String>,
    /// Rows that samples of a table were learned from, where --against names others that they were not
    #[arg(long, value_name = "DATA")]
    learned_from: Option<String>,
    /// Only these figures, separated by commas [default: all that there are]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    metrics: Vec<String>,
    /// What pictures are seen by: own, random, or EfficientNet-Lite0's weights (.safetensors) [default: own, or the run's]
    #[arg(long, value_name = "FEATURES")]
    features: Option<String>,
    /// Column of a table that models learning from samples and from real rows are to foretell
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Seed of the samples that are drawn
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Samples that modes are counted in, for data of known kinds (stacked-digits) [default: 26,000]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    samples: Option<usize>,
    /// Write evaluation.json and, for pictures, the closest pairs into this folder [default: the run's own, for a run]
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Where to draw samples: auto, cpu, wgpu[:N], vulkan[:N], cuda[:N]
    #[arg(long, env = "GANYMEDE_DEVICE", hide_env_values = true, default_value = "auto")]
    device: String,
}

pub fn run(args: &EvaluateArgs, output: Output) -> Result<()> {
    check_names(&args.metrics)?;
    let options = EvaluateOptions {
        against: args.against.clone(),
        learned_from: args.learned_from.clone(),
        features: args.features.clone(),
        target: args.target.clone(),
        seed: args.seed,
        samples: args.samples,
        device: args.device.clone(),
    };
    let evaluated = session::evaluate(&args.judged, &options, &mut |done, of| {
        if done == 1 {
            output.say(format!("learning from the data ({of} updates) ..."));
        }
    })?;
    let object = object(&evaluated, &args.metrics);
    let written = write(args, &evaluated, &object, output)?;
    if output.json {
        return Ok(output.object(&object)?);
    }
    print(&evaluated, &args.metrics, output)?;
    if let Some(path) = written {
        output.say(format!("\nin {}", path.display()));
    }
    Ok(())
}

fn check_names(names: &[String]) -> Result<(), Error> {
    match names.iter().find(|name| METRICS.iter().all(|m| m.name != name.as_str())) {
        Some(unknown) => {
            let known: Vec<_> = METRICS.iter().map(|m| m.name).collect();
            Err(Error::config("--metrics", format!("there is no figure \"{unknown}\""), format!("known figures: {}", known.join(", "))))
        }
        None => Ok(()),
    }
}

fn wanted<'a>(judgement: &'a Judgement, names: &'a [String]) -> impl Iterator<Item = &'a Score> {
    chosen(&judgement.scores, names)
}

fn chosen<'a>(scores: &'a [Score], names: &'a [String]) -> impl Iterator<Item = &'a Score> {
    scores.iter().filter(move |score| names.is_empty() || names.contains(&score.metric))
}

fn object(evaluated: &Evaluated, names: &[String]) -> Value {
    let Evaluated { evaluation, judged, against } = evaluated;
    let figures = |score: &Score| json!({ "value": score.value, "error": score.error, "real": score.real, "trivial": score.trivial, "reached": score.reached() });
    let scores =
        |judgement: &Judgement| wanted(judgement, names).map(|score| (score.metric.clone(), figures(score))).collect::<Map<_, _>>();
    let judgement = &evaluation.judgement;
    let of_part = |own: &[Score]| chosen(own, names).map(|score| (score.metric.clone(), figures(score))).collect::<Map<_, _>>();
    json!({
        "judged": judged,
        "against": against,
        "features": judgement.extractor,
        "n": judgement.n,
        "notes": judgement.notes,
        "scores": scores(judgement),
        "memorised_z": judgement.vitals.memorised_z,
        "classes": evaluation.classes.iter().map(|(name, judgement)| (name.clone(), Value::Object(scores(judgement)))).collect::<Map<_, _>>(),
        "parts": evaluation.parts.iter().map(|(name, own)| (name.clone(), Value::Object(of_part(own)))).collect::<Map<_, _>>(),
        "attributes": evaluation.attributes.iter().map(|(name, score)| (name.clone(), figures(score))).collect::<Map<_, _>>(),
    })
}

/// Writes the results where they belong: into the run's folder, which then shows them in its report, or into one that was named.
fn write(args: &EvaluateArgs, evaluated: &Evaluated, object: &Value, output: Output) -> Result<Option<PathBuf>> {
    let judged = Path::new(&args.judged);
    let text = serde_json::to_string_pretty(object)? + "\n";
    let closest = evaluated.evaluation.closest.as_ref();
    if let Some(folder) = &args.output {
        fs::create_dir_all(folder).map_err(|e| Error::io(folder, "make the folder", e))?;
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, bytes).map_err(|e| Error::io(&path, "write", e))
        };
        put("evaluation.json", text.as_bytes())?;
        if let Some(sheet) = closest {
            put(&format!("{}.{}", sheet.stem, sheet.extension), &sheet.bytes)?;
        }
        return Ok(Some(folder.clone()));
    }
    if !judged.join("run.toml").exists() {
        return Ok(None);
    }
    match RunDir::open(judged) {
        Ok(run) => {
            run.save_evaluation(&text, closest)?;
            Ok(Some(run.path().join("report.html")))
        }
        Err(error) => {
            output.say(format!("the results are not kept in the run: {error}"));
            Ok(None)
        }
    }
}

fn print(evaluated: &Evaluated, names: &[String], output: Output) -> io::Result<()> {
    let Evaluated { evaluation, judged, against } = evaluated;
    let judgement = &evaluation.judgement;
    output.say(format!("samples   {judged}"));
    output.say(format!("against   {against}"));
    output.say(format!("features  {}", judgement.extractor));
    output.say(format!("number    {} on each side", judgement.n));
    for note in &judgement.notes {
        output.say(format!("note      {note}"));
    }
    output.say("");
    let mut out = io::stdout().lock();
    writeln!(out, "{:<24}{:>18}{:>10}{:>10}{:>10}", "", "samples", "real", "trivial", "reached")?;
    for score in wanted(judgement, names) {
        writeln!(out, "{}", row(score))?;
    }
    for (name, scores) in &evaluation.parts {
        let mut rows = chosen(scores, names).peekable();
        if rows.peek().is_some() {
            writeln!(out, "\n{name}")?;
        }
        rows.try_for_each(|score| writeln!(out, "{}", row(score)))?;
    }
    let mut one_by_one = evaluation.attributes.iter().filter(|(_, score)| names.is_empty() || names.contains(&score.metric)).peekable();
    if let Some((_, first)) = one_by_one.peek() {
        writeln!(out, "\n{}, one by one", first.metric().map_or(first.metric.as_str(), |m| m.title))?;
        for (name, score) in one_by_one {
            writeln!(out, "{}", cells(&name.chars().take(23).collect::<String>(), score))?;
        }
    }
    let mut classes = evaluation.classes.iter().peekable();
    if classes.peek().is_some() {
        let shown = ["frechet", "precision", "recall", "coverage"];
        let shown: Vec<&str> = shown.into_iter().filter(|name| names.is_empty() || names.iter().any(|n| n == name)).collect();
        writeln!(out)?;
        let titles = shown.iter().map(|name| format!("{name:>24}")).collect::<String>();
        writeln!(out, "{:<20}{:>6}{titles}", "by class (real)", "n")?;
        for (name, judgement) in classes {
            let cells = shown.iter().filter_map(|name| judgement.score(name));
            let cells: String = cells.map(|s| format!("{:>24}", format!("{} ({})", figure(s.value), figure(s.real)))).collect();
            writeln!(out, "{:<20}{:>6}{cells}", name.chars().take(19).collect::<String>(), judgement.n)?;
        }
    }
    out.flush()
}

fn row(score: &Score) -> String {
    cells(score.metric().map_or(score.metric.as_str(), |m| m.title), score)
}

fn cells(title: &str, score: &Score) -> String {
    let error = score.error.map_or_else(String::new, |e| format!(" ± {}", figure(e)));
    let reached = score.reached().map_or_else(String::new, |r| format!("{:.0} %", 100.0 * r));
    format!(
        "{title:<24}{:>18}{:>10}{:>10}{reached:>10}",
        format!("{}{error}", figure(score.value)),
        figure(score.real),
        figure(score.trivial)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_figures_are_refused_with_the_known_ones() {
        let said = check_names(&["frechet".into(), "fid".into()]).unwrap_err().to_string();
        assert!(said.contains("\"fid\"") && said.contains("frechet, kernel"), "{said}");
        check_names(&[]).unwrap();
    }

    #[test]
    fn a_row_holds_the_figure_between_its_bounds() {
        let score = Score { metric: "c2st".into(), value: 0.75, error: Some(0.01), real: 0.5, trivial: 1.0 };
        let row = row(&score);
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(words, ["two-sample", "AUC", "0.75", "±", "0.0100", "0.50", "1.00", "50", "%"]);
    }
}
