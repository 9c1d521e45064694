//! Helping with names that are not known.

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
}
