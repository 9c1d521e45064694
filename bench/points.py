#!/usr/bin/env python3
"""How many modes of `ring` or `grid` a training finds, over several seeds, judged from the samples it writes.

    cargo build --release && python3 bench/points.py ring [--seeds 1-10] [--program PATH] [-- more arguments of `train`]

Data and measure are those of VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018): 2,500 samples; a sample is good within 3 standard
deviations of the nearest mode; a mode is found if a good sample is nearest to it. Prints one JSON object per seed and one for all.
"""

import argparse
import csv
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DEFAULT_PROGRAM = Path(__file__).resolve().parents[1] / "target" / "release" / "ganymede"
# name -> (modes, standard deviation, share of good samples that counts as reached)
DATA = {
    "ring": ([(math.cos(i * math.pi / 4), math.sin(i * math.pi / 4)) for i in range(8)], 0.01, 0.95),
    "grid": ([(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)], 0.05, 0.90),
}


def judge(rows, modes, deviation):
    """Modes found and share of good samples."""
    found, n_good = set(), 0
    for point in rows:
        distance, mode = min((math.dist(point, m), i) for i, m in enumerate(modes))
        if distance <= 3 * deviation:
            found.add(mode)
            n_good += 1
    return len(found), n_good / len(rows)


def read_points(file):
    """Rows of two numbers, with or without a heading."""
    with open(file, newline="") as lines:
        rows = list(csv.reader(lines))
    try:
        [float(cell) for cell in rows[0]]
    except ValueError:
        rows = rows[1:]
    return [tuple(float(cell) for cell in row) for row in rows]


def one_seed(a, seed):
    modes, deviation, _ = DATA[a.data]
    folder = Path(tempfile.mkdtemp(prefix=f"{a.data}-{seed}-"))
    start = time.perf_counter()
    subprocess.run(
        [a.program, "train", a.data, "--seed", str(seed), "--out", folder, "--quiet", *a.train], check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    seconds = time.perf_counter() - start
    (run,) = [p.parent for p in folder.glob("*/run.toml")]
    samples = folder / "samples.csv"
    subprocess.run([a.program, "sample", run, "-n", str(a.n), "--seed", "1", "-o", samples], check=True, stdout=subprocess.DEVNULL)
    rows = read_points(samples)
    if len(rows) != a.n:
        sys.exit(f"{samples}: {len(rows)} samples instead of {a.n}")
    n_found, share = judge(rows, modes, deviation)
    return {"seed": seed, "modes": n_found, "of": len(modes), "good": round(share, 4), "train_secs": round(seconds, 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=sorted(DATA))
    parser.add_argument("--seeds", default="1-10", help="first-last")
    parser.add_argument("--program", type=Path, default=DEFAULT_PROGRAM)
    parser.add_argument("-n", type=int, default=2500)
    # argparse gives options after -- to nobody once a positional argument came before them.
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    own, further = sys.argv[1:cut], sys.argv[cut + 1 :]
    a = parser.parse_args(own)
    a.train = further
    first, last = map(int, a.seeds.split("-"))
    results = []
    for seed in range(first, last + 1):
        results.append(one_seed(a, seed))
        print(json.dumps(results[-1]), flush=True)
    bar = DATA[a.data][2]
    reached = [r for r in results if r["modes"] == r["of"] and r["good"] >= bar]
    summary = {
        "data": a.data,
        "seeds": len(results),
        "reached": len(reached),
        "bar": bar,
        "mean_modes": round(sum(r["modes"] for r in results) / len(results), 2),
        "mean_good": round(sum(r["good"] for r in results) / len(results), 4),
        "longest_train_secs": max(r["train_secs"] for r in results),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
