//! Rows from a generator, while it trains or from a model folder.

use std::sync::{Arc, LazyLock};

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::nets::RowGenerator;
use crate::random;
use crate::table::{Layout, MAX_SCORE, Rows};
use crate::train::SampleId;
use crate::train::latents::latent;

/// Rows are computed this many at a time, always exactly so many: a row does not depend on which others are drawn with it.
const CHUNK: usize = 1024;
/// Rows that are drawn together.
const WINDOW: usize = 8 * CHUNK;
/// Rounds of the adjustment of single columns.
const ROUNDS: usize = 12;
/// Share of the way to the right frequency that a round goes, in logits.
const RATE: f64 = 0.7;
/// Knots of the adjustment of numbers.
const KNOTS: usize = 65;
/// Latents that are tried for a number that must lie in an interval, before it is put there.
const TRIES: usize = 16;

/// What brings single columns to the frequencies of the data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Added to the logit of each code.
    pub codes: Vec<f32>,
    /// Of each number, rising values and what they become.
    pub numbers: Vec<Vec<[f32; 2]>>,
}

impl Calibration {
    /// Whether it is one of rows of a layout, or of none: for one that comes from a file.
    pub fn fits(&self, layout: &Layout) -> bool {
        let rising = |knots: &Vec<[f32; 2]>| knots.iter().flatten().all(|v| v.is_finite()) && knots.windows(2).all(|w| w[0][0] < w[1][0]);
        let is_none = self.codes.is_empty() && self.numbers.is_empty();
        (is_none || self.codes.len() == layout.n_codes() && self.numbers.len() == layout.numbers.len())
            && self.codes.iter().all(|v| v.is_finite())
            && self.numbers.iter().all(rising)
    }
}

/// What is known of one block of a row before it is drawn.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Column among those that are modelled.
    pub column: usize,
    /// Codes that its categories may have; nothing if it has none.
    pub codes: Option<Vec<bool>>,
    /// Intervals that its number may lie in, where it has one.
    pub intervals: Vec<[f32; 2]>,
}

/// What is known of rows, the same columns in each.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The rows; columns that are not known hold anything.
    pub rows: &'a Rows,
    /// How many columns are known, the first ones.
    pub n_columns: usize,
}

/// Draws rows.
pub struct Drawer<'a> {
    pub net: &'a RowGenerator,
    pub layout: &'a Arc<Layout>,
    pub calibration: &'a Calibration,
    pub device: &'a Device,
    /// How often the rows were drawn before: each time they come out differently.
    pub attempt: usize,
    /// How often every column is drawn once more, given all the others.
    pub sweeps: usize,
}

/// A row that is partly known.
#[derive(Clone)]
struct Partial {
    codes: Vec<u32>,
    numbers: Vec<f32>,
    is_given: Vec<bool>,
    /// How much of the calibration counts.
    calibrated: f32,
}

impl Drawer<'_> {
    /// Rows of these identities, each with what is wanted of some columns. Columns are drawn one after the other where several are wanted, each given those before it.
    pub fn draw(&self, ids: &[SampleId], wanted: &[Wanted], truncation: f64) -> Rows {
        let mut rows = Rows::default();
        for ids in ids.chunks(WINDOW) {
            let empty = self.empty();
            self.finish(ids, vec![empty; ids.len()], (wanted, truncation), (true, &[]))
                .iter()
                .for_each(|row| rows.push(&row.codes, &row.numbers));
        }
        rows
    }

    /// The rows with the columns that are not given drawn. The less is to be drawn of a row, the less the calibration counts, which is for whole rows: where one column alone is, the generator is taken at its
    /// word. `missing` are the codes of missing cells, by block of categories: none of those is drawn.
    pub fn complete(&self, ids: &[SampleId], (known, is_given): (&Rows, &[Vec<bool>]), missing: &[Option<u32>]) -> Rows {
        let mut rows = Rows::default();
        for (window, ids) in ids.chunks(WINDOW).enumerate() {
            let partial = |i: usize| {
                let row = window * WINDOW + i;
                let open = is_given[row].iter().filter(|given| !**given).count();
                let calibrated = open.saturating_sub(1) as f32 / (is_given[row].len().max(2) - 1) as f32;
                let is_given = is_given[row].clone();
                Partial { codes: known.codes_of(row).to_vec(), numbers: known.numbers_of(row).to_vec(), is_given, calibrated }
            };
            let begun = (0..ids.len()).map(partial).collect();
            self.finish(ids, begun, (&[], 1.0), (false, missing)).iter().for_each(|row| rows.push(&row.codes, &row.numbers));
        }
        rows
    }

    /// Rows of these identities that go on from what is known of them.
    pub fn go_on(&self, ids: &[SampleId], known: Known<'_>, truncation: f64) -> Rows {
        let mut rows = Rows::default();
        for (window, ids) in ids.chunks(WINDOW).enumerate() {
            let begun = (0..ids.len()).map(|i| self.begun(known, window * WINDOW + i)).collect();
            self.finish(ids, begun, (&[], truncation), (known.n_columns == 0, &[]))
                .iter()
                .for_each(|row| rows.push(&row.codes, &row.numbers));
        }
        rows
    }

    fn begun(&self, known: Known<'_>, row: usize) -> Partial {
        Partial {
            codes: known.rows.codes_of(row).to_vec(),
            numbers: known.rows.numbers_of(row).to_vec(),
            is_given: (0..self.layout.n_columns()).map(|column| column < known.n_columns).collect(),
            calibrated: 1.0,
        }
    }

    fn empty(&self) -> Partial {
        Partial {
            codes: vec![0; self.layout.categories.len()],
            numbers: vec![0.0; self.layout.numbers.len()],
            is_given: vec![false; self.layout.n_columns()],
            calibrated: 1.0,
        }
    }

    /// Rows with all their columns. `is_new`: nothing is given of any of them yet.
    fn finish(
        &self,
        ids: &[SampleId],
        mut rows: Vec<Partial>,
        (wanted, truncation): (&[Wanted], f64),
        (mut is_new, missing): (bool, &[Option<u32>]),
    ) -> Vec<Partial> {
        let mut is_fixed: Vec<Vec<bool>> = if self.sweeps > 0 { rows.iter().map(|row| row.is_given.clone()).collect() } else { Vec::new() };
        is_fixed.iter_mut().for_each(|fixed| wanted.iter().for_each(|wanted| fixed[wanted.column] = true));
        // What is certain comes first, so that the rest is drawn knowing it.
        let (certain, open): (Vec<&Wanted>, Vec<&Wanted>) = wanted.iter().partition(|wanted| wanted.is_certain());
        for wanted in certain.iter().chain(&open) {
            let purpose = format!("where-{}{}", wanted.column, self.again());
            self.pass(ids, &mut rows, (&purpose, truncation, is_new), Some(wanted), missing);
            is_new = false;
        }
        self.pass(ids, &mut rows, (&self.again(), truncation, is_new), None, missing);
        self.sweep(ids, &mut rows, &is_fixed, (truncation, missing));
        rows
    }

    /// Draws every column that is not fixed once more, given all the others, one after the other: Gibbs sampling (Geman and Geman, "Stochastic Relaxation, Gibbs Distributions, and the Bayesian Restoration of
    /// Images", 1984), for missing cells that of van Buuren's chained equations. A row with a single such column has been drawn like this already.
    fn sweep(&self, ids: &[SampleId], rows: &mut [Partial], is_fixed: &[Vec<bool>], (truncation, missing): (f64, &[Option<u32>])) {
        let is_open = |row: &usize, column: usize| !is_fixed[*row][column] && is_fixed[*row].iter().filter(|fixed| !**fixed).count() > 1;
        for sweep in 0..self.sweeps {
            for column in 0..self.layout.n_columns() {
                let open: Vec<usize> = (0..rows.len()).filter(|row| is_open(row, column)).collect();
                let own_ids: Vec<SampleId> = open.iter().map(|row| ids[*row]).collect();
                let hidden = |row: &usize| {
                    let mut row = Partial { calibrated: 0.0, ..rows[*row].clone() };
                    row.is_given[column] = false;
                    row
                };
                let mut own: Vec<Partial> = open.iter().map(hidden).collect();
                let purpose = format!("sweep-{sweep}-{column}{}", self.again());
                self.pass(&own_ids, &mut own, (&purpose, truncation, false), None, missing);
                open.into_iter().zip(own).for_each(|(row, drawn)| rows[row] = drawn);
            }
        }
    }

    /// One pass through the generator, after which the wanted column is given, or all are.
    fn pass(&self, ids: &[SampleId], rows: &mut [Partial], how: (&str, f64, bool), wanted: Option<&Wanted>, missing: &[Option<u32>]) {
        let (noise, logits) = self.raw(ids, rows, how);
        let (width, n_noise) = (self.layout.width(), self.net.noise());
        let found = match wanted.filter(|wanted| wanted.needs_number()) {
            Some(wanted) => self.tried(ids, rows, how, (wanted, &logits)),
            None => vec![None; rows.len()],
        };
        rows.par_iter_mut().enumerate().for_each(|(i, row)| {
            let raw = &logits[i * width..(i + 1) * width];
            let gumbel = &noise[i * n_noise + n_noise - self.layout.n_codes()..(i + 1) * n_noise];
            self.decide(row, (raw, gumbel, found[i]), wanted, missing);
        });
    }

    /// For each row whose number does not lie where it must, one of other latents that does, if there is one among a few.
    fn tried(
        &self,
        ids: &[SampleId],
        rows: &[Partial],
        (purpose, truncation, is_new): (&str, f64, bool),
        (wanted, logits): (&Wanted, &[f32]),
    ) -> Vec<Option<f32>> {
        let mut found = vec![None; rows.len()];
        let Some(number) = self.layout.numbers.iter().position(|(column, _)| *column == wanted.column) else { return found };
        let (width, place) = (self.layout.width(), self.layout.n_codes() + number);
        let at = |logits: &[f32], i: usize| self.adjusted(number, logits[i * width + place], 1.0);
        let mut open: Vec<usize> = (0..rows.len()).filter(|i| !is_inside(at(logits, *i), &wanted.intervals)).collect();
        for attempt in 1..TRIES {
            if open.is_empty() {
                break;
            }
            let own_ids: Vec<SampleId> = open.iter().map(|i| ids[*i]).collect();
            let own_rows: Vec<Partial> = open.iter().map(|i| rows[*i].clone()).collect();
            let (_, logits) = self.raw(&own_ids, &own_rows, (&format!("{purpose}-{attempt}"), truncation, is_new));
            for (i, row) in open.iter().enumerate() {
                found[*row] = Some(at(&logits, i)).filter(|value| is_inside(*value, &wanted.intervals));
            }
            open.retain(|row| found[*row].is_none());
        }
        found
    }

    /// What tells the noise of this attempt from that of others.
    fn again(&self) -> String {
        if self.attempt == 0 { String::new() } else { format!("-again-{}", self.attempt) }
    }

    /// Noise of rows, and what the generator makes of it.
    fn raw(&self, ids: &[SampleId], rows: &[Partial], how: (&str, f64, bool)) -> (Vec<f32>, Vec<f32>) {
        let (mut noise, mut logits) = (Vec::new(), Vec::new());
        for (ids, rows) in ids.chunks(CHUNK).zip(rows.chunks(CHUNK)) {
            let (own, raw) = self.raw_chunk(ids, rows, how);
            noise.extend_from_slice(&own[..ids.len() * self.net.noise()]);
            logits.extend_from_slice(&raw[..ids.len() * self.layout.width()]);
        }
        (noise, logits)
    }

    /// The same of at most [`CHUNK`] rows; rows that are left over are zero.
    fn raw_chunk(&self, ids: &[SampleId], rows: &[Partial], (purpose, truncation, is_new): (&str, f64, bool)) -> (Vec<f32>, Vec<f32>) {
        let (n_noise, latent_dim) = (self.net.noise(), self.net.noise() - self.layout.n_codes());
        let of = |id: &SampleId| {
            let mut noise = if purpose.is_empty() {
                latent(*id, n_noise)
            } else {
                random::normal(n_noise, &mut random::stream(id.seed, purpose, id.index))
            };
            noise[..latent_dim].iter_mut().for_each(|v| *v *= truncation as f32);
            noise
        };
        let mut noise: Vec<f32> = ids.par_iter().flat_map_iter(of).collect();
        noise.resize(CHUNK * n_noise, 0.0);
        let conditions = || {
            let columns = self.layout.columns();
            let mut conditions = Vec::with_capacity(CHUNK * self.layout.condition());
            for row in rows {
                let begin = conditions.len();
                self.layout.write(&row.codes, &row.numbers, &mut conditions);
                conditions[begin..].iter_mut().zip(&columns).filter(|(_, column)| !row.is_given[**column]).for_each(|(v, _)| *v = 0.0);
                conditions.extend(row.is_given.iter().map(|given| f32::from(u8::from(*given))));
            }
            conditions.resize(CHUNK * self.layout.condition(), 0.0);
            conditions
        };
        let latents: Vec<f32> = noise.chunks_exact(n_noise).flat_map(|noise| noise[..latent_dim].iter().copied()).collect();
        let tensor = |values, width| Tensor::<2>::from_data(TensorData::new(values, [CHUNK, width]), self.device);
        let raw = self.net.raw(tensor(latents, latent_dim), (!is_new).then(|| tensor(conditions(), self.layout.condition())));
        (noise, raw.into_data().convert::<f32>().try_to_vec::<f32>().expect("converted to f32"))
    }

    /// Sets the wanted column of a row, or all that are not given.
    fn decide(
        &self,
        row: &mut Partial,
        (raw, noise, found): (&[f32], &[f32], Option<f32>),
        wanted: Option<&Wanted>,
        missing: &[Option<u32>],
    ) {
        let mut first = 0;
        for (block, (column, n)) in self.layout.categories.iter().enumerate() {
            let places = first..first + n;
            first += n;
            if row.is_given[*column] || wanted.is_some_and(|wanted| wanted.column != *column) {
                continue;
            }
            let admissible = wanted.and_then(|wanted| wanted.codes.as_ref());
            let score = |code: usize| {
                let place = places.start + code;
                raw[place] + row.calibrated * self.calibration.codes.get(place).copied().unwrap_or(0.0) + gumbel(noise[place])
            };
            let barred = missing.get(block).copied().flatten();
            let codes = (0..*n).filter(|code| admissible.is_none_or(|codes| codes[*code]) && Some(*code as u32) != barred);
            let best = codes.map(|code| (code, score(code))).max_by(|a, b| a.1.total_cmp(&b.1));
            row.codes[block] = best.map_or(0, |(code, _)| code) as u32;
        }
        let n_codes = self.layout.n_codes();
        for (i, (column, gate)) in self.layout.numbers.iter().enumerate() {
            if row.is_given[*column] || wanted.is_some_and(|wanted| wanted.column != *column) {
                continue;
            }
            let means_something = gate.is_none_or(|(block, code)| row.codes[block] as usize == code);
            row.numbers[i] = if means_something {
                let number = self.adjusted(i, raw[n_codes + i], row.calibrated);
                match wanted.map(|wanted| wanted.intervals.as_slice()).filter(|intervals| !intervals.is_empty()) {
                    Some(intervals) => found.unwrap_or_else(|| nearest(number, intervals)),
                    None => number,
                }
            } else {
                0.0
            };
        }
        match wanted {
            Some(wanted) => row.is_given[wanted.column] = true,
            None => row.is_given.fill(true),
        }
    }

    fn adjusted(&self, i: usize, value: f32, calibrated: f32) -> f32 {
        let value = match self.calibration.numbers.get(i) {
            Some(knots) if knots.len() > 1 => calibrated * through(knots, value) + (1.0 - calibrated) * value,
            _ => value,
        };
        value.clamp(-MAX_SCORE, MAX_SCORE)
    }

    /// Finds what brings every single column to the frequencies of the data: `shares` of the codes, and numbers that are normal. From `n` rows of one seed, which go on from the known ones in turn. Columns
    /// that are known stay as they are.
    pub fn calibrated(&self, shares: &[f64], (seed, n): (u64, usize), known: Option<Known<'_>>) -> Calibration {
        let plain = Calibration::default();
        let drawer = Drawer { calibration: &plain, ..*self };
        let ids: Vec<SampleId> = (0..n as u64).map(|index| SampleId { seed, index }).collect();
        let (width, n_codes) = (self.layout.width(), self.layout.n_codes());
        let mut scores = Vec::with_capacity(n * width);
        let begun = |id: &SampleId| known.map_or_else(|| self.empty(), |known| self.begun(known, id.index as usize % known.rows.n.max(1)));
        let n_known = known.map_or(0, |known| known.n_columns);
        for ids in ids.chunks(CHUNK) {
            let (noise, raw) = drawer.raw(ids, &ids.iter().map(begun).collect::<Vec<_>>(), ("", 1.0, n_known == 0));
            let n_noise = self.net.noise();
            for i in 0..ids.len() {
                let gumbels = noise[i * n_noise + n_noise - n_codes..(i + 1) * n_noise].iter().map(|v| gumbel(*v));
                scores.extend(raw[i * width..i * width + n_codes].iter().zip(gumbels).map(|(logit, noise)| logit + noise));
                scores.extend_from_slice(&raw[i * width + n_codes..(i + 1) * width]);
            }
        }
        let mut first = 0;
        let mut codes = vec![0.0f32; n_codes];
        let mut chosen: Vec<Vec<u32>> = Vec::new();
        for (column, k) in &self.layout.categories {
            if *column < n_known {
                chosen.push(Vec::new());
            } else {
                let (bias, own) = adjusted_block(&scores, (width, first, *k), &shares[first..first + k]);
                codes[first..first + k].copy_from_slice(&bias);
                chosen.push(own);
            }
            first += k;
        }
        let number = |i: usize| {
            let (column, gate) = self.layout.numbers[i];
            if column < n_known {
                return Vec::new();
            }
            let counts = |row: &usize| gate.is_none_or(|(block, code)| chosen[block][*row] as usize == code);
            let mut values: Vec<f32> = (0..n).filter(counts).map(|row| scores[row * width + n_codes + i]).collect();
            values.sort_by(f32::total_cmp);
            knots(&values)
        };
        Calibration { codes, numbers: (0..self.layout.numbers.len()).map(number).collect() }
    }
}

impl Wanted {
    /// One code and no number.
    fn is_certain(&self) -> bool {
        self.codes.as_ref().is_some_and(|codes| codes.iter().filter(|code| **code).count() == 1) && !self.needs_number()
    }

    fn needs_number(&self) -> bool {
        !self.intervals.is_empty()
    }
}

fn is_inside(number: f32, intervals: &[[f32; 2]]) -> bool {
    intervals.iter().any(|[low, high]| (*low..=*high).contains(&number))
}

/// The place in the intervals that is nearest to a number: the number itself, if it lies in one.
fn nearest(number: f32, intervals: &[[f32; 2]]) -> f32 {
    let ends = intervals.iter().map(|[low, high]| number.clamp(*low, *high));
    ends.min_by(|a, b| (a - number).abs().total_cmp(&(b - number).abs())).unwrap_or(number)
}

/// Largest normal number whose rank is told from 1, as in training.
const LARGEST: f64 = 4.75;
/// Steps of the table of Gumbel noise to a standard deviation; between two of them it is straight, at most 3e-6 off.
const STEPS: usize = 256;

/// Gumbel noise of the same rank as a normal number.
fn gumbel(normal: f32) -> f32 {
    static TABLE: LazyLock<Vec<f32>> = LazyLock::new(|| {
        let last = (2.0 * LARGEST * STEPS as f64) as usize;
        (0..=last + 1).map(|i| exact_gumbel(i as f64 / STEPS as f64 - LARGEST) as f32).collect()
    });
    let at = (normal.clamp(-LARGEST as f32, LARGEST as f32) + LARGEST as f32) * STEPS as f32;
    let (table, low) = (&*TABLE, at as usize);
    let between = at - low as f32;
    table[low] + between * (table[low + 1] - table[low])
}

fn exact_gumbel(normal: f64) -> f64 {
    let uniform = normal_cdf(normal).clamp(1e-6, 1.0 - 1e-6);
    -(-uniform.ln()).ln()
}

/// Distribution function of the standard normal: Abramowitz and Stegun, "Handbook of Mathematical Functions", 7.1.26, at most 1.5e-7 off.
fn normal_cdf(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let tail = t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429)))) * (-z * z).exp();
    if x >= 0.0 { 1.0 - 0.5 * tail } else { 0.5 * tail }
}

/// Logits to add to the codes of a block so that they come as often as the data has them, and the codes that are then chosen.
fn adjusted_block(scores: &[f32], (width, first, k): (usize, usize, usize), shares: &[f64]) -> (Vec<f32>, Vec<u32>) {
    let n = scores.len() / width;
    let mut bias = vec![0.0f32; k];
    let choose = |bias: &[f32]| -> Vec<u32> {
        let code = |row: usize| {
            let own = &scores[row * width + first..row * width + first + k];
            (0..k).max_by(|a, b| (own[*a] + bias[*a]).total_cmp(&(own[*b] + bias[*b]))).unwrap_or(0) as u32
        };
        (0..n).into_par_iter().map(code).collect()
    };
    for _ in 0..ROUNDS {
        let mut counts = vec![0usize; k];
        choose(&bias).iter().for_each(|code| counts[*code as usize] += 1);
        for ((bias, count), share) in bias.iter_mut().zip(&counts).zip(shares) {
            // Half a row, so that a code of which none is drawn can come back.
            let own = (*count as f64 + 0.5) / n as f64;
            *bias += (RATE * (share.max(0.25 / n as f64) / own).ln()).clamp(-3.0, 3.0) as f32;
        }
    }
    let chosen = choose(&bias);
    (bias, chosen)
}

/// Where the quantiles of some rising values should lie so that they are standard normal.
fn knots(values: &[f32]) -> Vec<[f32; 2]> {
    if values.len() < 10 * KNOTS {
        return Vec::new();
    }
    let mut knots: Vec<[f32; 2]> = Vec::with_capacity(KNOTS);
    for i in 0..KNOTS {
        let share = (i as f64 + 0.5) / KNOTS as f64;
        let value = values[(share * values.len() as f64) as usize];
        let target = normal_quantile(share) as f32;
        match knots.last() {
            Some([last, _]) if value <= *last => {}
            _ => knots.push([value, target]),
        }
    }
    knots
}

/// By straight lines between the knots, and beside them by their last slope.
fn through(knots: &[[f32; 2]], value: f32) -> f32 {
    let i = knots.partition_point(|[at, _]| *at <= value).clamp(1, knots.len() - 1);
    let ([a, fa], [b, fb]) = (knots[i - 1], knots[i]);
    fa + (value - a) / (b - a) * (fb - fa)
}

/// Quantile of the standard normal, by bisection of its distribution function.
fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if normal_cdf(middle) < share { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_is_that_of_the_tables() {
        for (x, share) in [(0.0, 0.5), (1.0, 0.841_344_7), (-1.959_964, 0.025), (3.0, 0.998_650_1)] {
            assert!((normal_cdf(x) - share).abs() < 2e-7, "{x}");
            assert!((normal_quantile(share) - x).abs() < 2e-5, "{share}");
        }
    }

    #[test]
    fn noise_of_categories_is_gumbels() {
        for normal in random::normal(2000, &mut random::stream(0, "normal", 0)).into_iter().chain([-9.0, -4.75, 4.75, 9.0, 0.0]) {
            let exact = exact_gumbel(f64::from(normal).clamp(-LARGEST, LARGEST));
            assert!((f64::from(gumbel(normal)) - exact).abs() < 2e-4 * (1.0 + exact.abs()), "{normal}");
        }
    }

    #[test]
    fn codes_and_numbers_are_brought_to_their_frequencies() {
        // Scores of three codes with Gumbel noise, far from what is wanted, and a number that is not normal.
        let n = 20_000;
        let noise = random::normal(n * 4, &mut random::stream(0, "scores", 0));
        let scores: Vec<f32> =
            noise.chunks_exact(4).flat_map(|v| [gumbel(v[0]) + 2.0, gumbel(v[1]), gumbel(v[2]) - 1.0, v[3].exp()]).collect();
        let shares = [0.2, 0.3, 0.5];
        let (_, chosen) = adjusted_block(&scores, (4, 0, 3), &shares);
        for (code, share) in shares.iter().enumerate() {
            let own = chosen.iter().filter(|c| **c as usize == code).count() as f64 / n as f64;
            assert!((own - share).abs() < 0.005, "{code}: {own}");
        }
        let mut values: Vec<f32> = scores.chunks_exact(4).map(|row| row[3]).collect();
        values.sort_by(f32::total_cmp);
        let knots = knots(&values);
        let mapped: Vec<f64> = values.iter().map(|v| f64::from(through(&knots, *v))).collect();
        let mean = mapped.iter().sum::<f64>() / n as f64;
        let inside = mapped.iter().filter(|v| v.abs() < 1.0).count() as f64 / n as f64;
        assert!(mean.abs() < 0.03 && (inside - 0.6827).abs() < 0.01, "{mean} {inside}");
    }

    #[test]
    fn a_number_that_must_lie_somewhere_lies_there() {
        assert!(is_inside(0.5, &[[0.0, 1.0]]) && !is_inside(3.0, &[[0.0, 1.0]]));
        assert_eq!((nearest(0.5, &[[0.0, 1.0]]), nearest(3.0, &[[-1.0, 0.0], [1.0, 2.0]])), (0.5, 2.0));
    }
}
