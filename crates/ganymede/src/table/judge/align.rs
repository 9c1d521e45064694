//! Tables that can be compared column by column.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::table::frame::{Column, MISSING, Table, Values};

/// How many rows a table has; 0 without columns.
pub fn n_rows(table: &Table) -> usize {
    table.columns.first().map_or(0, |column| len(&column.values))
}

/// How many values a column has.
pub(super) fn len(values: &Values) -> usize {
    match values {
        Values::Numbers(numbers) => numbers.len(),
        Values::Categories { codes, .. } => codes.len(),
    }
}

/// The tables with the columns of the first one but for `left_out`, in its order, and with one list of words for each column: equal codes are equal words in all of them. Each
/// table is named for errors ("training rows").
///
/// # Errors
/// [`Error::Data`] if a column is not in all tables, holds numbers in one and words in another, is not as long as its neighbours, holds a number that is infinite or a code that has
/// no word, or if no row or no column is left; [`Error::Config`] if `left_out` names a column that is not there.
pub fn aligned(tables: &[(&str, &Table)], left_out: &[String]) -> Result<Vec<Table>> {
    let Some((_, first)) = tables.first() else { return Ok(Vec::new()) };
    for name in left_out {
        if !first.columns.iter().any(|column| column.name == *name) {
            return Err(Error::config("left_out", format!("there is no column `{name}`"), "name columns of the table"));
        }
    }
    let names: Vec<&str> = first.columns.iter().map(|c| c.name.as_str()).filter(|name| !left_out.iter().any(|o| o == name)).collect();
    let mut found: Vec<HashMap<&str, &Column>> = Vec::with_capacity(tables.len());
    for (what, table) in tables {
        found.push(table.columns.iter().map(|column| (column.name.as_str(), column)).collect());
        let n = n_rows(table);
        if n == 0 || names.is_empty() {
            return Err(Error::data(what, "there is nothing to judge", "give at least one row and one column"));
        }
        table.columns.iter().try_for_each(|column| checked(what, column, n))?;
    }
    let mut result = vec![Table::default(); tables.len()];
    for name in names {
        let mut words = Words::default();
        let mut first_is_number = None;
        for (((what, _), columns), aligned) in tables.iter().zip(&found).zip(&mut result) {
            let Some(column) = columns.get(name) else {
                return Err(Error::data(what, format!("column `{name}` is missing"), "give tables with the same columns"));
            };
            let is_number = matches!(column.values, Values::Numbers(_));
            if *first_is_number.get_or_insert(is_number) != is_number {
                let problem = format!("column `{name}` holds numbers in one table and words in another");
                return Err(Error::data(what, problem, "read both tables by the same schema"));
            }
            aligned.columns.push(Column { name: name.to_owned(), values: words.values(&column.values) });
        }
        // Every table gets the words of all.
        for aligned in &mut result {
            if let Some(Column { values: Values::Categories { words: own, .. }, .. }) = aligned.columns.last_mut() {
                own.clone_from(&words.list);
            }
        }
    }
    Ok(result)
}

/// The rows at the given positions, in their order.
///
/// # Panics
/// If there is no such row.
pub fn chosen(table: &Table, rows: &[usize]) -> Table {
    let column = |column: &Column| {
        let values = match &column.values {
            Values::Numbers(numbers) => Values::Numbers(rows.iter().map(|i| numbers[*i]).collect()),
            Values::Categories { codes, words } => {
                Values::Categories { codes: rows.iter().map(|i| codes[*i]).collect(), words: words.clone() }
            }
        };
        Column { name: column.name.clone(), values }
    };
    Table { columns: table.columns.iter().map(column).collect() }
}

/// The rows of tables with the same columns and words one after the other.
pub(super) fn stacked(tables: &[&Table]) -> Table {
    let Some(first) = tables.first() else { return Table::default() };
    let column = |(col_idx, column): (usize, &Column)| {
        let mut values = column.values.clone();
        for table in &tables[1..] {
            match (&mut values, &table.columns[col_idx].values) {
                (Values::Numbers(all), Values::Numbers(more)) => all.extend(more),
                (Values::Categories { codes: all, .. }, Values::Categories { codes: more, .. }) => all.extend(more),
                _ => unreachable!("columns are aligned"),
            }
        }
        Column { name: column.name.clone(), values }
    };
    Table { columns: first.columns.iter().enumerate().map(column).collect() }
}

/// Words of a column over all tables, in the order in which they are met.
#[derive(Default)]
struct Words {
    codes: HashMap<String, u32>,
    list: Vec<String>,
}

impl Words {
    fn values(&mut self, values: &Values) -> Values {
        match values {
            Values::Numbers(numbers) => Values::Numbers(numbers.clone()),
            Values::Categories { codes, words } => {
                let own: Vec<u32> = words.iter().map(|word| self.code(word)).collect();
                let code = |code: &u32| if *code == MISSING { MISSING } else { own[*code as usize] };
                Values::Categories { codes: codes.iter().map(code).collect(), words: Vec::new() }
            }
        }
    }

    fn code(&mut self, word: &str) -> u32 {
        if let Some(code) = self.codes.get(word) {
            return *code;
        }
        let code = self.list.len() as u32;
        self.codes.insert(word.to_owned(), code);
        self.list.push(word.to_owned());
        code
    }
}

fn checked(what: &str, column: &Column, n: usize) -> Result<()> {
    let name = &column.name;
    if len(&column.values) != n {
        let problem = format!("column `{name}` has {} values where the first has {n}", len(&column.values));
        return Err(Error::data(what, problem, "give columns of one length"));
    }
    let wrong = match &column.values {
        Values::Numbers(numbers) => numbers.iter().position(|v| v.is_infinite()),
        Values::Categories { codes, words } => codes.iter().position(|code| *code != MISSING && *code as usize >= words.len()),
    };
    match wrong {
        Some(row_idx) => {
            let problem = format!("row {} of column `{name}` holds no value that can be compared", row_idx + 1);
            Err(Error::data(what, problem, "read the table again"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A column of numbers.
    pub fn numbers(name: &str, values: Vec<f64>) -> Column {
        Column { name: name.to_owned(), values: Values::Numbers(values) }
    }

    /// A column of words, an empty one where missing.
    pub fn categories(name: &str, values: &[&str]) -> Column {
        let mut words: Vec<String> = values.iter().filter(|v| !v.is_empty()).map(|v| (*v).to_owned()).collect();
        words.sort();
        words.dedup();
        let code = |v: &&str| words.iter().position(|w| w == v).map_or(MISSING, |at| at as u32);
        let codes = values.iter().map(code).collect();
        Column { name: name.to_owned(), values: Values::Categories { codes, words } }
    }

    #[test]
    fn equal_words_get_equal_codes_whatever_their_order_was() {
        let a = Table { columns: vec![numbers("n", vec![1.0, f64::NAN]), categories("c", &["x", "y"])] };
        let b = Table { columns: vec![categories("c", &["w", "y", ""]), numbers("n", vec![3.0, 4.0, 5.0])] };
        let both = aligned(&[("a", &a), ("b", &b)], &[]).unwrap();
        let codes = |table: &Table| match &table.columns[1].values {
            Values::Categories { codes, words } => (codes.clone(), words.clone()),
            Values::Numbers(_) => panic!("the order of columns is that of the first table"),
        };
        let words: Vec<String> = ["x", "y", "w"].map(String::from).to_vec();
        assert_eq!(codes(&both[0]), (vec![0, 1], words.clone()));
        assert_eq!(codes(&both[1]), (vec![2, 1, MISSING], words));
        let stack = stacked(&[&both[0], &both[1]]);
        assert_eq!(n_rows(&stack), 5);
        assert_eq!(chosen(&stack, &[0, 1]), both[0]);
    }

    #[test]
    fn tables_that_cannot_be_compared_are_refused() {
        let a = Table { columns: vec![numbers("n", vec![1.0]), categories("c", &["x"])] };
        let refused = |b: Table, words: &str| {
            let error = aligned(&[("training rows", &a), ("synthetic rows", &b)], &[]).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        refused(Table { columns: vec![numbers("n", vec![1.0])] }, "column `c` is missing");
        refused(Table { columns: vec![numbers("n", vec![1.0]), numbers("c", vec![1.0])] }, "numbers in one table");
        refused(Table { columns: vec![numbers("n", vec![1.0, 2.0]), categories("c", &["x"])] }, "has 1 values where the first has 2");
        refused(Table { columns: vec![numbers("n", vec![f64::INFINITY]), categories("c", &["x"])] }, "row 1 of column `n`");
        refused(Table::default(), "nothing to judge");
        let code = Values::Categories { codes: vec![7], words: vec!["x".into()] };
        refused(Table { columns: vec![numbers("n", vec![1.0]), Column { name: "c".into(), values: code }] }, "row 1 of column `c`");
        assert!(aligned(&[("a", &a)], &["z".into()]).unwrap_err().to_string().contains("no column `z`"));
        assert_eq!(aligned(&[("a", &a)], &["c".into()]).unwrap()[0].columns.len(), 1);
    }
}
