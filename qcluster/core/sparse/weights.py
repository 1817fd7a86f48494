"""EM for the weights of strings and of uniform noise, with the likelihoods P(y|c) fixed.

It serves every noise model, because P(y|c) enters as an array of numbers.
"""

import numpy as np

from qcluster.core.arrays import Floats, Reals

LEAST_BACKGROUND = 1e-6
"""Smallest share of uniform noise, unless it is exactly zero."""


def fit_weights(
    columns: Reals, shares: Reals, weights: Reals, background: Floats, rounds: int
) -> tuple[Reals, Floats, Reals]:
    """Fit w and b in ``P(y) = b + sum_k w_k P(y|c_k)`` by EM (Dempster, Laird & Rubin, 1977).

    All probabilities are multiples of the uniform one. A round multiplies each weight by ``sum_y W(y) P(y|c) / P(y)``,
    where W is the share of the shots. It costs two products of a matrix and a vector.

    Args:
        columns: ``(..., k, u)`` P(y|c) of u observed strings, given each of k sent strings.
        shares: ``(u,)`` share of the shots of each observed string.
        weights: ``(..., p, k)`` share of the shots that each string sent, in p mixtures of these strings: the start.
        background: ``(..., p)`` share of uniform noise. Zero stays zero, any other share stays above
            `LEAST_BACKGROUND`.
        rounds: number of EM rounds.

    Returns weights, background, and P(y) ``(..., p, u)``. The weights and the background of a mixture sum to 1.

    Example:
        >>> columns = np.array([[3.6, 0.2, 0.1, 0.1], [0.1, 0.1, 0.2, 3.6]])
        >>> read = np.array([0.6, 0.05, 0.05, 0.3])
        >>> weights, uniform, _ = fit_weights(columns, read, np.array([[0.4, 0.4]]), np.array([0.2]), 500)
        >>> weights.round(2).tolist(), uniform.round(2).tolist()
        ([[0.64, 0.3]], [0.06])
    """
    background, transposed = background[..., None], columns.swapaxes(-1, -2)
    least = np.where(background > 0, LEAST_BACKGROUND, 0.0)
    total = weights @ columns + background.astype(columns.dtype, copy=False)
    for _ in range(rounds):
        ratio = shares / total
        weights = weights * np.matmul(ratio, transposed)
        background = background * ratio.sum(axis=-1, keepdims=True, dtype=np.float64)
        norm = weights.sum(axis=-1, keepdims=True) + background
        weights = (weights / norm).astype(columns.dtype, copy=False)
        background = np.maximum(background / norm, least)
        total = weights @ columns + background.astype(columns.dtype, copy=False)
    return weights, background[..., 0], total
