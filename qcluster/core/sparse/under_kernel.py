"""A few strings seen through a circuit's noise kernel: their likelihoods, weights and description lengths.

``P(y) = b 2^-m + (1 - b) sum_k w_k E(y xor c_k)`` on the observed strings, E the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import Words
from qcluster.core.noise.kernel import Kernel
from qcluster.core.sparse.description_length import string_costs

_TINY = 1e-300
_NEARLY_ALL = 0.97
"""Predicted raw fidelity from which a little noise more is a large multiple."""


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

    def columns(self, kernel: Kernel, sent: Indices) -> Floats:
        """Give ``P(y | c)`` of all rows y for some rows c that were sent, ``(n_rows, n_sent)``."""
        return kernel.columns(self.rows[sent], self.rows)

    def costs(self, sent: Indices) -> Floats:
        """Give the description length of the first 1, 2, ... of some rows, ``(n_sent,)`` nats."""
        return np.cumsum(string_costs(self.words[sent], self.n_bits, float(self.shots.sum())))


def noise_ratio(shown: float, predicted: float) -> float:
    """Give how many times the predicted noise counts show: the ratio of the logarithms of two raw fidelities.

    Args:
        shown: Hellinger fidelity of the counts to some strings.
        predicted: the same of what the kernel makes of these strings.

    Example:
        >>> round(noise_ratio(0.81, 0.9), 2)
        2.0
    """
    return log(max(shown, _TINY)) / log(min(predicted, _NEARLY_ALL))


def reweight(columns: Floats, shots: Floats, weights: Floats, rounds: int) -> tuple[Floats, float]:
    """Improve shares by expectation maximisation; return them and the log-likelihood before the last round."""
    total = shots.sum()
    likelihood = 0.0
    for _ in range(rounds):
        mixed = np.maximum(columns @ weights, _TINY)
        likelihood = float(shots @ np.log(mixed))
        weights = weights * (columns.T @ (shots / mixed)) / total
    return weights / weights.sum(), likelihood
