//! A recurrent network that tells two sets of sequences apart: the discriminative score of TimeGAN.

use rayon::prelude::*;

use crate::random::{self, DataOrder};

/// Updates of a network.
const UPDATES: usize = 2000;
/// Sequences of each set in an update.
const BATCH: usize = 128;
/// One sequence in so many is held out.
const HELD_OUT: usize = 5;
/// Units at least.
const FEWEST_UNITS: usize = 2;
/// Sequences that one thread works on; fixed, so that sums do not depend on how many threads there are.
const CHUNK: usize = 32;
/// Adam's settings, those of TensorFlow 1.
const ADAM: [f64; 4] = [1e-3, 0.9, 0.999, 1e-8];

/// Sequences of vectors of one width.
#[derive(Debug, Clone, Default)]
pub struct Sequences {
    /// Numbers of a step; from 0 to 1 by custom.
    pub width: usize,
    /// `[steps of all sequences, width]`, one sequence after the other.
    pub values: Vec<f64>,
    /// The first step of each sequence, and the end of the last one.
    pub first: Vec<usize>,
}

impl Sequences {
    fn n(&self) -> usize {
        self.first.len().saturating_sub(1)
    }

    fn of(&self, i: usize) -> &[f64] {
        &self.values[self.first[i] * self.width..self.first[i + 1] * self.width]
    }
}

/// `|0.5 - accuracy|`, the mean of some networks, and its standard error: how well a recurrent network tells held-out sequences of two sets apart, of which it saw as many each. 0 is a coin, 0.5 the most.
///
/// A gated recurrent unit of half as many units as a step has numbers (at least two), asked after the last step, learns from four fifths of the sequences, 2,000 updates with 128 sequences of each set. Yoon, Jarrett and
/// van der Schaar, "Time-series Generative Adversarial Networks", NeurIPS 2019, section 5, as their program does it.
///
/// # Panics
/// For sequences of different width, for none, or fewer than ten of a set.
pub fn discriminative_score(sets: [&Sequences; 2], networks: usize, seed: u64) -> (f64, f64) {
    assert!(sets[0].width == sets[1].width && sets.iter().all(|set| set.n() >= 10) && networks > 0, "two sets of sequences alike in width");
    let scores: Vec<f64> = (0..networks as u64).map(|run| (0.5 - accuracy(sets, random::mix(seed ^ run))).abs()).collect();
    let n = networks as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, (variance / n).sqrt())
}

/// Of one network, in sequences that it did not learn from.
fn accuracy(sets: [&Sequences; 2], seed: u64) -> f64 {
    let n = sets[0].n().min(sets[1].n());
    let parts = [(sets[0], "recurrent-first"), (sets[1], "recurrent-second")].map(|(set, purpose)| {
        let mut places = DataOrder::new(seed, purpose, set.n()).batch(0, n);
        let training = places.split_off(n / HELD_OUT);
        (places, training)
    });
    let gru = Gru { inputs: sets[0].width, units: (sets[0].width / 2).max(FEWEST_UNITS) };
    let mut weights = gru.weights(seed);
    let mut moments = [vec![0.0; weights.len()], vec![0.0; weights.len()]];
    let mut orders = [0, 1].map(|side| DataOrder::new(seed, ["recurrent-a", "recurrent-b"][side], parts[side].1.len()));
    let each = BATCH.min(parts[0].1.len());
    for update in 0..UPDATES {
        let mut batch = Vec::with_capacity(2 * each);
        for (side, order) in orders.iter_mut().enumerate() {
            batch.extend(order.batch(update as u64, each).into_iter().map(|i| (sets[side].of(parts[side].1[i]), side == 0)));
        }
        let gradient = gru.mean_gradient(&weights, &batch);
        adam(&mut weights, &mut moments, &gradient, update + 1);
    }
    let right = |side: usize| {
        let is_right = |place: &&usize| (gru.forward(&weights, sets[side].of(**place), &mut Vec::new()) > 0.0) == (side == 0);
        parts[side].0.par_iter().filter(is_right).count()
    };
    (right(0) + right(1)) as f64 / (parts[0].0.len() + parts[1].0.len()) as f64
}

/// A gated recurrent unit (Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014) and one logit after the last step.
///
/// Its weights in a row: a line for each unit of the reset gate, of the update gate and of the candidate, in each the weights of inputs, of units and the bias; then the logit's weights and bias.
#[derive(Clone, Copy)]
struct Gru {
    inputs: usize,
    units: usize,
}

impl Gru {
    fn line(self) -> usize {
        self.inputs + self.units + 1
    }

    /// Glorot's uniform weights; gates begin half open towards what was.
    fn weights(self, seed: u64) -> Vec<f64> {
        let mut rng = random::stream(seed, "recurrent-weights", 0);
        let (line, n) = (self.line(), self.units);
        let mut glorot = |n_inputs: usize, n_outputs: usize| {
            let limit = (6.0 / (n_inputs + n_outputs) as f64).sqrt();
            random::uniform(n_inputs, &mut rng).into_iter().map(move |v| limit * (2.0 * f64::from(v) - 1.0))
        };
        let mut weights = Vec::with_capacity(3 * n * line + n + 1);
        for i in 0..3 * n {
            weights.extend(glorot(line - 1, if i < 2 * n { 2 * n } else { n }));
            weights.push(if i < 2 * n { 1.0 } else { 0.0 });
        }
        weights.extend(glorot(n, 1));
        weights.push(0.0);
        weights
    }

    /// The logit of a sequence `[steps, inputs]`. `trace` gets what each step left: reset gates, update gates, candidates and states, `[steps, 4, units]`.
    fn forward(self, weights: &[f64], x: &[f64], trace: &mut Vec<f64>) -> f64 {
        let (line, n) = (self.line(), self.units);
        let mut state = vec![0.0; n];
        let mut reset = vec![0.0; n];
        trace.clear();
        for x in x.chunks_exact(self.inputs) {
            let begin = trace.len();
            for i in 0..2 * n {
                let row = &weights[i * line..(i + 1) * line];
                let sum = dot(x, row) + dot(&state, &row[self.inputs..]) + row[line - 1];
                trace.push(1.0 / (1.0 + (-sum).exp()));
            }
            reset.iter_mut().zip(&state).zip(&trace[begin..]).for_each(|((reset, state), gate)| *reset = state * gate);
            for i in 2 * n..3 * n {
                let row = &weights[i * line..(i + 1) * line];
                trace.push((dot(x, row) + dot(&reset, &row[self.inputs..]) + row[line - 1]).tanh());
            }
            let own = &trace[begin..];
            state.iter_mut().zip(&own[n..2 * n]).zip(&own[2 * n..]).for_each(|((state, u), c)| *state = u * *state + (1.0 - u) * c);
            trace.extend(&state);
        }
        let head = &weights[3 * n * line..];
        dot(&state, head) + head[n]
    }

    /// Adds the gradient in the weights, given that in the logit.
    fn backward(self, (weights, x, trace): (&[f64], &[f64], &[f64]), logit: f64, gradient: &mut [f64]) {
        let (line, n) = (self.line(), self.units);
        let head = 3 * n * line;
        let zero = vec![0.0; n];
        let steps = x.len() / self.inputs;
        let state_after = |step: usize| if step == 0 { &zero[..] } else { &trace[(4 * step - 1) * n..4 * step * n] };
        gradient[head..head + n].iter_mut().zip(state_after(steps)).for_each(|(g, state)| *g += logit * state);
        gradient[head + n] += logit;
        let mut state: Vec<f64> = weights[head..head + n].iter().map(|w| w * logit).collect();
        let (mut gates, mut reset) = (vec![0.0; 3 * n], vec![0.0; n]);
        for step in (0..steps).rev() {
            let (x, own, before) = (&x[step * self.inputs..(step + 1) * self.inputs], &trace[4 * step * n..], state_after(step));
            let (r, u, c) = (&own[..n], &own[n..2 * n], &own[2 * n..3 * n]);
            for i in 0..n {
                gates[n + i] = state[i] * (before[i] - c[i]) * u[i] * (1.0 - u[i]);
                gates[2 * n + i] = state[i] * (1.0 - u[i]) * (1.0 - c[i] * c[i]);
                state[i] *= u[i];
            }
            reset.fill(0.0);
            for i in 0..n {
                let row = &weights[(2 * n + i) * line + self.inputs..];
                reset.iter_mut().zip(row).for_each(|(reset, w)| *reset += w * gates[2 * n + i]);
            }
            for i in 0..n {
                gates[i] = reset[i] * before[i] * r[i] * (1.0 - r[i]);
                state[i] += reset[i] * r[i];
            }
            for (i, gate) in gates.iter().enumerate() {
                let row = &mut gradient[i * line..(i + 1) * line];
                row.iter_mut().zip(x).for_each(|(g, x)| *g += gate * x);
                let seen = row[self.inputs..].iter_mut().zip(before);
                if i < 2 * n {
                    seen.for_each(|(g, before)| *g += gate * before);
                    let row = &weights[i * line + self.inputs..];
                    state.iter_mut().zip(row).for_each(|(state, w)| *state += w * gate);
                } else {
                    seen.zip(r).for_each(|((g, before), r)| *g += gate * before * r);
                }
                gradient[(i + 1) * line - 1] += gate;
            }
        }
    }

    /// Of the sum of the log losses of both sets, each divided by its size, as sequences stand with whether they are of the first set.
    fn mean_gradient(self, weights: &[f64], batch: &[(&[f64], bool)]) -> Vec<f64> {
        let scale = 2.0 / batch.len() as f64;
        let part = |part: &[(&[f64], bool)]| {
            let (mut gradient, mut trace) = (vec![0.0; weights.len()], Vec::new());
            for (x, is_first) in part {
                let logit = self.forward(weights, x, &mut trace);
                let error = 1.0 / (1.0 + (-logit).exp()) - f64::from(u8::from(*is_first));
                self.backward((weights, x, &trace), scale * error, &mut gradient);
            }
            gradient
        };
        let parts: Vec<Vec<f64>> = batch.par_chunks(CHUNK).map(part).collect();
        let sum = |mut a: Vec<f64>, b: &Vec<f64>| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            a
        };
        parts.iter().fold(vec![0.0; weights.len()], sum)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// One update by Kingma and Ba's rule.
fn adam(weights: &mut [f64], [first, second]: &mut [Vec<f64>; 2], gradient: &[f64], update: usize) {
    let [rate, beta1, beta2, epsilon] = ADAM;
    let rate = rate * (1.0 - beta2.powi(update as i32)).sqrt() / (1.0 - beta1.powi(update as i32));
    for ((weight, gradient), (first, second)) in weights.iter_mut().zip(gradient).zip(first.iter_mut().zip(second)) {
        *first = beta1 * *first + (1.0 - beta1) * gradient;
        *second = beta2 * *second + (1.0 - beta2) * gradient * gradient;
        *weight -= rate * *first / (second.sqrt() + epsilon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Autoregressive sequences of two numbers, `lengths` long in turn.
    fn sequences(n: usize, lengths: &[usize], coefficient: f64, seed: u64) -> Sequences {
        let mut out = Sequences { width: 2, values: Vec::new(), first: vec![0] };
        for i in 0..n {
            let length = lengths[i % lengths.len()];
            let noise = random::normal(2 * length, &mut random::stream(seed, "noise", i as u64));
            let mut at = [0, 1].map(|k| f64::from(noise[k]) / (1.0 - coefficient * coefficient).sqrt());
            for step in noise.chunks_exact(2) {
                out.values.extend(at.map(|v| 0.5 + v / 8.0));
                at = [0, 1].map(|k| coefficient * at[k] + f64::from(step[k]));
            }
            out.first.push(out.first[i] + length);
        }
        out
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let gru = Gru { inputs: 2, units: 3 };
        let weights = gru.weights(5);
        let set = sequences(6, &[4, 7], 0.5, 1);
        let batch: Vec<(&[f64], bool)> = (0..6).map(|i| (set.of(i), i < 3)).collect();
        let loss = |weights: &[f64]| {
            let of = |(x, is_first): &(&[f64], bool)| {
                let logit = gru.forward(weights, x, &mut Vec::new());
                (if *is_first { -logit } else { logit }).exp().ln_1p()
            };
            batch.iter().map(of).sum::<f64>() / 3.0
        };
        let gradient = gru.mean_gradient(&weights, &batch);
        assert_eq!(gradient.len(), 9 * 6 + 4);
        for (i, found) in gradient.iter().enumerate() {
            let at = |by: f64| {
                let mut moved = weights.clone();
                moved[i] += by;
                loss(&moved)
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((found - slope).abs() < 1e-8, "{i}: {found} and {slope}");
        }
    }

    #[test]
    fn a_step_is_that_of_the_definition() {
        let gru = Gru { inputs: 1, units: 1 };
        // Reset gate, update gate, candidate (input, unit, bias), and the logit.
        let weights = [0.1, 0.2, 0.3, -0.4, 0.5, 0.6, 0.7, -0.8, 0.9, 2.0, -0.5];
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let mut h = 0.0;
        for x in [0.5, -1.0] {
            let (r, u) = (sigmoid(0.1 * x + 0.2 * h + 0.3), sigmoid(-0.4 * x + 0.5 * h + 0.6));
            h = u * h + (1.0 - u) * (0.7 * x - 0.8 * r * h + 0.9f64).tanh();
        }
        assert!((gru.forward(&weights, &[0.5, -1.0], &mut Vec::new()) - (2.0 * h - 0.5)).abs() < 1e-12);
    }

    #[test]
    fn the_same_process_is_not_told_apart_and_another_is() {
        let [a, b, c] = [(0.9, 1), (0.9, 2), (0.0, 3)].map(|(coefficient, seed)| sequences(200, &[6, 9], coefficient, seed));
        let (same, other) = (discriminative_score([&a, &b], 2, 0), discriminative_score([&a, &c], 2, 0));
        assert!(same.0 < 0.13 && other.0 > 0.2, "{same:?} {other:?}");
        assert_eq!(other, discriminative_score([&a, &c], 2, 0));
    }
}
