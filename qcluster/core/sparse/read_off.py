"""A few strings read off a deconvolution: its heaviest ones, weighed again under the same kernel, as few as do."""

from dataclasses import replace
from operator import attrgetter

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Words
from qcluster.core.noise.kernel import Kernel, learn_rates, prior_cost
from qcluster.core.sparse.under_kernel import Few, weigh_prefixes
from qcluster.core.sparse.weights import fit_weights

_MOST = 40
"""Heaviest strings that are looked at."""
SHORTER = (1, 2, 3, 4, 6, 8, 12)
"""Shorter lists of which rates are learned, too: rates that are off at some places look like strings else."""
_WEIGHING, _LEARNING, _WEIGHED = 64, 4, 4
"""Rounds of weighing strings, of learning rates with them, and of weighing in each of these. Strings that faults flip
nearly half of the time into each other are told apart slowly: 16 rounds leave them alike."""
_STRENGTH = 0.002
"""Weight of the calibration against the counts, in faults per shot."""
_SLACK = 0.01
"""Nats per shot that a shorter list may explain less: the kernel is not quite what the machine does."""
_GAP = 2.5
"""How many times smaller the first weight left out of a shorter list must be than the last one kept."""
_TINY = 1e-300


def read_off(kernel: Kernel, ideal: Floats, scale: float, counts: Floats, words: Words | None = None) -> Few:
    """Read strings off a deconvolution, and describe the counts by as few of them as explain these best.

    The heaviest strings are weighed, 1 to 40 of them, by expectation maximisation beside a uniform share, and the
    number is taken that describes the shots best: each further string costs its weight and its distance to the nearest
    heavier one. For this list, and for shorter ones, the rates of the places are learned, held by the calibration. Of
    those that then describe the shots best, or nearly and end at a visible step in weight, the shortest list is kept.

    Args:
        kernel: of the calibration.
        ideal: ``(2^m,)`` a deconvolution under it.
        scale: multiple of its noise that this undid.
        counts: ``(2^m,)`` shots.
        words: ``(2^m, n_words)`` the string that each number means; None where the number is the string.
    """
    rows, sent = np.flatnonzero(counts), np.argsort(-ideal, kind="stable")[:_MOST]
    if words is not None:  # a number that was not read means no string
        sent = sent[counts[sent] > 0]
    meant, flat = sent.astype(np.uint64)[:, None] if words is None else words[sent], np.ones(len(sent))
    scaled = kernel.scaled(scale)
    weighed = weigh_prefixes(scaled, sent, meant, rows, counts[rows], flat, None, _WEIGHING, scale=scale)
    longest = max(weighed, key=attrgetter("explained"))
    shorter = [few for few in weighed if len(few.weights) < len(longest.weights) and len(few.weights) in SHORTER]
    fits = [_learned(few, counts) for few in [*shorter, longest]]
    shortest = max(fits, key=attrgetter("explained"))
    weights = shortest.weights
    nearly = [
        few
        for few in fits
        if len(few.weights) < len(weights)
        and few.explained >= shortest.explained - _SLACK
        and weights[len(few.weights) - 1] >= _GAP * weights[len(few.weights)]
    ]
    return nearly[0] if nearly else shortest  # from the shortest list on


def _learned(few: Few, counts: Floats) -> Few:
    """Learn the rates of the places with the strings, by turns."""
    prior, rows, shots = few.kernel, np.flatnonzero(counts), float(counts.sum())
    likelihood = 0.0
    for _ in range(_LEARNING):
        kernel = learn_rates(few.kernel, prior, counts, few.ideal, strength=_STRENGTH * shots)
        columns = kernel.columns(few.strings, rows).T * kernel.size
        weights, background, total = fit_weights(
            columns, counts[rows] / shots, few.shares[None, :-1], few.shares[-1:], _WEIGHED
        )
        likelihood = float(counts[rows] @ np.log(np.maximum(total[0], _TINY)))
        few = replace(few, weights=weights[0] / max(weights.sum(), _TINY), uniform=float(background[0]), kernel=kernel)
    net = likelihood - few.length - prior_cost(few.kernel, prior, _STRENGTH * shots)
    return replace(few, explained=net / shots).sorted()
