#!/usr/bin/env python3
"""Reference values for EfficientNet-Lite0, from its PyTorch package.

    pip install torch numpy efficientnet-lite-pytorch==0.1.0      # a CPU build is enough
    python3 bench/golden/make_efficientnet.py

writes `crates/ganymede/tests/golden/efficientnet.json` anew: some features and logits, in float64, of a network whose weights a formula
makes, on pictures that a formula makes, so that the test needs neither weights nor pictures.

    pip install pillow safetensors
    python3 bench/golden/make_efficientnet.py WEIGHTS.safetensors OUT PICTURE...

writes into the folder OUT what the example `efficientnet_parity` compares with: the pictures as they are and resized by Pillow (bicubic),
and the logits of the latter with those weights, in float64.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet

OUT = Path(__file__).resolve().parents[2] / "crates" / "ganymede" / "tests" / "golden" / "efficientnet.json"


def scrambled(seed, n):
    """`n` whole numbers below 2^32 that look random, a function of the seed and the place: as in the test."""
    x = (np.arange(n, dtype=np.uint64) + np.uint64(seed)) & np.uint64(0xFFFFFFFF)
    for shift, factor in [(16, 0x7FEB352D), (15, 0x846CA68B)]:
        x ^= x >> np.uint64(shift)
        x = (x * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    return x ^ (x >> np.uint64(16))


def values(name, shape):
    """Weights in [-1, 1) times a width that keeps activations in range, as 32-bit floats."""
    seed = 2166136261
    for byte in name.encode():
        seed = ((seed ^ byte) * 16777619) % (1 << 32)
    unit = (scrambled(seed, int(np.prod(shape))) >> np.uint64(8)).astype(np.float64) / (1 << 23) - 1.0
    if len(shape) > 1:
        made = unit * np.sqrt(6.0 / np.prod(shape[1:]))
    else:
        middle, width = {"running_var": (1.0, 0.5), "running_mean": (0.0, 0.2), "weight": (1.0, 0.2), "bias": (0.1, 0.3)}[name.split(".")[-1]]
        made = middle + width * unit
    return made.astype(np.float32).reshape(shape)


def picture(height, width):
    """Ramps and noise, whole numbers from 0 to 255, `[1, height, width, 3]`."""
    y, x, c = np.meshgrid(*(np.arange(n) for n in (height, width, 3)), indexing="ij")
    noise = (scrambled(1, height * width * 3) >> np.uint64(25)).astype(np.int64).reshape(height, width, 3)
    return ((3 * y + 5 * x + 80 * c + noise) % 256)[None]


def network(size, tensors):
    model = EfficientNet.from_name("efficientnet-lite0", image_size=size)
    state = model.state_dict()
    for name, value in state.items():
        if not name.endswith("num_batches_tracked"):
            made = tensors(name, tuple(value.shape))
            assert made.shape == tuple(value.shape), (name, made.shape, value.shape)
            state[name] = torch.tensor(made.astype(np.float64))
    model.load_state_dict(state)
    return model.double().eval()


def run(model, pixels):
    """Features and logits of `[n, height, width, 3]` from 0 to 255."""
    x = torch.tensor((pixels.astype(np.float64) - 127) / 128).permute(0, 3, 1, 2)
    with torch.no_grad():
        features = model.extract_features(x).mean((2, 3))
        logits = model(x)
        assert torch.allclose(model._fc(features), logits, rtol=1e-12)
    return features.numpy(), logits.numpy()


def golden():
    cases = []
    for height, width in [(64, 64), (75, 50)]:
        features, logits = (v[0] for v in run(network((height, width), values), picture(height, width)))
        print(f"{height} x {width}: features {features.mean():.3f} +- {features.std():.3f}, at 0: {(features == 0).mean():.3f}, logits +- {logits.std():.3f}")
        some = lambda v, step: [float(f"{x:.9g}") for x in v[::step]]
        cases.append({"height": height, "width": width, "features": some(features, 40), "logits": some(logits, 40)})
    OUT.write_text('{"step":40,"cases":[\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")


def reference(weights, out, pictures):
    from PIL import Image
    from safetensors.numpy import load_file

    tensors = load_file(weights)
    out.mkdir(parents=True, exist_ok=True)
    described, resized = [], []
    for idx, path in enumerate(pictures):
        image = Image.open(path)
        image = image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGB")
        pixels = np.atleast_3d(np.asarray(image))
        (out / f"{idx}.bin").write_bytes(pixels.tobytes())
        described.append({"name": Path(path).name, "shape": list(pixels.shape)})
        if pixels.shape[2] == 4:
            colour, opacity = pixels[..., :3].astype(np.int64), pixels[..., 3:].astype(np.int64)
            image = Image.fromarray(((colour * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8))
        resized.append(np.asarray(image.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)))
    resized = np.stack(resized)
    (out / "resized.bin").write_bytes(resized.tobytes())
    features, logits = run(network(224, lambda name, _: tensors[name]), resized)
    (out / "reference.json").write_text(json.dumps({"pictures": described, "features": features.tolist(), "logits": logits.tolist()}))
    for what, found in zip(described, logits):
        print(what["name"], found.argmax(), f"{found.max():.3f}")


if len(sys.argv) == 1:
    golden()
else:
    reference(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
