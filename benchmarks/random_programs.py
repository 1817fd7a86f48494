"""Random programs for training the decision: building blocks of algorithms, combined at random.

A program prepares some qubits, applies one to three blocks, and measures some or all qubits. A block consists of layers
of rotations and two-qubit gates, a few rotations about products of Paulis, reversible logic, a Fourier transform,
phases or controlled rotations; or it is a block that is undone again after a small change. No program is a known
algorithm, so the circuits of `benchmarks.outside` and of the suite ``broad`` remain independent tests. Wide programs
consist of Clifford gates; their output is uniform over an affine space that is small enough to list.
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
"""Numbers of qubits, repeated in proportion to their frequency."""
_PARTLY = 0.35
"""Probability that only some qubits are measured."""
_FLAT = 3
"""Most programs drawn to get one whose output is not nearly uniform, since uniform outputs teach little."""

_FREE = 8
"""Most free bits of the output of a wide program, so that all its strings can be listed."""

Block = Callable[[np.random.Generator, QuantumCircuit, Sequence[int]], None]
"""Appends gates to a circuit, on some qubits in the given order."""


def program(seed: int) -> Case:
    """Draw a program and its exact output; the case is named after its last block."""
    rng = np.random.default_rng([2050, seed])
    for _ in range(_FLAT):
        candidate = _draw(rng)
        ideal = candidate.ideal.probabilities
        if len(ideal) < 1 << candidate.n_bits or ideal.max() > 2.0 / (1 << candidate.n_bits):
            break
    return candidate


def _draw(rng: np.random.Generator) -> Case:
    n = int(rng.choice(WIDTHS))
    circuit = QuantumCircuit(n)
    preparation = rng.choice(["zero", "string", "some", "all", "turned"])
    for qubit in range(n):
        if preparation == "all" or (preparation == "some" and rng.random() < 0.5):
            circuit.h(qubit)
        elif preparation == "turned":
            circuit.ry(rng.uniform(0, np.pi), qubit)
        elif preparation == "string" and rng.random() < 0.5:
            circuit.x(qubit)
    name = ""
    for _ in range(int(rng.integers(1, 4))):
        name = str(rng.choice(list(BLOCKS)))
        chosen = rng.permutation(n)[: int(rng.integers(2, n + 1))] if rng.random() < 0.5 else np.arange(n)
        BLOCKS[name](rng, circuit, chosen.tolist())
    if rng.random() < 0.3:
        for qubit in range(n):
            circuit.h(qubit)
    qubits = np.arange(n)
    if n > 2 and rng.random() < _PARTLY:
        qubits = np.sort(rng.choice(n, int(rng.integers(2, n)), replace=False))
    return case(f"random_{name}", n, measured(circuit, qubits.tolist()))


def wide(seed: int) -> Case:
    """Draw a program of Clifford gates on 13 to 70 qubits, and its exact output of at most 256 strings."""
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
    """Return independent rows that span the same space as the ``(r, n)`` rows, by Gaussian elimination."""
    rows, rank = rows.copy(), 0
    for column in range(rows.shape[1]):
        ones = np.flatnonzero(rows[rank:, column]) + rank
        if len(ones):
            rows[[rank, ones[0]]] = rows[[ones[0], rank]]
            others = rows[:, column].copy()
            others[: rank + 1] = False
            rows[others] ^= rows[rank]
            rank += 1
    return rows[:rank]


def _neighbours(order: Sequence[int], layer: int) -> list[tuple[int, int]]:
    """Return the pairs of neighbours of a layer: every second pair, starting from the first or second in turn."""
    return list(pairwise(order))[layer % 2 :: 2]


def _tree(rng: np.random.Generator, circuit: QuantumCircuit, order: Sequence[int]) -> None:
    """Append a CX to every qubit from an earlier one: the previous, one of the last three, or any of them.

    Up to three qubits at the start are in superposition.
    """
    for qubit in order[: int(rng.integers(0, 4))]:
        circuit.h(qubit)
    reach = int(rng.choice([1, 3, len(order)]))
    for k in range(1, len(order)):
        circuit.cx(order[int(rng.integers(max(0, k - reach), k))], order[k])


def _network(rng: np.random.Generator, circuit: QuantumCircuit, order: Sequence[int]) -> None:
    """Append layers of CX between neighbours, in random directions, with a few qubits in superposition before."""
    for qubit in rng.choice(order, int(rng.integers(0, _FREE + 1)), replace=False).tolist():
        circuit.h(qubit)
    for layer in range(int(rng.integers(1, 5))):
        for pair in _neighbours(order, layer):
            circuit.cx(*(pair if rng.random() < 0.5 else pair[::-1]))


def _mirror(rng: np.random.Generator, circuit: QuantumCircuit, order: Sequence[int]) -> None:
    """Append layers of Clifford gates, then Z or CZ gates on some qubits, then the inverse of the layers."""
    forth = QuantumCircuit(circuit.num_qubits)
    for layer in range(int(rng.integers(0, 4))):
        for qubit in order:
            getattr(forth, str(rng.choice(["h", "s", "sx", "id"])))(qubit)
        for left, right in _neighbours(order, layer):
            forth.cz(left, right)
    if not forth.num_nonlocal_gates():
        forth.h(order)
    circuit.compose(forth, inplace=True)
    circuit.barrier()  # otherwise the compiler cancels the block and its inverse
    hub = order[0]
    for qubit in rng.choice(order[1:], int(rng.integers(1, len(order))), replace=False).tolist():
        circuit.z(qubit) if rng.random() < 0.7 else circuit.cz(hub, qubit)
    circuit.barrier()
    circuit.compose(forth.inverse(), inplace=True)


def _angle(rng: np.random.Generator) -> float:
    """Draw an angle: that of a Clifford gate or of a T gate, a uniform one, or a small one."""
    kind = rng.choice(["clifford", "eighth", "any", "small"], p=[0.25, 0.15, 0.3, 0.3])
    if kind == "clifford":
        return float(np.pi / 2 * rng.integers(1, 4))
    if kind == "eighth":
        return float(np.pi / 4)
    return float(rng.uniform(-np.pi, np.pi) if kind == "any" else rng.normal(0, 0.25))


def _layers(rng: np.random.Generator, circuit: QuantumCircuit, qubits: Sequence[int]) -> None:
    """Append layers of rotations on each qubit and two-qubit gates between neighbours."""
    gate = str(rng.choice(["cx", "cz", "rzz"]))
    for layer in range(int(rng.integers(1, 5))):
        for qubit in qubits:
            getattr(circuit, str(rng.choice(["rx", "ry", "rz"])))(_angle(rng), qubit)
        for left, right in _neighbours(qubits, layer):
            circuit.rzz(_angle(rng), left, right) if gate == "rzz" else getattr(circuit, gate)(left, right)


def _paulis(rng: np.random.Generator, circuit: QuantumCircuit, qubits: Sequence[int]) -> None:
    """Append rotations about products of up to three Paulis, all by one angle or each by a different one."""
    common, alike = _angle(rng), rng.random() < 0.5
    for _ in range(int(rng.integers(1, 2 * len(qubits)))):
        weight = min(len(qubits), int(rng.integers(1, 4)))
        chosen = rng.choice(qubits, weight, replace=False).tolist()
        label = "".join(rng.choice(list("XYZ"), weight))
        angle = common if alike else _angle(rng)
        circuit.append(PauliEvolutionGate(SparsePauliOp(label), angle / 2), chosen)


def _reversible(rng: np.random.Generator, circuit: QuantumCircuit, qubits: Sequence[int]) -> None:
    """Append reversible logic: NOT with one or two controls, and swaps with one control."""
    for _ in range(int(rng.integers(2, 3 * len(qubits)))):
        a, b, *rest = rng.permutation(qubits).tolist()
        kind = str(rng.choice(["cx", "ccx", "swap", "cswap"], p=[0.5, 0.3, 0.1, 0.1]))
        if kind in ("ccx", "cswap") and rest:
            getattr(circuit, kind)(a, b, rest[0])
        else:
            circuit.cx(a, b)


def _fourier(rng: np.random.Generator, circuit: QuantumCircuit, qubits: Sequence[int]) -> None:
    """Append a Fourier transform of up to five qubits, or its inverse, exact or without the smallest angles."""
    transform = QuantumCircuit(min(len(qubits), 5))
    reach = int(rng.integers(1, 6))
    for high in reversed(range(transform.num_qubits)):
        transform.h(high)
        for low in range(max(0, high - reach), high):
            transform.cp(np.pi / (1 << (high - low)), low, high)
    targets = list(qubits)[: transform.num_qubits]
    circuit.compose(transform if rng.random() < 0.5 else transform.inverse(), targets, inplace=True)


def _phases(rng: np.random.Generator, circuit: QuantumCircuit, qubits: Sequence[int]) -> None:
    """Append phases on pairs and on single qubits, between layers of Hadamard gates."""
    for qubit in qubits:
        circuit.h(qubit)
    for _ in range(int(rng.integers(1, 2 * len(qubits)))):
        a, b = rng.choice(qubits, 2, replace=False).tolist()
        circuit.cp(_angle(rng), a, b)
        circuit.p(_angle(rng), a)
    for qubit in qubits:
        circuit.h(qubit)


def _controlled(rng: np.random.Generator, circuit: QuantumCircuit, qubits: Sequence[int]) -> None:
    """Append a rotation of each qubit that is controlled by an earlier one, which gives a tree of amplitudes."""
    circuit.ry(rng.uniform(0, np.pi), qubits[0])
    for k in range(1, len(qubits)):
        control = qubits[int(rng.integers(k))]
        getattr(circuit, str(rng.choice(["cry", "crx"])))(_angle(rng), control, qubits[k])
        if rng.random() < 0.5:
            circuit.cx(qubits[k], control)


def _echo(rng: np.random.Generator, circuit: QuantumCircuit, qubits: Sequence[int]) -> None:
    """Append a block, rotations of some qubits, and the inverse of the block."""
    forth = QuantumCircuit(circuit.num_qubits)
    blocks = [_layers, _paulis, _reversible, _fourier, _phases, _controlled]
    blocks[int(rng.integers(len(blocks)))](rng, forth, qubits)
    circuit.compose(forth, inplace=True)
    circuit.barrier()  # otherwise the compiler cancels the block and its inverse
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
"""Blocks of the programs, by name."""
WIDE: dict[str, Block] = {"tree": _tree, "network": _network, "mirror": _mirror}
"""Kinds of wide programs, by name."""
