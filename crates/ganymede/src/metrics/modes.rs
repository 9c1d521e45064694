//! Modes found, for data of known kinds.

use crate::error::{Error, Result};

/// Result of [`modes`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Modes {
    /// Kinds of which at least one was generated.
    pub found: usize,
    /// Kullback-Leibler divergence in nats of the generated frequencies from the real ones, at least 0.
    pub divergence: f64,
}

/// From how many real and how many generated samples there are of each kind, as in the StackedMNIST benchmark (Metz et al., "Unrolled Generative Adversarial Networks", ICLR 2017,
/// section 3.3.1; Lin et al. 2018, PacGAN): `sum p log(p / q)` over kinds, `p` generated, `q` real.
///
/// # Errors
/// [`Error::Data`] if there is nothing on either side, if the numbers of kinds differ, or if something was generated of which there is nothing real.
pub fn modes(real: &[u64], generated: &[u64]) -> Result<Modes> {
    let refused = |problem: String, remedy: &str| Err(Error::data("kinds of samples", problem, remedy));
    if real.len() != generated.len() {
        return refused(format!("{} real kinds and {} generated ones", real.len(), generated.len()), "count the same kinds");
    }
    let [n_real, n_generated] = [real, generated].map(|counts| counts.iter().sum::<u64>() as f64);
    if n_real == 0.0 || n_generated == 0.0 {
        return refused("there are no samples".into(), "give at least one real and one generated sample");
    }
    if let Some(kind) = real.iter().zip(generated).position(|(r, g)| *r == 0 && *g > 0) {
        return refused(format!("kind {kind} has no real sample"), "leave such kinds out, or give real samples of them");
    }
    let term = |(r, g): (&u64, &u64)| {
        let (q, p) = (*r as f64 / n_real, *g as f64 / n_generated);
        if p > 0.0 { p * (p / q).ln() } else { 0.0 }
    };
    let divergence = real.iter().zip(generated).map(term).sum::<f64>().max(0.0);
    Ok(Modes { found: generated.iter().filter(|g| **g > 0).count(), divergence })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_kinds_cost_the_logarithm_of_what_is_left() {
        assert_eq!(modes(&[5, 5, 5, 5], &[7, 7, 7, 7]).unwrap(), Modes { found: 4, divergence: 0.0 });
        let half = modes(&[5, 5, 5, 5], &[3, 0, 3, 0]).unwrap();
        assert!(half.found == 2 && (half.divergence - 2f64.ln()).abs() < 1e-12);
        assert!(modes(&[1, 0], &[1, 1]).is_err() && modes(&[1], &[1, 1]).is_err() && modes(&[1], &[0]).is_err());
    }
}
