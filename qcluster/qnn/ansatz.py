"""Describe the circuit of the classifier: gates between data qubits and one readout qubit.

Farhi and Neven (arXiv:1802.06002) classify bit strings with gates exp(i theta P R): P acts on the data qubits, R is a
Pauli operator on the readout qubit. Everything else in `qcluster.qnn` reads this description: the exact forms, the
circuits and the classifier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise

from qcluster.core.words import shown

Layer = tuple[str, str]
"""(data Pauli, readout Pauli), one letter each, such as `("Z", "X")`."""

_PRESETS: dict[str, tuple[Layer, ...]] = {
    "zx": (("Z", "X"),),
    "zx-xx": (("Z", "X"), ("X", "X")),
    "tfq": (("X", "X"), ("Z", "Z")),
}


@dataclass(frozen=True)
class Term:
    """Hold one gate exp(i theta P R): what it does to which data qubits, and along which readout axis."""

    qubits: tuple[int, ...]
    """Data qubits the gate touches, distinct; empty for a bias gate."""
    data: str
    """One letter per qubit: X, Y or Z; or all "1", the projector on 1 (a multiply controlled rotation)."""
    readout: str
    """X, Y or Z on the readout qubit."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "qubits", tuple(self.qubits))  # lists have no hash, by which circuits are kept
        if len(self.data) != len(self.qubits) or len(set(self.qubits)) != len(self.qubits):
            raise ValueError(f"a term needs one letter per distinct qubit; got {self.data!r} on {shown(self.qubits)}")
        if not (set(self.data) <= set("XYZ") or set(self.data) == {"1"}):
            raise ValueError(f"data letters must be X, Y, Z or all '1'; got {self.data!r}")
        if self.readout not in ("X", "Y", "Z"):
            raise ValueError(f"the readout letter must be X, Y or Z; got {self.readout!r}")

    @property
    def is_diagonal(self) -> bool:
        """Tell whether the gate leaves every bit string of the data in place."""
        return set(self.data) <= set("Z1")


@dataclass(frozen=True)
class Ansatz:
    """Hold the gates in the order in which they act, one parameter each.

    Example:
        >>> zx = layers(3, [("Z", "X")])
        >>> zx.n_parameters, zx.axis_runs
        (4, (('X', 0, 4),))
    """

    n_data: int
    """Number of data qubits; the readout is one more."""
    terms: tuple[Term, ...]
    """The gates; parameter k belongs to terms[k]."""
    start: str = "1"
    """State of the readout before the gates: 0, 1, + or -."""
    measure: str = "Y"
    """Pauli operator measured on the readout; its mean is the decision value."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", tuple(self.terms))
        if self.n_data < 1:
            raise ValueError(f"n_data must be at least 1; got {self.n_data}")
        outside = [term for term in self.terms if any(not 0 <= qubit < self.n_data for qubit in term.qubits)]
        if outside:
            raise ValueError(f"qubits must lie in 0..{self.n_data - 1}; got {shown(outside[0].qubits)}")
        if self.start not in ("0", "1", "+", "-") or self.measure not in ("X", "Y", "Z"):
            raise ValueError(f"start must be 0, 1, + or -, measure X, Y or Z; got {self.start!r}, {self.measure!r}")

    @property
    def n_parameters(self) -> int:
        """Count the parameters, one per gate."""
        return len(self.terms)

    @cached_property
    def axis_runs(self) -> tuple[tuple[str, int, int], ...]:
        """Cut the gates into runs along one readout axis: (axis, first gate, one past the last)."""
        axes = [term.readout for term in self.terms]
        cuts = [k for k in range(len(axes)) if k == 0 or axes[k] != axes[k - 1]]
        return tuple((axes[a], a, b) for a, b in pairwise([*cuts, len(axes)]))

    @property
    def is_one_body(self) -> bool:
        """Tell whether every gate touches at most one data qubit: the condition of the product and the path sum."""
        return all(len(term.qubits) <= 1 for term in self.terms)

    @property
    def is_standard(self) -> bool:
        """Tell whether all gates turn the readout about X, from state 1, with Y measured."""
        return all(term.readout == "X" for term in self.terms) and (self.start, self.measure) == ("1", "Y")

    @property
    def is_sine(self) -> bool:
        """Tell whether the model is a sine perceptron on bit strings: one-body Pauli gates in the standard frame."""
        return self.is_standard and self.is_one_body and "1" not in self.letters

    @property
    def spans_sine(self) -> bool:
        """Tell whether the angles reach every sine perceptron: a Z gate on each data qubit, and a bias gate.

        X and Y gates by themselves leave every phase at 0 or pi.
        """
        turned = {term.qubits for term in self.terms if term.data == "Z"}
        return self.is_sine and len(turned) == self.n_data and "" in self.letters

    @property
    def is_zx_with_bias(self) -> bool:
        """Tell whether this is one ZX gate per data qubit and bias gates: what `compress` returns."""
        touched = [term.qubits[0] for term in self.terms if term.qubits]
        one_z = all(term.data in ("", "Z") for term in self.terms)
        return self.is_standard and one_z and sorted(touched) == list(range(self.n_data)) and "" in self.letters

    @property
    def letters(self) -> tuple[str, ...]:
        """List the data letters of the gates in order; an empty text is a bias gate."""
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
    """Build an ansatz of whole layers: each pair puts one gate between every data qubit and the readout.

    Args:
        n_data: Number of data qubits.
        pairs: (data Pauli, readout Pauli) of each layer, in order.
        reps: How often the list of layers is repeated.
        bias: Whether to append exp(i b R). Without it a ZX ansatz cannot tell z from NOT z but for the sign:
            f(NOT z) = -f(z) (the odd twin of the negational symmetry of arXiv:2105.09580).
        bias_axis: R of the bias gate.
        start: State of the readout before the gates.
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
    """Build the diagonal ansatz with one multiply controlled rotation per AND of at most `degree` bits.

    On a bit string z the readout turns by phi(z) = sum_S theta_S AND_S(z), so f(z) = -sin(2 phi(z)): with
    theta_S in {0, pi/2} and a bias of -pi/4 this is the Reed-Muller form of any Boolean function
    (arXiv:1802.06002, section 2), at the price of up to 2**n gates.

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
    """Turn what `QNNClassifier(ansatz=...)` accepts into an `Ansatz`.

    Args:
        ansatz: "zx", "zx-xx", "tfq" (XX then ZZ on a minus state, X measured, as in the TensorFlow Quantum
            tutorial), "reed-muller" (reps is then the degree; it always has the bias), a list of layers, an `Ansatz`
            of that width, or a function of n_data.
        n_data: Number of data qubits.
        reps: Repetitions of the layers, or the degree.
        bias: Whether to append a bias gate (along Z for "tfq", where one along X would change nothing).

    Example:
        >>> build("tfq", 16, bias=False).n_parameters
        32
    """
    made = _build(ansatz, n_data, reps, bias)
    if not made.terms:
        raise ValueError("the ansatz must have a gate; got none: the readout would not depend on the data")
    return made


def _build(
    ansatz: str | Ansatz | Sequence[Layer] | Callable[[int], Ansatz], n_data: int, reps: int, bias: bool
) -> Ansatz:
    if isinstance(ansatz, Ansatz):
        if ansatz.n_data != n_data:
            raise ValueError(f"the ansatz must have the {n_data} data qubits of the rows; got {ansatz.n_data}")
        return ansatz
    if callable(ansatz):
        made = ansatz(n_data)
        if not isinstance(made, Ansatz) or made.n_data != n_data:
            raise ValueError(f"the ansatz function must return an Ansatz on {n_data} data qubits; got {made!r}")
        return made
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
