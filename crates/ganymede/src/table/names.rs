//! Helping with names that are not known.

/// The known name most like `word`, if one is like it.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = word.to_lowercase();
    let n = wanted.chars().count();
    let limit = (n / 3).clamp(2, 3).min(n.saturating_sub(1));
    let found = known.into_iter().map(|name| (distance(&wanted, &name.to_lowercase(), limit), name)).min();
    found.filter(|(d, _)| *d <= limit).map(|(_, name)| name)
}

/// `did you mean "near"? `, or the first of the known names, or nothing where there are none.
pub(crate) fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(word, known.clone()) {
        return format!("did you mean \"{near}\"?");
    }
    let mut names: Vec<&str> = known.into_iter().take(13).collect();
    let more = if names.len() > 12 { ", ..." } else { "" };
    names.truncate(12);
    if names.is_empty() { "there are none".to_owned() } else { format!("known are {}{more}", names.join(", ")) }
}

/// Levenshtein distance over characters; anything above `limit` where it is certain to be.
fn distance(a: &str, b: &str, limit: usize) -> usize {
    let b: Vec<char> = b.chars().take(200).collect();
    let n = a.chars().count();
    if n.abs_diff(b.len()) > limit || n > 200 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_of_known_words() {
        assert_eq!(distance("ring", "ring", 3), 0);
        assert_eq!(distance("rnig", "ring", 3), 2);
        assert_eq!(distance("kitten", "sitting", 3), 3);
        assert_eq!(distance("a", "abcdef", 3), usize::MAX);
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest_or_the_list() {
        let known = ["age", "native-country", "sex"];
        assert_eq!(hint("native_country", known), "did you mean \"native-country\"?");
        assert_eq!(hint("SEX", known), "did you mean \"sex\"?");
        assert_eq!(hint("salary", known), "known are age, native-country, sex");
        assert_eq!(hint("x", []), "there are none");
    }
}
