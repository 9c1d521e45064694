//! Drawing pictures from a generator, while it trains or from a model folder.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::codec::Codec;
use super::condition::{self, Asked, Condition};
use super::config::{ConditionChoice, DataConfig};
use super::evaluate::fit_of;
use super::nets::{AnyGenerator, Architecture, DcganGenerator, MlpGenerator, Network, Pooling, ResidualGenerator};
use super::project::{Found, Search, psnr};
use super::reuse::Reader;
use super::{attributed, load_as, say_skipped};
use crate::artifact::Artifact;
use crate::config::table_of;
use crate::data::{First, ImageIndex, ImageSpec, Provenance, Skipped, Source, moving, sheet, write_png};
use crate::error::{Error, Result};
use crate::latent::{Direction, directions};
use crate::nn::{Generator, Init};
use crate::random::{self, DataOrder};
use crate::run::{ModelDescription, ModelFolder};
use crate::train::latents::sample_latents;
use crate::train::stored::Stored;
use crate::train::{
    AttributeVectors, AttributesRequest, FeatureRows, LatentRequest, Layout, Model, ProjectRequest, Projection, SampleId, SampleRequest,
    Wish,
};

/// Samples are computed this many at a time, always exactly so many: a sample does not depend on which others are drawn with it.
pub const CHUNK: usize = 16;
/// Things that a picture is tried as, at most, where it is not said what it is.
const CANDIDATES: usize = 256;
/// Name of the text encoder's weights in a model folder.
pub const TEXT: &str = "text.tokens";

/// Cells of feature maps that are probed.
const GRID: Pooling = Pooling::Largest(4);

/// How a generator's output becomes files.
pub struct Drawing {
    /// Shape of the network.
    pub network: Network,
    /// Bytes to values and back.
    pub codec: Codec,
    /// What samples can be asked for.
    pub condition: Condition,
    /// What pictures say of the model that drew them; they say nothing without it.
    pub generator: Option<String>,
}

/// The part of `model.json` that is the task's own.
#[derive(Serialize, Deserialize)]
struct Described {
    network: Network,
    codec: Codec,
    #[serde(flatten)]
    condition: condition::Described,
}

/// The networks' shape and that of the pictures.
pub fn inherit(model: &ModelFolder) -> Result<Table> {
    let Described { network, codec, condition } = Stored::read(model)?.described()?;
    let mut data = Table::new();
    for (key, extent) in [("height", codec.height), ("width", codec.width)] {
        data.insert(key.into(), Value::Integer(extent as i64));
    }
    data.insert("channels".into(), Value::String(codec.channels.name().to_owned()));
    let choice = match condition {
        condition::Described { attributes: Some(_), .. } => ConditionChoice::Attributes,
        condition::Described { captions: Some(_), .. } => ConditionChoice::Caption,
        _ if model.description().classes.is_empty() => ConditionChoice::None,
        _ => ConditionChoice::Class,
    };
    data.insert("condition".into(), Value::try_from(choice).expect("a name"));
    Ok(Table::from_iter([("network".to_owned(), table_of(&network)?), ("data".to_owned(), Value::Table(data))]))
}

/// What a model can be asked for.
///
/// # Errors
/// [`Error::Run`] naming what does not fit.
pub fn condition_of(model: &ModelFolder) -> Result<Condition> {
    read_condition(&mut Stored::read(model)?, model.description()).map(|(condition, ..)| condition)
}

/// Whether a weight of that name multiplies the vector of a condition.
pub fn is_of_condition(name: &str) -> bool {
    name.split('.').any(|part| ["embedding", "auxiliary", "placed"].contains(&part))
}

/// The parts of a model beside its networks' weights; nothing of them is trusted.
fn read_condition(stored: &mut Stored<'_>, description: &ModelDescription) -> Result<(Condition, Network, Codec)> {
    let Described { network, codec, condition } = stored.described()?;
    let text = stored.take(TEXT);
    let condition = Condition::read(condition, &description.classes, text).map_err(|e| stored.damaged(format!("model.json: {e}")))?;
    Ok((condition, network, codec))
}

impl Drawing {
    /// For `model.json`.
    pub fn describe(&self) -> serde_json::Value {
        let described = Described { network: self.network.clone(), codec: self.codec, condition: self.condition.describe() };
        serde_json::to_value(described).expect("plain numbers and names are valid JSON")
    }

    /// Pixels `[n, height, width, channels]` of the requested samples, and what each was asked to be.
    pub fn draw<G: Generator<4>>(&self, generator: &G, request: &SampleRequest, device: &Device) -> Result<(Vec<u8>, Asked)> {
        let asked = self.condition.ask(&request.wish, &request.ids, request.sheet)?;
        let mut pixels = Vec::with_capacity(request.ids.len() * self.codec.n_bytes());
        for (ids, rows) in request.ids.chunks(CHUNK).zip(asked.rows.chunks(CHUNK)) {
            let latents = sample_latents(ids, CHUNK, generator.latent_dim(), request.truncation, device);
            let images = self.forward(generator, latents, rows, device);
            pixels.extend(&self.codec.decode(images)[..ids.len() * self.codec.n_bytes()]);
        }
        Ok((pixels, asked))
    }

    /// The requested samples, as one sheet or a file each.
    pub fn sample<G: Generator<4>>(&self, generator: &G, request: &SampleRequest, device: &Device) -> Result<Vec<Artifact>> {
        let (pixels, asked) = self.draw(generator, request, device)?;
        if request.sheet {
            return Ok(vec![self.sheet_file(&pixels, "samples")?]);
        }
        let pictures = pixels.chunks_exact(self.codec.n_bytes()).zip(&request.ids).zip(asked.words);
        pictures
            .map(|((picture, id), words)| {
                let Codec { width, height, .. } = self.codec;
                let text = self.said(format!("seed {}, index {}", id.seed, id.index), words);
                let bytes = self.png((picture, width, height), &text)?;
                Ok(Artifact { media_type: "image/png", extension: "png", stem: id.to_string(), bytes })
            })
            .collect()
    }

    /// What a generated picture says of itself.
    fn said(&self, sample: String, class: String) -> Vec<(&'static str, String)> {
        self.generator.as_ref().map_or_else(Vec::new, |generator| Provenance { generator: generator.clone(), sample, class }.text())
    }

    fn png(&self, (pixels, width, height): (&[u8], usize, usize), text: &[(&str, String)]) -> Result<Vec<u8>> {
        let text: Vec<(&str, &str)> = text.iter().map(|(key, value)| (*key, value.as_str())).collect();
        write_png(width, height, self.codec.channels, pixels, &text)
    }

    /// Pixels of what lies at points of the latent space, each asked to be what its row says.
    fn draw_at<G: Generator<4>>(&self, generator: &G, (latents, rows): (&[Vec<f32>], &[Vec<f32>]), device: &Device) -> Vec<u8> {
        let mut pixels = Vec::with_capacity(latents.len() * self.codec.n_bytes());
        for (chunk, rows) in latents.chunks(CHUNK).zip(rows.chunks(CHUNK)) {
            let mut values = chunk.concat();
            values.resize(CHUNK * generator.latent_dim(), 0.0);
            let points = Tensor::from_data(TensorData::new(values, [CHUNK, generator.latent_dim()]), device);
            let images = self.forward(generator, points, rows, device);
            pixels.extend(&self.codec.decode(images)[..chunk.len() * self.codec.n_bytes()]);
        }
        pixels
    }

    /// Images of [`CHUNK`] latents; those that are left over are asked for nothing.
    fn forward<G: Generator<4>>(&self, generator: &G, latents: Tensor<2>, rows: &[Vec<f32>], device: &Device) -> Tensor<4> {
        generator.forward(latents, conditions(rows, (CHUNK, self.condition.width()), device))
    }

    /// Pictures `[n, height, width, channels]` on one sheet; as many columns as there are classes, or about as many columns as rows.
    pub fn sheet_file(&self, pixels: &[u8], stem: &str) -> Result<Artifact> {
        let Codec { width, height, channels } = self.codec;
        let n = pixels.len() / self.codec.n_bytes().max(1);
        let n_classes = self.condition.classes().len();
        let columns = if (2..=16).contains(&n_classes) { n_classes } else { (n as f64).sqrt().ceil().max(1.0) as usize };
        let (pixels, w, h) = sheet(pixels, width, height, channels, columns);
        let text = if stem == "real" { Vec::new() } else { self.said(String::new(), String::new()) };
        let bytes = self.png((&pixels, w, h), &text)?;
        Ok(Artifact { media_type: "image/png", extension: "png", stem: stem.to_owned(), bytes })
    }

    /// `items` reordered so that classes follow each other in turn as far as they go round.
    pub fn in_turn(&self, items: &[usize], class: impl Fn(usize) -> usize) -> Vec<usize> {
        let mut by_class = vec![Vec::new(); self.condition.classes().len()];
        for &item in items.iter().rev() {
            by_class[class(item)].push(item);
        }
        let mut out = Vec::with_capacity(items.len());
        while out.len() < items.len() {
            out.extend(by_class.iter_mut().filter_map(Vec::pop));
        }
        out
    }
}

/// Vectors as a tensor `[n, width]`, those that are missing zero; nothing without a condition.
pub fn conditions(rows: &[Vec<f32>], (n, width): (usize, usize), device: &Device) -> Option<Tensor<2>> {
    let mut values = rows.concat();
    values.resize(n * width, 0.0);
    (width > 0).then(|| Tensor::from_data(TensorData::new(values, [n, width]), device))
}

/// What pictures say of the model that drew them.
fn name_of(description: &ModelDescription) -> String {
    let ModelDescription { data, step, seed, .. } = description;
    let fingerprint = data.fingerprint.get(..16).unwrap_or(&data.fingerprint);
    // Not the whole path: where somebody keeps files is nobody's business.
    let name = data.name.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or_default();
    format!("image model of {name} ({fingerprint}), step {step}, seed {seed}")
}

/// A generator opened from a model folder.
pub struct ImageModel {
    description: ModelDescription,
    folder: ModelFolder,
    drawing: Drawing,
    net: AnyGenerator,
    device: Device,
}

impl ImageModel {
    /// Rebuilds the network and loads its weights; nothing in the folder is trusted.
    ///
    /// # Errors
    /// [`Error::Run`] naming what does not fit.
    pub fn open(folder: &ModelFolder, device: &Device) -> Result<Self> {
        let mut stored = Stored::read(folder)?;
        let description = folder.description().clone();
        let (condition, network, codec) = read_condition(&mut stored, &description)?;
        network.validate().and_then(|()| codec.validate()).map_err(|e| stored.damaged(format!("model.json: {e}")))?;
        let drawing = Drawing { network, codec, condition, generator: Some(name_of(&description)) };
        let frame = drawing.codec.frame(drawing.condition.width());
        let network = &drawing.network;
        stored.check_size(network.least_weights(&frame))?;
        let mut rng = random::stream(0, "init", 0);
        let mut init = Init { rng: &mut rng, device };
        let net = match network.architecture {
            Architecture::Residual => AnyGenerator::Residual(stored.into_generator(&ResidualGenerator::new(network, frame, &mut init))?),
            Architecture::Dcgan if frame.doublings == 0 => return Err(stored.damaged("model.json: pictures too small for dcgan")),
            Architecture::Dcgan => AnyGenerator::Dcgan(stored.into_generator(&DcganGenerator::new(network, frame, &mut init))?),
            Architecture::Mlp => AnyGenerator::Mlp(stored.into_generator(&MlpGenerator::new(network, frame, &mut init))?),
        };
        Ok(Self { description, folder: folder.clone(), drawing, net, device: device.clone() })
    }
}

/// Pictures in a model's shape.
#[derive(Default)]
struct Read {
    names: Vec<String>,
    /// Their classes, where the data has them.
    labels: Vec<Option<String>>,
    pictures: Vec<Vec<u8>>,
}

fn index_of(source: &Source) -> Result<&ImageIndex> {
    match source {
        Source::Images(index) => Ok(index),
        _ => Err(Error::data(source.name(), "is not made of pictures", "give pictures")),
    }
}

impl ImageModel {
    /// As [`Drawing::draw`].
    ///
    /// # Errors
    /// As [`Drawing::draw`].
    pub fn draw(&self, request: &SampleRequest) -> Result<(Vec<u8>, Asked)> {
        self.drawing.draw(&self.net, request, &self.device)
    }

    /// Pixels of what lies at points of the latent space, each asked to be what its row says.
    pub fn draw_points(&self, latents: &[Vec<f32>], rows: &[Vec<f32>]) -> Vec<u8> {
        self.drawing.draw_at(&self.net, (latents, rows), &self.device)
    }

    /// What it can be asked for.
    pub fn condition(&self) -> &Condition {
        &self.drawing.condition
    }

    fn reader(&self) -> Result<Reader> {
        Reader::open(&self.folder, (&self.drawing.network, self.drawing.codec), self.drawing.condition.width(), &self.device)
    }

    /// The first pictures that can be read, at most `most`, brought to the model's shape as those that it learned from were. Those that cannot be read are left out, which is said.
    fn read(&self, index: &ImageIndex, most: usize) -> Result<Read> {
        let First { pictures, skipped } = index.first(&self.spec(&fit_of(&self.description)?), most)?;
        say_skipped(&index.name, &[index.skipped.as_slice(), &skipped].concat());
        if let (true, Some(Skipped { path, reason })) = (pictures.is_empty(), skipped.first()) {
            return Err(Error::data(path, reason.clone(), "give pictures that other programs can open: none of these can be read"));
        }
        let mut read = Read::default();
        for (entry, picture) in pictures {
            read.names.push(entry.path.display().to_string());
            read.labels.push(entry.label.and_then(|label| index.classes.get(label as usize)).cloned());
            read.pictures.push(picture);
        }
        Ok(read)
    }

    /// The shape of its pictures, and how others are brought to it.
    pub fn spec(&self, config: &DataConfig) -> ImageSpec {
        let Codec { width, height, channels } = self.drawing.codec;
        ImageSpec { width, height, channels, fit: config.fit }
    }
}

impl Model for ImageModel {
    fn description(&self) -> &ModelDescription {
        &self.description
    }

    fn sample(&self, request: &SampleRequest) -> Result<Vec<Artifact>> {
        self.drawing.sample(&self.net, request, &self.device)
    }

    fn pixels(&self, seed: u64, numbers: std::ops::Range<u64>) -> Result<(ImageSpec, Vec<u8>)> {
        let ids = numbers.map(|index| SampleId { seed, index }).collect();
        let (pixels, _) = self.draw(&SampleRequest { ids, wish: Wish::Any, truncation: 1.0, sheet: false })?;
        Ok((self.spec(&fit_of(&self.description)?), pixels))
    }

    fn mark(&mut self, marked: bool) {
        self.drawing.generator = marked.then(|| name_of(&self.description));
    }

    fn offers(&self) -> Vec<(String, String)> {
        self.drawing.condition.offers()
    }

    fn latent_dim(&self) -> usize {
        self.net.latent_dim()
    }

    fn draw_at(&self, request: &LatentRequest) -> Result<Vec<Artifact>> {
        let dim = self.latent_dim();
        if let Some(odd) = request.latents.iter().find(|latent| latent.len() != dim || latent.iter().any(|v| !v.is_finite())) {
            let problem = format!("a point of {} numbers is none of this model's latent space", odd.len());
            return Err(Error::config("--latent", problem, format!("give {dim} finite numbers")));
        }
        let asked = self.drawing.condition.ask(&request.wish, &[SampleId { seed: 0, index: 0 }], true)?;
        let pixels = self.draw_points(&request.latents, &vec![asked.rows[0].clone(); request.latents.len()]);
        let Codec { width, height, channels } = self.drawing.codec;
        let file = |(pixels, width, height): (&[u8], usize, usize), stem: String| -> Result<Artifact> {
            let bytes = self.drawing.png((pixels, width, height), &self.drawing.said(String::new(), asked.words[0].clone()))?;
            Ok(Artifact { media_type: "image/png", extension: "png", stem, bytes })
        };
        match request.layout {
            Layout::Files => {
                let pictures = pixels.chunks_exact(self.drawing.codec.n_bytes()).enumerate();
                pictures.map(|(i, picture)| file((picture, width, height), format!("latent-{i:05}"))).collect()
            }
            Layout::Sheet(columns) => {
                let (pixels, w, h) = sheet(&pixels, width, height, channels, columns);
                Ok(vec![file((&pixels, w, h), "samples".to_owned())?])
            }
            Layout::Moving { fps, gif } => Ok(vec![moving(&pixels, (width, height, channels), fps, gif)?]),
        }
    }

    fn directions(&self) -> Vec<Direction> {
        let weights = self.net.first_weights().into_data().convert::<f32>().try_to_vec::<f32>().expect("converted to f32");
        directions(&weights, self.latent_dim())
    }

    fn attribute_vectors(
        &self,
        source: &Source,
        request: &AttributesRequest<'_>,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<AttributeVectors> {
        let index = index_of(source)?;
        let data = load_as(index, &self.spec(&fit_of(&self.description)?), &mut |_, _| {})?;
        attributed::find(self, index, &data, request, progress)
    }

    fn score(&self, source: &Source, wish: &Wish) -> Result<Vec<(String, f64)>> {
        let candidates = self.drawing.condition.candidates(wish, CANDIDATES)?;
        let Read { names, pictures, .. } = self.read(index_of(source)?, usize::MAX)?;
        Ok(names.into_iter().zip(self.reader()?.logits(&pictures, &candidates.rows)).collect())
    }

    fn features(&self, source: &Source, stage: Option<usize>) -> Result<FeatureRows> {
        let Read { names, labels, pictures } = self.read(index_of(source)?, usize::MAX)?;
        let (values, dim) = self.reader()?.features(&pictures, stage, Pooling::Mean)?;
        Ok(FeatureRows { names, labels, values, dim })
    }

    fn views(&self, source: &Source, most: usize) -> Result<Vec<(&'static str, FeatureRows)>> {
        let index = index_of(source)?;
        let mut some = index.clone();
        let chosen = DataOrder::new(0, "views", index.entries.len().max(1)).batch(0, most.min(index.entries.len()));
        some.entries = chosen.into_iter().filter_map(|i| index.entries.get(i).cloned()).collect();
        let Read { names, labels, pictures } = self.read(&some, usize::MAX)?;
        let rows = |values: Vec<f32>, dim: usize| FeatureRows { names: names.clone(), labels: labels.clone(), values, dim };
        let reader = self.reader()?;
        let unlearned = reader.unlearned(&self.drawing.network);
        let (learned, dim) = reader.features(&pictures, None, GRID)?;
        let (random, _) = unlearned.features(&pictures, None, GRID)?;
        let pixels = pictures.concat().into_iter().map(|v| f32::from(v) / 127.5 - 1.0).collect();
        Ok(vec![
            ("the discriminator", rows(learned, dim)),
            ("the same network with random weights", rows(random, dim)),
            ("the pixels themselves", rows(pixels, self.drawing.codec.n_bytes())),
        ])
    }

    fn project(
        &self,
        source: &Source,
        request: &ProjectRequest<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Vec<Projection>, Artifact)> {
        let codec = self.drawing.codec;
        let Read { names, pictures, .. } = self.read(index_of(source)?, request.most)?;
        let candidates = self.drawing.condition.candidates(request.wish, CANDIDATES)?;
        let search = Search { net: &self.net, codec, candidates: &candidates.rows, device: &self.device };
        let found = search.find(&pictures, (request.steps, request.seed), progress);
        let mut shown = Vec::new();
        let mut projections = Vec::new();
        for ((name, picture), Found { latent, candidate }) in names.into_iter().zip(&pictures).zip(found) {
            let drawn = self.draw_points(std::slice::from_ref(&latent), &candidates.rows[candidate..=candidate]);
            let label = Some(candidates.words[candidate].clone()).filter(|words| !words.is_empty());
            projections.push(Projection { name, psnr: psnr(picture, &drawn), latent, label });
            shown.extend_from_slice(picture);
            shown.extend(drawn);
        }
        let (pixels, w, h) =
            sheet(&shown, codec.width, codec.height, codec.channels, 2 * (projections.len() as f64 / 2.0).sqrt().ceil() as usize);
        let bytes = self.drawing.png((&pixels, w, h), &self.drawing.said(String::new(), String::new()))?;
        Ok((projections, Artifact { media_type: "image/png", extension: "png", stem: "projections".to_owned(), bytes }))
    }
}
