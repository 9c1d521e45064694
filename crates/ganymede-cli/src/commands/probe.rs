//! `ganymede probe RUN|MODEL DATA`: what the discriminator learned about classes that nobody told it.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use ganymede::data::Source;
use ganymede::metrics::ProbeSettings;
use ganymede::session;
use serde_json::json;

use crate::output::{Output, thousands};

const EXAMPLES: &str = "\
Examples:
  ganymede train digits --set condition=none           a discriminator that is told no classes
  ganymede probe runs/0001-image-digits digits
  ganymede probe runs/0001-image-digits digits --labels 500 --draws 5
  ganymede probe runs/0002-image-photos labelled/     sub-folders are classes

A linear classifier learns from a few labelled pictures as the discriminator sees them, and is tested on all
others; so is the same classifier on the pixels and on the same network with random weights. What is better
than both was learned from pictures alone. A model that learned classes has been told what is asked here.";

/// Arguments of `probe`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ProbeArgs {
    /// A run directory, or a model folder
    #[arg(value_name = "RUN|MODEL")]
    model: PathBuf,
    /// Pictures with classes: a folder, a .zip, IDX files, or built-in data by name
    #[arg(value_name = "DATA")]
    data: String,
    /// Pictures whose classes the probe is told
    #[arg(long, value_name = "N", default_value_t = 100)]
    labels: usize,
    /// How often they are drawn anew
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
    draws: usize,
    /// Seed of the draws
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to compute features: auto, cpu, wgpu[:N], vulkan[:N], cuda[:N]
    #[arg(long, env = "GANYMEDE_DEVICE", hide_env_values = true, default_value = "auto")]
    device: String,
}

pub fn run(args: &ProbeArgs, output: Output) -> Result<()> {
    let model = session::open_model(&args.model, &args.device)?;
    let settings = ProbeSettings { labels: args.labels, draws: args.draws, seed: args.seed };
    let found = session::probe_discriminator(model.as_ref(), &Source::open(&args.data)?, settings)?;
    let told = model.description().classes.len();
    if output.json {
        let probed = found.probed.iter().map(|p| {
            json!({ "features": p.what, "dim": p.dim, "accuracy": p.accuracy.mean, "deviation": p.accuracy.deviation, "draws": p.accuracy.draws })
        });
        return Ok(output.object(&json!({
            "classes": found.classes.len(),
            "labels": args.labels,
            "tested": found.n_tested,
            "model_classes": told,
            "probes": probed.collect::<Vec<_>>(),
        }))?);
    }
    let (labels, tested) = (thousands(args.labels as u64), thousands(found.n_tested as u64));
    output.say(format!(
        "{} classes, {labels} labels drawn {} times, tested on the other {tested} pictures",
        found.classes.len(),
        args.draws
    ));
    if told > 0 {
        output.say(format!("note: this model learned {told} classes: it was told what is asked here, if they are the same"));
    }
    output.line(format!("{:<40}{:>10}{:>18}", "linear probe on", "numbers", "accuracy"))?;
    for p in &found.probed {
        let accuracy = format!("{:.1} ± {:.1} %", 100.0 * p.accuracy.mean, 100.0 * p.accuracy.deviation);
        output.line(format!("{:<40}{:>10}{accuracy:>18}", p.what, thousands(p.dim as u64)))?;
    }
    Ok(())
}
