//! Columns of files whose cells have types: what Parquet, Arrow and workbooks share.
//!
//! A reader says what each column stands for ([`Meaning`]) and hands over its cells ([`Cell`]), as often as [`read_columns`] asks for them. A writer
//! gets the rows in groups ([`Groups`]), each column as cells of one type ([`Cells`]).

mod cell;
mod column;
mod conform;
#[cfg(test)]
pub(super) mod testing;
#[cfg(all(test, any(feature = "arrow", feature = "parquet")))]
mod tests;
mod wanted;
#[cfg(any(feature = "arrow", feature = "parquet"))]
mod writing;

pub(super) use cell::{Cell, Meaning, meant};
pub(super) use column::{TypedColumn, read_columns};
pub(super) use wanted::{Wanted, finish, wanted};
#[cfg(any(feature = "arrow", feature = "parquet"))]
pub(super) use writing::{Buffer, Cells, Groups, TypedWriter};
