//! One player of the game: a network, its optimizer, and for those that are kept a moving average of the weights.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Tensor};

use crate::nn::{load_fitting, load_params, ops, save_params};
use crate::run::{HostTensor, NamedTensors};
use crate::train::adam::{Adam, AdamSettings};

/// Network, optimizer, moving average.
pub struct Player<M: Module> {
    /// The network that plays; only away while it is updated, so that its weights have one owner and change in place.
    net: Option<M>,
    /// Moving average of its weights, on the plain device; `None` for players that are not kept.
    pub ema: Option<M>,
    adam: Adam,
}

impl<M: Module> Player<M> {
    /// A player whose average is kept.
    pub fn averaged(net: M) -> Self {
        let ema = Some(net.valid());
        Self { net: Some(net), ema, adam: Adam::default() }
    }

    /// A player whose average is not kept.
    pub fn plain(net: M) -> Self {
        Self { net: Some(net), ema: None, adam: Adam::default() }
    }

    /// The network that plays, on the autodiff device.
    pub fn net(&self) -> &M {
        self.net.as_ref().expect("the network is back after each update")
    }

    /// One update by gradients of the network's parameters, however they were found. With `clip > 0` the gradients of all parameters together are scaled down to that norm.
    pub fn update_by(&mut self, gradients: GradientsParams, settings: AdamSettings, clip: f64) {
        let Some(net) = self.net.take() else { return };
        let gradients = if clip > 0.0 { clip_together(gradients, &net, clip) } else { gradients };
        self.net = Some(self.adam.update(net, gradients, settings));
    }

    /// One update by the gradients of a loss, clipped as in [`Player::update_by`].
    pub fn update(&mut self, gradients: Gradients, settings: AdamSettings, clip: f64) {
        let mut gradients = gradients;
        let gradients = GradientsParams::from_module(&mut gradients, self.net());
        self.update_by(gradients, settings, clip);
    }

    /// Moves the average towards the network: `decay * average + (1 - decay) * weight`. Buffers (running statistics) are copied.
    pub fn average(&mut self, decay: f64) {
        if let Some(ema) = self.ema.take() {
            let mut live = Live(HashMap::new(), GradientsParams::new());
            self.net().visit(&mut live);
            self.ema = Some(ema.map(&mut Average { live, decay }));
        }
    }

    /// The network for use: the average where there is one.
    pub fn best(&self) -> M {
        self.ema.clone().unwrap_or_else(|| self.net().valid())
    }

    /// Weights, average and optimizer state by name: `net.*`, `ema.*`, `adam.*`.
    pub fn save(&self) -> NamedTensors {
        let mut out = save_params(self.net(), "net");
        if let Some(ema) = &self.ema {
            out.extend(save_params(ema, "ema"));
        }
        out.extend(self.adam.save(self.net(), "adam"));
        out
    }

    /// Takes over those weights that fit a parameter by name and shape, for both network and average; the optimizer begins anew. Gives the names of the parameters that stay as they are.
    pub fn take_over(&mut self, prefix: &str, tensors: NamedTensors) -> Vec<String> {
        let (net, left) = load_fitting(self.net().clone().fork_like(), prefix, &mut tensors.into_iter().collect());
        self.ema = self.ema.as_ref().map(|_| net.valid());
        self.net = Some(net);
        left
    }

    /// The player with the state that [`Player::save`] gave; this one stays as it is.
    ///
    /// # Errors
    /// A sentence that names a tensor that is missing, unknown or of another shape.
    pub fn loaded(&self, tensors: NamedTensors) -> Result<Self, String> {
        let mut tensors: HashMap<String, HostTensor> = tensors.into_iter().collect();
        let net = load_params(self.net().clone().fork_like(), "net", &mut tensors)?;
        let ema = self.ema.as_ref().map(|ema| load_params(ema.valid(), "ema", &mut tensors)).transpose()?;
        let adam = Adam::load(&net, "adam", &mut tensors)?;
        if let Some(name) = tensors.keys().min() {
            return Err(format!("tensor \"{name}\" belongs to no part of this network"));
        }
        Ok(Self { net: Some(net), ema, adam })
    }
}

/// A copy that shares no running statistics with the original.
trait ForkLike {
    fn fork_like(self) -> Self;
}

impl<M: Module> ForkLike for M {
    fn fork_like(self) -> Self {
        self.valid().train()
    }
}

fn clip_together<M: Module>(gradients: GradientsParams, net: &M, clip: f64) -> GradientsParams {
    let mut norm = SquaredNorm { gradients: &gradients, sum: None };
    net.visit(&mut norm);
    let Some(sum) = norm.sum else { return gradients };
    // min(1, clip / norm), kept on the device.
    let scale = sum.sqrt().add_scalar(1e-12).recip().mul_scalar(clip).clamp_max(1.0);
    let mut scaled = Scaled { from: gradients, to: GradientsParams::new(), scale };
    net.visit(&mut scaled);
    scaled.to
}

struct SquaredNorm<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.gradients.get::<D>(param.id) {
            let square = (grad.clone() * grad).sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Scaled {
    from: GradientsParams,
    to: GradientsParams,
    scale: Tensor<1>,
}

impl ModuleVisitor for Scaled {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.from.remove::<D>(param.id) {
            self.to.register(param.id, grad * self.scale.clone().unsqueeze());
        }
    }
}

/// The live network's values by parameter, and which of them are learned.
struct Live(HashMap<burn::module::ParamId, bool>, GradientsParams);

impl ModuleVisitor for Live {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        self.0.insert(param.id, value.is_require_grad());
        self.1.register(param.id, if value.is_autodiff() { value.inner() } else { value });
    }
}

struct Average {
    live: Live,
    decay: f64,
}

impl ModuleMapper for Average {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, old, mapper) = param.consume();
        let learned = self.live.0.get(&id).copied().unwrap_or(false);
        let new = match self.live.1.remove::<D>(id) {
            Some(live) if learned => ops::average(old, live, self.decay),
            Some(live) => live,
            None => old,
        };
        Param::from_mapped_value(id, new, mapper)
    }
}
