//! `ganymede sample RUN|MODEL`: draws samples onto one sheet or into single files.

use std::collections::HashMap;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use ganymede::artifact::Artifact;
use ganymede::train::{CompleteRequest, LatentRequest, Layout, Model, SampleId, SampleRequest, Wish};
use ganymede::{Error, session};
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::json;

use crate::files::{free_folder, free_name, write_file};
use crate::output::{Output, thousands};
use crate::wish::WishArgs;
use crate::{points, seeds};

/// Single files are drawn and written this many at a time, so that memory does not grow with their number.
const BATCH: usize = 64;
/// A picture of more samples than this serves nobody and may not fit into memory.
const MAX_PICTURES_ON_A_SHEET: usize = 10_000;

const EXAMPLES: &str = "\
Examples:
  ganymede sample runs/0001-image-avatars                      64 samples on one sheet, under a free name
  ganymede sample runs/0001-image-avatars -n 16 --seed 3 -o faces.png
  ganymede sample runs/0001-image-avatars -n 1000 -o faces/    one file each
  ganymede sample runs/0001-image-avatars --seeds 0-63,100 -o faces.png
  ganymede sample runs/0001-image-avatars --seeds 3:5 -o one.png
  ganymede sample runs/0002-image-pets --label cat --truncation 0.7 -o cats.png
  ganymede sample runs/0004-image-avatars --where glasses=dark01 --where hat=none -o shades.png
  ganymede sample runs/0005-image-emoji --prompt 'red apple' -n 8 -o apples.png
  ganymede sample runs/0006-table-people -n 100000 -o synthetic.csv
  ganymede sample runs/0006-table-people -n 1000 --where 'sex = Female' --where 'age in 30..40' -o out.csv
  ganymede sample runs/0006-table-people --complete partial.csv -o full.csv
  ganymede sample runs/0006-table-people --complete partial.csv --draws 100 -o likeliest.csv
  ganymede sample runs/0007-relations-shop -n 1000 -o synthetic/        several tables, a file each
  ganymede sample runs/0003-points-ring -n 5000 -o - | head
  ganymede sample runs/0001-image-avatars --latent '3:5 - 3:7 + 3:9' -o sum.png
  ganymede sample runs/0001-image-avatars --seeds 0-15 --along 2=1.5 -o moved.png

The same model and seed give the same samples. An -o FILE that exists is replaced, as a whole and only
once the new one is complete; single files in a folder are never replaced without --force.";

/// Arguments of `sample`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SampleArgs {
    /// A run directory, or a model folder
    #[arg(value_name = "RUN|MODEL")]
    model: PathBuf,
    /// How many samples
    #[arg(short, value_name = "N", default_value_t = 64, conflicts_with = "seeds")]
    n: usize,
    /// Seed that they are drawn from
    #[arg(long, default_value_t = 0, conflicts_with = "seeds")]
    seed: u64,
    /// One sample for each of these seeds (0-63,100), or exact ones as SEED:INDEX (3:5)
    #[arg(long, value_name = "LIST")]
    seeds: Option<String>,
    /// A file for one sheet or table (.csv, .tsv, .jsonl, .parquet, .arrow), a folder (ends in / or exists) for single files, or - for stdout
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Less variety, more typical samples: above 0, up to 1
    #[arg(long, default_value_t = 1.0, value_name = "PSI")]
    truncation: f64,
    /// A point of the latent space instead: a sum of samples (3:5 - 3:7 + 0.5*3:9) and of points that `project` wrote (@FILE#2); repeated
    #[arg(long, value_name = "SUM", conflicts_with_all = ["seeds", "n", "seed"])]
    latent: Vec<String>,
    /// Move every sample along a direction of `ganymede directions`, NUMBER=AMOUNT or @FILE#NAME=AMOUNT; repeated
    #[arg(long, value_name = "NUMBER=AMOUNT")]
    along: Vec<String>,
    #[command(flatten)]
    wish: WishArgs,
    /// Where to compute: auto, cpu, wgpu[:N], vulkan[:N], cuda[:N]
    #[arg(long, env = "GANYMEDE_DEVICE", hide_env_values = true, default_value = "auto")]
    device: String,
    /// Fill in the missing cells of this table instead; -o names the file to write
    #[arg(long, value_name = "TABLE", requires = "output", conflicts_with_all = ["latent", "along", "seeds", "n"])]
    complete: Option<PathBuf>,
    /// Fill in the likeliest of so many draws, the median number or most frequent word, instead of one plausible value
    #[arg(long, value_name = "N", default_value_t = 1, requires = "complete", value_parser = clap::value_parser!(u64).range(1..=1000))]
    draws: u64,
    /// Draw every column of each row once more, given all the others, so many times: rows closer to the data, drawn slower. Cells that are filled in are swept twice unless this says otherwise
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100), conflicts_with_all = ["latent", "along"])]
    sweeps: Option<u32>,
    /// Write an apostrophe before words of a CSV or TSV file that a spreadsheet would run as formulas
    #[arg(long)]
    escape_formulas: bool,
    /// Write pictures that do not say that they were generated, and by which model
    #[arg(long)]
    no_provenance: bool,
    /// Replace files in the output folder
    #[arg(long)]
    force: bool,
}

/// Where samples go.
enum Target {
    Sheet(PathBuf),
    Folder(PathBuf),
    Stdout,
    /// Not named by the user: a free name in the working directory.
    FreeName,
}

pub fn run(args: &SampleArgs, output: Output) -> Result<()> {
    let ids = match &args.seeds {
        Some(list) => seeds::parse(list)?,
        None => seeds::first_of(args.seed, args.n)?,
    };
    if !(args.truncation > 0.0 && args.truncation <= 1.0) {
        let problem = format!("{} is not above 0 and up to 1", args.truncation);
        return Err(Error::config("--truncation", problem, "1 leaves the samples alone, 0.7 is usual").into());
    }
    let target = target(args.output.as_deref());
    let mut model = session::open_model(&args.model, &args.device)?;
    model.mark(!args.no_provenance);
    model.escape_formulas(args.escape_formulas);
    if let Some(sweeps) = args.sweeps {
        model.sweep(sweeps as usize)?;
    }
    let wish = args.wish.read();
    if let (Some(from), Some(to)) = (&args.complete, &args.output) {
        let (cells, rows) = model.complete(&CompleteRequest { from, to, seed: args.seed, draws: args.draws })?;
        output.say(format!("{} cells of {} rows filled in, in {}", thousands(cells as u64), thousands(rows as u64), to.display()));
        let n_bytes = fs::metadata(to).map_or(0, |m| m.len() as usize);
        return report(output, to, rows, n_bytes);
    }
    if !args.latent.is_empty() || !args.along.is_empty() {
        return at_points(args, model.as_ref(), (&ids, wish), (target, output));
    }
    if !model.files().is_empty()
        && let Some(folder) = folder_of_tables(&target, &model_name(&args.model))?
    {
        let request = SampleRequest { ids, wish, truncation: args.truncation, sheet: true };
        return write_tables(model.as_ref(), &request, &folder, (args.force, output));
    }
    let request = |ids: &[SampleId], sheet| SampleRequest { ids: ids.to_vec(), wish: wish.clone(), truncation: args.truncation, sheet };
    match target {
        Target::Folder(folder) => {
            refuse_overwriting(&folder, &ids, args.force)?;
            let n_bytes = write_folder(model.as_ref(), &ids, &folder, &request, output)?;
            let n = thousands(ids.len() as u64);
            output.say(format!("{n} files in {}", folder.display()));
            report(output, &folder, ids.len(), n_bytes)
        }
        Target::Stdout => {
            let sheet = draw_sheet(model.as_ref(), &ids, &request, None)?;
            let mut stdout = io::stdout().lock();
            if stdout.is_terminal() && !sheet.media_type.starts_with("text/") {
                return Err(Error::config("-o -", "will not write a picture to the terminal", "pipe it on, or name a file with -o").into());
            }
            stdout.write_all(&sheet.bytes)?;
            Ok(stdout.flush()?)
        }
        Target::Sheet(path) => {
            let bar = ProgressBar::with_draw_target(Some(ids.len() as u64), ProgressDrawTarget::hidden());
            if output.draws() && ids.len() > 100_000 {
                bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            if model.write(&request(&ids, true), &path, &mut |done, _| bar.set_position(done))? {
                bar.finish_and_clear();
                output.say(format!("{} samples in {}", thousands(ids.len() as u64), path.display()));
                let n_bytes = fs::metadata(&path).map_or(0, |m| m.len() as usize);
                return report(output, &path, ids.len(), n_bytes);
            }
            let sheet = draw_sheet(model.as_ref(), &ids, &request, Some(&path))?;
            write_file(&path, &sheet.bytes)?;
            output.say(format!("{} samples in {}", thousands(ids.len() as u64), path.display()));
            report(output, &path, ids.len(), sheet.bytes.len())
        }
        Target::FreeName => {
            let sheet = draw_sheet(model.as_ref(), &ids, &request, None)?;
            let path = free_name("samples", &model_name(&args.model), sheet.extension);
            write_file(&path, &sheet.bytes)?;
            output.say(format!("{} samples in {} (-o names another file or a folder)", thousands(ids.len() as u64), path.display()));
            report(output, &path, ids.len(), sheet.bytes.len())
        }
    }
}

/// The folder that several tables go to; none where they are wanted as one document.
fn folder_of_tables(target: &Target, name: &str) -> Result<Option<PathBuf>> {
    let (Target::Sheet(path) | Target::Folder(path)) = target else {
        return Ok(matches!(target, Target::FreeName).then(|| free_folder("samples", name)));
    };
    match path.extension().map(|ending| ending.to_string_lossy().to_lowercase()) {
        _ if matches!(target, Target::Folder(_)) => Ok(Some(path.clone())),
        None => Ok(Some(path.clone())),
        Some(ending) if ending == "json" => Ok(None),
        Some(_) => {
            let problem = format!("{} is one file, and this model makes several tables", path.display());
            Err(Error::config("-o", problem, "name a folder that ends in /, or a .json file for one document").into())
        }
    }
}

/// Rows of several tables, a file for each.
fn write_tables(model: &dyn Model, request: &SampleRequest, folder: &Path, (force, output): (bool, Output)) -> Result<()> {
    if let Some(path) = model.files().iter().map(|name| folder.join(name)).find(|path| !force && path.exists()) {
        return Err(Error::run(path, "exists already", "give another folder, or replace files with --force").into());
    }
    let bar = ProgressBar::with_draw_target(Some(model.files().len() as u64), ProgressDrawTarget::hidden());
    if output.draws() && request.ids.len() > 100_000 {
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
    let written = model.write_into(request, folder, &mut |done, _| bar.set_position(done))?;
    bar.finish_and_clear();
    let n_rows: Vec<String> = written.iter().map(|(name, n)| format!("{name} {}", thousands(*n as u64))).collect();
    output.say(format!("{} samples in {} (rows: {})", thousands(request.ids.len() as u64), folder.display(), n_rows.join(", ")));
    if output.json {
        let files: Vec<_> = written.iter().map(|(name, n)| json!({ "file": name, "rows": n })).collect();
        output.object(&json!({ "output": folder, "samples": request.ids.len(), "files": files }))?;
    } else if !io::stdout().is_terminal() {
        output.line(folder.display().to_string())?;
    }
    Ok(())
}

/// Samples at points of the latent space.
fn at_points(args: &SampleArgs, model: &dyn Model, (ids, wish): (&[SampleId], Wish), (target, output): (Target, Output)) -> Result<()> {
    let mut latents = match args.latent.as_slice() {
        [] => points::of_samples(ids, model),
        sums => sums.iter().map(|sum| points::read(sum, model)).collect::<Result<_, _>>()?,
    };
    latents.iter_mut().flatten().for_each(|v| *v *= args.truncation as f32);
    points::moved(&mut latents, &args.along, model)?;
    let n = latents.len();
    let layout = if matches!(target, Target::Folder(_)) { Layout::Files } else { Layout::Sheet((n as f64).sqrt().ceil() as usize) };
    let files = model.draw_at(&LatentRequest { latents, wish, layout })?;
    let path = match target {
        Target::Stdout => return Err(Error::config("-o -", "samples by latent go to a file", "name a file or a folder with -o").into()),
        Target::Folder(folder) => {
            for file in &files {
                let path = folder.join(format!("{}.{}", file.stem, file.extension));
                if path.exists() && !args.force {
                    return Err(Error::run(path, "exists already", "give another folder, or replace files with --force").into());
                }
                write_file(&path, &file.bytes)?;
            }
            folder
        }
        Target::Sheet(path) => path,
        Target::FreeName => free_name("samples", &model_name(&args.model), "png"),
    };
    if let (Layout::Sheet(_), [sheet]) = (layout, files.as_slice()) {
        write_file(&path, &sheet.bytes)?;
    }
    output.say(format!("{} samples in {}", thousands(n as u64), path.display()));
    report(output, &path, n, files.iter().map(|file| file.bytes.len()).sum())
}

fn target(output: Option<&Path>) -> Target {
    let Some(path) = output else { return Target::FreeName };
    let text = path.as_os_str().to_string_lossy();
    if text == "-" {
        Target::Stdout
    } else if text.ends_with(['/', std::path::MAIN_SEPARATOR]) || path.is_dir() {
        Target::Folder(path.to_path_buf())
    } else {
        Target::Sheet(path.to_path_buf())
    }
}

/// The path on stdout where that is not the terminal, so that scripts can take it from there.
fn report(output: Output, path: &Path, n: usize, n_bytes: usize) -> Result<()> {
    if output.json {
        output.object(&json!({ "output": path, "samples": n, "bytes": n_bytes }))?;
    } else if !io::stdout().is_terminal() {
        output.line(path.display().to_string())?;
    }
    Ok(())
}

/// One sheet with all samples. `path` is checked against what the model makes before the long work starts.
fn draw_sheet(
    model: &dyn Model,
    ids: &[SampleId],
    request: &dyn Fn(&[SampleId], bool) -> SampleRequest,
    path: Option<&Path>,
) -> Result<Artifact> {
    let draw = |ids: &[SampleId]| -> Result<Artifact> {
        model.sample(&request(ids, true))?.into_iter().next().context("the model gave no sheet; please report this")
    };
    if path.is_none() && ids.len() <= BATCH {
        return draw(ids);
    }
    let probe = draw(&ids[..1])?;
    if let Some(path) = path {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        if extension != probe.extension {
            let problem = format!("{} does not end in .{}, which is what this model makes", path.display(), probe.extension);
            let remedy = format!("name a file that ends in .{}, or a folder that ends in / for single files", probe.extension);
            return Err(Error::config("-o", problem, remedy).into());
        }
    }
    if probe.media_type.starts_with("image/") && ids.len() > MAX_PICTURES_ON_A_SHEET {
        let problem = format!("{} pictures do not fit on one sheet", thousands(ids.len() as u64));
        return Err(Error::config("-n", problem, "give a folder (-o folder/) for single files").into());
    }
    draw(ids)
}

/// Single files are named by seed and index; a folder that already has some of them is left alone.
fn refuse_overwriting(folder: &Path, ids: &[SampleId], force: bool) -> Result<()> {
    if force || !folder.exists() {
        return Ok(());
    }
    let entries = fs::read_dir(folder).map_err(|e| Error::io(folder, "list", e))?;
    let stem = |name: &Path| Some(name.file_stem()?.to_string_lossy().into_owned());
    let there: HashMap<String, PathBuf> = entries.flatten().map(|e| e.path()).filter_map(|p| Some((stem(&p)?, p))).collect();
    let clash = ids.iter().find_map(|id| there.get(&id.to_string()));
    match clash {
        Some(path) => {
            Err(Error::run(path, "exists already", "give another folder or another --seed, or replace files with --force").into())
        }
        None => Ok(()),
    }
}

fn write_folder(
    model: &dyn Model,
    ids: &[SampleId],
    folder: &Path,
    request: &dyn Fn(&[SampleId], bool) -> SampleRequest,
    output: Output,
) -> Result<usize> {
    fs::create_dir_all(folder).map_err(|e| Error::io(folder, "create", e))?;
    let bar = ProgressBar::with_draw_target(Some(ids.len() as u64), ProgressDrawTarget::hidden());
    if output.draws() && ids.len() > BATCH {
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
    let mut n_bytes = 0;
    for batch in ids.chunks(BATCH) {
        for artifact in model.sample(&request(batch, false))? {
            let path = folder.join(format!("{}.{}", artifact.stem, artifact.extension));
            fs::write(&path, &artifact.bytes).map_err(|e| Error::io(&path, "write", e))?;
            n_bytes += artifact.bytes.len();
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    Ok(n_bytes)
}

/// The run's folder name, also where its `model/` folder was given.
fn model_name(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let names = path.iter().rev().map(|n| n.to_string_lossy().into_owned());
    names.into_iter().find(|n| n != "model" && !n.ends_with(".json") && !n.ends_with(".safetensors")).unwrap_or_else(|| "model".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_the_output_path_says_what_is_wanted() {
        assert!(matches!(target(None), Target::FreeName));
        assert!(matches!(target(Some(Path::new("-"))), Target::Stdout));
        assert!(matches!(target(Some(Path::new("out/"))), Target::Folder(_)));
        assert!(matches!(target(Some(&std::env::temp_dir())), Target::Folder(_)));
        assert!(matches!(target(Some(Path::new("faces.png"))), Target::Sheet(_)));
    }

    #[test]
    fn a_model_is_called_after_its_run() {
        assert_eq!(model_name(Path::new("runs/0007-image-cats/model/")), "0007-image-cats");
        assert_eq!(model_name(Path::new("runs/0007-image-cats")), "0007-image-cats");
    }
}
