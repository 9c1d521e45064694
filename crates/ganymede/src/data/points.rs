//! Rows of numbers in memory.

use sha2::{Digest, Sha256};

use super::image_set::hexadecimal;
use super::with_commas;

/// Rows of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct PointTable {
    /// Path or built-in name, as given.
    pub name: String,
    /// Names of the columns, from the header or `x1`, `x2`, ...
    pub columns: Vec<String>,
    /// `[n_rows, dim]`, row-major; all finite.
    pub values: Vec<f32>,
    /// The distribution behind the rows, where it is known.
    pub modes: Option<Modes>,
    /// Licence as an SPDX expression, or `unknown`.
    pub license: String,
}

/// A mixture of equally likely round Gaussians.
#[derive(Debug, Clone, PartialEq)]
pub struct Modes {
    /// Means, each of the table's dimension.
    pub centers: Vec<Vec<f32>>,
    /// Standard deviation of each along each axis.
    pub std: f32,
}

impl PointTable {
    /// Numbers per row, at least 1.
    pub fn dim(&self) -> usize {
        self.columns.len()
    }

    /// How many rows there are.
    pub fn n_rows(&self) -> usize {
        self.values.len() / self.dim().max(1)
    }

    /// One row.
    ///
    /// # Panics
    /// If `row_idx` is not below [`PointTable::n_rows`].
    pub fn row(&self, row_idx: usize) -> &[f32] {
        let dim = self.dim();
        &self.values[row_idx * dim..(row_idx + 1) * dim]
    }

    /// SHA-256 over shape and values, hexadecimal.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for extent in [self.n_rows(), self.dim()] {
            hash.update((extent as u64).to_le_bytes());
        }
        for chunk in self.values.chunks(1024) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|v| v.to_le_bytes()).collect();
            hash.update(bytes);
        }
        hexadecimal(&hash.finalize())
    }

    pub(super) fn describe(&self) -> Vec<(String, String)> {
        let mut lines = vec![
            ("kind".to_string(), "rows of numbers".to_string()),
            ("rows".into(), with_commas(self.n_rows())),
            ("columns".into(), format!("{}: {}", self.dim(), first_names(&self.columns, 12))),
        ];
        for (i, column) in self.columns.iter().enumerate().take(12) {
            let values = || self.values.iter().skip(i).step_by(self.dim()).map(|&v| f64::from(v));
            let (low, high) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
            let mean = values().sum::<f64>() / self.n_rows().max(1) as f64;
            let std = (values().map(|v| (v - mean).powi(2)).sum::<f64>() / self.n_rows().max(1) as f64).sqrt();
            let constant = if low == high { " (constant)" } else { "" };
            lines.push((format!("  {column}"), format!("{low:.4} to {high:.4}, mean {mean:.4}, std {std:.4}{constant}")));
        }
        if let Some(modes) = &self.modes {
            lines.push(("known modes".into(), format!("{} Gaussians of std {}", modes.centers.len(), modes.std)));
        }
        lines.push(("license".into(), self.license.clone()));
        lines
    }
}

/// The first `n` names, and how many more there are.
pub(super) fn first_names(names: &[String], n: usize) -> String {
    let mut out = names.iter().take(n).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > n {
        out.push_str(&format!(" and {} more", names.len() - n));
    }
    out
}
