//! What synthetic rows give away about the rows they were learned from.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::align::{aligned, n_rows};
use super::distances::{Closest, Space};
use super::findings::{Finding, findings};
use super::inference::{Inference, inference};
use super::membership::{Attack, Attacks};
use super::shapes::share;
use crate::error::{Error, Result};
use crate::metrics::Auc;
use crate::random::DataOrder;
use crate::table::frame::{Table, Values};

/// Rows of each kind at least.
const FEWEST: usize = 40;
/// Rows that others are compared with at most: training, held-out, or synthetic ones.
const MOST_COMPARED: usize = 50_000;

/// A figure with its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The figure.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
}

impl Measured {
    /// The 95 % confidence interval, within [0, 1].
    pub fn interval(&self) -> [f64; 2] {
        [-1.96, 1.96].map(|z| (self.value + z * self.error).clamp(0.0, 1.0))
    }

    pub(super) fn of_share(count: usize, of: usize) -> Self {
        let p = share(count, of);
        // One more of either kind, so that no share is known exactly.
        let q = share(count + 1, of + 2);
        Self { value: p, error: (q * (1.0 - q) / of as f64).sqrt() }
    }
}

impl From<Auc> for Measured {
    fn from(auc: Auc) -> Self {
        Self { value: auc.value, error: auc.standard_error }
    }
}

/// A figure of the synthetic rows beside the same figure of held-out real rows in their place.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Against {
    /// Of the synthetic rows.
    pub synthetic: Measured,
    /// Of held-out rows that are treated as if they were synthetic: they cannot give away anything about the training rows.
    pub held_out: Measured,
}

/// What was found. Distances are those of Gower over all columns, in units of the ranges of the training rows, in [0, 1].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Privacy {
    /// Synthetic rows whose distances to real ones were measured, and real rows of each kind that they were compared with.
    pub n: [usize; 2],
    /// Members, and as many other rows, that the attacker was asked about.
    pub n_asked: usize,
    /// Share of rows that equal a training row in every column. Real rows can equal each other.
    pub copies: Against,
    /// Probability that a synthetic row is nearer to the training rows than to as many held-out ones, equally near counted half: 1/2 for no memory of the training rows, more for copying.
    pub nearer_to_training: Against,
    /// Median distance to the closest of the training rows: of synthetic rows, and of held-out ones.
    pub median_distance: [f64; 2],
    /// The distance that 5 % stay below, likewise.
    pub low_distance: [f64; 2],
    /// Median of the distance to the closest training row over that to the next one: of synthetic rows, and of held-out ones. Much less for synthetic rows means that they stick to single
    /// rows.
    pub distance_ratio: [f64; 2],
    /// An attacker who has the synthetic table: a row is a member if it is near to a synthetic one.
    pub membership: Attack,
    /// An attacker who also has other real rows: a row is a member if it is nearer to a synthetic row than to those.
    pub membership_with_reference: Attack,
    /// An attacker who knows all of a row but one column that is sensitive, for each such column.
    pub inference: Vec<Inference>,
    /// What may and what may not be concluded.
    pub findings: Vec<Finding>,
}

/// Privacy of synthetic rows. The nearest rows of at most `most_rows` rows of each kind are looked for, among at most 50,000 of another; all are drawn with the seed. Copies are looked for
/// among all.
///
/// The share of nearer rows is that of mostlyai-qa ("DCR share"); its error takes each real row as thrown into the training or the held-out part by a fair coin, which is how they were
/// made: `1/2 sqrt(sum w^2)` with the weights `w` of the real rows, the share of synthetic rows that each is nearest to.
///
/// # Errors
/// As [`aligned`]; [`Error::Data`] if there are fewer than 40 rows of any kind.
pub fn privacy(train: &Table, held_out: &Table, synthetic: &Table, most_rows: usize, seed: u64) -> Result<Privacy> {
    let tables = aligned(&[("training rows", train), ("held-out rows", held_out), ("synthetic rows", synthetic)], &[])?;
    of_aligned([&tables[0], &tables[1], &tables[2]], &[], most_rows, seed)
}

/// Of training, held-out and synthetic rows with the same columns and words, of which some are sensitive.
pub(super) fn of_aligned([train, held_out, synthetic]: [&Table; 3], sensitive: &[String], most_rows: usize, seed: u64) -> Result<Privacy> {
    enough([train, held_out, synthetic])?;
    if most_rows < FEWEST {
        let problem = format!("{most_rows} rows say nothing about privacy");
        return Err(Error::config("privacy_rows", problem, format!("give at least {FEWEST}")));
    }
    // Both real parts are equally large: the larger one would hold the nearest row more often by itself.
    let n_real = n_rows(train).min(n_rows(held_out)).min(MOST_COMPARED) / 2 * 2;
    let n_synthetic = n_rows(synthetic).min(MOST_COMPARED);
    let n_asked = (n_real / 2).min(most_rows / 2);
    let space = Space::new(train);
    let drawn =
        |table: &Table, n: usize, purpose: &'static str| space.points(table, &DataOrder::new(seed, purpose, n_rows(table)).batch(0, n));
    let train_points = drawn(train, n_real, "privacy-training");
    let held_points = drawn(held_out, n_real, "privacy-held-out");
    let all_own = drawn(synthetic, n_synthetic, "privacy-synthetic");
    let own_points = all_own.part(0..n_synthetic.min(most_rows));

    let to_train = own_points.closest(&train_points);
    let held_to_train = held_points.part(0..n_real.min(most_rows)).closest(&train_points);
    let rest = n_real / 2..n_real;
    let (other_training, other_held) = (train_points.part(rest.clone()), held_points.part(rest));
    let (members, outsiders) = (train_points.part(0..n_asked), held_points.part(0..n_asked));
    let as_synthetic = nearer(&outsiders.closest(&other_training), &outsiders.closest(&other_held));
    let attacks = Attacks { members: &members, outsiders: &outsiders };
    // The attacker's other real rows are the half of the held-out ones that is not asked about. Where these stand in for synthetic rows, they are the half of the training rows that is
    // not asked about.
    let [near_own, near_held, near_training] = [&all_own, &other_held, &other_training].map(|points| attacks.distances(points));
    let membership = attacks.compare(&near_own, &near_held);
    let membership_with_reference = attacks.compare_relative([&near_own, &near_held], [&near_held, &near_training]);
    let copies = Against {
        synthetic: Measured::of_share(copies(train, synthetic), n_rows(synthetic)),
        held_out: Measured::of_share(copies(train, held_out), n_rows(held_out)),
    };
    let quantile = |of: fn(&Closest) -> f64, q: f64| [&to_train, &held_to_train].map(|c| quantile(c.iter().map(of).collect(), q));
    let attacked = (0..train.columns.len()).filter(|i| train.columns.len() > 1 && sensitive.contains(&train.columns[*i].name));
    let inference = attacked.map(|column| inference([train, held_out, synthetic], column, [n_asked, MOST_COMPARED], seed)).collect();
    let mut result = Privacy {
        n: [n_synthetic.min(most_rows), n_real],
        n_asked,
        copies,
        nearer_to_training: Against { synthetic: nearer(&to_train, &own_points.closest(&held_points)), held_out: as_synthetic },
        median_distance: quantile(|c| c.first, 0.5),
        low_distance: quantile(|c| c.first, 0.05),
        distance_ratio: quantile(|c| if c.second > 0.0 { c.first / c.second } else { 1.0 }, 0.5),
        membership,
        membership_with_reference,
        inference,
        findings: Vec::new(),
    };
    result.findings = findings(&result);
    Ok(result)
}

/// Whether there are enough training, held-out and synthetic rows.
pub(super) fn enough(tables: [&Table; 3]) -> Result<()> {
    for (what, table) in ["training rows", "held-out rows", "synthetic rows"].iter().zip(tables) {
        if n_rows(table) < FEWEST {
            let problem = format!("{} are too few to judge anything by", n_rows(table));
            return Err(Error::data(what, problem, format!("give at least {FEWEST}")));
        }
    }
    Ok(())
}

/// How many rows equal one of `train`.
fn copies(train: &Table, rows: &Table) -> usize {
    let bits = |table: &Table, row_idx: usize| -> Vec<u64> {
        let bit = |values: &Values| match values {
            Values::Numbers(numbers) if numbers[row_idx].is_nan() => u64::MAX,
            // Adding zero makes -0 equal to 0.
            Values::Numbers(numbers) => (numbers[row_idx] + 0.0).to_bits(),
            Values::Categories { codes, .. } => u64::from(codes[row_idx]),
        };
        table.columns.iter().map(|column| bit(&column.values)).collect()
    };
    // Rows are found by a sum of their bits, which takes less memory than the rows, and then compared.
    let digest = |bits: &[u64]| bits.iter().fold(0u64, |sum, bit| (sum ^ bit).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29));
    let mut known: HashMap<u64, Vec<u32>> = HashMap::with_capacity(n_rows(train));
    for row_idx in 0..n_rows(train) {
        known.entry(digest(&bits(train, row_idx))).or_default().push(row_idx as u32);
    }
    let is_copy = |row_idx: &usize| {
        let own = bits(rows, *row_idx);
        known.get(&digest(&own)).is_some_and(|same| same.iter().any(|other| bits(train, *other as usize) == own))
    };
    (0..n_rows(rows)).filter(is_copy).count()
}

/// Probability of being nearer to the first than to the second of two equally large parts.
fn nearer(to_first: &[Closest], to_second: &[Closest]) -> Measured {
    let n = to_first.len() as f64;
    let mut weights: HashMap<(bool, usize), f64> = HashMap::new();
    let mut sum = 0.0;
    for (first, second) in to_first.iter().zip(to_second) {
        let is_first = first.first < second.first;
        sum += if first.first == second.first { 0.5 } else { f64::from(u8::from(is_first)) };
        *weights.entry((is_first, if is_first { first.at } else { second.at })).or_default() += 1.0 / n;
    }
    // Sorted, because the order of a sum decides its last bits.
    let mut squares: Vec<f64> = weights.into_values().map(|w| w * w).collect();
    squares.sort_by(f64::total_cmp);
    Measured { value: sum / n, error: 0.5 * squares.iter().sum::<f64>().sqrt() }
}

fn quantile(mut values: Vec<f64>, q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(((values.len().max(1) - 1) as f64 * q).round() as usize).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::super::align::{chosen, stacked};
    use super::super::findings::Level;
    use super::super::panel::tests::people;
    use super::*;

    fn leaks(privacy: &Privacy) -> Vec<&str> {
        privacy.findings.iter().filter(|f| f.level == Level::Leak && f.about != "conclusion").map(|f| f.about.as_str()).collect()
    }

    #[test]
    fn fresh_rows_of_the_same_people_leak_nothing() {
        for seed in 0..4 {
            let (train, held_out, fresh) = (people(1500, 30 + seed), people(1500, 40 + seed), people(1500, 50 + seed));
            let found = privacy(&train, &held_out, &fresh, 10_000, seed).unwrap();
            assert_eq!(leaks(&found), [] as [&str; 0], "{found:#?}");
            for against in [found.nearer_to_training, found.membership.auc, found.membership_with_reference.auc] {
                for measured in [against.synthetic, against.held_out] {
                    assert!((measured.value - 0.5).abs() < 4.0 * measured.error, "{measured:?}");
                }
            }
            assert!(found.copies.synthetic.value < 0.01 && found.membership.found.synthetic.value < 0.04);
            assert!((found.median_distance[0] / found.median_distance[1] - 1.0).abs() < 0.1);
        }
    }

    #[test]
    fn copies_are_flagged_by_every_test() {
        let (train, held_out) = (people(1500, 1), people(1500, 2));
        let found = privacy(&train, &held_out, &train, 10_000, 0).unwrap();
        assert_eq!(found.copies.synthetic.value, 1.0);
        assert!(found.nearer_to_training.synthetic.value > 0.98 && found.membership.auc.synthetic.value > 0.98);
        assert_eq!(found.median_distance[0], 0.0);
        assert_eq!(leaks(&found), ["copies", "nearer_to_training", "membership", "membership_with_reference"]);
    }

    #[test]
    fn a_few_copies_among_fresh_rows_are_found() {
        let (train, held_out) = (people(1500, 1), people(1500, 2));
        let some = chosen(&train, &(0..150).collect::<Vec<_>>());
        let mixed = stacked(&aligned(&[("a", &some), ("b", &people(1350, 3))], &[]).unwrap().iter().collect::<Vec<_>>());
        let found = privacy(&train, &held_out, &mixed, 10_000, 0).unwrap();
        assert!((found.copies.synthetic.value - 0.1).abs() < 0.01, "{:?}", found.copies);
        assert!(leaks(&found).contains(&"copies"));
        // A tenth of the members is nothing to the area under the curve, but stands out where few false positives are allowed.
        assert!(found.membership.found.synthetic.value > 0.08 && found.membership.auc.synthetic.value < 0.6, "{:?}", found.membership);
        assert!(leaks(&found).contains(&"membership"));
    }

    #[test]
    fn rows_close_to_training_rows_are_flagged_without_being_equal() {
        let (train, held_out) = (people(1500, 1), people(1500, 2));
        let mut near = train.clone();
        for column in &mut near.columns {
            if let Values::Numbers(numbers) = &mut column.values {
                numbers.iter_mut().for_each(|v| *v += 0.01);
            }
        }
        let found = privacy(&train, &held_out, &near, 10_000, 0).unwrap();
        assert_eq!(found.copies.synthetic.value, 0.0);
        assert_eq!(leaks(&found), ["nearer_to_training", "membership", "membership_with_reference"]);
    }

    #[test]
    fn a_generator_that_has_learned_single_rows_is_flagged_and_one_that_has_learned_columns_is_not() {
        let (train, held_out) = (people(1500, 1), people(1500, 2));
        let shuffled = super::super::independent(&train, 7);
        // Each row keeps all columns of a training row but one, which is drawn from that column.
        let mut overfitted = train.clone();
        for (col_idx, column) in overfitted.columns.iter_mut().enumerate() {
            match (&mut column.values, &shuffled.columns[col_idx].values) {
                (Values::Numbers(own), Values::Numbers(other)) => {
                    (0..1500).filter(|i| i % 6 == col_idx).for_each(|i| own[i] = other[i]);
                }
                (Values::Categories { codes: own, .. }, Values::Categories { codes: other, .. }) => {
                    (0..1500).filter(|i| i % 6 == col_idx).for_each(|i| own[i] = other[i]);
                }
                _ => panic!("columns keep their kind"),
            }
        }
        let found = privacy(&train, &held_out, &overfitted, 10_000, 0).unwrap();
        assert!(leaks(&found).contains(&"nearer_to_training") && leaks(&found).contains(&"membership"), "{found:#?}");
        assert_eq!(leaks(&privacy(&train, &held_out, &shuffled, 10_000, 0).unwrap()), [] as [&str; 0]);
    }

    #[test]
    fn few_rows_are_refused_and_the_same_seed_gives_the_same_figures() {
        let (train, held_out) = (people(300, 1), people(300, 2));
        assert!(privacy(&train, &people(39, 3), &train, 10_000, 0).unwrap_err().to_string().contains("held-out rows: 39 are too few"));
        let once = || privacy(&train, &held_out, &people(300, 3), 200, 5).unwrap();
        assert_eq!(once(), once());
        assert_eq!((once().n, once().n_asked), ([200, 300], 100));
    }
}
