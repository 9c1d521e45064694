//! The loop around the game: steps, reports, snapshots, checkpoints.
//!
//! Only [`Task::step`] changes a task. Everything else here reads, so that a run that was stopped and continued calls `step` with the same
//! numbers as one that was not, and ends with the same bytes.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::run::{Checkpoint, LogEntry, Progress, RunDir, RunState, first_non_finite};
use crate::train::health::{Health, non_finite};
use crate::train::{Event, Finding, Outcome, Plan, Severity, StepReport, StopReason, Task};

/// Seed of the latents of every snapshot, so that sheets of different steps show the same samples growing.
const SHEET_SEED: u64 = 0;

/// How somebody else stops the loop.
#[derive(Debug, Clone, Default)]
pub struct Control {
    /// Set it, for example at Ctrl-C: the loop finishes its step, writes a checkpoint and returns [`StopReason::Interrupted`].
    pub stop: Arc<AtomicBool>,
}

impl Control {
    /// Whether somebody asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Trains `task` to the end of `plan`, from the run's newest checkpoint if it has one. The task must be as [`crate::train::TaskEntry::open`] made it.
///
/// # Errors
/// [`Error::Diverged`] if a number is no longer finite: the finding and the report are written, checkpoints and model stay at the last healthy
/// ones. [`Error::Run`] or [`Error::Io`] if the directory cannot be read or written, for example on a full disk; earlier checkpoints are intact.
/// Whatever the task returns.
pub fn run(task: &mut dyn Task, plan: &Plan, run: &mut RunDir, control: &Control, observer: &mut dyn FnMut(&Event)) -> Result<Outcome> {
    plan.validate()?;
    let path = run.path().to_path_buf();
    let mut trainer =
        Trainer { task, plan, run, observer, health: Health::default(), step: 0, saved: None, model: None, speed: Speed::default() };
    trainer.train(control).map_err(|error| explain_full_disk(error, &path))
}

/// What the loop carries along.
struct Trainer<'a> {
    task: &'a mut dyn Task,
    plan: &'a Plan,
    run: &'a mut RunDir,
    observer: &'a mut dyn FnMut(&Event),
    health: Health,
    /// Steps done so far.
    step: u64,
    /// Step of the newest checkpoint.
    saved: Option<u64>,
    /// Step of the model folder, as far as this process wrote it.
    model: Option<u64>,
    speed: Speed,
}

impl Trainer<'_> {
    fn train(&mut self, control: &Control) -> Result<Outcome> {
        let started = Instant::now();
        self.restore()?;
        (self.observer)(&Event::Started { from_step: self.step, steps: self.plan.steps });
        if self.saved.is_none() {
            self.run.save_real(&self.task.real_sheet(self.plan.sheet)?)?;
            self.snapshot()?;
        }
        self.speed.mark(self.step);
        while self.step < self.plan.steps && !control.is_stopped() {
            self.task.step(self.step)?;
            self.step += 1;
            self.after_step()?;
        }
        let is_done = self.step >= self.plan.steps;
        self.checkpoint()?;
        // A process that was killed between checkpoint and model left the model of an earlier step.
        if self.model != Some(self.step) {
            self.write_model()?;
        }
        let (reason, state) =
            if is_done { (StopReason::Done, RunState::Finished) } else { (StopReason::Interrupted, RunState::Interrupted) };
        self.report_page(state)?;
        Ok(Outcome { step: self.step, reason, seconds: started.elapsed().as_secs_f64() })
    }

    /// Takes up the newest whole checkpoint, and cuts from the log what came after it.
    fn restore(&mut self) -> Result<()> {
        let restored = self.run.latest_checkpoint()?;
        for message in restored.warnings {
            (self.observer)(&Event::Warning { message });
        }
        self.saved = restored.checkpoint.as_ref().map(|checkpoint| checkpoint.step);
        self.run.rewind(self.saved)?;
        if let Some(checkpoint) = restored.checkpoint {
            let trainer = serde_json::from_value::<Health>(checkpoint.trainer);
            self.health = trainer.map_err(|e| {
                Error::run(
                    self.run.path(),
                    format!("the trainer's state in the checkpoint of step {} cannot be read ({e})", checkpoint.step),
                    "go on with the version of ganymede named in run.toml",
                )
            })?;
            self.step = checkpoint.step;
            let folder = self.run.path().join(format!("checkpoints/step-{:08}", checkpoint.step));
            self.task.load_state(checkpoint.players).map_err(|error| match error {
                Error::Run { path, problem, remedy } => Error::run(folder, format!("{}: {problem}", path.display()), remedy),
                other => other,
            })?;
        }
        Ok(())
    }

    /// What is due after a step. The order is fixed: a checkpoint comes last, so that the log of a step is whole before it.
    fn after_step(&mut self) -> Result<()> {
        let is_last = self.step == self.plan.steps;
        let is_due = |every: u64| is_last || self.step.is_multiple_of(every);
        let (log, sample, checkpoint) = (is_due(self.plan.log_every), is_due(self.plan.sample_every), is_due(self.plan.checkpoint_every));
        let samples_per_sec = self.speed.samples_per_sec(self.step, self.task.batch());
        let report = if log { Some(self.log_report(samples_per_sec)?) } else { None };
        (self.observer)(&Event::Step { step: self.step, report, samples_per_sec });
        if sample {
            self.snapshot()?;
        }
        if checkpoint {
            self.checkpoint()?;
        }
        if sample || checkpoint {
            self.report_page(RunState::Running)?;
        }
        Ok(())
    }

    fn log_report(&mut self, samples_per_sec: f64) -> Result<StepReport> {
        let report = self.task.report()?;
        let scalars = report.scalars().map(|(name, value)| (name.to_string(), value)).collect();
        self.run.log(&LogEntry::Scalars { step: self.step, scalars, samples_per_sec, secs: self.run.secs() })?;
        for finding in self.health.observe(self.step, &report) {
            self.found(finding)?;
        }
        Ok(report)
    }

    /// Passes a finding on; a fatal one ends the run.
    fn found(&mut self, finding: Finding) -> Result<()> {
        self.run.log(&LogEntry::Finding {
            step: finding.step,
            kind: finding.kind.to_string(),
            severity: finding.severity.to_string(),
            evidence: finding.evidence.clone(),
            remedy: finding.remedy.clone(),
        })?;
        (self.observer)(&Event::Found(finding.clone()));
        if finding.severity < Severity::Fatal {
            return Ok(());
        }
        self.report_page(RunState::Diverged)?;
        let kept = match self.saved {
            Some(step) => format!("the checkpoint and model of step {step} are healthy and kept"),
            None => "no checkpoint had been written yet".to_string(),
        };
        Err(Error::Diverged { step: finding.step, problem: format!("{}, {kept}", finding.evidence), remedy: finding.remedy })
    }

    fn snapshot(&mut self) -> Result<()> {
        let sheet = self.task.snapshot(SHEET_SEED, self.plan.sheet)?;
        let metrics = self.task.quick_metrics()?;
        let path = self.run.save_snapshot(self.step, &sheet, &metrics)?;
        (self.observer)(&Event::Snapshot { step: self.step, path, metrics });
        Ok(())
    }

    /// Writes checkpoint and model, but never a broken one over a healthy one.
    fn checkpoint(&mut self) -> Result<()> {
        if self.saved == Some(self.step) {
            return Ok(());
        }
        let players = self.task.save_state()?;
        if let Some((player, tensor)) = players.iter().find_map(|(player, tensors)| Some((player, first_non_finite(tensors)?))) {
            let evidence = format!("tensor \"{tensor}\" of the {player} holds values that are not finite numbers");
            return self.found(non_finite(self.step, &evidence));
        }
        let trainer = serde_json::to_value(&self.health)
            .map_err(|e| Error::run(self.run.path(), format!("the trainer's state cannot be written ({e})"), "please report this"))?;
        let path = self.run.save_checkpoint(&Checkpoint { step: self.step, players, trainer }, self.plan.keep)?;
        self.saved = Some(self.step);
        self.write_model()?;
        (self.observer)(&Event::Checkpoint { step: self.step, path });
        Ok(())
    }

    fn write_model(&mut self) -> Result<()> {
        let samples_seen = self.step.saturating_mul(self.task.batch() as u64);
        self.run.write_model(self.task.model()?, self.step, samples_seen)?;
        self.model = Some(self.step);
        Ok(())
    }

    fn report_page(&mut self, state: RunState) -> Result<()> {
        self.run.write_report(&Progress { step: self.step, steps: self.plan.steps, state }).map(|_| ())
    }
}

/// Samples per second over the last few seconds.
#[derive(Default)]
struct Speed {
    marks: VecDeque<(Instant, u64)>,
}

impl Speed {
    const WINDOW: Duration = Duration::from_secs(5);

    fn mark(&mut self, step: u64) -> (Instant, u64) {
        let now = Instant::now();
        let first = self.marks.front().copied().unwrap_or((now, step));
        // Marks closer than this add nothing but memory on tasks with thousands of steps a second.
        if self.marks.back().is_none_or(|(last, _)| now.duration_since(*last) > Self::WINDOW / 50) {
            self.marks.push_back((now, step));
        }
        while self.marks.len() > 2 && now.duration_since(self.marks[1].0) > Self::WINDOW {
            self.marks.pop_front();
        }
        first
    }

    fn samples_per_sec(&mut self, step: u64, batch: usize) -> f64 {
        let (since, first_step) = self.mark(step);
        let secs = since.elapsed().as_secs_f64();
        if secs > 0.0 { (step.saturating_sub(first_step)) as f64 * batch as f64 / secs } else { 0.0 }
    }
}

/// On a full disk the way on is known: make room, then resume.
fn explain_full_disk(error: Error, run_dir: &Path) -> Error {
    match error {
        Error::Io { path, action, source } if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            Error::run(
                path,
                format!("cannot {action}: {source}"),
                format!("free some disk space, then go on with `ganymede train --resume {}`", run_dir.display()),
            )
        }
        other => other,
    }
}
