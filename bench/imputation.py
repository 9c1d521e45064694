"""Fills in one column of held-out rows at a time, and compares with the column's median or most frequent word, and with gradient boosting that learned from the real rows.

    pip install pandas scikit-learn
    python bench/imputation.py RUN TRAINING.csv HELD_OUT.csv [--rows 1000] [--draws 25]

Prints a line for each column: for words the share that is right, for numbers the mean absolute error; of one plausible value, of the likeliest of several draws, of the median or most frequent word of the
training rows, and of boosting.
"""
import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

PROGRAM = Path(__file__).resolve().parent.parent / "target/release/ganymede"


def boosted(training, rows, column):
    """What boosting says of a column that it is not shown."""
    features = [c for c in training if c != column]
    both = pd.concat([training[features], rows[features]])
    words = [not pd.api.types.is_numeric_dtype(both[c]) for c in features]
    for c, is_word in zip(features, words):
        if is_word:
            both[c] = both[c].astype("category").cat.codes
    learned, asked = both[: len(training)].to_numpy(float), both[len(training) :].to_numpy(float)
    kind = dict(categorical_features=np.array(words), random_state=0)
    if pd.api.types.is_numeric_dtype(training[column]):
        return HistGradientBoostingRegressor(loss="absolute_error", **kind).fit(learned, training[column]).predict(asked)
    return HistGradientBoostingClassifier(**kind).fit(learned, training[column]).predict(asked)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("training")
    parser.add_argument("held_out")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=25)
    args = parser.parse_args()
    training, rows = pd.read_csv(args.training), pd.read_csv(args.held_out)[: args.rows]
    print(f"{'column':20} {'one draw':>10} {'likeliest':>10} {'trivial':>10} {'boosting':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for column in rows:
            is_number = pd.api.types.is_numeric_dtype(rows[column])
            partial, full = Path(folder, "partial.csv"), Path(folder, "full.csv")
            rows.assign(**{column: None}).to_csv(partial, index=False)

            def filled(draws):
                command = [PROGRAM, "sample", args.run, "--complete", partial, "--draws", str(draws), "-o", full, "--force", "--quiet"]
                subprocess.run(command, check=True, capture_output=True)
                return pd.read_csv(full)[column]

            def worth(found):
                return np.abs(np.asarray(found, float) - rows[column]).mean() if is_number else (np.asarray(found) == rows[column]).mean()

            trivial = training[column].median() if is_number else training[column].mode()[0]
            found = [filled(1), filled(args.draws), [trivial] * len(rows), boosted(training, rows, column)]
            print(f"{column:20} " + " ".join(f"{worth(f):10.4g}" for f in found), flush=True)


if __name__ == "__main__":
    main()
