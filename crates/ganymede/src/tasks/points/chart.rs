//! Points as a picture: a scatter plot of the first two columns, or a histogram of a single one.

use crate::artifact::Artifact;
use crate::data::{Channels, PointTable, write_png};
use crate::error::Result;

const SIDE: usize = 400;
const MARGIN: usize = 12;

/// `rows` of the table's columns in the frame of the table's own extent, so that pictures of one data set can be laid over each other.
pub fn scatter(table: &PointTable, rows: &[f32], stem: &str) -> Result<Artifact> {
    let dim = table.dim();
    let mut canvas = vec![255u8; SIDE * SIDE];
    let x_range = range(table, 0);
    if dim == 1 {
        histogram(rows, x_range, &mut canvas);
    } else {
        let y_range = range(table, 1);
        for row in rows.chunks_exact(dim) {
            if let (Some(x), Some(y)) = (place(row[0], x_range), place(row[1], y_range)) {
                dot(&mut canvas, x, SIDE - 1 - y);
            }
        }
    }
    let bytes = write_png(SIDE, SIDE, Channels::Grey, &canvas, &[])?;
    Ok(Artifact { media_type: "image/png", extension: "png", stem: stem.to_owned(), bytes })
}

/// Extent of a column, a tenth wider on both sides, never empty.
fn range(table: &PointTable, column: usize) -> (f32, f32) {
    let values = table.values.iter().skip(column).step_by(table.dim());
    let (low, high) = values.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let wider = ((high - low) * 0.1).max(1e-6);
    (low - wider, high + wider)
}

/// Position along an axis, if inside it.
fn place(value: f32, (low, high): (f32, f32)) -> Option<usize> {
    let t = (value - low) / (high - low);
    (0.0..=1.0).contains(&t).then(|| MARGIN + (t * (SIDE - 2 * MARGIN - 1) as f32) as usize)
}

/// Darkens a 3 x 3 spot.
fn dot(canvas: &mut [u8], x: usize, y: usize) {
    for dy in 0..3 {
        for dx in 0..3 {
            if let Some(pixel) = canvas.get_mut((y + dy).saturating_sub(1) * SIDE + (x + dx).saturating_sub(1)) {
                *pixel = pixel.saturating_sub(if dx == 1 && dy == 1 { 110 } else { 45 });
            }
        }
    }
}

fn histogram(values: &[f32], x_range: (f32, f32), canvas: &mut [u8]) {
    let mut counts = vec![0usize; SIDE];
    values.iter().filter_map(|v| place(*v, x_range)).for_each(|x| counts[x / 4 * 4] += 1);
    let most = counts.iter().max().copied().unwrap_or(0).max(1);
    for (x, count) in counts.iter().enumerate().map(|(x, _)| (x, counts[x / 4 * 4])) {
        let height = count * (SIDE - 2 * MARGIN) / most;
        for y in 0..height {
            canvas[(SIDE - 1 - MARGIN - y) * SIDE + x] = 60;
        }
    }
}
