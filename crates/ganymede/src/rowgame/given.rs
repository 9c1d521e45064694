//! Which rows an update looks at, and what of each the generator is given.
//!
//! People ask for one or two columns far more often than for seven, and for what is rare as often as for what is common. So half of the rows of which something is given are drawn for one or two columns: a block of
//! categories is chosen, one of its codes by the logarithm of how often it occurs (the training by sampling of CTGAN: Xu et al., NeurIPS 2019, section 4.3), and a row that has it. Given that code the rest of the row
//! is distributed as it is in the data, so that nothing is distorted. Of the other half any number of columns is given, for cells that are to be filled in.

use rand_pcg::Pcg64;

use crate::random;
use crate::table::{Layout, Rows};

/// Rows that are remembered for each code at most: of more, some at even distances.
const REMEMBERED: usize = 1 << 14;
/// Share of the conditions that are one or two columns.
const FEW: f32 = 0.5;

/// Draws conditions for training rows.
pub struct Givens {
    blocks: Vec<Block>,
    n_columns: usize,
}

/// A block of categories.
struct Block {
    column: usize,
    /// Rising share of each code in what is drawn.
    shares: Vec<f64>,
    /// Rows that have it.
    rows: Vec<Vec<u32>>,
}

/// One row of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Its place among all rows.
    pub row: usize,
    /// For each column, whether it is given.
    pub columns: Vec<bool>,
}

impl Givens {
    /// Of the rows at `training`.
    pub fn of(rows: &Rows, layout: &Layout, training: &[usize]) -> Self {
        let block = |(i, (column, n)): (usize, &(usize, usize))| {
            let mut counts = vec![0usize; *n];
            training.iter().for_each(|row| counts[rows.codes_of(*row)[i] as usize] += 1);
            let mut seen = vec![0usize; *n];
            let mut kept: Vec<Vec<u32>> = vec![Vec::new(); *n];
            for row in training {
                let code = rows.codes_of(*row)[i] as usize;
                if seen[code].is_multiple_of(counts[code].div_ceil(REMEMBERED)) {
                    kept[code].push(*row as u32);
                }
                seen[code] += 1;
            }
            let weights: Vec<f64> = counts.iter().map(|count| (*count as f64).ln_1p()).collect();
            let total: f64 = weights.iter().sum();
            let mut share = 0.0;
            let shares = weights.iter().map(|weight| {
                share += weight / total;
                share
            });
            Block { column: *column, shares: shares.collect(), rows: kept }
        };
        Self { blocks: layout.categories.iter().enumerate().map(block).collect(), n_columns: layout.n_columns() }
    }

    /// What becomes of the row at a place: something is given of a share `conditions` of rows.
    pub fn draw(&self, row: usize, conditions: f64, rng: &mut Pcg64) -> Given {
        let draws = random::uniform(4 + self.n_columns, rng);
        let [is_any, is_few, share, code] = [draws[0], draws[1], draws[2], draws[3]];
        let mut given = Given { row, columns: vec![false; self.n_columns] };
        if f64::from(is_any) >= conditions {
            return given;
        }
        if is_few >= FEW || self.blocks.is_empty() {
            given.columns.iter_mut().zip(&draws[4..]).for_each(|(is, draw)| *is = *draw < share);
            return given;
        }
        let Block { column, shares, rows } = &self.blocks[random::below(self.blocks.len() as u64, rng) as usize];
        let own = shares.iter().zip(rows).find(|(share, rows)| f64::from(code) < **share && !rows.is_empty());
        if let Some((_, rows)) = own {
            given.row = rows[random::below(rows.len() as u64, rng) as usize] as usize;
        }
        given.columns[*column] = true;
        if share < 0.5 {
            given.columns[random::below(self.n_columns as u64, rng) as usize] = true;
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rare_is_asked_for_often_and_rows_have_what_is_given() {
        let layout = Layout { categories: vec![(0, 3)], numbers: vec![(1, None)] };
        let codes: Vec<u32> = (0..1000).map(|i| if i % 100 == 0 { 2 } else { u32::from(i % 100 > 90) }).collect();
        let rows = Rows { numbers: vec![0.0; 1000], n: 1000, codes };
        let training: Vec<usize> = (0..900).collect();
        let givens = Givens::of(&rows, &layout, &training);
        let mut rng = random::stream(0, "given", 0);
        let drawn: Vec<Given> = (0..20_000).map(|i| givens.draw(i % 900, 0.5, &mut rng)).collect();
        let share = |of: &dyn Fn(&Given) -> bool| drawn.iter().filter(|g| of(g)).count() as f64 / drawn.len() as f64;
        assert!(drawn.iter().all(|g| g.row < 900));
        // Half of them have no condition; of a quarter none, one or two columns are given as it comes, which here is nothing in a third of the cases.
        assert!((share(&|g| g.columns == [false, false]) - (0.5 + 0.25 / 3.0)).abs() < 0.02);
        let moved: Vec<&Given> = drawn.iter().enumerate().filter(|(i, g)| g.row != i % 900).map(|(_, g)| g).collect();
        assert!(moved.iter().all(|g| g.columns[0]));
        // 9, 81 and 810 rows: ln 10, ln 82, ln 811.
        let of = |code: u32| moved.iter().filter(|g| rows.codes[g.row] == code).count() as f64 / moved.len() as f64;
        let total = 10f64.ln() + 82f64.ln() + 811f64.ln();
        for (code, count) in [(2, 10f64), (1, 82.0), (0, 811.0)] {
            assert!((of(code) - count.ln() / total).abs() < 0.02, "{code}: {}", of(code));
        }
    }

    #[test]
    fn a_common_code_remembers_some_of_its_rows_only() {
        let n = 3 * REMEMBERED + 5;
        let layout = Layout { categories: vec![(0, 2)], numbers: Vec::new() };
        let rows = Rows { codes: vec![1; n], numbers: Vec::new(), n };
        let givens = Givens::of(&rows, &layout, &(0..n).collect::<Vec<_>>());
        assert_eq!(givens.blocks[0].rows[0].len(), 0);
        assert!((REMEMBERED / 2..=REMEMBERED).contains(&givens.blocks[0].rows[1].len()));
    }
}
