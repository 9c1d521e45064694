//! Products of row-major matrices: a fully connected layer forward, its gradient in the input, its gradient in the weights.

use std::ops::Range;

use crate::bias_act::BiasAct;
use crate::fill::filled;
use crate::panels::{OnPanel, Panels};
use crate::scratch::with_scratch;
use crate::simd::{Body, LANES, Lanes, dispatch, moving};
use crate::threads::{each, map, threads};
use crate::tile::{Run, add_products, add_rows, add_to, copy, store, sums};

/// Rows of a register tile.
const TILE: usize = 8;
/// Units of work that a product is cut into at most.
const PIECES: usize = 16;
/// Products that a unit of work has at least; below two units threads are not worth their start.
const UNIT: usize = 1 << 19;
/// Rows of a product that are computed before the next ones are looked at: their results stay in the cache until they are done.
const ROWS: usize = 64;
/// Up to so many rows, weights are laid out bit by bit and used at once, and it is the columns that are shared among threads.
const FEW: usize = 128;
/// Vectors of weights that are laid out at once then: 16 KiB.
const WEIGHTS_AT_ONCE: usize = 256;
/// Rows that are summed in registers before they are added to memory, in [`matmul_tn`].
pub(crate) const RUN: usize = 256;
/// Results of [`matmul_tn`] up to this many values are summed over pieces of the rows and then added up.
const SMALL: usize = 1 << 16;

/// `x w`: `x [n, k]`, `w [k, m]` to `[n, m]`.
///
/// # Panics
/// If a length does not fit.
pub fn matmul(x: &[f32], w: &[f32], [k, m]: [usize; 2], act: Option<BiasAct<'_>>) -> Vec<f32> {
    assert!(w.len() == k * m && x.len().is_multiple_of(k.max(1)), "matmul: lengths do not fit");
    assert!(act.is_none_or(|act| act.bias.len() == m), "matmul: the bias does not fit");
    let panels = Panels::of(m);
    let row = |row: usize, first: usize, to: &mut [f32]| copy(to, &w[row * m + first..][..to.len()]);
    if panels.suit_few_rows(x.len() / k.max(1)) {
        return panels.product_of_few(x, k, row, act);
    }
    panels.packed(k, row, |packed| panels.product(x, packed, k, act))
}

/// `g wᵀ`: `g [n, m]`, `w [k, m]` to `[n, k]`.
///
/// # Panics
/// If a length does not fit.
pub fn matmul_nt(g: &[f32], w: &[f32], [k, m]: [usize; 2]) -> Vec<f32> {
    assert!(w.len() == k * m && g.len().is_multiple_of(m.max(1)), "matmul_nt: lengths do not fit");
    let panels = Panels::of(k);
    let row = |column: usize, first: usize, to: &mut [f32]| {
        to.iter_mut().zip(w[first * m + column..].iter().step_by(m)).for_each(|(to, w)| *to = *w);
    };
    if panels.suit_few_rows(g.len() / m.max(1)) {
        return panels.product_of_few(g, m, row, None);
    }
    panels.packed(m, row, |packed| panels.product(g, packed, m, None))
}

/// `xᵀ g`: `x [n, k]`, `g [n, m]` to `[k, m]`.
///
/// # Panics
/// If a length does not fit.
pub fn matmul_tn(x: &[f32], g: &[f32], [k, m]: [usize; 2]) -> Vec<f32> {
    let fits = k > 0 && m > 0 && x.len().is_multiple_of(k) && g.len().is_multiple_of(m) && g.len() / m == x.len() / k;
    assert!(fits, "matmul_tn: lengths do not fit");
    let (n, pieces) = (x.len() / k, pieces(x.len() * m));
    if k * m > SMALL || n <= RUN {
        // The result is cut into pieces, each of which is summed over all rows. Each lays out all of `g`, so that there are no more of them than threads; how many
        // changes no sum.
        let pieces = pieces.min(threads());
        let rows = k.div_ceil(pieces).next_multiple_of(TILE);
        return filled(
            k * m,
            rows * m,
            pieces,
            || (),
            |(), piece, out| {
                let own = piece * rows..piece * rows + out.len() / m;
                add_tn(x.chunks_exact(k).map(|row| &row[own.clone()]), g, [own.len(), m], out);
            },
        );
    }
    // The rows are cut into pieces, each of which is summed for itself.
    let rows = n.div_ceil(pieces).next_multiple_of(RUN);
    let sums = map(x.chunks(rows * k).zip(g.chunks(rows * m)), |_, (x, g)| {
        let mut sum = vec![0.0; k * m];
        add_tn(x.chunks_exact(k), g, [k, m], &mut sum);
        sum
    });
    sums.into_iter()
        .reduce(|mut total, sum| {
            total.iter_mut().zip(&sum).for_each(|(total, sum)| *total += sum);
            total
        })
        .unwrap_or_else(|| vec![0.0; k * m])
}

/// Adds `xᵀ g` over all rows to `out [k, m]`, on this thread.
fn add_tn<'a>(mut x: impl Iterator<Item = &'a [f32]>, g: &[f32], [k, m]: [usize; 2], out: &mut [f32]) {
    let (panels, tiles) = (Panels::of(m), k.div_ceil(TILE));
    let columns_len = panels.count * RUN * panels.width();
    with_scratch(columns_len + tiles * RUN * TILE, |scratch| {
        // Panels `[panel, RUN, width]` of `g` and strips `[tile, RUN]` of `x`. What lies beyond the last column of either is anything: it is never stored.
        let (columns, strips) = scratch.split_at_mut(columns_len);
        let (strips, _) = strips.as_chunks_mut::<TILE>();
        for g in g.chunks(RUN * m) {
            // The iterator that ends first stands first: a zip that ends has taken one more from what stands before it.
            moving(|| {
                for (i, (g, x)) in g.chunks_exact(m).zip(x.by_ref()).enumerate() {
                    for (panel, values) in g.chunks(panels.width()).enumerate() {
                        copy(&mut columns[(panel * RUN + i) * panels.width()..][..values.len()], values);
                    }
                    for (tile, values) in x.chunks(TILE).enumerate() {
                        copy(&mut strips[tile * RUN + i][..values.len()], values);
                    }
                }
            });
            let (columns, panel_step, strips, length) = (&*columns, RUN * panels.width(), &*strips, g.len() / m);
            match panels.vectors {
                1 => dispatch(Gradient::<1, TILE> { panels, columns, panel_step, strips, length, out }),
                _ => dispatch(Gradient::<2, TILE> { panels, columns, panel_step, strips, length, out }),
            }
        }
    });
}

/// Units of work for so many products, by shape alone.
fn pieces(products: usize) -> usize {
    (products / UNIT).clamp(1, PIECES)
}

impl Panels {
    /// Runs `work` with a matrix of `depth` rows as panels `[panel, depth, width]`. `row(i, first, to)` writes row `i` from column `first` on. What lies beyond the
    /// last column is anything: its products are never stored.
    fn packed<T>(&self, depth: usize, row: impl Fn(usize, usize, &mut [f32]) + Sync, work: impl FnOnce(&[f32]) -> T) -> T {
        let unit = depth * self.width();
        with_scratch(self.count * unit, |packed| {
            let pack = |(panel, packed): (usize, &mut [f32])| {
                let channels = self.columns_in(panel);
                moving(|| {
                    for (i, to) in packed.chunks_exact_mut(self.width()).enumerate() {
                        row(i, panel * self.width(), &mut to[..channels]);
                    }
                });
            };
            if pieces(depth * self.columns * 16) > 1 {
                each(packed.chunks_mut(unit.max(1)), || (), |(), panel, packed| pack((panel, packed)));
            } else {
                packed.chunks_mut(unit.max(1)).enumerate().for_each(pack);
            }
            work(packed)
        })
    }

    /// `x [n, depth]` times what [`Panels::packed`] gives.
    fn product(&self, x: &[f32], packed: &[f32], depth: usize, act: Option<BiasAct<'_>>) -> Vec<f32> {
        let (m, n) = (self.columns, x.len() / depth.max(1));
        let pieces = pieces(n * depth * m);
        let rows = n.div_ceil(pieces).next_multiple_of(TILE).clamp(TILE, ROWS);
        filled(
            n * m,
            rows * m,
            pieces,
            || (),
            |(), piece, out| {
                let x = &x[piece * rows * depth..][..out.len() / m * depth];
                match self.vectors {
                    1 => dispatch(Product::<1> { panels: *self, x, packed, depth, act, out }),
                    _ => dispatch(Product::<2> { panels: *self, x, packed, depth, act, out }),
                }
            },
        )
    }
}

impl Panels {
    /// Whether [`Panels::product_of_few`] is the way for `n` rows: the columns must be enough for several threads.
    fn suit_few_rows(&self, n: usize) -> bool {
        n <= FEW && self.count >= 4
    }

    /// `x [n, depth]` times a matrix whose rows `row` writes, as in [`Panels::packed`].
    fn product_of_few(&self, x: &[f32], depth: usize, row: impl Fn(usize, usize, &mut [f32]) + Sync, act: Option<BiasAct<'_>>) -> Vec<f32> {
        let (n, width) = (x.len() / depth.max(1), self.width());
        let one = |panel: usize| {
            let mut out = vec![0.0; n * width];
            let rows = WEIGHTS_AT_ONCE / self.vectors;
            with_scratch(rows * width, |packed| {
                for start in (0..depth).step_by(rows) {
                    let rows = start..(start + rows).min(depth);
                    moving(|| {
                        for (i, to) in rows.clone().zip(packed.chunks_exact_mut(width)) {
                            row(i, panel * width, &mut to[..self.columns_in(panel)]);
                        }
                    });
                    let (packed, out) = (&packed[..rows.len() * width], &mut out[..]);
                    match self.vectors {
                        1 => dispatch(Few::<1> { panels: *self, panel, x, depth, rows, packed, out }),
                        _ => dispatch(Few::<2> { panels: *self, panel, x, depth, rows, packed, out }),
                    }
                }
            });
            out
        };
        let parts: Vec<Vec<f32>> = if pieces(n * depth * self.columns) > 1 {
            map(0..self.count, |_, panel| one(panel))
        } else {
            (0..self.count).map(one).collect()
        };
        let mut y = vec![0.0; n * self.columns];
        for (i, y) in y.chunks_exact_mut(self.columns).enumerate() {
            for (part, y) in parts.iter().zip(y.chunks_mut(width)) {
                copy(y, &part[i * width..][..y.len()]);
            }
        }
        if let Some(act) = act {
            dispatch(act.on(&mut y));
        }
        y
    }
}

/// Adds the products of all rows of `x` with some rows of one panel's weights.
struct Few<'a, const S: usize> {
    panels: Panels,
    panel: usize,
    x: &'a [f32],
    depth: usize,
    /// Which rows of weights.
    rows: Range<usize>,
    packed: &'a [f32],
    /// `[n, width]`.
    out: &'a mut [f32],
}

impl<const S: usize> Body for Few<'_, S> {
    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        self.panels.by_vectors::<L, S>(self.panel, &mut self);
    }
}

impl<const S: usize> OnPanel for Few<'_, S> {
    #[inline(always)]
    fn run<L: Lanes, const V: usize>(&mut self, _: usize) {
        let (width, n) = (S * LANES, self.out.len() / (S * LANES));
        let (vectors, _) = self.packed.as_chunks::<LANES>();
        let (weights, _) = vectors.as_chunks::<S>();
        for start in (0..n).step_by(TILE) {
            // As in `Product`.
            let at: [usize; TILE] = std::array::from_fn(|r| (start + r).min(n - 1));
            let rows = at.map(|row| &self.x[row * self.depth..][self.rows.clone()]);
            let tile = sums::<L, V, TILE>(&Rows { rows, weights });
            for r in 0..TILE {
                if start + r < n {
                    add_to(&tile[r], &mut self.out[at[r] * width..][..V * LANES]);
                }
            }
        }
    }
}

/// Some rows of a product, by tiles of [`TILE`] rows and `S` vectors.
struct Product<'a, const S: usize> {
    panels: Panels,
    x: &'a [f32],
    packed: &'a [f32],
    depth: usize,
    act: Option<BiasAct<'a>>,
    out: &'a mut [f32],
}

impl<const S: usize> Body for Product<'_, S> {
    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        self.panels.each::<L, S>(&mut self);
        if let Some(act) = self.act {
            act.rows(self.out);
        }
    }
}

impl<const S: usize> OnPanel for Product<'_, S> {
    #[inline(always)]
    fn run<L: Lanes, const V: usize>(&mut self, panel: usize) {
        let (m, width, n) = (self.panels.columns, S * LANES, self.out.len() / self.panels.columns);
        let channels = self.panels.columns_in(panel);
        let (vectors, _) = self.packed[panel * self.depth * width..][..self.depth * width].as_chunks::<LANES>();
        let (weights, _) = vectors.as_chunks::<S>();
        for start in (0..n).step_by(TILE) {
            // The last tile may have fewer rows; the others repeat its last one and are dropped.
            let at: [usize; TILE] = std::array::from_fn(|r| (start + r).min(n - 1));
            let tile = sums::<L, V, TILE>(&Rows { rows: at.map(|row| &self.x[row * self.depth..][..self.depth]), weights });
            for r in 0..TILE {
                if start + r < n {
                    store(&tile[r], &mut self.out[at[r] * m + panel * width..][..channels]);
                }
            }
        }
    }
}

/// Rows by weights, as many of them as a row has values.
struct Rows<'a, const S: usize> {
    rows: [&'a [f32]; TILE],
    weights: &'a [[[f32; LANES]; S]],
}

impl<const S: usize> Run for Rows<'_, S> {
    #[inline(always)]
    fn add<L: Lanes, const V: usize, const R: usize>(&self, acc: &mut [[L; V]; R], row: usize, vector: usize) {
        let mut chunks = [self.rows[0].as_chunks::<LANES>(); R];
        for (chunks, x) in chunks.iter_mut().zip(&self.rows[row..]) {
            *chunks = x.as_chunks();
        }
        let (blocks, rest) = self.weights.as_chunks::<LANES>();
        for (c, block) in blocks.iter().enumerate() {
            let x: [&[f32; LANES]; R] = std::array::from_fn(|r| &chunks[r].0[c]);
            add_rows(acc, |r, i| x[r][i], block, vector);
        }
        // Of one length, so that nothing is to be checked at every step.
        let x: [&[f32]; R] = std::array::from_fn(|r| &chunks[r].1[..rest.len()]);
        for (i, w) in rest.iter().enumerate() {
            add_products(acc, |r| x[r][i], &w[vector..]);
        }
    }
}

/// Adds one run of rows to some rows of a weight gradient.
pub(crate) struct Gradient<'a, const S: usize, const W: usize> {
    pub panels: Panels,
    /// `[RUN, width]` for each panel.
    pub columns: &'a [f32],
    /// Values from one panel to the next.
    pub panel_step: usize,
    /// `[strip, RUN]`, each strip one or more tiles of rows wide.
    pub strips: &'a [[f32; W]],
    pub length: usize,
    pub out: &'a mut [f32],
}

impl<const S: usize, const W: usize> Body for Gradient<'_, S, W> {
    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        self.panels.each::<L, S>(&mut self);
    }
}

impl<const S: usize, const W: usize> OnPanel for Gradient<'_, S, W> {
    #[inline(always)]
    fn run<L: Lanes, const V: usize>(&mut self, panel: usize) {
        let (m, width) = (self.panels.columns, S * LANES);
        let channels = self.panels.columns_in(panel);
        let (vectors, _) = self.columns[panel * self.panel_step..][..self.length * width].as_chunks::<LANES>();
        let (columns, _) = vectors.as_chunks::<S>();
        for (tile, out) in self.out.chunks_mut(TILE * m).enumerate() {
            let (strip, first) = (tile * TILE / W, tile * TILE % W);
            let acc = sums::<L, V, TILE>(&Strip { strip: &self.strips[strip * RUN..][..self.length], first, columns });
            for r in 0..TILE {
                if (r + 1) * m <= out.len() {
                    add_to(&acc[r], &mut out[r * m + panel * width..][..channels]);
                }
            }
        }
    }
}

/// Values of a strip from `first` on by columns.
struct Strip<'a, const S: usize, const W: usize> {
    strip: &'a [[f32; W]],
    first: usize,
    columns: &'a [[[f32; LANES]; S]],
}

impl<const S: usize, const W: usize> Run for Strip<'_, S, W> {
    #[inline(always)]
    fn add<L: Lanes, const V: usize, const R: usize>(&self, acc: &mut [[L; V]; R], row: usize, vector: usize) {
        for (x, g) in self.strip.iter().zip(self.columns) {
            let x: &[f32; R] = x[self.first + row..].first_chunk().expect("a strip is whole tiles");
            add_products(acc, |r| x[r], &g[vector..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize, phase: f32) -> Vec<f32> {
        (0..n).map(|i| (1.7 * i as f32 + phase).sin()).collect()
    }

    fn close(ours: &[f32], n: usize, reference: impl Fn(usize) -> f64, what: &str) {
        assert_eq!(ours.len(), n, "{what}");
        for (i, a) in ours.iter().enumerate() {
            let b = reference(i);
            assert!((f64::from(*a) - b).abs() < 1e-4 * (1.0 + b.abs()), "{what}[{i}]: {a} against {b}");
        }
    }

    #[test]
    fn products_agree_with_the_definition_on_many_shapes() {
        for n in [1, 3, 8, 21, 300, 700] {
            for k in [1, 2, 5, 8, 16, 37, 300] {
                for m in [1, 7, 16, 17, 32, 48, 100] {
                    let (x, w, g, bias) = (wave(n * k, 0.1), wave(k * m, 0.7), wave(n * m, 2.3), wave(m, 1.0));
                    let y = |i: usize| (0..k).map(|j| f64::from(x[i / m * k + j]) * f64::from(w[j * m + i % m])).sum::<f64>();
                    let what = format!("{n} x {k} x {m}");
                    close(&matmul(&x, &w, [k, m], None), n * m, y, &what);
                    let act = |i: usize| {
                        let v = y(i) + f64::from(bias[i % m]);
                        if v < 0.0 { 0.2 * v } else { v }
                    };
                    close(&matmul(&x, &w, [k, m], Some(BiasAct { bias: &bias, slope: 0.2 })), n * m, act, &what);
                    let dx = |i: usize| (0..m).map(|j| f64::from(g[i / k * m + j]) * f64::from(w[i % k * m + j])).sum();
                    close(&matmul_nt(&g, &w, [k, m]), n * k, dx, &what);
                    let dw = |i: usize| (0..n).map(|r| f64::from(x[r * k + i / m]) * f64::from(g[r * m + i % m])).sum();
                    close(&matmul_tn(&x, &g, [k, m]), k * m, dw, &what);
                }
            }
        }
    }

    #[test]
    fn no_rows_give_no_output_and_zero_gradients() {
        assert!(matmul(&[], &wave(6, 0.0), [2, 3], None).is_empty());
        assert!(matmul_nt(&[], &wave(6, 0.0), [2, 3]).is_empty());
        assert_eq!(matmul_tn(&[], &[], [2, 3]), [0.0; 6]);
    }
}
