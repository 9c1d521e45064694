//! Losses, exact gradient penalties and Adam against PyTorch, in float64. The files in `golden/` come from `bench/golden/make_golden.py`, whose
//! penalties are differentiated twice; ours are one forward computation (the transposed pass) differentiated once.

use std::collections::{BTreeMap, HashMap};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use ganymede::losses::{Loss, penalty};
use ganymede::nn::{BiasAct, Conv2d, Conv2dConfig, Discriminator, Init, Linear, LinearConfig, Tape, load_params, save_params, with_dtype};
use ganymede::random;
use ganymede::run::HostTensor;
use ganymede::tasks::image::nets::{Frame, Network, ResidualDiscriminator};
use ganymede::train::{Adam, AdamSettings};
use serde_json::Value;

/// Far below what a wrong term would change, above what another order of summation does.
const TOLERANCE: f64 = 1e-10;

#[test]
fn losses_and_their_gradients_are_those_of_pytorch() {
    for case in golden(include_str!("golden/losses.json"))["cases"].as_array().unwrap() {
        let what = format!("{} {}", case["case"], case["loss"]);
        let loss: Loss = serde_json::from_value(case["loss"].clone()).unwrap();
        let leaf = |name: &str| column(&floats(&case[name])).require_grad();
        let (real, fake) = (leaf("real"), leaf("fake"));
        let d = loss.discriminator(real.clone(), fake.clone());
        let gradients = d.backward();
        close(&what, &host(d.inner()), &[case["d_loss"].as_f64().unwrap()]);
        close(&what, &host(real.grad(&gradients).unwrap()), &floats(&case["d_grad_real"]));
        close(&what, &host(fake.grad(&gradients).unwrap()), &floats(&case["d_grad_fake"]));
        let g = loss.generator(loss.compares().then(|| real.detach()), fake.clone());
        let gradients = g.backward();
        close(&what, &host(g.inner()), &[case["g_loss"].as_f64().unwrap()]);
        close(&what, &host(fake.grad(&gradients).unwrap()), &floats(&case["g_grad_fake"]));
    }
}

#[test]
fn losses_stay_finite_where_exponentials_overflow() {
    for case in golden(include_str!("golden/losses.json"))["cases"].as_array().unwrap() {
        let loss: Loss = serde_json::from_value(case["loss"].clone()).unwrap();
        let single = |name: &str| column(&floats(&case[name])).cast(DType::F32).detach().require_grad();
        let (real, fake) = (single("real"), single("fake"));
        let d = loss.discriminator(real.clone(), fake.clone());
        let gradients = d.backward();
        let expected = case["d_loss"].as_f64().unwrap();
        assert!((host(d.inner())[0] - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{} {}", case["case"], case["loss"]);
        for leaf in [real, fake] {
            assert!(host(leaf.grad(&gradients).unwrap()).iter().all(|g| g.is_finite()), "{} {}", case["case"], case["loss"]);
        }
    }
}

#[test]
fn penalties_of_a_multi_layer_perceptron_are_exact() {
    let golden = golden(include_str!("golden/penalty_mlp.json"));
    let names = [
        ("0.weight", "linear0.weight"),
        ("0.bias", "act0.bias"),
        ("1.weight", "linear1.weight"),
        ("1.bias", "act1.bias"),
        ("2.weight", "linear2.weight"),
        ("2.bias", "linear2.bias"),
    ];
    with_init(|init| check(Perceptron::new(init), &golden, &names));
}

#[test]
fn penalties_of_strided_convolutions_are_exact() {
    let golden = golden(include_str!("golden/penalty_strided.json"));
    let names = [
        ("conv0.weight", "conv0.weight"),
        ("conv0.bias", "act0.bias"),
        ("conv1.weight", "conv1.weight"),
        ("conv1.bias", "act1.bias"),
        ("linear.weight", "linear.weight"),
        ("linear.bias", "linear.bias"),
    ];
    with_init(|init| check(Strided::new(init), &golden, &names));
}

#[test]
fn penalties_of_grouped_residual_blocks_with_class_projection_are_exact() {
    let golden = golden(include_str!("golden/penalty_residual.json"));
    let config: Network =
        serde_json::from_str(r#"{"width": 4, "blocks": 1, "expansion": 2, "group_width": 4, "filter": "box", "embedding_dim": 3}"#)
            .unwrap();
    let frame = Frame::around([8, 8], Network::COARSEST, 2, 3);
    let blocks = [("block0", "stages.0.blocks.0"), ("block1", "stages.1.blocks.0")];
    let parts = [
        ("expand.weight", "expand.weight"),
        ("bias0", "act1.bias"),
        ("grouped.weight", "spatial.weight"),
        ("bias1", "act2.bias"),
        ("project.weight", "contract.weight"),
    ];
    let in_blocks =
        blocks.iter().flat_map(|(theirs, ours)| parts.iter().map(move |(t, o)| (format!("{theirs}.{t}"), format!("{ours}.{o}"))));
    let around = [
        ("from_rgb.weight", "from_image.weight"),
        ("basis.weight", "basis"),
        ("linear.weight", "head.features.weight"),
        ("classes.weight", "head.embedding"),
    ];
    let names: Vec<_> = in_blocks.chain(around.map(|(t, o)| (t.to_owned(), o.to_owned()))).collect();
    let names: Vec<_> = names.iter().map(|(t, o)| (t.as_str(), o.as_str())).collect();
    with_init(|init| check(ResidualDiscriminator::new(&config, frame, init), &golden, &names));
}

#[test]
fn adam_takes_the_steps_of_pytorch() {
    let golden = golden(include_str!("golden/adam.json"));
    let epsilon = golden["epsilon"].as_f64().unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let mut module = with_init(|init| with_dtype(LinearConfig::new(4, 1).without_bias().init(init), DType::F64));
        module.weight = Param::from_tensor(column(&floats(&golden["start"])).require_grad());
        let mut adam = Adam::default();
        for (step, gradient) in case["steps"].as_array().unwrap().iter().zip(golden["gradients"].as_array().unwrap()) {
            let number = |name: &str| step[name].as_f64().unwrap();
            let settings = AdamSettings { lr: number("rate"), beta1: number("beta1"), beta2: number("beta2"), epsilon };
            let mut gradients = GradientsParams::new();
            gradients.register(module.weight.id, column(&floats(gradient)).inner());
            module = adam.update(module, gradients, settings);
            close(&case["case"].to_string(), &host(module.weight.val().inner()), &floats(&step["parameters"]));
        }
    }
}

/// Logits, input gradients, penalties and every parameter's gradient of `net` with the golden weights. `names` pairs PyTorch's names with ours.
fn check<const R: usize, D: Discriminator<R>>(net: D, golden: &Value, names: &[(&str, &str)]) {
    let net = with_golden_weights(net, golden, names);
    let classes = || golden["labels"].as_array().map(|labels| one_hot(labels, 3));
    let n = golden["logits"]["real"]["shape"][0].as_u64().unwrap() as usize;
    for (name, samples) in [("r1", "real"), ("r2", "fake"), ("gp", "interpolates")] {
        let mut tape = Tape::recording();
        let logits = net.forward(batch(&golden["inputs"][samples]), classes(), &mut tape);
        close(samples, &host(logits.inner()), &floats(&golden["logits"][samples]["values"]));

        let gradient = net.input_gradient(n, tape);
        close(name, &host(gradient.clone().inner()), &host(batch::<R>(&golden[name]["input_gradient"]).inner()));
        let value = if name == "gp" { penalty::one_centred(gradient) } else { penalty::squared_norm(gradient).mean() };
        close(name, &host(value.clone().inner()), &[golden[name]["value"].as_f64().unwrap()]);
        check_gradients(&net, value.backward(), &golden[name]["gradients"], names);
    }

    let expected = &golden["relativistic"];
    let logits = |x: Tensor<R>| net.forward(x, classes(), &mut Tape::off());
    let (real, fake) = (batch(&golden["inputs"]["real"]), batch(&golden["inputs"]["fake"]).require_grad());
    let d = Loss::Relativistic.discriminator(logits(real.clone()), logits(fake.clone()));
    close("d_loss", &host(d.clone().inner()), &[expected["d_loss"].as_f64().unwrap()]);
    check_gradients(&net, d.backward(), &expected["gradients"], names);
    let g = Loss::Relativistic.generator(Some(logits(real).detach()), logits(fake.clone()));
    close("g_loss", &host(g.clone().inner()), &[expected["g_loss"].as_f64().unwrap()]);
    close("g_grad_fake", &host(fake.grad(&g.backward()).unwrap()), &host(batch::<R>(&expected["g_grad_fake"]).inner()));
}

fn check_gradients<D: Module>(net: &D, mut gradients: burn::tensor::Gradients, expected: &Value, names: &[(&str, &str)]) {
    let gradients = GradientsParams::from_module(&mut gradients, net);
    let mut found = ByName { path: Vec::new(), gradients: &gradients, out: BTreeMap::new() };
    net.visit(&mut found);
    for (theirs, ours) in names {
        let expected = in_our_layout(theirs, &expected[*theirs]);
        match found.out.get(*ours) {
            Some(found) => close(ours, found, &expected),
            // No path from the loss to the parameter, as from a penalty to a bias.
            None => assert!(expected.iter().all(|g| *g == 0.0), "{ours} has no gradient"),
        }
    }
}

/// The module in float64 with the golden weights; those without a golden one (a bias that PyTorch's network lacks) are 0.
fn with_golden_weights<D: Module>(net: D, golden: &Value, names: &[(&str, &str)]) -> D {
    let mut tensors: HashMap<String, HostTensor> = save_params(&net, "net").into_iter().collect();
    tensors.values_mut().for_each(|t| t.values.fill(0.0));
    for (theirs, ours) in names {
        let values = in_our_layout(theirs, &golden["weights"][*theirs]);
        let tensor = tensors.get_mut(&format!("net.{ours}")).unwrap_or_else(|| panic!("the network has no {ours}"));
        assert_eq!(tensor.values.len(), values.len(), "{ours}");
        // The golden weights are multiples of 1/128, so nothing is lost here.
        tensor.values = values.into_iter().map(|v| v as f32).collect();
    }
    with_dtype(load_params(net, "net", &mut tensors).unwrap(), DType::F64)
}

/// Values of a golden weight in our order: linear `[in, out]`, convolution `[height, width, in / groups, out]`, classes `[classes, embedding]`.
fn in_our_layout(name: &str, tensor: &Value) -> Vec<f64> {
    let (shape, values) = (extents(tensor), floats(&tensor["values"]));
    match shape.len() {
        4 => permuted(&shape, &values, &[2, 3, 1, 0]),
        2 if name != "classes.weight" => permuted(&shape, &values, &[1, 0]),
        _ => values,
    }
}

/// Pictures `[n, c, h, w]` as `[n, h, w, c]`, vectors `[n, c]` as they are.
fn batch<const R: usize>(tensor: &Value) -> Tensor<R> {
    let (shape, values) = (extents(tensor), floats(&tensor["values"]));
    on_autodiff(match shape[..] {
        [n, c, h, w] => TensorData::new(permuted(&shape, &values, &[0, 2, 3, 1]), [n, h, w, c]),
        _ => TensorData::new(values, shape),
    })
}

fn permuted(shape: &[usize], values: &[f64], axes: &[usize]) -> Vec<f64> {
    let strides: Vec<usize> = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect();
    (0..values.len())
        .map(|mut rest| {
            let offsets = axes.iter().rev().map(|&axis| {
                let position = rest % shape[axis];
                rest /= shape[axis];
                position * strides[axis]
            });
            values[offsets.sum::<usize>()]
        })
        .collect()
}

fn golden(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn floats(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn extents(tensor: &Value) -> Vec<usize> {
    tensor["shape"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

fn one_hot(labels: &[Value], n_classes: usize) -> Tensor<2> {
    let mut values = vec![0.0; labels.len() * n_classes];
    for (row_idx, label) in labels.iter().enumerate() {
        values[row_idx * n_classes + label.as_u64().unwrap() as usize] = 1.0;
    }
    Tensor::from_data(TensorData::new(values, [labels.len(), n_classes]), (&Device::flex(), DType::F64))
}

fn column(values: &[f64]) -> Tensor<2> {
    on_autodiff(TensorData::new(values.to_vec(), [values.len(), 1]))
}

fn on_autodiff<const R: usize>(data: TensorData) -> Tensor<R> {
    Tensor::from_data(data, (&Device::flex().autodiff(), DType::F64))
}

fn host<const R: usize>(tensor: Tensor<R>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_to_vec::<f64>().unwrap()
}

fn close(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= TOLERANCE * scale, "{what}[{i}]: {f} instead of {e}");
    }
}

fn with_init<T>(make: impl FnOnce(&mut Init<'_>) -> T) -> T {
    make(&mut Init { rng: &mut random::stream(1, "golden", 0), device: &Device::flex() })
}

/// Gradients of a module's parameters by their paths.
struct ByName<'a> {
    path: Vec<String>,
    gradients: &'a GradientsParams,
    out: BTreeMap<String, Vec<f64>>,
}

impl ModuleVisitor for ByName<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.out.insert(self.path.join("."), host(gradient));
        }
    }
}

/// Fully connected layers, made of the library's blocks.
#[derive(Module, Debug)]
struct Perceptron {
    linear0: Linear,
    act0: BiasAct,
    linear1: Linear,
    act1: BiasAct,
    linear2: Linear,
}

impl Perceptron {
    fn new(init: &mut Init<'_>) -> Self {
        Self {
            linear0: LinearConfig::new(3, 5).without_bias().init(init),
            act0: BiasAct::new(5, 0.2, init),
            linear1: LinearConfig::new(5, 4).without_bias().init(init),
            act1: BiasAct::new(4, 0.2, init),
            linear2: LinearConfig::new(4, 1).init(init),
        }
    }
}

impl Discriminator<2> for Perceptron {
    const COUPLED: bool = false;

    fn forward(&self, x: Tensor<2>, _: Option<Tensor<2>>, tape: &mut Tape) -> Tensor<2> {
        let x = self.act0.forward(self.linear0.forward(x), tape);
        self.linear2.forward(self.act1.forward(self.linear1.forward(x), tape))
    }

    fn input_gradient(&self, n: usize, mut tape: Tape) -> Tensor<2> {
        let g = self.linear2.weight.val().transpose().repeat_dim(0, n);
        let g = self.linear1.transposed(self.act1.transposed(g, &mut tape));
        self.linear0.transposed(self.act0.transposed(g, &mut tape))
    }
}

/// Strided convolutions without normalisation, made of the library's blocks.
#[derive(Module, Debug)]
struct Strided {
    conv0: Conv2d,
    act0: BiasAct,
    conv1: Conv2d,
    act1: BiasAct,
    linear: Linear,
}

impl Strided {
    fn new(init: &mut Init<'_>) -> Self {
        let conv = |inputs, outputs| Conv2dConfig { kernel: [4, 4], ..Conv2dConfig::new(inputs, outputs, 1) }.with_stride(2, 1);
        Self {
            conv0: conv(2, 3).init(init),
            act0: BiasAct::new(3, 0.2, init),
            conv1: conv(3, 4).init(init),
            act1: BiasAct::new(4, 0.2, init),
            linear: LinearConfig::new(16, 1).init(init),
        }
    }
}

impl Discriminator<4> for Strided {
    const COUPLED: bool = false;

    fn forward(&self, x: Tensor<4>, _: Option<Tensor<2>>, tape: &mut Tape) -> Tensor<2> {
        let x = self.act0.forward_image(self.conv0.forward(x), tape);
        let x = self.act1.forward_image(self.conv1.forward(x), tape);
        let n = x.dims()[0];
        self.linear.forward(x.reshape([n, 16]))
    }

    fn input_gradient(&self, n: usize, mut tape: Tape) -> Tensor<4> {
        let g = self.linear.weight.val().transpose().repeat_dim(0, n).reshape([n, 2, 2, 4]);
        let g = self.conv1.transposed(self.act1.transposed_image(g, &mut tape), [4, 4]);
        self.conv0.transposed(self.act0.transposed_image(g, &mut tape), [8, 8])
    }
}
