//! Several tables with foreign keys, from the files to files like them.

mod common;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use common::{failure_of, json_of, run, stderr, stdout_of};
use serde_json::Value;

/// What makes training quick.
const SMALL: [&str; 12] = [
    "--set",
    "batch=32",
    "--set",
    "latent_dim=8",
    "--set",
    "network.width=32",
    "--set",
    "d_width=32",
    "--set",
    "sample_every=100",
    "--set",
    "sheet=50",
];

/// 120 customers, some with orders, of which some have items; products that items refer to, and orders of nobody.
fn shop(here: &Path) {
    let folder = here.join("shop");
    fs::create_dir_all(&folder).unwrap();
    let (mut customers, mut orders, mut items) =
        ("id,age,segment\n".to_owned(), "id,customer_id,amount,channel\n".to_owned(), "order_id,product_id,count\n".to_owned());
    let mut n_orders = 0;
    for i in 0..120 {
        writeln!(customers, "C{:04},{},{}", 1000 + i * 7, 18 + i * 13 % 60, ["private", "business"][i % 2]).unwrap();
        for j in 0..i * 7 % 5 {
            n_orders += 1;
            writeln!(
                orders,
                "{},C{:04},{:.2},{}",
                500 + n_orders,
                1000 + i * 7,
                (i % 2 * 80 + j * 9 + i % 11) as f64 + 0.25,
                ["web", "shop"][(i + j) % 2]
            )
            .unwrap();
            (0..(i + j) % 3).for_each(|k| writeln!(items, "{},{},{}", 500 + n_orders, 1 + (i + 3 * j + k) % 25, 1 + (i + k) % 4).unwrap());
        }
    }
    for i in 0..20 {
        writeln!(orders, "{},,{:.2},web", 9000 + i, 5.0 + i as f64).unwrap();
    }
    let product = |i: usize| format!("{},{:.2},{}\n", 1 + i, 2.5 + (i * 7 % 13) as f64, ["book", "toy", "tool"][i % 3]);
    fs::write(folder.join("customers.csv"), customers).unwrap();
    fs::write(folder.join("orders.csv"), orders).unwrap();
    fs::write(folder.join("items.csv"), items).unwrap();
    fs::write(folder.join("products.csv"), format!("id,price,kind\n{}", (0..25).map(product).collect::<String>())).unwrap();
}

/// Trains and gives back what was said.
fn trained(here: &Path, more: &[&str]) -> String {
    let output = run(here, &[&["train", "shop/", "--steps", "20", "--seed", "1", "--device", "cpu"], &SMALL[..], more].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    stderr(&output)
}

/// The cells of a table by the names of its columns.
fn table(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines.map(|line| names.iter().map(|name| (*name).to_owned()).zip(line.split(',').map(str::to_owned)).collect()).collect()
}

fn column<'a>(rows: &'a [BTreeMap<String, String>], name: &str) -> Vec<&'a str> {
    rows.iter().map(|row| row[name].as_str()).collect()
}

/// Checks that keys are unique and that everything that is referred to is there.
fn check_keys(folder: &Path) {
    let of = |name: &str| table(&folder.join(name));
    let (customers, orders, items, products) = (of("customers.csv"), of("orders.csv"), of("items.csv"), of("products.csv"));
    for rows in [&customers, &orders, &products] {
        let keys = column(rows, "id");
        assert!(keys.iter().all(|key| !key.is_empty()) && keys.iter().collect::<HashSet<_>>().len() == keys.len());
    }
    let is_among = |rows: &[BTreeMap<String, String>], name: &str, others: &[BTreeMap<String, String>], may_be_missing: bool| {
        let known: HashSet<&str> = column(others, "id").into_iter().collect();
        for value in column(rows, name) {
            assert!(known.contains(value) || (may_be_missing && value.is_empty()), "{name} {value}");
        }
    };
    is_among(&orders, "customer_id", &customers, true);
    is_among(&items, "order_id", &orders, false);
    is_among(&items, "product_id", &products, false);
}

#[test]
fn tables_are_learned_drawn_resumed_and_judged() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    shop(here);
    let said = trained(here, &["--set", "judge_every=10"]);
    for part in [
        "relations",
        "4 tables with 3 foreign keys",
        "orders.customer_id refers to customers.id: 0 to 4 rows each",
        "20 rows refer to none",
        "items.order_id refers to orders.id",
        "items.product_id refers to products.id",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let runs = "runs/0001-relations-shop";
    // One file for each table, with the same names and columns, and keys that fit.
    let said = stdout_of(here, &["sample", runs, "-n", "60", "--seed", "3", "-o", "synthetic/"]);
    assert!(said.contains("synthetic"));
    check_keys(&here.join("synthetic"));
    let customers = table(&here.join("synthetic/customers.csv"));
    assert_eq!(customers.len(), 60);
    assert!(customers.iter().all(|row| row["id"].starts_with('C') && row["age"].parse::<i64>().is_ok_and(|age| (10..90).contains(&age))));
    assert!(!table(&here.join("synthetic/orders.csv")).is_empty());
    let header = |path: &str| fs::read_to_string(here.join(path)).unwrap().lines().next().unwrap().to_owned();
    for name in ["customers.csv", "orders.csv", "items.csv", "products.csv"] {
        assert_eq!(header(&format!("synthetic/{name}")), header(&format!("shop/{name}")));
    }
    // The same model and seed give the same rows, from the model folder alone; fewer rows are the first of more.
    stdout_of(here, &["sample", &format!("{runs}/model"), "-n", "60", "--seed", "3", "-o", "again/"]);
    for name in ["customers.csv", "orders.csv", "items.csv", "products.csv"] {
        assert_eq!(fs::read(here.join("again").join(name)).unwrap(), fs::read(here.join("synthetic").join(name)).unwrap(), "{name}");
    }
    stdout_of(here, &["sample", runs, "-n", "30", "--seed", "3", "-o", "fewer"]);
    assert_eq!(table(&here.join("fewer/customers.csv")), customers[..30]);
    let (few, all) = (table(&here.join("fewer/orders.csv")), table(&here.join("synthetic/orders.csv")));
    assert_eq!(few, all[..few.len()]);
    // One document.
    stdout_of(here, &["sample", runs, "-n", "10", "-o", "all.json"]);
    let document: Value = serde_json::from_slice(&fs::read(here.join("all.json")).unwrap()).unwrap();
    assert_eq!(document["customers"].as_array().unwrap().len(), 10);
    assert!(document["orders"].is_array() && document["products"][0]["price"].is_number());
    // Nothing is replaced unless asked for, and one file does not hold several tables.
    assert!(failure_of(here, &["sample", runs, "-o", "synthetic/"], 1).contains("--force"));
    assert!(failure_of(here, &["sample", runs, "-o", "synthetic.csv"], 2).contains("name a folder"));
    assert!(failure_of(here, &["sample", runs, "--where", "age > 3", "-o", "x/"], 2).contains("condition"));

    let found = json_of(here, &["evaluate", runs]);
    for metric in ["quality", "orphans", "child_counts", "cardinality"] {
        let score = &found["scores"][metric];
        assert!(["value", "real", "trivial"].iter().all(|key| score[*key].is_number()), "{metric}: {found}");
    }
    assert_eq!((found["scores"]["orphans"]["value"].as_f64(), found["scores"]["orphans"]["trivial"].as_f64()), (Some(0.0), Some(1.0)));
    let parts = found["parts"].as_object().unwrap();
    assert!(parts.contains_key("customers") && parts["orders.customer_id -> customers"]["child_counts"]["value"].is_number(), "{found}");
    let text = stdout_of(here, &["evaluate", "synthetic", "--against", "shop"]);
    assert!(text.contains("orphans") && text.contains("child-count distance") && text.contains("items.order_id -> orders"), "{text}");
    assert!(fs::read_to_string(here.join(runs).join("report.html")).unwrap().contains("child-count distance"));
}

#[test]
fn a_run_that_was_stopped_ends_with_the_same_bytes() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    shop(here);
    trained(here, &["--set", "judge_every=0", "--set", "checkpoint_every=10"]);
    let of_run = here.join("runs/0001-relations-shop");
    let files = |folder: &str| {
        let entries = fs::read_dir(of_run.join(folder)).unwrap().map(|e| e.unwrap().path());
        let mut files: Vec<_> =
            entries.filter(|p| p.extension().is_some_and(|e| e == "safetensors")).map(|p| (p.clone(), fs::read(p).unwrap())).collect();
        files.sort();
        files
    };
    let (players, model) = (files("checkpoints/step-00000020"), files("model"));
    // Two players for each of four tables.
    assert_eq!(players.len(), 8);
    // As after a power cut between the two checkpoints.
    fs::remove_dir_all(of_run.join("checkpoints/step-00000020")).unwrap();
    let resumed = run(here, &["train", "--resume", "last"]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    assert!(files("checkpoints/step-00000020") == players && files("model") == model);
}

#[test]
fn schemas_say_what_names_do_not() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    shop(here);
    let said = stdout_of(here, &["inspect", "shop/"]);
    for part in [
        "several tables that refer to each other",
        "customers: 120 rows of 3 columns, key id",
        "items.product_id: foreign key; refers to products",
        "task",
        "relations",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // A schema that a person can change: here the relation to products is taken out.
    stdout_of(here, &["inspect", "shop/", "--write-schema"]);
    let path = here.join("shop.schema.toml");
    let schema = fs::read_to_string(&path).unwrap();
    let relation = "[[foreign_keys]]\ntable = \"items\"\ncolumn = \"product_id\"\nrefers_to = \"products\"\n";
    let column = "name = \"product_id\"\nkind = \"identifier\"";
    assert!(schema.contains(relation) && schema.contains(column), "{schema}");
    fs::write(&path, schema.replace(relation, "").replace(column, "name = \"product_id\"\nkind = \"integer\"")).unwrap();
    let said = stdout_of(here, &["train", "shop", "--schema", "shop.schema.toml", "--dry-run"]);
    assert!(said.contains("items.order_id refers to orders") && !said.contains("items.product_id refers to"), "{said}");
    // SDV's metadata, beside the tables or given.
    stdout_of(here, &["inspect", "shop", "--write-schema=sdv"]);
    let metadata: Value = serde_json::from_slice(&fs::read(here.join("shop.metadata.json")).unwrap()).unwrap();
    assert_eq!(metadata["relationships"].as_array().unwrap().len(), 3);
    assert!(stdout_of(here, &["train", "shop", "--schema", "shop.metadata.json", "--dry-run"]).contains("SDV's metadata"));
    fs::rename(here.join("shop.metadata.json"), here.join("shop/metadata.json")).unwrap();
    for data in ["shop/metadata.json", "shop"] {
        assert!(stdout_of(here, &["train", data, "--dry-run"]).contains("4 tables with 3 foreign keys"), "{data}");
    }
}

#[test]
fn mistakes_are_answered_with_the_way_out() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path();
    shop(here);
    let path = |name: &str| here.join("shop").join(name);
    let schema = |text: &str| fs::write(here.join("mine.toml"), text).unwrap();
    let of = |code: i32| failure_of(here, &["train", "shop", "--schema", "mine.toml", "--dry-run"], code);
    let tables = "[[tables]]\nname = \"customers\"\nkey = \"id\"\n[[tables]]\nname = \"orders\"\nkey = \"id\"\n";
    let key = |table: &str, column: &str, refers_to: &str| {
        format!("[[foreign_keys]]\ntable = \"{table}\"\ncolumn = \"{column}\"\nrefers_to = \"{refers_to}\"\n")
    };
    schema(&format!("{tables}{}", key("orders", "customer", "customers")));
    assert!(of(2).contains("did you mean \"customer_id\"?"));
    schema(&format!("{tables}{}{}", key("orders", "customer_id", "customers"), key("customers", "age", "orders")));
    assert!(of(2).contains("in a circle"));
    schema(&format!("{tables}{}", key("orders", "amount", "customers")));
    let said = of(1);
    assert!(said.contains("orders.csv:2") && said.contains("no value of \"amount\" is a key"), "{said}");
    schema(&format!(
        "{}{}",
        tables.replace("name = \"orders\"", "name = \"orders\"\nfile = \"oders.csv\""),
        key("orders", "customer_id", "customers")
    ));
    assert!(of(2).contains("did you mean \"orders.csv\"?"));
    schema(&tables.replace("key = \"id\"", "key = \"age\"").replace("name = \"orders\"\nkey = \"age\"", "name = \"orders\""));
    let said = of(1);
    assert!(said.contains("customers.csv:") && said.contains("stands there a second time"), "{said}");
    assert!(failure_of(here, &["evaluate", "shop", "--against", "shop", "--target", "age"], 2).contains("--target"));

    // A row that points nowhere is said, with its line, and counts as one without parent.
    let orders = fs::read_to_string(path("orders.csv")).unwrap();
    fs::write(path("orders.csv"), format!("{orders}9999,C0000,3.00,web\n")).unwrap();
    let said = stdout_of(here, &["inspect", "shop"]);
    let line = orders.lines().count() + 1;
    assert!(said.contains(&format!("orders.csv:{line}: 1 value of orders.customer_id is no key of customers")), "{said}");

    // Tables that have nothing to do with each other, and too small ones.
    fs::create_dir(here.join("loose")).unwrap();
    for name in ["a.csv", "b.csv"] {
        fs::write(
            here.join("loose").join(name),
            format!("x,y\n{}", (0..60).map(|i| format!("{},{}\n", i * 7 % 50, ["u", "v"][i % 2])).collect::<String>()),
        )
        .unwrap();
    }
    assert!(failure_of(here, &["train", "loose", "--dry-run"], 1).contains("--write-schema"));
    fs::write(here.join("loose/c.csv"), "x_id,z\n1,2\n2,3\n").unwrap();
    assert!(stdout_of(here, &["inspect", "loose"]).contains("c: 2 rows are too few to learn from"));
}
