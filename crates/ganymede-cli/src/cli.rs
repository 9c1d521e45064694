//! The command line as clap sees it. Every command's own arguments are in its file under `commands/`.

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::commands::{
    augment, completions, detect, directions, evaluate, features, inspect, presets, probe, project, sample, score, train, walk,
};
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  ganymede train                        learn the built-in avatars; needs no data, takes minutes
  ganymede train photos/                learn a folder of pictures; sub-folders are classes
  ganymede train measurements.csv       learn rows of numbers
  ganymede inspect photos/              what is in there, and what train would do with it
  ganymede sample runs/0001-image-avatars -n 64 -o faces.png
  ganymede evaluate runs/0001-image-avatars      how good its samples are, beside real ones

Exit status:
  0 done   1 failed (data, files, device)   2 wrong use (arguments, settings)
  6 training diverged   130 interrupted, after saving

Results go to stdout, talk to stderr. NO_COLOR is honoured. Nothing is ever sent over the network.";

/// Train generative adversarial networks on your own pictures and numbers, and draw new ones
#[derive(Debug, Parser)]
#[command(name = "ganymede", version, after_help = EXAMPLES, propagate_version = true, disable_help_subcommand = true, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Results as JSON on stdout; errors too
    #[arg(long, global = true)]
    pub json: bool,
    /// No talk, errors alone
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// More talk; twice or three times for the library's messages
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

impl Global {
    pub fn output(self) -> Output {
        Output { json: self.json, quiet: self.quiet, verbose: self.verbose }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Learn from data; makes a run directory with samples, report and model
    Train(train::TrainArgs),
    /// Draw samples from a trained model
    Sample(sample::SampleArgs),
    /// Go from sample to sample through the latent space: a strip, or a moving picture
    Walk(walk::WalkArgs),
    /// Show the directions in which samples change most
    Directions(directions::DirectionsArgs),
    /// Find your own pictures in the latent space, to edit them there
    Project(project::ProjectArgs),
    /// Hold samples against real data: how good, how varied, how much is copied
    Evaluate(evaluate::EvaluateArgs),
    /// Say how real the discriminator finds pictures
    Score(score::ScoreArgs),
    /// Write what the discriminator makes of pictures, as vectors for other programs
    Features(features::FeaturesArgs),
    /// Say what the discriminator learned about classes that nobody told it
    Probe(probe::ProbeArgs),
    /// Flag generated pictures by a detector, or teach one
    Detect(detect::DetectArgs),
    /// Show what augmentation does to your pictures
    Augment(augment::AugmentArgs),
    /// Say what a data set, a run or a model is
    Inspect(inspect::InspectArgs),
    /// List what can be learned
    Tasks,
    /// List the presets of one task, or of all
    Presets(presets::PresetsArgs),
    /// Look at this machine: processor, GPUs, how this program was built
    Doctor,
    /// Print the completion script of a shell
    Completions(completions::CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
