//! JSON lines: one object a line.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::source::Source;
use super::{Flow, at};
use crate::error::Result;

/// The entries of an object in the order of the file.
pub(super) struct Object(pub Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Object;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Object(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Whether a text begins like JSON lines.
pub(super) fn is_json_lines(head: &str) -> bool {
    let first = head.lines().find(|l| !l.trim().is_empty()).unwrap_or_default().trim();
    first.starts_with('{') && (first.ends_with('}') || first.len() > 4096) && (first.contains('"') || first == "{}")
}

/// Hands every object to `visit`, with its line, until that stops.
pub(super) fn visit(path: &Path, source: &Source, visit: &mut dyn FnMut(u64, &Object) -> Result<Flow>) -> Result<()> {
    let (text, watch) = source.open()?;
    let mut reader = BufReader::new(text);
    let (mut bytes, mut line) = (Vec::new(), 0);
    loop {
        bytes.clear();
        line += 1;
        if reader.read_until(b'\n', &mut bytes).map_err(|e| source.failure(e))? == 0 {
            return Ok(());
        }
        watch.end_row();
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let remedy = "write one JSON object a line, for example {\"age\": 30, \"sex\": \"f\"}";
        let object: Object = match serde_json::from_slice(&bytes) {
            Ok(object) => object,
            Err(e) => return Err(at(path, line, Some(e.column()), format!("not a JSON object: {e}"), remedy)),
        };
        if let Some((key, _)) = object.0.iter().find(|(_, value)| value.is_array() || value.is_object()) {
            return Err(at(path, line, None, format!("\"{key}\" holds a list or an object"), "give every value a key of its own"));
        }
        if visit(line, &object)? == Flow::Stop {
            return Ok(());
        }
    }
}

/// A value as the text of a cell, and whether it is text however it looks.
pub(super) fn cell(value: &Value) -> (std::borrow::Cow<'_, str>, bool) {
    match value {
        Value::Null => ("".into(), false),
        Value::String(text) => (text.trim().into(), true),
        Value::Bool(flag) => (if *flag { "true" } else { "false" }.into(), true),
        other => (other.to_string().into(), false),
    }
}
