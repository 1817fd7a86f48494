"""Q-Cluster as published (arXiv:2504.10801): add clusters until the answer hardly changes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_real, check_whole
from qcluster.core.counts.bits import Bits, hamming, pack
from qcluster.core.counts.distribution import Distribution
from qcluster.core.estimators.clusters import channel_metric, cluster, merge_duplicates, most_frequent_strings
from qcluster.core.noise.bitflips import log_likelihood
from qcluster.core.uncertainty.response import Observables


@dataclass(frozen=True)
class PaperSettings:
    """Constants of the published method. An invalid value raises ValueError, which says what must hold."""

    mul: float = 2.0
    """Radius in units of the variance of the number of flips, ``R = mul n p (1 - p)``; above 0."""
    tol: float = 0.95
    """No more clusters are added once the Hellinger fidelity between successive answers reaches this; in (0, 1]."""
    max_clusters: int = 64
    """Most clusters tried; at least 1."""

    def __post_init__(self) -> None:
        vars(self).update(
            mul=check_real("mul", self.mul, 0, open_low=True),
            tol=check_real("tol", self.tol, 0, 1, open_low=True),
            max_clusters=check_whole("max_clusters", self.max_clusters, 1),
        )


@dataclass(frozen=True, eq=False)
class Clustered:
    """The clusters of a set of counts, which determine the answer to these counts and to redrawn ones."""

    raw: Distribution
    """The counts."""
    centroids: Bits
    """``(k, n_bits) bool``, distinct."""
    labels: NDArray[np.intp]
    """``(n_outcomes,)`` centroid that each string joins, or -1."""
    rates: Floats
    """``(n_bits, 2)`` flip rates, P(read 1|0) and P(read 0|1)."""

    @property
    def weights(self) -> Floats:
        """``(k,)`` share of all shots in each cluster."""
        return self._shares(self.raw.weights)

    @cached_property
    def answer(self) -> tuple[Floats, Floats]:
        """Probabilities of the observed strings, and of the centroids; see `reshaped`."""
        return self.reshaped(self.raw.weights)

    def fidelity(self, other: "Clustered") -> float:
        """Return the Hellinger fidelity of two answers to the same counts."""
        (observed, unseen), (other_observed, other_unseen) = self.answer, other.answer
        same = hamming(pack(self.centroids), pack(other.centroids)) == 0
        overlap = np.sqrt(observed * other_observed).sum() + np.sqrt(unseen) @ same @ np.sqrt(other_unseen)
        return float(overlap**2)

    @property
    def width(self) -> int:
        """Numbers in memory per redraw: what each string keeps, and a work array of that length."""
        return 2 * self.raw.n_outcomes

    def reshaped(self, draws: Floats) -> tuple[Floats, Floats]:
        """Assign each centroid the shots of its cluster, and other strings ``max(0, h(y) - sum_k W_k P(y|c_k))``.

        Args:
            draws: ``(..., n_outcomes)`` shots of each string.

        Returns:
            Probabilities of the observed strings, ``(..., n_outcomes)``, and of the centroids, ``(..., k)``, where they
            are zero for centroids that were observed; together they sum to 1.
        """
        shares = self._shares(draws)
        channel = np.exp(log_likelihood(self.raw.bits, self.centroids, self.rates))
        kept = np.maximum(0.0, draws / draws.sum(axis=-1, keepdims=True) - shares @ channel.T)
        row, centroid = np.nonzero(hamming(self.raw.words, pack(self.centroids)) == 0)
        kept[..., row] = shares[..., centroid]
        shares[..., centroid] = 0.0
        total = kept.sum(axis=-1, keepdims=True) + shares.sum(axis=-1, keepdims=True)
        return kept / total, shares / total

    def resample(self, draws: Floats, levels: Floats, observables: Observables) -> Floats:
        """See `qcluster.core.uncertainty.response.Response`; the clusters stay fixed."""
        kept, unseen = self.reshaped(draws)
        return np.asarray(kept @ observables(self.raw.words) + unseen @ observables(pack(self.centroids)))

    def _shares(self, draws: Floats) -> Floats:
        members = (self.labels[:, None] == np.arange(len(self.centroids))).astype(np.float64)
        return np.asarray(draws @ members / draws.sum(axis=-1, keepdims=True))


def q_cluster(
    counts: Distribution, rates: Floats, settings: PaperSettings | None = None
) -> tuple[Distribution, Clustered]:
    """Mitigate counts by Q-Cluster as published, at ``(n_bits, 2)`` rates, as `as_rates` returns them.

    For K = 1, 2, ...: cluster the shots, starting from the K most frequent strings, and reshape the counts around the
    centroids (`Clustered.reshaped`). Stop when the answers for K - 1 and K agree to a Hellinger fidelity of `tol`, and
    return the one for K - 1.

    If rates differ between bits, distances are log-likelihoods of the product channel, and the radius is a sum over
    bits; if they differ for 0 and 1, both use the mean of the two. Equal rates give the published method exactly.
    Ties follow the rules of `qcluster.core.estimators.clusters`, so the answer is deterministic.

    Returns:
        The mitigated distribution, with as many shots as the counts, and the clusters behind it.
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
    order = most_frequent_strings(counts.bits, counts.weights, settings.max_clusters)

    def clustered(k: int) -> Clustered:
        centroids, labels, _ = cluster(counts.bits, counts.weights, counts.bits[order[:k]], metric)
        return Clustered(counts, *merge_duplicates(centroids, labels), rates)

    clusters = clustered(1)
    for k in range(2, len(order) + 1):
        larger = clustered(k)
        if clusters.fidelity(larger) >= settings.tol:
            break
        clusters = larger
    rows = np.vstack([counts.bits, clusters.centroids])
    return Distribution(rows, np.concatenate(clusters.answer) * counts.shots), clusters
