"""Search for strings under heavy noise: EM over soft strings, from many starts at once.

Where most shots are flipped somewhere, the strings that were sent are not the frequent ones, and greedy growth gets
stuck. Here every bit of every string is a probability, many starts run together as one matrix product, and bits are
rounded at the end.
"""

import numpy as np

from qcluster.core.bits import Bits
from qcluster.core.growth import merged, naming_cost
from qcluster.core.likelihood import Floats, Model, Prior, Rows, fit
from qcluster.core.moves import relocate

_SIZES = (2, 3, 4, 5, 6, 8)
"""Numbers of strings started with; superfluous ones merge when bits are rounded."""
_PAIRS = 100_000
"""Most pairs of a soft string and an observed one held at once: more, and the search is left out."""
_FILL = 4.0
"""Fewest shots a string, on average over all strings, for a search: fewer cannot tell one rate from many."""
_FEW_ERRORS = np.array([0.01, 0.04, 0.93, 0.02])
"""Shares of the error regimes before the shots are seen: independent flips."""


def soft_search(
    rows: Rows, rate: float, prior: Prior, starts: int = 12, rounds: int = 60, kept: int = 6
) -> list[Model]:
    """Find mixtures of a few strings under heavy noise.

    Args:
        rows: the strings.
        rate: flips per bit expected.
        prior: belief about the rates.
        starts: starts for each number of strings.
        rounds: EM rounds of the soft strings.
        kept: results that are rounded and refitted, those of least description length first.

    Returns:
        Distinct mixtures; none where the shots fill too few strings, or the strings are too many for a quick search.
    """
    if rows.shots < _FILL * min(2.0**rows.n_bits, rows.shots):
        return []
    found: dict[bytes, tuple[float, Bits, Floats]] = {}
    for k in _SIZES:
        many = min(starts, _PAIRS // (k * len(rows.weights)))
        if many < 2:
            break
        for strings, weights, level in zip(*_soften(rows, k, many, rounds, rate), strict=True):
            centroids, share = merged(strings, weights)
            length = naming_cost(centroids[np.argsort(-share, kind="stable")], rows.shots) - level
            key = centroids.tobytes()
            if key not in found or length < found[key][0]:
                found[key] = (length, centroids, share)
    models = []
    for _, centroids, share in sorted(found.values(), key=lambda entry: entry[0])[:kept]:
        odds = np.full((rows.n_bits, 2), rate / (1 - rate))
        model = fit(rows, Model(centroids, share, odds, _FEW_ERRORS, 0.01), prior, 12)
        models.append(relocate(rows, model, prior, 6))
    return models


def _soften(rows: Rows, k: int, starts: int, rounds: int, rate: float) -> tuple[Bits, Floats, Floats]:
    """Run EM of k strings with bits in [rate, 1 - rate]; give each start rounded, with weights and log-likelihood."""
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
    level = (np.log(total) @ rows.shares).astype(np.float64) - rows.unit
    return ones > 0.5, weights, level * rows.shots
