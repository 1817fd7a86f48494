"""Paulis around two-qubit Clifford gates, for what Qiskit's twirling does not do: quarter turns, balanced draws,
idle qubits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qcluster.device.circuits.layers import Layer, Plan, plan_gates, plan_layers, turning_qubits
from qcluster.device.circuits.pauli import images
from qcluster.device.circuits.timeline import has_blocks, with_blocks

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit
    from qiskit.transpiler import Target

Paulis = npt.NDArray[np.int64]
"""(n_draws,): of each qubit of each layer 0, 1, 2, 3 for I, X, Y, Z."""

TWIRLED = ("cx", "cy", "cz", "dcx", "ecr", "iswap", "swap")
"""Two-qubit gates that are twirled, beside rzz by a quarter turn: those that turn Paulis into Paulis. Others run as
they are."""

_CLOSE = 1e-9
"""Radians within which an angle is a quarter turn: far below what a machine can tell."""


def is_quarter_turn(operation: Any) -> bool:
    """Tell whether an operation is rzz by plus or minus pi/2, up to half turns, which are Paulis themselves."""
    if operation.name != "rzz" or not isinstance(operation.params[0], (int, float)):
        return False
    return bool(abs(np.cos(float(operation.params[0]))) < _CLOSE)


def is_twirled(operation: Any) -> bool:
    """Tell whether a two-qubit operation turns Paulis into Paulis."""
    return operation.name in TWIRLED or is_quarter_turn(operation)


def has_quarter_turns(circuit: QuantumCircuit) -> bool:
    """Tell whether a circuit holds one, in its control flow as well."""
    return _count(plan_gates(circuit, is_quarter_turn), is_quarter_turn) > 0


def dress_quarter_turns(circuit: QuantumCircuit, rng: np.random.Generator) -> QuantumCircuit:
    """Put a random Pauli, one of 16, before each quarter turn and behind it the one that undoes it."""
    plan = plan_gates(circuit, is_quarter_turn)
    return _dressed(circuit, plan, iter(rng.integers(4, size=_count(plan, is_quarter_turn))), is_quarter_turn)


def draw_dresses(
    circuit: QuantumCircuit,
    n_twirls: int,
    target: Target | None,
    rng: np.random.Generator,
    *,
    strategy: str,
    balanced: bool,
) -> list[QuantumCircuit]:
    """Dress a circuit around its layers of two-qubit gates, or with "active" around each gate.

    Balanced, of four dresses in a row each qubit of each gate has I, X, Y and Z before it once. The qubits are drawn
    independently, so that over all seeds each Pauli of them together is as likely as with independent draws: the twirl
    is the same on average, with less scatter between few dresses.

    The first k dresses do not depend on `n_twirls`. Paulis are merged into the gates of the target.
    """
    plan = _plan(circuit, strategy, target)
    many = _count(plan, is_twirled)
    draws: list[Paulis] = []
    for k in range(n_twirls):
        if not balanced:
            draws.append(rng.integers(4, size=many))
        elif k % 4 == 0:
            draws += list(rng.permuted(np.broadcast_to(np.arange(4), (many, 4)), axis=-1).T)
    result = [_dressed(circuit, plan, iter(draws[k]), is_twirled) for k in range(n_twirls)]
    if target is None:
        return result
    from qiskit.transpiler import PassManager
    from qiskit.transpiler.passes import Optimize1qGatesDecomposition

    merged: list[QuantumCircuit] = PassManager([Optimize1qGatesDecomposition(target=target)]).run(result)
    return merged


def bare_layers(circuit: QuantumCircuit, target: Target | None, strategy: str) -> QuantumCircuit:
    """Put the barriers around layers that a strategy's dresses have, and no Paulis: as long a circuit as theirs."""
    plan = _plan(circuit, strategy, target)
    return _dressed(circuit, plan, iter(np.zeros(_count(plan, is_twirled), dtype=np.int64)), is_twirled)


def _plan(circuit: QuantumCircuit, strategy: str, target: Target | None) -> Plan:
    if strategy == "active":
        return plan_gates(circuit, is_twirled)
    return plan_layers(circuit, is_twirled, strategy, turning_qubits(circuit, target))


def _count(plan: Plan, choose: Callable[[Any], bool]) -> int:
    """Paulis that `_dressed` takes."""
    many = 0
    for part in plan:
        if isinstance(part, Layer):
            many += len(part.qubits)
        elif has_blocks(part):
            many += sum(_count(plan_gates(block, choose), choose) for block in part.operation.blocks)
    return many


def _dressed(circuit: Any, plan: Plan, paulis: Iterator[int], choose: Callable[[Any], bool]) -> Any:
    """Write a plan out, each layer with the next Paulis on its qubits; in control flow each gate by itself."""
    result = circuit.copy_empty_like()
    for part in plan:
        if isinstance(part, Layer):
            _write_layer(result, part, paulis)
        elif has_blocks(part):
            blocks = [_dressed(block, plan_gates(block, choose), paulis, choose) for block in part.operation.blocks]
            result._append(part.replace(operation=with_blocks(part.operation, blocks)))
        else:
            result._append(part)
    return result


def _write_layer(circuit: Any, layer: Layer, paulis: Iterator[int]) -> None:
    before = [(int(next(paulis)), int(next(paulis))) for _ in layer.gates]
    idle = tuple(int(next(paulis)) for _ in layer.idle)
    for gate, drawn in zip(layer.gates, before, strict=True):
        _append(circuit, gate.qubits, drawn)
    _append(circuit, layer.idle, idle)
    if layer.closed:
        circuit.barrier(layer.qubits)
    for gate in layer.gates:
        circuit._append(gate)
    if layer.closed:
        circuit.barrier(layer.qubits)
    for gate, drawn in zip(layer.gates, before, strict=True):
        _append(circuit, gate.qubits, images(str(gate.name))[drawn])
    _append(circuit, layer.idle, idle)


def _append(circuit: Any, qubits: Any, paulis: tuple[int, ...]) -> None:
    from qiskit.circuit.library import IGate, XGate, YGate, ZGate

    kinds = (IGate, XGate, YGate, ZGate)
    for qubit, pauli in zip(qubits, paulis, strict=True):
        if pauli:
            circuit.append(kinds[pauli](), [qubit])
