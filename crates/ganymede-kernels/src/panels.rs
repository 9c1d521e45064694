//! The columns of a matrix, cut into register tiles.

use crate::simd::{LANES, Lanes};

/// Columns by panels of one or two vectors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Panels {
    /// Columns of the matrix.
    pub columns: usize,
    /// Vectors of a panel.
    pub vectors: usize,
    /// Panels.
    pub count: usize,
}

impl Panels {
    pub fn of(columns: usize) -> Self {
        let vectors = if columns <= LANES { 1 } else { 2 };
        Self { columns, vectors, count: columns.div_ceil(vectors * LANES) }
    }

    /// Columns of a panel in memory, with those that fill it up.
    pub fn width(&self) -> usize {
        self.vectors * LANES
    }

    /// Columns of the matrix in a panel.
    #[inline(always)]
    pub fn columns_in(&self, panel: usize) -> usize {
        (self.columns - panel * self.width()).min(self.width())
    }

    /// The work on one panel, by as many vectors as it needs: the last one of several may need but one of its two.
    #[inline(always)]
    pub fn by_vectors<L: Lanes, const S: usize>(self, panel: usize, work: &mut impl OnPanel) {
        if S == 2 && self.columns_in(panel) <= LANES { work.run::<L, 1>(panel) } else { work.run::<L, S>(panel) }
    }

    /// [`Panels::by_vectors`] on all of them.
    #[inline(always)]
    pub fn each<L: Lanes, const S: usize>(self, work: &mut impl OnPanel) {
        for panel in 0..self.count {
            self.by_vectors::<L, S>(panel, work);
        }
    }
}

/// Work on one panel, `V` vectors of it.
pub(crate) trait OnPanel {
    fn run<L: Lanes, const V: usize>(&mut self, panel: usize);
}
