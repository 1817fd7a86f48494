"""Layers of two-qubit gates, and the qubits that are twirled around each: the strategies of IBM's runtime."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from qcluster.device.circuits.timeline import has_blocks, is_measurement

if TYPE_CHECKING:
    from qiskit.transpiler import Target

STRATEGIES = ("active", "active-accum", "active-circuit", "all")
"""Which qubits are twirled around a layer of two-qubit gates: the qubits of its gates ("active"), all qubits that a
gate or a measurement has used so far ("active-accum") or uses anywhere in the circuit ("active-circuit"), or all qubits
("all")."""

_FLIPPING = ("x", "sx", "u", "u3", "r", "rx")
"""Gates from which a machine can build a Pauli that flips a qubit."""


@dataclass(frozen=True)
class Layer:
    """Two-qubit gates that run in parallel, and the idle qubits that are twirled with them."""

    gates: tuple[Any, ...]
    """Instructions of the circuit, no two of them on one qubit."""
    idle: tuple[Any, ...] = ()
    """Qubits that are twirled but have no gate in the layer."""
    closed: bool = False
    """Whether barriers separate the layer from what precedes and follows it."""

    @property
    def qubits(self) -> tuple[Any, ...]:
        """All qubits that are twirled: those of the gates in order, then the idle ones."""
        return (*(qubit for gate in self.gates for qubit in gate.qubits), *self.idle)


Plan = list[Any]
"""A circuit in order; each part is a `Layer` or an instruction that is not twirled."""


def plan_gates(circuit: Any, choose: Callable[[Any], bool]) -> Plan:
    """Make each chosen gate a layer by itself, without barriers, in the order of the circuit."""
    return [Layer((item,)) if _is_chosen(item, choose) else item for item in circuit.data]


def plan_layers(circuit: Any, choose: Callable[[Any], bool], strategy: str, spare: Collection[Any]) -> Plan:
    """Group the chosen gates into layers, each gate in the earliest possible one.

    The rules are those of samplomatic, which the runtime uses for twirling: gates of a layer share no qubit, and no
    gate moves past a barrier, a measurement or a reset on its qubits. Nothing moves past control flow, a box or a
    `store`. Gates that are not chosen are placed between layers. Gates inside blocks are not grouped.

    Args:
        circuit: the circuit.
        choose: returns whether an operation is to be twirled; only two-qubit operations are considered.
        strategy: one of `STRATEGIES` except "active".
        spare: qubits that may be twirled while they are idle.
    """
    ordered = _in_order(circuit, choose)
    used: dict[Any, None] = {}  # an ordered set, so that the same seed gives the same twirls
    if strategy != "active-accum":
        used = dict.fromkeys(circuit.qubits)
    if strategy == "active-circuit":
        touched = {q for _, gate, item in ordered if gate or is_measurement(item.name) for q in item.qubits}
        used = {q: None for q in circuit.qubits if q in touched}
    parts: Plan = []
    for (_, chosen), group in groupby(ordered, key=lambda entry: entry[:2]):
        items = [item for _, _, item in group]
        if chosen:
            busy = {qubit for item in items for qubit in item.qubits}
            used |= dict.fromkeys(qubit for item in items for qubit in item.qubits)
            parts.append(Layer(tuple(items), tuple(q for q in used if q not in busy and q in spare), closed=True))
        else:
            used |= dict.fromkeys(q for item in items if is_measurement(item.name) for q in item.qubits)
            parts += items
    return parts


def _is_chosen(item: Any, choose: Callable[[Any], bool]) -> bool:
    return len(item.qubits) == 2 and not has_blocks(item) and choose(item.operation)


def _in_order(circuit: Any, choose: Callable[[Any], bool]) -> list[tuple[int, bool, Any]]:
    """Sort instructions by layer: return (layer number, whether it is one of the layer's gates, instruction).

    A chosen gate is placed in the earliest possible layer. Any other instruction comes as late as possible, before the
    gates of its layer, so that a qubit without further gates is not measured before other qubits' gates. Layer numbers
    never decrease along a qubit or a classical bit, and the sort is stable: two instructions that share one keep their
    order.
    """
    reached: dict[Any, int] = dict.fromkeys((*circuit.qubits, *circuit.clbits), 0)
    earliest = []
    for item in circuit.data:
        local = item.name in {"barrier", "delay", "reset"} or is_measurement(item.name) or not item.clbits
        everywhere = has_blocks(item) or item.name == "store" or not local
        wires = list(reached) if everywhere else [*item.qubits, *item.clbits]
        layer = max((reached[wire] for wire in wires), default=0)
        chosen = _is_chosen(item, choose)
        reached |= dict.fromkeys(wires, layer + (chosen or everywhere or item.name == "barrier"))
        earliest.append((layer, chosen, item, wires))
    following = dict.fromkeys(reached, len(earliest))
    ordered = []
    for layer, chosen, item, wires in reversed(earliest):
        latest = layer if chosen else min((following[wire] for wire in wires), default=layer)
        following |= dict.fromkeys(wires, latest)
        ordered.append((latest, chosen, item))
    ordered.reverse()
    return sorted(ordered, key=lambda entry: entry[:2])


def turning_qubits(circuit: Any, target: Target | None) -> set[Any]:
    """Find the qubits on which a machine can apply any Pauli; all qubits where there is no target."""
    if target is None:
        return set(circuit.qubits)
    available = [name for name in _FLIPPING if name in target.operation_names]
    return {
        qubit
        for i, qubit in enumerate(circuit.qubits)
        if any(target.instruction_supported(name, (i,)) for name in available)
    }
