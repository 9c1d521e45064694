//! `ganymede directions RUN|MODEL`: the directions of the latent space in which samples change most.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use ganymede::latent::along;
use ganymede::train::{LatentRequest, Layout, SampleId};
use ganymede::{Error, session};
use serde_json::json;

use crate::files::write_file;
use crate::output::Output;
use crate::wish::WishArgs;

const EXAMPLES: &str = "\
Examples:
  ganymede directions runs/0001-image-avatars                   the 8 strongest, on one sheet
  ganymede directions runs/0001-image-avatars -n 20 --seed 3 --reach 5 -o directions.png
  ganymede sample runs/0001-image-avatars --along 2=1.5         all samples, moved along the second

Each row is a direction; the sample is in the middle, and moved the one way and the other beside it. They are
found from the generator's first layer alone, without samples or labels.";

/// Arguments of `directions`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DirectionsArgs {
    /// A run directory, or a model folder
    #[arg(value_name = "RUN|MODEL")]
    model: PathBuf,
    /// How many
    #[arg(short, value_name = "N", default_value_t = 8)]
    n: usize,
    /// Seed of the sample that is moved
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How far it is moved, in standard deviations of a latent
    #[arg(long, default_value_t = 4.0, value_name = "R")]
    reach: f64,
    #[command(flatten)]
    wish: WishArgs,
    /// The file to write
    #[arg(short, long, value_name = "FILE", default_value = "directions.png")]
    output: PathBuf,
    /// Where to compute: auto, cpu, wgpu[:N], vulkan[:N], cuda[:N]
    #[arg(long, env = "GANYMEDE_DEVICE", hide_env_values = true, default_value = "auto")]
    device: String,
}

/// Samples on each side of the middle.
const SIDE: i32 = 3;

pub fn run(args: &DirectionsArgs, output: Output) -> Result<()> {
    if !(args.reach.is_finite() && args.reach > 0.0) || args.n == 0 {
        return Err(Error::config("--reach", format!("{} for {} directions", args.reach, args.n), "give numbers above 0").into());
    }
    let model = session::open_model(&args.model, &args.device)?;
    let directions: Vec<_> = model.directions().into_iter().take(args.n.min(100)).collect();
    let start = model.latent(SampleId { seed: args.seed, index: 0 });
    let places = || (-SIDE..=SIDE).map(|i| args.reach * f64::from(i) / f64::from(SIDE));
    let latents = directions.iter().flat_map(|d| places().map(|amount| along(&start, &d.vector, amount))).collect();
    let layout = Layout::Sheet(2 * SIDE as usize + 1);
    let files = model.draw_at(&LatentRequest { latents, wish: args.wish.read(), layout })?;
    write_file(&args.output, &files[0].bytes)?;
    output.say(format!("{} directions, one a row, in {}", directions.len(), args.output.display()));
    let strengths: Vec<f64> = directions.iter().map(|d| (d.strength * 1e4).round() / 1e4).collect();
    if output.json {
        output.object(&json!({ "output": args.output, "strengths": strengths }))?;
    } else {
        for (i, strength) in strengths.iter().enumerate() {
            output.line(format!("{:>3}  strength {strength}", i + 1))?;
        }
    }
    Ok(())
}
