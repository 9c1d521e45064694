#!/usr/bin/env python3
"""The first run of a new user, measured: wall time, peak memory, and how many of 1,000 samples are the same picture.

    pip install pillow
    cargo build --release && python3 bench/first_run.py [--out DIR] [--program PATH] [-- more arguments of `train`]

Prints one JSON object. Look at the last grid in the run's `samples/` yourself: no number says whether faces are clean.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from PIL import Image

DEFAULT_PROGRAM = Path(__file__).resolve().parents[1] / "target" / "release" / "ganymede"


def run_measured(command):
    """Wall seconds and peak memory in MiB of a command that must succeed."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{' '.join(map(str, command))} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def only_run(folder):
    """The one run directory in `folder`."""
    runs = [p.parent for p in folder.glob("*/run.toml")]
    if len(runs) != 1:
        sys.exit(f"{folder}: {len(runs)} runs instead of 1")
    return runs[0]


def identical(folder):
    """How many pictures there are, and how many of them have the pixels of another."""
    pixels = Counter()
    for file in folder.glob("*.png"):
        with Image.open(file) as picture:
            pixels[hashlib.sha256(f"{picture.mode}{picture.size}".encode() + picture.tobytes()).digest()] += 1
    return sum(pixels.values()), sum(n for n in pixels.values() if n > 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=DEFAULT_PROGRAM)
    parser.add_argument("--out", type=Path, help="where the run goes; a temporary folder if left out")
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("train", nargs="*", help="after --: further arguments of `ganymede train`")
    a = parser.parse_args()
    out = a.out or Path(tempfile.mkdtemp(prefix="first-run-"))
    seconds, peak = run_measured([a.program, "train", "--out", out, *a.train])
    run = only_run(out)
    samples = Path(tempfile.mkdtemp(prefix="samples-"))
    sample_seconds, _ = run_measured([a.program, "sample", run, "-n", str(a.n), "-o", f"{samples}/"])
    n_pictures, n_identical = identical(samples)
    result = {
        "train_secs": round(seconds, 1),
        "train_peak_mib": round(peak),
        "sample_secs": round(sample_seconds, 2),
        "samples": n_pictures,
        "identical": n_identical,
        "run": str(run),
    }
    print(json.dumps(result))
    if n_pictures != a.n:
        sys.exit(f"{samples}: {n_pictures} pictures instead of {a.n}")


if __name__ == "__main__":
    main()
