"""A few strings seen through a circuit's noise kernel: their likelihoods, weights, and what it costs to name them.

``P(y) = b 2^-m + (1 - b) sum_k w_k E(y xor c_k)`` on the observed strings, E the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma, log

import numpy as np
from numpy.typing import NDArray

from qcluster.core.counts.bits import Words, hamming
from qcluster.core.noise.kernel import Kernel
from qcluster.core.stats.walsh import Indices, decay, walsh

Floats = NDArray[np.float64]

_TINY = 1e-300


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


def likelihoods(kernel: Kernel, seen: Observed, chosen: NDArray[np.int64]) -> Floats:
    """Give ``P(y | c)`` for all rows y and chosen strings c, (n_rows, n_chosen)."""
    error = np.maximum(walsh(kernel.spectrum) / kernel.size, 0.0)
    if not kernel.decays.any():
        return np.asarray(error[seen.rows[:, None] ^ seen.rows[None, chosen]])
    columns = np.empty((len(seen.rows), len(chosen)))
    everywhere = np.arange(kernel.size)
    for column, row in enumerate(chosen):
        columns[:, column] = decay(error[everywhere ^ seen.rows[row]], kernel.decays)[seen.rows]
    return columns


def reweight(columns: Floats, shots: Floats, weights: Floats, rounds: int) -> tuple[Floats, float]:
    """Improve shares by expectation maximisation; return them and the log-likelihood before the last round."""
    total = shots.sum()
    likelihood = 0.0
    for _ in range(rounds):
        mixed = np.maximum(columns @ weights, _TINY)
        likelihood = float(shots @ np.log(mixed))
        weights = weights * (columns.T @ (shots / mixed)) / total
    return weights / weights.sum(), likelihood


def naming_costs(seen: Observed, chosen: NDArray[np.int64]) -> Floats:
    """Nats to name each centroid after the earlier ones: ``0.5 ln N + ln C(n, d) + ln n``, d to the nearest of them."""
    n = seen.n_bits
    costs = np.zeros(len(chosen))
    if len(chosen) > 1:
        apart = hamming(seen.words[chosen], seen.words[chosen])
        for k in range(1, len(chosen)):
            d = int(apart[k, :k].min())
            costs[k] = 0.5 * log(seen.shots.sum()) + lgamma(n + 1) - lgamma(d + 1) - lgamma(n - d + 1) + log(max(n, 2))
    return costs
