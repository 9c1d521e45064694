//! A GPU back end plays the same game as the CPU: the same data, latents and initial weights, weights that stay close for some steps.
//!
//! Compiled with the feature `wgpu` alone; says so and passes where no adapter is found. `bench/wgpu_check.sh` runs it on a software Vulkan device.
#![cfg(feature = "wgpu")]

use ganymede::device;
use ganymede::session::{TrainRequest, prepare};
use ganymede::tasks::TASKS;
use ganymede::train::{Setup, Task};

const STEPS: u64 = 20;

fn open(data: &str, settings: &[&str], device: &str) -> Box<dyn Task> {
    let request = TrainRequest {
        data: Some(data.to_owned()),
        device: device.to_owned(),
        set: settings.iter().map(ToString::to_string).collect(),
        // The preset of the CPU, whatever the device would be given.
        preset: Some(if data == "avatars" { "tiny" } else { "relativistic" }.to_owned()),
        ..TrainRequest::default()
    };
    let prepared = prepare(&request).unwrap();
    let entry = TASKS.iter().find(|t| t.name == prepared.entry.name).unwrap();
    let device = device::open(device).unwrap();
    (entry.open)(&Setup { source: &prepared.source, config: &prepared.config, seed: 1, device, cache: None, progress: &|_, _, _| {} })
        .unwrap()
}

fn check(data: &str, settings: &[&str]) {
    if let Err(error) = device::open("wgpu") {
        eprintln!("skipped: {error}");
        return;
    }
    let (mut gpu, mut cpu) = (open(data, settings, "wgpu"), open(data, settings, "cpu"));
    for step in 0..STEPS {
        gpu.step(step).unwrap();
        cpu.step(step).unwrap();
        if step == 0 {
            let (a, b) = (gpu.report().unwrap(), cpu.report().unwrap());
            for ((name, a), (_, b)) in a.scalars().zip(b.scalars()) {
                assert!((a - b).abs() < 1e-3 * (1.0 + b.abs()), "{data}, first step: {name} is {a} on the GPU and {b} on the CPU");
            }
        }
        if step == 2 {
            // The median: single weights whose gradient is zero but for rounding go either way from the first step on, for Adam looks at its sign alone.
            compare(data, step, gpu.as_ref(), cpu.as_ref(), |d| (d[d.len() / 2], 1e-4));
        }
    }
    // A game multiplies rounding about twofold each step. By now weights have gone up to 20 times the rate of 2e-3.
    compare(data, STEPS, gpu.as_ref(), cpu.as_ref(), |d| (d.iter().sum::<f64>() / d.len() as f64, 4e-3));
}

/// Compares every weight of the networks: `measure` takes sorted differences to a figure and its bound.
fn compare(data: &str, step: u64, gpu: &dyn Task, cpu: &dyn Task, measure: impl Fn(&[f64]) -> (f64, f64)) {
    let mut worst = 0.0f64;
    for ((player, gpu), (_, cpu)) in gpu.save_state().unwrap().iter().zip(&cpu.save_state().unwrap()) {
        for ((name, a), (_, b)) in gpu.iter().zip(cpu).filter(|((name, _), _)| name.starts_with("net.")) {
            let mut differences: Vec<f64> = a.values.iter().zip(&b.values).map(|(a, b)| f64::from((a - b).abs())).collect();
            differences.sort_by(f64::total_cmp);
            let (figure, bound) = measure(&differences);
            assert!(figure < bound, "{data}, step {step}, {player} {name}: GPU and CPU differ by {figure}");
            worst = worst.max(figure);
        }
    }
    println!("{data}, step {step}: at most {worst:.1e} between GPU and CPU");
}

#[test]
fn the_points_game_agrees_with_the_cpu() {
    check("ring", &[]);
}

#[test]
fn the_picture_game_agrees_with_the_cpu() {
    check("avatars", &["batch=8"]);
}
