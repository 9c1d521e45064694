//! What samples are asked to be: flags that several commands share.

use clap::Args;
use ganymede::train::Wish;

/// What to ask a conditional model for.
#[derive(Debug, Args)]
#[command(next_help_heading = "What to ask a conditional model for")]
pub struct WishArgs {
    /// This class
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// A value of an attribute (hat=cap), or of a table's column also 'age in 30..40', 'sex = Female', 'country in {A, B}', 'x is missing'; repeated for several
    #[arg(long = "where", value_name = "CONDITION", conflicts_with = "label")]
    conditions: Vec<String>,
    /// What this text says
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["label", "conditions"])]
    prompt: Option<String>,
}

impl WishArgs {
    /// What was asked.
    pub fn read(&self) -> Wish {
        match (&self.label, self.conditions.as_slice(), &self.prompt) {
            (Some(label), _, _) => Wish::Class(label.clone()),
            (_, _, Some(text)) => Wish::Prompt(text.clone()),
            (_, [], _) => Wish::Any,
            (_, some, _) => Wish::Where(some.to_vec()),
        }
    }
}
