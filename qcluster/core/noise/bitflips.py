"""Bit-flip channels: each bit is read wrongly with a rate of its own, which may differ for 0 and 1."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, read_only
from qcluster.core.checks import real_array
from qcluster.core.counts.bits import Bits, hamming, pack

_FLOOR = np.finfo(np.float64).tiny
"""Replaces probability zero under a logarithm."""
_SINGLE, _NOTHING = 96, 1e-27
"""Bits up to which single precision holds all ratios; what is less than this, and than uniform noise, is nothing."""


def as_rates(rates: Any, n_bits: int) -> Floats:
    """Check flip rates and bring them to one shape.

    Args:
        rates: one rate for all bits; ``(n_bits,)``, one a bit; or ``(n_bits, 2)``, per bit P(read 1|0) and
            P(read 0|1).
        n_bits: number of classical bits.

    Returns:
        ``(n_bits, 2) float64``, read-only.

    Raises:
        TypeError: not real numbers, such as text, which NumPy would read.
        ValueError: another shape; a symmetric rate outside [0, 0.5]; two rates of a bit that are negative or
            sum to 1 or more (reading such a bit would say nothing, or the opposite, about it).

    Example:
        >>> as_rates(0.1, 2)
        array([[0.1, 0.1],
               [0.1, 0.1]])
    """
    try:
        given = real_array("rates", rates)
    except OverflowError as error:
        raise ValueError(f"rates must lie in [0, 0.5]; got {rates!r:.60}") from error
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
    return read_only(np.array(pairs))


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


def channel_matrices(rates: Floats) -> Floats:
    """Give ``K(y|x)``, the product over bits of the chance to read y's bit when x's was sent.

    Args:
        rates: ``(n_hypotheses, n_bits, 2)``, P(read 1|0) and P(read 0|1).

    Returns:
        ``(n_hypotheses, 2**n_bits, 2**n_bits)``, row y, column x.

    Example:
        >>> channel_matrices(np.array([[[0.1, 0.2]]]))
        array([[[0.9, 0.2],
                [0.1, 0.8]]])
    """
    matrices = np.ones((len(rates), 1, 1))
    up, down = rates[..., 0], rates[..., 1]
    bits = np.stack([1 - up, down, up, 1 - down], axis=-1).reshape(*up.shape, 2, 2)
    for bit in range(rates.shape[1]):
        size = 2 << bit
        matrices = np.einsum("hij,hkl->hikjl", bits[:, bit], matrices).reshape(len(rates), size, size)
    return matrices


class IndependentFlips:
    """Independent flips on all 2^n strings, as two Kronecker factors: O(2^(3n/2)) by BLAS, never a 2^n matrix.

    Args:
        rates: ``(n_hypotheses, n_bits, 2)``.
        dtype: of the matrices.
    """

    def __init__(self, rates: Floats, dtype: Any = np.float64) -> None:
        n_bits = rates.shape[1]
        low = n_bits // 2
        self.high = channel_matrices(rates[:, low:]).astype(dtype)
        self.low = channel_matrices(rates[:, :low]).astype(dtype)
        self.low_back = np.ascontiguousarray(self.low.transpose(0, 2, 1))
        self.high_back = np.ascontiguousarray(self.high.transpose(0, 2, 1))
        self.shape = (len(rates), 1 << (n_bits - low), 1 << low)

    def forward(self, ideal: Floats) -> Floats:
        """Give what is read when each vector is sent."""
        return self._apply(self.high, ideal, self.low_back)

    def adjoint(self, vector: Floats) -> Floats:
        """Apply the transpose."""
        return self._apply(self.high_back, vector, self.low)

    def _apply(self, left: NDArray[Any], vectors: Floats, right: NDArray[Any]) -> Floats:
        spread: Floats = left @ (vectors.reshape(self.shape) @ right)
        return spread.reshape(len(spread), -1)


class ObservedFlips:
    """Independent flips, one rate for all bits, from candidates to the strings that were read: a matrix for each rate.

    Args:
        rows: ``(n_read, n_bits) bool``.
        sent: ``(n_sent, n_bits) bool``.
        rates: ``(n_rates,)`` flips per bit, in (0, 1).
        n_each: successive vectors that go through the same matrix.
    """

    def __init__(self, rows: Bits, sent: Bits, rates: Floats, n_each: int) -> None:
        n_bits = rows.shape[1]
        flipped = np.arange(n_bits + 1)
        chances = np.exp(flipped * np.log(rates)[:, None] + (n_bits - flipped) * np.log1p(-rates)[:, None])
        chances[chances < 0.5**n_bits * _NOTHING] = 0  # and no denormal numbers, which are slow
        self.dtype = np.float32 if n_bits <= _SINGLE else np.float64
        self.matrices = np.take(chances.astype(self.dtype), hamming(pack(rows), pack(sent)), axis=1).swapaxes(1, 2)
        self.n_each = n_each

    def forward(self, ideal: Floats) -> Floats:
        """Give what is read when each vector is sent."""
        return self._apply(ideal, self.matrices)

    def adjoint(self, vector: Floats) -> Floats:
        """Apply the transpose."""
        return self._apply(vector, self.matrices.transpose(0, 2, 1))

    def _apply(self, vectors: Floats, matrices: NDArray[Any]) -> Floats:
        grouped = vectors.reshape(len(matrices), self.n_each, -1).astype(self.dtype, copy=False)
        spread: Floats = (grouped @ matrices).reshape(len(vectors), -1).astype(np.float64, copy=False)
        return spread
