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

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::judge::{Judgement, Panel};
use crate::run::{Checkpoint, LogEntry, Progress, Remedy, RunDir, RunState, first_non_finite};
use crate::train::health::{Health, non_finite};
use crate::train::{Course, Event, Finding, OnTrouble, Outcome, Plan, Severity, StepReport, StopReason, Task, Tuning, Until};

/// Seed of the latents of every snapshot, so that sheets of different steps show the same samples growing.
const SHEET_SEED: u64 = 0;
/// Seed of the latents that are judged, so that judgements of different steps differ by the generator alone.
const JUDGED_SEED: u64 = 1 << 62;
/// Remedies of one run at most.
const REMEDIES: usize = 3;
/// Share of a limited time after which the speed is taken as known.
const MEASURED: f64 = 0.05;
/// Share of a limited time that is planned for; the rest is for what is slower than at first.
const TRAINED: f64 = 0.97;

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

/// Trains `task` as `plan` says, from the run's newest checkpoint if it has one. The task must be as [`crate::train::TaskEntry::open`] made it.
///
/// # Errors
/// [`Error::Diverged`] if a number is no longer finite and no remedy is left: the finding and the report are written, checkpoints and model stay at the last healthy
/// ones. [`Error::Run`] or [`Error::Io`] if the directory cannot be read or written, for example on a full disk; earlier checkpoints are intact.
/// Whatever the task returns.
pub fn run(task: &mut dyn Task, plan: &Plan, run: &mut RunDir, control: &Control, observer: &mut dyn FnMut(&Event)) -> Result<Outcome> {
    plan.validate()?;
    let path = run.path().to_path_buf();
    let mut trainer = Trainer {
        task,
        plan: plan.clone(),
        run,
        observer,
        state: State::default(),
        step: 0,
        saved: None,
        model: None,
        panel: None,
        speed: Speed::default(),
    };
    trainer.train(control).map_err(|error| explain_full_disk(error, &path))
}

/// What a checkpoint holds besides the players.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct State {
    health: Health,
    course: Course,
    tuning: Tuning,
    remedies: Vec<Remedy>,
}

/// What the loop carries along.
struct Trainer<'a> {
    task: &'a mut dyn Task,
    plan: Plan,
    run: &'a mut RunDir,
    observer: &'a mut dyn FnMut(&Event),
    state: State,
    /// Steps done so far.
    step: u64,
    /// Step of the newest checkpoint.
    saved: Option<u64>,
    /// Step of the model folder, as far as this process wrote it.
    model: Option<u64>,
    /// Made for the first judgement; nothing inside where the data is too small.
    panel: Option<Option<Arc<Panel>>>,
    speed: Speed,
}

/// Why the loop ends.
type Stop = (StopReason, String);

impl Trainer<'_> {
    fn train(&mut self, control: &Control) -> Result<Outcome> {
        let started = Instant::now();
        self.restore()?;
        (self.observer)(&Event::Started { from_step: self.step, steps: self.plan.steps });
        if self.saved.is_none() {
            self.run.save_real(&self.task.real_sheet(self.plan.sheet)?)?;
            self.snapshot()?;
            self.checkpoint()?;
        }
        self.speed.mark(self.step);
        let (reason, why) = loop {
            let stop = self.play(control)?;
            // Weights that broke in the last steps send the run back.
            match self.checkpoint()? {
                Answer::GoOn => break stop,
                Answer::WentBack => {}
                Answer::Stop(stop) => break stop,
            }
        };
        // A process that was killed between checkpoint and model left the model of an earlier step. Where samples are judged, the model is the best one and stays.
        if self.model.is_none() && (self.state.course.best_step().is_none() || !self.run.has_model()) {
            self.write_model(None)?;
        }
        let state = match reason {
            StopReason::Interrupted => RunState::Interrupted,
            StopReason::Trouble => RunState::Troubled,
            StopReason::Done | StopReason::Settled | StopReason::Turned | StopReason::Time => RunState::Finished,
        };
        self.run.log(&LogEntry::Stopped { step: self.step, reason: reason.to_string(), why: why.clone() })?;
        self.report_page(state)?;
        Ok(Outcome { step: self.step, steps: self.plan.steps, reason, why, seconds: started.elapsed().as_secs_f64() })
    }

    /// Steps until there is a reason to stop.
    fn play(&mut self, control: &Control) -> Result<Stop> {
        let mut stop = self.is_over();
        loop {
            if let Some(stop) = stop {
                return Ok(stop);
            }
            self.task.step(self.step)?;
            self.step += 1;
            stop = self.after_step()?;
            if stop.is_none() && control.is_stopped() {
                let why = format!("it was stopped after {} of {} steps", self.step, self.plan.steps);
                stop = Some((StopReason::Interrupted, why));
            }
        }
    }

    /// Takes up the newest whole checkpoint, and cuts from the log what came after it.
    fn restore(&mut self) -> Result<()> {
        let restored = self.run.latest_checkpoint()?;
        for message in restored.warnings {
            (self.observer)(&Event::Warning { message });
        }
        self.saved = restored.checkpoint.as_ref().map(|checkpoint| checkpoint.step);
        if let Some(checkpoint) = restored.checkpoint {
            self.take_up(checkpoint)?;
        }
        self.run.rewind(self.saved, self.state.remedies.len())?;
        self.run.take_up_time()
    }

    fn take_up(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.state = serde_json::from_value(checkpoint.trainer).map_err(|e| {
            Error::run(
                self.run.path(),
                format!("the trainer's state in the checkpoint of step {} cannot be read ({e})", checkpoint.step),
                "go on with the version of ganymede named in run.toml",
            )
        })?;
        self.step = checkpoint.step;
        self.task.tune(self.state.tuning);
        let folder = self.run.path().join(format!("checkpoints/step-{:08}", checkpoint.step));
        self.task.load_state(checkpoint.players).map_err(|error| match error {
            Error::Run { path, problem, remedy } => Error::run(folder, format!("{}: {problem}", path.display()), remedy),
            other => other,
        })
    }

    /// What is due after a step. The order is fixed: a checkpoint comes last, so that the log of a step is whole before it.
    fn after_step(&mut self) -> Result<Option<Stop>> {
        let is_last = self.step == self.plan.steps;
        let is_due = |every: u64| is_last || self.step.is_multiple_of(every);
        let (log, sample, checkpoint) = (is_due(self.plan.log_every), is_due(self.plan.sample_every), is_due(self.plan.checkpoint_every));
        // A run that is shorter than the time to its first judgement is not worth one.
        let judge = self.plan.judge_every > 0 && self.step >= self.plan.judge_every && is_due(self.plan.judge_every);
        let samples_per_sec = self.speed.samples_per_sec(self.step, self.task.batch());
        let (mut report, mut found) = (None, Vec::new());
        if log {
            let numbers = self.log_report(samples_per_sec)?;
            found = self.state.health.observe(self.step, &numbers);
            report = Some(numbers);
        }
        (self.observer)(&Event::Step { step: self.step, report, samples_per_sec });
        if judge && found.is_empty() {
            found.extend(self.judge()?);
        }
        for finding in found {
            match self.found(finding)? {
                Answer::GoOn => {}
                // The step that this was about is no longer done.
                Answer::WentBack => return Ok(None),
                Answer::Stop(stop) => return Ok(Some(stop)),
            }
        }
        if sample {
            self.snapshot()?;
        }
        if checkpoint {
            match self.checkpoint()? {
                Answer::GoOn => {}
                Answer::WentBack => return Ok(None),
                Answer::Stop(stop) => return Ok(Some(stop)),
            }
        }
        if sample || checkpoint || judge {
            self.report_page(RunState::Running)?;
        }
        self.fit_steps_to_time()?;
        Ok(self.is_over())
    }

    /// Whether nothing is left to do, and why.
    fn is_over(&self) -> Option<Stop> {
        let Plan { steps, until, minutes, .. } = self.plan;
        if minutes > 0.0 && self.run.secs() >= minutes * 60.0 {
            return Some((StopReason::Time, format!("the {minutes} minutes are over after {} steps", self.step)));
        }
        let all_done = (self.step >= steps).then(|| (StopReason::Done, format!("all {steps} steps are done")));
        match until {
            Until::Never => None,
            Until::End => all_done,
            // Without judgements nobody can say whether it has settled.
            Until::Settled if self.state.course.best_step().is_none() => all_done,
            Until::Settled => self.state.course.verdict(self.step, steps),
        }
    }

    fn log_report(&mut self, samples_per_sec: f64) -> Result<StepReport> {
        let report = self.task.report()?;
        let scalars = report.scalars().map(|(name, value)| (name.to_string(), value)).collect();
        self.run.log(&LogEntry::Scalars { step: self.step, scalars, samples_per_sec, secs: self.run.secs() })?;
        Ok(report)
    }

    /// Judges fresh samples; the model folder gets the generator if they are the best so far.
    fn judge(&mut self) -> Result<Vec<Finding>> {
        let Some(panel) = self.panel()? else { return Ok(Vec::new()) };
        let judgement = match self.task.look(JUDGED_SEED).and_then(|look| panel.judge(&look)) {
            Ok(judgement) => judgement,
            // The generator can break between two logged steps.
            Err(Error::Data { problem, .. }) => {
                return Ok(vec![non_finite(self.step, self.state.health.well(), &format!("samples cannot be judged: {problem}"))]);
            }
            Err(other) => return Err(other),
        };
        let found = self.state.health.judged(self.step, self.step as f64 / self.plan.steps as f64, &judgement);
        let is_best = self.state.course.observe(self.step, &judgement, self.state.health.d_accuracy());
        self.run.log(&LogEntry::Judged { step: self.step, judgement: Box::new(judgement.clone()) })?;
        if is_best {
            self.write_model(Some(&judgement))?;
        }
        (self.observer)(&Event::Judged { step: self.step, judgement: Box::new(judgement), is_best });
        Ok(found)
    }

    fn panel(&mut self) -> Result<Option<Arc<Panel>>> {
        if let Some(panel) = &self.panel {
            return Ok(panel.clone());
        }
        let observer = &mut *self.observer;
        let panel = self.task.panel(&mut |done, of| observer(&Event::Preparing { done, of }))?;
        if panel.is_none() {
            let message = "the data is too small to judge samples by; the model is the last one".to_owned();
            (self.observer)(&Event::Warning { message });
        }
        Ok(self.panel.insert(panel).clone())
    }

    /// Writes a finding down and acts on it.
    fn found(&mut self, finding: Finding) -> Result<Answer> {
        let is_fatal = finding.severity >= Severity::Fatal;
        if finding.severity >= Severity::Trouble && self.plan.on_trouble == OnTrouble::Remedy && self.remedy(&finding)? {
            return Ok(Answer::WentBack);
        }
        self.say(&finding)?;
        if is_fatal {
            self.report_page(RunState::Diverged)?;
            let kept = match self.saved {
                Some(step) => format!("the checkpoint of step {step} is healthy and kept"),
                None => "no checkpoint had been written yet".to_string(),
            };
            return Err(Error::Diverged { step: finding.step, problem: format!("{}, {kept}", finding.evidence), remedy: finding.remedy });
        }
        if finding.severity == Severity::Trouble && self.plan.on_trouble == OnTrouble::Stop {
            return Ok(Answer::Stop((StopReason::Trouble, format!("{} at step {}: {}", finding.kind, finding.step, finding.evidence))));
        }
        Ok(Answer::GoOn)
    }

    fn say(&mut self, finding: &Finding) -> Result<()> {
        self.run.log(&LogEntry::Finding {
            step: finding.step.min(self.step),
            kind: finding.kind.to_string(),
            severity: finding.severity.to_string(),
            evidence: finding.evidence.clone(),
            cause: finding.cause.clone(),
            remedy: finding.remedy.clone(),
        })?;
        (self.observer)(&Event::Found(finding.clone()));
        Ok(())
    }

    /// Goes back to the last healthy checkpoint and changes what the finding calls for. Says whether it did: not when nothing helps against it, or too much was tried.
    fn remedy(&mut self, finding: &Finding) -> Result<bool> {
        let Some((tuning, change)) = self.state.tuning.against(finding.kind, self.task.augments()) else { return Ok(false) };
        if self.state.remedies.len() >= REMEDIES {
            return Ok(false);
        }
        let Some(mut checkpoint) = self.run.checkpoint_up_to(finding.since)? else { return Ok(false) };
        // Where going back that far did not help, the trouble began before.
        if checkpoint.step > 0 && self.state.remedies.iter().any(|remedy| remedy.back_to == checkpoint.step) {
            let earliest = self.state.remedies.iter().map(|remedy| remedy.back_to).min().unwrap_or(0);
            checkpoint = self.run.checkpoint_up_to(earliest.saturating_sub(1))?.unwrap_or(checkpoint);
        }
        let back_to = checkpoint.step;
        let remedy = Remedy {
            kind: finding.kind.to_owned(),
            severity: finding.severity.to_string(),
            found_at: self.step,
            back_to,
            evidence: finding.evidence.clone(),
            cause: finding.cause.clone(),
            change: change.to_owned(),
        };
        // What was learned about the course of the run stays known; the players do not.
        let (mut remedies, mut course) = (std::mem::take(&mut self.state.remedies), std::mem::take(&mut self.state.course));
        let n_known = remedies.len();
        self.take_up(checkpoint)?;
        remedies.push(remedy.clone());
        course.rewind(back_to);
        (self.state.course, self.state.remedies, self.state.tuning) = (course, remedies, tuning);
        self.task.tune(tuning);
        self.run.rewind(Some(back_to), n_known)?;
        self.run.log(&LogEntry::Remedied { step: back_to, remedy: remedy.clone() })?;
        (self.observer)(&Event::Found(finding.clone()));
        (self.observer)(&Event::Remedied { step: back_to, remedy });
        // Written at once, so that a run killed now goes on with the remedy; later checkpoints go.
        self.saved = None;
        self.checkpoint()?;
        self.speed = Speed::default();
        self.speed.mark(self.step);
        Ok(true)
    }

    /// With a limit of time, sets the planned steps by the speed so far, once it is known.
    fn fit_steps_to_time(&mut self) -> Result<()> {
        let limit = self.plan.minutes * 60.0;
        if limit == 0.0 || self.plan.steps != Plan::UNKNOWN || self.run.secs() < limit * MEASURED {
            return Ok(());
        }
        let steps = (self.step as f64 / self.run.secs() * limit * TRAINED).max(self.step as f64 + 1.0) as u64;
        self.plan.steps = steps;
        self.task.plan_steps(steps);
        self.run.fit_to_time(steps)?;
        let reason = format!("so many fit into {} minutes", self.plan.minutes);
        (self.observer)(&Event::Planned { steps, reason });
        Ok(())
    }

    fn snapshot(&mut self) -> Result<()> {
        let sheet = self.task.snapshot(SHEET_SEED, self.plan.sheet)?;
        let metrics = self.task.quick_metrics()?;
        let path = self.run.save_snapshot(self.step, &sheet, &metrics)?;
        (self.observer)(&Event::Snapshot { step: self.step, path, metrics });
        Ok(())
    }

    /// Writes a checkpoint, but never a broken one over a healthy one; and the model, unless judgements choose it.
    fn checkpoint(&mut self) -> Result<Answer> {
        if self.saved == Some(self.step) {
            return Ok(Answer::GoOn);
        }
        let players = self.task.save_state()?;
        if let Some((player, tensor)) = players.iter().find_map(|(player, tensors)| Some((player, first_non_finite(tensors)?))) {
            let evidence = format!("tensor \"{tensor}\" of the {player} holds values that are not finite numbers");
            return self.found(non_finite(self.step, self.saved.unwrap_or(0), &evidence));
        }
        let trainer = serde_json::to_value(&self.state)
            .map_err(|e| Error::run(self.run.path(), format!("the trainer's state cannot be written ({e})"), "please report this"))?;
        let path = self.run.save_checkpoint(&Checkpoint { step: self.step, players, trainer }, self.plan.keep)?;
        self.saved = Some(self.step);
        if self.state.course.best_step().is_none() && self.step > 0 {
            self.write_model(None)?;
        }
        (self.observer)(&Event::Checkpoint { step: self.step, path });
        Ok(Answer::GoOn)
    }

    fn write_model(&mut self, judgement: Option<&Judgement>) -> Result<()> {
        let samples_seen = self.step.saturating_mul(self.task.batch() as u64);
        let mut trained = self.task.model()?;
        for score in judgement.iter().flat_map(|judgement| &judgement.scores) {
            let figure = serde_json::json!({ "value": score.value, "real": score.real, "trivial": score.trivial });
            trained.metrics.insert(score.metric.clone(), figure);
        }
        self.run.write_model(trained, self.step, samples_seen)?;
        self.model = Some(self.step);
        Ok(())
    }

    fn report_page(&mut self, state: RunState) -> Result<()> {
        self.run.write_report(&Progress { step: self.step, steps: self.plan.steps, state }).map(|_| ())
    }
}

/// What became of a finding.
enum Answer {
    /// Training goes on.
    GoOn,
    /// Training goes on from an earlier step.
    WentBack,
    /// Training stops.
    Stop(Stop),
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
