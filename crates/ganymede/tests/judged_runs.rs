//! Runs whose samples are judged: the best generator is kept, trouble is remedied, training stops when it is done, and all of it survives being killed.

mod common;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{lasting_files, new_run, trained};
use ganymede::artifact::Artifact;
use ganymede::judge::{Look, Panel, Real};
use ganymede::metrics::Features;
use ganymede::run::{DataDescription, HostTensor, LogEntry, ModelFolder, NamedTensors, RunDir, TrainedGenerator};
use ganymede::train::{self, Control, Event, OnTrouble, Outcome, Plan, SampleRequest, StepReport, StopReason, Task, Tuning, Until};
use ganymede::{Error, Result, random};
use proptest::prelude::*;

/// What becomes of a generator of points around `offset` with deviation `spread`, where the data has 0 and 1.
#[derive(Clone, Copy, PartialEq)]
enum Story {
    /// It comes near the data and stays.
    Settles,
    /// It gets better all the time.
    Gains,
    /// It comes near the data, then goes away again.
    Turns,
    /// It collapses from step 350 on, unless it learns more slowly.
    Collapses,
    /// It collapses whatever is done.
    IsLost,
    /// Its samples are NaN from step 350 on, its losses not, unless it learns more slowly.
    Breaks,
    /// Its loss is NaN from step 350 on, unless it learns more slowly.
    Diverges,
}

struct Toy {
    story: Story,
    offset: f32,
    spread: f32,
    tuning: Tuning,
    panel: Option<Arc<Panel>>,
    /// Calls that still succeed: then the process "dies".
    calls_left: Cell<u64>,
    is_nan: bool,
    data: DataDescription,
}

impl Toy {
    fn new(story: Story) -> Self {
        Self {
            story,
            offset: 4.0,
            spread: 0.8,
            tuning: Tuning::default(),
            panel: None,
            calls_left: Cell::new(u64::MAX),
            is_nan: false,
            data: DataDescription::default(),
        }
    }

    fn live(&self) -> Result<()> {
        let left = self.calls_left.get();
        self.calls_left.set(left.saturating_sub(1));
        if left == 0 { Err(Error::config("toy", "killed", "resume")) } else { Ok(()) }
    }
}

fn normal(n: usize, purpose: &str, [offset, spread]: [f32; 2]) -> Result<Features> {
    let values = random::normal(n * 2, &mut random::stream(0, purpose, 0)).into_iter().map(|v| offset + spread * v).collect();
    Features::new(purpose, values, 2)
}

impl Task for Toy {
    fn step(&mut self, step: u64) -> Result<()> {
        self.live()?;
        let slow = self.tuning.lr_g < 1.0;
        self.offset *= match self.story {
            Story::Settles => {
                if step < 500 {
                    0.99
                } else {
                    1.0
                }
            }
            Story::Turns if step >= 400 => 1.02,
            Story::Gains => 0.998,
            _ => 0.99,
        };
        if step >= 350 && (self.story == Story::IsLost || (self.story == Story::Collapses && !slow)) {
            self.spread = 1e-3;
        }
        if step >= 350 && self.story == Story::Breaks && !slow {
            self.offset = f32::INFINITY;
        }
        self.is_nan = self.story == Story::Diverges && step >= 350 && !slow;
        Ok(())
    }

    fn report(&mut self) -> Result<StepReport> {
        self.live()?;
        let d_loss = if self.is_nan { f64::NAN } else { f64::from(self.offset).min(1.0) };
        Ok(StepReport { d_loss, g_loss: 0.7, d_accuracy: 0.7, extra: vec![("lr_g", self.tuning.lr_g)] })
    }

    fn data(&self) -> &DataDescription {
        &self.data
    }

    fn batch(&self) -> usize {
        4
    }

    fn sample(&self, _: &SampleRequest) -> Result<Vec<Artifact>> {
        Ok(vec![self.real_sheet(1)?])
    }

    fn snapshot(&self, _: u64, n: usize) -> Result<Artifact> {
        self.real_sheet(n)
    }

    fn real_sheet(&self, n: usize) -> Result<Artifact> {
        self.live()?;
        let bytes = format!("{n} {}\n", self.offset).into_bytes();
        Ok(Artifact { media_type: "text/csv", extension: "csv", stem: "sheet".into(), bytes })
    }

    fn save_state(&self) -> Result<Vec<(String, NamedTensors)>> {
        self.live()?;
        Ok(vec![("generator".into(), vec![("w".into(), HostTensor { shape: vec![2], values: vec![self.offset, self.spread] })])])
    }

    fn load_state(&mut self, players: Vec<(String, NamedTensors)>) -> Result<()> {
        self.live()?;
        let values = &players[0].1[0].1.values;
        (self.offset, self.spread) = (values[0], values[1]);
        Ok(())
    }

    fn model(&self) -> Result<TrainedGenerator> {
        let weights = self.save_state()?.swap_remove(0).1;
        Ok(trained(weights))
    }

    fn panel(&mut self, _: &mut dyn FnMut(u64, u64)) -> Result<Option<Arc<Panel>>> {
        self.live()?;
        let real = Real {
            extractor: "the numbers themselves".into(),
            choice: "frechet",
            training: normal(300, "training", [0.0, 1.0])?,
            held_out: Some(normal(100, "held-out", [0.0, 1.0])?),
            trivial: normal(100, "trivial", [4.0, 1.0])?,
            most: usize::MAX,
            classes: None,
            saturated: 0.0,
            tolerated: 0.2,
        };
        self.panel = Some(Arc::new(Panel::new(real)?));
        Ok(self.panel.clone())
    }

    fn look(&mut self, seed: u64) -> Result<Look> {
        self.live()?;
        let features = normal(100, &format!("generated {seed}"), [self.offset, self.spread])?;
        Ok(Look { features, classes: None, saturated: 0.0, signal: None, own: None })
    }

    fn tune(&mut self, tuning: Tuning) {
        self.tuning = tuning;
    }
}

fn plan() -> Plan {
    Plan {
        steps: 1000,
        batch: 4,
        log_every: 5,
        sample_every: 200,
        checkpoint_every: 100,
        judge_every: 50,
        keep: 20,
        sheet: 9,
        ..Plan::default()
    }
}

fn train(path: &Path, task: &mut Toy, plan: &Plan) -> Result<Outcome> {
    train::run(task, plan, &mut RunDir::open(path)?, &Control::default(), &mut |_| {})
}

/// How a story ends, with its folder.
fn told(story: Story, plan: &Plan) -> (tempfile::TempDir, PathBuf, Result<Outcome>) {
    let (root, path) = new_run();
    let outcome = train(&path, &mut Toy::new(story), plan);
    (root, path, outcome)
}

fn log(path: &Path) -> Vec<LogEntry> {
    let text = fs::read_to_string(path.join("log.jsonl")).unwrap();
    text.lines().map(|line| LogEntry::parse(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

#[test]
fn a_run_that_settles_stops_and_keeps_the_best_generator() {
    let (_root, path, outcome) = told(Story::Settles, &plan());
    let outcome = outcome.unwrap();
    assert_eq!((outcome.reason, outcome.step), (StopReason::Settled, 1150), "{}", outcome.why);
    let judged: Vec<(u64, f64)> = log(&path)
        .iter()
        .filter_map(|e| if let LogEntry::Judged { step, judgement } = e { Some((*step, judgement.score("frechet")?.value)) } else { None })
        .collect();
    assert_eq!(judged.len(), 23);
    // The last of equally good ones.
    let best = judged.iter().rev().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
    assert_eq!(ModelFolder::open(&path).unwrap().description().step, best);
    let report = fs::read_to_string(path.join("report.html")).unwrap();
    for part in [
        "Healthy: nothing was found wrong in 23 judgements",
        "no gain worth the time",
        "Fréchet distance",
        "of the way from trivial to real",
    ] {
        assert!(report.contains(part), "{part}");
    }
}

#[test]
fn a_run_goes_on_while_it_gains_but_not_for_ever() {
    let (_root, _, outcome) = told(Story::Gains, &plan());
    let outcome = outcome.unwrap();
    assert!(outcome.step > 1500 && outcome.step <= 3000, "{outcome:?}");
    let (_root, _, exact) = told(Story::Gains, &Plan { until: Until::End, ..plan() });
    assert_eq!((exact.as_ref().unwrap().step, exact.unwrap().reason), (1000, StopReason::Done));
}

#[test]
fn a_run_that_gets_worse_is_stopped_and_the_model_is_the_best_one() {
    let (_root, path, outcome) = told(Story::Turns, &Plan { on_trouble: OnTrouble::Report, ..plan() });
    let outcome = outcome.unwrap();
    assert_eq!(outcome.reason, StopReason::Turned, "{}", outcome.why);
    assert!(outcome.step < 1000);
    let model = ModelFolder::open(&path).unwrap().description().step;
    assert!((350..=500).contains(&model), "{model}");
}

#[test]
fn trouble_is_remedied_from_the_last_healthy_checkpoint() {
    for (story, kind) in [(Story::Collapses, "collapse"), (Story::Diverges, "non-finite"), (Story::Breaks, "non-finite")] {
        let (_root, path) = new_run();
        let mut events = Vec::new();
        let mut observer = |event: &Event| events.push(event.clone());
        let outcome = train::run(&mut Toy::new(story), &plan(), &mut RunDir::open(&path).unwrap(), &Control::default(), &mut observer);
        assert!(outcome.unwrap().step >= 1000);
        let back =
            events.iter().filter_map(|e| if let Event::Remedied { step, remedy } = e { Some((*step, remedy.kind.clone())) } else { None });
        assert_eq!(back.collect::<Vec<_>>(), [(300, kind.to_owned())]);
        let entries = log(&path);
        assert_eq!(entries.iter().filter(|e| matches!(e, LogEntry::Remedied { .. })).count(), 1);
        assert!(!entries.iter().any(|e| matches!(e, LogEntry::Finding { .. })));
        assert!(entries.is_sorted_by_key(LogEntry::step), "what was undone is no longer in the log");
        let report = fs::read_to_string(path.join("report.html")).unwrap();
        assert!(report.contains("Healthy again") && report.contains("Training went back to step 300"));
    }
}

#[test]
fn what_cannot_be_remedied_is_reported_after_a_few_tries() {
    let (_root, path, outcome) = told(Story::IsLost, &plan());
    outcome.unwrap();
    let entries = log(&path);
    let back: Vec<u64> =
        entries.iter().filter_map(|e| if let LogEntry::Remedied { remedy, .. } = e { Some(remedy.back_to) } else { None }).collect();
    assert_eq!(back, [300, 200, 100], "each time further back");
    assert_eq!(entries.iter().filter(|e| matches!(e, LogEntry::Finding { kind, .. } if kind == "collapse")).count(), 1);
    assert!(fs::read_to_string(path.join("report.html")).unwrap().contains("Not healthy: collapse"));
}

#[test]
fn trouble_stops_a_run_or_is_only_reported_as_asked() {
    let (_root, _, outcome) = told(Story::Collapses, &Plan { on_trouble: OnTrouble::Stop, ..plan() });
    let outcome = outcome.unwrap();
    assert_eq!((outcome.reason, outcome.step), (StopReason::Trouble, 450), "{}", outcome.why);
    let (_root, path, outcome) = told(Story::Collapses, &Plan { on_trouble: OnTrouble::Report, ..plan() });
    outcome.unwrap();
    assert!(log(&path).iter().any(|e| matches!(e, LogEntry::Finding { kind, .. } if kind == "collapse")));
    let (_root, _, outcome) = told(Story::Diverges, &Plan { on_trouble: OnTrouble::Report, ..plan() });
    assert!(matches!(outcome.unwrap_err(), Error::Diverged { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_judged_and_remedied_run_that_is_killed_ends_with_the_same_bytes(kills in prop::collection::vec(0u64..1400, 1..4)) {
        let plan = Plan { until: Until::End, ..plan() };
        let (_root, undisturbed, outcome) = told(Story::Collapses, &plan);
        outcome.unwrap();
        let (_root, path) = new_run();
        for n_calls in kills {
            let mut task = Toy::new(Story::Collapses);
            task.calls_left.set(n_calls);
            if train(&path, &mut task, &plan).is_ok() {
                break;
            }
        }
        train(&path, &mut Toy::new(Story::Collapses), &plan).unwrap();
        let (ours, theirs) = (lasting_files(&path, "checkpoints/step-00001000"), lasting_files(&undisturbed, "checkpoints/step-00001000"));
        for (name, bytes) in &theirs {
            prop_assert!(ours.get(name) == Some(bytes), "{} differs", name);
        }
        prop_assert_eq!(ours.len(), theirs.len());
    }
}
