//! `ganymede walk RUN|MODEL`: from sample to sample through the latent space, as a strip or a moving picture.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use ganymede::latent::walk;
use ganymede::train::{LatentRequest, Layout};
use ganymede::{Error, session};
use serde_json::json;

use crate::files::write_file;
use crate::output::{Output, thousands};
use crate::wish::WishArgs;
use crate::{points, seeds};

const EXAMPLES: &str = "\
Examples:
  ganymede walk runs/0001-image-avatars --seeds 0-5 -o walk.png            a strip from each to the next
  ganymede walk runs/0001-image-avatars --seeds 0-5 --close -o walk.gif    a moving picture without an end
  ganymede walk runs/0001-image-avatars --seeds 3:5,3:9 --steps 30 --fps 25 -o walk.apng
  ganymede walk runs/0001-image-avatars --latent @found.json --latent '@found.json + 0.8*3:5' -o edit.png

The way is an arc around the origin, where samples are as typical as at its ends.";

/// More frames than this in one command are refused.
const MOST: usize = 10_000;

/// Arguments of `walk`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct WalkArgs {
    /// A run directory, or a model folder
    #[arg(value_name = "RUN|MODEL")]
    model: PathBuf,
    /// Samples to go through, as `ganymede sample --seeds` takes them
    #[arg(long, value_name = "LIST", default_value = "0-4", conflicts_with = "latent")]
    seeds: String,
    /// A point to go through: a sum of samples (3:5 - 3:7 + 0.5*3:9) and of points that `project` wrote (@FILE#2); repeated
    #[arg(long, value_name = "SUM")]
    latent: Vec<String>,
    /// Steps from one point to the next
    #[arg(long, value_name = "N", default_value_t = 8)]
    steps: usize,
    /// Go back to the first point at the end
    #[arg(long)]
    close: bool,
    #[command(flatten)]
    wish: WishArgs,
    /// Pictures a second, of a moving one
    #[arg(long, default_value_t = 12)]
    fps: u16,
    /// .png for a strip, .gif or .apng for a moving picture
    #[arg(short, long, value_name = "FILE", default_value = "walk.png")]
    output: PathBuf,
    /// Where to compute: auto, cpu, wgpu[:N], vulkan[:N], cuda[:N]
    #[arg(long, env = "GANYMEDE_DEVICE", hide_env_values = true, default_value = "auto")]
    device: String,
}

pub fn run(args: &WalkArgs, output: Output) -> Result<()> {
    let extension = args.output.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let layout = match extension.as_str() {
        "png" => Layout::Sheet(args.steps + usize::from(!args.close)),
        "gif" | "apng" => Layout::Moving { fps: args.fps, gif: extension == "gif" },
        _ => return Err(Error::config("-o", format!("{} is no .png, .gif or .apng", args.output.display()), "name such a file").into()),
    };
    let model = session::open_model(&args.model, &args.device)?;
    let stops = match args.latent.as_slice() {
        [] => points::of_samples(&seeds::parse(&args.seeds)?, model.as_ref()),
        sums => sums.iter().map(|sum| points::read(sum, model.as_ref())).collect::<Result<_, _>>()?,
    };
    let n = stops.len().saturating_mul(args.steps);
    if stops.len() < 2 || args.steps == 0 || n > MOST {
        let problem = format!("{} points and {} steps make no way of 2 to {} pictures", stops.len(), args.steps, thousands(MOST as u64));
        return Err(Error::config("walk", problem, "give at least two points, and at least one step between them").into());
    }
    let latents = match layout {
        // Each row goes from one point to the next, and shows both.
        Layout::Sheet(_) if !args.close => stops.windows(2).flat_map(|ends| walk(ends, args.steps, false)).collect(),
        _ => walk(&stops, args.steps, args.close),
    };
    let n = latents.len();
    let files = model.draw_at(&LatentRequest { latents, wish: args.wish.read(), layout })?;
    write_file(&args.output, &files[0].bytes)?;
    output.say(format!("{} pictures in {}", thousands(n as u64), args.output.display()));
    if output.json {
        output.object(&json!({ "output": args.output, "pictures": n, "bytes": files[0].bytes.len() }))?;
    }
    Ok(())
}
