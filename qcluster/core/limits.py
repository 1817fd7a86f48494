"""Limits that the counts themselves set on the noise, whatever the ideal is."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def flip_limits(counts: Floats) -> Floats:
    """Bound the flip rate of each bit from above.

    Flips of bit i mix the strings x and x^i: if one of them is sent, the other is read at least as often as the
    bit flips. So ``e_i <= y(x^i) / (y(x) + y(x^i))`` for every pair, and the least of these bounds holds. Counts
    enter with a standard deviation and a shot to spare.

    Args:
        counts: ``(2**n,)``, in shots.

    Returns:
        ``(n, 2)``: the most that P(read 1|0) and P(read 0|1) can be; 1 where nothing is known.

    Example:
        >>> flip_limits(np.array([990.0, 10.0])).round(3)
        array([[0.014, 1.   ]])
    """
    n_bits = len(counts).bit_length() - 1
    limits = np.ones((n_bits, 2))
    for bit in range(n_bits):
        pairs = counts.reshape(-1, 2, 1 << bit)
        both = pairs.sum(axis=1)
        for sent in (0, 1):
            seen = pairs[:, 1 - sent]
            most = (seen + np.sqrt(seen) + 1) / np.maximum(both, 1.0)
            limits[bit, sent] = min(1.0, float(np.where(both > 0, most, 1.0).min()))
    return limits


def lost_limit(counts: Floats) -> float:
    """Bound the share of shots spread evenly over all strings: the emptier quarter of the strings holds its part.

    Example:
        >>> round(lost_limit(np.array([500.0, 0, 0, 500])), 4)
        0.004
    """
    quarter = max(1, len(counts) // 4)
    seen = np.sort(counts)[:quarter].sum()
    return float(min(1.0, (seen + np.sqrt(seen) + 1) / quarter * len(counts) / max(counts.sum(), 1.0)))


def least_fidelity(counts: Floats) -> float:
    """Bound from below the share of shots that no noise has touched: ``(1 - b) prod_i (1 - e_i)``.

    Where only one direction of a bit's flips can be judged, the other does not occur: its state is never sent.

    Example:
        >>> round(least_fidelity(np.array([5000.0, 0, 0, 5000])), 3)
        0.999
    """
    limits = flip_limits(counts).min(axis=1)
    return float((1 - lost_limit(counts)) * np.prod(1 - limits))
