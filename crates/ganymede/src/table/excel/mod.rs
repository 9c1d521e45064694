//! Tables in workbooks (.xlsx, .xlsm): the first sheet that has cells.

mod column;
mod reading;
mod sheet;
mod size;
#[cfg(test)]
mod tests;

pub(super) use reading::read;
