use super::*;
use crate::nn::Init;
use crate::privacy::{Ledger, audit};
use crate::rowgame::Network;
use crate::train::Schedule;
use burn::tensor::activation::softplus;

fn parts(n_words: usize, d_width: usize) -> (Network, Arc<Layout>, RowGenerator, PackDiscriminator, Device) {
    let network = Network { latent_dim: 4, width: 16, d_width, ..Network::default() };
    let layout = Arc::new(Layout { categories: vec![(0, n_words)], numbers: vec![(1, None)] });
    let device = Device::flex();
    let mut rng = random::stream(0, "init", 0);
    let mut init = Init { rng: &mut rng, device: &device };
    let (g, d) = (RowGenerator::new(&network, &layout, &mut init), PackDiscriminator::new(&network, &layout, &mut init));
    (network, layout, g, d, device)
}

fn dense(rows: &Rows, layout: &Layout, device: &Device) -> Tensor<3> {
    Tensor::from_data(TensorData::new(rows.dense(layout), [rows.n, 1, layout.width()]), device)
}

fn values<const R: usize>(tensor: Tensor<R>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec::<f32>().unwrap()
}

fn rows(n: usize, n_words: usize) -> Rows {
    let numbers = random::normal(n, &mut random::stream(4, "numbers", 0)).into_iter().map(|v| 3.0 * v).collect();
    Rows { codes: (0..n).map(|i| (i % n_words) as u32).collect(), numbers, n }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

/// The gradient of one row by autodiff, in the order of [`RowGradients`].
fn by_autodiff(d: &PackDiscriminator, row: Tensor<3>) -> Vec<f32> {
    let loss = softplus(d.forward(row.autodiff(), None, &mut Tape::off()).neg(), 1.0).sum();
    let mut gradients = GradientsParams::from_module(&mut loss.backward(), d);
    let mut out = Vec::new();
    d.layers.iter().for_each(|layer| out.extend(values(gradients.remove::<2>(layer.weight.id).unwrap())));
    d.acts.iter().for_each(|act| out.extend(values(gradients.remove::<1>(act.bias.id).unwrap())));
    out.extend(values(gradients.remove::<2>(d.last.weight.id).unwrap()));
    out
}

#[test]
fn clipped_sums_are_those_of_gradients_by_autodiff_row_by_row() {
    let (_, layout, _, d, device) = parts(5, 12);
    let rows = rows(9, 5);
    let passes = Passes::of_real(&d.valid(), dense(&rows, &layout, &device));
    let norms = values(passes.norms());
    let clip = f64::from(norms.iter().copied().fold(0.0, f32::max)) * 0.6;
    let mut expected = Vec::new();
    let mut n_clipped = 0;
    for (row, own_norm) in norms.iter().enumerate() {
        let single = rows.take(&[row]);
        let gradient = by_autodiff(&d, dense(&single, &layout, &device));
        assert!((norm(&gradient) - f64::from(*own_norm)).abs() < 1e-4 * norm(&gradient), "{} {own_norm}", norm(&gradient));
        let scale = (clip / norm(&gradient)).min(1.0);
        n_clipped += usize::from(scale < 1.0);
        expected.resize(gradient.len(), 0.0);
        expected.iter_mut().zip(&gradient).for_each(|(sum, v)| *sum += f64::from(*v) * scale);
        // By itself a row never adds more than the norm that the noise is measured by.
        let alone = Passes::of_real(&d.valid(), dense(&single, &layout, &device)).clipped_sum(clip).values();
        assert!(norm(&alone) <= clip, "{} {clip}", norm(&alone));
    }
    assert!((1..9).contains(&n_clipped), "{n_clipped}");
    let sum = passes.clipped_sum(clip).values();
    assert_eq!(sum.len(), expected.len());
    for (own, expected) in sum.iter().zip(&expected) {
        assert!((f64::from(*own) - expected).abs() < 1e-4 * clip, "{own} {expected}");
    }
}

#[test]
fn a_row_that_overflows_adds_nothing() {
    let (_, layout, _, d, device) = parts(5, 12);
    let d = d.valid();
    let two = rows(2, 5);
    let sum = |rows: &Rows| Passes::of_real(&d, dense(rows, &layout, &device)).clipped_sum(0.5).values();
    let alone = sum(&two.take(&[0]));
    for lost in [f32::MAX, f32::INFINITY, f32::NAN] {
        let mut damaged = two.clone();
        damaged.numbers[1] = lost;
        assert_eq!(sum(&damaged), alone, "{lost}");
    }
}

/// A game on rows with unusual words.
fn game(n_words: usize, rules: PrivateRules, d_steps: u64) -> (PrivateGame, Arc<Layout>) {
    let (_, layout, g, d, device) = parts(n_words, 16);
    let rates = Game { d_steps, lr_g: Schedule::Constant(1e-3), lr_d: Schedule::Constant(1e-3), ..Game::default() };
    let rates = Game { loss: Loss::NonSaturating, r1: Schedule::Constant(0.0), r2: Schedule::Constant(0.1), ..rates };
    (PrivateGame::new((g, d), (rates, rules), layout.clone(), (Key::of([5; 32]), 1), device), layout)
}

#[test]
fn noise_has_the_stated_deviation_whatever_the_rows() {
    let rules = PrivateRules { clip: 0.7, noise: 3.0, rate: 0.25, batch: 8, steps: 10 };
    let (game, _) = game(6, rules, 1);
    let rows = rows(40, 6);
    let exact = |update| {
        let (own, _) = self::game(6, PrivateRules { noise: 0.0, ..rules }, 1);
        own.private_sum(update, &rows).values()
    };
    let (mut square, mut n) = (0.0, 0.0);
    for update in 0..20 {
        let noisy = game.private_sum(update, &rows).values();
        square += noisy.iter().zip(exact(update)).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        n += noisy.len() as f64;
    }
    let deviation = (square / n).sqrt();
    assert!((deviation / 2.1 - 1.0).abs() < 0.03, "{deviation}");
    // Also of no rows at all.
    let nothing = Rows { codes: Vec::new(), numbers: Vec::new(), n: 0 };
    let alone = game.private_sum(3, &nothing).values();
    assert!((norm(&alone) / (alone.len() as f64).sqrt() / 2.1 - 1.0).abs() < 0.15);
}

#[test]
fn steps_beyond_the_budget_are_refused_and_the_rest_can_be_taken_up() {
    let rules = PrivateRules { clip: 1.0, noise: 1.0, rate: 0.5, batch: 8, steps: 3 };
    let rows = rows(16, 6);
    let (mut one, _) = game(6, rules, 2);
    one.step(0, &rows).unwrap();
    let state = one.save_state();
    (1..3).for_each(|step| one.step(step, &rows).unwrap());
    assert!(one.step(3, &rows).unwrap_err().to_string().contains("planned for 3 steps and is spent"));
    let report = one.report(&rows);
    assert!(report.d_loss.is_finite() && report.g_loss.is_finite() && (0.0..=1.0).contains(&report.d_accuracy));
    let (mut two, _) = game(6, rules, 2);
    two.load_state(state).unwrap();
    (1..3).for_each(|step| two.step(step, &rows).unwrap());
    assert_eq!(one.save_state(), two.save_state());
}

/// Canaries: rows with a word of their own each, in by a coin. How many of the guesses of whether they were in are right, from all that the game shows: the noisy sum of every update.
fn audited(noise: f64, (updates, rate): (u64, f64)) -> (u64, u64, u64) {
    const CANARIES: usize = 120;
    const GUESSES: usize = 50;
    let rules = PrivateRules { clip: 1.0, noise, rate, batch: 30, steps: updates };
    let (mut game, layout) = game(CANARIES, rules, 1);
    let all = rows(CANARIES, CANARIES);
    let is_in: Vec<bool> = random::uniform(CANARIES, &mut random::stream(77, "coins", 0)).into_iter().map(|v| v < 0.5).collect();
    let included: Vec<usize> = (0..CANARIES).filter(|i| is_in[*i]).collect();
    let table = all.take(&included);
    let mut scores = vec![0.0f64; CANARIES];
    for step in 0..updates {
        // The first layer's row of a word moves by the canary that has it, and by noise.
        let sum = values(game.private_sum(step, &table).weights[0].clone());
        let d = game.discriminator.net().valid();
        let passes = Passes::of_real(&d, dense(&all, &layout, &game.device));
        let width = passes.deltas[0].dims()[1];
        let deltas = values(passes.deltas[0].clone());
        for (canary, score) in scores.iter_mut().enumerate() {
            let own = &deltas[canary * width..(canary + 1) * width];
            let moved = &sum[canary * width..(canary + 1) * width];
            *score += own.iter().zip(moved).map(|(a, b)| f64::from(a * b)).sum::<f64>() / norm(own).max(1e-9);
        }
        game.step(step, &table).unwrap();
    }
    let mut order: Vec<usize> = (0..CANARIES).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let right = order[..GUESSES].iter().filter(|i| is_in[**i]).count() + order[CANARIES - GUESSES..].iter().filter(|i| !is_in[**i]).count();
    (CANARIES as u64, 2 * GUESSES as u64, right as u64)
}

#[test]
fn an_audit_finds_no_more_than_was_promised_and_would_find_it() {
    let (what, delta) = ((30, 0.5), 1e-5);
    let claimed = 1.0;
    let noise = Ledger::default().noise_for((what.1, what.0), (claimed, delta)).unwrap();
    let found = audit::epsilon_at_least(audited(noise, what), delta);
    assert!(found <= claimed, "{found}");
    // With hardly any noise the same audit refutes the claim.
    let found = audit::epsilon_at_least(audited(0.01, what), delta);
    assert!(found > 2.0 * claimed, "{found}");
}
