"""A few strings seen through a circuit's noise kernel: their likelihoods, weights, and what it costs to name them.

``P(y) = b 2^-m + (1 - b) sum_k w_k E(y xor c_k)`` on the observed strings, E the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import Words
from qcluster.core.noise.kernel import Kernel
from qcluster.core.sparse.description_length import string_costs

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
