//! What each column of a table is, found in its values.

use std::collections::HashSet;

use rayon::prelude::*;

use super::facts::Facts;
use super::frame::{Column, Table, Values};
use super::moment::Format;
use super::number;
use super::pattern::Pattern;
use super::schema::{ColumnSchema, Kind, Schema};

/// Words and values are counted up to this number.
const MAX_COUNTED: usize = 100_000;
/// Texts that a pattern is looked for in.
const N_PATTERN_TEXTS: usize = 10_000;

/// A column as it came from a file.
#[derive(Debug)]
pub(crate) struct Read {
    pub column: Column,
    pub facts: Facts,
}

/// A table with its schema.
pub(crate) struct Inferred {
    pub table: Table,
    pub schema: Schema,
    pub reasons: Vec<String>,
    pub notes: Vec<String>,
}

/// The schema of a table that was not read from a file, and for each column one line that says why.
pub fn infer(table: &Table) -> (Schema, Vec<String>) {
    let found: Vec<_> = table.columns.par_iter().map(|c| describe(c, &Facts::of(c), None)).collect();
    let (columns, reasons) = found.into_iter().unzip();
    (Schema { columns, constraints: Vec::new() }, reasons)
}

/// The schema of columns that were read: the one given, completed, or the one found.
pub(crate) fn complete(columns: Vec<Read>, given: Option<&Schema>) -> Inferred {
    let found: Vec<(ColumnSchema, String)> =
        columns.par_iter().map(|read| describe(&read.column, &read.facts, given.and_then(|s| s.column(&read.column.name)))).collect();
    let mut notes: Vec<String> = columns.iter().zip(&found).flat_map(|(read, (schema, _))| notes(read, schema)).collect();
    notes.extend(
        found
            .iter()
            .filter(|(c, _)| c.kind == Kind::Identifier)
            .map(|(c, _)| format!("column \"{}\" identifies rows; it is made anew, not learned", c.name)),
    );
    let (schema, reasons) = match given {
        None => {
            let (columns, reasons) = found.into_iter().unzip();
            (Schema { columns, constraints: Vec::new() }, reasons)
        }
        Some(given) => {
            let mut found: std::collections::HashMap<String, (ColumnSchema, String)> =
                found.into_iter().map(|f| (f.0.name.clone(), f)).collect();
            let full = given.columns.iter().map(|c| found.remove(&c.name).unwrap_or_else(|| (c.clone(), format!("{}: left out", c.name))));
            let (columns, reasons) = full.unzip();
            (Schema { columns, constraints: given.constraints.clone() }, reasons)
        }
    };
    Inferred { table: Table { columns: columns.into_iter().map(|r| r.column).collect() }, schema, reasons, notes }
}

/// One column: its schema, and one line that says why. What `given` says is kept.
fn describe(column: &Column, facts: &Facts, given: Option<&ColumnSchema>) -> (ColumnSchema, String) {
    let (mut schema, reason) = match &column.values {
        Values::Numbers(values) => numbers(&column.name, values, facts),
        Values::Categories { codes, words } => categories(&column.name, codes, words),
    };
    let (decimals, least_decimals) = facts.rounding();
    if schema.kind == Kind::Real {
        (schema.decimals, schema.least_decimals) = (decimals, least_decimals);
    }
    schema.decimal_comma = facts.decimal_comma;
    if let Some(format) = facts.written_format() {
        schema.format = Some(format.text().to_owned());
        schema.zone = facts.zone().map(|(zone, _)| zone.text());
    }
    let marks = facts.marks.by_frequency();
    if marks.iter().any(|m| !m.is_empty()) {
        schema.missing = marks;
    }
    let n_missing = facts.marks.n();
    let missing = if n_missing > 0 { format!("; {} missing", counted(n_missing)) } else { String::new() };
    let reason = format!("{}: {reason}{missing}", column.name);
    match given {
        Some(given) => (merged(given, schema), reason),
        None => (schema, reason),
    }
}

/// What the schema says goes before what was found.
fn merged(given: &ColumnSchema, found: ColumnSchema) -> ColumnSchema {
    let is_same = given.kind == found.kind;
    ColumnSchema {
        decimals: given.decimals.or(if is_same { found.decimals } else { None }),
        least_decimals: if given.decimals.is_some() || !is_same { given.least_decimals } else { found.least_decimals },
        format: given.format.clone().or(if given.kind == Kind::Datetime { found.format } else { None }),
        zone: given.zone.clone().or(if given.kind == Kind::Datetime { found.zone } else { None }),
        pattern: given.pattern.clone().or(found.pattern),
        missing: if given.missing.is_empty() { found.missing } else { given.missing.clone() },
        ..given.clone()
    }
}

fn numbers(name: &str, values: &[f64], facts: &Facts) -> (ColumnSchema, String) {
    let present = || values.iter().copied().filter(|v| !v.is_nan());
    let (low, high) = present().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    let n_present = present().count();
    if n_present == 0 {
        return (ColumnSchema::new(name, Kind::Constant), "constant; no cell has a value".to_owned());
    }
    let format = facts.written_format();
    let shown = |v: f64| shown_number(v, format.as_ref(), facts);
    if low == high && n_present == values.len() {
        return (ColumnSchema::new(name, Kind::Constant), format!("constant, always {}", shown(low)));
    }
    if format.is_none() && facts.is_whole() && n_present == values.len() && is_counter(name, values, low, high) {
        let reason =
            format!("identifier; {} different whole numbers {}..{}, one for each row", counted(values.len()), shown(low), shown(high));
        return (ColumnSchema::new(name, Kind::Identifier), reason);
    }
    let n_values = n_different(present());
    let range = format!("{}..{}; {n_values} values", shown(low), shown(high));
    match (format, facts.rounding().0) {
        (Some(format), _) => (ColumnSchema::new(name, Kind::Datetime), format!("datetime {range}, written {}", format.text())),
        (None, Some(0)) => (ColumnSchema::new(name, Kind::Integer), format!("integer {range}")),
        (None, Some(n)) => (ColumnSchema::new(name, Kind::Real), format!("real {range}, {n} decimals")),
        (None, None) => (ColumnSchema::new(name, Kind::Real), format!("real {range}, all decimals")),
    }
}

/// Whole numbers that count the rows: a fixed step from row to row, every number of a range once, or all different in a column called an id.
fn is_counter(name: &str, values: &[f64], low: f64, high: f64) -> bool {
    let n = values.len();
    if n < 10 {
        return false;
    }
    let step = values[1] - values[0];
    if step != 0.0 && values.windows(2).all(|w| w[1] - w[0] == step) {
        return true;
    }
    let is_each_once = high - low == (n - 1) as f64;
    if !is_each_once && !is_called_id(name) {
        return false;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.windows(2).all(|w| w[0] != w[1])
}

fn is_called_id(name: &str) -> bool {
    let lower = name.to_lowercase();
    matches!(lower.as_str(), "id" | "uuid" | "guid" | "key" | "index" | "rownames" | "row" | "unnamed: 0")
        || ["_id", "-id", " id", ".id", "_key", "_no"].iter().any(|end| lower.ends_with(end))
        || name.ends_with("Id")
        || (name.len() > 2 && name.ends_with("ID"))
}

fn categories(name: &str, codes: &[u32], words: &[String]) -> (ColumnSchema, String) {
    let mut counts = vec![0usize; words.len()];
    codes.iter().filter_map(|c| counts.get_mut(*c as usize).map(|n| *n += 1)).for_each(drop);
    let used: Vec<(&String, usize)> = words.iter().zip(counts).filter(|(_, n)| *n > 0).collect();
    let n_present: usize = used.iter().map(|(_, n)| n).sum();
    let n_words = used.len();
    match used.as_slice() {
        [] => return (ColumnSchema::new(name, Kind::Constant), "constant; no cell has a value".to_owned()),
        [(word, n)] if *n == codes.len() => {
            return (ColumnSchema::new(name, Kind::Constant), format!("constant, always \"{}\"", cut(word)));
        }
        [(a, _), (b, _)] if is_yes_and_no(a, b) => {
            return (ColumnSchema::new(name, Kind::Boolean), format!("boolean, \"{a}\" or \"{b}\""));
        }
        _ => {}
    }
    let is_unique = n_present >= 10 && n_words * 10 >= n_present * 9;
    let is_text = n_words >= 100 && n_words * 2 > n_present;
    if is_unique || is_text {
        let texts = used.iter().step_by(n_words.div_ceil(N_PATTERN_TEXTS) | 1).map(|(word, _)| word.as_str());
        let pattern = Pattern::of(texts).map(|p| p.text());
        let made = pattern.as_ref().map_or("numbered".to_owned(), |p| format!("made as {p}"));
        let reason = format!("identifier; {} different texts in {} rows, {made}", counted(n_words), counted(n_present));
        return (ColumnSchema { pattern, ..ColumnSchema::new(name, Kind::Identifier) }, reason);
    }
    let (top, n_top) = used.iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0))).map_or(("", 0), |(w, n)| (w.as_str(), *n));
    let share = 100.0 * n_top as f64 / n_present.max(1) as f64;
    let reason = format!("category; {} words, \"{}\" in {share:.1} % of the rows", counted(n_words), cut(top));
    (ColumnSchema::new(name, Kind::Category), reason)
}

fn is_yes_and_no(a: &str, b: &str) -> bool {
    const PAIRS: [[&str; 2]; 6] = [["true", "false"], ["yes", "no"], ["t", "f"], ["y", "n"], ["on", "off"], ["ja", "nein"]];
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    PAIRS.iter().any(|[yes, no]| (a == *yes && b == *no) || (a == *no && b == *yes))
}

fn notes(read: &Read, schema: &ColumnSchema) -> Vec<String> {
    let (name, facts) = (&read.column.name, &read.facts);
    let mut notes = Vec::new();
    if facts.n_infinite > 0 {
        notes.push(format!("column \"{name}\": {} infinite numbers are taken as missing", facts.n_infinite));
    }
    if facts.n_not_kept > 0 {
        notes.push(format!("column \"{name}\": too many different texts; those of {} rows are not kept", facts.n_not_kept));
    }
    if facts.is_ambiguous && matches!(read.column.values, Values::Categories { .. }) {
        notes.push(format!("column \"{name}\" holds dates of which day and month cannot be told apart; give its format in the schema"));
    }
    if facts.zone().is_some_and(|(_, is_mixed)| is_mixed) {
        notes.push(format!("column \"{name}\" has several zones; it is written in UTC"));
    }
    if facts.marks.by_frequency().len() > 1 {
        let marks: Vec<String> = facts.marks.by_frequency().iter().map(|m| format!("\"{m}\"")).collect();
        notes.push(format!("column \"{name}\" marks missing cells as {}; the first is written", marks.join(", ")));
    }
    match &read.column.values {
        Values::Categories { words, .. } if schema.kind != Kind::Boolean => {
            let texts: Vec<&String> = words.iter().filter(|w| number::parse(w, b'.').is_none()).collect();
            if words.len() >= 20 && !texts.is_empty() && texts.len() * 20 <= words.len() {
                let examples: Vec<String> = texts.iter().take(3).map(|t| format!("\"{}\"", cut(t))).collect();
                notes.push(format!("column \"{name}\" would be numbers but for {} texts such as {}", texts.len(), examples.join(", ")));
            }
        }
        Values::Numbers(values) => {
            let [low, high] = schema.range().unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
            let n_outside = values.iter().filter(|v| **v < low || **v > high).count();
            if n_outside > 0 {
                notes.push(format!("column \"{name}\": {n_outside} values are outside of the range in the schema"));
            }
        }
        Values::Categories { .. } => {}
    }
    notes
}

fn n_different(values: impl Iterator<Item = f64>) -> String {
    let mut seen = HashSet::new();
    for value in values {
        seen.insert(value.to_bits());
        if seen.len() > MAX_COUNTED {
            return format!("more than {}", counted(MAX_COUNTED));
        }
    }
    counted(seen.len())
}

fn shown_number(value: f64, format: Option<&Format>, facts: &Facts) -> String {
    let mut text = String::new();
    match format {
        Some(format) => format.write(value, facts.zone().map(|(z, _)| z), &mut text),
        None => number::write(value, facts.rounding().0, 0, '.', &mut text),
    }
    text
}

/// 12345 as `12,345`.
fn counted(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

fn cut(word: &str) -> String {
    let mut out: String = word.chars().take(30).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if word.chars().count() > 30 {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(texts: &[String]) -> Column {
        let mut words: Vec<String> = Vec::new();
        let codes = texts.iter().map(|t| {
            words.iter().position(|w| w == t).unwrap_or_else(|| {
                words.push(t.clone());
                words.len() - 1
            }) as u32
        });
        let codes = codes.collect();
        Column { name: "w".into(), values: Values::Categories { codes, words } }
    }

    fn one(column: Column) -> (ColumnSchema, String) {
        let (mut schema, mut reasons) = infer(&Table { columns: vec![column] });
        (schema.columns.remove(0), reasons.remove(0))
    }

    fn numbers_of(name: &str, values: Vec<f64>) -> (Kind, String) {
        let (schema, reason) = one(Column { name: name.into(), values: Values::Numbers(values) });
        (schema.kind, reason)
    }

    #[test]
    fn numbers_are_integers_reals_counters_or_constants() {
        let ages = (0..1000).map(|i| f64::from(17 + i * i % 74)).collect();
        let (kind, reason) = numbers_of("age", ages);
        assert_eq!(kind, Kind::Integer);
        assert!(reason.starts_with("age: integer 17..") && reason.ends_with(" values"), "{reason}");
        assert_eq!(numbers_of("x", (0..100).map(|i| f64::from(i % 7) / 4.0).collect()).0, Kind::Real);
        assert_eq!(numbers_of("x", (0..100).map(|i| 5.0 + 3.0 * f64::from(i)).collect()).0, Kind::Identifier);
        assert_eq!(numbers_of("x", (0..101).map(|i| f64::from(i * 37 % 101)).collect()).0, Kind::Identifier);
        assert_eq!(numbers_of("x", (0..101).map(|i| f64::from(i * i)).collect()).0, Kind::Integer);
        assert_eq!(numbers_of("row_id", (0..101).map(|i| f64::from(i * i)).collect()).0, Kind::Identifier);
        assert_eq!(numbers_of("x", vec![3.0; 50]), (Kind::Constant, "x: constant, always 3".into()));
        assert_eq!(numbers_of("x", vec![f64::NAN; 50]).0, Kind::Constant);
    }

    #[test]
    fn words_are_categories_booleans_identifiers_or_constants() {
        let of = |f: &dyn Fn(usize) -> String, n: usize| one(words(&(0..n).map(f).collect::<Vec<_>>()));
        let (schema, reason) = of(&|i| format!("c{}", i % 7), 700);
        assert_eq!(schema.kind, Kind::Category);
        assert_eq!(reason, "w: category; 7 words, \"c0\" in 14.3 % of the rows");
        assert_eq!(of(&|i| if i % 3 == 0 { "Yes".into() } else { "No".into() }, 50).0.kind, Kind::Boolean);
        let (schema, _) = of(&|i| format!("K{:04}-{:02}", i * 7, i % 90), 500);
        assert_eq!((schema.kind, schema.pattern.as_deref()), (Kind::Identifier, Some("K####-##")));
        let (schema, reason) = of(&|i| format!("some {} text {}", "long ".repeat(i % 4), i), 500);
        assert_eq!((schema.kind, schema.pattern), (Kind::Identifier, None));
        assert!(reason.contains("numbered"), "{reason}");
        assert_eq!(of(&|_| "same".into(), 50).0.kind, Kind::Constant);
    }
}
