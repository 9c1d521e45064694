//! Holds EfficientNet-Lite0 against its PyTorch package on real weights and pictures.
//!
//! ```sh
//! python3 bench/golden/make_efficientnet.py WEIGHTS.safetensors reference PICTURE...
//! cargo run --release -p ganymede --example efficientnet_parity -- WEIGHTS.safetensors reference
//! ```

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use ganymede::features::EfficientNetLite0;
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(weights), Some(folder)) = (args.next(), args.next()) else {
        return Err("name the weights and the folder that bench/golden/make_efficientnet.py wrote".into());
    };
    let folder = Path::new(&folder);
    let reference: Value = serde_json::from_slice(&fs::read(folder.join("reference.json"))?)?;
    let started = Instant::now();
    let network = EfficientNetLite0::open(Path::new(&weights), &Device::flex())?;
    println!("weights {} read in {:.0} ms", network.fingerprint(), millis(started));

    let pictures = reference["pictures"].as_array().ok_or("no pictures")?;
    let side = EfficientNetLite0::SIDE;
    let resized = network.prepare(&fs::read(folder.join("resized.bin"))?, [pictures.len(), side, side, 3])?;
    for (idx, picture) in pictures.iter().enumerate() {
        let shape: Vec<usize> = serde_json::from_value(picture["shape"].clone())?;
        let pixels = fs::read(folder.join(format!("{idx}.bin")))?;
        let theirs = floats(&reference["logits"][idx]);
        // Resized by Pillow, as the reference was, and by the library.
        let (same, features) = run(&network, resized.clone().narrow(0, idx, 1))?;
        let (own, _) = run(&network, network.prepare(&pixels, [1, shape[0], shape[1], shape[2]])?)?;
        println!(
            "{}: top-1 {} {} {}, logits differ by {:.1e} of the largest, features by {:.1e}; after the library's own resizing by {:.1e}",
            picture["name"],
            top(&theirs),
            top(&same),
            top(&own),
            difference(&same, &theirs),
            difference(&features, &floats(&reference["features"][idx])),
            difference(&own, &theirs),
        );
    }
    for n in [1, 16] {
        let images = Tensor::cat(vec![resized.clone().narrow(0, 0, 1); n], 0);
        let mut times: Vec<f64> = Vec::new();
        for _ in 0..10 {
            let started = Instant::now();
            network.features(images.clone()).into_data();
            times.push(millis(started) / n as f64);
        }
        times.sort_by(f64::total_cmp);
        println!("{n} at a time: {:.1} ms a picture (median of 10)", times[5]);
    }
    Ok(())
}

/// Logits and features of one image.
fn run(network: &EfficientNetLite0, image: Tensor<4>) -> Result<(Vec<f64>, Vec<f64>), Box<dyn Error>> {
    let host = |data: TensorData| data.convert::<f64>().try_to_vec::<f64>().map_err(|e| format!("{e:?}"));
    Ok((host(network.logits(image.clone()).into_data())?, host(network.features(image).into_data())?))
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

fn top(logits: &[f64]) -> usize {
    (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap_or(0)
}

/// The largest difference over the largest magnitude.
fn difference(ours: &[f64], theirs: &[f64]) -> f64 {
    let largest = theirs.iter().fold(0.0f64, |a, v| a.max(v.abs()));
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
