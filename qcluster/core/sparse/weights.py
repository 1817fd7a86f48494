"""EM over the weights of strings and of uniform noise, what a string is read as being held.

For every kind of noise: P(y|c) comes as numbers.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats

Real = TypeVar("Real", np.float32, np.float64)
"""The precision of the work."""

FAINT = 1e-6
"""Smallest share of uniform noise."""


def fit_weights(
    columns: NDArray[Real], shares: NDArray[Real], weights: NDArray[Real], background: Floats, rounds: int
) -> tuple[NDArray[Real], Floats, NDArray[Real]]:
    """Raise the likelihood of ``P(y) = b + sum_k w_k P(y|c_k)`` by EM (Dempster, Laird & Rubin, 1977) over w and b.

    All probabilities are multiples of the uniform one. A round multiplies each weight by ``sum_y W(y) P(y|c) / P(y)``,
    W the share of the shots: two products of a matrix and a vector.

    Args:
        columns: ``(..., k, u)`` P(y|c) of k strings.
        shares: ``(u,)`` share of the shots of each string that was read.
        weights: ``(..., p, k)`` share of the shots that each string sent, in p mixtures of these strings.
        background: ``(..., p)`` share of uniform noise; zero stays zero, all else stays above `FAINT`.
        rounds: how many.

    Returns:
        Weights, background, and P(y) ``(..., p, u)``. Weights and background of a mixture sum to 1.

    Example:
        >>> columns = np.array([[3.6, 0.2, 0.1, 0.1], [0.1, 0.1, 0.2, 3.6]])
        >>> read = np.array([0.6, 0.05, 0.05, 0.3])
        >>> weights, uniform, _ = fit_weights(columns, read, np.array([[0.4, 0.4]]), np.array([0.2]), 500)
        >>> weights.round(2).tolist(), uniform.round(2).tolist()
        ([[0.64, 0.3]], [0.06])
    """
    background, transposed = background[..., None], columns.swapaxes(-1, -2)
    least = np.where(background > 0, FAINT, 0.0)
    total = weights @ columns + background.astype(columns.dtype, copy=False)
    for _ in range(rounds):
        ratio = shares / total
        weights = weights * np.matmul(ratio, transposed)
        background = background * ratio.sum(axis=-1, keepdims=True, dtype=np.float64)
        whole = weights.sum(axis=-1, keepdims=True) + background
        weights = (weights / whole).astype(columns.dtype, copy=False)
        background = np.maximum(background / whole, least)
        total = weights @ columns + background.astype(columns.dtype, copy=False)
    return weights, background[..., 0], total
