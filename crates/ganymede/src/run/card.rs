//! The model card: `README.md` of a model folder, with the YAML header that model hubs read.

use std::fmt::Write;

use serde_json::Value;

use super::types::ModelDescription;

/// The card in Markdown. Text from the user's files is quoted, so that it cannot break the header or the tables.
pub(crate) fn card(model: &ModelDescription) -> String {
    let mut text = header(model);
    let data = &model.data;
    let name = cell(&data.name);
    let _ = write!(
        text,
        "# A generator trained on {name}\n\n\
         Made by ganymede {}, task `{}`: {} steps on {} samples shown, seed {}.\n\n\
         ## Use\n\n\
         ```\nganymede sample MODEL -n 64 --seed 1 -o samples.png\nganymede sample MODEL -n 64 --seed 1 -o samples/\n```\n\n\
         `MODEL` is this folder. The same seed gives the same samples. Loading runs no code: the weights are numbers in safetensors format, \
         everything else is in `model.json`.\n\n\
         ## Data\n\n\
         | | |\n|---|---|\n| name | {name} |\n| samples | {} |\n| licence | {} |\n| fingerprint (SHA-256 of the decoded data) | `{}` |\n",
        cell(&model.ganymede_version),
        cell(&model.task),
        model.step,
        model.samples_seen,
        model.seed,
        data.n_samples,
        cell(&data.license),
        cell(&data.fingerprint),
    );
    if !model.classes.is_empty() {
        let _ = writeln!(text, "| classes | {} |", model.classes.iter().map(|c| cell(c)).collect::<Vec<_>>().join(", "));
    }
    text.push_str("\n## Settings\n\n| key | value |\n|---|---|\n");
    for (key, value) in flatten(&model.config) {
        let _ = writeln!(text, "| {} | {} |", cell(&key), cell(&value));
    }
    text.push_str("\n## Figures\n\n");
    if model.metrics.is_empty() {
        text.push_str("None were measured.\n");
    } else {
        text.push_str("| figure | value |\n|---|---|\n");
        for (key, value) in &model.metrics {
            let _ = writeln!(text, "| {} | {} |", cell(key), cell(&figure_text(value)));
        }
    }
    text.push_str(
        "\n## Limits\n\n\
         - It draws from what it has seen: whatever is rare, unbalanced or wrong in the data is so in the samples.\n\
         - Samples can come close to training data. Compare them before you publish samples of data that is private or under a licence that forbids copies.\n\
         - The licence above is that of the data as it was stated. Whether it covers the model and its samples is for you to judge.\n\
         - It has not been checked for any use beyond drawing samples.\n",
    );
    text
}

fn header(model: &ModelDescription) -> String {
    // JSON strings are YAML strings.
    let quote = |text: &str| Value::from(text).to_string();
    let license = model.data.license.to_ascii_lowercase();
    let license = if license.is_empty() { "unknown".to_string() } else { license };
    format!("---\nlicense: {}\nlibrary_name: ganymede\ntags:\n- gan\n- generative\n- {}\n---\n\n", quote(&license), quote(&model.task))
}

/// Nested settings as dotted keys, in the order of the table.
pub(crate) fn flatten(config: &Value) -> Vec<(String, String)> {
    fn walk(prefix: &str, value: &Value, into: &mut Vec<(String, String)>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    walk(&key, value, into);
                }
            }
            value => into.push((prefix.to_string(), scalar(value))),
        }
    }
    let mut rows = Vec::new();
    walk("", config, &mut rows);
    rows
}

/// A figure of a model for people: a number, or one beside those of real and of trivial samples.
pub fn figure_text(value: &Value) -> String {
    let number = |key: &str| value.get(key).and_then(Value::as_f64);
    match (number("value"), number("real"), number("trivial")) {
        (Some(own), Some(real), Some(trivial)) => format!("{own:.4} (real samples {real:.4}, trivial ones {trivial:.4})"),
        _ => scalar(value),
    }
}

fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

/// Text that stays within its cell of a Markdown table and is shown as it is.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '#' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::model_folder::tests::example;

    #[test]
    fn the_card_names_licence_data_settings_and_limits() {
        let text = card(&example());
        assert!(text.starts_with("---\nlicense: \"cc0-1.0\"\nlibrary_name: ganymede\ntags:\n"), "{text}");
        for expected in ["| plan.steps | 20 |", "| lr | 0.1 |", "| modes | 8.0 |", "my photos", "## Limits", "20 steps on 200 samples"] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }

    #[test]
    fn names_from_files_break_neither_header_nor_tables() {
        let mut model = example();
        model.data.name = "a\n---\n| x | <script>".into();
        model.data.license = "mit\nlibrary_name: evil".into();
        let text = card(&model);
        assert_eq!(text.lines().filter(|l| *l == "---").count(), 2);
        assert!(!text.contains("<script>") && !text.lines().any(|l| l.starts_with("library_name: evil")));
    }
}
