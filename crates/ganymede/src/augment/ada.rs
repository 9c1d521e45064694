//! The pipeline of adaptive discriminator augmentation (Karras et al., NeurIPS 2020, appendix B): pixel blitting, geometry, colour, and a blanked square.

use std::f64::consts::{FRAC_PI_2, PI};

use burn::tensor::Device;
use rand_pcg::Pcg64;

use super::affine::{Affine, Outside, Taps};
use super::stage::Stage;
use super::{Draws, Shape};

/// Share of the probability that colours change with: what R3GAN takes for colour against geometry.
const COLOUR_SHARE: f64 = 0.5;

/// A distortion for each of `n` pictures; each operation happens with probability `p`, those of colour with half of it.
pub fn draw(p: f64, (n, shape): (usize, Shape), rng: &mut Pcg64, device: &Device) -> Vec<Stage> {
    let mut draws = Draws { rng };
    let sources: Vec<Affine> = (0..n).map(|_| geometry(p, shape, &mut draws)).collect();
    let (mut matrices, mut offsets) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let colour = colour(p * COLOUR_SHARE, shape.n_colours(), &mut draws);
        colour.write(shape, &mut matrices, &mut offsets);
    }
    vec![
        Stage::warp(Taps::new(&sources, shape, Outside::Mirrored), device),
        Stage::colour(matrices, offsets, shape, device),
        cutout(p, n, shape, &mut draws, device),
    ]
}

/// From places in the warped picture to places in the source. The operations are drawn in the paper's order; each undoes itself on the way back.
fn geometry(p: f64, shape: Shape, draws: &mut Draws<'_>) -> Affine {
    let (w, h) = (shape.width as f64, shape.height as f64);
    let mut map = Affine::IDENTITY;
    let mut then = |happens: bool, back: Affine| {
        if happens {
            map = map.after(&back);
        }
    };
    // Half of the mirrorings and a quarter of the turns leave the picture as it is.
    let mirrors = draws.uniform() < 0.5;
    then(draws.happens(p) && mirrors, Affine::scaling(-1.0, 1.0));
    let quarters = draws.below(4) as f64;
    then(draws.happens(p), Affine::rotation(quarters * FRAC_PI_2));
    let shift = [draws.between(-0.125, 0.125) * w, draws.between(-0.125, 0.125) * h].map(|v| -v.round());
    then(draws.happens(p), Affine::translation(shift[0], shift[1]));
    let scale = (0.2 * draws.normal()).exp2();
    then(draws.happens(p), Affine::scaling(1.0 / scale, 1.0 / scale));
    // Two rotations, before and after the stretch: each at a probability that makes one of them happen with `p`.
    let p_rotation = 1.0 - (1.0 - p.min(1.0)).sqrt();
    let angle = draws.between(-PI, PI);
    then(draws.happens(p_rotation), Affine::rotation(angle));
    let stretch = (0.2 * draws.normal()).exp2();
    then(draws.happens(p), Affine::scaling(1.0 / stretch, stretch));
    let angle = draws.between(-PI, PI);
    then(draws.happens(p_rotation), Affine::rotation(angle));
    let shift = [0.125 * draws.normal() * w, 0.125 * draws.normal() * h];
    then(draws.happens(p), Affine::translation(-shift[0], -shift[1]));
    map
}

/// An affine map of colours: columns are the new channels.
struct Colour {
    matrix: [[f64; 3]; 3],
    offset: [f64; 3],
}

impl Colour {
    fn write(&self, shape: Shape, matrices: &mut Vec<f32>, offsets: &mut Vec<f32>) {
        let (c, lit) = (shape.channels, shape.n_colours());
        for from in 0..c {
            for to in 0..c {
                let same = f64::from(u8::from(from == to));
                matrices.push(if from < lit && to < lit { self.matrix[from][to] } else { same } as f32);
            }
        }
        offsets.extend((0..c).map(|channel| if channel < lit { self.offset[channel] as f32 } else { 0.0 }));
    }

    fn scale(&mut self, factor: f64) {
        self.matrix.iter_mut().flatten().chain(&mut self.offset).for_each(|v| *v *= factor);
    }

    /// Followed by a linear map whose rows are given.
    fn then(&mut self, map: [[f64; 3]; 3]) {
        let times = |row: [f64; 3]| -> [f64; 3] { std::array::from_fn(|j| (0..3).map(|k| row[k] * map[k][j]).sum()) };
        self.matrix = self.matrix.map(times);
        self.offset = times(self.offset);
    }
}

fn colour(p: f64, lit: usize, draws: &mut Draws<'_>) -> Colour {
    let mut colour = Colour { matrix: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], offset: [0.0; 3] };
    let brightness = 0.2 * draws.normal();
    if draws.happens(p) {
        colour.offset = [brightness; 3];
    }
    let contrast = (0.5 * draws.normal()).exp2();
    if draws.happens(p) {
        colour.scale(contrast);
    }
    // Half of the inversions leave the picture as it is.
    let inverts = draws.uniform() < 0.5;
    let inverts = draws.happens(p) && inverts;
    let (angle, hue) = (draws.between(-PI, PI), draws.happens(p));
    let (saturation, saturates) = (draws.normal().exp2(), draws.happens(p));
    if lit == 1 {
        if inverts {
            colour.scale(-1.0);
        }
        return colour;
    }
    // The grey axis of colours, and projections onto it and across it.
    let along = 1.0 / 3.0;
    let same = |i: usize, j: usize| f64::from(u8::from(i == j));
    let table = |f: &dyn Fn(usize, usize) -> f64| -> [[f64; 3]; 3] { std::array::from_fn(|i| std::array::from_fn(|j| f(i, j))) };
    if inverts {
        colour.then(table(&|i, j| same(i, j) - 2.0 * along));
    }
    if hue {
        // Rodrigues' rotation around (1, 1, 1) / sqrt(3).
        let (sin, cos) = angle.sin_cos();
        let cross = |i: usize, j: usize| match (j + 3 - i) % 3 {
            1 => 1.0,
            2 => -1.0,
            _ => 0.0,
        };
        colour.then(table(&|i, j| cos * same(i, j) + (1.0 - cos) * along + sin * cross(i, j) / 3f64.sqrt()));
    }
    if saturates {
        colour.then(table(&|i, j| along + (same(i, j) - along) * saturation));
    }
    colour
}

/// A square of half the side around any place is blanked.
fn cutout(p: f64, n: usize, shape: Shape, draws: &mut Draws<'_>, device: &Device) -> Stage {
    let mut factors = Vec::with_capacity(n * shape.n_pixels());
    for _ in 0..n {
        let middle = [draws.uniform(), draws.uniform()];
        let is_cut = draws.happens(p);
        let near = |at: usize, extent: usize, middle: f64| ((at as f64 + 0.5) / extent as f64 - middle).abs() < 0.25;
        let blanked = |i: usize| near(i / shape.width, shape.height, middle[0]) && near(i % shape.width, shape.width, middle[1]);
        factors.extend((0..shape.n_pixels()).map(|i| if is_cut && blanked(i) { 0.0 } else { 1.0 }));
    }
    Stage::mask(factors, shape, device)
}
