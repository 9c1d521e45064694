//! How the rows of several tables belong together: which table's rows another's belong to, and what becomes of its other foreign keys.

use serde::{Deserialize, Serialize};

use crate::judge::Split;
use crate::table::database::{DatabaseSchema, Link};

/// How tables are related.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// One for each table, in the order of the schema.
    pub members: Vec<Member>,
    /// The table whose rows are asked for: of those that refer to no other, the one that most tables belong to.
    pub first: usize,
}

/// One table among those that it refers to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// What its foreign keys refer to, in their order.
    pub parents: Vec<Parent>,
    /// How many rows there are for each row of the first table.
    pub share: f64,
}

/// What a foreign key refers to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// The column.
    pub column: String,
    /// The table that it refers to.
    pub table: usize,
    /// What it says of its row.
    pub role: Role,
    /// Share of the rows that refer to none.
    pub missing: f64,
}

/// What a foreign key says of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The row belongs to the one that it refers to, which says how many such rows there are.
    Owner,
    /// The row refers to one of another table beside that which it belongs to.
    Shared,
    /// The row refers to what the row that it belongs to belongs to, directly or over others: so it is in all of the data.
    Inherited,
    /// The row refers to another of its own table.
    Itself,
}

impl Role {
    /// Whether rows of the parent are learned to have so many such rows, and such rows are learned knowing their parent.
    pub fn is_learned(self) -> bool {
        matches!(self, Self::Owner | Self::Shared)
    }
}

impl Member {
    /// What its rows belong to: the place of that foreign key among its own.
    pub fn owner(&self) -> Option<usize> {
        self.parents.iter().position(|parent| parent.role == Role::Owner)
    }
}

impl Family {
    /// Of tables with so many rows each and the links of all foreign keys.
    pub fn of(schema: &DatabaseSchema, links: &[Link], n_rows: &[usize]) -> Self {
        let mut members: Vec<Member> = Vec::new();
        for table in 0..schema.tables.len() {
            let keys = schema.foreign_keys_of(table);
            let mut parents: Vec<Parent> = keys
                .iter()
                .map(|at| {
                    let (key, link) = (&schema.foreign_keys[*at], &links[*at]);
                    let parent = schema.position(&key.refers_to).unwrap_or_default();
                    let missing = 1.0 - link.n_linked() as f64 / link.rows.len().max(1) as f64;
                    let role = if parent == table { Role::Itself } else { Role::Shared };
                    Parent { column: key.column.clone(), table: parent, role, missing }
                })
                .collect();
            // What tells rows apart says what they belong to; otherwise the first key does.
            let is_key = |parent: &Parent| schema.tables[table].key.as_ref() == Some(&parent.column);
            let others = || parents.iter().enumerate().filter(|(_, parent)| parent.role == Role::Shared);
            if let Some(owner) = others().find(|(_, parent)| is_key(parent)).or_else(|| others().next()).map(|(at, _)| at) {
                parents[owner].role = Role::Owner;
            }
            members.push(Member { parents, share: 0.0 });
        }
        let mut family = Self { members, first: 0 };
        for table in 0..schema.tables.len() {
            for (at, own) in schema.foreign_keys_of(table).into_iter().enumerate() {
                let parent = &family.members[table].parents[at];
                if parent.role == Role::Shared && family.is_inherited(schema, links, (table, parent.table, own)) {
                    family.members[table].parents[at].role = Role::Inherited;
                }
            }
        }
        let n_below = |root: usize| (0..n_rows.len()).filter(|table| family.root(*table) == root).count();
        let roots = (0..n_rows.len()).filter(|table| family.members[*table].owner().is_none());
        family.first = roots.max_by_key(|root| (n_below(*root), n_rows[*root], usize::MAX - root)).unwrap_or(0);
        let n_first = n_rows.get(family.first).copied().unwrap_or(1).max(1);
        family.members.iter_mut().zip(n_rows).for_each(|(member, n)| member.share = *n as f64 / n_first as f64);
        family
    }

    /// Whether a foreign key refers in every row to the row of `ancestor` that its row belongs to over others.
    fn is_inherited(&self, schema: &DatabaseSchema, links: &[Link], (table, ancestor, own): (usize, usize, usize)) -> bool {
        let owner_link = |table: usize| {
            let at = self.members[table].owner()?;
            Some((self.members[table].parents[at].table, schema.foreign_keys_of(table)[at]))
        };
        let Some((mut at, link)) = owner_link(table) else { return false };
        let mut rows = links[link].rows.clone();
        while at != ancestor {
            let Some((next, link)) = owner_link(at) else { return false };
            rows.iter_mut().for_each(|row| *row = row.and_then(|row| links[link].rows[row as usize]));
            at = next;
        }
        rows == links[own].rows
    }

    /// The table that a table's rows belong to in the end: itself, if they belong to none.
    pub fn root(&self, table: usize) -> usize {
        let mut at = table;
        // Each step goes to another table, since tables do not refer to each other in a circle.
        for _ in 0..self.members.len() {
            match self.members[at].owner() {
                Some(owner) => at = self.members[at].parents[owner].table,
                None => break,
            }
        }
        at
    }

    /// Foreign keys that refer to a table and are counted for its rows: the table that each is in, and its place among the keys there.
    pub fn counted(&self, table: usize) -> Vec<(usize, usize)> {
        let of = |(child, member): (usize, &Member)| {
            let own = member.parents.iter().enumerate().filter(|(_, parent)| parent.table == table && parent.role.is_learned());
            own.map(|(at, _)| (child, at)).collect::<Vec<_>>()
        };
        self.members.iter().enumerate().flat_map(of).collect()
    }

    /// Which rows of each table are held out: whole rows of the first table with all that belongs to them, so that nothing of them is learned. Of other tables that rows of several belong to, likewise, unless
    /// tables outside refer to them: what is shared by all is not held out.
    pub fn split(&self, schema: &DatabaseSchema, links: &[Link], n_rows: &[usize], holdout: f64) -> Vec<Split> {
        let order = schema.order().unwrap_or_default();
        let is_shared = |root: usize| {
            let refers = |(child, member): (usize, &Member)| {
                self.root(child) != root
                    && member.parents.iter().any(|parent| parent.role == Role::Shared && self.root(parent.table) == root)
            };
            root != self.first && self.members.iter().enumerate().any(refers)
        };
        let held_of =
            |places: &[usize]| -> Vec<usize> { Split::new(places.len(), holdout).held_out.into_iter().map(|at| places[at]).collect() };
        let mut is_held: Vec<Vec<bool>> = n_rows.iter().map(|n| vec![false; *n]).collect();
        for table in order {
            let member = &self.members[table];
            let keys = schema.foreign_keys_of(table);
            let own: Vec<(usize, &Link)> = member
                .parents
                .iter()
                .zip(keys)
                .filter(|(parent, _)| parent.role.is_learned())
                .map(|(parent, key)| (parent.table, &links[key]))
                .collect();
            let mut held = vec![false; n_rows[table]];
            // Rows that belong to none stand for themselves.
            let alone: Vec<usize> = match member.owner() {
                None if is_shared(table) => Vec::new(),
                None => (0..n_rows[table]).collect(),
                Some(owner) => {
                    let key = schema.foreign_keys_of(table)[owner];
                    (0..n_rows[table]).filter(|row| links[key].rows[*row].is_none()).collect()
                }
            };
            held_of(&alone).into_iter().for_each(|row| held[row] = true);
            for (parent, link) in own {
                held.iter_mut().zip(&link.rows).for_each(|(held, row)| *held |= row.is_some_and(|row| is_held[parent][row as usize]));
            }
            is_held[table] = held;
        }
        let split = |held: &Vec<bool>| {
            let (held_out, training) = (0..held.len()).partition(|row| held[*row]);
            Split { training, held_out }
        };
        is_held.iter().map(split).collect()
    }

    /// Whether this can be the family of a schema: for one that comes from a file.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn check(&self, schema: &DatabaseSchema) -> Result<(), String> {
        if self.members.len() != schema.tables.len() || self.first >= schema.tables.len() || self.members[self.first].owner().is_some() {
            return Err("the tables and how they are related do not fit together".to_owned());
        }
        for (table, member) in self.members.iter().enumerate() {
            let keys = schema.foreign_keys_of(table);
            let is_key = |(parent, at): (&Parent, &usize)| {
                let key = &schema.foreign_keys[*at];
                parent.column == key.column
                    && schema.position(&key.refers_to) == Some(parent.table)
                    && (parent.table == table) == (parent.role == Role::Itself)
                    && (0.0..=1.0).contains(&parent.missing)
            };
            let n_owners = member.parents.iter().filter(|parent| parent.role == Role::Owner).count();
            let has_others = member.parents.iter().any(|parent| matches!(parent.role, Role::Shared | Role::Inherited));
            let is_sound = member.parents.len() == keys.len()
                && member.parents.iter().zip(&keys).all(is_key)
                && n_owners <= 1
                && (n_owners == 1 || !has_others)
                && member.share.is_finite()
                && (0.0..=1e9).contains(&member.share);
            if !is_sound {
                return Err(format!("the table {} and what it refers to do not fit together", schema.tables[table].name));
            }
            let inherited = member.parents.iter().filter(|parent| parent.role == Role::Inherited);
            if inherited.into_iter().any(|parent| !self.ancestors(table).contains(&parent.table)) {
                return Err(format!("rows of {} do not belong to what they are said to inherit", schema.tables[table].name));
            }
        }
        Ok(())
    }

    /// The tables that a table's rows belong to, the nearest first.
    fn ancestors(&self, table: usize) -> Vec<usize> {
        let mut found: Vec<usize> = Vec::new();
        let mut at = table;
        while let Some(owner) = self.members[at].owner() {
            at = self.members[at].parents[owner].table;
            if found.len() >= self.members.len() || at >= self.members.len() {
                break;
            }
            found.push(at);
        }
        found
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::table::database::{ForeignKey, NamedTable};
    use crate::table::{ColumnSchema, Kind, Schema};

    /// A schema of tables that each have a key `id` and a column for each foreign key (table, column, refers to).
    pub fn schema(tables: &[&str], keys: &[(&str, &str, &str)]) -> DatabaseSchema {
        let table = |name: &&str| {
            let own = keys.iter().filter(|key| key.0 == *name).map(|key| ColumnSchema::new(key.1, Kind::Identifier));
            let columns = std::iter::once(ColumnSchema::new("id", Kind::Identifier)).chain(own).collect();
            NamedTable {
                name: (*name).to_owned(),
                file: format!("{name}.csv"),
                key: Some("id".into()),
                schema: Schema { columns, constraints: Vec::new() },
            }
        };
        let key = |key: &(&str, &str, &str)| ForeignKey { table: key.0.into(), column: key.1.into(), refers_to: key.2.into() };
        DatabaseSchema { tables: tables.iter().map(table).collect(), foreign_keys: keys.iter().map(key).collect() }
    }

    fn link(rows: impl Iterator<Item = Option<u32>>) -> Link {
        let rows: Vec<Option<u32>> = rows.collect();
        let n_missing = rows.iter().filter(|row| row.is_none()).count();
        Link { rows, n_missing, n_dangling: 0, first_dangling: None }
    }

    /// 100 customers, 300 orders of them, 40 products, 900 items of orders and products, with the customer once more in each item.
    fn shop() -> (DatabaseSchema, Vec<Link>, [usize; 4]) {
        let keys = [
            ("orders", "customer", "customers"),
            ("items", "order", "orders"),
            ("items", "product", "products"),
            ("items", "buyer", "customers"),
        ];
        let schema = schema(&["customers", "orders", "products", "items"], &keys);
        let links = vec![
            link((0..300).map(|i| (i % 10 != 0).then_some(i / 3))),
            link((0..900).map(|i| Some(i / 3))),
            link((0..900).map(|i| Some(i % 40))),
            link((0..900).map(|i| (i / 3 % 10 != 0).then_some(i / 9))),
        ];
        (schema, links, [100, 300, 40, 900])
    }

    #[test]
    fn rows_belong_to_the_first_table_that_they_refer_to() {
        let (schema, links, n_rows) = shop();
        let family = Family::of(&schema, &links, &n_rows);
        family.check(&schema).unwrap();
        let roles = |table: usize| family.members[table].parents.iter().map(|parent| parent.role).collect::<Vec<_>>();
        assert_eq!((roles(1), roles(3)), (vec![Role::Owner], vec![Role::Owner, Role::Shared, Role::Inherited]));
        assert_eq!((family.first, family.root(3), family.members[2].share), (0, 0, 0.4));
        assert!((family.members[1].parents[0].missing - 0.1).abs() < 1e-12);
        assert_eq!((family.counted(0), family.counted(1), family.counted(2)), (vec![(1, 0)], vec![(3, 0)], vec![(3, 1)]));
    }

    #[test]
    fn a_table_that_refers_to_itself_is_a_root() {
        let own = schema(&["staff"], &[("staff", "boss", "staff")]);
        let family = Family::of(&own, &[link((0..50).map(|i: u32| i.checked_sub(1)))], &[50]);
        family.check(&own).unwrap();
        assert_eq!((family.members[0].parents[0].role, family.members[0].owner()), (Role::Itself, None));
        assert!(family.counted(0).is_empty());
    }

    #[test]
    fn what_belongs_to_a_held_out_row_is_held_out_and_what_all_share_is_not() {
        let (schema, links, n_rows) = shop();
        let family = Family::of(&schema, &links, &n_rows);
        let split = family.split(&schema, &links, &n_rows, 0.1);
        assert_eq!((split[0].held_out.len(), split[2].held_out.len()), (10, 0));
        let is_held = |table: usize, row: u32| split[table].held_out.binary_search(&(row as usize)).is_ok();
        for (row, customer) in links[0].rows.iter().enumerate() {
            if let Some(customer) = customer {
                assert_eq!(is_held(1, row as u32), is_held(0, *customer));
            }
        }
        // Of the orders of nobody a tenth is held out, too.
        assert_eq!((0..300).step_by(10).filter(|row| is_held(1, *row)).count(), 0, "a tenth of 30 is too few");
        for (row, order) in links[1].rows.iter().enumerate() {
            assert_eq!(is_held(3, row as u32), is_held(1, order.unwrap()));
        }
        for (split, n) in split.iter().zip(n_rows) {
            assert_eq!(split.training.len() + split.held_out.len(), n);
        }
        assert!(family.split(&schema, &links, &n_rows, 0.0).iter().all(|split| split.held_out.is_empty()));
    }

    #[test]
    fn families_that_do_not_fit_their_schema_are_refused() {
        let (schema, links, n_rows) = shop();
        let family = Family::of(&schema, &links, &n_rows);
        let change = |change: &dyn Fn(&mut Family)| {
            let mut other = family.clone();
            change(&mut other);
            assert!(other.check(&schema).is_err(), "{other:?}");
        };
        change(&|family| drop(family.members.pop()));
        change(&|family| family.first = 9);
        change(&|family| family.first = 1);
        change(&|family| family.members[1].parents[0].table = 2);
        change(&|family| family.members[1].parents[0].missing = f64::NAN);
        change(&|family| family.members[3].parents[1].role = Role::Owner);
        change(&|family| family.members[3].parents[0].role = Role::Shared);
        change(&|family| family.members[3].parents[1].role = Role::Inherited);
        change(&|family| family.members[2].share = f64::INFINITY);
    }
}
