//! `ganymede augment DATA`: what the discriminator would be shown of some real samples.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use ganymede::session::{self, TrainRequest};
use serde_json::json;

use crate::files::{free_name, write_file};
use crate::output::Output;
use crate::progress::Preparation;

const EXAMPLES: &str = "\
Examples:
  ganymede augment photos/                              DiffAugment on 8 pictures, under a free name
  ganymede augment photos/ --policy ada -p 0.4 -o augmented.png
  ganymede augment photos/ --policy translation -n 20

Each row is a picture as it is and then as it would be shown. Real and generated pictures are shown in
the same way, so that samples do not come out distorted. To train with it:

  ganymede train photos/ --set augment.policy=diffaugment
  ganymede train photos/ --set augment.policy=ada --set augment.target=0.5      as strong as is needed";

/// Arguments of `augment`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AugmentArgs {
    /// A folder, .zip or .tar of pictures, IDX files, or built-in data by name
    data: String,
    /// What is done: translation, diffaugment, ada
    #[arg(long, default_value = "diffaugment")]
    policy: String,
    /// Probability of each operation
    #[arg(short, default_value_t = 1.0, value_name = "P")]
    probability: f64,
    /// How many pictures
    #[arg(short, default_value_t = 8, value_name = "N")]
    n: usize,
    /// Seed that distortions are drawn from
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Change another setting (data.height=64); may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The file to write [default: augmented-NAME.png]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub fn run(args: &AugmentArgs, output: Output) -> Result<()> {
    let mut set = args.set.clone();
    set.extend([format!("augment.policy={}", args.policy), format!("augment.p={:?}", args.probability)]);
    if !args.set.iter().any(|assignment| assignment.contains("condition")) {
        // What pictures can be asked for changes nothing about how they are distorted, and may take minutes to learn.
        set.push("data.condition=none".to_owned());
    }
    let request = TrainRequest { data: Some(args.data.clone()), set, seed: args.seed, device: "cpu".to_owned(), ..TrainRequest::default() };
    let preparation = Preparation::new(output);
    let task = session::prepare(&request)?.open(&|what, done, of| preparation.observe(what, done, of))?;
    let sheet = task.augmented(args.n.clamp(1, 100))?;
    let name = Path::new(&args.data).file_stem().map_or_else(|| "data".to_owned(), |name| name.to_string_lossy().into_owned());
    let path = args.output.clone().unwrap_or_else(|| free_name("augmented", &name, sheet.extension));
    write_file(&path, &sheet.bytes)?;
    output.say(format!("each row: a picture, and what the discriminator would be shown of it: {}", path.display()));
    if output.json {
        output.object(&json!({ "output": path, "bytes": sheet.bytes.len() }))?;
    }
    Ok(())
}
