//! DiffAugment (Zhao et al., NeurIPS 2020, section 3): colour, translation, cutout.

use std::ops::Range;

use burn::tensor::Device;
use rand_pcg::Pcg64;

use super::affine::{Affine, Outside, Taps};
use super::colour::Colour;
use super::stage::Stage;
use super::{Draws, Shape};

/// Largest shift, as a share of the side.
const SHIFT: f64 = 0.125;

/// A distortion for each of `n` pictures; `recolours` says whether colours change too.
pub fn draw(recolours: bool, p: f64, (n, shape): (usize, Shape), rng: &mut Pcg64, device: &Device) -> Vec<Stage> {
    let mut draws = Draws { rng };
    let mut stages = Vec::new();
    if recolours {
        let (mut colours, mut contrasts) = (Vec::new(), Vec::new());
        for _ in 0..n {
            let (brightness, saturation, contrast) = (draws.between(-0.5, 0.5), draws.between(0.0, 2.0), draws.between(0.5, 1.5));
            let mut colour = Colour::SAME;
            if draws.happens(p) {
                colour.brighten(brightness);
            }
            // Grey has no saturation.
            if draws.happens(p) && shape.n_colours() > 1 {
                colour.saturate(saturation);
            }
            contrasts.push(if draws.happens(p) { contrast as f32 } else { 1.0 });
            colours.push(colour);
        }
        stages.push(Colour::stage(&colours, shape, device));
        stages.push(Stage::contrast(contrasts, shape, device));
    }
    let most = |side: usize| (side as f64 * SHIFT + 0.5).floor();
    let mut shift = |side: usize| draws.below(2 * most(side) as u64 + 1) as f64 - most(side);
    let mut sources: Vec<Affine> = (0..n).map(|_| Affine::translation(shift(shape.width), shift(shape.height))).collect();
    sources.iter_mut().for_each(|source| {
        if !draws.happens(p) {
            *source = Affine::IDENTITY;
        }
    });
    stages.push(Stage::warp(Taps::new(&sources, shape, Outside::Zero), device));
    stages.push(Stage::cutout((n, shape), || cutout(p, shape, &mut draws), device));
    stages
}

/// A rectangle of half the sides around any pixel, or one further where its size is even.
fn cutout(p: f64, shape: Shape, draws: &mut Draws<'_>) -> Option<[Range<f64>; 2]> {
    let square = [shape.height, shape.width].map(|side| {
        let size = (side as f64 * 0.5 + 0.5) as i64;
        let first = draws.below((side as i64 + 1 - size % 2) as u64) as i64 - size / 2;
        first as f64..(first + size) as f64
    });
    draws.happens(p).then_some(square)
}
