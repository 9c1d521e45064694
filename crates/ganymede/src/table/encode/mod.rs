//! Rows as categories and scores that a game can learn, and back.
//!
//! A column becomes at most two blocks: a softmax over its repeated values, "other" and "missing", and a scalar that is standard normal over the rows that are "other" (the dequantised empirical
//! distribution function, mapped through the probit). An encoder holds no row, and no value or word that fewer than `least_rows` rows share, except the words that a schema names.

mod category;
mod column;
mod condition;
mod grid;
mod identifier;
mod normal;
mod numeric;
#[cfg(test)]
mod tests;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::frame::{Column, Table, Values};
use super::names;
use super::schema::{ColumnSchema, Schema};
use crate::error::{Error, Result};
use column::{Code, Encoding};
pub use condition::{Admissible, Condition};
pub use grid::MAX_SCORE;
use numeric::Atoms;

/// Rows that must share a value for it to be kept, where there are enough rows.
const LEAST_ROWS: usize = 10;
/// Fewer rows are not a table that one could learn from without learning its rows.
const MIN_ROWS: usize = 20;
const VERSION: u32 = 1;

/// One output of a generator and input of a discriminator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Position of its column among [`Encoder::columns`].
    pub column: usize,
    /// What it holds.
    pub kind: BlockKind,
    /// Softmax: the code of values that have a score, which is in the scalar block that follows. Scalar: the code of the softmax block before it at which the score counts; none where it always does.
    pub other: Option<u32>,
    /// Softmax: the code of missing cells.
    pub missing: Option<u32>,
}

/// Kind of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// One of `width` codes.
    Softmax {
        /// Number of codes, at least 2.
        width: usize,
    },
    /// A number, standard normal over the training rows that have one, within [`MAX_SCORE`]; 0 where the softmax of the column says something else.
    Scalar,
}

/// The blocks of some rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoded {
    /// Number of rows.
    pub n_rows: usize,
    /// Number of each row in the whole table, if that is made in parts; otherwise empty, and rows count from 0. What decoding draws, and identifiers, go by it.
    pub numbers: Vec<u64>,
    /// The values of each block, in the order of [`Encoder::blocks`], one a row.
    pub blocks: Vec<Codes>,
}

impl Encoded {
    /// Number of a row in the whole table.
    fn number(&self, row: usize) -> u64 {
        self.numbers.get(row).copied().unwrap_or(row as u64)
    }
}

/// The values of a block.
#[derive(Clone, Debug, PartialEq)]
pub enum Codes {
    /// Codes below the block's width.
    Softmax(Vec<u32>),
    /// Scores.
    Scalar(Vec<f32>),
}

/// How each column of a table is encoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    version: u32,
    least_rows: usize,
    columns: Vec<Encoding>,
}

impl Encoder {
    /// Learns the encoding of the columns that `schema` does not leave out, in the order of the table.
    ///
    /// # Errors
    /// [`Error::Data`] if the table has fewer than 20 rows, no column, or does not hold together; [`Error::Config`] if a column is not in the schema or of another kind.
    pub fn fit(table: &Table, schema: &Schema, seed: u64) -> Result<Self> {
        Self::fit_with(table, schema, seed, Atoms::ROWS)
    }

    /// [`Self::fit`] for rows that go on from each other: numbers are categories of their own only where they are few, or one makes up a tenth of the rows.
    ///
    /// # Errors
    /// As [`Self::fit`].
    pub fn fit_steps(table: &Table, schema: &Schema, seed: u64) -> Result<Self> {
        Self::fit_with(table, schema, seed, Atoms::STEPS)
    }

    fn fit_with(table: &Table, schema: &Schema, seed: u64, atoms: Atoms) -> Result<Self> {
        table.check()?;
        schema.check()?;
        let n_rows = table.n_rows();
        if n_rows < MIN_ROWS {
            return Err(Error::data("the table", format!("{n_rows} rows"), format!("give at least {MIN_ROWS}")));
        }
        let least_rows = (n_rows / 50).clamp(3, LEAST_ROWS);
        let mut pairs = Vec::new();
        for column in &table.columns {
            match schema.column(&column.name) {
                Some(given) if given.leave_out => {}
                Some(given) => pairs.push((column, given)),
                None => {
                    let hint = names::hint(&column.name, schema.columns.iter().map(|c| c.name.as_str()));
                    return Err(Error::config(format!("columns.{}", column.name), "is not in the schema", hint));
                }
            }
        }
        if pairs.is_empty() {
            return Err(Error::data("the table", "no columns", "give at least one column that is not left out"));
        }
        let fit = |(i, (column, given)): (usize, &(&Column, &ColumnSchema))| {
            let mut encoding =
                Encoding { schema: (*given).clone(), code: Code::fit(column, given, (least_rows, atoms))?, shares: Vec::new() };
            encoding.shares = encoding.count(&column.values, seed, i);
            Ok(encoding)
        };
        let columns: Vec<Encoding> = pairs.par_iter().enumerate().map(fit).collect::<Result<_>>()?;
        Ok(Self { version: VERSION, least_rows, columns })
    }

    /// Rows that share every value and word that the encoder holds.
    pub fn least_rows(&self) -> usize {
        self.least_rows
    }

    /// The columns that [`Self::decode`] gives, in order.
    pub fn columns(&self) -> impl Iterator<Item = &ColumnSchema> + Clone {
        self.columns.iter().map(|c| &c.schema)
    }

    /// The schema of the tables that [`Self::decode`] gives, without constraints.
    pub fn schema(&self) -> Schema {
        Schema { columns: self.columns().cloned().collect(), constraints: Vec::new() }
    }

    /// The blocks, in the order of the columns. A column that is always the same or identifies rows has none.
    pub fn blocks(&self) -> Vec<Block> {
        self.columns.iter().enumerate().flat_map(|(i, c)| c.blocks(i)).collect()
    }

    /// Inputs of a discriminator: the widths of all softmax blocks, and 1 for each scalar.
    pub fn width(&self) -> usize {
        self.blocks().iter().map(|b| if let BlockKind::Softmax { width } = b.kind { width } else { 1 }).sum()
    }

    /// For each block, the share of the training rows that have each code; empty for scalars.
    pub fn marginals(&self) -> Vec<&[f64]> {
        let of = |column: &Block| match column.kind {
            BlockKind::Softmax { .. } => self.columns[column.column].shares.as_slice(),
            BlockKind::Scalar => &[],
        };
        self.blocks().iter().map(of).collect()
    }

    /// What each code of a softmax block stands for, for reports; empty for scalars.
    pub fn code_names(&self, block: &Block) -> Vec<String> {
        match (block.kind, self.columns.get(block.column)) {
            (BlockKind::Softmax { .. }, Some(column)) => column.code_names(),
            _ => Vec::new(),
        }
    }

    /// The blocks of a table that has the encoder's columns, in any order. Values that the training table did not hold get the nearest code.
    ///
    /// # Errors
    /// [`Error::Data`] if a column is not there or of another kind.
    pub fn encode(&self, table: &Table, seed: u64) -> Result<Encoded> {
        table.check()?;
        let encode = |(i, encoding): (usize, &Encoding)| {
            let name = &encoding.schema.name;
            if encoding.blocks(i).is_empty() {
                return Ok(Vec::new());
            }
            let column = table.column(name).ok_or_else(|| {
                let hint = names::hint(name, table.columns.iter().map(|c| c.name.as_str()));
                Error::data("the table", format!("there is no column \"{name}\""), hint)
            })?;
            encoding.encode(&column.values, seed, i)
        };
        let blocks: Vec<Vec<Codes>> = self.columns.par_iter().enumerate().map(encode).collect::<Result<_>>()?;
        Ok(Encoded { n_rows: table.n_rows(), numbers: Vec::new(), blocks: blocks.into_iter().flatten().collect() })
    }

    /// The table of some blocks. Rows depend on their position and `seed` alone, so that a table may be made in parts.
    ///
    /// # Errors
    /// [`Error::Data`] if the blocks are not those of this encoder.
    pub fn decode(&self, encoded: &Encoded, seed: u64) -> Result<Table> {
        self.decode_where(encoded, &[], seed)
    }

    /// [`Self::decode`] where rare words are drawn from those that satisfy `conditions`. Codes and scores are taken as they are.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_where(&self, encoded: &Encoded, conditions: &[Condition], seed: u64) -> Result<Table> {
        self.check_encoded(encoded)?;
        let mut starts = Vec::new();
        let mut n_blocks = 0;
        for (i, column) in self.columns.iter().enumerate() {
            starts.push(n_blocks);
            n_blocks += column.blocks(i).len();
        }
        let decode = |(i, column): (usize, &Encoding)| {
            let blocks = &encoded.blocks[starts[i]..starts[i] + column.blocks(i).len()];
            let allows = |word: &str| conditions.iter().filter(|c| c.column() == i).all(|c| c.allows_word(word));
            let values = column.decode(blocks, encoded, &allows, (seed, i));
            Column { name: column.schema.name.clone(), values }
        };
        Ok(Table { columns: self.columns.par_iter().enumerate().map(decode).collect() })
    }

    /// Makes the identifiers of a table anew as those of rows with these numbers: for one that is put together from rows of several seeds.
    pub fn identify(&self, table: &mut Table, numbers: &[u64], seed: u64) {
        for (i, encoding) in self.columns.iter().enumerate() {
            if let (Code::Identifier(identifier), Some(place)) = (&encoding.code, table.position(&encoding.schema.name)) {
                table.columns[place].values = identifier.make(numbers, seed, i);
            }
        }
    }

    /// For each row of a column, whether it holds a word that nothing is known of: neither kept by name nor among the rare ones.
    pub fn is_unknown(&self, column: usize, values: &Values) -> Vec<bool> {
        match (self.columns.get(column).map(|c| &c.code), values) {
            (Some(Code::Category(code)), Values::Categories { codes, words }) => {
                let known = code.codes_of(words);
                codes.iter().map(|cell| matches!(known.get(*cell as usize), Some(None))).collect()
            }
            _ => vec![false; values.len()],
        }
    }

    /// The code of rare words of a column, if none of them satisfies all the conditions on it.
    pub fn barred_code(&self, column: usize, conditions: &[Condition]) -> Option<usize> {
        let Code::Category(code) = &self.columns.get(column)?.code else { return None };
        let is_allowed = |word: &str| conditions.iter().filter(|c| c.column() == column).all(|c| c.allows_word(word));
        let rare = code.rare()? as usize;
        (!code.pool().any(is_allowed)).then_some(rare)
    }

    /// As JSON, for the model folder.
    ///
    /// # Errors
    /// [`Error::Data`] if a number has no JSON form, which no fitted encoder holds.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::data("the encoder", e.to_string(), "train again"))
    }

    /// Reads what [`Self::to_json`] wrote, and checks that its parts fit together.
    ///
    /// # Errors
    /// [`Error::Data`] if they do not.
    pub fn from_json(text: &str) -> Result<Self> {
        let damaged = |problem: String| Error::data("the encoder", problem, "the model folder is damaged; use another copy of it");
        let encoder: Self = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
        if encoder.version != VERSION {
            return Err(damaged(format!("has version {}, this program reads {VERSION}", encoder.version)));
        }
        encoder.schema().check().map_err(|e| damaged(e.to_string()))?;
        match encoder.columns.iter().find(|c| !c.is_sound()) {
            Some(column) => Err(damaged(format!("the parts of column \"{}\" do not fit together", column.schema.name))),
            None => Ok(encoder),
        }
    }

    fn check_encoded(&self, encoded: &Encoded) -> Result<()> {
        let blocks = self.blocks();
        let fits = |(block, codes): (&Block, &Codes)| match (block.kind, codes) {
            (BlockKind::Softmax { width }, Codes::Softmax(codes)) => {
                codes.len() == encoded.n_rows && codes.iter().all(|c| (*c as usize) < width)
            }
            (BlockKind::Scalar, Codes::Scalar(scores)) => scores.len() == encoded.n_rows,
            _ => false,
        };
        if blocks.len() == encoded.blocks.len() && blocks.iter().zip(&encoded.blocks).all(fits) {
            return Ok(());
        }
        Err(Error::data("the encoded rows", "are not those of this encoder", "decode with the encoder of the same model"))
    }
}
