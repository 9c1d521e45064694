#!/usr/bin/env python3
"""The same networks, batches and optimizers here and in PyTorch, in turn, as a table of medians and ratios.

    cargo build --release --workspace --examples --bins && python3 bench/compare.py [--rounds 3] [--games ring,dcgan32] [--threads 2]

Where PyTorch cannot be imported it is installed into target/bench-venv first. Each round runs every form of every game once, one after the other, so that a
slow minute of a shared machine meets all of them. A step is one discriminator update and one generator update, each on its own batch, and the moving average.
PyTorch runs in its default form, for pictures also with `channels_last`, and through `torch.compile` where that knows the game (it cannot differentiate twice) and a
C++ compiler is there. No form computes gradients that nobody uses. Prints Markdown and, with --json, the single figures.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DCGAN = ["avatars", "--preset", "dcgan", "--set", "batch=64"]
# name -> (arguments of `ganymede train` and steps, or of the example table_step; arguments of torch_peers.py; its other forms)
GAMES = {
    "ring": ((["ring"], 400), ["points", "--latent", "2", "--layers", "5", "--batch", "256"], []),
    "ring-vanilla": ((["ring", "--preset", "vanilla"], 1200), ["points", "--gamma", "0", "--latent", "2", "--batch", "256"], ["compiled"]),
    "ctgan": (["0"], ["table"], ["compiled"]),
    "ctgan-penalty": (["10"], ["table", "--penalty", "10"], []),
    "dcgan32": (
        ([*DCGAN, "--set", "data.height=32", "--set", "data.width=32"], 30),
        ["dcgan", "--widths", "256,128,64", "--batch", "64"],
        ["channels_last", "compiled"],
    ),
    "dcgan64": (
        ([*DCGAN, "--set", "data.height=64", "--set", "data.width=64", "--set", "network.width=512"], 10),
        ["dcgan", "--widths", "512,256,128,64", "--batch", "64", "--steps", "8", "--warmup", "2"],
        ["channels_last", "compiled"],
    ),
    "avatars": ((["avatars"], 40), ["r3gan", "--widths", "96,96,48", "--filter", "box", "--batch", "32"], ["channels_last"]),
}
FORMS = {"default": [], "channels_last": ["--channels-last"], "compiled": ["--compile"]}
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


def measured(command, threads):
    """Runs a command that prints nothing that matters or figures as JSON: those, and its peak memory in MiB."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env={**os.environ, "RAYON_NUM_THREADS": str(threads)})
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {command}")
    return printed, usage.ru_maxrss / 1024


def ours(program, game, threads):
    """Median samples a second of the last half of the steps, and peak memory in MiB."""
    if isinstance(game, list):
        printed, memory = measured([program.parent / "examples" / "table_step", *game], threads)
        return json.loads(printed)["samples_per_sec"], memory
    arguments, steps = game
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "train", *arguments, *FEW, "--steps", str(steps), "--quiet", "--fresh", "--device", "cpu", "--out", folder]
        _, memory = measured(command, threads)
        (log,) = Path(folder).glob("*/log.jsonl")
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        rates = [row["samples_per_sec"] for row in rows if row.get("samples_per_sec")]
        return statistics.median(rates[len(rates) // 2 :]), memory


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
        peer = [python, Path(__file__).with_name("torch_peers.py"), *GAMES["avatars"][1], "--weights", weights, "--output", sheet]
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
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile, which takes half a minute each time")
    parser.add_argument("--json", action="store_true")
    a = parser.parse_args()
    needed = [a.program, *([a.program.parent / "examples" / "table_step"] if "ctgan" in a.games else [])]
    if missing := [str(path) for path in needed if not path.exists()]:
        sys.exit(f"not there: {', '.join(missing)}; first run `cargo build --release --workspace --examples --bins`")
    if unknown := [name for name in a.games.split(",") if name not in GAMES]:
        sys.exit(f"no such game: {', '.join(unknown)}; there are {', '.join(GAMES)}")
    python = python_with_torch()
    has_compiler = any(map(shutil.which, ["c++", "g++", "clang++"]))
    figures = {}
    for _ in range(a.rounds):
        for name in a.games.split(","):
            game, peer, others = GAMES[name]
            runs = figures.setdefault(name, {})
            runs.setdefault("ours", []).append(ours(a.program, game, a.threads))
            for form in ["default", *others]:
                if form == "compiled" and (a.no_compile or not has_compiler):
                    continue
                # For pictures the compiled form is that with the other layout.
                arguments = FORMS[form] + (FORMS["channels_last"] if form == "compiled" and "channels_last" in others else [])
                runs.setdefault(form, []).append(theirs(python, [*peer, *arguments], a.threads))
    print("| game | ours, samples/s | PyTorch default | channels_last | compiled | ratio to default | ratio to the fastest | peak memory, MiB: ours, PyTorch |")
    print("|---|---|---|---|---|---|---|---|")
    for name, runs in figures.items():
        rate = {form: statistics.median(r for r, _ in pairs) for form, pairs in runs.items()}
        memory = {form: statistics.median(m for _, m in pairs) for form, pairs in runs.items()}
        mine = rate.pop("ours")
        peers = " | ".join(f"{rate[form]:.0f}" if form in rate else "" for form in FORMS)
        print(
            f"| {name} | {mine:.0f} | {peers} | {mine / rate['default']:.2f} | {mine / max(rate.values()):.2f} | "
            f"{memory['ours']:.0f}, {memory['default']:.0f} |"
        )
    if not a.no_drawing:
        drawing(python, a.program, a.rounds, a.threads)
    if a.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
