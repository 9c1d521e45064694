//! Agreement with the reference implementations on given features. `bench/golden/make_metrics.py` says which, and writes the golden file.

use serde_json::Value;

use super::sliced::along;
use super::two_sample::cross_validated;
use super::*;

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn close(what: &str, ours: f64, reference: &Value) {
    let reference = reference.as_f64().unwrap();
    assert!((ours - reference).abs() <= 1e-6 * reference.abs().max(1e-3), "{what}: {ours} against {reference}");
}

#[test]
fn metrics_are_those_of_the_reference_implementations() {
    let golden: Value = serde_json::from_str(include_str!("../../tests/golden/metrics.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() >= 3);
    for case in cases {
        let dim = case["dim"].as_u64().unwrap() as usize;
        let features = |name: &str| Features::new(name, floats(&case[name]).into_iter().map(|v| v as f32).collect(), dim).unwrap();
        let (real, generated, held_out) = (features("real"), features("generated"), features("held_out"));

        close("frechet", frechet(&real, &generated).unwrap().distance, &case["frechet"]);
        close("kernel", kernel_distance(&real, &generated).unwrap().distance, &case["kernel"]);

        close("nearest", nearest_neighbour(&real, &generated).unwrap().share, &case["nearest"]);

        let found = neighbourhoods(&real, &generated, case["k"].as_u64().unwrap() as usize).unwrap();
        for (name, value) in
            [("precision", found.precision), ("recall", found.recall), ("density", found.density), ("coverage", found.coverage)]
        {
            close(name, value, &case["prdc"][name]);
        }

        let directions: Vec<Vec<f64>> = floats(&case["directions"]).chunks(dim).map(<[f64]>::to_vec).collect();
        close("sliced", along(&real, &generated, &directions).unwrap(), &case["sliced"]);

        let area = auc(&floats(&case["positives"]), &floats(&case["negatives"]));
        close("auc", area.value, &case["auc"]["value"]);
        close("auc error", area.standard_error, &case["auc"]["standard_error"]);

        let order = |of: &Features| (0..of.n()).collect::<Vec<usize>>();
        let told = cross_validated((&real, &order(&real)), (&generated, &order(&generated)), 5).unwrap();
        close("c2st", told.value, &case["c2st"]["value"]);
        close("c2st error", told.standard_error, &case["c2st"]["standard_error"]);

        let copied = memorisation(&real, Some(&held_out), &generated).unwrap();
        close("nearer", copied.nearer, &case["memorisation"]["nearer"]);
        close("z", copied.z, &case["memorisation"]["z"]);

        let counts = |name: &str| floats(&case[name]).into_iter().map(|v| v as u64).collect::<Vec<u64>>();
        let kinds = modes(&counts("real_counts"), &counts("generated_counts")).unwrap();
        assert_eq!(kinds.found as u64, case["modes"]["found"].as_u64().unwrap());
        close("divergence", kinds.divergence, &case["modes"]["divergence"]);
    }
}
