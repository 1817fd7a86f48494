"""Sums over strings with weights that depend on the Hamming distance only: ``(K v)(x) = sum_y kernel[d(x, y)] v(y)``.

HAMMER, Q-BEEP, Richardson-Lucy and the mixture EM are all made of such sums. Distances are computed and used in blocks
rather than stored for all pairs, so that 100,000 strings need some tens of megabytes.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Words
from qcluster.core.stats.walsh import walsh

Product = Callable[[Floats], Floats]

_BLOCK = 1 << 22
"""Distances computed at once (4 to 8 MB)."""
_MOST_STORED = 1 << 24
"""Largest number of entries for which the kernel is stored as a sparse matrix (200 MB)."""
_TRIED = 16
"""A kernel with zeros is first tried as a sparse matrix if there are fewer pairs of strings than this times the cost of
a transform: the sparse matrix costs as much only once, the transform at every product."""
WALSH_BITS = 24
"""Largest width for which vectors over all strings are held (128 MB each)."""


def distance_blocks(left: Words, right: Words) -> Iterator[tuple[slice, NDArray[np.unsignedinteger]]]:
    """Yield Hamming distances in blocks of rows.

    Args:
        left: ``(n_left, n_words) uint64``.
        right: ``(n_right, n_words) uint64``.

    Yields:
        A slice of `left` and its distances ``(n_rows, n_right)``, uint8 (uint16 beyond 192 bits).
    """
    dtype: type[np.unsignedinteger] = np.uint8 if left.shape[1] < 4 else np.uint16
    step = max(1, _BLOCK // max(1, len(right)))
    if left.shape[1] == 1 and max(left.max(initial=0), right.max(initial=0)) < 1 << 32:
        left, right = left.astype(np.uint32), right.astype(np.uint32)  # three times as fast
    for start in range(0, len(left), step):
        part = left[start : start + step]
        total = np.bitwise_count(part[:, None, 0] ^ right[None, :, 0]).astype(dtype, copy=False)
        for word in range(1, left.shape[1]):
            total += np.bitwise_count(part[:, None, word] ^ right[None, :, word])
        yield slice(start, start + len(part)), total


def radial_operator(words: Words, n_bits: int, kernel: Floats) -> Product:
    """Return a function that multiplies a radial kernel with vectors on a set of strings.

    It uses the cheapest exact way: a sparse matrix if the kernel is zero for most pairs; a Walsh-Hadamard transform
    of the whole register (cost ``n 2^n``) if there are many strings of few bits; otherwise distances that are computed
    again in blocks for each product (cost ``n_outcomes^2``).

    Args:
        words: ``(n_outcomes, n_words) uint64``, distinct.
        n_bits: width of the strings.
        kernel: ``(n_bits + 1,)``, value at each distance.

    Returns:
        A function from values ``(n_outcomes,)`` to ``(n_outcomes,)``.

    Example:
        >>> product = radial_operator(np.array([[0], [1], [3]], dtype=np.uint64), 2, np.array([0.0, 1.0, 0.5]))
        >>> product(np.array([1.0, 10.0, 100.0]))
        array([ 60. , 101. ,  10.5])
    """
    pairs, transform = len(words) ** 2, n_bits << n_bits
    dense = n_bits <= WALSH_BITS and transform < 3 * pairs
    try_sparse = pairs <= _MOST_STORED and not dense if kernel.all() else pairs < _TRIED * transform
    if try_sparse:
        stored = _stored_operator(words, kernel)
        if stored is not None:
            return stored
    return _walsh_operator(words, n_bits, kernel) if dense else _block_operator(words, kernel)


def look_up(kernel: Floats, distances: NDArray[np.unsignedinteger]) -> Floats:
    """Return ``kernel[distances]``, several times as fast as indexing with small integers."""
    values: Floats = kernel.take(distances, mode="clip")
    return values


def _block_operator(words: Words, kernel: Floats) -> Product:
    def product(values: Floats) -> Floats:
        result = np.empty(len(words))
        for rows, distances in distance_blocks(words, words):
            result[rows] = look_up(kernel, distances) @ values
        return result

    return product


def _stored_operator(words: Words, kernel: Floats) -> Product | None:
    """Store the entries that are not zero as a sparse matrix; None if there are too many."""
    from scipy.sparse import csr_array

    columns, entries, ends, n_entries = [], [], [0], 0
    for _, distances in distance_blocks(words, words):
        block = look_up(kernel, distances)
        nonzero = block != 0
        n_entries += int(np.count_nonzero(nonzero))
        if n_entries > _MOST_STORED:
            return None
        columns.append(np.nonzero(nonzero)[1].astype(np.int32))
        entries.append(block[nonzero])
        ends.extend((ends[-1] + np.cumsum(np.count_nonzero(nonzero, axis=1))).tolist())
    if not n_entries:
        return np.zeros_like
    matrix = csr_array((np.concatenate(entries), np.concatenate(columns), np.array(ends)), shape=(len(words),) * 2)

    def product(values: Floats) -> Floats:
        return np.asarray(matrix @ values)

    return product


def _walsh_operator(words: Words, n_bits: int, kernel: Floats) -> Product:
    """Convolve over the whole register; exact up to rounding, about 1e-16 of the largest value."""
    transform = partial(walsh, dtype=np.float64)
    spectrum = transform(kernel[np.bitwise_count(np.arange(1 << n_bits, dtype=np.uint32))]) / (1 << n_bits)
    indices = words[:, 0].astype(np.intp)

    def product(values: Floats) -> Floats:
        full = np.zeros(1 << n_bits)
        full[indices] = values
        return transform(transform(full) * spectrum)[indices]

    return product
