"""Bayes' rule over centroids: what of the counts the spread of the centroids explains goes back to them."""

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits
from qcluster.core.noise.bitflips import log_likelihood


def attributed(bits: Bits, centroids: Bits, shares: Floats, rates: Floats) -> Floats:
    """Give the probability that the centroids' spread puts on each row: ``sum_k W_k P(y|c_k)``.

    Args:
        bits: ``(n_rows, n_bits) bool``, the observed strings.
        centroids: ``(k, n_bits) bool``.
        shares: ``(k,)``, the share of all shots in each cluster.
        rates: ``(n_bits, 2)``.

    Returns:
        ``(n_rows,)``.
    """
    return np.asarray(np.exp(log_likelihood(bits, centroids, rates)) @ shares)


def residual(observed: Floats, explained: Floats) -> Floats:
    """Give what of each row Bayes' rule leaves with it: ``max(0, h(y) - sum_k W_k P(y|c_k))``.

    Args:
        observed: ``(n_rows,)`` frequencies h.
        explained: ``(n_rows,)``, from `attributed`.

    Example:
        >>> residual(np.array([0.5, 0.1]), np.array([0.2, 0.3]))
        array([0.3, 0. ])
    """
    return np.maximum(0.0, observed - explained)
