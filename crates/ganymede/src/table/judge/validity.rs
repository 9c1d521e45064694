//! Whether synthetic values are values that could be.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::shapes::share;
use crate::table::frame::{Column, MISSING, Table, Values};

/// What the single-table diagnostic report of SDMetrics 0.32 says, without keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diagnostic {
    /// Mean of [`Diagnostic::columns`] in [0, 1]; nothing where no column has one.
    pub validity: Option<f64>,
    /// Columns (name, and numbers or words) that both tables have, over those that either has.
    pub structure: f64,
    /// Each column that both tables have, and the share of its synthetic values that are within the real range (numbers: BoundaryAdherence) or among the real words (CategoryAdherence).
    /// Where no real value is missing a missing one is wrong.
    pub columns: Vec<(String, Option<f64>)>,
}

impl Diagnostic {
    /// The report's overall score.
    pub fn overall(&self) -> f64 {
        self.validity.map_or(self.structure, |validity| (validity + self.structure) / 2.0)
    }
}

/// Of tables that need not have the same columns.
pub fn diagnostic(real: &Table, synthetic: &Table) -> Diagnostic {
    let is_number = |values: &Values| matches!(values, Values::Numbers(_));
    let mut columns = Vec::new();
    let twins: HashMap<&str, &Column> = synthetic.columns.iter().map(|column| (column.name.as_str(), column)).collect();
    for column in &real.columns {
        let twin = twins.get(column.name.as_str());
        if let Some(twin) = twin.filter(|twin| is_number(&twin.values) == is_number(&column.values)) {
            columns.push((column.name.clone(), valid(&column.values, &twin.values)));
        }
    }
    let either = real.columns.len() + synthetic.columns.len() - columns.len();
    let known: Vec<f64> = columns.iter().filter_map(|(_, score)| *score).collect();
    let validity = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
    Diagnostic { validity, structure: if either == 0 { 1.0 } else { share(columns.len(), either) }, columns }
}

fn valid(real: &Values, synthetic: &Values) -> Option<f64> {
    let (n_valid, n) = match (real, synthetic) {
        (Values::Numbers(real), Values::Numbers(synthetic)) => {
            let known = real.iter().copied().filter(|v| !v.is_nan());
            let (low, high) = known.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
            let may_miss = real.iter().any(|v| v.is_nan());
            let judged = synthetic.iter().filter(|v| !may_miss || !v.is_nan());
            (judged.clone().filter(|v| (low..=high).contains(*v)).count(), judged.count())
        }
        (Values::Categories { codes: real, words }, Values::Categories { codes: synthetic, words: own }) => {
            let mut is_real = vec![false; words.len()];
            real.iter().filter_map(|code| is_real.get_mut(*code as usize).map(|b| *b = true)).for_each(drop);
            let known: HashSet<&str> = words.iter().zip(&is_real).filter(|(_, r)| **r).map(|(w, _)| w.as_str()).collect();
            let own: Vec<bool> = own.iter().map(|word| known.contains(word.as_str())).collect();
            let may_miss = real.contains(&MISSING);
            let is_valid = |code: &&u32| if **code == MISSING { may_miss } else { own.get(**code as usize).copied().unwrap_or(false) };
            (synthetic.iter().filter(is_valid).count(), synthetic.len())
        }
        _ => return None,
    };
    (n > 0).then(|| share(n_valid, n))
}

#[cfg(test)]
mod tests {
    use super::super::align::tests::{categories, numbers};
    use super::*;

    #[test]
    fn values_outside_the_range_or_the_list_and_foreign_columns_are_told() {
        let real = Table { columns: vec![numbers("n", vec![1.0, 5.0]), categories("c", &["a", "b"]), numbers("only real", vec![0.0; 2])] };
        let own = Table { columns: vec![categories("c", &["z", "a", "", "b"]), numbers("n", vec![1.0, 9.0, f64::NAN, 3.0])] };
        let found = diagnostic(&real, &own);
        assert_eq!(found.columns, [("n".to_owned(), Some(0.5)), ("c".to_owned(), Some(0.5))]);
        assert_eq!((found.validity, found.structure), (Some(0.5), 2.0 / 3.0));
        assert!((found.overall() - 7.0 / 12.0).abs() < 1e-15);
    }
}
