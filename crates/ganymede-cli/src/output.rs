//! Where words go: results to stdout, talk to stderr, colour only on a terminal.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// How the user wants to be talked to.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// JSON on stdout instead of text.
    pub json: bool,
    /// Errors alone.
    pub quiet: bool,
    /// How many times `-v` was given.
    pub verbose: u8,
}

impl Output {
    /// One line of result on stdout.
    pub fn line(self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{}", text.as_ref())
    }

    /// One JSON object on one line of stdout.
    pub fn object(self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value).map_err(io::Error::other)?;
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}")?;
        stdout.flush()
    }

    /// Talk on stderr. Nobody reading is no reason to fail.
    pub fn say(self, text: impl AsRef<str>) {
        if !self.quiet && !self.json {
            let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
        }
    }

    /// Whether stderr is a terminal that a progress bar may be drawn on.
    pub fn draws(self) -> bool {
        !self.quiet && !self.json && io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
    }
}

/// Whether colours may be written to stderr.
pub fn colours() -> bool {
    let unset = |name| std::env::var_os(name).is_none_or(|v| v.is_empty());
    unset("NO_COLOR") && io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// `text` in an ANSI style (for example `"1"` bold, `"31"` red) where stderr shows colours.
pub fn style(code: &str, text: &str) -> String {
    if colours() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// `12345` as `12,345`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A figure with about three digits that matter.
pub fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// Seconds as a person says them: `45 s`, `6 min`, `2 h 5 min`.
pub fn duration(secs: f64) -> String {
    if !secs.is_finite() || secs < 0.0 {
        return "unknown".to_owned();
    }
    let whole = secs.round() as u64;
    match whole {
        0..=89 => format!("{whole} s"),
        90..=5399 => format!("{} min", (whole + 30) / 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(n), text);
        }
    }

    #[test]
    fn durations_read_like_speech() {
        for (secs, text) in [(0.4, "0 s"), (89.0, "89 s"), (360.0, "6 min"), (7500.0, "2 h 5 min"), (f64::NAN, "unknown")] {
            assert_eq!(duration(secs), text);
        }
    }
}
