//! Tables, through the built program.

mod common;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use common::{failure_of, json_of, run, stderr, stdout_of};

/// 400 people: the older earn more, words go with numbers, some cells are missing, and each has a number of their own.
fn people(here: &Path) {
    let row = |i: usize| {
        let age = 18 + i * 7 % 60;
        let income = if i.is_multiple_of(9) { String::new() } else { format!("{:.2}", 900.0 + 37.5 * age as f64 + (i * 131 % 400) as f64) };
        let job = if age < 30 { "student" } else { ["clerk", "cook"][i % 2] };
        format!("P{i:05},{age},{job},{income},2024-{:02}-{:02}\n", 1 + i % 12, 1 + i % 28)
    };
    fs::write(here.join("people.csv"), format!("id,age,job,income,since\n{}", (0..400).map(row).collect::<String>())).unwrap();
}

fn trained(here: &Path, more: &[&str]) {
    let small = ["batch=32", "network.width=32", "d_width=32", "latent_dim=8", "holdout=0.25"];
    let mut args = vec!["train", "people.csv", "--seed", "1"];
    if !more.contains(&"--steps") {
        args.extend(["--steps", "60"]);
    }
    small.iter().for_each(|set| args.extend(["--set", set]));
    args.extend(more);
    let output = run(here, &args);
    assert!(output.status.success(), "{}", stderr(&output));
}

const RUN: &str = "runs/0001-table-people";

fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn a_table_is_learned_and_asked_for() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    people(here);
    let inspected = stdout_of(here, &["inspect", "people.csv"]);
    for said in ["age: integer", "job: category", "income: real", "since: date", "id: identifier", "400"] {
        assert!(inspected.contains(said), "{said}: {inspected}");
    }
    trained(here, &[]);
    stdout_of(here, &["sample", RUN, "-n", "500", "-o", "out.csv"]);
    let drawn = rows(&here.join("out.csv"));
    assert_eq!((drawn.len(), drawn[0].len()), (500, 5));
    let ids: HashSet<&String> = drawn.iter().map(|row| &row[0]).collect();
    assert_eq!(ids.len(), 500, "identifiers are made anew, each once");
    for row in &drawn {
        assert!((18..78).contains(&row[1].parse::<i64>().unwrap()), "{row:?}");
        assert!(["student", "clerk", "cook"].contains(&row[2].as_str()), "{row:?}");
        assert!(row[3].is_empty() || row[3].split_once('.').is_none_or(|(_, cents)| cents.len() <= 2), "{row:?}");
        assert!(row[4].starts_with("2024-") && row[4].len() == 10, "{row:?}");
    }
    assert!(drawn.iter().any(|row| row[3].is_empty()), "missing cells are a value too");

    // The same seed gives the same rows, whatever comes with them, in every format.
    stdout_of(here, &["sample", RUN, "-n", "100", "-o", "less.csv"]);
    assert_eq!(rows(&here.join("less.csv")), drawn[..100]);
    stdout_of(here, &["sample", RUN, "-n", "100", "-o", "less.jsonl.gz"]);
    assert!(fs::metadata(here.join("less.jsonl.gz")).unwrap().len() > 100);
    assert!(failure_of(here, &["sample", RUN, "-o", "less.doc"], 2).contains(".csv"));

    let wished =
        ["sample", RUN, "-n", "200", "--where", "job = cook", "--where", "age in 40..50", "--where", "income is present", "-o", "some.csv"];
    stdout_of(here, &wished);
    for row in rows(&here.join("some.csv")) {
        assert!(row[2] == "cook" && (40..=50).contains(&row[1].parse::<i64>().unwrap()) && !row[3].is_empty(), "{row:?}");
    }
    let refused = |wish: &str| failure_of(here, &["sample", RUN, "--where", wish], 2);
    assert!(refused("jobs = cook").contains("job") && refused("job = coock").contains("cook") && refused("age > old").contains("age"));
    assert!(failure_of(here, &["sample", RUN, "--label", "cook"], 2).contains("--where"));
}

#[test]
fn missing_cells_are_filled_in_and_the_others_stay() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    people(here);
    trained(here, &[]);
    fs::write(
        here.join("part.csv"),
        "id,age,job,income,since\nP90001,25,,,2024-05-05\nP90002,,cook,1234.56,\nP90003,44,clerk,,2024-01-02\n",
    )
    .unwrap();
    stdout_of(here, &["sample", RUN, "--complete", "part.csv", "-o", "full.csv"]);
    let full = rows(&here.join("full.csv"));
    assert!(full.iter().flatten().all(|cell| !cell.is_empty()), "also where training rows have gaps: {full:?}");
    assert_eq!((full[0][0].as_str(), full[0][1].as_str(), full[0][4].as_str()), ("P90001", "25", "2024-05-05"));
    assert_eq!((full[1][2].as_str(), full[1][3].as_str()), ("cook", "1234.56"));
    // A word that the model never saw stays, and says nothing of its row.
    fs::write(here.join("part.csv"), "age,job,income,since\n25,CLERK,,2024-05-05\n30,cook,,2024-05-05\n").unwrap();
    let output = run(here, &["sample", RUN, "--complete", "part.csv", "-o", "full.csv"]);
    assert!(stderr(&output).contains("1 cells hold words that the model never saw"), "{}", stderr(&output));
    assert_eq!(rows(&here.join("full.csv"))[0][1], "CLERK");
    fs::write(here.join("part.csv"), "age,job,since\n25,clerk,2024-05-05\n").unwrap();
    assert!(failure_of(here, &["sample", RUN, "--complete", "part.csv", "-o", "x.csv"], 1).contains("no column \"income\""));
    assert!(failure_of(here, &["sample", RUN, "--complete", "people.txt", "-o", "x.csv"], 1).contains("people.txt"));
}

#[test]
fn one_column_is_drawn_given_the_others() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    // Each colour in two languages, and a number that has nothing to do with it.
    let pairs = [("red", "rot"), ("green", "vert"), ("blue", "blau")];
    let row = |i: usize| format!("{},{},{}\n", pairs[i * i % 7 % 3].0, pairs[i * i % 7 % 3].1, i * 37 % 101);
    fs::write(here.join("people.csv"), format!("one,other,number\n{}", (0..400).map(row).collect::<String>())).unwrap();
    let agreeing = |name: &str| {
        let drawn = rows(&here.join(name));
        assert_eq!(drawn.len(), 400);
        drawn.iter().filter(|row| pairs.contains(&(row[0].as_str(), row[1].as_str()))).count()
    };
    trained(here, &["--set", "game.completion=1", "--steps", "600"]);
    let unknown = |i: usize| format!("{},,{}\n", pairs[i % 3].0, i % 100);
    fs::write(here.join("part.csv"), format!("one,other,number\n{}", (0..400).map(unknown).collect::<String>())).unwrap();
    stdout_of(here, &["sample", RUN, "--complete", "part.csv", "-o", "full.csv"]);
    assert!(agreeing("full.csv") > 320, "{}", agreeing("full.csv"));
    let swept = |sweeps: &str, name: &str| {
        stdout_of(here, &["sample", RUN, "-n", "400", "--sweeps", sweeps, "--where", "number >= 20", "-o", name]);
        assert!(rows(&here.join(name)).iter().all(|row| row[2].parse::<f64>().unwrap() >= 20.0));
        agreeing(name)
    };
    let (never, thrice) = (swept("0", "never.csv"), swept("3", "thrice.csv"));
    assert!(thrice > 320 && thrice > never + 100, "{never} {thrice}");
    swept("3", "again.csv");
    assert_eq!(fs::read(here.join("again.csv")).unwrap(), fs::read(here.join("thrice.csv")).unwrap());

    trained(here, &["--set", "game.completion=0", "--steps", "5"]);
    assert!(failure_of(here, &["sample", "runs/0002-table-people", "--sweeps", "1"], 2).contains("game.completion"));
}

#[test]
fn tables_are_judged_with_privacy_and_use() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    people(here);
    trained(here, &["--set", "judge_every=30"]);
    let found = json_of(here, &["evaluate", RUN, "--target", "job"]);
    for metric in ["quality", "pair_trends", "c2st", "usefulness", "copies", "memorised", "membership"] {
        assert!(found["scores"][metric]["value"].is_number(), "{metric}: {found}");
    }
    assert!(found["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().starts_with("privacy, ")), "{found}");
    // A file of anyone's: the training rows themselves are found to be copies.
    let copied = json_of(here, &["evaluate", "people.csv", "--against", "people.csv"]);
    assert!(copied["scores"]["quality"]["value"].as_f64().unwrap() > 0.9, "{copied}");
    assert!(copied["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().contains("not known which rows")), "{copied}");
    // However the run's own file is called, the rows that it held out are the ones that it is judged by.
    let again = json_of(here, &["evaluate", RUN, "--target", "job", "--against", "./people.csv"]);
    assert_eq!(again["scores"], found["scores"]);
    // Training rows handed out as samples.
    let all = fs::read_to_string(here.join("people.csv")).unwrap();
    let lines: Vec<&str> = all.lines().collect();
    let part = |range: std::ops::Range<usize>| [&lines[..1], &lines[range]].concat().join("\n") + "\n";
    fs::write(here.join("training.csv"), part(1..301)).unwrap();
    fs::write(here.join("held-out.csv"), part(301..401)).unwrap();
    let leak = json_of(here, &["evaluate", "training.csv", "--against", "held-out.csv", "--learned-from", "training.csv"]);
    assert_eq!(leak["scores"]["copies"]["value"], 1.0, "{leak}");
    assert!(leak["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().starts_with("privacy, LEAK")), "{leak}");
    assert!(failure_of(here, &["evaluate", RUN, "--target", "jobb"], 2).contains("did you mean job?"));
}

#[test]
fn a_schema_is_written_changed_and_obeyed() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    people(here);
    stdout_of(here, &["inspect", "people.csv", "--write-schema"]);
    let path = here.join("people.csv.schema.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("name = \"income\"") && text.contains("kind = \"real\""), "{text}");
    failure_of(here, &["inspect", "people.csv", "--write-schema"], 1);
    let text = text.replace("name = \"since\"", "name = \"since\"\nleave_out = true");
    fs::write(&path, text.replace("name = \"job\"", "name = \"job\"\nsensitive = true")).unwrap();
    trained(here, &["--schema", "people.csv.schema.toml"]);
    stdout_of(here, &["sample", RUN, "-n", "5", "-o", "out.csv"]);
    assert!(!fs::read_to_string(here.join("out.csv")).unwrap().contains("since"));
    // What the run left out is left out of judging and filling in as well, and what is sensitive is attacked.
    let found = json_of(here, &["evaluate", RUN, "--against", "people.csv"]);
    let attacks = found["notes"].as_array().unwrap().iter().filter(|note| note.as_str().unwrap().contains("all of a training row but"));
    let attacked: Vec<&str> = attacks.map(|note| note.as_str().unwrap()).collect();
    assert!(attacked.len() == 1 && attacked[0].contains("but job tells"), "{found}");
    stdout_of(here, &["sample", RUN, "--complete", "people.csv", "-o", "full.csv"]);
    assert_eq!(rows(&here.join("full.csv")).len(), 400);
    stdout_of(here, &["inspect", "people.csv", "--write-schema=sdv"]);
    let metadata = fs::read_to_string(here.join("people.csv.metadata.json")).unwrap();
    assert!(metadata.contains("\"datetime_format\": \"%Y-%m-%d\""), "{metadata}");
    fs::write(
        here.join("people.csv.metadata.json"),
        metadata.replacen("\"age\": {", "\"age\": { \"x\": 1, ", 1).replacen("numerical", "categorical", 1),
    )
    .unwrap();
    let output = run(here, &["train", "people.csv", "--schema", "people.csv.metadata.json", "--dry-run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    fs::write(&path, text.replace("kind = \"real\"", "kind = \"rael\"")).unwrap();
    assert!(
        failure_of(here, &["train", "people.csv", "--schema", "people.csv.schema.toml", "--steps", "1"], 2)
            .contains("did you mean \"real\"?")
    );
}

#[test]
fn constraints_hold_in_every_row() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    let row = |i: usize| {
        let (low, more) = (i * 7 % 20, i * 11 % 13);
        format!("{low},{},{},{}\n", low + more, 2 * low + more, ["x", "y", "z"][i % 3])
    };
    fs::write(here.join("sums.csv"), format!("low,high,total,kind\n{}", (0..400).map(row).collect::<String>())).unwrap();
    stdout_of(here, &["inspect", "sums.csv", "--write-schema"]);
    let path = here.join("sums.csv.schema.toml");
    let rules = "\n[[constraints]]\nkind = \"inequality\"\nlow = \"low\"\nhigh = \"high\"\n\n[[constraints]]\nkind = \"formula\"\nformula = \"total = low + high\"\n";
    fs::write(&path, fs::read_to_string(&path).unwrap() + rules).unwrap();
    let small = ["train", "sums.csv", "--steps", "40", "--set", "batch=32", "--set", "network.width=32", "--set", "d_width=32"];
    let output = run(here, &[&small[..], &["--schema", "sums.csv.schema.toml"]].concat());
    assert!(output.status.success() && stderr(&output).contains("constraint low <= high: in 100.0 % of the rows"), "{}", stderr(&output));
    let run_dir = "runs/0001-table-sums";
    let number = |cell: &String| cell.parse::<i64>().unwrap();
    for wish in [&[][..], &["--where", "kind = y"], &["--seeds", "0-149,7:3"]] {
        let n: &[&str] = if wish.first() == Some(&"--seeds") { &[] } else { &["-n", "150"] };
        let output = run(here, &[&["sample", run_dir, "-o", "out.csv"], n, wish].concat());
        assert!(output.status.success() && stderr(&output).contains("satisfied the constraints"), "{}", stderr(&output));
        let drawn = rows(&here.join("out.csv"));
        assert!(drawn.len() >= 150);
        for row in &drawn {
            assert!(number(&row[0]) <= number(&row[1]) && number(&row[2]) == number(&row[0]) + number(&row[1]), "{row:?}");
            assert!(wish.first() != Some(&"--where") || row[3] == "y", "{row:?}");
        }
    }
    // So do rows of which cells were filled in, unless what is given in them breaks a constraint.
    let part: String = (0..60).map(|i| if i % 2 == 0 { format!("{},,,x\n", i % 20) } else { format!(",{},,\n", i % 20) }).collect();
    fs::write(here.join("part.csv"), format!("low,high,total,kind\n{part}9,3,,y\n")).unwrap();
    for draws in ["1", "5"] {
        let output = run(here, &["sample", run_dir, "--complete", "part.csv", "--draws", draws, "-o", "full.csv", "--force"]);
        assert!(output.status.success() && stderr(&output).contains("1 rows break a constraint"), "{}", stderr(&output));
        let full = rows(&here.join("full.csv"));
        for (i, row) in full[..60].iter().enumerate() {
            assert!(number(&row[0]) <= number(&row[1]) && number(&row[2]) == number(&row[0]) + number(&row[1]), "{row:?}");
            assert_eq!(number(&row[i % 2]), i as i64 % 20, "{row:?}");
        }
        assert_eq!(full[60], ["9", "3", "12", "y"]);
    }
    let found = json_of(here, &["evaluate", run_dir]);
    assert!(
        found["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().contains("low <= high: satisfied by 100.0 %")),
        "{found}"
    );
}

#[test]
fn few_numbers_are_read_from_every_kind_of_table() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    let line = |i: usize| format!("{{\"x\": {}, \"y\": {}.5}}\n", i % 17, i % 5);
    fs::write(here.join("xy.jsonl"), (0..200).map(line).collect::<String>()).unwrap();
    assert!(stdout_of(here, &["inspect", "xy.jsonl"]).contains("200"));
    stdout_of(here, &["train", "xy.jsonl", "--steps", "3"]);
    stdout_of(here, &["train", "xy.jsonl", "--steps", "3", "--task", "table", "--fresh"]);
    assert!(here.join("runs/0001-points-xy").exists() && here.join("runs/0002-table-xy").exists());
}

#[test]
fn files_with_types_are_learned_and_written() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ganymede/src/table/test_files");
    // What a file is, its bytes say.
    fs::copy(files.join("batches.arrows"), here.join("data.bin")).unwrap();
    fs::copy(files.join("sheets.xlsx"), here.join("book.zip")).unwrap();
    let book = stdout_of(here, &["inspect", "book.zip"]);
    assert!(book.contains("day: constant, always 2024-02-29") && book.contains("2 sheets have cells; \"First\" is read"), "{book}");
    let small = ["--steps", "20", "--set", "batch=32", "--set", "network.width=32", "--set", "d_width=32"];
    stdout_of(here, &[&["train", "data.bin"][..], &small].concat());
    let run_dir = "runs/0001-table-data";
    let kinds = |name: &str| {
        let said = stdout_of(here, &["inspect", name]);
        for kind in ["n: integer", "word: category", "day: datetime"] {
            assert!(said.contains(kind), "{name}: {kind}: {said}");
        }
    };
    // The same rows whatever they are written as.
    let filled_in = |name: &str| {
        stdout_of(here, &["sample", run_dir, "-n", "300", "-o", name]);
        kinds(name);
        stdout_of(here, &["sample", run_dir, "--complete", name, "-o", "full.csv"]);
        rows(&here.join("full.csv"))
    };
    let of_csv = filled_in("out.csv");
    assert_eq!(of_csv.len(), 300);
    for name in ["out.arrow", "out.feather", "out.parquet"] {
        assert_eq!(filled_in(name), of_csv, "{name}");
    }
    stdout_of(here, &[&["train", "out.parquet", "--fresh"][..], &small].concat());
    json_of(here, &["evaluate", run_dir, "--against", "out.arrow"]);
    assert!(failure_of(here, &["sample", run_dir, "-o", "out.xlsx"], 2).contains(".arrow"));
    for (name, bytes) in
        [("cut.arrow", &b"ARROW1\0\0 and no more"[..]), ("cut.parquet", b"PAR1 and no more"), ("old.feather", b"FEA1 and no more")]
    {
        fs::write(here.join(name), bytes).unwrap();
        assert!(failure_of(here, &["train", name], 1).contains(name));
    }
}

#[test]
fn hostile_files_are_refused_in_words_or_learned() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    let refused = |text: &[u8], said: &str| {
        fs::write(here.join("t.csv"), text).unwrap();
        let message = failure_of(here, &["train", "t.csv", "--steps", "2"], 1);
        assert!(message.contains("t.csv") && message.contains(said), "{said}: {message}");
    };
    refused(b"a,b\n1,x\n3\n", "1 cells where the first row has 2");
    refused(b"a,b\n1,x\n", "at least 20 are needed");
    refused(format!("a,b\n{}", "same,1\n".repeat(50)).as_bytes(), "nothing that could be learned");
    refused(format!("a,b\n{}", "NA,?\n".repeat(50)).as_bytes(), "nothing that could be learned");
    let junk: Vec<u8> = (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    refused(&junk, "t.csv");
    let line = |f: &dyn Fn(usize) -> String| (0..10_000).map(f).collect::<Vec<_>>().join(",") + "\n";
    let wide: String = (0..40).map(|row| line(&|i| ["x", "y", "z"][(i + row) % 3].to_owned())).collect();
    refused((line(&|i| format!("c{i}")) + &wide).as_bytes(), "million weights");
    assert!(!here.join("runs").exists(), "what fails leaves nothing behind");

    // Cells that a spreadsheet would run are harmless if that is asked for, in another encoding too.
    let row = |i: usize| format!("{},{},{}\n", ["=1+1", "caf\u{e9}", "@x"][i % 3], i % 17, i * 7 % 5);
    let text: String = std::iter::once("=word,n,m\n".to_owned()).chain((0..300).map(row)).collect();
    let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
    fs::write(here.join("t.csv"), latin).unwrap();
    stdout_of(here, &["train", "t.csv", "--steps", "20", "--set", "batch=32", "--set", "network.width=32", "--set", "d_width=32"]);
    stdout_of(here, &["sample", "runs/0001-table-t", "-n", "60", "-o", "plain.csv"]);
    stdout_of(here, &["sample", "runs/0001-table-t", "-n", "60", "-o", "safe.csv", "--escape-formulas"]);
    let (plain, safe) = (fs::read_to_string(here.join("plain.csv")).unwrap(), fs::read_to_string(here.join("safe.csv")).unwrap());
    assert!(plain.starts_with("=word,") && plain.contains("\n=1+1,") && plain.contains("\ncaf\u{e9},"), "{plain}");
    assert!(safe.starts_with("'=word,") && safe.contains("\n'=1+1,") && safe.contains("\n'@x,") && !safe.contains("\n="), "{safe}");
}
