//! One column as blocks, and back.

use serde::{Deserialize, Serialize};

use super::super::cell::CellWriter;
use super::super::draw::Draws;
use super::super::frame::{Column, MISSING, Values};
use super::super::moment;
use super::super::schema::{ColumnSchema, Kind};
use super::category::Category;
use super::identifier::{Constant, Identifier};
use super::numeric::{Atoms, Numeric};
use super::{Block, BlockKind, Codes, Encoded};
use crate::error::{Error, Result};

/// A column and its code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Encoding {
    pub schema: ColumnSchema,
    pub code: Code,
    /// Share of the training rows that have each softmax code.
    pub shares: Vec<f64>,
}

/// Of which kind it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Code {
    Numeric(Numeric),
    Category(Category),
    Identifier(Identifier),
    Constant(Constant),
}

impl Code {
    pub(super) fn fit(column: &Column, schema: &ColumnSchema, (least_rows, atoms): (usize, Atoms)) -> Result<Self> {
        let wrong =
            |problem: String| Error::config(format!("columns.{}", schema.name), problem, "mend the schema, or read the table with it");
        Ok(match (schema.kind, &column.values) {
            (Kind::Identifier, values) => Self::Identifier(Identifier::fit(&schema.name, values, schema.pattern.as_deref())),
            (Kind::Constant, values) => {
                let constant =
                    Constant::fit(values).map_err(|row| wrong(format!("is not constant: row {} differs from the first", row + 1)))?;
                Self::Constant(constant)
            }
            (Kind::Integer | Kind::Real | Kind::Datetime, Values::Numbers(values)) => {
                Self::Numeric(Numeric::fit(values, schema.range()?, (least_rows, atoms), digits(schema)?)?)
            }
            (Kind::Boolean | Kind::Category, Values::Categories { codes, words }) => {
                Self::Category(Category::fit(codes, words, least_rows, schema.categories.as_deref()))
            }
            (kind, _) => return Err(wrong(format!("is {} in the schema, but the table holds {}", kind.name(), kind_of(&column.values)))),
        })
    }
}

/// Digits after the point to which the numbers of a column are rounded: those of the fraction of a second for moments.
fn digits(schema: &ColumnSchema) -> Result<Option<u8>> {
    if schema.kind != Kind::Datetime {
        return Ok(schema.rounding());
    }
    let step = schema.moment_format()?.step();
    Ok(Some((0..=moment::MAX_FRACTION).find(|d| step * 10f64.powi(i32::from(*d)) >= 0.99).unwrap_or(moment::MAX_FRACTION)))
}

fn kind_of(values: &Values) -> &'static str {
    match values {
        Values::Numbers(_) => "numbers",
        Values::Categories { .. } => "words",
    }
}

impl Encoding {
    pub(super) fn width(&self) -> usize {
        match &self.code {
            Code::Numeric(code) => code.width(),
            Code::Category(code) => code.width(),
            Code::Identifier(_) | Code::Constant(_) => 0,
        }
    }

    pub(super) fn blocks(&self, column: usize) -> Vec<Block> {
        let (other, missing) = match &self.code {
            Code::Numeric(code) => (code.other(), code.missing()),
            Code::Category(code) => (None, code.missing()),
            Code::Identifier(_) | Code::Constant(_) => return Vec::new(),
        };
        let width = self.width();
        let mut blocks = Vec::new();
        // A single code says nothing.
        if width > 1 {
            blocks.push(Block { column, kind: BlockKind::Softmax { width }, other, missing });
        }
        if other.is_some() {
            blocks.push(Block { column, kind: BlockKind::Scalar, other: other.filter(|_| width > 1), missing: None });
        }
        blocks
    }

    /// Share of each code among the rows of a column of the right kind.
    pub(super) fn count(&self, values: &Values, seed: u64, column: usize) -> Vec<f64> {
        let mut counts = vec![0u32; self.width()];
        if let Ok(blocks) = self.encode(values, seed, column)
            && let Some(Codes::Softmax(codes)) = blocks.first()
        {
            codes.iter().for_each(|c| counts[*c as usize] += 1);
        } else {
            counts.iter_mut().for_each(|c| *c = values.len() as u32);
        }
        counts.iter().map(|n| f64::from(*n) / values.len().max(1) as f64).collect()
    }

    pub(super) fn encode(&self, values: &Values, seed: u64, column: usize) -> Result<Vec<Codes>> {
        let draws = Draws::new(seed, "encode", column);
        let (codes, scores): (Vec<u32>, Vec<f32>) = match (&self.code, values) {
            (Code::Numeric(code), Values::Numbers(values)) => {
                values.iter().enumerate().map(|(row, value)| code.encode(*value, row as u64, &draws)).unzip()
            }
            (Code::Category(code), Values::Categories { codes, words }) => {
                let known = code.codes_of(words);
                let of = |(row, cell): (usize, &u32)| match known.get(*cell as usize) {
                    Some(Some(code)) => *code,
                    None if code.has_missing => code.missing().unwrap_or(0),
                    _ => code.rare().unwrap_or_else(|| code.any(row as u64, &draws)),
                };
                (codes.iter().enumerate().map(of).collect(), Vec::new())
            }
            _ => {
                let problem =
                    format!("column \"{}\" holds {}, which is not a {}", self.schema.name, kind_of(values), self.schema.kind.name());
                return Err(Error::data("the table", problem, "read the table with the schema of the model"));
            }
        };
        let blocks = self.blocks(column);
        let mut parts = (Some(codes), Some(scores));
        Ok(blocks
            .iter()
            .map(|b| match b.kind {
                BlockKind::Softmax { .. } => Codes::Softmax(parts.0.take().unwrap_or_default()),
                BlockKind::Scalar => Codes::Scalar(parts.1.take().unwrap_or_default()),
            })
            .collect())
    }

    pub(super) fn decode(
        &self,
        blocks: &[Codes],
        encoded: &Encoded,
        allows: &dyn Fn(&str) -> bool,
        (seed, column): (u64, usize),
    ) -> Values {
        let n = encoded.n_rows;
        let (mut codes, mut scores): (&[u32], &[f32]) = (&[], &[]);
        for block in blocks {
            match block {
                Codes::Softmax(own) => codes = own,
                Codes::Scalar(own) => scores = own,
            }
        }
        let code_at = |row: usize| codes.get(row).copied().unwrap_or(0);
        match &self.code {
            Code::Numeric(code) => {
                Values::Numbers((0..n).map(|row| code.decode(code_at(row), scores.get(row).copied().unwrap_or(0.0))).collect())
            }
            Code::Category(code) => {
                let draws = Draws::new(seed, "decode", column);
                let (rare, rare_code, n_words) = (code.rare_words(allows), code.rare(), code.words.len());
                let of = |row: usize| match code_at(row) {
                    own if (own as usize) < n_words => own,
                    own if Some(own) == rare_code => rare.draw(encoded.number(row), &draws).unwrap_or(MISSING),
                    _ => MISSING,
                };
                Values::Categories { codes: (0..n).map(of).collect(), words: code.names().map(String::from).collect() }
            }
            Code::Identifier(identifier) => identifier.make(&(0..n).map(|row| encoded.number(row)).collect::<Vec<_>>(), seed, column),
            Code::Constant(constant) => constant.make(n),
        }
    }

    pub(super) fn code_names(&self) -> Vec<String> {
        let (mut names, other, has_missing) = match &self.code {
            Code::Numeric(code) => {
                let column = Values::Numbers(code.atoms.clone());
                let writer = CellWriter::new(&self.schema);
                let name = |row: usize| {
                    let mut text = String::new();
                    writer.write(&column, row, &mut text);
                    text
                };
                ((0..code.atoms.len()).map(name).collect::<Vec<_>>(), code.other().map(|_| "other"), code.has_missing)
            }
            Code::Category(code) => (code.words.clone(), code.rare().map(|_| "rare"), code.has_missing),
            Code::Identifier(_) | Code::Constant(_) => return Vec::new(),
        };
        names.extend(other.map(String::from));
        names.extend(has_missing.then(|| "missing".to_owned()));
        names
    }

    pub(super) fn is_sound(&self) -> bool {
        let is_kind = match (&self.code, self.schema.kind) {
            (Code::Numeric(code), Kind::Integer | Kind::Real | Kind::Datetime) => code.is_sound(),
            (Code::Category(code), Kind::Boolean | Kind::Category) => code.is_sound(),
            (Code::Identifier(code), Kind::Identifier) => (0.0..=1.0).contains(&code.missing),
            (Code::Constant(_), Kind::Constant) => true,
            _ => false,
        };
        is_kind && self.shares.len() == self.width() && self.shares.iter().all(|s| (0.0..=1.0).contains(s))
    }
}
