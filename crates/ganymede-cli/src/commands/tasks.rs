//! `ganymede tasks`.

use std::io;

use ganymede::tasks::TASKS;
use serde_json::json;

use crate::output::Output;

pub fn run(output: Output) -> io::Result<()> {
    if output.json {
        let row = |task: &&ganymede::train::TaskEntry| {
            let presets: Vec<_> = task.presets.iter().map(|p| p.name).collect();
            json!({ "name": task.name, "summary": task.summary, "presets": presets })
        };
        return output.object(&json!({ "tasks": TASKS.iter().map(row).collect::<Vec<_>>() }));
    }
    let width = TASKS.iter().map(|t| t.name.len()).max().unwrap_or(0);
    for task in TASKS {
        output.line(format!("{:width$}  {}", task.name, task.summary))?;
    }
    output.say("\n`ganymede presets TASK` lists a task's presets; `ganymede train DATA` finds the task by itself");
    Ok(())
}
