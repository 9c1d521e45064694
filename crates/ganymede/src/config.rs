//! Configuration in layers: defaults, then a preset, then a file, then single settings, with errors that name the key.
//!
//! A configuration is a plain serde struct with defaults and `deny_unknown_fields`. Layers are TOML tables, laid over the serialised defaults one by one.
//! Settings that the program may choose itself are the string `"auto"`; a number that changes during training may be written as a table
//! `{ from = .., to = .., shape = ".." }`, so a table may take the place of a number and the other way round.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::error::{Error, Result};

/// Keys with more parts than this are not taken apart.
const MAX_DEPTH: usize = 16;

/// Lays `layers` (first to last, the last wins) over the defaults of `T`. Gives back the settings and the complete table they came from.
///
/// A key with dots in it stands for the nested one: `"plan.steps"` is `steps` in `[plan]`.
///
/// # Errors
/// [`Error::Config`] with the dotted key: unknown (with the nearest known one), or of the wrong type.
pub fn resolve<T: Serialize + DeserializeOwned + Default>(layers: &[Table]) -> Result<(T, Table)> {
    let defaults =
        Table::try_from(T::default()).map_err(|e| Error::config("defaults", e.to_string(), "this is a bug; please report it"))?;
    let mut merged = defaults.clone();
    for layer in layers {
        let layer = expand(layer);
        reject_unknown(&layer, &defaults, &defaults, "")?;
        merge(&mut merged, layer);
    }
    let settings = T::deserialize(Value::Table(merged.clone())).map_err(|e| type_error(&e, &defaults))?;
    Ok((settings, merged))
}

/// Turns `key=value` assignments into a layer. `known` is a complete table, as [`resolve`] gives it.
///
/// The key is dotted (`plan.batch`) or the bare last part (`batch`) where only one section has it. The value is read as TOML and, failing that, as a string.
///
/// # Errors
/// [`Error::Config`]: no `=`, an unknown key (with the nearest known one), a bare key that several sections have, a broken list or table.
pub fn parse_set(assignments: &[String], known: &Table) -> Result<Table> {
    let mut layer = Table::new();
    for assignment in assignments {
        let Some((key, text)) = assignment.split_once('=') else {
            return Err(Error::config(assignment, "not of the form key=value", "write for example `--set plan.batch=32`"));
        };
        let path = find_key(key.trim(), known)?;
        let value = parse_value(&path, text.trim(), lookup(known, &path))?;
        merge(&mut layer, nest(&path, value));
    }
    Ok(layer)
}

/// Reads a TOML file as a layer.
///
/// # Errors
/// [`Error::Io`], or [`Error::Config`] that shows the line and points at the column.
pub fn read_file(path: &Path) -> Result<Table> {
    let text = read_text(path)?;
    toml::from_str(&text).map_err(|e: toml::de::Error| {
        Error::config(
            path.display().to_string(),
            e.to_string().trim_end().to_owned(),
            "the file must be TOML: `key = value` lines in [sections]",
        )
    })
}

/// Adds file and line to an error about a key that `path` sets; other errors come back as they are.
pub fn blame_file(error: Error, path: &Path) -> Error {
    let Error::Config { key, problem, remedy } = error else { return error };
    let line = read_text(path).ok().and_then(|text| line_of(&text, &key));
    match line {
        Some(line) => Error::Config { key: format!("{}:{line}: {key}", path.display()), problem, remedy },
        None => Error::Config { key, problem, remedy },
    }
}

/// Every setting with its dotted key and its value as TOML, in order. A schedule table counts as one value.
pub fn flatten(table: &Table) -> Vec<(String, String)> {
    let mut out = Vec::new();
    walk(table, "", &mut |path, value| {
        if !is_section(value) {
            out.push((path.to_owned(), value.to_string()));
        }
    });
    out
}

/// The candidate that `name` was probably meant to be: the one with the fewest typing errors, at most a third of its letters.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > 100 {
        return None;
    }
    let short = candidates.into_iter().filter(|candidate| candidate.len() <= 200);
    let near = short.map(|c| (edit_distance(&name.to_lowercase(), &c.to_lowercase()), c));
    let (distance, candidate) = near.min_by_key(|(d, _)| *d)?;
    (distance <= candidate.chars().count().max(3) / 3).then_some(candidate)
}

/// A schedule is one value, although TOML writes it as a table.
fn is_section(value: &Value) -> bool {
    value.as_table().is_some_and(|t| !t.contains_key("from"))
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

/// Calls `visit` on every node below `table`, sections included, with its dotted path; does not go into schedules.
fn walk(table: &Table, prefix: &str, visit: &mut impl FnMut(&str, &Value)) {
    for (key, value) in table {
        let path = join(prefix, key);
        visit(&path, value);
        if let (true, Some(inner)) = (is_section(value), value.as_table()) {
            walk(inner, &path, visit);
        }
    }
}

fn paths(table: &Table) -> Vec<String> {
    let mut out = Vec::new();
    walk(table, "", &mut |path, value| {
        if !is_section(value) {
            out.push(path.to_owned());
        }
    });
    out
}

fn lookup<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(f, r)| (f, Some(r)));
    let value = table.get(first)?;
    match rest {
        Some(rest) => lookup(value.as_table()?, rest),
        None => Some(value),
    }
}

/// Settings as the value that a layer has of them.
///
/// # Errors
/// [`Error::Config`] for a number that TOML has no place for.
pub fn table_of(settings: &impl Serialize) -> Result<Value> {
    Value::try_from(settings).map_err(|e| Error::config("settings", e.to_string(), "this is a bug; please report it"))
}

/// Whether `layer` has a value for the setting with that dotted key.
pub fn has(layer: &Table, path: &str) -> bool {
    lookup(&expand(layer), path).is_some()
}

fn nest(path: &str, value: Value) -> Table {
    let (outer, key) = path.rsplit_once('.').map_or((None, path), |(o, k)| (Some(o), k));
    let table = Table::from_iter([(key.to_owned(), value)]);
    match outer {
        Some(outer) => nest(outer, Value::Table(table)),
        None => table,
    }
}

/// `"a.b" = 1` becomes `a = { b = 1 }`. No setting lies as deep as [`MAX_DEPTH`]; such a key stays as it is and is refused as unknown.
fn expand(layer: &Table) -> Table {
    let mut out = Table::new();
    for (key, value) in layer {
        let value = value.as_table().map_or_else(|| value.clone(), |t| Value::Table(expand(t)));
        if key.matches('.').count() < MAX_DEPTH {
            merge(&mut out, nest(key, value));
        } else {
            out.insert(key.clone(), value);
        }
    }
    out
}

fn merge(base: &mut Table, layer: Table) {
    for (key, value) in layer {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => merge(inner, value),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn reject_unknown(layer: &Table, known: &Table, all: &Table, prefix: &str) -> Result<()> {
    for (key, value) in layer {
        let path = join(prefix, key);
        match (known.get(key), value) {
            (None, _) => return Err(unknown_key(&path, all)),
            (Some(section), Value::Table(inner)) if is_section(section) => {
                reject_unknown(inner, section.as_table().unwrap_or(&Table::new()), all, &path)?;
            }
            (Some(section), value) if is_section(section) && !value.is_table() => {
                let example = paths(all).into_iter().find(|p| p.starts_with(&format!("{path}."))).unwrap_or_default();
                return Err(Error::config(
                    path,
                    "is a section, not a single setting",
                    format!("set one of its keys, for example {example}"),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn unknown_key(path: &str, all: &Table) -> Error {
    // An endless key need not fill the screen.
    if path.len() > 100 {
        return Error::config(path.chars().take(60).collect::<String>() + "...", "unknown setting", "settings have short names");
    }
    let known = paths(all);
    let leaf = |p: &str| p.rsplit('.').next().unwrap_or_default().to_owned();
    let with = |is_same: &dyn Fn(&str) -> bool| known.iter().filter(|k| is_same(&leaf(k))).cloned().collect::<Vec<_>>();
    let mut same_leaf = with(&|k| k == leaf(path));
    if same_leaf.is_empty() {
        // Where there are `lr_g` and `lr_d`, `lr` means one of them.
        same_leaf = with(&|k| k.starts_with(&format!("{}_", leaf(path))));
    }
    let remedy = if let Some(near) = nearest(path, known.iter().map(String::as_str)).filter(|_| same_leaf.len() != 1) {
        format!("did you mean {near}?")
    } else if !same_leaf.is_empty() {
        format!("did you mean {}?", same_leaf.join(" or "))
    } else {
        let leaves: Vec<_> = known.iter().map(|k| leaf(k)).collect();
        match nearest(&leaf(path), leaves.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {}?", with(&|k| k == near).join(" or ")),
            None => format!("known settings: {}", known.join(", ")),
        }
    };
    Error::config(path, "unknown setting", remedy)
}

/// The full path of a key of `--set`: itself, or the one path whose last part it is.
fn find_key(key: &str, known: &Table) -> Result<String> {
    let inside_leaf = key.rsplit_once('.').and_then(|(outer, _)| lookup(known, outer)).is_some_and(|outer| !is_section(outer));
    if lookup(known, key).is_some() || inside_leaf {
        return Ok(key.to_owned());
    }
    let suffix = format!(".{key}");
    let mut matches = Vec::new();
    walk(known, "", &mut |path, _| {
        if path.ends_with(&suffix) {
            matches.push(path.to_owned());
        }
    });
    match matches.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(unknown_key(key, known)),
        many => Err(Error::config(key, format!("several sections have it: {}", many.join(", ")), "write the full key")),
    }
}

fn parse_value(path: &str, text: &str, known: Option<&Value>) -> Result<Value> {
    let parsed = toml::from_str::<Table>(&format!("v = {text}")).ok().filter(|t| t.len() == 1).and_then(|mut t| t.remove("v"));
    match (parsed, known) {
        // 1e5 reads as a float; where a whole number belongs it is one.
        (Some(Value::Float(x)), Some(Value::Integer(_))) if x.fract() == 0.0 && x.abs() < 9e15 => Ok(Value::Integer(x as i64)),
        (Some(value), _) => Ok(value),
        (None, _) if text.starts_with(['[', '{', '"', '\'']) => Err(Error::config(
            path,
            format!("cannot read the value {}", text.chars().take(80).collect::<String>()),
            "write lists as [64, 32], tables as { from = 1.0, to = 0.1 }, and quote the whole assignment in the shell",
        )),
        (None, _) => Ok(Value::String(text.to_owned())),
    }
}

fn type_error(error: &toml::de::Error, defaults: &Table) -> Error {
    let shown = error.to_string();
    let key = shown.trim_end().rsplit_once("in `").map_or("configuration", |(_, key)| key.trim_end_matches('`')).to_owned();
    let remedy = match lookup(defaults, &key).filter(|v| !is_section(v)) {
        Some(default) => format!("the default is {default}"),
        None => "compare with `ganymede train --dry-run -v`, which lists every setting".to_owned(),
    };
    let problem = match error.message().trim() {
        // Serde's words for a value that is neither form of a schedule.
        said if said.contains("did not match any variant") => "neither a number nor { from = 1.0, to = 0.1, shape = \"cosine\" }",
        said => said,
    };
    Error::config(key, problem, remedy)
}

fn read_text(path: &Path) -> Result<String> {
    const LIMIT: u64 = 1 << 20;
    let length = std::fs::metadata(path).map_err(|e| Error::io(path, "read", e))?.len();
    if length > LIMIT {
        return Err(Error::config(path.display().to_string(), "larger than 1 MiB, so not a settings file", "give a TOML file of settings"));
    }
    std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))
}

/// Line, from 1, of the setting with the dotted key in a TOML text.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut offset = None;
    let mut rest = key;
    // Follows the path as far as the file spells it out; a type error may name a key inside a value.
    while !rest.is_empty() {
        let (name, value) = table.iter().find(|(k, _)| rest == k.get_ref().as_ref() || rest.starts_with(&format!("{}.", k.get_ref())))?;
        offset = Some(name.span().start);
        rest = rest[name.get_ref().len()..].trim_start_matches('.');
        match value.get_ref() {
            toml::de::DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    offset.map(|at| text[..at].matches('\n').count() + 1)
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal string alignment).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substituted = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substituted.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Rate {
        Fixed(f64),
        Moving { from: f64, to: f64 },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Game {
        lr: Rate,
        batch_norm: bool,
        scale: f64,
    }

    impl Default for Game {
        fn default() -> Self {
            Self { lr: Rate::Fixed(1e-3), batch_norm: false, scale: 1.0 }
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Network {
        widths: Vec<usize>,
        kind: String,
        scale: f64,
    }

    impl Default for Network {
        fn default() -> Self {
            Self { widths: vec![128, 128], kind: "auto".into(), scale: 2.0 }
        }
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        plan: crate::train::Plan,
        game: Game,
        network: Network,
    }

    fn layer(text: &str) -> Table {
        toml::from_str(text).unwrap()
    }

    fn set(assignments: &[&str]) -> Result<Settings> {
        let known = resolve::<Settings>(&[])?.1;
        let assignments: Vec<String> = assignments.iter().map(|s| (*s).to_owned()).collect();
        Ok(resolve(&[parse_set(&assignments, &known)?])?.0)
    }

    fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn later_layers_win_and_the_rest_keeps_its_default() {
        let (settings, table) = resolve::<Settings>(&[layer("plan.steps = 5\nplan.batch = 7"), layer("[plan]\nsteps = 6")]).unwrap();
        assert_eq!((settings.plan.steps, settings.plan.batch, settings.plan.keep), (6, 7, 3));
        assert_eq!(lookup(&table, "plan.batch"), Some(&Value::Integer(7)));
        assert_eq!(lookup(&table, "network.kind"), Some(&Value::String("auto".into())));
    }

    #[test]
    fn no_layers_give_the_defaults() {
        assert_eq!(resolve::<Settings>(&[]).unwrap().0, Settings::default());
    }

    #[test]
    fn quoted_dotted_keys_are_nested() {
        let mut dotted = Table::new();
        dotted.insert("plan.steps".into(), Value::Integer(9));
        assert_eq!(resolve::<Settings>(&[dotted]).unwrap().0.plan.steps, 9);
    }

    #[test]
    fn a_schedule_takes_the_place_of_a_number_and_back() {
        let moving = layer("game.lr = { from = 1e-2, to = 1e-4 }");
        assert_eq!(resolve::<Settings>(std::slice::from_ref(&moving)).unwrap().0.game.lr, Rate::Moving { from: 1e-2, to: 1e-4 });
        assert_eq!(resolve::<Settings>(&[moving, layer("game.lr = 0.5")]).unwrap().0.game.lr, Rate::Fixed(0.5));
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_known_one() {
        assert_eq!(message(resolve::<Settings>(&[layer("plan.stpes = 5")])), "plan.stpes: unknown setting; did you mean plan.steps?");
        assert_eq!(message(resolve::<Settings>(&[layer("batch = 5")])), "batch: unknown setting; did you mean plan.batch?");
        assert!(message(resolve::<Settings>(&[layer("zzzzzz = 5")])).contains("known settings: game.batch_norm"));
        assert_eq!(message(set(&["log=3"])), "log: unknown setting; did you mean plan.log_every?");
        assert_eq!(message(set(&["btach=3"])), "btach: unknown setting; did you mean plan.batch?");
    }

    #[test]
    fn wrong_types_name_the_dotted_key_and_the_default() {
        let said = message(resolve::<Settings>(&[layer("plan.steps = 'many'")]));
        assert_eq!(said, "plan.steps: invalid type: string \"many\", expected u64; the default is 10000");
        assert_eq!(resolve::<Settings>(&[layer("plan.steps = -1")]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_value_that_is_neither_number_nor_schedule_is_told_both_forms() {
        let said = message(set(&["lr=fast"]));
        assert!(said.starts_with("game.lr: neither a number nor { from") && said.ends_with("the default is 0.001"), "{said}");
    }

    #[test]
    fn a_section_is_not_a_setting() {
        assert!(message(resolve::<Settings>(&[layer("plan = 3")])).starts_with("plan: is a section"));
    }

    #[test]
    fn assignments_read_numbers_lists_tables_and_words() {
        let settings =
            set(&["batch=32", "plan.steps=2e4", "game.lr=1e-3", "network.widths=[64,32]", "kind=wide", "batch_norm=true"]).unwrap();
        assert_eq!((settings.plan.batch, settings.plan.steps), (32, 20_000));
        assert_eq!(settings.game.lr, Rate::Fixed(1e-3));
        assert_eq!(settings.network.widths, [64, 32]);
        assert_eq!((settings.network.kind.as_str(), settings.game.batch_norm), ("wide", true));
        assert_eq!(set(&["lr={from=1.0,to=0.5}"]).unwrap().game.lr, Rate::Moving { from: 1.0, to: 0.5 });
    }

    #[test]
    fn a_bare_name_that_two_sections_have_is_ambiguous() {
        assert_eq!(message(set(&["scale=3"])), "scale: several sections have it: game.scale, network.scale; write the full key");
        assert_eq!(set(&["network.scale=3"]).unwrap().network.scale, 3.0);
    }

    #[test]
    fn broken_assignments_say_how_to_write_them() {
        assert!(message(set(&["batch"])).contains("not of the form key=value"));
        assert!(message(set(&["widths=[1,"])).contains("cannot read the value [1,"));
        // A value cannot smuggle in a second key.
        assert!(message(set(&["steps=1\nplan.batch=2"])).contains("invalid type: string"));
    }

    #[test]
    fn flattening_gives_one_line_per_setting() {
        let flat = flatten(&layer("plan.steps = 5\ngame.lr = { from = 1.0, to = 0.5 }\nkind = 'x'"));
        let expected = [("game.lr", "{ from = 1.0, to = 0.5 }"), ("kind", "\"x\""), ("plan.steps", "5")];
        assert_eq!(flat, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn files_with_syntax_errors_show_the_line_and_a_caret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, "[plan]\nsteps = = 3\n").unwrap();
        let said = message(read_file(&path));
        assert!(said.contains("mine.toml") && said.contains("line 2") && said.contains("steps = = 3") && said.contains('^'), "{said}");
    }

    #[test]
    fn a_wrong_key_in_a_file_is_blamed_on_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, "# settings\n[plan]\nbatch = 3\nstpes = 3\n").unwrap();
        let error = resolve::<Settings>(&[read_file(&path).unwrap()]).unwrap_err();
        assert!(blame_file(error, &path).to_string().contains("mine.toml:4: plan.stpes: unknown setting"));
    }

    #[test]
    fn edit_distance_has_known_values() {
        for (a, b, d) in [("", "abc", 3), ("kitten", "sitting", 3), ("steps", "stpes", 1), ("same", "same", 0)] {
            assert_eq!(edit_distance(a, b), d, "{a} {b}");
        }
        assert_eq!(nearest("imge", ["points", "image"]), Some("image"));
        assert_eq!(nearest("music", ["points", "image"]), None);
    }

    #[test]
    fn an_endless_key_is_refused_and_not_taken_apart() {
        let key = vec!["a"; 200_000].join(".");
        assert!(message(resolve::<Settings>(&[Table::from_iter([(key.clone(), Value::Integer(1))])])).contains("unknown setting"));
        assert!(message(set(&[&format!("{key}=1")])).contains("unknown setting"));
        assert!(message(set(&[&format!("kind={}", "[".repeat(200_000))])).len() < 1000);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, format!("{key} = 1")).unwrap();
        assert!(read_file(&path).and_then(|layer| resolve::<Settings>(&[layer])).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_file_is_read_or_refused_without_panic(text in r#"([\[\]{}."=#a-z0-9\n ]|plan|steps|\PC){0,60}"#) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("mine.toml");
            std::fs::write(&path, &text).unwrap();
            if let Err(error) = read_file(&path).and_then(|layer| resolve::<Settings>(&[layer])) {
                blame_file(error, &path);
            }
        }

        #[test]
        fn any_assignment_is_read_or_refused_without_panic(text in ".{0,40}", key in "[a-z.]{0,12}") {
            let known = resolve::<Settings>(&[]).unwrap().1;
            let _ = parse_set(&[text.clone(), format!("{key}={text}"), format!("kind={text}")], &known).and_then(|l| resolve::<Settings>(&[l]).map(|_| ()));
        }

        #[test]
        fn what_flatten_writes_parse_set_reads(steps in 1u64..1_000_000, scale in -1e9f64..1e9, kind in "[a-z]{1,8}") {
            let (_, table) = resolve::<Settings>(&[layer(&format!("plan.steps = {steps}\ngame.scale = {scale:?}\nnetwork.kind = '{kind}'"))]).unwrap();
            let assignments: Vec<String> = flatten(&table).into_iter().map(|(k, v)| format!("{k}={v}")).collect();
            let back = resolve::<Settings>(&[parse_set(&assignments, &table).unwrap()]).unwrap().1;
            proptest::prop_assert_eq!(back, table);
        }
    }
}
