//! `ganymede completions SHELL`.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  ganymede completions bash > ~/.local/share/bash-completion/completions/ganymede
  ganymede completions zsh > \"${fpath[1]}/_ganymede\"
  ganymede completions fish > ~/.config/fish/completions/ganymede.fish";

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// Whose syntax
    shell: Shell,
}

pub fn run(args: &CompletionsArgs) -> io::Result<()> {
    // Into memory first: the generator panics where a pipe breaks.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::cli::Cli::command(), "ganymede", &mut script);
    io::stdout().lock().write_all(&script)
}
