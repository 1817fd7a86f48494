"""Bit-flip channels: bits flip independently, each with its own rate, which may differ between 0 and 1."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, read_only
from qcluster.core.checks import real_array
from qcluster.core.counts.bits import Bits, hamming, pack

_FLOOR = np.finfo(np.float64).tiny
"""Replaces zero probabilities before taking a logarithm."""
_SINGLE_UP_TO, _NEGLIGIBLE = 96, 1e-27
"""Number of bits up to which single precision is used; probabilities below this times the uniform one become zero."""


def as_rates(rates: Any, n_bits: int) -> Floats:
    """Check flip rates and broadcast them to ``(n_bits, 2) float64``, read-only.

    They may be one rate for all bits; ``(n_bits,)``, one per bit; or ``(n_bits, 2)``, P(read 1|0) and P(read 0|1) of
    each bit.

    Raises:
        TypeError: the rates are not real numbers; text is refused, although NumPy would convert it.
        ValueError: the shape is wrong; a symmetric rate is outside [0, 0.5]; or one of a bit's two rates is negative,
            or they sum to 1 or more, so that reading the bit would give no information about it, or the opposite.

    Example:
        >>> as_rates(0.1, 2)
        array([[0.1, 0.1],
               [0.1, 0.1]])
    """
    try:
        array = real_array("rates", rates)
    except OverflowError as error:
        raise ValueError(f"rates must lie in [0, 0.5]; got {rates!r:.60}") from error
    if array.shape not in {(), (n_bits,), (n_bits, 2)}:
        raise ValueError(f"rates must be one number, ({n_bits},) or ({n_bits}, 2); got shape {array.shape}")
    pairs = array if array.ndim == 2 else np.broadcast_to(array.reshape(-1, 1), (n_bits, 2))
    if array.ndim < 2:
        wrong = ~((pairs[:, 0] >= 0) & (pairs[:, 0] <= 0.5))
        rule = "rates must lie in [0, 0.5]"
    else:
        wrong = ~((pairs >= 0).all(axis=1) & (pairs.sum(axis=1) < 1))
        rule = "P(read 1|0) and P(read 0|1) must not be negative and must sum to less than 1"
    if wrong.any():
        bit = int(np.flatnonzero(wrong)[0])
        rate = pairs[bit, 0] if array.ndim < 2 else tuple(pairs[bit].tolist())
        raise ValueError(f"{rule}; got {rate} for bit {bit}")
    return read_only(np.array(pairs))


def log_likelihood(rows: Bits, sent: Bits, rates: Floats) -> Floats:
    """Return the log probability of reading each row if each candidate was sent, in nats.

    ``ln P(y|c) = sum_i ln P(read y_i | c_i)``, the product channel. Cost: one matrix product.

    From ``(n_rows, n_bits)`` strings read, ``(n_sent, n_bits)`` candidates and ``(n_bits, 2)`` rates to
    ``(n_rows, n_sent) float64``; each bit that cannot be read so contributes about -708.

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
    """Return ``K(y|x)``, the product over bits of the probability of reading y's bit if x's was sent.

    From ``(n_hypotheses, n_bits, 2)`` rates, P(read 1|0) and P(read 0|1), to ``(n_hypotheses, 2**n_bits, 2**n_bits)``
    matrices, row y, column x.

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
        product = bits[:, bit, :, None, :, None] * matrices[:, None, :, None, :]
        matrices = product.reshape(len(rates), size, size)
    return matrices


class IndependentFlips:
    """Independent flips on all 2^n strings, as two Kronecker factors: O(2^(3n/2)) by BLAS, never a 2^n matrix.

    The rates are ``(n_hypotheses, n_bits, 2)``.
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
        """Return the noisy distribution of each ideal one."""
        return self._apply(self.high, ideal, self.low_back)

    def adjoint(self, vector: Floats) -> Floats:
        """Apply the transpose."""
        return self._apply(self.high_back, vector, self.low)

    def _apply(self, left: NDArray[Any], vectors: Floats, right: NDArray[Any]) -> Floats:
        spread: Floats = left @ (vectors.reshape(self.shape) @ right)
        return spread.reshape(len(spread), -1)


class ObservedFlips:
    """Independent flips at one rate for all bits, from candidates to the strings read, as one matrix for each rate.

    The strings read are ``(n_read, n_bits) bool``, the candidates ``(n_sent, n_bits)``, and the rates ``(n_rates,)`` in
    (0, 1). Each matrix serves `n_each` successive vectors.
    """

    def __init__(self, rows: Bits, sent: Bits, rates: Floats, n_each: int) -> None:
        n_bits = rows.shape[1]
        flips = np.arange(n_bits + 1)
        kernels = np.exp(flips * np.log(rates)[:, None] + (n_bits - flips) * np.log1p(-rates)[:, None])
        kernels[kernels < 0.5**n_bits * _NEGLIGIBLE] = 0  # this also avoids denormal numbers, which are slow
        self.dtype = np.float32 if n_bits <= _SINGLE_UP_TO else np.float64
        self.matrices = np.take(kernels.astype(self.dtype), hamming(pack(rows), pack(sent)), axis=1).swapaxes(1, 2)
        self.n_each = n_each

    def forward(self, ideal: Floats) -> Floats:
        """Return the noisy distribution of each ideal one."""
        return self._apply(ideal, self.matrices)

    def adjoint(self, vector: Floats) -> Floats:
        """Apply the transpose."""
        return self._apply(vector, self.matrices.transpose(0, 2, 1))

    def _apply(self, vectors: Floats, matrices: NDArray[Any]) -> Floats:
        grouped = vectors.reshape(len(matrices), self.n_each, -1).astype(self.dtype, copy=False)
        spread: Floats = (grouped @ matrices).reshape(len(vectors), -1).astype(np.float64, copy=False)
        return spread
