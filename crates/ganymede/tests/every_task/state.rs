//! What a state is worth: runs that stop, go on, are taken up elsewhere or do not fit.

use std::fs;
use std::sync::atomic::Ordering;

use ganymede::artifact::Artifact;
use ganymede::device;
use ganymede::run::{HostTensor, ModelFolder, NamedTensors};
use ganymede::session::{self, ResumeChanges};
use ganymede::train::{self, Control, Event, SampleRequest, Tuning};

use crate::cases::*;

#[test]
fn tuning_changes_the_game_and_is_undone_by_tuning_back() {
    for case in cases() {
        let name = case.entry.name;
        let played = |tunings: &[Tuning]| {
            let mut task = case.after(&[], 1, 0);
            for (step, tuning) in tunings.iter().enumerate() {
                task.tune(*tuning);
                task.step(step as u64).unwrap();
            }
            state_bytes(task.as_ref())
        };
        let (plain, slow) = (Tuning::default(), Tuning { lr_g: 0.5, ..Tuning::default() });
        let untouched = state_bytes(case.after(&[], 1, 2).as_ref());
        assert!(played(&[plain, plain]) == untouched, "{name}");
        let mut changes = vec![slow, Tuning { lr_d: 0.5, ..plain }, Tuning { penalty: 3.0, ..plain }];
        changes.extend(case.after(&[], 1, 0).augments().then_some(Tuning { augment: 0.5, ..plain }));
        for changed in changes {
            assert!(played(&[plain, changed]) != untouched, "{name}: {changed:?}");
        }
    }
}

#[test]
fn the_seed_and_nothing_else_makes_a_run() {
    for case in cases() {
        let [one, two, other] = [1, 1, 2].map(|seed| state_bytes(case.after(&[], seed, 2).as_ref()));
        assert!(one == two && one != other, "{}", case.entry.name);
    }
}

/// A batch of four in parts of one and of two: with Adam's epsilon so large that updates follow the gradients, the same game but for rounding.
#[test]
fn a_batch_in_parts_plays_the_same_game() {
    for case in cases() {
        let name = case.entry.name;
        let after = |parts: usize| {
            let game = format!("game.accumulate = {parts}\ngame.epsilon = 1.0\ngame.gradient_penalty = 0.5\ngame.clip = 10.0");
            let task = case.after(&["", &game], 1, 3);
            let values: Vec<f32> =
                task.save_state().unwrap().into_iter().flat_map(|(_, own)| own).flat_map(|(_, own)| own.values).collect();
            (task, values)
        };
        let ((mut whole, expected), (mut parts, found)) = (after(1), after(3));
        assert!(expected != found, "{name}: the parts were not taken by themselves");
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{name}: {found} and {expected}");
        }
        let (whole, parts) = (whole.report().unwrap(), parts.report().unwrap());
        for ((key, expected), (_, found)) in whole.scalars().zip(parts.scalars()) {
            assert!((found - expected).abs() < 1e-3 * (1.0 + expected.abs()), "{name} {key}: {found} and {expected}");
        }
    }
}

#[test]
fn a_restored_task_goes_on_exactly_like_the_one_it_came_from() {
    for case in cases() {
        let mut variants: Vec<Vec<&str>> = case.entry.presets.iter().map(|preset| vec![preset.toml]).collect();
        variants.push(vec!["", "game.d_first = 2\ngame.clip = 0.5\ngame.d_steps = 2"]);
        for layers in &variants {
            for saved_at in [0, 1, 2] {
                let mut one = case.after(layers, 1, saved_at);
                let mut two = case.after(layers, 1, 0);
                two.load_state(one.save_state().unwrap()).unwrap();
                assert_eq!(state_bytes(one.as_ref()), state_bytes(two.as_ref()), "{} at {saved_at}", case.entry.name);
                for step in saved_at..saved_at + 2 {
                    one.step(step).unwrap();
                    two.step(step).unwrap();
                }
                assert_eq!(state_bytes(one.as_ref()), state_bytes(two.as_ref()), "{} from {saved_at}", case.entry.name);
                assert_eq!(one.report().unwrap(), two.report().unwrap());
            }
        }
    }
}

#[test]
fn a_run_that_was_stopped_and_resumed_ends_with_the_same_bytes() {
    for case in cases() {
        let name = case.entry.name;
        let root = tempfile::tempdir().unwrap();
        let (run, _) = finished(&case, root.path());
        let undisturbed = run.path().to_path_buf();

        let (mut run, mut task, plan) = start(&case, root.path());
        let control = Control::default();
        let stop = control.stop.clone();
        let mut stop_at_3 = |event: &Event| {
            if matches!(event, Event::Step { step: 3, .. }) {
                stop.store(true, Ordering::Relaxed);
            }
        };
        assert_eq!(train::run(task.as_mut(), &plan, &mut run, &control, &mut stop_at_3).unwrap().step, 3, "{name}");
        let stopped = run.path().to_path_buf();
        drop(run);
        let mut resumed = session::resume(&stopped, &ResumeChanges::default(), &|_, _, _| {}).unwrap();
        let outcome = train::run(resumed.task.as_mut(), &resumed.plan, &mut resumed.run, &Control::default(), &mut |_| {}).unwrap();
        assert_eq!(outcome.step, 4, "{name}");
        for folder in ["model", "checkpoints/step-00000004", "samples"] {
            assert_eq!(files(&stopped.join(folder)), files(&undisturbed.join(folder)), "{name}: {folder}");
        }
    }
}

#[test]
fn the_model_folder_alone_draws_the_same_samples() {
    for case in cases() {
        let name = case.entry.name;
        let root = tempfile::tempdir().unwrap();
        let (run, task) = finished(&case, root.path());
        let moved = root.path().join("elsewhere");
        fs::rename(run.path().join("model"), &moved).unwrap();
        let folder = ModelFolder::open(&moved).unwrap();
        assert_eq!((folder.description().task.as_str(), folder.description().step), (name, 4));
        let model = (case.entry.load_model)(&folder, &device::open("cpu").unwrap()).unwrap();
        assert_eq!(model.description(), folder.description(), "{name}");
        for request in [singles(ids(2, 0..20)), SampleRequest::sheet(1, 6), SampleRequest { truncation: 0.3, ..SampleRequest::sheet(1, 3) }]
        {
            // Pictures of a model folder also say which one it was.
            let drawn = |files: Vec<Artifact>| files.iter().map(|file| (file.stem.clone(), contents(file))).collect::<Vec<_>>();
            assert!(drawn(model.sample(&request).unwrap()) == drawn(task.sample(&request).unwrap()), "{name}");
        }
    }
}

/// Ways in which a state can fail to fit: for every tensor that it is missing or of another shape, a tensor too many, a player too many or too few.
fn misfits(state: &[(String, NamedTensors)]) -> Vec<(String, Vec<(String, NamedTensors)>)> {
    let mut found = Vec::new();
    for player in 0..state.len() {
        let mut add = |what: &str, change: &dyn Fn(&mut NamedTensors)| {
            let mut players = state.to_vec();
            change(&mut players[player].1);
            found.push((format!("{what} of the {}", state[player].0), players));
        };
        for (idx, (name, _)) in state[player].1.iter().enumerate() {
            add(&format!("{name} missing"), &|tensors| drop(tensors.remove(idx)));
            add(&format!("{name} in another shape"), &|tensors| tensors[idx].1.shape.push(1));
            add(&format!("{name} longer"), &|tensors| {
                let HostTensor { shape, values } = &mut tensors[idx].1;
                values.push(0.0);
                *shape = vec![values.len()];
            });
        }
        add("one more tensor", &|tensors| tensors.push(("net.more".into(), HostTensor { shape: vec![1], values: vec![0.0] })));
        let mut without = state.to_vec();
        let (name, tensors) = without.remove(player);
        found.push((format!("no {name}"), without));
        found.push((format!("a stranger beside the {name}"), [state, &[("stranger".to_owned(), tensors)]].concat()));
    }
    found
}

#[test]
fn a_state_that_does_not_fit_is_refused_and_changes_nothing() {
    for case in cases() {
        for preset in case.entry.presets {
            let name = format!("{} {}", case.entry.name, preset.name);
            let state = case.after(&[preset.toml], 1, 2).save_state().unwrap();
            let mut task = case.after(&[preset.toml], 1, 1);
            let before = state_bytes(task.as_ref());
            for (what, misfit) in misfits(&state) {
                assert!(task.load_state(misfit).is_err(), "{name}: {what} is not noticed");
                assert!(state_bytes(task.as_ref()) == before, "{name}: {what} is refused, but something was loaded");
            }
            task.load_state(state).unwrap();
            assert!(state_bytes(task.as_ref()) != before, "{name}");
        }
    }
}
