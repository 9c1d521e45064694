//! Logistic regression, for the two-sample test.

use nalgebra::{Cholesky, DMatrix, DVector};

/// Newton steps at most; a few are enough.
const STEPS: usize = 100;
/// Where the largest change of a weight ends the search.
const TOLERANCE: f64 = 1e-10;

/// A linear classifier on standardised features, fitted by penalised maximum likelihood.
pub(super) struct Logistic {
    mean: Vec<f64>,
    /// One over the standard deviation; 0 for a feature that never changes.
    scale: Vec<f64>,
    /// One for each feature, then the intercept.
    weights: DVector<f64>,
}

impl Logistic {
    /// Minimises the sum of log losses plus half the squared length of the weights without the intercept, by Newton's method with steps halved where the loss would rise.
    pub fn fit(positives: &[Vec<f32>], negatives: &[Vec<f32>]) -> Self {
        let rows = || positives.iter().chain(negatives);
        let (n, dim) = ((positives.len() + negatives.len()) as f64, positives[0].len());
        let column = |c: usize| rows().map(move |row| f64::from(row[c]));
        let mean: Vec<f64> = (0..dim).map(|c| column(c).sum::<f64>() / n).collect();
        let deviation = |c: usize| (column(c).map(|v| (v - mean[c]).powi(2)).sum::<f64>() / n).sqrt();
        let scale: Vec<f64> = (0..dim).map(deviation).map(|d| if d > 0.0 { 1.0 / d } else { 0.0 }).collect();
        let mut fitted = Self { mean, scale, weights: DVector::zeros(dim + 1) };
        let x = DMatrix::from_row_iterator(
            positives.len() + negatives.len(),
            dim + 1,
            rows().flat_map(|row| fitted.standardised(row).collect::<Vec<f64>>()),
        );
        let y = DVector::from_iterator(x.nrows(), (0..x.nrows()).map(|i| if i < positives.len() { 1.0 } else { 0.0 }));
        let mut penalty = DVector::from_element(dim + 1, 1.0);
        penalty[dim] = 0.0;
        let loss = |w: &DVector<f64>| {
            let logits = &x * w;
            let of = |(z, y): (&f64, &f64)| z.max(0.0) + (-z.abs()).exp().ln_1p() - y * z;
            logits.iter().zip(&y).map(of).sum::<f64>() + 0.5 * w.component_mul(&penalty).dot(w)
        };
        let mut current = loss(&fitted.weights);
        for _ in 0..STEPS {
            let p = (&x * &fitted.weights).map(|z| 1.0 / (1.0 + (-z).exp()));
            let gradient = x.tr_mul(&(&p - &y)) + penalty.component_mul(&fitted.weights);
            let mut weighted = x.clone();
            weighted.row_iter_mut().zip(&p).for_each(|(mut row, p)| row *= p * (1.0 - p));
            // A little on the diagonal, for an intercept that everything is certain of.
            let hessian = x.tr_mul(&weighted) + DMatrix::from_diagonal(&penalty.add_scalar(1e-12));
            let Some(factored) = Cholesky::new(hessian) else { break };
            let mut step = factored.solve(&gradient);
            let mut next = &fitted.weights - &step;
            while loss(&next) > current && step.amax() > TOLERANCE {
                step *= 0.5;
                next = &fitted.weights - &step;
            }
            current = loss(&next);
            fitted.weights = next;
            if step.amax() <= TOLERANCE {
                break;
            }
        }
        fitted
    }

    /// The logit of a row, higher for more like the positives.
    pub fn score(&self, row: &[f32]) -> f64 {
        self.standardised(row).zip(&self.weights).map(|(v, w)| v * w).sum()
    }

    /// Standardised features, then 1.
    fn standardised<'a>(&'a self, row: &'a [f32]) -> impl Iterator<Item = f64> + 'a {
        let features = row.iter().zip(&self.mean).zip(&self.scale).map(|((v, m), s)| (f64::from(*v) - m) * s);
        features.chain([1.0])
    }
}
