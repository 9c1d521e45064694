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
    (entry.open)(&Setup { source: &prepared.source, config: &prepared.config, seed: 1, device }).unwrap()
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
    }
    for ((player, gpu), (_, cpu)) in gpu.save_state().unwrap().iter().zip(&cpu.save_state().unwrap()) {
        for ((name, a), (_, b)) in gpu.iter().zip(cpu).filter(|((name, _), _)| name.starts_with("net.")) {
            let mean = a.values.iter().zip(&b.values).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>() / a.values.len() as f64;
            println!("{data} {player} {name}: mean difference {mean:.2e}");
            // Adam moves a weight by up to its rate of 1e-3 a step, whatever the size of the gradient: rounding alone may turn single weights around.
            assert!(mean < 1e-3, "{data} {player} {name}: weights differ by {mean} on average after {STEPS} steps");
        }
    }
}

#[test]
fn the_points_game_agrees_with_the_cpu() {
    check("ring", &[]);
}

#[test]
fn the_picture_game_agrees_with_the_cpu() {
    check("avatars", &["batch=8"]);
}
