//! The floor: a table without structure.

use super::align::{chosen, n_rows};
use crate::random::DataOrder;
use crate::table::frame::Table;

/// Every column shuffled by itself: each keeps its values exactly, and no two go together any more. What a figure says to this table is what it says to a generator that has learned
/// nothing but single columns.
pub fn independent(table: &Table, seed: u64) -> Table {
    let n = n_rows(table);
    let column = |col_idx: usize| {
        // A pass of its own for each column.
        let order = if n == 0 { Vec::new() } else { DataOrder::new(seed, "independent-columns", n).batch(col_idx as u64, n) };
        chosen(&Table { columns: vec![table.columns[col_idx].clone()] }, &order).columns
    };
    Table { columns: (0..table.columns.len()).flat_map(column).collect() }
}

#[cfg(test)]
mod tests {
    use super::super::align::tests::numbers;
    use super::super::quality;
    use super::*;
    use crate::table::frame::Values;

    #[test]
    fn columns_keep_their_values_and_lose_each_other() {
        let line: Vec<f64> = (0..500).map(f64::from).collect();
        let table = Table { columns: vec![numbers("a", line.clone()), numbers("b", line.clone())] };
        let shuffled = independent(&table, 1);
        assert_eq!(shuffled, independent(&table, 1));
        assert_ne!(shuffled, independent(&table, 2));
        for column in &shuffled.columns {
            let Values::Numbers(own) = &column.values else { panic!("numbers stay numbers") };
            let mut sorted = own.clone();
            sorted.sort_by(f64::total_cmp);
            assert!(sorted == line && *own != line);
        }
        let own = quality(&table, &shuffled).unwrap();
        assert_eq!(own.shapes, Some(1.0));
        assert!((own.trends.unwrap() - 0.5).abs() < 0.1);
        assert_eq!(independent(&Table::default(), 0), Table::default());
    }
}
