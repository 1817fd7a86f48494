"""A few strings seen through a circuit's noise kernel: their likelihoods, weights and description lengths.

``P(y) = b 2^-m + (1 - b) sum_k w_k E(y | c_k)`` on the numbers of the observed strings, E the kernel.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import Words, nearest_earlier
from qcluster.core.noise.kernel import Kernel
from qcluster.core.sparse.description_length import joining_costs
from qcluster.core.sparse.weights import fit_weights
from qcluster.core.uncertainty.response import Strings, under_columns

LENGTHS = (*range(1, 13), 14, 16, 20, 24, 32, 40, 48, 64)
"""How many of the heaviest strings are tried, and all of them."""
_TINY = 1e-300
_NEARLY_ALL = 0.97
"""Predicted raw fidelity from which a little noise more is a large multiple."""


@dataclass(frozen=True, eq=False)
class Few:
    """A few strings that explain counts through a kernel, beside uniform noise."""

    strings: Indices
    """``(k,)`` numbers, heaviest first."""
    weights: Floats
    """``(k,)`` shares that sum to 1."""
    uniform: float
    """Share of the shots that is uniform noise."""
    kernel: Kernel
    """Through which they are seen."""
    scale: float
    """Multiple of the calibrated or measured noise that the kernel started from."""
    words: Words
    """``(k, n_words)`` the strings that the numbers mean, packed."""
    length: float
    """Description length of the strings, in nats."""
    explained: float
    """Log-likelihood of a shot above uniform noise, less what strings and learned rates cost, in nats."""

    def sorted(self) -> "Few":
        """Order strings by weight, and let the weights sum to 1."""
        order = np.argsort(-self.weights, kind="stable")
        weights = self.weights[order] / max(self.weights.sum(), _TINY)
        return replace(self, strings=self.strings[order], words=self.words[order], weights=weights)

    @property
    def shares(self) -> Floats:
        """``(k + 1,)`` share of the shots that each string sent, and last of uniform noise."""
        return np.append((1 - self.uniform) * self.weights, self.uniform)

    @property
    def pure(self) -> Floats:
        """``(2^m,)`` probability of each number, without noise."""
        return np.bincount(self.strings, self.weights, self.kernel.size).astype(np.float64)

    @property
    def ideal(self) -> Floats:
        """``(2^m,)`` the same, with its share of uniform noise."""
        return (1 - self.uniform) * self.pure + self.uniform / self.kernel.size

    def fidelity(self, vector: Floats) -> float:
        """Give the Hellinger fidelity of the strings alone to what was read, ``(2^m,)`` of any sum."""
        return float(np.sqrt(self.weights * vector[self.strings] / vector.sum()).sum() ** 2)

    def response(self, rows: Indices, shots: Floats) -> Strings:
        """Hold strings and kernel, so that the strings can be weighed anew for redrawn shots.

        Args:
            rows: ``(n_rows,)`` numbers that were read.
            shots: ``(n_rows,)`` how often.
        """
        columns = self.kernel.columns(self.strings, rows)
        flat = np.full((len(rows), 1), 1.0 / self.kernel.size)
        return under_columns(self.words, self.shares, shots, np.hstack([columns, flat]))


def weigh_prefixes(
    kernel: Kernel,
    strings: Indices,
    words: Words,
    rows: Indices,
    shots: Floats,
    start: Floats,
    uniform: float | None,
    rounds: int,
    *,
    scale: float = 1.0,
    lengths: Sequence[int] = LENGTHS,
) -> list[Few]:
    """Weigh the first strings of a list by EM, for several lengths of it at once.

    The first string costs nothing: every list has one. Each further one costs its weight and its distance to the
    nearest string before it.

    Args:
        kernel: through which they are seen.
        strings: ``(k,)`` numbers.
        words: ``(k, n_words)`` the strings that they mean, packed.
        rows: ``(n_rows,)`` numbers that were read.
        shots: ``(n_rows,)`` how often.
        start: ``(k,)`` weights to start from.
        uniform: share of uniform noise, held; None: learned, from that of one string more.
        rounds: of EM.
        scale: of the kernel, to be told in the results.
        lengths: of the list, beside all of it.
    """
    k, whole = len(strings), float(shots.sum())
    many = np.array([one for one in lengths if one < k] + [k])
    columns = kernel.columns(strings, rows).T * kernel.size
    weights = np.where(np.arange(k) < many[:, None], start, 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    if uniform is not None:  # what is read of a string includes its part of the noise
        columns, background = (1 - uniform) * columns + uniform, np.zeros(len(many))
    else:
        background = 1 / (many + 1.0)
        weights *= 1 - background[:, None]
    part = (shots / whole).astype(np.float32)
    light, background, _ = fit_weights(columns.astype(np.float32), part, weights.astype(np.float32), background, rounds)
    weights = light.astype(np.float64)
    explained = np.log(np.maximum(weights @ columns + background[:, None], _TINY)) @ shots
    if uniform is not None:
        weights, background = (1 - uniform) * weights, np.full(len(many), uniform)
    n_bits = kernel.index.n_bits
    costs = np.append(0.0, joining_costs(n_bits, whole)[nearest_earlier(words, n_bits)])
    found = []
    for i, length in enumerate(many.tolist()):
        cost = float(costs[:length].sum())
        net, share = (float(explained[i]) - cost) / whole, float(background[i])
        few = Few(strings[:length], weights[i, :length], share, kernel, scale, words[:length], cost, net)
        found.append(few.sorted())
    return found


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
