"""A few strings seen through the noise kernel of a circuit: their likelihoods, weights and description lengths.

``P(y) = b 2^-m + (1 - b) sum_k w_k E(y | c_k)``, E the kernel. Strings y and c are given by their indices in
the ``2^m`` vectors of the kernel.
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
from qcluster.core.uncertainty.response import NewtonResponse, column_response

LENGTHS = (*range(1, 13), 14, 16, 20, 24, 32, 40, 48, 64)
"""Numbers of strings that are tried by default, besides all of them."""
MOST_NOISE = 1.5
"""Most noise that a few strings may need, as a multiple of the noise that a reference measured (in -ln of the raw
fidelity). The reference has the same gates; recorded outputs need 1.05 to 1.3 times its noise."""
_TINY = 1e-300
_MAX_PREDICTED = 0.97
"""Largest predicted raw fidelity in a ratio of noise: above it, a little further noise is a large multiple."""


@dataclass(frozen=True, eq=False)
class FewStrings:
    """A few strings that, with uniform noise, explain counts through a kernel."""

    strings: Indices
    """``(k,)`` indices, heaviest first."""
    weights: Floats
    """``(k,)`` shares that sum to 1."""
    uniform: float
    """Share of the shots that is uniform noise."""
    kernel: Kernel
    """The noise through which the strings are seen."""
    words: Words
    """``(k, n_words)`` the strings themselves, packed."""
    length: float
    """Description length of the strings, in nats."""
    net_log_likelihood: float
    """Log-likelihood per shot above uniform noise, less the cost of strings and learned rates, in nats."""

    def sorted(self) -> "FewStrings":
        """Order the strings by weight, and normalise the weights."""
        order = np.argsort(-self.weights, kind="stable")
        weights = self.weights[order] / max(self.weights.sum(), _TINY)
        return replace(self, strings=self.strings[order], words=self.words[order], weights=weights)

    @property
    def shares(self) -> Floats:
        """``(k + 1,)`` share of the shots that each string sent; last, that of uniform noise."""
        return np.append((1 - self.uniform) * self.weights, self.uniform)

    @property
    def noiseless(self) -> Floats:
        """``(2^m,)`` probability of each index without noise."""
        return np.bincount(self.strings, self.weights, self.kernel.size).astype(np.float64)

    @property
    def ideal(self) -> Floats:
        """``(2^m,)`` the same, including the share of uniform noise."""
        return (1 - self.uniform) * self.noiseless + self.uniform / self.kernel.size

    def fidelity(self, vector: Floats) -> float:
        """Return the Hellinger fidelity of the noiseless strings to counts or probabilities, ``(2^m,)`` of any sum."""
        return float(np.sqrt(self.weights * vector[self.strings] / vector.sum()).sum() ** 2)

    def response(self, rows: Indices, shots: Floats) -> NewtonResponse:
        """Return an object that reweighs the strings for resampled shots, from observed indices and their shots, both
        ``(n_rows,)``."""
        columns = self.kernel.columns(self.strings, rows)
        flat = np.full((len(rows), 1), 1.0 / self.kernel.size)
        return column_response(self.words, self.shares, shots, np.hstack([columns, flat]))


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
    lengths: Sequence[int] = LENGTHS,
) -> list[FewStrings]:
    """Fit the weights of the first strings of a list by EM, for several lengths of the list at once, shortest first.

    The k strings come as ``(k,)`` indices and packed, with ``(k,)`` weights to start from, and the counts as
    ``(n_rows,)`` indices (`rows`) and shots. The share of uniform noise stays fixed; None: it is fitted, starting at
    the weight of one further string. The complete list is always tried. The first string costs nothing, since every
    list has one. Each further one costs its weight and its distance to the nearest string before it: see
    `joining_costs`.
    """
    k, total = len(strings), float(shots.sum())
    sizes = np.array([length for length in lengths if length < k] + [k])
    columns = kernel.columns(strings, rows).T * kernel.size
    weights = np.where(np.arange(k) < sizes[:, None], start, 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    if uniform is not None:  # each string carries its part of the noise
        columns, background = (1 - uniform) * columns + uniform, np.zeros(len(sizes))
    else:
        background = 1 / (sizes + 1.0)
        weights *= 1 - background[:, None]
    shares, likelihood = (shots / total).astype(np.float32), columns.astype(np.float32)
    single, background, _ = fit_weights(likelihood, shares, weights.astype(np.float32), background, rounds)
    weights = single.astype(np.float64)
    explained = np.log(np.maximum(weights @ columns + background[:, None], _TINY)) @ shots
    if uniform is not None:
        weights, background = (1 - uniform) * weights, np.full(len(sizes), uniform)
    n_bits = kernel.index.n_bits
    costs = np.append(0.0, joining_costs(n_bits, total)[nearest_earlier(words, n_bits)])
    fits = []
    for i, length in enumerate(sizes.tolist()):
        cost = float(costs[:length].sum())
        net, share = (float(explained[i]) - cost) / total, float(background[i])
        few = FewStrings(strings[:length], weights[i, :length], share, kernel, words[:length], cost, net)
        fits.append(few.sorted())
    return fits


def noise_ratio(shown: float, predicted: float) -> float:
    """Return the ratio of the noise that counts show to that which a kernel predicts, given two raw fidelities.

    Example:
        >>> round(noise_ratio(0.81, 0.9), 2)
        2.0
    """
    return log(max(shown, _TINY)) / log(min(predicted, _MAX_PREDICTED))
