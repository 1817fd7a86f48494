"""Random Paulis around two-qubit Clifford gates, where Qiskit's own twirling does not suffice.

It covers rzz gates by a quarter turn, balanced draws, and the twirling of idle qubits.
"""

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
"""(n_draws,): one Pauli for each twirled qubit of each layer; 0, 1, 2, 3 for I, X, Y, Z."""

TWIRLED = ("cx", "cy", "cz", "dcx", "ecr", "iswap", "swap")
"""Two-qubit gates that are twirled, in addition to rzz by a quarter turn: those that map Paulis to Paulis. Other gates
are left as they are."""

_TOLERANCE = 1e-9
"""Radians by which an angle may differ from a quarter turn: far below the resolution of any machine."""


def is_quarter_turn(operation: Any) -> bool:
    """Return whether an operation is rzz by an odd multiple of pi/2."""
    if operation.name != "rzz" or not isinstance(operation.params[0], (int, float)):
        return False
    return bool(abs(np.cos(float(operation.params[0]))) < _TOLERANCE)


def is_twirled(operation: Any) -> bool:
    """Return whether a two-qubit operation is one that maps Paulis to Paulis, and so can be twirled."""
    return operation.name in TWIRLED or is_quarter_turn(operation)


def has_quarter_turns(circuit: QuantumCircuit) -> bool:
    """Return whether a circuit has an rzz by a quarter turn, blocks of control flow included."""
    return _count(plan_gates(circuit, is_quarter_turn), is_quarter_turn) > 0


def twirl_quarter_turns(circuit: QuantumCircuit, rng: np.random.Generator) -> QuantumCircuit:
    """Put one of 16 random two-qubit Paulis before each quarter turn, and after it the Pauli that undoes it."""
    plan = plan_gates(circuit, is_quarter_turn)
    return _twirled(circuit, plan, iter(rng.integers(4, size=_count(plan, is_quarter_turn))), is_quarter_turn)


def draw_twirls(
    circuit: QuantumCircuit,
    n_twirls: int,
    target: Target | None,
    rng: np.random.Generator,
    *,
    strategy: str,
    balanced: bool,
) -> list[QuantumCircuit]:
    """Twirl a circuit's layers of two-qubit gates, or each gate by itself under the strategy "active".

    With balanced draws, each qubit of each gate has I, X, Y and Z before it once in every four twirls. The qubits are
    drawn independently of one another. So averaged over seeds every joint Pauli is as likely as under independent
    draws, and a small number of twirls scatters less.

    The first k twirls do not depend on `n_twirls`. With a target, the Paulis are merged into its one-qubit gates.
    """
    plan = _plan(circuit, strategy, target)
    n_draws = _count(plan, is_twirled)
    draws: list[Paulis] = []
    for k in range(n_twirls):
        if not balanced:
            draws.append(rng.integers(4, size=n_draws))
        elif k % 4 == 0:
            draws += list(rng.permuted(np.broadcast_to(np.arange(4), (n_draws, 4)), axis=-1).T)
    result = [_twirled(circuit, plan, iter(draws[k]), is_twirled) for k in range(n_twirls)]
    if target is None:
        return result
    from qiskit.transpiler import PassManager
    from qiskit.transpiler.passes import Optimize1qGatesDecomposition

    merged: list[QuantumCircuit] = PassManager([Optimize1qGatesDecomposition(target=target)]).run(result)
    return merged


def bare_layers(circuit: QuantumCircuit, target: Target | None, strategy: str) -> QuantumCircuit:
    """Put the barriers of a strategy's twirls around the layers of a circuit, without any Paulis."""
    plan = _plan(circuit, strategy, target)
    return _twirled(circuit, plan, iter(np.zeros(_count(plan, is_twirled), dtype=np.int64)), is_twirled)


def _plan(circuit: QuantumCircuit, strategy: str, target: Target | None) -> Plan:
    if strategy == "active":
        return plan_gates(circuit, is_twirled)
    return plan_layers(circuit, is_twirled, strategy, turning_qubits(circuit, target))


def _count(plan: Plan, choose: Callable[[Any], bool]) -> int:
    """Return the number of one-qubit Paulis that `_twirled` takes for a plan."""
    total = 0
    for part in plan:
        if isinstance(part, Layer):
            total += len(part.qubits)
        elif has_blocks(part):
            total += sum(_count(plan_gates(block, choose), choose) for block in part.operation.blocks)
    return total


def _twirled(circuit: Any, plan: Plan, paulis: Iterator[int], choose: Callable[[Any], bool]) -> Any:
    """Build the circuit of a plan: each layer takes the next Paulis; in control flow each gate is a layer."""
    result = circuit.copy_empty_like()
    for part in plan:
        if isinstance(part, Layer):
            _write_layer(result, part, paulis)
        elif has_blocks(part):
            blocks = [_twirled(block, plan_gates(block, choose), paulis, choose) for block in part.operation.blocks]
            result._append(part.replace(operation=with_blocks(part.operation, blocks)))
        else:
            result._append(part)
    return result


def _write_layer(circuit: Any, layer: Layer, paulis: Iterator[int]) -> None:
    """Append a layer's gates to a circuit, with Paulis before them and, after them, the Paulis that undo these."""
    before = [(int(next(paulis)), int(next(paulis))) for _ in layer.gates]
    idle = tuple(int(next(paulis)) for _ in layer.idle)
    for gate, pair in zip(layer.gates, before, strict=True):
        _append(circuit, gate.qubits, pair)
    _append(circuit, layer.idle, idle)
    if layer.closed:
        circuit.barrier(layer.qubits)
    for gate in layer.gates:
        circuit._append(gate)
    if layer.closed:
        circuit.barrier(layer.qubits)
    for gate, pair in zip(layer.gates, before, strict=True):
        _append(circuit, gate.qubits, images(str(gate.name))[pair])
    _append(circuit, layer.idle, idle)


def _append(circuit: Any, qubits: Any, paulis: tuple[int, ...]) -> None:
    from qiskit.circuit.library import IGate, XGate, YGate, ZGate

    kinds = (IGate, XGate, YGate, ZGate)
    for qubit, pauli in zip(qubits, paulis, strict=True):
        if pauli:
            circuit.append(kinds[pauli](), [qubit])
