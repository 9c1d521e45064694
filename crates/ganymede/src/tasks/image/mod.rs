//! Pictures: any size and aspect, grey, RGB or RGBA, unconditional or by class.

mod attributed;
mod augmenter;
mod codec;
mod condition;
mod config;
mod evaluate;
mod judge;
mod model;
mod modes;
pub mod nets;
mod obeyed;
mod project;
mod propose;
mod reuse;
mod symmetry;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use toml::Table;

pub use augmenter::Augment;
use augmenter::Augmenter;
use codec::Codec;
use condition::{Asked, Condition, Given};
pub use config::{ChannelChoice, ConditionChoice, DataConfig, ImageConfig};
use judge::{ImageJudge, gathered};
use model::{Drawing, ImageModel, TEXT, conditions};
use nets::{
    Architecture, DcganDiscriminator, DcganGenerator, Frame, MlpDiscriminator, MlpGenerator, ResidualDiscriminator, ResidualGenerator,
};

use crate::artifact::Artifact;
use crate::augment::Distortion;
use crate::config::resolve;
use crate::data::{ImageIndex, ImageSet, ImageSpec, Skipped, Source, sheet, write_png};
use crate::error::{Error, Result};
use crate::features::{Cache, Extractor, Kind};
use crate::judge::{Look, Panel, Signal, Split};
use crate::nn::{Discriminator, Generator, Init, save_params};
use crate::random::{self, DataOrder};
use crate::run::{DataDescription, ModelFolder, NamedTensors, TrainedGenerator};
use crate::train::stored::{DISCRIMINATOR, GENERATOR};
use crate::train::{Batch, Confidence, Preset, SampleId, SampleRequest, Setup, StepReport, Task, TaskEntry, Tuning, TwoPlayer, Wish};

/// The row of the table of tasks.
pub const ENTRY: TaskEntry = TaskEntry {
    name: "image",
    summary: "pictures of any size, grey, RGB or RGBA, with or without classes",
    presets: &[
        Preset {
            name: "tiny",
            summary: "residual networks of 0.2 M parameters for 16 to 32 pixels on a CPU",
            toml: include_str!("presets/tiny.toml"),
        },
        Preset {
            name: "small",
            summary: "residual networks of 3 M parameters for 32 to 64 pixels on a GPU",
            toml: include_str!("presets/small.toml"),
        },
        Preset {
            name: "base",
            summary: "residual networks as published for R3GAN, 23 M parameters, on a large GPU",
            toml: include_str!("presets/base.toml"),
        },
        Preset { name: "dcgan", summary: "the networks and settings of the DCGAN paper", toml: include_str!("presets/dcgan.toml") },
        Preset { name: "vanilla", summary: "fully connected networks, the original game", toml: include_str!("presets/vanilla.toml") },
    ],
    recognizes,
    propose: propose::propose,
    resolve: |layers| {
        let (config, table) = resolve::<ImageConfig>(layers)?;
        config.validate()?;
        Ok(table)
    },
    plan: |table| Ok(parse(table)?.plan),
    inherit: model::inherit,
    open,
    load_model: |folder, device| Ok(Box::new(ImageModel::open(folder, device)?)),
    evaluate: evaluate::evaluate,
};

fn recognizes(source: &Source) -> Option<Confidence> {
    let Source::Images(index) = source else { return None };
    let classes = if index.classes.is_empty() { String::new() } else { format!(" in {} classes", index.classes.len()) };
    let size = match index.uniform_size() {
        Some((w, h)) => format!("of {w} x {h} pixels"),
        None => {
            let (w, h) = index.typical_size();
            format!("of different sizes, typically {w} x {h} pixels")
        }
    };
    Some(Confidence { score: 1.0, reason: format!("{} {} pictures {size}{classes}", index.entries.len(), index.channels().name()) })
}

fn parse(table: &Table) -> Result<ImageConfig> {
    Ok(resolve::<ImageConfig>(std::slice::from_ref(table))?.0)
}

fn open(setup: &Setup<'_>) -> Result<Box<dyn Task>> {
    let Source::Images(index) = setup.source else {
        return Err(Error::data(setup.source.name(), "is not made of pictures", "choose another task; see `ganymede tasks`"));
    };
    let config = parse(setup.config)?;
    config.validate()?;
    config.data.features.check()?;
    let is_much = index.entries.len() >= MANY;
    let data = load(index, &config, &mut |done, of| {
        if is_much {
            (setup.progress)("decoding pictures", done as u64, of as u64);
        }
    })?;
    let codec = Codec { height: data.height, width: data.width, channels: data.channels };
    let split = Split::new(data.len(), config.plan.holdout);
    let chosen = (config.data.condition, config.data.attributes.as_slice());
    let (cache, fingerprint) = (setup.cache.map(Cache::new), judge::fingerprint(&data, &split));
    let known = cache.as_ref().map(|cache| (cache, fingerprint.as_str()));
    let progress = &mut |done, of| (setup.progress)("learning to read captions", done, of);
    let (condition, given) = Condition::learn(index, &data, chosen, &split.training, (known, progress))?;
    let frame = codec.frame(condition.width());
    let mut rng = random::stream(setup.seed, "init", 0);
    let mut init = Init { rng: &mut rng, device: &setup.device };
    let network = &config.network;
    let parts = Parts { index, data, split, codec, frame, condition, given, config: &config };
    match network.architecture {
        Architecture::Residual => {
            let g = ResidualGenerator::new(network, frame, &mut init);
            let d = ResidualDiscriminator::new(network, frame, &mut init);
            parts.assemble(g, d, setup)
        }
        Architecture::Dcgan => {
            if frame.doublings == 0 {
                let problem = format!("pictures of {} x {} are too small for strided convolutions", codec.width, codec.height);
                return Err(Error::config("network.architecture", problem, "use the preset tiny or vanilla"));
            }
            let g = DcganGenerator::new(network, frame, &mut init);
            let d = DcganDiscriminator::new(network, frame, &mut init);
            parts.assemble(g, d, setup)
        }
        Architecture::Mlp => {
            let g = MlpGenerator::new(network, frame, &mut init);
            let d = MlpDiscriminator::new(network, frame, &mut init);
            parts.assemble(g, d, setup)
        }
    }
}

/// Pictures from which on their decoding is shown.
const MANY: usize = 5000;

/// Decodes the data as configured. Height, width and channels left open take what [`propose`] would.
fn load(index: &ImageIndex, config: &ImageConfig, progress: &mut dyn FnMut(usize, usize)) -> Result<ImageSet> {
    let (height, width) = propose::size(index, &config.data);
    let channels = propose::channels(index, config.data.channels);
    load_as(index, &ImageSpec { width, height, channels, fit: config.data.fit }, progress)
}

/// Decodes the data to that shape, and says what was left out.
fn load_as(index: &ImageIndex, spec: &ImageSpec, progress: &mut dyn FnMut(usize, usize)) -> Result<ImageSet> {
    let data = index.load(spec, progress)?;
    say_skipped(&index.name, &data.skipped);
    Ok(data)
}

/// Says which pictures are left out, and why.
fn say_skipped(name: &str, skipped: &[Skipped]) {
    const NAMED: usize = 10;
    for skipped in skipped.iter().take(NAMED) {
        tracing::warn!("{name}: {} is left out: {}", skipped.path.display(), skipped.reason);
    }
    if skipped.len() > NAMED {
        tracing::warn!("{name}: {} more pictures are left out; `ganymede inspect` names them", skipped.len() - NAMED);
    }
}

/// What the task needs beside its networks.
struct Parts<'a> {
    index: &'a ImageIndex,
    data: ImageSet,
    split: Split,
    codec: Codec,
    frame: Frame,
    condition: Condition,
    given: Given,
    config: &'a ImageConfig,
}

impl Parts<'_> {
    fn assemble<G, D>(self, generator: G, discriminator: D, setup: &Setup<'_>) -> Result<Box<dyn Task>>
    where
        G: Generator<4> + 'static,
        D: Discriminator<4> + 'static,
    {
        let plan = &self.config.plan;
        let n = self.data.len();
        let fingerprint = self.condition.fingerprint(self.index, &self.data, &self.given);
        let game = TwoPlayer::new((generator, discriminator), self.config.game.clone(), plan.steps, setup.seed, setup.device.clone())?
            .with_auxiliary(self.condition.auxiliary());
        Ok(Box::new(ImageTask {
            game,
            order: DataOrder::new(setup.seed, "data-order", self.split.training.len()),
            split: self.split,
            judge: None,
            features: self.config.data.features.clone(),
            cache: setup.cache.map(Path::to_path_buf),
            drawing: Drawing {
                network: self.config.network.clone(),
                codec: self.codec,
                condition: self.condition,
                generator: Some(String::new()),
            },
            described: DataDescription { name: self.index.name.clone(), fingerprint, n_samples: n, license: self.index.license.clone() },
            data: self.data,
            given: self.given,
            frame: self.frame,
            augmenter: Augmenter::new(self.config.augment.clone(), &self.frame, setup.seed, plan.steps),
            step: 0,
            batch: plan.batch,
            mirror: self.config.data.mirror,
            seed: setup.seed,
            device: setup.device.clone(),
        }))
    }
}

/// Pictures of each kind that the discriminator is asked about.
const HEARD: usize = 256;

/// Pictures and the game about them.
struct ImageTask<G: Generator<4>, D: Discriminator<4>> {
    game: TwoPlayer<4, G, D>,
    data: ImageSet,
    /// What its pictures are.
    given: Given,
    /// What is learned from and what is not.
    split: Split,
    /// Order over the training pictures.
    order: DataOrder,
    judge: Option<ImageJudge>,
    features: Kind,
    cache: Option<PathBuf>,
    drawing: Drawing,
    described: DataDescription,
    frame: Frame,
    augmenter: Augmenter,
    /// The last step.
    step: u64,
    batch: usize,
    mirror: bool,
    seed: u64,
    device: Device,
}

/// The real batch of an update.
struct Feed<'a> {
    data: &'a ImageSet,
    given: &'a Given,
    drawing: &'a Drawing,
    frame: &'a Frame,
    augmenter: &'a Augmenter,
    mirror: bool,
    seed: u64,
    device: &'a Device,
}

impl Feed<'_> {
    fn batch(&self, indices: &[usize], (step, update): (u64, u64)) -> Batch<4> {
        let flips = if self.mirror {
            random::uniform(indices.len(), &mut random::stream(self.seed, "mirror", update))
        } else {
            vec![1.0; indices.len()]
        };
        let pictures: Vec<_> = indices.iter().map(|i| self.data.picture(*i)).collect();
        let turned = pictures.iter().zip(&flips).map(|(picture, flip)| (&**picture, *flip < 0.5));
        let real = self.drawing.codec.encode(turned, self.frame, self.device);
        let rows: Vec<Vec<f32>> = indices.iter().map(|&i| padded(self.given.row(i, update ^ self.seed), self.frame.condition)).collect();
        let condition = conditions(&rows, (indices.len(), self.frame.condition), self.device);
        Batch { real, condition, distortions: self.augmenter.draw((step, update), indices.len(), self.device) }
    }
}

/// A vector of that length; zeros for a picture of which nothing is known.
fn padded(mut row: Vec<f32>, width: usize) -> Vec<f32> {
    row.resize(width, 0.0);
    row
}

impl<G: Generator<4>, D: Discriminator<4>> Task for ImageTask<G, D> {
    fn step(&mut self, step: u64) -> Result<()> {
        self.step = step;
        let Self { game, data, given, split, order, drawing, frame, augmenter, batch, mirror, seed, device, .. } = self;
        let feed = Feed { data, given, drawing, frame, augmenter, mirror: *mirror, seed: *seed, device };
        game.step(step, &mut |step, update| {
            let indices: Vec<usize> = order.batch(update, *batch).into_iter().map(|i| split.training[i]).collect();
            feed.batch(&indices, (step, update))
        });
        data.pixels.check()?;
        self.adapt(step)
    }

    fn report(&mut self) -> Result<StepReport> {
        let mut report = self.game.report();
        let p = self.augmenter.p(self.step);
        if p > 0.0 || self.augmenter.is_adaptive() {
            report.extra.push(("augment_p", p));
        }
        Ok(report)
    }

    fn data(&self) -> &DataDescription {
        &self.described
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn sample(&self, request: &SampleRequest) -> Result<Vec<Artifact>> {
        self.drawing.sample(&self.game.generator.best(), request, &self.device)
    }

    fn snapshot(&self, seed: u64, n: usize) -> Result<Artifact> {
        let mut files = self.sample(&SampleRequest::sheet(seed, n))?;
        Ok(files.swap_remove(0))
    }

    fn real_sheet(&self, n: usize) -> Result<Artifact> {
        let training = &self.split.training;
        let order = DataOrder::new(0, "real-sheet", training.len()).batch(0, n.min(training.len()));
        let mut chosen: Vec<usize> = order.into_iter().map(|i| training[i]).collect();
        if !self.drawing.condition.classes().is_empty() {
            chosen = self.drawing.in_turn(&chosen, |i| self.data.labels[i] as usize);
        }
        self.drawing.sheet_file(&gathered(&self.data, &chosen), "real")
    }

    fn take_over(&mut self, model: &ModelFolder) -> Result<Vec<String>> {
        let same = self.drawing.condition.reads_as(&model::condition_of(model)?);
        // What was learned about the vectors of one text encoder says nothing about those of another.
        self.game.take_over_where(model, &|name| same || !model::is_of_condition(name))
    }

    fn augmented(&self, n: usize) -> Result<Artifact> {
        const SHOWN: usize = 7;
        let training = &self.split.training;
        let order = DataOrder::new(0, "real-sheet", training.len()).batch(0, n.clamp(1, training.len()));
        let Codec { width, height, channels } = self.drawing.codec;
        let mut pixels = Vec::new();
        for (row, i) in order.into_iter().enumerate() {
            let picture = self.data.picture(training[i]);
            let images = self.drawing.codec.encode(std::iter::repeat_n((&*picture, false), SHOWN), &self.frame, &self.device);
            let shown = self.augmenter.strongest(SHOWN, row as u64, &self.device).apply(images);
            pixels.extend_from_slice(&picture);
            pixels.extend(self.drawing.codec.decode(shown));
        }
        let (pixels, w, h) = sheet(&pixels, width, height, channels, 1 + SHOWN);
        let bytes = write_png(w, h, channels, &pixels, &[])?;
        Ok(Artifact { media_type: "image/png", extension: "png", stem: "augmented".to_owned(), bytes })
    }

    fn save_state(&self) -> Result<Vec<(String, NamedTensors)>> {
        Ok(self.game.save_state().into_iter().chain(self.augmenter.save()).chain(self.drawing.condition.save()).collect())
    }

    fn load_state(&mut self, mut players: Vec<(String, NamedTensors)>) -> Result<()> {
        let mut augmenter = self.augmenter.clone();
        augmenter.load(&mut players)?;
        let read = self.drawing.condition.loaded(&self.given, &mut players)?;
        self.game.load_state(players)?;
        self.augmenter = augmenter;
        if let Some(read) = read {
            (self.drawing.condition, self.given) = read;
            // The next batches may have been read as before.
            self.game.redraw();
        }
        Ok(())
    }

    fn model(&self) -> Result<TrainedGenerator> {
        let text = self.drawing.condition.text().map(|weights| (TEXT.to_owned(), weights));
        Ok(TrainedGenerator {
            weights: save_params(&self.game.generator.best(), GENERATOR).into_iter().chain(text).collect(),
            discriminator: save_params(&self.game.discriminator.best(), DISCRIMINATOR),
            generator: self.drawing.describe(),
            classes: self.drawing.condition.classes().to_vec(),
            metrics: serde_json::Map::new(),
        })
    }

    fn panel(&mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<Option<Arc<Panel>>> {
        if self.judge.is_none() && Panel::is_enough(self.split.training.len()) && Extractor::sees([self.data.height, self.data.width]) {
            let made = ImageJudge::new(&self.data, &self.split, (&self.features, usize::MAX), self.cache.as_deref(), progress);
            self.judge = Some(made?);
        }
        Ok(self.judge.as_ref().map(|judge| judge.panel.clone()))
    }

    fn look(&mut self, seed: u64) -> Result<Look> {
        let Some(judge) = &self.judge else {
            return Err(Error::config("plan.judge_every", "the data is too small to judge by", "set plan.judge_every to 0"));
        };
        let ids = (0..judge.panel.n() as u64).map(|index| SampleId { seed, index }).collect();
        let request = SampleRequest { ids, wish: Wish::Any, truncation: 1.0, sheet: false };
        let (pixels, asked) = self.drawing.draw(&self.game.generator.best(), &request, &self.device)?;
        let signal = self.signal((&pixels, &asked), 0, None);
        judge.look(&pixels, (!self.drawing.condition.classes().is_empty()).then_some(&asked.classes), signal)
    }

    fn tune(&mut self, tuning: Tuning) {
        self.augmenter.add(tuning.augment);
        self.game.tune(tuning);
    }

    fn augments(&self) -> bool {
        true
    }

    fn plan_steps(&mut self, steps: u64) {
        self.augmenter.plan_steps(steps);
        self.game.plan_steps(steps);
    }
}

impl<G: Generator<4>, D: Discriminator<4>> ImageTask<G, D> {
    /// What the discriminator says to pictures that are to be what these vectors say, as they are or as it is shown them in a step.
    fn mean_logit(&self, pictures: &[&[u8]], rows: &[Vec<f32>], shown: Option<(u64, &str)>) -> Option<f64> {
        let mut images = self.drawing.codec.encode(pictures.iter().map(|picture| (*picture, false)), &self.frame, &self.device);
        if let Some((step, purpose)) = shown {
            images = self.augmenter.distortion(step, pictures.len(), (purpose, step), &self.device).apply(images);
        }
        self.game.mean_logit(images, conditions(rows, (pictures.len(), self.frame.condition), &self.device))
    }

    /// The same of real pictures, at most [`HEARD`] of those at the given places, from the `first` on.
    fn real_logit(&self, places: &[usize], first: usize, shown: Option<(u64, &str)>) -> Option<f64> {
        let every = places.len().div_ceil(HEARD).max(1);
        let chosen: Vec<usize> = places.iter().skip(first % every).step_by(every).copied().collect();
        let rows: Vec<Vec<f32>> = chosen.iter().map(|i| padded(self.given.row(*i, 0), self.frame.condition)).collect();
        let pictures: Vec<_> = chosen.iter().map(|i| self.data.picture(*i)).collect();
        self.mean_logit(&pictures.iter().map(|picture| &**picture).collect::<Vec<_>>(), &rows, shown)
    }

    /// What the discriminator says to training, held-out and the given generated pictures.
    fn signal(&self, (generated, asked): (&[u8], &Asked), first: usize, shown: Option<u64>) -> Option<Signal> {
        if self.split.held_out.is_empty() {
            return None;
        }
        let as_shown = |purpose| shown.map(|step| (step, purpose));
        let own: Vec<&[u8]> = generated.chunks_exact(self.drawing.codec.n_bytes()).take(HEARD).collect();
        Some(Signal {
            training: self.real_logit(&self.split.training, first, as_shown("signal-training"))?,
            held_out: self.real_logit(&self.split.held_out, first, as_shown("signal-held-out"))?,
            generated: self.mean_logit(&own, &asked.rows[..own.len()], as_shown("signal-generated"))?,
        })
    }

    /// Every few steps, takes an adaptive augmentation nearer to what the discriminator's overfitting asks for.
    fn adapt(&mut self, step: u64) -> Result<()> {
        if !self.augmenter.is_adaptive() || !(step + 1).is_multiple_of(Augmenter::EVERY) {
            return Ok(());
        }
        let ids = (0..HEARD as u64).map(|index| SampleId { seed: step, index }).collect();
        let request = SampleRequest { ids, wish: Wish::Any, truncation: 1.0, sheet: false };
        let (pixels, asked) = self.drawing.draw(&self.game.generator.net().valid(), &request, &self.device)?;
        if let Some(signal) = self.signal((&pixels, &asked), (step / Augmenter::EVERY) as usize, Some(step)) {
            self.augmenter.adapt(step, &signal, Augmenter::EVERY * self.batch as u64);
            // The next batches were distorted with the probability of before.
            self.game.redraw();
        }
        Ok(())
    }
}
