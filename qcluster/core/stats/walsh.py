"""Walsh transforms of vectors over all bitstrings; a linear index for strings too wide for that.

The last axis of vectors has one entry for each index in 0..2^m-1. For up to `m` bits the index of a string is its
value. Wider strings are hashed by a random linear map over F_2, ``index(x xor y) = index(x) xor index(y)``: a flip
pattern moves every string by the same index, so that a noise kernel which is an XOR-convolution stays one and is still
computed exactly. The price: each index stands for 2^(n-m) strings, and the far tail of a kernel, of total probability
t, adds about ``t 2^-m`` to each value, far below one shot. (Where the map's rows depend on each other, as those for 17
bits and m of 14 to 16 do, half of the indices stand for twice as many strings, and the others for none.)
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices, read_only
from qcluster.core.counts.bits import Words, pack

_RADIX = 5
"""Bits transformed by one matrix product."""
_SINGLE = 16
"""Bits from which single precision is used: its error, 1e-7 of the largest value, is spread over so many entries that
it stays far below one shot."""
_MAP = 0
"""Seed of the random map: strings have the same numbers in every run, and on every machine."""


@lru_cache(maxsize=16)
def _hadamard(bits: int, dtype: np.dtype[Any]) -> NDArray[np.floating[Any]]:
    values = np.arange(1 << bits)
    parity = np.bitwise_count(values[:, None] & values[None, :]) & 1
    return read_only((1.0 - 2.0 * parity).astype(dtype))


def _dtype(m: int) -> np.dtype[Any]:
    """Give the precision of transforms of ``2^m`` numbers."""
    return np.dtype(np.float32 if m >= _SINGLE else np.float64)


def walsh(vector: Floats, dtype: type[np.floating[Any]] | None = None) -> Floats:
    """Give the Walsh-Hadamard transform ``v^(k) = sum_x (-1)^(k.x) v(x)``; twice is 2^m times the vector.

    Args:
        vector: (..., 2^m). Cost: m 2^m additions, as matrix products; 30 ms for m = 20, where single precision is
            used inside.
        dtype: the precision used inside, where it must be another.

    Example:
        >>> walsh(np.array([1.0, 0.0, 0.0, 0.0])).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    m = int(vector.shape[-1]).bit_length() - 1
    kind = _dtype(m) if dtype is None else np.dtype(dtype)
    result: NDArray[np.floating[Any]] = vector.astype(kind, copy=False)
    below = 0
    while below < m:
        bits = min(_RADIX, m - below)
        signs = _hadamard(bits, kind)
        cube = result.reshape(-1, 1 << bits, 1 << below)
        result = signs @ cube if below else cube[:, :, 0] @ signs
        below += bits
    return np.array(result, dtype=np.float64).reshape(vector.shape)


def convolve(vectors: Floats, spectrum: Floats) -> Floats:
    """Give the XOR-convolutions ``sum_x v(x) e(y xor x)`` of vectors ``(..., 2^m)`` with e, whose transform is given.

    The map is symmetric: it is its own adjoint.

    Example:
        >>> convolve(np.array([1.0, 0.0]), walsh(np.array([0.9, 0.1]))).round(3).tolist()
        [0.9, 0.1]
    """
    return np.asarray(walsh(walsh(vectors) * spectrum) / vectors.shape[-1])


def rounding(vectors: Floats) -> Floats:
    """Give what rounding leaves in each entry of a convolution of vectors ``(..., 2^m)`` at best, ``(..., 1)``.

    Where the exact value is less than that, what `convolve` gives is anything up to some hundred times as much, or 0: a
    number of shots divided by it would overflow.

    Example:
        >>> bool(rounding(np.array([1.0, 0.0]))[0] < 1e-15)
        True
    """
    size = vectors.shape[-1]
    eps = np.finfo(_dtype(size.bit_length() - 1)).eps
    return np.asarray(eps / np.sqrt(size) * np.linalg.norm(vectors, axis=-1, keepdims=True))


@dataclass(frozen=True, eq=False)
class LinearIndex:
    """Number bitstrings so that the number of ``x xor y`` is the xor of their numbers."""

    n_bits: int
    """Width of the strings."""
    widest: int | None = None
    """Most bits of a number: wider strings are hashed. None: strings of any width are numbered by their value."""

    @property
    def n_index(self) -> int:
        """Width m of the numbers; n_bits where strings are numbered by their value."""
        return self.n_bits if self.widest is None else min(self.widest, self.n_bits)

    @property
    def size(self) -> int:
        """How many numbers there are, 2^m."""
        return 1 << self.n_index

    @property
    def exact(self) -> bool:
        """True when every string has a number of its own."""
        return self.n_index == self.n_bits

    @cached_property
    def _rows(self) -> Words:
        """(m, n_words): string bits whose parity is each bit of the number."""
        rng = np.random.default_rng(_MAP)
        return pack(rng.random((self.n_index, self.n_bits)) < 0.5)

    def of(self, words: Words) -> Indices:
        """Give the numbers (n_strings,) of packed strings (n_strings, n_words)."""
        if self.exact:
            return words[:, 0].astype(np.intp)
        result = np.zeros(len(words), dtype=np.intp)
        for bit, row in enumerate(self._rows):
            parity = np.bitwise_count(words & row).sum(axis=1, dtype=np.intp) & 1
            result |= parity << bit
        return result

    def vector(self, words: Words, weights: Floats) -> Floats:
        """Give the weights of packed strings by their numbers, (2^m,); those of one number add up."""
        return np.bincount(self.of(words), weights, self.size).astype(np.float64, copy=False)


def most_frequent(numbers: Indices, weights: Floats) -> Indices:
    """Give, for each number that strings have, ascending, the row of the most frequent of these: the first of equals.

    Where strings are hashed, that is the string which a number means.

    Args:
        numbers: ``(n_strings,)`` of the strings.
        weights: ``(n_strings,)`` how often each was read.

    Example:
        >>> most_frequent(np.array([3, 1, 3, 3]), np.array([1.0, 2.0, 5.0, 5.0])).tolist()
        [1, 2]
    """
    order = np.lexsort((-weights, numbers))
    _, first = np.unique(numbers[order], return_index=True)
    return np.asarray(order[first])
