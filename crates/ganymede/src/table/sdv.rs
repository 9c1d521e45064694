//! The metadata of SDV (docs.sdv.dev, "Metadata JSON", version V1, and SINGLE_TABLE_V1 of before): what columns are, as JSON.

use serde_json::{Map, Value, json};

use super::names;
use super::pattern::Pattern;
use super::schema::{ColumnSchema, Kind, Schema};
use crate::error::{Error, Result};

const V1: &str = "V1";
const KEY: &str = "METADATA_SPEC_VERSION";

impl Schema {
    /// Reads SDV's metadata of a table of which `found` is known: what they leave open, decimals and missing marks for example, stays as it was found. Of the metadata of several tables those of
    /// the table called `name` are taken. Types that stand for personal data (`email`, `address` ...) and `id` are identifiers, which are made anew.
    ///
    /// # Errors
    /// [`Error::Config`] that names the column or key.
    pub fn from_sdv(text: &str, name: &str, found: &Self) -> Result<Self> {
        let wrong = |problem: String, remedy: &str| Error::config("schema", problem, remedy);
        let document: Value =
            serde_json::from_str(text).map_err(|e| wrong(format!("is neither TOML nor JSON: {e}"), "give a schema, or SDV's metadata"))?;
        let table = match document.get("tables").and_then(Value::as_object) {
            None => &document,
            Some(tables) if tables.len() == 1 => tables.values().next().unwrap_or(&document),
            Some(tables) => tables.get(name).ok_or_else(|| {
                let problem = format!("describes several tables, and none is called \"{name}\"");
                Error::config("schema", problem, names::hint(name, tables.keys().map(String::as_str)))
            })?,
        };
        let Some(columns) = table.get("columns").and_then(Value::as_object) else {
            return Err(wrong("has no \"columns\"".into(), "give SDV's metadata as `Metadata.save_to_json` writes them"));
        };
        if let Some(unknown) = columns.keys().find(|column| found.column(column).is_none()) {
            let hint = names::hint(unknown, found.columns.iter().map(|c| c.name.as_str()));
            return Err(Error::config(format!("columns.{unknown}"), "is not in the table", hint));
        }
        let one = |own: &ColumnSchema| match columns.get(&own.name) {
            Some(described) => column(own, described),
            None => Err(Error::config(format!("columns.{}", own.name), "is not in the metadata", "add it, or take it out of the table")),
        };
        let schema = Self { columns: found.columns.iter().map(one).collect::<Result<_>>()?, constraints: Vec::new() };
        schema.check()?;
        Ok(schema)
    }

    /// The schema as SDV's metadata of one table. Ranges, missing marks and constraints have no place there, and columns that are left out are.
    pub fn to_sdv(&self, name: &str) -> String {
        let columns: Map<String, Value> = self.kept().map(|column| (column.name.clone(), described(column))).collect();
        let mut table = json!({ "columns": columns });
        if let Some(key) = self.kept().find(|column| column.kind == Kind::Identifier) {
            table["primary_key"] = json!(key.name);
        }
        let document = json!({ KEY: V1, "tables": { name: table }, "relationships": [] });
        serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
    }
}

/// A column as it was found, with what SDV says of it.
fn column(found: &ColumnSchema, described: &Value) -> Result<ColumnSchema> {
    let text = |key: &str| described.get(key).and_then(Value::as_str);
    let place = |key: &str| format!("columns.{}.{key}", found.name);
    let Some(sdtype) = text("sdtype") else {
        return Err(Error::config(place("sdtype"), "is missing", "add it"));
    };
    let kind = match sdtype {
        "numerical" => match text("computer_representation") {
            Some(own) if own.starts_with("Int") || own.starts_with("UInt") => Kind::Integer,
            Some(_) => Kind::Real,
            None if found.kind == Kind::Real => Kind::Real,
            None if matches!(found.kind, Kind::Integer | Kind::Identifier) => Kind::Integer,
            None => Kind::Real,
        },
        // Two words stay what they were found to be.
        "categorical" | "boolean" if found.kind == Kind::Boolean => Kind::Boolean,
        "categorical" => Kind::Category,
        "boolean" => Kind::Boolean,
        "datetime" => Kind::Datetime,
        _ => Kind::Identifier,
    };
    let is_always_the_same = found.kind == Kind::Constant && kind != Kind::Identifier;
    let mut own = ColumnSchema { kind: if is_always_the_same { Kind::Constant } else { kind }, ..found.clone() };
    if let (Kind::Datetime, Some(format)) = (own.kind, text("datetime_format")) {
        own.format = Some(format.to_owned());
    }
    if own.kind == Kind::Identifier {
        own.pattern = text("regex_format").and_then(Pattern::of_regex).map(|pattern| pattern.text()).or(own.pattern);
    } else {
        own.pattern = None;
    }
    Ok(own)
}

fn described(column: &ColumnSchema) -> Value {
    match column.kind {
        Kind::Integer => json!({ "sdtype": "numerical", "computer_representation": "Int64" }),
        Kind::Real => json!({ "sdtype": "numerical", "computer_representation": "Float" }),
        Kind::Category | Kind::Boolean | Kind::Constant => json!({ "sdtype": "categorical" }),
        Kind::Datetime => json!({ "sdtype": "datetime", "datetime_format": column.format.as_deref().unwrap_or("%Y-%m-%d %H:%M:%S") }),
        Kind::Identifier => match column.pattern.as_deref().and_then(|pattern| Pattern::new(pattern).ok()) {
            Some(pattern) => json!({ "sdtype": "id", "regex_format": pattern.regex() }),
            None => json!({ "sdtype": "id" }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Schema {
        let of = |name: &str, kind| ColumnSchema::new(name, kind);
        let id = ColumnSchema { pattern: Some("HID_###".into()), ..of("id", Kind::Identifier) };
        let date = ColumnSchema { format: Some("%d %b %Y".into()), ..of("date", Kind::Datetime) };
        let real = ColumnSchema { decimals: Some(2), missing: vec!["NA".into()], ..of("fee", Kind::Real) };
        let columns = vec![id, of("nights", Kind::Integer), real, of("room", Kind::Category), of("breakfast", Kind::Boolean), date];
        Schema { columns, constraints: Vec::new() }
    }

    #[test]
    fn metadata_are_written_and_read_back() {
        let schema = found();
        let text = schema.to_sdv("guests");
        let document: Value = serde_json::from_str(&text).unwrap();
        let table = &document["tables"]["guests"];
        assert_eq!((&document[KEY], &table["primary_key"]), (&json!("V1"), &json!("id")));
        assert_eq!(table["columns"]["id"], json!({ "sdtype": "id", "regex_format": "HID_[0-9]{3}" }));
        assert_eq!(table["columns"]["date"], json!({ "sdtype": "datetime", "datetime_format": "%d %b %Y" }));
        assert_eq!(Schema::from_sdv(&text, "guests", &schema).unwrap(), schema);
    }

    #[test]
    fn what_sdv_says_goes_before_what_was_found() {
        let text = r#"{"METADATA_SPEC_VERSION": "SINGLE_TABLE_V1", "primary_key": "id", "columns": {"id": {"sdtype": "id", "regex_format": "U_[A-Z]{2}[0-9]{2}"},
            "nights": {"sdtype": "categorical"}, "fee": {"sdtype": "numerical"}, "room": {"sdtype": "address", "pii": true}, "breakfast": {"sdtype": "boolean"},
            "date": {"sdtype": "datetime", "datetime_format": "%Y-%m-%d"}}}"#;
        let schema = Schema::from_sdv(text, "any", &found()).unwrap();
        let kinds: Vec<Kind> = schema.columns.iter().map(|c| c.kind).collect();
        assert_eq!(kinds, [Kind::Identifier, Kind::Category, Kind::Real, Kind::Identifier, Kind::Boolean, Kind::Datetime]);
        assert_eq!((schema.columns[0].pattern.as_deref(), schema.columns[5].format.as_deref()), (Some("U_AA##"), Some("%Y-%m-%d")));
        assert_eq!((schema.columns[2].decimals, &schema.columns[2].missing[..]), (Some(2), &["NA".to_owned()][..]));
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| Schema::from_sdv(text, "guests", &found()).unwrap_err().to_string();
        assert!(message("[columns]").contains("neither TOML nor JSON"));
        assert!(message("{}").contains("has no \"columns\""));
        assert!(
            message(&found().to_sdv("x").replace("\"fee\"", "\"fees\""))
                .contains("columns.fees: is not in the table; did you mean \"fee\"?")
        );
        let several = r#"{"tables": {"guest": {"columns": {}}, "hotels": {"columns": {}}}}"#;
        assert!(message(several).contains("did you mean \"guest\"?"));
        assert!(message(&found().to_sdv("x").replace("%d %b %Y", "%q")).contains("columns.date.format"));
    }

    #[test]
    fn simple_regular_expressions_are_patterns() {
        let of = |text: &str| Pattern::of_regex(text).map(|pattern| pattern.text());
        assert_eq!(of("^ID-\\d{4}[a-z]$").as_deref(), Some("ID-####a"));
        assert_eq!(of("A[0-9A-F]{2}\\.x").as_deref(), Some("\\AXX.\\x"));
        assert!(["a+", "[0-9]{0}", "[0-9", "(a|b)", "abc", "[abc]", "{3}"].iter().all(|text| of(text).is_none()));
        for text in ["HID_###", "\\A-XX**a"] {
            assert_eq!(Pattern::of_regex(&Pattern::new(text).unwrap().regex()).map(|p| p.text()).as_deref(), Some(text));
        }
    }
}
