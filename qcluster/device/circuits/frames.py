"""Paulis around two-qubit Clifford gates, for what Qiskit's twirling does not do: quarter turns, balanced draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qcluster.device.circuits.timeline import has_blocks

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit
    from qiskit.transpiler import Target

Paulis = npt.NDArray[np.int64]
"""(..., 2): of each qubit 0, 1, 2, 3 for I, X, Y, Z."""

_CLOSE = 1e-9
"""Radians within which an angle is a quarter turn: far below what a machine can tell."""


def is_quarter_turn(operation: Any) -> bool:
    """Tell whether an operation is rzz by plus or minus pi/2, up to half turns, which are Paulis themselves."""
    if operation.name != "rzz" or not isinstance(operation.params[0], (int, float)):
        return False
    return bool(abs(np.cos(float(operation.params[0]))) < _CLOSE)


def has_quarter_turns(circuit: QuantumCircuit) -> bool:
    """Tell whether a circuit holds one, in its control flow as well."""
    return any(_chosen(circuit, is_quarter_turn))


def dress_quarter_turns(circuit: QuantumCircuit, rng: np.random.Generator) -> QuantumCircuit:
    """Put a random Pauli, one of 16, before each quarter turn and behind it the one that undoes it."""
    many = sum(1 for _ in _chosen(circuit, is_quarter_turn))
    return _dressed(circuit, iter(rng.integers(4, size=(many, 2))), is_quarter_turn)


def balanced_dresses(
    circuit: QuantumCircuit, n_twirls: int, names: tuple[str, ...], target: Target | None, rng: np.random.Generator
) -> list[QuantumCircuit]:
    """Dress a circuit so that of four dresses in a row each qubit of each gate has I, X, Y and Z before it once.

    The two qubits of a gate are drawn independently, so that over all seeds each of the 16 Paulis is as likely as with
    independent draws: the twirl is the same on average, with less scatter between few dresses.

    Args:
        circuit: not scheduled.
        n_twirls: number of dresses; the first k do not depend on it.
        names: of the gates to dress, beside quarter turns.
        target: the machine, into whose gates the Paulis are merged.
        rng: where the draws come from.
    """

    def choose(operation: Any) -> bool:
        return operation.name in names or is_quarter_turn(operation)

    many = sum(1 for _ in _chosen(circuit, choose))
    draws = [
        rng.permuted(np.broadcast_to(np.arange(4), (many, 2, 4)), axis=-1) for _ in range(0, n_twirls, 4)
    ]  # one block of four after the other
    result = [_dressed(circuit, iter(draws[k // 4][..., k % 4]), choose) for k in range(n_twirls)]
    if target is None:
        return result
    from qiskit.transpiler import PassManager
    from qiskit.transpiler.passes import Optimize1qGatesDecomposition

    merged: list[QuantumCircuit] = PassManager([Optimize1qGatesDecomposition(target=target)]).run(result)
    return merged


def _chosen(circuit: Any, choose: Callable[[Any], bool]) -> Iterator[bool]:
    """True for each operation that is chosen, in the order of `_dressed`."""
    for item in circuit.data:
        if has_blocks(item):
            for block in item.operation.blocks:
                yield from _chosen(block, choose)
        elif len(item.qubits) == 2 and choose(item.operation):
            yield True


def _dressed(circuit: Any, paulis: Iterator[Paulis], choose: Callable[[Any], bool]) -> Any:
    result = circuit.copy_empty_like()
    for item in circuit.data:
        operation = item.operation
        if has_blocks(item):
            blocks = [_dressed(block, paulis, choose) for block in operation.blocks]
            result._append(item.replace(operation=operation.replace_blocks(blocks)))
        elif len(item.qubits) == 2 and choose(operation):
            before = tuple(int(p) for p in next(paulis))
            _append(result, item.qubits, before)
            result._append(item)
            _append(result, item.qubits, _behind(str(operation.name))[before])
        else:
            result._append(item)
    return result


def _append(circuit: Any, qubits: Any, paulis: tuple[int, ...]) -> None:
    from qiskit.circuit.library import IGate, XGate, YGate, ZGate

    kinds = (IGate, XGate, YGate, ZGate)
    for qubit, pauli in zip(qubits, paulis, strict=True):
        if pauli:
            circuit.append(kinds[pauli](), [qubit])


@lru_cache(maxsize=32)
def _behind(name: str) -> dict[tuple[int, ...], tuple[int, ...]]:
    """The Pauli that undoes, behind a gate, each one before it, up to a phase.

    "rzz" is meant by a quarter turn, of either sign: a Pauli passes it as it is, or times ZZ.
    """
    from qiskit.circuit.library import RZZGate, get_standard_gate_name_mapping
    from qiskit.quantum_info import Clifford, Pauli

    gate = RZZGate(np.pi / 2) if name == "rzz" else get_standard_gate_name_mapping()[name]
    clifford = Clifford(gate)
    table = {}
    for before in np.ndindex(4, 4):
        x, z = ([p in kinds for p in before] for kinds in ((1, 2), (2, 3)))
        behind = Pauli((z, x)).evolve(clifford, frame="s")
        table[before] = tuple(
            (0, 3, 1, 2)[2 * int(has_x) + int(has_z)] for has_x, has_z in zip(behind.x, behind.z, strict=True)
        )
    return table
