"""Large counts: the search for strings uses a thinned sample of the shots, the final weights use all of them."""

from dataclasses import replace

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits
from qcluster.core.sparse.backward_elimination import reweigh
from qcluster.core.sparse.model import Model, Rows, likelihoods_of

_CHUNK = 1 << 14
"""Strings whose bits are stored as floats at the same time."""


def thinned(bits: Bits, weights: Floats, most: int) -> tuple[Bits, Floats]:
    """Keep every m-th shot, where m is the smallest power of two that leaves at most `most` strings.

    Shots are numbered in the order of the rows, so that a string with W shots keeps W / m of them, to within one. The
    result is like a run of the same circuit with fewer shots, and involves no chance. Counts come back as they are if
    there are few enough strings, or if the weights are not numbers of shots.

    Example:
        >>> strings = np.array([[False, False], [False, True], [True, False], [True, True]])
        >>> thinned(strings, np.array([6.0, 1.0, 1.0, 8.0]), 2)[1]
        array([2., 2.])
    """
    cumulative, step, left = np.cumsum(weights), 1.0, weights
    while np.count_nonzero(left) > most:
        step *= 2
        left = np.diff(np.floor(cumulative / step + 0.5), prepend=0.0)
    kept = left > 0
    return (bits, weights) if step == 1 or 4 * kept.sum() < most else (bits[kept], left[kept])


def on_all_strings(bits: Bits, weights: Floats, model: Model, rounds: int) -> Model:
    """Refit the weights of a mixture, fitted to some of the strings, on all strings, with its channel fixed.

    With no rounds of EM, only the likelihood is computed. P(y) is in the order of `bits`. Cost: one pass over all pairs
    of centroid and string, and ``4 k u`` bytes, twice as many beyond 100 bits.
    """
    rows = Rows(bits, weights)
    likelihood = np.empty((len(model.weights), len(weights)), rows.dtype)
    for start in range(0, len(weights), _CHUNK):
        part = Rows(bits[start : start + _CHUNK], weights[start : start + _CHUNK])
        likelihood[:, start : start + _CHUNK] = likelihoods_of(part, model)
    return reweigh(rows, replace(model, likelihoods=likelihood), rounds)
