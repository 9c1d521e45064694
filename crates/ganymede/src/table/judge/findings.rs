//! What the figures of privacy mean, in words.

use serde::{Deserialize, Serialize};

use super::inference::Inference;
use super::membership::Attack;
use super::privacy::{Measured, Privacy};

/// Standard errors beyond which a figure is not chance: one in 740, one-sided.
const CLEAR: f64 = 3.0;
/// The same as a probability.
const CHANCE: f64 = 1.0 / 740.0;
/// How far a share or an area must be beyond a coin to count as a leak, and not as a trace of one.
const LEAK: f64 = 0.05;
/// Share of copies beyond those among held-out rows that counts as a leak.
const COPIES: f64 = 1e-3;
/// Share of members found at 1 % false positives that counts as a leak.
const FOUND: f64 = 0.03;
/// Error of a share or an area from which on a test is too weak to clear a table.
const WEAK: f64 = 0.03;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing was found.
    Fine,
    /// Something is there, but small; or the test was too weak to say.
    Caution,
    /// Training rows are given away.
    Leak,
    /// A limit of all tests.
    Limit,
}

/// One thing to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// How grave it is.
    pub level: Level,
    /// The figure it is about (a field of [`Privacy`]), or `conclusion`.
    pub about: String,
    /// One or two sentences.
    pub text: String,
}

/// From the figures alone: one finding for each of four tests and each sensitive column, what may be concluded, and what may not.
pub(super) fn findings(found: &Privacy) -> Vec<Finding> {
    let mut all = vec![
        copies(found),
        nearer(found),
        membership("membership", "who has the synthetic rows alone", &found.membership),
        membership("membership_with_reference", "who has other real rows as well", &found.membership_with_reference),
    ];
    all.extend(found.inference.iter().map(inference));
    let is_any = |level: Level| all.iter().any(|finding| finding.level == level);
    let (level, text) = if is_any(Level::Leak) {
        (
            Level::Leak,
            "Do not treat the synthetic rows as anonymous: they give away training rows. Train on more rows, stop earlier, or use a smaller model, and judge again.",
        )
    } else if is_any(Level::Caution) {
        (
            Level::Caution,
            "No leak was found, but there are traces of one or too few rows to rule it out. Look at the figures before the rows are given to others.",
        )
    } else {
        (Level::Fine, "These tests found no copying of training rows and no way to tell who was among them.")
    };
    all.push(Finding { level, about: "conclusion".into(), text: text.into() });
    let limits = "It does not follow that the rows are anonymous in the sense of a law or of differential privacy: the tests are averages over many rows and simple attacks, a better attack \
                  or a person with unusual values may fare worse, columns that were left out were not judged, and what the rows teach about groups of people is not measured.";
    all.push(Finding { level: Level::Limit, about: "conclusion".into(), text: limits.into() });
    all
}

fn copies(found: &Privacy) -> Finding {
    let (own, held_out) = (found.copies.synthetic, found.copies.held_out);
    let error = own.error.hypot(held_out.error);
    let excess = own.value - held_out.value;
    let shares = format!(
        "{} of the synthetic rows equal a training row in every column, and so do {} of the rows that were never learned from",
        percent(own.value),
        percent(held_out.value)
    );
    let (level, text) = if excess > COPIES && excess > CLEAR * error {
        (Level::Leak, format!("{shares}: training rows are copied."))
    } else if excess > COPIES && excess > 2.0 * error {
        (Level::Caution, format!("{shares}: that may be chance, and may not."))
    } else {
        (Level::Fine, format!("{shares}: no more than chance gives."))
    };
    Finding { level, about: "copies".into(), text }
}

fn nearer(found: &Privacy) -> Finding {
    let own = found.nearer_to_training.synthetic;
    let [low, high] = band(own);
    let share = format!("{} of the synthetic rows are nearer to training rows than to as many held-out ones", percent(own.value));
    let (level, text) = match rating(own) {
        Level::Leak => (Level::Leak, format!("{share}, where chance gives {low} to {high}: the generator has memorised training rows.")),
        Level::Caution if own.error > WEAK => {
            (Level::Caution, format!("{share}; with so few rows chance gives {low} to {high}, and memory of some rows could hide in that."))
        }
        Level::Caution => {
            (Level::Caution, format!("{share}, where chance gives {low} to {high}: a trace of memory, too small to point at single rows."))
        }
        _ => (Level::Fine, format!("{share}, within what chance gives ({low} to {high}): no sign of memory.")),
    };
    Finding { level, about: "nearer_to_training".into(), text }
}

fn membership(about: &str, who: &str, attack: &Attack) -> Finding {
    let (own, tail) = (attack.auc.synthetic, attack.found.synthetic);
    let is_tail_clear = tail.value > FOUND && attack.found_by_chance < CHANCE;
    let figures = format!(
        "An attacker {who} tells training rows from others with an area under the curve of {:.3} (0.5 is guessing), and finds {} of them while being wrong about 1 % of the others",
        own.value,
        percent(tail.value)
    );
    let (level, text) = match rating(own) {
        Level::Leak => (Level::Leak, format!("{figures}: it can be told who was among the training rows.")),
        _ if is_tail_clear => (Level::Leak, format!("{figures}: some training rows can be pointed at.")),
        Level::Caution if own.error > WEAK => (Level::Caution, format!("{figures}; too few rows were held out to rule a leak out.")),
        Level::Caution => (Level::Caution, format!("{figures}: slightly better than guessing.")),
        _ => (Level::Fine, format!("{figures}: no better than guessing.")),
    };
    Finding { level, about: about.into(), text }
}

fn inference(found: &Inference) -> Finding {
    let Inference { column, training, held_out, trivial, risk } = found;
    let excess = found.excess();
    let is_clear = excess.value > CLEAR * excess.error;
    let figures = format!(
        "Who knows all of a training row but {column} tells it by the nearest synthetic row in {} of cases, and that of rows that were never learned from in {} (what is most common: {})",
        percent(training.value),
        percent(held_out.value),
        percent(*trivial)
    );
    let (level, text) = if is_clear && risk.value > LEAK {
        (Level::Leak, format!("{figures}: values of training rows are given away."))
    } else if is_clear {
        (Level::Caution, format!("{figures}: slightly better for training rows."))
    } else if excess.error > WEAK {
        (Level::Caution, format!("{figures}; too few rows were held out to rule a leak out."))
    } else {
        (Level::Fine, format!("{figures}: no better for training rows than for others."))
    };
    Finding { level, about: "inference".into(), text }
}

/// Of something that is 1/2 by chance and more for a leak.
fn rating(own: Measured) -> Level {
    let excess = own.value - 0.5;
    match excess > CLEAR * own.error {
        true if excess > LEAK => Level::Leak,
        true => Level::Caution,
        false if own.error > WEAK => Level::Caution,
        false => Level::Fine,
    }
}

fn band(own: Measured) -> [String; 2] {
    [-CLEAR, CLEAR].map(|z| percent((0.5 + z * own.error).clamp(0.0, 1.0)))
}

fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.01 { format!("{:.2} %", 100.0 * share) } else { format!("{:.1} %", 100.0 * share) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_leaks_and_weak_tests_are_told_apart() {
        let of = |value, error| rating(Measured { value, error });
        assert_eq!(of(0.51, 0.005), Level::Fine);
        assert_eq!(of(0.52, 0.005), Level::Caution);
        assert_eq!(of(0.60, 0.005), Level::Leak);
        assert_eq!(of(0.55, 0.04), Level::Caution);
        assert_eq!(of(0.40, 0.005), Level::Fine);
        assert_eq!([percent(0.0), percent(0.0012), percent(0.5)], ["0.0 %", "0.12 %", "50.0 %"]);
    }
}
