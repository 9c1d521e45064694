//! Series as a picture: a line for each, real ones above and generated ones below, column by column.

use super::collection::Collection;
use crate::artifact::Artifact;
use crate::data::{Channels, write_png};
use crate::error::Result;
use crate::table::Values;

/// Columns that are shown at most.
const MOST: usize = 6;
/// Series that are laid over each other at most.
const LINES: usize = 24;
const CELL: [usize; 2] = [320, 160];
const GAP: usize = 10;
const REAL: [u8; 3] = [96, 104, 118];
const GENERATED: [u8; 3] = [30, 90, 200];

/// `n` series of each kind, or of the real ones alone.
pub fn beside(real: &Collection, generated: Option<&Collection>, n: usize, stem: &str) -> Result<Artifact> {
    let shown = real.steps.columns.len().clamp(1, MOST);
    let down = 1 + usize::from(generated.is_some());
    let (width, height) = (shown * (CELL[0] + GAP) + GAP, down * (CELL[1] + GAP) + GAP);
    let mut canvas = Canvas { pixels: vec![255; width * height * 3], width, height };
    let longest = [Some(real), generated].into_iter().flatten().flat_map(Collection::lengths).max().unwrap_or(1);
    for column in 0..shown.min(real.steps.columns.len()) {
        let level = levels(&real.steps.columns[column].values);
        for (row, (series, colour)) in [(Some(real), REAL), (generated, GENERATED)].into_iter().enumerate() {
            let Some(series) = series else { continue };
            let origin = [GAP + column * (CELL[0] + GAP), GAP + row * (CELL[1] + GAP)];
            canvas.frame(origin);
            let Some(own) = series.steps.column(&real.steps.columns[column].name) else { continue };
            // Spread over all series, so that a sorted file does not show one kind alone.
            let most = n.min(LINES).min(series.n());
            for i in 0..most {
                let points: Vec<Option<[f64; 2]>> = series
                    .range(i * series.n() / most)
                    .enumerate()
                    .map(|(step, at)| Some([step as f64 / (longest - 1).max(1) as f64, level(&own.values, at)?]))
                    .collect();
                canvas.line(origin, &points, colour);
            }
        }
    }
    let bytes = write_png(width, height, Channels::Rgb, &canvas.pixels, &[])?;
    Ok(Artifact { media_type: "image/png", extension: "png", stem: stem.to_owned(), bytes })
}

/// How high a cell lies, from 0 to 1; nothing where it is missing.
type Level = Box<dyn Fn(&Values, usize) -> Option<f64>>;

/// How high a cell lies between the least and the greatest of the real column; words lie on lines of their own.
fn levels(real: &Values) -> Level {
    match real {
        Values::Numbers(numbers) => {
            let present = numbers.iter().filter(|v| !v.is_nan());
            let (low, high) = present.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
            Box::new(move |values, row| values.number(row).map(|v| ((v - low) / (high - low).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)))
        }
        Values::Categories { words, .. } => {
            let words = words.clone();
            Box::new(move |values, row| {
                let place = words.iter().position(|word| Some(word.as_str()) == values.word(row))?;
                Some((place as f64 + 0.5) / words.len() as f64)
            })
        }
    }
}

struct Canvas {
    pixels: Vec<u8>,
    width: usize,
    height: usize,
}

impl Canvas {
    fn frame(&mut self, [x, y]: [usize; 2]) {
        for i in 0..CELL[0] {
            self.darken(x + i, y + CELL[1] - 1, [200; 3], 1.0);
        }
        for i in 0..CELL[1] {
            self.darken(x, y + i, [200; 3], 1.0);
        }
    }

    /// A line through what is there; a point that has no neighbour is a spot.
    fn line(&mut self, [x, y]: [usize; 2], points: &[Option<[f64; 2]>], colour: [u8; 3]) {
        let place =
            |[t, level]: [f64; 2]| [x as f64 + 2.0 + t * (CELL[0] - 5) as f64, y as f64 + 2.0 + (1.0 - level) * (CELL[1] - 6) as f64];
        for (i, own) in points.iter().enumerate() {
            let Some(own) = own.map(place) else { continue };
            let next = points.get(i + 1).copied().flatten().map_or(own, place);
            let n = (next[0] - own[0]).abs().max((next[1] - own[1]).abs()).ceil().max(1.0);
            for part in 0..n as usize {
                let at = [0, 1].map(|axis| own[axis] + (next[axis] - own[axis]) * part as f64 / n);
                self.darken(at[0].round() as usize, at[1].round() as usize, colour, 0.55);
            }
        }
    }

    fn darken(&mut self, x: usize, y: usize, colour: [u8; 3], share: f64) {
        if x < self.width && y < self.height {
            let pixel = &mut self.pixels[(y * self.width + x) * 3..][..3];
            pixel.iter_mut().zip(colour).for_each(|(own, c)| *own = (f64::from(*own) * (1.0 - share) + f64::from(c) * share) as u8);
        }
    }
}
