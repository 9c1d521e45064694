//! What rows are asked for: `age in 30..40`, `sex = Female`.

use super::super::frame::{Table, Values};
use super::super::names;
use super::{BlockKind, Code, Encoder, Encoding, MAX_SCORE};
use crate::error::{Error, Result};

/// A test of one column, as a person writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    column: usize,
    name: String,
    test: Test,
}

/// What a condition leaves open in one block.
#[derive(Clone, Debug, PartialEq)]
pub enum Admissible {
    /// For each code of softmax block `block`, whether rows with it can satisfy the condition. Where "other" is admissible, so must the score be; where "rare" is, [`Encoder::decode_where`] draws the right word.
    Softmax {
        /// Position among [`Encoder::blocks`].
        block: usize,
        /// Of each code.
        codes: Vec<bool>,
    },
    /// The scores of scalar block `block` that satisfy the condition, as closed intervals; they count where the softmax before it says "other".
    Scalar {
        /// Position among [`Encoder::blocks`].
        block: usize,
        /// Rising and apart; empty if no score does.
        intervals: Vec<[f32; 2]>,
    },
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Missing,
    Present,
    /// Within one of the intervals; missing cells are not.
    Numbers(Vec<Interval>),
    /// One of the words, or none of them; missing cells satisfy neither.
    Words {
        words: Vec<String>,
        negated: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Interval {
    low: f64,
    high: f64,
    has_low: bool,
    has_high: bool,
}

impl Interval {
    fn is_below(&self, value: f64) -> bool {
        value > self.low || (self.has_low && value == self.low)
    }

    fn is_above(&self, value: f64) -> bool {
        value < self.high || (self.has_high && value == self.high)
    }

    fn contains(&self, value: f64) -> bool {
        self.is_below(value) && self.is_above(value)
    }
}

impl Condition {
    /// Reads `sex = Female`, `age != 30`, `age >= 30`, `age in 30..40` (ends included), `native-country in {Mexico, Canada}`, `income is missing` or `income is present`. Moments are written in the column's
    /// format or as `2024-12-31`. Names and words with spaces may stand in double quotes.
    ///
    /// # Errors
    /// [`Error::Config`] that names the nearest column or word, or says that no row can satisfy it.
    pub fn parse(text: &str, encoder: &Encoder) -> Result<Self> {
        let (column, rest) = column(text, encoder)?;
        let encoding = &encoder.columns[column];
        let unreadable = || {
            wrong(text, "cannot be read".into(), "write for example 'age in 30..40', 'sex = Female', 'country in {A, B}', 'x is missing'")
        };
        let numeric = match &encoding.code {
            Code::Numeric(_) => true,
            Code::Category(_) => false,
            Code::Identifier(_) => return Err(wrong(text, "identifiers are made anew".into(), "ask for other columns")),
            Code::Constant(_) => return Err(wrong(text, "the column is the same in all rows".into(), "leave the condition out")),
        };
        let rest = rest.trim();
        let test = if let Some(word) = rest.strip_prefix("is ") {
            match word.trim() {
                "missing" => Test::Missing,
                "present" | "not missing" => Test::Present,
                _ => return Err(unreadable()),
            }
        } else if let Some(set) = rest.strip_prefix("in ") {
            let set = set.trim();
            match (set.strip_prefix('{').and_then(|s| s.strip_suffix('}')), set.split_once("..")) {
                (Some(list), _) => one_of(text, encoding, &listed(list).into_iter().map(unquoted).collect::<Vec<_>>(), false)?,
                (None, Some((low, high))) if numeric => {
                    let (low, high) = (number(text, encoding, low)?, number(text, encoding, high)?);
                    Test::Numbers(vec![Interval { low, high, has_low: true, has_high: true }])
                }
                _ => return Err(unreadable()),
            }
        } else {
            let sign = ["==", "!=", ">=", "<=", "=", ">", "<"].into_iter().find(|s| rest.starts_with(s)).ok_or_else(unreadable)?;
            let value = unquoted(&rest[sign.len()..]);
            match sign {
                "=" | "==" => one_of(text, encoding, &[value], false)?,
                "!=" => one_of(text, encoding, &[value], true)?,
                _ if !numeric => return Err(wrong(text, "words have no order".into(), "use = or in {..}")),
                _ => Test::Numbers(vec![half_line(sign, number(text, encoding, value)?)]),
            }
        };
        let condition = Self { column, name: encoding.schema.name.clone(), test };
        condition.require_rows(text, encoder)?;
        Ok(condition)
    }

    /// Position of its column among [`Encoder::columns`].
    pub fn column(&self) -> usize {
        self.column
    }

    /// What it leaves open in the blocks of its column; nothing is said of blocks that are free.
    pub fn admissible(&self, encoder: &Encoder) -> Vec<Admissible> {
        let Some(encoding) = encoder.columns.get(self.column) else { return Vec::new() };
        let intervals = self.intervals(encoding);
        let blocks = encoder.blocks();
        let own = blocks.iter().enumerate().filter(|(_, b)| b.column == self.column);
        own.map(|(block, b)| match b.kind {
            BlockKind::Softmax { .. } => Admissible::Softmax { block, codes: self.codes(encoding, !intervals.is_empty()) },
            BlockKind::Scalar => Admissible::Scalar { block, intervals: intervals.clone() },
        })
        .collect()
    }

    /// Whether a row of a table satisfies it, exactly. A table without the column does not.
    pub fn satisfied(&self, table: &Table, row_idx: usize) -> bool {
        table.column(&self.name).is_some_and(|c| self.holds(&c.values, row_idx))
    }

    /// [`Self::satisfied`] for all rows.
    pub fn satisfied_rows(&self, table: &Table) -> Vec<bool> {
        let values = table.column(&self.name).map(|c| &c.values);
        (0..table.n_rows()).map(|row| values.is_some_and(|v| self.holds(v, row))).collect()
    }

    /// Whether a word satisfies it.
    pub(super) fn allows_word(&self, word: &str) -> bool {
        match &self.test {
            Test::Words { words, negated } => words.iter().any(|w| w == word) != *negated,
            _ => true,
        }
    }

    fn holds(&self, values: &Values, row: usize) -> bool {
        let is_missing = values.is_missing(row);
        match &self.test {
            Test::Missing => is_missing,
            Test::Present => !is_missing,
            Test::Numbers(intervals) => values.number(row).is_some_and(|v| intervals.iter().any(|i| i.contains(v))),
            Test::Words { .. } => values.word(row).is_some_and(|w| self.allows_word(w)),
        }
    }

    fn codes(&self, encoding: &Encoding, allows_other: bool) -> Vec<bool> {
        let (mut codes, has_missing): (Vec<bool>, bool) = match &encoding.code {
            Code::Numeric(code) => {
                let allows = |atom: &f64| match &self.test {
                    Test::Numbers(intervals) => intervals.iter().any(|i| i.contains(*atom)),
                    test => *test == Test::Present,
                };
                (code.atoms.iter().map(allows).chain(code.other().map(|_| allows_other)).collect(), code.has_missing)
            }
            Code::Category(code) => {
                let allows = |word: &str| self.test != Test::Missing && self.allows_word(word);
                let rare = code.rare().map(|_| code.pool().any(allows));
                (code.words.iter().map(|w| allows(w)).chain(rare).collect(), code.has_missing)
            }
            Code::Identifier(_) | Code::Constant(_) => return Vec::new(),
        };
        codes.extend(has_missing.then_some(self.test == Test::Missing));
        codes
    }

    fn intervals(&self, encoding: &Encoding) -> Vec<[f32; 2]> {
        let Code::Numeric(code) = &encoding.code else { return Vec::new() };
        let Some(other) = code.other() else { return Vec::new() };
        match &self.test {
            Test::Missing | Test::Words { .. } => Vec::new(),
            Test::Present => vec![[-MAX_SCORE, MAX_SCORE]],
            Test::Numbers(intervals) => {
                let scores = |interval: &Interval| {
                    let low = first_score(|v| interval.is_below(code.decode(other, v)))?;
                    // The last score before the first that is above.
                    let high = match first_score(|v| !interval.is_above(code.decode(other, v))) {
                        Some(beyond) => before(beyond)?,
                        None => MAX_SCORE,
                    };
                    (low <= high).then_some([low, high])
                };
                let mut found: Vec<[f32; 2]> = intervals.iter().filter_map(scores).collect();
                found.sort_by(|a, b| a[0].total_cmp(&b[0]));
                found
            }
        }
    }

    fn require_rows(&self, text: &str, encoder: &Encoder) -> Result<()> {
        let encoding = &encoder.columns[self.column];
        if self.codes(encoding, !self.intervals(encoding).is_empty()).contains(&true) {
            return Ok(());
        }
        match &encoding.code {
            _ if self.test == Test::Missing => {
                Err(wrong(text, "no cell of the column was missing in training".into(), "leave the condition out"))
            }
            Code::Numeric(code) => {
                let ends = code.grid.as_ref().map(|g| g.range()).into_iter().flatten().chain(code.atoms.iter().copied());
                let (low, high) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
                let writer = super::super::cell::CellWriter::new(&encoding.schema);
                let shown = |v: f64| {
                    let mut out = String::new();
                    writer.write(&Values::Numbers(vec![v]), 0, &mut out);
                    out
                };
                Err(wrong(
                    text,
                    format!("no row can satisfy it: the column goes from {} to {}", shown(low), shown(high)),
                    "ask for values inside",
                ))
            }
            _ => Err(wrong(text, "no row can satisfy it".into(), "ask for words that there are")),
        }
    }
}

/// The least score in [-MAX_SCORE, MAX_SCORE] at which a test, which stays true once it is, is true: by halving over all floating-point numbers.
fn first_score(is_true: impl Fn(f32) -> bool) -> Option<f32> {
    if is_true(-MAX_SCORE) {
        return Some(-MAX_SCORE);
    }
    if !is_true(MAX_SCORE) {
        return None;
    }
    let (mut low, mut high) = (ordered(-MAX_SCORE), ordered(MAX_SCORE));
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if is_true(unordered(middle)) { high = middle } else { low = middle }
    }
    Some(unordered(high))
}

/// The next lower score.
fn before(score: f32) -> Option<f32> {
    (score > -MAX_SCORE).then(|| unordered(ordered(score) - 1))
}

/// Whole numbers in the order of the floating-point numbers.
fn ordered(value: f32) -> i64 {
    let bits = i64::from(value.to_bits());
    if value.is_sign_negative() { (1 << 31) - bits } else { bits }
}

fn unordered(number: i64) -> f32 {
    f32::from_bits(if number < 0 { ((1i64 << 31) - number) as u32 } else { number as u32 })
}

/// The column that the text begins with, and the rest.
fn column<'a>(text: &'a str, encoder: &Encoder) -> Result<(usize, &'a str)> {
    let text = text.trim();
    if let Some((name, rest)) = text.strip_prefix('"').and_then(|t| t.split_once('"'))
        && let Some(i) = encoder.columns().position(|c| c.name == name)
    {
        return Ok((i, rest));
    }
    let ends_name = |rest: &str| rest.starts_with(|c: char| c.is_whitespace() || "=!<>".contains(c));
    let fits = encoder
        .columns()
        .enumerate()
        .filter_map(|(i, c)| text.strip_prefix(c.name.as_str()).filter(|r| ends_name(r)).map(|r| (i, c.name.len(), r)));
    if let Some((i, _, rest)) = fits.max_by_key(|(_, length, _)| *length) {
        return Ok((i, rest));
    }
    let name = text.split([' ', '=', '!', '<', '>']).next().unwrap_or_default();
    let hint = names::hint(name, encoder.columns().map(|c| c.name.as_str()));
    Err(wrong(text, format!("there is no column \"{name}\""), &hint))
}

fn one_of(text: &str, encoding: &Encoding, values: &[&str], negated: bool) -> Result<Test> {
    if let Code::Category(code) = &encoding.code {
        if let Some(unknown) = values.iter().find(|v| !code.names().any(|n| n == **v)) {
            let hint = names::hint(unknown, code.names());
            let problem = format!("column \"{}\" has no word \"{unknown}\" that at least a handful of rows hold", encoding.schema.name);
            return Err(wrong(text, problem, &hint));
        }
        return Ok(Test::Words { words: values.iter().map(|v| (*v).to_owned()).collect(), negated });
    }
    let mut points = values.iter().map(|v| number(text, encoding, v)).collect::<Result<Vec<f64>>>()?;
    points.sort_by(f64::total_cmp);
    points.dedup();
    if !negated {
        return Ok(Test::Numbers(points.into_iter().map(|p| Interval { low: p, high: p, has_low: true, has_high: true }).collect()));
    }
    let mut ends = vec![f64::NEG_INFINITY];
    ends.extend(points);
    ends.push(f64::INFINITY);
    Ok(Test::Numbers(ends.windows(2).map(|w| Interval { low: w[0], high: w[1], has_low: false, has_high: false }).collect()))
}

fn half_line(sign: &str, value: f64) -> Interval {
    let all = Interval { low: f64::NEG_INFINITY, high: f64::INFINITY, has_low: true, has_high: true };
    match sign {
        ">=" => Interval { low: value, ..all },
        ">" => Interval { low: value, has_low: false, ..all },
        "<=" => Interval { high: value, ..all },
        _ => Interval { high: value, has_high: false, ..all },
    }
}

fn number(text: &str, encoding: &Encoding, value: &str) -> Result<f64> {
    let value = unquoted(value);
    encoding.schema.parse(value).ok_or_else(|| {
        let what = if encoding.schema.format.is_some() { "a moment in the format of the column" } else { "a number" };
        wrong(
            text,
            format!("\"{value}\" is not {what}"),
            &format!("column \"{}\" is {}", encoding.schema.name, encoding.schema.kind.name()),
        )
    })
}

/// The parts between commas outside of quotes.
fn listed(text: &str) -> Vec<&str> {
    let mut is_inside = false;
    text.split(|c| {
        is_inside ^= c == '"';
        c == ',' && !is_inside
    })
    .collect()
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text)
}

fn wrong(text: &str, problem: String, remedy: &str) -> Error {
    Error::config(format!("--where '{}'", text.trim()), problem, remedy)
}
