//! Names of columns: one for each, and help with those that are not known.

use std::collections::HashSet;

use crate::config::nearest;

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

/// A name of its own for every column: where one is empty or taken, another is made and a note says so. Names are trimmed.
pub(crate) fn unique(found: &[&str]) -> (Vec<String>, Vec<String>) {
    let mut taken = HashSet::new();
    let mut notes = Vec::new();
    let names = found.iter().enumerate().map(|(i, name)| {
        let wanted = match name.trim() {
            "" => format!("column_{}", i + 1),
            name => name.to_owned(),
        };
        let mut own = wanted.clone();
        let mut n = 1;
        while !taken.insert(own.clone()) {
            n += 1;
            own = format!("{wanted}_{n}");
        }
        if own != name.trim() {
            notes.push(format!("column {} is called \"{own}\": its name in the file is empty or taken", i + 1));
        }
        own
    });
    (names.collect(), notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest_or_the_list() {
        let known = ["age", "native-country", "sex"];
        assert_eq!(hint("native_country", known), "did you mean \"native-country\"?");
        assert_eq!(hint("SEX", known), "did you mean \"sex\"?");
        assert_eq!(hint("salary", known), "known are age, native-country, sex");
        assert_eq!(hint("x", []), "there are none");
    }

    #[test]
    fn columns_have_one_name_each() {
        let (names, notes) = unique(&["a", " a", "", "a_2"]);
        assert_eq!(names, ["a", "a_2", "column_3", "a_2_2"]);
        assert_eq!(notes.len(), 3);
    }
}
