//! Which rows satisfy the constraints of a schema.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::cell::CellWriter;
use super::constraint::Constraint;
use super::formula::Formula;
use super::frame::{Column, Table, Values};
use super::schema::{ColumnSchema, Schema};
use crate::error::{Error, Result};

/// The constraints of a schema, with what fixed combinations need to know of the training table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    constraint: Constraint,
    /// Schemas of its columns.
    columns: Vec<ColumnSchema>,
    /// Of fixed combinations: the texts that occur together.
    combinations: Vec<Vec<String>>,
}

impl Rules {
    /// The constraints of `schema`. Fixed combinations are those that at least `least_rows` rows of `table` hold: 1 to check a table, [`super::Encoder::least_rows`] for a model that must not hold a single row.
    ///
    /// # Errors
    /// [`Error::Config`] if a constraint is wrong; [`Error::Data`] if the table lacks one of its columns.
    pub fn fit(schema: &Schema, table: &Table, least_rows: usize) -> Result<Self> {
        schema.check()?;
        table.check()?;
        let fit = |constraint: &Constraint| {
            let columns: Vec<ColumnSchema> = constraint.columns().iter().filter_map(|name| schema.column(name)).cloned().collect();
            let mut rule = Rule { constraint: constraint.clone(), columns, combinations: Vec::new() };
            if let Constraint::FixedCombinations { .. } = constraint {
                let mut counts: HashMap<Vec<String>, usize> = HashMap::new();
                rule.combinations_of(table)?.into_iter().flatten().for_each(|texts| *counts.entry(texts).or_default() += 1);
                rule.combinations = counts.into_iter().filter(|(_, n)| *n >= least_rows.max(1)).map(|(texts, _)| texts).collect();
                rule.combinations.sort();
            }
            Ok(rule)
        };
        Ok(Self { rules: schema.constraints.iter().map(fit).collect::<Result<_>>()? })
    }

    /// Whether the parts fit together and speak of these columns: for rules that come from a file.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn check(&self, known: &[&str]) -> Result<(), String> {
        for rule in &self.rules {
            let schema = Schema { columns: rule.columns.clone(), constraints: vec![rule.constraint.clone()] };
            schema.check().map_err(|error| error.to_string())?;
            if let Some(column) = rule.columns.iter().find(|column| !known.contains(&column.name.as_str())) {
                return Err(format!("a constraint speaks of column \"{}\", which the model does not make", column.name));
            }
        }
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// For each row of a table, whether it satisfies every constraint.
    ///
    /// # Errors
    /// [`Error::Data`] if a column of a constraint is not there or of another kind.
    pub fn satisfied(&self, table: &Table) -> Result<Vec<bool>> {
        let mut all = vec![true; table.n_rows()];
        for rule in &self.rules {
            all.iter_mut().zip(rule.satisfied(table)?).for_each(|(all, own)| *all &= own);
        }
        Ok(all)
    }

    /// For each constraint, the share of the rows of a table that satisfy it; 1 of a table without rows.
    ///
    /// # Errors
    /// As [`Self::satisfied`].
    pub fn shares(&self, table: &Table) -> Result<Vec<(Constraint, f64)>> {
        let share = |rule: &Rule| {
            let rows = rule.satisfied(table)?;
            let n = rows.iter().filter(|own| **own).count();
            Ok((rule.constraint.clone(), if rows.is_empty() { 1.0 } else { n as f64 / rows.len() as f64 }))
        };
        self.rules.iter().map(share).collect()
    }

    /// Makes a table satisfy what can be made so without choosing: computes the targets of formulas, in the order of the schema, then moves values into their ranges. Missing cells stay missing.
    ///
    /// # Errors
    /// As [`Self::satisfied`].
    pub fn impose(&self, table: &mut Table) -> Result<()> {
        for rule in &self.rules {
            if let Some((target, values)) = rule.computed(table)? {
                table.columns[target].values = Values::Numbers(values);
            }
        }
        for rule in &self.rules {
            if let (Constraint::Range { column, .. }, Some(schema)) = (&rule.constraint, rule.columns.first()) {
                let [low, high] = rule.constraint.range_of(schema)?;
                if let Some(Column { values: Values::Numbers(values), .. }) = table.columns.iter_mut().find(|c| c.name == *column) {
                    values.iter_mut().for_each(|v| *v = v.clamp(low, high));
                }
            }
        }
        Ok(())
    }
}

impl Rule {
    fn satisfied(&self, table: &Table) -> Result<Vec<bool>> {
        // A comparison with a missing number is false, whichever way it is asked.
        Ok(match &self.constraint {
            Constraint::Inequality { low, high, strict } => {
                let (low, high) = (numbers(table, low)?, numbers(table, high)?);
                low.iter().zip(high).map(|(l, h)| !(l > h || (*strict && l == h))).collect()
            }
            Constraint::Range { column, .. } => {
                let [low, high] = self.columns.first().map_or(Ok([f64::NEG_INFINITY, f64::INFINITY]), |c| self.constraint.range_of(c))?;
                numbers(table, column)?.iter().map(|v| !(*v < low || *v > high)).collect()
            }
            Constraint::FixedCombinations { .. } => {
                let known: HashSet<&Vec<String>> = self.combinations.iter().collect();
                self.combinations_of(table)?.iter().map(|texts| texts.as_ref().is_none_or(|t| known.contains(t))).collect()
            }
            Constraint::OneOf { columns } => {
                let columns = columns.iter().map(|name| column(table, name)).collect::<Result<Vec<_>>>()?;
                (0..table.n_rows()).map(|row| columns.iter().filter(|c| says_yes(&c.values, row)).count() == 1).collect()
            }
            Constraint::Formula { formula, tolerance } => {
                let target = Formula::new(formula).map(|f| f.target).unwrap_or_default();
                let Some((_, computed)) = self.computed(table)? else { return Ok(vec![true; table.n_rows()]) };
                let rounding = self.columns.first().and_then(ColumnSchema::rounding).map_or(0.0, |d| 0.5 * 10f64.powi(-i32::from(d)));
                let is_near = |(own, computed): (&f64, &f64)| {
                    let allowed = tolerance + rounding + 1e-9 * own.abs().max(computed.abs());
                    let differs = (own - computed).abs() > allowed;
                    !differs
                };
                numbers(table, &target)?.iter().zip(&computed).map(is_near).collect()
            }
        })
    }

    /// Of a formula: position of the target, and its computed values, missing where the target or a value it needs is.
    fn computed(&self, table: &Table) -> Result<Option<(usize, Vec<f64>)>> {
        let Constraint::Formula { formula, .. } = &self.constraint else { return Ok(None) };
        let formula = Formula::new(formula).map_err(|problem| Error::config("constraints.formula", problem, "mend the schema"))?;
        let mut columns: HashMap<String, &[f64]> = HashMap::new();
        for name in formula.columns() {
            let values = numbers(table, &name)?;
            columns.insert(name, values);
        }
        let own = numbers(table, &formula.target)?;
        let decimals = self.columns.first().and_then(ColumnSchema::rounding);
        let value = |row: usize| {
            let value = formula.value(|name| columns.get(name).and_then(|v| v.get(row)).copied().unwrap_or(f64::NAN));
            let scale = decimals.map(|d| 10f64.powi(i32::from(d)));
            let rounded = scale.map_or(value, |s| (value * s).round() / s);
            if own[row].is_nan() || !rounded.is_finite() { f64::NAN } else { rounded }
        };
        Ok(table.position(&formula.target).map(|target| (target, (0..own.len()).map(value).collect())))
    }

    /// For each row the texts of the columns; none where a cell is missing.
    fn combinations_of(&self, table: &Table) -> Result<Vec<Option<Vec<String>>>> {
        let columns = self.columns.iter().map(|c| Ok((CellWriter::new(c), column(table, &c.name)?))).collect::<Result<Vec<_>>>()?;
        let texts = |row: usize| {
            let text = |(writer, column): &(CellWriter, &Column)| {
                let mut out = String::new();
                writer.write(&column.values, row, &mut out).then_some(out)
            };
            columns.iter().map(text).collect()
        };
        Ok((0..table.n_rows()).map(texts).collect())
    }
}

fn column<'a>(table: &'a Table, name: &str) -> Result<&'a Column> {
    table.column(name).ok_or_else(|| {
        let hint = super::names::hint(name, table.columns.iter().map(|c| c.name.as_str()));
        Error::data("the table", format!("there is no column \"{name}\", of which a constraint speaks"), hint)
    })
}

fn numbers<'a>(table: &'a Table, name: &str) -> Result<&'a [f64]> {
    match &column(table, name)?.values {
        Values::Numbers(values) => Ok(values),
        Values::Categories { .. } => {
            let problem = format!("column \"{name}\", of which a constraint speaks, holds words");
            Err(Error::data("the table", problem, "read the table with its schema"))
        }
    }
}

fn says_yes(values: &Values, row: usize) -> bool {
    match values.word(row) {
        Some(word) => ["1", "true", "yes", "y", "t", "on"].iter().any(|yes| word.eq_ignore_ascii_case(yes)),
        None => values.number(row) == Some(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::infer::infer;
    use super::*;

    fn numbers_of(name: &str, values: &[f64]) -> Column {
        Column { name: name.into(), values: Values::Numbers(values.to_vec()) }
    }

    fn words_of(name: &str, texts: &[&str]) -> Column {
        let words: Vec<String> = texts.iter().map(|t| (*t).to_owned()).collect();
        Column { name: name.into(), values: Values::Categories { codes: (0..texts.len() as u32).collect(), words } }
    }

    fn table() -> Table {
        Table {
            columns: vec![
                numbers_of("a", &[1.0, 2.0, 3.0, f64::NAN]),
                numbers_of("b", &[2.5, 2.0, 1.5, 1.5]),
                numbers_of("total", &[3.5, 4.0, 9.5, 7.5]),
                words_of("city", &["Ulm", "Rome", "Ulm", "Rome"]),
                words_of("land", &["D", "I", "D", "D"]),
                numbers_of("red", &[1.0, 0.0, 1.0, 0.0]),
                numbers_of("blue", &[0.0, 1.0, 1.0, 0.0]),
            ],
        }
    }

    fn rules(constraint: &str, table: &Table) -> Rules {
        let columns = infer(table).0.to_toml(&[]);
        let schema = Schema::from_toml(&format!("{columns}\n[[constraints]]\n{constraint}")).unwrap();
        Rules::fit(&schema, table, 1).unwrap()
    }

    fn satisfied(constraint: &str) -> Vec<bool> {
        rules(constraint, &table()).satisfied(&table()).unwrap()
    }

    #[test]
    fn each_kind_of_constraint_is_checked_row_by_row() {
        assert_eq!(satisfied("kind = 'inequality'\nlow = 'a'\nhigh = 'b'"), [true, true, false, true]);
        assert_eq!(satisfied("kind = 'inequality'\nlow = 'a'\nhigh = 'b'\nstrict = true"), [true, false, false, true]);
        assert_eq!(satisfied("kind = 'range'\ncolumn = 'a'\nmin = 2"), [false, true, true, true]);
        assert_eq!(satisfied("kind = 'range'\ncolumn = 'b'\nmin = 1.6\nmax = 2.2"), [false, true, false, false]);
        assert_eq!(satisfied("kind = 'one_of'\ncolumns = ['red', 'blue']"), [true, true, false, false]);
        assert_eq!(satisfied("kind = 'formula'\nformula = 'total = a + b'"), [true, true, false, true]);
        assert_eq!(satisfied("kind = 'formula'\nformula = 'total = a + b'\ntolerance = 5"), [true; 4]);
    }

    #[test]
    fn combinations_are_those_of_the_table_that_enough_rows_hold() {
        let fixed = rules("kind = 'fixed_combinations'\ncolumns = ['city', 'land']", &table());
        let mut other = table();
        other.columns[4] = words_of("land", &["I", "I", "D", "D"]);
        assert_eq!(fixed.satisfied(&other).unwrap(), [false, true, true, true]);
        let schema = Schema::from_toml(&format!(
            "{}\n[[constraints]]\nkind='fixed_combinations'\ncolumns=['city','land']",
            infer(&table()).0.to_toml(&[])
        ));
        let private = Rules::fit(&schema.unwrap(), &table(), 2).unwrap();
        assert_eq!(private.satisfied(&table()).unwrap(), [true, false, true, false]);
        let json = serde_json::to_string(&private).unwrap();
        assert!(json.contains("Ulm") && !json.contains("Rome"));
        assert_eq!(serde_json::from_str::<Rules>(&json).unwrap(), private);
    }

    #[test]
    fn formulas_and_ranges_are_imposed() {
        let mut made = table();
        let rules = rules("kind = 'formula'\nformula = 'total = a + b'\n[[constraints]]\nkind = 'range'\ncolumn = 'b'\nmax = 2", &made);
        rules.impose(&mut made).unwrap();
        assert_eq!(made.columns[2].values, Values::Numbers(vec![3.5, 4.0, 4.5, f64::NAN]));
        assert_eq!(made.columns[1].values, Values::Numbers(vec![2.0, 2.0, 1.5, 1.5]));
        assert_eq!(rules.shares(&made).unwrap()[1].1, 1.0);
    }

    #[test]
    fn tables_without_the_columns_are_refused() {
        let rules = rules("kind = 'range'\ncolumn = 'a'\nmin = 2", &table());
        let message = rules.satisfied(&Table { columns: vec![numbers_of("aa", &[1.0])] }).unwrap_err().to_string();
        assert!(message.contains("there is no column \"a\""), "{message}");
    }
}
