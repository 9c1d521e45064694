//! The `ganymede` command: words in, library calls, words out. Everything that learns is in the library.

mod cli;
mod commands;
mod failure;
mod files;
mod interrupt;
mod output;
mod points;
mod progress;
mod seeds;
mod wish;

use std::process::ExitCode;

use clap::Parser;
use ganymede_kernels::allocator::{MiMalloc, keep_freed_memory};

/// Training allocates and frees many tensors a step, which mimalloc does faster than the system's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    keep_freed_memory();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::report_usage(&error, std::env::args_os().any(|a| a == "--json")),
    };
    let output = cli.global.output();
    start_messages(output.verbose, output.quiet);
    match commands::run(cli.command, output) {
        Ok(code) => code,
        Err(error) => failure::report(&error, output.json),
    }
}

/// Messages of the library on stderr: warnings, more with `-v`, or what `GANYMEDE_LOG` asks for.
fn start_messages(verbose: u8, quiet: bool) {
    use tracing_subscriber::EnvFilter;
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (_, 0 | 1) => "warn",
        (_, 2) => "ganymede=info,warn",
        (_, 3) => "ganymede=debug,warn",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("GANYMEDE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let writer = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    writer.without_time().with_target(verbose > 2).init();
}
