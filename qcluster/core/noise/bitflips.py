"""Bit-flip channels: each bit is read wrongly with a rate of its own, which may differ for 0 and 1."""

from typing import Any

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits

_FLOOR = np.finfo(np.float64).tiny
"""Stands for probability zero under a logarithm."""


def as_rates(rates: Any, n_bits: int) -> Floats:
    """Check flip rates and bring them to one shape.

    Args:
        rates: one rate for all bits; ``(n_bits,)``, one a bit; or ``(n_bits, 2)``, per bit P(read 1|0) and
            P(read 0|1).
        n_bits: number of classical bits.

    Returns:
        ``(n_bits, 2) float64``, read-only.

    Raises:
        TypeError: not numbers.
        ValueError: another shape; a symmetric rate outside [0, 0.5]; two rates of a bit that are negative or
            sum to 1 or more (reading such a bit would say nothing, or the opposite, about it).

    Example:
        >>> as_rates(0.1, 2)
        array([[0.1, 0.1],
               [0.1, 0.1]])
    """
    try:
        given = np.asarray(rates, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"rates must be numbers; got {rates!r}") from error
    if given.shape not in {(), (n_bits,), (n_bits, 2)}:
        raise ValueError(f"rates must be one number, ({n_bits},) or ({n_bits}, 2); got shape {given.shape}")
    pairs = given if given.ndim == 2 else np.broadcast_to(given.reshape(-1, 1), (n_bits, 2))
    if given.ndim < 2:
        wrong = ~((pairs[:, 0] >= 0) & (pairs[:, 0] <= 0.5))
        rule = "rates must lie in [0, 0.5]"
    else:
        wrong = ~((pairs >= 0).all(axis=1) & (pairs.sum(axis=1) < 1))
        rule = "P(read 1|0) and P(read 0|1) must not be negative and must sum to less than 1"
    if wrong.any():
        bit = int(np.flatnonzero(wrong)[0])
        came = pairs[bit, 0] if given.ndim < 2 else tuple(pairs[bit].tolist())
        raise ValueError(f"{rule}; got {came} for bit {bit}")
    pairs = np.array(pairs)
    pairs.flags.writeable = False
    return pairs


def log_likelihood(rows: Bits, sent: Bits, rates: Floats) -> Floats:
    """Give the log probability of reading each row when each candidate was sent.

    ``ln P(y|c) = sum_i ln P(read y_i | c_i)``, the product channel. Two matrix products do the work.

    Args:
        rows: ``(n_rows, n_bits) bool``, what was read.
        sent: ``(n_sent, n_bits) bool``.
        rates: ``(n_bits, 2)``, as `as_rates` gives them.

    Returns:
        ``(n_rows, n_sent) float64``; an impossible reading has about -708 for each bit that cannot be.

    Example:
        >>> zero, one = np.array([[False]]), np.array([[True]])
        >>> np.exp(log_likelihood(one, np.vstack([zero, one]), as_rates(0.25, 1)))
        array([[0.25, 0.75]])
    """
    log = np.log(np.maximum(np.stack([rates, 1 - rates]), _FLOOR))
    flip, keep = log[0], log[1]
    reads_one = np.where(sent, keep[:, 1], flip[:, 0])
    reads_zero = np.where(sent, flip[:, 1], keep[:, 0])
    likelihood: Floats = rows.astype(np.float64) @ (reads_one - reads_zero).T + reads_zero.sum(axis=1)
    return likelihood
