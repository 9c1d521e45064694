//! Initial weights from our own random streams, so that a seed fixes them on every device.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand_pcg::Pcg64;

use crate::random;

/// Where initial weights come from and go to.
#[derive(Debug)]
pub struct Init<'a> {
    /// Random stream, advanced by every draw.
    pub rng: &'a mut Pcg64,
    /// The device, without autodiff; parameters are made to require gradients.
    pub device: &'a Device,
}

impl Init<'_> {
    /// Normal values with mean 0 and the given standard deviation.
    pub fn normal<const D: usize>(&mut self, shape: [usize; D], std: f64) -> Param<Tensor<D>> {
        let values: Vec<f32> = random::normal(shape.iter().product(), self.rng).into_iter().map(|v| v * std as f32).collect();
        self.param(TensorData::new(values, shape))
    }

    /// One value everywhere.
    pub fn constant<const D: usize>(&mut self, shape: [usize; D], value: f32) -> Param<Tensor<D>> {
        self.param(TensorData::new(vec![value; shape.iter().product()], shape))
    }

    fn param<const D: usize>(&self, data: TensorData) -> Param<Tensor<D>> {
        Param::from_tensor(Tensor::from_data(data, &self.device.clone().autodiff()).require_grad())
    }
}
