//! Affine maps of a pixel's colours.

use burn::tensor::Device;

use super::Shape;
use super::stage::Stage;

/// `x M + b` on a pixel `x` of three colours; of grey pictures only the first number of each is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Colour {
    /// Rows are old channels, columns new ones.
    matrix: [[f64; 3]; 3],
    offset: [f64; 3],
}

/// Share of each colour in grey.
const GREY: f64 = 1.0 / 3.0;

impl Colour {
    /// Changes nothing.
    pub const SAME: Self = Self { matrix: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], offset: [0.0; 3] };

    /// Followed by more light.
    pub fn brighten(&mut self, light: f64) {
        self.offset.iter_mut().for_each(|v| *v += light);
    }

    /// Followed by a factor on everything.
    pub fn scale(&mut self, factor: f64) {
        self.matrix.iter_mut().flatten().chain(&mut self.offset).for_each(|v| *v *= factor);
    }

    /// Followed by a mirroring of the grey in each colour: light becomes dark.
    pub fn invert_luma(&mut self) {
        self.then(|i, j| same(i, j) - 2.0 * GREY);
    }

    /// Followed by a rotation around the axis of greys, by an angle in radians (Rodrigues).
    pub fn rotate_hue(&mut self, angle: f64) {
        let (sin, cos) = angle.sin_cos();
        let cross = |i: usize, j: usize| match (j + 3 - i) % 3 {
            1 => 1.0,
            2 => -1.0,
            _ => 0.0,
        };
        self.then(|i, j| cos * same(i, j) + (1.0 - cos) * GREY + sin * cross(i, j) / 3f64.sqrt());
    }

    /// Followed by a factor on the distance from grey.
    pub fn saturate(&mut self, factor: f64) {
        self.then(|i, j| GREY + (same(i, j) - GREY) * factor);
    }

    fn then(&mut self, map: impl Fn(usize, usize) -> f64) {
        let times = |row: [f64; 3]| -> [f64; 3] { std::array::from_fn(|j| (0..3).map(|k| row[k] * map(k, j)).sum()) };
        self.matrix = self.matrix.map(times);
        self.offset = times(self.offset);
    }

    /// A map for each picture of a batch; opacity stays as it is.
    pub fn stage(colours: &[Self], shape: Shape, device: &Device) -> Stage {
        let (c, lit) = (shape.channels, shape.n_colours());
        let (mut matrices, mut offsets) = (Vec::new(), Vec::new());
        for Self { matrix, offset } in colours {
            let mixed = |from: usize, to: usize| if from < lit && to < lit { matrix[from][to] } else { same(from, to) };
            matrices.extend((0..c * c).map(|i| mixed(i / c, i % c) as f32));
            offsets.extend((0..c).map(|channel| if channel < lit { offset[channel] as f32 } else { 0.0 }));
        }
        Stage::colour(matrices, offsets, shape, device)
    }
}

fn same(i: usize, j: usize) -> f64 {
    f64::from(u8::from(i == j))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(change: impl Fn(&mut Colour), x: [f64; 3]) -> [f64; 3] {
        let mut colour = Colour::SAME;
        change(&mut colour);
        std::array::from_fn(|j| (0..3).map(|i| x[i] * colour.matrix[i][j]).sum::<f64>() + colour.offset[j])
    }

    fn near(a: [f64; 3], b: [f64; 3]) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    #[test]
    fn operations_do_what_they_are_called() {
        let x = [0.9, 0.3, -0.3];
        assert!(near(shown(|c| c.saturate(0.0), x), [0.3; 3]) && near(shown(|c| c.saturate(1.0), x), x));
        // A third of a turn moves each colour on by one.
        assert!(near(shown(|c| c.rotate_hue(std::f64::consts::TAU / 3.0), x), [-0.3, 0.9, 0.3]));
        assert!(near(shown(|c| c.invert_luma(), x), [0.3, -0.3, -0.9]));
        let both = |c: &mut Colour| {
            c.brighten(0.5);
            c.scale(2.0);
        };
        assert!(near(shown(both, x), [2.8, 1.6, 0.4]));
    }
}
