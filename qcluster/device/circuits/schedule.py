"""Scheduling, which writes idle times out as delays, and dynamical decoupling, which fills them with pulses.

A simulator applies decoherence to an idle qubit only where the idle time is an explicit delay. The order is: twirl,
then schedule, then decouple.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm, pi
from typing import TYPE_CHECKING, Any

from qcluster.device.circuits.timeline import delay_seconds, has_blocks, steps
from qcluster.device.circuits.twirl import keep_labels
from qcluster.device.storage import replacing_errors

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit
    from qiskit.transpiler import Target

DECOUPLING = ("XX", "XpXm", "XY4")
"""Supported decoupling sequences, named as in the runtime's options."""


def can_schedule(circuit: QuantumCircuit, target: Target) -> bool:
    """Return whether a circuit can be scheduled: no control flow, and a known duration of every operation."""
    if target.dt is None or any(has_blocks(item) for item in circuit.data):
        return False
    places = {(item.name, qubits) for item, qubits, _, _ in steps(circuit) if item.name not in {"barrier", "delay"}}
    names = {name for name, _ in places}
    if not names <= set(target.operation_names):
        return False
    tables = {name: target[name] or {} for name in names}
    return all(getattr(tables[name].get(qubits), "duration", None) is not None for name, qubits in places)


def schedule(circuits: Sequence[QuantumCircuit], target: Target, dd: str | None = None) -> list[QuantumCircuit]:
    """Schedule compiled circuits as late as possible, and fill the gaps with delays or decoupling pulses.

    Layout, name and metadata are kept. Decoupling pulses consist of x gates, and of rz gates, which take no time; in
    "XpXm" the second pulse rotates in the opposite direction.

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
    with replacing_errors(lambda said: ValueError(f"the circuits cannot be scheduled: {said}")):
        scheduled = [_scheduled(passes, circuit) for circuit in circuits]
    for source, result in zip(circuits, scheduled, strict=True):
        keep_labels(source, result)
    return scheduled


def check_delays(circuit: QuantumCircuit, target: Target) -> None:
    """Check that all delays fit the time grid of the machine, and say how to correct one that does not.

    Raises:
        ValueError: the length of a delay is not a multiple of the grid (the message names the nearest multiples), or is
            a parameter.
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
            nearest = " and ".join(f"{ticks} dt ({ticks * target.dt * 1e9:.6g} ns)" for ticks in (below, below + grid))
            raise ValueError(f"{must} {length} dt: the nearest are {nearest}")


def is_free(delay: Any) -> bool:
    """Return whether the length of a delay is a parameter, or an expression of parameters."""
    return bool(getattr(delay.operation.duration, "parameters", None))


def round_delays(compiled: QuantumCircuit, bound: QuantumCircuit) -> None:
    """Round the parametrised delays of a bound circuit to whole dt, in place; Qiskit rounds constant delays only.

    Args:
        compiled: the circuit with free parameters, its delays converted from seconds to dt by the compiler.
        bound: the same circuit with numbers for the parameters; it is changed.

    Raises:
        ValueError: a length is negative, or too large for a delay.
    """
    for i, item in enumerate(compiled.data):
        if item.name == "delay" and is_free(item) and item.operation.unit == "dt":
            length = float(bound.data[i].params[0])
            with replacing_errors(lambda said: ValueError(f"delays of {compiled.name!r} must be times: {said}")):
                bound.data[i] = bound.data[i].replace(params=[round(length)])


def _scheduled(passes: Any, circuit: QuantumCircuit) -> QuantumCircuit:
    """Run scheduling passes on a circuit, keeping its classical bits.

    The passes would lose or renumber bits that are in no register, in several, or not in register order. Then they run
    on a copy with a single register.
    """
    from qiskit.circuit import ClassicalRegister

    if [bit for register in circuit.cregs for bit in register] == list(circuit.clbits):
        result: QuantumCircuit = passes.run(circuit)
        return result
    register = ClassicalRegister(circuit.num_clbits, "bits")
    scheduled = passes.run(_rewired(circuit, circuit.qubits, circuit.qregs, register, [register]))
    return _rewired(scheduled, scheduled.qubits, scheduled.qregs, circuit.clbits, circuit.cregs)


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

    durations = target.durations()  # fast to look up; given a target, the pass would copy its tables
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
    """Return the gates of a decoupling sequence and the relative gaps around them.

    The gates are x and rz(pi), which takes no time: rz followed by x is a y, and an x between two rz rotates backwards.
    """
    from qiskit.circuit.library import RZGate, XGate

    x, z = XGate(), RZGate(pi)
    if dd == "XX":
        return [x, x], [1 / 4, 1 / 2, 1 / 4]
    if dd == "XpXm":
        return [x, z, x, z], [1 / 4, 1 / 2, 0, 0, 1 / 4]
    return [x, z, x, x, z, x], [1 / 8, 1 / 4, 0, 1 / 4, 1 / 4, 0, 1 / 8]
