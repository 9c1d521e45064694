//! Which samples to draw, as written after `--seeds`: `0-63,100`, `3:5`, `3:0-9`.

use ganymede::train::SampleId;
use ganymede::{Error, Result};

/// More samples than this in one command are refused.
pub const MAX_SAMPLES: usize = 1_000_000;

/// The first `n` samples of one seed.
pub fn first_of(seed: u64, n: usize) -> Result<Vec<SampleId>> {
    if n == 0 || n > MAX_SAMPLES {
        return Err(Error::config(
            "-n",
            format!("{n} is not between 1 and {MAX_SAMPLES}"),
            "draw fewer, or several times with another --seed",
        ));
    }
    Ok((0..n as u64).map(|index| SampleId { seed, index }).collect())
}

/// Reads a list of seeds. A plain number or range takes the first sample of each seed; `seed:index` takes one by its full identity.
pub fn parse(text: &str) -> Result<Vec<SampleId>> {
    let mut ids = Vec::new();
    for item in text.split(',').map(str::trim) {
        let wrong =
            || Error::config("--seeds", format!("cannot read \"{item}\""), "write for example 0-63,100 or, for one sample of a seed, 3:5");
        let (seeds, indices) = match item.split_once(':') {
            Some((seed, indices)) => {
                let seed = seed.parse().map_err(|_| wrong())?;
                ((seed, seed), range(indices).ok_or_else(wrong)?)
            }
            None => (range(item).ok_or_else(wrong)?, (0, 0)),
        };
        let n_more = (seeds.1 - seeds.0).saturating_add(indices.1 - indices.0).saturating_add(1);
        if n_more.saturating_add(ids.len() as u64) > MAX_SAMPLES as u64 {
            return Err(Error::config("--seeds", format!("more than {MAX_SAMPLES} samples"), "draw them in several commands"));
        }
        for seed in seeds.0..=seeds.1 {
            ids.extend((indices.0..=indices.1).map(|index| SampleId { seed, index }));
        }
    }
    Ok(ids)
}

/// `a` or `a-b` with `a <= b`.
fn range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(u64, u64)> {
        parse(text).unwrap().into_iter().map(|id| (id.seed, id.index)).collect()
    }

    #[test]
    fn lists_ranges_and_identities_are_read() {
        assert_eq!(pairs("0-2,100"), [(0, 0), (1, 0), (2, 0), (100, 0)]);
        assert_eq!(pairs("3:5"), [(3, 5)]);
        assert_eq!(pairs("3:0-1, 7"), [(3, 0), (3, 1), (7, 0)]);
        assert_eq!(pairs("18446744073709551615"), [(u64::MAX, 0)]);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "a", "5-3", "1-", "-1", "1:", ":1", "1:2:3", "1,,2", "0.5"] {
            assert_eq!(parse(text).unwrap_err().exit_code(), 2, "{text}");
        }
    }

    #[test]
    fn a_huge_range_is_refused_before_it_takes_memory() {
        assert!(parse("0-18446744073709551615").unwrap_err().to_string().contains("1000000"));
        assert!(parse("0-999999").is_ok() && parse("0-999999,5").is_err());
        assert!(first_of(0, 0).is_err() && first_of(0, MAX_SAMPLES + 1).is_err());
        assert_eq!(first_of(3, 2).unwrap()[1], SampleId { seed: 3, index: 1 });
    }
}
