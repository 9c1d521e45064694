//! DiffAugment (Zhao et al., NeurIPS 2020, section 3): colour, translation, cutout.

use burn::tensor::Device;
use rand_pcg::Pcg64;

use super::affine::{Affine, Outside, Taps};
use super::stage::Stage;
use super::{Draws, Shape};

/// Largest shift, and half the side of the blanked square is half of four times this: shares of a side.
const SHIFT: f64 = 0.125;

/// A distortion for each of `n` pictures; `recolours` says whether colours change too.
pub fn draw(recolours: bool, p: f64, (n, shape): (usize, Shape), rng: &mut Pcg64, device: &Device) -> Vec<Stage> {
    let mut draws = Draws { rng };
    let mut stages = Vec::new();
    if recolours {
        let (mut matrices, mut offsets, mut contrasts) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..n {
            let (brightness, saturation, contrast) = (draws.between(-0.5, 0.5), draws.between(0.0, 2.0), draws.between(0.5, 1.5));
            let brightness = if draws.happens(p) { brightness } else { 0.0 };
            let saturation = if draws.happens(p) { saturation } else { 1.0 };
            contrasts.push(if draws.happens(p) { contrast as f32 } else { 1.0 });
            recolour([brightness, saturation], shape, &mut matrices, &mut offsets);
        }
        stages.push(Stage::colour(matrices, offsets, shape, device));
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
    stages.push(cutout(p, n, shape, &mut draws, device));
    stages
}

/// A rectangle of half the sides, anywhere, is blanked.
fn cutout(p: f64, n: usize, shape: Shape, draws: &mut Draws<'_>, device: &Device) -> Stage {
    let mut factors = Vec::with_capacity(n * shape.n_pixels());
    for _ in 0..n {
        let sides = [shape.height, shape.width];
        let blanked = sides.map(|side| {
            let size = (side as f64 * 0.5 + 0.5) as i64;
            // The middle may lie on any pixel (and one further where the size is even).
            let middle = draws.below((side as i64 + 1 - size % 2) as u64) as i64;
            middle - size / 2..middle - size / 2 + size
        });
        let is_cut = draws.happens(p);
        let at = |y: usize, x: usize| is_cut && blanked[0].contains(&(y as i64)) && blanked[1].contains(&(x as i64));
        factors.extend((0..shape.n_pixels()).map(|i| if at(i / shape.width, i % shape.width) { 0.0 } else { 1.0 }));
    }
    Stage::mask(factors, shape, device)
}

/// `x` plus the brightness, then distances from the grey of each pixel times the saturation.
fn recolour([brightness, saturation]: [f64; 2], shape: Shape, matrices: &mut Vec<f32>, offsets: &mut Vec<f32>) {
    let (c, lit) = (shape.channels, shape.n_colours());
    for from in 0..c {
        for to in 0..c {
            let same = f64::from(u8::from(from == to));
            let value = if from < lit && to < lit { saturation * same + (1.0 - saturation) / lit as f64 } else { same };
            matrices.push(value as f32);
        }
    }
    offsets.extend((0..c).map(|channel| if channel < lit { brightness as f32 } else { 0.0 }));
}
