"""Scheduling and dynamical decoupling: waiting made explicit, and filled with pulses.

A simulator lets an idle qubit decohere only if the wait is written down as a delay. The order is twirl, then schedule,
then decouple.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm, pi
from typing import TYPE_CHECKING, Any

from qcluster.device.circuits.timeline import delay_seconds, has_blocks, steps
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


def check_delays(circuit: QuantumCircuit, target: Target) -> None:
    """Refuse delays that are not on the grid of a machine's clock, before Qiskit does in words that tell no cure.

    Raises:
        ValueError: the length of one is no multiple of the grid, the message gives the nearest; or it is a parameter.
    """
    grid = lcm(target.acquire_alignment, target.pulse_alignment)
    if grid == 1 or target.dt is None:
        return
    for item, *_ in steps(circuit):
        if item.name != "delay":
            continue
        must = f"delays must be multiples of {grid} dt on this machine; in {circuit.name!r} one is"
        if is_free(item):
            raise ValueError(f"{must} a parameter: give it a value before, by circuit.assign_parameters(values)")
        length = round(delay_seconds(item.operation, target.dt) / target.dt)
        if length % grid:
            below = length // grid * grid
            near = " and ".join(f"{ticks} dt ({ticks * target.dt * 1e9:.6g} ns)" for ticks in (below, below + grid))
            raise ValueError(f"{must} {length} dt: the nearest are {near}")


def is_free(delay: Any) -> bool:
    """Tell whether the length of a delay is a parameter, or has one in it."""
    return bool(getattr(delay.operation.duration, "parameters", None))


def settle_delays(compiled: QuantumCircuit, bound: QuantumCircuit) -> None:
    """Round delays that the compiler turned from seconds to dt with a parameter in them; in place.

    Args:
        compiled: with the parameters.
        bound: the same with numbers, which in dt must be whole: Qiskit rounds constants only.

    Raises:
        ValueError: a length is negative, or too long to be written.
    """
    for i, item in enumerate(compiled.data):
        if item.name == "delay" and is_free(item) and item.operation.unit == "dt":
            length = float(bound.data[i].params[0])
            with dressing(lambda said: ValueError(f"delays of {compiled.name!r} must be times: {said}")):
                bound.data[i] = bound.data[i].replace(params=[round(length)])


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
