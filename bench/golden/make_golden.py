#!/usr/bin/env python3
"""Golden values for the library's tests: losses, gradient penalties and Adam, in float64, from PyTorch.

    pip install torch numpy          # a CPU build is enough
    python3 bench/golden/make_golden.py

writes `crates/ganymede/tests/golden/*.json` anew. Everything random comes from the fixed seeds below, so the files come out
the same every time; another processor or version of PyTorch may change the last of the 13 digits that are written.

Gradient penalties are differentiated twice (`create_graph=True`): that is what the library's transposed pass must equal.
Before a file is written its penalties' parameter gradients are compared with central differences, and no input of a leaky
ReLU may lie so close to its kink that a float32 computation could fall on the other side of it.

Layouts are PyTorch's: linear weights [out, in], convolution weights [out, in / groups, height, width], pictures
[batch, channels, height, width]. Where a feature map is flattened, it is flattened in the order (height, width, channels).
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

OUT = Path(__file__).resolve().parents[2] / "crates" / "ganymede" / "tests" / "golden"
SLOPE = float(np.float32(0.2))  # the library keeps slopes in float32
KINK_MARGIN = 1e-5


# --- writing ---------------------------------------------------------------------------------------------------------


def number(value, digits=13):
    """`value` with `digits` significant digits: short where it is short, and far finer than any tolerance."""
    return float(f"{value.item() if torch.is_tensor(value) else value:.{digits}g}")


def tensor(value, digits=13):
    """A tensor as its shape and its values in row-major order."""
    value = value.detach()
    return {"shape": list(value.shape), "values": [number(v, digits) for v in value.reshape(-1).tolist()]}


def write(name, document):
    text = json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n"
    assert len(text) < 100_000, f"{name}: {len(text)} bytes"
    (OUT / name).write_text(text)
    print(f"{name}: {len(text)} bytes")


class Draws:
    """Normal numbers rounded to 1/128, so that inputs and weights are short in the file and exact in float32 too."""

    def __init__(self, seed):
        self.generator = np.random.Generator(np.random.PCG64(seed))

    def normal(self, *shape, std=1.0):
        return torch.tensor(np.round(self.generator.standard_normal(shape) * std * 128) / 128, dtype=torch.float64)

    def weight(self, *shape):
        """A weight [out, in, ...] scaled by 1 / sqrt(fan in), so that activations neither vanish nor grow."""
        return self.normal(*shape, std=1.0 / math.sqrt(math.prod(shape[1:]))).requires_grad_()

    def bias(self, n):
        return self.normal(n, std=0.3).requires_grad_()


# --- adversarial losses ----------------------------------------------------------------------------------------------

# name -> (discriminator's loss, generator's loss), both of (real logits, fake logits), means over the batch.
LOSSES = {
    "minimax": (lambda r, f: F.softplus(-r).mean() + F.softplus(f).mean(), lambda r, f: -F.softplus(f).mean()),
    "non-saturating": (lambda r, f: F.softplus(-r).mean() + F.softplus(f).mean(), lambda r, f: F.softplus(-f).mean()),
    "hinge": (lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean(), lambda r, f: -f.mean()),
    "least-squares": (lambda r, f: ((r - 1) ** 2 + f**2).mean() / 2, lambda r, f: ((f - 1) ** 2).mean() / 2),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    "relativistic": (lambda r, f: F.softplus(-(r - f)).mean(), lambda r, f: F.softplus(-(f - r)).mean()),
}


def losses():
    cases = {
        "ordinary": ([0.3, -1.7, 2.4, 0.05, -0.6, 1.3], [-0.8, 1.9, -2.2, 0.45, 0.7, -1.35]),
        # exp() of these overflows float32: a loss that is not computed through softplus gives infinities or NaN.
        "extreme": ([95.0, -110.0, 0.0, 40.0, -40.0, 200.0], [-100.0, 120.0, 0.0, -40.0, 40.0, 199.0]),
    }
    document = {"about": "adversarial losses, means over the batch, and their gradients with respect to the logits", "cases": []}
    for case, (real, fake) in cases.items():
        for name, (d_loss, g_loss) in LOSSES.items():
            r = torch.tensor(real, dtype=torch.float64, requires_grad=True)
            f = torch.tensor(fake, dtype=torch.float64, requires_grad=True)
            d = d_loss(r, f)
            d_real, d_fake = torch.autograd.grad(d, [r, f])
            g = g_loss(r.detach(), f)
            (g_fake,) = torch.autograd.grad(g, [f])
            document["cases"].append(
                {
                    "case": case,
                    "loss": name,
                    "real": real,
                    "fake": fake,
                    "d_loss": number(d),
                    "d_grad_real": [number(v) for v in d_real],
                    "d_grad_fake": [number(v) for v in d_fake],
                    "g_loss": number(g),
                    "g_grad_fake": [number(v) for v in g_fake],
                }
            )
    write("losses.json", document)


# --- discriminators --------------------------------------------------------------------------------------------------


class Discriminator:
    """Weights by name and a forward pass that also notes how near a leaky ReLU's input comes to zero."""

    def __init__(self, draws):
        self.weights = self.make(draws)
        self.nearest_kink = math.inf

    def lrelu(self, x):
        self.nearest_kink = min(self.nearest_kink, x.detach().abs().min().item())
        return F.leaky_relu(x, SLOPE)


class Mlp(Discriminator):
    """3 -> 5 -> 4 -> 1."""

    about = "linear 3 -> 5, leaky ReLU, linear 5 -> 4, leaky ReLU, linear 4 -> 1, all with biases"

    def make(self, d):
        return {
            "0.weight": d.weight(5, 3),
            "0.bias": d.bias(5),
            "1.weight": d.weight(4, 5),
            "1.bias": d.bias(4),
            "2.weight": d.weight(1, 4),
            "2.bias": d.bias(1),
        }

    def logits(self, x, labels=None):
        w = self.weights
        h = self.lrelu(F.linear(x, w["0.weight"], w["0.bias"]))
        h = self.lrelu(F.linear(h, w["1.weight"], w["1.bias"]))
        return F.linear(h, w["2.weight"], w["2.bias"]).squeeze(1)


class Strided(Discriminator):
    """The DCGAN kind: strided convolutions, then a linear layer."""

    about = (
        "convolution 4x4 stride 2 padding 1 2 -> 3 with bias, leaky ReLU, convolution 4x4 stride 2 padding 1 3 -> 4 with bias, "
        "leaky ReLU, flattened in the order (height, width, channels), linear 16 -> 1 with bias"
    )

    def make(self, d):
        return {
            "conv0.weight": d.weight(3, 2, 4, 4),
            "conv0.bias": d.bias(3),
            "conv1.weight": d.weight(4, 3, 4, 4),
            "conv1.bias": d.bias(4),
            "linear.weight": d.weight(1, 16),
            "linear.bias": d.bias(1),
        }

    def logits(self, x, labels=None):
        w = self.weights
        h = self.lrelu(F.conv2d(x, w["conv0.weight"], w["conv0.bias"], stride=2, padding=1))
        h = self.lrelu(F.conv2d(h, w["conv1.weight"], w["conv1.bias"], stride=2, padding=1))
        h = h.permute(0, 2, 3, 1).reshape(len(x), -1)
        return F.linear(h, w["linear.weight"], w["linear.bias"]).squeeze(1)


class Residual(Discriminator):
    """The R3GAN kind: norm-free residual blocks with grouped convolutions, and class projection."""

    about = (
        "1x1 convolution 2 -> 4 without bias; block0; 2x2 average pooling; block1; depthwise 4x4 convolution without padding or bias, 4 -> 4; "
        "linear 4 -> 3 without bias; logit = dot product with classes[label], times 1 / sqrt(3). "
        "A block: 1x1 convolution 4 -> 8, plus bias0, leaky ReLU, 3x3 convolution 8 -> 8 in 2 groups with padding 1, plus bias1, leaky ReLU, "
        "1x1 convolution 8 -> 4, plus the block's input"
    )

    def make(self, d):
        weights = {"from_rgb.weight": d.weight(4, 2, 1, 1)}
        for block in ("block0", "block1"):
            weights |= {
                f"{block}.expand.weight": d.weight(8, 4, 1, 1),
                f"{block}.bias0": d.bias(8),
                f"{block}.grouped.weight": d.weight(8, 4, 3, 3),
                f"{block}.bias1": d.bias(8),
                f"{block}.project.weight": d.weight(4, 8, 1, 1),
            }
        weights |= {"basis.weight": d.weight(4, 1, 4, 4), "linear.weight": d.weight(3, 4), "classes.weight": d.weight(3, 3)}
        return weights

    def block(self, x, name):
        w = self.weights
        h = self.lrelu(F.conv2d(x, w[f"{name}.expand.weight"], w[f"{name}.bias0"]))
        h = self.lrelu(F.conv2d(h, w[f"{name}.grouped.weight"], w[f"{name}.bias1"], padding=1, groups=2))
        return x + F.conv2d(h, w[f"{name}.project.weight"])

    def logits(self, x, labels):
        w = self.weights
        h = F.conv2d(x, w["from_rgb.weight"])
        h = self.block(h, "block0")
        h = self.block(F.avg_pool2d(h, 2), "block1")
        h = F.conv2d(h, w["basis.weight"], groups=4).flatten(1)
        h = F.linear(h, w["linear.weight"])
        return (h * w["classes.weight"][labels]).sum(1) / math.sqrt(3)


# --- gradient penalties ----------------------------------------------------------------------------------------------


def input_gradient(net, x, labels):
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net.logits(x, labels).sum(), x, create_graph=True)
    return gradient


def zero_centred(net, x, labels):
    """R1 at real samples, R2 at fake ones: the squared norm of the input gradient, mean over the batch, without gamma / 2."""
    return input_gradient(net, x, labels).square().flatten(1).sum(1).mean()


def one_centred(net, x, labels):
    """WGAN-GP at interpolates: the squared distance of the input gradient's norm from 1, mean over the batch, without lambda."""
    return (input_gradient(net, x, labels).flatten(1).norm(dim=1) - 1).square().mean()


def parameter_gradients(net, value):
    names = list(net.weights)
    gradients = torch.autograd.grad(value, [net.weights[n] for n in names], allow_unused=True)
    return {n: torch.zeros_like(net.weights[n]) if g is None else g for n, g in zip(names, gradients)}


def check_by_differences(net, penalty, x, labels, gradients, step=1e-6):
    """Central differences of the penalty in every weight agree with `gradients`."""
    for name, weight in net.weights.items():
        flat, expected = weight.data.view(-1), gradients[name].reshape(-1)
        for i in range(len(flat)):
            kept = flat[i].item()
            flat[i] = kept + step
            above = penalty(net, x, labels).item()
            flat[i] = kept - step
            below = penalty(net, x, labels).item()
            flat[i] = kept
            difference = (above - below) / (2 * step)
            assert abs(difference - expected[i].item()) < 1e-7 * max(1.0, abs(difference)), (name, i, difference, expected[i].item())


def penalties(file, net, inputs, labels):
    real, fake, interpolates = inputs["real"], inputs["fake"], inputs["interpolates"]
    document = {
        "about": net.about,
        "slope": SLOPE,
        "weights": {n: tensor(w) for n, w in net.weights.items()},
        "inputs": {n: tensor(x) for n, x in inputs.items()},
        "logits": {n: tensor(net.logits(x, labels)) for n, x in inputs.items()},
    }
    if labels is not None:
        document["labels"] = labels.tolist()
    for name, penalty, x in [("r1", zero_centred, real), ("r2", zero_centred, fake), ("gp", one_centred, interpolates)]:
        value = penalty(net, x, labels)
        gradients = parameter_gradients(net, value)
        document[name] = {
            "value": number(value),
            "input_gradient": tensor(input_gradient(net, x, labels)),
            "gradients": {n: tensor(g) for n, g in gradients.items()},
        }
        check_by_differences(net, penalty, x, labels, gradients)

    d_loss, g_loss = LOSSES["relativistic"]
    d = d_loss(net.logits(real, labels), net.logits(fake, labels))
    moving = fake.clone().requires_grad_()
    g = g_loss(net.logits(real, labels).detach(), net.logits(moving, labels))
    document["relativistic"] = {
        "d_loss": number(d),
        "gradients": {n: tensor(v) for n, v in parameter_gradients(net, d).items()},
        "g_loss": number(g),
        "g_grad_fake": tensor(torch.autograd.grad(g, moving)[0]),
    }
    assert net.nearest_kink > KINK_MARGIN, f"{file}: a leaky ReLU's input is {net.nearest_kink}; take another seed"
    write(file, document)


def inputs(draws, *shape):
    real, fake = draws.normal(*shape), draws.normal(*shape)
    mix = torch.tensor(draws.generator.integers(1, 8, shape[0]) / 8).reshape(-1, *[1] * (len(shape) - 1))
    return {"real": real, "fake": fake, "interpolates": mix * real + (1 - mix) * fake}


# --- Adam ------------------------------------------------------------------------------------------------------------


def cosine(start, end, progress):
    """From `start` at progress 0 to `end` at progress 1 on half a period of the cosine (R3GAN, `training_loop.py`)."""
    return start + (1 - 0.5 * (1 + math.cos(math.pi * progress))) * (end - start)


def adam():
    start = [0.5, -1.25, 2.0, 0.003]
    gradients = [
        [0.1, -2.0, 0.0, 1e-9],
        [0.2, -1.0, 0.0, -2e-9],
        [-0.3, 0.5, 0.7, 1e-9],
        [0.4, 3.0, 0.0, 1e-9],
        [-0.05, 0.0, -0.2, 5e-9],
    ]
    n = len(gradients)
    schedules = {
        "betas-0-0.9": [(2e-3, 0.0, 0.9)] * n,
        "betas-0.5-0.999": [(2e-3, 0.5, 0.999)] * n,
        "beta2-and-rate-on-a-cosine": [(number(cosine(2e-3, 5e-4, i / n)), 0.0, number(cosine(0.9, 0.99, i / n))) for i in range(n)],
    }
    document = {
        "about": (
            "Adam as in PyTorch: m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; "
            "p -= rate * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon), t counted from 1. "
            "Where beta2 changes from step to step, the correction takes the step's own beta2 to the power t (not the product of those used so far): "
            "that is what R3GAN gets by setting the betas of PyTorch's parameter groups before each step."
        ),
        "epsilon": 1e-8,
        "start": start,
        "gradients": gradients,
        "cases": [],
    }
    for name, schedule in schedules.items():
        p = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([p], eps=document["epsilon"])
        steps = []
        for (rate, beta1, beta2), gradient in zip(schedule, gradients):
            optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["betas"] = rate, (beta1, beta2)
            p.grad = torch.tensor(gradient, dtype=torch.float64)
            optimizer.step()
            state = optimizer.state[p]
            steps.append(
                {
                    "rate": rate,
                    "beta1": beta1,
                    "beta2": beta2,
                    "parameters": [number(v, 16) for v in p],
                    "first_moment": [number(v, 16) for v in state["exp_avg"]],
                    "second_moment": [number(v, 16) for v in state["exp_avg_sq"]],
                }
            )
        document["cases"].append({"case": name, "steps": steps})
    write("adam.json", document)


def main():
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    losses()
    draws = Draws(1)
    penalties("penalty_mlp.json", Mlp(draws), inputs(draws, 4, 3), None)
    draws = Draws(2)
    penalties("penalty_strided.json", Strided(draws), inputs(draws, 2, 2, 8, 8), None)
    draws = Draws(3)
    penalties("penalty_residual.json", Residual(draws), inputs(draws, 2, 2, 8, 8), torch.tensor([2, 0]))
    adam()


if __name__ == "__main__":
    main()
