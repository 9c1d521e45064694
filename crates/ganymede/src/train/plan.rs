//! How long to train and how often to write: the part of the configuration that every task shares (section `[plan]`).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Length and rhythm of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// Steps of the game; one step updates the discriminator `game.d_steps` times and the generator once.
    pub steps: u64,
    /// Real samples per discriminator update.
    pub batch: usize,
    /// Steps between two lines of the log. Reading numbers waits for the device, so not every step is logged.
    pub log_every: u64,
    /// Steps between two sample sheets.
    pub sample_every: u64,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
    /// Newest checkpoints that are kept.
    pub keep: usize,
    /// Samples on a sheet.
    pub sheet: usize,
    /// Share of the data that is held out: never learned from, only judged by. No more than 1,000 samples or 2 % of them, whichever is larger.
    pub holdout: f64,
    /// Steps between two judgements of the samples; 0 turns judging off.
    pub judge_every: u64,
    /// When training ends.
    pub until: Until,
    /// Minutes of training; steps are then set by the speed that is measured at first. 0 sets no limit.
    pub minutes: f64,
    /// What happens when something goes wrong.
    pub on_trouble: OnTrouble,
}

/// When training ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// When samples no longer get better: three judgements after `steps`, over which schedules run, at the earliest (or halfway if they get worse), after three times as many at the latest.
    #[default]
    Settled,
    /// After `steps`.
    End,
    /// When somebody stops it.
    Never,
}

/// What happens when health finds trouble.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnTrouble {
    /// It is written down, and training goes on.
    Report,
    /// Training goes back to the last healthy checkpoint and on from there with changed settings, a few times at most.
    #[default]
    Remedy,
    /// Training stops.
    Stop,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            steps: 10_000,
            batch: 64,
            log_every: 10,
            sample_every: 500,
            checkpoint_every: 500,
            keep: 3,
            sheet: 64,
            holdout: 0.1,
            judge_every: 250,
            until: Until::Settled,
            minutes: 0.0,
            on_trouble: OnTrouble::Remedy,
        }
    }
}

impl Plan {
    /// Steps of a run that is limited by time alone, before its speed is known.
    pub const UNKNOWN: u64 = 1 << 40;

    /// Checks that every number makes sense.
    ///
    /// # Errors
    /// [`Error::Config`] naming the key.
    pub fn validate(&self) -> Result<()> {
        let positive = [
            ("plan.steps", self.steps),
            ("plan.batch", self.batch as u64),
            ("plan.log_every", self.log_every),
            ("plan.sample_every", self.sample_every),
            ("plan.checkpoint_every", self.checkpoint_every),
            ("plan.keep", self.keep as u64),
            ("plan.sheet", self.sheet as u64),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::config(*key, "must be at least 1", "give a positive number"));
        }
        for (key, value, most) in [("plan.batch", self.batch, 65_536), ("plan.sheet", self.sheet, 10_000)] {
            if value > most {
                return Err(Error::config(key, format!("{value} is more than {most}"), "give a smaller number"));
            }
        }
        for (key, value, most) in [("plan.holdout", self.holdout, 0.5), ("plan.minutes", self.minutes, 1e6)] {
            if !(0.0..=most).contains(&value) {
                return Err(Error::config(key, format!("{value} is out of range"), format!("give a number from 0 to {most}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense() {
        Plan::default().validate().unwrap();
    }

    #[test]
    fn a_number_out_of_range_is_named_by_its_key() {
        let message = |text: &str| toml::from_str::<Plan>(text).unwrap().validate().unwrap_err().to_string();
        for key in ["steps", "batch", "log_every", "sample_every", "checkpoint_every", "keep", "sheet"] {
            assert!(message(&format!("{key} = 0")).starts_with(&format!("plan.{key}: must be at least 1")));
        }
        assert!(message("holdout = 0.6").starts_with("plan.holdout: 0.6 is out of range"));
        assert!(message("minutes = -1").starts_with("plan.minutes: -1 is out of range"));
        assert!(message("batch = 65537").starts_with("plan.batch: 65537 is more than 65536"));
        assert!(message("sheet = 10001").starts_with("plan.sheet: 10001 is more than 10000"));
    }
}
