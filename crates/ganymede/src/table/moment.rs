//! Dates and times as text, in the formats that people use.

use super::calendar::{civil_from_days, days_from_civil, days_in};
use crate::error::{Error, Result};

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
/// Double precision keeps microseconds of our century, not nanoseconds.
pub(crate) const MAX_FRACTION: u8 = 6;

/// How a column writes its moments, with the directives of `strftime`: `%Y %m %d %b %B %H %I %p %M %S %z`, `%-m %-d %-H %-I` without leading zero, `%.f` and `%.3f` for fractions of a second.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Format {
    text: String,
    items: Vec<Item>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Item {
    Year,
    Month { is_padded: bool },
    MonthShort,
    MonthLong,
    Day { is_padded: bool },
    Hour { is_padded: bool },
    HalfDayHour { is_padded: bool },
    HalfDay,
    Minute,
    Second,
    Fraction { digits: Option<u8> },
    Zone,
    Literal(char),
}

/// A moment read from text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moment {
    /// Seconds since 1970-01-01T00:00:00 UTC; without a zone the text is taken as UTC, without a date as of that day.
    pub seconds: f64,
    /// Digits of the fraction of a second.
    pub fraction: u8,
    /// The zone as written.
    pub zone: Option<Zone>,
}

/// An offset from UTC, as written: `Z`, `+01:00`, `+0100` or `+01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Zone {
    minutes: i16,
    style: Style,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Style {
    Zulu,
    Colon,
    Compact,
    Hours,
}

impl Zone {
    /// UTC, written `Z`.
    pub(crate) const UTC: Self = Self { minutes: 0, style: Style::Zulu };

    /// Reads a zone that makes up the whole text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.as_bytes();
        let zone = Self::take(&mut rest)?;
        rest.is_empty().then_some(zone)
    }

    fn take(rest: &mut &[u8]) -> Option<Self> {
        let (first, mut after) = rest.split_first()?;
        if *first == b'Z' {
            *rest = after;
            return Some(Self::UTC);
        }
        let sign = match first {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = digits(&mut after, 2, 2)?;
        let (minutes, style) = match after {
            [b':', tail @ ..] => {
                after = tail;
                (digits(&mut after, 2, 2)?, Style::Colon)
            }
            [b'0'..=b'9', ..] => (digits(&mut after, 2, 2)?, Style::Compact),
            _ => (0, Style::Hours),
        };
        *rest = after;
        (hours <= 15 && minutes < 60).then_some(Self { minutes: sign * (hours * 60 + minutes) as i16, style })
    }

    /// As it is written.
    pub(crate) fn text(self) -> String {
        let (sign, minutes) = (if self.minutes < 0 { '-' } else { '+' }, self.minutes.unsigned_abs());
        match self.style {
            Style::Zulu => "Z".to_owned(),
            Style::Colon => format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60),
            Style::Compact => format!("{sign}{:02}{:02}", minutes / 60, minutes % 60),
            Style::Hours => format!("{sign}{:02}", minutes / 60),
        }
    }
}

impl Format {
    /// Reads a format.
    ///
    /// # Errors
    /// [`Error::Config`] that shows the directive that is not known.
    pub(crate) fn new(text: &str) -> Result<Self> {
        let unknown = |directive: &str| {
            let remedy = "use %Y %m %d %b %B %H %I %p %M %S %.f %z, or %-m %-d %-H %-I without leading zero";
            Error::config("format", format!("\"{text}\" holds \"{directive}\""), remedy)
        };
        let mut items = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                items.push(Item::Literal(c));
                continue;
            }
            let directive: String = match rest.next() {
                Some('-') => ['-'].into_iter().chain(rest.next()).collect(),
                Some('.') => {
                    let digits: String = rest.by_ref().take_while(|c| *c != 'f').collect();
                    format!(".{digits}f")
                }
                Some(c) => c.to_string(),
                None => return Err(unknown("%")),
            };
            items.push(directive_item(&directive).ok_or_else(|| unknown(&format!("%{directive}")))?);
        }
        if !items.iter().any(|item| !matches!(item, Item::Literal(_) | Item::Zone | Item::HalfDay)) {
            return Err(unknown("no date and no time"));
        }
        Ok(Self { text: text.to_owned(), items })
    }

    /// The format as text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The smallest step in seconds: a day, a minute, a second or a fraction of it.
    pub(crate) fn step(&self) -> f64 {
        let has = |wanted: fn(&Item) -> bool| self.items.iter().any(wanted);
        match self.items.iter().find_map(|item| if let Item::Fraction { digits } = item { Some(*digits) } else { None }) {
            Some(digits) => 10f64.powi(-i32::from(digits.unwrap_or(MAX_FRACTION))),
            None if has(|i| matches!(i, Item::Second)) => 1.0,
            None if has(|i| matches!(i, Item::Minute)) => 60.0,
            None if has(|i| matches!(i, Item::Hour { .. } | Item::HalfDayHour { .. })) => 3600.0,
            None => 86_400.0,
        }
    }

    /// Whether it names a day.
    #[cfg(any(feature = "arrow", feature = "parquet"))]
    pub(crate) fn has_date(&self) -> bool {
        self.items.iter().any(|i| matches!(i, Item::Day { .. }))
    }

    /// Whether it names a time of the day.
    #[cfg(any(feature = "arrow", feature = "parquet"))]
    pub(crate) fn has_time(&self) -> bool {
        self.items.iter().any(|i| matches!(i, Item::Hour { .. } | Item::HalfDayHour { .. }))
    }

    /// Reads a text that is exactly in this format. A fraction of a second may have any number of digits up to nine, also none.
    pub(crate) fn parse(&self, text: &str) -> Option<Moment> {
        let mut rest = text.as_bytes();
        let (mut year, mut month, mut day, mut hour, mut minute, mut second) = (1970i64, 1u32, 1u32, 0u32, 0u32, 0u32);
        let (mut fraction, mut n_fraction, mut zone, mut is_afternoon) = (0.0, 0u8, None, None);
        for item in &self.items {
            match *item {
                Item::Year => year = i64::from(digits(&mut rest, 4, 4)?),
                Item::Month { is_padded } => month = field(&mut rest, is_padded)?,
                Item::MonthShort => month = month_name(&mut rest, Some(3))?,
                Item::MonthLong => month = month_name(&mut rest, None)?,
                Item::Day { is_padded } => day = field(&mut rest, is_padded)?,
                Item::Hour { is_padded } => hour = field(&mut rest, is_padded)?,
                Item::HalfDayHour { is_padded } => hour = field(&mut rest, is_padded).filter(|h| (1..=12).contains(h))?,
                Item::HalfDay => is_afternoon = Some(half_day(&mut rest)?),
                Item::Minute => minute = digits(&mut rest, 2, 2)?,
                Item::Second => second = digits(&mut rest, 2, 2)?,
                Item::Fraction { .. } => (fraction, n_fraction) = take_fraction(&mut rest)?,
                Item::Zone => zone = Some(Zone::take(&mut rest)?),
                Item::Literal(c) => rest = rest.strip_prefix(c.encode_utf8(&mut [0; 4]).as_bytes())?,
            }
        }
        if let Some(is_afternoon) = is_afternoon {
            hour = hour % 12 + if is_afternoon { 12 } else { 0 };
        }
        if !rest.is_empty() || day == 0 || day > days_in(year, month)? || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let whole = days_from_civil(year, month, day) * 86_400 + i64::from(hour * 3600 + minute * 60 + second)
            - zone.map_or(0, |z: Zone| i64::from(z.minutes) * 60);
        Some(Moment { seconds: whole as f64 + fraction, fraction: n_fraction, zone })
    }

    /// Appends the moment, seen from `zone` (UTC if none).
    pub(crate) fn write(&self, seconds: f64, zone: Option<Zone>, out: &mut String) {
        use std::fmt::Write;
        let offset = zone.map_or(0.0, |z| f64::from(z.minutes) * 60.0);
        // Years 0001 to 9999, which is what the formats can hold.
        let micros = ((seconds + offset).clamp(-62_135_596_800.0, 253_402_300_799.0) * 1e6).round() as i64;
        let step = (self.step() * 1e6).round() as i64;
        let micros = (micros + step / 2).div_euclid(step) * step;
        let (days, in_day) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
        let (year, month, day) = civil_from_days(days);
        let (second, micro) = (in_day / 1_000_000, in_day % 1_000_000);
        let (hour, minute) = (second / 3600, second / 60 % 60);
        for item in &self.items {
            // Writing to a string does not fail.
            let _ = match *item {
                Item::Year => write!(out, "{year:04}"),
                Item::Month { is_padded } => number(out, i64::from(month), is_padded),
                Item::MonthShort => write!(out, "{}", &MONTHS[month as usize - 1][..3]),
                Item::MonthLong => write!(out, "{}", MONTHS[month as usize - 1]),
                Item::Day { is_padded } => number(out, i64::from(day), is_padded),
                Item::Hour { is_padded } => number(out, hour, is_padded),
                Item::HalfDayHour { is_padded } => number(out, (hour + 11) % 12 + 1, is_padded),
                Item::HalfDay => write!(out, "{}", if hour < 12 { "AM" } else { "PM" }),
                Item::Minute => write!(out, "{minute:02}"),
                Item::Second => write!(out, "{:02}", second % 60),
                Item::Fraction { digits } => {
                    write_fraction(out, micro, digits);
                    Ok(())
                }
                Item::Zone => write!(out, "{}", zone.unwrap_or(Zone::UTC).text()),
                Item::Literal(c) => write!(out, "{c}"),
            };
        }
    }

    /// This format with exactly `digits` digits of a second's fraction where it has a fraction.
    pub(crate) fn with_fraction(&self, digits: u8) -> Self {
        let digits = digits.min(MAX_FRACTION);
        let text = self.text.replace("%.f", &format!("%.{digits}f"));
        Self::new(&text).unwrap_or_else(|_| self.clone())
    }
}

/// All formats that are recognised without a schema, those that say more about a text first.
pub(crate) fn recognised() -> Vec<Format> {
    const DATES: [&str; 21] = [
        "%Y-%m-%d",
        "%Y/%m/%d",
        "%Y.%m.%d",
        "%d.%m.%Y",
        "%-d.%-m.%Y",
        "%d/%m/%Y",
        "%m/%d/%Y",
        "%-d/%-m/%Y",
        "%-m/%-d/%Y",
        "%d-%m-%Y",
        "%m-%d-%Y",
        "%-d-%-m-%Y",
        "%-m-%-d-%Y",
        "%d %b %Y",
        "%-d %b %Y",
        "%d-%b-%Y",
        "%d %B %Y",
        "%-d %B %Y",
        "%b %d, %Y",
        "%b %-d, %Y",
        "%B %-d, %Y",
    ];
    const TIMES: [&str; 8] = ["%H:%M", "%-H:%M", "%H:%M:%S", "%-H:%M:%S", "%H:%M:%S%.f", "%-I:%M %p", "%I:%M %p", "%-I:%M:%S %p"];
    let mut texts: Vec<String> = DATES.iter().chain(&TIMES).map(|t| (*t).to_owned()).collect();
    for date in DATES {
        for time in TIMES {
            texts.extend([" ", "T", ", "].iter().flat_map(|gap| ["", "%z", " %z"].map(|zone| format!("{date}{gap}{time}{zone}"))));
        }
    }
    texts.iter().filter_map(|text| Format::new(text).ok()).collect()
}

fn directive_item(directive: &str) -> Option<Item> {
    Some(match directive {
        "Y" => Item::Year,
        "m" => Item::Month { is_padded: true },
        "-m" => Item::Month { is_padded: false },
        "b" => Item::MonthShort,
        "B" => Item::MonthLong,
        "d" => Item::Day { is_padded: true },
        "-d" => Item::Day { is_padded: false },
        "H" => Item::Hour { is_padded: true },
        "-H" => Item::Hour { is_padded: false },
        "I" => Item::HalfDayHour { is_padded: true },
        "-I" => Item::HalfDayHour { is_padded: false },
        "p" => Item::HalfDay,
        "M" => Item::Minute,
        "S" => Item::Second,
        "z" => Item::Zone,
        "%" => Item::Literal('%'),
        ".f" => Item::Fraction { digits: None },
        _ => {
            let digits = directive.strip_prefix('.')?.strip_suffix('f')?.parse().ok()?;
            if digits > MAX_FRACTION {
                return None;
            }
            Item::Fraction { digits: Some(digits) }
        }
    })
}

/// Takes `least` to `most` digits.
fn digits(rest: &mut &[u8], least: usize, most: usize) -> Option<u32> {
    let n = rest.iter().take(most).take_while(|b| b.is_ascii_digit()).count();
    if n < least {
        return None;
    }
    let (taken, after) = rest.split_at(n);
    *rest = after;
    Some(taken.iter().fold(0, |value, b| value * 10 + u32::from(b - b'0')))
}

/// A field of two digits, or of one or two without leading zero.
fn field(rest: &mut &[u8], is_padded: bool) -> Option<u32> {
    if is_padded {
        return digits(rest, 2, 2);
    }
    let has_leading_zero = matches!(rest, [b'0', b'0'..=b'9', ..]);
    if has_leading_zero { None } else { digits(rest, 1, 2) }
}

fn month_name(rest: &mut &[u8], length: Option<usize>) -> Option<u32> {
    for (i, name) in MONTHS.iter().enumerate() {
        let name = &name.as_bytes()[..length.unwrap_or(name.len())];
        // The case in which it is written: anything else would not be given back.
        if let Some(after) = rest.strip_prefix(name) {
            *rest = after;
            return Some(i as u32 + 1);
        }
    }
    None
}

fn half_day(rest: &mut &[u8]) -> Option<bool> {
    let is_afternoon = match rest.get(..2)? {
        b"AM" => false,
        b"PM" => true,
        _ => return None,
    };
    *rest = &rest[2..];
    Some(is_afternoon)
}

fn take_fraction(rest: &mut &[u8]) -> Option<(f64, u8)> {
    let Some(after) = rest.strip_prefix(b".") else { return Some((0.0, 0)) };
    let n = after.iter().take(10).take_while(|b| b.is_ascii_digit()).count();
    if n == 0 || n > 9 {
        return None;
    }
    let value = after[..n].iter().fold(0u32, |value, b| value * 10 + u32::from(b - b'0'));
    *rest = &after[n..];
    Some((f64::from(value) / 10f64.powi(n as i32), n as u8))
}

fn number(out: &mut String, value: i64, is_padded: bool) -> std::fmt::Result {
    use std::fmt::Write;
    if is_padded { write!(out, "{value:02}") } else { write!(out, "{value}") }
}

fn write_fraction(out: &mut String, micro: i64, digits: Option<u8>) {
    let text = format!("{micro:06}");
    let text = match digits {
        Some(digits) => &text[..usize::from(digits.min(MAX_FRACTION))],
        None => text.trim_end_matches('0'),
    };
    if !text.is_empty() {
        out.push('.');
        out.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(format: &str, text: &str) -> Option<f64> {
        Format::new(format).unwrap().parse(text).map(|m| m.seconds)
    }

    #[test]
    fn moments_have_the_seconds_that_the_date_program_gives() {
        // date -u -d '...' +%s
        assert_eq!(seconds("%Y-%m-%d", "1970-01-01"), Some(0.0));
        assert_eq!(seconds("%Y-%m-%d", "2024-02-29"), Some(1_709_164_800.0));
        assert_eq!(seconds("%Y-%m-%d", "1900-03-01"), Some(-2_203_891_200.0));
        assert_eq!(seconds("%Y-%m-%dT%H:%M:%S%z", "2001-09-09T03:46:40+02:00"), Some(1_000_000_000.0));
        assert_eq!(seconds("%Y-%m-%d %H:%M:%S%.f", "2001-09-09 01:46:40.25"), Some(1_000_000_000.25));
        assert_eq!(seconds("%d/%m/%Y", "09/10/2001"), Some(1_002_585_600.0));
        assert_eq!(seconds("%-m/%-d/%Y %-I:%M %p", "9/9/2001 12:46 AM"), Some(999_996_360.0));
        assert_eq!(seconds("%b %d, %Y", "Sep 09, 2001"), Some(999_993_600.0));
        assert_eq!(seconds("%H:%M:%S", "01:00:01"), Some(3601.0));
    }

    #[test]
    fn days_that_are_not_in_the_calendar_are_no_moments() {
        for text in ["2023-02-29", "2023-13-01", "2023-00-01", "2023-01-32", "2023-1-01", "2023-01-01x", "23-01-01", ""] {
            assert_eq!(seconds("%Y-%m-%d", text), None, "{text}");
        }
        assert_eq!(seconds("%H:%M", "24:00"), None);
        assert_eq!(seconds("%-d/%-m/%Y", "01/2/2020"), None);
    }

    #[test]
    fn formats_with_unknown_parts_are_refused() {
        for text in ["%Y-%q", "%", "plain", "%.9f", "%z"] {
            assert!(Format::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn zones_are_written_as_they_were_read() {
        for text in ["Z", "+02:00", "-0330", "+01"] {
            assert_eq!(Zone::parse(text).unwrap().text(), text);
        }
        assert_eq!(Zone::parse("+25:00"), None);
        assert_eq!(Zone::parse("UTC"), None);
    }

    proptest! {
        #[test]
        fn every_recognised_format_gives_its_text_back(second in -2_000_000_000i64..4_000_000_000, which in 0usize..1000) {
            let formats = recognised();
            let format = &formats[which % formats.len()];
            let zone = format.text().contains("%z").then(|| Zone::parse("-03:30").unwrap());
            let mut text = String::new();
            format.write(second as f64, zone, &mut text);
            let read = format.parse(&text);
            prop_assert!(read.is_some(), "{} does not read {}", format.text(), text);
            let mut again = String::new();
            format.write(read.unwrap().seconds, zone, &mut again);
            prop_assert_eq!(text, again);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,24}", which in 0usize..1000) {
            let formats = recognised();
            let _ = formats[which % formats.len()].parse(&text);
        }
    }
}
