//! How a command ends: one error, one way out, one exit status.

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;

use crate::output::style;

/// Exit status of a run that was stopped because something is wrong with it.
pub const DIVERGED: u8 = 6;

/// What the user sees of an error.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct Failure {
    kind: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    exit_code: u8,
}

/// Prints the error and gives back the exit status. A reader of our output that went away is not an error.
pub fn report(error: &anyhow::Error, json: bool) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let failure = failure(error);
    print(&failure, json);
    ExitCode::from(failure.exit_code)
}

/// Wrong arguments, as clap words them; help and version come this way too.
pub fn report_usage(error: &clap::Error, json: bool) -> ExitCode {
    if !error.use_stderr() || !json {
        let _ = error.print();
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    }
    let text = error.to_string();
    let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let help = text.lines().filter_map(|l| l.trim().strip_prefix("tip: ")).next().map(str::to_owned);
    print(&Failure { kind: "usage", message, help, exit_code: 2 }, true);
    ExitCode::from(2)
}

/// Whether somewhere in the chain stands a pipe whose reader went away.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe))
}

fn print(failure: &Failure, json: bool) {
    if json {
        let text = serde_json::json!({ "error": failure }).to_string();
        let _ = writeln!(io::stdout().lock(), "{text}");
        return;
    }
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "{} {}", style("1;31", "error:"), failure.message);
    if let Some(help) = &failure.help {
        let _ = writeln!(stderr, "{} {help}", style("1;36", "help:"));
    }
}

fn failure(error: &anyhow::Error) -> Failure {
    let Some(known) = error.downcast_ref::<ganymede::Error>() else {
        let message = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
        return Failure { kind: "failed", message, help: None, exit_code: 1 };
    };
    use ganymede::Error as E;
    let (kind, remedy) = match known {
        E::Data { remedy, .. } => ("data", Some(remedy)),
        E::Config { remedy, .. } => ("config", Some(remedy)),
        E::Run { remedy, .. } => ("run", Some(remedy)),
        E::Device { remedy, .. } => ("device", Some(remedy)),
        E::Diverged { remedy, .. } => ("diverged", Some(remedy)),
        E::Io { .. } => ("io", None),
        E::Unsupported { .. } => ("unsupported", None),
        _ => ("failed", None),
    };
    // The library's messages end in the remedy; here it gets a line of its own.
    let whole = known.to_string();
    let (message, help) = match remedy {
        Some(remedy) => (whole.strip_suffix(remedy.as_str()).unwrap_or(&whole).trim_end_matches("; ").to_owned(), Some(remedy.clone())),
        None => match whole.rsplit_once("; ") {
            Some((message, help)) => (message.to_owned(), Some(help.to_owned())),
            None => (whole.clone(), None),
        },
    };
    Failure { kind, message, help, exit_code: known.exit_code() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(error: ganymede::Error) -> Failure {
        failure(&error.into())
    }

    #[test]
    fn the_remedy_gets_its_own_line_and_the_kind_its_exit_status() {
        let failed = of(ganymede::Error::config("plan.batch", "is 0; that is nothing", "give 1 or more; 64 is usual"));
        assert_eq!((failed.message.as_str(), failed.exit_code), ("plan.batch: is 0; that is nothing", 2));
        assert_eq!(failed.help.as_deref(), Some("give 1 or more; 64 is usual"));
        let failed = of(ganymede::Error::io("runs", "create", io::Error::from(io::ErrorKind::NotFound)));
        assert_eq!((failed.kind, failed.exit_code, failed.help.as_deref()), ("io", 1, Some("check the path")));
        let failed = of(ganymede::Error::Diverged { step: 3, problem: "NaN".into(), remedy: "lower game.lr".into() });
        assert_eq!((failed.exit_code, failed.help.as_deref()), (6, Some("lower game.lr")));
    }

    #[test]
    fn other_errors_show_their_causes() {
        let error = anyhow::anyhow!("inner").context("outer");
        assert_eq!(failure(&error).message, "outer: inner");
    }

    #[test]
    fn a_broken_pipe_is_seen_through_context() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("writing");
        assert!(is_broken_pipe(&error) && !is_broken_pipe(&anyhow::anyhow!("x")));
    }
}
