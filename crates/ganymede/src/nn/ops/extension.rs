//! The CPU back end's own operations and their backward passes, through Burn's backend extension.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};
use burn_flex::FlexTensor;

use super::conv::ConvGeometry;
use super::flex;

/// Operations with a hand-written kernel on the CPU back end. Images `[n, h, w, c]`, weights `[kh, kw, ci / groups, co]`.
#[backend_extension(Flex, Autodiff)]
pub trait GanOps: Backend {
    /// `g` where `m >= 0`, `slope * g` elsewhere; no gradient flows into `m`.
    fn gate(g: FloatTensor<Self>, m: FloatTensor<Self>, slope: f32) -> FloatTensor<Self>;
    /// `leaky_relu(x + bias)` on rows `[n, c]`.
    fn bias_act(x: FloatTensor<Self>, bias: FloatTensor<Self>, slope: f32) -> FloatTensor<Self>;
    /// Gradients of [`GanOps::bias_act`] in `x` and `bias` from its output `y` and the gradient `g` there. Only occurs in backward passes.
    fn bias_act_backward(g: FloatTensor<Self>, y: FloatTensor<Self>, slope: f32) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// Convolution of `x` with `w`.
    fn conv(x: FloatTensor<Self>, w: FloatTensor<Self>, geometry: ConvGeometry) -> FloatTensor<Self>;
    /// Adjoint of [`GanOps::conv`] in its input: the transposed convolution of `g` with `w`.
    fn conv_input(g: FloatTensor<Self>, w: FloatTensor<Self>, geometry: ConvGeometry) -> FloatTensor<Self>;
    /// Adjoint of [`GanOps::conv`] in its weights. Not differentiable itself: it only occurs in backward passes.
    fn conv_weight(x: FloatTensor<Self>, g: FloatTensor<Self>, geometry: ConvGeometry) -> FloatTensor<Self>;
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
    fn conv(x: FlexTensor, w: FlexTensor, geometry: ConvGeometry) -> FlexTensor {
        flex::conv(x, w, geometry)
    }
    fn conv_input(g: FlexTensor, w: FlexTensor, geometry: ConvGeometry) -> FlexTensor {
        flex::conv_input(g, w, geometry)
    }
    fn conv_weight(x: FlexTensor, g: FlexTensor, geometry: ConvGeometry) -> FlexTensor {
        flex::conv_weight(x, g, geometry)
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

    fn conv(x: FloatTensor<Self>, w: FloatTensor<Self>, geometry: ConvGeometry) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Conv;
        impl<B: Backend + GanOps> Backward<B, 2> for Conv {
            type State = (FloatTensor<B>, FloatTensor<B>, ConvGeometry);
            fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
                let [x_node, w_node] = ops.parents;
                let grad = grads.consume::<B>(&ops.node);
                let (x, w, geometry) = ops.state;
                if let Some(node) = x_node {
                    grads.register::<B>(node.id, B::conv_input(grad.clone(), w, geometry));
                }
                if let Some(node) = w_node {
                    grads.register::<B>(node.id, B::conv_weight(x, grad, geometry));
                }
            }
        }
        let (x, x_node) = x.into_parts();
        let (w, w_node) = w.into_parts();
        match Conv.prepare::<C>([x_node, w_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x.clone(), w.clone(), geometry), B::conv(x, w, geometry)),
            OpsKind::UnTracked(prep) => prep.finish(B::conv(x, w, geometry)),
        }
    }

    fn conv_input(g: FloatTensor<Self>, w: FloatTensor<Self>, geometry: ConvGeometry) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct ConvInput;
        impl<B: Backend + GanOps> Backward<B, 2> for ConvInput {
            type State = (FloatTensor<B>, FloatTensor<B>, ConvGeometry);
            fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
                let [g_node, w_node] = ops.parents;
                let grad = grads.consume::<B>(&ops.node);
                let (g, w, geometry) = ops.state;
                if let Some(node) = g_node {
                    grads.register::<B>(node.id, B::conv(grad.clone(), w, geometry));
                }
                if let Some(node) = w_node {
                    grads.register::<B>(node.id, B::conv_weight(grad, g, geometry));
                }
            }
        }
        let (g, g_node) = g.into_parts();
        let (w, w_node) = w.into_parts();
        match ConvInput.prepare::<C>([g_node, w_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((g.clone(), w.clone(), geometry), B::conv_input(g, w, geometry)),
            OpsKind::UnTracked(prep) => prep.finish(B::conv_input(g, w, geometry)),
        }
    }

    fn conv_weight(x: FloatTensor<Self>, g: FloatTensor<Self>, geometry: ConvGeometry) -> FloatTensor<Self> {
        let (x, _) = x.into_parts();
        let (g, _) = g.into_parts();
        <Self as burn::backend::AutodiffBackend>::from_inner(B::conv_weight(x, g, geometry))
    }
}
