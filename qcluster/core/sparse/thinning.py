"""Large counts: strings are searched on a thinned sample of the shots, and weighed on all of them."""

from dataclasses import replace

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits
from qcluster.core.sparse.backward_elimination import reweigh
from qcluster.core.sparse.model import Model, Rows, likelihoods_of

_CHUNK = 1 << 14
"""Strings whose bits are held as floats at once."""


def thinned(bits: Bits, weights: Floats, most: int) -> tuple[Bits, Floats]:
    """Take every m-th shot, m the smallest power of two at which at most so many strings are left.

    Shots are counted through in the order of the rows, so that a string of W shots keeps W / m of them, give or take
    one: what is left is a smaller run of the same circuit, without chance.

    Args:
        bits: ``(u, n) bool`` distinct strings.
        weights: ``(u,)`` their shots.
        most: how many strings a search may take.

    Returns:
        Strings and weights; those given where they are few enough, or where weights are no shots.

    Example:
        >>> strings = np.array([[False, False], [False, True], [True, False], [True, True]])
        >>> thinned(strings, np.array([6.0, 1.0, 1.0, 8.0]), 2)[1]
        array([2., 2.])
    """
    counted, step, left = np.cumsum(weights), 1.0, weights
    while np.count_nonzero(left) > most:
        step *= 2
        left = np.diff(np.floor(counted / step + 0.5), prepend=0.0)
    kept = left > 0
    return (bits, weights) if step == 1 or 4 * kept.sum() < most else (bits[kept], left[kept])


def on_all_strings(bits: Bits, weights: Floats, model: Model, rounds: int) -> Model:
    """Judge a mixture on all strings, in the order given, its channel kept and its weights fitted.

    Args:
        bits: ``(u, n) bool``.
        weights: ``(u,)`` their shots.
        model: what was found on some of them.
        rounds: EM rounds over weights and background.

    Returns:
        The mixture. Cost: one pass over all pairs of centroid and string; ``4 k u`` bytes.
    """
    columns = np.empty((len(model.weights), len(weights)), np.float32)
    for start in range(0, len(weights), _CHUNK):
        part = Rows(bits[start : start + _CHUNK], weights[start : start + _CHUNK])
        columns[:, start : start + _CHUNK] = likelihoods_of(part, model)
    return reweigh(Rows(bits, weights), replace(model, likelihoods=columns), rounds)
