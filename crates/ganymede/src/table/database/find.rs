//! Which columns are keys, and which refer to them, found in names and values.

use super::super::frame::{Table, Values};
use super::super::schema::{ColumnSchema, Kind, Schema};
use super::agree::{agreement, is_called_key, key_rank, names_kin};
use super::links::{Link, check_key};
use super::{DatabaseSchema, ForeignKey, NamedTable};

/// Share of the values of a foreign key that must be keys of the other table: a few may be wrong.
const LEAST_LINKED: f64 = 0.9;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guess {
    /// The key of each table.
    pub keys: Vec<Option<String>>,
    /// Foreign keys, those of a table in the order in which they say what its rows belong to.
    pub foreign_keys: Vec<ForeignKey>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// A column that may refer to a key.
struct Candidate {
    child: usize,
    column: String,
    parent: usize,
    key: String,
    score: usize,
}

/// Keys and foreign keys of tables by name, values and schema.
///
/// A column refers to a table if its name says so (its words are those of the table's name, or of its key) and nearly all its values are keys there: a column of small whole numbers, which are among the keys of any table that counts its rows, is
/// none by itself. A foreign key that would close a circle over other tables is left an ordinary column.
pub fn find(tables: &[(&str, &Table, &Schema)]) -> Guess {
    let keys: Vec<Vec<&ColumnSchema>> = tables.iter().map(|(name, table, schema)| possible_keys(name, table, schema)).collect();
    let mut found: Vec<Candidate> = (0..tables.len()).flat_map(|child| references(tables, &keys, child)).collect();
    let keys: Vec<Option<String>> = (0..tables.len()).map(|table| chosen_key(tables[table].0, table, &keys[table], &found)).collect();
    found.retain(|candidate| keys[candidate.parent].as_ref() == Some(&candidate.key));
    found.sort_by(|a, b| b.score.cmp(&a.score).then(a.child.cmp(&b.child)).then(a.column.cmp(&b.column)));
    let mut guess = Guess { keys, ..Guess::default() };
    for candidate in &found {
        let key = foreign_key(tables, candidate);
        let named: Vec<NamedTable> = tables.iter().map(|(name, ..)| named(name)).collect();
        let with = DatabaseSchema { tables: named, foreign_keys: [&guess.foreign_keys[..], std::slice::from_ref(&key)].concat() };
        if with.order().is_ok() {
            guess.foreign_keys = with.foreign_keys;
        } else {
            guess.notes.push(format!("{key} holds keys of {}, which refers back: it is learned as an ordinary column", key.refers_to));
        }
    }
    let place = |key: &ForeignKey| {
        let at = |name: &str| tables.iter().position(|(own, ..)| *own == name).unwrap_or_default();
        let (child, parent) = (at(&key.table), at(&key.refers_to));
        let is_own_key = guess.keys[child].as_ref() == Some(&key.column);
        // Rows belong to what there is most of: items to their order rather than to their product.
        (child, !is_own_key, usize::MAX - tables[parent].1.n_rows(), tables[child].1.position(&key.column))
    };
    guess.foreign_keys.sort_by_key(place);
    guess.foreign_keys.extend(kin(tables, &guess));
    guess
}

fn named(name: &str) -> NamedTable {
    NamedTable { name: name.to_owned(), file: String::new(), key: None, schema: Schema::default() }
}

fn foreign_key(tables: &[(&str, &Table, &Schema)], candidate: &Candidate) -> ForeignKey {
    ForeignKey {
        table: tables[candidate.child].0.to_owned(),
        column: candidate.column.clone(),
        refers_to: tables[candidate.parent].0.to_owned(),
    }
}

/// Columns that have a value of its own in every row and look like keys.
fn possible_keys<'a>(name: &str, table: &Table, schema: &'a Schema) -> Vec<&'a ColumnSchema> {
    let looks_so = |column: &&ColumnSchema| match column.kind {
        Kind::Identifier => {
            let values = table.column(&column.name).map(|c| &c.values);
            is_called_key(&column.name, name) || column.pattern.is_some() || matches!(values, Some(Values::Numbers(_)))
        }
        Kind::Integer | Kind::Category => is_called_key(&column.name, name),
        _ => false,
    };
    let is_key = |column: &&ColumnSchema| table.column(&column.name).is_some_and(|c| check_key(&c.values).is_ok());
    schema.kept().filter(looks_so).filter(is_key).collect()
}

/// For each column of a table the key that it refers to most surely.
fn references(tables: &[(&str, &Table, &Schema)], keys: &[Vec<&ColumnSchema>], child: usize) -> Vec<Candidate> {
    let (child_name, table, schema) = tables[child];
    let mut found = Vec::new();
    for column in schema.kept().filter(|column| may_refer(column)) {
        let Some(values) = table.column(&column.name).map(|c| &c.values) else { continue };
        let is_key_here = keys[child].iter().any(|key| key.name == column.name);
        let mut best: Option<Candidate> = None;
        for (parent, (parent_name, parent_table, _)) in tables.iter().enumerate().filter(|(parent, _)| *parent != child) {
            for key in &keys[parent] {
                let Some(score) = agreement(&column.name, parent_name, &key.name) else { continue };
                // Of two tables with the same key one refers to the other: to that which is called so, or else to the larger one.
                let rank = |name: &str, column: &str, n: usize, at: usize| (key_rank(column, name), n, usize::MAX - at);
                let own = rank(child_name, &column.name, table.n_rows(), child);
                let is_above = rank(parent_name, &key.name, parent_table.n_rows(), parent) > own;
                if best.as_ref().is_some_and(|best| best.score >= score) || (is_key_here && !is_above) {
                    continue;
                }
                let Some(of_key) = parent_table.column(&key.name) else { continue };
                if is_linked(values, &of_key.values) {
                    best = Some(Candidate { child, column: column.name.clone(), parent, key: key.name.clone(), score });
                }
            }
        }
        found.extend(best);
    }
    found
}

fn may_refer(column: &ColumnSchema) -> bool {
    matches!(column.kind, Kind::Integer | Kind::Category | Kind::Identifier)
}

fn is_linked(column: &Values, key: &Values) -> bool {
    let link = Link::of(column, key);
    let n_present = column.len() - link.n_missing;
    link.n_linked() > 0 && link.n_linked() as f64 >= LEAST_LINKED * n_present as f64
}

/// The key that most others refer to; if none does, the one that is called most like a key of its table.
fn chosen_key(name: &str, table: usize, keys: &[&ColumnSchema], found: &[Candidate]) -> Option<String> {
    let n_referring = |key: &str| found.iter().filter(|candidate| candidate.parent == table && candidate.key == key).count();
    let rank = |key: &ColumnSchema| (n_referring(&key.name), key_rank(&key.name, name), key.kind == Kind::Identifier);
    // The first of several that are as good.
    keys.iter().rev().max_by_key(|key| rank(key)).map(|key| key.name.clone())
}

/// Columns that refer to other rows of their own table.
fn kin(tables: &[(&str, &Table, &Schema)], guess: &Guess) -> Vec<ForeignKey> {
    let mut found = Vec::new();
    for ((name, table, schema), key) in tables.iter().zip(&guess.keys) {
        let Some(key) = key.as_ref().and_then(|key| table.column(key)) else { continue };
        for column in schema.kept().filter(|column| may_refer(column) && names_kin(&column.name, &key.name)) {
            let is_taken = guess.foreign_keys.iter().any(|known| known.table == *name && known.column == column.name);
            if !is_taken && table.column(&column.name).is_some_and(|own| is_linked(&own.values, &key.values)) {
                found.push(ForeignKey { table: (*name).to_owned(), column: column.name.clone(), refers_to: (*name).to_owned() });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::super::frame::Column;
    use super::super::super::infer::infer;
    use super::*;

    fn table(columns: &[(&str, &dyn Fn(usize) -> f64)], n: usize) -> Table {
        let column = |(name, value): &(&str, &dyn Fn(usize) -> f64)| Column {
            name: (*name).to_owned(),
            values: Values::Numbers((0..n).map(value).collect()),
        };
        Table { columns: columns.iter().map(column).collect() }
    }

    fn found(tables: &[(&str, Table)]) -> Guess {
        let schemas: Vec<Schema> = tables.iter().map(|(_, table)| infer(table).0).collect();
        let all: Vec<(&str, &Table, &Schema)> = tables.iter().zip(&schemas).map(|((name, table), schema)| (*name, table, schema)).collect();
        find(&all)
    }

    fn texts(guess: &Guess) -> Vec<String> {
        guess.foreign_keys.iter().map(|key| format!("{key} -> {}", key.refers_to)).collect()
    }

    #[test]
    fn a_shop_is_understood() {
        let guess = found(&[
            ("customers", table(&[("id", &|i| 100.0 + i as f64), ("age", &|i| (20 + i * 7 % 50) as f64)], 60)),
            (
                "orders",
                table(
                    &[
                        ("id", &|i| i as f64),
                        ("customer_id", &|i| 100.0 + (i * i % 50) as f64),
                        ("amount", &|i| (i * 37 % 91) as f64 / 4.0),
                    ],
                    200,
                ),
            ),
            ("products", table(&[("id", &|i| i as f64), ("price", &|i| (i % 7) as f64 / 3.0)], 30)),
            (
                "items",
                table(&[("product_id", &|i| (i % 30) as f64), ("order_id", &|i| (i / 3) as f64), ("count", &|i| (i % 4) as f64)], 500),
            ),
        ]);
        assert_eq!(guess.keys, [Some("id".into()), Some("id".into()), Some("id".into()), None]);
        // Items belong to their order, of which there are more.
        assert_eq!(texts(&guess), ["orders.customer_id -> customers", "items.order_id -> orders", "items.product_id -> products"]);
        assert!(guess.notes.is_empty());
    }

    #[test]
    fn small_whole_numbers_are_no_keys_by_coincidence() {
        let guess = found(&[
            ("rooms", table(&[("id", &|i| (i + 1) as f64), ("size", &|i| (i % 9) as f64)], 50)),
            (
                "guests",
                table(&[("id", &|i| (i + 1) as f64), ("nights", &|i| (1 + i % 9) as f64), ("age", &|i| (1 + i * 7 % 50) as f64)], 400),
            ),
        ]);
        assert!(guess.foreign_keys.is_empty(), "{guess:?}");
        // A name alone is not enough either.
        let guess = found(&[
            ("rooms", table(&[("id", &|i| (i + 1) as f64), ("size", &|i| (i % 9) as f64)], 50)),
            ("guests", table(&[("room_id", &|i| (1000 + i % 40) as f64), ("age", &|i| (1 + i * 7 % 50) as f64)], 400)),
        ]);
        assert!(guess.foreign_keys.is_empty(), "{guess:?}");
    }

    #[test]
    fn missing_values_and_a_few_wrong_ones_do_no_harm() {
        let guess = found(&[
            ("teams", table(&[("team_id", &|i| (i * 3) as f64), ("size", &|i| (i % 9) as f64)], 50)),
            (
                "matches",
                table(
                    &[
                        ("home_team_id", &|i| if i % 10 == 0 { f64::NAN } else { (i % 50 * 3) as f64 }),
                        ("away_team_id", &|i| if i == 7 { 1e6 } else { (i * 7 % 50 * 3) as f64 }),
                    ],
                    300,
                ),
            ),
        ]);
        assert_eq!(texts(&guess), ["matches.home_team_id -> teams", "matches.away_team_id -> teams"]);
    }

    #[test]
    fn one_row_each_refers_to_the_table_of_that_name_and_rows_refer_to_their_own_table() {
        let guess = found(&[
            ("details", table(&[("person_id", &|i| (i * 3 % 100) as f64), ("score", &|i| (i % 9) as f64)], 90)),
            (
                "people",
                table(
                    &[("person_id", &|i| (i * 7 % 100) as f64), ("manager_id", &|i| if i == 0 { f64::NAN } else { (i / 2) as f64 })],
                    100,
                ),
            ),
        ]);
        assert_eq!(texts(&guess), ["details.person_id -> people", "people.manager_id -> people"]);
    }

    #[test]
    fn a_circle_is_not_closed() {
        let guess = found(&[
            ("cities", table(&[("id", &|i| i as f64), ("country_id", &|i| (i % 30) as f64)], 100)),
            ("countries", table(&[("id", &|i| i as f64), ("city_id", &|i| (i * 3) as f64)], 30)),
        ]);
        assert_eq!(guess.foreign_keys.len(), 1);
        assert!(guess.notes[0].contains("refers back"), "{:?}", guess.notes);
    }
}
