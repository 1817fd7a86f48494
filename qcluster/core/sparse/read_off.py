"""A few strings read off a deconvolution: its heaviest ones, weighed again under the same kernel, as few as do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import Words
from qcluster.core.dense.richardson_lucy import Deconvolved
from qcluster.core.noise.kernel import Kernel, learn_rates, prior_cost
from qcluster.core.sparse.description_length import string_costs
from qcluster.core.sparse.under_kernel import reweight

PREFIXES = (*range(1, 13), 14, 16, 20, 24, 32, 40)
"""How many of the heaviest strings are tried."""
SHORTER = (1, 2, 3, 4, 6, 8, 12)
"""Shorter lists of which rates are learned, too: rates that are off at some places look like strings else."""
_WEIGHING, _LEARNING = 16, 4
"""Rounds of weighing strings, and of learning rates with them."""
_STRENGTH = 0.002
"""Weight of the calibration against the counts, in faults per shot."""
_SLACK = 0.01
"""Nats per shot that a shorter list may explain less: the kernel is not quite what the machine does."""
_GAP = 2.5
"""How many times smaller the first weight left out of a shorter list must be than the last one kept."""
_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Few:
    """A few strings that explain counts through a kernel."""

    strings: Indices
    """``(k,)`` numbers, heaviest first."""
    weights: Floats
    """``(k,)`` shares that sum to 1."""
    uniform: float
    """Share of the shots that is uniform noise."""
    kernel: Kernel
    """With rates learned from the counts."""
    scale: float
    """Multiple of the calibration that they were learned from."""
    explained: float
    """Log-likelihood of a shot above uniform noise, less what strings and learned rates cost, in nats."""


def read_off(
    kernel: Kernel, found: Deconvolved, places: Sequence[int], counts: Floats, words: Words | None = None
) -> Few:
    """Read strings off deconvolutions, and describe the counts by as few of them as explain these best.

    For every scale the heaviest strings are weighed, 1 to 40 of them, by expectation maximisation beside a uniform
    share, and the scale and number are taken that describe the shots best: each further string costs its weight and
    its distance to the nearest heavier one. For this list, and for shorter ones, the rates of the places are learned,
    held by the calibration. Of those that then describe the shots best, or nearly and end at a visible step in weight,
    the shortest list is kept.

    Args:
        kernel: of the calibration.
        found: deconvolutions under it.
        places: of the scales to look at.
        counts: ``(2^m,)`` shots.
        words: ``(2^m, n_words)`` the string that each number means; None where the number is the string.
    """
    rows = np.flatnonzero(counts)
    shots = float(counts.sum())
    best = -np.inf
    for place in sorted(set(places)):
        sent = np.argsort(-found.ideals[place], kind="stable")[: PREFIXES[-1]]
        scaled = kernel.scaled(float(found.kernels.scales[place]))
        weighed, explained = _weigh_prefixes(columns(scaled, sent, rows), counts[rows])
        names = sent.astype(np.uint64)[:, None] if words is None else words[sent]
        costs = _costs(names, kernel.index.n_bits, shots)
        net = explained - costs[np.array(_prefixes(len(sent))) - 1]
        if net.max() > best:
            best, top, shares, lengths = float(net.max()), sent, weighed, costs
            longest, prior, scale = int(np.argmax(net)), scaled, float(found.kernels.scales[place])
    many = _prefixes(len(top))
    lists = [number for number, k in enumerate(many[:longest]) if k in SHORTER] + [longest]
    fits = [
        _learned(prior, scale, counts, top[: many[number]], shares[number], lengths[many[number] - 1])
        for number in lists
    ]
    shortest = max(fits, key=lambda one: one.explained)
    weights = shortest.weights
    nearly = [
        one
        for one in fits
        if len(one.weights) < len(weights)
        and one.explained >= shortest.explained - _SLACK
        and weights[len(one.weights) - 1] >= _GAP * weights[len(one.weights)]
    ]
    return min(nearly, key=lambda one: len(one.weights)) if nearly else shortest


def _prefixes(most: int) -> list[int]:
    return [many for many in PREFIXES if many <= most]


def columns(kernel: Kernel, sent: Indices, rows: Indices) -> Floats:
    """Give ``P(y | c)`` for strings y that were read and strings c that were sent, ``(n_rows, 1 + k)``.

    Args:
        sent: ``(k,)`` numbers.
        rows: ``(n_rows,)`` numbers.

    Returns:
        The probabilities; the first column is that of uniform noise.
    """
    return np.hstack([np.full((len(rows), 1), 1.0 / kernel.size), kernel.columns(sent, rows)])


def _weigh_prefixes(seen: Floats, shots: Floats) -> tuple[list[Floats], Floats]:
    """Weigh every prefix of the strings, the uniform share first; give the shares and the nats above uniform noise."""
    many = _prefixes(seen.shape[1] - 1)
    light = seen.astype(np.float32)
    weights = np.zeros((seen.shape[1], len(many)), np.float32)
    for number, k in enumerate(many):
        weights[: k + 1, number] = 1 / (k + 1)
    part = (shots / shots.sum()).astype(np.float32)[:, None]
    for _ in range(_WEIGHING):
        weights = weights * (light.T @ (part / np.maximum(light @ weights, 1e-30)))
    weights /= weights.sum(axis=0)
    mixed = np.maximum(seen @ weights, _TINY) / seen[0, 0]
    return [weights[: k + 1, number].astype(np.float64) for number, k in enumerate(many)], shots @ np.log(mixed)


def _costs(words: Words, n: int, shots: float) -> Floats:
    """Description length of the first 1, 2, ... strings, in nats; the first is free, since every list has one."""
    costs = string_costs(words, n, shots)
    costs[0] = 0.0
    return np.cumsum(costs)


def _learned(prior: Kernel, scale: float, counts: Floats, strings: Indices, shares: Floats, length: float) -> Few:
    """Learn the rates of the places with the strings, by turns."""
    current, rows, shots = prior, np.flatnonzero(counts), float(counts.sum())
    likelihood = 0.0
    for _ in range(_LEARNING):
        ideal = np.full(prior.size, shares[0] / prior.size)
        np.add.at(ideal, strings, shares[1:])
        current = learn_rates(current, prior, counts, ideal, strength=_STRENGTH * shots)
        seen = columns(current, strings, rows)
        shares, likelihood = reweight(seen, counts[rows], shares, 4)
    order = np.argsort(-shares[1:], kind="stable")
    weights = shares[1:][order]
    net = likelihood + shots * np.log(prior.size) - length - prior_cost(current, prior, _STRENGTH * shots)
    return Few(strings[order], weights / max(weights.sum(), _TINY), float(shares[0]), current, scale, net / shots)
