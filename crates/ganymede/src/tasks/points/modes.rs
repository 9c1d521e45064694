//! Counting modes of a known mixture, by the protocol of VEEGAN and PacGAN.

use crate::data::Modes;

/// What a sample set covers of a mixture of round Gaussians.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModeCount {
    /// Modes with at least one sample within three standard deviations.
    pub modes: usize,
    /// Share of samples within three standard deviations of some mode, in [0, 1].
    pub high_quality: f64,
}

/// Counts modes that are found and samples that are good. `rows` is `[n, dim]`, row-major. Lin et al., "PacGAN: The power of two samples in
/// generative adversarial networks", NeurIPS 2018, section 4.1 (after Srivastava et al., VEEGAN, 2017).
pub fn count_modes(modes: &Modes, rows: &[f32]) -> ModeCount {
    let dim = modes.centers.first().map_or(1, Vec::len).max(1);
    let limit = (3.0 * f64::from(modes.std)).powi(2);
    let mut found = vec![false; modes.centers.len()];
    let mut good = 0usize;
    for row in rows.chunks_exact(dim) {
        let distance = |center: &Vec<f32>| center.iter().zip(row).map(|(c, v)| f64::from(c - v).powi(2)).sum::<f64>();
        if let Some(mode) = modes.centers.iter().position(|center| distance(center) <= limit) {
            found[mode] = true;
            good += 1;
        }
    }
    let n = (rows.len() / dim).max(1);
    ModeCount { modes: found.iter().filter(|f| **f).count(), high_quality: good as f64 / n as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_count_for_the_mode_they_are_near() {
        let modes = Modes { centers: vec![vec![0.0, 0.0], vec![1.0, 0.0]], std: 0.1 };
        let count = count_modes(&modes, &[0.0, 0.29, 0.0, 0.31, 0.05, 0.0, 0.5, 0.0]);
        assert_eq!(count, ModeCount { modes: 1, high_quality: 0.5 });
    }
}
