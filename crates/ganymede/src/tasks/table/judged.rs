//! What rows are judged by while the game is on.

use std::sync::Arc;

use crate::error::Result;
use crate::judge::{Look, Panel, RowJudge, Signal, Split};
use crate::metrics::Auc;
use crate::random::DataOrder;
use crate::table::judge::{independent, told_apart};
use crate::table::{Encoder, Kind, Layout, Rows, Rules, Table};

/// Rows of either kind, at most, that a classifier learns to tell generated rows from.
const LEARNED: usize = 8000;
/// The same that it is tested on.
const TESTED: usize = 4000;
/// Rows that are enough for either.
const FEWEST: usize = 100;

/// Real rows of which the columns are compared with those of generated ones: small tables, so that the whole one need not stay in memory.
pub(super) struct Compared {
    /// Held-out rows, or a third of the training rows where hardly any are held out.
    tested: Table,
    /// Training rows that are not among them.
    learned: Table,
    /// Other training rows again, for the figure of real rows.
    others: Table,
}

impl Compared {
    /// Some rows of the whole table.
    pub fn of(table: &Table, encoder: &Encoder, split: &Split) -> Self {
        let n = split.training.len();
        let shuffled: Vec<usize> = DataOrder::new(0, "told", n).batch(0, n).into_iter().map(|i| split.training[i]).collect();
        let (tested, training) =
            if split.held_out.len() < FEWEST { shuffled.split_at(n / 3) } else { (&split.held_out[..], &shuffled[..]) };
        let tested = &tested[..tested.len().min(TESTED)];
        // As many others as are tested, and twice as many to learn from as are tested at most.
        let (others, learned) = training.split_at((training.len() / 2).min(LEARNED + TESTED));
        let some = |places: &[usize]| telling(table.take(places), encoder);
        Self { tested: some(tested), learned: some(&learned[..learned.len().min(LEARNED)]), others: some(others) }
    }

    /// How well other rows, some for the classifier to learn from and the rest for its test, are told from real ones.
    fn told(&self, other: &Table) -> Result<Auc> {
        let n = other.n_rows() * LEARNED / (LEARNED + TESTED);
        let part = |from: usize, to: usize| other.take(&(from..to).collect::<Vec<_>>());
        told_apart([&self.learned, &part(0, n)], [&self.tested, &part(n, other.n_rows())], 0)
    }
}

/// Rows are held against real ones as vectors, which shows collapse, copies and what is missing; generators are chosen by gradient boosting on the columns themselves, which sees differences of good
/// generators that distances between vectors do not.
pub(super) struct TableJudge {
    rows: RowJudge,
    /// Not where there are too few rows to tell by columns.
    compared: Option<Compared>,
}

impl TableJudge {
    /// From all rows in their encoded form, and some of them as they are.
    ///
    /// # Errors
    /// [`crate::Error::Data`] if there are too few rows.
    pub fn new(compared: Compared, (rows, layout): (&Rows, &Layout), split: &Split) -> Result<Self> {
        // Those alone that are looked at: a large table would not fit into memory as vectors.
        let mut seen = RowJudge::training_rows(split);
        let n_training = seen.len();
        seen.extend(&split.held_out);
        let own = Split { training: (0..n_training).collect(), held_out: (n_training..seen.len()).collect() };
        let words = ("the encoded columns", "nearest", usize::MAX);
        let mut judge = RowJudge::new(&rows.take(&seen).dense(layout), &layout.columns(), &own, words)?;
        let is_enough = [&compared.tested, &compared.learned, &compared.others].iter().all(|table| table.n_rows() >= FEWEST);
        if is_enough {
            let (real, trivial) = (compared.told(&compared.others)?, compared.told(&independent(&compared.others, 0))?);
            Arc::make_mut(&mut judge.panel).choose_by("c2st", real.value, trivial.value);
        }
        Ok(Self { rows: judge, compared: is_enough.then_some(compared) })
    }

    /// Real rows, as vectors.
    pub fn panel(&self) -> &Arc<Panel> {
        &self.rows.panel
    }

    /// Rows that a look needs.
    pub fn n(&self) -> usize {
        self.rows.panel.n().max(self.compared.as_ref().map_or(0, |compared| compared.others.n_rows()))
    }

    /// Looks at generated rows. Those that break a constraint are not compared by columns, as no user gets them.
    ///
    /// # Errors
    /// [`crate::Error::Data`] if there are fewer than two, or a number is not finite.
    pub fn look(&self, rows: &Rows, (encoder, layout, rules): (&Encoder, &Layout, &Rules), signal: Option<Signal>) -> Result<Look> {
        let look = self.rows.look(&rows.dense(layout), signal)?;
        let Some(compared) = &self.compared else { return Ok(look) };
        let mut table = encoder.decode(&rows.encoded(encoder, (0..rows.n as u64).collect()), 0)?;
        rules.impose(&mut table)?;
        let kept: Vec<usize> = rules.satisfied(&table)?.iter().enumerate().filter_map(|(row, is_good)| is_good.then_some(row)).collect();
        // Fewer rows are told apart less well, which is not to look like a gain: half of them at least, or all are compared.
        if 2 * kept.len() >= table.n_rows() {
            table = table.take(&kept);
        }
        let told = compared.told(&telling(table, encoder))?;
        Ok(Look { own: Some((told.value, told.standard_error)), ..look })
    }
}

/// Without columns that are made anew, or always the same.
fn telling(table: Table, encoder: &Encoder) -> Table {
    let says_something = |name: &str| !encoder.columns().any(|c| c.name == name && matches!(c.kind, Kind::Identifier | Kind::Constant));
    Table { columns: table.columns.into_iter().filter(|column| says_something(&column.name)).collect() }
}
