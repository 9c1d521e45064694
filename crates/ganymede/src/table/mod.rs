//! Tables of mixed columns: reading, types, encoding for a game, writing, judging.

#[cfg(feature = "arrow")]
mod arrow;
mod calendar;
mod cell;
mod constraint;
mod container;
pub mod database;
mod dense;
mod draw;
mod encode;
#[cfg(feature = "excel")]
mod excel;
mod facts;
mod formula;
mod frame;
mod infer;
pub mod judge;
mod missing;
mod moment;
mod names;
mod number;
#[cfg(feature = "parquet")]
pub(crate) mod parquet;
mod pattern;
mod read;
mod rules;
mod schema;
mod sdv;
#[cfg(feature = "typed")]
mod typed;
mod write;

pub use constraint::Constraint;
pub(crate) use container::Container;
pub(crate) use dense::alike;
pub use dense::{Layout, RowOutput, Rows, layout_of};
pub use encode::{Admissible, Block, BlockKind, Codes, Condition, Encoded, Encoder, MAX_SCORE};
pub use frame::{Column, MISSING, Table, Values};
pub use infer::infer;
pub(crate) use missing::is_mark;
pub(crate) use read::line_of;
pub use read::{Encoding, FileFormat, Found, Reading, column_names, read, read_files};
pub use rules::Rules;
pub use schema::{Bound, ColumnSchema, Kind, Schema};
pub use write::{TableWriter, WriteOptions, to_csv, to_json_rows, write};
