"""HAMMER: strings with weighty neighbourhoods are believed more (ASPLOS'22)."""

from typing import Any

import numpy as np

from qcluster.baselines.radial import distance_blocks
from qcluster.core.distribution import Distribution, Floats


def hammer(counts: Any) -> Distribution:
    """Reweigh each string by the probability found near it in Hamming distance.

    With h the observed probabilities and ``L = floor(n / 2)``::

        CHS[d]   = sum over ordered pairs (x, y) with d(x, y) = d < L of h(y)
        score(x) = h(x) + sum over y with d(x, y) < L and h(y) < h(x) of h(y) / CHS[d(x, y)]
        result   ~ score(x) h(x)

    Source: Tannu et al., "HAMMER: boosting fidelity of noisy quantum circuits by exploiting Hamming behavior
    of erroneous outcomes", ASPLOS 2022. It needs no calibration and has no parameter. Equal probabilities do
    not support each other. Cost: ``n_outcomes^2`` distances in blocks; 100,000 strings take about half a minute.

    Args:
        counts: anything that `Distribution.of` takes.

    Returns:
        A distribution of the same shots on the same strings.

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
    support, strength = _neighbourhoods(observed.words[order], share, observed.n_bits // 2)
    weight = np.divide(1.0, strength, out=np.zeros_like(strength), where=strength > 0)
    score = share + support @ weight
    fixed = score * share
    return Distribution(observed.bits[order], fixed * (observed.shots / fixed.sum()))


def _neighbourhoods(words: np.ndarray, share: Floats, reach: int) -> tuple[Floats, Floats]:
    """Sum the shares at each distance, for rows sorted by falling share.

    Rows of one share are handled together: each pair of different shares is met once, and pairs of equal
    shares need no more than a histogram of their distances.

    Returns:
        ``(n_outcomes, reach)``, the share of strictly lighter strings; ``(reach,)``, CHS.
    """
    n_rows, width = len(words), 64 * words.shape[1] + 1
    support = np.zeros((n_rows, reach))
    strength = np.zeros(width)
    starts = np.flatnonzero(np.r_[True, share[1:] < share[:-1]])
    for start, stop in zip(starts, np.r_[starts[1:], n_rows], strict=True):
        level = words[start:stop]
        for _, distances in distance_blocks(level, level):
            strength += share[start] * np.bincount(distances.ravel(), minlength=width)
        for rows, distances in distance_blocks(level, words[stop:]):
            slots = distances + width * np.arange(len(distances))[:, None]
            lighter = np.broadcast_to(share[stop:], distances.shape)
            near = np.bincount(slots.ravel(), lighter.ravel(), width * len(distances)).reshape(-1, width)
            support[start:stop][rows] = near[:, :reach]
            strength += near.sum(axis=0) + share[start] * np.bincount(distances.ravel(), minlength=width)
    return support, strength[:reach]
