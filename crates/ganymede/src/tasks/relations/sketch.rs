//! Rows of the first table, each with one row of every other, as vectors: what databases are judged by while the games are on.

use std::sync::Arc;

use super::family::Family;
use crate::table::database::DatabaseSchema;
use crate::table::{Layout, Rows};

/// How they lie.
#[derive(Debug, Clone, PartialEq)]
pub struct Sketch {
    /// The tables' own columns, one table after the other, each after a column that says whether there is a row of it.
    pub layout: Layout,
    own: Vec<Layout>,
    /// Tables, each after those that it refers to.
    order: Vec<usize>,
    /// For each table the table that its rows belong to, and the place of that foreign key.
    owners: Vec<Option<(usize, usize)>>,
    first: usize,
}

impl Sketch {
    /// Of tables with these columns.
    pub fn new(schema: &DatabaseSchema, family: &Family, own: &[Layout]) -> Self {
        let is_there = Layout { categories: vec![(0, 2)], numbers: Vec::new() };
        let empty = Layout { categories: Vec::new(), numbers: Vec::new() };
        let layout = own.iter().fold(empty, |all, own| all.beside(&is_there).beside(own));
        let owner = |table: usize| family.members[table].owner().map(|at| (family.members[table].parents[at].table, at));
        Self {
            layout,
            own: own.to_vec(),
            order: schema.order().unwrap_or_default(),
            owners: (0..own.len()).map(owner).collect(),
            first: family.first,
        }
    }

    /// Vectors `[rows, width]` of some rows of the first table, from the tables' own rows and what they refer to: beside each the first row of every table that belongs to it, directly or over others, and of
    /// tables that belong to none a row in turn.
    pub fn dense(&self, rows: &[usize], own: &[Arc<Rows>], parents: &[Vec<Vec<Option<u32>>>]) -> Vec<f32> {
        let firsts: Vec<Vec<Option<usize>>> = (0..own.len()).map(|table| self.first_children(table, own, parents)).collect();
        let mut all = Rows::default();
        for row in rows {
            let mut chosen: Vec<Option<usize>> = vec![None; own.len()];
            for table in &self.order {
                chosen[*table] = match self.owners[*table] {
                    _ if *table == self.first => Some(*row),
                    Some((parent, _)) => chosen[parent].and_then(|at| firsts[*table][at]),
                    None if own[*table].n > 0 => Some(row % own[*table].n),
                    None => None,
                };
            }
            let (mut codes, mut numbers) = (Vec::new(), Vec::new());
            for (table, at) in chosen.into_iter().enumerate() {
                codes.push(u32::from(at.is_some()));
                match at {
                    Some(at) => {
                        codes.extend_from_slice(own[table].codes_of(at));
                        numbers.extend_from_slice(own[table].numbers_of(at));
                    }
                    None => {
                        codes.extend(std::iter::repeat_n(0, self.own[table].categories.len()));
                        numbers.extend(std::iter::repeat_n(0.0, self.own[table].numbers.len()));
                    }
                }
            }
            all.push(&codes, &numbers);
        }
        all.dense(&self.layout)
    }

    /// For each row that rows of a table may belong to the first that does.
    fn first_children(&self, table: usize, own: &[Arc<Rows>], parents: &[Vec<Vec<Option<u32>>>]) -> Vec<Option<usize>> {
        let Some((parent, at)) = self.owners[table] else { return Vec::new() };
        let mut first = vec![None; own[parent].n];
        for (row, of) in parents[table][at].iter().enumerate() {
            if let Some(of) = of {
                first[*of as usize].get_or_insert(row);
            }
        }
        first
    }
}
