#!/usr/bin/env python3
"""Golden values for multi-scale structural similarity, from the reference implementation.

    pip install numpy torch pytorch-msssim      # a CPU build is enough
    python3 bench/golden/make_ms_ssim.py

writes `crates/ganymede/tests/golden/ms_ssim.json` anew: `pytorch_msssim.ms_ssim` in float64, on pictures that a formula makes, so that
the file holds but their extents.

The package refuses sides up to 160 pixels, and where a side is odd it pads with zeros before it halves. For such pictures its similarity
of one scale (`_ssim`) is combined here, and odd sides are padded by repeating the edge; on the others both ways must give the same.
"""

import json
from pathlib import Path

import numpy as np
import torch
from pytorch_msssim import ms_ssim
from pytorch_msssim.ssim import _ssim

OUT = Path(__file__).resolve().parents[2] / "crates" / "ganymede" / "tests" / "golden" / "ms_ssim.json"
WEIGHTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
WINDOW, SIGMA = 11, 1.5


def pair(height, width, channels, noise, negative):
    """Ramps that wrap around, and the same mixed with noise or turned to the negative: whole numbers throughout, as in the test."""
    y, x, c = np.meshgrid(*(np.arange(n, dtype=np.uint64) for n in (height, width, channels)), indexing="ij")
    u = np.uint64
    ramp = ((u(3) * x * x + u(5) * y * y + u(7) * x * y) // u(64) + u(50) * c) % u(256)
    speckle = (((u(7919) * x + u(104729) * y + u(1299709) * c + u(1)) * u(2654435761)) % u(1 << 32)) >> u(24)
    mixed = (ramp * u(256 - noise) + speckle * u(noise)) // u(256)
    other = u(255) - mixed if negative else mixed
    return [torch.tensor(picture.astype(np.float64)).permute(2, 0, 1)[None] for picture in (ramp, other)]


def window(side, channels):
    size = min(side, WINDOW)
    size -= 1 - size % 2
    offsets = torch.arange(size, dtype=torch.float64) - size // 2
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    return (weights / weights.sum()).repeat(channels, 1, 1, 1)


def halved(picture):
    padded = torch.nn.functional.pad(picture, (0, picture.shape[3] % 2, 0, picture.shape[2] % 2), mode="replicate")
    return torch.nn.functional.avg_pool2d(padded, 2)


def scale_by_scale(a, b, win):
    levels, side = 1, min(a.shape[2:])
    while levels < len(WEIGHTS) and (side + 1) // 2 >= WINDOW:
        levels, side = levels + 1, (side + 1) // 2
    # The five published weights sum to 1.0001 and are used as they are.
    weights = np.array(WEIGHTS[:levels]) / (1 if levels == len(WEIGHTS) else np.sum(WEIGHTS[:levels]))
    product = 1.0
    for level, weight in enumerate(weights):
        if level > 0:
            a, b = halved(a), halved(b)
        whole, contrast = _ssim(a, b, data_range=255, win=win)
        product = product * torch.relu(whole if level == levels - 1 else contrast) ** weight
    return levels, product.mean().item()


def case(height, width, channels, noise, negative=False):
    a, b = pair(height, width, channels, noise, negative)
    win = window(min(height, width), channels)
    scales, value = scale_by_scale(a, b, win)
    if height % 16 == 0 and width % 16 == 0 and scales == 5:
        theirs = ms_ssim(a, b, data_range=255, win=win).item()
        assert abs(theirs - value) <= 1e-12, (theirs, value)
        value = theirs
    extents = {"height": height, "width": width, "channels": channels, "noise": noise, "negative": negative}
    return {**extents, "scales": scales, "ms_ssim": float(f"{value:.13g}")}


cases = [
    case(176, 192, 3, 40),
    case(176, 192, 3, 200),
    case(256, 176, 1, 120),
    case(173, 165, 1, 90),
    case(87, 101, 3, 60),
    case(64, 64, 3, 30),
    case(64, 64, 1, 256),
    case(32, 32, 4, 100),
    case(28, 28, 1, 50),
    case(16, 20, 3, 50),
    case(10, 9, 3, 50),
    case(8, 8, 1, 128),
    case(64, 64, 3, 250, negative=True),
]
OUT.write_text('{"cases":[\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")
