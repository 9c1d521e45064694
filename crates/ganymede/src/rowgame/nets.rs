//! Fully connected networks on rows.
//!
//! Rows come in packs: the discriminator looks at several at once. Some columns of a row may be given. The generator is told them and draws the others; what it was given stands in its row
//! as it is, so that the discriminator, which is told which columns were given, judges nothing but whether the rest goes with them.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};

use super::network::Network;
use crate::nn::{BiasAct, Discriminator, Generator, Init, Linear, LinearConfig, Tape, widened};
use crate::table::{Layout, RowOutput, alike};

const SLOPE: f32 = 0.2;
/// Packs of latents to packs of rows, by layers that hand on their input ([`widened`]).
#[derive(Module, Debug)]
pub struct RowGenerator {
    layers: Vec<Linear>,
    acts: Vec<BiasAct>,
    last: Linear,
    #[module(skip)]
    shape: Shape,
}

/// Shapes, and the matrices that follow from them.
#[derive(Debug, Clone)]
struct Shape {
    network: Network,
    layout: Arc<Layout>,
    output: RowOutput,
    /// As [`Layout::spread`].
    spread: Tensor<2>,
}

impl RowGenerator {
    /// Fresh weights.
    pub fn new(network: &Network, layout: &Arc<Layout>, init: &mut Init<'_>) -> Self {
        let inputs = network.inputs(network.latent_dim + layout.condition());
        let hidden = &inputs[..network.layers];
        let shape = Shape {
            network: network.clone(),
            layout: layout.clone(),
            output: RowOutput::new(layout, network.temperature, network.straight_through, init.device),
            spread: layout.spread(init.device),
        };
        Self {
            layers: hidden.iter().map(|n| LinearConfig::new(*n, network.width).with_gain(2f64.sqrt()).without_bias().init(init)).collect(),
            acts: hidden.iter().map(|_| BiasAct::new(network.width, SLOPE, init)).collect(),
            last: LinearConfig::new(inputs[network.layers], layout.width()).init(init),
            shape,
        }
    }

    /// Numbers of noise that one row takes: its latent, and one for each category.
    pub fn noise(&self) -> usize {
        self.shape.network.latent_dim + self.shape.layout.n_codes()
    }

    /// Logits of all categories and all numbers of rows, `[n, width]`, from latents `[n, latent_dim]` and conditions `[n, condition]`; none where nothing is given of any row.
    pub fn raw(&self, latents: Tensor<2>, conditions: Option<Tensor<2>>) -> Tensor<2> {
        let (begin, absent) = match conditions {
            Some(conditions) => (Tensor::cat(vec![latents, conditions], 1), 0),
            None => (latents, self.shape.layout.condition()),
        };
        let layers = self.layers.iter().zip(&self.acts);
        without_inputs(&self.last, absent).forward(layers.fold(begin, |x, (linear, act)| widened(x, &without_inputs(linear, absent), act)))
    }
}

/// A layer for inputs of which the last `absent` are zero and left out.
fn without_inputs(layer: &Linear, absent: usize) -> Linear {
    if absent == 0 {
        return layer.clone();
    }
    let weight = layer.weight.val();
    let n = weight.dims()[0] - absent;
    Linear { weight: Param::from_tensor(weight.narrow(0, 0, n)), bias: layer.bias.clone() }
}

impl Generator<3> for RowGenerator {
    const COMPLETES: bool = true;

    fn latent_dim(&self) -> usize {
        self.shape.network.pack * self.noise()
    }

    /// `[packs, pack * noise]` and `[packs, pack * condition]` to `[packs, pack, width]`, categories softened.
    fn forward(&self, latents: Tensor<2>, condition: Option<Tensor<2>>) -> Tensor<3> {
        let Shape { network, layout, output, spread } = &self.shape;
        let (packs, rows) = (latents.dims()[0], latents.dims()[0] * network.pack);
        let noise = latents.reshape([rows, self.noise()]);
        let conditions = match condition {
            Some(condition) => alike(&condition.reshape([rows, layout.condition()]), &noise),
            None => noise.clone().narrow(1, 0, 1).zeros_like().repeat_dim(1, layout.condition()),
        };
        let raw = self.raw(noise.clone().narrow(1, 0, network.latent_dim), Some(conditions.clone()));
        let own = output.forward(raw, (&noise, network.latent_dim));
        let (given, columns) = (conditions.clone().narrow(1, 0, layout.width()), conditions.narrow(1, layout.width(), layout.n_columns()));
        let is_given = columns.matmul(alike(spread, &noise));
        let row = own.clone() * is_given.neg().add_scalar(1.0) + given;
        row.reshape([packs, network.pack, layout.width()])
    }

    /// Of the first quarter of the rows one column each is hidden, and drawn by two latents. A column that was given when the row was drawn does not count: it may be why the row was drawn.
    fn completion(&self, real: &Tensor<3>, latents: Tensor<2>, condition: Option<&Tensor<2>>, turn: usize) -> Option<Tensor<1>> {
        let Shape { network, layout, output, spread } = &self.shape;
        let rows = real.dims()[0] * network.pack;
        let (n, columns, width) = (rows.div_ceil(4).min(rows / 2), layout.n_columns(), layout.width());
        if n == 0 {
            return None;
        }
        let noise = latents.reshape([rows, self.noise()]).narrow(1, 0, network.latent_dim);
        let real = alike(&real.clone().reshape([rows, width]).narrow(0, 0, n), &noise);
        let chosen = (0..n).flat_map(|row| (0..columns).map(move |column| f32::from(u8::from((row + turn) % columns == column))));
        let chosen = Tensor::<2>::from_data(TensorData::new(chosen.collect::<Vec<f32>>(), [n, columns]), &spread.device());
        let (chosen, spread) = (alike(&chosen, &noise), alike(spread, &noise));
        let given = chosen.clone().neg().add_scalar(1.0);
        let conditions = Tensor::cat(vec![real.clone() * given.clone().matmul(spread.clone()), given], 1);
        let draw = |first: usize| self.raw(noise.clone().narrow(0, first, n), Some(conditions.clone()));
        let counted = match condition {
            Some(condition) => {
                let told = condition.clone().reshape([rows, width + columns]).narrow(0, 0, n).narrow(1, width, columns);
                chosen * alike(&told, &noise).neg().add_scalar(1.0)
            }
            None => chosen,
        };
        Some(output.off([draw(0), draw(n)], real, counted.matmul(spread)).mean())
    }
}

/// Packs of rows to logits.
#[derive(Module, Debug)]
pub struct PackDiscriminator {
    pub(super) layers: Vec<Linear>,
    pub(super) acts: Vec<BiasAct>,
    pub(super) last: Linear,
    /// Rows of a pack, numbers of a row, columns.
    #[module(skip)]
    extents: [usize; 3],
}

impl PackDiscriminator {
    /// Fresh weights.
    pub fn new(network: &Network, layout: &Layout, init: &mut Init<'_>) -> Self {
        let extents = [network.pack, layout.width(), layout.n_columns()];
        let gain = (2.0 / (1.0 + f64::from(SLOPE).powi(2))).sqrt();
        let inputs = (0..network.d_layers).map(|i| if i == 0 { extents[0] * (extents[1] + extents[2]) } else { network.d_width });
        Self {
            layers: inputs.map(|n| LinearConfig::new(n, network.d_width).with_gain(gain).without_bias().init(init)).collect(),
            acts: (0..network.d_layers).map(|_| BiasAct::new(network.d_width, SLOPE, init)).collect(),
            last: LinearConfig::new(network.d_width, 1).without_bias().init(init),
            extents,
        }
    }
}

impl Discriminator<3> for PackDiscriminator {
    const COUPLED: bool = false;

    /// `[packs, pack, width]` to `[packs, 1]`.
    fn forward(&self, x: Tensor<3>, condition: Option<Tensor<2>>, tape: &mut Tape) -> Tensor<2> {
        let (packs, [pack, width, columns]) = (x.dims()[0], self.extents);
        let told = match condition {
            Some(condition) => {
                let told = condition.reshape([packs, pack, width + columns]).narrow(2, width, columns).cast(x.dtype());
                if x.is_autodiff() && !told.is_autodiff() { Tensor::from_inner(told) } else { told }
            }
            None => x.clone().narrow(2, 0, 1).zeros_like().repeat_dim(2, columns),
        };
        let x = Tensor::cat(vec![x, told], 2).reshape([packs, pack * (width + columns)]);
        let layers = self.layers.iter().zip(&self.acts);
        self.last.forward(layers.fold(x, |x, (linear, act)| act.after_linear(linear, x, tape)))
    }

    fn input_gradient(&self, n: usize, mut tape: Tape) -> Tensor<3> {
        let [pack, width, columns] = self.extents;
        let g = self.last.weight.val().transpose().repeat_dim(0, n);
        let layers = self.layers.iter().zip(&self.acts).rev();
        let g = layers.fold(g, |g, (linear, act)| linear.transposed(act.transposed(g, &mut tape)));
        g.reshape([n, pack, width + columns]).narrow(2, 0, width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use burn::tensor::Device;

    fn values<const R: usize>(tensor: Tensor<R>) -> Vec<f32> {
        tensor.into_data().convert::<f32>().try_to_vec::<f32>().unwrap()
    }

    fn parts() -> (Network, Arc<Layout>, RowGenerator, PackDiscriminator, Device) {
        let network = Network { latent_dim: 3, width: 8, d_width: 16, pack: 2, ..Network::default() };
        let layout = Arc::new(Layout { categories: vec![(0, 2), (2, 3)], numbers: vec![(1, None), (2, Some((1, 2)))] });
        let device = Device::flex();
        let mut rng = random::stream(0, "init", 0);
        let mut init = Init { rng: &mut rng, device: &device };
        let (g, d) = (RowGenerator::new(&network, &layout, &mut init), PackDiscriminator::new(&network, &layout, &mut init));
        (network, layout, g, d, device)
    }

    fn normal(n: usize, width: usize, device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(random::normal(n * width, &mut random::stream(3, "x", 0)), [n, width]), device)
    }

    #[test]
    fn blocks_are_shares_and_given_columns_stay_as_they_are() {
        let (_, layout, g, _, device) = parts();
        let (g, packs) = (g.valid(), 5);
        // Column 2 is given: code 2, number 0.7.
        let mut condition = vec![0.0f32; layout.condition()];
        layout.write(&[0, 2], &[0.0, 0.7], &mut Vec::new());
        (condition[4], condition[6], condition[layout.width() + 2]) = (1.0, 0.7, 1.0);
        let conditions = Tensor::from_data(TensorData::new(condition.repeat(packs * 2), [packs, 2 * layout.condition()]), &device);
        let rows = values(g.forward(normal(packs, g.latent_dim(), &device), Some(conditions)));
        for row in rows.chunks_exact(layout.width()) {
            assert!((row[0] + row[1] - 1.0).abs() < 1e-5, "{row:?}");
            assert_eq!([row[2], row[3], row[4], row[6]], [0.0, 0.0, 1.0, 0.7]);
        }
        let free = values(g.forward(normal(packs, g.latent_dim(), &device), None));
        for row in free.chunks_exact(layout.width()) {
            assert!((row[2..5].iter().sum::<f32>() - 1.0).abs() < 1e-5, "{row:?}");
        }
    }

    #[test]
    fn hidden_columns_are_those_of_the_turn_and_what_was_given_does_not_count() {
        let (_, layout, g, _, device) = parts();
        let (g, packs, width) = (g.valid(), 6, layout.width());
        let mut rows = Vec::new();
        (0..2 * packs).for_each(|row| layout.write(&[row as u32 % 2, 2], &[5.0 + 0.1 * row as f32, 0.5], &mut rows));
        let real = |rows: Vec<f32>| Tensor::<3>::from_data(TensorData::new(rows, [packs, 2, width]), &device);
        let latents = normal(packs, g.latent_dim(), &device);
        let of = |rows: Vec<f32>, given: [f32; 3], turn: usize| {
            let condition = [vec![0.0; width], given.to_vec()].concat().repeat(2 * packs);
            let condition = Tensor::from_data(TensorData::new(condition, [packs, 2 * layout.condition()]), &device);
            let loss = g.completion(&real(rows), latents.clone(), Some(&condition), turn).unwrap();
            values(loss)[0]
        };
        // Three columns take turns, and each alone costs something.
        let alone = [[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]].map(|given| of(rows.clone(), given, 0));
        assert!(alone.iter().all(|loss| *loss > 1e-3), "{alone:?}");
        let all = of(rows.clone(), [0.0; 3], 0);
        assert!((all - alone.iter().sum::<f32>()).abs() < 1e-5, "{all} {alone:?}");
        assert_eq!(of(rows.clone(), [1.0; 3], 0), 0.0);
        assert_ne!(all, of(rows.clone(), [0.0; 3], 1));
        // The second half of the rows lends its latents alone.
        let mut other = rows.clone();
        other[packs * width..].iter_mut().for_each(|v| *v = 1.0 - *v);
        assert_eq!(all, of(other, [0.0; 3], 0));
        // What is hidden is not told: the shares of both codes that it could be make one.
        let shares = [0, 1].map(|code| {
            let mut row = Vec::new();
            layout.write(&[code, 2], &[0.3, 0.5], &mut row);
            let real = Tensor::<3>::from_data(TensorData::new(row.repeat(2), [1, 2, width]), &device);
            let same = Tensor::<2>::zeros([1, g.latent_dim()], &device);
            (-values(g.completion(&real, same, None, 0).unwrap())[0]).exp()
        });
        assert!((shares[0] + shares[1] - 1.0).abs() < 1e-5, "{shares:?}");
    }

    #[test]
    fn the_transposed_pass_is_the_gradient() {
        let (_, layout, _, d, device) = parts();
        let d = d.valid();
        let (packs, width) = (3, layout.width());
        let x: Tensor<3> = normal(packs, 2 * width, &device).reshape([packs, 2, width]);
        let conditions = normal(packs, 2 * layout.condition(), &device);
        let mut tape = Tape::recording();
        let logits = values(d.forward(x.clone(), Some(conditions.clone()), &mut tape));
        let gradient = values(d.input_gradient(packs, tape));
        let at = values(x);
        for i in (0..at.len()).step_by(5) {
            let mut moved = at.clone();
            moved[i] += 1e-3;
            let x = Tensor::from_data(TensorData::new(moved, [packs, 2, width]), &device);
            let logit = values(d.forward(x, Some(conditions.clone()), &mut Tape::off()))[i / (2 * width)];
            let slope = (logit - logits[i / (2 * width)]) / 1e-3;
            assert!((slope - gradient[i]).abs() < 2e-2 * (1.0 + slope.abs()), "{i}: {slope} and {}", gradient[i]);
        }
    }
}
