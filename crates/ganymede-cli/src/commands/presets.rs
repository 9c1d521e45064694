//! `ganymede presets [TASK]`.

use clap::Args;
use ganymede::session;
use ganymede::tasks::TASKS;
use ganymede::train::{Preset, TaskEntry};
use serde_json::{Value, json};

use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  ganymede presets                 every task
  ganymede presets image           one task
  ganymede presets image -v        with the settings of each preset
  ganymede train photos/ --preset dcgan";

/// Arguments of `presets`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PresetsArgs {
    /// A task of `ganymede tasks`; all if left out
    task: Option<String>,
}

pub fn run(args: &PresetsArgs, output: Output) -> anyhow::Result<()> {
    let tasks: Vec<&TaskEntry> = match &args.task {
        Some(name) => vec![session::find_task(name)?],
        None => TASKS.to_vec(),
    };
    if output.json {
        let rows = tasks.iter().flat_map(|task| task.presets.iter().map(|p| row(task, p))).collect::<ganymede::Result<Vec<_>>>()?;
        return Ok(output.object(&json!({ "presets": rows }))?);
    }
    for task in tasks {
        let width = task.presets.iter().map(|p| p.name.len()).max().unwrap_or(0);
        output.line(task.name)?;
        for preset in task.presets {
            output.line(format!("  {:width$}  {}", preset.name, preset.summary))?;
            if output.verbose > 0 {
                for line in preset.toml.lines() {
                    output.line(format!("      {line}"))?;
                }
            }
        }
    }
    Ok(())
}

fn row(task: &TaskEntry, preset: &Preset) -> ganymede::Result<Value> {
    Ok(json!({ "task": task.name, "name": preset.name, "summary": preset.summary, "settings": preset.table()? }))
}
