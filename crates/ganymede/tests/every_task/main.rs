//! The contract of `Task`, held against every row of the table of tasks with networks of a few hundred weights.

mod cases;
mod state;

use ganymede::data::Channels;
use ganymede::device;
use ganymede::run::ModelFolder;
use ganymede::session::{self, ResumeChanges, TrainRequest};
use ganymede::tasks::TASKS;
use ganymede::train::{Asked, SampleId, SampleRequest, Setup, Task, Wish};

use cases::*;

#[test]
fn it_steps_and_its_numbers_are_finite() {
    for case in cases() {
        let name = case.entry.name;
        let mut task = case.after(&[], 1, 0);
        assert_eq!(task.batch(), 4, "{name}");
        for step in 0..3 {
            task.step(step).unwrap();
            let report = task.report().unwrap();
            assert!(report.scalars().all(|(_, value)| value.is_finite()), "{name}: {report:?}");
            assert!((0.0..=1.0).contains(&report.d_accuracy), "{name}: {report:?}");
        }
        assert!(task.quick_metrics().unwrap().iter().all(|(_, value)| value.is_finite()), "{name}");
    }
}

#[test]
fn its_samples_are_judged_the_same_each_time_and_too_little_data_is_no_error() {
    for case in cases() {
        let name = case.entry.name;
        let mut task = case.after(&[], 1, 2);
        let Some(panel) = task.panel(&mut |_, _| {}).unwrap() else {
            assert!(task.look(0).unwrap_err().to_string().contains("too small"), "{name}");
            continue;
        };
        let judged = |task: &mut dyn Task, seed| panel.judge(&task.look(seed).unwrap()).unwrap();
        let first = judged(task.as_mut(), 7);
        assert!(first.score(&first.choice).is_some() && first.scores.len() >= 8, "{name}");
        assert!(first.scores.iter().all(|s| [s.value, s.real, s.trivial].iter().all(|v| v.is_finite())), "{name}");
        assert_eq!(first, judged(task.as_mut(), 7), "{name}");
        assert_ne!(first, judged(task.as_mut(), 8), "{name}");
    }
}

#[test]
fn its_sheets_are_files_that_can_be_read() {
    for case in cases() {
        let name = case.entry.name;
        let task = case.after(&[], 1, 1);
        let sheet = task.sample(&SampleRequest::sheet(0, 6)).unwrap();
        assert_eq!(sheet.len(), 1, "{name}");
        for artifact in [task.snapshot(0, 6).unwrap(), task.real_sheet(6).unwrap(), task.real_sheet(1_000_000).unwrap(), sheet[0].clone()] {
            assert!(!artifact.stem.is_empty() && !artifact.bytes.is_empty(), "{name}");
            match (artifact.media_type, artifact.extension) {
                ("image/png", "png") => assert!(image::load_from_memory(&artifact.bytes).unwrap().width() > 0, "{name}"),
                (media_type, _) if media_type.starts_with("text/") => assert!(std::str::from_utf8(&artifact.bytes).is_ok(), "{name}"),
                ("application/json", "json") => {
                    let document: serde_json::Value = serde_json::from_slice(&artifact.bytes).unwrap();
                    assert!(document.as_object().is_some_and(|tables| tables.values().all(serde_json::Value::is_array)), "{name}");
                }
                other => panic!("{name}: teach this test to read {other:?}"),
            }
        }
        assert_eq!(contents(&task.snapshot(3, 6).unwrap()), contents(&task.snapshot(3, 6).unwrap()), "{name}");
    }
}

#[test]
fn a_sample_is_a_function_of_its_identity_alone() {
    for case in cases() {
        let name = case.entry.name;
        let task = case.after(&[], 1, 2);
        let before = state_bytes(task.as_ref());
        let wanted = SampleId { seed: 3, index: 7 };
        let alone = task.sample(&singles(vec![wanted])).unwrap();
        assert_eq!((alone.len(), alone[0].stem.as_str()), (1, "seed3-00007"), "{name}");
        // Among others, more than are computed at once, in the first place and in the last.
        let mut among = ids(9, 0..40);
        among.insert(0, wanted);
        among.push(wanted);
        let drawn = task.sample(&singles(among)).unwrap();
        assert_eq!(drawn.len(), 42, "{name}");
        assert_eq!((&drawn[0], &drawn[41]), (&alone[0], &alone[0]), "{name}");
        let different: Vec<_> = task.sample(&singles([ids(3, 7..10), ids(4, 7..10)].concat())).unwrap().iter().map(contents).collect();
        for (i, one) in different.iter().enumerate() {
            assert!(different[..i].iter().all(|other| other != one), "{name}: sample {i} is one that was there before");
        }
        let typical = task.sample(&SampleRequest { truncation: 0.5, ..singles(vec![wanted]) }).unwrap();
        assert_ne!(contents(&typical[0]), contents(&alone[0]), "{name}");
        assert_eq!(state_bytes(task.as_ref()), before, "{name}: sampling changes nothing");
    }
}

#[test]
fn every_preset_resolves_and_takes_a_step() {
    for case in cases() {
        for preset in case.entry.presets {
            let mut task = case.after(&[preset.toml], 1, 2);
            let report = task.report().unwrap();
            assert!(report.scalars().all(|(_, value)| value.is_finite()), "{} {}: {report:?}", case.entry.name, preset.name);
            assert_eq!(task.sample(&singles(ids(0, 0..2))).unwrap().len(), 2);
        }
    }
}

#[test]
fn every_loss_and_every_penalty_takes_a_step() {
    for case in cases() {
        for loss in LOSSES {
            assert_eq!(serde_json::to_value(loss).unwrap(), name_of(loss));
            for (r1, gradient_penalty) in [(0.0, 0.0), (1.0, 0.0), (0.0, 10.0), (1.0, 10.0)] {
                let game = format!(
                    "game.loss = \"{}\"\ngame.r1 = {r1:?}\ngame.r2 = {r1:?}\ngame.gradient_penalty = {gradient_penalty:?}",
                    name_of(loss)
                );
                let mut task = case.after(&["", &game], 1, 2);
                let report = task.report().unwrap();
                assert!(report.scalars().all(|(_, value)| value.is_finite()), "{} {game}: {report:?}", case.entry.name);
                let has = |wanted: &str| report.scalars().any(|(name, _)| name == wanted);
                assert_eq!((has("r1"), has("r2"), has("gradient_penalty")), (r1 > 0.0, r1 > 0.0, gradient_penalty > 0.0), "{game}");
            }
        }
    }
}

#[test]
fn wrong_settings_are_refused_by_their_key() {
    for case in cases() {
        for (layer, key) in [
            ("plan.batch = 0", "plan.batch"),
            ("plan.stepz = 3", "plan.stepz"),
            ("game.lr_g = -1.0", "game.lr_g"),
            ("network.width = 0", "network.width"),
        ] {
            let error = (case.entry.resolve)(&[toml::from_str(layer).unwrap()]).unwrap_err();
            assert!(error.to_string().starts_with(key) && error.exit_code() == 2, "{}: {error}", case.entry.name);
        }
        assert!(case.entry.preset("nonsense").is_err());
    }
}

#[test]
fn data_of_another_kind_is_refused() {
    let cases = cases();
    for case in &cases {
        for other in cases.iter().filter(|other| (case.entry.recognizes)(&other.source).is_none()) {
            let setup = Setup {
                source: &other.source,
                config: &case.config(&[]),
                seed: 1,
                device: device::open("cpu").unwrap(),
                cache: None,
                progress: &|_, _, _| {},
            };
            let error = (case.entry.open)(&setup);
            assert!(error.err().unwrap().to_string().contains("ganymede tasks"), "{}", case.entry.name);
            assert!((case.entry.propose)(&other.source, &device::open("cpu").unwrap(), &Asked::default()).is_err());
        }
    }
}

#[test]
fn pictures_keep_their_size_and_channels() {
    for (width, height, channels) in
        [(20, 12, Channels::Rgba), (12, 20, Channels::Rgb), (9, 7, Channels::Grey), (5, 31, Channels::Rgb), (4, 4, Channels::Grey)]
    {
        let case = Case::of_pictures(pictures(&["."], width, height, channels));
        for architecture in ["residual", "dcgan", "mlp"] {
            let layer = format!("network.architecture = \"{architecture}\"\ngame.r1 = 0.0\ngame.r2 = 0.0");
            let task = case.try_open(&case.config(&["", &layer]), 1);
            // Too small for a single stride: an error that says what to use instead.
            if architecture == "dcgan" && width.min(height) < 8 {
                assert!(task.err().unwrap().to_string().starts_with("network.architecture"));
                continue;
            }
            let mut task = task.unwrap();
            task.step(0).unwrap();
            assert!(task.report().unwrap().d_loss.is_finite());
            let drawn = image::load_from_memory(&task.sample(&singles(ids(0, 0..1))).unwrap()[0].bytes).unwrap();
            let n_channels = usize::from(drawn.color().channel_count());
            assert_eq!((drawn.width() as usize, drawn.height() as usize, n_channels), (width, height, channels.count()), "{architecture}");
        }
    }
}

#[test]
fn pictures_are_drawn_of_the_class_that_is_asked_for() {
    let case = Case::of_pictures(pictures(&["cats", "dogs"], 8, 8, Channels::Rgb));
    let asked = |task: &dyn Task, label: &str| {
        task.sample(&SampleRequest { wish: Wish::Class(label.to_owned()), ..singles(ids(0, 0..20)) })
            .map(|files| files.iter().map(contents).collect::<Vec<_>>())
    };
    for architecture in ["residual", "dcgan", "mlp"] {
        let layer = format!("network.architecture = \"{architecture}\"\ngame.r1 = 0.0\ngame.r2 = 0.0");
        let task = case.after(&["", &layer], 1, 2);
        let (cats, dogs) = (asked(task.as_ref(), "cats").unwrap(), asked(task.as_ref(), "dogs").unwrap());
        assert!(cats.iter().zip(&dogs).all(|(cat, dog)| cat != dog), "{architecture}: the class makes a difference");
        // Without a label each identity has a class of its own, drawn as often as the data has it.
        let free: Vec<_> = task.sample(&singles(ids(0, 0..20))).unwrap().iter().map(contents).collect();
        let n_cats = free.iter().zip(&cats).filter(|(one, cat)| one == cat).count();
        let n_dogs = free.iter().zip(&dogs).filter(|(one, dog)| one == dog).count();
        assert!(n_cats + n_dogs == 20 && n_cats > 2 && n_dogs > 2, "{architecture}: {n_cats} cats, {n_dogs} dogs");
        let message = asked(task.as_ref(), "cat").unwrap_err().to_string();
        assert!(message.contains("did you mean cats?") && message.contains("known classes: cats, dogs"), "{message}");
    }
    let blind = case.after(&["", "data.condition = \"none\""], 1, 1);
    assert!(asked(blind.as_ref(), "cats").unwrap_err().to_string().contains("learned no classes"));
    assert!(blind.model().unwrap().classes.is_empty());
}

#[test]
fn training_begins_with_an_earlier_model_where_it_is_asked_to() {
    for case in cases() {
        let name = case.entry.name;
        let root = tempfile::tempdir().unwrap();
        let (run, task) = finished(&case, root.path());
        let beginning = || TrainRequest { from: Some(run.path().to_path_buf()), ..request(&case) };
        let opened = |request| session::prepare(&request).unwrap().open(&|_, _, _| {}).unwrap();
        let (mut further, fresh) = (opened(beginning()), opened(request(&case)));
        let earlier = task.model().unwrap();
        assert!(further.model().unwrap().weights == earlier.weights && fresh.model().unwrap().weights != earlier.weights, "{name}");
        assert!(further.model().unwrap().discriminator == earlier.discriminator, "{name}");
        assert!(
            !earlier.discriminator.is_empty() && further.take_over(&ModelFolder::open(run.path()).unwrap()).unwrap().is_empty(),
            "{name}"
        );
        further.step(0).unwrap();
        assert!(further.model().unwrap().weights != earlier.weights, "{name}");

        // A run that was killed before its first checkpoint begins with the same model when it is resumed.
        let (second, task) = session::prepare(&beginning()).unwrap().start(root.path(), &|_, _, _| {}).unwrap();
        let path = second.path().to_path_buf();
        drop((second, task));
        let resumed = session::resume(&path, &ResumeChanges::default(), &|_, _, _| {}).unwrap();
        assert!(resumed.task.model().unwrap().weights == earlier.weights, "{name}");

        for other in TASKS.iter().filter(|other| other.name != name) {
            let wrong = TrainRequest { task: Some(other.name.to_owned()), ..beginning() };
            assert!(session::prepare(&wrong).is_err(), "{name} as {}", other.name);
        }
    }
}
