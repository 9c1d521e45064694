#!/usr/bin/env python3
"""Health detectors on healthy and on sabotaged runs: hits, false alarms, and what remedies save.

    python3 bench/health.py healthy   [--seeds 10] [--jobs 2]     # false alarms
    python3 bench/health.py sabotaged [--seeds 2]  [--jobs 2]     # hits: each run stops at its first trouble
    python3 bench/health.py remedied  [--seeds 2]  [--jobs 2]     # what remedies save

trains short runs of the avatars, the digits and the ring (480, 360 and 4,000 steps, schedules fitted to them) with one thread each, and prints a row for each. Runs stay in --out and
are not trained again.

Sabotage: learning rates fifty times as high; the discriminator's ten times as high; latents of one number; the generator's weights times 10,000 in the middle of the run; digits whose
classes all hold the same digit; the vanilla game on ring and grid, which collapses there (Lin et al. 2018).
"""

import argparse
import gzip
import hashlib
import json
import os
import struct
import subprocess
import zlib
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OFTEN = {"avatars": (60, 5), "digits": (60, 5), "ring": (400, 20), "grid": (400, 20)}
STEPS = {"avatars": 480, "digits": 360, "ring": 4000, "grid": 4000}
RATE = {"avatars": 1e-3, "digits": 1e-3, "ring": 2e-3}


def settings(data):
    judge, log = OFTEN[data]
    return ["--set", f"judge_every={judge}", "--set", f"checkpoint_every={judge}", "--set", f"log_every={log}"]


def same_digits(folder):
    """Ten classes that all hold the digit 3, as PNG files."""
    assets = ROOT / "crates/ganymede/assets/digits"
    images = gzip.decompress((assets / "images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((assets / "labels-idx1-ubyte.gz").read_bytes())[8:]
    threes = [i for i, label in enumerate(labels) if label == 3]
    for n, i in enumerate(threes):
        rows = b"".join(b"\0" + images[784 * i + 28 * y : 784 * i + 28 * (y + 1)] for y in range(28))
        chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        header = struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0)
        png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
        path = folder / str(n % 10) / f"{n:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png)


def scale_generator(run, factor):
    """Multiplies the generator's weights in the newest checkpoint, and puts its checksum right."""
    checkpoint = max((run / "checkpoints").glob("step-*"))
    path = checkpoint / "generator.safetensors"
    data = bytearray(path.read_bytes())
    n = struct.unpack("<Q", data[:8])[0]
    for name, tensor in json.loads(data[8 : 8 + n]).items():
        if name.startswith("net.") and len(tensor["shape"]) > 1:
            begin, end = (8 + n + at for at in tensor["data_offsets"])
            values = array("f", bytes(data[begin:end]))
            data[begin:end] = array("f", (v * factor for v in values)).tobytes()
    path.write_bytes(data)
    sums = (checkpoint / "SHA256SUMS").read_text().splitlines()
    right = hashlib.sha256(data).hexdigest() + "  generator.safetensors"
    (checkpoint / "SHA256SUMS").write_text("\n".join(right if line.endswith("generator.safetensors") else line for line in sums) + "\n")


def sabotages():
    """(name, data, settings, kind) of every way to spoil a run."""
    for data in ("avatars", "digits", "ring"):
        high = 50 * RATE[data]
        yield "rates x 50", data, ["--set", f"lr_g={high}", "--set", f"lr_d={high}"], "train"
        yield "discriminator's rate x 10", data, ["--set", f"lr_d={10 * RATE[data]}"], "train"
        yield "latent of 1", data, ["--set", "latent_dim=1"], "train"
        yield "weights x 10,000", data, [], "scaled"
    yield "classes alike", "digits", [], "same"
    yield "vanilla", "ring", ["--preset", "vanilla"], "train"
    yield "vanilla", "grid", ["--preset", "vanilla"], "train"


def train(args, name, data, more, kind, seed):
    """Trains one run unless it is there; gives back its directory."""
    out = args.out / args.what / f"{name}-{data}-{seed}".replace(" ", "-").replace(",", "")
    done = sorted(out.glob("0*"))
    if done:
        return done[0]
    out.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    where = data
    if kind == "same":
        where = args.out / "same-digits"
        if not where.exists():
            same_digits(where)

    def run(*words):
        subprocess.run([args.program, *map(str, words)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    steps = STEPS[data]
    action = {"healthy": "report", "sabotaged": "stop", "remedied": "remedy"}[args.what]
    first = steps * 3 // 8 if kind == "scaled" else steps
    run("train", where, *settings(data), *more, "--seed", seed, "--steps", first, "--on-trouble", action, "--out", out, "--fresh")
    path = sorted(out.glob("0*"))[0]
    if kind == "scaled":
        scale_generator(path, 1e4)
        run("train", "--resume", path, "--steps", steps)
    return path


def row(path):
    """What was found, what was remedied, and how far samples came."""
    found, remedied, last = [], [], None
    for line in (path / "log.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if "finding" in entry and entry["finding"]["severity"] != "note":
            found.append(f"{entry['finding']['kind']} at {entry['step']}")
        if "remedy" in entry:
            remedied.append(f"{entry['remedy']['kind']} at {entry['remedy']['found_at']}")
        if "judgement" in entry:
            last = entry["judgement"]
    reached = ""
    if last:
        score = next(s for s in last["scores"] if s["metric"] == last["choice"])
        reached = f"{(score['value'] - score['trivial']) / (score['real'] - score['trivial']):.2f}"
    return ", ".join(found) or "-", ", ".join(remedied) or "-", reached


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["healthy", "sabotaged", "remedied"])
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--program", default=str(ROOT / "target/release/ganymede"))
    parser.add_argument("--out", type=Path, default=ROOT / "target/health")
    args = parser.parse_args()
    if args.what == "healthy":
        runs = [("healthy", data, [], "train") for data in ("avatars", "digits", "ring")]
    else:
        mendable = ("rates x 50", "discriminator's rate x 10", "weights x 10,000")
        runs = [s for s in sabotages() if args.what == "sabotaged" or s[0] in mendable]
    seeds = args.seeds or (10 if args.what == "healthy" else 2)
    every = [(*run, seed) for seed in range(seeds) for run in runs]
    with ThreadPoolExecutor(args.jobs) as pool:
        paths = list(pool.map(lambda run: train(args, *run), every))
    print("| run | data | seed | found | remedied | reached |\n|---|---|---|---|---|---|")
    n_found = 0
    for (name, data, _, _, seed), path in zip(every, paths):
        found, remedied, reached = row(path)
        n_found += found != "-" or remedied != "-"
        print(f"| {name} | {data} | {seed} | {found} | {remedied} | {reached} |")
    print(f"\n{n_found} of {len(every)} with trouble")


if __name__ == "__main__":
    main()
