//! How little privacy a mechanism has, seen from what it did with rows that were in by a coin each.

/// The lower bound of epsilon at 95 % confidence, from `correct` of `guesses` guesses of whether rows were in, of `n_canaries` rows of which each was in with probability a half.
///
/// Steinke, Nasr and Jagielski, "Privacy Auditing with One (1) Training Run", NeurIPS 2023, theorem 5.2.
pub(crate) fn epsilon_at_least((n_canaries, guesses, correct): (u64, u64, u64), delta: f64) -> f64 {
    let is_refuted = |epsilon: f64| p_value((n_canaries, guesses, correct), epsilon, delta) < 0.05;
    if !is_refuted(0.0) {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 50.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if is_refuted(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// How likely a mechanism with that guarantee is to allow as many right guesses.
fn p_value((n_canaries, guesses, correct): (u64, u64, u64), epsilon: f64, delta: f64) -> f64 {
    let q = (-epsilon).exp() / (1.0 + (-epsilon).exp());
    // Of so many guesses or more, by the number that are right.
    let mut tail = vec![0.0f64; guesses as usize + 2];
    for right in (0..=guesses).rev() {
        let ln_binomial: f64 = (0..right).map(|i| ((guesses - i) as f64 / (i + 1) as f64).ln()).sum();
        let term = (ln_binomial + right as f64 * (-q).ln_1p() + (guesses - right) as f64 * q.ln()).exp();
        tail[right as usize] = tail[right as usize + 1] + term;
    }
    let at_least = tail[correct as usize];
    let excess = (1..=n_canaries).map(|i| (tail[correct.saturating_sub(i) as usize] - at_least) / i as f64).fold(0.0, f64::max);
    at_least + 2.0 * n_canaries as f64 * delta * excess
}

#[test]
fn bounds_are_those_of_the_binomial_distribution() {
    // 100 of 100: the share of right guesses p with p^100 = 0.05 is 0.97049, and ln(p / (1 - p)) is 3.4925.
    assert!((epsilon_at_least((100, 100, 100), 0.0) - 3.4925).abs() < 1e-3);
    assert_eq!(epsilon_at_least((100, 100, 50), 0.0), 0.0);
    // A delta makes the bound weaker, a little.
    let with_delta = epsilon_at_least((100, 100, 100), 1e-5);
    assert!(with_delta < 3.4925 && with_delta > 3.3, "{with_delta}");
}
