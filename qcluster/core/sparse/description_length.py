"""What strings cost to name, and what of the shots they leave unexplained: scores of mixtures."""

from functools import lru_cache
from math import lgamma, log

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits
from qcluster.core.sparse.model import Model, Rows


@lru_cache(maxsize=64)
def choices(n: int) -> Floats:
    """Give ln C(n, d) for d = 0 to n, read-only."""
    found = np.array([lgamma(n + 1) - lgamma(d + 1) - lgamma(n - d + 1) for d in range(n + 1)], dtype=np.float64)
    found.flags.writeable = False
    return found


def naming_cost(centroids: Bits, shots: float) -> float:
    """Give the description length of centroids, in nats.

    The first costs n ln 2; each other names its distance to the nearest earlier one and the bits in which they differ,
    and brings one weight: ``0.5 ln N + ln C(n, d) + ln n``.

    Example:
        >>> round(naming_cost(np.array([[False, False], [True, True]]), 100.0) / log(2), 2)
        6.32
    """
    k, n = int(centroids.shape[0]), int(centroids.shape[1])
    if k == 1:
        return n * log(2)
    signs = 1 - 2 * centroids.astype(np.float32)
    alike = signs @ signs.T
    # The nearest earlier one is that of most equal signs: n less twice the distance.
    alike[np.triu_indices(k)] = -n
    nearest = np.rint((n - alike[1:].max(axis=1)) / 2).astype(int)
    return n * log(2) + float(choices(n)[nearest].sum()) + (k - 1) * (0.5 * log(max(shots, 1.0)) + log(n))


def score(rows: Rows, model: Model) -> float:
    """Give the description length of the shots: lower is better."""
    return naming_cost(model.centroids[np.argsort(-model.weights, kind="stable")], rows.shots) - model.log_likelihood


def evidence(rows: Rows, model: Model) -> float:
    """Give minus the log evidence of a mixture, its weights integrated out (Laplace), its rates fitted.

    ``-ln L + ln(2^{nK} / K!) + 0.5 ln det(H / 2 pi) - ln K!``, H the curvature in the weights, with a flat prior over
    them and over sets of K strings. Where the shots fix the weights, this is the description length; under heavy
    noise they do not, and a further string costs less.
    """
    assert model.kernel is not None
    assert model.total is not None
    k = len(model.weights)
    apart = ((model.kernel - np.float32(1)) / model.total).astype(np.float64)
    curvature = (apart * rows.weights) @ apart.T + np.eye(k)
    volume = 0.5 * float(np.linalg.slogdet(curvature / (2 * np.pi))[1])
    return k * rows.n_bits * log(2) - 2 * lgamma(k + 1) + volume - model.log_likelihood
