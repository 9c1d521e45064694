//! The pipeline of adaptive discriminator augmentation (Karras et al., NeurIPS 2020, appendix B): pixel blitting, geometry, colour, and the cutout that R3GAN adds.

use std::f64::consts::{FRAC_PI_2, PI};
use std::ops::Range;

use burn::tensor::Device;
use rand_pcg::Pcg64;

use super::affine::{Affine, Outside, Taps};
use super::colour::Colour;
use super::stage::Stage;
use super::{Draws, Shape};

/// Share of the probability that colours change with: what R3GAN takes for colour against geometry.
const COLOUR_SHARE: f64 = 0.5;

/// A distortion for each of `n` pictures; each operation happens with probability `p`, those of colour with half of it.
pub fn draw(p: f64, (n, shape): (usize, Shape), rng: &mut Pcg64, device: &Device) -> Vec<Stage> {
    let mut draws = Draws { rng };
    let sources: Vec<Affine> = (0..n).map(|_| geometry(p, shape, &mut draws)).collect();
    let colours: Vec<Colour> = (0..n).map(|_| colour(p * COLOUR_SHARE, shape.n_colours(), &mut draws)).collect();
    vec![
        Stage::warp(Taps::new(&sources, shape, Outside::Mirrored), device),
        Colour::stage(&colours, shape, device),
        Stage::cutout((n, shape), || cutout(p, shape, &mut draws), device),
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

/// The new colours of a picture with `lit` channels that show light, in the paper's order.
fn colour(p: f64, lit: usize, draws: &mut Draws<'_>) -> Colour {
    let mut colour = Colour::SAME;
    let brightness = 0.2 * draws.normal();
    if draws.happens(p) {
        colour.brighten(brightness);
    }
    let contrast = (0.5 * draws.normal()).exp2();
    if draws.happens(p) {
        colour.scale(contrast);
    }
    // Half of the inversions leave the picture as it is.
    let inverts = draws.uniform() < 0.5;
    let inverts = draws.happens(p) && inverts;
    let (angle, turns) = (draws.between(-PI, PI), draws.happens(p));
    let (saturation, saturates) = (draws.normal().exp2(), draws.happens(p));
    if lit == 1 {
        // The one grey is all of the luma; it has no hue.
        if inverts {
            colour.scale(-1.0);
        }
        return colour;
    }
    if inverts {
        colour.invert_luma();
    }
    if turns {
        colour.rotate_hue(angle);
    }
    if saturates {
        colour.saturate(saturation);
    }
    colour
}

/// A rectangle of half the sides around any place.
fn cutout(p: f64, shape: Shape, draws: &mut Draws<'_>) -> Option<[Range<f64>; 2]> {
    let middles = [draws.uniform() * shape.height as f64, draws.uniform() * shape.width as f64];
    let [rows, columns] = [(middles[0], shape.height), (middles[1], shape.width)].map(|(middle, side)| {
        let quarter = 0.25 * side as f64;
        middle - quarter..middle + quarter
    });
    draws.happens(p).then_some([rows, columns])
}
