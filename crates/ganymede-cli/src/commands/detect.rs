//! `ganymede detect FILES --detector FOLDER`: which pictures a detector takes for generated; `ganymede detect train` teaches one.

use std::io;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use ganymede::features::{Described, Detector, Told, Verdict};
use ganymede::session::{self, DetectorRequest};
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::json;

use crate::files::write_file;
use crate::output::{Output, thousands};

const EXAMPLES: &str = "\
Examples:
  ganymede detect train runs/0001-image-faces -o detector/      by a run and the data that it learned from
  ganymede detect photo.png downloads/ --detector detector/     file, probability, verdict, as CSV
  ganymede detect downloads/ --detector detector/ -o found.csv

A detector knows the generators that it was taught by. What it is worth on pictures that it never saw, and
what it cannot do, stands in its detector.json; `detect train` prints it. verdict is
  generated   above the threshold that one real picture in a hundred passes
  unsure      more likely generated than not, below that threshold
  unflagged   no sign of the generators that the detector knows";

const TRAIN_EXAMPLES: &str = "\
Examples:
  ganymede detect train runs/0001-image-faces -o detector/
  ganymede detect train runs/0001-image-faces/model --real photos/ -o detector/
  ganymede detect train runs/0001-image-faces runs/0002-image-faces -o detector/

With several models it also says how a detector does on a generator that was left out of its lesson. All
models must draw pictures of one shape. Real pictures: 200 at least, a few thousand are better.";

/// Arguments of `detect`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct DetectArgs {
    #[command(subcommand)]
    command: Option<DetectCommand>,
    /// Pictures: files, folders, .zip, or built-in data by name
    #[arg(value_name = "FILES", required = true)]
    files: Vec<String>,
    /// The folder that `ganymede detect train` wrote
    #[arg(long, value_name = "FOLDER", required = true)]
    detector: Option<PathBuf>,
    /// A CSV file to write [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What else can be done with detectors.
#[derive(Debug, Subcommand)]
enum DetectCommand {
    /// Teach a detector by real pictures and by samples of models
    Train(TeachArgs),
}

/// Arguments of `detect train`.
#[derive(Debug, Args)]
#[command(after_help = TRAIN_EXAMPLES)]
struct TeachArgs {
    /// Run directories or model folders of the generators
    #[arg(value_name = "RUN|MODEL", required = true)]
    models: Vec<PathBuf>,
    /// Real pictures: a folder, .zip, IDX files, or built-in data by name [default: what the first run learned from]
    #[arg(long, value_name = "DATA")]
    real: Option<String>,
    /// The folder to write
    #[arg(short, long, value_name = "FOLDER", default_value = "detector")]
    output: PathBuf,
    /// Updates of 64 pictures
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    steps: u64,
    /// Seed of training and samples
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to draw samples: auto, cpu, wgpu[:N], vulkan[:N], cuda[:N]
    #[arg(long, env = "GANYMEDE_DEVICE", hide_env_values = true, default_value = "auto")]
    device: String,
}

pub fn run(args: &DetectArgs, output: Output) -> Result<()> {
    match (&args.command, &args.detector) {
        (Some(DetectCommand::Train(args)), _) => teach(args, output),
        (None, detector) => detect(args, &Detector::open(&detector.clone().unwrap_or_default())?, output),
    }
}

fn teach(args: &TeachArgs, output: Output) -> Result<()> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    if output.draws() {
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
    let request = DetectorRequest {
        models: args.models.clone(),
        real: args.real.clone(),
        steps: args.steps,
        seed: args.seed,
        device: args.device.clone(),
    };
    let detector = session::teach_detector(&request, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    detector.save(&args.output)?;
    let described = detector.description();
    if output.json {
        return Ok(output.object(&json!({ "output": args.output, "detector": described }))?);
    }
    report(described, output)?;
    output.say(format!("\nin {}", args.output.display()));
    Ok(())
}

fn report(described: &Described, output: Output) -> io::Result<()> {
    let [training, calibration, test] = described.pictures.map(|n| thousands(n as u64));
    output.say(format!("real      {}", described.real));
    described.generators.iter().for_each(|name| output.say(format!("generator {name}")));
    output.say(format!("learned from {training} real and as many generated pictures, calibrated by {calibration}, tested by {test}\n"));
    output.line(format!("{:<44}{:>24}{:>12}{:>10}", "never seen", "AUC (95 %)", "at 1 % FP", "flagged"))?;
    let row = |told: &Told, name: &str| {
        let area = format!("{:.3} ({:.3} to {:.3})", told.auc, told.interval[0], told.interval[1]);
        let name: String = name.chars().rev().take(43).collect::<Vec<_>>().into_iter().rev().collect();
        output.line(format!("{name:<44}{area:>24}{:>10.1} %{:>8.1} %", 100.0 * told.at_one_percent, 100.0 * told.flagged))
    };
    for told in &described.told {
        row(told, &told.generator)?;
    }
    for told in &described.unseen {
        row(told, &format!("left out: {}", told.generator))?;
    }
    output.line(format!("{:<80}{:>8.1} %", "real pictures", 100.0 * described.false_positives))?;
    output.line(format!("probabilities are off by {:.3} on average", described.calibration_error))?;
    output.say("");
    described.limits.iter().for_each(|limit| output.say(format!("limit     {limit}")));
    Ok(())
}

fn detect(args: &DetectArgs, detector: &Detector, output: Output) -> Result<()> {
    let (found, left_out) = session::detect(detector, &args.files)?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["file", "probability", "verdict"])?;
    for one in &found {
        writer.write_record([one.name.as_str(), &format!("{:.4}", one.suspicion.probability), one.suspicion.verdict.name()])?;
    }
    let csv = writer.into_inner()?;
    if let Some(path) = &args.output {
        write_file(path, &csv)?;
    }
    let flagged = found.iter().filter(|one| one.suspicion.verdict == Verdict::Generated).count();
    let resized = found.iter().filter(|one| one.is_resized).count();
    for skipped in &left_out {
        output.say(format!("{} is left out: {}", skipped.path.display(), skipped.reason));
    }
    if output.json {
        let files: Vec<_> = found
            .iter()
            .map(|one| {
                json!({ "file": one.name, "probability": one.suspicion.probability, "verdict": one.suspicion.verdict.name(), "resized": one.is_resized })
            })
            .collect();
        return Ok(output.object(&json!({ "files": files, "left_out": left_out, "limits": detector.description().limits }))?);
    }
    if args.output.is_none() {
        output.line(String::from_utf8_lossy(&csv).trim_end())?;
    }
    output.say(format!("{} of {} flagged as generated", thousands(flagged as u64), thousands(found.len() as u64)));
    if resized > 0 {
        let (w, h) = (detector.description().spec.width, detector.description().spec.height);
        output.say(format!("{} were resized to {w} x {h} first, which hides what the detector looks for", thousands(resized as u64)));
    }
    Ok(())
}
