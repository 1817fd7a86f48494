"""Scheduling and dynamical decoupling: waiting made explicit, and filled with pulses.

A simulator lets an idle qubit decohere only if the wait is written down as a delay. The order is twirl, then schedule,
then decouple.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import pi
from typing import TYPE_CHECKING, Any

from qcluster.device.circuits.timeline import has_blocks, steps
from qcluster.device.circuits.twirl import keep_labels
from qcluster.device.storage import dressing

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit
    from qiskit.transpiler import Target

DECOUPLING = ("XX", "XpXm", "XY4")
"""Known decoupling sequences, named as in the runtime's options."""


def can_schedule(circuit: QuantumCircuit, target: Target) -> bool:
    """Tell whether a circuit can be scheduled: no control flow, and every operation has a known length."""
    if target.dt is None or any(has_blocks(item) for item in circuit.data):
        return False
    places = {(item.name, qubits) for item, qubits, _, _ in steps(circuit) if item.name not in {"barrier", "delay"}}
    names = {name for name, _ in places}
    if not names <= set(target.operation_names):
        return False
    tables = {name: target[name] or {} for name in names}
    return all(getattr(tables[name].get(qubits), "duration", None) is not None for name, qubits in places)


def schedule(circuits: Sequence[QuantumCircuit], target: Target, dd: str | None = None) -> list[QuantumCircuit]:
    """Schedule compiled circuits as late as possible, with explicit delays or decoupling pulses in the gaps.

    Layout, name and metadata stay those of the given circuits. Decoupling is made of the machine's x and rz gates, the
    latter taking no time; in "XpXm" the second pulse has the opposite direction.

    Raises:
        ValueError: dd is unknown, or a circuit cannot be scheduled (control flow, or a gate of unknown length).
    """
    if dd is not None and dd not in DECOUPLING:
        raise ValueError(f"dd must be one of {', '.join(DECOUPLING)} or None; got {dd!r}")
    stuck = next((c for c in circuits if not can_schedule(c, target)), None)
    if stuck is not None:
        raise ValueError(
            f"circuit {stuck.name!r} cannot be scheduled: it must have no control flow, and gates of known length only"
        )
    passes = _passes(target, dd)
    with dressing(lambda said: ValueError(f"the circuits cannot be scheduled: {said}")):
        scheduled = [_scheduled(passes, circuit) for circuit in circuits]
    for source, result in zip(circuits, scheduled, strict=True):
        keep_labels(source, result)
    return scheduled


def _scheduled(passes: Any, circuit: QuantumCircuit) -> QuantumCircuit:
    """Run the passes on a stand-in where they would lose or renumber classical bits: those outside of registers, or in
    several, or in another order than theirs."""
    from qiskit.circuit import ClassicalRegister

    if [bit for register in circuit.cregs for bit in register] == list(circuit.clbits):
        result: QuantumCircuit = passes.run(circuit)
        return result
    stand_in = ClassicalRegister(circuit.num_clbits, "bits")
    found = passes.run(_rewired(circuit, circuit.qubits, circuit.qregs, stand_in, [stand_in]))
    return _rewired(found, found.qubits, found.qregs, circuit.clbits, circuit.cregs)


def _rewired(
    circuit: QuantumCircuit, qubits: Sequence[Any], qregs: Sequence[Any], clbits: Sequence[Any], cregs: Sequence[Any]
) -> QuantumCircuit:
    """Copy a circuit without control flow onto other classical bits."""
    from qiskit.circuit import QuantumCircuit

    result = QuantumCircuit(qubits, list(clbits), *qregs, *cregs, global_phase=circuit.global_phase)
    places = dict(zip(circuit.clbits, clbits, strict=True))
    for item in circuit.data:
        result.append(item.replace(clbits=[places[bit] for bit in item.clbits]))
    for name in ("_op_start_times", "_duration", "_unit"):
        if hasattr(circuit, name):
            setattr(result, name, getattr(circuit, name))
    return result


def _passes(target: Target, dd: str | None) -> Any:
    from qiskit.transpiler import PassManager
    from qiskit.transpiler.passes import (
        ALAPScheduleAnalysis,
        ConstrainedReschedule,
        PadDelay,
        PadDynamicalDecoupling,
        TimeUnitConversion,
    )

    durations = target.durations()  # looked up per gate, where a target would copy its tables
    passes: list[Any] = [TimeUnitConversion(target=target), ALAPScheduleAnalysis(durations)]
    if target.acquire_alignment > 1 or target.pulse_alignment > 1:
        passes.append(ConstrainedReschedule(target.acquire_alignment, target.pulse_alignment, target=target))
    if dd is None:
        passes.append(PadDelay(fill_very_end=False, durations=durations))
    else:
        gates, spacing = _sequence(dd)
        passes.append(PadDynamicalDecoupling(target=target, dd_sequence=gates, spacing=spacing))
    return PassManager(passes)


def _sequence(dd: str) -> tuple[list[Any], list[float]]:
    """Spell a sequence in x and rz(pi), which takes no time: rz then x is a y; x between two rz turns backwards."""
    from qiskit.circuit.library import RZGate, XGate

    x, z = XGate(), RZGate(pi)
    if dd == "XX":
        return [x, x], [1 / 4, 1 / 2, 1 / 4]
    if dd == "XpXm":
        return [x, z, x, z], [1 / 4, 1 / 2, 0, 0, 1 / 4]
    return [x, z, x, x, z, x], [1 / 8, 1 / 4, 0, 1 / 4, 1 / 4, 0, 1 / 8]
