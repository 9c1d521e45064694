//! Rows of several tables held against others: how many rows refer to each, whether what is referred to is there, and how columns of rows that belong together go together.

use crate::error::Result;
use crate::judge::{Score, Split};
use crate::random;
use crate::table::database::{DatabaseSchema, Link};
use crate::table::judge::{Trend, cardinality_similarity, count_distance, trends_between};
use crate::table::{Kind, Table};

/// Rows that a figure is found by at least.
pub const FEWEST: usize = 40;

/// Rows of all tables, and which refer to which.
pub struct Database {
    /// In the order of the schema.
    pub tables: Vec<Table>,
    /// For each foreign key.
    pub links: Vec<Link>,
}

impl Database {
    /// Of tables as they are written, by the values of their keys alone.
    pub fn of(schema: &DatabaseSchema, tables: Vec<Table>) -> Self {
        let link = |key: &crate::table::database::ForeignKey| {
            let of_parent = schema.position(&key.refers_to).and_then(|at| tables[at].column(schema.tables[at].key.as_ref()?));
            let own = schema.position(&key.table).and_then(|at| tables[at].column(&key.column));
            own.zip(of_parent).map_or_else(Link::default, |(own, of_parent)| Link::of(&own.values, &of_parent.values))
        };
        let links = schema.foreign_keys.iter().map(link).collect();
        Self { tables, links }
    }

    /// All of it.
    pub fn whole(&self) -> Part<'_> {
        Part { of: self, rows: self.tables.iter().map(|table| (0..table.n_rows()).collect()).collect() }
    }
}

/// Some rows of each table. What they refer to, and how many refer to them, is as in the whole.
#[derive(Clone)]
pub struct Part<'a> {
    pub of: &'a Database,
    /// For each table.
    pub rows: Vec<Vec<usize>>,
}

impl Part<'_> {
    /// Rows of a table.
    pub fn table(&self, at: usize) -> Table {
        self.of.tables[at].take(&self.rows[at])
    }

    /// How many rows refer to each row.
    fn counts(&self, key: usize, parent: usize) -> Vec<usize> {
        let all = self.of.links[key].counts(self.of.tables[parent].n_rows());
        self.rows[parent].iter().map(|row| all[*row]).collect()
    }

    /// Rows that refer to one, each with the row that it refers to: rows of both tables.
    fn pairs(&self, key: usize, child: usize) -> Vec<(usize, usize)> {
        let of = |row: &usize| Some((self.of.links[key].rows.get(*row).copied().flatten()? as usize, *row));
        self.rows[child].iter().filter_map(of).collect()
    }

    /// Two halves of the rows of a table.
    fn halves(&self, at: usize) -> [Self; 2] {
        let split = Split::new(self.rows[at].len(), 0.5);
        // A split never holds out more than enough: the rest is the other half.
        let n = split.held_out.len();
        let of = |places: &[usize]| {
            let mut part = self.clone();
            part.rows[at] = places.iter().take(n).map(|place| self.rows[at][*place]).collect();
            part
        };
        [of(&split.training), of(&split.held_out)]
    }
}

/// The tables at both ends of a foreign key.
#[derive(Clone, Copy)]
pub struct Ends<'a> {
    pub schema: &'a DatabaseSchema,
    /// Its place in the schema.
    pub key: usize,
    pub parent: usize,
    pub child: usize,
}

/// Two parts of a database that some rows were learned from and some were not; where too few were not, halves of those that were.
pub fn sides<'a>(training: &Part<'a>, held_out: &Part<'a>, at: usize) -> [Part<'a>; 2] {
    if held_out.rows[at].len() >= FEWEST { [training.clone(), held_out.clone()] } else { training.halves(at) }
}

/// Every figure of a foreign key.
///
/// # Errors
/// [`crate::Error::Data`] if columns are not alike.
pub fn of_relation(ends: Ends<'_>, training: &Part<'_>, held_out: &Part<'_>, samples: &Part<'_>) -> Result<Vec<Score>> {
    let Ends { key, parent, .. } = ends;
    let mut scores = vec![orphans(key, training, samples)];
    let [reference, real] = sides(training, held_out, parent);
    let counts = reference.counts(key, parent);
    let others = [samples.counts(key, parent), real.counts(key, parent), scattered(&counts)];
    for (metric, figure) in
        [("child_counts", count_distance as fn(&[usize], &[usize]) -> Option<f64>), ("cardinality", cardinality_similarity)]
    {
        let [value, real, trivial] = [0, 1, 2].map(|side: usize| figure(&counts, &others[side]));
        if let (Some(value), Some(real), Some(trivial)) = (value, real, trivial) {
            scores.push(Score { metric: metric.into(), value, error: None, real, trivial });
        }
    }
    scores.extend(trends(ends, training, held_out, samples)?);
    Ok(scores)
}

/// Share of the present values of a foreign key that are no key: keys of tables that are each made by themselves meet nothing.
fn orphans(key: usize, training: &Part<'_>, samples: &Part<'_>) -> Score {
    let share = |part: &Part<'_>| {
        let link = &part.of.links[key];
        link.n_dangling as f64 / (link.rows.len() - link.n_missing).max(1) as f64
    };
    Score { metric: "orphans".into(), value: share(samples), error: None, real: share(training), trivial: 1.0 }
}

/// How many rows would refer to each, if each referred to any.
fn scattered(counts: &[usize]) -> Vec<usize> {
    let mut rng = random::stream(0, "scattered", 0);
    let mut scattered = vec![0; counts.len()];
    for _ in 0..counts.iter().sum() {
        scattered[random::below(counts.len() as u64, &mut rng) as usize] += 1;
    }
    scattered
}

/// How well columns of rows that belong together go together.
fn trends(ends: Ends<'_>, training: &Part<'_>, held_out: &Part<'_>, samples: &Part<'_>) -> Result<Option<Score>> {
    let Ends { schema, key, parent, child } = ends;
    let [reference, real] = sides(training, held_out, child);
    let joined = |part: &Part<'_>, pairs: &[(usize, usize)]| {
        let (of_parent, of_child): (Vec<usize>, Vec<usize>) = pairs.iter().copied().unzip();
        [
            says_something(schema, parent, part.of.tables[parent].take(&of_parent)),
            says_something(schema, child, part.of.tables[child].take(&of_child)),
        ]
    };
    let own = reference.pairs(key, child);
    let sides = [(samples, samples.pairs(key, child)), (&real, real.pairs(key, child)), (&reference, exchanged(&own))];
    let with = joined(&reference, &own);
    if with.iter().any(|table| table.columns.is_empty()) || own.is_empty() || sides.iter().any(|(_, pairs)| pairs.is_empty()) {
        return Ok(None);
    }
    let mut found = Vec::new();
    for (part, pairs) in &sides {
        let other = joined(part, pairs);
        found.push(mean_score(&trends_between([&with[0], &with[1]], [&other[0], &other[1]])?));
    }
    Ok(match found[..] {
        [Some(value), Some(real), Some(trivial)] => Some(Score { metric: "relation_trends".into(), value, error: None, real, trivial }),
        _ => None,
    })
}

/// The same rows, each with what another refers to.
fn exchanged(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut parents: Vec<usize> = pairs.iter().map(|pair| pair.0).collect();
    let mut rng = random::stream(0, "exchanged", 0);
    for i in (1..parents.len()).rev() {
        parents.swap(i, random::below(i as u64 + 1, &mut rng) as usize);
    }
    parents.into_iter().zip(pairs).map(|(parent, pair)| (parent, pair.1)).collect()
}

fn mean_score(trends: &[Trend]) -> Option<f64> {
    let scores: Vec<f64> = trends.iter().filter_map(|trend| trend.score).collect();
    (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
}

/// A table without keys, identifiers and what is always the same.
pub fn says_something(schema: &DatabaseSchema, at: usize, mut table: Table) -> Table {
    let says_nothing = |kind: Kind| matches!(kind, Kind::Identifier | Kind::Constant);
    table.columns.retain(|column| schema.tables[at].schema.column(&column.name).is_some_and(|own| !says_nothing(own.kind)));
    table
}

/// Scores of several parts on average, metric by metric.
pub fn mean_scores(parts: &[(String, Vec<Score>)]) -> Vec<Score> {
    let mut means: Vec<(Score, f64)> = Vec::new();
    for score in parts.iter().flat_map(|(_, scores)| scores) {
        match means.iter_mut().find(|(mean, _)| mean.metric == score.metric) {
            Some((mean, n)) => {
                (mean.value, mean.real, mean.trivial) = (mean.value + score.value, mean.real + score.real, mean.trivial + score.trivial);
                *n += 1.0;
            }
            None => means.push((Score { error: None, ..score.clone() }, 1.0)),
        }
    }
    let mean = |(score, n): (Score, f64)| Score { value: score.value / n, real: score.real / n, trivial: score.trivial / n, ..score };
    means.into_iter().map(mean).collect()
}
