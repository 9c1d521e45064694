#!/usr/bin/env python3
"""Kills a training again and again, resumes it each time, and compares the end with that of an undisturbed run, byte for byte.

    cargo build --release && python3 bench/kill_drill.py [--kills 20] [--data avatars] [--program PATH] [-- more arguments of `train`]

The undisturbed run goes first and tells how long a training lasts; the kills (SIGKILL) fall at random moments so that about twenty fit. The drill
fails if any file of the last checkpoint or of the model differs, or if a resumed run does not end well.
"""

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DEFAULT_PROGRAM = Path(__file__).resolve().parents[1] / "target" / "release" / "ganymede"


def start(command):
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)


def finish(command):
    process = start(command)
    _, said = process.communicate()
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit code {process.returncode}\n{said}")


def only_run(folder):
    runs = [p.parent for p in folder.glob("*/run.toml")]
    return runs[0] if len(runs) == 1 else None


def fingerprints(run):
    """SHA-256 of what must not depend on the kills: the last checkpoint and the model's weights."""
    last = max((run / "checkpoints").glob("step-*"))
    files = [p for p in last.rglob("*") if p.is_file()] + sorted((run / "model").glob("*.safetensors"))
    return {str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(files)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--data", default="avatars")
    parser.add_argument("--moments", type=int, default=1, help="seed of the random moments")
    parser.add_argument("--program", type=Path, default=DEFAULT_PROGRAM)
    parser.add_argument("train", nargs="*", help="after --: further arguments of `ganymede train`, for example --set steps=600 --set checkpoint_every=20")
    a = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kill-drill-"))
    train = lambda out: [a.program, "train", a.data, "--out", folder / out, "--seed", "1", "--quiet", *a.train]

    began = time.monotonic()
    finish(train("undisturbed"))
    lasted = time.monotonic() - began
    expected = fingerprints(only_run(folder / "undisturbed"))

    moments = random.Random(a.moments)
    n_kills, n_early_ends = 0, 0
    while n_kills < a.kills:
        run = only_run(folder / "killed") if (folder / "killed").exists() else None
        process = start(train("killed") if run is None else [a.program, "train", "--resume", run, "--quiet"])
        try:
            _, said = process.communicate(timeout=moments.uniform(0.02, 2 * lasted / a.kills))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            n_kills += 1
            continue
        if process.returncode != 0:
            sys.exit(f"after {n_kills} kills: exit code {process.returncode}\n{said}")
        n_early_ends += 1
        if n_early_ends > 3:
            sys.exit(f"the run ends before {a.kills} kills fit: give it more steps")
    run = only_run(folder / "killed")
    finish([a.program, "train", "--resume", run, "--quiet"])
    found = fingerprints(run)
    different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    print(json.dumps({"kills": n_kills, "undisturbed_secs": round(lasted, 1), "files": len(expected), "different": different, "folder": str(folder)}))
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
