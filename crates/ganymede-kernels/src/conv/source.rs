//! An image laid out for the inner loops: zero-padded and cut into planes of a few channels, so that they meet neither borders nor groups.

use crate::tile::copy;

/// One image as planes `[group, block, padded height, padded width]` of `D` channels each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<const D: usize> {
    /// Height and width in pixels.
    pub image: [usize; 2],
    /// Rows and columns of zeros before it.
    pub before: [usize; 2],
    /// Extents with the zeros before and after.
    pub padded: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
    /// Channels of a group.
    pub depth: usize,
    /// Where the pixels of a row lie.
    pub row: Row,
}

/// A row of an image in memory. Pixels may overlap and reach beyond its ends, where they hold zeros.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Values.
    pub values: usize,
    /// Values from one pixel to the next.
    pub step: usize,
    /// Values of the first pixel that lie before the row.
    pub before: usize,
}

impl Row {
    /// Pixels side by side.
    pub fn of(width: usize, channels: usize) -> Self {
        Self { values: width * channels, step: channels, before: 0 }
    }
}

impl<const D: usize> Source<D> {
    /// Planes of a group.
    pub fn blocks(&self) -> usize {
        self.depth.div_ceil(D)
    }

    /// Pixels of a plane.
    pub fn plane(&self) -> usize {
        self.padded[0] * self.padded[1]
    }

    /// Pixels of all planes.
    pub fn len(&self) -> usize {
        self.groups * self.blocks() * self.plane()
    }

    /// Values of the image.
    pub fn n_values(&self) -> usize {
        self.image[0] * self.row.values
    }

    /// Copies an image into `planes`, of which everything else is zero.
    #[inline(always)]
    pub fn fill(&self, x: &[f32], planes: &mut [[f32; D]]) {
        let ([_, w], [hp, wp]) = (self.image, self.padded);
        for (y, row) in x.chunks_exact(self.row.values).enumerate() {
            for group in 0..self.groups {
                for block in 0..self.blocks() {
                    let to = ((group * self.blocks() + block) * hp + y + self.before[0]) * wp + self.before[1];
                    let channel = group * self.depth + block * D;
                    let count = (self.depth - block * D).min(D);
                    let to = &mut planes[to..to + w];
                    if self.row.before == 0 && w * self.row.step == self.row.values {
                        for (to, pixel) in to.iter_mut().zip(row.chunks_exact(self.row.step)) {
                            match pixel[channel..channel + count].first_chunk() {
                                Some(values) => *to = *values,
                                None => copy(&mut to[..count], &pixel[channel..channel + count]),
                            }
                        }
                    } else {
                        for (i, to) in to.iter_mut().enumerate() {
                            self.overlapping(row, i * self.row.step + channel, &mut to[..count]);
                        }
                    }
                }
            }
        }
    }

    /// Values from number `at` on of a row with what lies before it.
    #[inline(always)]
    fn overlapping(&self, row: &[f32], at: usize, to: &mut [f32]) {
        match at.checked_sub(self.row.before).and_then(|from| row.get(from..from + to.len())) {
            Some(values) => copy(to, values),
            None => {
                for (i, to) in to.iter_mut().enumerate() {
                    *to = (at + i).checked_sub(self.row.before).and_then(|from| row.get(from)).copied().unwrap_or(0.0);
                }
            }
        }
    }
}
