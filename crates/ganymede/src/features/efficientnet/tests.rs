//! Agreement with the PyTorch package on weights and pictures that formulas make, and what becomes of damaged files.

use std::sync::LazyLock;

use burn::tensor::f16;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};
use serde_json::Value;

use super::*;

/// Name, shape and values of a tensor.
type Named = (String, Vec<usize>, Vec<f32>);

/// Tensors of a file, each with its type.
type Typed = Vec<(Dtype, Named)>;

/// All tensors of the network, made by the formula of `bench/golden/make_efficientnet.py`.
static TENSORS: LazyLock<Vec<Named>> = LazyLock::new(|| {
    let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
    let mut layer = |conv: String, norm: String, shape: [usize; 4]| {
        shapes.push((format!("{conv}.weight"), shape.to_vec()));
        shapes.extend(["weight", "bias", "running_mean", "running_var"].map(|part| (format!("{norm}.{part}"), vec![shape[0]])));
    };
    layer("_conv_stem".into(), "_bn0".into(), [32, 3, 3, 3]);
    let (mut inputs, mut idx) = (32, 0);
    for stage in &STAGES {
        for _ in 0..stage.repeats {
            let (inside, k) = (inputs * stage.expansion, stage.kernel);
            let mut part = |conv: &str, norm: &str, shape| layer(format!("_blocks.{idx}.{conv}"), format!("_blocks.{idx}.{norm}"), shape);
            if stage.expansion > 1 {
                part("_expand_conv", "_bn0", [inside, inputs, 1, 1]);
            }
            part("_depthwise_conv", "_bn1", [inside, 1, k, k]);
            part("_project_conv", "_bn2", [stage.outputs, inside, 1, 1]);
            (inputs, idx) = (stage.outputs, idx + 1);
        }
    }
    layer("_conv_head".into(), "_bn1".into(), [1280, 320, 1, 1]);
    shapes.extend([("_fc.weight".to_owned(), vec![1000, 1280]), ("_fc.bias".to_owned(), vec![1000])]);
    shapes.into_iter().map(|(name, shape)| (name.clone(), shape.clone(), values(&name, &shape))).collect()
});

/// Whole numbers that look random, a function of the seed and the place.
fn scrambled(seed: u32, n: usize) -> impl Iterator<Item = u32> {
    (0..n as u32).map(move |i| {
        let mut x = i.wrapping_add(seed);
        for (shift, factor) in [(16, 0x7feb_352d), (15, 0x846c_a68b)] {
            x = (x ^ (x >> shift)).wrapping_mul(factor);
        }
        x ^ (x >> 16)
    })
}

fn values(name: &str, shape: &[usize]) -> Vec<f32> {
    let seed = name.bytes().fold(2_166_136_261u32, |seed, byte| (seed ^ u32::from(byte)).wrapping_mul(16_777_619));
    let (middle, width) = match name.rsplit('.').next() {
        _ if shape.len() > 1 => (0.0, (6.0 / shape[1..].iter().product::<usize>() as f64).sqrt()),
        Some("running_var") => (1.0, 0.5),
        Some("running_mean") => (0.0, 0.2),
        Some("weight") => (1.0, 0.2),
        _ => (0.1, 0.3),
    };
    scrambled(seed, shape.iter().product()).map(|x| (middle + width * (f64::from(x >> 8) / 8_388_608.0 - 1.0)) as f32).collect()
}

/// Ramps and noise, `[1, height, width, 3]`.
fn picture(height: usize, width: usize) -> Tensor<4> {
    let value = |(i, noise): (usize, u32)| {
        let [y, x, c] = [i / 3 / width, i / 3 % width, i % 3];
        (((3 * y + 5 * x + 80 * c + (noise >> 25) as usize) % 256) as f32 - 127.0) / 128.0
    };
    let values: Vec<f32> = scrambled(1, height * width * 3).enumerate().map(value).collect();
    Tensor::from_data(TensorData::new(values, [1, height, width, 3]), &Device::flex())
}

fn bytes_of(dtype: Dtype, values: &[f32]) -> Vec<u8> {
    match dtype {
        Dtype::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
        Dtype::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        _ => values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect(),
    }
}

/// A file of tensors, each of its own type.
fn file(tensors: &[(Dtype, Named)]) -> Vec<u8> {
    let data: Vec<_> = tensors.iter().map(|(dtype, (.., values))| bytes_of(*dtype, values)).collect();
    let views =
        tensors.iter().zip(&data).map(|((dtype, (name, shape, _)), data)| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    serialize(views, None).unwrap()
}

fn whole(dtype: Dtype) -> Typed {
    TENSORS.iter().map(|tensor| (dtype, tensor.clone())).collect()
}

fn network(bytes: &[u8]) -> Result<EfficientNetLite0> {
    EfficientNetLite0::from_bytes(Path::new("weights/lite0.safetensors"), bytes, &Device::flex())
}

fn host(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// The golden file was made with efficientnet-lite-pytorch 0.1.0 and PyTorch 2.15.0, in float64.
#[test]
fn features_and_logits_are_those_of_the_pytorch_package() {
    let network = network(&file(&whole(Dtype::F32))).unwrap();
    let golden: Value = serde_json::from_str(include_str!("../../../tests/golden/efficientnet.json")).unwrap();
    let step = golden["step"].as_u64().unwrap() as usize;
    for case in golden["cases"].as_array().unwrap() {
        let [height, width] = ["height", "width"].map(|name| case[name].as_u64().unwrap() as usize);
        let (features, logits) = (host(network.features(picture(height, width))), host(network.logits(picture(height, width))));
        assert_eq!([features.len(), logits.len()], [EfficientNetLite0::DIM, EfficientNetLite0::CLASSES]);
        for (what, ours) in [("features", features), ("logits", logits)] {
            let theirs: Vec<f64> = case[what].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            let largest = theirs.iter().fold(0.0f64, |a, v| a.max(v.abs()));
            let furthest = ours.iter().step_by(step).zip(&theirs).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            assert!(theirs.len() >= 25 && furthest < 2e-5 * largest, "{height} x {width}: {what} differ by {furthest} of {largest}");
        }
    }
}

#[test]
fn pictures_do_not_change_each_other_and_no_gradient_is_kept() {
    let network = network(&file(&whole(Dtype::F32))).unwrap();
    let (one, two) = (picture(32, 32), picture(32, 32).flip([1]));
    let both = host(network.features(Tensor::cat(vec![one.clone(), two.clone()], 0)));
    let apart = [one.clone(), two].map(|x| host(network.features(x))).concat();
    assert!(both.iter().zip(&apart).all(|(a, b)| (a - b).abs() < 1e-4));
    assert!(both[..1280] != both[1280..]);
    let tracked = network.logits(one.autodiff().require_grad());
    assert!(!tracked.is_autodiff());
}

#[test]
fn sixteen_bit_weights_are_read_and_counters_of_batches_passed_over() {
    let rounded: Typed = whole(Dtype::F32)
        .into_iter()
        .map(|(dtype, (name, shape, values))| (dtype, (name, shape, values.iter().map(|v| f16::from_f32(*v).to_f32()).collect())))
        .collect();
    let single = file(&rounded);
    let mut half: Vec<_> = rounded.into_iter().map(|(_, tensor)| (Dtype::F16, tensor)).collect();
    half.push((Dtype::F64, ("_bn0.num_batches_tracked".to_owned(), vec![], vec![0.0])));
    let half = file(&half);
    let [a, b] = [&single, &half].map(|bytes| network(bytes).unwrap());
    assert_eq!(host(a.logits(picture(32, 32))), host(b.logits(picture(32, 32))));
    assert_eq!((a.fingerprint(), b.fingerprint()), (&*sha256_hex(&single), &*sha256_hex(&half)));
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let refused = |change: &dyn Fn(&mut Typed)| {
        let mut tensors = whole(Dtype::F32);
        change(&mut tensors);
        let error = network(&file(&tensors)).unwrap_err();
        assert!(matches!(error, Error::Data { .. }), "{error}");
        let message = error.to_string();
        assert!(message.starts_with("weights/lite0.safetensors: ") && message.contains("; "), "{message}");
        message
    };
    let at = |name: &str| TENSORS.iter().position(|tensor| tensor.0 == name).unwrap();
    let (kernel, variance, bias) = (at("_blocks.3._depthwise_conv.weight"), at("_blocks.9._bn2.running_var"), at("_fc.bias"));

    for idx in [kernel, variance, bias, at("_conv_stem.weight"), at("_bn1.bias"), at("_blocks.15._expand_conv.weight")] {
        let name = &TENSORS[idx].0;
        let missing = refused(&|tensors| drop(tensors.remove(idx)));
        assert!(missing.contains(&format!("has no tensor \"{name}\"")), "{missing}");
        for value in [f32::NAN, f32::INFINITY] {
            let non_finite = refused(&|tensors| tensors[idx].1.2[1] = value);
            assert!(non_finite.contains(&format!("tensor \"{name}\" holds a value that is not a finite number")), "{non_finite}");
        }
    }
    let turned = refused(&|tensors| tensors[kernel].1.1 = vec![1, 144, 5, 5]);
    assert!(turned.contains("_depthwise_conv.weight\" has shape [1, 144, 5, 5] where [144, 1, 5, 5] is needed"), "{turned}");
    let short = refused(&|tensors| (tensors[bias].1.1, tensors[bias].1.2) = (vec![0], vec![]));
    assert!(short.contains("\"_fc.bias\" has shape [0] where [1000] is needed"), "{short}");
    let more = refused(&|tensors| tensors.push((Dtype::F32, ("_blocks.16._bn1.bias".into(), vec![1], vec![0.0]))));
    assert!(more.contains("\"_blocks.16._bn1.bias\" is not one of EfficientNet-Lite0"), "{more}");
    let double = refused(&|tensors| tensors[bias].0 = Dtype::F64);
    assert!(double.contains("\"_fc.bias\" of type F64; store the weights as F16 or F32"), "{double}");
    let negative = refused(&|tensors| tensors[variance].1.2[7] = -0.5);
    assert!(negative.contains("_blocks.9._bn2.running_var\" holds the variance -0.5"), "{negative}");
    let large = refused(&|tensors| {
        let gamma = at("_bn0.weight");
        tensors[gamma].1.2[0] = f32::MAX;
        tensors[gamma + 3].1.2[0] = 0.0;
    });
    assert!(large.contains("_conv_stem.weight\" and \"_bn0\" make values that are not finite numbers"), "{large}");
    let none = refused(&|tensors| tensors.clear());
    assert!(none.contains("has no tensor \"_conv_stem.weight\""), "{none}");
}

#[test]
fn cuts_and_lying_lengths_are_noticed() {
    let bytes = file(&whole(Dtype::F16));
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for n in [0, 1, 7, 8, 9, header - 1, header, header + 1, bytes.len() / 2, bytes.len() - 1] {
        let message = network(&bytes[..n]).unwrap_err().to_string();
        assert!(message.contains("lite0.safetensors: is not a whole safetensors file"), "{n}: {message}");
    }
    for length in [0, 1, bytes.len() as u64, 1 << 40, u64::MAX] {
        let lying = [&length.to_le_bytes(), &bytes[8..]].concat();
        assert!(network(&lying).is_err(), "{length}");
    }
    // Damage within the header is refused or harmless, never a panic.
    for idx in 0..64 {
        let mut flipped = bytes.clone();
        flipped[8 + (idx * 7919) % (header - 8)] ^= 1 << (idx % 8);
        drop(network(&flipped));
    }
}

#[test]
fn what_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path| EfficientNetLite0::open(path, &Device::flex()).unwrap_err().to_string();
    assert!(refused(&folder.path().join("none")).contains("cannot open the file"));
    let message = refused(folder.path());
    assert!(message.contains("is not a file; name the safetensors file") || message.contains("cannot"), "{message}");
    let large = folder.path().join("large");
    File::create(&large).unwrap().set_len(MAX_BYTES + 1).unwrap();
    assert!(refused(&large).contains("is larger than"));
    let right = folder.path().join("right");
    std::fs::write(&right, file(&whole(Dtype::F16))).unwrap();
    let network = EfficientNetLite0::open(&right, &Device::flex()).unwrap();
    let images = network.prepare(&[128; 2 * 5 * 4], [2, 5, 4, 1]).unwrap();
    assert_eq!((images.dims(), network.fingerprint().len()), ([2, 224, 224, 3], 64));
    assert!(network.prepare(&[128; 3], [1, 1, 1, 2]).is_err());
}
