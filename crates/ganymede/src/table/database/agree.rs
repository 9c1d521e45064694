//! Whether the name of a column says that it holds keys of a table.

/// Words that call a column a key whatever table it is in.
const GENERIC: [&str; 16] =
    ["id", "key", "code", "no", "nr", "num", "number", "uuid", "guid", "pk", "fk", "index", "idx", "ref", "identifier", "sk"];
/// Words for rows of the same table.
const KIN: [&str; 13] = [
    "parent",
    "manager",
    "supervisor",
    "boss",
    "superior",
    "previous",
    "prev",
    "next",
    "predecessor",
    "successor",
    "referrer",
    "leader",
    "mentor",
];

/// The words of a name in lower case and in the singular: `OrderItems` and `order_items` are both `order`, `item`.
fn words(name: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut last = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() {
            last = ' ';
            continue;
        }
        let begins = !last.is_alphanumeric() || (last.is_lowercase() && c.is_uppercase()) || (last.is_alphabetic() && c.is_numeric());
        if begins {
            found.push(String::new());
        }
        if let Some(word) = found.last_mut() {
            word.extend(c.to_lowercase());
        }
        last = c;
    }
    // `CustomerID` and `custid` end in a key, too.
    let split = |word: String| match word.strip_suffix("id").filter(|stem| stem.len() > 2) {
        Some(stem) if !["val", "pa", "gr", "sol", "liqu", "ac", "rap", "hybr", "flu", "cov"].contains(&stem) => {
            vec![stem.to_owned(), "id".to_owned()]
        }
        _ => vec![word],
    };
    found.into_iter().flat_map(split).map(|word| singular(&word)).collect()
}

/// English words in the singular, roughly: enough for the same word to come out the same.
fn singular(word: &str) -> String {
    let ends = |end: &str| word.len() > end.len() + 1 && word.ends_with(end);
    if ends("ies") {
        format!("{}y", &word[..word.len() - 3])
    } else if ["sses", "xes", "ches", "shes", "zes"].iter().any(|end| ends(end)) {
        word[..word.len() - 2].to_owned()
    } else if ends("s") && !ends("ss") && !ends("us") && !ends("is") {
        word[..word.len() - 1].to_owned()
    } else {
        word.to_owned()
    }
}

fn is_generic(word: &str) -> bool {
    GENERIC.contains(&word)
}

/// Without the words at the end that call it a key.
fn stem(words: &[String]) -> &[String] {
    let n = words.iter().rev().take_while(|word| is_generic(word)).count();
    &words[..words.len() - n]
}

/// How many words at the end are the same.
fn common(a: &[String], b: &[String]) -> usize {
    a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

/// Whether a column is called as keys are: `id`, `customer_id`, or as its table.
pub(super) fn is_called_key(column: &str, table: &str) -> bool {
    let (own, table) = (words(column), words(table));
    stem(&own).len() < own.len() || own == table
}

/// How well the name of a column agrees with being the key of its table: `id` and `customer_id` of customers do best.
pub(super) fn key_rank(column: &str, table: &str) -> usize {
    let (own, table) = (words(column), words(table));
    let of_table = stem(&own);
    if of_table.is_empty() || of_table == table {
        2
    } else if common(of_table, &table) == of_table.len() {
        1
    } else {
        0
    }
}

/// How surely a column called `column` holds the key `key` of the table `table`, by name alone: nothing if the name does not say so.
///
/// `customer_id`, `customerId` and `customer` agree with the key `id` or `customer_id` of `customers`; `billing_address_id` with that of `addresses`; `id` with none, since every table may have one.
pub(super) fn agreement(column: &str, table: &str, key: &str) -> Option<usize> {
    let (own, table, key) = (words(column), words(table), words(key));
    let (meant, key_meant) = (stem(&own), stem(&key));
    // A key of a name of its own, `isbn` or `customer_id`, keeps it where it is referred to.
    if !key_meant.is_empty() && own == key {
        return Some(100 + 10 * key.len());
    }
    if meant.is_empty() {
        return None;
    }
    if !key_meant.is_empty() && own.ends_with(&key) {
        return Some(50 + 10 * key.len());
    }
    let shared = common(meant, &table);
    // A name that says nothing of keys must be that of the table.
    if shared == 0 || (meant.len() == own.len() && meant != table) {
        return None;
    }
    Some(10 * shared + 8 - (meant.len() - shared).min(4) - (table.len() - shared).min(4))
}

/// Whether a column is called as one that refers to other rows of its own table.
pub(super) fn names_kin(column: &str, key: &str) -> bool {
    let (own, key) = (words(column), words(key));
    let says_kin = own.iter().any(|word| KIN.contains(&word.as_str())) || own.starts_with(&["report".to_owned(), "to".to_owned()]);
    own != key && (says_kin || (!stem(&key).is_empty() && own.len() > key.len() && own.ends_with(&key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_into_words() {
        let of = |name: &str| words(name).join(" ");
        assert_eq!(
            [of("order_items"), of("OrderItemID"), of("customerId"), of("custid")],
            ["order item", "order item id", "customer id", "cust id"]
        );
        assert_eq!(
            [of("categories"), of("addresses"), of("boxes"), of("status"), of("address")],
            ["category", "address", "box", "status", "address"]
        );
        assert_eq!([of("paid"), of("valid"), of("id")], ["paid", "valid", "id"]);
    }

    #[test]
    fn names_agree_where_a_person_would_say_so() {
        for (column, table, key) in [
            ("customer_id", "customers", "id"),
            ("customerId", "Customers", "CustomerID"),
            ("customer_id", "customers", "customer_id"),
            ("customer", "customers", "id"),
            ("billing_address_id", "addresses", "id"),
            ("home_team_id", "teams", "team_id"),
            ("isbn", "books", "isbn"),
            ("item_id", "order_items", "id"),
            ("category_code", "categories", "code"),
            ("customer_key", "dim_customer", "customer_key"),
        ] {
            assert!(agreement(column, table, key).is_some(), "{column} of {table}.{key}");
        }
        for (column, table, key) in [
            ("id", "customers", "id"),
            ("age", "customers", "id"),
            ("order_id", "customers", "id"),
            ("quantity", "orders", "order_no"),
            ("customer_age", "customers", "id"),
        ] {
            assert_eq!(agreement(column, table, key), None, "{column} of {table}.{key}");
        }
        assert!(agreement("order_item_id", "order_items", "id") > agreement("order_item_id", "items", "id"));
        assert!(agreement("item_id", "items", "id") > agreement("item_id", "order_items", "id"));
    }

    #[test]
    fn keys_and_kin_are_called_so() {
        assert!(
            is_called_key("id", "x") && is_called_key("CustomerID", "x") && is_called_key("account_no", "x") && !is_called_key("age", "x")
        );
        assert!(key_rank("id", "customers") > key_rank("tax_no", "customers") && key_rank("customer_id", "customers") == 2);
        assert!(names_kin("manager_id", "id") && names_kin("parent_category_id", "category_id") && names_kin("reports_to", "id"));
        assert!(!names_kin("id", "id") && !names_kin("department_id", "id"));
    }
}
