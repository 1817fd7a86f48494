"""Deconvolution written plainly: a dense matrix of 2^n strings, and expectation maximisation with loops over bits."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def dense_channel(rates: Floats) -> Floats:
    """K[y, x], bit by bit."""
    n = len(rates)
    matrix = np.ones((1 << n, 1 << n))
    for y in range(1 << n):
        for x in range(1 << n):
            for bit in range(n):
                sent, read = x >> bit & 1, y >> bit & 1
                flip = rates[bit, sent]
                matrix[y, x] *= flip if sent != read else 1 - flip
    return matrix


def maximum_likelihood(counts: Floats, rates: Floats, rounds: int = 20000) -> Floats:
    """The distribution under which the counts are most probable, by plain EM."""
    matrix = dense_channel(rates)
    x = np.full(len(counts), 1 / len(counts))
    for _ in range(rounds):
        x = x * (matrix.T @ (counts / (matrix @ x)))
        x /= x.sum()
    return x
