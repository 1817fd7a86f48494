"""Read counts of any kind as packed bitstrings and weights. By duck typing, so that Qiskit is not imported.

The bit order is the same for every kind: classical bit 0 is the rightmost character of a key, the least significant
bit of an integer, and bit 0 of the first register of a result with several.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.checks import check_whole, real_array
from qcluster.core.counts.bits import Bits, Words, big_endian_to_words, integers_to_bits, pack, parse_bitstrings, unpack
from qcluster.core.counts.nested import describe_format, is_wrapped, stated_width, unwrap, width_of_registers
from qcluster.core.words import plural, short_repr

_RUN_FIRST = "run it first, such as (run,) = execute([circuit], backend)"

MOST_SHOTS = 2.0**63
"""Largest total weight: shots are returned as 64-bit integers. Its inverse is the smallest; squares of totals far
beyond these limits overflow or vanish."""

MOST_BITS = 100_000
"""Largest number of bits that may be stated for counts, or declared by a circuit file; no machine has as many."""

_NUMBER = re.compile("0[xX][0-9a-fA-F]+|0[bB][01]+")
"""A valid numeric key; `int` accepts more, such as "0x1_0" and "0x1\\n"."""

_NEGATIVE = "make them probabilities by nearest_probability_distribution(), and give num_bits, which it drops"

DOCUMENT = "qcluster-distribution"
"""Format of the JSON that `Distribution.to_json` writes."""
VERSION = 1
"""Version of that format; documents of other versions are refused."""

Rows = tuple[Words, NDArray[np.float64], int]


def read(source: Any, num_bits: int | None = None) -> Any:
    """Read counts of any kind; see `Distribution.of` for the kinds.

    Returns:
        ``(words, weights, n_bits)``: packed rows ``(n, n_words)``, which need not be distinct, and their weights
        ``(n,)``; or a Distribution, if the source or its ``counts`` is one already.
    """
    if num_bits is not None:
        num_bits = check_whole("num_bits", num_bits, 1, MOST_BITS)
    if hasattr(type(source), "from_words"):  # a Distribution, which is also a mapping of probabilities
        check_width(source.n_bits, num_bits)
        return source
    if isinstance(source, Mapping):
        if source.get("format") == DOCUMENT:
            if source.get("version") != VERSION:
                raise ValueError(
                    f"a {DOCUMENT} must have the version {VERSION}, which this qcluster reads; "
                    f"got {short_repr(source.get('version'))}"
                )
            if stated_width(source) == 0 or source.get("counts") == {}:
                return _read_empty(source, num_bits)
        if is_wrapped(source):
            return _read_inner(source, num_bits)
        if str(source.get("format", "")).startswith("qcluster-"):
            raise TypeError(f"counts must be shots by bitstring; got a document {describe_format(source)}")
        if "__type__" in source:
            raise _refused(source)
        return _read_mapping(source, num_bits)
    shots = source.tolist() if isinstance(source, np.ndarray) and source.ndim == 1 else source
    if isinstance(shots, (list, tuple)) and shots and all(isinstance(shot, str) for shot in shots):
        bits = _read_keys(shots, num_bits)
        return pack(bits), np.ones(len(bits)), bits.shape[1]
    if getattr(source, "ndim", None) == 1 and callable(getattr(source, "to_dict", None)):
        return _read_series(source, num_bits)
    if _is_table(source):  # columns must not be mistaken for registers
        raise _refused(source)
    registers = _registers_of(source)
    if registers is not None:
        return _read_registers(registers, num_bits)
    if hasattr(source, "quasi_dists"):
        return _read_inner({"quasi_dists": source.quasi_dists}, num_bits)
    if hasattr(source, "results") and callable(getattr(source, "to_dict", None)):
        several = isinstance(source.results, (list, tuple)) and len(source.results) > 1
        if several and callable(getattr(source, "get_counts", None)):
            raise ValueError(
                f"a result of {len(source.results)} circuits holds several sets of counts: pass one, such as "
                "result.get_counts(0); mitigate_many takes all of them, result.get_counts()"
            )
        return _read_inner(source.to_dict(), num_bits)
    if hasattr(source, "counts") and not callable(source.counts):
        return read(source.counts, num_bits)
    if _holds_pubs(source):
        if len(source) == 1:
            return read(source[0], num_bits)
        if not len(source):
            raise ValueError("a result must hold at least one PUB; got none")
        raise TypeError(f"a result of {len(source)} PUBs holds several sets of counts; pass one, such as result[0]")
    raise _refused(source)


def _refused(source: Any) -> TypeError:
    return TypeError(
        "counts must be a dict, a list of bitstrings, Counts, BitArray, DataBin, PubResult, Result or Distribution; "
        f"got {_describe(source)}"
    )


def shape_of_sets(source: Any) -> tuple[int, ...]:
    """Return the shape of the array of parameter sets in a source, whose shots `read` pools; () if it has none."""
    registers = None if isinstance(source, Mapping) else _registers_of(_only_pub(source))
    array = getattr(next(iter(registers.values())), "array", None) if registers else None
    return array.shape[:-2] if isinstance(array, np.ndarray) else ()


def sets_pooled(source: Any) -> int:
    """Return the number of parameter sets in a source, whose shots `read` pools; 1 if it has no parameter sets."""
    return math.prod(shape_of_sets(source))


def read_point(source: Any, point: tuple[int, ...], num_bits: int | None = None) -> Rows:
    """Read the counts of one parameter set of a sweep, by its index, in the form that `read` returns."""
    shape = shape_of_sets(source)
    if len(point) != len(shape) or not all(0 <= place < size for place, size in zip(point, shape, strict=True)):
        raise ValueError(f"the point must be an index into a sweep of the shape {shape}, from 0; got {point}")
    registers = _registers_of(_only_pub(source)) or {}
    return _read_registers({name: register[point] for name, register in registers.items()}, num_bits)


def notes_on(source: Any, *, pooled: bool = True) -> list[str]:
    """Return notes on a source of counts, for facts that matter to its user but do not show in the counts; `pooled`
    tells whether all its parameter sets are read together."""
    sets = sets_pooled(source)
    notes = [f"the shots of {sets} parameter sets are pooled"] if pooled and sets > 1 else []
    metadata = None if isinstance(source, Mapping) else getattr(_only_pub(source), "metadata", None)
    if isinstance(metadata, Mapping) and "mitigations" in metadata:
        notes.append("the shots came out of a MitigatedSampler, whose metadata has the raw counts")
    return notes


def _only_pub(source: Any) -> Any:
    """Return the single PUB of a PrimitiveResult with one; any other source unchanged."""
    alone = _registers_of(source) is None and _holds_pubs(source) and len(source) == 1
    return source[0] if alone else source


def _registers_of(source: Any) -> dict[str, Any] | None:
    """Return the registers of a BitArray, a DataBin or the result of one PUB; None for anything else."""
    if hasattr(source, "items") and hasattr(source, "keys"):  # first, since registers may be named "array" or "data"
        return dict(source.items())
    if hasattr(source, "array") and hasattr(source, "num_bits"):
        return {"data": source}
    if hasattr(getattr(source, "data", None), "items"):
        return dict(source.data.items())
    return None


def _holds_pubs(source: Any) -> bool:
    """Return whether a source is a PrimitiveResult."""
    return all(hasattr(source, name) for name in ("__getitem__", "__len__", "metadata")) and not _is_circuit(source)


def _is_circuit(source: Any) -> bool:
    """Return whether a source is a circuit: like a PrimitiveResult, it is a sequence with metadata."""
    return hasattr(source, "num_clbits")


def _is_table(source: Any) -> bool:
    """Return whether a source is a pandas DataFrame."""
    return getattr(source, "ndim", None) == 2 and callable(getattr(source, "to_dict", None))


def _read_inner(source: Mapping[str, Any], num_bits: int | None) -> Any:
    """Read the counts inside a wrapper, with the width that the wrapper states."""
    try:
        counts, width = unwrap(source)
    except RecursionError as error:
        raise ValueError("counts must be nested a few levels deep at most; these are nested too deeply") from error
    if width is not None:
        width = check_whole("the number of bits", width, 1, MOST_BITS)
        check_width(width, num_bits)
    return read(counts, num_bits if width is None else width)


def _read_empty(source: Mapping[str, Any], num_bits: int | None) -> Rows:
    """Read a saved distribution without shots or without bits; counts from anywhere else must have both."""
    n_bits, counts = check_whole("n_bits", stated_width(source), 0, MOST_BITS), source.get("counts")
    check_width(n_bits, num_bits)
    if not isinstance(counts, Mapping) or set(counts) - {""}:
        raise ValueError(f"counts of 0 bits must be shots of the key ''; got {short_repr(counts)}")
    weights = _read_weights(list(counts), list(counts.values()))
    check_weights(weights, lambda _: "key ''")
    return pack(np.zeros((len(weights), n_bits), dtype=bool)), weights, n_bits


def _read_series(source: Any, num_bits: int | None) -> Rows:
    """Read a pandas Series of shots indexed by bitstrings."""
    counts = source.to_dict()
    if len(counts) < len(source):
        raise ValueError(f"keys must be distinct; got {len(counts)} among {len(source)}: add up those of equal strings")
    if counts and all(isinstance(shot, str) for shot in counts.values()):
        raise TypeError("a Series must be shots over bitstrings; got one of text: of bitstrings, pass value_counts()")
    if num_bits is None and counts and _may_be_text(counts):
        raise TypeError(
            f"a Series over numbers that could be bitstrings, such as {short_repr(max(counts))}, must have num_bits if "
            "they are integers; bitstrings must be read as text: read_csv(..., dtype={'bitstring': str})"
        )
    rows = _read_mapping(counts, num_bits)
    if type(source.index).__name__ == "RangeIndex" and num_bits is None:  # a column: its bitstrings are in another one
        raise TypeError(
            "a Series must be shots over bitstrings; got one over row numbers: give it the bitstrings as its index, or "
            "pass its to_dict(), or num_bits, if the row numbers are the outcomes"
        )
    return rows


def _may_be_text(keys: Collection[Any]) -> bool:
    """Return whether integers may be bitstrings that a CSV reader parsed as decimal numbers: 000, 1, 10, 111."""
    numbers = [int(key) for key in keys if isinstance(key, Integral)]
    return len(numbers) == len(keys) and max(numbers) > 1 and all(set(str(number)) <= {"0", "1"} for number in numbers)


def _describe(source: Any) -> str:
    """Name the type of a source that cannot be read, and say what to pass instead where that is clear."""
    if isinstance(source, (list, tuple)):
        if source and _is_circuit(source[0]):
            return f"a list of circuits: {_RUN_FIRST}"
        first = f"{type(source[0]).__name__}{_cure(source[0])}" if source else "nothing"
        return f"a {type(source).__name__} of {first}"
    if isinstance(source, Mapping):
        return f"a dict{_cure(source)}"
    if isinstance(source, str) or hasattr(source, "__fspath__"):
        cure = "a bitstring goes in a list, a file by qcluster.files.read_counts(path), JSON by json.loads(text)"
        return f"a {type(source).__name__}: {cure}"
    if isinstance(source, np.ndarray):
        if source.ndim == 1 and source.size:
            return f"an array of {source.dtype}{_cure(source.tolist()[0])}"
        return "an array: for shots (n, n_bits), column j classical bit j, use Distribution(bits, np.ones(n))"
    kind = type(source).__name__
    if _is_table(source):
        return f"a {kind}: give shots over bitstrings, such as table.set_index('bitstring')['shots']"
    if hasattr(source, "distribution") and hasattr(source, "raw"):
        return f"a {kind}: give its distribution, or raw, the counts that it was made from"
    if _is_circuit(source):
        return f"a {kind}: {_RUN_FIRST}"
    if callable(getattr(source, "probabilities_dict", None)):
        return f"a {kind}: give its probabilities_dict()"
    if callable(getattr(source, "result", None)):
        return f"a {kind}: give its result, job.result()"
    return kind


def _cure(first: Any) -> str:
    """Say what to do with a list whose first entry is not a bitstring, or with an object of `RuntimeEncoder`."""
    if isinstance(first, Mapping) and "__type__" in first:
        return " of RuntimeEncoder: decode it by json.load(file, cls=RuntimeDecoder), or use qcluster.files.read_counts"
    if isinstance(first, (list, tuple)) and not all(isinstance(shot, str) for shot in first):
        if not all(isinstance(bit, Integral) for bit in first):
            return ""
        return ": for rows of bits, column j classical bit j, use Distribution(np.array(rows, dtype=bool), np.ones(n))"
    if isinstance(first, Integral):
        return ": write integers as bitstrings, such as f'{shot:05b}' for 5 bits"
    if isinstance(first, Real):
        return ": values of all strings are read by Distribution.of(dict(enumerate(values)), num_bits=n)"
    try:
        read(first)
    except (TypeError, ValueError):
        return ""
    return ": pass one of them; mitigate_many takes them all"


def weight_array(weights: Any) -> NDArray[np.float64]:
    """Return weights as a new array; TypeError if they are not numbers, ValueError if one is too large for a float."""
    try:
        return real_array("weights", weights)
    except OverflowError:
        raise ValueError(f"weights must be finite; got a whole number too large in {short_repr(weights)}") from None


def check_weights(weights: NDArray[np.float64], name: Callable[[int], str]) -> None:
    """Raise ValueError if a weight is negative or not finite, or the total is out of range; `name` names a row."""
    if not weights.size:
        return
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not (1 / MOST_SHOTS < total < MOST_SHOTS or total == 0) or weights.min() < 0:
        wrong = ~(np.isfinite(weights) & (weights >= 0))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise ValueError(f"weights must be finite and not negative; got {weights[row]} for {name(row)}")
        raise ValueError(f"all weights together must be between 2**-63 and 2**63 shots; got {total:g}")


def check_width(n_bits: int, num_bits: int | None) -> None:
    """Raise ValueError if `num_bits` is given and differs from the known width of the counts."""
    if num_bits is not None and n_bits != num_bits:
        raise ValueError(f"num_bits must be the width of the counts, {n_bits}; got {num_bits}")


def _read_mapping(counts: Mapping[Any, Any], num_bits: int | None) -> Rows:
    if not counts:
        raise ValueError("counts must hold at least one bitstring; got an empty mapping")
    keys = list(counts)
    weights = _read_weights(keys, list(counts.values()))
    with np.errstate(over="ignore", invalid="ignore"):
        normed = abs(weights.sum() - 1) < 1e-6
    cure = f": {_NEGATIVE}" if normed else ""
    check_weights(weights, lambda row: f"key {short_repr(keys[row])}{cure}")
    if normed:
        weights = weights * _shots_behind(counts)
    if not weights.any():
        raise ValueError("counts must hold at least one shot; all weights are zero")
    width = _stated_width(counts) if num_bits is None else num_bits
    if getattr(counts, "memory_slots", 0) is None and all(isinstance(key, str) for key in keys):
        least = 0 if width is None or getattr(counts, "int_raw", None) is None else width
        padded = max(least, *map(len, keys))  # Counts without memory_slots drop the leading zeros of integers
        keys = [key.rjust(padded, "0") for key in keys]
    bits = _read_keys(keys, width)
    return pack(bits), weights, bits.shape[1]


def _stated_width(counts: Mapping[Any, Any]) -> int | None:
    """Return the number of bits stored in Qiskit's Counts and distributions; None if there is none."""
    slots = getattr(counts, "memory_slots", None)
    if slots is None:
        slots = width_of_registers(getattr(counts, "creg_sizes", None))
    as_text = getattr(counts, "binary_probabilities", None)
    if slots is None and callable(as_text):
        return len(next(iter(as_text())))  # a distribution made from bitstrings remembers their length
    return slots


def _shots_behind(probabilities: Mapping[Any, Any]) -> float:
    """Return the shots that Qiskit's and mthree's distributions store; 1 if they store none."""
    shots = getattr(probabilities, "shots", None)
    return float(shots) if isinstance(shots, Real) and 0 < float(shots) < math.inf else 1.0


def _read_weights(keys: Sequence[Any], values: Sequence[Any]) -> NDArray[np.float64]:
    if {type(value) for value in values} <= {int, float}:
        try:
            return np.array(values, dtype=np.float64)
        except OverflowError:
            pass
    weights = []
    for key, value in zip(keys, values, strict=True):
        if not isinstance(value, Real) or isinstance(value, bool):
            cure = f": pass one set of counts, such as counts[{short_repr(key)}]" if isinstance(value, Mapping) else ""
            raise TypeError(f"weights must be real numbers; got {short_repr(value)} for key {short_repr(key)}{cure}")
        try:
            weights.append(float(value))
        except OverflowError:
            name = short_repr(key)
            raise ValueError(f"weights must be finite; got a whole number too large for key {name}") from None
    return np.array(weights, dtype=np.float64)


def _read_keys(keys: Sequence[Any], width: int | None) -> Bits:
    if all(isinstance(key, str) for key in keys):
        texts = [key.replace(" ", "") for key in keys] if any(" " in key for key in keys) else keys
        prefixes = {text[:2].lower() for text in texts}
        if not prefixes & {"0x", "0b"}:
            return _read_texts(texts, width)
        values = [_read_number(key, text, texts[0][:2].lower()) for key, text in zip(keys, texts, strict=True)]
        if width is None and prefixes == {"0b"}:
            width = max(len(text) - 2 for text in texts)
    elif all(isinstance(key, Integral) and not isinstance(key, bool) for key in keys):
        values = [int(key) for key in keys]
    else:
        kinds = {type(key): short_repr(key) for key in reversed(keys)}
        raise TypeError(f"keys must be all bitstrings or all integers; got {' and '.join(kinds.values())}")
    if width is None:
        width = max(1, max(values).bit_length())
    for key, value in zip(keys, values, strict=True):
        if value < 0 or value.bit_length() > width:
            raise ValueError(f"keys must lie in 0..2**{width} - 1 for {plural(width, 'bit')}; got {short_repr(key)}")
    return integers_to_bits(values, width)


def _read_texts(texts: Sequence[str], width: int | None) -> Bits:
    if not texts[0]:
        raise ValueError("keys must hold at least one bit; got ''")
    try:
        bits = parse_bitstrings(texts)
    except ValueError as error:
        raise ValueError(f"{error}{_lost(texts)}") from error
    if width is not None and bits.shape[1] != width:
        raise ValueError(f"keys must have {plural(width, 'bit')}; got {texts[0]!r} with {bits.shape[1]}")
    return bits


def _lost(texts: Sequence[str]) -> str:
    """Explain keys that are not bitstrings because they were integers at some point."""
    if not all(text.isascii() and text.isdecimal() for text in texts):
        return ""
    if any(set(text) - {"0", "1"} for text in texts):
        cure = "convert them back by {int(key): shots for key, shots in counts.items()}, and give num_bits"
        return f": JSON writes integers as text; {cure}"
    shortened = all(text == "0" or text.startswith("1") for text in texts)
    return ": leading zeros are missing; a column of bitstrings must be read as text" if shortened else ""


def _read_number(key: str, text: str, prefix: str) -> int:
    if text[:2].lower() != prefix or not _NUMBER.fullmatch(text):
        raise ValueError(f"keys must be all binary, all hexadecimal ('0x...') or all '0b...'; got {key!r}")
    return int(text, 0)


def _read_registers(registers: Mapping[str, Any], num_bits: int | None) -> Rows:
    """Pool the shots of one register or several; the first register holds the least significant bits."""
    if not registers:
        raise ValueError("a result must hold at least one register; got none")
    words = [_words_of(name, register) for name, register in registers.items()]
    widths = [int(register.num_bits) for register in registers.values()]
    rows = {name: len(array) for name, array in zip(registers, words, strict=True)}
    if len(set(rows.values())) > 1:
        raise ValueError(f"registers must hold equally many shots; got {rows}")
    check_width(sum(widths), num_bits)
    if sum(widths) == 0 or not len(words[0]):
        raise ValueError(f"counts must hold at least one shot of one bit; got none in {', '.join(registers)}")
    if len(words) > 1:
        words = [pack(np.hstack([unpack(array, width) for array, width in zip(words, widths, strict=True)]))]
    return words[0], np.ones(len(words[0])), sum(widths)


def _words_of(name: str, register: Any) -> Words:
    array = getattr(register, "array", None)
    if not hasattr(register, "num_bits") or not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        raise TypeError(
            f"registers must hold bits (a BitArray); {name!r} holds {type(register).__name__}: "
            "kerneled or averaged data cannot be counted"
        )
    if not isinstance(register.num_bits, Integral) or register.num_bits < 0:
        raise TypeError(f"num_bits of register {name!r} must be a whole number; got {short_repr(register.num_bits)}")
    n_bits = int(register.num_bits)
    if array.shape[-1:] != ((n_bits + 7) // 8,):
        came = array.shape[-1] if array.ndim else "no axis"
        raise ValueError(f"register {name!r} must have {(n_bits + 7) // 8} bytes a shot; got {came}")
    return big_endian_to_words(array.reshape(math.prod(array.shape[:-1]), array.shape[-1]), n_bits)
