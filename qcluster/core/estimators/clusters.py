"""Hamming clustering with qubit-wise majority centroids (arXiv:2504.10801, section 1 of the theory page).

Ties are broken by the same rules in the whole package. Strings of equal weight are ordered by their total Hamming
distance to all shots, nearest first: this rule does not change if bits are relabelled or flipped. Only strings that
tie in both are ordered by value. A string equally near to two centroids joins the first, and a bit that is 1 in
exactly half of a cluster's weight becomes 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits, hamming, pack, weight_of_ones

_QUANTUM = 2.0**-20
"""Costs of bits are whole multiples of this, so that their sums are exact in any order."""
_ROWS = 1 << 16
"""Rows of bits that are converted to floats at once."""
_TOLERANCE = 1e-9
"""A distance that exceeds the radius by less than this counts as equal to it."""


@dataclass(frozen=True, eq=False)
class Metric:
    """A weighted Hamming distance, and the radius of a cluster."""

    costs: Floats
    """``(n_bits,)``: cost of a flip, 1 for the least noisy bit and less for noisier ones (relative log odds)."""
    radius: float
    """Largest distance at which a string joins a centroid, in the units of the costs."""

    def distances(self, rows: Bits, centroids: Bits) -> Floats:
        """Return the ``(n_rows, n_centroids)`` distances; they are exact, whatever the order of bits."""
        if (self.costs == 1).all():
            return hamming(pack(rows), pack(centroids)).astype(np.float64)
        weighted = centroids * self.costs
        distances = np.empty((len(rows), len(centroids)))
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS].astype(np.float64)
            distances[start : start + _ROWS] = part @ (self.costs[:, None] - 2 * weighted.T) + weighted.sum(axis=1)
        return distances

    def nearest(self, rows: Bits, centroids: Bits) -> NDArray[np.intp]:
        """Label each row with its nearest centroid (the first of equally near ones), or -1 beyond the radius."""
        distances = self.distances(rows, centroids)
        labels: NDArray[np.intp] = distances.argmin(axis=1)
        labels[distances[np.arange(len(rows)), labels] > self.radius + _TOLERANCE] = -1
        return labels


def channel_metric(rates: Floats, mul: float = 2.0) -> Metric:
    """Make the metric of a symmetric bit-flip channel of ``(n_bits,)`` rates in [0, 0.5].

    A flip of bit i costs ``ln((1 - p_i) / p_i)`` of log-likelihood. The radius is ``mul`` times the sum over bits of
    the variance ``p_i (1 - p_i)`` times the cost. Both are divided by the largest cost. With equal rates this is the
    Hamming distance and ``R = mul n p (1 - p)`` of arXiv:2504.10801.

    Example:
        >>> metric = channel_metric(np.full(10, 0.1))
        >>> metric.costs[0], round(metric.radius, 9)
        (np.float64(1.0), 1.8)
    """
    inside = np.clip(rates, 1e-9, 0.5)
    costs = np.log1p(-inside) - np.log(inside)
    largest = costs.max(initial=0.0)
    costs = np.maximum(np.rint(costs / largest / _QUANTUM), 1) * _QUANTUM if largest > 0 else np.ones_like(costs)
    return Metric(costs, float(mul * (rates * (1 - rates) * costs).sum()))


def most_frequent_strings(bits: Bits, weights: Floats, k: int) -> NDArray[np.intp]:
    """Return the rows of the k largest weights, by the tie rule of this module, of distinct strings sorted by value."""
    k = min(k, len(weights))
    if k < 1:
        return np.zeros(0, dtype=np.intp)
    rows = np.flatnonzero(weights >= np.partition(weights, len(weights) - k)[len(weights) - k])
    ones, total = weight_of_ones(bits, weights), weights.sum()
    spread = np.concatenate(
        [bits[rows[i : i + _ROWS]].astype(np.float64) @ (total - 2 * ones) for i in range(0, len(rows), _ROWS)]
    )
    return rows[np.lexsort((rows, spread, -weights[rows]))][:k]


def majority(bits: Bits, weights: Floats) -> Bits:
    """Return the majority vote of each qubit: ``(n_bits,) bool``, True where at least half of the weight has a 1."""
    voted: Bits = 2 * weight_of_ones(bits, weights) >= weights.sum()
    return voted


def cluster(
    bits: Bits, weights: Floats, starts: Bits, metric: Metric, max_iter: int = 100
) -> tuple[Bits, NDArray[np.intp], int]:
    """Alternate assignment and majority vote until nothing changes, for rows of bits ``(n_rows, n_bits)`` with weights
    ``(n_rows,)``, from the centroids `starts` ``(k, n_bits)``.

    Every shot joins its nearest centroid if that lies within the radius; otherwise it is an outlier. Each centroid then
    becomes the qubit-wise majority vote of its members, or stays if it has none. Each round lowers the summed
    distance, capped at the radius, so the iteration ends; `max_iter` is a safeguard.

    Returns:
        centroids ``(k, n_bits) bool`` in the order of the starts; labels ``(n_rows,)``, the centroid of each row, or
        -1 for an outlier; and the number of rounds. Cost per round: n_rows x k distances.
    """
    centroids = starts.copy()
    n_iter, converged = 0, False
    while not converged and n_iter < max_iter:
        n_iter += 1
        labels = metric.nearest(bits, centroids)
        moved = centroids.copy()
        for k in range(len(centroids)):
            members = labels == k
            if members.any():
                moved[k] = majority(bits[members], weights[members])
        converged = np.array_equal(moved, centroids)
        centroids = moved
    return centroids, labels, n_iter


def merge_duplicates(centroids: Bits, labels: NDArray[np.intp]) -> tuple[Bits, NDArray[np.intp]]:
    """Merge equal centroids into the first of them, drop those without rows, and relabel rows accordingly."""
    words = pack(centroids)
    first = (hamming(words, words) == 0).argmax(axis=1)[labels]
    kept = np.unique(first[labels >= 0])
    return centroids[kept], np.where(labels >= 0, np.searchsorted(kept, first), -1)
