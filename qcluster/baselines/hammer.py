"""HAMMER: strings with many shots nearby gain weight (ASPLOS'22)."""

from typing import Any

import numpy as np

from qcluster.baselines.door import enter
from qcluster.baselines.radial import WALSH_BITS, distance_blocks
from qcluster.core.arithmetic import default_errstate
from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Words
from qcluster.core.counts.distribution import Distribution
from qcluster.core.stats.walsh import walsh

_ROWS = 512
"""Strings compared with each other, and with all later ones, at once."""


@default_errstate
def hammer(counts: Any) -> Distribution:
    """Reweigh each string by the probability found near it in Hamming distance.

    With h the observed probabilities and ``L = floor(n / 2)``::

        CHS[d]   = sum over ordered pairs (x, y) with d(x, y) = d < L of h(y)
        score(x) = h(x) + sum over y with d(x, y) < L and h(y) < h(x) of h(y) / CHS[d(x, y)]
        result   ~ score(x) h(x)

    Source: Tannu et al., "HAMMER: boosting fidelity of noisy quantum circuits by exploiting Hamming behavior
    of erroneous outcomes", ASPLOS 2022. It needs no calibration and has no parameters. Strings of equal probability do
    not support each other. Cost: ``n_outcomes^2`` distances in blocks; 100,000 strings take about half a minute.

    Args:
        counts: anything that `Distribution.of` takes.

    Returns:
        A distribution with the same number of shots, on the same strings.

    Example:
        >>> fixed = hammer({"00000": 60, "00001": 20, "11111": 20})
        >>> {text: round(p, 3) for text, p in fixed.to_probs().items()}
        {'00000': 0.864, '00001': 0.068, '11111': 0.068}
    """
    observed = Distribution.of(counts)
    if not observed.n_outcomes:
        return observed
    order = np.argsort(-observed.weights, kind="stable")
    share = observed.probabilities[order]
    support, strength = _neighbourhoods(observed.words[order], share, observed.n_bits)
    weight = np.divide(1.0, strength, out=np.zeros_like(strength), where=strength > 0)
    score = share + support @ weight
    fixed = score * share
    return Distribution(observed.bits[order], fixed * (observed.shots / fixed.sum()))


def _neighbourhoods(words: Words, share: Floats, n_bits: int) -> tuple[Floats, Floats]:
    """Sum the shares at each distance, for rows sorted by falling share.

    Rows of equal share are handled together: each pair with different shares is visited once, and for pairs with
    equal shares a histogram of their distances suffices.

    Returns:
        ``(n_outcomes, n_bits // 2)``, the total share of strings with strictly smaller shares; ``(n_bits // 2,)``, CHS.
    """
    n_rows, reach, width = len(words), n_bits // 2, 64 * words.shape[1] + 1
    support = np.zeros((n_rows, reach))
    strength = np.zeros(width)
    starts = np.flatnonzero(np.r_[True, share[1:] < share[:-1]])
    for start, stop in zip(starts, np.r_[starts[1:], n_rows], strict=True):
        level = words[start:stop]
        strength += share[start] * _pairs(level, n_bits, width)
        for rows, distances in distance_blocks(level, words[stop:]):
            slots = distances + width * np.arange(len(distances))[:, None]
            lighter = np.broadcast_to(share[stop:], distances.shape)
            near = np.bincount(slots.ravel(), lighter.ravel(), width * len(distances)).reshape(-1, width)
            support[start:stop][rows] = near[:, :reach]
            strength += near.sum(axis=0) + share[start] * np.bincount(distances.ravel(), minlength=width)
    return support, strength[:reach]


def _pairs(words: Words, n_bits: int, width: int) -> Floats:
    """Count ordered pairs of strings by distance, ``(width,)``, including each string with itself.

    Many short strings are counted by the autocorrelation of the set, with two Walsh-Hadamard transforms; otherwise each
    pair is visited once.
    """
    if n_bits <= WALSH_BITS and n_bits << (n_bits + 1) < len(words) ** 2:
        indicator = np.zeros(1 << n_bits)
        indicator[words[:, 0].astype(np.intp)] = 1
        n_pairs = np.rint(walsh(walsh(indicator, np.float64) ** 2, np.float64) / len(indicator))
        return np.bincount(np.bitwise_count(np.arange(len(indicator))), n_pairs, width).astype(np.float64)
    total = np.zeros(width)
    for start in range(0, len(words), _ROWS):
        chunk = words[start : start + _ROWS]
        for _, distances in distance_blocks(chunk, chunk):
            total += np.bincount(distances.ravel(), minlength=width)
        for _, distances in distance_blocks(chunk, words[start + _ROWS :]):
            total += 2 * np.bincount(distances.ravel(), minlength=width)
    return total


def _answer(counts: Distribution, rates: Any) -> Distribution:
    return hammer(counts)


enter(
    "hammer",
    "HAMMER: strings with many shots nearby gain weight (ASPLOS'22).",
    _answer,
)
