//! Patterns of identifiers: found in texts, and filled anew.

/// Longer patterns are cut: identifiers are not books.
const MAX_PLACES: usize = 64;

/// `#` a digit, `A` and `a` letters, `X` and `x` hexadecimal digits, `*` a letter or digit; anything else, and what follows a `\`, stands for itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pattern {
    places: Vec<Place>,
}

/// Classes of places as those of regular expressions.
const CLASSES: [(char, &str); 6] =
    [('#', "[0-9]"), ('A', "[A-Z]"), ('a', "[a-z]"), ('X', "[0-9A-F]"), ('x', "[0-9a-f]"), ('*', "[A-Za-z0-9]")];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Class(char),
    Literal(char),
}

impl Pattern {
    /// Reads a pattern; the error says what is wrong with it.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let mut places = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            places.push(match c {
                '\\' => Place::Literal(rest.next().ok_or("ends in a backslash")?),
                _ if alphabet(c).is_empty() => Place::Literal(c),
                _ => Place::Class(c),
            });
        }
        if places.len() > MAX_PLACES {
            return Err(format!("has more than {MAX_PLACES} places"));
        }
        if !places.iter().any(|p| matches!(p, Place::Class(_))) {
            return Err("has no place to fill (# A a X x *)".to_owned());
        }
        Ok(Self { places })
    }

    /// The pattern that all `texts` follow, if they share one: place by place where they are equally long, otherwise run by run of digits or letters. What is the same in all stands for itself.
    pub(crate) fn of<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Option<Self> {
        by_place(texts.clone()).or_else(|| by_run(texts)).filter(|p| p.places.len() <= MAX_PLACES && p.space() > 1)
    }

    /// The pattern as text.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        for place in &self.places {
            match *place {
                Place::Literal(c) if c == '\\' || !alphabet(c).is_empty() => out.extend(['\\', c]),
                Place::Literal(c) | Place::Class(c) => out.push(c),
            }
        }
        out
    }

    /// A regular expression of plain characters, escaped ones, classes such as `[0-9]`, `[A-Z]`, `[a-z]`, `[0-9a-f]`, `[A-Za-z0-9]` or `\d`, and counts `{3}`; nothing for any other.
    pub(crate) fn of_regex(text: &str) -> Option<Self> {
        let mut places: Vec<Place> = Vec::new();
        let mut rest = text.trim_start_matches('^').trim_end_matches('$');
        while let Some(c) = rest.chars().next() {
            let (place, n_bytes) = match c {
                '[' => {
                    let end = rest.find(']')?;
                    (Place::Class(CLASSES.iter().find(|(_, class)| *class == &rest[..=end]).map(|(symbol, _)| *symbol)?), end + 1)
                }
                '\\' => match rest.chars().nth(1)? {
                    'd' => (Place::Class('#'), 2),
                    c if c.is_ascii_alphanumeric() => return None,
                    c => (Place::Literal(c), 1 + c.len_utf8()),
                },
                '{' => {
                    let end = rest.find('}')?;
                    let n: usize = rest[1..end].parse().ok().filter(|n| (1..=MAX_PLACES).contains(n))?;
                    let last = *places.last()?;
                    places.extend(std::iter::repeat_n(last, n - 1));
                    rest = &rest[end + 1..];
                    continue;
                }
                '.' | '*' | '+' | '?' | '(' | ')' | '|' | ']' | '}' | '^' | '$' => return None,
                c => (Place::Literal(c), c.len_utf8()),
            };
            places.push(place);
            rest = &rest[n_bytes..];
        }
        let pattern = Self { places };
        Self::new(&pattern.text()).ok()
    }

    /// The pattern as a regular expression.
    pub(crate) fn regex(&self) -> String {
        let mut out = String::new();
        for run in self.places.chunk_by(|a, b| a == b) {
            match run[0] {
                Place::Class(symbol) => out.push_str(CLASSES.iter().find(|(own, _)| *own == symbol).map_or("", |(_, class)| class)),
                Place::Literal(c) if c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | ':' | '/' | '@') => out.push(c),
                Place::Literal(c) => out.extend(['\\', c]),
            }
            if run.len() > 1 {
                out.push_str(&format!("{{{}}}", run.len()));
            }
        }
        out
    }

    /// Number of different texts, saturated.
    pub(crate) fn space(&self) -> u128 {
        self.places.iter().fold(1u128, |n, place| match place {
            Place::Class(class) => n.saturating_mul(alphabet(*class).len() as u128),
            Place::Literal(_) => n,
        })
    }

    /// Text number `index`; different below [`Self::space`] for different indices. Those that `key` gives look drawn at random.
    pub(crate) fn fill(&self, index: u64, key: u64) -> String {
        // A step that shares no factor with the sizes of the alphabets (2, 3, 5, 13, 31 are theirs) reaches every text once. The space is kept below 2^64 by filling places beyond that
        // from the key alone.
        let mut space = 1u128;
        let n_counted = self.places.iter().take_while(|p| {
            let Place::Class(class) = p else { return true };
            let wider = space * alphabet(*class).len() as u128;
            let fits = wider < 1 << 64;
            if fits {
                space = wider;
            }
            fits
        });
        let n_counted = n_counted.count();
        let step = 6_364_136_223_846_793_001u128 % space.max(2);
        let step = if is_coprime(step, space) { step } else { 7 };
        let mut state = (u128::from(index) * step + u128::from(key)) % space;
        let mut noise = key ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut out = String::with_capacity(self.places.len());
        // The last place changes fastest in a counter; here every place does, since the step is large.
        for (i, place) in self.places.iter().enumerate() {
            out.push(match *place {
                Place::Literal(c) => c,
                Place::Class(class) => {
                    let letters = alphabet(class).as_bytes();
                    let which = if i < n_counted {
                        let which = state % letters.len() as u128;
                        state /= letters.len() as u128;
                        which as usize
                    } else {
                        noise = noise.rotate_left(17).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                        (noise >> 33) as usize % letters.len()
                    };
                    letters[which] as char
                }
            });
        }
        out
    }
}

fn alphabet(class: char) -> &'static str {
    match class {
        '#' => "0123456789",
        'A' => "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        'a' => "abcdefghijklmnopqrstuvwxyz",
        'X' => "0123456789ABCDEF",
        'x' => "0123456789abcdef",
        '*' => "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        _ => "",
    }
}

/// The narrowest class that holds all of `letters`.
fn class_of(letters: &str) -> Option<char> {
    ['#', 'A', 'a', 'X', 'x', '*'].into_iter().find(|class| letters.chars().all(|c| alphabet(*class).contains(c)))
}

fn by_place<'a>(texts: impl Iterator<Item = &'a str>) -> Option<Pattern> {
    let mut seen: Vec<String> = Vec::new();
    for (i, text) in texts.enumerate() {
        if i == 0 {
            seen = text.chars().take(MAX_PLACES + 1).map(String::from).collect();
        } else if text.chars().count() != seen.len() {
            return None;
        }
        for (letters, c) in seen.iter_mut().zip(text.chars()) {
            if !letters.contains(c) {
                if !c.is_ascii_alphanumeric() {
                    return None;
                }
                letters.push(c);
            }
        }
    }
    let mut places: Vec<Place> = Vec::new();
    for letters in &seen {
        let only = letters.chars().next().filter(|_| letters.chars().count() == 1);
        places.push(match only {
            Some(c) => Place::Literal(c),
            None => Place::Class(class_of(letters)?),
        });
    }
    // Where some places are hexadecimal, those that hold only digits or only letters are so by chance.
    for hex in ['x', 'X'] {
        if places.contains(&Place::Class(hex)) {
            for (place, letters) in places.iter_mut().zip(&seen) {
                if matches!(place, Place::Class(_)) && letters.chars().all(|c| alphabet(hex).contains(c)) {
                    *place = Place::Class(hex);
                }
            }
        }
    }
    Some(Pattern { places })
}

fn by_run<'a>(texts: impl Iterator<Item = &'a str>) -> Option<Pattern> {
    let mut seen: Vec<Run> = Vec::new();
    for (i, text) in texts.enumerate() {
        let runs = runs(text);
        if i == 0 {
            seen = runs.into_iter().map(Run::new).collect();
            continue;
        }
        if runs.len() != seen.len() || runs.len() > MAX_PLACES {
            return None;
        }
        for (run, text) in seen.iter_mut().zip(runs) {
            run.add(text)?;
        }
    }
    let mut places: Vec<Place> = Vec::new();
    for run in &seen {
        match run.class {
            None => places.extend(run.first.chars().map(Place::Literal)),
            Some(class) => places.extend(std::iter::repeat_n(Place::Class(class), run.n_longest)),
        }
    }
    Some(Pattern { places })
}

/// What one run of letters or digits is in all texts.
struct Run {
    first: String,
    /// None while it is the same in all.
    class: Option<char>,
    n_longest: usize,
}

impl Run {
    fn new(text: &str) -> Self {
        Self { first: text.to_owned(), class: None, n_longest: text.chars().count() }
    }

    fn add(&mut self, text: &str) -> Option<()> {
        self.n_longest = self.n_longest.max(text.chars().count());
        if self.class.is_none() && text == self.first {
            return Some(());
        }
        let own = class_of(text)?;
        let known = self.class.or_else(|| class_of(&self.first))?;
        self.class = Some(if own == known { own } else { class_of(&format!("{}{}", alphabet(own), alphabet(known)))? });
        Some(())
    }
}

/// Digits, letters, and everything else in turn.
fn runs(text: &str) -> Vec<&str> {
    let kind = |c: char| match c {
        _ if c.is_ascii_digit() => 0,
        _ if c.is_ascii_alphabetic() => 1,
        _ => 2,
    };
    let mut runs = Vec::new();
    let mut start = 0;
    let mut last = None;
    for (i, c) in text.char_indices() {
        if last.is_some_and(|l| l != kind(c)) {
            runs.push(&text[start..i]);
            start = i;
        }
        last = Some(kind(c));
        if runs.len() > MAX_PLACES {
            break;
        }
    }
    if start < text.len() {
        runs.push(&text[start..]);
    }
    runs
}

fn is_coprime(a: u128, b: u128) -> bool {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(texts: &[&str]) -> Option<String> {
        Pattern::of(texts.iter().copied()).map(|p| p.text())
    }

    #[test]
    fn patterns_are_found_by_place_and_by_run() {
        assert_eq!(of(&["K1234-01", "L0987-22", "K5554-10"]).as_deref(), Some("A####-##"));
        assert_eq!(of(&["user1", "user12", "user345"]).as_deref(), Some("user###"));
        assert_eq!(of(&["a9f0-11", "03be-2c", "77d1-e9"]).as_deref(), Some("xxxx-xx"));
        assert_eq!(of(&["ann@x.org", "bernard@x.org"]).as_deref(), Some("aaaaaaa@\\x.org"));
        assert_eq!(of(&["two words", "and three words"]), None);
        assert_eq!(of(&["same", "same"]), None);
        assert_eq!(of(&["é1", "ü2"]), None);
    }

    #[test]
    fn patterns_that_cannot_be_filled_are_refused() {
        assert!(Pattern::new("ID-").unwrap_err().contains("no place"));
        assert!(Pattern::new("#\\").unwrap_err().contains("backslash"));
        assert!(Pattern::new(&"#".repeat(65)).unwrap_err().contains("64"));
        assert_eq!(Pattern::new("\\A#").unwrap().space(), 10);
    }

    #[test]
    fn every_text_of_a_small_pattern_is_made_once() {
        for (text, n) in [("##", 100u64), ("A#", 260), ("x#", 160), ("*", 62), ("X", 16)] {
            for key in [0, 1, 0x1234_5678_9abc_def0] {
                let pattern = Pattern::new(text).unwrap();
                let made: std::collections::HashSet<_> = (0..n).map(|i| pattern.fill(i, key)).collect();
                assert_eq!(made.len() as u64, n, "{text} {key}");
            }
        }
    }

    proptest! {
        #[test]
        fn made_texts_follow_the_pattern_they_came_from(texts in proptest::collection::vec("[A-C][0-9]{3}-[a-f0-9]{2}", 20..40), key: u64) {
            let pattern = Pattern::of(texts.iter().map(String::as_str)).unwrap();
            let again = Pattern::new(&pattern.text()).unwrap();
            prop_assert_eq!(&again, &pattern);
            let made = pattern.fill(7, key);
            prop_assert_eq!(made.len(), 7);
            prop_assert_eq!(made.as_bytes()[4], b'-');
        }

        #[test]
        fn any_texts_have_a_pattern_or_none(texts in proptest::collection::vec("\\PC{0,12}", 0..6)) {
            if let Some(pattern) = Pattern::of(texts.iter().map(String::as_str)) {
                prop_assert_eq!(Pattern::new(&pattern.text()), Ok(pattern));
            }
        }
    }
}
