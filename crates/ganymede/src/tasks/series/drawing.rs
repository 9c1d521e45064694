//! Series from a generator, while it trains or from a model folder.

use burn::tensor::{Device, Tensor, TensorData};

use super::codec::{Codec, Series, rows_of};
use super::collection::{Collection, starts};
use super::nets::SeriesGenerator;
use crate::artifact::Artifact;
use crate::error::{Error, Result};
use crate::nn::Generator;
use crate::table::{Table, to_csv};
use crate::train::latents::latent;
use crate::train::{SampleId, SampleRequest, Wish};

/// Numbers of noise that are held at once, about: of long series fewer are computed together.
const NOISE: usize = 1 << 21;
/// Series that are computed together at most.
const MOST: usize = 256;

/// Draws series.
pub struct Drawer<'a> {
    pub net: &'a SeriesGenerator,
    pub codec: &'a Codec,
    pub device: &'a Device,
}

impl Drawer<'_> {
    /// Series that are computed together, always exactly so many: a series does not depend on which others are drawn with it.
    fn chunk(&self) -> usize {
        (NOISE / self.net.latent_dim().max(1)).clamp(1, MOST)
    }

    /// Series as vectors `[n, plain]`.
    pub fn dense(&self, ids: &[SampleId], truncation: f64) -> Vec<f32> {
        let (dim, width, chunk) = (self.net.latent_dim(), self.codec.frame.plain(), self.chunk());
        let mut out = Vec::with_capacity(ids.len() * width);
        for ids in ids.chunks(chunk) {
            let mut noise = Vec::with_capacity(chunk * dim);
            for id in ids {
                let begin = noise.len();
                noise.extend(latent(*id, dim));
                noise[begin..begin + self.net.n_truncated()].iter_mut().for_each(|v| *v *= truncation as f32);
            }
            noise.resize(chunk * dim, 0.0);
            let noise = Tensor::from_data(TensorData::new(noise, [chunk, dim]), self.device);
            let drawn = self.net.plain(noise).into_data().convert::<f32>().try_to_vec::<f32>().expect("converted to f32");
            out.extend_from_slice(&drawn[..ids.len() * width]);
        }
        out
    }

    /// Series as codes and numbers.
    pub fn draw(&self, ids: &[SampleId], truncation: f64) -> Series {
        let frame = &self.codec.frame;
        let dense = self.dense(ids, truncation);
        let (once, mask, width) = (frame.attributes.width(), frame.mask(), frame.steps.width());
        let length = |series: &[f32]| match mask {
            0 => frame.n_steps,
            _ => series[once..once + mask].iter().filter(|v| **v > 0.5).count().max(1),
        };
        let lengths: Vec<usize> = dense.chunks_exact(frame.plain()).map(length).collect();
        let steps = dense
            .chunks_exact(frame.plain())
            .zip(&lengths)
            .flat_map(|(series, length)| series[once + mask..].chunks_exact(width).take(*length));
        let attributes = dense.chunks_exact(frame.plain()).map(|series| &series[..once]);
        Series { attributes: rows_of(&frame.attributes, attributes), steps: rows_of(&frame.steps, steps), first: starts(lengths) }
    }

    /// Series as they are in the data; see [`Codec::decode`].
    ///
    /// # Errors
    /// [`Error::Data`] if the codec is not that of the generator.
    pub fn collection(&self, ids: &[SampleId], numbers: Option<&[u64]>, truncation: f64) -> Result<Collection> {
        self.codec.decode(&self.draw(ids, truncation), ids, numbers)
    }

    /// The series at some places of a request as rows of one table.
    ///
    /// # Errors
    /// [`Error::Config`] if series are to be anything in particular.
    pub fn table(&self, request: &SampleRequest, places: std::ops::Range<usize>) -> Result<Table> {
        if request.wish != Wish::Any {
            return Err(Error::config(
                "sample",
                "a model of series cannot be asked for anything",
                "leave --label, --where and --prompt out",
            ));
        }
        let ids = &request.ids[places.clone()];
        // Series of several seeds would each be the first of theirs.
        let is_one_seed = request.ids.windows(2).all(|w| w[0].seed == w[1].seed);
        let numbers: Option<Vec<u64>> = (!is_one_seed).then(|| places.map(|place| place as u64).collect());
        Ok(self.codec.columns.rows(&self.collection(ids, numbers.as_deref(), request.truncation)?))
    }

    /// The requested series in one CSV file, or one file each.
    ///
    /// # Errors
    /// As [`Drawer::table`].
    pub fn files(&self, request: &SampleRequest) -> Result<Vec<Artifact>> {
        let csv = |table: &Table, stem: String| {
            let bytes = to_csv(table, &self.codec.columns.schema)?;
            Ok(Artifact { media_type: "text/csv", extension: "csv", stem, bytes })
        };
        if request.sheet {
            return Ok(vec![csv(&self.table(request, 0..request.ids.len())?, "samples".to_owned())?]);
        }
        self.table(request, 0..0)?;
        let all = self.collection(&request.ids, None, request.truncation)?;
        // A file of its own does not know of the others.
        request.ids.iter().enumerate().map(|(i, id)| csv(&self.codec.columns.rows(&all.take(&[i])), id.to_string())).collect()
    }
}
