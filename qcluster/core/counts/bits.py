"""Bitstrings as text, bit arrays and packed words, and Hamming distances. Only this file knows the bit order.

The same bitstrings have three forms:

* *text*, as Qiskit prints it: classical bit 0 is the rightmost character;
* *bits*, ``(n_strings, n_bits) bool``: column j is classical bit j;
* *words*, ``(n_strings, n_words) uint64``: classical bit j is bit ``j % 64`` of word ``j // 64``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import upper_triangle

Bits = NDArray[np.bool_]
Words = NDArray[np.uint64]
Bytes = NDArray[np.uint8]

_CHUNK = 1 << 22
"""Pairwise distances computed at once, to bound memory."""
_ROWS = 1 << 11
"""Rows converted to numbers or packed at once, to bound memory."""


def parse_bitstrings(texts: Sequence[str]) -> Bits:
    """Parse bitstrings of equal length to *bits*, ``(len(texts), n_bits) bool``.

    Raises:
        ValueError: the strings differ in length, or contain another character.

    Example:
        >>> parse_bitstrings(["001", "110"])
        array([[ True, False, False],
               [False,  True,  True]])
    """
    n_bits = len(texts[0]) if texts else 0
    for text in texts:
        if len(text) != n_bits:
            raise ValueError(f"bitstrings must have one length; {texts[0]!r} has {n_bits}, {text!r} has {len(text)}")
    try:
        codes = np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8).reshape(len(texts), n_bits)
        wrong = (codes | 1) != ord("1")
    except UnicodeEncodeError:
        wrong = np.array([[not text.isascii()] for text in texts])
    if wrong.any():
        culprit = texts[int(np.flatnonzero(wrong.any(axis=1))[0])]
        raise ValueError(f"bitstrings must consist of 0 and 1; got {culprit!r}")
    return np.ascontiguousarray(codes[:, ::-1] == ord("1"))


def format_bitstrings(bits: Bits) -> list[str]:
    """Format *bits* as text, with classical bit 0 rightmost.

    Example:
        >>> format_bitstrings(np.array([[True, False, False]]))
        ['001']
    """
    n_strings, n_bits = bits.shape
    codes = np.where(bits[:, ::-1], np.uint8(ord("1")), np.uint8(ord("0"))).tobytes().decode("ascii")
    return [codes[i * n_bits : (i + 1) * n_bits] for i in range(n_strings)]


def integers_to_bits(values: Sequence[int], n_bits: int) -> Bits:
    """Convert integers from 0 to ``2**n_bits - 1``, of any size, to *bits*: classical bit j is the j-th binary digit.

    Example:
        >>> integers_to_bits([1, 6], 3).astype(int)
        array([[1, 0, 0],
               [0, 1, 1]])
    """
    n_bytes = (n_bits + 7) // 8
    packed = b"".join(int(value).to_bytes(n_bytes, "little") for value in values)
    return _from_little_bytes(np.frombuffer(packed, dtype=np.uint8).reshape(len(values), n_bytes), n_bits)


def big_endian_to_words(packed: Bytes, n_bits: int) -> Words:
    """Convert rows of bytes, ``(n_strings, ceil(n_bits / 8))``, in the layout of Qiskit's ``BitArray`` to *words*.

    The last byte holds classical bits 0 to 7. Padding bits at the top of byte 0 are cleared: inverting or XOR-ing a
    ``BitArray`` sets them, and equal strings would then differ.
    """
    words = _words_of_little_bytes(packed[:, ::-1])
    if n_bits % 64:
        words[:, n_bits // 64] &= np.uint64((1 << (n_bits % 64)) - 1)
    return words


def _from_little_bytes(packed: Bytes, n_bits: int) -> Bits:
    return np.unpackbits(packed, axis=1, count=n_bits, bitorder="little").view(np.bool_)


def pack(bits: Bits) -> Words:
    """Pack *bits* into *words*, ``(n_strings, ceil(n_bits / 64)) uint64``; a width of zero gives one word of zeros.

    Example:
        >>> pack(np.array([[True, True, False]]))
        array([[3]], dtype=uint64)
    """
    return _words_of_little_bytes(np.packbits(bits, axis=1, bitorder="little"))


def unpack(words: Words, n_bits: int) -> Bits:
    """Unpack 64-bit words into ``(n_strings, n_bits) bool``: the inverse of `pack`."""
    return _from_little_bytes(np.ascontiguousarray(words.astype("<u8", copy=False)).view(np.uint8), n_bits)


def index_bits(indices: NDArray[np.integer[Any]], n_bits: int) -> Bits:
    """Return the strings at given indices of a vector over all 2^n strings, ``(n_indices, n_bits) bool``; n <= 64."""
    return unpack(indices.astype(np.uint64)[:, None], n_bits)


def distinct_rows(words: Words) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Sort packed strings by value, the highest classical bit being the most significant, and find the distinct ones.

    Returns the order of rows that sorts them, which is stable, and the positions in it at which a new string starts.
    """
    order = np.argsort(words[:, -1], kind="stable")
    if words.shape[1] > 1:  # the other words order those that agree in the highest: faster than a sort of all by each
        highest, tied = words[order, -1], np.zeros(len(words), dtype=bool)
        tied[1:] = highest[1:] == highest[:-1]
        tied[:-1] |= tied[1:]
        rows = order[tied]
        order[tied] = rows[np.lexsort(words[rows].T)]
    new = np.ones(len(words), dtype=bool)
    new[1:] = (words[order[1:]] != words[order[:-1]]).any(axis=1)
    return order, np.flatnonzero(new)


def unique_words(words: Words) -> tuple[Words, NDArray[np.intp]]:
    """Return the distinct packed strings in ascending order, and the index of each row among them."""
    order, starts = distinct_rows(words)
    index = np.empty(len(order), dtype=np.intp)
    index[order] = np.searchsorted(starts, np.arange(len(order)), side="right") - 1
    return words[order[starts]], index


def distinct(bits: Bits) -> tuple[Bits, NDArray[np.intp]]:
    """Return the distinct strings, in ascending order by bit 0, then bit 1 and so on, and the index of each row.

    Example:
        >>> strings, index = distinct(np.array([[True, False], [False, True], [True, False]]))
        >>> strings.astype(int).tolist(), index.tolist()
        ([[0, 1], [1, 0]], [1, 0, 1])
    """
    words, index = unique_words(pack(bits[:, ::-1]))
    return unpack(words, bits.shape[1])[:, ::-1], index


def _words_of_little_bytes(packed: Bytes) -> Words:
    n_words = max(1, (packed.shape[1] + 7) // 8)
    padded = np.zeros((len(packed), 8 * n_words), dtype=np.uint8)
    padded[:, : packed.shape[1]] = packed
    return padded.view("<u8").astype(np.uint64, copy=False)


def hamming(left: Words, right: Words) -> NDArray[np.int64]:
    """Return the Hamming distance of each pair of packed strings, ``(n_left, n_right) int64``."""
    distances = np.zeros((len(left), len(right)), dtype=np.int64)
    step = max(1, _CHUNK // max(1, len(right)))
    for start in range(0, len(left), step):
        part = left[start : start + step]
        for word in range(left.shape[1]):
            distances[start : start + step] += np.bitwise_count(part[:, None, word] ^ right[None, :, word])
    return distances


def nearest_earlier(words: Words, n_bits: int) -> NDArray[np.intp]:
    """Return the distance of each of k packed strings, except the first, to the nearest one before it, ``(k - 1,)``."""
    distances = hamming(words[1:], words[:-1])
    distances[upper_triangle(len(distances))] = n_bits  # the largest distance: ignores strings that come later
    return np.asarray(distances.min(axis=1, initial=n_bits), dtype=np.intp)


def weight_of_ones(bits: Bits, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``weights @ bits``, computed in chunks: for each bit, the sum of the weights ``(..., n_rows)`` of the rows
    in which it is 1, ``(..., n_bits)``."""
    ones = np.zeros((*weights.shape[:-1], bits.shape[1]))
    for start in range(0, len(bits), _ROWS):
        ones += weights[..., start : start + _ROWS] @ bits[start : start + _ROWS]
    return ones


def pack_columns(bits: Bits, columns: NDArray[np.intp]) -> Words:
    """Return ``pack(bits[:, columns])``, computed in chunks, which is several times as fast."""
    words = np.empty((len(bits), max(1, -(-len(columns) // 64))), dtype=np.uint64)
    for start in range(0, len(bits), _ROWS):
        words[start : start + _ROWS] = pack(np.take(bits[start : start + _ROWS], columns, axis=1))
    return words


def columns_by_weight(bits: Bits, weights: NDArray[np.float64]) -> NDArray[np.intp]:
    """Order bits by their data, not by their labels: by the sum of the weights of the rows in which they are 1.

    Ties are broken by the sums of the squared and of the cubed weights, then by those of the weights times the number
    of ones in the row and times its square, which may differ if all weights are 1; bits that still tie keep their
    order.

    Example:
        >>> columns_by_weight(np.array([[True, False], [True, True]]), np.array([2.0, 3.0]))
        array([1, 0])
    """
    n_ones = np.bitwise_count(pack(bits)).sum(axis=1, dtype=np.float64)
    sums = weights * n_ones**2, weights * n_ones, weights**3, weights**2, weights
    return np.lexsort(weight_of_ones(bits, np.stack(sums)))


def order_by_data(bits: Bits, weights: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Order bits and strings by their data, so that an answer does not depend on labels.

    Returns the order of bits, as `columns_by_weight`, and that of rows, by their value with the bits in this order.
    """
    columns = columns_by_weight(bits, weights)
    rows, _ = distinct_rows(pack_columns(bits, columns))
    return columns, rows


def most_frequent_row(bits: Bits, weights: NDArray[np.float64]) -> int:
    """Return the row of the most frequent string; among several, the one whose single bits are the most common.

    The result does not depend on how the bits are labelled, unless strings are still tied after that.
    """
    rows = np.flatnonzero(weights == weights.max())
    if len(rows) == 1:
        return int(rows[0])
    columns = columns_by_weight(bits, weights)
    ones = weight_of_ones(bits, weights)
    log_odds, score = np.log((ones + 0.5) / (weights.sum() - ones + 0.5)), np.zeros(len(rows))
    for column in columns.tolist():  # an order that does not depend on labels, so that ties are exact
        score += log_odds[column] * bits[rows, column]
    rows = rows[score == score.max()]
    return int(rows[np.lexsort(pack_columns(bits[rows], columns).T)[0]])
