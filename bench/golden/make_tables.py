"""Makes crates/ganymede/src/table/judge/golden/tables.json: small tables and what sdmetrics 0.32.0 says to them.

    pip install sdmetrics==0.32.0 pandas scikit-learn
    python bench/golden/make_tables.py crates/ganymede/src/table/judge/golden/tables.json
"""
import json
import math
import sys
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
from sdmetrics.reports.single_table import DiagnosticReport, QualityReport  # noqa: E402


class Rng:
    def __init__(self, seed):
        self.state = seed

    def u(self):
        self.state = (self.state * 1103515245 + 12345) % 2**31
        return self.state / 2**31

    def pick(self, words, tilt):
        return words[int(self.u() ** tilt * len(words))]


def mixed(seed, n, tilt, noise):
    """Two related numbers, an integer with spikes, two related words, a truth value; some of each missing."""
    r, rows = Rng(seed), []
    for i in range(n):
        x = math.sin(i * 0.7 + seed) * 3 + r.u() * noise
        y = 2 * x + r.u() * noise * 2
        k = int(r.u() ** tilt * 6) * 10
        a = r.pick(["red", "green", "blue", "black"], tilt)
        b = a + "ish" if r.u() < 0.7 else r.pick(["redish", "greenish", "white"], tilt)
        t = "yes" if y > 1 else "no"
        gap = lambda v, p: None if r.u() < p else v
        rows.append((gap(x, 0.05), gap(y, 0.1), k, gap(a, 0.08), b, gap(t, 0.03)))
    return pd.DataFrame(rows, columns=["x", "y", "k", "colour", "shade", "high"])


def case(name, real, synthetic, numbers):
    columns = {c: {"sdtype": "numerical" if c in numbers else "categorical"} for c in real.columns}
    q, d = QualityReport(), DiagnosticReport()
    q.generate(real, synthetic, {"columns": columns}, verbose=False)
    d.generate(real, synthetic, {"columns": columns}, verbose=False)
    clean = lambda v: None if v is None or pd.isna(v) else (float(v) if not isinstance(v, (bool, np.bool_)) else bool(v))
    values = lambda s, number: [None if pd.isna(v) else (float(v) if number else str(v)) for v in s]
    shapes, pairs = q.get_details("Column Shapes"), q.get_details("Column Pair Trends")
    validity = d.get_details("Data Validity")
    props = dict(zip(q.get_properties()["Property"], q.get_properties()["Score"]))
    dprops = dict(zip(d.get_properties()["Property"], d.get_properties()["Score"]))
    return {
        "name": name,
        "columns": [
            {"name": c, "is_number": c in numbers, "real": values(real[c], c in numbers), "synthetic": values(synthetic[c], c in numbers)}
            for c in real.columns
        ],
        "overall": clean(q.get_score()),
        "shapes": clean(props["Column Shapes"]),
        "trends": clean(props["Column Pair Trends"]),
        "validity": clean(dprops["Data Validity"]),
        "structure": clean(dprops["Data Structure"]),
        "columns_shapes": [{"column": r["Column"], "score": clean(r["Score"])} for _, r in shapes.iterrows()],
        "columns_validity": [{"column": r["Column"], "score": clean(r["Score"])} for _, r in validity.iterrows()],
        "pairs": [
            {
                "first": r["Column 1"], "second": r["Column 2"], "score": clean(r["Score"]),
                "real_correlation": clean(r["Real Correlation"]), "real_association": clean(r["Real Association"]),
                "counts": bool(clean(r["Meets Threshold?"]) or False),
            }
            for _, r in pairs.iterrows()
        ],
    }


def main(path):
    numbers = ["x", "y", "k"]
    real, near, far = mixed(7, 80, 1.5, 1.0), mixed(1234, 60, 1.8, 1.5), mixed(99, 45, 0.6, 9.0)
    far["colour"] = far["colour"].map(lambda v: "violet" if v == "blue" else v)
    flat = near.copy()
    flat["y"] = 3.0
    flat["high"] = "no"
    empty = real.copy()
    empty["y"] = np.nan
    empty["colour"] = [None] * len(empty)
    whole = real.dropna().reset_index(drop=True)
    shuffled = pd.DataFrame({c: real[c].sample(frac=1, random_state=i).to_numpy() for i, c in enumerate(real.columns)})
    cases = [
        case("near", real, near, numbers),
        case("far", real, far, numbers),
        case("constant synthetic columns", real, flat, numbers),
        case("empty synthetic columns", real, empty, numbers),
        case("missing values where none were", whole, near, numbers),
        case("shuffled", real, shuffled, numbers),
        case("numbers alone", real[numbers], near[numbers], numbers),
        case("words alone", real[["colour", "shade", "high"]], near[["colour", "shade", "high"]], []),
    ]
    for c in cases:
        print(c["name"], c["overall"], c["shapes"], c["trends"], c["validity"], c["structure"])
    with open(path, "w") as out:
        json.dump(cases, out)
        out.write("\n")


main(sys.argv[1])
