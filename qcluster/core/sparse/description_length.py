"""Description length of strings and shots (Rissanen, 1978), and the Laplace evidence of a mixture; both in nats."""

from functools import lru_cache
from math import lgamma, log

import numpy as np

from qcluster.core.arrays import Floats, read_only
from qcluster.core.sparse.model import Model, Rows


@lru_cache(maxsize=64)
def _log_binomials(n: int) -> Floats:
    """ln C(n, d) for d = 0 to n, read-only."""
    return read_only(np.array([lgamma(n + 1) - lgamma(d + 1) - lgamma(n - d + 1) for d in range(n + 1)]))


@lru_cache(maxsize=256)
def joining_costs(n_bits: int, shots: float) -> Floats:
    """Give what one more string costs, by its distance d to the nearest earlier one, ``(n_bits + 1,)`` nats, read-only.

    ``0.5 ln N + ln C(n, d) + ln n``: a weight to the precision that N shots give it (Schwarz, 1978), the bits in which
    the string differs, and their number.

    Example:
        >>> joining_costs(2, 100.0).round(2).tolist()
        [3.0, 3.69, 3.0]
    """
    return read_only(0.5 * log(max(shots, 1.0)) + _log_binomials(n_bits) + log(n_bits))


def description_length(rows: Rows, model: Model) -> float:
    """Give the description length of the shots, strings and weights included: lower is better."""
    strings = rows.n_bits * log(2)
    if len(model.weights) > 1:
        strings += float(joining_costs(rows.n_bits, rows.shots)[model.apart].sum())
    return strings - model.log_likelihood


def shortest_length(rows: Rows, k: int) -> float:
    """Give what no mixture of k strings falls below: its probabilities the frequencies, its strings the cheapest."""
    shots = rows.weights[rows.seen]
    likeliest = float(shots @ np.log(shots / rows.shots))
    return rows.n_bits * log(2) + (k - 1) * float(joining_costs(rows.n_bits, rows.shots).min()) - likeliest


def negative_log_evidence(rows: Rows, model: Model) -> float:
    """Give minus the log evidence of a mixture, its weights integrated out (Laplace's method), its rates fitted.

    ``-ln L + ln(2^{nK} / K!) + 0.5 ln det(H / 2 pi) - ln K!``, H the curvature in the weights, with a flat prior over
    them and over sets of K strings. Where the shots fix the weights, this is the description length; under heavy
    noise they do not, and a further string costs less.
    """
    k = len(model.weights)
    slopes = ((model.likelihoods - np.float32(1)) / model.total).astype(np.float64, copy=False)
    curvature = (slopes * rows.weights) @ slopes.T + np.eye(k)
    volume = 0.5 * float(np.linalg.slogdet(curvature / (2 * np.pi))[1])
    return k * rows.n_bits * log(2) - 2 * lgamma(k + 1) + volume - model.log_likelihood
