//! The space that samples come from: ways between its points, arithmetic, and directions in which samples change.

use nalgebra::{DMatrix, DVector};

use crate::error::{Error, Result};

/// The point a share `t` of the way from `a` to `b`: on the arc between their directions, with lengths in between (White, "Sampling Generative Networks", 2016, section 2.1). The straight line between
/// two normal latents passes through points that are shorter than any the generator has learned from.
pub fn slerp(a: &[f32], b: &[f32], t: f64) -> Vec<f32> {
    let (length_a, length_b) = (length(a), length(b));
    let between = |fa: f64, fb: f64| a.iter().zip(b).map(|(a, b)| (fa * f64::from(*a) + fb * f64::from(*b)) as f32).collect();
    if length_a == 0.0 || length_b == 0.0 {
        return between(1.0 - t, t);
    }
    let cos = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() / (length_a * length_b);
    let angle = cos.clamp(-1.0, 1.0).acos();
    // Where they point the same way or opposite ways there is no one arc.
    if angle.sin() < 1e-6 {
        return between(1.0 - t, t);
    }
    let wanted = length_a + t * (length_b - length_a);
    let part = |share: f64, own: f64| (share * angle).sin() / angle.sin() / own * wanted;
    between(part(1.0 - t, length_a), part(t, length_b))
}

/// From each of `points` to the next in `steps` steps, and from the last to the first if it `closes`. Begins with the first point; unless it closes, it ends with the last.
pub fn walk(points: &[Vec<f32>], steps: usize, closes: bool) -> Vec<Vec<f32>> {
    let n = points.len();
    let segments = if closes { n } else { n.saturating_sub(1) };
    let mut way = Vec::with_capacity(segments * steps + 1);
    for i in 0..segments {
        way.extend((0..steps).map(|s| slerp(&points[i], &points[(i + 1) % n], s as f64 / steps as f64)));
    }
    if !closes {
        way.extend(points.last().cloned());
    }
    way
}

/// The sum of points times factors, as long as the points are on average: where normal latents are added and subtracted, the length of the sum says nothing.
pub fn combine(terms: &[(f64, Vec<f32>)]) -> Vec<f32> {
    let dim = terms.first().map_or(0, |(_, point)| point.len());
    let sum: Vec<f64> = (0..dim).map(|i| terms.iter().map(|(factor, point)| factor * f64::from(point[i])).sum()).collect();
    let mean = terms.iter().map(|(_, point)| length(point)).sum::<f64>() / terms.len().max(1) as f64;
    let own = sum.iter().map(|v| v * v).sum::<f64>().sqrt();
    let scale = if own > 1e-9 { mean / own } else { 1.0 };
    sum.into_iter().map(|v| (v * scale) as f32).collect()
}

/// Takes `3:5 - 3:7 + 0.5*3:9` apart: signed factors and the words for points.
///
/// # Errors
/// [`Error::Config`] that shows the part that cannot be read.
pub fn terms(text: &str) -> Result<Vec<(f64, String)>> {
    let wrong =
        |part: &str| Error::config("--latent", format!("cannot read \"{part}\" in \"{text}\""), "write for example '3:5 - 3:7 + 0.5*3:9'");
    let mut terms = Vec::new();
    let mut sign = Some(1.0);
    for word in text.split_whitespace() {
        match (word, sign) {
            ("+", None) => sign = Some(1.0),
            ("-", None) => sign = Some(-1.0),
            (_, Some(factor)) => {
                let (times, point) = word.split_once('*').unwrap_or(("1", word));
                let times: f64 = times.parse().map_err(|_| wrong(word))?;
                if point.is_empty() || !times.is_finite() {
                    return Err(wrong(word));
                }
                terms.push((factor * times, point.to_owned()));
                sign = None;
            }
            _ => return Err(wrong(word)),
        }
    }
    if sign.is_some() { Err(wrong(text)) } else { Ok(terms) }
}

/// A direction in which samples change, of length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Direction {
    /// How strongly the generator's first layer answers to it: the root of the eigenvalue.
    pub strength: f64,
    /// `[latent_dim]`.
    pub vector: Vec<f32>,
}

/// Directions to which a generator's first layer answers most, the strongest first, from its weights `[latent_dim, outputs]` by rows: the eigenvectors of `W W'` (Shen and Zhou, "Closed-Form Factorization of
/// Latent Semantics in GANs", CVPR 2021). No samples and no labels are needed.
///
/// # Panics
/// If `weights` are not whole rows.
pub fn directions(weights: &[f32], latent_dim: usize) -> Vec<Direction> {
    let outputs = weights.len() / latent_dim.max(1);
    assert_eq!(weights.len(), outputs * latent_dim, "weights are a matrix");
    let matrix = DMatrix::from_row_iterator(latent_dim, outputs, weights.iter().map(|v| f64::from(*v)));
    let eigen = (&matrix * matrix.transpose()).symmetric_eigen();
    let mut found: Vec<Direction> = (0..latent_dim)
        .map(|i| {
            let vector = eigen.eigenvectors.column(i);
            // Of the two opposite vectors the one whose largest number is positive: the same on every machine.
            let largest = vector.iter().copied().fold(0.0f64, |a, b| if b.abs() > a.abs() { b } else { a });
            let sign = if largest < 0.0 { -1.0 } else { 1.0 };
            Direction { strength: eigen.eigenvalues[i].max(0.0).sqrt(), vector: vector.iter().map(|v| (sign * v) as f32).collect() }
        })
        .collect();
    found.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    found
}

/// Where points that have a property lie, seen from those that have it not: the difference of their means, which for normal latents of equal spread is what a linear discriminant finds. Of what is spanned by
/// `others`, directions of other properties, as much is taken away as a ridge of the weight `ridge` lets: all with 0, nothing with infinity. The weight is relative to the mean squared length of `others`.
///
/// `points` are `[n][dim]`, `has` says of each of the `n` whether it has the property; `others` are `[dim]` each, and so is the result, whose length is the distance of the means (Fisher, "The Use of Multiple Measurements in Taxonomic
/// Problems", 1936; in latent spaces Shen, Gu, Tang and Zhou, CVPR 2020, sections 2.1 and 2.2).
pub fn attribute_vector(points: &[Vec<f32>], has: &[bool], (others, ridge): (&[&[f32]], f64)) -> Vec<f32> {
    let dim = points.first().map_or(0, Vec::len);
    let mean = |wanted: bool| {
        let chosen: Vec<&Vec<f32>> = points.iter().zip(has).filter(|(_, has)| **has == wanted).map(|(point, _)| point).collect();
        DVector::from_fn(dim, |i, _| chosen.iter().map(|point| f64::from(point[i])).sum::<f64>() / chosen.len().max(1) as f64)
    };
    let own = mean(true) - mean(false);
    if others.is_empty() || ridge.is_infinite() {
        return own.iter().map(|v| *v as f32).collect();
    }
    let spanned = DMatrix::from_fn(dim, others.len(), |i, j| f64::from(others[j][i]));
    let mut gram = spanned.tr_mul(&spanned);
    let weight = ridge * gram.trace() / others.len() as f64 + 1e-12;
    (0..others.len()).for_each(|i| gram[(i, i)] += weight);
    let shares = gram.cholesky().map(|cholesky| cholesky.solve(&spanned.tr_mul(&own)));
    let left = shares.map_or_else(|| own.clone(), |shares| &own - &spanned * shares);
    left.iter().map(|v| *v as f32).collect()
}

/// `point` moved by `amount` along a direction.
pub fn along(point: &[f32], direction: &[f32], amount: f64) -> Vec<f32> {
    point.iter().zip(direction).map(|(p, d)| p + amount as f32 * d).collect()
}

fn length(point: &[f32]) -> f64 {
    point.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    fn normal(index: u64) -> Vec<f32> {
        random::normal(64, &mut random::stream(1, "latent-test", index))
    }

    fn distance(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn the_arc_begins_and_ends_at_its_points_and_keeps_their_length() {
        let (a, b) = (normal(0), normal(1));
        assert!(distance(&slerp(&a, &b, 0.0), &a) < 1e-5 && distance(&slerp(&a, &b, 1.0), &b) < 1e-5);
        let (middle, straight) = (slerp(&a, &b, 0.5), combine(&[(0.5, a.clone()), (0.5, b.clone())]));
        assert!((length(&middle) - (length(&a) + length(&b)) / 2.0).abs() < 1e-4);
        assert!(distance(&middle, &straight) < 0.5, "the middle of the arc lies above the middle of the line");
        // Steps on the arc of unit vectors are equally long.
        let (x, y) = ([1.0f32, 0.0], [0.0f32, 1.0]);
        let third = slerp(&x, &y, 1.0 / 3.0);
        assert!((third[0] - 0.866_025_4).abs() < 1e-6 && (third[1] - 0.5).abs() < 1e-6);
        let opposite: Vec<f32> = a.iter().map(|v| -v).collect();
        assert!(slerp(&a, &opposite, 0.5).iter().all(|v| v.is_finite()));
        assert!(slerp(&[0.0; 64], &b, 0.5).iter().all(|v| v.is_finite()));
    }

    #[test]
    fn walks_go_through_every_point_and_may_close() {
        let points: Vec<_> = (0..3).map(normal).collect();
        let open = walk(&points, 4, false);
        assert_eq!((open.len(), &open[8]), (9, &points[2]));
        assert!(distance(&open[4], &points[1]) < 1e-5);
        assert_eq!(walk(&points, 4, true).len(), 12);
        assert_eq!(walk(&points[..1], 4, false), points[..1]);
    }

    #[test]
    fn sums_are_read_and_keep_the_length_of_their_terms() {
        let read = terms("3:5 - 3:7 + 0.5*3:9").unwrap();
        assert_eq!(read, [(1.0, "3:5".to_owned()), (-1.0, "3:7".to_owned()), (0.5, "3:9".to_owned())]);
        for wrong in ["", "3:5 -", "3:5 3:7", "x*3:5", "+ 3", "2*", "inf*3"] {
            assert!(terms(wrong).is_err(), "{wrong}");
        }
        let (a, b) = (normal(0), normal(1));
        let sum = combine(&[(1.0, a.clone()), (-2.0, b.clone())]);
        assert!((length(&sum) - (length(&a) + length(&b)) / 2.0).abs() < 1e-4);
        assert_eq!(combine(&[(1.0, a.clone())]), a);
    }

    #[test]
    fn attribute_vectors_point_to_their_attribute_and_may_leave_others_out() {
        let points: Vec<Vec<f32>> = (0..4000).map(normal).collect();
        // One property is the first number's sign, the other's boundary leans towards it.
        let first: Vec<bool> = points.iter().map(|p| p[0] > 0.0).collect();
        let second: Vec<bool> = points.iter().map(|p| p[1] + p[0] > 0.5).collect();
        let cos = |a: &[f32], at: &[f64]| {
            let dot: f64 = a.iter().zip(at).map(|(a, b)| f64::from(*a) * b).sum();
            dot / length(a) / at.iter().map(|v| v * v).sum::<f64>().sqrt()
        };
        let plain = attribute_vector(&points, &second, (&[], f64::INFINITY));
        assert!(cos(&plain, &[1.0, 1.0]) > 0.95, "{}", cos(&plain, &[1.0, 1.0]));
        let other = attribute_vector(&points, &first, (&[], f64::INFINITY));
        let without = attribute_vector(&points, &second, (&[&other], 0.0));
        assert!(cos(&without, &[0.0, 1.0]) > 0.9, "{}", cos(&without, &[0.0, 1.0]));
        let dot: f64 = without.iter().zip(&other).map(|(a, b)| f64::from(a * b)).sum();
        assert!(dot.abs() < 1e-4, "{dot}");
        let between = attribute_vector(&points, &second, (&[&other], 1.0));
        let to_first = |v: &[f32]| cos(v, &[1.0]);
        assert!(to_first(&without) < to_first(&between) && to_first(&between) < to_first(&plain));
    }

    #[test]
    fn directions_are_the_eigenvectors_of_the_weights_products() {
        // Rows of a diagonal matrix: the axes, by the size of their number.
        let found = directions(&[1.0, 0.0, 0.0, 0.0, -3.0, 0.0, 0.0, 0.0, 2.0], 3);
        assert_eq!(found.iter().map(|d| d.strength.round()).collect::<Vec<_>>(), [3.0, 2.0, 1.0]);
        assert!(distance(&found[0].vector, &[0.0, 1.0, 0.0]) < 1e-6);
        let weights = random::normal(16 * 40, &mut random::stream(2, "weights", 0));
        let found = directions(&weights, 16);
        for (i, a) in found.iter().enumerate() {
            // |W' v| is the strength, and directions are perpendicular.
            let answer: f64 =
                (0..40).map(|o| (0..16).map(|r| f64::from(weights[r * 40 + o]) * f64::from(a.vector[r])).sum::<f64>().powi(2)).sum();
            assert!((answer.sqrt() - a.strength).abs() < 1e-4);
            for b in &found[..i] {
                let dot: f64 = a.vector.iter().zip(&b.vector).map(|(x, y)| f64::from(x * y)).sum();
                assert!(dot.abs() < 1e-5);
            }
        }
    }
}
