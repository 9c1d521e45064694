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
}

impl Default for Plan {
    fn default() -> Self {
        Self { steps: 10_000, batch: 64, log_every: 10, sample_every: 500, checkpoint_every: 500, keep: 3, sheet: 64 }
    }
}

impl Plan {
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
        assert!(message("batch = 65537").starts_with("plan.batch: 65537 is more than 65536"));
        assert!(message("sheet = 10001").starts_with("plan.sheet: 10001 is more than 10000"));
    }
}
