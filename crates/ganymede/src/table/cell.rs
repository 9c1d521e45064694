//! Cells as text, as their column writes them.

use super::frame::Values;
use super::moment::{Format, Zone};
use super::number;
use super::schema::{ColumnSchema, Kind};

/// Writes the cells of one column.
pub(crate) struct CellWriter {
    format: Option<Format>,
    zone: Option<Zone>,
    decimals: Option<u8>,
    least_decimals: u8,
    mark: char,
}

impl CellWriter {
    /// For a column of the schema.
    pub(crate) fn new(schema: &ColumnSchema) -> Self {
        let is_number = matches!(schema.kind, Kind::Integer | Kind::Real);
        Self {
            format: if schema.is_moment() { schema.moment_format().ok() } else { None },
            zone: schema.moment_zone(),
            decimals: if is_number { schema.rounding() } else { None },
            least_decimals: schema.least_decimals,
            mark: schema.decimal_mark(),
        }
    }

    /// Appends the text of a cell; false, and nothing appended, if it is missing.
    pub(crate) fn write(&self, values: &Values, row_idx: usize, out: &mut String) -> bool {
        if let Some(word) = values.word(row_idx) {
            out.push_str(word);
            return true;
        }
        let Some(value) = values.number(row_idx) else { return false };
        match &self.format {
            Some(format) => format.write(value, self.zone, out),
            None => number::write(value, self.decimals, self.least_decimals, self.mark, out),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_written_as_their_column_says() {
        let write = |schema: ColumnSchema, value: f64| {
            let mut out = String::new();
            let is_there = CellWriter::new(&schema).write(&Values::Numbers(vec![value]), 0, &mut out);
            is_there.then_some(out)
        };
        let real = ColumnSchema { decimals: Some(2), least_decimals: 1, ..ColumnSchema::new("x", Kind::Real) };
        assert_eq!(write(real.clone(), 3.0).as_deref(), Some("3.0"));
        assert_eq!(write(ColumnSchema { decimal_comma: true, ..real }, 3.25).as_deref(), Some("3,25"));
        assert_eq!(write(ColumnSchema::new("x", Kind::Integer), 3.0).as_deref(), Some("3"));
        assert_eq!(write(ColumnSchema::new("x", Kind::Identifier), 3.0).as_deref(), Some("3"));
        let moment = ColumnSchema { format: Some("%d/%m/%Y".into()), ..ColumnSchema::new("x", Kind::Datetime) };
        assert_eq!(write(moment.clone(), 86_400.0).as_deref(), Some("02/01/1970"));
        assert_eq!(write(ColumnSchema { kind: Kind::Constant, ..moment }, 86_400.0).as_deref(), Some("02/01/1970"));
        assert_eq!(write(ColumnSchema::new("x", Kind::Integer), f64::NAN), None);
    }
}
