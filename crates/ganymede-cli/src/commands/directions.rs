//! `ganymede directions RUN|MODEL`: the directions of the latent space in which samples change most, or in which labelled attributes do.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use ganymede::data::{Source, cache_folder};
use ganymede::latent::along;
use ganymede::train::{AttributesRequest, LatentRequest, Layout, Model, SampleId};
use ganymede::{Error, session};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::files::write_file;
use crate::output::Output;
use crate::points::{Directions, Named, model_id};
use crate::wish::WishArgs;

const EXAMPLES: &str = "\
Examples:
  ganymede directions runs/0001-image-avatars                   the 8 strongest, on one sheet
  ganymede directions runs/0001-image-avatars -n 20 --seed 3 --reach 5 -o directions.png
  ganymede sample runs/0001-image-avatars --along 2=1.5         all samples, moved along the second
  ganymede directions runs/0001-image-avatars --labelled avatars --attribute glasses --save glasses.json
  ganymede sample runs/0001-image-avatars --along '@glasses.json#glasses=none=-3'

Each row is a direction; the sample is in the middle, and moved the one way and the other beside it. They are
found from the generator's first layer alone, without samples or labels. With --labelled a classifier learns
from pictures with a labels.csv, or sorted by class, what attributes look like, and says in which direction
each value lies; beside it stands how many of other samples get it, lose it, and are otherwise left as they were.";

/// Arguments of `directions`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DirectionsArgs {
    /// A run directory, or a model folder
    #[arg(value_name = "RUN|MODEL")]
    model: PathBuf,
    /// How many
    #[arg(short, value_name = "N", default_value_t = 8, conflicts_with = "labelled")]
    n: usize,
    /// Pictures with attributes or classes, whose directions to look for: a folder, a .zip, or built-in data by name
    #[arg(long, value_name = "DATA")]
    labelled: Option<String>,
    /// An attribute to look for; repeated; all without it
    #[arg(long, value_name = "NAME", requires = "labelled")]
    attribute: Vec<String>,
    /// The file of directions to write, for `sample --along '@FILE#NAME=AMOUNT'`
    #[arg(long, value_name = "FILE", requires = "labelled", default_value = "directions.json")]
    save: PathBuf,
    /// Seed of the sample that is moved
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How far it is moved, in standard deviations of a latent; 4, or for labelled attributes as far as it takes
    #[arg(long, value_name = "R")]
    reach: Option<f64>,
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
/// How far samples are moved where nothing else is said.
const REACH: f64 = 4.0;

pub fn run(args: &DirectionsArgs, output: Output) -> Result<()> {
    let reach = args.reach.unwrap_or(REACH);
    if !(reach.is_finite() && reach > 0.0) || args.n == 0 {
        return Err(Error::config("--reach", format!("{reach} for {} directions", args.n), "give numbers above 0").into());
    }
    let model = session::open_model(&args.model, &args.device)?;
    if let Some(data) = &args.labelled {
        return labelled(args, model.as_ref(), data, output);
    }
    let directions: Vec<_> = model.directions().into_iter().take(args.n.min(100)).collect();
    draw(args, model.as_ref(), &directions.iter().map(|d| (d.vector.as_slice(), reach)).collect::<Vec<_>>())?;
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

/// A sheet with a row for each direction, the sample moved along it as far as stands beside it.
fn draw(args: &DirectionsArgs, model: &dyn Model, directions: &[(&[f32], f64)]) -> Result<()> {
    let start = model.latent(SampleId { seed: args.seed, index: 0 });
    let places = |reach: f64| (-SIDE..=SIDE).map(move |i| reach * f64::from(i) / f64::from(SIDE));
    let latents = directions.iter().flat_map(|(vector, reach)| places(*reach).map(|amount| along(&start, vector, amount))).collect();
    let layout = Layout::Sheet(2 * SIDE as usize + 1);
    let files = model.draw_at(&LatentRequest { latents, wish: args.wish.read(), layout })?;
    Ok(write_file(&args.output, &files[0].bytes)?)
}

/// Finds the directions of labelled attributes, writes and shows them.
fn labelled(args: &DirectionsArgs, model: &dyn Model, data: &str, output: Output) -> Result<()> {
    let source = Source::open(data)?;
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    if output.draws() {
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}").expect("a valid template"));
    }
    let cache = cache_folder();
    let request = AttributesRequest { names: &args.attribute, seed: args.seed, cache: cache.as_deref() };
    let found = model.attribute_vectors(&source, &request, &mut |what, done, of| {
        bar.set_message(what.to_owned());
        bar.set_length(of);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let rows: Vec<_> = found.vectors.iter().map(|v| (v.vector.as_slice(), args.reach.unwrap_or(v.amount))).collect();
    if !rows.is_empty() {
        draw(args, model, &rows)?;
    }
    let file = Directions { model: model_id(model), directions: found.vectors.iter().map(Named::from).collect() };
    write_file(&args.save, serde_json::to_string(&file)?.as_bytes())?;
    output.say(format!("{} directions in {}, one a row in {}", rows.len(), args.save.display(), args.output.display()));
    if !found.left_out.is_empty() {
        output.say(format!("left out, since too few samples have them or have them not: {}", found.left_out.join(", ")));
    }
    if output.json {
        let vectors = found.vectors.iter().map(|v| {
            json!({ "attribute": v.attribute, "value": v.value, "amount": v.amount, "share": v.share, "put_on": v.put_on, "taken_off": v.taken_off, "kept": v.kept })
        });
        let accuracy: serde_json::Map<_, _> = found.seen_rightly.iter().map(|(name, share)| (name.clone(), json!(share))).collect();
        let directions: Vec<_> = vectors.collect();
        return Ok(output.object(&json!({ "output": args.output, "saved": args.save, "directions": directions, "left_out": found.left_out, "seen_rightly": accuracy }))?);
    }
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", 100.0 * share));
    output.line(format!("{:<28}{:>9}{:>9}{:>8}{:>11}{:>13}", "direction", "samples", "amount", "put on", "taken off", "others kept"))?;
    for v in &found.vectors {
        let name = format!("{}={}", v.attribute, v.value);
        let [share, put_on, taken_off, kept] = [Some(v.share), v.put_on, v.taken_off, Some(v.kept)].map(percent);
        output.line(format!("{name:<28}{share:>9}{:>9}{put_on:>8}{taken_off:>11}{kept:>13}", v.amount))?;
    }
    let seen: Vec<String> = found.seen_rightly.iter().map(|(name, share)| format!("{name} {}", percent(*share))).collect();
    output.say(format!("seen rightly in labelled pictures that were not learned from: {}", seen.join(", ")));
    Ok(())
}
