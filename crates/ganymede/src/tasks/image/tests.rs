use super::*;

#[test]
fn penalties_are_refused_for_batch_normalised_discriminators() {
    let table: Table = toml::from_str("network.architecture = \"dcgan\"\ngame.r1 = 1.0").unwrap();
    let error = (ENTRY.resolve)(&[table]).unwrap_err().to_string();
    assert!(error.contains("network.architecture"), "{error}");
}
