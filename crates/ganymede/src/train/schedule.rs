//! Values that change over a run.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A number, or a ramp from one number to another over a part of the run.
///
/// In a configuration: `lr = 2e-4`, or `lr = { from = 2e-4, to = 5e-5, shape = "cosine", until = 1.0 }`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Schedule {
    /// Always the same.
    Constant(f64),
    /// From one value to another.
    Ramp(Ramp),
}

/// A ramp between two values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// Value at the start.
    pub from: f64,
    /// Value from `until` on.
    pub to: f64,
    /// How it gets there.
    #[serde(default)]
    pub shape: Shape,
    /// Share of the run at which `to` is reached, in (0, 1].
    #[serde(default = "whole")]
    pub until: f64,
}

/// Course of a ramp.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// A straight line.
    Linear,
    /// Half a cosine: slow, fast, slow.
    #[default]
    Cosine,
    /// The same factor at every step; both ends must be above 0.
    Exponential,
}

fn whole() -> f64 {
    1.0
}

impl Schedule {
    /// A cosine ramp over the whole run.
    pub const fn cosine(from: f64, to: f64) -> Self {
        Self::Ramp(Ramp { from, to, shape: Shape::Cosine, until: 1.0 })
    }

    /// The value after a share `progress` of the run, in [0, 1].
    pub fn at(&self, progress: f64) -> f64 {
        match *self {
            Self::Constant(value) => value,
            Self::Ramp(Ramp { from, to, shape, until }) => {
                let t = (progress / until).clamp(0.0, 1.0);
                let between = |t: f64| from + t * (to - from);
                match shape {
                    Shape::Linear => between(t),
                    Shape::Cosine => between(0.5 - 0.5 * (std::f64::consts::PI * t).cos()),
                    Shape::Exponential => from * (to / from).powf(t),
                }
            }
        }
    }

    /// The same course with all values times `factor`.
    pub fn times(self, factor: f64) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(value * factor),
            Self::Ramp(ramp) => Self::Ramp(Ramp { from: ramp.from * factor, to: ramp.to * factor, ..ramp }),
        }
    }

    /// Whether it is 0 throughout.
    pub fn is_off(&self) -> bool {
        match *self {
            Self::Constant(value) => value == 0.0,
            Self::Ramp(Ramp { from, to, .. }) => from == 0.0 && to == 0.0,
        }
    }

    /// Checks that every value it takes is in `[low, high]` and that its ramp makes sense.
    ///
    /// # Errors
    /// [`Error::Config`] naming `key`.
    pub fn validate(&self, key: &str, low: f64, high: f64) -> Result<()> {
        let (ends, until) = match *self {
            Self::Constant(value) => ([value, value], 1.0),
            Self::Ramp(Ramp { from, to, until, .. }) => ([from, to], until),
        };
        if ends.iter().any(|v| !(low..=high).contains(v)) {
            return Err(Error::config(key, format!("{} is out of range", ends[0]), format!("give a value between {low} and {high}")));
        }
        if let Self::Ramp(Ramp { shape: Shape::Exponential, .. }) = *self
            && ends.iter().any(|v| *v <= 0.0)
        {
            return Err(Error::config(key, "an exponential ramp cannot start or end at 0", "give ends above 0, or another shape"));
        }
        if !(until > 0.0 && until <= 1.0) {
            return Err(Error::config(
                format!("{key}.until"),
                format!("{until} is no share of the run"),
                "give a value above 0 and up to 1",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cosine_ramp_starts_ends_and_crosses_the_middle_where_it_should() {
        let ramp = Schedule::cosine(2.0, 1.0);
        assert_eq!([ramp.at(0.0), ramp.at(0.5), ramp.at(1.0), ramp.at(2.0)], [2.0, 1.5, 1.0, 1.0]);
        assert!((ramp.at(0.25) - (1.0 + 0.5 * (1.0 + (std::f64::consts::PI / 4.0).cos()))).abs() < 1e-12);
    }

    #[test]
    fn a_linear_ramp_ends_where_it_is_told_to() {
        let ramp = Schedule::Ramp(Ramp { from: 0.0, to: 1.0, shape: Shape::Linear, until: 0.5 });
        assert_eq!([ramp.at(0.25), ramp.at(0.5), ramp.at(0.9)], [0.5, 1.0, 1.0]);
    }

    #[test]
    fn an_exponential_ramp_multiplies_by_the_same_factor() {
        let ramp = Schedule::Ramp(Ramp { from: 1.0, to: 1e-4, shape: Shape::Exponential, until: 1.0 });
        assert!((ramp.at(0.5) - 1e-2).abs() < 1e-12 && (ramp.at(1.0) - 1e-4).abs() < 1e-12);
        let from_zero = Schedule::Ramp(Ramp { from: 0.0, to: 1.0, shape: Shape::Exponential, until: 1.0 });
        assert!(from_zero.validate("game.r1", 0.0, 1.0).is_err());
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        let error = Schedule::Constant(-1.0).validate("game.lr", 0.0, 1.0).unwrap_err();
        assert!(error.to_string().contains("game.lr"), "{error}");
    }
}
