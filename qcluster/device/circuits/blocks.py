"""Runs of gates on one pair of qubits, taken as the one gate that they make.

Compilers write a two-qubit operation as several gates with angles in between that have no meaning of their own: two cz
may make an iSWAP, three a SWAP, and only the whole is Clifford. A run from the first to the last two-qubit gate of a
pair, while neither qubit meets another, is one unitary here; faults inside are carried to its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.device.circuits import pauli
from qcluster.device.circuits.timeline import has_blocks, is_measurement

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

_QUARTER = np.pi / 4
_SAME = 1e-7
_HADAMARD = np.array([[1, 1], [1, -1]], dtype=complex) / np.sqrt(2)
_SWAPPED = [0, 2, 1, 3]
_ONE = np.concatenate([np.eye(2, dtype=complex)[None], pauli.PAULIS])
_PAIRS = np.einsum("jab,icd->ijcadb", _ONE, _ONE).reshape(16, 4, 4)
"""(16, 4, 4): Pauli i on the second qubit times Pauli j on the first, the first being the lower bit."""


def find_blocks(circuit: QuantumCircuit) -> dict[int, int]:
    """Find runs of two or more two-qubit gates on one pair: position of the first gate, and of the last."""
    index = {bit: i for i, bit in enumerate(circuit.qubits)}
    latest: dict[int, int] = {}
    first: dict[int, int] = {}
    blocks: dict[int, int] = {}
    for i, item in enumerate(circuit.data):
        qubits = [index[q] for q in item.qubits]
        if is_measurement(item.name) or item.name == "reset" or has_blocks(item):
            for q in qubits:
                latest.pop(q, None)
        elif len(qubits) == 2 and item.name != "barrier":
            before = latest.get(qubits[0], -1)
            joined = before >= 0 and before == latest.get(qubits[1], -2)
            first[i] = first[before] if joined else i
            if joined:
                blocks[first[i]] = i
            latest.update(dict.fromkeys(qubits, i))
    return blocks


@dataclass(eq=False)
class Block:
    """A run of gates on qubits a and b while it is being read."""

    a: int
    """First qubit, the lower bit of the matrices."""
    b: int
    """Second qubit."""
    last: int
    """Position of the last gate in the circuit."""
    unitary: pauli.Matrix
    """(4, 4) of all gates so far, with what was pending on the qubits before."""
    faults: list[tuple[pauli.Matrix, Floats]] = field(default_factory=list)
    """The unitary when a fault struck, and its rates (4, 4), [Pauli on a, Pauli on b]."""

    def gate(self, matrix: pauli.Matrix, qubits: tuple[int, ...]) -> None:
        """Add a gate on one of the qubits or both, in either order."""
        if len(qubits) == 2:
            whole = matrix if qubits == (self.a, self.b) else matrix[np.ix_(_SWAPPED, _SWAPPED)]
        else:
            still = np.eye(2)
            sides = (still, matrix) if qubits[0] == self.a else (matrix, still)
            whole = np.asarray(np.kron(*sides), dtype=complex)
        self.unitary = np.asarray(whole @ self.unitary, dtype=complex)

    def fault(self, rates: Floats) -> None:
        """Note a fault, with rates (4, 4)."""
        self.faults.append((self.unitary, rates))

    def fault_of(self, qubit: int, rates: Floats) -> None:
        """Note a fault of one qubit, with rates (3,)."""
        table = np.zeros((4, 4))
        table[(slice(1, None), 0) if qubit == self.a else (0, slice(1, None))] = rates
        self.fault(table)

    def faults_at_end(self, after_a: pauli.Matrix, after_b: pauli.Matrix) -> Floats:
        """Carry all faults to the end of the run, before the gates `after_a` and `after_b` that are still pending.

        A Pauli that turns into a sum of Paulis is taken for each with its squared share.
        """
        end = np.kron(after_b, after_a).conj().T @ self.unitary
        total = np.zeros(16)
        for then, rates in self.faults:
            rest = end @ then.conj().T
            turned = rest @ _PAIRS @ rest.conj().T
            squares = (np.einsum("iab,jba->ij", _PAIRS, turned).real / 4) ** 2
            total += squares @ rates.T.ravel()
        return total.reshape(4, 4).T


def pass_on(
    angles: tuple[float, float, float], before: dict[str, pauli.Matrix], after: dict[str, pauli.Matrix]
) -> tuple[dict[str, pauli.Matrix], dict[str, pauli.Matrix]]:
    """Carry rotations that mean nothing before a coupling like iSWAP or SWAP past it, to the other qubit.

    The coupling is ``exp(i (a XX + b YY + c ZZ))``, between one-qubit gates of "a" and "b" before and after it. These
    stay as they are where it is of another kind.
    """
    x, y, z = (abs(angle) for angle in angles)
    if abs(x - _QUARTER) > _SAME or abs(y - _QUARTER) > _SAME:
        return before, after
    if abs(z - _QUARTER) < _SAME:
        turn = np.eye(2) if angles[0] * angles[1] * angles[2] > 0 else pauli.PAULIS[2]
        moved = {q: turn @ before[q] @ turn for q in before}
        before = {q: np.eye(2, dtype=complex) for q in before}
    elif z < _SAME:
        split = {q: pauli.split_x(_HADAMARD @ before[q] @ _HADAMARD, from_zero=False) for q in before}
        before = {q: _HADAMARD @ rest @ _HADAMARD for q, (rest, _) in split.items()}
        moved = {q: _HADAMARD @ pauli.x_rotation(angle) @ _HADAMARD for q, (_, angle) in split.items()}
    else:
        return before, after
    return before, {"a": after["a"] @ moved["b"], "b": after["b"] @ moved["a"]}
