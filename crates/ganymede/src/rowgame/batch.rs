//! What one update of a game on rows is played with.

use burn::tensor::{Device, Tensor, TensorData};

use super::given::Given;
use crate::table::{Layout, Rows};
use crate::train::Batch;

/// The real rows of an update, and what of as many rows is given to the generator.
pub fn batch_of(rows: &Rows, givens: &[Given], (layout, pack): (&Layout, usize), device: &Device) -> Batch<3> {
    let (width, packs) = (layout.width(), givens.len() / pack);
    let places: Vec<usize> = givens.iter().map(|given| given.row).collect();
    let dense = rows.take(&places).dense(layout);
    let column_of = layout.columns();
    let mut given = Vec::with_capacity(givens.len() * layout.condition());
    for (row, Given { columns, .. }) in dense.chunks_exact(width).zip(givens) {
        given.extend(row.iter().zip(&column_of).map(|(v, column)| if columns[*column] { *v } else { 0.0 }));
        given.extend(columns.iter().map(|is| f32::from(u8::from(*is))));
    }
    let given = TensorData::new(given, [packs, pack * layout.condition()]);
    Batch {
        real: Tensor::from_data(TensorData::new(dense, [packs, pack, width]), device),
        condition: Some(Tensor::from_data(given, device)),
        distortions: None,
    }
}
