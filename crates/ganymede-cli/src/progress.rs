//! What a training run looks like from outside: a bar on a terminal, a line now and then in a pipe, JSON lines for scripts.

use std::cell::Cell;
use std::time::{Duration, Instant};

use ganymede::judge::{Judgement, Score};
use ganymede::train::{Event, Finding, Plan, Severity, StepReport};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};

use crate::output::{Output, duration, figure, style, thousands};

/// In a pipe one line of progress is written this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What must be learned before a run can begin: a bar on a terminal, and one line in a pipe.
pub struct Preparation {
    output: Output,
    bar: ProgressBar,
    is_told: Cell<bool>,
}

impl Preparation {
    pub fn new(output: Output) -> Self {
        Self { output, bar: ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()), is_told: Cell::new(false) }
    }

    /// So many parts of what is learned are done.
    pub fn observe(&self, what: &str, done: u64, of: u64) {
        if !self.is_told.replace(true) {
            self.output.say(format!("begins    {what}"));
            if self.output.draws() {
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
            }
        }
        self.bar.set_length(of);
        self.bar.set_position(done);
        if done >= of {
            self.bar.finish_and_clear();
        }
    }
}

/// Watches the events of one run.
pub struct Progress {
    output: Output,
    bar: Option<ProgressBar>,
    /// What goes into the JSON object of the start, beyond what the event says.
    about: Map<String, Value>,
    started: Instant,
    from_step: u64,
    steps: u64,
    last_report: Option<StepReport>,
    last_finding: String,
    last_line: Instant,
    n_snapshots: usize,
    /// Nobody reads stdout any more.
    pub reader_gone: bool,
}

impl Progress {
    pub fn new(output: Output, about: Map<String, Value>) -> Self {
        Self {
            output,
            bar: None,
            about,
            started: Instant::now(),
            from_step: 0,
            steps: 0,
            last_report: None,
            last_finding: String::new(),
            last_line: Instant::now(),
            n_snapshots: 0,
            reader_gone: false,
        }
    }

    /// Takes note of one event.
    pub fn observe(&mut self, event: &Event) {
        if let Event::Started { from_step, steps } = event {
            (self.from_step, self.steps) = (*from_step, *steps);
        }
        if self.output.json {
            if let Some(object) = self.object_of(event) {
                self.reader_gone |= self.output.object(&object).is_err();
            }
            return;
        }
        match event {
            Event::Started { .. } => self.start(),
            Event::Step { step, report, samples_per_sec } => self.step(*step, report.as_ref(), *samples_per_sec),
            Event::Snapshot { path, metrics, .. } => {
                self.n_snapshots += 1;
                // The others are where the first is.
                if self.output.verbose > 0 {
                    let metrics: String = metrics.iter().map(|(name, value)| format!("  {name} {value:.4}")).collect();
                    self.say(&format!("samples   {}{metrics}", path.display()));
                } else if self.n_snapshots == 1 {
                    self.say(&format!(
                        "samples   {}/ fills while it trains",
                        path.with_file_name("").display().to_string().trim_end_matches('/')
                    ));
                }
            }
            Event::Checkpoint { path, .. } => {
                if self.output.verbose > 0 {
                    self.say(&format!("saved     {}", path.display()));
                }
            }
            Event::Preparing { done, of } => self.prepare(*done, *of),
            Event::Judged { step, judgement, is_best } => self.say(&judgement_line(*step, judgement, *is_best)),
            Event::Remedied { step, remedy } => {
                self.say(&format!("{} back to step {}; {}", style("32", "remedy:  "), thousands(*step), remedy.change));
                self.last_finding = format!("  {} mended at step {}", remedy.kind, thousands(remedy.found_at));
                (self.from_step, self.started) = (*step, Instant::now());
            }
            Event::Planned { steps, reason } => {
                self.steps = *steps;
                if let Some(bar) = &self.bar {
                    bar.set_length(*steps);
                }
                self.say(&format!("plan      {} steps, {reason}", thousands(*steps)));
            }
            Event::Found(finding) => {
                self.last_finding = format!("  {} at step {}", finding.kind, thousands(finding.step));
                self.say(&finding_line(finding));
            }
            Event::Warning { message } => self.say(&format!("{} {message}", style("33", "warning: "))),
        }
    }

    /// Whether the run had all its steps before this process began.
    pub fn was_finished(&self) -> bool {
        self.steps > 0 && self.from_step >= self.steps
    }

    /// Takes the bar off the terminal.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn start(&mut self) {
        (self.started, self.last_line) = (Instant::now(), Instant::now());
        if !self.output.draws() {
            return;
        }
        let length = (self.steps != Plan::UNKNOWN).then_some(self.steps);
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr_with_hz(5));
        // A fixed template: it parses, and if it ever did not, indicatif's own bar would do.
        if let Ok(look) = ProgressStyle::with_template("{bar:24} {human_pos}/{human_len}  {prefix}\n{wide_msg}") {
            bar.set_style(look);
        }
        bar.set_position(self.from_step);
        self.bar = Some(bar);
    }

    fn step(&mut self, step: u64, report: Option<&StepReport>, samples_per_sec: f64) {
        if let Some(report) = report {
            self.last_report = Some(report.clone());
        }
        let speed = format!("{} samples/s  {}", rate(samples_per_sec), self.left(step));
        if let Some(bar) = &self.bar {
            bar.set_position(step);
            if report.is_some() {
                bar.set_prefix(speed);
                bar.set_message(self.numbers() + &self.last_finding);
            }
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let share = step as f64 * 100.0 / self.steps.max(1) as f64;
            let of = if self.steps == Plan::UNKNOWN { String::new() } else { format!("/{} ({share:.0}%)", thousands(self.steps)) };
            self.output.say(format!("step {}{of}  {speed}  {}", thousands(step), self.numbers()));
        }
    }

    /// The last numbers read, by the names they have everywhere.
    fn numbers(&self) -> String {
        let numbers = |r: &StepReport| format!("d_loss {:.3}  g_loss {:.3}  d_accuracy {:.2}", r.d_loss, r.g_loss, r.d_accuracy);
        self.last_report.as_ref().map_or_else(String::new, numbers)
    }

    /// Features are learned once, in seconds to a minute: a word at the start will do, and the bar on a terminal.
    fn prepare(&self, done: u64, of: u64) {
        if done == 1 {
            self.say("judging   learns features of the data first");
        }
        if let Some(bar) = &self.bar {
            bar.set_message(if done < of { format!("learning features: {done} of {of}") } else { String::new() });
        }
    }

    fn left(&self, step: u64) -> String {
        if self.steps == Plan::UNKNOWN {
            return "until the time is over".to_owned();
        }
        if step > self.steps {
            return "past the planned steps; unknown".to_owned();
        }
        let done = step.saturating_sub(self.from_step);
        let secs_per_step = self.started.elapsed().as_secs_f64() / done as f64;
        format!("{} left", duration(secs_per_step * self.steps.saturating_sub(step) as f64))
    }

    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.say(text)),
            None => self.output.say(text),
        }
    }

    fn object_of(&mut self, event: &Event) -> Option<Value> {
        Some(match event {
            Event::Started { from_step, steps } => {
                let mut object = Map::from_iter([("event".to_owned(), json!("started"))]);
                object.append(&mut self.about);
                object.extend([("from_step".to_owned(), json!(from_step)), ("steps".to_owned(), json!(steps))]);
                Value::Object(object)
            }
            Event::Step { step, report: Some(report), samples_per_sec } => {
                let scalars: Map<_, _> = report.scalars().map(|(name, value)| (name.to_owned(), json!(value))).collect();
                json!({ "event": "step", "step": step, "samples_per_sec": samples_per_sec, "scalars": scalars })
            }
            Event::Step { .. } => return None,
            Event::Snapshot { step, path, metrics } => {
                let metrics: Map<_, _> = metrics.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
                json!({ "event": "snapshot", "step": step, "path": path, "metrics": metrics })
            }
            Event::Warning { message } => json!({ "event": "warning", "message": message }),
            Event::Checkpoint { step, path } => json!({ "event": "checkpoint", "step": step, "path": path }),
            Event::Preparing { .. } => return None,
            Event::Judged { step, judgement, is_best } => {
                json!({ "event": "judged", "step": step, "best": is_best, "judgement": judgement })
            }
            Event::Remedied { step, remedy } => json!({ "event": "remedied", "step": step, "remedy": remedy }),
            Event::Planned { steps, reason } => json!({ "event": "planned", "steps": steps, "reason": reason }),
            Event::Found(f) => {
                let Finding { step, since, kind, severity, evidence, cause, remedy } = f;
                json!({ "event": "finding", "step": step, "since": since, "kind": kind, "severity": severity, "evidence": evidence, "cause": cause, "remedy": remedy })
            }
        })
    }
}

fn judgement_line(step: u64, judgement: &Judgement, is_best: bool) -> String {
    format!("judged    step {}: {}{}", thousands(step), figures(judgement), if is_best { "; best so far" } else { "" })
}

/// The figure that generators are chosen by, then those that say the most to people; each beside its real and trivial one.
pub fn figures(judgement: &Judgement) -> String {
    let shown = |score: &Score| {
        let title = score.metric().map_or(score.metric.as_str(), |m| m.title);
        format!("{title} {} (real {}, trivial {})", figure(score.value), figure(score.real), figure(score.trivial))
    };
    let wanted = [judgement.choice.as_str(), "coverage", "agreement"];
    wanted.iter().filter_map(|name| judgement.score(name)).map(shown).collect::<Vec<_>>().join("; ")
}

fn finding_line(finding: &Finding) -> String {
    let (word, colour) = match finding.severity {
        Severity::Note => ("note:    ", "36"),
        Severity::Trouble => ("trouble: ", "33"),
        Severity::Fatal => ("fatal:   ", "31"),
    };
    format!("{} step {}: {}; {}", style(colour, word), thousands(finding.step), finding.evidence, finding.remedy)
}

fn rate(per_sec: f64) -> String {
    if per_sec.is_finite() && per_sec >= 100.0 { thousands(per_sec as u64) } else { format!("{per_sec:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet_json() -> Progress {
        let about = Map::from_iter([("task".to_owned(), json!("points"))]);
        Progress::new(Output { json: true, quiet: false, verbose: 0 }, about)
    }

    #[test]
    fn events_become_one_object_each_and_unlogged_steps_none() {
        let mut progress = quiet_json();
        let started = progress.object_of(&Event::Started { from_step: 5, steps: 9 }).unwrap();
        assert_eq!(started, json!({ "event": "started", "task": "points", "from_step": 5, "steps": 9 }));
        assert_eq!(progress.object_of(&Event::Step { step: 6, report: None, samples_per_sec: 1.0 }), None);
        let report = StepReport { d_loss: 0.5, g_loss: f64::NAN, d_accuracy: 1.0, extra: vec![("r1", 2.0)] };
        let step = progress.object_of(&Event::Step { step: 6, report: Some(report), samples_per_sec: 1.0 }).unwrap();
        assert_eq!(step["scalars"], json!({ "d_loss": 0.5, "g_loss": null, "d_accuracy": 1.0, "r1": 2.0 }));
    }

    #[test]
    fn rates_are_short() {
        assert_eq!((rate(1234.6).as_str(), rate(12.34).as_str()), ("1,234", "12.3"));
    }
}
