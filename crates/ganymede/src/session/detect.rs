//! Detectors of generated pictures: taught by models and real data, asked about files.

use std::path::{Path, PathBuf};

use super::{data_of, open_model, without_slash};
use crate::data::{ImageIndex, ImageSpec, Skipped, Source};
use crate::error::{Error, Result};
use crate::features::{Detector, Fakes, Parts, Suspicion, Teaching};
use crate::random::DataOrder;
use crate::train::Model;

/// Real pictures that a detector is taught by, at most.
const MOST: usize = 20_000;
/// Pictures that are looked at together.
const CHUNK: usize = 256;

/// What a detector is to be taught.
#[derive(Debug, Clone)]
pub struct DetectorRequest {
    /// Run directories and model folders of the generators, at least one.
    pub models: Vec<PathBuf>,
    /// Path or built-in name of the real pictures; what the first model learned from, where that is known.
    pub real: Option<String>,
    /// Updates of its training.
    pub steps: u64,
    /// Seed of its training and of the samples.
    pub seed: u64,
    /// Name of the device that samples are drawn on.
    pub device: String,
}

/// Teaches a detector by samples of models and by real pictures. `progress` is called with (done, of).
///
/// # Errors
/// [`Error::Config`] if no real pictures are known, [`Error::Run`] for models that cannot be opened or that draw pictures of different shapes, [`Error::Data`] for too few pictures.
pub fn teach_detector(request: &DetectorRequest, progress: &mut dyn FnMut(u64, u64)) -> Result<Detector> {
    let models: Vec<Box<dyn Model>> = request.models.iter().map(|path| open_model(path, &request.device)).collect::<Result<_>>()?;
    let first = request.models.first().ok_or_else(|| Error::config("RUN|MODEL", "no model is named", "name at least one"))?;
    let known = request.real.clone().map_or_else(|| data_of(first), |real| Ok(Some(real)))?;
    let Some(name) = known else {
        let problem = "a model folder does not say where its real pictures are";
        return Err(Error::config("--real", problem, "name them: --real photos/, or built-in data"));
    };
    let Source::Images(index) = Source::open(without_slash(&name))? else {
        return Err(Error::data(&name, "is not made of pictures", "give real pictures"));
    };
    let spec = shape(&models, &request.models)?;
    let n = index.entries.len().min(MOST);
    let sizes = Parts::sizes(n)?;
    let mut chosen = index.clone();
    let order = DataOrder::new(request.seed, "detector-real", index.entries.len()).batch(0, n);
    chosen.entries = order.into_iter().filter_map(|i| index.entries.get(i).cloned()).collect();
    let set = chosen.load(&spec, &mut |_, _| {})?;
    let sizes = if set.len() == n { sizes } else { Parts::sizes(set.len())? };
    let [training, calibration, test] = sizes.map(|size| size * spec.n_bytes());
    let real = Parts {
        training: set.pixels[..training].to_vec(),
        calibration: set.pixels[training..training + calibration].to_vec(),
        test: set.pixels[training + calibration..training + calibration + test].to_vec(),
    };
    let fakes: Vec<Fakes> =
        models.iter().zip(&request.models).map(|(model, path)| fakes(model.as_ref(), path, sizes, request.seed)).collect::<Result<_>>()?;
    Detector::teach(&Teaching { spec, name: &name, real: &real, fakes: &fakes, steps: request.steps, seed: request.seed }, progress)
}

/// The one shape of what all models draw.
fn shape(models: &[Box<dyn Model>], paths: &[PathBuf]) -> Result<ImageSpec> {
    let specs: Vec<ImageSpec> = models.iter().map(|model| Ok(model.pixels(0, 0..0)?.0)).collect::<Result<_>>()?;
    let same = |spec: &ImageSpec| (spec.width, spec.height, spec.channels);
    match specs.iter().zip(paths).find(|(spec, _)| same(spec) != same(&specs[0])) {
        Some((odd, path)) => {
            let problem = format!(
                "draws {} pictures of {} x {} pixels, and the first model {} ones of {} x {}",
                odd.channels, odd.width, odd.height, specs[0].channels, specs[0].width, specs[0].height
            );
            // Brought to one size, they would be told by their having been resized.
            Err(Error::run(path, problem, "teach a detector for each shape"))
        }
        None => Ok(specs[0]),
    }
}

/// Samples of a model for each part; each part has a seed of its own.
fn fakes(model: &dyn Model, path: &Path, sizes: [usize; 3], seed: u64) -> Result<Fakes> {
    let mut drawn = Vec::with_capacity(3);
    for (part, size) in sizes.into_iter().enumerate() {
        let mut pixels = Vec::new();
        for first in (0..size as u64).step_by(CHUNK) {
            let numbers = first..(first + CHUNK as u64).min(size as u64);
            pixels.extend(model.pixels(seed.wrapping_mul(3).wrapping_add(part as u64), numbers)?.1);
        }
        drawn.push(pixels);
    }
    let [training, calibration, test] = <[Vec<u8>; 3]>::try_from(drawn).unwrap_or_default();
    Ok(Fakes { name: path.display().to_string(), parts: Parts { training, calibration, test } })
}

/// What a detector says to one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspected {
    /// The file.
    pub name: String,
    /// Whether it had to be brought to the detector's size.
    pub is_resized: bool,
    /// What it says.
    pub suspicion: Suspicion,
}

/// Asks a detector about pictures: single files, folders, archives or built-in data. Beside what it says, the files that could not be read and why.
///
/// # Errors
/// [`Error::Data`] if there are no pictures.
pub fn detect(detector: &Detector, names: &[String]) -> Result<(Vec<Suspected>, Vec<Skipped>)> {
    let spec = detector.description().spec;
    let (files, others): (Vec<_>, Vec<_>) = names.iter().partition(|name| ImageIndex::is_picture(Path::new(name.as_str())));
    let mut indices = Vec::new();
    if !files.is_empty() {
        indices.push(ImageIndex::of_files(files.into_iter().map(PathBuf::from).collect())?);
    }
    for name in others {
        match Source::open(without_slash(name))? {
            Source::Images(index) => indices.push(index),
            _ => return Err(Error::data(name, "is not made of pictures", "give pictures")),
        }
    }
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    for mut index in indices {
        left_out.append(&mut index.skipped);
        let entries = std::mem::take(&mut index.entries);
        for chunk in entries.chunks(CHUNK) {
            index.entries = chunk.to_vec();
            let pixels = index.first(&spec, usize::MAX)?.concat();
            let said = detector.suspicions(&pixels)?;
            found.extend(chunk.iter().zip(said).map(|(entry, suspicion)| Suspected {
                name: entry.path.display().to_string(),
                is_resized: (entry.width as usize, entry.height as usize) != (spec.width, spec.height),
                suspicion,
            }));
        }
    }
    Ok((found, left_out))
}
