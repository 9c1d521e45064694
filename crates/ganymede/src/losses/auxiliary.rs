//! The auxiliary classifier's loss: how badly what a picture is asked to be can be read off it.

use std::ops::Range;

use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Tensor};

/// Divides the cosines of samples and texts before they are compared.
const TEMPERATURE: f64 = 0.1;
/// Two texts with a larger cosine are the same.
const SAME: f64 = 0.999;

/// How the auxiliary classifier reads off a sample what it is, or was asked to be: it learns that from real samples, and the generator learns to be read rightly (Odena, Olah and Shlens,
/// "Conditional Image Synthesis with Auxiliary Classifier GANs", ICML 2017, section 3).
#[derive(Debug, Clone, PartialEq)]
pub enum Auxiliary {
    /// A cross-entropy for each part that is a category, half the squared error for each that is a number, averaged over all parts. `scale` is what a number is multiplied by in the vector.
    Parts {
        /// The parts of the vector.
        parts: Vec<Part>,
        /// Above 0.
        scale: f64,
    },
    /// Which of the batch's vectors is a sample's own, by the cosine of both (Zhang, Koh, Baldridge, Lee and Yang, "Cross-Modal Contrastive Learning for Text-to-Image Generation", CVPR 2021,
    /// section 3.2).
    Matching,
}

/// A part of a condition's vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Above 0 at one of these places, or nowhere where the category is not known.
    Category(Range<usize>),
    /// A number at this place.
    Number(usize),
}

impl Auxiliary {
    /// The loss of what the classifier told of samples, `[n, condition]`, and what they are, `[n, condition]`. Shape `[1]`.
    ///
    /// # Panics
    /// If a part lies outside the vector, or there is none.
    pub fn loss(&self, told: Tensor<2>, condition: Tensor<2>) -> Tensor<1> {
        let told = told.cast(DType::F32);
        let condition = beside(condition.cast(DType::F32), &told);
        match self {
            Self::Parts { parts, scale } => {
                let each = parts.iter().map(|part| match part {
                    Part::Category(at) => {
                        let right = condition.clone().narrow(1, at.start, at.len()).greater_elem(0.0).float();
                        of_choice(told.clone().narrow(1, at.start, at.len()), right)
                    }
                    Part::Number(at) => {
                        let off = told.clone().narrow(1, *at, 1) - condition.clone().narrow(1, *at, 1).div_scalar(*scale);
                        (off.clone() * off).mean().div_scalar(2.0)
                    }
                });
                each.reduce(|a, b| a + b).expect("a condition has a part").div_scalar(parts.len() as f64)
            }
            Self::Matching => {
                let own = unit(condition);
                let same = own.clone().matmul(own.clone().transpose()).greater_elem(SAME).float();
                // Where a text is there twice, either will do.
                let right = same.clone() / same.sum_dim(1).clamp_min(1.0);
                of_choice(unit(told).matmul(own.transpose()).div_scalar(TEMPERATURE), right)
            }
        }
    }
}

/// Mean cross-entropy of logits with what is right, both `[n, choices]`; rows of zeros count nothing.
fn of_choice(logits: Tensor<2>, right: Tensor<2>) -> Tensor<1> {
    (log_softmax(logits, 1) * right).sum_dim(1).mean().neg()
}

/// Rows at length 1, but for those that are nearly zero.
fn unit(rows: Tensor<2>) -> Tensor<2> {
    let length = (rows.clone() * rows.clone()).sum_dim(1).add_scalar(1e-12).sqrt();
    rows / length
}

/// A constant beside tensors of either kind of device.
fn beside(constant: Tensor<2>, like: &Tensor<2>) -> Tensor<2> {
    if like.is_autodiff() && !constant.is_autodiff() { Tensor::from_inner(constant) } else { constant }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn tensor<const N: usize>(rows: &[[f32; N]]) -> Tensor<2> {
        let values: Vec<f32> = rows.iter().flatten().copied().collect();
        Tensor::from_data(TensorData::new(values, [rows.len(), N]), &Device::flex())
    }

    fn value(loss: Tensor<1>) -> f64 {
        loss.into_scalar::<f64>()
    }

    /// The logarithm of the share of one of some logits.
    fn log_share(logits: &[f64], at: usize) -> f64 {
        logits[at] - logits.iter().map(|v| v.exp()).sum::<f64>().ln()
    }

    #[test]
    fn categories_are_cross_entropies_and_numbers_squared_errors() {
        let scale = 1.0 / 2f64.sqrt();
        let auxiliary = Auxiliary::Parts { parts: vec![Part::Category(0..3), Part::Number(3)], scale };
        let s = scale as f32;
        let told = tensor(&[[1.0, 2.0, 0.5, 0.3], [0.0, 0.0, 0.0, -1.0]]);
        // The second sample's category is not known.
        let is = tensor(&[[0.0, s, 0.0, 1.5 * s], [0.0, 0.0, 0.0, -2.0 * s]]);
        let expected = ((-log_share(&[1.0, 2.0, 0.5], 1) / 2.0) + ((1.2 * 1.2 + 1.0) / 2.0 / 2.0)) / 2.0;
        let found = value(auxiliary.loss(told, is));
        assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
    }

    #[test]
    fn matching_finds_the_own_among_the_batch() {
        let texts = tensor(&[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]);
        // The first two point at their own text, the third at the other; the text that is there twice shares.
        let told = tensor(&[[2.0, 0.0], [0.0, 0.5], [0.0, 3.0]]);
        let own = [log_share(&[10.0, 0.0, 10.0], 0), log_share(&[0.0, 10.0, 0.0], 1), log_share(&[0.0, 10.0, 0.0], 0)];
        let found = value(Auxiliary::Matching.loss(told, texts));
        assert!((found + own.iter().sum::<f64>() / 3.0).abs() < 1e-4, "{found}");
    }

    #[test]
    fn gradients_are_those_of_differences() {
        let is = tensor(&[[0.0, 0.7, 0.1], [0.7, 0.0, -0.4]]);
        let at = [[0.3f32, -0.2, 0.9], [1.0, 0.4, -0.5]];
        for auxiliary in [Auxiliary::Parts { parts: vec![Part::Category(0..2), Part::Number(2)], scale: 0.7 }, Auxiliary::Matching] {
            let x = tensor(&at).autodiff().require_grad();
            let gradient = x.grad(&auxiliary.loss(x.clone(), is.clone()).backward()).unwrap();
            let gradient = gradient.into_data().try_to_vec::<f32>().unwrap();
            for i in 0..6 {
                let moved = |by: f32| {
                    let mut rows = at;
                    rows[i / 3][i % 3] += by;
                    value(auxiliary.loss(tensor(&rows), is.clone()))
                };
                let difference = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((difference - f64::from(gradient[i])).abs() < 2e-3, "{auxiliary:?} at {i}: {difference} and {}", gradient[i]);
            }
        }
    }
}
