"""Reduce a deconvolution to a few strings: its heaviest ones, reweighed under the same kernel, as few as suffice."""

from dataclasses import replace
from operator import attrgetter

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Words
from qcluster.core.noise.kernel import Kernel, learn_rates, prior_cost
from qcluster.core.sparse.under_kernel import FewStrings, weigh_prefixes
from qcluster.core.sparse.weights import fit_weights

_MOST = 40
"""Most strings considered, the heaviest ones."""
SHORTER = (1, 2, 3, 4, 6, 8, 12)
"""Lengths of the shorter lists for which fault rates are learned, too: otherwise wrong rates could pass for strings."""
_WEIGHT_ROUNDS, _RATE_ROUNDS, _INNER_ROUNDS = 64, 4, 4
"""EM rounds: over the weights of strings; over fault rates; and over the weights in each round of these. If faults turn
two strings into each other in nearly half of the shots, EM separates them slowly: after 16 rounds they weigh alike."""
_STRENGTH = 0.002
"""Weight of the calibration against the counts, in faults per shot."""
_SLACK = 0.01
"""Nats per shot that a shorter list may explain less than the best: the kernel is only a model of the machine."""
_GAP = 2.5
"""Least ratio of the last weight that a shorter list keeps to the first that it leaves out."""
_TINY = 1e-300


def few_strings(kernel: Kernel, ideal: Floats, counts: Floats, words: Words | None = None) -> FewStrings:
    """Describe counts by as few of the heaviest strings of a deconvolution as explain them best.

    The 1 to 40 heaviest strings are weighed by EM beside a uniform share, and the list that describes the shots best is
    chosen: each further string costs its weight and its distance to the nearest heavier one. For this list and for some
    shorter ones the fault rates are then learned, with the calibration as prior. The list that now describes the shots
    best is returned; or the shortest one that does so nearly as well and ends at a clear step in weight.

    The kernel is that of the calibration, at the multiple of its noise that the deconvolution ``(2^m,)`` assumed. From
    ``(2^m,)`` shots, and ``(2^m, n_words)`` the string of each index, None if the index is the string.
    """
    rows, sent = np.flatnonzero(counts), np.argsort(-ideal, kind="stable")[:_MOST]
    if words is not None:  # the string of an index that was not read is not known
        sent = sent[counts[sent] > 0]
    sent_words, even = sent.astype(np.uint64)[:, None] if words is None else words[sent], np.ones(len(sent))
    weighed = weigh_prefixes(kernel, sent, sent_words, rows, counts[rows], even, None, _WEIGHT_ROUNDS)
    longest = max(weighed, key=attrgetter("net_log_likelihood"))
    shorter = [few for few in weighed if len(few.weights) < len(longest.weights) and len(few.weights) in SHORTER]
    fits = [_learn_rates(few, counts) for few in [*shorter, longest]]
    best = max(fits, key=attrgetter("net_log_likelihood"))
    weights = best.weights
    nearly = [
        few
        for few in fits
        if len(few.weights) < len(weights)
        and few.net_log_likelihood >= best.net_log_likelihood - _SLACK
        and weights[len(few.weights) - 1] >= _GAP * weights[len(few.weights)]
    ]
    return nearly[0] if nearly else best  # fits are in order of length, the shortest first


def _learn_rates(few: FewStrings, counts: Floats) -> FewStrings:
    """Learn fault rates and weights of the strings by turns."""
    prior, rows, shots = few.kernel, np.flatnonzero(counts), float(counts.sum())
    for _ in range(_RATE_ROUNDS):
        kernel = learn_rates(few.kernel, prior, counts, few.ideal, strength=_STRENGTH * shots)
        columns = kernel.columns(few.strings, rows).T * kernel.size
        weights, background, total = fit_weights(
            columns, counts[rows] / shots, few.shares[None, :-1], few.shares[-1:], _INNER_ROUNDS
        )
        few = replace(few, weights=weights[0] / max(weights.sum(), _TINY), uniform=float(background[0]), kernel=kernel)
    likelihood = float(counts[rows] @ np.log(np.maximum(total[0], _TINY)))
    net = likelihood - few.length - prior_cost(few.kernel, prior, _STRENGTH * shots)
    return replace(few, net_log_likelihood=net / shots).sorted()
