#!/usr/bin/env python3
"""What a run would have reached had it not stopped by itself: avatars and digits, several seeds.

    cargo build --release --workspace --examples --bins && python3 bench/autostop.py [--seeds 5] [--jobs 2]

trains each with default settings and `--until never`, one thread each, stops it after three times the planned steps, and lets the example `replay` say when the rule would have stopped it and
what the rest of the steps brought. Runs stay in --out and are not trained again.
"""

import argparse
import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST = {"avatars": 7800, "digits": 6000}


def last_step(run):
    try:
        return max(json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()[-3:])
    except (OSError, ValueError, KeyError):
        return 0


def train(args, data, seed):
    out = args.out / f"{data}-{seed}"
    runs = sorted(out.glob("0*"))
    if not (runs and last_step(runs[0]) >= MOST[data]):
        out.mkdir(parents=True, exist_ok=True)
        words = ["train", "--resume", runs[0]] if runs else ["train", data, "--until", "never", "--on-trouble", "report", "--seed", seed]
        environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen([args.program, *map(str, words), "--out", out], env=environment, **quiet)
        while process.poll() is None:
            time.sleep(2)
            runs = sorted(out.glob("0*"))
            if runs and last_step(runs[0]) >= MOST[data]:
                process.send_signal(signal.SIGINT)
                process.wait()
    return sorted(out.glob("0*"))[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--program", default=str(ROOT / "target/release/ganymede"))
    parser.add_argument("--replay", default=str(ROOT / "target/release/examples/replay"))
    parser.add_argument("--out", type=Path, default=ROOT / "target/autostop")
    args = parser.parse_args()
    every = [(data, seed) for seed in range(args.seeds) for data in MOST]
    with ThreadPoolExecutor(args.jobs) as pool:
        runs = list(pool.map(lambda run: train(args, *run), every))
    subprocess.run([args.replay, *map(str, runs)], check=True)


if __name__ == "__main__":
    main()
