//! `ganymede features RUN|MODEL PICTURES`: what the discriminator makes of pictures, as vectors for other programs.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use ganymede::data::Source;
use ganymede::train::FeatureRows;
use ganymede::{Error, session};
use serde_json::json;

use crate::files::write_file;
use crate::output::{Output, thousands};

const EXAMPLES: &str = "\
Examples:
  ganymede features runs/0001-image-avatars photos/ -o features.csv       name, class and vector of each picture
  ganymede features runs/0001-image-avatars photos/ -o features.npy       the matrix alone, for numpy.load
  ganymede features runs/0001-image-avatars photos/ --stage 2 -o features.csv

A vector is what each stage of the discriminator makes of the picture, averaged over its pixels.";

/// Arguments of `features`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct FeaturesArgs {
    /// A run directory, or a model folder
    #[arg(value_name = "RUN|MODEL")]
    model: PathBuf,
    /// A folder, .zip or .tar of pictures, IDX files, or built-in data by name
    #[arg(value_name = "PICTURES")]
    pictures: String,
    /// Only this stage of the discriminator, from 1 [default: all, one after the other]
    #[arg(long, value_name = "K")]
    stage: Option<usize>,
    /// The file to write: .csv or .npy
    #[arg(short, long, value_name = "FILE", default_value = "features.csv")]
    output: PathBuf,
    /// Where to compute: auto, cpu, wgpu[:N], vulkan[:N], cuda[:N]
    #[arg(long, env = "GANYMEDE_DEVICE", hide_env_values = true, default_value = "auto")]
    device: String,
}

pub fn run(args: &FeaturesArgs, output: Output) -> Result<()> {
    let extension = args.output.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    if !matches!(extension.as_str(), "csv" | "npy") {
        return Err(Error::config("-o", format!("{} is no .csv or .npy", args.output.display()), "name such a file").into());
    }
    let model = session::open_model(&args.model, &args.device)?;
    let rows = model.features(&Source::open(&args.pictures)?, args.stage)?;
    let bytes = if extension == "csv" { as_csv(&rows)? } else { as_npy(&rows) };
    write_file(&args.output, &bytes)?;
    let (n, dim) = (rows.names.len(), rows.dim);
    output.say(format!("{} vectors of {dim} numbers in {}", thousands(n as u64), args.output.display()));
    if output.json {
        output.object(&json!({ "output": args.output, "rows": n, "dim": dim }))?;
    }
    Ok(())
}

fn as_csv(rows: &FeatureRows) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let heads = ["name".to_owned(), "class".to_owned()].into_iter().chain((0..rows.dim).map(|i| format!("f{i}")));
    writer.write_record(heads)?;
    for ((name, label), values) in rows.names.iter().zip(&rows.labels).zip(rows.values.chunks_exact(rows.dim.max(1))) {
        let row = [name.clone(), label.clone().unwrap_or_default()].into_iter().chain(values.iter().map(ToString::to_string));
        writer.write_record(row)?;
    }
    Ok(writer.into_inner()?)
}

/// NumPy's format, version 1.0 (numpy.lib.format): little-endian 32-bit floats, row by row.
fn as_npy(rows: &FeatureRows) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows.names.len(), rows.dim);
    // Magic, version, length and header take a multiple of 64 bytes, and the last is a line feed.
    let padding = 64 - (10 + header.len() + 1) % 64;
    header.push_str(&" ".repeat(padding % 64));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(rows.values.iter().flat_map(|v| v.to_le_bytes()));
    bytes
}
