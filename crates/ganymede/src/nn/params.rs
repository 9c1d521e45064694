//! A module's tensors by name: out of it, into it, counted, in another precision.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};

use crate::run::{HostTensor, NamedTensors};

/// Every float tensor of `module`, weights and buffers, under `prefix` and its dotted path, in the module's order.
pub fn save_params<M: Module>(module: &M, prefix: &str) -> NamedTensors {
    let mut saver = Saver { path: vec![prefix.to_string()], out: Vec::new() };
    module.visit(&mut saver);
    saver.out
}

/// Number of learned values in `module`.
pub fn n_params<M: Module>(module: &M) -> usize {
    module.num_params()
}

/// Puts tensors back under the names of [`save_params`] and removes them from `tensors`.
///
/// # Errors
/// A sentence that names the tensor that is missing or of another shape.
pub fn load_params<M: Module>(module: M, prefix: &str, tensors: &mut HashMap<String, HostTensor>) -> Result<M, String> {
    let mut loader = Loader { path: vec![prefix.to_string()], tensors, problem: None };
    let module = module.map(&mut loader);
    loader.problem.map_or(Ok(module), Err)
}

/// Puts those tensors back that have the name and the shape of a parameter, and leaves the others as they are. Gives the names of the parameters that got none.
pub fn load_fitting<M: Module>(module: M, prefix: &str, tensors: &mut HashMap<String, HostTensor>) -> (M, Vec<String>) {
    let mut fitting = Fitting { loader: Loader { path: vec![prefix.to_string()], tensors, problem: None }, left: Vec::new() };
    let module = module.map(&mut fitting);
    (module, fitting.left)
}

/// The module with every float parameter in another precision, as fresh leaves. For gradient checks in float64.
pub fn with_dtype<M: Module>(module: M, dtype: DType) -> M {
    module.map(&mut Caster(dtype))
}

/// A tensor's values as 32-bit floats.
pub(crate) fn to_host<const D: usize>(tensor: Tensor<D>) -> HostTensor {
    let shape = tensor.dims().to_vec();
    let values = tensor.into_data().convert::<f32>().try_to_vec::<f32>().expect("the data was just converted to f32");
    HostTensor { shape, values }
}

/// A host tensor on the device, if its shape is the one expected.
pub(crate) fn from_host<const D: usize>(host: HostTensor, like: &Tensor<D>, name: &str) -> Result<Tensor<D>, String> {
    let expected = like.dims();
    if host.shape != expected || host.values.len() != expected.iter().product::<usize>() {
        return Err(format!("tensor \"{name}\" has shape {:?} where {expected:?} is needed", host.shape));
    }
    Ok(Tensor::from_data(TensorData::new(host.values, expected), &like.device().without_autodiff()))
}

struct Saver {
    path: Vec<String>,
    out: NamedTensors,
}

impl ModuleVisitor for Saver {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        self.out.push((self.path.join("."), to_host(if tensor.is_autodiff() { tensor.inner() } else { tensor })));
    }
}

struct Loader<'a> {
    path: Vec<String>,
    tensors: &'a mut HashMap<String, HostTensor>,
    problem: Option<String>,
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let (id, tensor, mapper) = param.consume();
        let loaded = match self.tensors.remove(&name) {
            Some(host) => from_host(host, &tensor, &name),
            None => Err(format!("tensor \"{name}\" is missing")),
        };
        let tensor = match loaded {
            Ok(plain) if tensor.is_autodiff() => Tensor::from_inner(plain).set_require_grad(tensor.is_require_grad()),
            Ok(plain) => plain,
            Err(problem) => {
                self.problem.get_or_insert(problem);
                tensor
            }
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

struct Fitting<'a> {
    loader: Loader<'a>,
    left: Vec<String>,
}

impl ModuleMapper for Fitting<'_> {
    fn enter_module(&mut self, name: &str, kind: &str) {
        self.loader.enter_module(name, kind);
    }
    fn exit_module(&mut self, name: &str, kind: &str) {
        self.loader.exit_module(name, kind);
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let param = self.loader.map_float(param);
        if self.loader.problem.take().is_some() {
            self.left.push(self.loader.path.join("."));
        }
        param
    }
}

struct Caster(DType);

impl ModuleMapper for Caster {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let needs_grad = tensor.is_require_grad();
        Param::from_mapped_value(id, tensor.cast(self.0).detach().set_require_grad(needs_grad), mapper)
    }
}
