//! Where everything is, and what to type next.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use ganymede::run::RunDir;
use ganymede::train::{Outcome, StopReason};
use serde_json::json;

use crate::output::{Output, duration, style, thousands};

/// Tells the end of a run: on stderr in words, on stdout its path (piped) or a JSON object.
pub fn tell(run: &RunDir, outcome: &Outcome, output: Output) -> io::Result<()> {
    let path = run.path();
    let samples = newest_sheet(path);
    if output.json {
        return output.object(&json!({
            "event": "finished",
            "reason": outcome.reason,
            "why": outcome.why,
            "step": outcome.step,
            "steps": outcome.steps,
            "seconds": outcome.seconds,
            "run": path,
            "samples": samples,
            "model": path.join("model"),
            "report": path.join("report.html"),
        }));
    }
    let shown = quoted(path);
    let of = if outcome.step > outcome.steps { String::new() } else { format!(" of {}", thousands(outcome.steps)) };
    let steps = format!("{}{of} steps in {}", thousands(outcome.step), duration(outcome.seconds));
    match outcome.reason {
        StopReason::Done | StopReason::Time | StopReason::Settled | StopReason::Turned => {
            output.say(style("1;32", &format!("done: {steps}")))
        }
        StopReason::Interrupted => output.say(style("1;33", &format!("stopped and saved: {steps}"))),
        StopReason::Trouble => output.say(style("1;31", &format!("stopped by trouble and saved: {steps}"))),
    }
    if matches!(outcome.reason, StopReason::Settled | StopReason::Turned | StopReason::Trouble) {
        output.say(format!("because   {}", outcome.why));
    }
    if let Some(samples) = samples {
        output.say(format!("samples   {}", samples.display()));
    }
    output.say(format!("report    {}", path.join("report.html").display()));
    output.say(format!("model     {}", path.join("model").display()));
    let next = match outcome.reason {
        StopReason::Done | StopReason::Time | StopReason::Settled | StopReason::Turned => format!("ganymede sample {shown} -n 64"),
        StopReason::Trouble => format!("ganymede inspect {shown}"),
        StopReason::Interrupted => format!("ganymede train --resume {shown}"),
    };
    output.say(format!("next      {}", style("1", &next)));
    if !io::stdout().is_terminal() {
        output.line(path.display().to_string())?;
    }
    Ok(())
}

/// The sheet of the last snapshot; their names sort by step.
fn newest_sheet(run: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(run.join("samples")).ok()?;
    let sheets = entries.flatten().map(|e| e.path()).filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("step-")));
    sheets.max()
}

/// A path as it can be pasted into a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = text.chars().all(|c| c.is_alphanumeric() || "/._-+:,@%".contains(c));
    if is_plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_can_be_pasted_into_a_shell() {
        assert_eq!(quoted(Path::new("runs/0001-image-cats")), "runs/0001-image-cats");
        assert_eq!(quoted(Path::new("my runs/it's")), r"'my runs/it'\''s'");
    }
}
