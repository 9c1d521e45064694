//! The CPU back end's own operations and their backward passes, through Burn's backend extension.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};
use burn_flex::FlexTensor;

use super::flex;
use super::resample::Axes;
use super::{AdamStep, LinearMap, NormSettings};

/// Operations with a hand-written kernel on the CPU back end.
#[backend_extension(Flex, Autodiff)]
pub trait GanOps: Backend {
    /// `g` where `m >= 0`, `slope * g` elsewhere; no gradient flows into `m`.
    fn gate(g: FloatTensor<Self>, m: FloatTensor<Self>, slope: f32) -> FloatTensor<Self>;
    /// `leaky_relu(x + bias)` on rows `[n, c]`.
    fn bias_act(x: FloatTensor<Self>, bias: FloatTensor<Self>, slope: f32) -> FloatTensor<Self>;
    /// Gradients of [`GanOps::bias_act`] in `x` and `bias` from its output `y` and the gradient `g` there. Only occurs in backward passes.
    fn bias_act_backward(g: FloatTensor<Self>, y: FloatTensor<Self>, slope: f32) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// Batch normalisation of rows `[n, c]` with its activation, and the statistics `[2, c]` (means, biased variances), through which no gradient flows.
    /// 32-bit floats only.
    fn norm_act(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        settings: NormSettings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// Gradients of [`GanOps::norm_act`] in `x`, `gamma` and `beta` from the gradient `g` at its output. Only occurs in backward passes.
    fn norm_act_backward(
        g: FloatTensor<Self>,
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        settings: NormSettings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// Hyperbolic tangent. 32-bit floats only.
    fn tanh(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Gradient of [`GanOps::tanh`] from its output `y` and the gradient `g` there. Only occurs in backward passes.
    fn tanh_backward(g: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self>;
    /// An update by Adam, [`super::adam`]: weights, mean of gradients, mean of squares. Not differentiable; 32-bit floats only.
    fn adam(
        w: FloatTensor<Self>,
        g: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        square: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// A moving average, [`super::average`]. Not differentiable; 32-bit floats only.
    fn average(average: FloatTensor<Self>, live: FloatTensor<Self>, decay: f64) -> FloatTensor<Self>;
    /// Resampling of images `[n, h, w, c]`. 32-bit floats only.
    fn resample(x: FloatTensor<Self>, axes: Axes) -> FloatTensor<Self>;
    /// The linear map of `x` by the weights `w`.
    fn map(x: FloatTensor<Self>, w: FloatTensor<Self>, map: LinearMap) -> FloatTensor<Self>;
    /// `leaky_relu(map(x) + bias)`.
    fn map_act(x: FloatTensor<Self>, w: FloatTensor<Self>, bias: FloatTensor<Self>, slope: f32, map: LinearMap) -> FloatTensor<Self>;
    /// Adjoint of [`GanOps::map`] in its input.
    fn map_input(g: FloatTensor<Self>, w: FloatTensor<Self>, map: LinearMap) -> FloatTensor<Self>;
    /// Adjoint of [`GanOps::map`] in its weights. Not differentiable itself: it only occurs in backward passes.
    fn map_weight(x: FloatTensor<Self>, g: FloatTensor<Self>, map: LinearMap) -> FloatTensor<Self>;
}

impl GanOps for Flex {
    fn gate(g: FlexTensor, m: FlexTensor, slope: f32) -> FlexTensor {
        flex::gate(g, m, slope)
    }
    fn bias_act(x: FlexTensor, bias: FlexTensor, slope: f32) -> FlexTensor {
        flex::bias_act(x, bias, slope)
    }
    fn bias_act_backward(g: FlexTensor, y: FlexTensor, slope: f32) -> (FlexTensor, FlexTensor) {
        flex::bias_act_backward(g, y, slope)
    }
    fn norm_act(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, settings: NormSettings) -> (FlexTensor, FlexTensor) {
        flex::norm_act(x, gamma, beta, settings)
    }
    fn norm_act_backward(
        g: FlexTensor,
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        statistics: FlexTensor,
        settings: NormSettings,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        flex::norm_act_backward([g, x, gamma, beta, statistics], settings)
    }
    fn tanh(x: FlexTensor) -> FlexTensor {
        flex::tanh(x)
    }
    fn tanh_backward(g: FlexTensor, y: FlexTensor) -> FlexTensor {
        flex::tanh_backward(g, y)
    }
    fn adam(w: FlexTensor, g: FlexTensor, mean: FlexTensor, square: FlexTensor, step: AdamStep) -> (FlexTensor, FlexTensor, FlexTensor) {
        flex::adam([w, mean, square], g, step)
    }
    fn average(average: FlexTensor, live: FlexTensor, decay: f64) -> FlexTensor {
        flex::average(average, live, decay)
    }
    fn resample(x: FlexTensor, axes: Axes) -> FlexTensor {
        flex::resample(x, &axes)
    }
    fn map(x: FlexTensor, w: FlexTensor, map: LinearMap) -> FlexTensor {
        flex::map(x, w, map)
    }
    fn map_act(x: FlexTensor, w: FlexTensor, bias: FlexTensor, slope: f32, map: LinearMap) -> FlexTensor {
        flex::map_act(x, w, bias, slope, map)
    }
    fn map_input(g: FlexTensor, w: FlexTensor, map: LinearMap) -> FlexTensor {
        flex::map_input(g, w, map)
    }
    fn map_weight(x: FlexTensor, g: FlexTensor, map: LinearMap) -> FlexTensor {
        flex::map_weight(x, g, map)
    }
}

impl<B: Backend + GanOps, C: CheckpointStrategy> GanOps for Autodiff<B, C> {
    fn gate(g: FloatTensor<Self>, m: FloatTensor<Self>, slope: f32) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Gate;
        impl<B: Backend + GanOps> Backward<B, 1> for Gate {
            type State = (FloatTensor<B>, f32);
            fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
                let [parent] = ops.parents;
                let grad = grads.consume::<B>(&ops.node);
                let (m, slope) = ops.state;
                if let Some(node) = parent {
                    grads.register::<B>(node.id, B::gate(grad, m, slope));
                }
            }
        }
        let (g, node) = g.into_parts();
        let (m, _) = m.into_parts();
        match Gate.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let out = B::gate(g, m.clone(), slope);
                prep.finish((m, slope), out)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::gate(g, m, slope)),
        }
    }

    fn bias_act(x: FloatTensor<Self>, bias: FloatTensor<Self>, slope: f32) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct BiasAct;
        impl<B: Backend + GanOps> Backward<B, 2> for BiasAct {
            type State = (FloatTensor<B>, f32);
            fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
                let [x_node, bias_node] = ops.parents;
                let grad = grads.consume::<B>(&ops.node);
                let (y, slope) = ops.state;
                if bias_node.is_none() {
                    if let Some(node) = x_node {
                        grads.register::<B>(node.id, B::gate(grad, y, slope));
                    }
                    return;
                }
                let (dx, db) = B::bias_act_backward(grad, y, slope);
                if let Some(node) = x_node {
                    grads.register::<B>(node.id, dx);
                }
                if let Some(node) = bias_node {
                    grads.register::<B>(node.id, db);
                }
            }
        }
        let (x, x_node) = x.into_parts();
        let (bias, bias_node) = bias.into_parts();
        match BiasAct.prepare::<C>([x_node, bias_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = B::bias_act(x, bias, slope);
                prep.finish((y.clone(), slope), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::bias_act(x, bias, slope)),
        }
    }

    fn bias_act_backward(g: FloatTensor<Self>, y: FloatTensor<Self>, slope: f32) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (g, _) = g.into_parts();
        let (y, _) = y.into_parts();
        let (dx, db) = B::bias_act_backward(g, y, slope);
        (<Self as burn::backend::AutodiffBackend>::from_inner(dx), <Self as burn::backend::AutodiffBackend>::from_inner(db))
    }

    fn norm_act(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        settings: NormSettings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        #[derive(Debug)]
        struct NormAct;
        impl<B: Backend + GanOps> Backward<B, 3> for NormAct {
            type State = ([FloatTensor<B>; 4], NormSettings);
            fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
                let grad = grads.consume::<B>(&ops.node);
                let ([x, gamma, beta, statistics], settings) = ops.state;
                let (dx, d_gamma, d_beta) = B::norm_act_backward(grad, x, gamma, beta, statistics, settings);
                for (node, grad) in ops.parents.into_iter().zip([dx, d_gamma, d_beta]) {
                    if let Some(node) = node {
                        grads.register::<B>(node.id, grad);
                    }
                }
            }
        }
        let (x, x_node) = x.into_parts();
        let (gamma, gamma_node) = gamma.into_parts();
        let (beta, beta_node) = beta.into_parts();
        let (y, statistics) = B::norm_act(x.clone(), gamma.clone(), beta.clone(), settings);
        let y = match NormAct.prepare::<C>([x_node, gamma_node, beta_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(([x, gamma, beta, statistics.clone()], settings), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        (y, <Self as burn::backend::AutodiffBackend>::from_inner(statistics))
    }

    fn norm_act_backward(
        g: FloatTensor<Self>,
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        settings: NormSettings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [g, x, gamma, beta, statistics] = [g, x, gamma, beta, statistics].map(|tensor| tensor.into_parts().0);
        let (dx, d_gamma, d_beta) = B::norm_act_backward(g, x, gamma, beta, statistics, settings);
        let outer = <Self as burn::backend::AutodiffBackend>::from_inner;
        (outer(dx), outer(d_gamma), outer(d_beta))
    }

    fn tanh(x: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Tanh;
        impl<B: Backend + GanOps> Backward<B, 1> for Tanh {
            type State = FloatTensor<B>;
            fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
                let [parent] = ops.parents;
                let grad = grads.consume::<B>(&ops.node);
                if let Some(node) = parent {
                    grads.register::<B>(node.id, B::tanh_backward(grad, ops.state));
                }
            }
        }
        let (x, node) = x.into_parts();
        match Tanh.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = B::tanh(x);
                prep.finish(y.clone(), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::tanh(x)),
        }
    }

    fn tanh_backward(g: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        let [g, y] = [g, y].map(|tensor| tensor.into_parts().0);
        <Self as burn::backend::AutodiffBackend>::from_inner(B::tanh_backward(g, y))
    }

    fn adam(
        w: FloatTensor<Self>,
        g: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        square: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [w, g, mean, square] = [w, g, mean, square].map(|tensor| tensor.into_parts().0);
        let (w, mean, square) = B::adam(w, g, mean, square, step);
        let outer = <Self as burn::backend::AutodiffBackend>::from_inner;
        (outer(w), outer(mean), outer(square))
    }

    fn average(average: FloatTensor<Self>, live: FloatTensor<Self>, decay: f64) -> FloatTensor<Self> {
        let [average, live] = [average, live].map(|tensor| tensor.into_parts().0);
        <Self as burn::backend::AutodiffBackend>::from_inner(B::average(average, live, decay))
    }

    fn resample(x: FloatTensor<Self>, axes: Axes) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Resample;
        impl<B: Backend + GanOps> Backward<B, 1> for Resample {
            type State = Axes;
            fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
                let [parent] = ops.parents;
                let grad = grads.consume::<B>(&ops.node);
                if let Some(node) = parent {
                    grads.register::<B>(node.id, B::resample(grad, ops.state.adjoint()));
                }
            }
        }
        let (x, node) = x.into_parts();
        match Resample.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(axes.clone(), B::resample(x, axes)),
            OpsKind::UnTracked(prep) => prep.finish(B::resample(x, axes)),
        }
    }

    fn map(x: FloatTensor<Self>, w: FloatTensor<Self>, map: LinearMap) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Map;
        impl<B: Backend + GanOps> Backward<B, 2> for Map {
            type State = (FloatTensor<B>, FloatTensor<B>, LinearMap);
            fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
                let [x_node, w_node] = ops.parents;
                let grad = grads.consume::<B>(&ops.node);
                let (x, w, map) = ops.state;
                register_map::<B>(grads, [x_node, w_node].map(|node| node.map(|n| n.id)), (x, w, grad), map);
            }
        }
        let (x, x_node) = x.into_parts();
        let (w, w_node) = w.into_parts();
        match Map.prepare::<C>([x_node, w_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x.clone(), w.clone(), map), B::map(x, w, map)),
            OpsKind::UnTracked(prep) => prep.finish(B::map(x, w, map)),
        }
    }

    fn map_act(x: FloatTensor<Self>, w: FloatTensor<Self>, bias: FloatTensor<Self>, slope: f32, map: LinearMap) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct MapAct;
        impl<B: Backend + GanOps> Backward<B, 3> for MapAct {
            type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, f32, LinearMap);
            fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
                let [x_node, w_node, bias_node] = ops.parents;
                let grad = grads.consume::<B>(&ops.node);
                let (x, w, y, slope, map) = ops.state;
                let grad = match bias_node {
                    Some(node) => {
                        let (grad, db) = B::bias_act_backward(grad, y, slope);
                        grads.register::<B>(node.id, db);
                        grad
                    }
                    None => B::gate(grad, y, slope),
                };
                register_map::<B>(grads, [x_node, w_node].map(|node| node.map(|n| n.id)), (x, w, grad), map);
            }
        }
        let (x, x_node) = x.into_parts();
        let (w, w_node) = w.into_parts();
        let (bias, bias_node) = bias.into_parts();
        match MapAct.prepare::<C>([x_node, w_node, bias_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = B::map_act(x.clone(), w.clone(), bias, slope, map);
                prep.finish((x, w, y.clone(), slope, map), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::map_act(x, w, bias, slope, map)),
        }
    }

    fn map_input(g: FloatTensor<Self>, w: FloatTensor<Self>, map: LinearMap) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct MapInput;
        impl<B: Backend + GanOps> Backward<B, 2> for MapInput {
            type State = (FloatTensor<B>, FloatTensor<B>, LinearMap);
            fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
                let [g_node, w_node] = ops.parents;
                let grad = grads.consume::<B>(&ops.node);
                let (g, w, map) = ops.state;
                if let Some(node) = g_node {
                    grads.register::<B>(node.id, B::map(grad.clone(), w, map));
                }
                if let Some(node) = w_node {
                    grads.register::<B>(node.id, B::map_weight(grad, g, map));
                }
            }
        }
        let (g, g_node) = g.into_parts();
        let (w, w_node) = w.into_parts();
        match MapInput.prepare::<C>([g_node, w_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((g.clone(), w.clone(), map), B::map_input(g, w, map)),
            OpsKind::UnTracked(prep) => prep.finish(B::map_input(g, w, map)),
        }
    }

    fn map_weight(x: FloatTensor<Self>, g: FloatTensor<Self>, map: LinearMap) -> FloatTensor<Self> {
        let (x, _) = x.into_parts();
        let (g, _) = g.into_parts();
        <Self as burn::backend::AutodiffBackend>::from_inner(B::map_weight(x, g, map))
    }
}

/// Leaves the gradients of [`GanOps::map`] in its input and its weights with those of the two that are followed.
fn register_map<B: Backend + GanOps>(
    grads: &mut Gradients,
    [x_id, w_id]: [Option<NodeId>; 2],
    (x, w, grad): (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
    map: LinearMap,
) {
    if let Some(id) = x_id {
        grads.register::<B>(id, B::map_input(grad.clone(), w, map));
    }
    if let Some(id) = w_id {
        grads.register::<B>(id, B::map_weight(x, grad, map));
    }
}
