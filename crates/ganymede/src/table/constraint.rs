//! What holds between the columns of a table.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::formula::Formula;
use super::names;
use super::schema::{Bound, ColumnSchema, Kind, Schema};
use crate::error::{Error, Result};

/// One constraint of a [`Schema`]. A row in which a cell that is needed is missing satisfies it, except [`Constraint::OneOf`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Constraint {
    /// The number or moment in `low` is at most that in `high`; below it if `strict`.
    Inequality {
        /// Column of the lesser value.
        low: String,
        /// Column of the greater value.
        high: String,
        /// Equal values are not allowed.
        #[serde(default)]
        strict: bool,
    },
    /// A number or moment lies in a range, its ends included.
    Range {
        /// The column.
        column: String,
        /// Least value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<Bound>,
        /// Greatest value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<Bound>,
    },
    /// Only combinations of cells that the training table holds.
    FixedCombinations {
        /// The columns, at least two.
        columns: Vec<String>,
    },
    /// Exactly one of the columns says yes: 1, true, yes, y, t or on.
    OneOf {
        /// The columns, at least two.
        columns: Vec<String>,
    },
    /// A number follows from others: `total = a + b`.
    Formula {
        /// `column = expression` with `+ - * /`, brackets, numbers and columns; a name that is not a plain word stands between backticks.
        formula: String,
        /// Difference that is allowed beyond rounding.
        #[serde(default)]
        tolerance: f64,
    },
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |bound: &Option<Bound>| match bound {
            None => String::new(),
            Some(Bound::Integer(value)) => value.to_string(),
            Some(Bound::Real(value)) => value.to_string(),
            Some(Bound::Text(text)) => text.clone(),
        };
        match self {
            Self::Inequality { low, high, strict } => write!(f, "{low} {} {high}", if *strict { "<" } else { "<=" }),
            Self::Range { column, min, max } => write!(f, "{column} in {}..{}", bound(min), bound(max)),
            Self::FixedCombinations { columns } => write!(f, "known combinations of {}", columns.join(", ")),
            Self::OneOf { columns } => write!(f, "exactly one of {}", columns.join(", ")),
            Self::Formula { formula, .. } => f.write_str(formula),
        }
    }
}

impl Constraint {
    const KINDS: [&str; 5] = ["inequality", "range", "fixed_combinations", "one_of", "formula"];

    /// Keys of a kind of constraint; of an unknown kind, all keys.
    pub(crate) fn keys(kind: &str) -> &'static [&'static str] {
        match kind {
            "inequality" => &["kind", "low", "high", "strict"],
            "range" => &["kind", "column", "min", "max"],
            "fixed_combinations" | "one_of" => &["kind", "columns"],
            "formula" => &["kind", "formula", "tolerance"],
            _ => &["kind", "low", "high", "strict", "column", "min", "max", "columns", "formula", "tolerance"],
        }
    }

    /// The columns it speaks of.
    pub fn columns(&self) -> Vec<String> {
        match self {
            Self::Inequality { low, high, .. } => vec![low.clone(), high.clone()],
            Self::Range { column, .. } => vec![column.clone()],
            Self::FixedCombinations { columns } | Self::OneOf { columns } => columns.clone(),
            Self::Formula { formula, .. } => Formula::new(formula).map(|f| f.columns()).unwrap_or_default(),
        }
    }

    /// Checks constraint number `i` against the columns of `schema`.
    pub(crate) fn check(&self, i: usize, schema: &Schema) -> Result<()> {
        let place = format!("constraints[{i}]");
        if let Self::Formula { formula, tolerance } = self {
            Formula::new(formula)
                .map_err(|problem| Error::config(format!("{place}.formula"), problem, "write for example total = a + b"))?;
            if !(tolerance.is_finite() && *tolerance >= 0.0) {
                return Err(Error::config(format!("{place}.tolerance"), "is not a number of at least 0", "mend the schema"));
            }
        }
        let columns = self.columns();
        for name in &columns {
            let Some(column) = schema.kept().find(|c| c.name == *name) else {
                let hint = names::hint(name, schema.kept().map(|c| c.name.as_str()));
                return Err(Error::config(place, format!("there is no column \"{name}\""), hint));
            };
            if self.needs_numbers() && !matches!(column.kind, Kind::Integer | Kind::Real | Kind::Datetime | Kind::Constant) {
                return Err(Error::config(
                    place,
                    format!("column \"{name}\" is a {}, not a number", column.kind.name()),
                    "mend the schema",
                ));
            }
        }
        if matches!(self, Self::FixedCombinations { .. } | Self::OneOf { .. }) && columns.len() < 2 {
            return Err(Error::config(format!("{place}.columns"), "fewer than two columns", "name at least two"));
        }
        if let Self::Range { column, .. } = self {
            // The range is read as that of a column of the same kind.
            if let Some(column) = schema.column(column) {
                self.range_of(column)?;
            }
        }
        Ok(())
    }

    /// The range of a [`Constraint::Range`] on `column`; unbounded for others.
    pub(crate) fn range_of(&self, column: &ColumnSchema) -> Result<[f64; 2]> {
        match self {
            Self::Range { min, max, .. } => ColumnSchema { min: min.clone(), max: max.clone(), ..column.clone() }.range(),
            _ => Ok([f64::NEG_INFINITY, f64::INFINITY]),
        }
    }

    fn needs_numbers(&self) -> bool {
        matches!(self, Self::Inequality { .. } | Self::Range { .. } | Self::Formula { .. })
    }

    /// The kinds of constraints there are, for messages.
    pub(crate) fn kinds() -> &'static [&'static str] {
        &Self::KINDS
    }
}
