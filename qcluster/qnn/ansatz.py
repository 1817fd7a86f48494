"""The ansatz of the classifier: parametrised gates between data qubits and one readout qubit.

Farhi and Neven (arXiv:1802.06002) classify bit strings with gates exp(i theta P R), where P acts on the data qubits and
R is a Pauli operator on the readout qubit. The exact evaluation, the circuits and the classifier all work from the
`Ansatz` defined here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise

from qcluster.core.words import short_repr

Layer = tuple[str, str]
"""(data Pauli, readout Pauli), one letter each, such as `("Z", "X")`."""

_PRESETS: dict[str, tuple[Layer, ...]] = {
    "zx": (("Z", "X"),),
    "zx-xx": (("Z", "X"), ("X", "X")),
    "tfq": (("X", "X"), ("Z", "Z")),
}


@dataclass(frozen=True)
class Term:
    """One gate exp(i theta P R): an operator P on data qubits and a Pauli operator R on the readout qubit."""

    qubits: tuple[int, ...]
    """Distinct data qubits on which P acts; empty for a bias gate."""
    data: str
    """P, one letter per qubit: X, Y or Z; or all "1", the projector on 1 (a multiply controlled rotation)."""
    readout: str
    """R: X, Y or Z."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "qubits", tuple(self.qubits))  # circuits are cached by hash, and lists have none
        if len(self.data) != len(self.qubits) or len(set(self.qubits)) != len(self.qubits):
            raise ValueError(
                f"a term needs one letter per distinct qubit; got {self.data!r} on {short_repr(self.qubits)}"
            )
        if not (set(self.data) <= set("XYZ") or set(self.data) == {"1"}):
            raise ValueError(f"data letters must be X, Y, Z or all '1'; got {self.data!r}")
        if self.readout not in ("X", "Y", "Z"):
            raise ValueError(f"the readout letter must be X, Y or Z; got {self.readout!r}")

    @property
    def is_diagonal(self) -> bool:
        """Whether the gate is diagonal in the data register, so that it maps no bit string to another."""
        return set(self.data) <= set("Z1")


@dataclass(frozen=True)
class Ansatz:
    """A sequence of gates, in the order in which they act, with one parameter per gate.

    Example:
        >>> zx = layers(3, [("Z", "X")])
        >>> zx.n_parameters, zx.axis_runs
        (4, (('X', 0, 4),))
    """

    n_data: int
    """Number of data qubits; the readout is an additional qubit."""
    terms: tuple[Term, ...]
    """The gates; parameter k belongs to terms[k]."""
    start: str = "1"
    """Initial state of the readout: 0, 1, + or -."""
    measure: str = "Y"
    """Pauli operator measured on the readout; its expectation value is the decision value."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", tuple(self.terms))
        if self.n_data < 1:
            raise ValueError(f"n_data must be at least 1; got {self.n_data}")
        outside = [term for term in self.terms if any(not 0 <= qubit < self.n_data for qubit in term.qubits)]
        if outside:
            raise ValueError(f"qubits must lie in 0..{self.n_data - 1}; got {short_repr(outside[0].qubits)}")
        if self.start not in ("0", "1", "+", "-") or self.measure not in ("X", "Y", "Z"):
            raise ValueError(f"start must be 0, 1, + or -, measure X, Y or Z; got {self.start!r}, {self.measure!r}")

    @property
    def n_parameters(self) -> int:
        """Number of parameters, one per gate."""
        return len(self.terms)

    @cached_property
    def axis_runs(self) -> tuple[tuple[str, int, int], ...]:
        """Maximal runs of gates about the same readout axis, as (axis, first gate, one past the last gate)."""
        axes = [term.readout for term in self.terms]
        cuts = [k for k in range(len(axes)) if k == 0 or axes[k] != axes[k - 1]]
        return tuple((axes[a], a, b) for a, b in pairwise([*cuts, len(axes)]))

    @property
    def is_one_body(self) -> bool:
        """Whether every gate acts on at most one data qubit, as the product form and the path sum require."""
        return all(len(term.qubits) <= 1 for term in self.terms)

    @property
    def is_standard(self) -> bool:
        """Whether all gates rotate the readout about X, the readout starts in 1, and Y is measured."""
        return all(term.readout == "X" for term in self.terms) and (self.start, self.measure) == ("1", "Y")

    @property
    def is_sine(self) -> bool:
        """Whether the model is a sine perceptron on bit strings: `is_standard`, with one-body Pauli gates only."""
        return self.is_standard and self.is_one_body and "1" not in self.letters

    @property
    def spans_sine(self) -> bool:
        """Whether some choice of angles gives any sine perceptron: a Z gate on each data qubit, and a bias gate.

        X and Y gates alone leave every phase at 0 or pi.
        """
        with_z = {term.qubits for term in self.terms if term.data == "Z"}
        return self.is_sine and len(with_z) == self.n_data and "" in self.letters

    @property
    def is_zx_with_bias(self) -> bool:
        """Whether there is one ZX gate per data qubit, at least one bias gate and no other, as `compress` returns."""
        qubits = [term.qubits[0] for term in self.terms if term.qubits]
        only_z = all(term.data in ("", "Z") for term in self.terms)
        return self.is_standard and only_z and sorted(qubits) == list(range(self.n_data)) and "" in self.letters

    @property
    def letters(self) -> tuple[str, ...]:
        """Data letters of each gate, in order; an empty string marks a bias gate."""
        return tuple(term.data for term in self.terms)


def layers(
    n_data: int,
    pairs: Iterable[Layer],
    *,
    reps: int = 1,
    bias: bool = True,
    bias_axis: str = "X",
    start: str = "1",
    measure: str = "Y",
) -> Ansatz:
    """Build an ansatz of layers; each layer has one gate between every data qubit and the readout.

    Args:
        n_data: Number of data qubits.
        pairs: (data Pauli, readout Pauli) of each layer, in order.
        reps: Number of repetitions of the list of layers.
        bias: Whether to append a bias gate exp(i b R). Without one, f(NOT z) = -f(z) for a ZX ansatz (the odd
            counterpart of the negational symmetry of arXiv:2105.09580).
        bias_axis: R of the bias gate.
        start: Initial state of the readout.
        measure: Pauli operator measured on the readout.

    Example:
        >>> layers(16, [("Z", "X"), ("X", "X")], reps=3, bias=False).n_parameters
        96
    """
    if reps < 1:
        raise ValueError(f"reps must be at least 1; got {reps}")
    terms = [Term((q,), data, readout) for data, readout in list(pairs) * reps for q in range(n_data)]
    if bias:
        terms.append(Term((), "", bias_axis))
    return Ansatz(n_data, tuple(terms), start, measure)


def reed_muller(n_data: int, degree: int) -> Ansatz:
    """Build the diagonal ansatz with one multiply controlled rotation for each AND of at most `degree` bits.

    The angle of the readout for a bit string z is phi(z) = sum_S theta_S AND_S(z), and f(z) = -sin(2 phi(z)). At full
    degree, with theta_S in {0, pi/2} and a bias of pi/4, this represents any Boolean function by its Reed-Muller form,
    f = +1 where it is true (arXiv:1802.06002, section 2). The cost is up to 2**n gates.

    Example:
        >>> [term.qubits for term in reed_muller(3, 2).terms]
        [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]
    """
    if not 0 <= degree <= n_data:
        raise ValueError(f"degree must lie in 0..{n_data}; got {degree}")
    subsets = [s for size in range(degree + 1) for s in combinations(range(n_data), size)]
    return Ansatz(n_data, tuple(Term(s, "1" * len(s), "X") for s in subsets))


def build(
    ansatz: str | Ansatz | Sequence[Layer] | Callable[[int], Ansatz], n_data: int, *, reps: int = 1, bias: bool = True
) -> Ansatz:
    """Build an `Ansatz` from any value that `QNNClassifier(ansatz=...)` accepts.

    Args:
        ansatz: "zx", "zx-xx", "tfq" (XX then ZZ with the readout in the minus state and X measured, as in the
            TensorFlow Quantum tutorial), "reed-muller" (with reps as the degree, and always with a bias), a list of
            layers, an `Ansatz` with n_data data qubits, or a function from n_data to an `Ansatz`.
        n_data: Number of data qubits.
        reps: Number of repetitions of the layers, or the degree.
        bias: Whether to append a bias gate. For "tfq" it is along Z, since one along X would have no effect.

    Example:
        >>> build("tfq", 16, bias=False).n_parameters
        32
    """
    built = _build(ansatz, n_data, reps, bias)
    if not built.terms:
        raise ValueError("the ansatz must have a gate; got none: the readout would not depend on the data")
    return built


def _build(
    ansatz: str | Ansatz | Sequence[Layer] | Callable[[int], Ansatz], n_data: int, reps: int, bias: bool
) -> Ansatz:
    if isinstance(ansatz, Ansatz):
        if ansatz.n_data != n_data:
            raise ValueError(f"the ansatz must have the {n_data} data qubits of the rows; got {ansatz.n_data}")
        return ansatz
    if callable(ansatz):
        built = ansatz(n_data)
        if not isinstance(built, Ansatz) or built.n_data != n_data:
            raise ValueError(f"the ansatz function must return an Ansatz on {n_data} data qubits; got {built!r}")
        return built
    if isinstance(ansatz, str):
        if ansatz == "reed-muller":
            return reed_muller(n_data, min(reps, n_data))
        if ansatz not in _PRESETS:
            raise ValueError(
                f"ansatz must be one of {[*_PRESETS, 'reed-muller']}, layers or a function; got {ansatz!r}"
            )
        if ansatz == "tfq":
            return layers(n_data, _PRESETS["tfq"], reps=reps, bias=bias, bias_axis="Z", start="-", measure="X")
        ansatz = _PRESETS[ansatz]
    try:
        pairs = [(data, readout) for data, readout in ansatz]
    except (TypeError, ValueError):
        raise ValueError(
            f"ansatz must be a name, an Ansatz, a function, or layers such as [('Z', 'X')]; got {ansatz!r:.60}"
        ) from None
    return layers(n_data, pairs, reps=reps, bias=bias)
