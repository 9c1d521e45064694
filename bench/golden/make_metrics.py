#!/usr/bin/env python3
"""Golden values for the metrics on feature vectors, from the reference implementations.

    pip install numpy scipy scikit-learn prdc pytorch-fid pot      # pytorch-fid brings PyTorch
    python3 bench/golden/make_metrics.py

writes `crates/ganymede/tests/golden/metrics.json` anew: the feature vectors, as 32-bit floats, and

- frechet: `pytorch_fid.fid_score.calculate_frechet_distance` with numpy's means and covariances;
- kernel: the unbiased estimate from `sklearn.metrics.pairwise.polynomial_kernel` (degree 3, gamma 1 / dim, coef0 1);
- prdc: `prdc.compute_prdc`;
- nearest: scikit-learn's `KNeighborsClassifier(1)` in `cross_val_score` with `LeaveOneOut`;
- sliced: `ot.sliced_wasserstein_distance` of order 2 along the directions that are written too;
- auc: `sklearn.metrics.roc_auc_score`, its standard error by DeLong's components written out;
- c2st: `sklearn.linear_model.LogisticRegression` on standardised features, sample i in fold i % 5, mean of the folds' `roc_auc_score`;
- memorisation: `scipy.stats.mannwhitneyu` on distances to the nearest training sample;
- modes: `scipy.stats.entropy` of the generated frequencies against the real ones.
"""

import json
from pathlib import Path

import numpy as np
import ot
import prdc
from pytorch_fid.fid_score import calculate_frechet_distance
from scipy.spatial.distance import cdist
from scipy.stats import entropy, mannwhitneyu, norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

OUT = Path(__file__).resolve().parents[2] / "crates" / "ganymede" / "tests" / "golden" / "metrics.json"
FOLDS = 5


def features(rng, n, mixing, shift):
    """Correlated, skewed vectors, rounded so that their decimal digits are the 32-bit floats."""
    mixed = rng.standard_normal((n, len(mixing))) @ mixing * 0.7
    values = (mixed + 0.2 * mixed**2 + shift).astype(np.float32)
    return values.round(4).astype(np.float32)


def unbiased_mmd(x, y):
    xx, yy, xy = (polynomial_kernel(a, b, degree=3, coef0=1) for a, b in [(x, x), (y, y), (x, y)])
    n, m = len(x), len(y)
    return (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean()


def delong(positives, negatives):
    """The standard error from its components, each a mean over pairs."""
    wins = (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)
    return np.sqrt(wins.mean(1).var(ddof=1) / len(positives) + wins.mean(0).var(ddof=1) / len(negatives))


def two_sample_test(real, generated):
    values, errors = [], []
    fold = lambda n: np.arange(n) % FOLDS
    for k in range(FOLDS):
        train = np.concatenate([real[fold(len(real)) != k], generated[fold(len(generated)) != k]])
        labels = np.concatenate([np.ones((fold(len(real)) != k).sum()), np.zeros((fold(len(generated)) != k).sum())])
        scaler = StandardScaler().fit(train)
        model = LogisticRegression(C=1.0, tol=1e-13, max_iter=10_000, solver="newton-cholesky").fit(scaler.transform(train), labels)
        scores = [model.decision_function(scaler.transform(part[fold(len(part)) == k])) for part in (real, generated)]
        truth = np.concatenate([np.ones(len(scores[0])), np.zeros(len(scores[1]))])
        values.append(roc_auc_score(truth, np.concatenate(scores)))
        errors.append(delong(*scores))
    return {"value": np.mean(values), "standard_error": np.sqrt(np.sum(np.square(errors))) / FOLDS}


def nearest_neighbour(real, generated):
    both = np.concatenate([real, generated])
    kinds = np.repeat([0, 1], [len(real), len(generated)])
    return float(cross_val_score(KNeighborsClassifier(1), both, kinds, cv=LeaveOneOut()).mean())


def memorisation(training, held_out, generated):
    nearest = lambda part: cdist(part, training).min(1)
    own, other = nearest(generated), nearest(held_out)
    test = mannwhitneyu(other, own, method="asymptotic", use_continuity=False)
    nearer = test.statistic / (len(own) * len(other))
    return {"nearer": nearer, "z": np.sign(nearer - 0.5) * norm.isf(test.pvalue / 2)}


def case(seed, n, m, dim, shift, k):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((dim, dim))
    real, generated, held_out = (features(rng, count, mixing, by) for count, by in [(n, 0.0), (m, shift), (n // 2, 0.05)])
    r, g, h = (part.astype(np.float64) for part in (real, generated, held_out))
    directions = rng.standard_normal((20, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    scores = [rng.integers(0, 12, 30).astype(float), rng.integers(0, 10, 25).astype(float)]
    truth = np.concatenate([np.ones(30), np.zeros(25)])
    counts = [rng.integers(1, 50, 12), rng.integers(0, 20, 12)]
    flat = lambda values: [float(f"{v:.9g}") for v in np.asarray(values).ravel()]
    moments = [np.atleast_1d(s) for part in (r, g) for s in (part.mean(0), np.atleast_2d(np.cov(part, rowvar=False)))]
    return {
        "dim": dim,
        "k": k,
        "real": flat(real),
        "generated": flat(generated),
        "held_out": flat(held_out),
        "directions": [float(v) for v in directions.ravel()],
        "positives": flat(scores[0]),
        "negatives": flat(scores[1]),
        "real_counts": counts[0].tolist(),
        "generated_counts": counts[1].tolist(),
        "frechet": float(calculate_frechet_distance(*moments)),
        "kernel": float(unbiased_mmd(r, g)),
        "nearest": nearest_neighbour(r, g),
        "prdc": {name: float(value) for name, value in prdc.compute_prdc(r, g, k).items()},
        "sliced": float(ot.sliced_wasserstein_distance(r, g, projections=directions.T, p=2)),
        "auc": {"value": float(roc_auc_score(truth, np.concatenate(scores))), "standard_error": float(delong(*scores))},
        "c2st": {name: float(value) for name, value in two_sample_test(r, g).items()},
        "memorisation": {name: float(value) for name, value in memorisation(r, h, g).items()},
        "modes": {"found": int((counts[1] > 0).sum()), "divergence": float(entropy(counts[1], counts[0]))},
    }


cases = [case(1, 80, 80, 4, 0.3, 5), case(2, 90, 61, 7, 0.0, 3), case(3, 60, 75, 2, 1.0, 5)]
OUT.write_text(json.dumps({"cases": cases}) + "\n")
