//! Encoded rows, row by row.

use super::layout::Layout;
use crate::table::{Block, BlockKind, Codes, Encoded, Encoder};

/// Rows as codes and numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// `[n, blocks of categories]`.
    pub codes: Vec<u32>,
    /// `[n, numbers]`.
    pub numbers: Vec<f32>,
    /// How many there are.
    pub n: usize,
}

/// How the blocks of an encoder lie in a row. Columns are counted among those that have blocks.
pub fn layout_of(encoder: &Encoder) -> (Layout, Vec<usize>) {
    let blocks = encoder.blocks();
    let mut columns: Vec<usize> = blocks.iter().map(|block| block.column).collect();
    columns.dedup();
    let place = |block: &Block| columns.iter().position(|column| *column == block.column).unwrap_or_default();
    let mut layout = Layout { categories: Vec::new(), numbers: Vec::new() };
    for block in &blocks {
        match block.kind {
            BlockKind::Softmax { width } => layout.categories.push((place(block), width)),
            BlockKind::Scalar => {
                let gate = block.other.map(|code| (layout.categories.len() - 1, code as usize));
                layout.numbers.push((place(block), gate));
            }
        }
    }
    (layout, columns)
}

impl Rows {
    /// From an encoder's blocks.
    pub fn of(encoded: &Encoded) -> Self {
        let n = encoded.n_rows;
        let softmax: Vec<&Vec<u32>> =
            encoded.blocks.iter().filter_map(|block| if let Codes::Softmax(codes) = block { Some(codes) } else { None }).collect();
        let scalars: Vec<&Vec<f32>> =
            encoded.blocks.iter().filter_map(|block| if let Codes::Scalar(values) = block { Some(values) } else { None }).collect();
        Self {
            codes: (0..n).flat_map(|row| softmax.iter().map(move |block| block[row])).collect(),
            numbers: (0..n).flat_map(|row| scalars.iter().map(move |block| block[row])).collect(),
            n,
        }
    }

    /// To an encoder's blocks; the rows have these numbers in the whole table.
    pub fn encoded(&self, encoder: &Encoder, numbers: Vec<u64>) -> Encoded {
        let blocks = encoder.blocks();
        let n_codes = blocks.iter().filter(|block| block.kind != BlockKind::Scalar).count();
        let n_numbers = blocks.len() - n_codes;
        let (mut code, mut number) = (0, 0);
        let one = |block: &Block| match block.kind {
            BlockKind::Softmax { .. } => {
                code += 1;
                Codes::Softmax((0..self.n).map(|row| self.codes[row * n_codes + code - 1]).collect())
            }
            BlockKind::Scalar => {
                number += 1;
                Codes::Scalar((0..self.n).map(|row| self.numbers[row * n_numbers + number - 1]).collect())
            }
        };
        Encoded { n_rows: self.n, numbers, blocks: blocks.iter().map(one).collect() }
    }

    /// Codes of a row.
    pub fn codes_of(&self, row: usize) -> &[u32] {
        let width = self.codes.len() / self.n.max(1);
        &self.codes[row * width..(row + 1) * width]
    }

    /// Numbers of a row.
    pub fn numbers_of(&self, row: usize) -> &[f32] {
        let width = self.numbers.len() / self.n.max(1);
        &self.numbers[row * width..(row + 1) * width]
    }

    /// Appends a row.
    pub fn push(&mut self, codes: &[u32], numbers: &[f32]) {
        self.codes.extend_from_slice(codes);
        self.numbers.extend_from_slice(numbers);
        self.n += 1;
    }

    /// Rows beside as many others, as [`Layout::beside`] has them.
    pub fn beside(&self, other: &Self) -> Self {
        let mut both = Self::default();
        for row in 0..self.n.min(other.n) {
            both.codes.extend_from_slice(self.codes_of(row));
            both.codes.extend_from_slice(other.codes_of(row));
            both.numbers.extend_from_slice(self.numbers_of(row));
            both.numbers.extend_from_slice(other.numbers_of(row));
            both.n += 1;
        }
        both
    }

    /// The rows at some places.
    pub fn take(&self, places: &[usize]) -> Self {
        let mut taken = Self::default();
        places.iter().for_each(|row| taken.push(self.codes_of(*row), self.numbers_of(*row)));
        taken
    }

    /// All rows as vectors `[n, width]`.
    pub fn dense(&self, layout: &Layout) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.n * layout.width());
        (0..self.n).for_each(|row| layout.write(self.codes_of(row), self.numbers_of(row), &mut out));
        out
    }
}
