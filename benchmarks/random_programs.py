"""Random programs to train the decision on: what algorithms are made of, put together by chance.

A program prepares some qubits, goes through one to three blocks, and measures some or all of them. A block is layers
of rotations and two-qubit gates, a few rotations about products of Paulis, reversible logic, a Fourier transform,
phases or controlled rotations; or a change that is undone again after something small in between. None is a known
algorithm, so that circuits of `benchmarks.outside` and of the suite ``broad`` can judge what was learned here. Wide
programs are of Clifford gates, whose outputs are even over an affine space that is small enough to write down.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import SparsePauliOp, StabilizerState

from qcluster.bench.circuits import Case
from qcluster.bench.circuits.case import case, measured
from qcluster.core.counts.distribution import Distribution

WIDTHS = (2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 8)
"""Numbers of qubits, as often as they stand here."""
_PARTLY = 0.35
"""How often only some qubits are measured."""
_FLAT = 3
"""Programs drawn at most for one whose output is not nearly even over all strings: of such there is little to learn."""

_FREE = 8
"""Most free bits of the output of a wide program: it is written down whole."""

Block = Callable[[np.random.Generator, QuantumCircuit, Sequence[int]], None]
"""Adds gates on some qubits, in an order."""


def program(seed: int) -> Case:
    """Draw a program and its exact output; the case is named by its last block."""
    rng = np.random.default_rng([2050, seed])
    for _ in range(_FLAT):
        made = _drawn(rng)
        ideal = made.ideal.probabilities
        if len(ideal) < 1 << made.n_bits or ideal.max() > 2.0 / (1 << made.n_bits):
            break
    return made


def _drawn(rng: np.random.Generator) -> Case:
    n = int(rng.choice(WIDTHS))
    circuit = QuantumCircuit(n)
    ready = rng.choice(["zero", "string", "some", "all", "turned"])
    for qubit in range(n):
        if ready == "all" or (ready == "some" and rng.random() < 0.5):
            circuit.h(qubit)
        elif ready == "turned":
            circuit.ry(rng.uniform(0, np.pi), qubit)
        elif ready == "string" and rng.random() < 0.5:
            circuit.x(qubit)
    name = ""
    for _ in range(int(rng.integers(1, 4))):
        name = str(rng.choice(list(BLOCKS)))
        chosen = rng.permutation(n)[: int(rng.integers(2, n + 1))] if rng.random() < 0.5 else np.arange(n)
        BLOCKS[name](rng, circuit, chosen.tolist())
    if rng.random() < 0.3:
        for qubit in range(n):
            circuit.h(qubit)
    read = np.arange(n)
    if n > 2 and rng.random() < _PARTLY:
        read = np.sort(rng.choice(n, int(rng.integers(2, n)), replace=False))
    return case(f"random_{name}", n, measured(circuit, read.tolist()))


def wide(seed: int) -> Case:
    """Draw a program of Clifford gates on 13 to 70 qubits, and its exact output: at most 256 strings."""
    rng = np.random.default_rng([2051, seed])
    while True:
        n = round(float(np.exp(rng.uniform(np.log(13), np.log(70)))))
        circuit, name = QuantumCircuit(n), str(rng.choice(list(WIDE)))
        for qubit in np.flatnonzero(rng.random(n) < rng.choice([0.0, 0.5])).tolist():
            circuit.x(qubit)
        order = rng.permutation(n) if rng.random() < 0.4 else np.arange(n)
        WIDE[name](rng, circuit, order.tolist())
        state = StabilizerState(circuit)
        free = _basis(state.clifford.stab_x)
        if len(free) <= _FREE:
            break
    state.seed(seed)
    text, _ = state.measure()
    strings = np.array([[bit == "1" for bit in reversed(text)]])
    for direction in free:
        strings = np.vstack([strings, strings ^ direction])
    ideal = Distribution(strings, np.full(len(strings), 1 / len(strings)))
    return case(f"random_{name}", n, measured(circuit, list(range(n))), ideal)


def _basis(rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Give independent rows that span the same space as ``(r, n)`` bits."""
    rows, kept = rows.copy(), 0
    for column in range(rows.shape[1]):
        ones = np.flatnonzero(rows[kept:, column]) + kept
        if len(ones):
            rows[[kept, ones[0]]] = rows[[ones[0], kept]]
            others = rows[:, column].copy()
            others[: kept + 1] = False
            rows[others] ^= rows[kept]
            kept += 1
    return rows[:kept]


def _neighbours(order: Sequence[int], layer: int) -> list[tuple[int, int]]:
    """Give the pairs of a layer: every second one, by turns from the first and from the second on."""
    return list(pairwise(order))[layer % 2 :: 2]


def _tree(rng: np.random.Generator, circuit: QuantumCircuit, order: Sequence[int]) -> None:
    """A CX to every qubit from one before it: the last, one of the last few, or any; the first may be free."""
    for qubit in order[: int(rng.integers(0, 4))]:
        circuit.h(qubit)
    back = int(rng.choice([1, 3, len(order)]))
    for place in range(1, len(order)):
        circuit.cx(order[int(rng.integers(max(0, place - back), place))], order[place])


def _network(rng: np.random.Generator, circuit: QuantumCircuit, order: Sequence[int]) -> None:
    """Layers of CX between neighbours, in either direction; a few qubits are free before."""
    for qubit in rng.choice(order, int(rng.integers(0, _FREE + 1)), replace=False).tolist():
        circuit.h(qubit)
    for layer in range(int(rng.integers(1, 5))):
        for pair in _neighbours(order, layer):
            circuit.cx(*(pair if rng.random() < 0.5 else pair[::-1]))


def _mirror(rng: np.random.Generator, circuit: QuantumCircuit, order: Sequence[int]) -> None:
    """Layers of Clifford gates, a Pauli on some qubits, and the layers undone."""
    forth = QuantumCircuit(circuit.num_qubits)
    for layer in range(int(rng.integers(0, 4))):
        for qubit in order:
            getattr(forth, str(rng.choice(["h", "s", "sx", "id"])))(qubit)
        for left, right in _neighbours(order, layer):
            forth.cz(left, right)
    if not forth.num_nonlocal_gates():
        forth.h(order)
    circuit.compose(forth, inplace=True)
    circuit.barrier()  # else the compiler cancels what is undone
    hub = order[0]
    for qubit in rng.choice(order[1:], int(rng.integers(1, len(order))), replace=False).tolist():
        circuit.z(qubit) if rng.random() < 0.7 else circuit.cz(hub, qubit)
    circuit.barrier()
    circuit.compose(forth.inverse(), inplace=True)


def _angle(rng: np.random.Generator) -> float:
    """Draw an angle: of a Clifford gate or a T gate, any, or small."""
    kind = rng.choice(["clifford", "eighth", "any", "small"], p=[0.25, 0.15, 0.3, 0.3])
    if kind == "clifford":
        return float(np.pi / 2 * rng.integers(1, 4))
    if kind == "eighth":
        return float(np.pi / 4)
    return float(rng.uniform(-np.pi, np.pi) if kind == "any" else rng.normal(0, 0.25))


def _layers(rng: np.random.Generator, circuit: QuantumCircuit, qubits: Sequence[int]) -> None:
    """Layers of rotations on each qubit and gates between neighbours."""
    gate = str(rng.choice(["cx", "cz", "rzz"]))
    for layer in range(int(rng.integers(1, 5))):
        for qubit in qubits:
            getattr(circuit, str(rng.choice(["rx", "ry", "rz"])))(_angle(rng), qubit)
        for left, right in _neighbours(qubits, layer):
            circuit.rzz(_angle(rng), left, right) if gate == "rzz" else getattr(circuit, gate)(left, right)


def _paulis(rng: np.random.Generator, circuit: QuantumCircuit, qubits: Sequence[int]) -> None:
    """Rotations about products of a few Paulis, by one angle or each by its own."""
    angle, alike = _angle(rng), rng.random() < 0.5
    for _ in range(int(rng.integers(1, 2 * len(qubits)))):
        many = min(len(qubits), int(rng.integers(1, 4)))
        chosen = rng.choice(qubits, many, replace=False).tolist()
        label = "".join(rng.choice(list("XYZ"), many))
        turn = angle if alike else _angle(rng)
        circuit.append(PauliEvolutionGate(SparsePauliOp(label), turn / 2), chosen)


def _reversible(rng: np.random.Generator, circuit: QuantumCircuit, qubits: Sequence[int]) -> None:
    """Reversible logic: NOT with up to two controls, and swaps with at most one."""
    for _ in range(int(rng.integers(2, 3 * len(qubits)))):
        a, b, *rest = rng.permutation(qubits).tolist()
        kind = str(rng.choice(["cx", "ccx", "swap", "cswap"], p=[0.5, 0.3, 0.1, 0.1]))
        if kind in ("ccx", "cswap") and rest:
            getattr(circuit, kind)(a, b, rest[0])
        else:
            circuit.cx(a, b)


def _fourier(rng: np.random.Generator, circuit: QuantumCircuit, qubits: Sequence[int]) -> None:
    """A Fourier transform of up to five qubits, or its inverse, exact or without the smallest angles."""
    some = QuantumCircuit(min(len(qubits), 5))
    least = int(rng.integers(1, 6))
    for high in reversed(range(some.num_qubits)):
        some.h(high)
        for low in range(max(0, high - least), high):
            some.cp(np.pi / (1 << (high - low)), low, high)
    circuit.compose(some if rng.random() < 0.5 else some.inverse(), list(qubits)[: some.num_qubits], inplace=True)


def _phases(rng: np.random.Generator, circuit: QuantumCircuit, qubits: Sequence[int]) -> None:
    """Phases of pairs and of single qubits between Hadamard gates."""
    for qubit in qubits:
        circuit.h(qubit)
    for _ in range(int(rng.integers(1, 2 * len(qubits)))):
        a, b = rng.choice(qubits, 2, replace=False).tolist()
        circuit.cp(_angle(rng), a, b)
        circuit.p(_angle(rng), a)
    for qubit in qubits:
        circuit.h(qubit)


def _controlled(rng: np.random.Generator, circuit: QuantumCircuit, qubits: Sequence[int]) -> None:
    """Rotations of one qubit after another, each controlled by one before it: a tree of amplitudes."""
    circuit.ry(rng.uniform(0, np.pi), qubits[0])
    for place in range(1, len(qubits)):
        before = qubits[int(rng.integers(place))]
        getattr(circuit, str(rng.choice(["cry", "crx"])))(_angle(rng), before, qubits[place])
        if rng.random() < 0.5:
            circuit.cx(qubits[place], before)


def _echo(rng: np.random.Generator, circuit: QuantumCircuit, qubits: Sequence[int]) -> None:
    """A block, something small, and the block undone."""
    forth = QuantumCircuit(circuit.num_qubits)
    blocks = [_layers, _paulis, _reversible, _fourier, _phases, _controlled]
    blocks[int(rng.integers(len(blocks)))](rng, forth, qubits)
    circuit.compose(forth, inplace=True)
    circuit.barrier()  # else the compiler cancels what is undone
    for qubit in rng.choice(qubits, int(rng.integers(1, len(qubits) + 1)), replace=False).tolist():
        getattr(circuit, str(rng.choice(["rx", "ry", "rz"])))(_angle(rng), qubit)
    circuit.barrier()
    circuit.compose(forth.inverse(), inplace=True)


BLOCKS: dict[str, Block] = {
    "layers": _layers,
    "paulis": _paulis,
    "reversible": _reversible,
    "fourier": _fourier,
    "phases": _phases,
    "controlled": _controlled,
    "echo": _echo,
}
"""What programs are made of."""
WIDE: dict[str, Block] = {"tree": _tree, "network": _network, "mirror": _mirror}
"""What wide programs are."""
