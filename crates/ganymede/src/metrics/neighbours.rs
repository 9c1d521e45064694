//! Precision, recall, density and coverage: whose neighbourhoods samples fall into.

use rayon::prelude::*;

use super::Features;
use super::features::squared_distance;
use crate::error::{Error, Result};

/// Result of [`neighbourhoods`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbourhoods {
    /// Share of generated samples inside the neighbourhood of some real one, in [0, 1]: fidelity.
    pub precision: f64,
    /// Share of real samples inside the neighbourhood of some generated one, in [0, 1]: variety.
    pub recall: f64,
    /// Real neighbourhoods that a generated sample is inside of, on average, over `k`; about 1 for equal distributions, not bounded by it. Outliers weigh less than in precision.
    pub density: f64,
    /// Share of real samples whose neighbourhood holds a generated one, in [0, 1]. Outliers weigh less than in recall.
    pub coverage: f64,
}

/// Neighbourhoods reach to the `k`-th nearest of the same kind. Precision and recall: Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative
/// Models", NeurIPS 2019, section 2; density and coverage: Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", ICML 2020, section 3, who
/// take `k = 5`.
///
/// # Errors
/// [`Error::Data`] if the vectors differ in length; [`Error::Config`] if there are not more than `k` samples of either kind, or `k` is 0.
pub fn neighbourhoods(real: &Features, generated: &Features, k: usize) -> Result<Neighbourhoods> {
    real.comparable(generated)?;
    let least = real.n().min(generated.n());
    if k == 0 || k >= least {
        return Err(Error::config(
            "k",
            format!("{k} neighbours of {least} samples are out of range"),
            "give a number from 1 to one less than there are samples",
        ));
    }
    let (real_radii, generated_radii) = (radii(real, k), radii(generated, k));
    // For each real sample: whether a generated neighbourhood holds it, how many generated ones its own holds, and which.
    let rows: Vec<(bool, Vec<usize>)> = (0..real.n())
        .into_par_iter()
        .map(|i| {
            let (mut is_inside, mut held) = (false, Vec::new());
            for (j, radius) in generated_radii.iter().enumerate() {
                let distance = squared_distance(real.row(i), generated.row(j));
                is_inside |= distance < *radius;
                if distance < real_radii[i] {
                    held.push(j);
                }
            }
            (is_inside, held)
        })
        .collect();
    let mut is_held = vec![false; generated.n()];
    rows.iter().flat_map(|(_, held)| held).for_each(|j| is_held[*j] = true);
    let share = |count: usize, of: usize| count as f64 / of as f64;
    Ok(Neighbourhoods {
        precision: share(is_held.iter().filter(|held| **held).count(), generated.n()),
        recall: share(rows.iter().filter(|(is_inside, _)| *is_inside).count(), real.n()),
        density: share(rows.iter().map(|(_, held)| held.len()).sum(), k * generated.n()),
        coverage: share(rows.iter().filter(|(_, held)| !held.is_empty()).count(), real.n()),
    })
}

/// Squared distance of each vector to its `k`-th nearest other one.
fn radii(features: &Features, k: usize) -> Vec<f64> {
    (0..features.n())
        .into_par_iter()
        .map(|i| {
            let others = (0..features.n()).filter(|j| *j != i);
            let mut distances: Vec<f64> = others.map(|j| squared_distance(features.row(i), features.row(j))).collect();
            *distances.select_nth_unstable_by(k - 1, f64::total_cmp).1
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::features::tests::wave;
    use super::*;

    #[test]
    fn equal_far_and_collapsed_samples_are_told_apart() {
        let real = wave(200, 3, 0.0);
        let same = neighbourhoods(&real, &wave(200, 3, 0.001), 5).unwrap();
        assert!(same.precision > 0.95 && same.recall > 0.95 && same.coverage > 0.95 && (same.density - 1.0).abs() < 0.3, "{same:?}");
        let far = neighbourhoods(&real, &wave(200, 3, 9.0), 5).unwrap();
        assert_eq!((far.precision, far.recall, far.density, far.coverage), (0.0, 0.0, 0.0, 0.0));
        // A generator that draws one real sample again and again: faithful, without variety.
        let one: Vec<f32> = (0..200).flat_map(|i| real.row(7).iter().map(move |v| v + 1e-4 * i as f32)).collect();
        let collapsed = neighbourhoods(&real, &Features::new("one", one, 3).unwrap(), 5).unwrap();
        assert!(collapsed.precision > 0.95 && collapsed.recall < 0.1 && collapsed.coverage < 0.2, "{collapsed:?}");
    }

    #[test]
    fn too_many_neighbours_are_refused() {
        assert!(neighbourhoods(&wave(5, 2, 0.0), &wave(50, 2, 0.0), 5).unwrap_err().to_string().contains("5 neighbours of 5 samples"));
    }
}
