//! Columns cut in at most 256 bins, as gradient boosting wants them.

use crate::table::frame::{MISSING, Table, Values};

/// Bins of the values of a column at most; one more is for missing ones.
const MOST: usize = 255;
/// Bins of all columns together at most, unless columns are so many that each would have fewer than [`FEWEST`]: each leaf of a tree has sums for all of them.
const MOST_OF_ALL: usize = 1 << 16;
/// Bins that a column may have in any case.
const FEWEST: usize = 15;

/// How each column is cut.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bins {
    columns: Vec<Cut>,
}

#[derive(Debug, Clone, PartialEq)]
enum Cut {
    /// Rising; a number belongs to the bin of the first edge that is not below it.
    Numbers { edges: Vec<f64> },
    /// Bin of each word; words that are rare, or were never met, share the last.
    Categories { bins: Vec<u8>, n: usize },
}

/// Rows of a table as bins, column by column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Binned {
    /// Bins of each column, each below `n_bins`; the last is for missing values.
    pub columns: Vec<Vec<u8>>,
    /// How many bins a column has, 2 to 256.
    pub n_bins: Vec<usize>,
    /// Whether the bins of a column have no order.
    pub is_category: Vec<bool>,
}

impl Bins {
    /// Cuts for the columns of a table: numbers in bins of about equally many rows, a value that fills one alone; words by frequency.
    pub fn fit(table: &Table) -> Self {
        let most = (MOST_OF_ALL / table.columns.len().max(1)).clamp(FEWEST, MOST);
        let cut = |values: &Values| match values {
            Values::Numbers(numbers) => Cut::Numbers { edges: edges(numbers, most) },
            Values::Categories { codes, words } => {
                let (bins, n) = word_bins(codes, words.len(), most);
                Cut::Categories { bins, n }
            }
        };
        Self { columns: table.columns.iter().map(|column| cut(&column.values)).collect() }
    }

    /// A table with the same columns and words in bins.
    pub fn apply(&self, table: &Table) -> Binned {
        let mut binned = Binned { columns: Vec::new(), n_bins: Vec::new(), is_category: Vec::new() };
        for (cut, column) in self.columns.iter().zip(&table.columns) {
            let (bins, n) = match (cut, &column.values) {
                (Cut::Numbers { edges }, Values::Numbers(numbers)) => {
                    let missing = edges.len() + 1;
                    let bin = |v: &f64| if v.is_nan() { missing } else { edges.partition_point(|edge| edge < v) } as u8;
                    (numbers.iter().map(bin).collect(), missing + 1)
                }
                (Cut::Categories { bins, n }, Values::Categories { codes, .. }) => {
                    let bin =
                        |code: &u32| if *code == MISSING { *n } else { bins.get(*code as usize).map_or(n - 1, |b| *b as usize) } as u8;
                    (codes.iter().map(bin).collect(), n + 1)
                }
                _ => unreachable!("columns are aligned"),
            };
            binned.columns.push(bins);
            binned.n_bins.push(n);
            binned.is_category.push(matches!(cut, Cut::Categories { .. }));
        }
        binned
    }
}

fn edges(numbers: &[f64], most: usize) -> Vec<f64> {
    let mut sorted: Vec<f64> = numbers.iter().copied().filter(|v| !v.is_nan()).map(|v| v + 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    let distinct: Vec<&[f64]> = sorted.chunk_by(|a, b| a == b).collect();
    let mut edges = Vec::new();
    let (mut rows_left, mut filled) = (sorted.len(), 0);
    for (i, pair) in distinct.windows(2).enumerate() {
        filled += pair[0].len();
        let (bins_left, values_left) = (most - edges.len(), distinct.len() - i);
        if bins_left == 1 {
            break;
        }
        if values_left <= bins_left || filled * bins_left >= rows_left {
            edges.push(pair[0][0] / 2.0 + pair[1][0] / 2.0);
            rows_left -= filled;
            filled = 0;
        }
    }
    edges
}

/// The bin of each code, and how many bins there are.
fn word_bins(codes: &[u32], n_words: usize, most: usize) -> (Vec<u8>, usize) {
    let mut counts = vec![0usize; n_words];
    codes.iter().filter(|code| **code != MISSING).for_each(|code| counts[*code as usize] += 1);
    let mut order: Vec<usize> = (0..n_words).filter(|word| counts[*word] > 0).collect();
    order.sort_by_key(|word| std::cmp::Reverse(counts[*word]));
    let own = order.len().min(most - 1);
    let mut bins = vec![own as u8; n_words];
    for (bin, word) in order.iter().take(own).enumerate() {
        bins[*word] = bin as u8;
    }
    (bins, own + 1)
}

#[cfg(test)]
mod tests {
    use super::super::align::tests::{categories, numbers};
    use super::*;

    #[test]
    fn few_values_get_a_bin_each_and_many_share_them_evenly() {
        let binned = |values: Vec<f64>| {
            let table = Table { columns: vec![numbers("n", values)] };
            Bins::fit(&table).apply(&table)
        };
        let few = binned(vec![3.0, f64::NAN, 1.0, 2.0, 3.0]);
        assert_eq!((few.columns[0].as_slice(), few.n_bins[0]), ([2, 3, 0, 1, 2].as_slice(), 4));
        // Half of the rows are zero: they fill one bin, and the others share the rest.
        let many = binned((0..20_000).map(|i| if i % 2 == 0 { 0.0 } else { f64::from(i) }).collect());
        assert_eq!(many.n_bins[0], 256);
        let mut counts = vec![0; 256];
        many.columns[0].iter().for_each(|bin| counts[usize::from(*bin)] += 1);
        assert_eq!((counts[0], counts[255]), (10_000, 0));
        assert!(counts[1..255].iter().all(|c| (30..=50).contains(c)), "{counts:?}");
    }

    #[test]
    fn columns_of_a_wide_table_have_few_bins() {
        let column = |i: usize| numbers(&i.to_string(), (0..100).map(f64::from).collect());
        let table = Table { columns: (0..5000).map(column).collect() };
        assert!(Bins::fit(&table).apply(&table).n_bins.iter().all(|n| *n == 16));
    }

    #[test]
    fn rare_and_unknown_words_share_a_bin() {
        let words: Vec<String> = (0..400).flat_map(|i| vec![format!("w{i}"); if i < 300 { 2 } else { 1 }]).collect();
        let table = Table { columns: vec![categories("c", &words.iter().map(String::as_str).collect::<Vec<_>>())] };
        let bins = Bins::fit(&table);
        assert_eq!(bins.apply(&table).n_bins, [256]);
        let mut other = table.clone();
        if let Values::Categories { codes, .. } = &mut other.columns[0].values {
            *codes = vec![MISSING, 500];
        }
        assert_eq!(bins.apply(&other).columns[0], [255, 254]);
    }
}
