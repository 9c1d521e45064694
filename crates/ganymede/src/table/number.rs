//! Numbers as text: read so that writing gives the text back.

/// More decimals than this are taken as the digits of a binary fraction: such numbers are kept in full.
pub(crate) const MAX_DECIMALS: u8 = 9;

/// A number read from text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number {
    /// Its value; infinite where the text says so or is too large.
    pub value: f64,
    /// Digits after the decimal point; more than [`MAX_DECIMALS`] where there is an exponent.
    pub decimals: u8,
}

/// Reads `-12.50` with the decimal mark `mark`, an exponent allowed. Texts that a number would not give back are no numbers: leading zeros (`007`), a plus sign, and whole numbers of more than 15 digits.
pub(crate) fn parse(text: &str, mark: u8) -> Option<Number> {
    let bytes = text.as_bytes();
    let is_negative = bytes.first() == Some(&b'-');
    let digits = &bytes[usize::from(is_negative)..];
    let (mut mantissa, mut n_whole, mut n_fraction, mut is_fraction) = (0u64, 0usize, 0usize, false);
    for (i, &byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                mantissa = mantissa.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
                *(if is_fraction { &mut n_fraction } else { &mut n_whole }) += 1;
            }
            _ if byte == mark && !is_fraction => is_fraction = true,
            b'e' | b'E' if i > 0 && n_whole + n_fraction > 0 => return with_exponent(text, mark),
            _ => return infinity(text),
        }
    }
    let has_leading_zero = n_whole > 1 && digits[0] == b'0';
    if n_whole + n_fraction == 0 || has_leading_zero || (!is_fraction && n_whole > 15) {
        return None;
    }
    let value = if n_whole + n_fraction <= 15 {
        // Both are exact in double precision, so the quotient is the number nearest to the text.
        mantissa as f64 / 10f64.powi(n_fraction as i32) * if is_negative { -1.0 } else { 1.0 }
    } else {
        plain(text, mark)?
    };
    Some(Number { value, decimals: u8::try_from(n_fraction).unwrap_or(u8::MAX) })
}

/// Appends `value`: rounded to `decimals` if given, with at least `least` of them; otherwise with as many as tell it from its neighbours. `mark` is the decimal mark.
pub(crate) fn write(value: f64, decimals: Option<u8>, least: u8, mark: char, out: &mut String) {
    use std::fmt::Write;
    let start = out.len();
    let scaled = decimals.filter(|d| *d <= MAX_DECIMALS).map(|d| (value * 10f64.powi(i32::from(d))).round()).filter(|s| s.abs() < 9e15);
    // Writing to a string does not fail.
    let _ = match decimals {
        // Whole numbers are written much faster than fractions, and exactly.
        Some(decimals) if scaled.is_some() => fixed(scaled.unwrap_or_default() as i64, decimals, out),
        Some(decimals) => write!(out, "{value:.*}", usize::from(decimals)),
        None if value != 0.0 && !(1e-5..1e15).contains(&value.abs()) => write!(out, "{value:e}"),
        None => write!(out, "{value}"),
    };
    if let (Some(decimals), Some(point)) = (decimals, out[start..].find('.')) {
        let keep = if least == 0 { start + point } else { start + point + 1 + usize::from(least.min(decimals)) };
        let zeros = out[keep..].bytes().rev().take_while(|b| *b == b'0').count();
        out.truncate((out.len() - zeros).max(keep));
        if out.ends_with('.') {
            out.pop();
        }
    }
    if out[start..].starts_with('-') && out[start..].bytes().all(|b| matches!(b, b'-' | b'0' | b'.')) {
        out.remove(start);
    }
    if mark != '.' {
        let text = out.split_off(start).replace('.', mark.encode_utf8(&mut [0; 4]));
        out.push_str(&text);
    }
}

/// A whole number with the point `decimals` digits from its end.
fn fixed(scaled: i64, decimals: u8, out: &mut String) -> std::fmt::Result {
    use std::fmt::Write;
    if decimals == 0 {
        return write!(out, "{scaled}");
    }
    let unit = 10u64.pow(u32::from(decimals));
    let sign = if scaled < 0 { "-" } else { "" };
    let digits = scaled.unsigned_abs();
    write!(out, "{sign}{}.{:0width$}", digits / unit, digits % unit, width = usize::from(decimals))
}

fn plain(text: &str, mark: u8) -> Option<f64> {
    if mark == b'.' { text.parse().ok() } else { text.replace(mark as char, ".").parse().ok() }
}

fn with_exponent(text: &str, mark: u8) -> Option<Number> {
    let has_foreign = text.bytes().any(|b| !(b.is_ascii_digit() || b == mark || matches!(b, b'-' | b'+' | b'e' | b'E')));
    if has_foreign {
        return None;
    }
    plain(text, mark).map(|value| Number { value, decimals: u8::MAX })
}

fn infinity(text: &str) -> Option<Number> {
    let (sign, word) = text.strip_prefix('-').map_or((1.0, text), |word| (-1.0, word));
    let is_infinity = ["inf", "infinity"].iter().any(|name| word.eq_ignore_ascii_case(name));
    is_infinity.then_some(Number { value: sign * f64::INFINITY, decimals: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str) -> Option<(f64, u8)> {
        parse(text, b'.').map(|n| (n.value, n.decimals))
    }

    fn text(value: f64, decimals: Option<u8>, least: u8) -> String {
        let mut out = String::new();
        write(value, decimals, least, '.', &mut out);
        out
    }

    #[test]
    fn numbers_are_told_from_texts_of_digits() {
        assert_eq!(value("12"), Some((12.0, 0)));
        assert_eq!(value("-0.50"), Some((-0.5, 2)));
        assert_eq!(value(".5"), Some((0.5, 1)));
        assert_eq!(value("0"), Some((0.0, 0)));
        assert_eq!(value("1e-7"), Some((1e-7, u8::MAX)));
        assert_eq!(value("0.30000000000000004"), Some((0.30000000000000004, 17)));
        assert_eq!(value("-inf"), Some((f64::NEG_INFINITY, 0)));
        assert_eq!(value("1e999").map(|n| n.0), Some(f64::INFINITY));
        for text in
            ["", "-", ".", "007", "+49", "1,5", "0x10", "1 000", "1_000", "12a", "1234567890123456", "--1", "1.2.3", "e5", "1-2", "nan"]
        {
            assert_eq!(value(text), None, "{text}");
        }
        assert_eq!(parse("1,25", b','), Some(Number { value: 1.25, decimals: 2 }));
        assert_eq!(parse("1.25", b','), None);
    }

    #[test]
    fn written_numbers_have_the_decimals_asked_for() {
        assert_eq!(text(20000.0, Some(1), 1), "20000.0");
        assert_eq!(text(0.3, Some(2), 0), "0.3");
        assert_eq!(text(0.25, Some(2), 1), "0.25");
        assert_eq!(text(1.0, Some(2), 0), "1");
        assert_eq!(text(100.0, Some(0), 0), "100");
        assert_eq!(text(-0.001, Some(2), 0), "0");
        assert_eq!(text(-0.001, Some(2), 2), "0.00");
        assert_eq!(text(1e-7, None, 0), "1e-7");
        assert_eq!(text(0.1, None, 0), "0.1");
        let mut out = "x".to_owned();
        write(1.5, Some(2), 2, ',', &mut out);
        assert_eq!(out, "x1,50");
    }

    proptest! {
        #[test]
        fn decimals_survive_reading_and_writing(whole in -99_999_999i64..99_999_999, decimals in 0u8..7) {
            let value = whole as f64 / 10f64.powi(i32::from(decimals));
            let written = text(value, Some(decimals), decimals);
            let read = parse(&written, b'.').unwrap();
            prop_assert_eq!((read.value, read.decimals), (value, decimals));
        }

        #[test]
        fn every_finite_number_survives_in_full(value in proptest::num::f64::NORMAL) {
            prop_assert_eq!(parse(&text(value, None, 0), b'.').map(|n| n.value), Some(value));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,12}") {
            let _ = parse(&text, b'.');
            let _ = parse(&text, b',');
        }
    }
}
