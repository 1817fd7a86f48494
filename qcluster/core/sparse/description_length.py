"""Two scores of a mixture, in nats: its description length (Rissanen, 1978) and its evidence by Laplace's method."""

from functools import lru_cache
from math import lgamma, log

import numpy as np

from qcluster.core.arrays import Floats, read_only
from qcluster.core.sparse.model import Model, Rows


@lru_cache(maxsize=256)
def joining_costs(n_bits: int, shots: float) -> Floats:
    """Return the cost of one more string by its distance d to the nearest earlier one, ``(n_bits + 1,)`` nats.

    ``0.5 ln N + ln C(n, d) + ln n``: the weight, to the precision that N shots give it (Schwarz, 1978), the bits in
    which the string differs, and their number. The array is read-only.

    Example:
        >>> joining_costs(2, 100.0).round(2).tolist()
        [3.0, 3.69, 3.0]
    """
    n = n_bits
    log_binomials = np.array([lgamma(n + 1) - lgamma(d + 1) - lgamma(n - d + 1) for d in range(n + 1)])
    return read_only(0.5 * log(max(shots, 1.0)) + log_binomials + log(n))


def description_length(rows: Rows, model: Model) -> float:
    """Return the description length of the shots, including the strings and weights of the mixture; lower is better."""
    strings = rows.n_bits * log(2)
    if len(model.weights) > 1:
        strings += float(joining_costs(rows.n_bits, rows.shots)[model.nearest_heavier].sum())
    return strings - model.log_likelihood


def shortest_length(rows: Rows, k: int) -> float:
    """Return a lower bound on the description length of any mixture of k strings.

    The bound takes the observed frequencies as probabilities, and the cheapest distance for every string.
    """
    shots = rows.weights[rows.seen]
    likeliest = float(shots @ np.log(shots / rows.shots))
    return rows.n_bits * log(2) + (k - 1) * float(joining_costs(rows.n_bits, rows.shots).min()) - likeliest


def negative_log_evidence(rows: Rows, model: Model) -> float:
    """Return minus the log evidence of a mixture: weights integrated out by Laplace's method, rates as fitted.

    ``-ln L + ln(2^{nK} / K!) + 0.5 ln det(H / 2 pi) - ln K!``, where H is the curvature in the weights. The prior is
    flat over the weights, and over sets of K strings. Where the shots determine the weights, this is the description
    length. Under heavy noise they do not, and a further string costs less.
    """
    k = len(model.weights)
    slopes = ((model.likelihoods - np.float32(1)) / model.total).astype(np.float64, copy=False)
    curvature = (slopes * rows.weights) @ slopes.T + np.eye(k)
    volume = 0.5 * float(np.linalg.slogdet(curvature / (2 * np.pi))[1])
    return k * rows.n_bits * log(2) - 2 * lgamma(k + 1) + volume - model.log_likelihood
