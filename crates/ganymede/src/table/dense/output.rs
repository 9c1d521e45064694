//! From what a network gives to a row: categories chosen, numbers where they mean something.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::layout::Layout;

/// How far below the largest of its block a logit over the temperature may be. Exponentials are at most one, and the squares of their sums, which gradients are divided by, at least that.
const FARTHEST: f64 = 60.0;

/// Chooses categories by the Gumbel-softmax of Jang, Gu and Poole, "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017.
#[derive(Debug, Clone)]
pub struct RowOutput {
    layout: Arc<Layout>,
    temperature: f64,
    straight_through: bool,
    /// As [`Layout::blocks`].
    blocks: Tensor<2>,
    /// As [`Layout::gates`].
    gates: (Tensor<2>, Tensor<2>),
}

impl RowOutput {
    /// For rows of a layout. With `straight_through` the likeliest category alone is given, with the gradient of the softened ones.
    pub fn new(layout: &Arc<Layout>, temperature: f64, straight_through: bool, device: &Device) -> Self {
        Self { layout: layout.clone(), temperature, straight_through, blocks: layout.blocks(device), gates: layout.gates(device) }
    }

    /// How badly two draws `[n, width]` of logits and numbers tell hidden places of real rows `[n, width]`: for categories the mean cross-entropy, for numbers that mean something the energy score
    /// (Gneiting and Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation", 2007, section 4.3: the mean distance from the draws less half of that between them). Both are least on average for the
    /// true distribution. Summed over the places where `hidden`, `[n, width]`, is one; shape `[n, 1]`.
    pub(crate) fn off(&self, draws: [Tensor<2>; 2], real: Tensor<2>, hidden: Tensor<2>) -> Tensor<2> {
        let (codes, n_numbers) = (self.layout.n_codes(), self.layout.numbers.len());
        let like = |constant: &Tensor<2>| alike(constant, &draws[0]);
        let mut parts: Vec<Tensor<2>> = Vec::new();
        let mut open = like(&self.gates.1).repeat_dim(0, real.dims()[0]);
        if codes > 0 {
            let right = real.clone().narrow(1, 0, codes);
            open = open + right.clone().matmul(like(&self.gates.0));
            let right = right * hidden.clone().narrow(1, 0, codes);
            for raw in &draws {
                let logits = raw.clone().narrow(1, 0, codes);
                let most = without_graph(&logits, |plain| largest(plain, &self.layout));
                let below = logits - most;
                let sums = below.clone().exp().matmul(like(&self.blocks)).log().matmul(like(&self.blocks).transpose());
                parts.push(((sums - below) * right.clone()).sum_dim(1).mul_scalar(0.5));
            }
        }
        if n_numbers > 0 {
            let [a, b] = draws.map(|raw| raw.narrow(1, codes, n_numbers));
            let number = real.narrow(1, codes, n_numbers);
            let distance = ((a.clone() - number.clone()).abs() + (b.clone() - number).abs() - (a - b).abs()).mul_scalar(0.5);
            parts.push((distance * open * hidden.narrow(1, codes, n_numbers)).sum_dim(1));
        }
        parts.into_iter().reduce(|a, b| a + b).expect("a row has a place")
    }

    /// Rows `[n, width]` from logits and numbers `[n, width]` and normal noise `[n, at least first + codes]`, of which that from `first` on decides between codes.
    pub fn forward(&self, raw: Tensor<2>, (noise, first): (&Tensor<2>, usize)) -> Tensor<2> {
        let (codes, numbers) = (self.layout.n_codes(), self.layout.numbers.len());
        let like = |constant: &Tensor<2>| alike(constant, &raw);
        let soft = (codes > 0).then(|| {
            let gumbel = gumbel(noise.clone().narrow(1, first, codes));
            let over = (raw.clone().narrow(1, 0, codes) + gumbel).div_scalar(self.temperature);
            // What is added to all logits of a block changes nothing, so that nothing keeps training from adding more and more.
            let most = without_graph(&over, |plain| largest(plain, &self.layout));
            let e = (over - most).clamp_min(-FARTHEST).exp();
            let sums = e.clone().matmul(like(&self.blocks)).matmul(like(&self.blocks).transpose());
            let soft = e / sums;
            if self.straight_through { straight_through(soft, &self.layout) } else { soft }
        });
        match (soft, numbers) {
            (Some(soft), 0) => soft,
            (None, _) => raw,
            (Some(soft), _) => {
                let open = soft.clone().matmul(like(&self.gates.0)) + like(&self.gates.1);
                Tensor::cat(vec![soft, raw.narrow(1, codes, numbers) * open], 1)
            }
        }
    }
}

/// A constant on the device and in the precision of another tensor.
pub(crate) fn alike<const A: usize, const B: usize>(constant: &Tensor<A>, other: &Tensor<B>) -> Tensor<A> {
    let constant = constant.clone().cast(other.dtype());
    if other.is_autodiff() && !constant.is_autodiff() { Tensor::from_inner(constant) } else { constant }
}

/// What becomes of a tensor, as a constant.
fn without_graph(x: &Tensor<2>, of: impl Fn(Tensor<2>) -> Tensor<2>) -> Tensor<2> {
    if x.is_autodiff() { Tensor::from_inner(of(x.clone().inner())) } else { of(x.clone()) }
}

/// For each place the largest value of its block, `[n, codes]`.
fn largest(x: Tensor<2>, layout: &Layout) -> Tensor<2> {
    let mut first = 0;
    let blocks = layout.categories.iter().map(|(_, n)| {
        let own = x.clone().narrow(1, first, *n);
        first += n;
        own.max_dim(1).repeat_dim(1, *n)
    });
    Tensor::cat(blocks.collect(), 1)
}

/// The likeliest code of each block alone, with the gradient of the soft ones (straight-through Gumbel-softmax: Jang, Gu and Poole, section 2.2), so that the discriminator is never shown a mixture.
fn straight_through(soft: Tensor<2>, layout: &Layout) -> Tensor<2> {
    let plain = if soft.is_autodiff() { soft.clone().inner() } else { soft.clone() };
    let hard = plain.clone().greater_equal(largest(plain.clone(), layout)).float().cast(plain.dtype());
    let step = hard - plain;
    let step = if soft.is_autodiff() { Tensor::from_inner(step) } else { step };
    soft + step
}

/// Normal numbers to numbers of the Gumbel distribution with the same rank.
fn gumbel(normal: Tensor<2>) -> Tensor<2> {
    let uniform = normal.div_scalar(std::f64::consts::SQRT_2).erf().add_scalar(1.0).mul_scalar(0.5).clamp(1e-6, 1.0 - 1e-6);
    uniform.log().neg().log().neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use burn::tensor::TensorData;

    #[test]
    fn shares_and_gradients_do_not_depend_on_what_is_added_to_a_block() {
        let device = Device::flex();
        let layout = Arc::new(Layout { categories: vec![(0, 3), (1, 2)], numbers: Vec::new() });
        let of = |added: f32| {
            let logits = [1.0, 0.5, -0.5, 2.0, -9.0].map(|v| v + added).to_vec();
            let raw = Tensor::<2>::from_data(TensorData::new(logits, [1, 5]), &device.clone().autodiff()).require_grad();
            let noise = Tensor::<2>::from_inner(Tensor::zeros([1, 5], &device));
            let row = RowOutput::new(&layout, 0.3, false, &device).forward(raw.clone(), (&noise, 0));
            let weights = Tensor::<2>::from_inner(Tensor::from_data(TensorData::new(vec![1.0f32, 2.0, 4.0, 1.0, 0.0], [1, 5]), &device));
            let gradient = raw.grad(&(row.clone() * weights).sum().backward()).expect("it was tracked");
            [row.inner(), gradient].map(|t| t.into_data().convert::<f32>().try_to_vec::<f32>().unwrap())
        };
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
        let plain = of(0.0);
        for added in [-100.0, -20.0, 20.0, 100.0] {
            let moved = of(added);
            assert!(near(&plain[0], &moved[0]) && near(&plain[1], &moved[1]), "{added}: {moved:?}");
        }
        assert!((plain[0][..3].iter().sum::<f32>() - 1.0).abs() < 1e-5 && plain[1][..3].iter().any(|v| v.abs() > 0.1), "{plain:?}");
    }

    #[test]
    fn codes_far_above_the_others_are_still_told_apart() {
        let device = Device::flex();
        let layout = Arc::new(Layout { categories: vec![(0, 6)], numbers: Vec::new() });
        let logits = vec![30.0f32, 29.0, -40.0, -40.0, -40.0, -40.0];
        let raw = Tensor::<2>::from_data(TensorData::new(logits, [1, 6]), &device.clone().autodiff()).require_grad();
        let noise = Tensor::<2>::from_inner(Tensor::zeros([1, 6], &device));
        let row = RowOutput::new(&layout, 0.3, true, &device).forward(raw.clone(), (&noise, 0));
        let weights = Tensor::<2>::from_inner(Tensor::from_data(TensorData::new(vec![0.0f32, 1.0, 0.0, 0.0, 0.0, 0.0], [1, 6]), &device));
        let gradient = raw.grad(&(row.clone() * weights).sum().backward()).expect("it was tracked");
        let [row, gradient] = [row.inner(), gradient].map(|t| t.into_data().convert::<f32>().try_to_vec::<f32>().unwrap());
        assert!(row.iter().zip([1.0, 0.0, 0.0, 0.0, 0.0, 0.0]).all(|(own, wanted)| (own - wanted).abs() < 1e-6), "{row:?}");
        assert!(gradient[1] > 0.05 && (gradient[0] + gradient[1]).abs() < 1e-6, "{gradient:?}");
    }

    #[test]
    fn hidden_places_cost_cross_entropy_and_energy() {
        let device = Device::flex();
        // Column 0 has two codes, column 1 a number, column 2 three codes and a number that means something under the last of them.
        let layout = Arc::new(Layout { categories: vec![(0, 2), (2, 3)], numbers: vec![(1, None), (2, Some((1, 2)))] });
        let tensor = |rows: &[[f32; 7]]| Tensor::<2>::from_data(TensorData::new(rows.concat(), [rows.len(), 7]), &device);
        let real = [[0.0, 1.0, 1.0, 0.0, 0.0, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0, 1.0, -1.0, 2.0]];
        let draws = [
            [[1.0f32, 3.0, 0.0, 1.0, 2.0, 0.7, 9.0], [90.0, -90.0, 0.5, 0.0, 1.0, 0.0, 1.0]],
            [[2.0, 2.0, 1.0, 1.0, 1.0, -0.1, 9.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.5]],
        ];
        let of = |column: usize| {
            let hidden: Vec<f32> = layout.columns().iter().map(|own| f32::from(u8::from(*own == column))).collect();
            let hidden = Tensor::<2>::from_data(TensorData::new(hidden.repeat(2), [2, 7]), &device);
            let off = RowOutput::new(&layout, 0.3, true, &device).off(draws.map(|draw| tensor(&draw)), tensor(&real), hidden);
            off.into_data().convert::<f32>().try_to_vec::<f32>().unwrap()
        };
        let log_share = |logits: &[f32], at: usize| logits[at] - logits.iter().map(|v| v.exp()).sum::<f32>().ln();
        let near = |found: Vec<f32>, wanted: [f32; 2]| {
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} for {wanted:?}");
        };
        near(of(0), [-(log_share(&[1.0, 3.0], 1) + log_share(&[2.0, 2.0], 1)) / 2.0, 0.5 * 2f32.ln()]);
        // Half of 0.2 and 0.6 less 0.8; half of 1 and 1.
        near(of(1), [0.0, 1.0]);
        let [a, b] = [log_share(&[0.5, 0.0, 1.0], 2), -(3f32.ln())];
        near(of(2), [-(log_share(&[0.0, 1.0, 2.0], 0) + b) / 2.0, -(a + b) / 2.0 + (1.0 + 0.5 - 1.5) / 2.0]);
    }

    #[test]
    fn noise_of_categories_is_gumbels() {
        let n = 20_000;
        let normal = random::normal(n, &mut random::stream(3, "x", 0));
        let drawn = gumbel(Tensor::from_data(TensorData::new(normal, [n, 1]), &Device::flex()));
        let drawn = drawn.into_data().convert::<f32>().try_to_vec::<f32>().unwrap();
        let mean = drawn.iter().map(|v| f64::from(*v)).sum::<f64>() / n as f64;
        let variance = drawn.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n as f64;
        // Euler's constant, and pi squared over six.
        assert!((mean - 0.5772).abs() < 0.03 && (variance - 1.6449).abs() < 0.08, "{mean} {variance}");
    }
}
