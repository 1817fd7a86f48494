"""Fractional gates that are Clifford: rzz by a quarter turn, which Qiskit's twirling refuses for its parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qcluster.device.circuits.timeline import has_blocks

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

_CLOSE = 1e-9
"""Radians within which an angle is a quarter turn: far below what a machine can tell."""


def is_quarter_turn(operation: Any) -> bool:
    """Tell whether an operation is rzz by plus or minus pi/2, up to half turns, which are Paulis themselves."""
    if operation.name != "rzz" or not isinstance(operation.params[0], (int, float)):
        return False
    return bool(abs(np.cos(float(operation.params[0]))) < _CLOSE)


def has_quarter_turns(circuit: Any) -> bool:
    """Tell whether a circuit holds one, in its control flow as well."""
    return any(
        is_quarter_turn(item.operation) or (has_blocks(item) and any(map(has_quarter_turns, item.operation.blocks)))
        for item in circuit.data
    )


def dress_quarter_turns(circuit: QuantumCircuit, rng: np.random.Generator) -> QuantumCircuit:
    """Put a random Pauli, one of 16, before each quarter turn and behind it the one that undoes it.

    A Pauli that commutes with ZZ passes through as it is. Any other leaves as its product with ZZ, up to a phase:
    ``exp(-i pi/4 ZZ) P = P exp(i pi/4 ZZ) = i P ZZ exp(-i pi/4 ZZ)``.
    """
    result = circuit.copy_empty_like()
    for item in circuit.data:
        operation = item.operation
        if has_blocks(item):
            blocks = [dress_quarter_turns(block, rng) for block in operation.blocks]
            result._append(item.replace(operation=operation.replace_blocks(blocks)))
        elif is_quarter_turn(operation):
            x, z = rng.integers(2, size=(2, 2)).astype(bool)
            turned = bool(x[0] ^ x[1])  # whether the Pauli anticommutes with ZZ
            _append_paulis(result, item.qubits, x, z)
            result._append(item)
            _append_paulis(result, item.qubits, x, z ^ turned)
        else:
            result._append(item)
    return result


def _append_paulis(circuit: Any, qubits: Any, x: Any, z: Any) -> None:
    from qiskit.circuit.library import XGate, YGate, ZGate

    for qubit, has_x, has_z in zip(qubits, x, z, strict=True):
        if has_x or has_z:
            circuit.append((YGate() if has_z else XGate()) if has_x else ZGate(), [qubit])
