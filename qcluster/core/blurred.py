"""Ideals that are smooth by themselves: a string shares its probability with its neighbours, as if bits had flipped.

Flips at rate ``s`` followed by flips at rate ``q`` are flips at rate ``r = q + s - 2 q s``. So what a machine with
flips ``r`` and an ideal ``x`` explains, a machine with ``q`` and the smooth ideal ``K_s x`` explains as well, and no
evidence from the counts tells the two apart.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.deconvolve import IndependentFlips
from qcluster.core.special import mean_root

Floats = NDArray[np.float64]


def left_over(whole: Floats, flips: Floats | float) -> Floats:
    """Give the rate ``s`` that makes flips of rate `whole` when flips of rate `flips` follow it.

    Example:
        >>> left_over(np.array([0.1, 0.18]), 0.1).round(3).tolist()
        [0.0, 0.1]
    """
    return np.asarray((whole - flips) / (1 - 2 * flips))


def blurred_roots(shapes: NDArray[Any], blur: Floats) -> Floats:
    """Give the posterior mean of ``sqrt(K_s x)``, scaled to unit length, for Dirichlet posteriors of x.

    A sum of Dirichlet variables is nearly a Gamma variable of the same mean and variance. Its variance follows from
    ``K_s`` with squared entries, which is a channel too: ``s^2`` against ``(1 - s)^2``, times a constant.

    Args:
        shapes: ``(n_hypotheses, 2**n)``, Dirichlet parameters.
        blur: ``(n_hypotheses,)``, s: the rate at which each bit of the ideal is exchanged.

    Cost: two applications of the channel for each hypothesis, as much as one of the 60 steps that found `shapes`.

    Example:
        >>> (blurred_roots(np.array([[100.0, 1e-9]]), np.array([0.1])) ** 2).round(2).tolist()
        [[0.9, 0.1]]
    """
    n_bits = shapes.shape[1].bit_length() - 1
    total = shapes.sum(axis=1, keepdims=True, dtype=np.float64)
    both = (1 - blur) ** 2 + blur**2
    mean = _blurred(shapes, blur) / total
    squares = _blurred(shapes, blur**2 / both) * (both**n_bits)[:, None] / total
    variance = np.maximum(squares - mean * mean, 1e-30) / (total + 1)
    roots = mean_root(np.maximum(mean * mean / variance, 1e-9)) * np.sqrt(variance / np.maximum(mean, 1e-30))
    unit: Floats = roots / np.sqrt((roots * roots).sum(axis=1, keepdims=True))
    return unit


def _blurred(shapes: NDArray[Any], rates: Floats) -> Floats:
    n_bits = shapes.shape[1].bit_length() - 1
    channel = IndependentFlips(np.broadcast_to(rates[:, None, None], (len(rates), n_bits, 2)), shapes.dtype)
    return channel(shapes).astype(np.float64)
