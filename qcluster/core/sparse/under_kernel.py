"""A few strings seen through a circuit's noise kernel: the sparse mixture for structured outputs.

``P(y) = b 2^-m + (1 - b) sum_k w_k E(y xor c_k)`` on the observed strings, E the kernel of the compiled circuit with
rates learned from the counts and held by the calibration. Strings are added one at a time, as long as each is worth
naming (a description length), and starts at several scales of the calibration keep the rates from explaining with noise
what is a string of its own, and the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass

import attrs
import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import Words
from qcluster.core.noise.kernel import Kernel, learn_rates, prior_cost
from qcluster.core.settings import within
from qcluster.core.sparse.description_length import string_costs

_TINY = 1e-300
_TRIAL = 0.05
"""Share at which candidates are compared; the slope at 0 would favour strings that explain a single odd shot."""


@attrs.frozen
class SparseSettings:
    """Constants of the sparse mixture; a value out of its range is a ValueError, another type a TypeError."""

    scales: tuple[float, ...] = within((0.5, 1.0, 2.0), 0, open_low=True, several=True)
    """Multiples of the calibration's rates to start from; each in (0, inf)."""
    strength: float = within(0.002, 0)
    """Weight of the calibration against the counts, in faults per shot; in [0, inf)."""
    candidates: int = within(300, 1, whole=True)
    """Observed strings that may become centroids; in [1, inf)."""
    most: int = within(40, 1, whole=True)
    """Centroids at most; in [1, inf)."""
    rounds: int = within(6, 1, whole=True)
    """Rounds of learning rates after growth; half as many each time the list is shortened; in [1, inf)."""
    slack: float = within(0.01, 0)
    """Nats per shot that a shorter list may explain less: the kernel is not quite what the machine does; in
    [0, inf)."""
    gap: float = within(2.5, 1)
    """How many times smaller the first weight left out must be than the last one kept; in [1, inf)."""


@dataclass(frozen=True, eq=False)
class SparseFit:
    """A fitted sparse mixture."""

    centroids: NDArray[np.int64]
    """(k,) rows of the observed strings, heaviest first."""
    weights: Floats
    """(k,) shares that sum to 1."""
    uniform: float
    """Share b of uniform noise."""
    kernel: Kernel
    """With the learned rates."""
    log_likelihood: float
    """Of the counts."""
    score: float
    """Description length in nats; lower is better."""

    def ideal(self, rows: Indices) -> Floats:
        """Give the ideal distribution (2^m,), uniform share included; `rows` are the numbers of the strings."""
        vector = np.full(self.kernel.size, self.uniform / self.kernel.size)
        np.add.at(vector, rows[self.centroids], (1 - self.uniform) * self.weights)
        return vector


@dataclass(frozen=True, eq=False)
class Observed:
    """The observed strings: packed, numbered, counted."""

    words: Words
    """(n_rows, n_words)."""
    rows: Indices
    """(n_rows,) numbers."""
    shots: Floats
    """(n_rows,)."""
    n_bits: int
    """Width."""

    def histogram(self, size: int) -> Floats:
        """Shots of each number, (size,)."""
        return np.bincount(self.rows, self.shots, size).astype(np.float64)


def shortlist(kernel: Kernel, seen: Observed, many: int) -> NDArray[np.int64]:
    """Choose candidate rows: half the most frequent, half those whose neighbourhood, as the kernel sees it, is full.

    Of hashed strings with one number only the most frequent is a candidate: the kernel cannot tell them apart.
    """
    frequent = np.argsort(-seen.shots, kind="stable")
    _, first = np.unique(seen.rows[frequent], return_index=True)
    frequent = frequent[np.sort(first)]
    matched = kernel.spread(seen.histogram(kernel.size))[seen.rows[frequent]]
    full = frequent[np.argsort(-matched, kind="stable")][:many]
    mixed = np.stack([frequent[:many], full], axis=1).ravel()
    _, first = np.unique(mixed, return_index=True)
    return mixed[np.sort(first)][:many]


def likelihoods(kernel: Kernel, seen: Observed, chosen: NDArray[np.int64]) -> Floats:
    """Give ``P(y | c)`` for all rows y and chosen strings c, (n_rows, n_chosen)."""
    return kernel.columns(seen.rows[chosen], seen.rows)


def reweight(columns: Floats, shots: Floats, weights: Floats, rounds: int) -> tuple[Floats, float]:
    """Improve shares by expectation maximisation; return them and the log-likelihood before the last round."""
    total = shots.sum()
    likelihood = 0.0
    for _ in range(rounds):
        mixed = np.maximum(columns @ weights, _TINY)
        likelihood = float(shots @ np.log(mixed))
        weights = weights * (columns.T @ (shots / mixed)) / total
    return weights / weights.sum(), likelihood


def costs_of(seen: Observed, chosen: NDArray[np.int64]) -> Floats:
    """Give the description length of each of some observed strings after those before it, ``(k,)`` nats."""
    return string_costs(seen.words[chosen], seen.n_bits, float(seen.shots.sum()))


def grow(
    columns: Floats, seen: Observed, candidates: NDArray[np.int64], size: int, most: int
) -> tuple[list[int], Floats, float]:
    """Add the candidate that gains most, over and over, until none pays for its name.

    Returns:
        Positions among the candidates, shares (uniform first), log-likelihood.
    """
    shots = seen.shots
    chosen: list[int] = []
    flat = np.full((len(shots), 1), 1.0 / size)
    weights = np.ones(1)
    mixed = flat[:, 0].copy()
    best = float(shots @ np.log(mixed))
    light, weighed = columns.astype(np.float32), shots.astype(np.float32)  # enough to tell what is worth a closer look
    while len(chosen) < most:
        promise = weighed @ np.log1p(light * (_TRIAL / mixed).astype(np.float32)[:, None] - np.float32(_TRIAL))
        promise[chosen] = -np.inf
        gains = []
        for j in np.argsort(-promise, kind="stable")[:6]:
            share = _line_search(columns[:, j], mixed, shots, 0.5 if not chosen else 0.1)
            gain = float(shots @ np.log1p(share * (columns[:, j] / mixed - 1)))
            cost = costs_of(seen, candidates[[*chosen, int(j)]])[-1]
            gains.append((gain - cost, share, int(j)))
        net, share, j = max(gains)
        if chosen and net <= 0:
            break
        chosen.append(j)
        weights = np.append(weights * (1 - share), share)
        weights, best = reweight(np.hstack([flat, columns[:, chosen]]), shots, weights, 20)
        mixed = np.maximum(np.hstack([flat, columns[:, chosen]]) @ weights, _TINY)
    return chosen, weights, best


def _line_search(column: Floats, mixed: Floats, shots: Floats, share: float) -> float:
    """Share of a new column that maximises the likelihood, the others keeping their proportions: Newton, bracketed."""
    ratio = column / mixed - 1
    low, high = 0.0, 0.999
    for _ in range(12):
        part = ratio / (1 + share * ratio)
        slope, bend = float(shots @ part), float(shots @ (part * part))
        low, high = (share, high) if slope > 0 else (low, share)
        step = share + slope / max(bend, _TINY)
        share = step if low < step < high else 0.5 * (low + high)
    return max(share, 1e-6)


def fit(prior: Kernel, seen: Observed, settings: SparseSettings, start: Kernel) -> SparseFit:
    """Grow at fixed rates, learn rates, then shorten the list, learning rates anew at each length.

    Without learning anew, rates fitted beside too many strings never let go of them.

    Args:
        prior: the calibration's kernel.
        seen: the counts.
        settings: constants.
        start: where the rates start.
    """
    candidates = shortlist(start, seen, settings.candidates)
    columns = likelihoods(start, seen, candidates)
    chosen, weights, _ = grow(columns, seen, candidates, prior.size, settings.most)
    current = _learn(prior, seen, settings, candidates[chosen], weights, start, settings.rounds)
    path = [current]
    rounds = (settings.rounds + 1) // 2
    while len(current.centroids) > 1:
        k = len(current.centroids)
        keep = k - 1 if k <= 8 else (2 * k) // 3
        shares = np.r_[current.uniform, (1 - current.uniform) * current.weights[:keep]]
        shares /= shares.sum()
        current = _learn(prior, seen, settings, current.centroids[:keep], shares, current.kernel, rounds)
        path.append(current)
    return _shortest(path, settings, float(seen.shots.sum()))


def _shortest(path: list[SparseFit], settings: SparseSettings, shots: float) -> SparseFit:
    """Choose the best description, or a shorter list that is nearly as good and ends at a visible step in weight.

    Real errors are not quite the kernel's, and the likelihood alone keeps naming strings for what is left.
    """
    best = min(path, key=lambda found: found.score)
    for found in reversed(path):
        k = len(found.weights)
        step = k < len(best.weights) and best.weights[k - 1] >= settings.gap * best.weights[k]
        if found is best or (step and found.score <= best.score + settings.slack * shots):
            return found
    return best


def _learn(
    prior: Kernel,
    seen: Observed,
    settings: SparseSettings,
    centroids: NDArray[np.int64],
    weights: Floats,
    kernel: Kernel,
    rounds: int,
) -> SparseFit:
    """Learn rates and shares, in turns, for given strings."""
    counts, shots = seen.histogram(prior.size), seen.shots
    flat = np.full((len(shots), 1), 1.0 / prior.size)
    strength = settings.strength * float(shots.sum())
    likelihood = 0.0
    for _ in range(rounds):
        ideal = np.full(prior.size, weights[0] / prior.size)
        np.add.at(ideal, seen.rows[centroids], weights[1:])
        kernel = learn_rates(kernel, prior, counts, ideal, strength=strength, steps=2)
        columns = np.hstack([flat, likelihoods(kernel, seen, centroids)])
        weights, likelihood = reweight(columns, shots, weights, 10)
    order = np.argsort(-weights[1:], kind="stable")
    centroids, shares = centroids[order], weights[1:][order]
    score = float(costs_of(seen, centroids).sum()) - likelihood
    score += prior_cost(kernel, prior, strength)
    return SparseFit(centroids, shares / shares.sum(), float(weights[0]), kernel, likelihood, score)


def sparse_mixture(prior: Kernel, seen: Observed, settings: SparseSettings) -> SparseFit:
    """Fit from every scale and keep the shortest description."""
    fits = [fit(prior, seen, settings, prior.scaled(scale)) for scale in settings.scales]
    return min(fits, key=lambda found: found.score)
