//! The metadata of SDV about several tables (docs.sdv.dev, "Metadata JSON", version V1, and MULTI_TABLE_V1 of before): keys and relationships.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::file::text_of;
use super::{DatabaseSchema, ForeignKey, NamedTable};
use crate::error::{Error, Result};
use crate::table::schema::Schema;

/// SDV's metadata of several tables: their names, keys and how they refer to each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// The whole text, which also says what columns are.
    pub text: String,
    /// Each table's name, and its primary key.
    pub tables: Vec<(String, Option<String>)>,
    /// How they refer to each other, in its order.
    pub foreign_keys: Vec<ForeignKey>,
}

impl Metadata {
    /// Reads a file, if it is a JSON object with tables in it; nothing otherwise.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Config`] if relationships are described as they are nowhere.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let text = text_of(path)?;
        match serde_json::from_str::<Value>(&text) {
            Ok(document) if document.get("tables").is_some_and(Value::is_object) => Self::of(text, &document).map(Some),
            _ => Ok(None),
        }
    }

    fn of(text: String, document: &Value) -> Result<Self> {
        let Some(tables) = document.get("tables").and_then(Value::as_object) else {
            return Err(Error::config("schema", "has no \"tables\"", "give SDV's metadata as `Metadata.save_to_json` writes them"));
        };
        let key = |table: &Value| table.get("primary_key").and_then(Value::as_str).map(str::to_owned);
        let tables: Vec<(String, Option<String>)> = tables.iter().map(|(name, table)| (name.clone(), key(table))).collect();
        let relationships = match document.get("relationships") {
            None => &[][..],
            Some(Value::Array(list)) => list,
            Some(_) => {
                return Err(Error::config("relationships", "is no list", "give SDV's metadata as `Metadata.save_to_json` writes them"));
            }
        };
        let read = |(i, own): (usize, &Value)| {
            let text = |key: &str| {
                let wrong = || Error::config(format!("relationships[{i}].{key}"), "is missing, or no text", "name a table or a column");
                own.get(key).and_then(Value::as_str).map(str::to_owned).ok_or_else(wrong)
            };
            let (parent, parent_key) = (text("parent_table_name")?, text("parent_primary_key")?);
            let known = tables.iter().find(|(name, _)| *name == parent);
            if let Some((_, Some(primary))) = known.filter(|(_, primary)| primary.as_ref() != Some(&parent_key)) {
                let problem = format!("is {parent_key}, but the primary key of {parent} is {primary}");
                return Err(Error::config(format!("relationships[{i}].parent_primary_key"), problem, "name the primary key"));
            }
            Ok((ForeignKey { table: text("child_table_name")?, column: text("child_foreign_key")?, refers_to: parent }, parent_key))
        };
        let read: Vec<(ForeignKey, String)> = relationships.iter().enumerate().map(read).collect::<Result<_>>()?;
        // A key may be said in a relationship alone.
        let key = |(name, key): (String, Option<String>)| {
            let of_relation = read.iter().find(|(own, _)| own.refers_to == name).map(|(_, key)| key.clone());
            (name, key.or(of_relation))
        };
        let tables = tables.into_iter().map(key).collect();
        Ok(Self { text, tables, foreign_keys: read.into_iter().map(|(key, _)| key).collect() })
    }

    /// The schema that it describes, without columns; `file` says in which file a table is.
    pub fn schema(&self, file: impl Fn(&str) -> Result<String>) -> Result<DatabaseSchema> {
        let table = |(name, key): &(String, Option<String>)| {
            Ok(NamedTable { name: name.clone(), file: file(name)?, key: key.clone(), schema: Schema::default() })
        };
        let schema =
            DatabaseSchema { tables: self.tables.iter().map(table).collect::<Result<_>>()?, foreign_keys: self.foreign_keys.clone() };
        schema.check()?;
        Ok(schema)
    }
}

impl DatabaseSchema {
    /// The schema as SDV's metadata. What has no place there is left out, as by [`Schema::to_sdv`].
    pub fn to_sdv(&self) -> String {
        let of_table = |table: &NamedTable| {
            let document: Value = serde_json::from_str(&table.schema.to_sdv(&table.name)).unwrap_or_default();
            let mut own = document["tables"][&table.name].clone();
            if let Some(fields) = own.as_object_mut() {
                fields.remove("primary_key");
                fields.extend(table.key.as_ref().map(|key| ("primary_key".to_owned(), json!(key))));
            }
            (table.name.clone(), own)
        };
        let relationship = |key: &ForeignKey| {
            let parent = self.tables.iter().find(|table| table.name == key.refers_to)?;
            Some(json!({
                "parent_table_name": key.refers_to,
                "parent_primary_key": parent.key,
                "child_table_name": key.table,
                "child_foreign_key": key.column,
            }))
        };
        // SDV knows no table that refers to itself.
        let others = self.foreign_keys.iter().filter(|key| key.table != key.refers_to);
        let document = json!({
            "METADATA_SPEC_VERSION": "V1",
            "tables": self.tables.iter().map(of_table).collect::<Map<String, Value>>(),
            "relationships": others.filter_map(relationship).collect::<Vec<_>>(),
        });
        serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::schema;
    use super::*;

    fn read(text: &str) -> Result<Option<Metadata>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metadata.json");
        std::fs::write(&path, text).unwrap();
        Metadata::read(&path)
    }

    #[test]
    fn metadata_are_written_and_read_back() {
        let mut own = schema(&["customers", "orders"], &[("orders", "customer", "customers")]);
        own.mark_keys();
        let found = read(&own.to_sdv()).unwrap().unwrap();
        assert_eq!(found.foreign_keys, own.foreign_keys);
        assert_eq!(found.tables, [("customers".to_owned(), Some("id".to_owned())), ("orders".to_owned(), Some("id".to_owned()))]);
        let back = found.schema(|name| Ok(format!("{name}.csv"))).unwrap();
        assert_eq!(
            back.tables.iter().map(|t| (&t.name, &t.file, &t.key)).collect::<Vec<_>>(),
            own.tables.iter().map(|t| (&t.name, &t.file, &t.key)).collect::<Vec<_>>()
        );
        let document: Value = serde_json::from_str(&own.to_sdv()).unwrap();
        assert_eq!(document["tables"]["orders"]["columns"]["customer"]["sdtype"], "id");
    }

    #[test]
    fn other_files_are_none_and_mistakes_are_named() {
        assert!(read("{\"a\": 1}\n{\"a\": 2}").unwrap().is_none() && read("{\"columns\": {}}").unwrap().is_none());
        let message = |relationships: &str| {
            let text = format!("{{\"tables\": {{\"a\": {{\"primary_key\": \"id\"}}, \"b\": {{}}}}, \"relationships\": {relationships}}}");
            read(&text).and_then(|found| found.unwrap().schema(|name| Ok(format!("{name}.csv")))).unwrap_err().to_string()
        };
        assert!(message("3").contains("is no list"));
        assert!(message("[{\"parent_table_name\": \"a\"}]").contains("relationships[0].parent_primary_key"));
        let one = |parent: &str, key: &str| {
            format!(
                "[{{\"parent_table_name\": \"{parent}\", \"parent_primary_key\": \"{key}\", \"child_table_name\": \"b\", \"child_foreign_key\": \"a\"}}]"
            )
        };
        assert!(message(&one("a", "no")).contains("the primary key of a is id"));
        assert!(message(&one("aa", "id")).contains("no table \"aa\""));
    }
}
