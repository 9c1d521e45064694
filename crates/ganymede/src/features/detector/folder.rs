//! A detector on disk: `detector.json` and its weights.

use std::fs;
use std::path::Path;

use super::{Described, Detector, practice};
use crate::error::{Error, Result};
use crate::features::Classifier;
use crate::run::{first_non_finite, from_safetensors, to_safetensors, write_atomic};

const DESCRIPTION: &str = "detector.json";
const WEIGHTS: &str = "detector.safetensors";
const REMEDY: &str = "use another copy of the folder, or teach a detector again with `ganymede detect train`";
/// No description and no weights of ours are larger.
const LARGEST: u64 = 64 << 20;

impl Described {
    /// The version of the format that is written.
    pub const FORMAT: i64 = 1;
}

impl Detector {
    /// Writes `detector.json` and `detector.safetensors` into a folder, which need not exist.
    ///
    /// # Errors
    /// [`Error::Io`] if that cannot be done.
    pub fn save(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).map_err(|e| Error::io(folder, "make the folder", e))?;
        let (json, weights) = (folder.join(DESCRIPTION), folder.join(WEIGHTS));
        write_atomic(&weights, &to_safetensors(&weights, &self.classifier.save())?)?;
        let text = serde_json::to_string_pretty(&self.described)
            .map_err(|e| Error::run(&json, e.to_string(), "this is a mistake in the program; please report it"))?;
        write_atomic(&json, (text + "\n").as_bytes())
    }

    /// Opens what [`Detector::save`] wrote; nothing in it is trusted.
    ///
    /// # Errors
    /// [`Error::Run`] if there is none, or it is damaged or of a newer version; [`Error::Io`] if it cannot be read.
    pub fn open(folder: &Path) -> Result<Self> {
        let (json, weights) = (folder.join(DESCRIPTION), folder.join(WEIGHTS));
        if !json.is_file() {
            let remedy = "teach one with `ganymede detect train RUN -o FOLDER`, and name its folder";
            return Err(Error::run(folder, format!("is no detector (it has no {DESCRIPTION})"), remedy));
        }
        let damaged = |path: &Path, problem: String| Error::run(path, problem, REMEDY);
        let text = read(&json)?;
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(|e| damaged(&json, e.to_string()))?;
        match value.get("format").and_then(serde_json::Value::as_i64) {
            Some(Described::FORMAT) => {}
            Some(newer) if newer > Described::FORMAT => {
                return Err(Error::run(
                    &json,
                    format!("is of format {newer}, which this version does not know"),
                    "open it with a newer version",
                ));
            }
            _ => return Err(damaged(&json, "says no format".to_owned())),
        }
        let described: Described = serde_json::from_value(value).map_err(|e| damaged(&json, e.to_string()))?;
        let Described { spec, scale, offset, threshold, flagged_above, .. } = described;
        // The size is bounded before a network is made for it.
        let side = 4..=1024;
        let is_sized = side.contains(&spec.width) && side.contains(&spec.height);
        if !is_sized || scale <= 0.0 || ![scale, offset, threshold, flagged_above].iter().all(|v| v.is_finite()) {
            return Err(damaged(&json, "says numbers that no detector has".to_owned()));
        }
        let tensors = from_safetensors(&weights, &read(&weights)?)?;
        if let Some(name) = first_non_finite(&tensors) {
            return Err(damaged(&weights, format!("tensor \"{name}\" holds values that are not finite numbers")));
        }
        let shape = [spec.height, spec.width, spec.channels.count()];
        let classifier =
            Classifier::load(shape, 2, practice(described.steps, described.seed), tensors).map_err(|problem| damaged(&weights, problem))?;
        Ok(Self { classifier, described })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let length = fs::metadata(path).map_err(|e| Error::io(path, "open", e))?.len();
    if length > LARGEST {
        return Err(Error::run(path, format!("is larger than any of ours ({} MB)", length >> 20), REMEDY));
    }
    fs::read(path).map_err(|e| Error::io(path, "read", e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Channels, Fit, ImageSpec};
    use crate::features::detector::{Fakes, Parts, Teaching};
    use crate::random;

    fn detector() -> Detector {
        let spec = ImageSpec { width: 6, height: 5, channels: Channels::Rgb, fit: Fit::Pad };
        let noise = |n: usize, most: f32, seed| -> Vec<u8> {
            random::uniform(n * spec.n_bytes(), &mut random::stream(seed, "noise", 0)).iter().map(|v| (v * most) as u8).collect()
        };
        let parts =
            |most, seed| Parts { training: noise(40, most, seed), calibration: noise(30, most, seed + 1), test: noise(30, most, seed + 2) };
        let (real, fakes) = (parts(255.0, 0), [Fakes { name: "dark".into(), parts: parts(60.0, 10) }]);
        Detector::teach(&Teaching { spec, name: "noise", real: &real, fakes: &fakes, steps: 10, seed: 3 }, &mut |_, _| {}).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back_and_damage_is_named() {
        let (dir, detector) = (tempfile::tempdir().unwrap(), detector());
        let folder = dir.path().join("detector");
        detector.save(&folder).unwrap();
        let opened = Detector::open(&folder).unwrap();
        // The last digit of a number may be lost on the way through text.
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs();
        let (read, written) = (opened.description(), detector.description());
        let numbers = |d: &Described| [d.scale, d.offset, d.flagged_above, d.threshold, d.false_positives, d.calibration_error];
        assert!(numbers(read).into_iter().zip(numbers(written)).all(|(a, b)| near(a, b)), "{read:?}, {written:?}");
        let words = |d: &Described| (d.spec, d.generators.clone(), d.pictures, d.steps, d.limits.clone(), d.told.len());
        assert_eq!(words(read), words(written));
        let pixels: Vec<u8> = (0..10 * 90).map(|i| (i * 7 % 256) as u8).collect();
        let said = opened.suspicions(&pixels).unwrap().into_iter().zip(detector.suspicions(&pixels).unwrap());
        said.for_each(|(a, b)| assert!(a.verdict == b.verdict && near(a.probability, b.probability), "{a:?}, {b:?}"));

        let (json, weights) = (folder.join(DESCRIPTION), folder.join(WEIGHTS));
        let (text, bytes) = (fs::read_to_string(&json).unwrap(), fs::read(&weights).unwrap());
        let refused = || Detector::open(&folder).unwrap_err().to_string();
        for (from, to, said) in [
            ("\"format\": 1", "\"format\": 2", "newer version"),
            ("\"format\": 1", "\"formal\": 1", "no format"),
            ("\"width\": 6", "\"width\": 100000", "no detector has"),
            ("\"scale\": ", "\"scale\": -", "no detector has"),
            ("\"width\": 6", "\"width\": 64", "shape"),
            ("\"limits\"", "\"limit\"", "limit"),
        ] {
            fs::write(&json, text.replace(from, to)).unwrap();
            assert!(refused().contains(said), "{to}: {}", refused());
        }
        fs::write(&json, &text).unwrap();
        fs::write(&weights, &bytes[..bytes.len() - 9]).unwrap();
        assert!(refused().contains("detector.safetensors"));
        assert!(Detector::open(dir.path()).unwrap_err().to_string().contains("is no detector"));
    }
}
