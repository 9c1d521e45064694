//! One of several classes.

use super::Asked;
use crate::config::nearest;
use crate::error::{Error, Result};
use crate::random;
use crate::train::{SampleId, Wish};

/// Classes, and how many training pictures each has.
#[derive(Debug, Clone)]
pub struct Classes {
    /// Their names.
    pub names: Vec<String>,
    /// Training pictures of each.
    pub counts: Vec<u64>,
}

impl Classes {
    /// The vector of a class: one at its place.
    pub fn row(&self, class: usize) -> Vec<f32> {
        (0..self.names.len()).map(|c| f32::from(u8::from(c == class))).collect()
    }

    /// As [`super::Condition::ask`].
    pub fn ask(&self, wish: &Wish, ids: &[SampleId], in_turn: bool) -> Result<Asked> {
        let asked = match wish {
            Wish::Any => None,
            Wish::Class(name) => Some(self.number(name)?),
            _ => return Err(Error::config("sample", "this model learned classes", "ask with --label NAME")),
        };
        let class = |(i, id): (usize, &SampleId)| asked.unwrap_or_else(|| if in_turn { i % self.names.len() } else { self.drawn(*id) });
        let classes: Vec<usize> = ids.iter().enumerate().map(class).collect();
        Ok(Asked {
            rows: classes.iter().map(|class| self.row(*class)).collect(),
            words: classes.iter().map(|class| self.names[*class].clone()).collect(),
            classes,
        })
    }

    fn number(&self, name: &str) -> Result<usize> {
        self.names.iter().position(|c| c == name).ok_or_else(|| {
            let near = nearest(name, self.names.iter().map(String::as_str)).map(|n| format!("did you mean {n}? ")).unwrap_or_default();
            let shown = self.names.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
            let more = if self.names.len() > 20 { format!(" and {} more", self.names.len() - 20) } else { String::new() };
            Error::config("--label", format!("the model has no class \"{name}\""), format!("{near}known classes: {shown}{more}"))
        })
    }

    /// By the frequencies of the data.
    fn drawn(&self, id: SampleId) -> usize {
        let total: u64 = self.counts.iter().sum();
        let mut draw = random::below(total.max(1), &mut random::stream(id.seed, "sample-class", id.index));
        for (class, count) in self.counts.iter().enumerate() {
            if draw < *count {
                return class;
            }
            draw -= count;
        }
        0
    }
}
