"""Layers of two-qubit gates, and which qubits are twirled around each: the strategies of IBM's runtime."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from qcluster.device.circuits.timeline import has_blocks, is_measurement

if TYPE_CHECKING:
    from qiskit.transpiler import Target

STRATEGIES = ("active", "active-accum", "active-circuit", "all")
"""Which qubits are twirled around a layer of two-qubit gates: those of its gates ("active"), those that gates and
measurements have met so far ("active-accum") or meet anywhere in the circuit ("active-circuit"), or all."""

_TURNS = ("x", "sx", "u", "u3", "r", "rx")
"""Gates out of which a machine can make a Pauli that flips."""


@dataclass(frozen=True)
class Layer:
    """Hold two-qubit gates that run side by side, and the qubits that wait meanwhile and are twirled as well."""

    gates: tuple[Any, ...]
    """Instructions of the circuit, no two of them on one qubit."""
    idle: tuple[Any, ...] = ()
    """Qubits."""
    closed: bool = False
    """Whether barriers keep what is before the layer and behind it there."""

    @property
    def qubits(self) -> tuple[Any, ...]:
        """All qubits that are twirled: those of the gates in order, then the idle ones."""
        return (*(qubit for gate in self.gates for qubit in gate.qubits), *self.idle)


Plan = list[Any]
"""A circuit in order, each part a `Layer` or an instruction that is not twirled."""


def plan_gates(circuit: Any, choose: Callable[[Any], bool]) -> Plan:
    """Take each gate that is chosen as a layer of its own, without barriers; the order is the circuit's."""
    return [Layer((item,)) if _is_chosen(item, choose) else item for item in circuit.data]


def plan_layers(circuit: Any, choose: Callable[[Any], bool], strategy: str, spare: Collection[Any]) -> Plan:
    """Collect the gates that are chosen in layers, each gate in the earliest that it can be in.

    The rule is that of samplomatic, by which the runtime twirls: gates of a layer share no qubit, and none moves past a
    barrier, a measurement or a reset. Nothing moves past control flow, a box or a `store`. Gates that are not chosen
    stand between layers.

    Gates inside of blocks are not collected. `spare` are the qubits that may be twirled while they wait.
    """
    ordered = _in_order(circuit, choose)
    met: dict[Any, None] = {}  # a set that keeps its order, so that the same seed gives the same twirls
    if strategy != "active-accum":
        met = dict.fromkeys(circuit.qubits)
    if strategy == "active-circuit":
        touched = {q for _, gate, item in ordered if gate or is_measurement(item.name) for q in item.qubits}
        met = {q: None for q in circuit.qubits if q in touched}
    parts: Plan = []
    for (_, chosen), found in groupby(ordered, key=lambda entry: entry[:2]):
        items = [item for _, _, item in found]
        if chosen:
            busy = {qubit for item in items for qubit in item.qubits}
            met |= dict.fromkeys(qubit for item in items for qubit in item.qubits)
            parts.append(Layer(tuple(items), tuple(q for q in met if q not in busy and q in spare), closed=True))
        else:
            met |= dict.fromkeys(q for item in items if is_measurement(item.name) for q in item.qubits)
            parts += items
    return parts


def _is_chosen(item: Any, choose: Callable[[Any], bool]) -> bool:
    return len(item.qubits) == 2 and not has_blocks(item) and choose(item.operation)


def _in_order(circuit: Any, choose: Callable[[Any], bool]) -> list[tuple[int, bool, Any]]:
    """Sort instructions by (layer, whether they are the layer's gates).

    Gates come in the earliest layer that they can be in; all else as late as it can, before the gates of its layer: a
    qubit must not be measured before others' gates only because it has none any more. Along each qubit and bit the
    number never falls, and sorting is stable, so that the order of any two instructions that share one stays.
    """
    reached: dict[Any, int] = dict.fromkeys((*circuit.qubits, *circuit.clbits), 0)
    found = []
    for item in circuit.data:
        known = item.name in {"barrier", "delay", "reset"} or is_measurement(item.name) or not item.clbits
        everywhere = has_blocks(item) or item.name == "store" or not known
        wires = list(reached) if everywhere else [*item.qubits, *item.clbits]
        now = max((reached[wire] for wire in wires), default=0)
        chosen = _is_chosen(item, choose)
        reached |= dict.fromkeys(wires, now + (chosen or everywhere or item.name == "barrier"))
        found.append((now, chosen, item, wires))
    ahead = dict.fromkeys(reached, len(found))
    ordered = []
    for now, chosen, item, wires in reversed(found):
        late = now if chosen else min((ahead[wire] for wire in wires), default=now)
        ahead |= dict.fromkeys(wires, late)
        ordered.append((late, chosen, item))
    ordered.reverse()
    return sorted(ordered, key=lambda entry: entry[:2])


def turning_qubits(circuit: Any, target: Target | None) -> set[Any]:
    """Find the qubits on which a machine can make Paulis; all where there is no target."""
    if target is None:
        return set(circuit.qubits)
    names = [name for name in _TURNS if name in target.operation_names]
    return {
        qubit
        for i, qubit in enumerate(circuit.qubits)
        if any(target.instruction_supported(name, (i,)) for name in names)
    }
