"""A benchmark circuit with its ideal output."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import Gate, Qubit, SwitchCaseOp
from qiskit.circuit.classical import expr
from qiskit.circuit.library import PauliEvolutionGate

from qcluster.core.counts.bits import index_bits, parse_bitstrings
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import entropy

SIMULATED_QUBITS = 22
"""Widest circuit whose ideal output is simulated (64 MB of amplitudes)."""
USER = "user"
"""Family of all circuits from users' files, whose kind is unknown."""
_ABRIDGED = 1000
"""Number of array entries above which NumPy abridges the printed array."""


@dataclass(frozen=True)
class Case:
    """A measured circuit and its ideal output."""

    name: str
    """Name that builds the case: ``family:width`` with options, ``paper/NAME``, or the name of a file."""
    family: str
    """Kind of circuit, for grouping: ``bv``, ``mirror``, ..."""
    circuit: QuantumCircuit
    """The logical circuit, with its measurements."""
    ideal_source: Distribution | Callable[[], Distribution] | None = field(repr=False)
    """The ideal output, a function that computes it, or None if it is unknown."""
    edges: tuple[tuple[int, int, float], ...] = ()
    """Terms ``(i, j, w)`` of an Ising cost ``sum w z_i z_j`` to be minimised, for approximation ratios."""
    given: bool = False
    """Whether the ideal output comes from a user's file, which may change independently of the circuit."""

    @cached_property
    def ideal(self) -> Distribution | None:
        """Ideal output, computed at first use; None where it is unknown."""
        return self.ideal_source() if callable(self.ideal_source) else self.ideal_source

    @property
    def n_bits(self) -> int:
        """Number of classical bits."""
        return int(self.circuit.num_clbits)

    @property
    def n_qubits(self) -> int:
        """Number of qubits of the logical circuit."""
        return int(self.circuit.num_qubits)

    @cached_property
    def ideal_entropy(self) -> float:
        """Entropy of the ideal output divided by the number of bits; NaN where it is unknown."""
        return float("nan") if self.ideal is None else entropy(self.ideal, normalised=True)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the instructions: it changes with the circuit, and is the same on any machine and in any process."""
        digest = hashlib.sha256(f"{self.n_qubits},{self.n_bits}".encode())
        for text in _instructions(self.circuit, complete=self.family == USER):
            digest.update(text.encode())
        return digest.hexdigest()[:16]


def _instructions(circuit: QuantumCircuit, *, complete: bool) -> Iterator[str]:
    """Format the instructions of a circuit; `complete` adds what names do not show: custom gates, conditions, blocks.

    Circuits of families need no such details, since the name of the case determines their gates. Leaving them out keeps
    the identities of earlier runs.
    """
    bit = {bit: index for index, bit in enumerate([*circuit.qubits, *circuit.clbits])}
    for step in circuit.data:
        operation, places = step.operation, [bit[place] for place in (*step.qubits, *step.clbits)]
        yield f";{operation.name}{places}{[_format_parameter(value) for value in operation.params]}"
        standard = operation.base_class.__module__.startswith("qiskit.circuit.library")
        if not complete or (standard and not isinstance(operation, PauliEvolutionGate)):  # its operator is no parameter
            continue
        if operation.name == "delay" and operation.unit != "dt":
            yield operation.unit
        for condition in (getattr(operation, name, None) for name in ("condition", "target")):
            yield f"=={int(condition[1])}" if isinstance(condition, tuple) else _expression(condition, bit)
        if isinstance(operation, SwitchCaseOp):
            yield f"{[labels for labels, _ in operation.cases_specifier()]}"
        for inner in [operation.definition] if operation.definition else getattr(operation, "blocks", ()):
            yield from ("{", *_instructions(inner, complete=True), "}")


def _expression(expression: Any, bit: Mapping[Any, int]) -> str:
    """Format an expression, such as a condition of control flow; bits outside of registers by their index."""
    if not isinstance(expression, expr.Expr):
        return ""
    text = repr(expression)
    for read in expr.iter_vars(expression):
        text = text.replace(repr(read.var), str(bit[read.var])) if read.var in bit else text
    return text


def _format_parameter(value: Any) -> str:
    """Format a parameter of a gate; a matrix that is too large to print, by a hash."""
    if isinstance(value, int | float | np.floating | np.integer):
        return f"{float(value):.12g}"
    if isinstance(value, np.ndarray) and value.size > _ABRIDGED:
        return hashlib.sha256((np.round(value, 12) + 0.0).tobytes()).hexdigest()
    return str(value)


def certain(text: str) -> Distribution:
    """Return the distribution with a single string."""
    return uniform_over([text])


def uniform_over(texts: Iterable[str]) -> Distribution:
    """Return the distribution with equal probabilities for some strings (in Qiskit's order of bits)."""
    rows = parse_bitstrings(list(texts))
    return Distribution(rows, np.full(len(rows), 1.0 / len(rows)))


def uniform(n: int) -> Distribution:
    """Return the distribution with equal probabilities for all strings of n bits."""
    check_vector(n)
    return from_probabilities(np.full(1 << n, 1.0))


def check_vector(n: int) -> None:
    """Raise ValueError if an ideal output over all strings of n bits would not fit into memory."""
    if n > SIMULATED_QUBITS:
        raise ValueError(f"ideal outputs over all strings are computed up to {SIMULATED_QUBITS} bits; got {n}")


def from_probabilities(probabilities: ArrayLike) -> Distribution:
    """Convert a vector over all strings; entry v belongs to the string with value v.

    Args:
        probabilities: ``(2**n,)``; entries below 1e-12 are dropped.
    """
    vector = np.asarray(probabilities, dtype=np.float64)
    values = np.flatnonzero(vector > 1e-12)
    n_bits = int(vector.size).bit_length() - 1
    if n_bits > 32:
        raise ValueError(f"a vector over all strings goes up to 32 bits; got {n_bits}")
    return Distribution(index_bits(values, n_bits), vector[values] / vector[values].sum())


def simulate(circuit: QuantumCircuit) -> Distribution:
    """Compute the ideal output of a circuit that measures once, at the end, without noise or sampling.

    A `PauliEvolutionGate` is simulated by the product formula that runs, not by the exact evolution: the difference
    is not an error of the machine. Resets are exact: each continues with a fresh qubit. Classical bits without a
    measurement are 0, as machines return them.

    Raises:
        ValueError: the circuit is too wide, or measures in the middle.
    """
    from qiskit.quantum_info import Statevector

    if circuit.num_qubits > SIMULATED_QUBITS:
        raise ValueError(f"ideal outputs are simulated up to {SIMULATED_QUBITS} qubits; got {circuit.num_qubits}")
    source = measured_qubits(circuit)
    unitary = circuit.remove_final_measurements(inplace=False).decompose("PauliEvolution")
    if unitary.num_clbits and any(step.clbits for step in unitary.data):
        raise ValueError(
            "the ideal output is simulated only for circuits whose measurements are all at the end; "
            f"{circuit.name!r} uses classical bits before"
        )
    unitary, places = _without_resets(unitary)
    written_bits = sorted(source)
    read = from_probabilities(Statevector(unitary).probabilities([places[source[bit]] for bit in written_bits]))
    if len(written_bits) == circuit.num_clbits:
        return read
    bits = np.zeros((read.n_outcomes, circuit.num_clbits), dtype=bool)
    bits[:, written_bits] = read.bits
    return Distribution(bits, read.weights)


def _without_resets(circuit: QuantumCircuit) -> tuple[QuantumCircuit, list[int]]:
    """Replace each used qubit that is reset by a fresh one; Qiskit would measure it and keep one outcome at random.

    Returns:
        The circuit, and for each qubit its final index in that circuit.
    """
    while inner := {
        step.name for step in circuit.data if not isinstance(step.operation, Gate) and step.operation.definition
    }:  # initialize, and users' own instructions
        circuit = circuit.decompose(sorted(inner))
    fresh, used = circuit.copy_empty_like(), set[int]()
    places = list(range(circuit.num_qubits))
    for step in circuit.data:
        qubits = [circuit.find_bit(qubit).index for qubit in step.qubits]
        if step.name != "reset":
            used.update(places[qubit] for qubit in qubits if step.name not in ("barrier", "delay"))
            fresh.append(step.operation, [places[qubit] for qubit in qubits], step.clbits)
        elif places[qubits[0]] in used:
            places[qubits[0]] = fresh.num_qubits
            fresh.add_bits([Qubit()])
    if fresh.num_qubits > SIMULATED_QUBITS:
        raise ValueError(
            f"ideal outputs are simulated up to {SIMULATED_QUBITS} qubits, of which a reset takes a further one; got "
            f"{circuit.num_qubits} and {fresh.num_qubits - circuit.num_qubits} resets"
        )
    return fresh, places


def measured_qubits(circuit: QuantumCircuit) -> dict[int, int]:
    """Map each classical bit that is written to the qubit of its last measurement."""
    source: dict[int, int] = {}
    for step in circuit.data:
        if step.operation.name == "measure":
            qubit, clbit = step.qubits[0], step.clbits[0]
            source[circuit.find_bit(clbit).index] = circuit.find_bit(qubit).index
    return source


def case(
    family: str, n: int, circuit: QuantumCircuit, ideal: Distribution | Callable[[], Distribution] | None = None
) -> Case:
    """Return a case of a family; a circuit without measurements is measured, and a missing ideal is simulated."""
    if "measure" not in circuit.count_ops():
        circuit.measure(range(circuit.num_clbits), range(circuit.num_clbits))
    return Case(f"{family}:{n}", family, circuit, (lambda: simulate(circuit)) if ideal is None else ideal)


def sized(narrowest: int, widest: int) -> Callable[[Callable[..., QuantumCircuit]], Callable[..., Case]]:
    """Return a decorator that turns a function into a family: the circuit is checked, measured, and simulated.

    Args:
        narrowest, widest: range of sizes for which the function can build a circuit.
    """

    def decorate(draw: Callable[..., QuantumCircuit]) -> Callable[..., Case]:
        name = draw.__name__

        @wraps(draw)
        def make(n: int, **options: Any) -> Case:
            if not narrowest <= n <= widest:
                raise ValueError(f"the width of {name} must lie in {narrowest}..{widest}; got {n}")
            circuit = draw(n, **options)
            if not circuit.num_clbits:
                circuit.measure_all()
            return case(name, n, circuit)

        return make

    return decorate


def measured(circuit: QuantumCircuit, qubits: Sequence[int]) -> QuantumCircuit:
    """Measure some qubits into a new register, the first into bit 0."""
    register = ClassicalRegister(len(qubits))
    circuit.add_register(register)
    circuit.measure(qubits, register)
    return circuit


def write_value(circuit: QuantumCircuit, value: int, qubits: Sequence[int]) -> None:
    """Flip the qubits where the binary digit of a number is 1, lowest digit first.

    Raises:
        ValueError: the number needs more bits than there are qubits.
    """
    if not 0 <= value < 1 << len(qubits):
        raise ValueError(f"a number must lie in 0..{(1 << len(qubits)) - 1}; got {value}")
    for place, qubit in enumerate(qubits):
        if value >> place & 1:
            circuit.x(qubit)
