//! What the texts of a column's cells looked like: how to write them again.

use std::collections::BTreeMap;

use super::frame::{Column, Values};
use super::missing::Marks;
use super::moment::{Format, Moment, Zone};
use super::number;

/// Found while reading a column.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// Most and fewest digits after the decimal point.
    decimals: Option<(u8, u8)>,
    pub decimal_comma: bool,
    /// Cells that were infinite numbers.
    pub n_infinite: usize,
    pub marks: Marks,
    /// Format of the moments.
    pub format: Option<Format>,
    zones: BTreeMap<Zone, usize>,
    fraction: Option<(u8, u8)>,
    /// Rows whose word was not kept.
    pub n_not_kept: usize,
    /// Dates of which day and month cannot be told apart.
    pub is_ambiguous: bool,
}

impl Facts {
    /// Of a column that was not read from text.
    pub(crate) fn of(column: &Column) -> Self {
        let mut facts = Self::default();
        match &column.values {
            Values::Numbers(values) => {
                let mut text = String::new();
                for value in values {
                    if value.is_nan() {
                        facts.marks.add("");
                    } else if value.fract() == 0.0 {
                        facts.see_decimals(0);
                    } else if !facts.has_all_digits() {
                        text.clear();
                        number::write(*value, None, 0, '.', &mut text);
                        facts.see_decimals(number::parse(&text, b'.').map_or(u8::MAX, |n| n.decimals));
                    }
                }
            }
            Values::Categories { .. } => {
                (0..column.values.len()).filter(|&i| column.values.is_missing(i)).for_each(|_| facts.marks.add(""))
            }
        }
        facts
    }

    pub(crate) fn see_decimals(&mut self, n: u8) {
        let (most, least) = self.decimals.unwrap_or((n, n));
        self.decimals = Some((most.max(n), least.min(n)));
    }

    pub(crate) fn see_moment(&mut self, moment: &Moment) {
        let (most, least) = self.fraction.unwrap_or((moment.fraction, moment.fraction));
        self.fraction = Some((most.max(moment.fraction), least.min(moment.fraction)));
        if let Some(zone) = moment.zone {
            // One entry per way of writing a zone.
            *self.zones.entry(zone).or_default() += 1;
        }
    }

    /// Whether no number had a decimal point.
    pub(crate) fn is_whole(&self) -> bool {
        self.decimals.is_none_or(|(most, _)| most == 0)
    }

    /// Decimals to round to, and those written even if zero; `None` keeps every digit.
    pub(crate) fn rounding(&self) -> (Option<u8>, u8) {
        match self.decimals {
            Some((most, _)) if most > number::MAX_DECIMALS => (None, 0),
            Some((most, least)) => (Some(most), least),
            None => (Some(0), 0),
        }
    }

    /// The format, with the number of digits of a second's fraction if it is always the same.
    pub(crate) fn written_format(&self) -> Option<Format> {
        let format = self.format.as_ref()?;
        Some(match self.fraction {
            Some((most, least)) if most == least && most > 0 => format.with_fraction(most),
            _ => format.clone(),
        })
    }

    /// The zone to write in, and whether there were several: then it is UTC.
    pub(crate) fn zone(&self) -> Option<(Zone, bool)> {
        let mut zones = self.zones.keys();
        let first = *zones.next()?;
        Some(if zones.next().is_some() { (Zone::UTC, true) } else { (first, false) })
    }

    /// Whether a moment had a fraction of a second.
    #[cfg(feature = "typed")]
    pub(crate) fn has_fraction(&self) -> bool {
        self.fraction.is_some_and(|(most, _)| most > 0)
    }

    fn has_all_digits(&self) -> bool {
        self.decimals.is_some_and(|(most, _)| most > number::MAX_DECIMALS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_of_numbers_without_text_are_those_that_tell_them_apart() {
        let of = |values: &[f64]| Facts::of(&Column { name: "x".into(), values: Values::Numbers(values.to_vec()) }).rounding();
        assert_eq!(of(&[1.0, 2.0, f64::NAN]), (Some(0), 0));
        assert_eq!(of(&[1.0, 0.25]), (Some(2), 0));
        assert_eq!(of(&[0.5, 1.0 / 3.0]), (None, 0));
    }
}
