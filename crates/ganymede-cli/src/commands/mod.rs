//! One file per command.

pub mod augment;
pub mod completions;
pub mod detect;
pub mod directions;
mod doctor;
pub mod evaluate;
pub mod features;
pub mod inspect;
pub mod presets;
pub mod probe;
pub mod project;
pub mod sample;
pub mod score;
mod tasks;
pub mod train;
pub mod walk;

use std::process::ExitCode;

use crate::cli::Command;
use crate::output::Output;

/// Does what was asked.
pub fn run(command: Command, output: Output) -> anyhow::Result<ExitCode> {
    match command {
        Command::Train(args) => return train::run(&args, output),
        Command::Sample(args) => sample::run(&args, output)?,
        Command::Walk(args) => walk::run(&args, output)?,
        Command::Directions(args) => directions::run(&args, output)?,
        Command::Project(args) => project::run(&args, output)?,
        Command::Score(args) => score::run(&args, output)?,
        Command::Features(args) => features::run(&args, output)?,
        Command::Probe(args) => probe::run(&args, output)?,
        Command::Detect(args) => detect::run(&args, output)?,
        Command::Evaluate(args) => evaluate::run(&args, output)?,
        Command::Augment(args) => augment::run(&args, output)?,
        Command::Inspect(args) => inspect::run(&args, output)?,
        Command::Tasks => tasks::run(output)?,
        Command::Presets(args) => presets::run(&args, output)?,
        Command::Doctor => doctor::run(output)?,
        Command::Completions(args) => completions::run(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}
