"""`HammingKMajority`: the clustering of the published method as a scikit-learn estimator."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from qcluster.core.arithmetic import default_errstate
from qcluster.core.checks import check_real, check_whole
from qcluster.core.counts.bits import Bits
from qcluster.core.counts.distribution import Distribution
from qcluster.core.estimators.clusters import Metric, cluster, most_frequent_strings


class HammingKMajority(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Cluster bitstrings by Hamming distance, with qubit-wise majority votes as centroids.

    Start from the most frequent rows. Ties follow the rules of `qcluster.core.estimators.clusters`, so the result does
    not depend on the order of the rows and needs no seed (arXiv:2504.10801, section on clustering).

    Args:
        n_clusters: number of centroids; fewer if there are fewer distinct rows.
        radius: rows farther than this from every centroid, in bits, are outliers with label -1; None for no limit.
        max_iter: largest number of assignment rounds.

    Attributes:
        cluster_centers_: ``(k, n_features) bool``.
        labels_: ``(n_samples,)`` int, -1 for an outlier.
        n_iter_: number of rounds done.
        n_features_in_: number of bits.
        feature_names_in_: names of the columns, if X is a table whose columns are named by strings.

    Example:
        >>> rows = [[0, 0, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0], [1, 1, 1]]
        >>> model = HammingKMajority(n_clusters=2, radius=1).fit(rows)
        >>> model.cluster_centers_.astype(int)
        array([[0, 0, 0],
               [1, 1, 1]])
        >>> model.predict([[1, 0, 1]])
        array([1])
    """

    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def __init__(self, n_clusters: int = 2, *, radius: float | None = None, max_iter: int = 100) -> None:
        self.n_clusters = n_clusters
        self.radius = radius
        self.max_iter = max_iter

    @default_errstate
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Cluster rows of bits.

        Args:
            X: ``(n_samples, n_features)`` of 0 and 1, or bool.
            y: ignored.
            sample_weight: ``(n_samples,)`` shots of each row; 1 by default.

        Raises:
            ValueError: other values than 0 and 1, weights of another shape or sign, or n_clusters, radius or max_iter
                out of range.
            TypeError: a sparse matrix, or weights that are not numbers.
        """
        rows = self._read_bits(X, reset=True)
        n_clusters = check_whole("n_clusters", self.n_clusters, 1)
        max_iter = check_whole("max_iter", self.max_iter, 1)
        counts = Distribution(rows, np.ones(len(rows)) if sample_weight is None else np.asarray(sample_weight))
        if not counts.n_outcomes:
            raise ValueError("X must hold at least one row of positive weight; got none")
        starts = counts.bits[most_frequent_strings(counts.bits, counts.weights, n_clusters)]
        metric = self._metric(rows.shape[1])
        self.cluster_centers_, _, self.n_iter_ = cluster(counts.bits, counts.weights, starts, metric, max_iter)
        self.labels_ = metric.nearest(rows, self.cluster_centers_)
        return self

    @default_errstate
    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """Label rows with their nearest centroid, -1 beyond the radius: ``(n_samples,)`` int."""
        check_is_fitted(self)
        rows = self._read_bits(X, reset=False)
        return self._metric(rows.shape[1]).nearest(rows, self.cluster_centers_)

    def _metric(self, n_bits: int) -> Metric:
        if self.radius is not None and self.radius != float("inf"):
            check_real("radius", self.radius, 0)
        return Metric(np.ones(n_bits), float("inf") if self.radius is None else float(self.radius))

    def _read_bits(self, X: ArrayLike, *, reset: bool) -> Bits:
        """Check rows by scikit-learn's rules, the names of their columns included, and return them as bits."""
        values = np.asarray(validate_data(self, X, dtype=None, reset=reset))
        bits: Bits = values == 1
        if not np.logical_or(bits, values == 0).all():
            raise ValueError("X must hold only 0 and 1")
        return bits
