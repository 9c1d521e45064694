//! Generators of several tables, opened from a model folder.

use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::codec::{Codec, Context, learned_schema};
use super::drawing::{Hand, Pen, refuse_wishes, written_schema};
use super::family::Family;
use super::game::Shape;
use crate::artifact::Artifact;
use crate::error::{Error, Result};
use crate::nn::Init;
use crate::random;
use crate::rowgame::{Calibration, Network, RowGenerator};
use crate::run::{ModelDescription, ModelFolder};
use crate::table::database::DatabaseSchema;
use crate::table::{Encoder, Layout, Rules, Table, TableWriter, WriteOptions};
use crate::train::stored::{GENERATOR, Stored};
use crate::train::{Model, SampleId, SampleRequest};

/// The part of `model.json` that is the task's own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    pub network: Network,
    pub schema: DatabaseSchema,
    pub family: Family,
    /// In the order of the schema.
    pub tables: Vec<DescribedTable>,
}

/// How one table's rows are encoded and adjusted.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DescribedTable {
    /// Nothing where a table has no columns of its own.
    pub encoder: Option<serde_json::Value>,
    pub calibration: Calibration,
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    pub rules: Rules,
}

/// The prefix of a table's weights.
pub(super) fn prefix(player: &str, table: usize) -> String {
    format!("{player}.{table}")
}

/// How all tables are learned: what follows from a schema, a family and codecs.
pub(super) struct Learned {
    pub schema: DatabaseSchema,
    pub family: Family,
    pub codecs: Vec<Codec>,
    pub contexts: Vec<Context>,
    pub shapes: Vec<Shape>,
    /// How the rows of each table lie by themselves.
    pub own: Vec<Layout>,
}

impl Learned {
    pub fn new(schema: DatabaseSchema, family: Family, codecs: Vec<Codec>) -> Self {
        let own: Vec<Layout> = codecs.iter().map(Codec::layout).collect();
        let contexts = Context::of_all(&schema, &family, &own);
        let shapes = contexts.iter().zip(&own).map(|(context, own)| Shape::new(&context.layout, own)).collect();
        Self { schema, family, codecs, contexts, shapes, own }
    }

    /// What draws rows with these networks and adjustments.
    pub fn pen<'a>(&'a self, nets: &'a [Option<RowGenerator>], calibrations: &'a [Calibration], device: &'a Device) -> Pen<'a> {
        let hand = |table: usize| Hand {
            codec: &self.codecs[table],
            shape: &self.shapes[table],
            net: nets[table].as_ref(),
            calibration: &calibrations[table],
        };
        Pen {
            schema: &self.schema,
            family: &self.family,
            contexts: &self.contexts,
            hands: (0..self.codecs.len()).map(hand).collect(),
            device,
        }
    }
}

/// Generators opened from a model folder.
pub(super) struct RelationsModel {
    description: ModelDescription,
    pub learned: Learned,
    nets: Vec<Option<RowGenerator>>,
    calibrations: Vec<Calibration>,
    device: Device,
    options: WriteOptions,
}

impl RelationsModel {
    pub(super) fn open(folder: &ModelFolder, device: &Device) -> Result<Self> {
        let mut stored = Stored::read(folder)?;
        let Described { network, schema, family, tables } = stored.described()?;
        network.validate().map_err(|e| stored.damaged(format!("model.json: {e}")))?;
        schema.check().map_err(|e| stored.damaged(format!("model.json: {e}")))?;
        family.check(&schema).map_err(|problem| stored.damaged(format!("model.json: {problem}")))?;
        if tables.len() != schema.tables.len() {
            return Err(stored.damaged("model.json: the tables and how they are encoded do not fit together"));
        }
        let (mut codecs, mut calibrations) = (Vec::new(), Vec::new());
        for (at, DescribedTable { encoder, calibration, rules }) in tables.into_iter().enumerate() {
            let encoder = encoder.map(|encoder| Encoder::from_json(&encoder.to_string())).transpose();
            let codec = Codec { encoder: encoder.map_err(|e| stored.damaged(format!("model.json: {e}")))?, rules };
            let (columns, n_counted) = (learned_schema(&schema, &family, at), family.counted(at).len());
            codec
                .check(&columns, n_counted, &schema.tables[at].name)
                .map_err(|problem| stored.damaged(format!("model.json: {problem}")))?;
            codecs.push(codec);
            calibrations.push(calibration);
        }
        let learned = Learned::new(schema, family, codecs);
        let games: Vec<&Shape> = learned.shapes.iter().filter(|shape| shape.is_learned()).collect();
        if games.is_empty() || learned.shapes.iter().zip(&calibrations).any(|(shape, own)| !own.fits(&shape.layout)) {
            return Err(stored.damaged("model.json: the columns and their adjustment do not fit together"));
        }
        stored.check_size(games.iter().map(|shape| network.n_products(&shape.layout).1).sum::<f64>() as u64)?;
        let mut nets = Vec::new();
        for (at, shape) in learned.shapes.iter().enumerate() {
            let mut rng = random::stream(0, "init", 0);
            let mut net = || -> Result<RowGenerator> {
                let fresh = RowGenerator::new(&network, &shape.layout, &mut Init { rng: &mut rng, device });
                stored.part(&fresh, &prefix(GENERATOR, at))
            };
            nets.push(if shape.is_learned() { Some(net()?) } else { None });
        }
        stored.finish()?;
        let (description, options) = (folder.description().clone(), WriteOptions::default());
        Ok(Self { description, learned, nets, calibrations, device: device.clone(), options })
    }

    fn pen(&self) -> Pen<'_> {
        self.learned.pen(&self.nets, &self.calibrations, &self.device)
    }

    /// The tables of some rows of the first one.
    pub(super) fn tables(&self, ids: &[SampleId]) -> Result<Vec<Table>> {
        Ok(self.pen().draw(ids, 1.0)?.tables)
    }
}

impl Model for RelationsModel {
    fn description(&self) -> &ModelDescription {
        &self.description
    }

    fn sample(&self, request: &SampleRequest) -> Result<Vec<Artifact>> {
        self.pen().files(request)
    }

    fn files(&self) -> Vec<String> {
        self.learned.schema.tables.iter().map(|table| table.written()).collect()
    }

    fn write_into(&self, request: &SampleRequest, folder: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<(String, usize)>> {
        refuse_wishes(request)?;
        let tables = self.pen().draw(&request.ids, request.truncation)?.tables;
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "create", e))?;
        let (mut writers, mut written) = (Vec::new(), Vec::new());
        for (at, table) in tables.iter().enumerate() {
            let schema = written_schema(&self.learned.schema, &self.learned.family, at);
            let name = self.learned.schema.tables[at].written();
            let mut writer = TableWriter::create(&folder.join(&name), &schema, &self.options)?;
            writer.push(table)?;
            writers.push(writer);
            written.push((name, table.n_rows()));
            progress(at as u64 + 1, tables.len() as u64);
        }
        // None is put in its place before all are complete, so that files of two drawings are not mixed.
        writers.into_iter().try_for_each(TableWriter::finish)?;
        Ok(written)
    }

    fn escape_formulas(&mut self, escaped: bool) {
        self.options.escape_formulas = escaped;
    }

    fn latent_dim(&self) -> usize {
        self.nets[self.learned.family.first].as_ref().map_or(0, RowGenerator::noise)
    }

    fn offers(&self) -> Vec<(String, String)> {
        let key = |key: &crate::table::database::ForeignKey| ("foreign key".to_owned(), format!("{key} refers to {}", key.refers_to));
        let tables = self.learned.schema.tables.iter().map(|table| ("rows of".to_owned(), table.name.clone()));
        tables.chain(self.learned.schema.foreign_keys.iter().map(key)).collect()
    }
}
