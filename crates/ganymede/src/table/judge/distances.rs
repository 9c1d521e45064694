//! Distances between rows of numbers and words.

use rayon::prelude::*;

use crate::table::frame::{Table, Values};

/// Rows that a row is compared with at a time: their sums and one of their columns fit in the first cache.
const TILE: usize = 512;
/// Stands for a missing number: further than 1 from any other, equal to itself.
const MISSING_NUMBER: f32 = 1e6;
/// Scaled numbers are kept within this, either way.
const FAR: f64 = 1e3;

/// The distance of Gower, "A General Coefficient of Similarity and Some of Its Properties", Biometrics 1971: the mean over columns of `|x - y|` over the range of the column, at most 1,
/// for numbers, and of 0 for equal and 1 for different words. A missing value is 0 from another one and 1 from everything else. In [0, 1].
#[derive(Debug, Clone)]
pub(super) struct Space {
    /// Half of the smallest number, and of the range, of each column; nothing for words.
    scales: Vec<Option<(f64, f64)>>,
}

/// Rows in a [`Space`], column by column.
#[derive(Debug, Clone)]
pub(super) struct Points {
    columns: Vec<Coordinates>,
    n: usize,
}

#[derive(Debug, Clone)]
enum Coordinates {
    /// In units of the range, to about 1e-7 of it.
    Numbers(Vec<f32>),
    Codes(Vec<u32>),
}

/// How near the nearest rows are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Closest {
    /// Distance of the nearest row.
    pub first: f64,
    /// Distance of the one after it; infinite if there is no other.
    pub second: f64,
    /// Position of the nearest row, the first of equals.
    pub at: usize,
}

impl Space {
    /// With the ranges of a table.
    pub fn new(table: &Table) -> Self {
        let scale = |values: &Values| match values {
            Values::Numbers(numbers) => {
                let known = numbers.iter().copied().filter(|v| !v.is_nan());
                let (low, high) = known.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
                // Halves, because the range of the largest numbers is none.
                Some(if low < high { (low / 2.0, high / 2.0 - low / 2.0) } else { (if low.is_finite() { low / 2.0 } else { 0.0 }, 0.0) })
            }
            Values::Categories { .. } => None,
        };
        Self { scales: table.columns.iter().map(|column| scale(&column.values)).collect() }
    }

    /// The rows at the given positions of a table with the same columns and words.
    pub fn points(&self, table: &Table, rows: &[usize]) -> Points {
        let column = |(values, scale): (&Values, &Option<(f64, f64)>)| match (values, scale) {
            (Values::Numbers(numbers), Some((low, range))) => {
                // A column without range has the distances 0 and 1.
                let scaled = |v: f64| match v / 2.0 - low {
                    step if *range > 0.0 => step / range,
                    0.0 => 0.0,
                    step => step.signum(),
                };
                let coordinate = |i: &usize| match numbers[*i] {
                    v if v.is_nan() => MISSING_NUMBER,
                    v => scaled(v).clamp(-FAR, FAR) as f32,
                };
                Coordinates::Numbers(rows.iter().map(coordinate).collect())
            }
            (Values::Categories { codes, .. }, None) => Coordinates::Codes(rows.iter().map(|i| codes[*i]).collect()),
            _ => unreachable!("columns are aligned"),
        };
        Points { columns: table.columns.iter().map(|c| &c.values).zip(&self.scales).map(column).collect(), n: rows.len() }
    }
}

impl Points {
    /// Some of them.
    pub fn part(&self, span: std::ops::Range<usize>) -> Self {
        let column = |column: &Coordinates| match column {
            Coordinates::Numbers(numbers) => Coordinates::Numbers(numbers[span.clone()].to_vec()),
            Coordinates::Codes(codes) => Coordinates::Codes(codes[span.clone()].to_vec()),
        };
        Self { columns: self.columns.iter().map(column).collect(), n: span.len() }
    }

    /// For each row the nearest of `others`, of which there is at least one. Every distance is computed, in single precision: 10,000 rows against 13,000 of 15 columns take
    /// about 2e9 steps of a vector unit, and no memory beyond a tile for each thread.
    pub fn closest(&self, others: &Points) -> Vec<Closest> {
        let n_columns = self.columns.len().max(1) as f64;
        let one = |sums: &mut [f32; TILE], i: usize| {
            let (mut first, mut second, mut at) = (f32::INFINITY, f32::INFINITY, 0);
            for start in (0..others.n).step_by(TILE) {
                let tile = start..others.n.min(start + TILE);
                let sums = &mut sums[..tile.len()];
                self.add_distances(i, others, tile, sums);
                if sums.iter().fold(f32::INFINITY, |least, v| if *v < least { *v } else { least }) >= second {
                    continue;
                }
                for (j, sum) in sums.iter().enumerate() {
                    if *sum < first {
                        (first, second, at) = (*sum, first, start + j);
                    } else if *sum < second {
                        second = *sum;
                    }
                }
            }
            Closest { first: f64::from(first) / n_columns, second: f64::from(second) / n_columns, at }
        };
        (0..self.n).into_par_iter().with_min_len(16).map_init(|| [0.0; TILE], one).collect()
    }

    /// Sums over columns of the distances between one row and a tile of others.
    fn add_distances(&self, i: usize, others: &Points, tile: std::ops::Range<usize>, sums: &mut [f32]) {
        sums.fill(0.0);
        for (own, other) in self.columns.iter().zip(&others.columns) {
            match (own, other) {
                (Coordinates::Numbers(own), Coordinates::Numbers(other)) => {
                    let x = own[i];
                    for (sum, y) in sums.iter_mut().zip(&other[tile.clone()]) {
                        let distance = (x - y).abs();
                        *sum += if distance < 1.0 { distance } else { 1.0 };
                    }
                }
                (Coordinates::Codes(own), Coordinates::Codes(other)) => {
                    let x = own[i];
                    for (sum, y) in sums.iter_mut().zip(&other[tile.clone()]) {
                        *sum += if x == *y { 0.0 } else { 1.0 };
                    }
                }
                _ => unreachable!("columns are aligned"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::align::tests::{categories, numbers};
    use super::super::n_rows;
    use super::super::panel::tests::people;
    use super::*;
    use crate::table::frame::Column;

    fn points(space: &Space, table: &Table) -> Points {
        space.points(table, &(0..n_rows(table)).collect::<Vec<_>>())
    }

    #[test]
    fn distances_of_numbers_words_and_missing_values() {
        let real = Table { columns: vec![numbers("n", vec![0.0, 10.0, f64::NAN]), categories("c", &["a", "b", ""])] };
        let space = Space::new(&real);
        let of = |n: f64, c: &str| {
            // Codes of the real table: its words are "a" and "b".
            let code = ["a", "b"].iter().position(|w| *w == c).map_or(crate::table::frame::MISSING, |at| at as u32);
            let words = Values::Categories { codes: vec![code], words: Vec::new() };
            points(&space, &Table { columns: vec![numbers("n", vec![n]), Column { name: "c".into(), values: words }] })
        };
        let distance = |a: (f64, &str), b: (f64, &str)| of(a.0, a.1).closest(&of(b.0, b.1))[0].first;
        assert_eq!(distance((0.0, "a"), (0.0, "a")), 0.0);
        assert_eq!(distance((0.0, "a"), (5.0, "a")), 0.25);
        assert_eq!(distance((0.0, "a"), (5.0, "b")), 0.75);
        assert_eq!(distance((0.0, "a"), (900.0, "a")), 0.5);
        assert_eq!(distance((f64::NAN, ""), (f64::NAN, "")), 0.0);
        assert_eq!(distance((f64::NAN, "a"), (3.0, "")), 1.0);
        let constant = Table { columns: vec![numbers("n", vec![4.0, 4.0])] };
        let space = Space::new(&constant);
        let of = |v: f64| points(&space, &Table { columns: vec![numbers("n", vec![v])] });
        assert_eq!((of(4.0).closest(&of(4.0))[0].first, of(4.0).closest(&of(4.5))[0].first), (0.0, 1.0));
    }

    #[test]
    fn the_nearest_rows_are_those_of_a_plain_search() {
        let (a, b) = (people(60, 1), people(1300, 2));
        let space = Space::new(&b);
        let (a, b) = (points(&space, &a), points(&space, &b));
        for (i, found) in a.closest(&b).iter().enumerate() {
            let row = a.part(i..i + 1);
            let mut plain: Vec<(f64, usize)> = (0..b.n).map(|j| (row.closest(&b.part(j..j + 1))[0].first, j)).collect();
            plain.sort_by(|x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)));
            assert_eq!((found.first, found.at, found.second), (plain[0].0, plain[0].1, plain[1].0));
        }
    }
}
