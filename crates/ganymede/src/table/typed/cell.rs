//! What a typed cell stands for, as a number or as text.

use std::borrow::Cow;

use super::super::number;

/// Whole numbers beyond are not exact in double precision: they are kept as words.
const MAX_WHOLE: i128 = 1 << 53;

/// What the cells of a column stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) enum Meaning {
    /// Numbers.
    Number,
    /// Numbers to be divided by ten to the power of this.
    Decimal(i32),
    /// Days since 1970-01-01.
    Date,
    /// Moments since 1970-01-01, in UTC or as clocks show them.
    Timestamp {
        /// Units of a second.
        per_second: f64,
        /// In UTC.
        is_utc: bool,
    },
    /// Time since midnight, so many units a second.
    Time(f64),
    /// Words, also those for yes and no.
    Text,
}

/// One cell that is there.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Cell<'a> {
    /// Yes or no.
    Flag(bool),
    /// A whole number, exactly.
    Whole(i128),
    /// Any number; not a number is a missing cell.
    Number(f64),
    /// Text.
    Text(Cow<'a, str>),
}

impl Meaning {
    /// The number of a cell; seconds for moments, days among them.
    pub(super) fn number(self, cell: &Cell<'_>) -> f64 {
        let value = match cell {
            Cell::Flag(flag) => f64::from(u8::from(*flag)),
            Cell::Whole(value) => *value as f64,
            Cell::Number(value) => *value,
            Cell::Text(_) => f64::NAN,
        };
        match self {
            Self::Decimal(scale) if scale < 0 => value * 10f64.powi(-scale),
            Self::Decimal(scale) => value / 10f64.powi(scale),
            Self::Date => value * 86_400.0,
            Self::Timestamp { per_second, .. } | Self::Time(per_second) => value / per_second,
            Self::Number | Self::Text => value,
        }
    }

    /// Whether [`Meaning::number`] keeps the cell: whole numbers of more than 53 bits are often numbers of accounts and the like, of which each digit counts.
    pub(super) fn is_exact(self, cell: &Cell<'_>) -> bool {
        match (cell, self) {
            (Cell::Whole(value), Self::Number | Self::Decimal(..=0)) => (-MAX_WHOLE..=MAX_WHOLE).contains(value),
            _ => true,
        }
    }

    /// The cell as a word; none if it is no number.
    pub(in super::super) fn text<'a>(self, cell: Cell<'a>) -> Option<Cow<'a, str>> {
        Some(match cell {
            Cell::Flag(flag) => if flag { "true" } else { "false" }.into(),
            Cell::Whole(value) => match self {
                Self::Decimal(scale) if scale < 0 && value != 0 => format!("{value}{}", "0".repeat(scale.unsigned_abs() as usize)).into(),
                _ => value.to_string().into(),
            },
            Cell::Number(value) if value.is_nan() => return None,
            Cell::Number(value) => {
                let mut text = String::new();
                number::write(value, None, 0, '.', &mut text);
                text.into()
            }
            Cell::Text(text) => text,
        })
    }
}

/// The decimal number that a number of single precision was meant to be.
pub(in super::super) fn meant(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_numbers_of_their_meaning() {
        assert_eq!(Meaning::Decimal(2).number(&Cell::Whole(12_345)), 123.45);
        assert_eq!(Meaning::Decimal(-2).number(&Cell::Whole(3)), 300.0);
        assert_eq!(Meaning::Date.number(&Cell::Whole(-1)), -86_400.0);
        assert_eq!(Meaning::Timestamp { per_second: 1e3, is_utc: true }.number(&Cell::Whole(1500)), 1.5);
        assert_eq!(Meaning::Time(1e6).number(&Cell::Whole(500_000)), 0.5);
        assert_eq!(Meaning::Number.number(&Cell::Flag(true)), 1.0);
        assert_eq!(meant(0.1f32), 0.1);
    }

    #[test]
    fn only_whole_numbers_of_more_than_53_bits_are_inexact() {
        for (meaning, value, is_exact) in [
            (Meaning::Number, 1 << 53, true),
            (Meaning::Number, (1 << 53) + 1, false),
            (Meaning::Number, -(1 << 53) - 1, false),
            (Meaning::Decimal(0), i128::from(u64::MAX), false),
            (Meaning::Decimal(2), 1 << 60, true),
            (Meaning::Timestamp { per_second: 1e9, is_utc: false }, 1 << 60, true),
        ] {
            assert_eq!(meaning.is_exact(&Cell::Whole(value)), is_exact, "{meaning:?} {value}");
        }
    }

    #[test]
    fn cells_are_words() {
        let text = |meaning: Meaning, cell| meaning.text(cell).map(Cow::into_owned);
        assert_eq!(text(Meaning::Number, Cell::Whole(i128::from(u64::MAX))).as_deref(), Some("18446744073709551615"));
        assert_eq!(text(Meaning::Decimal(-3), Cell::Whole(-12)).as_deref(), Some("-12000"));
        assert_eq!(text(Meaning::Text, Cell::Flag(false)).as_deref(), Some("false"));
        assert_eq!(text(Meaning::Text, Cell::Number(2.5)).as_deref(), Some("2.5"));
        assert_eq!(text(Meaning::Text, Cell::Number(f64::NAN)), None);
    }
}
