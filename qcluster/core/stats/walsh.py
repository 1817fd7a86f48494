"""Walsh transforms of vectors over all bitstrings, and a linear index for strings that are too wide for such vectors.

The last axis of a vector has one entry for each index in 0..2^m-1. For up to `m` bits the index of a string is its
value. Wider strings are hashed by a random linear map over F_2, ``index(x xor y) = index(x) xor index(y)``. A flip
pattern then shifts the index of every string by the same amount, so that a noise kernel which is an XOR-convolution
stays one and is still computed exactly. The price is that 2^(n-m) strings share each index, and that the far tail of a
kernel, of total probability t, adds about ``t 2^-m`` to each value, far below one shot. (Where the rows of the map are
linearly dependent, as they are for 17 bits and m of 14 to 16, half of the indices are shared by twice as many strings,
and the others are unused.)
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import sqrt
from typing import Any

import numpy as np

from qcluster.core.arrays import Floats, Indices, Reals, read_only
from qcluster.core.counts.bits import Words, pack

_RADIX = 5
"""Number of bits transformed by one matrix product."""
_SINGLE_FROM = 16
"""Number of bits from which single precision is used. Its error, 1e-7 of the largest value, is spread over so many
entries that it stays far below one shot."""
_MAP_SEED = 0
"""Seed of the random map, fixed so that strings have the same indices in every run and on every machine."""


@lru_cache(maxsize=64)
def _steps(m: int, dtype: type[np.floating[Any]]) -> list[tuple[int, Reals]]:
    """Return the steps of a transform: the first of some successive bits, and the matrix of their ``(-1)^(k.x)``."""
    steps = []
    for first in range(0, m, _RADIX):
        values = np.arange(1 << min(_RADIX, m - first))
        parity = np.bitwise_count(values[:, None] & values) & 1
        steps.append((first, read_only((1.0 - 2.0 * parity).astype(dtype))))
    return steps


def _dtype(m: int) -> type[np.floating[Any]]:
    """Return the precision used for transforms of ``2^m`` numbers."""
    return np.float32 if m >= _SINGLE_FROM else np.float64


def walsh(vector: Floats, dtype: type[np.floating[Any]] | None = None) -> Floats:
    """Return the Walsh-Hadamard transform ``v^(k) = sum_x (-1)^(k.x) v(x)``; applied twice, it multiplies v by 2^m.

    Args:
        vector: ``(..., 2^m)``. Cost: m 2^m additions, as matrix products; 30 ms for m = 20, in single precision.
        dtype: precision of the computation; by default single precision from m = 16 on.
    """
    m = vector.shape[-1].bit_length() - 1
    kind: Any = dtype or _dtype(m)
    result: Reals = vector.astype(kind, copy=False)
    for first, signs in _steps(m, kind):  # one product for each vector, so that rounding does not depend on the others
        cube = result.reshape(*vector.shape[:-1], vector.shape[-1] // len(signs) >> first, len(signs), 1 << first)
        result = signs @ cube if first else cube[..., 0] @ signs
    return result.astype(np.float64, copy=not m).reshape(vector.shape)


def convolve(vectors: Floats, spectrum: Floats) -> Floats:
    """Return the XOR-convolutions ``sum_x v(x) e(y xor x)`` of vectors v ``(..., 2^m)`` with e; `spectrum` is e^.

    The convolution is a symmetric map, so it is its own adjoint.

    Example:
        >>> convolve(np.array([1.0, 0.0]), walsh(np.array([0.9, 0.1]))).round(3).tolist()
        [0.9, 0.1]
    """
    return np.asarray(walsh(walsh(vectors) * spectrum) / vectors.shape[-1])


def rounding_error(vectors: Floats) -> Floats:
    """Return a lower estimate of the rounding error in a convolution of vectors ``(..., 2^m)``, ``(..., 1)``.

    Where an exact value is smaller than this, `convolve` may return 0 or up to some hundred times this error. Shots
    must not be divided by such a value, since the quotient could overflow.
    """
    size = vectors.shape[-1]
    eps = float(np.finfo(_dtype(size.bit_length() - 1)).eps)
    return np.asarray(eps / sqrt(size) * np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True)))


@dataclass(frozen=True, eq=False)
class LinearIndex:
    """Linear map from bitstrings to indices: the index of ``x xor y`` is the XOR of the indices of x and y."""

    n_bits: int
    """Width of the strings."""
    widest: int | None = None
    """Largest width of an index; wider strings are hashed. None: the index is the value of a string at any width."""

    @property
    def n_index(self) -> int:
        """Width m of the indices, in bits."""
        return self.n_bits if self.widest is None else min(self.widest, self.n_bits)

    @property
    def size(self) -> int:
        """Number of indices, 2^m."""
        return 1 << self.n_index

    @property
    def exact(self) -> bool:
        """True when every string has an index of its own, its value."""
        return self.n_index == self.n_bits

    @cached_property
    def _rows(self) -> Words:
        """``(m, n_words)``: for each bit of the index, the string bits whose parity it is."""
        rng = np.random.default_rng(_MAP_SEED)
        return pack(rng.random((self.n_index, self.n_bits)) < 0.5)

    def of(self, words: Words) -> Indices:
        """Return the indices ``(n_strings,)`` of packed strings ``(n_strings, n_words)``."""
        if self.exact:
            return words[:, 0].astype(np.intp)
        result = np.zeros(len(words), dtype=np.intp)
        for bit, row in enumerate(self._rows):
            parity = np.bitwise_count(words & row).sum(axis=1, dtype=np.intp) & 1
            result |= parity << bit
        return result

    def vector(self, words: Words, weights: Floats) -> Floats:
        """Return the weights of packed strings as a vector over indices, ``(2^m,)``; those of equal index add up."""
        return np.bincount(self.of(words), weights, self.size).astype(np.float64, copy=False)


def most_frequent(indices: Indices, weights: Floats) -> Indices:
    """Return, for each distinct index in ascending order, the row of its most frequent string (the first of equals).

    Where strings are hashed, this string represents the index. Both arrays are ``(n_strings,)``.

    Example:
        >>> most_frequent(np.array([3, 1, 3, 3]), np.array([1.0, 2.0, 5.0, 5.0])).tolist()
        [1, 2]
    """
    order = np.lexsort((-weights, indices))
    _, first = np.unique(indices[order], return_index=True)
    return np.asarray(order[first])
