//! How an encoded row lies in a vector.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// Places of a row's blocks: first those of all categories, one after the other, then all numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Of each block of categories: its column among those that are modelled, and how many codes there are.
    pub categories: Vec<(usize, usize)>,
    /// Of each number: its column, and the code (block, code) under which it means something; always where there is none.
    pub numbers: Vec<(usize, Option<(usize, usize)>)>,
}

impl Layout {
    /// Numbers of a row.
    pub fn width(&self) -> usize {
        self.n_codes() + self.numbers.len()
    }

    /// Codes of all blocks together.
    pub fn n_codes(&self) -> usize {
        self.categories.iter().map(|(_, n)| n).sum()
    }

    /// Columns that are modelled.
    pub fn n_columns(&self) -> usize {
        self.categories
            .iter()
            .map(|(column, _)| column)
            .chain(self.numbers.iter().map(|(column, _)| column))
            .max()
            .map_or(0, |last| last + 1)
    }

    /// Numbers of a condition: what is given of a row, and which columns are.
    pub fn condition(&self) -> usize {
        self.width() + self.n_columns()
    }

    /// The layout of rows that stand beside each other, in this order.
    pub fn beside(&self, other: &Self) -> Self {
        let (columns, blocks) = (self.n_columns(), self.categories.len());
        let mut both = self.clone();
        both.categories.extend(other.categories.iter().map(|(column, n)| (column + columns, *n)));
        both.numbers
            .extend(other.numbers.iter().map(|(column, gate)| (column + columns, gate.map(|(block, code)| (block + blocks, code)))));
        both
    }

    /// Where each block of categories begins.
    pub fn first(&self) -> Vec<usize> {
        let begin = |at: &mut usize, n: usize| {
            *at += n;
            Some(*at - n)
        };
        self.categories.iter().map(|(_, n)| *n).scan(0, begin).collect()
    }

    /// The column of each place of a row.
    pub fn columns(&self) -> Vec<usize> {
        let categories = self.categories.iter().flat_map(|(column, n)| std::iter::repeat_n(*column, *n));
        categories.chain(self.numbers.iter().map(|(column, _)| *column)).collect()
    }

    /// Appends a row: a one at each block's code, and the numbers.
    pub fn write(&self, codes: &[u32], numbers: &[f32], out: &mut Vec<f32>) {
        let begin = out.len();
        out.resize(begin + self.n_codes(), 0.0);
        let mut first = begin;
        for ((_, n), code) in self.categories.iter().zip(codes) {
            out[first + *code as usize] = 1.0;
            first += n;
        }
        out.extend_from_slice(numbers);
    }

    /// `[codes, blocks]`: a one where a code belongs to a block.
    pub(crate) fn blocks(&self, device: &Device) -> Tensor<2> {
        let n = self.categories.len();
        let mut values = Vec::with_capacity(self.n_codes() * n);
        for (block, (_, codes)) in self.categories.iter().enumerate() {
            (0..*codes).for_each(|_| values.extend((0..n).map(|other| f32::from(u8::from(other == block)))));
        }
        Tensor::from_data(TensorData::new(values, [self.n_codes(), n]), device)
    }

    /// `[codes, numbers]`: a one where a number means something under a code; and `[1, numbers]`: a one where it always does.
    pub(crate) fn gates(&self, device: &Device) -> (Tensor<2>, Tensor<2>) {
        let (n, first) = (self.numbers.len(), self.first());
        let (mut gates, mut always) = (vec![0.0f32; self.n_codes() * n], vec![0.0f32; n]);
        for (i, (_, gate)) in self.numbers.iter().enumerate() {
            match gate {
                Some((block, code)) => gates[(first[*block] + code) * n + i] = 1.0,
                None => always[i] = 1.0,
            }
        }
        (Tensor::from_data(TensorData::new(gates, [self.n_codes(), n]), device), Tensor::from_data(TensorData::new(always, [1, n]), device))
    }

    /// `[columns, places]`: a one where a place belongs to a column.
    pub(crate) fn spread(&self, device: &Device) -> Tensor<2> {
        let columns = self.columns();
        let values = (0..self.n_columns()).flat_map(|c| columns.iter().map(move |own| f32::from(u8::from(*own == c)))).collect::<Vec<_>>();
        Tensor::from_data(TensorData::new(values, [self.n_columns(), columns.len()]), device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_lie_where_the_layout_says() {
        let layout = Layout { categories: vec![(0, 2), (2, 3)], numbers: vec![(1, None), (2, Some((1, 2)))] };
        assert_eq!((layout.width(), layout.n_columns(), layout.condition()), (7, 3, 10));
        assert_eq!((layout.first(), layout.columns()), (vec![0, 2], vec![0, 0, 2, 2, 2, 1, 2]));
        let mut row = Vec::new();
        layout.write(&[1, 2], &[0.5, -1.0], &mut row);
        assert_eq!(row, [0.0, 1.0, 0.0, 0.0, 1.0, 0.5, -1.0]);
        let both = Layout { categories: vec![(0, 2)], numbers: Vec::new() }.beside(&layout);
        assert_eq!(both, Layout { categories: vec![(0, 2), (1, 2), (3, 3)], numbers: vec![(2, None), (3, Some((2, 2)))] });
        let (gates, always) = layout.gates(&Device::flex());
        let values = |tensor: Tensor<2>| tensor.into_data().convert::<f32>().try_to_vec::<f32>().unwrap();
        assert_eq!((values(gates)[4 * 2 + 1], values(always)), (1.0, vec![1.0, 0.0]));
    }
}
