//! Where tiles of results lie and which windows they read.

use super::TILE;
use super::points::Place;
use crate::conv::Conv;

/// Positions along one axis: value `i` of tile `t` lies at `origin + t * advance + i * step`, if that is inside `0..extent`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    origin: isize,
    advance: isize,
    step: isize,
    extent: usize,
}

impl Reach {
    #[inline(always)]
    pub fn at(&self, tile: usize, i: usize) -> Option<usize> {
        let position = self.origin + tile as isize * self.advance + i as isize * self.step;
        usize::try_from(position).ok().filter(|position| *position < self.extent)
    }
}

/// Results at positions of the same remainder by the stride, which meet the same elements of the kernel. All `[vertical, horizontal]`.
#[derive(Debug)]
pub(super) struct Phase {
    /// Where a tile's results lie.
    pub writes: [Reach; 2],
    /// The windows a tile reads; their channels stand one after the other in the sum.
    pub windows: Vec<[Reach; 2]>,
}

/// A whole image in tiles.
#[derive(Debug)]
pub(super) struct Tiling {
    /// Extents of the image that is read.
    pub image: [usize; 2],
    /// Its channels.
    pub depth: usize,
    /// Extents of the result.
    pub results: [usize; 2],
    /// Its channels.
    pub columns: usize,
    /// Tiles of a phase.
    pub tiles: [usize; 2],
    /// Rows of results that one row of tiles makes, with all phases.
    pub rows: usize,
    /// All phases of the result.
    pub phases: Vec<Phase>,
}

/// Pairs of remainders by a stride.
pub(super) fn remainders(stride: usize) -> impl Iterator<Item = [usize; 2]> {
    (0..stride).flat_map(move |y| (0..stride).map(move |x| [y, x]))
}

impl Tiling {
    /// All tiles of some images.
    pub fn places(&self, images: usize) -> Vec<Place> {
        let [rows, columns] = self.tiles;
        (0..images).flat_map(|image| (0..rows).flat_map(move |y| (0..columns).map(move |x| [image, y, x]))).collect()
    }

    /// Output pixel `o` meets the input through kernel element `s j + a` at `s (o + j) + a - padding`: a window for each remainder `a`.
    pub fn forward(conv: &Conv) -> Self {
        let (image, results, padding, s) = (conv.geometry.image, conv.geometry.output(), conv.geometry.padding, conv.geometry.stride[0]);
        let window = |a: [usize; 2]| {
            [0, 1].map(|i| Reach {
                origin: a[i] as isize - padding[i] as isize,
                advance: (TILE * s) as isize,
                step: s as isize,
                extent: image[i],
            })
        };
        let writes = results.map(|extent| Reach { origin: 0, advance: TILE as isize, step: 1, extent });
        Self {
            image,
            depth: conv.inputs,
            results,
            columns: conv.outputs,
            tiles: results.map(|extent| extent.div_ceil(TILE)),
            rows: TILE,
            phases: vec![Phase { writes, windows: remainders(s).map(window).collect() }],
        }
    }

    /// Input pixel `p` with `p + padding = s q + a` meets output `q - j` through kernel element `s j + a`: a phase for each remainder `a`, which reads the outputs from
    /// `q - (r - 1)` on with the kernel the other way round.
    pub fn input(conv: &Conv) -> Self {
        let (image, output, padding, s) = (conv.geometry.image, conv.geometry.output(), conv.geometry.padding, conv.geometry.stride[0]);
        let r = conv.geometry.kernel[0] / s;
        let first = |a: usize, padding: usize| padding.saturating_sub(a).div_ceil(s) as isize;
        let phase = |a: [usize; 2]| Phase {
            writes: [0, 1].map(|i| Reach {
                origin: s as isize * first(a[i], padding[i]) + a[i] as isize - padding[i] as isize,
                advance: (TILE * s) as isize,
                step: s as isize,
                extent: image[i],
            }),
            windows: vec![[0, 1].map(|i| Reach {
                origin: first(a[i], padding[i]) - (r as isize - 1),
                advance: TILE as isize,
                step: 1,
                extent: output[i],
            })],
        };
        Self {
            image: output,
            depth: conv.outputs,
            results: image,
            columns: conv.inputs,
            tiles: image.map(|extent| extent.div_ceil(TILE * s)),
            rows: TILE * s,
            phases: remainders(s).map(phase).collect(),
        }
    }
}
