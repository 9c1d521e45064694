//! What each column of a table is, as a file that a person can read and edit.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::constraint::Constraint;
use super::moment::{Format, Zone};
use super::{names, number};
use crate::error::{Error, Result};

const MAX_FILE_BYTES: u64 = 64 << 20;
const COLUMN_KEYS: [&str; 14] = [
    "name",
    "kind",
    "leave_out",
    "sensitive",
    "min",
    "max",
    "decimals",
    "least_decimals",
    "decimal_comma",
    "format",
    "zone",
    "categories",
    "pattern",
    "missing",
];

/// Kind of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Whole numbers, codes of categories among them.
    Integer,
    /// Numbers with decimals.
    Real,
    /// Two words that mean yes and no.
    Boolean,
    /// One of several words.
    Category,
    /// A date, a time, or both; as numbers they are seconds since 1970-01-01T00:00:00 UTC.
    Datetime,
    /// Names, numbers or texts that tell rows apart: never learned, made anew by a pattern.
    Identifier,
    /// One value in all rows, or none.
    Constant,
}

impl Kind {
    const NAMES: [&str; 7] = ["integer", "real", "boolean", "category", "datetime", "identifier", "constant"];

    /// As it is written in the schema file.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Whether the cells are numbers: integers, reals, and moments.
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Integer | Self::Real | Self::Datetime)
    }
}

/// The end of a range: a number, or a moment in the format of its column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bound {
    /// A whole number.
    Integer(i64),
    /// Any number.
    Real(f64),
    /// A moment as text.
    Text(String),
}

/// One column of a [`Schema`]. What is not given is found in the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSchema {
    /// Name in the table.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Neither read nor made.
    #[serde(default, skip_serializing_if = "is_false")]
    pub leave_out: bool,
    /// Reports on privacy look at this column in particular.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sensitive: bool,
    /// Least value that is valid; made values are not below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Bound>,
    /// Greatest value that is valid; made values are not above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Bound>,
    /// Most digits after the decimal point of a real column; all that a number has if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    /// Digits that are written even if they are zeros.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub least_decimals: u8,
    /// Numbers are written `1,5`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub decimal_comma: bool,
    /// How moments are written, in the directives of `strftime`; `%Y-%m-%d %H:%M:%S` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Offset from UTC where the format has `%z`: `Z`, `+01:00` or `+0100`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// All words that are valid. Words named here are public: the model may hold them however rare they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<Vec<String>>,
    /// How identifiers are made: `#` a digit, `A` and `a` letters, `X` and `x` hexadecimal digits, `*` a letter or digit, `\` before a letter that stands for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Cells that mean "missing", the one that is written first. If not given, the usual marks do, and missing cells are written empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// The columns of a table and what holds between them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// The columns, in the order of the file.
    #[serde(default)]
    pub columns: Vec<ColumnSchema>,
    /// What holds between columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
}

impl ColumnSchema {
    /// A column of which nothing but the kind is known.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            leave_out: false,
            sensitive: false,
            min: None,
            max: None,
            decimals: None,
            least_decimals: 0,
            decimal_comma: false,
            format: None,
            zone: None,
            categories: None,
            pattern: None,
            missing: Vec::new(),
        }
    }

    /// Valid least and greatest number, infinite where not given.
    ///
    /// # Errors
    /// [`Error::Config`] if a bound cannot be read, or the range is empty.
    pub fn range(&self) -> Result<[f64; 2]> {
        let bound = |key: &str, bound: &Option<Bound>, without: f64| match bound {
            None => Ok(without),
            Some(Bound::Integer(value)) => Ok(*value as f64),
            Some(Bound::Real(value)) if !value.is_nan() => Ok(*value),
            Some(Bound::Text(text)) if self.kind == Kind::Datetime => {
                self.parse(text).ok_or_else(|| self.wrong(key, format!("\"{text}\" is not in the format of the column")))
            }
            Some(other) => Err(self.wrong(key, format!("{other:?} is not a number"))),
        };
        let range = [bound("min", &self.min, f64::NEG_INFINITY)?, bound("max", &self.max, f64::INFINITY)?];
        if range[0] > range[1] {
            return Err(self.wrong("min", "is above max".into()));
        }
        Ok(range)
    }

    /// The number that a text stands for in this column: a number, or a moment in the column's format or as `2024-12-31` or `2024-12-31T23:59:59`.
    pub fn parse(&self, text: &str) -> Option<f64> {
        let text = text.trim();
        if self.kind == Kind::Datetime {
            let others = ["%Y-%m-%d", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f%z"];
            let formats = self.moment_format().into_iter().chain(others.iter().filter_map(|f| Format::new(f).ok()));
            return formats.filter_map(|f| f.parse(text)).map(|m| m.seconds).next();
        }
        let own = if self.decimal_comma { number::parse(text, b',') } else { None };
        own.or_else(|| number::parse(text, b'.')).map(|n| n.value).filter(|v| v.is_finite())
    }

    /// Decimals to which numbers are rounded: none for integers and moments; `None` keeps all.
    pub(crate) fn rounding(&self) -> Option<u8> {
        if self.kind == Kind::Real { self.decimals } else { Some(0) }
    }

    /// Whether its cells are moments: always the same one, if it is constant.
    pub(crate) fn is_moment(&self) -> bool {
        self.kind == Kind::Datetime || (self.kind == Kind::Constant && self.format.is_some())
    }

    pub(crate) fn moment_format(&self) -> Result<Format> {
        Format::new(self.format.as_deref().unwrap_or("%Y-%m-%d %H:%M:%S"))
    }

    pub(crate) fn moment_zone(&self) -> Option<Zone> {
        self.zone.as_deref().and_then(Zone::parse)
    }

    /// Digits of a number are written with this mark.
    pub(crate) fn decimal_mark(&self) -> char {
        if self.decimal_comma { ',' } else { '.' }
    }

    fn wrong(&self, key: &str, problem: String) -> Error {
        Error::config(format!("columns.{}.{key}", self.name), problem, "mend the schema")
    }

    fn check(&self) -> Result<()> {
        if self.decimals.is_some_and(|d| d > number::MAX_DECIMALS) {
            return Err(self.wrong("decimals", format!("more than {}", number::MAX_DECIMALS)));
        }
        if let Some(format) = &self.format {
            Format::new(format).map_err(|e| self.wrong("format", e.to_string()))?;
        }
        if let Some(zone) = self.zone.as_deref().filter(|z| Zone::parse(z).is_none()) {
            return Err(self.wrong("zone", format!("\"{zone}\" is not like Z, +01:00 or +0100")));
        }
        if let Some(words) = &self.categories {
            let mut seen = std::collections::HashSet::new();
            if let Some(twice) = words.iter().find(|w| !seen.insert(w.as_str())) {
                return Err(self.wrong("categories", format!("\"{twice}\" is listed twice")));
            }
        }
        if let Some(pattern) = &self.pattern {
            super::pattern::Pattern::new(pattern).map_err(|problem| self.wrong("pattern", problem))?;
        }
        self.range().map(|_| ())
    }
}

impl Schema {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&ColumnSchema> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The columns that are not left out.
    pub fn kept(&self) -> impl Iterator<Item = &ColumnSchema> + Clone {
        self.columns.iter().filter(|c| !c.leave_out)
    }

    /// Reads a schema file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Config`] as [`Self::from_toml`] gives it.
    pub fn load(path: &Path) -> Result<Self> {
        let size = std::fs::metadata(path).map_err(|e| Error::io(path, "open", e))?.len();
        if size > MAX_FILE_BYTES {
            return Err(Error::data(path, "is too large for a schema", "give the schema, not the table"));
        }
        Self::from_toml(&std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?)
    }

    /// Reads a schema from TOML text.
    ///
    /// # Errors
    /// [`Error::Config`] that names the key; for an unknown key or column, also the nearest known one.
    pub fn from_toml(text: &str) -> Result<Self> {
        let wrong = |problem: String| Error::config("schema", problem.trim_end().to_owned(), "mend the schema");
        Self::from_document(text.parse().map_err(|e: toml::de::Error| wrong(e.to_string()))?)
    }

    /// The same of TOML that was read.
    pub(super) fn from_document(mut document: toml::Table) -> Result<Self> {
        let wrong = |problem: String| Error::config("schema", problem.trim_end().to_owned(), "mend the schema");
        check_keys("schema", &document, &["columns", "constraints"])?;
        for (table, keys) in [("columns", Some(COLUMN_KEYS.as_slice())), ("constraints", None)] {
            let Some(toml::Value::Array(entries)) = document.get_mut(table) else { continue };
            for (i, entry) in entries.iter_mut().enumerate() {
                let Some(entry) = entry.as_table_mut() else { continue };
                moments_to_text(entry);
                let place =
                    entry.get("name").and_then(|n| n.as_str()).map_or_else(|| format!("{table}[{i}]"), |name| format!("{table}.{name}"));
                let keys = keys.unwrap_or_else(|| Constraint::keys(entry.get("kind").and_then(|k| k.as_str()).unwrap_or_default()));
                check_keys(&place, entry, keys)?;
                let kinds = if table == "columns" { Kind::NAMES.as_slice() } else { Constraint::kinds() };
                if let Some(kind) = entry.get("kind").and_then(|k| k.as_str()).filter(|k| !kinds.contains(k)) {
                    let problem = format!("\"{kind}\" is not a kind");
                    return Err(Error::config(format!("{place}.kind"), problem, names::hint(kind, kinds.iter().copied())));
                }
            }
        }
        let schema: Self = toml::Value::Table(document).try_into().map_err(|e: toml::de::Error| wrong(e.to_string()))?;
        schema.check()?;
        Ok(schema)
    }

    /// The schema as TOML, with `notes[i]` as a comment above column `i` where there is one.
    pub fn to_toml(&self, notes: &[String]) -> String {
        self.to_toml_within("", notes)
    }

    /// The same within another document: `place` is put before the names of the lists.
    pub(super) fn to_toml_within(&self, place: &str, notes: &[String]) -> String {
        let mut out = String::new();
        // Names, words and numbers of a schema always have a TOML form.
        let body = |value: Result<String, toml::ser::Error>| value.unwrap_or_default();
        for (i, column) in self.columns.iter().enumerate() {
            let note = notes.get(i).map_or(String::new(), |note| format!("# {}\n", note.replace(|c: char| c.is_control(), " ")));
            out.push_str(&format!("{note}[[{place}columns]]\n{}\n", body(toml::to_string(column))));
        }
        for constraint in &self.constraints {
            out.push_str(&format!("[[{place}constraints]]\n{}\n", body(toml::to_string(constraint))));
        }
        out
    }

    /// Checks what the file format cannot: names once each, ranges, formats, patterns, and that constraints speak of columns that there are.
    ///
    /// # Errors
    /// [`Error::Config`] that names the key.
    pub fn check(&self) -> Result<()> {
        let mut seen = std::collections::HashSet::new();
        for column in &self.columns {
            if !seen.insert(column.name.as_str()) {
                return Err(Error::config(format!("columns.{}", column.name), "is listed twice", "remove one of them"));
            }
            column.check()?;
        }
        self.constraints.iter().enumerate().try_for_each(|(i, constraint)| constraint.check(i, self))
    }
}

/// Refuses keys that are not known.
pub(super) fn check_keys(place: &str, table: &toml::Table, known: &[&str]) -> Result<()> {
    match table.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(Error::config(format!("{place}.{key}"), "is not a known key", names::hint(key, known.iter().copied()))),
        None => Ok(()),
    }
}

/// Dates may be written without quotes.
fn moments_to_text(table: &mut toml::Table) {
    for (_, value) in table.iter_mut() {
        if let toml::Value::Datetime(moment) = value {
            *value = toml::Value::String(moment.to_string());
        }
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"
        [[columns]]
        name = "age"
        kind = "integer"
        min = 17
        max = 90.5
        [[columns]]
        name = "born"
        kind = "datetime"
        format = "%d/%m/%Y"
        min = 1950-01-31
        max = "31/12/2020"
        sensitive = true
        [[columns]]
        name = "sex"
        kind = "category"
        categories = ["F", "M"]
        missing = ["?"]
        [[constraints]]
        kind = "range"
        column = "age"
        min = 18
    "#;

    fn message(text: &str) -> String {
        Schema::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn a_schema_survives_writing_and_reading() {
        let schema = Schema::from_toml(SCHEMA).unwrap();
        assert_eq!(schema.columns[0].range().unwrap(), [17.0, 90.5]);
        // date -u -d 1950-01-31 +%s, date -u -d 2020-12-31 +%s
        assert_eq!(schema.columns[1].range().unwrap(), [-628_560_000.0, 1_609_372_800.0]);
        let text = schema.to_toml(&["whole\nnumbers".into()]);
        assert!(text.starts_with("# whole numbers\n[[columns]]\nname = \"age\"\nkind = \"integer\"\nmin = 17\n"), "{text}");
        assert_eq!(Schema::from_toml(&text).unwrap(), schema);
    }

    #[test]
    fn unknown_keys_and_columns_are_answered_with_the_nearest() {
        let wrong = message(&SCHEMA.replace("sensitive", "sensitiv"));
        assert_eq!(wrong, "columns.born.sensitiv: is not a known key; did you mean \"sensitive\"?");
        assert!(message(&SCHEMA.replace("\"datetime\"", "\"date-time\"")).contains("did you mean \"datetime\"?"));
        assert!(message(&SCHEMA.replace("column = \"age\"", "column = \"aeg\"")).contains("did you mean \"age\"?"));
        assert!(message(&SCHEMA.replace("[[columns]]", "[[column]]")).contains("did you mean \"columns\"?"));
        assert!(message(&SCHEMA.replace("kind = \"range\"", "kind = \"rnge\"")).contains("did you mean \"range\"?"));
    }

    #[test]
    fn values_that_cannot_be_are_refused() {
        assert!(message(&SCHEMA.replace("min = 17", "min = 99")).contains("columns.age.min: is above max"));
        assert!(message(&SCHEMA.replace("31/12/2020", "2020-31-12")).contains("columns.born.max"));
        assert!(message(&SCHEMA.replace("%d/%m", "%d/%q")).contains("columns.born.format"));
        assert!(message(&SCHEMA.replace("[\"F\", \"M\"]", "[\"F\", \"F\"]")).contains("listed twice"));
        assert!(message(&SCHEMA.replace("\"born\"", "\"age\"")).contains("listed twice"));
        assert!(message("columns = 3").contains("schema"));
        assert!(message("[[columns").contains("schema"));
    }
}
