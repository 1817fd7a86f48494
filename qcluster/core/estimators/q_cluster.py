"""Q-Cluster as published (arXiv:2504.10801): grow the number of clusters until the answer settles."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_real, check_whole
from qcluster.core.counts.bits import Bits, hamming, pack
from qcluster.core.counts.distribution import Distribution
from qcluster.core.estimators.clusters import Metric, channel_metric, cluster, merge_duplicates, most_frequent
from qcluster.core.noise.bitflips import log_likelihood
from qcluster.core.uncertainty.response import Observables


@dataclass(frozen=True)
class PaperSettings:
    """The constants of the published method; a ValueError says what must hold of a value that does not fit."""

    mul: float = 2.0
    """Radius in units of the variance of the number of flips, ``R = mul n p (1 - p)``; above 0."""
    tol: float = 0.95
    """Growth stops when one more cluster changes the answer by less: its Hellinger fidelity reaches this; in (0, 1]."""
    max_clusters: int = 64
    """Most clusters tried; at least 1."""

    def __post_init__(self) -> None:
        check_real("mul", self.mul, 0, open_low=True)
        check_real("tol", self.tol, 0, 1, open_low=True)
        check_whole("max_clusters", self.max_clusters, 1)


@dataclass(frozen=True)
class Reshaped:
    """An answer of `reshape`: what the observed strings keep, and the centroids' weights."""

    kept: Floats
    """``(n_outcomes,)`` probability of each observed string, centroids included; sums to 1 with `unseen`."""
    centroids: Bits
    """``(k, n_bits) bool``, distinct."""
    weights: Floats
    """``(k,)`` share of all shots in each cluster."""
    unseen: Floats
    """``(k,)`` probability of the centroids that were never observed; zero for the others."""

    def fidelity(self, other: "Reshaped") -> float:
        """Give the Hellinger fidelity of two answers to the same counts."""
        same = hamming(pack(self.centroids), pack(other.centroids)) == 0
        overlap = np.sqrt(self.kept * other.kept).sum() + np.sqrt(self.unseen) @ same @ np.sqrt(other.unseen)
        return float(overlap**2)


def q_cluster(
    counts: Distribution, rates: Floats, settings: PaperSettings | None = None
) -> tuple[Distribution, Reshaped]:
    """Mitigate counts by Q-Cluster as published.

    For K = 1, 2, ...: cluster the shots from the K most frequent strings, give each centroid the shots of its
    cluster, and leave other strings with ``max(0, h(y) - sum_k W_k P(y|c_k))``. Stop when the answer for K
    agrees with the one for K - 1 to a Hellinger fidelity of `tol`, and return the one for K - 1.

    With rates that differ between bits, distances are log-likelihoods of the product channel (the mean of the two
    rates of a bit, where they differ for 0 and 1) and the radius sums over bits; equal rates give the published
    method exactly. Ties follow the rules of `qcluster.core.estimators.clusters`, so the answer is deterministic.

    Args:
        counts: measured counts.
        rates: ``(n_bits, 2)``, as `as_rates` gives them.
        settings: the constants of the method.

    Returns:
        The mitigated distribution with the shots of the input, and the clusters behind it.
        Cost: about K^2 / 2 distances per distinct string for K clusters, a few rounds each.

    Example:
        >>> from qcluster.core.noise.bitflips import as_rates
        >>> counts = Distribution.of({"000": 60, "001": 10, "010": 9, "100": 8, "111": 13})
        >>> answer, clusters = q_cluster(counts, as_rates(0.1, 3))
        >>> list(answer.top(2)), len(clusters.weights)
        (['000', '111'], 1)
    """
    settings = settings or PaperSettings()
    metric = channel_metric(rates.mean(axis=1), settings.mul)
    order = most_frequent(counts.bits, counts.weights, settings.max_clusters)
    answer = reshape(counts, counts.bits[order[:1]], rates, metric)
    for k in range(2, len(order) + 1):
        grown = reshape(counts, counts.bits[order[:k]], rates, metric)
        if answer.fidelity(grown) >= settings.tol:
            break
        answer = grown
    rows = np.vstack([counts.bits, answer.centroids])
    return Distribution(rows, np.r_[answer.kept, answer.unseen] * counts.shots), answer


@dataclass(frozen=True, eq=False)
class Clustered:
    """Q-Cluster as published, with the clusters held: shares, and what of every string is left, follow the counts."""

    raw: Distribution
    """The counts."""
    centroids: Bits
    """``(k, n)``, distinct."""
    labels: NDArray[np.intp]
    """``(n_outcomes,)`` centroid that each string joins, -1 for none."""
    rates: Floats
    """``(n, 2)``."""

    @property
    def width(self) -> int:
        """What every string keeps."""
        return 2 * self.raw.n_outcomes

    def redo(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `Response`."""
        k = len(self.centroids)
        joins = (self.labels[:, None] == np.arange(k)).astype(np.float64)
        shots = np.maximum(draws.sum(axis=1, keepdims=True), 1e-300)
        shares = draws @ joins / shots
        spread = np.exp(log_likelihood(self.raw.bits, self.centroids, self.rates))
        kept = np.maximum(0.0, draws / shots - shares @ spread.T)
        kept[:, (hamming(self.raw.words, pack(self.centroids)) == 0).any(axis=1)] = 0.0
        total = np.maximum(kept.sum(axis=1, keepdims=True) + shares.sum(axis=1, keepdims=True), 1e-300)
        return np.asarray((kept @ observables(self.raw.words) + shares @ observables(pack(self.centroids))) / total)


def clustered(counts: Distribution, answer: Reshaped, rates: Floats, settings: PaperSettings) -> Clustered:
    """Hold the clusters of an answer, so that it can be made anew for redrawn shots."""
    metric = channel_metric(rates.mean(axis=1), settings.mul)
    return Clustered(counts, answer.centroids, metric.nearest(counts.bits, answer.centroids), rates)


def reshape(counts: Distribution, starts: Bits, rates: Floats, metric: Metric) -> Reshaped:
    """Cluster the shots from given starts and reshape the counts around the centroids.

    Args:
        counts: measured counts.
        starts: ``(k, n_bits) bool``.
        rates: ``(n_bits, 2)``.
        metric: distance and radius of the clustering.
    """
    found = cluster(counts.bits, counts.weights, starts, metric)
    centroids, shares = merge_duplicates(found.centroids, found.weights / counts.shots)
    spread = np.exp(log_likelihood(counts.bits, centroids, rates)) @ shares
    kept = np.maximum(0.0, counts.probabilities - spread)
    row, of = np.nonzero(hamming(counts.words, pack(centroids)) == 0)
    kept[row] = shares[of]
    unseen = shares.copy()
    unseen[of] = 0.0
    total = kept.sum() + unseen.sum()
    return Reshaped(kept / total, centroids, shares, unseen / total)
