"""Trains on a table, draws as many rows, and judges them from outside, with SDMetrics and scikit-learn.

    pip install sdmetrics==0.32.0 pandas scikit-learn
    cargo build --release --workspace
    python bench/tables.py TABLE.csv.gz TARGET --rows 26049 --held-out 13000 --seeds 0 1 2 [--minutes 5] [--sweeps 1] [--set KEY=VALUE ...] [--peers CTGAN:10 TVAE:30]

With `pip install ctgan==0.12.1` and --peers NAME:EPOCHS also trains those on the same rows, one after the other, with whole numbers rounded and numbers clipped to their range as SDV does around them.

Prints a line for each seed: seconds of training, SDMetrics' overall score, column shapes and pair trends, the AUC of a two-sample test (5-fold gradient boosting, against held-out rows), and the AUC on held-out
rows of gradient boosting that learned from the samples. The published bars are for adult (census income).
"""
import argparse
import contextlib
import io
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sdmetrics.reports.single_table import QualityReport
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

warnings.filterwarnings("ignore")
PROGRAM = Path(__file__).resolve().parent.parent / "target/release/ganymede"


def codes(tables):
    """The tables as numbers, words as categories with the same codes everywhere."""
    whole = pd.concat(tables, keys=range(len(tables)))
    words = [not pd.api.types.is_numeric_dtype(whole[c]) for c in whole]
    for column, is_word in zip(whole, words):
        if is_word:
            whole[column] = whole[column].astype("category").cat.codes
    return [whole.loc[i].to_numpy(float) for i in range(len(tables))], words


def boosting(words):
    return HistGradientBoostingClassifier(categorical_features=np.array(words), random_state=0)


def two_sample(real, synthetic):
    n = min(len(real), len(synthetic))
    (a, b), words = codes([real.sample(n, random_state=0), synthetic.sample(n, random_state=0)])
    x, y = np.concatenate([a, b]), np.repeat([0, 1], n)
    return roc_auc_score(y, cross_val_predict(boosting(words), x, y, cv=5, method="predict_proba")[:, 1])


def useful(synthetic, held_out, target):
    features = [c for c in held_out if c != target]
    (a, b), words = codes([synthetic[features], held_out[features]])
    rare = held_out[target].value_counts().index[-1]
    model = boosting(words).fit(a, synthetic[target] == rare)
    return roc_auc_score(held_out[target] == rare, model.predict_proba(b)[:, 1])


def quality(real, synthetic):
    kind = lambda c: {"sdtype": "numerical" if pd.api.types.is_numeric_dtype(real[c]) else "categorical"}
    report = QualityReport()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        report.generate(real, synthetic, {"columns": {c: kind(c) for c in real}}, verbose=False)
    return [report.get_score(), *report.get_properties()["Score"]]


def peer(name, epochs, training, seed):
    """Samples of CTGAN or TVAE, and the seconds that it took to learn them."""
    import ctgan
    import torch

    torch.manual_seed(seed)
    np.random.seed(seed)
    model = getattr(ctgan, name)(epochs=epochs, enable_gpu=False)
    begin = time.time()
    model.fit(training, [c for c in training if not pd.api.types.is_numeric_dtype(training[c])])
    seconds = time.time() - begin
    samples = model.sample(len(training))
    for column in training:
        if pd.api.types.is_numeric_dtype(training[column]):
            samples[column] = samples[column].astype(float).clip(training[column].min(), training[column].max())
            if pd.api.types.is_integer_dtype(training[column]):
                samples[column] = samples[column].round().astype(int)
    return samples, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("target")
    parser.add_argument("--rows", type=int, default=26049)
    parser.add_argument("--held-out", type=int, default=13000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--minutes", type=int, help="train for so long [default: until it settles]")
    parser.add_argument("--sweeps", type=int, default=0, help="judge rows that are swept so often as well")
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--peers", nargs="*", default=[], metavar="NAME:EPOCHS")
    args = parser.parse_args()
    whole = pd.read_csv(args.table)
    training, held_out = whole[: args.rows], whole[args.rows : args.rows + args.held_out]
    print("                 seed  seconds  overall  shapes   pairs    two-sample  trained on samples")

    def told(name, seed, seconds, samples):
        scores = [*quality(training, samples), two_sample(held_out, samples), useful(samples, held_out, args.target)]
        print(f"{name:16} {seed:4}  {seconds:7.0f}  " + "  ".join(f"{s:7.4f}" for s in scores), flush=True)

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        training.to_csv(folder / "training.csv", index=False)
        for seed in args.seeds:
            sets = [part for assignment in args.set for part in ("--set", assignment)]
            begin = time.time()
            run = [PROGRAM, "train", "training.csv", "--seed", str(seed), "--fresh", "--quiet", *(["--minutes", str(args.minutes)] if args.minutes else []), *sets]
            path = subprocess.run(run, cwd=folder, check=True, capture_output=True, text=True).stdout.split()[-1]
            seconds = time.time() - begin
            for sweeps in dict.fromkeys([0, args.sweeps]):
                sample = [PROGRAM, "sample", path, "-n", str(len(training)), "-o", "samples.csv", "--force", *(["--sweeps", str(sweeps)] if sweeps else [])]
                subprocess.run(sample, cwd=folder, check=True, capture_output=True)
                told(f"ganymede, {sweeps} swept" if sweeps else "ganymede", seed, seconds, pd.read_csv(folder / "samples.csv"))
            for name, epochs in (text.split(":") for text in args.peers):
                samples, seconds = peer(name, int(epochs), training, seed)
                told(f"{name}, {epochs} epochs", seed, seconds, samples)
    print(f"{'real':16}                " + "  ".join(f"{s:7.4f}" for s in [*quality(training, held_out), two_sample(held_out, training), useful(training, held_out, args.target)]))


if __name__ == "__main__":
    main()
