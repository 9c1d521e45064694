#!/usr/bin/env python3
"""The same networks, batches and optimizers here and in PyTorch, in turn, as a table of medians and ratios.

    cargo build --release && python3 bench/compare.py [--rounds 3] [--games ring,dcgan32] [--threads 2] [--program PATH]

Where PyTorch cannot be imported it is installed into target/bench-venv first. Each round runs every form of every game once, one after the other, so that a
slow minute of a shared machine meets all of them. A step is one discriminator update and one generator update, each on its own batch, and the moving average.
PyTorch runs in its default form and, for pictures, with `channels_last`; the ratio is to the faster one. Prints Markdown and, with --json, the single figures.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# name -> (arguments of `ganymede train`, steps, arguments of torch_peers.py, whether it has another memory layout)
GAMES = {
    "ring": (["ring"], 400, ["points", "--latent", "2", "--layers", "5", "--batch", "256"], False),
    "ring-vanilla": (["ring", "--preset", "vanilla"], 1200, ["points", "--gamma", "0", "--latent", "2", "--batch", "256"], False),
    "dcgan32": (
        ["avatars", "--preset", "dcgan", "--set", "data.height=32", "--set", "data.width=32", "--set", "batch=64"],
        30,
        ["dcgan", "--widths", "256,128,64", "--batch", "64"],
        True,
    ),
    "avatars": (["avatars"], 40, ["r3gan", "--widths", "96,96,48", "--filter", "box", "--batch", "32"], True),
}
FEW = ["--set", "sheet=4", "--set", "log_every=1"]


def python_with_torch():
    """An interpreter that has PyTorch: this one, or one of a virtual environment made for it."""
    if subprocess.run([sys.executable, "-c", "import torch, numpy, PIL"], capture_output=True).returncode == 0:
        return sys.executable
    folder = ROOT / "target" / "bench-venv"
    python = folder / "bin" / "python"
    if not python.exists():
        print("installing PyTorch into target/bench-venv", file=sys.stderr)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "torch", "numpy", "pillow"], check=True)
    return str(python)


def ours(program, arguments, steps, threads):
    """Median samples a second of the last half of the steps, and peak memory in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "train", *arguments, *FEW, "--steps", str(steps), "--quiet", "--fresh", "--device", "cpu", "--out", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env={**os.environ, "RAYON_NUM_THREADS": str(threads)})
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"failed: {command}")
        (log,) = Path(folder).glob("*/log.jsonl")
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        rates = [row["samples_per_sec"] for row in rows if row.get("samples_per_sec")]
        return statistics.median(rates[len(rates) // 2 :]), usage.ru_maxrss / 1024


def theirs(python, arguments, threads):
    """Median samples a second and peak memory in MiB."""
    peers = Path(__file__).with_name("torch_peers.py")
    result = subprocess.run([python, peers, *arguments, "--threads", str(threads)], check=True, capture_output=True, text=True)
    figures = json.loads(result.stdout)
    return figures["samples_per_sec"], figures["peak_rss_mib"]


def drawing(python, program, rounds, threads):
    """From nothing to a sheet of pictures on disk: a process starts, loads the generator of the avatars and draws."""
    env = {**os.environ, "RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    print("\n| from a cold start to a sheet on disk | ours, s | PyTorch, s | ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        train = [program, "train", "avatars", *FEW, "--steps", "2", "--quiet", "--fresh", "--device", "cpu", "--out", folder]
        subprocess.run(train, check=True, stdout=subprocess.DEVNULL)
        (run,) = Path(folder).glob("*/model")
        sheet, weights = f"{folder}/sheet.png", f"{folder}/weights.pt"
        peer = [python, Path(__file__).with_name("torch_peers.py"), *GAMES["avatars"][2], "--weights", weights, "--output", sheet]
        subprocess.run(peer, check=True)
        for count in [64, 10_000]:
            commands = [[program, "sample", run, "-n", str(count), "--device", "cpu", "-o", sheet], [*peer, "--count", str(count)]]
            times = [[], []]
            for _ in range(rounds):
                for command, seconds in zip(commands, times):
                    start = time.perf_counter()
                    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=env)
                    seconds.append(time.perf_counter() - start)
            ours, theirs = map(statistics.median, times)
            print(f"| {count} pictures | {ours:.2f} | {theirs:.2f} | {theirs / ours:.1f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--games", default=",".join(GAMES))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--program", type=Path, default=ROOT / "target" / "release" / "ganymede")
    parser.add_argument("--no-drawing", action="store_true", help="leave out the cold starts that draw 64 and 10,000 pictures")
    parser.add_argument("--json", action="store_true")
    a = parser.parse_args()
    python = python_with_torch()
    figures = {}
    for _ in range(a.rounds):
        for name in a.games.split(","):
            arguments, steps, peer, has_layouts = GAMES[name]
            runs = figures.setdefault(name, {})
            runs.setdefault("ours", []).append(ours(a.program, arguments, steps, a.threads))
            runs.setdefault("default", []).append(theirs(python, peer, a.threads))
            if has_layouts:
                runs.setdefault("channels_last", []).append(theirs(python, [*peer, "--channels-last"], a.threads))
    print("| game | ours, samples/s | PyTorch default | PyTorch channels_last | ratio to default | ratio to the faster | peak memory, MiB: ours, PyTorch |")
    print("|---|---|---|---|---|---|---|")
    for name, runs in figures.items():
        rate = {form: statistics.median(r for r, _ in pairs) for form, pairs in runs.items()}
        memory = {form: statistics.median(m for _, m in pairs) for form, pairs in runs.items()}
        best = max(rate["default"], rate.get("channels_last", 0))
        other = f"{rate['channels_last']:.0f}" if "channels_last" in rate else ""
        print(
            f"| {name} | {rate['ours']:.0f} | {rate['default']:.0f} | {other} | {rate['ours'] / rate['default']:.2f} | {rate['ours'] / best:.2f} | "
            f"{memory['ours']:.0f}, {memory['default']:.0f} |"
        )
    if not a.no_drawing:
        drawing(python, a.program, a.rounds, a.threads)
    if a.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
