"""Search for strings under heavy noise: EM over soft strings, from many starts at once.

Where most shots are flipped somewhere, the strings that were sent are not the frequent ones, and greedy growth gets
stuck. Here every bit of every string is a probability, many starts run together as one matrix product, and bits are
rounded at the end.
"""

import numpy as np

from qcluster.core.bits import Bits
from qcluster.core.growth import merged
from qcluster.core.likelihood import Floats, Model, Prior, Rows, fit
from qcluster.core.moves import relocate

_SIZES = (2, 3, 4, 5, 6, 8)
"""Numbers of strings started with; superfluous ones merge when bits are rounded."""
_PAIRS = 100_000
"""Most pairs of a soft string and an observed one held at once: more, and the search is left out."""
_FEW_ERRORS = np.array([0.01, 0.04, 0.93, 0.02])
"""Shares of the error regimes before the shots are seen: independent flips."""


def soft_search(
    rows: Rows, rate: float, prior: Prior, starts: int = 12, rounds: int = 60, kept: int = 3
) -> list[Model]:
    """Find mixtures of a few strings under heavy noise.

    Args:
        rows: the strings.
        rate: flips per bit expected.
        prior: belief about the rates.
        starts: starts for each number of strings.
        rounds: EM rounds of the soft strings.
        kept: starts whose result is rounded and refitted, the likeliest first.

    Returns:
        Distinct mixtures; none where there are too many observed strings for a quick search.
    """
    found: dict[bytes, Model] = {}
    for k in _SIZES:
        many = min(starts, _PAIRS // (k * len(rows.weights)))
        if many < 2:
            break
        strings, weights = _soften(rows, k, many, rounds, rate)
        for centroids, share in zip(strings[:kept], weights[:kept], strict=True):
            start = merged(centroids, share)
            odds = np.full((rows.n_bits, 2), rate / (1 - rate))
            model = fit(rows, Model(*start, odds, _FEW_ERRORS, 0.01), prior, 12)
            model = relocate(rows, model, prior, 6)
            key = np.unique(model.centroids, axis=0).tobytes()
            if key not in found or model.log_likelihood > found[key].log_likelihood:
                found[key] = model
    return list(found.values())


def _soften(rows: Rows, k: int, starts: int, rounds: int, rate: float) -> tuple[Bits, Floats]:
    """Run EM of k strings with bits in [rate, 1 - rate]; give rounded strings and weights, likeliest start first."""
    n, u = rows.n_bits, len(rows.weights)
    # Starts spread evenly over the cube, without chance: fractional parts of multiples of square roots.
    roots = np.sqrt(np.arange(2, 2 + n) + 0.5)
    spread = np.mod(np.arange(1, starts * k + 1)[:, None] * roots, 1.0).reshape(starts, k, n)
    ones, weights = rate + (1 - 2 * rate) * (0.25 + 0.5 * spread), np.full((starts, k), 1 / k)
    total = np.ones((starts, u), dtype=np.float32)
    for _ in range(rounds):
        slopes = np.log(ones / (1 - ones)).reshape(-1, n).astype(np.float32)
        joint = slopes @ rows.columns
        joint += (np.log1p(-ones).sum(axis=2) + np.log(weights) + rows.unit).reshape(-1, 1).astype(np.float32)
        np.exp(joint, out=joint)
        total = joint.reshape(starts, k, u).sum(axis=1)
        joint.reshape(starts, k, u)[...] *= (rows.shares / total)[:, None]
        mass = joint.sum(axis=1).reshape(starts, k).astype(np.float64)
        read = (joint @ rows.columns.T).reshape(starts, k, n).astype(np.float64)
        ones = np.clip((read + 5e-5) / (mass[:, :, None] + 1e-4), rate, 1 - rate)
        weights = np.maximum(mass, 1e-4)
        weights /= weights.sum(axis=1, keepdims=True)
    best = np.argsort(-(np.log(total) @ rows.shares), kind="stable")
    return ones[best] > 0.5, weights[best]
