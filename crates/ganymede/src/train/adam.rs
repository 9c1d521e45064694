//! Adam with a state that can be saved by parameter name and settings that may change every step.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::nn::ops::{AdamStep, adam};
use crate::nn::{from_host, to_host};
use crate::run::{HostTensor, NamedTensors};

/// Settings of one update.
#[derive(Debug, Clone, Copy)]
pub struct AdamSettings {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the mean of squares.
    pub epsilon: f64,
}

/// Adam: Kingma and Ba, ICLR 2015, algorithm 1. Bias corrections are `1 - beta^t` with the settings of the update at hand, as in PyTorch, also
/// where beta 2 follows a schedule.
#[derive(Default)]
pub struct Adam {
    t: u64,
    mean: GradientsParams,
    square: GradientsParams,
}

impl Adam {
    /// The module after one update by `gradients`; parameters without a gradient stay as they are.
    pub fn update<M: Module>(&mut self, module: M, gradients: GradientsParams, settings: AdamSettings) -> M {
        self.t += 1;
        let (t, AdamSettings { lr, beta1, beta2, epsilon }) = (self.t as f64, settings);
        let rate = lr / (1.0 - beta1.powf(t));
        let correction2 = (1.0 - beta2.powf(t)).sqrt().recip();
        module.map(&mut Update { step: AdamStep { rate, beta1, beta2, correction2, epsilon }, gradients, adam: self })
    }

    /// The state, under `prefix`: the count of updates, then both means of every parameter of `module` by its path.
    pub fn save<M: Module>(&self, module: &M, prefix: &str) -> NamedTensors {
        // Two 24-bit halves: a 32-bit float holds whole numbers only up to 2^24.
        let halves = vec![(self.t >> 24) as f32, (self.t & 0xff_ffff) as f32];
        let mut saver = Saver {
            path: Vec::new(),
            prefix,
            adam: self,
            out: vec![(format!("{prefix}.t"), HostTensor { shape: vec![2], values: halves })],
        };
        module.visit(&mut saver);
        saver.out
    }

    /// Takes the state of [`Adam::save`] out of `tensors`.
    ///
    /// # Errors
    /// A sentence that names the tensor that is missing or of another shape.
    pub fn load<M: Module>(module: &M, prefix: &str, tensors: &mut HashMap<String, HostTensor>) -> Result<Self, String> {
        let name = format!("{prefix}.t");
        let is_count = |t: &HostTensor| t.shape == [2] && t.values.len() == 2 && t.values.iter().all(|v| (0.0..16_777_216.0).contains(v));
        let halves = tensors.remove(&name).filter(is_count).ok_or_else(|| format!("tensor \"{name}\" is missing or no count"))?.values;
        let mut loader = Loader { path: Vec::new(), prefix, tensors, problem: None, adam: Self::default() };
        loader.adam.t = ((halves[0] as u64) << 24) | halves[1] as u64;
        module.visit(&mut loader);
        loader.problem.map_or(Ok(loader.adam), Err)
    }
}

struct Update<'a> {
    step: AdamStep,
    gradients: GradientsParams,
    adam: &'a mut Adam,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(grad) = self.gradients.remove::<D>(param.id) else { return param };
        let (id, tensor, mapper) = param.consume();
        let weights = tensor.inner();
        let moments = [&mut self.adam.mean, &mut self.adam.square].map(|of| of.remove::<D>(id).unwrap_or_else(|| grad.zeros_like()));
        let [weights, mean, square] = adam(weights, grad, moments, self.step);
        self.adam.mean.register(id, mean);
        self.adam.square.register(id, square);
        Param::from_mapped_value(id, Tensor::from_inner(weights).require_grad(), mapper)
    }
}

struct Saver<'a> {
    path: Vec<String>,
    prefix: &'a str,
    adam: &'a Adam,
    out: NamedTensors,
}

impl ModuleVisitor for Saver<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        for (kind, state) in [("mean", &self.adam.mean), ("square", &self.adam.square)] {
            if let Some(tensor) = state.get::<D>(param.id) {
                self.out.push((format!("{}.{kind}.{path}", self.prefix), to_host(tensor)));
            }
        }
    }
}

struct Loader<'a> {
    path: Vec<String>,
    prefix: &'a str,
    tensors: &'a mut HashMap<String, HostTensor>,
    problem: Option<String>,
    adam: Adam,
}

impl ModuleVisitor for Loader<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        let [mean, square] = ["mean", "square"].map(|kind| format!("{}.{kind}.{path}", self.prefix));
        // A parameter that never had a gradient has no state.
        if !self.tensors.contains_key(&mean) && !self.tensors.contains_key(&square) {
            return;
        }
        for (name, state) in [(mean, &mut self.adam.mean), (square, &mut self.adam.square)] {
            let host = self.tensors.remove(&name).ok_or_else(|| format!("tensor \"{name}\" is missing"));
            match host.and_then(|host| from_host(host, &param.val(), &name)) {
                Ok(tensor) => state.register(param.id, tensor),
                Err(problem) => {
                    self.problem.get_or_insert(problem);
                }
            }
        }
    }
}
