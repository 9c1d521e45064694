//! The schema of several tables as a file that a person can read and edit.

use std::path::Path;

use super::super::schema::{Schema, check_keys};
use super::{DatabaseSchema, ForeignKey, NamedTable, within};
use crate::error::{Error, Result};

const MAX_FILE_BYTES: u64 = 64 << 20;

impl DatabaseSchema {
    /// Reads a schema file of several tables.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Config`] as [`Self::from_toml`] gives it.
    pub fn load(path: &Path) -> Result<Self> {
        Self::from_toml(&text_of(path)?)
    }

    /// Reads a schema of several tables from TOML text. Tables whose columns it does not name are read as they are found.
    ///
    /// # Errors
    /// [`Error::Config`] that names the key; for one that is not known, also the nearest known one.
    pub fn from_toml(text: &str) -> Result<Self> {
        let wrong = |problem: String| Error::config("schema", problem.trim_end().to_owned(), "mend the schema");
        let mut document: toml::Table = text.parse().map_err(|e: toml::de::Error| wrong(e.to_string()))?;
        if document.contains_key("columns") {
            let problem = "describes one table, not several";
            return Err(Error::config(
                "schema",
                problem,
                "give it with that table, or write one for all: `ganymede inspect FOLDER --write-schema`",
            ));
        }
        check_keys("schema", &document, &["tables", "foreign_keys"])?;
        let mut list = |key: &str| match document.remove(key) {
            None => Ok(Vec::new()),
            Some(toml::Value::Array(entries)) => Ok(entries),
            Some(_) => Err(Error::config(key, "is no list", format!("write [[{key}]]"))),
        };
        let schema = Self {
            tables: list("tables")?.into_iter().enumerate().map(|(i, entry)| table(i, entry)).collect::<Result<_>>()?,
            foreign_keys: list("foreign_keys")?.into_iter().enumerate().map(|(i, entry)| foreign_key(i, entry)).collect::<Result<_>>()?,
        };
        schema.check()?;
        Ok(schema)
    }

    /// The schema as TOML; `notes[i]` are comments above the columns of table `i`.
    pub fn to_toml(&self, notes: &[Vec<String>]) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let mut out = String::new();
        for (i, table) in self.tables.iter().enumerate() {
            out.push_str(&format!("[[tables]]\nname = {}\nfile = {}\n", quoted(&table.name), quoted(&table.file)));
            out.extend(table.key.as_ref().map(|key| format!("key = {}\n", quoted(key))));
            out.push('\n');
            out.push_str(&table.schema.to_toml_within("tables.", notes.get(i).map_or(&[], Vec::as_slice)));
        }
        if !self.foreign_keys.is_empty() {
            out.push_str("# Of several foreign keys of one table the first says which rows its rows belong to.\n");
        }
        for key in &self.foreign_keys {
            let [table, column, refers_to] = [&key.table, &key.column, &key.refers_to].map(|text| quoted(text));
            out.push_str(&format!("[[foreign_keys]]\ntable = {table}\ncolumn = {column}\nrefers_to = {refers_to}\n\n"));
        }
        out
    }
}

/// The text of a schema file, if it is not larger than any.
pub(super) fn text_of(path: &Path) -> Result<String> {
    let size = std::fs::metadata(path).map_err(|e| Error::io(path, "open", e))?.len();
    if size > MAX_FILE_BYTES {
        return Err(Error::data(path, "is too large for a schema", "give the schema, not the tables"));
    }
    std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))
}

fn table(i: usize, entry: toml::Value) -> Result<NamedTable> {
    let place = format!("tables[{i}]");
    let toml::Value::Table(mut entry) = entry else {
        return Err(Error::config(place, "is no table", "write [[tables]]"));
    };
    check_keys(&place, &entry, &["name", "file", "key", "columns", "constraints"])?;
    let mut text = |key: &str| match entry.remove(key) {
        None => Ok(None),
        Some(toml::Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::config(format!("{place}.{key}"), "is no text", "put it into quotes")),
    };
    let (name, file, key) = (text("name")?, text("file")?, text("key")?);
    let Some(name) = name else {
        return Err(Error::config(format!("{place}.name"), "is missing", "name the table"));
    };
    let schema = Schema::from_document(entry).map_err(|error| within(&name, error))?;
    Ok(NamedTable { file: file.unwrap_or_else(|| format!("{name}.csv")), name, key, schema })
}

fn foreign_key(i: usize, entry: toml::Value) -> Result<ForeignKey> {
    let place = format!("foreign_keys[{i}]");
    entry
        .try_into()
        .map_err(|e: toml::de::Error| Error::config(place, e.message().to_owned(), "give table, column and refers_to, each as a text"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::schema;
    use super::*;

    #[test]
    fn a_schema_survives_writing_and_reading() {
        let own = schema(&["customers", "orders \"x\""], &[("orders \"x\"", "customer", "customers")]);
        let text = own.to_toml(&[vec!["counts\nthe rows".into()]]);
        assert!(
            text.starts_with(
                "[[tables]]\nname = \"customers\"\nfile = \"customers.csv\"\nkey = \"id\"\n\n# counts the rows\n[[tables.columns]]\n"
            ),
            "{text}"
        );
        assert_eq!(DatabaseSchema::from_toml(&text).unwrap(), own);
    }

    #[test]
    fn columns_and_files_may_be_left_open() {
        let own = DatabaseSchema::from_toml(
            "tables = [{ name = \"a\", key = \"id\" }, { name = \"b\", file = \"bees.tsv\" }]\nforeign_keys = [{ table = \"b\", column = \"a\", refers_to = \"a\" }]",
        );
        let own = own.unwrap();
        assert_eq!((own.tables[0].file.as_str(), own.tables[1].file.as_str()), ("a.csv", "bees.tsv"));
        assert!(own.tables[0].schema.columns.is_empty() && own.foreign_keys.len() == 1);
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| DatabaseSchema::from_toml(text).unwrap_err().to_string();
        assert!(message("[[table]]").contains("did you mean \"tables\"?"));
        assert!(message("tables = 3").contains("is no list"));
        assert!(message("[[tables]]\nfile = \"a.csv\"").contains("tables[0].name: is missing"));
        assert!(message("[[tables]]\nname = \"a\"\nkye = \"id\"").contains("did you mean \"key\"?"));
        assert!(message("[[columns]]\nname = \"a\"\nkind = \"real\"").contains("one table, not several"));
        assert!(
            message("[[tables]]\nname = \"a\"\n[[tables.columns]]\nname = \"x\"\nkind = \"rael\"").starts_with("tables.a.columns.x.kind")
        );
        assert!(message("[[tables]]\nname = \"a\"\n[[foreign_keys]]\ntable = \"a\"").contains("foreign_keys[0]"));
        assert!(message("").contains("0 tables"));
    }
}
