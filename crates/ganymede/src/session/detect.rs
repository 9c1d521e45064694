//! Detectors of generated pictures: taught by models and real data, asked about files.

use std::path::{Path, PathBuf};

use super::{data_of, open_model, without_slash};
use crate::data::{First, ImageIndex, ImageSpec, Skipped, Source};
use crate::error::{Error, Result};
use crate::features::{Detector, Fakes, Parts, Suspicion, Teaching};
use crate::random::{self, DataOrder};
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
    let [training, calibration, test] = sizes;
    let part = |first: usize, n: usize| (first..first + n).flat_map(|i| set.picture(i).into_owned()).collect();
    let real = Parts { training: part(0, training), calibration: part(training, calibration), test: part(training + calibration, test) };
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

/// Seed of the samples of a part: none that somebody would name, or the detector would be tested, and asked, about the very samples that it learned from.
fn seed_of(part: usize, seed: u64) -> u64 {
    const PURPOSE: u64 = u64::from_le_bytes(*b"detector");
    random::mix(random::mix(seed ^ PURPOSE) ^ part as u64)
}

/// Samples of a model for each part; each part has a seed of its own.
fn fakes(model: &dyn Model, path: &Path, sizes: [usize; 3], seed: u64) -> Result<Fakes> {
    let mut drawn = Vec::with_capacity(3);
    for (part, size) in sizes.into_iter().enumerate() {
        let mut pixels = Vec::new();
        for first in (0..size as u64).step_by(CHUNK) {
            let numbers = first..(first + CHUNK as u64).min(size as u64);
            pixels.extend(model.pixels(seed_of(part, seed), numbers)?.1);
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

/// Asks a detector about pictures: single files, folders, archives or built-in data. Beside what it says, the files that could not be read and why. Where there are several folders or archives,
/// the names of files begin with theirs.
///
/// # Errors
/// [`Error::Data`] if there are no pictures, or none that can be read.
pub fn detect(detector: &Detector, names: &[String]) -> Result<(Vec<Suspected>, Vec<Skipped>)> {
    let spec = detector.description().spec;
    let (files, others): (Vec<_>, Vec<_>) = names.iter().partition(|name| ImageIndex::is_picture(Path::new(name.as_str())));
    let (mut indices, n_folders) = (Vec::new(), others.len() + usize::from(!files.is_empty()));
    if !files.is_empty() {
        indices.push((None, ImageIndex::of_files(files.into_iter().map(PathBuf::from).collect())?));
    }
    for name in others {
        let name = without_slash(name);
        match Source::open(name)? {
            Source::Images(index) => indices.push((Some(PathBuf::from(name)), index)),
            _ => return Err(Error::data(name, "is not made of pictures", "give pictures")),
        }
    }
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    for (folder, mut index) in indices {
        let named = |path: &Path| folder.as_ref().filter(|_| n_folders > 1).map_or_else(|| path.to_path_buf(), |folder| folder.join(path));
        let mut leave_out = |skipped: Vec<Skipped>| {
            left_out.extend(skipped.into_iter().map(|Skipped { path, reason }| Skipped { path: named(&path), reason }));
        };
        leave_out(std::mem::take(&mut index.skipped));
        let entries = std::mem::take(&mut index.entries);
        for chunk in entries.chunks(CHUNK) {
            index.entries = chunk.to_vec();
            let First { pictures, skipped } = index.first(&spec, usize::MAX)?;
            leave_out(skipped);
            let pixels: Vec<u8> = pictures.iter().flat_map(|(_, picture)| picture.iter().copied()).collect();
            let said = detector.suspicions(&pixels)?;
            found.extend(pictures.iter().zip(said).map(|((entry, _), suspicion)| Suspected {
                name: named(&entry.path).display().to_string(),
                is_resized: (entry.width as usize, entry.height as usize) != (spec.width, spec.height),
                suspicion,
            }));
        }
    }
    match left_out.first() {
        Some(Skipped { path, reason }) if found.is_empty() => {
            Err(Error::data(path, reason.clone(), "give pictures that other programs can open: none of these can be read"))
        }
        _ => Ok((found, left_out)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Channels, Fit, write_png};
    use std::fs;

    #[test]
    fn parts_have_seeds_that_nobody_names() {
        let seeds: Vec<u64> = (0..3).flat_map(|seed| (0..3).map(move |part| seed_of(part, seed))).collect();
        assert!(seeds.iter().all(|seed| *seed > 1 << 32), "{seeds:?}");
        assert!((1..9).all(|i| !seeds[..i].contains(&seeds[i])), "{seeds:?}");
    }

    fn detector() -> Detector {
        let spec = ImageSpec { width: 8, height: 8, channels: Channels::Grey, fit: Fit::Crop };
        let noise = |n: usize, most: f32, seed| -> Vec<u8> {
            random::uniform(n * 64, &mut random::stream(seed, "noise", 0)).iter().map(|v| (v * most) as u8).collect()
        };
        let parts =
            |most, seed| Parts { training: noise(40, most, seed), calibration: noise(30, most, seed + 1), test: noise(30, most, seed + 2) };
        let (real, fakes) = (parts(255.0, 0), [Fakes { name: "dark".into(), parts: parts(60.0, 10) }]);
        Detector::teach(&Teaching { spec, name: "noise", real: &real, fakes: &fakes, steps: 10, seed: 0 }, &mut |_, _| {}).unwrap()
    }

    #[test]
    fn a_broken_picture_is_left_out_and_names_carry_their_folder() {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for dir in &dirs {
            for i in 0..4u8 {
                let pixels: Vec<u8> = (0..64).map(|p| p * i).collect();
                let bytes = write_png(8, 8, Channels::Grey, &pixels, &[]).unwrap();
                fs::write(dir.path().join(format!("{i}.png")), if i == 1 { &bytes[..bytes.len() * 2 / 3] } else { &bytes }).unwrap();
            }
        }
        let names = dirs.iter().map(|dir| dir.path().display().to_string()).collect::<Vec<_>>();
        let (found, left_out) = detect(&detector(), &names[..1]).unwrap();
        assert_eq!(found.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["0.png", "2.png", "3.png"]);
        assert_eq!(left_out.iter().map(|one| one.path.to_str().unwrap()).collect::<Vec<_>>(), ["1.png"]);
        let (found, left_out) = detect(&detector(), &names).unwrap();
        assert_eq!((found.len(), left_out.len()), (6, 2));
        assert_eq!(Path::new(&found[3].name), dirs[1].path().join("0.png"));
        assert_eq!(left_out[1].path, dirs[1].path().join("1.png"));
    }
}
