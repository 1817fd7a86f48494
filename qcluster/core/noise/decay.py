"""One-sided decay of bits, on vectors over all bitstrings: the part of readout that tells 0 from 1."""

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.noise.bitflips import channel_matrices

_RADIX = 5
"""Bits that decay by one matrix product."""

Decays = tuple[tuple[int, Floats], ...]
"""First bit, and ``(s, 2^k, 2^k)`` what decay makes of the next k, for each of s rows; bits that keep their value are
left out."""


def decays_of(rates: Floats) -> Decays:
    """Join the bits into matrices of a few bits each.

    Args:
        rates: ``(s, m)`` in (-1, 1), for each of s rows of vectors: above 0 the probability that a 1 falls to 0, below
            that a 0 rises to 1.
    """
    pairs = np.stack([np.maximum(-rates, 0.0), np.maximum(rates, 0.0)], axis=-1)
    parts = [(at, pairs[:, at : at + _RADIX]) for at in range(0, rates.shape[1], _RADIX)]
    return tuple((at, channel_matrices(part)) for at, part in parts if part.any())


def decay(vector: Floats, decays: Decays, *, transposed: bool = False) -> Floats:
    """Let bits decay, or apply the transpose of that.

    Args:
        vector: ``(s, ..., 2^m)``; with one set of rates for all, ``(..., 2^m)``.
        decays: from `decays_of`.
        transposed: apply the transpose.

    Example:
        >>> decay(np.array([0.0, 1.0]), decays_of(np.array([[0.1]]))).tolist()
        [0.1, 0.9]
    """
    result = vector
    for at, block in decays:
        block = block.transpose(0, 2, 1) if transposed else block
        cube = result.reshape(len(block), -1, block.shape[1], 1 << at)
        result = block[:, None] @ cube if at else cube[..., 0] @ block.transpose(0, 2, 1)
    return result.reshape(vector.shape)
