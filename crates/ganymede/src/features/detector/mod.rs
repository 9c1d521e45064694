//! A network that flags generated pictures, taught by real ones and by samples of known generators, with what it is worth and where that ends.

mod folder;

use serde::{Deserialize, Serialize};

use super::{Change, Classifier, Lesson, Practice};
use crate::data::{ImageSpec, Pictures};
use crate::error::{Error, Result};
use crate::metrics::{Platt, auc, calibration_error, share_above, threshold};
use crate::random::DataOrder;

/// Share of the real pictures that set the threshold which a verdict may flag.
pub const FALSE_POSITIVES: f64 = 0.01;
/// Real pictures in each part at least.
const FEWEST: usize = 30;
/// Longer side of what the network sees, in pixels.
const LARGEST: usize = 64;

/// Pictures of one source in three parts, none of which shares a picture with another: what is learned from, what probabilities are fitted to, and what is tested by. Each is
/// `[n, height, width, channels]`.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// What is learned from.
    pub training: Vec<u8>,
    /// What probabilities are fitted to.
    pub calibration: Vec<u8>,
    /// What is tested by.
    pub test: Vec<u8>,
}

impl Parts {
    /// How many of `n` pictures belong to each part: 70, 15 and 15 of a hundred.
    ///
    /// # Errors
    /// [`Error::Data`] if that would leave too few in one of them.
    pub fn sizes(n: usize) -> Result<[usize; 3]> {
        let part = n * 15 / 100;
        if part < FEWEST {
            let problem = format!("{n} real pictures are too few to teach a detector and to test it");
            return Err(Error::data("real pictures", problem, format!("give at least {}", FEWEST * 100 / 15)));
        }
        Ok([n - 2 * part, part, part])
    }
}

/// Samples of one generator.
#[derive(Debug, Clone, Default)]
pub struct Fakes {
    /// What it is called.
    pub name: String,
    /// Its samples, as many as there are real pictures.
    pub parts: Parts,
}

/// How well generated pictures are told from real ones that a detector never saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Whose pictures.
    pub generator: String,
    /// Area under the curve of true against false positives: 0.5 is a coin.
    pub auc: f64,
    /// Its 95 % confidence interval (DeLong et al. 1988).
    pub interval: [f64; 2],
    /// Share of generated pictures that are flagged where 1 % of the real ones of the test are.
    pub at_one_percent: f64,
    /// Share that its verdicts flag.
    pub flagged: f64,
}

/// What a detector is, what it is worth, and where that ends: `detector.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    /// Version of this format.
    pub format: i64,
    /// Version of the program that wrote it.
    pub ganymede_version: String,
    /// Shape of the pictures it looks at; others are brought to it.
    pub spec: ImageSpec,
    /// The real pictures it was taught by.
    pub real: String,
    /// The generators it was taught by.
    pub generators: Vec<String>,
    /// Real pictures, and as many generated ones, that it learned from, was calibrated by and was tested by.
    pub pictures: [usize; 3],
    /// Updates of its training.
    pub steps: u64,
    /// Seed of its weights and their training.
    pub seed: u64,
    /// What logits are multiplied by before they are odds; above 0.
    pub scale: f64,
    /// What is added to them.
    pub offset: f64,
    /// Logit above which a picture is flagged. Verdicts go by it and not by the probability, which ends at 1 where logits go on.
    pub flagged_above: f64,
    /// The same as a probability.
    pub threshold: f64,
    /// Share of real pictures of the test that are flagged.
    pub false_positives: f64,
    /// How far probabilities are off, on average (expected calibration error).
    pub calibration_error: f64,
    /// Fresh samples of all its generators together, then of each.
    pub told: Vec<Told>,
    /// Samples of each of its generators by a detector that was taught by the others alone.
    pub unseen: Vec<Told>,
    /// What it cannot do, in sentences.
    pub limits: Vec<String>,
}

/// Flags generated pictures.
#[derive(Debug, Clone)]
pub struct Detector {
    classifier: Classifier,
    described: Described,
}

/// What a detector says to a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspicion {
    /// Probability that it is generated, where half of the pictures are.
    pub probability: f64,
    /// In a word.
    pub verdict: Verdict,
}

/// A probability in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Above the threshold that about 1 % of real pictures pass.
    Generated,
    /// Rather generated than not, but real pictures are often taken for that.
    Unsure,
    /// No sign of the generators that the detector knows.
    Unflagged,
}

impl Verdict {
    /// The word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Unsure => "unsure",
            Self::Unflagged => "unflagged",
        }
    }
}

/// What a detector is taught.
#[derive(Debug, Clone, Copy)]
pub struct Teaching<'a> {
    /// Shape of all pictures.
    pub spec: ImageSpec,
    /// What the real pictures are called.
    pub name: &'a str,
    /// The real pictures.
    pub real: &'a Parts,
    /// The generators, at least one.
    pub fakes: &'a [Fakes],
    /// Updates of 64 pictures.
    pub steps: u64,
    /// Seed of weights and training.
    pub seed: u64,
}

impl Detector {
    /// Teaches a detector and tests it on pictures it never saw; where there are several generators, also as one that was taught by all but one of them would do on that one. `progress` is
    /// called with (done, of).
    ///
    /// # Errors
    /// [`Error::Data`] if there are too few pictures, they are too small, or generated ones cannot be told from real ones.
    pub fn teach(teaching: &Teaching<'_>, progress: &mut dyn FnMut(u64, u64)) -> Result<Self> {
        let Teaching { spec, real, fakes, .. } = *teaching;
        let n_rounds = if fakes.len() > 1 { fakes.len() as u64 + 1 } else { 1 };
        let all: Vec<&Fakes> = fakes.iter().collect();
        let rounds = |round: u64, progress: &mut dyn FnMut(u64, u64), own: &[&Fakes]| {
            Taught::new(teaching, own, &mut |done, of| progress(round * of + done, n_rounds * of))
        };
        let taught = rounds(0, progress, &all)?;
        taught.refuse_if_nothing_is_told(teaching)?;
        let mut unseen = Vec::new();
        if fakes.len() > 1 {
            for (i, left_out) in fakes.iter().enumerate() {
                let others: Vec<&Fakes> = fakes.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, fakes)| fakes).collect();
                unseen.push(rounds(i as u64 + 1, progress, &others)?.told(&left_out.name, &left_out.parts.test)?);
            }
        }
        let together = mixed(&all, |parts| &parts.test, (spec.n_bytes(), real.test.len() / spec.n_bytes()));
        let mut told = vec![taught.told("all together", &together)?];
        if fakes.len() > 1 {
            for fakes in fakes {
                told.push(taught.told(&fakes.name, &fakes.parts.test)?);
            }
        }
        let probable = |scores: &[f64]| scores.iter().map(|score| taught.platt.probability(*score)).collect::<Vec<f64>>();
        let described = Described {
            format: Described::FORMAT,
            ganymede_version: env!("CARGO_PKG_VERSION").to_owned(),
            spec,
            real: teaching.name.to_owned(),
            generators: fakes.iter().map(|fakes| fakes.name.clone()).collect(),
            pictures: [&real.training, &real.calibration, &real.test].map(|part| part.len() / spec.n_bytes()),
            steps: teaching.steps,
            seed: teaching.seed,
            scale: taught.platt.scale,
            offset: taught.platt.offset,
            flagged_above: taught.threshold,
            threshold: taught.platt.probability(taught.threshold),
            false_positives: share_above(&taught.real, taught.threshold),
            calibration_error: calibration_error(&probable(&taught.scores(&together)?), &probable(&taught.real)),
            limits: limits(spec, &unseen, [&real.calibration, &real.test].map(|part| part.len() / spec.n_bytes())),
            told,
            unseen,
        };
        Ok(Self { classifier: taught.classifier, described })
    }

    /// What it is, what it is worth, and where that ends.
    pub fn description(&self) -> &Described {
        &self.described
    }

    /// What it says to pictures `[n, height, width, channels]` of its own shape.
    ///
    /// # Errors
    /// [`Error::Data`] if they are of another.
    pub fn suspicions(&self, pixels: &[u8]) -> Result<Vec<Suspicion>> {
        let Described { spec, scale, offset, flagged_above, .. } = self.described;
        let line = Platt { scale, offset };
        let of = |score: f64| {
            let probability = line.probability(score);
            let verdict = match probability {
                _ if score > flagged_above => Verdict::Generated,
                p if p > 0.5 => Verdict::Unsure,
                _ => Verdict::Unflagged,
            };
            Suspicion { probability, verdict }
        };
        Ok(scores(&self.classifier, &spec, pixels)?.into_iter().map(of).collect())
    }
}

/// A classifier with its line and its threshold, and what it says to the real pictures of the test.
struct Taught {
    spec: ImageSpec,
    classifier: Classifier,
    platt: Platt,
    /// Score above which pictures are flagged.
    threshold: f64,
    /// How well the calibration's pictures are told apart.
    auc: f64,
    real: Vec<f64>,
}

impl Taught {
    fn new(teaching: &Teaching<'_>, fakes: &[&Fakes], progress: &mut dyn FnMut(u64, u64)) -> Result<Self> {
        let Teaching { spec, real, .. } = *teaching;
        let n_bytes = spec.n_bytes();
        let n = real.training.len() / n_bytes;
        let pixels = [real.training.clone(), mixed(fakes, |parts| &parts.training, (n_bytes, n))].concat();
        let labels: Vec<u32> = (0..pixels.len() / n_bytes).map(|i| u32::from(i >= n)).collect();
        let lesson = Lesson { pictures: view(&spec, &pixels), labels: &labels, n_classes: 2 };
        let classifier = Classifier::learn(&lesson, practice(teaching.steps, teaching.seed), None, progress)?;
        let held = mixed(fakes, |parts| &parts.calibration, (n_bytes, real.calibration.len() / n_bytes));
        let (positives, negatives) = (scores(&classifier, &spec, &held)?, scores(&classifier, &spec, &real.calibration)?);
        let platt = Platt::fit(&positives, &negatives);
        let threshold = threshold(&negatives, FALSE_POSITIVES);
        let auc = auc(&positives, &negatives).value;
        let real = scores(&classifier, &spec, &real.test)?;
        Ok(Self { spec, classifier, platt, threshold, auc, real })
    }

    /// Where generated pictures get no higher scores than real ones, a line through them goes down or nowhere, and its probabilities would be the wrong way round.
    fn refuse_if_nothing_is_told(&self, teaching: &Teaching<'_>) -> Result<()> {
        if self.platt.scale > 0.0 && self.auc > 0.5 {
            return Ok(());
        }
        let problem =
            format!("generated pictures cannot be told from them after {} updates (AUC {:.3}, a coin has 0.5)", teaching.steps, self.auc);
        Err(Error::data(
            teaching.name,
            problem,
            "teach it longer (--steps), give more real pictures (--real), or accept that these samples are too good to be told",
        ))
    }

    fn scores(&self, pixels: &[u8]) -> Result<Vec<f64>> {
        scores(&self.classifier, &self.spec, pixels)
    }

    fn told(&self, generator: &str, pixels: &[u8]) -> Result<Told> {
        let found = self.scores(pixels)?;
        let area = auc(&found, &self.real);
        Ok(Told {
            generator: generator.to_owned(),
            auc: area.value,
            interval: area.interval(),
            at_one_percent: share_above(&found, threshold(&self.real, FALSE_POSITIVES)),
            flagged: share_above(&found, self.threshold),
        })
    }
}

fn practice(steps: u64, seed: u64) -> Practice {
    Practice { steps, change: Change::Shift, largest: LARGEST, seed }
}

fn view<'a>(spec: &ImageSpec, pixels: &'a [u8]) -> Pictures<'a> {
    Pictures { pixels, height: spec.height, width: spec.width, channels: spec.channels.count() }
}

/// By how much more the network takes pictures for generated than for real.
fn scores(classifier: &Classifier, spec: &ImageSpec, pixels: &[u8]) -> Result<Vec<f64>> {
    let logits = classifier.logits(&view(spec, pixels))?;
    Ok(logits.as_chunks::<2>().0.iter().map(|[real, fake]| f64::from(*fake) - f64::from(*real)).collect())
}

/// `n` pictures of all generators, as many of each as go.
fn mixed<'a>(fakes: &[&'a Fakes], part: impl Fn(&'a Parts) -> &'a Vec<u8>, (n_bytes, n): (usize, usize)) -> Vec<u8> {
    let of = |i: usize| {
        let pictures = part(&fakes[i % fakes.len()].parts);
        pictures.get(i / fakes.len() * n_bytes..(i / fakes.len() + 1) * n_bytes).unwrap_or_default().iter().copied()
    };
    if fakes.is_empty() { Vec::new() } else { DataOrder::new(0, "mixed", n.max(1)).batch(0, n).into_iter().flat_map(of).collect() }
}

/// What nobody should expect of it.
fn limits(spec: ImageSpec, unseen: &[Told], [n_calibration, n_test]: [usize; 2]) -> Vec<String> {
    let mut limits = vec![
        "It knows the generators and the kind of real pictures that it was taught by; of others it knows nothing.".to_owned(),
        format!(
            "It was taught pictures of {} x {} pixels as they are: resized, recompressed, cropped or retouched pictures were not tested, and hide what it looks for.",
            spec.width, spec.height
        ),
        "Its probabilities hold where half of the pictures are generated; where few are, most of what it flags may be real.".to_owned(),
        format!(
            "A verdict is evidence and no proof: {:.1} % of real pictures can be expected to be flagged, as {n_calibration} of them set the threshold, and whoever knows the detector can train a generator against it.",
            100.0 * expected_false_positives(n_calibration)
        ),
        format!("Its figures rest on {n_test} real pictures that it never saw, and as many generated ones."),
    ];
    match unseen.iter().min_by(|a, b| a.auc.total_cmp(&b.auc)) {
        Some(worst) => limits.insert(
            1,
            format!(
                "Of {}, when it was left out of the lesson, it found {:.0} % where 1 % of real pictures were flagged (AUC {:.3}).",
                worst.generator,
                100.0 * worst.at_one_percent,
                worst.auc
            ),
        ),
        None => limits.insert(1, "It was taught by a single generator, so that nothing is known of how it does on any other.".to_owned()),
    }
    limits
}

/// Share of fresh real pictures to be expected above a threshold that `n` others set. All `n + 1` are equally likely to lie anywhere in their order, so that it is more than
/// [`FALSE_POSITIVES`] where `n` is small.
fn expected_false_positives(n: usize) -> f64 {
    ((FALSE_POSITIVES * n as f64).floor() + 1.0) / (n as f64 + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Channels, Fit};
    use crate::random;

    const SPEC: ImageSpec = ImageSpec { width: 8, height: 8, channels: Channels::Grey, fit: Fit::Crop };

    /// Noise of so much contrast around a brightness.
    fn noise(n: usize, (brightness, contrast): (f32, f32), seed: u64) -> Vec<u8> {
        let values = random::uniform(n * 64, &mut random::stream(seed, "noise", 0));
        values.into_iter().map(|v| (brightness + (v - 0.5) * contrast) as u8).collect()
    }

    fn parts(n: usize, look: (f32, f32), seed: u64) -> Parts {
        let [training, calibration, test] = Parts::sizes(n).unwrap();
        let part = |n, i| noise(n, look, 10 * seed + i);
        Parts { training: part(training, 0), calibration: part(calibration, 1), test: part(test, 2) }
    }

    fn teach(fakes: &[Fakes]) -> Detector {
        let real = parts(400, (128.0, 60.0), 1);
        let teaching = Teaching { spec: SPEC, name: "noise", real: &real, fakes, steps: 60, seed: 0 };
        Detector::teach(&teaching, &mut |_, _| {}).unwrap()
    }

    #[test]
    fn plain_fakes_are_flagged_and_real_ones_are_not() {
        let fakes = [Fakes { name: "flat".into(), parts: parts(400, (128.0, 20.0), 2) }];
        let detector = teach(&fakes);
        let described = detector.description();
        assert_eq!((described.pictures, described.told.len(), described.unseen.len()), ([280, 60, 60], 1, 0));
        assert!(described.told[0].auc > 0.99 && described.told[0].at_one_percent > 0.9, "{described:?}");
        let flagged = |pixels: &[u8]| {
            let found = detector.suspicions(pixels).unwrap();
            found.iter().filter(|s| s.verdict == Verdict::Generated).count() as f64 / found.len() as f64
        };
        assert!(flagged(&noise(200, (128.0, 60.0), 90)) < 0.1 && flagged(&noise(200, (128.0, 20.0), 91)) > 0.8);
    }

    #[test]
    fn what_was_left_out_of_the_lesson_is_tested_too() {
        let fakes = [
            Fakes { name: "flat".into(), parts: parts(400, (128.0, 20.0), 2) },
            Fakes { name: "same".into(), parts: parts(400, (128.0, 60.0), 3) },
        ];
        let detector = teach(&fakes);
        let described = detector.description();
        let names = |told: &[Told]| told.iter().map(|t| t.generator.clone()).collect::<Vec<_>>();
        assert_eq!(names(&described.told), ["all together", "flat", "same"]);
        assert_eq!(names(&described.unseen), ["flat", "same"]);
        // What cannot be told apart is not.
        let same = &described.told[2];
        assert!(same.auc < 0.7 && same.interval[0] < same.auc && same.auc < same.interval[1], "{same:?}");
        assert!(described.limits[1].contains("left out of the lesson"), "{:?}", described.limits);
    }

    #[test]
    fn what_cannot_be_told_is_no_detector() {
        // The same pictures on both sides: every score of one kind is one of the other, and no line goes up.
        let real = parts(200, (128.0, 60.0), 1);
        let fakes = [Fakes { name: "copies".into(), parts: real.clone() }];
        let teaching = Teaching { spec: SPEC, name: "noise", real: &real, fakes: &fakes, steps: 5, seed: 0 };
        let refused = Detector::teach(&teaching, &mut |_, _| {});
        if let Err(error) = refused {
            assert!(error.to_string().contains("AUC 0.5") && error.to_string().contains("--steps"), "{error}");
        } else {
            panic!("copies were told from what they are copies of: {:?}", refused.unwrap().description());
        }
    }

    #[test]
    fn a_threshold_set_by_few_pictures_flags_more_than_one_in_a_hundred() {
        assert_eq!((expected_false_positives(30), expected_false_positives(99)), (1.0 / 31.0, 0.01));
        let fakes = [Fakes { name: "flat".into(), parts: parts(400, (128.0, 20.0), 2) }];
        let described = teach(&fakes).described;
        assert!(
            described.limits.iter().any(|limit| limit.contains("1.6 % of real pictures") && limit.contains("60 of them")),
            "{:?}",
            described.limits
        );
        assert!(described.scale > 0.0 && (0.0..=1.0).contains(&described.threshold));
    }

    #[test]
    fn few_pictures_are_refused() {
        assert_eq!(Parts::sizes(200).unwrap(), [140, 30, 30]);
        assert!(Parts::sizes(199).unwrap_err().to_string().contains("too few"));
    }
}
