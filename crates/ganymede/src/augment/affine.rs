//! Affine maps of the plane, and the pixels that a warped picture is made of.

use super::Shape;

/// An affine map `(x, y) -> (a x + b y + c, d x + e y + f)`, in pixels from the middle of the picture; `y` runs down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine([[f64; 3]; 2]);

/// What lies outside a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// Zeros.
    Zero,
    /// The picture mirrored at its edges.
    Mirrored,
}

impl Affine {
    /// Leaves everything where it is.
    pub const IDENTITY: Self = Self([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);

    /// Stretches.
    pub fn scaling(x: f64, y: f64) -> Self {
        Self([[x, 0.0, 0.0], [0.0, y, 0.0]])
    }

    /// Turns by an angle in radians.
    pub fn rotation(angle: f64) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self([[cos, -sin, 0.0], [sin, cos, 0.0]])
    }

    /// Moves.
    pub fn translation(x: f64, y: f64) -> Self {
        Self([[1.0, 0.0, x], [0.0, 1.0, y]])
    }

    /// The map that does `first` and then this.
    pub fn after(&self, first: &Self) -> Self {
        let Self(m) = self;
        let column = |j: usize| [first.0[0][j], first.0[1][j], if j == 2 { 1.0 } else { 0.0 }];
        Self(std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                let c = column(j);
                m[i][0] * c[0] + m[i][1] * c[1] + m[i][2] * c[2]
            })
        }))
    }

    fn of(&self, x: f64, y: f64) -> [f64; 2] {
        self.0.map(|[a, b, c]| a * x + b * y + c)
    }
}

/// Pixels of the source that each pixel of a warped picture is a weighted sum of: up to four, of which each has a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Taps {
    /// Positions among all pixels of the batch, `[n * height * width]` in each list.
    pub positions: Vec<Vec<i32>>,
    /// Weights at these positions.
    pub weights: Vec<Vec<f32>>,
}

impl Taps {
    /// For pictures of which each is warped by a map from the place of a pixel in the warped picture to its place in the source, bilinearly.
    pub fn new(sources: &[Affine], shape: Shape, outside: Outside) -> Self {
        let n_pixels = shape.n_pixels();
        let mut positions: [Vec<i32>; 4] = std::array::from_fn(|_| Vec::with_capacity(sources.len() * n_pixels));
        let mut weights: [Vec<f32>; 4] = std::array::from_fn(|_| Vec::with_capacity(sources.len() * n_pixels));
        let middle = |extent: usize| (extent as f64 - 1.0) / 2.0;
        let (mx, my) = (middle(shape.width), middle(shape.height));
        for (i, source) in sources.iter().enumerate() {
            for pixel in 0..n_pixels {
                let (x, y) = ((pixel % shape.width) as f64, (pixel / shape.width) as f64);
                let [x, y] = source.of(x - mx, y - my);
                let ([x0, x1], fx) = neighbours(x + mx);
                let ([y0, y1], fy) = neighbours(y + my);
                let corners = [(x0, y0, (1.0 - fx) * (1.0 - fy)), (x1, y0, fx * (1.0 - fy)), (x0, y1, (1.0 - fx) * fy), (x1, y1, fx * fy)];
                for (tap, (x, y, weight)) in corners.into_iter().enumerate() {
                    let inside = outside.column(x, shape.width).zip(outside.column(y, shape.height));
                    let (x, y) = inside.unwrap_or((0, 0));
                    positions[tap].push((i * n_pixels + y * shape.width + x) as i32);
                    weights[tap].push(if inside.is_some() { weight as f32 } else { 0.0 });
                }
            }
        }
        // Shifts by whole pixels, quarter turns and mirrorings need one tap alone.
        let used: Vec<usize> = (0..4).filter(|tap| *tap == 0 || weights[*tap].iter().any(|w| *w != 0.0)).collect();
        let mut taps = Self { positions: Vec::new(), weights: Vec::new() };
        for tap in used {
            taps.positions.push(std::mem::take(&mut positions[tap]));
            taps.weights.push(std::mem::take(&mut weights[tap]));
        }
        taps
    }
}

/// The pixels on both sides of a place, and how far it is from the first to the second.
fn neighbours(at: f64) -> ([i64; 2], f64) {
    // Places that rounding put next to a pixel are on it.
    let at = if (at - at.round()).abs() < 1e-6 { at.round() } else { at };
    let first = at.floor();
    ([first as i64, first as i64 + 1], at - first)
}

impl Outside {
    /// The column or row that stands for one that may lie outside.
    fn column(self, at: i64, extent: usize) -> Option<usize> {
        if (0..extent as i64).contains(&at) {
            return Some(at as usize);
        }
        match self {
            Self::Zero => None,
            Self::Mirrored if extent == 1 => Some(0),
            Self::Mirrored => {
                let period = 2 * (extent as i64 - 1);
                let at = at.rem_euclid(period);
                Some(at.min(period - at) as usize)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { height: 3, width: 4, channels: 1 };

    #[test]
    fn maps_are_done_one_after_the_other() {
        let map = Affine::translation(1.0, 0.0).after(&Affine::rotation(std::f64::consts::FRAC_PI_2)).after(&Affine::scaling(2.0, 1.0));
        let [x, y] = map.of(1.0, 0.0);
        assert!((x - 1.0).abs() < 1e-12 && (y - 2.0).abs() < 1e-12);
    }

    #[test]
    fn whole_shifts_take_one_pixel_and_others_up_to_four() {
        let whole = Taps::new(&[Affine::translation(-1.0, 0.0), Affine::IDENTITY], SHAPE, Outside::Zero);
        assert_eq!(whole.positions.len(), 1);
        assert_eq!(whole.positions[0][..4], [0, 0, 1, 2]);
        assert_eq!(whole.weights[0][..4], [0.0, 1.0, 1.0, 1.0]);
        assert_eq!(whole.positions[0][12..16], [12, 13, 14, 15]);
        assert_eq!(Taps::new(&[Affine::translation(0.5, 0.0)], SHAPE, Outside::Zero).positions.len(), 2);
        assert_eq!(Taps::new(&[Affine::rotation(0.3)], SHAPE, Outside::Zero).positions.len(), 4);
    }

    #[test]
    fn weights_of_a_pixel_add_up_to_one_where_edges_mirror() {
        let maps = [Affine::rotation(0.7), Affine::scaling(0.4, 3.0), Affine::translation(100.25, -50.75)];
        let taps = Taps::new(&maps, SHAPE, Outside::Mirrored);
        for pixel in 0..36 {
            let total: f32 = taps.weights.iter().map(|w| w[pixel]).sum();
            assert!((total - 1.0).abs() < 1e-6);
            assert!(taps.positions.iter().all(|p| (p[pixel] as usize) / 12 == pixel / 12), "a picture is made of itself");
        }
        let mirrored: Vec<_> = (-4..8).map(|at| Outside::Mirrored.column(at, 4).unwrap()).collect();
        assert_eq!(mirrored, [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]);
    }
}
