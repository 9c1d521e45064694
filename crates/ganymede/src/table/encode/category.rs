//! Columns of words: the frequent ones as categories, the rare ones pooled.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::super::draw::Draws;

/// Most categories with a code of their own.
const MAX_KEPT: usize = 200;
/// Most further names that are kept for the pool.
const MAX_POOLED: usize = 20_000;
/// Above this share of the present cells, rare words that have no name are not spread over the others.
const MAX_SPREAD: f64 = 0.05;
/// What rare words without a name are called then.
const UNNAMED: &str = "other";

/// Softmax codes are: the kept words by name, then "rare" if there is a pool, then "missing" if cells were.
///
/// A rare code is decoded to one of the pool's names by frequency. Where none of its words is held by enough rows to be named, to one of the kept words if the pool is at most 5 % of the cells, otherwise to
/// the word `other`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Category {
    /// Words with a code each.
    pub words: Vec<String>,
    /// Names that a rare code may stand for, with the number of rows that held each.
    pool: Vec<(String, u64)>,
    /// There is a code for rare words.
    has_pool: bool,
    /// Cells were missing.
    pub has_missing: bool,
}

/// Which word a rare code stands for, row by row.
pub(super) struct Rare {
    /// Positions among the words that decoding lists: kept words, then pool.
    places: Vec<u32>,
    upto: Vec<f64>,
}

impl Category {
    /// Of the rows of a column. Words that fewer than `k` rows hold are not kept by name unless they are `public`.
    pub(super) fn fit(codes: &[u32], words: &[String], k: usize, public: Option<&[String]>) -> Self {
        let mut counts = vec![0usize; words.len()];
        let mut n_present = 0usize;
        for code in codes {
            if let Some(count) = counts.get_mut(*code as usize) {
                *count += 1;
                n_present += 1;
            }
        }
        let has_missing = n_present < codes.len();
        // A word may stand in the list twice.
        let mut by_word: BTreeMap<&str, usize> = BTreeMap::new();
        words.iter().zip(counts).filter(|(_, n)| *n > 0).for_each(|(w, n)| *by_word.entry(w).or_default() += n);
        let is_public = |word: &str| public.is_some_and(|p| p.iter().any(|w| w == word));
        let mut named: Vec<(&str, usize)> = by_word.iter().filter(|(w, n)| **n >= k || is_public(w)).map(|(w, n)| (*w, *n)).collect();
        named.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let pooled = named.split_off(named.len().min(MAX_KEPT));
        let n_kept: usize = named.iter().map(|w| w.1).sum();
        let n_rare = n_present - n_kept;
        let mut kept: Vec<String> = named.iter().map(|(w, _)| (*w).to_owned()).collect();
        kept.sort();
        let mut pool: Vec<(String, u64)> = pooled.into_iter().take(MAX_POOLED).map(|(w, n)| (w.to_owned(), n as u64)).collect();
        let has_pool = n_rare >= k || (kept.is_empty() && n_rare > 0);
        if !has_pool {
            pool.clear();
        } else if pool.is_empty() {
            let spreads = !kept.is_empty() && n_rare as f64 <= MAX_SPREAD * n_present as f64;
            pool = if spreads { named.iter().map(|(w, n)| ((*w).to_owned(), *n as u64)).collect() } else { vec![(UNNAMED.to_owned(), 1)] };
        }
        Self { words: kept, pool, has_pool, has_missing }
    }

    /// Number of softmax codes.
    pub(super) fn width(&self) -> usize {
        self.words.len() + usize::from(self.has_pool) + usize::from(self.has_missing)
    }

    /// Code of words without one of their own.
    pub(super) fn rare(&self) -> Option<u32> {
        self.has_pool.then_some(self.words.len() as u32)
    }

    /// Code of missing cells.
    pub(super) fn missing(&self) -> Option<u32> {
        self.has_missing.then(|| self.width() as u32 - 1)
    }

    /// All names that decoding can give, each once: kept words first.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        let further = self.pool.iter().map(|(w, _)| w.as_str()).filter(|w| self.words.binary_search_by(|k| k.as_str().cmp(w)).is_err());
        self.words.iter().map(String::as_str).chain(further)
    }

    /// Names that a rare code may stand for.
    pub(super) fn pool(&self) -> impl Iterator<Item = &str> {
        self.pool.iter().map(|(w, _)| w.as_str())
    }

    /// For each of `words` its code. Those that have none, and no pool, get one of the kept ones row by row: `None`.
    pub(super) fn codes_of(&self, words: &[String]) -> Vec<Option<u32>> {
        let index: HashMap<&str, u32> = self.words.iter().enumerate().map(|(i, w)| (w.as_str(), i as u32)).collect();
        words.iter().map(|w| index.get(w.as_str()).copied().or_else(|| self.rare())).collect()
    }

    /// Code of a cell whose word has none, or that is missing where no cell was: any kept word, drawn.
    pub(super) fn any(&self, row: u64, draws: &Draws) -> u32 {
        match self.words.len() {
            0 => 0,
            n => ((u128::from(draws.bits(row)) * n as u128) >> 64) as u32,
        }
    }

    /// How rare codes are decoded, among the names that `allows` lets pass; among all if it lets none.
    pub(super) fn rare_words(&self, allows: impl Fn(&str) -> bool) -> Rare {
        let places: HashMap<&str, u32> = self.names().enumerate().map(|(i, w)| (w, i as u32)).collect();
        let mut drawn: Vec<&(String, u64)> = self.pool.iter().filter(|(w, _)| allows(w)).collect();
        if drawn.is_empty() {
            drawn = self.pool.iter().collect();
        }
        let total = drawn.iter().map(|(_, n)| *n as f64).sum::<f64>().max(1.0);
        let mut sum = 0.0;
        let mut upto = Vec::new();
        for (_, n) in &drawn {
            sum += *n as f64 / total;
            upto.push(sum);
        }
        Rare { places: drawn.iter().filter_map(|(w, _)| places.get(w.as_str()).copied()).collect(), upto }
    }

    /// Whether the parts fit together: for codes that come from a file.
    pub(super) fn is_sound(&self) -> bool {
        self.words.len() <= MAX_KEPT
            && self.words.windows(2).all(|w| w[0] < w[1])
            && self.pool.len() <= MAX_POOLED
            && self.has_pool != self.pool.is_empty()
    }
}

impl Rare {
    /// Place of the word for a row.
    pub(super) fn draw(&self, row: u64, draws: &Draws) -> Option<u32> {
        let u = draws.uniform(row);
        let place = self.upto.partition_point(|end| *end <= u).min(self.places.len().checked_sub(1)?);
        self.places.get(place).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Word i is held by `counts[i]` rows.
    fn fit(words: &[&str], counts: &[usize], public: Option<&[String]>) -> Category {
        let codes: Vec<u32> = counts.iter().enumerate().flat_map(|(i, n)| std::iter::repeat_n(i as u32, *n)).collect();
        Category::fit(&codes, &words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>(), 10, public)
    }

    #[test]
    fn rare_words_are_not_kept_by_name() {
        let code = fit(&["b", "a", "Jane", "Joe"], &[500, 400, 6, 6], None);
        assert_eq!((code.words.as_slice(), code.rare(), code.width()), (&["a".to_owned(), "b".to_owned()][..], Some(2), 3));
        assert_eq!(code.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(code.codes_of(&["Jane".to_owned(), "b".to_owned()]), [Some(2), Some(1)]);
        let few = fit(&["b", "a", "Jane"], &[500, 400, 6], None);
        assert_eq!((few.rare(), few.codes_of(&["Jane".to_owned()])), (None, vec![None]));
        let many = fit(&["b", "Jane", "Joe"], &[50, 9, 9], None);
        assert_eq!(many.names().collect::<Vec<_>>(), ["b", "other"]);
        let public = ["Jane".to_owned()];
        assert!(fit(&["b", "a", "Jane"], &[500, 400, 6], Some(&public)).words.contains(&"Jane".to_owned()));
    }

    #[test]
    fn words_beyond_the_two_hundredth_are_drawn_by_frequency() {
        let names: Vec<String> = (0..202).map(|i| format!("w{i:03}")).collect();
        let counts: Vec<usize> = (0..202)
            .map(|i| {
                if i < 200 {
                    100
                } else if i == 200 {
                    60
                } else {
                    20
                }
            })
            .collect();
        let code = fit(&names.iter().map(String::as_str).collect::<Vec<_>>(), &counts, None);
        assert_eq!((code.words.len(), code.rare()), (200, Some(200)));
        let (rare, draws) = (code.rare_words(|_| true), Draws::new(1, "decode", 0));
        let n_first = (0..8000).filter(|row| rare.draw(*row, &draws) == Some(200)).count();
        assert!((5800..6200).contains(&n_first), "{n_first}");
        let only = code.rare_words(|w| w == "w201");
        assert!((0..100).all(|row| only.draw(row, &draws) == Some(201)));
    }
}
