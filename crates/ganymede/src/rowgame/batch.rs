//! What one update of a game on rows is played with.

use burn::tensor::{Device, Tensor, TensorData};

use crate::random;
use crate::table::{Layout, Rows};
use crate::train::Batch;

/// What of each row of a batch is given to the generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct Given {
    /// So many columns, the first ones, always.
    pub always: usize,
    /// The share of rows of which some others are, too.
    pub some: f64,
}

/// The real rows of an update, in packs of so many, and what of as many rows is given to the generator.
pub fn batch_of(rows: &Rows, layout: &Layout, (rule, pack): (Given, usize), rng: &mut rand_pcg::Pcg64, device: &Device) -> Batch<3> {
    let (width, columns, packs) = (layout.width(), layout.n_columns(), rows.n / pack);
    let dense = rows.dense(layout);
    let column_of = layout.columns();
    let mut given = Vec::with_capacity(rows.n * layout.condition());
    for row in dense.chunks_exact(width) {
        let draws = random::uniform(2 + columns, rng);
        let share = if f64::from(draws[0]) < rule.some { draws[1] } else { 0.0 };
        let is_given: Vec<bool> = draws[2..].iter().enumerate().map(|(column, draw)| column < rule.always || *draw < share).collect();
        given.extend(row.iter().zip(&column_of).map(|(v, column)| if is_given[*column] { *v } else { 0.0 }));
        given.extend(is_given.iter().map(|is| f32::from(u8::from(*is))));
    }
    let given = TensorData::new(given, [packs, pack * layout.condition()]);
    Batch {
        real: Tensor::from_data(TensorData::new(dense, [packs, pack, width]), device),
        condition: Some(Tensor::from_data(given, device)),
        distortions: None,
    }
}
