//! `ganymede score RUN|MODEL PICTURES`: how real the discriminator finds pictures.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use ganymede::data::Source;
use ganymede::session;
use serde_json::json;

use crate::output::Output;
use crate::wish::WishArgs;

const EXAMPLES: &str = "\
Examples:
  ganymede score runs/0001-image-avatars photos/            most real first
  ganymede score runs/0002-image-digits scans/ --label 7
  ganymede score runs/0001-image-avatars photos/ --json

A score is the discriminator's logit. It says which pictures look more like those that the model learned from; it
has no absolute zero, and a discriminator that generated pictures deceive is no detector of them.";

/// Arguments of `score`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ScoreArgs {
    /// A run directory, or a model folder
    #[arg(value_name = "RUN|MODEL")]
    model: PathBuf,
    /// A folder, .zip or .tar of pictures, IDX files, or built-in data by name
    #[arg(value_name = "PICTURES")]
    pictures: String,
    #[command(flatten)]
    wish: WishArgs,
    /// Where to compute: auto, cpu, wgpu[:N], vulkan[:N], cuda[:N]
    #[arg(long, env = "GANYMEDE_DEVICE", hide_env_values = true, default_value = "auto")]
    device: String,
}

pub fn run(args: &ScoreArgs, output: Output) -> Result<()> {
    let model = session::open_model(&args.model, &args.device)?;
    let mut scores = model.score(&Source::open(&args.pictures)?, &args.wish.read())?;
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    if output.json {
        let all: Vec<_> = scores.iter().map(|(name, score)| json!({ "name": name, "score": score })).collect();
        return Ok(output.object(&json!({ "scores": all }))?);
    }
    for (name, score) in scores {
        output.line(format!("{score:9.4}  {name}"))?;
    }
    Ok(())
}
