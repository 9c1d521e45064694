//! What was recognised and decided, and how to decide otherwise.

use std::io;

use ganymede::config;
use ganymede::data::Source;
use ganymede::session::Prepared;
use ganymede::train::{Plan, Until};
use serde_json::json;

use crate::output::{Output, duration, thousands};

/// Says the choices on stderr, before training.
pub fn say(prepared: &Prepared, output: Output) {
    for line in lines(prepared) {
        output.say(line);
    }
    output.say("to change them: --task, --preset, --set KEY=VALUE, --steps, --device; --dry-run -v lists every setting\n");
}

/// Prints the choices as the result of `--dry-run`; with `-v` every setting, in the form that `--set` takes.
pub fn print_dry_run(prepared: &Prepared, output: Output) -> io::Result<()> {
    if output.json {
        return output.object(&json!({
            "data": { "name": prepared.source.name(), "recognized": prepared.recognized, "left_out": left_out(prepared) },
            "task": prepared.entry.name,
            "preset": prepared.preset,
            "reasons": prepared.reasons,
            "device": { "name": prepared.device.name.to_string(), "reason": prepared.device.reason },
            "seed": prepared.seed,
            "estimated_secs": prepared.estimated_secs,
            "config": prepared.config,
        }));
    }
    for line in lines(prepared) {
        output.line(line)?;
    }
    if output.verbose > 0 {
        output.line("")?;
        for (key, value) in config::flatten(&prepared.config) {
            output.line(format!("{key} = {value}"))?;
        }
    }
    output.say("nothing was written; leave --dry-run out to train");
    Ok(())
}

/// Files that were seen to be unusable so far.
fn left_out(prepared: &Prepared) -> usize {
    match &prepared.source {
        Source::Images(index) => index.skipped.len(),
        _ => 0,
    }
}

fn lines(prepared: &Prepared) -> Vec<String> {
    let plan = &prepared.plan;
    let recognized = prepared.recognized.as_ref().map_or_else(String::new, |r| format!(": {r}"));
    let takes = prepared.estimated_secs.map_or_else(String::new, |secs| format!(", about {}", duration(secs)));
    let mut lines = vec![format!("data      {}{recognized}", prepared.source.name())];
    if left_out(prepared) > 0 {
        let n = thousands(left_out(prepared) as u64);
        lines.push(format!("          {n} files left out; `ganymede inspect` names them"));
    }
    lines.extend([format!("task      {}", prepared.entry.name), format!("preset    {}", prepared.preset)]);
    lines.extend(prepared.reasons.iter().map(|reason| format!("          {reason}")));
    let until = match (plan.until, plan.judge_every) {
        _ if plan.minutes > 0.0 => "",
        (Until::Settled, 1..) => ", and on while samples get better",
        (Until::Never, _) => ", and on until it is stopped",
        _ => "",
    };
    let batch = thousands(plan.batch as u64);
    lines.push(match plan.steps {
        Plan::UNKNOWN => format!("plan      {} minutes of steps of {batch} samples", plan.minutes),
        steps => format!("plan      {} steps of {batch} samples{takes}{until}", thousands(steps)),
    });
    lines.push(format!("device    {} ({})", prepared.device.name, prepared.device.reason));
    lines.push(format!("seed      {}", prepared.seed));
    lines
}
