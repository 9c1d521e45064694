#!/usr/bin/env python3
"""How quickly the program answers: `--help`, and a cold `sample -n 64` of a finished run. Medians and worst of 20.

    cargo build --release && python3 bench/program.py RUN [--program PATH]
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

DEFAULT_PROGRAM = Path(__file__).resolve().parents[1] / "target" / "release" / "ganymede"


def milliseconds(command, n):
    times = []
    for _ in range(n):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        times.append((time.perf_counter() - start) * 1e3)
    return {"median_ms": round(statistics.median(times), 1), "worst_ms": round(max(times), 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--program", type=Path, default=DEFAULT_PROGRAM)
    parser.add_argument("-n", type=int, default=20, help="repetitions")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sample = [a.program, "sample", a.run, "-n", "64", "-o", Path(folder) / "grid.png"]
        result = {
            "help": milliseconds([a.program, "--help"], a.n),
            "sample_64": milliseconds(sample, a.n),
            "program_mib": round(a.program.stat().st_size / 2**20, 1),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
