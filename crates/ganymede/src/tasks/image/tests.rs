use super::*;
use crate::train::{Asked, Tuning};

#[test]
fn penalties_are_refused_for_batch_normalised_discriminators() {
    let table: Table = toml::from_str("network.architecture = \"dcgan\"\ngame.r1 = 1.0").unwrap();
    let error = (ENTRY.resolve)(&[table]).unwrap_err().to_string();
    assert!(error.contains("network.architecture"), "{error}");
}

fn proposed(preset: Option<&str>, asked: &str) -> Table {
    let settings: Table = toml::from_str(asked).unwrap();
    let asked = Asked { preset, settings: std::slice::from_ref(&settings) };
    propose::propose(&Source::open("avatars").unwrap(), &Device::flex(), &asked).unwrap().settings
}

#[test]
fn penalties_grow_with_the_squared_distances_between_pictures() {
    assert!(!proposed(None, "").contains_key("game"));
    let twice_as_large = proposed(None, "data.height = 32");
    assert_eq!(twice_as_large["data"]["width"].as_integer(), Some(32));
    for key in ["r1", "r2"] {
        let schedule = &twice_as_large["game"][key];
        assert_eq!((schedule["from"].as_float(), schedule["to"].as_float()), (Some(64.0), Some(20.0)), "{key}");
    }
}

#[test]
fn what_is_asked_for_is_left_alone() {
    let asked = proposed(None, "data.height = 32\ngame.r1 = 7.0\nplan.steps = 10");
    assert!(asked["game"].get("r1").is_none() && asked["game"].get("r2").is_some());
    assert!(!asked.contains_key("network") && !asked.contains_key("plan"));
    // A preset without penalties gets none.
    assert!(!proposed(Some("dcgan"), "data.height = 32").contains_key("game"));
}

#[test]
fn attributes_are_learned_with_an_auxiliary_classifier_unless_somebody_says_otherwise() {
    let attributes = proposed(None, "data.condition = \"attributes\"");
    assert_eq!(attributes["game"]["auxiliary"].as_float(), Some(1.0));
    assert_eq!(attributes["network"]["condition_map"].as_bool(), Some(true));
    let told = proposed(None, "data.condition = \"attributes\"\ngame.auxiliary = 0.0\nnetwork.condition_map = false");
    assert!(!told.contains_key("game") && !told.contains_key("network"));
    let mlp = proposed(None, "data.condition = \"attributes\"\nnetwork.architecture = \"mlp\"");
    assert!(mlp.contains_key("game") && !mlp.contains_key("network"));
}

/// A small game about the built-in digits, held out and all.
fn small_game(more: &str) -> Box<dyn Task> {
    let small = "data.height = 8\nplan.batch = 4\nnetwork.width = 8\nnetwork.group_width = 4\nnetwork.latent_dim = 4\nplan.steps = 100";
    let layers = [small, more].map(|text| toml::from_str::<Table>(text).unwrap());
    let config = (ENTRY.resolve)(&layers).unwrap();
    let source = Source::open("digits").unwrap();
    open(&Setup { source: &source, config: &config, seed: 1, device: Device::flex(), cache: None, progress: &|_, _, _| {} }).unwrap()
}

fn augment_p(task: &mut dyn Task) -> Option<f64> {
    task.report().unwrap().extra.iter().find(|(name, _)| *name == "augment_p").map(|(_, p)| *p)
}

/// What the auxiliary classifier got wrong in a step, as both players see it.
fn auxiliary(task: &mut dyn Task) -> Vec<f64> {
    let report = task.report().unwrap();
    ["d_auxiliary", "g_auxiliary"].iter().filter_map(|name| report.scalars().find(|(own, _)| own == name).map(|(_, value)| value)).collect()
}

#[test]
fn the_auxiliary_classifier_learns_what_real_pictures_are_and_teaches_the_generator() {
    for architecture in ["residual", "mlp", "dcgan"] {
        let network = match architecture {
            "dcgan" => "network.architecture = \"dcgan\"\ngame.r1 = 0.0\ngame.r2 = 0.0\n".to_owned(),
            _ => format!("network.architecture = \"{architecture}\"\nnetwork.condition_map = true\n"),
        };
        let mut task =
            small_game(&format!("{network}network.width = 32\nplan.batch = 16\ngame.auxiliary = 10.0\ngame.lr_g = 2e-3\ngame.lr_d = 2e-3"));
        task.step(0).unwrap();
        let first = auxiliary(task.as_mut());
        assert!(first.len() == 2 && first.iter().all(|loss| (0.5..20.0).contains(loss)), "{architecture}: {first:?}");
        let mean = |task: &mut dyn Task, steps: std::ops::Range<u64>| {
            let n = (steps.end - steps.start) as f64;
            let sums = steps.fold([0.0; 2], |[d, g], step| {
                task.step(step).unwrap();
                let own = auxiliary(task);
                [d + own[0], g + own[1]]
            });
            sums.map(|sum| sum / n)
        };
        let [before, _] = mean(task.as_mut(), 1..11);
        mean(task.as_mut(), 11..90);
        let [after, generated] = mean(task.as_mut(), 90..100);
        // Ten classes: chance is 2.3.
        assert!(after < 0.9 * before && generated.is_finite(), "{architecture}: {before} and then {after}");
    }
    for settings in ["", "game.auxiliary = 1.0\ndata.condition = \"none\""] {
        let mut task = small_game(settings);
        task.step(0).unwrap();
        assert!(auxiliary(task.as_mut()).is_empty(), "{settings}");
    }
}

/// With Adam's epsilon so large that updates follow the gradients, parts of a batch play the same game but for rounding.
#[test]
fn the_penalty_on_the_classifier_counts_and_is_the_same_in_parts() {
    let after = |penalty: f64, parts: usize| -> Vec<f32> {
        let game = format!("game.auxiliary = 1.0\ngame.auxiliary_penalty = {penalty}\ngame.accumulate = {parts}\ngame.epsilon = 1.0\n");
        let mut task = small_game(&game);
        (0..3).for_each(|step| task.step(step).unwrap());
        task.save_state().unwrap().into_iter().flat_map(|(_, own)| own).flat_map(|(_, own)| own.values).collect()
    };
    let (without, whole, parts) = (after(0.0, 1), after(0.1, 1), after(0.1, 3));
    let farthest = |other: &[f32]| whole.iter().zip(other).map(|(a, b)| (a - b).abs() / (1.0 + a.abs())).fold(0.0, f32::max);
    let (counts, rounding) = (farthest(&without), farthest(&parts));
    assert!(rounding < 1e-4 && counts > 10.0 * rounding, "{counts} and {rounding}");
}

#[test]
fn every_policy_plays_and_its_probability_is_reported() {
    for (settings, expected) in [
        ("", None),
        ("augment.policy = \"translation\"", Some(1.0)),
        ("augment.policy = \"diffaugment\"\naugment.p = 0.5", Some(0.5)),
        ("augment.policy = \"ada\"\naugment.p = { from = 0.0, to = 0.6, shape = \"linear\" }", Some(0.006)),
        ("augment.policy = \"ada\"\naugment.target = 0.5", Some(0.0)),
    ] {
        let mut task = small_game(settings);
        task.step(0).unwrap();
        task.step(1).unwrap();
        let report = task.report().unwrap();
        assert!(report.scalars().all(|(_, value)| value.is_finite()), "{settings}: {report:?}");
        assert_eq!(augment_p(task.as_mut()), expected, "{settings}");
    }
}

#[test]
fn augmentation_changes_what_is_learned_and_a_remedy_adds_some() {
    let played = |settings: &str, augment: f64| {
        let mut task = small_game(settings);
        task.tune(Tuning { augment, ..Tuning::default() });
        task.step(0).unwrap();
        (task.save_state().unwrap(), augment_p(task.as_mut()))
    };
    let (plain, none) = played("", 0.0);
    let (remedied, some) = played("", 0.3);
    assert_eq!((none, some), (None, Some(0.3)));
    assert!(plain != remedied && plain != played("augment.policy = \"diffaugment\"", 0.0).0);
}

#[test]
fn an_adapted_probability_is_kept_by_checkpoints() {
    let settings = "augment.policy = \"ada\"\naugment.target = 0.01\naugment.ramp = 1280.0";
    let mut one = small_game(settings);
    (0..32).for_each(|step| one.step(step).unwrap());
    // Up or down by 32 steps of 4 pictures; it started at the bottom.
    let p = augment_p(one.as_mut()).unwrap();
    assert!(p == 0.0 || (p - 0.1).abs() < 1e-6, "{p}");
    let mut state = one.save_state().unwrap();
    let (name, kept) = state.iter_mut().find(|(name, _)| name == "augment").unwrap();
    assert_eq!(f64::from(kept[0].1.values[0]), p, "{name}");
    // Whatever it was, it is taken back, and the run goes on from there.
    kept[0].1.values[0] = 0.25;
    let (mut two, mut three) = (small_game(settings), small_game(settings));
    two.load_state(state.clone()).unwrap();
    assert_eq!(augment_p_at(two.as_mut(), 32), 0.25);
    three.load_state(two.save_state().unwrap()).unwrap();
    (33..64).for_each(|step| two.step(step).unwrap());
    (33..64).for_each(|step| three.step(step).unwrap());
    assert!(two.save_state().unwrap() == three.save_state().unwrap());

    let mut damaged = state.clone();
    damaged.iter_mut().find(|(name, _)| name == "augment").unwrap().1[0].1.values[0] = 7.0;
    assert!(two.load_state(damaged).is_err());
    state.retain(|(name, _)| name != "augment");
    assert!(two.load_state(state).is_err());
}

fn augment_p_at(task: &mut dyn Task, step: u64) -> f64 {
    task.step(step).unwrap();
    augment_p(task).unwrap()
}

#[test]
fn frozen_stages_of_the_discriminator_stay_as_they_are() {
    // The auxiliary classifier learns too, or it would look frozen.
    let settings = "game.freeze_d = 1\ngame.auxiliary = 1";
    let state = |task: &dyn Task| {
        let players = task.save_state().unwrap();
        let (_, discriminator) = players.into_iter().find(|(name, _)| name == "discriminator").unwrap();
        discriminator.into_iter().filter(|(name, _)| name.starts_with("net.")).collect::<Vec<_>>()
    };
    let mut task = small_game(settings);
    let before = state(task.as_ref());
    (0..2).for_each(|step| task.step(step).unwrap());
    // Taking its state back does not thaw it.
    let mut again = small_game(settings);
    again.load_state(task.save_state().unwrap()).unwrap();
    (2..4).for_each(|step| again.step(step).unwrap());
    let is_frozen = |name: &str| name.starts_with("net.from_image") || name.starts_with("net.stages.0.");
    for ((name, old), (_, new)) in before.iter().zip(state(again.as_ref())) {
        assert_eq!(*old == new, is_frozen(name), "{name}");
    }
    assert!(before.iter().any(|(name, _)| is_frozen(name)) && before.iter().any(|(name, _)| !is_frozen(name)));

    let dcgan = ["data.height = 16\nplan.batch = 4", ENTRY.preset("dcgan").unwrap().toml, "game.freeze_d = 1"];
    let config = (ENTRY.resolve)(&dcgan.map(|text| toml::from_str::<Table>(text).unwrap())).unwrap();
    let source = Source::open("digits").unwrap();
    let refused = open(&Setup { source: &source, config: &config, seed: 1, device: Device::flex(), cache: None, progress: &|_, _, _| {} });
    assert!(refused.err().unwrap().to_string().contains("game.freeze_d"));
}

#[test]
fn distortions_do_not_leak_into_samples() {
    // White pictures with a dark spot: a shift shows as a grey edge, a blanked square as a grey patch.
    let dir = tempfile::tempdir().unwrap();
    for i in 0..32usize {
        let dark = |p: usize| (p / 8).abs_diff(3 + i % 2) < 2 && (p % 8).abs_diff(3 + i / 2 % 2) < 2;
        let pixels: Vec<u8> = (0..64).map(|p| if dark(p) { (i * 2) as u8 } else { 255 }).collect();
        std::fs::write(dir.path().join(format!("{i}.png")), write_png(8, 8, crate::data::Channels::Grey, &pixels, &[]).unwrap()).unwrap();
    }
    let settings = "
        augment.policy = \"translation\"
        augment.p = 0.5
        network.width = 16
        network.group_width = 8
        network.latent_dim = 4
        plan.batch = 16
        plan.steps = 700
        game.r1 = 0.5
        game.r2 = 0.5
        game.ema_half_life = 500
        game.lr_g = { from = 3e-3, to = 3e-4 }
        game.lr_d = { from = 3e-3, to = 3e-4 }";
    let config = (ENTRY.resolve)(&[ENTRY.preset("tiny").unwrap().table().unwrap(), toml::from_str(settings).unwrap()]).unwrap();
    let source = Source::open(dir.path().to_str().unwrap()).unwrap();
    let mut task =
        open(&Setup { source: &source, config: &config, seed: 1, device: Device::flex(), cache: None, progress: &|_, _, _| {} }).unwrap();
    (0..700).for_each(|step| task.step(step).unwrap());
    let ids = (0..64).map(|index| SampleId { seed: 0, index }).collect();
    let drawn = task.sample(&SampleRequest { ids, wish: Wish::Any, truncation: 1.0, sheet: false }).unwrap();
    let is_edge = |p: &u32| p / 8 == 0 || p / 8 == 7 || p.is_multiple_of(8) || p % 8 == 7;
    let edges: Vec<f64> = drawn
        .iter()
        .flat_map(|file| {
            let picture = image::load_from_memory(&file.bytes).unwrap().into_luma8();
            (0..64).filter(is_edge).map(|p| f64::from(picture.get_pixel(p % 8, p / 8).0[0])).collect::<Vec<_>>()
        })
        .collect();
    let mean = edges.iter().sum::<f64>() / edges.len() as f64;
    assert!(mean > 248.0, "edges of samples are {mean}; of real pictures they are 255, as they were shown about 220");
}

/// A folder of pictures in two colours, each with the text that `said` gives beside it.
fn captioned(said: impl Fn(usize) -> String) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..24usize {
        let pixels: Vec<u8> = (0..48).map(|p| if p % 3 == i % 2 { 200 + i as u8 } else { 20 }).collect();
        std::fs::write(dir.path().join(format!("{i:02}.png")), write_png(4, 4, crate::data::Channels::Rgb, &pixels, &[]).unwrap()).unwrap();
        std::fs::write(dir.path().join(format!("{i:02}.txt")), said(i)).unwrap();
    }
    dir
}

fn game_of(dir: &tempfile::TempDir, cache: &Path, more: &str) -> Result<Box<dyn Task>> {
    let small = "plan.batch = 4\nnetwork.width = 8\nnetwork.group_width = 4\nnetwork.latent_dim = 4\nplan.steps = 100";
    let layers = [small, more].map(|text| toml::from_str::<Table>(text).unwrap());
    let config = (ENTRY.resolve)(&layers).unwrap();
    let source = Source::open(dir.path().to_str().unwrap()).unwrap();
    open(&Setup { source: &source, config: &config, seed: 1, device: Device::flex(), cache: Some(cache), progress: &|_, _, _| {} })
}

#[test]
fn checkpoints_hold_the_text_encoder_and_captions_belong_to_the_data() {
    let colour = |i: usize| format!("something {}", ["red", "green"][i % 2]);
    let (dir, cache) = (captioned(colour), tempfile::tempdir().unwrap());
    let mut one = game_of(&dir, cache.path(), "").unwrap();
    one.step(0).unwrap();
    let mut state = one.save_state().unwrap();
    // As another machine might have learned it.
    let (_, text) = state.iter_mut().find(|(name, _)| name == "text").unwrap();
    text[0].1.values.iter_mut().for_each(|v| *v += 0.01 * (*v * 100.0).sin());
    let (mut two, mut three) = (game_of(&dir, cache.path(), "").unwrap(), game_of(&dir, cache.path(), "").unwrap());
    two.load_state(state.clone()).unwrap();
    assert!(two.save_state().unwrap() == state);
    three.step(0).unwrap();
    three.load_state(state.clone()).unwrap();
    (1..4).for_each(|step| two.step(step).unwrap());
    (1..4).for_each(|step| three.step(step).unwrap());
    (1..4).for_each(|step| one.step(step).unwrap());
    assert!(two.save_state().unwrap() == three.save_state().unwrap());
    assert!(two.save_state().unwrap() != one.save_state().unwrap(), "captions are read with the encoder that was stored");
    state.retain(|(name, _)| name != "text");
    assert!(two.load_state(state).unwrap_err().to_string().contains("no text encoder"));

    let other = captioned(|i| colour(i + usize::from(i == 3)));
    assert_ne!(game_of(&other, cache.path(), "").unwrap().data().fingerprint, one.data().fingerprint);
    let plain = |dir| game_of(dir, cache.path(), "data.condition = \"none\"").unwrap().data().fingerprint.clone();
    assert_eq!(plain(&other), plain(&dir));
}

#[test]
fn what_was_learned_about_one_text_encoder_is_not_taken_for_another() {
    let (dir, cache) = (captioned(|i| format!("something {}", ["red", "green"][i % 2])), tempfile::tempdir().unwrap());
    let Source::Images(index) = Source::open(dir.path().to_str().unwrap()).unwrap() else { panic!("pictures") };
    let data = load(&index, &ImageConfig::default(), &mut |_, _| {}).unwrap();
    let places: Vec<usize> = (0..data.len()).collect();
    let (own, given) = Condition::learn(&index, &data, (ConditionChoice::Auto, &[]), &places, (None, &mut |_, _| {})).unwrap();
    let mut kept = vec![own.save().unwrap()];
    kept[0].1[0].1.values[0] += 1.0;
    let (other, _) = own.loaded(&given, &mut kept).unwrap().unwrap();
    assert!(
        own.reads_as(&own.clone())
            && !own.reads_as(&other)
            && !own.reads_as(&Condition::None)
            && Condition::None.reads_as(&Condition::None)
    );
    // The parts that are then left out are known by their name.
    let state = game_of(&dir, cache.path(), "data.condition = \"caption\"").unwrap().save_state().unwrap();
    for player in ["generator", "discriminator"] {
        let (_, tensors) = state.iter().find(|(name, _)| name == player).unwrap();
        assert!(tensors.iter().any(|(name, _)| model::is_of_condition(name)), "{player}");
    }
}
