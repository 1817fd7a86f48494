"""Metrics of how close a distribution is to the ideal one.

Every function takes anything that `Distribution.of` takes. Integer and hexadecimal keys are read with the width of the
other distribution. Cost: one sort of the joint support.
"""

from typing import Any

import numpy as np

from qcluster.core.arithmetic import default_errstate
from qcluster.core.arrays import Floats
from qcluster.core.checks import check_flag
from qcluster.core.counts.bits import Words
from qcluster.core.counts.distribution import Distribution, align, read_with_width


@default_errstate
def hellinger_fidelity(p: Any, q: Any) -> float:
    """Compare two distributions by their Hellinger fidelity ``(sum_y sqrt(p(y) q(y)))^2``, in [0, 1].

    The square of the Bhattacharyya coefficient, as Qiskit's ``hellinger_fidelity`` defines it.

    Example:
        >>> round(hellinger_fidelity({"00": 50, "11": 50}, {"00": 100}), 6)
        0.5
    """
    _, left, right = _aligned(p, q)
    return float(min(1.0, np.sqrt(left * right).sum() ** 2))


@default_errstate
def total_variation(p: Any, q: Any) -> float:
    """Compare two distributions by total variation distance ``sum_y |p(y) - q(y)| / 2``, in [0, 1].

    Example:
        >>> total_variation({"00": 50, "11": 50}, {"00": 100})
        0.5
    """
    _, left, right = _aligned(p, q)
    return float(min(1.0, np.abs(left - right).sum() / 2))


@default_errstate
def success_probability(p: Any, ideal: Any) -> float:
    """Return the total probability of the strings that the ideal distribution contains.

    Example:
        >>> success_probability({"00": 45, "11": 45, "01": 10}, {"00": 1, "11": 1})
        0.9
    """
    _, left, right = _aligned(p, ideal)
    return float(min(1.0, left[right > 0].sum()))


@default_errstate
def entropy(p: Any, *, normalised: bool = False) -> float:
    """Return the Shannon entropy in bits; with `normalised`, divided by the number of bits, so that it is in [0, 1].

    Example:
        >>> entropy({"00": 1, "01": 1, "10": 1, "11": 1})
        2.0
    """
    normalised, distribution = check_flag("normalised", normalised), Distribution.of(p)
    weights = distribution.probabilities
    bits = float(max(0.0, -(weights * np.log2(weights)).sum()))
    return bits / max(1, distribution.n_bits) if normalised else bits


def _aligned(p: Any, q: Any) -> tuple[Words, Floats, Floats]:
    """Read two distributions at a common width and put them on their joint support, see `align`."""
    left = Distribution.of(p)
    right = read_with_width(q, left.n_bits)
    return align(left if left.n_bits == right.n_bits else read_with_width(p, right.n_bits), right)
