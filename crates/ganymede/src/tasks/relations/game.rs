//! The game about the rows of one table, which are learned knowing the rows that they refer to.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use crate::error::Result;
use crate::nn::Init;
use crate::random::{self, DataOrder};
use crate::rowgame::{Calibration, Drawer, Given, Known, Network, PackDiscriminator, RowGenerator, batch_of};
use crate::table::{Layout, Rows};
use crate::train::{Game, TwoPlayer};

/// Rows that single columns are adjusted by, at most.
const CALIBRATED: usize = 20_000;
/// Rows of each kind that a discriminator is asked about.
const HEARD: usize = 1024;
/// Of tables with fewer rows a batch is a part of them.
const MANY: usize = 2048;

/// How rows of a table lie beside what is known of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// What is known, then a row's own columns.
    pub layout: Arc<Layout>,
    /// Columns that are known.
    pub n_known: usize,
}

impl Shape {
    /// Of what is known, and a row's own columns.
    pub fn new(known: &Layout, own: &Layout) -> Self {
        Self { layout: Arc::new(known.beside(own)), n_known: known.n_columns() }
    }

    /// Whether there is anything to learn.
    pub fn is_learned(&self) -> bool {
        self.layout.n_columns() > self.n_known
    }
}

/// A table's game.
pub struct TableGame {
    pub players: TwoPlayer<3, RowGenerator, PackDiscriminator>,
    pub shape: Shape,
    /// All rows beside what is known of them.
    rows: Arc<Rows>,
    training: Vec<usize>,
    /// Order over the training rows.
    order: DataOrder,
    batch: usize,
    pack: usize,
    device: Device,
}

/// What a table's game is played by.
pub struct Rules<'a> {
    pub network: &'a Network,
    pub game: &'a Game,
    pub steps: u64,
    /// Rows of a batch at most.
    pub batch: usize,
    pub seed: u64,
    pub device: &'a Device,
}

/// Rows of a batch of a table with so many training rows.
pub fn batch_size(n: usize, most: usize, pack: usize) -> usize {
    let own = if n < MANY { most.min((n / 4).clamp(8, 512)) } else { most };
    (own / pack * pack).max(pack)
}

impl TableGame {
    /// Fresh players about rows as [`Shape`] has them. Each table has a seed of its own.
    ///
    /// # Errors
    /// As [`TwoPlayer::new`].
    pub fn new(rules: &Rules<'_>, shape: &Shape, rows: Arc<Rows>, training: &[usize]) -> Result<Self> {
        let mut rng = random::stream(rules.seed, "init", 0);
        let mut init = Init { rng: &mut rng, device: rules.device };
        let players =
            (RowGenerator::new(rules.network, &shape.layout, &mut init), PackDiscriminator::new(rules.network, &shape.layout, &mut init));
        Ok(Self {
            players: TwoPlayer::new(players, rules.game.clone(), rules.steps, rules.seed, rules.device.clone())?,
            shape: shape.clone(),
            rows,
            training: training.to_vec(),
            order: DataOrder::new(rules.seed, "data-order", training.len()),
            batch: batch_size(training.len(), rules.batch, rules.network.pack),
            pack: rules.network.pack,
            device: rules.device.clone(),
        })
    }

    /// Rows of a batch.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// One round.
    pub fn step(&mut self, step: u64) {
        let Self { players, shape, rows, training, order, batch, pack, device, .. } = self;
        players.step(step, &mut |_, update| {
            let columns: Vec<bool> = (0..shape.layout.n_columns()).map(|column| column < shape.n_known).collect();
            let places = order.batch(update, *batch).into_iter().map(|i| training[i]);
            let given: Vec<Given> = places.map(|row| Given { row, columns: columns.clone() }).collect();
            batch_of(rows, &given, (&shape.layout, *pack), device)
        });
    }

    /// At most so many training rows, evenly from all.
    fn some(&self, most: usize) -> Rows {
        let chosen: Vec<usize> = self.training.iter().copied().step_by(self.training.len().div_ceil(most).max(1)).collect();
        self.rows.take(&chosen)
    }

    /// What brings a row's own columns to these frequencies (of all codes of a row, those that are known included), where it goes on from what is known of training rows. Found on `n` rows at most.
    pub fn calibration(&self, net: &RowGenerator, shares: &[f64], n: usize) -> Calibration {
        let n = (20 * self.training.len()).clamp(1000, CALIBRATED).min(n);
        let rows = self.some(n);
        let plain = Calibration::default();
        let drawer = Drawer { net, layout: &self.shape.layout, calibration: &plain, device: &self.device, attempt: 0, sweeps: 0 };
        let known = (self.shape.n_known > 0).then_some(Known { rows: &rows, n_columns: self.shape.n_known });
        drawer.calibrated(shares, (0, n), known)
    }

    /// What the discriminator says to rows as [`Shape`] has them.
    pub fn mean_logit(&self, rows: &Rows) -> Option<f64> {
        let chosen: Vec<usize> = (0..rows.n).step_by(rows.n.div_ceil(HEARD).max(1)).collect();
        let packs = chosen.len() / self.pack;
        if packs == 0 {
            return None;
        }
        let (width, columns) = (self.shape.layout.width(), self.shape.layout.n_columns());
        let mut dense = rows.take(&chosen[..packs * self.pack]).dense(&self.shape.layout);
        dense.truncate(packs * self.pack * width);
        let x = Tensor::from_data(TensorData::new(dense.clone(), [packs, self.pack, width]), &self.device);
        // It is told what was given, as in training.
        let column_of = self.shape.layout.columns();
        let mut told = Vec::with_capacity(packs * self.pack * self.shape.layout.condition());
        for row in dense.chunks_exact(width) {
            told.extend(row.iter().zip(&column_of).map(|(v, column)| if *column < self.shape.n_known { *v } else { 0.0 }));
            told.extend((0..columns).map(|column| f32::from(u8::from(column < self.shape.n_known))));
        }
        let told = Tensor::from_data(TensorData::new(told, [packs, self.pack * self.shape.layout.condition()]), &self.device);
        self.players.mean_logit(x, Some(told))
    }

    /// What the discriminator says to some of the real rows.
    pub fn mean_logit_of(&self, places: &[usize]) -> Option<f64> {
        let chosen: Vec<usize> = places.iter().copied().step_by(places.len().div_ceil(HEARD).max(1)).collect();
        self.mean_logit(&self.rows.take(&chosen))
    }
}
