"""Asks a model of a table for rows that satisfy conditions, and holds the other columns against the real rows that satisfy them.

    python bench/conditions.py RUN REAL.csv 'age in 30..40' 'sex = Female' 'sex = Female; salary = >50K' ... [-n 5000]

Conditions are those of `ganymede sample --where`, several of them separated by `;`. For each: how many real rows satisfy it, the share of samples that do, and the total variation of the other columns, the mean over columns:
words by their shares, numbers by the shares of ten classes with as many real rows each. The last column is what two random halves of those real rows differ by: chance.
"""
import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

PROGRAM = Path(__file__).resolve().parent.parent / "target/release/ganymede"


def satisfied(table, condition):
    for sign in (" in ", ">=", "<=", "!=", "=", ">", "<"):
        if sign in condition:
            name, value = (part.strip() for part in condition.split(sign, 1))
            break
    column = table[name]
    if sign == " in " and ".." in value:
        low, high = map(float, value.split(".."))
        return (column >= low) & (column <= high), name
    if sign == " in ":
        return column.astype(str).isin([word.strip() for word in value.strip("{}").split(",")]), name
    if pd.api.types.is_numeric_dtype(column):
        value = float(value)
    compare = {"=": column.eq, "!=": column.ne, ">": column.gt, "<": column.lt, ">=": column.ge, "<=": column.le}
    return compare[sign](value), name


def variation(a, b, edges):
    """Total variation of two columns."""
    if edges is not None:
        a, b = np.searchsorted(edges, a), np.searchsorted(edges, b)
        n = len(edges) + 1
        return 0.5 * np.abs(np.bincount(a, minlength=n) / len(a) - np.bincount(b, minlength=n) / len(b)).sum()
    shares = pd.concat([a.value_counts(normalize=True), b.value_counts(normalize=True)], axis=1).fillna(0)
    return 0.5 * np.abs(shares.iloc[:, 0] - shares.iloc[:, 1]).sum()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("real")
    parser.add_argument("conditions", nargs="+")
    parser.add_argument("-n", type=int, default=5000)
    args = parser.parse_args()
    real = pd.read_csv(args.real, skipinitialspace=True)
    print(f"{'':44}  real rows  satisfied  variation  (chance)")
    for text in args.conditions:
        conditions = [c.strip() for c in text.split(";")]
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "samples.csv"
            wished = [part for c in conditions for part in ("--where", c)]
            subprocess.run([PROGRAM, "sample", args.run, "-n", str(args.n), *wished, "-o", out], check=True, capture_output=True)
            samples = pd.read_csv(out, skipinitialspace=True)
        asked, own, there = set(), np.ones(len(samples), bool), np.ones(len(real), bool)
        for condition in conditions:
            holds, name = satisfied(samples, condition)
            own &= holds.to_numpy()
            there &= satisfied(real, condition)[0].to_numpy()
            asked.add(name)
        rows = real[there].sample(frac=1, random_state=0)
        half = len(rows) // 2
        others = [c for c in real if c not in asked]
        edges = {c: np.unique(np.quantile(rows[c], np.linspace(0.1, 0.9, 9))) if pd.api.types.is_numeric_dtype(rows[c]) else None for c in others}
        mean = lambda a, b: np.mean([variation(a[c], b[c], edges[c]) for c in others])
        # Halves differ by more than the whole would from endless rows.
        chance = mean(rows[:half], rows[half:]) / 2
        print(f"{text:44}  {len(rows):9}  {own.mean():9.3f}  {mean(samples, rows):9.3f}  ({chance:.3f})", flush=True)


if __name__ == "__main__":
    main()
