#!/usr/bin/env python3
"""The same games in PyTorch: how long one step takes there.

    pip install torch numpy
    python3 bench/torch_peers.py points
    python3 bench/torch_peers.py dcgan --widths 256,128,64 --batch 64
    python3 bench/torch_peers.py r3gan --widths 96,96,64 --blocks 1 --group-width 16 --batch 64

prints one JSON object: median milliseconds a step, samples a second, parameters, peak memory. `--help` after a game lists its
settings, which have the names of ours. A step is one discriminator update and one generator update, each with its own batch, and
the moving average of the generator. Pictures are random numbers: the time does not depend on what they show.

Sources: Goodfellow et al. 2014 (points with --gamma 0), Radford et al. 2015 (dcgan), Huang et al. 2024, "The GAN is dead; long live the GAN!"
(r3gan: network and training step from section 4 and the paper's description, written anew for this comparison).
"""

import argparse
import copy
import json
import math
import resource
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

SLOPE = 0.2

# --- points: the vanilla GAN ------------------------------------------------------------------------------------------


def mlp(n_in, width, layers, n_out, activation):
    sizes = [n_in] + [width] * layers
    parts = [part for a, b in zip(sizes, sizes[1:]) for part in (nn.Linear(a, b), activation())]
    return nn.Sequential(*parts, nn.Linear(sizes[-1], n_out))


def ring(n, device):
    """Eight Gaussians of standard deviation 0.01 on the unit circle."""
    angle = torch.randint(8, (n,), device=device) * (math.pi / 4)
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.01 * torch.randn(n, 2, device=device)


# --- dcgan ------------------------------------------------------------------------------------------------------------


class DcganGenerator(nn.Sequential):
    """Linear to base x base, then a transposed convolution 4x4 stride 2 per doubling; batch norm and ReLU between, tanh at the end."""

    def __init__(self, a):
        parts = [nn.ConvTranspose2d(a.latent, a.widths[0], a.base, bias=False)]
        for before, after in zip(a.widths, [*a.widths[1:], a.channels]):
            parts += [nn.BatchNorm2d(before), nn.ReLU(True), nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
        super().__init__(nn.Unflatten(1, (a.latent, 1, 1)), *parts, nn.Tanh())


class DcganDiscriminator(nn.Sequential):
    """Convolutions 4x4 stride 2; leaky ReLU; batch norm except in the first."""

    def __init__(self, a):
        widths = a.widths[::-1]
        parts = [nn.Conv2d(a.channels, widths[0], 4, 2, 1, bias=False), nn.LeakyReLU(SLOPE, True)]
        for before, after in zip(widths, widths[1:]):
            parts += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(SLOPE, True)]
        super().__init__(*parts, nn.Conv2d(widths[-1], 1, a.base, bias=False), nn.Flatten(0))


# --- table: the shape of CTGAN ----------------------------------------------------------------------------------------


class TableGenerator(nn.Module):
    """Linear, batch norm, ReLU; each layer hands on its input beside its output."""

    def __init__(self, a):
        super().__init__()
        sizes = [a.latent + i * a.width for i in range(a.layers + 1)]
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(n, a.width, bias=False), nn.BatchNorm1d(a.width), nn.ReLU(True)) for n in sizes[:-1])
        self.last = nn.Linear(sizes[-1], a.columns)

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([layer(x), x], 1)
        return self.last(x).tanh()


class PackDiscriminator(nn.Module):
    """An MLP on several rows at once, each with its condition."""

    def __init__(self, a):
        super().__init__()
        self.pack = a.pack
        self.layers = mlp(a.pack * (a.columns + a.conditions), a.width, a.layers, 1, lambda: nn.LeakyReLU(SLOPE))

    def forward(self, x, conditions):
        return self.layers(torch.cat([x, conditions], 1).view(len(x) // self.pack, -1))


# --- r3gan ------------------------------------------------------------------------------------------------------------


def scaled(layer, gain):
    """Weights from N(0, gain^2 / fan_in), biases 0."""
    with torch.no_grad():
        nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()) if gain else 0.0)
        if getattr(layer, "bias", None) is not None:
            layer.bias.zero_()
    return layer


class BiasedLeakyRelu(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x):
        return F.leaky_relu(x + self.bias, SLOPE)


class Block(nn.Module):
    """1x1 to `expansion` times the channels, grouped 3x3, 1x1 back, plus the input. No normalisation; the last layer starts at zero."""

    def __init__(self, channels, expansion, group_width, n_blocks):
        super().__init__()
        inner = channels * expansion
        groups = max(1, inner // group_width) if group_width else 1
        gain = math.sqrt(2 / (1 + SLOPE**2)) * n_blocks**-0.25
        self.layers = nn.Sequential(
            scaled(nn.Conv2d(channels, inner, 1, bias=False), gain),
            BiasedLeakyRelu(inner),
            scaled(nn.Conv2d(inner, inner, 3, padding=1, groups=groups, bias=False), gain),
            BiasedLeakyRelu(inner),
            scaled(nn.Conv2d(inner, channels, 1, bias=False), 0.0),
        )

    def forward(self, x):
        return x + self.layers(x)


class Resample(nn.Module):
    """Twice or half the size: by the [1, 3, 3, 1] filter (`binomial`), or by repeating and averaging 2x2 (`box`)."""

    def __init__(self, up, kind):
        super().__init__()
        self.up, self.kind = up, kind
        line = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("kernel", torch.outer(line, line)[None, None] / line.sum() ** 2)

    def forward(self, x):
        if self.kind == "box":
            return F.interpolate(x, scale_factor=2, mode="nearest") if self.up else F.avg_pool2d(x, 2)
        c = x.shape[1]
        kernel = self.kernel.expand(c, 1, 4, 4)
        if self.up:
            return F.conv_transpose2d(x, 4 * kernel, stride=2, padding=1, groups=c)
        return F.conv2d(x, kernel, stride=2, padding=1, groups=c)


class Stem(nn.Module):
    """A learned feature map [channels, base, base] times a linear map of the latent."""

    def __init__(self, latent, channels, base):
        super().__init__()
        self.basis = nn.Parameter(torch.randn(channels, base, base))
        self.linear = scaled(nn.Linear(latent, channels), 1.0)

    def forward(self, z):
        return self.basis * self.linear(z)[:, :, None, None]


class R3ganGenerator(nn.Module):
    def __init__(self, a):
        super().__init__()
        n_blocks = len(a.widths) * a.blocks
        self.classes = nn.Embedding(a.classes, a.embedding) if a.classes else None
        parts = [Stem(a.latent + (a.embedding if a.classes else 0), a.widths[0], a.base)]
        for i, width in enumerate(a.widths):
            if i > 0:
                if width != a.widths[i - 1]:
                    parts.append(scaled(nn.Conv2d(a.widths[i - 1], width, 1, bias=False), 1.0))
                parts.append(Resample(True, a.filter))
            parts += [Block(width, a.expansion, a.group_width, n_blocks) for _ in range(a.blocks)]
        self.layers = nn.Sequential(*parts, scaled(nn.Conv2d(a.widths[-1], a.channels, 1, bias=False), 1.0))

    def forward(self, z, labels=None):
        return self.layers(z if self.classes is None else torch.cat([z, self.classes(labels)], 1))


class R3ganDiscriminator(nn.Module):
    def __init__(self, a):
        super().__init__()
        widths = a.widths[::-1]
        n_blocks = len(widths) * a.blocks
        embedding = a.embedding if a.classes else 1
        self.classes = nn.Embedding(a.classes, embedding) if a.classes else None
        parts = [scaled(nn.Conv2d(a.channels, widths[0], 1), 1.0)]
        for i, width in enumerate(widths):
            if i > 0:
                parts.append(Resample(False, a.filter))
                if width != widths[i - 1]:
                    parts.append(scaled(nn.Conv2d(widths[i - 1], width, 1, bias=False), 1.0))
            parts += [Block(width, a.expansion, a.group_width, n_blocks) for _ in range(a.blocks)]
        parts += [scaled(nn.Conv2d(widths[-1], widths[-1], a.base, groups=widths[-1], bias=False), 1.0), nn.Flatten()]
        self.layers = nn.Sequential(*parts, scaled(nn.Linear(widths[-1], embedding, bias=False), 1.0))

    def forward(self, x, labels=None):
        h = self.layers(x)
        return h.squeeze(1) if self.classes is None else (h * self.classes(labels)).sum(1) / math.sqrt(h.shape[1])


# --- the games --------------------------------------------------------------------------------------------------------


class Game:
    """Two players, their Adams, the generator's moving average."""

    def __init__(self, g, d, rate, betas, decay, device, channels_last=False, compiled=False):
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.g, self.d = (net.to(device=device, memory_format=layout) for net in (g, d))
        if compiled:
            self.g.compile()
            self.d.compile()
        self.ema = copy.deepcopy(self.g).requires_grad_(False)
        self.g_adam = torch.optim.Adam(self.g.parameters(), lr=rate, betas=betas, eps=1e-8)
        self.d_adam = torch.optim.Adam(self.d.parameters(), lr=rate, betas=betas, eps=1e-8)
        self.decay = decay

    def update(self, optimizer, loss):
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def step(self, d_loss, g_loss):
        """`d_loss()` with the generator's weights fixed, then `g_loss()` with the discriminator's."""
        self.g.requires_grad_(False)
        self.update(self.d_adam, d_loss())
        self.g.requires_grad_(True)
        self.d.requires_grad_(False)
        self.update(self.g_adam, g_loss())
        self.d.requires_grad_(True)
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.g.parameters()), 1 - self.decay)


def relativistic(game, a, reals, latents, classes):
    """The losses of both players: relativistic paired, with R1 and R2 by differentiating twice."""
    conditional = lambda labels: () if labels is None else (labels,)

    def d_loss():
        labels = classes()
        both = torch.cat([reals(), game.g(latents(), *conditional(labels)).detach()]).requires_grad_()
        logits = game.d(both, *conditional(None if labels is None else labels.repeat(2)))
        real_logits, fake_logits = logits.chunk(2)
        loss = F.softplus(fake_logits - real_logits).mean()
        if a.gamma > 0:
            (gradient,) = torch.autograd.grad(logits.sum(), both, create_graph=True)
            # R1 + R2: the sum of two means over a.batch samples each.
            loss = loss + a.gamma / 2 * gradient.square().sum() / a.batch
        return loss

    def g_loss():
        labels = classes()
        with torch.no_grad():
            real_logits = game.d(reals(), *conditional(labels))
        return F.softplus(real_logits - game.d(game.g(latents(), *conditional(labels)), *conditional(labels))).mean()

    return d_loss, g_loss


def points(a):
    g, d = mlp(a.latent, a.width, a.layers, 2, lambda: nn.LeakyReLU(SLOPE)), mlp(2, a.width, a.layers, 1, lambda: nn.LeakyReLU(SLOPE))
    game = Game(g, d, a.rate, (0.0, 0.99) if a.gamma > 0 else (0.5, 0.999), 0.999, a.device, compiled=a.compile)
    latents = lambda: torch.randn(a.batch, a.latent, device=a.device)
    if a.gamma > 0:
        d_loss, g_loss = relativistic(game, a, lambda: ring(a.batch, a.device), latents, lambda: None)
    else:
        d_loss = lambda: F.softplus(-game.d(ring(a.batch, a.device))).mean() + F.softplus(game.d(game.g(latents()))).mean()
        g_loss = lambda: F.softplus(-game.d(game.g(latents()))).mean()
    return game, lambda: game.step(d_loss, g_loss)


def table(a):
    game = Game(TableGenerator(a), PackDiscriminator(a), a.rate, (0.5, 0.9), 0.999, a.device, compiled=a.compile)
    rows = torch.randn(10_000, a.columns, device=a.device)
    latents = lambda: torch.randn(a.batch, a.latent, device=a.device)

    def real():
        index = torch.randint(len(rows), (a.batch,), device=a.device)
        return rows[index], F.one_hot(index % a.conditions, a.conditions).float()

    def d_loss():
        x, conditions = real()
        fake = game.g(latents()).detach()
        if a.penalty == 0:
            return F.softplus(-game.d(x, conditions)).mean() + F.softplus(game.d(fake, conditions)).mean()
        mix = torch.rand(a.batch // a.pack, 1, 1, device=a.device).expand(-1, a.pack, a.columns).reshape(a.batch, a.columns)
        between = (mix * x + (1 - mix) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(game.d(between, conditions).sum(), between, create_graph=True)
        gp = (gradient.reshape(a.batch // a.pack, -1).norm(2, 1) - 1).square().mean()
        return game.d(fake, conditions).mean() - game.d(x, conditions).mean() + a.penalty * gp

    def g_loss():
        _, conditions = real()
        logits = game.d(game.g(latents()), conditions)
        return -logits.mean() if a.penalty else F.softplus(-logits).mean()

    return game, lambda: game.step(d_loss, g_loss)


def dcgan(a):
    g, d = DcganGenerator(a), DcganDiscriminator(a)
    size = a.base << len(a.widths)
    for module in [*g.modules(), *d.modules()]:
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, std=0.02)
    game = Game(g, d, 2e-4, (0.5, 0.999), 0.999, a.device, a.channels_last, a.compile)
    latents = lambda: torch.randn(a.batch, a.latent, device=a.device)
    pictures = lambda: torch.rand(a.batch, a.channels, size, size, device=a.device) * 2 - 1
    d_loss = lambda: F.softplus(-game.d(pictures())).mean() + F.softplus(game.d(game.g(latents()))).mean()
    g_loss = lambda: F.softplus(-game.d(game.g(latents()))).mean()
    return game, lambda: game.step(d_loss, g_loss)


def r3gan(a):
    game = Game(R3ganGenerator(a), R3ganDiscriminator(a), a.rate, (0.0, 0.99), 0.999, a.device, a.channels_last, a.compile)
    size = a.base << (len(a.widths) - 1)
    latents = lambda: torch.randn(a.batch, a.latent, device=a.device)
    pictures = lambda: torch.rand(a.batch, a.channels, size, size, device=a.device) * 2 - 1
    classes = lambda: torch.randint(a.classes, (a.batch,), device=a.device) if a.classes else None
    d_loss, g_loss = relativistic(game, a, pictures, latents, classes)
    return game, lambda: game.step(d_loss, g_loss)


# --- drawing ----------------------------------------------------------------------------------------------------------


def sample(a):
    """Draws a.count pictures with the r3gan generator of these settings and writes one sheet; its weights are made and stored where the file is missing."""
    import numpy as np
    from PIL import Image

    g = R3ganGenerator(a).eval()
    weights = Path(a.weights)
    if not weights.exists():
        torch.save(g.state_dict(), weights)
    g.load_state_dict(torch.load(weights, weights_only=True))
    torch.manual_seed(0)
    with torch.inference_mode():
        pictures = torch.cat([g(torch.randn(min(a.batch, a.count - i), a.latent)) for i in range(0, a.count, a.batch)])
    across = math.ceil(math.sqrt(a.count))
    pixels = ((pictures.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    side = pixels.shape[1]
    sheet = np.zeros((across * across, side, side, pixels.shape[3]), np.uint8)
    sheet[: len(pixels)] = pixels
    sheet = sheet.reshape(across, across, side, side, -1).swapaxes(1, 2).reshape(across * side, across * side, -1)
    Image.fromarray(sheet.squeeze()).save(a.output)


# --- measuring --------------------------------------------------------------------------------------------------------


def measure(a):
    torch.manual_seed(0)
    if a.threads:
        torch.set_num_threads(a.threads)
    game, step = {"points": points, "table": table, "dcgan": dcgan, "r3gan": r3gan}[a.game](a)

    def wait():
        if a.device.startswith("cuda"):
            torch.cuda.synchronize()

    times = []
    for i in range(a.warmup + a.steps):
        wait()
        start = time.perf_counter()
        step()
        wait()
        if i >= a.warmup:
            times.append(time.perf_counter() - start)
    median = statistics.median(times)
    count = lambda net: sum(p.numel() for p in net.parameters())
    print(
        json.dumps(
            {
                **{k: v for k, v in vars(a).items()},
                "g_parameters": count(game.g),
                "d_parameters": count(game.d),
                "step_ms": round(median * 1e3, 3),
                "step_ms_fastest": round(min(times) * 1e3, 3),
                "samples_per_sec": round(a.batch / median, 1),
                "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "torch": torch.__version__,
                "torch_threads": torch.get_num_threads(),
            }
        )
    )


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    games = parser.add_subparsers(dest="game", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--batch", type=int, default=64)
    common.add_argument("--steps", type=int, default=30, help="steps that are timed")
    common.add_argument("--warmup", type=int, default=5, help="steps before those")
    common.add_argument("--threads", type=int, default=0, help="0: PyTorch's own choice")
    common.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    common.add_argument("--compile", action="store_true", help="networks through torch.compile; needs a C++ compiler on a CPU")
    pictures = argparse.ArgumentParser(add_help=False)
    pictures.add_argument("--channels", type=int, default=3, help="1 grey, 3 RGB, 4 RGBA")
    pictures.add_argument("--base", type=int, default=4, help="height and width of the coarsest feature map")
    pictures.add_argument("--channels-last", action="store_true", help="PyTorch's other memory layout, often the faster one")
    numbers = lambda text: [int(n) for n in text.split(",")]

    p = games.add_parser("points", parents=[common], help="multi-layer perceptrons on eight Gaussians")
    p.add_argument("--latent", type=int, default=16)
    p.add_argument("--width", type=int, default=128)
    p.add_argument("--layers", type=int, default=3, help="hidden layers")
    p.add_argument("--gamma", type=float, default=0.2, help="relativistic loss with R1 and R2 of this weight; 0: the vanilla GAN")
    p.add_argument("--rate", type=float, default=1e-3)

    p = games.add_parser("table", parents=[common], help="the shape of CTGAN: rows with conditions, skips, batch norm, packed rows")
    p.set_defaults(batch=500)
    p.add_argument("--latent", type=int, default=128)
    p.add_argument("--width", type=int, default=256)
    p.add_argument("--layers", type=int, default=2, help="hidden layers")
    p.add_argument("--columns", type=int, default=156)
    p.add_argument("--conditions", type=int, default=104)
    p.add_argument("--pack", type=int, default=10, help="rows that the discriminator sees at once")
    p.add_argument("--penalty", type=float, default=0.0, help="Wasserstein loss with a gradient penalty of this weight; 0: non-saturating")
    p.add_argument("--rate", type=float, default=2e-4)

    p = games.add_parser("dcgan", parents=[common, pictures], help="strided convolutions and batch norm")
    p.add_argument("--latent", type=int, default=100)
    p.add_argument("--widths", type=numbers, default=[256, 128, 64], help="channels, coarsest first; each convolution doubles the size")

    p = games.add_parser("r3gan", parents=[common, pictures], help="norm-free residual networks, relativistic loss, R1 and R2")
    p.add_argument("--latent", type=int, default=64)
    p.add_argument("--widths", type=numbers, default=[96, 96, 64], help="channels per resolution, coarsest first; each further one doubles the size")
    p.add_argument("--blocks", type=int, default=1, help="residual blocks per resolution")
    p.add_argument("--expansion", type=int, default=2)
    p.add_argument("--group-width", type=int, default=16, help="channels in a group of the 3x3 convolution; 0: one group")
    p.add_argument("--classes", type=int, default=0, help="0: unconditional")
    p.add_argument("--embedding", type=int, default=64, help="length of a class embedding")
    p.add_argument("--filter", choices=["binomial", "box"], default="binomial")
    p.add_argument("--gamma", type=float, default=1.0, help="weight of R1 and R2; 0 leaves them out")
    p.add_argument("--rate", type=float, default=2e-4)
    p.add_argument("--weights", default="", help="draw with these weights instead of training; made where the file is missing")
    p.add_argument("--count", type=int, default=64, help="pictures to draw, with --weights")
    p.add_argument("--output", default="sheet.png", help="where the sheet goes, with --weights")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = arguments()
    sample(arguments) if getattr(arguments, "weights", "") else measure(arguments)
