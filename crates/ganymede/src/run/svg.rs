//! Line charts as inline SVG, for the report. Colours come from the page's style sheet (classes `s0`, `s1` ...), so that they follow light and dark.

use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 26.0;
/// Points per line; more cannot be told apart at this size.
const MAX_POINTS: usize = 320;
/// Classes that the style sheet knows.
const N_COLOURS: usize = 6;

/// One line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// Points by rising x. A y that is not finite leaves a gap.
    pub(crate) points: Vec<(f64, f64)>,
}

/// A chart of several lines over one axis of steps; nothing if there are not two points to join. Long lines are thinned by averaging neighbours.
pub(crate) fn line_chart(title: &str, series: &[Series]) -> Option<String> {
    let thinned: Vec<Series> = series.iter().map(|s| Series { name: s.name.clone(), points: thin(&s.points) }).collect();
    let all = || thinned.iter().flat_map(|s| &s.points).filter(|(x, y)| x.is_finite() && y.is_finite());
    if all().count() < 2 {
        return None;
    }
    let x = Axis::around(all().map(|p| p.0), 6);
    let y = Axis::around(all().map(|p| p.1), 5);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>", escape(title));
    axes(&mut svg, &x, &y);
    legend(&mut svg, title, &thinned);
    for (idx, line) in thinned.iter().enumerate() {
        let path = path(&line.points, &x, &y);
        let _ = write!(svg, "<path class=\"line s{}\" d=\"{path}\"/>", idx % N_COLOURS);
    }
    svg.push_str("</svg>");
    Some(svg)
}

/// Range and ticks of an axis.
struct Axis {
    low: f64,
    high: f64,
    tick: f64,
}

impl Axis {
    /// The smallest range with round ends that holds all values.
    fn around(values: impl Iterator<Item = f64>, n_ticks: u32) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        // A flat line gets a little room; halves keep the difference of huge values finite.
        let pad = if high > low { 0.0 } else { (low.abs() * 0.1).max(0.5) };
        let (low, high) = (low.max(f64::MIN / 4.0) - pad, high.min(f64::MAX / 4.0) + pad);
        let tick = round_tick((high - low) / f64::from(n_ticks));
        Self { low: (low / tick).floor() * tick, high: (high / tick).ceil() * tick, tick }
    }

    fn share(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> + '_ {
        let n_ticks = ((self.high - self.low) / self.tick).round().clamp(0.0, 50.0) as u32;
        (0..=n_ticks).map(|idx| self.low + f64::from(idx) * self.tick)
    }

    fn label(&self, value: f64) -> String {
        if value.abs() < self.tick / 2.0 {
            return "0".to_string();
        }
        let largest = self.low.abs().max(self.high.abs());
        if !(1e-3..1e7).contains(&largest) {
            return format!("{value:.1e}").replace(".0e", "e");
        }
        if self.tick >= 1000.0 {
            return format!("{}k", value / 1000.0);
        }
        let n_decimals = (-self.tick.log10().floor()).clamp(0.0, 8.0) as usize;
        format!("{value:.n_decimals$}")
    }
}

/// The next of 1, 2, 5, 10 times a power of ten.
fn round_tick(size: f64) -> f64 {
    let power = 10f64.powf(size.log10().floor()).max(f64::MIN_POSITIVE);
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= size * (1.0 - 1e-9)).unwrap_or(10.0);
    factor * power
}

fn to_x(axis: &Axis, value: f64) -> f64 {
    LEFT + axis.share(value) * (WIDTH - LEFT - RIGHT)
}

fn to_y(axis: &Axis, value: f64) -> f64 {
    HEIGHT - BOTTOM - axis.share(value) * (HEIGHT - TOP - BOTTOM)
}

fn axes(svg: &mut String, x: &Axis, y: &Axis) {
    for value in y.ticks() {
        let at = to_y(y, value);
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            y.label(value)
        );
    }
    for value in x.ticks() {
        let at = to_x(x, value);
        let _ = write!(svg, "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>", HEIGHT - 8.0, x.label(value));
    }
}

fn legend(svg: &mut String, title: &str, series: &[Series]) {
    let _ = write!(svg, "<text class=\"title\" x=\"{LEFT}\" y=\"16\">{}</text>", escape(title));
    if series.len() < 2 {
        return;
    }
    let mut right = WIDTH - RIGHT;
    for (idx, line) in series.iter().enumerate().rev() {
        let _ = write!(svg, "<text x=\"{right:.1}\" y=\"16\" text-anchor=\"end\">{}</text>", escape(&line.name));
        right -= 7.0 * line.name.chars().count() as f64 + 24.0;
        let _ = write!(svg, "<path class=\"line s{}\" d=\"M{right:.1} 12h16\"/>", idx % N_COLOURS);
        right -= 10.0;
    }
}

fn path(points: &[(f64, f64)], x: &Axis, y: &Axis) -> String {
    let mut path = String::new();
    let mut pen = 'M';
    for (step, value) in points {
        if value.is_finite() {
            let _ = write!(path, "{pen}{:.1} {:.1}", to_x(x, *step), to_y(y, *value));
            pen = 'L';
        } else {
            pen = 'M';
        }
    }
    path
}

/// Means over neighbours, so that at most [`MAX_POINTS`] points are left.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(MAX_POINTS).max(1);
    let mean = |chunk: &[(f64, f64)]| {
        let n = chunk.len() as f64;
        (chunk.iter().map(|p| p.0 / n).sum(), chunk.iter().map(|p| p.1 / n).sum())
    };
    points.chunks(size).map(mean).collect()
}

/// Text that is safe inside HTML and SVG, in attributes as well.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(name: &str, points: &[(f64, f64)]) -> Series {
        Series { name: name.into(), points: points.to_vec() }
    }

    #[test]
    fn ticks_are_round() {
        for (size, tick) in [(0.7, 1.0), (1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (5.5, 10.0), (180.0, 200.0), (0.012, 0.02)] {
            assert!((round_tick(size) / tick - 1.0).abs() < 1e-9, "{size} -> {}", round_tick(size));
        }
        let axis = Axis::around([130.0, 970.0].into_iter(), 5);
        assert_eq!(axis.ticks().collect::<Vec<_>>(), [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]);
    }

    #[test]
    fn labels_are_short() {
        let labels = |low: f64, high: f64| {
            let axis = Axis::around([low, high].into_iter(), 5);
            axis.ticks().map(|v| axis.label(v)).collect::<Vec<_>>()
        };
        assert_eq!(labels(0.0, 10_000.0), ["0", "2k", "4k", "6k", "8k", "10k"]);
        assert_eq!(labels(-0.1, 0.3), ["-0.1", "0", "0.1", "0.2", "0.3"]);
        assert_eq!(labels(0.5, 0.5), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    }

    #[test]
    fn points_land_where_they_belong() {
        let (x, y) = (Axis::around([0.0, 10.0].into_iter(), 6), Axis::around([0.0, 5.0].into_iter(), 5));
        assert_eq!(path(&[(0.0, 0.0), (10.0, 5.0)], &x, &y), "M56.0 214.0L628.0 30.0");
        assert_eq!(path(&[(0.0, 0.0), (5.0, f64::NAN), (10.0, 5.0)], &x, &y), "M56.0 214.0M628.0 30.0");
    }

    #[test]
    fn long_lines_are_thinned_to_means() {
        let points: Vec<_> = (0..3200).map(|i| (f64::from(i), f64::from(i % 10))).collect();
        let thinned = thin(&points);
        assert_eq!(thinned.len(), 320);
        assert!(thinned.iter().all(|(_, y)| (y - 4.5).abs() < 1e-9));
    }

    #[test]
    fn names_are_escaped_and_too_few_points_give_no_chart() {
        let svg = line_chart("a<b", &[line("\"x\"&", &[(0.0, 1.0), (1.0, 2.0)]), line("y", &[(0.0, 0.0)])]).unwrap();
        assert!(svg.contains("a&lt;b") && svg.contains("&quot;x&quot;&amp;") && !svg.contains("a<b"));
        assert_eq!(line_chart("t", &[line("x", &[(0.0, 1.0), (1.0, f64::NAN)])]), None);
    }

    proptest! {
        #[test]
        fn any_numbers_give_a_chart_of_finite_coordinates(values in prop::collection::vec(any::<f64>(), 0..40)) {
            let points: Vec<_> = values.iter().enumerate().map(|(i, v)| (i as f64, *v)).collect();
            if let Some(svg) = line_chart("t", &[line("x", &points)]) {
                prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{}", svg);
                prop_assert!(svg.len() < 20_000);
            }
        }
    }
}
