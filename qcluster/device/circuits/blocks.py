"""Runs of gates on one pair of qubits, merged into a single two-qubit unitary.

Compilers write one two-qubit operation as several gates with rotations in between: an iSWAP as two cz, a SWAP as three.
The rotations are often not Clifford gates, although the product of the whole run is. A run extends from the first to
the last two-qubit gate on a pair, as long as neither qubit interacts with a third. It is treated as one unitary, and
the faults inside it are propagated to its end.
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

_QUARTER_PI = np.pi / 4
_TOLERANCE = 1e-7
_HADAMARD = np.array([[1, 1], [1, -1]], dtype=complex) / np.sqrt(2)
_SWAPPED_ORDER = [0, 2, 1, 3]
_ONE_QUBIT_PAULIS = np.concatenate([np.eye(2, dtype=complex)[None], pauli.PAULIS])
"""(4, 2, 2): I, X, Y, Z."""
_TWO_QUBIT_PAULIS = np.einsum("jab,icd->ijcadb", _ONE_QUBIT_PAULIS, _ONE_QUBIT_PAULIS).reshape(16, 4, 4)
"""(16, 4, 4): entry 4 i + j is Pauli i on the second qubit times Pauli j on the first, which is the lower bit."""


def find_blocks(circuit: QuantumCircuit) -> dict[int, int]:
    """Find the runs of two or more two-qubit gates on one pair of qubits.

    Returns:
        For each run, the position of its first gate in ``circuit.data`` and that of its last.
    """
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
            previous = latest.get(qubits[0], -1)
            continues = previous >= 0 and previous == latest.get(qubits[1], -2)
            first[i] = first[previous] if continues else i
            if continues:
                blocks[first[i]] = i
            latest.update(dict.fromkeys(qubits, i))
    return blocks


@dataclass(eq=False)
class Block:
    """A run of gates on qubits a and b, accumulated gate by gate."""

    a: int
    """First qubit; it is the lower bit of the matrices."""
    b: int
    """Second qubit."""
    last: int
    """Position of the run's last gate in the circuit."""
    unitary: pauli.Matrix
    """(4, 4) product of all gates so far, including those pending on the two qubits before the run."""
    faults: list[tuple[pauli.Matrix, Floats]] = field(default_factory=list)
    """For each fault, the unitary up to it and its rates (4, 4), indexed by [Pauli on a, Pauli on b]."""

    def add_gate(self, matrix: pauli.Matrix, qubits: tuple[int, ...]) -> None:
        """Apply a gate on one of the two qubits, or on both in either order."""
        if len(qubits) == 2:
            on_pair = matrix if qubits == (self.a, self.b) else matrix[np.ix_(_SWAPPED_ORDER, _SWAPPED_ORDER)]
        else:
            identity = np.eye(2)
            factors = (identity, matrix) if qubits[0] == self.a else (matrix, identity)
            on_pair = np.asarray(np.kron(*factors), dtype=complex)
        self.unitary = np.asarray(on_pair @ self.unitary, dtype=complex)

    def add_pair_fault(self, rates: Floats) -> None:
        """Record a fault at this point with the given rates, (4, 4)."""
        self.faults.append((self.unitary, rates))

    def add_fault(self, qubit: int, rates: Floats) -> None:
        """Record a fault of one qubit at this point, with rates (3,) of X, Y, Z."""
        pair_rates = np.zeros((4, 4))
        pair_rates[(slice(1, None), 0) if qubit == self.a else (0, slice(1, None))] = rates
        self.add_pair_fault(pair_rates)

    def faults_at_end(self, after_a: pauli.Matrix, after_b: pauli.Matrix) -> Floats:
        """Propagate all faults to the end of the run, to just before the pending gates `after_a` and `after_b`.

        A Pauli that becomes a sum of Paulis is replaced by a mixture of them, weighted by the squared coefficients.

        Returns:
            (4, 4) rates, indexed by [Pauli on a, Pauli on b].
        """
        end = np.kron(after_b, after_a).conj().T @ self.unitary
        total = np.zeros(16)
        for before, rates in self.faults:
            rest = end @ before.conj().T
            propagated = rest @ _TWO_QUBIT_PAULIS @ rest.conj().T
            squares = (np.einsum("iab,jba->ij", _TWO_QUBIT_PAULIS, propagated).real / 4) ** 2
            total += squares @ rates.T.ravel()
        return total.reshape(4, 4).T


def move_rotations_past(
    angles: tuple[float, float, float], before: dict[str, pauli.Matrix], after: dict[str, pauli.Matrix]
) -> tuple[dict[str, pauli.Matrix], dict[str, pauli.Matrix]]:
    """Move rotations from before an iSWAP-like or SWAP-like interaction to the other qubit after it.

    Args:
        angles: (a, b, c) of the interaction ``exp(i (a XX + b YY + c ZZ))``.
        before, after: one-qubit gates on the qubits "a" and "b" around the interaction.

    Returns:
        The new `before` and `after`. An interaction of any other kind leaves both unchanged.
    """
    x, y, z = (abs(angle) for angle in angles)
    if abs(x - _QUARTER_PI) > _TOLERANCE or abs(y - _QUARTER_PI) > _TOLERANCE:
        return before, after
    if abs(z - _QUARTER_PI) < _TOLERANCE:
        conjugator = np.eye(2) if angles[0] * angles[1] * angles[2] > 0 else pauli.PAULIS[2]
        moved = {q: conjugator @ before[q] @ conjugator for q in before}
        before = {q: np.eye(2, dtype=complex) for q in before}
    elif z < _TOLERANCE:
        split = {q: pauli.split_x(_HADAMARD @ before[q] @ _HADAMARD, from_zero=False) for q in before}
        before = {q: _HADAMARD @ rest @ _HADAMARD for q, (rest, _) in split.items()}
        moved = {q: _HADAMARD @ pauli.x_rotation(angle) @ _HADAMARD for q, (_, angle) in split.items()}
    else:
        return before, after
    return before, {"a": after["a"] @ moved["b"], "b": after["b"] @ moved["a"]}
