"""One-sided decay of bits, the part of readout that treats 0 and 1 differently, on vectors over all bitstrings."""

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.noise.bitflips import channel_matrices

_RADIX = 5
"""Number of bits treated by one matrix product."""

Decays = tuple[tuple[int, Floats], ...]
"""Blocks of k successive bits: the first bit, and the transition matrices ``(s, 2^k, 2^k)``, one for each of s rows of
vectors. Blocks without decay are left out."""


def decays_of(rates: Floats) -> Decays:
    """Combine the decays of single bits into matrices of a few bits each.

    Args:
        rates: ``(s, m)`` in (-1, 1), for each of s rows of vectors: a positive rate is the probability that a 1 falls
            to 0, a negative one minus the probability that a 0 rises to 1.
    """
    pairs = np.stack([np.maximum(-rates, 0.0), np.maximum(rates, 0.0)], axis=-1)
    parts = [(first, pairs[:, first : first + _RADIX]) for first in range(0, rates.shape[1], _RADIX)]
    return tuple((first, channel_matrices(part)) for first, part in parts if part.any())


def decay(vector: Floats, decays: Decays, *, transposed: bool = False) -> Floats:
    """Apply decay, or its transpose, to vectors over all bitstrings: ``(s, ..., 2^m)``, or ``(..., 2^m)`` if s is 1.

    Example:
        >>> decay(np.array([0.0, 1.0]), decays_of(np.array([[0.1]]))).tolist()
        [0.1, 0.9]
    """
    result = vector
    for first, block in decays:
        block = block.transpose(0, 2, 1) if transposed else block
        cube = result.reshape(len(block), -1, block.shape[1], 1 << first)
        result = block[:, None] @ cube if first else cube[..., 0] @ block.transpose(0, 2, 1)
    return result.reshape(vector.shape)
