//! Columns as a picture: how often each code comes, and how numbers are distributed, real beside generated.

use crate::artifact::Artifact;
use crate::data::{Channels, write_png};
use crate::error::Result;
use crate::table::{Layout, MAX_SCORE, Rows};

/// Columns that are shown at most.
const MOST: usize = 24;
/// Charts beside each other.
const ACROSS: usize = 6;
const CELL: [usize; 2] = [160, 100];
const GAP: usize = 8;
/// Bars of a chart at most.
const BARS: usize = 24;
const REAL: [u8; 3] = [168, 176, 188];
const GENERATED: [u8; 3] = [30, 90, 200];

/// Rows whose columns are shown.
pub struct Part<'a> {
    /// How they lie.
    pub layout: &'a Layout,
    /// The data.
    pub real: &'a Rows,
    /// Generated rows, if any are shown.
    pub generated: Option<&'a Rows>,
}

/// A chart for each of the first columns of all parts: grey bars are the data, blue ones the generated rows. Codes are in the order of their frequency in the data; where a column has numbers, their
/// distribution stands to the right of the codes.
pub fn columns(parts: &[Part<'_>], stem: &str) -> Result<Artifact> {
    let all = parts.iter().flat_map(|part| (0..part.layout.n_columns()).map(move |column| bars(part, column)));
    let shown: Vec<Vec<[f64; 2]>> = all.take(MOST).collect();
    let (across, down) = (shown.len().clamp(1, ACROSS), shown.len().div_ceil(ACROSS).max(1));
    let (width, height) = (across * (CELL[0] + GAP) + GAP, down * (CELL[1] + GAP) + GAP);
    let mut canvas = Canvas { pixels: vec![255; width * height * 3], width };
    for (column, bars) in shown.iter().enumerate() {
        let origin = [GAP + column % ACROSS * (CELL[0] + GAP), GAP + column / ACROSS * (CELL[1] + GAP)];
        canvas.chart(origin, bars);
    }
    let bytes = write_png(width, height, Channels::Rgb, &canvas.pixels, &[])?;
    Ok(Artifact { media_type: "image/png", extension: "png", stem: stem.to_owned(), bytes })
}

/// Shares of real and of generated rows, bar by bar.
fn bars(part: &Part<'_>, column: usize) -> Vec<[f64; 2]> {
    let Part { layout, real, generated } = *part;
    let both = |count: &dyn Fn(&Rows) -> Vec<f64>| -> Vec<[f64; 2]> {
        let (a, b) = (count(real), generated.map(count));
        a.iter().enumerate().map(|(i, v)| [*v, b.as_ref().map_or(0.0, |b| b[i])]).collect()
    };
    let mut out = Vec::new();
    if let Some(block) = layout.categories.iter().position(|(own, _)| *own == column) {
        let k = layout.categories[block].1;
        let mut codes = both(&|rows| {
            let mut counts = vec![0.0; k];
            (0..rows.n).for_each(|row| counts[rows.codes_of(row)[block] as usize] += 1.0 / rows.n.max(1) as f64);
            counts
        });
        codes.sort_by(|a, b| b[0].total_cmp(&a[0]));
        codes.truncate(BARS);
        out.extend(codes);
    }
    if let Some(number) = layout.numbers.iter().position(|(own, _)| *own == column) {
        let gate = layout.numbers[number].1;
        out.extend(both(&|rows| {
            let mut counts = vec![0.0; BARS / 2];
            let meant = (0..rows.n).filter(|row| gate.is_none_or(|(block, code)| rows.codes_of(*row)[block] as usize == code));
            let values: Vec<f32> = meant.map(|row| rows.numbers_of(row)[number]).collect();
            for value in &values {
                let place = (value + MAX_SCORE) / (2.0 * MAX_SCORE) * counts.len() as f32;
                let place = (place as usize).min(counts.len() - 1);
                counts[place] += 1.0 / values.len() as f64;
            }
            counts
        }));
    }
    out
}

struct Canvas {
    pixels: Vec<u8>,
    width: usize,
}

impl Canvas {
    fn chart(&mut self, [x, y]: [usize; 2], bars: &[[f64; 2]]) {
        let most = bars.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
        let wide = (CELL[0] / bars.len().max(1)).clamp(2, 24);
        for (i, [real, generated]) in bars.iter().enumerate() {
            let left = x + i * wide;
            let half = (wide / 2).max(1);
            self.bar([left, y], half, real / most, REAL);
            self.bar([left + half, y], (wide - half).saturating_sub(1).max(1), generated / most, GENERATED);
        }
        self.fill([x, y + CELL[1] - 1], [CELL[0], 1], [120; 3]);
    }

    fn bar(&mut self, [x, y]: [usize; 2], width: usize, share: f64, colour: [u8; 3]) {
        let height = (share.clamp(0.0, 1.0) * (CELL[1] - 2) as f64).round() as usize;
        self.fill([x, y + CELL[1] - 1 - height], [width, height], colour);
    }

    fn fill(&mut self, [x, y]: [usize; 2], [width, height]: [usize; 2], colour: [u8; 3]) {
        for row in y..y + height {
            for column in x..(x + width).min(self.width) {
                if let Some(pixel) = self.pixels.get_mut((row * self.width + column) * 3..(row * self.width + column) * 3 + 3) {
                    pixel.copy_from_slice(&colour);
                }
            }
        }
    }
}
