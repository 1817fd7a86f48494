"""`Distribution`: distinct bitstrings, each with a weight in shots. Counts and results are the same type."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qcluster.core.arithmetic import default_errstate
from qcluster.core.arrays import Floats, read_only
from qcluster.core.checks import check_whole
from qcluster.core.counts import read as intake
from qcluster.core.counts.bits import Bits, Words, distinct_rows, format_bitstrings, pack, unique_words, unpack
from qcluster.core.counts.observables import diagonal
from qcluster.core.hooks import call_hook
from qcluster.core.words import plural


class Estimate(NamedTuple):
    """A value with its standard error."""

    value: float
    """The estimate."""
    standard_error: float
    """Standard deviation of the estimate over repetitions with the same number of shots."""


@dataclass(frozen=True, eq=False, repr=False)
class Distribution(Mapping[str, float]):
    """Distinct bitstrings and the weight of each, in shots.

    Measured counts and mitigated results are both of this type: weights need not be whole numbers, and a
    mitigated result keeps the shots of its input. Rows are distinct and sorted by value, rows of zero probability
    are dropped, and all arrays are read-only. An empty distribution keeps its width.

    It is also a mapping from bitstrings, as Qiskit prints them, to probabilities: ``d["011"]``, ``"011" in d``,
    ``dict(d)``, ``pandas.Series(d)`` and Qiskit's ``plot_histogram(d)`` work. Strings without shots are not keys.

    Raises:
        ValueError: the shapes do not match, a weight is negative or not finite, or the total is out of range.
        TypeError: the weights are missing, or not real numbers; counts of any other form are read by `Distribution.of`.

    Example:
        >>> d = Distribution.of({"00": 600, "11": 400})
        >>> d.n_bits, d.shots, d.to_probs()
        (2, 1000.0, {'00': 0.6, '11': 0.4})
        >>> d["11"], d.get("01", 0.0), len(d)
        (0.4, 0.0, 2)
    """

    bits: Bits
    """``(n_outcomes, n_bits) bool``, column j is classical bit j; duplicate rows are merged."""
    weights: Floats = None  # type: ignore[assignment]  # left out by those who mean Distribution.of
    """``(n_outcomes,) float64``, in shots, not negative; their sum is zero, or between 2**-63 and 2**63."""
    words: Words = field(init=False)
    """``(n_outcomes, n_words) uint64``: the packed rows, see `qcluster.core.counts.bits`."""
    n_bits: int = field(init=False)
    """Number of classical bits."""

    if TYPE_CHECKING:  # the weights are required, and of any type of number

        def __init__(self, bits: Bits, weights: ArrayLike) -> None: ...

    @default_errstate
    def __post_init__(self) -> None:
        if self.weights is None:
            is_array = isinstance(self.bits, np.ndarray)
            cure = "weights np.ones(n) make each row a shot" if is_array else "read counts by Distribution.of(counts)"
            raise TypeError(
                "a Distribution is made from bits (n_outcomes, n_bits) and weights (n_outcomes,); got "
                f"{type(self.bits).__name__} alone: {cure}"
            )
        bits = np.asarray(self.bits)
        weights = intake.weight_array(self.weights)
        if bits.ndim != 2 or bits.dtype != np.bool_ or weights.shape != bits.shape[:1]:
            raise ValueError(
                "bits must be (n_outcomes, n_bits) bool and weights (n_outcomes,); "
                f"got {bits.dtype} {bits.shape} and {weights.shape}"
            )
        self._settle(pack(bits), weights, bits.shape[1])

    def _settle(self, words: Words, weights: Floats, n_bits: int) -> None:
        """Check the weights, merge equal rows, sort, drop rows of zero probability, and store read-only arrays."""
        intake.check_weights(weights, lambda row: f"row {row}")
        order, starts = distinct_rows(words)
        words, weights = words[order[starts]], np.add.reduceat(weights[order], starts) if len(starts) else weights
        shares = weights / (weights.sum() or 1.0)
        if not shares.all():
            words, weights = words[shares > 0], weights[shares > 0]
        self.__dict__.update(weights=read_only(weights), words=read_only(words), n_bits=n_bits)
        self.__dict__.pop("bits", None)

    def __getattr__(self, name: str) -> Bits:
        """Unpack `bits` on first access: for a million strings they take most of the memory."""
        if name != "bits" or "words" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        bits = self.__dict__["bits"] = read_only(unpack(self.words, self.n_bits))
        return bits

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), "bits"})

    @classmethod
    @default_errstate
    def from_words(cls, words: Words, weights: ArrayLike, n_bits: int) -> "Distribution":
        """Make a distribution from packed rows, ``(n_outcomes, n_words) uint64``; see `qcluster.core.counts.bits`.

        Raises:
            ValueError: the shapes do not match, a string has more bits than `n_bits`, or the weights are invalid.
            TypeError: the weights are not real numbers.

        Example:
            >>> Distribution.from_words(np.array([[2], [1], [2]], dtype=np.uint64), [1, 1, 1], 2).to_counts()
            {'01': 1, '10': 2}
        """
        new, words, weights = cls.__new__(cls), np.asarray(words), intake.weight_array(weights)
        n_bits = check_whole("n_bits", n_bits, 0)
        n_words = max(1, -(-n_bits // 64))
        if words.dtype != np.uint64 or words.shape[1:] != (n_words,) or weights.shape != words.shape[:1]:
            raise ValueError(
                f"words must be (n_outcomes, {n_words}) uint64 for {plural(n_bits, 'bit')} and weights (n_outcomes,); "
                f"got {words.dtype} {words.shape} and {weights.shape}"
            )
        if n_bits < 64 * n_words and (words[:, -1] >> np.uint64(n_bits % 64)).any():
            raise ValueError(f"words must hold bits below {n_bits}; got {words[:, -1].max()} as the last of a row")
        new._settle(words, weights, n_bits)
        return new

    @classmethod
    @default_errstate
    def of(cls, source: Any, *, num_bits: int | None = None) -> "Distribution":
        """Read anything that holds counts.

        Args:
            source: a dict whose keys are binary (with or without spaces between registers), hexadecimal
                (``'0x1f'``), ``'0b101'`` or integers; Qiskit ``Counts``; a list or array of bitstrings, one per shot; a
                ``BitArray`` of any shape (pooled); a ``DataBin``, ``PubResult`` or ``SamplerPubResult`` with one
                or several registers (the first is the least significant, as in ``join_data``); a ``Result`` of one
                circuit, or its ``to_dict()``; the response of IBM's REST interface to a Sampler job; counts under
                ``"counts"`` or ``"data"``, with their width beside them as ``"num_bits"`` or ``"n_bits"``; a
                pandas Series of shots indexed by bitstrings; an object with ``counts``; or another Distribution.
            num_bits: width, for keys that do not show it (integers and hexadecimal); by default that of the widest key.

        Raises:
            ValueError, TypeError: the source cannot be read; the message names the key or register at fault.

        Example:
            >>> Distribution.of({"0x1": 3, "0x2": 1}, num_bits=3).to_probs()
            {'001': 0.75, '010': 0.25}
        """
        read = intake.read(source, num_bits)
        return read if isinstance(read, Distribution) else cls.from_words(*read)

    from_counts = of

    @property
    def n_outcomes(self) -> int:
        """Number of distinct bitstrings."""
        return len(self.weights)

    @cached_property
    def shots(self) -> float:
        """Total weight; a total within rounding error of a whole number is rounded to it."""
        total = float(self.weights.sum())
        return float(round(total)) if abs(total - round(total)) <= 1e-9 * total else total

    @property
    @default_errstate
    def probabilities(self) -> Floats:
        """``(n_outcomes,) float64``: the weights, normalised to sum to 1."""
        shares: Floats = self.weights / self.weights.sum()
        return shares

    def to_probs(self) -> dict[str, float]:
        """Return the probability of each bitstring, with keys as Qiskit prints them."""
        return dict(zip(format_bitstrings(self.bits), self.probabilities.tolist(), strict=True))

    @cached_property
    def _table(self) -> dict[str, float]:
        return self.to_probs()

    def __getitem__(self, bitstring: str) -> float:
        """Return the probability of a bitstring, which may have spaces between registers.

        A string without shots raises KeyError; ``d.get(bitstring, 0.0)`` returns 0 for it.
        """
        return self._table[bitstring.replace(" ", "") if isinstance(bitstring, str) else bitstring]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the bitstrings, lowest first."""
        return iter(self._table)

    def __len__(self) -> int:
        return self.n_outcomes

    @default_errstate
    def to_counts(self) -> dict[str, int]:
        """Return whole shots that sum to the (rounded) total, by the largest remainder method.

        Ties between remainders go to the lower bitstring. Bitstrings left without a shot are not listed.

        Example:
            >>> Distribution.of({"0": 1.4, "1": 2.6}).to_counts()
            {'0': 1, '1': 3}
        """
        counts = whole_shots(self.weights, round(self.shots))
        kept = counts > 0
        return dict(zip(format_bitstrings(self.bits[kept]), counts[kept].tolist(), strict=True))

    def to_bit_array(self) -> Any:
        """Return the whole shots of `to_counts` as a ``qiskit.primitives.BitArray``, with equal shots adjacent.

        Raises:
            ValueError: there is no whole shot, or there are too many to hold in memory.

        Example:
            >>> import qcluster as qc
            >>> qc.Distribution.of({"01": 3, "10": 1}).to_bit_array().get_counts()
            {'01': 3, '10': 1}
        """
        return call_hook("to_bit_array", self)

    def to_quasi(self) -> Any:
        """Return a ``qiskit.result.QuasiDistribution`` with integer keys, which carries the shots and the width.

        Example:
            >>> import qcluster as qc
            >>> qc.Distribution.of({"01": 3, "10": 1}).to_quasi().binary_probabilities()
            {'01': 0.75, '10': 0.25}
        """
        return call_hook("to_quasi", self)

    def top(self, k: int) -> dict[str, float]:
        """Return the k most probable bitstrings with their probabilities, the most probable first (ties: lower first).

        Raises:
            ValueError: k is negative or not a whole number.
        """
        k = check_whole("k", k, 0)
        rows = np.argsort(-self.weights, kind="stable")[:k]
        return dict(zip(format_bitstrings(self.bits[rows]), self.probabilities[rows].tolist(), strict=True))

    def marginal(self, bits: Iterable[SupportsIndex]) -> "Distribution":
        """Return the marginal over some classical bits: column j of the result is classical bit ``bits[j]``.

        Raises:
            ValueError: a bit is outside the register or named twice.
            TypeError: `bits` is not a list of whole numbers (a boolean mask is not).

        Example:
            >>> Distribution.of({"10": 3, "11": 1}).marginal([0]).to_probs()
            {'0': 0.75, '1': 0.25}
        """
        if not isinstance(bits, Iterable):
            raise TypeError(f"bits must be a list of bit numbers; got {bits!r}")
        bits = list(islice(bits, self.n_bits + 1))  # with more, one is named twice or outside
        wrong = [bit for bit in bits if not isinstance(bit, Integral) or isinstance(bit, bool)]
        if wrong:
            raise TypeError(f"bits must be whole numbers, one for each bit that is kept; got {wrong[0]!r}")
        columns = [int(bit) for bit in bits]  # an array of mixed NumPy integer types could become floats
        outside = [bit for bit in columns if not 0 <= bit < self.n_bits]
        if outside:
            raise ValueError(f"bits must lie in 0..{self.n_bits - 1}; got {outside[0]}")
        if len(set(columns)) != len(columns):
            raise ValueError(f"each bit may be named once; got {columns}")
        return Distribution(self.bits[:, columns], self.weights)

    @default_errstate
    def expectation(self, observable: Any) -> Estimate:
        """Estimate the expectation value of an observable that is diagonal in the measured basis.

        Args:
            observable: a Pauli string such as ``"ZZI"`` (the rightmost letter belongs to classical bit 0), a bitstring
                such as ``"011"`` for its probability, a dict ``{"ZZI": 0.5, "IIZ": -1}``, the ``(2**n_bits,)`` values
                of the diagonal, a ``SparsePauliOp`` of I and Z, or a ``SparseObservable`` of I, Z, 0 and 1; see
                `qcluster.core.counts.observables.diagonal`.

        Returns:
            The value and its standard error ``sqrt(variance / shots)``, which assumes independent shots. The shots of
            a mitigated result are not independent: use `Mitigation.interval` for its uncertainty.

        Raises:
            ValueError, TypeError: the width differs, a term contains X or Y, `observable` is none of the above, or
                there are no shots.

        Example:
            >>> Distribution.of({"00": 50, "11": 50}).expectation("ZZ")
            Estimate(value=1.0, standard_error=0.0)
            >>> Distribution.of({"00": 50, "11": 50}).expectation({"ZZ": 0.5, "IZ": 1.0})
            Estimate(value=0.5, standard_error=0.1)
        """
        operator = diagonal(observable, self.n_bits)
        values = operator.values(self.words) / operator.unit
        if not self.n_outcomes:
            raise ValueError("an expectation value needs at least one shot; got none")
        mean = float(self.probabilities @ values)
        variance = float(self.probabilities @ (values - mean) ** 2)
        return Estimate(mean * operator.unit, float(np.sqrt(variance / self.shots)) * operator.unit)

    def __add__(self, other: "Distribution") -> "Distribution":
        """Pool the shots of two distributions of equal width."""
        if not isinstance(other, Distribution):
            return NotImplemented
        if other.n_bits != self.n_bits:
            raise ValueError(f"only equal widths can be pooled; got {self.n_bits} and {other.n_bits} bits")
        words, weights = np.vstack([self.words, other.words]), np.r_[self.weights, other.weights]
        return Distribution.from_words(words, weights, self.n_bits)

    def to_json(self) -> str:
        """Write the weight of each bitstring as JSON text, which `of` and ``qcluster mitigate`` read.

        Example:
            >>> import json
            >>> d = Distribution.of({"00": 600, "11": 400})
            >>> Distribution.of(json.loads(d.to_json())) == d
            True
        """
        counts = dict(zip(format_bitstrings(self.bits), self.weights.tolist(), strict=True))
        content = {"format": intake.DOCUMENT, "version": intake.VERSION, "n_bits": self.n_bits, "counts": counts}
        return json.dumps(content)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle by the packed rows, so that the arrays of the copy are read-only too."""
        return _from_words, (type(self), self.words, self.weights, self.n_bits)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Distribution)
            and self.n_bits == other.n_bits
            and np.array_equal(self.words, other.words)
            and np.array_equal(self.weights, other.weights)
        )

    __hash__ = None  # type: ignore[assignment]

    def _repr_html_(self) -> str:
        """Show the most probable strings as a table with bars, for notebooks."""
        return str(call_hook("show_distribution", self))

    def __repr__(self) -> str:
        size = f"{plural(self.n_outcomes, 'string')} of {plural(self.n_bits, 'bit')}"
        return f"Distribution({size}, {plural(self.shots, 'shot')})"


def read_with_width(source: Any, n_bits: int) -> Distribution:
    """Read counts, taking integer and hexadecimal keys as `n_bits` wide; counts with another width keep it.

    Example:
        >>> read_with_width({"0x1": 3}, 4).to_counts(), read_with_width({"01": 3}, 4).n_bits
        ({'0001': 3}, 2)
    """
    try:
        return Distribution.of(source, num_bits=n_bits)
    except ValueError:
        return Distribution.of(source)  # if this fails too, its message does not depend on n_bits


def no_shots(d: Distribution) -> str:
    """Say why the weights cannot be shots; empty if they can. Probabilities, percentages, and mitigated counts may have
    less than one for each string.

    Example:
        >>> no_shots(Distribution.of({"00": 0.75, "11": 0.25})), no_shots(Distribution.of({"00": 3, "11": 1}))
        ('weights that sum to 1 for 2 strings, less than one shot each', '')
    """
    if d.shots >= (1 - 1e-6) * d.n_outcomes:
        return ""
    return f"weights that sum to {d.shots:.6g} for {plural(d.n_outcomes, 'string')}, less than one shot each"


def check_shots(d: Distribution, name: str) -> None:
    """Raise ValueError if the weights cannot be shots, where `name` must be counts of shots; see `no_shots`."""
    if wrong := no_shots(d):
        cure = "multiply probabilities by the shots they come from"
        raise ValueError(f"{name} must be counts of shots; got {wrong}: {cure}")


def are_whole(weights: Floats) -> bool:
    """Return whether weights are whole numbers, as those of raw counts are, up to rounding errors."""
    return bool(np.allclose(weights, np.round(weights), rtol=1e-9, atol=1e-9))


def whole_shots(weights: ArrayLike, total: int) -> NDArray[np.int64]:
    """Round weights ``(n,)``, not negative and not all zero, to whole numbers that sum to `total`, by the largest
    remainder method; n may be 0."""
    exact = np.asarray(weights, dtype=np.float64)
    if not exact.size:
        return np.zeros(0, dtype=np.int64)
    exact = exact * (total / exact.sum())
    counts: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    missing = total - int(counts.sum())
    if not 0 <= missing <= len(counts):  # beyond 2^53, where large counts are no longer exact
        counts[np.argmax(counts)] += missing
        return counts
    counts[np.argsort(counts - exact, kind="stable")[:missing]] += 1
    return counts


def histogram(d: Distribution) -> Floats:
    """Return the shots of all strings, ``(2**n_bits,)``: entry y is for the string whose bits are the digits of y."""
    return np.bincount(d.words[:, 0].astype(np.intp), d.weights, 1 << d.n_bits).astype(np.float64, copy=False)


def align(left: Distribution, right: Distribution) -> tuple[Words, Floats, Floats]:
    """Put two distributions on their joint support; ValueError if their widths differ.

    Returns the strings, packed ``(n, n_words)``, and the probabilities ``(n,)`` in each, zero where a string is absent.
    """
    if left.n_bits != right.n_bits:
        raise ValueError(f"distributions must have one width to be compared; got {left.n_bits} and {right.n_bits} bits")
    words, index = unique_words(np.vstack([left.words, right.words]))
    p, q = np.zeros(len(words)), np.zeros(len(words))
    p[index[: left.n_outcomes]] = left.probabilities
    q[index[left.n_outcomes :]] = right.probabilities
    return words, p, q


def _from_words(kind: type[Distribution], words: Words, weights: Floats, n_bits: int) -> Distribution:
    """Rebuild a pickled copy. A plain function, since joblib cannot pickle class methods once Qiskit imports dill."""
    return kind.from_words(words, weights, n_bits)
