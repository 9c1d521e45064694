//! What single rows say to the discriminator: gradients row by row, clipped, and summed without holding any of them.

use burn::optim::GradientsParams;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};

use super::nets::PackDiscriminator;
use crate::nn::Tape;

/// Gradients of the discriminator's parameters, layer by layer.
#[derive(Debug, Clone)]
pub(super) struct RowGradients {
    /// Of each hidden layer, `[inputs, outputs]`.
    pub weights: Vec<Tensor<2>>,
    /// Of each hidden layer, `[1, outputs]`.
    pub biases: Vec<Tensor<2>>,
    /// `[inputs, 1]`.
    pub last: Tensor<2>,
}

/// What the layers of a discriminator get and give back, row by row: the gradient of a row is the outer product of both.
pub(super) struct Passes {
    /// Inputs of all layers, the last one included, `[n, inputs]`.
    pub inputs: Vec<Tensor<2>>,
    /// Gradients at the outputs of all layers before their activation, `[n, outputs]`.
    pub deltas: Vec<Tensor<2>>,
}

impl Passes {
    /// Of the loss `softplus(-logit)` of each real row of `rows`, `[n, 1, width]` with n above 0, of a network on the plain device that looks at one row at a time.
    pub fn of_real(d: &PackDiscriminator, rows: Tensor<3>) -> Self {
        Self::of(d, rows, 1.0)
    }

    /// The same of the loss `softplus(logit)` of each generated row.
    pub fn of_generated(d: &PackDiscriminator, rows: Tensor<3>) -> Self {
        Self::of(d, rows, 0.0)
    }

    /// Of the cross-entropy between what the logits say and `label`.
    fn of(d: &PackDiscriminator, rows: Tensor<3>, label: f64) -> Self {
        let [n, _, width] = rows.dims();
        let told = d.layers.first().map_or(0, |layer| layer.weight.dims()[0] - width);
        let rows = rows.reshape([n, width]);
        let mut inputs = vec![Tensor::cat(vec![rows.clone(), rows.narrow(1, 0, 1).zeros_like().repeat_dim(1, told)], 1)];
        let mut tape = Tape::recording();
        for (linear, act) in d.layers.iter().zip(&d.acts) {
            let next = act.after_linear(linear, inputs[inputs.len() - 1].clone(), &mut tape);
            inputs.push(next);
        }
        let logits = d.last.forward(inputs[inputs.len() - 1].clone());
        let mut deltas = vec![sigmoid(logits).sub_scalar(label)];
        let mut back = d.last.transposed(deltas[0].clone());
        for (linear, act) in d.layers.iter().zip(&d.acts).rev() {
            let delta = act.transposed(back, &mut tape);
            back = linear.transposed(delta.clone());
            deltas.push(delta);
        }
        deltas.reverse();
        Self { inputs, deltas }
    }

    /// The norm of each row's gradient in all parameters together, `[n, 1]`.
    ///
    /// Goodfellow, "Efficient Per-Example Gradient Computations", 2015: the squared norm of an outer product is the product of the squared norms. Biases see an input of 1.
    pub fn norms(&self) -> Tensor<2> {
        let squared = |x: &Tensor<2>| (x.clone() * x.clone()).sum_dim(1);
        let last = self.deltas.len() - 1;
        let of = |(i, (input, delta)): (usize, (&Tensor<2>, &Tensor<2>))| {
            let bias = if i < last { 1.0 } else { 0.0 };
            squared(input).add_scalar(bias) * squared(delta)
        };
        let each = self.inputs.iter().zip(&self.deltas).enumerate().map(of);
        each.reduce(|sum, next| sum + next).map_or_else(|| self.deltas[last].clone().zeros_like(), Tensor::sqrt)
    }

    /// The sum of the rows' gradients, each scaled down to the norm `clip` at most. A row whose gradient is too large for a number adds nothing, so that no row's share is beyond the clip.
    pub fn clipped_sum(&self, clip: f64) -> RowGradients {
        let norms = self.norms();
        let is_lost = norms.clone().is_finite().bool_not();
        let without = |x: Tensor<2>| {
            let shape = x.dims();
            x.mask_fill(is_lost.clone().expand(shape), 0.0)
        };
        // Rounding must not carry a gradient over the norm that the noise is measured by.
        let scale = norms.clamp_min(1e-30).recip().mul_scalar(clip * (1.0 - 1e-5)).clamp_max(1.0);
        let scaled: Vec<Tensor<2>> = self.deltas.iter().map(|delta| without(delta.clone() * scale.clone())).collect();
        let last = scaled.len() - 1;
        let product = |i: usize| without(self.inputs[i].clone()).transpose().matmul(scaled[i].clone());
        RowGradients {
            weights: (0..last).map(product).collect(),
            biases: scaled[..last].iter().map(|delta| delta.clone().sum_dim(0)).collect(),
            last: product(last),
        }
    }
}

impl RowGradients {
    /// Those of no row.
    pub fn zeros(d: &PackDiscriminator) -> Self {
        Self {
            weights: d.layers.iter().map(|layer| layer.weight.val().zeros_like()).collect(),
            biases: d.acts.iter().map(|act| act.bias.val().zeros_like().unsqueeze_dim(0)).collect(),
            last: d.last.weight.val().zeros_like(),
        }
    }

    /// Numbers in all of them.
    pub fn len(&self) -> usize {
        self.all().map(|tensor| tensor.dims().iter().product::<usize>()).sum()
    }

    fn all(&self) -> impl Iterator<Item = &Tensor<2>> {
        self.weights.iter().chain(&self.biases).chain([&self.last])
    }

    /// With each number changed by `change` of its tensor and the place of the tensor's first number among all.
    fn map(self, change: impl FnMut(Tensor<2>) -> Tensor<2>) -> Self {
        let mut change = change;
        Self {
            weights: self.weights.into_iter().map(&mut change).collect(),
            biases: self.biases.into_iter().map(&mut change).collect(),
            last: change(self.last),
        }
    }

    /// With `noise[i]` added to number `i`.
    pub fn noised(self, noise: &[f32], device: &Device) -> Self {
        let mut first = 0;
        self.map(|tensor| {
            let shape = tensor.dims();
            let n = shape[0] * shape[1];
            let own = TensorData::new(noise[first..first + n].to_vec(), shape);
            first += n;
            tensor + Tensor::from_data(own, device)
        })
    }

    /// All of them times a number.
    pub fn scaled(self, factor: f64) -> Self {
        self.map(|tensor| tensor.mul_scalar(factor))
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        let mut others = other.weights.into_iter().chain(other.biases).chain([other.last]);
        self.map(|tensor| tensor + others.next().expect("the same layers"))
    }

    /// Adds them to the gradients of the parameters of `d`, where there are any.
    pub fn add_to(self, gradients: &mut GradientsParams, d: &PackDiscriminator) {
        let mut add = |id, own: Tensor<2>| {
            let sum = match gradients.remove::<2>(id) {
                Some(other) => other + own,
                None => own,
            };
            gradients.register(id, sum);
        };
        d.layers.iter().zip(self.weights).for_each(|(layer, own)| add(layer.weight.id, own));
        add(d.last.weight.id, self.last);
        for (act, own) in d.acts.iter().zip(self.biases) {
            let own: Tensor<1> = own.squeeze_dim(0);
            let sum = match gradients.remove::<1>(act.bias.id) {
                Some(other) => other + own,
                None => own,
            };
            gradients.register(act.bias.id, sum);
        }
    }

    /// All numbers, tensor by tensor.
    #[cfg(test)]
    pub fn values(&self) -> Vec<f32> {
        self.all().flat_map(|tensor| tensor.clone().into_data().convert::<f32>().try_to_vec::<f32>().unwrap()).collect()
    }
}
