//! Several tables that refer to each other: what each is, which column is its key, and which columns are foreign keys.

mod agree;
mod file;
mod find;
mod links;
mod sdv;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::names;
use super::schema::{Kind, Schema};
use crate::error::{Error, Result};

pub use find::{Guess, find};
pub use links::{KeyProblem, Link, check_key};
pub use sdv::Metadata;

/// Tables at most.
const MOST_TABLES: usize = 200;
/// Endings of files that are written as they were read.
const WRITTEN: [&str; 5] = ["csv", "tsv", "tab", "jsonl", "ndjson"];

/// What several tables are, and how they refer to each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSchema {
    /// The tables.
    pub tables: Vec<NamedTable>,
    /// Which columns refer to which tables. Of several in one table the first says which rows its rows belong to.
    pub foreign_keys: Vec<ForeignKey>,
}

/// One table of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedTable {
    /// What it is called: its file's name without the ending, where nothing else is said.
    pub name: String,
    /// Name of its file, in the folder of all.
    pub file: String,
    /// The column whose values tell its rows apart, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its columns; none where they are still to be found.
    #[serde(default)]
    pub schema: Schema,
}

/// A column whose values are keys of another table's rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignKey {
    /// The table that the column is in.
    pub table: String,
    /// The column.
    pub column: String,
    /// The table whose key it holds.
    pub refers_to: String,
}

impl std::fmt::Display for ForeignKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.table, self.column)
    }
}

impl NamedTable {
    /// Name of the file that rows of it are written to: that of its own, as CSV where its format is read but not written.
    pub fn written(&self) -> String {
        let (stem, packed) = self.file.strip_suffix(".gz").map_or((self.file.as_str(), ""), |stem| (stem, ".gz"));
        let (base, ending) = stem.rsplit_once('.').unwrap_or((stem, ""));
        let is_written = match ending.to_lowercase().as_str() {
            "parquet" => cfg!(feature = "parquet"),
            "arrow" | "feather" => cfg!(feature = "arrow"),
            ending => WRITTEN.contains(&ending),
        };
        if is_written { self.file.clone() } else { format!("{base}.csv{packed}") }
    }
}

impl DatabaseSchema {
    /// Position of the table of that name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.tables.iter().position(|table| table.name == name)
    }

    /// Foreign keys of the table at that position, in their order: their positions among all.
    pub fn foreign_keys_of(&self, table: usize) -> Vec<usize> {
        let name = &self.tables[table].name;
        (0..self.foreign_keys.len()).filter(|at| self.foreign_keys[*at].table == *name).collect()
    }

    /// Makes keys and foreign keys columns that are never learned.
    pub fn mark_keys(&mut self) {
        let foreign: HashSet<(&str, &str)> = self.foreign_keys.iter().map(|key| (key.table.as_str(), key.column.as_str())).collect();
        for table in &mut self.tables {
            for column in &mut table.schema.columns {
                let is_key = table.key.as_ref() == Some(&column.name);
                if is_key || foreign.contains(&(table.name.as_str(), column.name.as_str())) {
                    column.kind = Kind::Identifier;
                    (column.min, column.max, column.categories) = (None, None, None);
                }
            }
        }
    }

    /// The positions of all tables, each after those that it refers to.
    ///
    /// # Errors
    /// The names of tables that refer to each other in a circle.
    pub fn order(&self) -> Result<Vec<usize>, Vec<String>> {
        let parents: Vec<Vec<usize>> = (0..self.tables.len())
            .map(|table| {
                let own = self.foreign_keys_of(table).into_iter().filter_map(|at| self.position(&self.foreign_keys[at].refers_to));
                own.filter(|parent| *parent != table).collect()
            })
            .collect();
        let mut order: Vec<usize> = Vec::new();
        while order.len() < parents.len() {
            let is_next = |table: &usize| !order.contains(table) && parents[*table].iter().all(|parent| order.contains(parent));
            match (0..parents.len()).find(is_next) {
                Some(next) => order.push(next),
                None => return Err(self.circle(&parents, &order)),
            }
        }
        Ok(order)
    }

    /// A way from a table back to itself, over tables that are not in `order`: every one of those refers to another of them.
    fn circle(&self, parents: &[Vec<usize>], order: &[usize]) -> Vec<String> {
        let open = |table: &&usize| !order.contains(*table);
        let all: Vec<usize> = (0..parents.len()).collect();
        let mut way: Vec<usize> = all.iter().find(open).copied().into_iter().collect();
        while let Some(next) = way.last().and_then(|last| parents[*last].iter().find(open)) {
            if let Some(at) = way.iter().position(|table| table == next) {
                way.drain(..at);
                way.push(*next);
                break;
            }
            way.push(*next);
        }
        way.into_iter().map(|table| self.tables[table].name.clone()).collect()
    }

    /// Checks that tables and columns that are spoken of are there, that file names are plain, and that nothing refers to itself in a circle over other tables.
    ///
    /// # Errors
    /// [`Error::Config`] that names the key.
    pub fn check(&self) -> Result<()> {
        let wrong = |key: String, problem: String, remedy: String| Err(Error::config(key, problem, remedy));
        if self.tables.is_empty() || self.tables.len() > MOST_TABLES {
            return wrong("tables".into(), format!("{} tables", self.tables.len()), format!("give 1 to {MOST_TABLES}"));
        }
        let (mut seen, mut files) = (HashSet::new(), HashSet::new());
        for table in &self.tables {
            let at = |key: &str| format!("tables.{}{}{key}", table.name, if key.is_empty() { "" } else { "." });
            if table.name.trim().is_empty() || !seen.insert(table.name.as_str()) {
                return wrong(at(""), "is listed twice, or has no name".into(), "give every table a name of its own".into());
            }
            if !is_plain(&table.file) {
                return wrong(
                    at("file"),
                    format!("\"{}\" is not the plain name of a file", table.file),
                    "name a file beside the others".into(),
                );
            }
            if !files.insert(table.written()) {
                return wrong(at("file"), format!("\"{}\" is that of another table, too", table.file), "give every table a file".into());
            }
            table.schema.check().map_err(|error| within(&table.name, error))?;
            let kept = || table.schema.kept().map(|column| column.name.as_str());
            if let Some(key) = table.key.as_ref().filter(|key| !table.schema.columns.is_empty() && !kept().any(|name| name == *key)) {
                return wrong(at("key"), format!("there is no column \"{key}\""), names::hint(key, kept()));
            }
        }
        let mut seen = HashSet::new();
        for key in &self.foreign_keys {
            let at = || format!("foreign_keys.{key}");
            let known = || self.tables.iter().map(|table| table.name.as_str());
            for name in [&key.table, &key.refers_to] {
                if self.position(name).is_none() {
                    return wrong(at(), format!("there is no table \"{name}\""), names::hint(name, known()));
                }
            }
            let (own, parent) = (self.position(&key.table).unwrap_or_default(), self.position(&key.refers_to).unwrap_or_default());
            let (own, parent) = (&self.tables[own], &self.tables[parent]);
            let kept = || own.schema.kept().map(|column| column.name.as_str());
            if !own.schema.columns.is_empty() && !kept().any(|name| name == key.column) {
                return wrong(at(), format!("the table {} has no column \"{}\"", key.table, key.column), names::hint(&key.column, kept()));
            }
            if parent.key.is_none() {
                let problem = format!("refers to {}, which has no key", key.refers_to);
                return wrong(at(), problem, format!("name the key of {} in the schema", key.refers_to));
            }
            if key.table == key.refers_to && own.key.as_ref() == Some(&key.column) {
                return wrong(at(), "is the key of its own table and refers to it".into(), "remove this foreign key".into());
            }
            if !seen.insert((key.table.as_str(), key.column.as_str())) {
                return wrong(at(), "is listed twice".into(), "let a column refer to one table".into());
            }
        }
        match self.order() {
            Ok(_) => Ok(()),
            Err(circle) => {
                let problem = format!("the tables {} refer to each other in a circle", circle.join(" -> "));
                wrong(
                    "foreign_keys".into(),
                    problem,
                    "leave out one of these foreign keys in the schema: its column is then an ordinary one".into(),
                )
            }
        }
    }
}

/// An error about the schema of a table, with the name of the table before its key.
fn within(table: &str, error: Error) -> Error {
    match error {
        Error::Config { key, problem, remedy } => Error::Config { key: format!("tables.{table}.{key}"), problem, remedy },
        other => other,
    }
}

/// Whether a text names a file in a folder and nothing outside of it.
fn is_plain(file: &str) -> bool {
    let is_odd = |c: char| c.is_control() || matches!(c, '/' | '\\' | ':');
    !file.is_empty() && file.len() <= 255 && !file.starts_with('.') && !file.contains(is_odd)
}

#[cfg(test)]
mod tests {
    use super::super::schema::ColumnSchema;
    use super::*;

    /// Tables with a key `id` each, and a column for each foreign key.
    pub(super) fn schema(tables: &[&str], keys: &[(&str, &str, &str)]) -> DatabaseSchema {
        let table = |name: &&str| {
            let own = keys.iter().filter(|key| key.0 == *name).map(|key| ColumnSchema::new(key.1, Kind::Integer));
            let columns = std::iter::once(ColumnSchema::new("id", Kind::Integer)).chain(own).collect();
            let schema = Schema { columns, constraints: Vec::new() };
            NamedTable { name: (*name).to_owned(), file: format!("{name}.csv"), key: Some("id".into()), schema }
        };
        let key = |(table, column, refers_to): &(&str, &str, &str)| ForeignKey {
            table: (*table).to_owned(),
            column: (*column).to_owned(),
            refers_to: (*refers_to).to_owned(),
        };
        DatabaseSchema { tables: tables.iter().map(table).collect(), foreign_keys: keys.iter().map(key).collect() }
    }

    #[test]
    fn tables_come_after_those_that_they_refer_to() {
        let own = schema(&["items", "orders", "customers"], &[("orders", "customer", "customers"), ("items", "order", "orders")]);
        own.check().unwrap();
        assert_eq!(own.order().unwrap(), [2, 1, 0]);
        let with_itself = schema(&["staff"], &[("staff", "boss", "staff")]);
        with_itself.check().unwrap();
        assert_eq!(with_itself.order().unwrap(), [0]);
    }

    #[test]
    fn circles_and_strangers_are_refused() {
        let message = |own: DatabaseSchema| own.check().unwrap_err().to_string();
        let circle = schema(&["x", "a", "b", "c"], &[("x", "a", "a"), ("a", "b", "b"), ("b", "c", "c"), ("c", "a", "a")]);
        assert!(message(circle).contains("a -> b -> c -> a"));
        assert!(message(schema(&["orders"], &[("orders", "c", "customers")])).contains("no table \"customers\""));
        let mut unknown = schema(&["orders", "customers"], &[("orders", "customer", "customers")]);
        unknown.foreign_keys[0].column = "custmer".into();
        assert!(message(unknown).contains("did you mean \"customer\"?"));
        let mut without = schema(&["orders", "customers"], &[("orders", "customer", "customers")]);
        without.tables[1].key = None;
        assert!(message(without).contains("which has no key"));
        let twice = schema(&["a", "b"], &[("a", "x", "b"), ("a", "x", "b")]);
        assert!(message(twice).contains("listed twice"));
        for file in ["../a.csv", "/etc/passwd", ".hidden.csv", "a\\b.csv", ""] {
            let mut own = schema(&["a"], &[]);
            own.tables[0].file = file.into();
            assert!(message(own).contains("plain name"), "{file}");
        }
    }

    #[test]
    fn files_keep_their_names_where_their_format_is_written() {
        let written = |file: &str| NamedTable { name: "a".into(), file: file.into(), key: None, schema: Schema::default() }.written();
        assert_eq!([written("a.csv"), written("a.tsv.gz"), written("A.JSONL")], ["a.csv", "a.tsv.gz", "A.JSONL"]);
        assert_eq!([written("a.txt"), written("a.json.gz"), written("b")], ["a.csv", "a.csv.gz", "b.csv"]);
    }

    #[test]
    fn keys_are_never_learned() {
        let mut own = schema(&["orders", "customers"], &[("orders", "customer", "customers")]);
        own.mark_keys();
        assert!(own.tables.iter().flat_map(|table| &table.schema.columns).all(|column| column.kind == Kind::Identifier));
    }
}
