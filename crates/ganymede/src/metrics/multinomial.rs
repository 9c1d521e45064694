//! Multinomial logistic regression, for linear probes.

use nalgebra::{Cholesky, DMatrix, DVector};

/// Steps of the search at most.
const STEPS: usize = 300;
/// Steps that are remembered of it.
const MEMORY: usize = 8;
/// Where the largest slope ends it, for losses averaged over rows.
const TOLERANCE: f64 = 1e-5;

/// Rows as a linear classifier with a penalty on the length of its weights sees them: only their products with each other matter, so `n` rows of many numbers are as good as rows of
/// `n` numbers that have the same products.
pub(super) struct Rotated {
    /// `[n, n]`, row by row the new numbers of the rows.
    factor: DMatrix<f64>,
}

impl Rotated {
    /// From the products of rows with each other, `[n, n]`.
    pub fn new(products: &DMatrix<f64>) -> Self {
        let n = products.nrows();
        let scale = products.trace() / n.max(1) as f64;
        // A little on the diagonal, for rows that depend on each other.
        let mut little = 1e-8 * scale.max(1e-12);
        loop {
            if let Some(factored) = Cholesky::new(products + DMatrix::identity(n, n) * little) {
                return Self { factor: factored.l() };
            }
            little *= 10.0;
        }
    }

    /// The rows themselves.
    pub fn rows(&self) -> &DMatrix<f64> {
        &self.factor
    }

    /// Further rows, from their products with the rows, `[m, n]`.
    pub fn further(&self, products: &DMatrix<f64>) -> DMatrix<f64> {
        let transposed = products.transpose();
        self.factor.solve_lower_triangular(&transposed).unwrap_or(transposed).transpose()
    }
}

/// Weights `[dim, classes]` and an intercept for each class.
pub(super) struct Multinomial {
    weights: DMatrix<f64>,
    intercepts: DVector<f64>,
}

impl Multinomial {
    /// Minimises the mean cross entropy plus `penalty / 2` times the squared length of the weights without the intercepts, by L-BFGS (Nocedal and Wright, "Numerical Optimization", 2006,
    /// algorithm 7.5, with steps halved where the loss would not fall enough). `labels` are below `classes`.
    pub fn fit(rows: &DMatrix<f64>, labels: &[usize], classes: usize, penalty: f64) -> Self {
        let dim = rows.ncols();
        let mut x = DVector::zeros((dim + 1) * classes);
        let (mut loss, mut slope) = Self::slope(rows, labels, classes, penalty, &x);
        let mut past: Vec<(DVector<f64>, DVector<f64>)> = Vec::new();
        for _ in 0..STEPS {
            if slope.amax() < TOLERANCE {
                break;
            }
            let mut direction = -descent(&slope, &past);
            let mut fall = slope.dot(&direction);
            if fall >= 0.0 {
                past.clear();
                direction = -slope.clone();
                fall = slope.dot(&direction);
            }
            let mut step = if past.is_empty() { (1.0 / direction.norm()).min(1.0) } else { 1.0 };
            let mut next = None;
            for _ in 0..40 {
                let moved = &x + &direction * step;
                let found = Self::slope(rows, labels, classes, penalty, &moved);
                if found.0 <= loss + 1e-4 * step * fall {
                    next = Some((moved, found));
                    break;
                }
                step *= 0.5;
            }
            let Some((moved, (lower, there))) = next else { break };
            let (change, bend) = (&moved - &x, &there - &slope);
            if change.dot(&bend) > 1e-12 * bend.norm_squared() {
                past.push((change, bend));
                if past.len() > MEMORY {
                    past.remove(0);
                }
            }
            (x, loss, slope) = (moved, lower, there);
        }
        let weights = DMatrix::from_column_slice(dim, classes, &x.as_slice()[..dim * classes]);
        Self { weights, intercepts: DVector::from_column_slice(&x.as_slice()[dim * classes..]) }
    }

    /// The loss at `x` (weights column by column, then intercepts), and its gradient.
    fn slope(rows: &DMatrix<f64>, labels: &[usize], classes: usize, penalty: f64, x: &DVector<f64>) -> (f64, DVector<f64>) {
        let (n, dim) = (rows.nrows(), rows.ncols());
        let weights = DMatrix::from_column_slice(dim, classes, &x.as_slice()[..dim * classes]);
        let mut logits = rows * &weights;
        let mut loss = 0.0;
        for (i, label) in labels.iter().enumerate() {
            let mut row = logits.row_mut(i);
            row.iter_mut().zip(&x.as_slice()[dim * classes..]).for_each(|(logit, b)| *logit += b);
            let most = row.max();
            let total: f64 = row.iter().map(|logit| (logit - most).exp()).sum();
            loss += most + total.ln() - row[*label];
            row.iter_mut().for_each(|logit| *logit = (*logit - most).exp() / total / n as f64);
            row[*label] -= 1.0 / n as f64;
        }
        let of_weights = rows.tr_mul(&logits) + &weights * penalty;
        let of_intercepts = logits.row_sum();
        let gradient = DVector::from_iterator(x.len(), of_weights.iter().chain(of_intercepts.iter()).copied());
        (loss / n as f64 + 0.5 * penalty * weights.norm_squared(), gradient)
    }

    /// The likeliest class of each row.
    pub fn classes(&self, rows: &DMatrix<f64>) -> Vec<usize> {
        let logits = rows * &self.weights;
        let best = |i: usize| {
            let logit = |class: usize| logits[(i, class)] + self.intercepts[class];
            (0..logits.ncols()).max_by(|a, b| logit(*a).total_cmp(&logit(*b)).then(b.cmp(a))).unwrap_or(0)
        };
        (0..rows.nrows()).map(best).collect()
    }
}

/// The inverse of the curvature that past steps show, times the slope: the two loops of L-BFGS.
fn descent(slope: &DVector<f64>, past: &[(DVector<f64>, DVector<f64>)]) -> DVector<f64> {
    let mut direction = slope.clone();
    let mut kept = Vec::with_capacity(past.len());
    for (change, bend) in past.iter().rev() {
        let share = change.dot(&direction) / change.dot(bend);
        direction -= bend * share;
        kept.push(share);
    }
    if let Some((change, bend)) = past.last() {
        direction *= change.dot(bend) / bend.norm_squared();
    }
    for ((change, bend), share) in past.iter().zip(kept.into_iter().rev()) {
        direction += change * (share - bend.dot(&direction) / change.dot(bend));
    }
    direction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    fn normal(n: usize, dim: usize, purpose: &str) -> DMatrix<f64> {
        let values = random::normal(n * dim, &mut random::stream(0, purpose, 0));
        DMatrix::from_row_iterator(n, dim, values.into_iter().map(f64::from))
    }

    #[test]
    fn the_slope_is_that_of_the_loss() {
        let (rows, labels) = (normal(7, 3, "rows"), [0, 1, 2, 0, 1, 2, 2]);
        let x = DVector::from_iterator(12, normal(12, 1, "at").iter().copied());
        let (_, slope) = Multinomial::slope(&rows, &labels, 3, 0.3, &x);
        for i in 0..12 {
            let at = |by: f64| {
                let mut moved = x.clone();
                moved[i] += by;
                Multinomial::slope(&rows, &labels, 3, 0.3, &moved).0
            };
            assert!(((at(1e-5) - at(-1e-5)) / 2e-5 - slope[i]).abs() < 1e-7, "{i}");
        }
    }

    #[test]
    fn weights_are_those_of_scikit_learn() {
        // scikit-learn 1.9.1: LogisticRegression(C=1/(12 * 0.1), tol=1e-12, max_iter=10000).fit(x, y).coef_.T, x[i] = (sin i, cos 2i), y[i] = 2 if i < 3 else i % 3.
        let rows = DMatrix::from_fn(12, 2, |i, c| if c == 0 { (i as f64).sin() } else { (2.0 * i as f64).cos() });
        let labels: Vec<usize> = (0..12).map(|i| if i < 3 { 2 } else { i % 3 }).collect();
        let found = Multinomial::fit(&rows, &labels, 3, 0.1);
        let (_, slope) = {
            let x = DVector::from_iterator(9, found.weights.iter().chain(found.intercepts.iter()).copied());
            Multinomial::slope(&rows, &labels, 3, 0.1, &x)
        };
        assert!(slope.amax() < TOLERANCE);
        for (row, expected) in GOLDEN.iter().enumerate() {
            for (class, value) in expected.iter().enumerate() {
                assert!((found.weights[(row, class)] - value).abs() < 1e-3, "{} for {GOLDEN:?}", found.weights);
            }
        }
    }

    const GOLDEN: [[f64; 3]; 2] = [[0.113_630_6, -0.276_790_1, 0.163_159_5], [0.841_527_4, 0.026_107_0, -0.867_634_4]];

    #[test]
    fn rotated_rows_give_the_same_classes_as_the_rows() {
        let (rows, others) = (normal(20, 50, "rows"), normal(30, 50, "others"));
        let labels: Vec<usize> = (0..20).map(|i| usize::from(rows[(i, 0)] > 0.0) + usize::from(rows[(i, 1)] > 0.0)).collect();
        let rotated = Rotated::new(&(&rows * rows.transpose()));
        assert!((rotated.rows() * rotated.rows().transpose() - &rows * rows.transpose()).amax() < 1e-5);
        let straight = Multinomial::fit(&rows, &labels, 3, 0.01).classes(&others);
        let turned = Multinomial::fit(rotated.rows(), &labels, 3, 0.01).classes(&rotated.further(&(&others * rows.transpose())));
        assert_eq!(straight, turned);
        assert_eq!(Multinomial::fit(&rows, &labels, 3, 1e-4).classes(&rows), labels);
    }
}
