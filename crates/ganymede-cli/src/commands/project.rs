//! `ganymede project RUN|MODEL PICTURES`: finds real pictures in the latent space, so that they can be edited there.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use ganymede::data::Source;
use ganymede::train::ProjectRequest;
use ganymede::{Error, session};
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::json;

use crate::files::write_file;
use crate::output::Output;
use crate::points::{Point, Points, model_id};
use crate::wish::WishArgs;

const EXAMPLES: &str = "\
Examples:
  ganymede project runs/0001-image-avatars me/                  every picture of a folder
  ganymede project runs/0001-image-avatars me/ -o found.json    writes found.json and found.png
  ganymede sample runs/0001-image-avatars --latent @found.json#0 --along 2=1.5 -o edited.png

Writes where each picture was found, and a sheet with each picture and what is drawn there. PSNR above 20 dB is
a good likeness of a small picture. A conditional model looks for each as what fits best, unless it is told what
they are. What a generator never learned it cannot draw.";

/// Arguments of `project`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ProjectArgs {
    /// A run directory, or a model folder
    #[arg(value_name = "RUN|MODEL")]
    model: PathBuf,
    /// A folder, .zip or .tar of pictures, IDX files, or built-in data by name
    #[arg(value_name = "PICTURES")]
    pictures: String,
    /// How many of them at most
    #[arg(short, value_name = "N", default_value_t = 16)]
    n: usize,
    #[command(flatten)]
    wish: WishArgs,
    /// Steps of the search for each
    #[arg(long, value_name = "N", default_value_t = 300)]
    steps: u64,
    /// Seed of the points that the search begins from
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The file of points to write; the sheet lies beside it
    #[arg(short, long, value_name = "FILE", default_value = "projected.json")]
    output: PathBuf,
    /// Where to compute: auto, cpu, wgpu[:N], vulkan[:N], cuda[:N]
    #[arg(long, env = "GANYMEDE_DEVICE", hide_env_values = true, default_value = "auto")]
    device: String,
}

pub fn run(args: &ProjectArgs, output: Output) -> Result<()> {
    if args.output.extension().is_none_or(|e| e != "json") {
        return Err(Error::config("-o", format!("{} does not end in .json", args.output.display()), "name a .json file").into());
    }
    let model = session::open_model(&args.model, &args.device)?;
    let source = Source::open(&args.pictures)?;
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    if output.draws() {
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
    let wish = args.wish.read();
    let request = ProjectRequest { wish: &wish, steps: args.steps.max(1), most: args.n.clamp(1, 10_000), seed: args.seed };
    let (found, sheet) = model.project(&source, &request, &mut |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let points = Points { model: model_id(model.as_ref()), points: found.into_iter().map(Point::from).collect() };
    let text = serde_json::to_string(&points)?;
    write_file(&args.output, text.as_bytes())?;
    let picture = args.output.with_extension("png");
    write_file(&picture, &sheet.bytes)?;
    output.say(format!("{} pictures found: points in {}, likenesses in {}", points.points.len(), args.output.display(), picture.display()));
    if output.json {
        let figures: Vec<_> = points.points.iter().map(|p| json!({ "name": p.name, "label": p.label, "psnr": p.psnr })).collect();
        output.object(&json!({ "output": args.output, "sheet": picture, "pictures": figures }))?;
    } else {
        for point in &points.points {
            let label = point.label.as_ref().map(|label| format!("  as {label}")).unwrap_or_default();
            output.line(format!("{:6.2} dB  {}{label}", point.psnr, point.name))?;
        }
    }
    Ok(())
}
