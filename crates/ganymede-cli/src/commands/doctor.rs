//! `ganymede doctor`: what this machine and this build offer.

use std::io;

use ganymede::device::{self, BackEndReport};
use serde_json::json;

use crate::output::Output;

pub fn run(output: Output) -> anyhow::Result<()> {
    let machine = device::describe();
    let auto = device::choose("auto")?;
    let memory = memory_mib();
    if output.json {
        output.object(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            "threads": machine.n_threads,
            "simd": machine.simd,
            "memory_mib": memory,
            "back_ends": machine.back_ends,
            "auto": { "device": auto.name.to_string(), "reason": auto.reason },
        }))?;
        return Ok(());
    }
    let simd = if machine.simd.is_empty() { String::new() } else { format!(", {}", machine.simd.join(" and ")) };
    row(output, "ganymede", env!("CARGO_PKG_VERSION"))?;
    row(output, "system", &format!("{} {}", std::env::consts::OS, std::env::consts::ARCH))?;
    row(output, "processor", &format!("{} threads{simd}", machine.n_threads))?;
    if let Some(mib) = memory {
        row(output, "memory", &format!("{:.1} GiB", mib as f64 / 1024.0))?;
    }
    for back_end in &machine.back_ends {
        let (first, more) = back_end_lines(back_end);
        row(output, back_end.name.name(), &first)?;
        for line in more {
            row(output, "", &line)?;
        }
    }
    row(output, "auto", &format!("{} ({})", auto.name, auto.reason))?;
    Ok(())
}

fn row(output: Output, name: &str, text: &str) -> io::Result<()> {
    output.line(format!("{name:<10} {text}").trim_end())
}

fn back_end_lines(report: &BackEndReport) -> (String, Vec<String>) {
    let name = report.name.name();
    if name == "cpu" {
        return ("ready".to_owned(), Vec::new());
    }
    if !report.compiled {
        return (format!("not built in (cargo install --path crates/ganymede-cli --features {name})"), Vec::new());
    }
    let lines: Vec<_> =
        report.adapters.iter().map(|a| format!("{}  {}{}", a.device, a.label, if a.software { " (software)" } else { "" })).collect();
    (if lines.is_empty() { "built in, no adapter found" } else { "built in" }.to_owned(), lines)
}

/// Memory of the machine, where the system says it in `/proc`.
fn memory_mib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("MemTotal:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}
