"""Diagonal observables, which have a value for every bitstring and so can be averaged over counts.

They are Pauli strings of I and Z, dicts of such strings with coefficients, arrays of ``2^n`` diagonal values, operators
of Qiskit's (by duck typing), or bitstrings, which mean their probability.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import frexp, ldexp
from typing import Any

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.checks import real_array
from qcluster.core.counts.bits import Words, pack, parse_bitstrings
from qcluster.core.words import plural, short_repr


@dataclass(frozen=True, eq=False)
class Diagonal:
    """A diagonal observable of a known width."""

    values: Callable[[Words], Floats]
    """Maps packed strings ``(n_strings, n_words)`` to the value of each, ``(n_strings,)``."""
    low: float
    """Lower bound of the values."""
    high: float
    """Upper bound of the values."""
    unit: float = 1.0
    """A power of two close to the largest value. Values are divided by it before they are squared, which is exact:
    squares of values beyond 1e154 would overflow, and those of values below 1e-162 would vanish."""


def diagonal(observable: Any, n_bits: int) -> Diagonal:
    """Read an observable that is diagonal in the measured basis.

    Args:
        observable: ``"ZZI"``, a Pauli string; ``"011"``, a bitstring, for its probability; ``{"ZZI": 0.5, "IIZ": -1}``,
            a weighted sum; ``(2**n_bits,)`` numbers, the diagonal itself, with entry y for the string whose bits are
            the binary digits of y; a Qiskit ``Pauli`` (it has ``to_label``), with its sign; a ``SparsePauliOp`` (it
            has ``paulis`` and ``coeffs``); or a ``SparseObservable`` (it has ``bit_terms``), also with the projectors 0
            and 1. In text the rightmost letter belongs to classical bit 0, and spaces between registers are allowed, as
            in the keys of counts; qubit j is classical bit j.
        n_bits: number of classical bits.

    Raises:
        ValueError: the width differs; a term contains X or Y, or a projector on one of their eigenstates, which these
            counts cannot determine; a coefficient is complex or not finite; the phase is i or -i.
        TypeError: `observable` is none of the above.

    Example:
        >>> diagonal({"ZZ": 0.5, "IZ": 2.0}, 2).values(np.array([[0], [1]], dtype=np.uint64))
        array([ 2.5, -2.5])
    """
    if hasattr(observable, "to_sparse_list") and hasattr(observable, "bit_terms"):
        return _of_sparse_observable(observable, n_bits)
    if hasattr(observable, "to_label"):
        return _of_pauli(observable.to_label(), n_bits)
    if isinstance(observable, str):
        observable = observable.replace(" ", "")
        if observable and not set(observable) - {"0", "1"}:
            if len(observable) != n_bits:
                raise ValueError(
                    f"observable must be {plural(n_bits, 'bit')}, or {n_bits} letters I or Z; got {observable!r}"
                )
            string = pack(parse_bitstrings([observable]))
            return Diagonal(lambda words: (words == string).all(axis=1).astype(np.float64), 0.0, 1.0)
        return _pauli_sum(_masks([observable], n_bits), np.ones(1))
    if isinstance(observable, Mapping):
        if not observable:
            raise ValueError("observable must hold at least one term; got an empty mapping")
        strange = [key for key in observable if not isinstance(key, str)]
        if strange:
            raise TypeError(f"terms of an observable must be strings of I and Z; got {strange[0]!r}")
        terms, factors = list(observable), list(observable.values())
        several = [factor for factor in factors if isinstance(factor, (list, tuple)) or np.ndim(factor)]
        if several:
            raise TypeError(f"each term of an observable must have one number; got {short_repr(several[0])}")
        coefficients = _real(factors, lambda term: repr(terms[term]))
        return _pauli_sum(_masks([term.replace(" ", "") for term in terms], n_bits), coefficients)
    if hasattr(observable, "paulis") and hasattr(observable, "coeffs"):
        return _of_operator(observable, n_bits)
    if isinstance(observable, (np.ndarray, list, tuple)):
        values = _real(observable, lambda place: f"string {place}")
        if n_bits > 62 or values.shape != (1 << n_bits,):
            raise ValueError(f"a diagonal must hold 2**{n_bits} values, one a string; got shape {values.shape}")
        ends = float(values.min()), float(values.max())
        return Diagonal(lambda words: values[words[:, 0].astype(np.int64)], *ends, _unit(max(map(abs, ends))))
    raise TypeError(
        "observable must be a string of I and Z, a dict of such strings, a bitstring, an array of 2**n values, a "
        f"Pauli, a SparsePauliOp or a SparseObservable; got {type(observable).__name__}"
    )


def _pauli_sum(masks: Words, coefficients: Floats, projectors: tuple[Words, Words] | None = None) -> Diagonal:
    """Return a sum of Pauli-Z strings, whose values are the signs of parities, with ``(n_terms,)`` coefficients.

    The packed masks are the bits on which each term has a Z. The projectors, if any, are the bits on which each has a 0
    or 1 and those on which it has a 1: it vanishes on strings with other bits there.
    """
    projected, ones = projectors or (np.zeros_like(masks), np.zeros_like(masks))

    def values(words: Words) -> Floats:
        total, columns = np.zeros(len(words)), np.ascontiguousarray(words.T)
        for term, (mask, coefficient) in enumerate(zip(masks, coefficients.tolist(), strict=True)):
            parity = columns[0] & mask[0]
            for word in np.flatnonzero(mask[1:]) + 1:
                parity ^= columns[word] & mask[word]
            signed = coefficient * (1.0 - 2.0 * (np.bitwise_count(parity) & 1))
            if projected[term].any():
                signed *= ((words & projected[term]) == ones[term]).all(axis=1)
            total += signed
        return total

    varies, sizes = masks.any(axis=1), np.abs(coefficients)
    with np.errstate(over="ignore"):
        bound = float(sizes.sum())
    if bound == np.inf:
        raise ValueError("the coefficients of an observable must add up to a finite number; they overflow")
    nothing = np.where(projected.any(axis=1), 0.0, coefficients)  # what a term without Z is, where it vanishes
    low = float(np.where(varies, -sizes, np.minimum(coefficients, nothing)).sum())
    high = float(np.where(varies, sizes, np.maximum(coefficients, nothing)).sum())
    return Diagonal(values, low, high, _unit(bound))


def _unit(bound: float) -> float:
    """Return the largest power of two that is at most `bound`; 1 if `bound` is 0."""
    return ldexp(1.0, frexp(bound)[1] - 1) if bound else 1.0


def _masks(terms: list[str], n_bits: int) -> Words:
    for term in terms:
        if set(term) & {"X", "Y"} and not set(term) - set("IXYZ"):
            raise ValueError(_not_diagonal(term))
        if set(term) - {"I", "Z"} or len(term) != n_bits:
            raise ValueError(f"observable must be {n_bits} letters I or Z; got {term!r}")
    return pack(parse_bitstrings([term.replace("I", "0").replace("Z", "1") for term in terms]))


def _not_diagonal(term: str, letters: str = "I or Z") -> str:
    return (
        f"observable must be {len(term)} letters {letters}, diagonal in the measured basis; got {term!r}: X and Y need "
        "other counts, from a circuit that rotates them to Z before it measures"
    )


def _of_pauli(label: str, n_bits: int) -> Diagonal:
    """Read the label of a Qiskit Pauli: a phase ("", "-", "i" or "-i"), then the letters."""
    letters = label.lstrip("-i")
    phase = label.removesuffix(letters)
    if "i" in phase:
        raise ValueError(
            f"the phase of an observable must be 1 or -1; got {phase} in {label!r}: only real values have an average"
        )
    return _pauli_sum(_masks([letters], n_bits), np.array([-1.0 if phase else 1.0]))


def _of_operator(operator: Any, n_bits: int) -> Diagonal:
    z, x = np.asarray(operator.paulis.z, dtype=bool), np.asarray(operator.paulis.x, dtype=bool)
    if z.ndim != 2 or z.shape[1] != n_bits or x.shape != z.shape:
        raise ValueError(f"observable must act on {n_bits} qubits, one a classical bit; got {z.shape[-1]}")
    coefficients = np.asarray(operator.coeffs)
    if coefficients.dtype == object:
        raise TypeError("coefficients of an observable must be numbers; bind its parameters first")
    coefficients = coefficients * (-1j) ** np.asarray(getattr(operator.paulis, "phase", 0))
    off = np.flatnonzero(x.any(axis=1) & (coefficients != 0))
    if len(off):
        letters = np.array(["I", "Z", "X", "Y"])[2 * x[off[0]] + z[off[0]]]
        raise ValueError(_not_diagonal("".join(letters.tolist()[::-1])))
    kept = ~x.any(axis=1)
    return _pauli_sum(pack(z[kept]), _real(coefficients[kept], lambda term: f"term {term}"))


def _of_sparse_observable(observable: Any, n_bits: int) -> Diagonal:
    if observable.num_qubits != n_bits:
        raise ValueError(f"observable must act on {n_bits} qubits, one a classical bit; got {observable.num_qubits}")
    terms = [term for term in observable.to_sparse_list() if term[2] != 0]
    coefficients = _real([coefficient for _, _, coefficient in terms], lambda term: f"term {term}")
    labels = np.full((len(terms), n_bits), "I")
    for label, (letters, qubits, _) in zip(labels, terms, strict=True):
        label[qubits] = list(letters)
    off = np.flatnonzero(~np.isin(labels, list("IZ01")).all(axis=1))
    if len(off):
        raise ValueError(_not_diagonal("".join(labels[off[0], ::-1].tolist()), "I, Z, 0 or 1"))
    ones = labels == "1"
    return _pauli_sum(pack(labels == "Z"), coefficients, (pack(ones | (labels == "0")), pack(ones)))


def _real(values: Any, name: Callable[[int], str]) -> Floats:
    """Return values as real numbers; `name` describes entry i in the error message."""
    try:
        array = np.asarray(values)
        numbers = array if array.dtype.kind == "c" else real_array("values of an observable", values)
    except (ValueError, OverflowError) as error:
        raise TypeError(f"values of an observable must be numbers; {error}") from error
    wrong = ~np.isfinite(numbers) | (np.abs(numbers.imag) > 1e-12 * np.abs(numbers))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"values of an observable must be real and finite; got {array.flat[first]} for {name(first)}")
    return np.array(numbers.real, dtype=np.float64)
