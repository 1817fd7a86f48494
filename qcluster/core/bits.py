"""Text, bit arrays and packed words, and the Hamming distance between them. The only file that knows bit order.

Three forms of the same bitstrings:

* *text*, as Qiskit prints it: classical bit 0 is the rightmost character;
* *bits*, ``(n_strings, n_bits) bool``: column j is classical bit j;
* *words*, ``(n_strings, n_words) uint64``: classical bit j is bit ``j % 64`` of word ``j // 64``.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.bool_]
Words = NDArray[np.uint64]
Bytes = NDArray[np.uint8]

_CHUNK = 1 << 22
"""Pairs of strings whose distances are held in memory at once."""


def parse_bitstrings(texts: Sequence[str]) -> Bits:
    """Read bitstrings of one length.

    Args:
        texts: strings of the characters 0 and 1, all of one length.

    Returns:
        ``(len(texts), n_bits) bool``, column j is classical bit j.

    Raises:
        ValueError: a string has another length than the first, or another character.

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
    """Write bitstrings as text, classical bit 0 rightmost.

    Args:
        bits: ``(n_strings, n_bits) bool``.

    Example:
        >>> format_bitstrings(np.array([[True, False, False]]))
        ['001']
    """
    n_strings, n_bits = bits.shape
    codes = np.where(bits[:, ::-1], np.uint8(ord("1")), np.uint8(ord("0"))).tobytes().decode("ascii")
    return [codes[i * n_bits : (i + 1) * n_bits] for i in range(n_strings)]


def integers_to_bits(values: Sequence[int], n_bits: int) -> Bits:
    """Read integers, classical bit j being the j-th binary digit, of any width.

    Args:
        values: non-negative integers below ``2**n_bits``.
        n_bits: width of the result.

    Returns:
        ``(len(values), n_bits) bool``.

    Example:
        >>> integers_to_bits([1, 6], 3).astype(int)
        array([[1, 0, 0],
               [0, 1, 1]])
    """
    n_bytes = (n_bits + 7) // 8
    packed = b"".join(int(value).to_bytes(n_bytes, "little") for value in values)
    return _from_little_bytes(np.frombuffer(packed, dtype=np.uint8).reshape(len(values), n_bytes), n_bits)


def big_endian_to_bits(packed: Bytes, n_bits: int) -> Bits:
    """Unpack rows of bytes whose last byte holds classical bits 0 to 7: the layout of Qiskit's ``BitArray``.

    Args:
        packed: ``(n_strings, ceil(n_bits / 8)) uint8``.
        n_bits: number of classical bits; the padding, at the top of byte 0, is ignored.

    Returns:
        ``(n_strings, n_bits) bool``.
    """
    return _from_little_bytes(packed[:, ::-1], n_bits)


def bits_to_big_endian(bits: Bits) -> Bytes:
    """Pack bits into rows of bytes as Qiskit's ``BitArray`` lays them out: the inverse of `big_endian_to_bits`."""
    return np.ascontiguousarray(np.packbits(bits, axis=1, bitorder="little")[:, ::-1])


def _from_little_bytes(packed: Bytes, n_bits: int) -> Bits:
    return np.unpackbits(packed, axis=1, count=n_bits, bitorder="little").view(np.bool_)


def clear_padding(packed: Bytes, n_bits: int) -> Bytes:
    """Copy rows of big-endian bytes with the padding bits of byte 0 set to zero.

    Inverting or XOR-ing a ``BitArray`` sets them, and two equal strings would then differ.
    """
    packed = np.ascontiguousarray(packed)
    if n_bits % 8 and packed.size:
        keep = np.uint8((1 << (n_bits % 8)) - 1)
        if (packed[:, 0] & ~keep).any():
            packed = packed.copy()
            packed[:, 0] &= keep
    return packed


def unique_big_endian(packed: Bytes) -> tuple[Bytes, NDArray[np.int64]]:
    """Count equal rows of big-endian bytes.

    Returns:
        The distinct rows in ascending order of value, and how often each occurs. Cost: one sort of the rows.
    """
    rows, width = packed.shape
    if width <= 8:
        padded = np.zeros((rows, 8), dtype=np.uint8)
        padded[:, 8 - width :] = packed
        values, times = np.unique(padded.view(">u8").ravel().astype(np.uint64), return_counts=True)
        distinct = values.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 8 - width :]
    else:
        values, times = np.unique(packed.view(f"V{width}").ravel(), return_counts=True)
        distinct = values.view(np.uint8).reshape(-1, width)
    return np.ascontiguousarray(distinct), times.astype(np.int64)


def pack(bits: Bits) -> Words:
    """Pack bits into 64-bit words.

    Args:
        bits: ``(n_strings, n_bits) bool``.

    Returns:
        ``(n_strings, ceil(n_bits / 64)) uint64``; a width of zero gives one word of zeros.

    Example:
        >>> pack(np.array([[True, True, False]]))
        array([[3]], dtype=uint64)
    """
    n_strings, n_bits = bits.shape
    n_words = max(1, (n_bits + 63) // 64)
    packed = np.packbits(bits, axis=1, bitorder="little")
    padded = np.zeros((n_strings, 8 * n_words), dtype=np.uint8)
    padded[:, : packed.shape[1]] = packed
    return padded.view("<u8").astype(np.uint64, copy=False)


def unpack(words: Words, n_bits: int) -> Bits:
    """Unpack 64-bit words into ``(n_strings, n_bits) bool``: the inverse of `pack`."""
    return _from_little_bytes(np.ascontiguousarray(words.astype("<u8", copy=False)).view(np.uint8), n_bits)


def sort_order(words: Words) -> NDArray[np.intp]:
    """Give the order of rows that sorts packed strings by value, the highest classical bit first."""
    return np.lexsort(words.T)


def hamming(left: Words, right: Words) -> NDArray[np.int64]:
    """Count the bits in which packed strings differ.

    Args:
        left: ``(n_left, n_words) uint64``.
        right: ``(n_right, n_words) uint64``.

    Returns:
        ``(n_left, n_right) int64`` distances.

    Example:
        >>> hamming(pack(np.array([[True, False]])), pack(np.array([[True, True], [False, True]])))
        array([[1, 2]])
    """
    distances = np.empty((len(left), len(right)), dtype=np.int64)
    step = max(1, _CHUNK // max(1, len(right)))
    for start in range(0, len(left), step):
        part = left[start : start + step]
        total = np.bitwise_count(part[:, None, 0] ^ right[None, :, 0]).astype(np.int64)
        for word in range(1, left.shape[1]):
            total += np.bitwise_count(part[:, None, word] ^ right[None, :, word])
        distances[start : start + step] = total
    return distances
