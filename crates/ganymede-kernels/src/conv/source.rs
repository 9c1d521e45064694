//! An image laid out for the inner loops: zero-padded and cut into planes of a few channels, so that they meet neither borders nor groups.

use crate::tile::copy;

/// One image `[height, width, channels]` as planes `[group, block, padded height, padded width]` of `D` channels each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<const D: usize> {
    /// Height and width of the image.
    pub image: [usize; 2],
    /// Rows and columns of zeros before it.
    pub before: [usize; 2],
    /// Extents with the zeros before and after.
    pub padded: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
    /// Channels of a group.
    pub depth: usize,
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
        self.image[0] * self.image[1] * self.groups * self.depth
    }

    /// Copies an image into `planes`, of which everything else is zero.
    pub fn fill(&self, x: &[f32], planes: &mut [[f32; D]]) {
        let ([_, w], [hp, wp], channels) = (self.image, self.padded, self.groups * self.depth);
        for (y, row) in x.chunks_exact(w * channels).enumerate() {
            for group in 0..self.groups {
                for block in 0..self.blocks() {
                    let to = ((group * self.blocks() + block) * hp + y + self.before[0]) * wp + self.before[1];
                    let from = group * self.depth + block * D;
                    let count = (self.depth - block * D).min(D);
                    for (to, pixel) in planes[to..to + w].iter_mut().zip(row.chunks_exact(channels)) {
                        match pixel[from..from + count].first_chunk() {
                            Some(values) => *to = *values,
                            None => copy(&mut to[..count], &pixel[from..from + count]),
                        }
                    }
                }
            }
        }
    }
}
