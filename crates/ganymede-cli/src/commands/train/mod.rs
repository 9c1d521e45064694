//! `ganymede train [DATA]`: decides, says what it decided, trains, says where everything is.

mod choices;
mod ending;

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use ganymede::Error;
use ganymede::run::{RunDir, Unfinished};
use ganymede::session::{self, Prepared, ResumeChanges, TrainRequest};
use ganymede::train::{Control, Event, Plan, StopReason, Task};
use serde_json::{Map, Value, json};

use crate::failure::DIVERGED;
use crate::interrupt;
use crate::output::{Output, thousands};
use crate::progress::{Preparation, Progress};

const EXAMPLES: &str = "\
Examples:
  ganymede train                              the built-in avatars
  ganymede train photos/                      a folder of pictures; sub-folders are classes
  ganymede train people.csv                   a table: numbers, categories, dates
  ganymede train people.csv --schema people.schema.toml
  ganymede train shop/                        a folder of tables that refer to each other by keys
  ganymede train shop/metadata.json           the same by SDV's metadata
  ganymede train visits.csv --entity patient --order date     series: several rows for each patient
  ganymede train ring                         built-in: avatars, digits, stacked-digits, ring, grid
  ganymede train photos/ --dry-run            what would be done, and why
  ganymede train photos/ --dry-run -v         with every setting
  ganymede train photos/ --preset dcgan --set batch=32 --steps 20000 --seed 7
  ganymede train photos/ --set 'game.lr_g={ from = 2e-4, to = 5e-5, shape = \"cosine\" }'
  ganymede train photos/ --config mine.toml   settings from a file
  ganymede train --resume last                go on after Ctrl-C, a crash or a power cut
  ganymede train --resume last --steps 5000   train a run longer than it was to be
  ganymede train cats/ --from runs/0003-image-pets            fine-tune an earlier model
  ganymede train photos/ --minutes 30         as many steps as fit
  ganymede train photos/ --on-trouble report  write trouble down, and go on all the same

Settings are laid over each other: defaults, preset, what suits the data, --config, --set.
Ctrl-C finishes the step and saves; a second one stops at once.";

/// Arguments of `train`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TrainArgs {
    /// A folder, .zip or .tar of pictures, a folder of .tar shards, IDX files, a table (.csv, .tsv, .jsonl, .parquet, .arrow, .xlsx), a folder of tables with foreign keys, or built-in data by name [default: avatars]
    data: Option<String>,
    /// What to learn, of `ganymede tasks` [default: what recognises the data]
    #[arg(long)]
    task: Option<String>,
    /// Where settings start from, of `ganymede presets` [default: what suits data and device]
    #[arg(long)]
    preset: Option<String>,
    /// Begin with the weights of an earlier model instead of fresh ones: its networks' shape and size of pictures are taken too
    #[arg(long, value_name = "RUN|MODEL")]
    from: Option<PathBuf>,
    /// Change one setting; may be repeated. The key's last part will do where it is the only one
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Take settings from a TOML file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What the columns of a table are, as `ganymede inspect TABLE --write-schema` wrote it and you changed it, or SDV's metadata (.json)
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    schema: Option<PathBuf>,
    /// Learn series: rows with the same value in this column of a table belong together
    #[arg(long, value_name = "COLUMN", conflicts_with = "resume")]
    entity: Option<String>,
    /// The column that sorts the rows of a series: dates or numbers [default: the order of the file]
    #[arg(long, value_name = "COLUMN", conflicts_with = "resume")]
    order: Option<String>,
    /// Train this many steps and no more. With --resume: this many in all, over which schedules then run [default: the preset's, and on while samples get better]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Train this many minutes; schedules are fitted to them
    #[arg(long, value_name = "M", conflicts_with_all = ["steps", "resume"])]
    minutes: Option<f64>,
    /// When to stop: settled (samples no longer get better), end (of the planned steps), never
    #[arg(long, value_name = "WHEN", value_parser = ["settled", "end", "never"], conflicts_with_all = ["minutes", "resume"])]
    until: Option<String>,
    /// What to do when training goes wrong: report it, remedy it (go back and change settings), or stop
    #[arg(long, value_name = "WHAT", value_parser = ["report", "remedy", "stop"], conflicts_with = "resume")]
    on_trouble: Option<String>,
    /// Learn from all data and hold none out; samples are then judged by what was learned from
    #[arg(long, conflicts_with = "resume")]
    no_holdout: bool,
    /// Seed of everything random
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Where to compute: auto, cpu, wgpu[:N], vulkan[:N], cuda[:N] [default: auto, or the run's own with --resume]
    #[arg(long, env = "GANYMEDE_DEVICE", hide_env_values = true, value_name = "NAME")]
    device: Option<String>,
    /// Folder that run directories are made in
    #[arg(long, env = "GANYMEDE_RUNS", hide_env_values = true, default_value = "runs", value_name = "FOLDER")]
    out: PathBuf,
    /// Say what would be done and stop
    #[arg(long)]
    dry_run: bool,
    /// Go on with this run directory, or with the newest under --out (last). With DATA: the place its data was moved to
    #[arg(long, value_name = "RUN|last", conflicts_with_all = ["task", "preset", "set", "config", "seed", "dry_run"])]
    resume: Option<PathBuf>,
    /// If the same work was begun before and not finished, go on with it without asking
    #[arg(long = "continue", conflicts_with_all = ["fresh", "resume", "dry_run"])]
    go_on: bool,
    /// Start a new run without asking, also if the same work was begun before
    #[arg(long, conflicts_with_all = ["resume", "dry_run"])]
    fresh: bool,
}

/// A run and its task, about to play.
struct Game {
    run: RunDir,
    task: Box<dyn Task>,
    plan: Plan,
    device: String,
}

pub fn run(args: &TrainArgs, output: Output) -> Result<ExitCode> {
    let game = match &args.resume {
        Some(path) => resume(&resumed_path(path, &args.out)?, args, output)?,
        None => {
            let prepared = session::prepare(&request(args))?;
            if args.dry_run {
                choices::print_dry_run(&prepared, output)?;
                return Ok(ExitCode::SUCCESS);
            }
            choices::say(&prepared, output);
            match earlier_run(&prepared, args, output)? {
                Some(path) => resume(&path, args, output)?,
                None => {
                    let preparation = Preparation::new(output);
                    let (run, task) = prepared.start(&args.out, &|what, done, of| preparation.observe(what, done, of))?;
                    Game { run, task, plan: prepared.plan, device: prepared.device.name.to_string() }
                }
            }
        }
    };
    play(game, output)
}

/// A text as `--set` takes it.
fn toml_text(text: &str) -> String {
    if text.contains('\'') { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) } else { format!("'{text}'") }
}

fn request(args: &TrainArgs) -> TrainRequest {
    let mut set = args.set.clone();
    if let Some(n) = args.steps {
        // Asked for so many, it gets so many, unless it says otherwise.
        set.extend([format!("plan.steps={n}"), "plan.until=end".to_owned()]);
    }
    if let Some(minutes) = args.minutes {
        set.extend([format!("plan.minutes={minutes}"), format!("plan.steps={}", Plan::UNKNOWN), "plan.until=end".to_owned()]);
    }
    set.extend(args.until.iter().map(|when| format!("plan.until={when}")));
    set.extend(args.on_trouble.iter().map(|what| format!("plan.on_trouble={what}")));
    if let Some(schema) = &args.schema {
        let path = std::path::absolute(schema).unwrap_or_else(|_| schema.clone());
        set.push(format!("data.schema={}", toml_text(&path.to_string_lossy())));
    }
    set.extend(args.entity.iter().map(|column| format!("data.entity={}", toml_text(column))));
    set.extend(args.order.iter().map(|column| format!("data.order={}", toml_text(column))));
    if args.no_holdout {
        set.push("plan.holdout=0".to_owned());
    }
    TrainRequest {
        data: args.data.clone(),
        task: args.task.clone(),
        preset: args.preset.clone(),
        from: args.from.clone(),
        config_file: args.config.clone(),
        set,
        seed: args.seed,
        device: args.device.clone().unwrap_or_else(|| "auto".to_owned()),
        command_line: std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect(),
    }
}

fn resumed_path(path: &Path, out: &Path) -> Result<PathBuf, Error> {
    if path == Path::new("last") && !path.exists() { session::newest_run(out) } else { Ok(path.to_path_buf()) }
}

fn resume(path: &Path, args: &TrainArgs, output: Output) -> Result<Game> {
    let mut changes = ResumeChanges { device: args.device.clone(), ..ResumeChanges::default() };
    // Where the same command found an earlier run, data and steps are that run's already.
    if args.resume.is_some() {
        (changes.data, changes.steps) = (args.data.clone(), args.steps);
    }
    let preparation = Preparation::new(output);
    let resumed = session::resume(path, &changes, &|what, done, of| preparation.observe(what, done, of))?;
    output.say(format!("continue  {} on {}", path.display(), resumed.device.name));
    if let Some(steps) = changes.steps {
        output.say(format!("plan      {} steps in all, over which schedules run from now on", thousands(steps)));
    }
    Ok(Game { run: resumed.run, task: resumed.task, plan: resumed.plan, device: resumed.device.name.to_string() })
}

/// The run to go on with instead of starting a new one, if there is one and the user wants it.
fn earlier_run(prepared: &Prepared, args: &TrainArgs, output: Output) -> Result<Option<PathBuf>> {
    if args.fresh {
        return Ok(None);
    }
    let Some(Unfinished { path, step, steps }) = prepared.unfinished(&args.out)? else { return Ok(None) };
    let found = format!("{} is the same work, stopped at step {} of {}", path.display(), thousands(step), thousands(steps));
    if args.go_on {
        output.say(found);
        return Ok(Some(path));
    }
    if output.json || output.quiet || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        output.say(format!("{found}; starting a new run (to go on with it: --continue)"));
        return Ok(None);
    }
    Ok(ask(&format!("{found}. Go on with it? [Y/n] "))?.then_some(path))
}

fn ask(question: &str) -> io::Result<bool> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question}")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(!answer.trim().to_lowercase().starts_with('n'))
}

fn play(mut game: Game, output: Output) -> Result<ExitCode> {
    let control = Control { stop: interrupt::listen(output)? };
    let mut progress = Progress::new(output, about(&game));
    let played = ganymede::train::run(game.task.as_mut(), &game.plan, &mut game.run, &control, &mut |event: &Event| {
        progress.observe(event);
        if progress.reader_gone {
            // Whoever read our JSON is gone: stop as after Ctrl-C.
            control.stop.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    });
    progress.finish();
    let outcome = match played {
        Ok(outcome) => outcome,
        Err(error) => {
            output.say(format!("run       {}", game.run.path().display()));
            return Err(error.into());
        }
    };
    if progress.was_finished() {
        output.say("this run was finished already; to train it longer: --resume with more --steps");
    }
    if progress.reader_gone {
        return Ok(ExitCode::from(interrupt::EXIT_CODE));
    }
    ending::tell(&game.run, &outcome, output)?;
    Ok(match outcome.reason {
        StopReason::Interrupted => ExitCode::from(interrupt::EXIT_CODE),
        StopReason::Trouble => ExitCode::from(DIVERGED),
        StopReason::Done | StopReason::Settled | StopReason::Turned | StopReason::Time => ExitCode::SUCCESS,
    })
}

/// What the first JSON line says about the run.
fn about(game: &Game) -> Map<String, Value> {
    let manifest = game.run.manifest();
    let about = json!({
        "run": game.run.path(),
        "task": manifest.task,
        "preset": manifest.preset,
        "data": manifest.data,
        "seed": manifest.seed,
        "device": game.device,
    });
    about.as_object().cloned().unwrap_or_default()
}
